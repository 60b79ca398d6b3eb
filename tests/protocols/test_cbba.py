"""CBBA: equal to a twin of dictionaries, with and without loss, and to the global greedy assignment in the end."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from quorate import comms, step
from quorate.core import Fault, NoFault, Scenario
from quorate.errors import Refusal
from quorate.learners.deferring import Deferring
from quorate.protocols.cbba import CBBA, MOST, Cbba
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks
from tests.proof import later
from tests.protocols import desks

AGENTS, PLACES, OPTIONS, ROUNDS = 8, 9, 6, 4


class Dropped(Fault):
    """Loses what is written down: heard[R, N, K], but never one's own."""

    heard: jax.Array = eqx.field(converter=jnp.asarray)

    def on_deliver(self, key, state, mail):
        return state, mail.payload, mail.heard & self.heard[mail.round]


@eqx.filter_jit
def ticks(protocol, lasting, views, links, fault):
    """Decisions [T, N] and bills [T] of one tick after the other."""

    def one(lasting, view):
        key = jax.random.key(0)
        n = view.place.shape[0]
        talked = comms.converse(key, key, protocol, lasting, view, links, fault, (), None, n, view.t[0])
        return talked.lasting, (talked.decision, talked.traffic)

    return jax.lax.scan(one, lasting, views)[1]


def talk(protocol, view, links, fault=None):
    """One tick from the start: decisions [N], bill. The start is an argument, or the compiler works it out in full."""
    n = view.place.shape[0]
    lasting = comms.boot(jax.random.key(0), protocol, n)
    views = jax.tree.map(lambda leaf: leaf[None], view)
    return jax.tree.map(lambda leaf: leaf[0], ticks(protocol, lasting, views, links, fault or NoFault()))


RING = comms.ring(AGENTS)


def twin(view, links, heard):
    """The same with dictionaries: what each decides, given who hears whom in each round."""
    view, index = jax.tree.map(np.asarray, view), np.asarray(links.index)
    worth = [
        {int(j): float(w) for j, w, is_open in zip(*row, strict=True) if is_open}
        for row in zip(view.place, view.worth, view.open, strict=True)
    ]
    knows, mine = [{} for _ in range(AGENTS)], [-1] * AGENTS

    def above(one, other):
        return other is None or one[0] > other[0] or (one[0] == other[0] and one[1] < other[1])

    def ask(i):
        if mine[i] < 0:
            wishes = {j: w for j, w in worth[i].items() if above((w, i), knows[i].get(j))}
            if wishes:
                mine[i] = max(wishes, key=wishes.get)
                knows[i][mine[i]] = (wishes[mine[i]], i)

    for i in range(AGENTS):
        ask(i)
    for mask in heard:
        said = [dict(bids) for bids in knows]
        for i in range(AGENTS):
            for slot, other in enumerate(index[i]):
                if mask[i][slot] or other == i:
                    for j, bid in said[other].items():
                        if j in view.place[i] and above(bid, knows[i].get(j)):
                            knows[i][j] = bid
            if mine[i] >= 0 and knows[i][mine[i]][1] != i:
                mine[i] = -1
            ask(i)
    return mine


def differs(protocol, seeds=range(100)) -> bool:
    for seed in seeds:
        view, rng = outlooks.random(seed, AGENTS, PLACES, OPTIONS), np.random.default_rng(seed)
        heard = rng.random((ROUNDS, *RING.index.shape)) < (1.0 if seed % 2 else 0.6)
        if talk(protocol, view, RING, Dropped(heard))[0].tolist() != twin(view, RING, heard):
            return True
    return False


def test_it_is_its_twin_with_and_without_loss():
    assert not differs(Cbba(options=OPTIONS, rounds=ROUNDS))


class Stubborn(Cbba):
    """Never gives up what it has bid for."""

    def receive(self, key, ballot, inbox):
        after = super().receive(key, ballot, inbox)
        return after._replace(mine=jnp.where(ballot.mine >= 0, ballot.mine, after.mine))


class Timid(Cbba):
    """Bids once."""

    def ask(self, ballot):
        return ballot

    def propose(self, key, state, proposal):
        return Cbba.ask(self, super().propose(key, state, proposal))


