"""Coarse marks: a written-out twin of one tick, one region that is no region, and what a border costs fleets."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, step
from quorate.core import NoFault, Scenario
from quorate.errors import Refusal
from quorate.learners.deferring import Deferring
from quorate.protocols.claim import Claim
from quorate.protocols.stigmergy import Stigmergy
from quorate.protocols.strategies.coarse_marks import CoarseMarks, Spot
from quorate.protocols.strategies.sparse_marks import SparseMarks
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks

AGENTS, PLACES, OPTIONS, REGIONS = 8, 12, 6, 3
CUT = np.arange(PLACES) % REGIONS
STIGMERGY = Stigmergy(places=PLACES, theta=0.1)


@eqx.filter_jit
def talk(protocol, view, spots, key):
    n = view.place.shape[0]
    lasting = comms.boot(key, protocol, n)._replace(places=spots)
    return comms.converse(key, key, protocol, lasting, view, None, NoFault(), (), None, n)


def coarse(kind=CoarseMarks, cut=CUT, regions=REGIONS):
    return kind(protocol=STIGMERGY, region_of=cut, anchor=np.arange(regions))


def case(seed, regions=REGIONS):
    """Agents that choose, or are on their way in or out of their regions; marks and tasks of old."""
    rng = np.random.default_rng(seed)
    view = outlooks.random(seed, AGENTS, PLACES, OPTIONS)
    heading = np.where(rng.random(AGENTS) < 0.4, rng.integers(0, PLACES, AGENTS), -1)
    view = view._replace(
        team=jnp.asarray(rng.integers(1, 3, (AGENTS, OPTIONS)), jnp.int32),
        heading=jnp.asarray(heading, jnp.int32),
        valid=jnp.asarray(heading >= 0),
        region=jnp.asarray(rng.integers(0, regions, AGENTS), jnp.int32),
        demand=jnp.asarray(rng.integers(0, 6, AGENTS), jnp.float32),
    )
    board = PLACES + regions
    mark = rng.exponential(1.0, board) * (rng.random(board) < 0.6)
    mark[PLACES:] = 4 * rng.exponential(1.0, regions)
    tasks = np.where(np.arange(board) < PLACES, 0, rng.integers(0, 6, board))
    spots = Spot(jnp.asarray(mark, jnp.float32), jnp.arange(board) >= PLACES, jnp.asarray(tasks, jnp.float32))
    return view, spots


def twin(view, spots, key):
    """The same with lists: where each goes, the marks and the tasks after, how many deposits and readings."""
    view, (mark, _, tasks) = jax.tree.map(np.asarray, view), jax.tree.map(np.array, spots)
    keep, beta, theta, steep = (float(getattr(STIGMERGY, name)) for name in ("keep", "beta", "theta", "steep"))
    luck = [np.asarray(jax.random.uniform(k, (2,)))[1] for k in comms.node_keys(jax.random.fold_in(key, 0), AGENTS)]
    goal, mark, told, deposits, reads = view.heading.tolist(), keep * mark.astype(float), {}, 0, 0
    for i in range(AGENTS):
        if goal[i] >= 0:
            region = CUT[goal[i]]
            mark[goal[i]] += 1
            mark[PLACES + region] += 1
            deposits += 2
            if region == view.region[i]:
                told[region] = max(told.get(region, 0), view.demand[i])
    for region, count in told.items():
        tasks[PLACES + region] = count
    for i in range(AGENTS):
        if goal[i] >= 0:
            continue
        known, stimuli = {}, {}
        for k in range(OPTIONS):
            j = int(view.place[i, k])
            if not view.open[i, k]:
                continue
            source = j if CUT[j] == view.region[i] else PLACES + CUT[j]
            known[source] = mark[source] / (1 if source == j else max(tasks[source], 1))
            excess = max(known[source] - (view.team[i, k] - 1) / (1 - keep), 0)
            stimuli[j] = float(view.worth[i, k]) * np.exp(-beta * excess)
        reads += len(known)
        best = max(stimuli, key=stimuli.get, default=-1)
        if best >= 0 and luck[i] < stimuli[best] ** steep / (stimuli[best] ** steep + theta**steep):
            goal[i] = best
    return goal, mark, tasks, deposits, reads


def agrees(kind, seeds=range(20)) -> bool:
    for seed in seeds:
        (view, spots), key = case(seed), jax.random.key(seed)
        talked = talk(coarse(kind), view, spots, key)
        goal, mark, tasks, deposits, reads = twin(view, spots, key)
        after, bill = talked.lasting.places, talked.traffic
        same = talked.decision.tolist() == goal and np.allclose(after.mark, mark, rtol=1e-5)
        same &= np.array_equal(np.asarray(after.tasks)[PLACES:], tasks[PLACES:])
        if not (same and float(bill.reads) == reads and float(bill.heard - bill.reads) == deposits):
            return False
    return True


def test_a_tick_is_the_one_written_out():
    assert agrees(CoarseMarks)


class Wordy(CoarseMarks):
    """Reads a region once for each option in it."""

    def watch(self, ballot):
        return self.sources(ballot)[0]


class Lumped(CoarseMarks):
    """Takes the mark of all its tasks for that of one."""

    def notice(self, place_state):
        return place_state.mark


class Everlasting(CoarseMarks):
    """What a region was told does not fade."""

    def serve(self, key, place_state, heap):
        after = super().serve(key, place_state, heap)
        lasts = place_state.mark + heap.total
        return after._replace(mark=jnp.where(place_state.region, lasts, after.mark))


class Forgetful(CoarseMarks):
    """Where nobody tells, there are no tasks."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(tasks=jnp.float32(0)), heap)


