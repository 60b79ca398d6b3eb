"""Sparse marks: a written-out twin of the marks, the same mean over each period, and what deposits of 1 cost."""

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
from quorate.protocols.strategies.sparse_marks import SparseMarks
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks

AGENTS, PLACES, OPTIONS, TICKS = 6, 4, 3, 24


@eqx.filter_jit
def talks(protocol, views, key):
    """Ticks of agents that see what is written: decisions [T, N], marks [T, M] and the bill."""
    agents = views.place.shape[1]

    def tick(lasting, view):
        now = jax.random.fold_in(key, view.t[0])
        talked = comms.converse(now, now, protocol, lasting, view, None, NoFault(), (), None, agents, view.t[0])
        return talked.lasting, (talked.decision, talked.lasting.places, talked.traffic)

    return jax.lax.scan(tick, comms.boot(key, protocol, agents), views)[1]


def script(aims, options=None):
    """Agents on their way as `aims` [T, N] says (-1: none), who see `options` or nothing."""
    ticks, agents = aims.shape
    seen = options or outlooks.outlook([[-1] * OPTIONS] * agents, [[0.0] * OPTIONS] * agents)
    views = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (ticks, *leaf.shape)), seen)
    clock = jnp.broadcast_to(jnp.arange(ticks, dtype=jnp.int32)[:, None], aims.shape)
    return views._replace(heading=jnp.asarray(aims, jnp.int32), valid=jnp.asarray(aims >= 0), t=clock)


def wandering(seed):
    """Aims of all lengths; some follow each other, some at the same place after a break."""
    rng = np.random.default_rng(seed)
    aims = np.full((TICKS, AGENTS), -1)
    for i in range(AGENTS):
        t = 0
        while t < TICKS:
            long = rng.integers(1, 9)
            aims[t : t + long, i] = rng.integers(-1, PLACES)
            t += long
    return aims


def twin(aims, keep, every):
    """The marks with loops; the first deposit from the sums that it must equal."""
    first = sum(keep**i for ticks in range(1, every + 1) for i in range(ticks)) / sum(keep**i for i in range(every))
    marks, since, found = np.zeros(PLACES), {}, []
    for t, row in enumerate(aims):
        marks = keep * marks
        for i, aim in enumerate(row):
            begins = aim >= 0 and (t == 0 or aims[t - 1, i] != aim)
            if begins:
                since[i] = t
            if aim >= 0 and (t - since[i]) % every == 0:
                marks[aim] += first if begins else every
        found.append(marks)
    return np.array(found)


def agrees(kind, seeds=range(4)) -> bool:
    for seed in seeds:
        keep, every = [(0.7, 3), (0.5, 2), (0.9, 5), (0.0, 4)][seed % 4]
        protocol = kind(protocol=Stigmergy(places=PLACES, keep=keep, patience=99), every=every)
        _, marks, _ = talks(protocol, script(wandering(seed)), jax.random.key(seed))
        if not np.allclose(marks, twin(wandering(seed), keep, every), rtol=1e-4, atol=1e-5):
            return False
    return True


def test_the_marks_are_those_written_out():
    assert agrees(SparseMarks)


class Small(SparseMarks):
    """Its first deposit is 1."""

    def sizes(self):
        return jnp.float32(1), super().sizes()[1]


class Large(SparseMarks):
    """Its first deposit is H."""

    def sizes(self):
        return (super().sizes()[1],) * 2


class Stubborn(SparseMarks):
    """Another aim after the first is no news."""

    def due(self, ballot):
        goes = ballot.aim >= 0
        new = goes & (ballot.before.aim < 0)
        return new, new | (goes & (ballot.before.age >= self.every))


class Once(SparseMarks):
    """Only news."""

    def due(self, ballot):
        new, _ = super().due(ballot)
        return new, new


class Late(SparseMarks):
    """A tick too late."""

    def decide(self, ballot):
        decision, state = super().decide(ballot)
        return decision, state._replace(age=state.age - 1)


@pytest.mark.parametrize("bug", [Small, Large, Stubborn, Once, Late])
def test_the_twin_catches(bug):
    assert not agrees(bug)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_each_period_has_the_mean_of_marks_left_in_every_tick(keep, every):
    first, later = map(float, SparseMarks(protocol=Stigmergy(places=1, keep=keep), every=every).sizes())
    plain = sparse = 0.0
    for t in range(4 * every):
        if t % every == 0:
            sums = np.zeros(2)
        plain, sparse = keep * plain + 1, keep * sparse + (0 if t % every else later if t else first)
        sums += plain, sparse
        if t % every == every - 1:
            assert sums[1] == pytest.approx(sums[0], rel=1e-4)


