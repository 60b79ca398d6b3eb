"""Every fault of the registry on a board that is carried by the engine."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, testing
from quorate.core import BoardProtocol, Fault, NoFault, Posts, static, swept
from quorate.faults import FAULTS, Delay, Loss, saboteurs

N, M, TICKS = 10, 4, 3


class Booth(BoardProtocol):
    """Each posts two slips a round; a place sums, takes the largest bid, keeps two slips and answers them. The decision
    is the sum of all that a node reads and is answered."""

    rounds: int = static(2)
    places: int = static(M)
    capacity: int = static(2)

    def boot(self, key, me):
        return me

    def propose(self, key, state, proposal):
        return state, proposal, jnp.float32(0)

    def post(self, ballot):
        place = (ballot[0] + jnp.arange(2)) % M
        value = (ballot[0] + 1 + place).astype(jnp.float32)
        return Posts(place, ballot[1] > jnp.arange(2), amount=value, bid=value, body=value)

    def watch(self, ballot):
        return (ballot[0] + jnp.arange(3)) % (M + 1) - 1

    def hear(self, key, ballot, news):
        read = jnp.sum(jnp.where(news.heard, news.notice, 0)) + jnp.sum(jnp.where(news.kept, news.reply, 0))
        return ballot[0], ballot[1], ballot[2] + read

    def decide(self, ballot):
        return ballot[2], ballot[0]

    def open(self, key, place):
        return jnp.float32(0), jnp.zeros(2)

    def serve(self, key, place_state, heap):
        best = jnp.where(heap.who >= 0, heap.best, 0)
        return place_state[0] + heap.total + 100 * best + 1000 * heap.who, heap.first.body + 1

    def notice(self, place_state):
        return place_state[0]

    def reply(self, place_state):
        return place_state[1]

    def host(self, place):
        return place


@eqx.filter_jit
def played(fault):
    """Decisions and bills of three ticks, with those who are down left out."""
    key, protocol = jax.random.key(0), Booth()

    def one_tick(carry, t):
        lasting, state = carry
        now = jax.random.fold_in(key, t)
        state = fault.update(now, state, t)
        down = fault.down(state)
        proposal = jnp.arange(N, dtype=jnp.int32) % 3
        here = None if down is None else ~down
        talked = comms.converse(now, key, protocol, lasting, proposal, None, fault, state, None, N, t, here)
        return (talked.lasting, talked.fault), (talked.decision, talked.traffic)

    start = comms.boot(key, protocol, N), fault.reset(key, N)
    return jax.lax.scan(one_tick, start, jnp.arange(TICKS))[1]


HERE = {name: fault for name, fault in FAULTS.items() if not isinstance(fault, Delay)}
TALKERS = {"silent_liars", "all_yes", "random_yes", "split_vote", "drop_at_round", "rushing", "scripted"}  # of sums


@pytest.fixture(scope="module")
def calm():
    return played(NoFault())


@pytest.mark.parametrize("name", sorted(HERE.keys() - TALKERS))
def test_on_a_board(name, calm):
    """It is carried, decisions stay finite, and with a share of 0 they are those of a calm day, bit for bit."""
    fault = FAULTS[name]
    decision, traffic = played(fault)
    assert np.isfinite(decision).all() and (traffic.heard >= traffic.reads).all()
    if hasattr(fault, "share"):
        jax.tree.map(np.testing.assert_array_equal, calm, played(dataclasses.replace(fault, share=0.0)))


@pytest.mark.parametrize("name", ["lie", "hog", "forge", "silent", "flood", "vandal"])
def test_half_of_them_make_a_difference(name, calm):
    assert (played(saboteurs(name, 0.5, hosts=np.arange(M)))[0] != calm[0]).any()


def test_where_all_is_lost_nothing_is_heard(calm):
    decision, traffic = played(Loss(share=1.0))
    assert not decision.any() and not traffic.heard.any() and not traffic.bytes.any()
    assert (calm[1].heard > 0).all() and calm[0].any()


# ---------------------------------------------------------------------------------------------------- the checks bite


class Halving(Fault):
    """Its notices change dtype."""

    def on_notice(self, key, state, place, notice, heard, board):
        return state, jax.tree.map(lambda leaf: leaf * 0.5, notice), heard


class Growing(Fault):
    """Its state changes with the slips."""

    def reset(self, key, num_agents):
        return jnp.zeros(num_agents)

    def on_post(self, key, state, posts, board):
        return posts.live, posts


class Short(Fault):
    """Somebody is not said to be up or down."""

    def down(self, state):
        return jnp.zeros(1, bool)


class Leaking(Fault):
    """Its share does not switch it off."""

    share: jax.Array = swept()

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=posts.live & (posts.place > 0))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Halving(), "Halving: .* of what on_notice returns was int32.* and becomes float32"),
        (Growing(), "Growing: .* of the state after on_post was float32.* and becomes bool"),
        (Short(), r"Short: down is bool\[1\]; it must be bool_?\[2\]"),
        (Leaking(share=0.5), "Leaking: what passes a fault whose share is 0 differs in"),
    ],
)
def test_the_contract_of_boards_bites(fault, said):
    with pytest.raises(AssertionError, match=said):
        testing.check_fault(fault)
