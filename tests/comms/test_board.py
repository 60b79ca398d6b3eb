"""Boards: the engine against a naive twin, its bill, who is away, and one place against a sum over everybody."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate import comms
from quorate.comms.board import FEW, gathered
from quorate.core import BoardProtocol, Fault, NoFault, Posts, TallyProtocol, static, swept
from quorate.errors import Refusal
from tests.pinboard import Pinboard, Wish, wishes

COIN, KEY, NOTHING = jax.random.key(5), jax.random.key(3), NoFault()


@eqx.filter_jit
def meeting(protocol, wish, here=None, fault=NOTHING, lasting=None, t=0, key=KEY, trusted=None):
    agents = jax.tree.leaves(wish)[0].shape[0]
    lasting = comms.boot(key, protocol, agents) if lasting is None else lasting
    state = fault.reset(key, agents)
    return comms.converse(key, COIN, protocol, lasting, wish, None, fault, state, trusted, agents, t, here)


def twin(protocol: Pinboard, wish: Wish, offset: int, here=None):
    """One round by dictionaries and lists: heaps by place, then what each node hears."""
    wish = Wish(*(np.asarray(leaf) for leaf in wish))
    agents, slips = wish.place.shape
    here = np.ones(agents, bool) if here is None else here
    up = [not (j < protocol.hosts) or bool(here[j]) for j in range(protocol.places)]
    lying = {j: [] for j in range(protocol.places)}
    for i in range(agents):
        for p in range(slips):
            j = int(wish.place[i, p])
            if here[i] and wish.live[i, p] and j in lying and up[j]:
                lying[j].append((i * slips + p, wish.amount[i, p], wish.bid[i, p], wish.note[i, p]))
    heaps, slots = {}, {}
    for j, heap in lying.items():
        turned = sorted(heap, key=lambda slip: (slip[0] - offset) % (agents * slips))
        slots |= {slip[0]: (j, rank) for rank, slip in enumerate(turned)}
        best = max(heap, key=lambda slip: (slip[2], -slip[0]), default=None)
        kept = turned[: protocol.capacity]
        heaps[j] = {
            "count": len(heap),
            "total": sum(slip[1] for slip in heap),
            "best": -np.inf if best is None else best[2],
            "who": -1 if best is None else best[0] // slips,
            "said": 0 if best is None else best[3],
            "notes": [slip[3] for slip in kept] + [0] * (protocol.capacity - len(kept)),
            "from": [slip[0] // slips for slip in kept] + [-1] * (protocol.capacity - len(kept)),
        }
    reads = [[bool(here[i]) and 0 <= j < protocol.places and up[j] for j in wish.watch[i]] for i in range(agents)]
    kept = [
        [s in slots and slots[s][1] < protocol.capacity for s in range(i * slips, i * slips + slips)]
        for i in range(agents)
    ]
    return heaps, np.array(reads), np.array(kept), wish


BARE = pytest.param(FEW + 4, 0, marks=pytest.mark.slow)


@pytest.mark.parametrize(("places", "capacity"), [(3, 0), (3, 2), (FEW + 4, 2), BARE])
def test_a_round_is_that_of_the_naive_twin(places, capacity):
    protocol = Pinboard(places=places, capacity=capacity, hosts=2)
    round_ = jax.jit(lambda wish, here: meeting(protocol, wish, here=here))
    coin = int(jax.random.bits(jax.random.fold_in(COIN, 0), dtype=jnp.uint32))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        wish, here = wishes(rng, 7, places), rng.random(7) < 0.8
        heaps, reads, kept, wished = twin(protocol, wish, coin % 7 * 2, here)
        talked = round_(wish, here)
        pins, (notice, heard, reply, kept_ours, _) = talked.lasting.places, talked.decision
        for j, heap in heaps.items():
            if j < 2 and not here[j]:
                assert int(pins.served[j]) == 0, "a place whose host is away is frozen"
                continue
            ours = jax.tree.map(lambda leaf, j=j: leaf[j], pins.heap)
            assert (int(ours.count), float(ours.total), float(ours.best)) == (
                heap["count"],
                heap["total"],
                heap["best"],
            )
            assert (int(ours.who), int(ours.said)) == (heap["who"], heap["said"])
            if capacity:
                assert (ours.first.body.tolist(), ours.first.who.tolist()) == (heap["notes"], heap["from"])
        np.testing.assert_array_equal(heard, reads)
        np.testing.assert_array_equal(kept_ours, kept)
        np.testing.assert_array_equal(notice.place, np.where(reads, wished.watch, 0))
        if capacity:
            np.testing.assert_array_equal(reply, np.where(kept, 10 * wished.note + wished.place, 0))
        issued = sum(heap["count"] > 0 for heap in heaps.values())
        came = sum(heap["count"] for heap in heaps.values())
        spoken = np.sum(wished.live & here[:, None])
        assert float(talked.traffic.sent) == spoken + issued + kept.sum()
        assert float(talked.traffic.heard) == came + reads.sum() + kept.sum()
        assert float(talked.traffic.reads) == reads.sum()
        notice_bytes = sum(leaf[0, 0].size * leaf.dtype.itemsize for leaf in jax.tree.leaves(notice))
        assert float(talked.traffic.bytes) == came * 16 + reads.sum() * notice_bytes + 4 * kept.sum()
        assert int(talked.traffic.rounds) == int(spoken > 0)


@given(st.integers(0, 2**31), st.permutations(range(6)))
@settings(max_examples=40, deadline=None)
def test_renaming_the_agents_renames_what_they_hear(seed, order):
    order = np.array(order)
    rng = np.random.default_rng(seed)
    wish = wishes(rng, 6, 3)._replace(bid=jnp.asarray(rng.permutation(12).reshape(6, 2), jnp.float32))  # no ties
    one, other = PLAIN(wish), PLAIN(Wish(*(leaf[order] for leaf in wish)))
    for mine, theirs in zip(jax.tree.leaves(one.lasting.places), jax.tree.leaves(other.lasting.places), strict=True):
        whos = mine is one.lasting.places.heap.who
        names = np.append(np.argsort(order), -1) if whos else None
        np.testing.assert_array_equal(names[mine] if whos else mine, theirs)
    np.testing.assert_array_equal(np.asarray(one.decision[1])[order], other.decision[1])


PLAIN = jax.jit(lambda wish: meeting(Pinboard(capacity=0), wish))


COLLECTED = jax.jit(lambda posts, live, places, coin: gathered(posts, live, places, 2, coin), static_argnums=2)


def test_more_than_fit_come_back_and_nobody_waits_for_ever():
    """One place with room for two and five who post: each gets its turn as the offset moves on."""
    place, live = jnp.zeros((5, 1), jnp.int32), jnp.ones((5, 1), bool)
    for places in (1, FEW + 1):
        kept = np.zeros(5, int)
        for coin in range(40):
            posts = Posts(place, live, body=jnp.arange(5)[:, None])
            (_, _, _, _, _, first), rank = COLLECTED(posts, live, places, jnp.uint32(coin))
            assert sorted(first.who[0].tolist()) == sorted(np.flatnonzero(np.asarray(rank)[:, 0] < 2).tolist())
            kept += np.asarray(rank)[:, 0] < 2
        np.testing.assert_array_equal(kept, 16)


def test_a_bid_that_is_no_number_does_not_count():
    posts = Posts(jnp.zeros((2, 1), jnp.int32), jnp.ones((2, 1), bool), bid=jnp.array([[jnp.nan], [1.0]]))
    (count, _, best, who, _, _), _ = gathered(posts, posts.live, 1, 0, jnp.uint32(0))
    assert (count.tolist(), best.tolist(), who.tolist()) == ([1], [1.0], [1])


class Ballots(BoardProtocol):
    """A majority by one place: everybody posts its vote, the place adds them up."""

    places: int = static(1)
    capacity: int = static(0)
    rounds: int = static(2)
    least: jax.Array = swept(jnp.int32, 3)

    def propose(self, key, state, proposal):
        return proposal

    def post(self, ballot):
        return Posts(jnp.zeros(1, jnp.int32), jnp.ones(1, bool), amount=ballot[None])

    def watch(self, ballot):
        return jnp.zeros(1, jnp.int32)

    def hear(self, key, ballot, news):
        return jnp.where(news.heard[0], news.notice[0] >= self.least, ballot)

    def open(self, key, place):
        return jnp.int32(0)

    def serve(self, key, place_state, heap):
        return heap.total

    def notice(self, place_state):
        return place_state

    def decide(self, ballot):
        return ballot, ()


class Sums(TallyProtocol):
    """The same by sums of mail."""

    rounds: int = static(2)
    least: jax.Array = swept(jnp.int32, 3)

    def propose(self, key, state, proposal):
        return proposal

    def send(self, ballot):
        return ballot

    def hear(self, key, ballot, total, coin):
        return total >= self.least

    def decide(self, ballot):
        return ballot, ()


def test_one_place_with_sums_is_a_tally():
    for pattern in range(32):
        votes = jnp.asarray([bool(pattern >> i & 1) for i in range(5)])
        key = jax.random.key(0)
        by_place = BY_PLACE(key, votes).decision
        by_sum = BY_SUM(key, votes).decision
        np.testing.assert_array_equal(by_place, by_sum)


BY_PLACE = jax.jit(lambda key, votes: meeting(Ballots(), votes, key=key))
BY_SUM = jax.jit(lambda key, votes: comms.converse(key, COIN, Sums(), (), votes, None, NoFault(), (), None, 5))


def test_places_keep_their_state_from_tick_to_tick_and_know_the_tick():
    protocol = Pinboard()
    wish = wishes(np.random.default_rng(1), 4, 3)
    first = meeting(protocol, wish, lasting=comms.boot(KEY, protocol, 4), t=jnp.int32(7))
    second = meeting(protocol, wish, lasting=first.lasting, t=jnp.int32(8))
    assert second.lasting.places.served.tolist() == [2, 2, 2]
    assert second.lasting.places.heap.t.tolist() == [8, 8, 8]


def test_nobody_listens_to_whom_nobody_trusts():
    wish = wishes(np.random.default_rng(2), 4, 3)
    doubted = meeting(Pinboard(capacity=0), wish, trusted=jnp.array([True, False, True, True]))
    without = wish._replace(live=wish.live.at[1].set(False))
    pins = meeting(Pinboard(capacity=0), without).lasting.places
    jax.tree.map(np.testing.assert_array_equal, doubted.lasting.places, pins)


class Deaf(Fault):
    """Nothing that is posted arrives."""

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=jnp.zeros_like(posts.live))


class Mute(Fault):
    """Nothing that places say arrives."""

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, jnp.zeros_like(heard)


def test_faults_stand_between_nodes_and_places():
    wish = wishes(np.random.default_rng(3), 4, 3)
    deaf, mute = meeting(Pinboard(), wish, fault=Deaf()), meeting(Pinboard(), wish, fault=Mute())
    assert deaf.lasting.places.heap.count.tolist() == [0, 0, 0]
    assert float(deaf.traffic.sent) == float(jnp.sum(wish.live)), "what is lost was sent"
    notice, heard, reply, kept, _ = mute.decision
    assert not np.any(heard) and not np.any(kept)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((notice, reply)))
    assert int(jnp.sum(mute.lasting.places.heap.count)) > 0


class Loud(Fault):
    """The first agent fills all its slips."""

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=posts.live.at[0].set(True))


def test_slips_of_liars_are_on_the_bill_and_the_absent_stay_silent():
    wish = wishes(np.random.default_rng(3), 4, 3)._replace(live=jnp.zeros((4, 2), bool))
    wish = wish._replace(place=jnp.zeros((4, 2), jnp.int32))
    assert float(meeting(Pinboard(capacity=0), wish, fault=Loud()).traffic.sent) == 2 + 1  # slips, and a notice
    away = meeting(Pinboard(capacity=0), wish, fault=Loud(), here=jnp.arange(4) > 0)
    assert float(away.traffic.sent) == 0 and int(away.lasting.places.heap.count.sum()) == 0


def test_who_comes_back_has_forgotten_and_places_have_not():
    protocol = Pinboard()
    lasting = comms.Meeting(jnp.arange(4) + 10, comms.boot(COIN, protocol, 4).places._replace(served=jnp.arange(3)))

    class Counted(Pinboard):
        def boot(self, key, me):
            return me

    back = comms.rebooted(COIN, Counted(), lasting, jnp.array([True, False, False, True]))
    assert back.nodes.tolist() == [0, 11, 12, 3]
    assert back.places.served.tolist() == [0, 1, 2]


def test_a_board_without_places_is_refused():
    with pytest.raises(Refusal, match="Pinboard has 0 places; a board needs at least one"):
        meeting(Pinboard(places=0), wishes(np.random.default_rng(0), 2, 1))


def test_mail_of_nodes_cannot_reach_a_board():
    with pytest.raises(Refusal, match="Pinboard posts to places; it has no inbox"):
        Pinboard().receive(COIN, (), None)