class Private(Cbba):
    """Tells its own bid only."""

    def send(self, ballot):
        own = jnp.arange(ballot.bids.place.shape[0]) == ballot.mine
        return ballot.bids._replace(winner=jnp.where(own, ballot.bids.winner, -1))


class Rash(Cbba):
    """Bids for its best option, whoever bids more."""

    def ask(self, ballot):
        after = super().ask(ballot._replace(bids=ballot.bids._replace(winner=jnp.full_like(ballot.bids.winner, -1))))
        took = (ballot.mine < 0) & (after.mine >= 0) & (jnp.arange(after.bids.place.shape[0]) == after.mine)
        bids = jax.tree.map(lambda new, old: jnp.where(took, new, old), after.bids, ballot.bids)
        return after._replace(bids=bids)


@pytest.mark.parametrize("bug", [Private, *later(Stubborn, Timid, Rash)])
def test_the_twin_catches(bug):
    assert differs(bug(options=OPTIONS, rounds=ROUNDS))


@pytest.mark.slow
def test_promises():
    """Of the registered one tests/contracts asks the same."""
    check_protocol(Cbba(options=3, rounds=2), outlooks.random(0, 4, 6, 3))


def test_what_a_site_gives():
    made = CBBA.make(outlooks.site(AGENTS, PLACES, lease=7))
    assert (made.options, made.rounds, int(made.lease)) == (4, 4, 7)


def snapshot(seed: int, agents: int):
    """The snapshot, and links both ways to the 6 nearest; the positions are those `desks.geography` draws first."""
    view, draw = desks.geography(seed, agents), np.random.default_rng([seed, agents])
    at = draw.uniform(0, agents**0.5, (agents, 1, 2))[:, 0]
    near = cKDTree(at).query(at, k=7)[1][:, 1:]
    return view, comms.from_edges(agents, [(i, int(j)) for i in range(agents) for j in near[i]])


@pytest.mark.parametrize("seed", range(4))
def test_on_six_neighbours_it_is_the_greedy_assignment(seed):
    """No conflict, after about as many rounds as the links are wide; messages are links times rounds."""
    view, links = snapshot(seed, 20)
    links = comms.Neighbours(*(np.pad(leaf, ((0, 0), (0, 16 - leaf.shape[1]))) for leaf in map(np.asarray, links)))
    decision, bill = talk(Cbba(options=20, rounds=16), view, links)
    assert decision.tolist() == desks.greedy(view.worth)
    others = int(np.sum(links.real & (links.index != np.arange(20)[:, None])))
    assert float(bill.sent) == float(bill.heard) == 16 * others


def test_an_agent_bids_on_the_best_that_it_sees():
    """With room for 5 bids it does what it does where it sees no more than its 5 best, found by sorting."""
    view, links = snapshot(3, 20)
    order = np.argsort(-np.where(view.open, view.worth, -np.inf), axis=1, kind="stable")[:, :5]
    lists = {
        name: np.take_along_axis(np.asarray(getattr(view, name)), order, axis=1)
        for name in ("place", "worth", "open", "number", "eta", "team")
    }
    few = Cbba(options=5, rounds=8)
    decision, bill = talk(few, view, links)
    least, small = talk(few, view._replace(**lists), links)
    np.testing.assert_array_equal(decision, least)
    assert float(bill.bytes) == float(small.bytes) and (decision >= 0).any()
    assert not np.array_equal(decision, talk(Cbba(options=20, rounds=8), view, links)[0])
    assert CBBA.make(outlooks.site(AGENTS, PLACES)._replace(options=128)).options == MOST


def test_too_few_rounds_end_in_conflicts():
    view, links = snapshot(0, 20)
    assert desks.shared(talk(Cbba(options=20, rounds=1), view, links)[0])


PAIR = comms.ring(2)


def life(number: int, **changes):
    """Views of two agents that want the one task, of which the first is on its way from the second tick on."""
    view = outlooks.outlook([[0], [0]], [[0.5], [0.9]])
    views = jax.tree.map(lambda leaf: jnp.stack([leaf] * number), view)
    first = jnp.array([[True, False]])
    views = views._replace(
        t=jnp.arange(number)[:, None] + jnp.zeros((1, 2), jnp.int32),
        heading=jnp.where(first, 0, -1) + jnp.zeros((number, 1), jnp.int32),
        task=jnp.where(first, 0, -1) + jnp.zeros((number, 1), jnp.int32),
        valid=first & jnp.ones((number, 1), bool),
        left=jnp.full((number, 2), 5.0),
    )
    return views._replace(**changes)