def options(seed=0):
    return outlooks.random(seed, AGENTS, PLACES, OPTIONS)


def test_every_tick_is_the_protocol_itself():
    """Decisions, marks and bill, bit for bit."""
    inner = Stigmergy(places=PLACES)
    views, key = script(wandering(0), options()), jax.random.key(0)
    alone, same, fewer = (
        talks(protocol, views, key)
        for protocol in (inner, SparseMarks(protocol=inner, every=1), SparseMarks(protocol=inner, every=3))
    )
    assert (np.asarray(alone[0]) >= 0).any(axis=1).all()
    for old, new in zip(jax.tree.leaves(alone), jax.tree.leaves(same), strict=True):
        assert np.array_equal(old, new)
    assert not np.array_equal(alone[1], fewer[1])


def test_who_has_chosen_marks_from_the_next_tick_on():
    """Whoever engages has not left a deposit yet; then the first, a break of H, and a later one."""
    protocol = SparseMarks(protocol=Stigmergy(places=1, theta=0.0, keep=0.5), every=2)
    aims = np.array([[-1], [0], [0], [0], [-1], [0]])
    sizes = [float(size) for size in protocol.sizes()]
    decided, marks, _ = talks(protocol, script(aims, outlooks.outlook([[0]], [[1.0]])), jax.random.key(0))
    assert decided.tolist() == [[0]] * 6
    left = np.diff(np.asarray(marks)[:, 0], prepend=0) + 0.5 * np.append(0, np.asarray(marks)[:-1, 0])
    assert left == pytest.approx([0, sizes[0], 0, sizes[1], 0, sizes[0]], abs=1e-5)


def test_promises():
    check_protocol(SparseMarks(protocol=Stigmergy(places=PLACES), every=2), options())


def test_by_default_a_deposit_is_due_when_the_last_is_faded():
    found = [int(SparseMarks(protocol=Stigmergy(places=1, keep=keep)).every) for keep in (0, 0.5, 0.7, 0.75, 0.8, 0.9)]
    assert found == [1, 2, 4, 4, 5, 10]


def test_refusals():
    marks = Stigmergy(places=PLACES)
    with pytest.raises(Refusal, match="Claim is no Stigmergy"):
        SparseMarks(protocol=Claim(places=PLACES))
    with pytest.raises(Refusal, match="SparseMarks is no Stigmergy"):
        SparseMarks(protocol=SparseMarks(protocol=marks))
    with pytest.raises(Refusal, match="rounds is 2"):
        SparseMarks(protocol=Stigmergy(places=PLACES, rounds=2))
    with pytest.raises(Refusal, match="every is 0; it must be at least 1"):
        SparseMarks(protocol=marks, every=0)
    with pytest.raises(Refusal, match="every is 2.5; it must be a whole number"):
        SparseMarks(protocol=marks, every=2.5)


class Ones(SparseMarks):
    """As seldom, but each deposit is 1."""

    def sizes(self):
        return jnp.float32(1), jnp.float32(1)


def fleet(kind):
    """Share of value served by slow agents, and deposits an agent and tick, after 20 ticks; eight runs."""
    world = rolling(num_agents=200, density=3.5, speed=(0.08, 0.16))
    inner = Stigmergy(places=world.num_actions)
    scenario = Scenario(world, Deferring(), commit=kind(protocol=inner, every=3) if kind else inner)
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 8), scenario, 20)
    end, records = step.run(middle, scenario, 60, record=("traffic",))
    before, after = (progress.carry.world.tallies for progress in (middle, end))
    served = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
    traffic = records["traffic"]
    return np.asarray(served), float(np.sum(traffic.heard - traffic.reads)) / (8 * 60 * 200)


@pytest.mark.slow
def test_a_third_of_the_deposits_where_ways_are_long():
    """As much served as by the protocol; deposits of 1 as seldom serve less."""
    (plain, every_tick), (served, deposits), (ones, _) = fleet(None), fleet(SparseMarks), fleet(Ones)
    assert abs(np.mean(served - plain)) < 0.012
    assert 0.33 * every_tick < deposits < 0.45 * every_tick
    assert np.mean(ones - served) < -0.01