class Hearsay(CoarseMarks):
    """Who goes to a region tells of the one it comes from."""

    def post(self, ballot):
        posts = super().post(ballot)
        return posts._replace(bid=posts.bid.at[1].set(ballot.outlook.demand))


class Mixed(CoarseMarks):
    """Who lives beyond leaves no mark at the region."""

    def post(self, ballot):
        posts = super().post(ballot)
        return posts._replace(live=posts.live & (posts.bid >= jnp.array([-1.0, 0.0])))


class Walled(CoarseMarks):
    """Nothing beyond the border is chosen."""

    def hear(self, key, ballot, news):
        source, _ = self.sources(ballot)
        inside = news.heard & (source < self.protocol.places)
        return super().hear(key, ballot, news._replace(heard=inside))


@pytest.mark.parametrize("bug", [Wordy, Lumped, Everlasting, Forgetful, Hearsay, Mixed, Walled])
def test_the_twin_catches(bug):
    assert not agrees(bug)


def test_one_region_is_the_protocol_itself():
    """Decisions, marks and readings bit for bit; twice the deposits."""
    whole = coarse(cut=np.zeros(PLACES, int), regions=1)
    for seed in range(5):
        (view, spots), key = case(seed, 1), jax.random.key(seed)
        alone = talk(STIGMERGY, view, spots.mark[:PLACES], key)
        talked = talk(whole, view, spots, key)
        assert np.array_equal(alone.decision, talked.decision)
        assert np.array_equal(alone.lasting.places, talked.lasting.places.mark[:PLACES])
        assert alone.traffic.reads == talked.traffic.reads
        deposits, twice = (float(one.traffic.heard - one.traffic.reads) for one in (alone, talked))
        assert twice == 2 * deposits > 0


def test_a_region_of_which_nobody_told_has_the_task_that_is_seen():
    """Then its whole mark counts; once told, a share of it."""
    protocol = coarse()
    spot = Spot(jnp.float32(3), jnp.array(True), jnp.float32(0))
    assert float(protocol.notice(spot)) == 3
    assert float(protocol.notice(spot._replace(tasks=jnp.float32(6)))) == 0.5
    assert float(protocol.notice(spot._replace(region=jnp.array(False)))) == 3


def test_promises():
    protocol = coarse()
    check_protocol(protocol, case(0)[0])
    board = jnp.arange(protocol.places)
    assert (np.asarray(jax.vmap(protocol.host)(board)) == -1).all()
    assert np.asarray(jax.vmap(protocol.where)(board)).tolist() == [*range(PLACES), *range(REGIONS)]


def test_refusals():
    with pytest.raises(Refusal, match="Claim is no Stigmergy"):
        CoarseMarks(protocol=Claim(places=2), region_of=[0, 0], anchor=[0])
    with pytest.raises(Refusal, match="SparseMarks is no Stigmergy"):
        CoarseMarks(protocol=SparseMarks(protocol=STIGMERGY), region_of=CUT, anchor=[0, 1, 2])
    with pytest.raises(Refusal, match=r"region_of has shape \(2,\); Stigmergy has 12 places"):
        coarse(cut=[0, 1])
    with pytest.raises(Refusal, match="region_of has regions 0 to 2; anchor has 2 places"):
        coarse(regions=2)


def fleet(kind):
    """Share of value served, readings and deposits an agent and tick, after 20 ticks; eight runs."""
    world = rolling(num_agents=200, density=7.0)
    protocol = Stigmergy(places=world.num_actions)
    if kind:
        cut = np.asarray(world.space.region_of_place())
        protocol = kind(protocol=protocol, region_of=cut, anchor=np.arange(world.regions))
    scenario = Scenario(world, Deferring(), commit=protocol)
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 8), scenario, 20)
    end, records = step.run(middle, scenario, 60, record=("traffic",))
    before, after = (progress.carry.world.tallies for progress in (middle, end))
    served = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
    reads, heard = (float(np.sum(getattr(records["traffic"], field))) for field in ("reads", "heard"))
    return np.asarray(served), reads, heard - reads


@pytest.mark.slow
def test_summaries_make_up_for_borders_and_cost_deposits():
    """As much served as by the protocol, with a few readings fewer and twice the deposits; walls cost."""
    (plain, all_reads, all_deposits), (served, reads, deposits), (walled, _, _) = map(
        fleet, (None, CoarseMarks, Walled)
    )
    assert abs(np.mean(served - plain)) < 0.01
    assert np.mean(walled - served) < -0.015
    assert 0.85 * all_reads < reads < all_reads
    assert 1.85 * all_deposits < deposits < 2.05 * all_deposits