def at_work(protocol):
    """The first agent has won the task before."""
    lasting = comms.boot(jax.random.key(0), protocol, 2)
    return lasting._replace(place=jnp.array([0, -1]), number=jnp.array([0, -1]))


def test_who_is_on_its_way_is_not_outbid():
    protocol = Cbba(options=1, rounds=2)
    decision, _ = ticks(protocol, at_work(protocol), life(4), PAIR, NoFault())
    assert decision.tolist() == [[0, -1]] * 4
    fresh = comms.boot(jax.random.key(0), protocol, 2)
    assert ticks(protocol, fresh, life(1), PAIR, NoFault())[0].tolist() == [[-1, 0]]


def test_a_claim_without_a_word_is_believed_for_a_lease():
    """The first agent is heard in the first tick only, as one that crashes."""
    protocol = Cbba(options=1, rounds=2, lease=3)
    views = life(8)
    gone = jnp.arange(8)[:, None] > 0
    views = views._replace(
        heading=jnp.where(gone, -1, views.heading), free=views.free & ~(gone & jnp.array([[True, False]]))
    )
    decision, _ = ticks(protocol, at_work(protocol), views, PAIR, NoFault())
    assert decision[:, 1].tolist() == [-1] * 4 + [0] * 4


def test_of_two_on_their_way_the_nearer_goes_on():
    protocol = Cbba(options=1, rounds=2)
    views = life(2)
    both = jnp.zeros((2, 2), jnp.int32)
    views = views._replace(heading=both, task=both, valid=both == 0, left=jnp.array([[5.0, 4.0]] * 2))
    lasting = comms.boot(jax.random.key(0), protocol, 2)._replace(place=both[0], number=both[0])
    decision, _ = ticks(protocol, lasting, views, PAIR, NoFault())
    assert decision.tolist() == [[-1, 0]] * 2


def test_a_newer_task_is_another():
    """A claim on task 0 says nothing of task 1 at the same place."""
    protocol = Cbba(options=1, rounds=2)
    views = life(2)
    newer = jnp.arange(2)[:, None, None] + jnp.zeros((1, 2, 1), jnp.int32)
    views = views._replace(number=newer, valid=views.valid & (jnp.arange(2) == 0)[:, None])
    decision, _ = ticks(protocol, at_work(protocol), views, PAIR, NoFault())
    assert decision.tolist() == [[0, -1], [-1, 0]]


def test_who_serves_goes_nowhere_and_keeps_others_away():
    protocol = Cbba(options=1, rounds=2)
    serving = jnp.array([[0, -1]])
    views = life(1)._replace(serving=serving, free=serving < 0, heading=jnp.full((1, 2), -1))
    decision, _ = ticks(protocol, at_work(protocol), views, PAIR, NoFault())
    assert decision.tolist() == [[-1, -1]]


@pytest.mark.slow
def test_a_fleet_linked_by_where_it_started_serves_more_than_an_unlinked_one():
    """Who hears nobody plays as alone; links of the start are worth something, though agents drift apart."""
    world = rolling(num_agents=60, density=7.0, options=16)
    at = np.asarray(world.space.position(world.home)).T
    near = cKDTree(at).query(at, k=7)[1][:, 1:]
    links = comms.from_edges(60, [(i, int(j)) for i in range(60) for j in near[i]])
    none = comms.Neighbours(links.index, links.real & (links.index == jnp.arange(60)[:, None]))
    served, waste = [], []
    for topology in (links, none):
        scenario = Scenario(world, Deferring(), commit=Cbba(options=16), topology=topology)
        middle, _ = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 20)
        end, _ = step.run(middle, scenario, 40)
        before, after = (jax.tree.map(np.asarray, progress.carry.world.tallies) for progress in (middle, end))
        share = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
        served.append(np.mean(share))
        waste.append(np.sum(after.waste - before.waste))
    assert served[0] > served[1] + 0.01
    assert waste[0] < 0.6 * waste[1]


@pytest.mark.parametrize("wrong", [{"options": 0}, {"options": 3, "lease": -1}])
def test_refusals(wrong):
    with pytest.raises(Refusal, match="at least"):
        Cbba(**wrong)
