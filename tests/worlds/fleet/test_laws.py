"""What holds in every fleet, whatever the agents do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.worlds import fleet
from quorate.worlds.fleet.state import ACTIVE, BLOCKED, DONE, EXPIRED, OPEN
from tests.worlds.fleet.instances import AGENTS, PLACES, on_graph, on_plane, play, random_actions, rows, status

SEEDS = st.integers(0, 2**20)
MAKERS = st.sampled_from([on_plane, on_graph])


def arrivals(seed):
    draw = np.random.default_rng([seed, 5])
    return fleet.Arrivals(
        phase=draw.integers(0, 6, PLACES), period=6, slack=(1, 5), team=(1, 2), needs=(0, 1, 2), largest=2
    )


def drawn(make, seed, rolls):
    return make(seed, powered=True, source=arrivals(seed) if rolls else rows(seed))


@settings(max_examples=25)
@given(MAKERS, SEEDS, st.booleans())
def test_no_task_is_lost_or_served_twice(make, seed, rolls):
    """At every tick offered = done + active + open or blocked + expired, in tasks and in value."""
    world = drawn(make, seed, rolls)
    started, offered, value = set(), {}, 0.0
    ticks = play(world, random_actions(seed, 20))
    for (state, _, tasks, score, after), following in zip(ticks, ticks[1:], strict=False):
        for j in np.flatnonzero(tasks.real & (tasks.release == state.t)):
            offered[int(j), int(tasks.number[j])] = tasks.value[j]
        for j in np.flatnonzero(after.last != state.last):
            task = (int(j), int(after.last[j]))
            assert task in offered and task not in started
            started.add(task)
        value += score
        now = np.asarray(status(world, jax.tree.map(jnp.asarray, after)))
        new = following[2].release == after.t
        waiting = int(np.sum(((now == OPEN) | (now == BLOCKED)) & ~new))
        sums = after.tallies
        assert (int(sums.offered), int(sums.started)) == (len(offered), len(started))
        assert sums.offered == sums.started + sums.expired + waiting
        active = int(np.sum(after.finish > after.t))
        seen = [int(np.sum(now == code)) for code in (DONE, ACTIVE, EXPIRED)]
        counted = [int(sums.started) - active, active, int(sums.expired)]
        assert np.all(np.array(seen) <= counted) if rolls else seen == counted, "what rolls on is no longer shown"
        np.testing.assert_allclose(sums.value_offered, sum(offered.values()), rtol=1e-5)
        np.testing.assert_allclose(sums.value_served, sum(offered[task] for task in started), rtol=1e-5)
        np.testing.assert_allclose(sums.served.sum(), sums.value_served, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(value, sums.value_served + world.late * sums.late, rtol=1e-4, atol=1e-5)
        busy = (after.until > after.t).sum()
        assert sums.starts.sum() >= len(started) and busy <= AGENTS


@settings(max_examples=25)
@given(MAKERS, SEEDS)
def test_energy_stays_between_0_and_1_and_nobody_outruns_it(make, seed):
    world = drawn(make, seed, True)
    before = np.ones(AGENTS)
    for state, seen, _, _, after in play(world, random_actions(seed, 25)):
        assert (after.energy >= 0).all() and (after.energy <= 1).all()
        charged = after.energy > before
        assert (~seen.free[charged]).all(), "only who is on the way to a depot charges"
        assert (before - after.energy <= np.asarray(world.drain * world.speed) + 1e-6).all()
        assert not (state.energy[seen.free] < np.asarray(world.reserve)[seen.free]).any()
        before = after.energy


def among(leaf, order):
    """Agents in another order: their axis is the last one, if there is one."""
    agents = getattr(leaf, "ndim", 0) and leaf.shape[-1] == AGENTS
    return leaf[..., order] if agents else leaf


@settings(max_examples=25)
@given(MAKERS, SEEDS)
def test_agents_in_another_order_do_the_same(make, seed):
    """Everything moves along with the agents; the order matters only among equals in waiting, and here nobody serves
    with others: at each place one agent at most has the skills."""
    order = np.random.default_rng([seed, 6]).permutation(AGENTS)
    actions = random_actions(seed, 16)
    own = np.arange(AGENTS) % PLACES
    actions = np.where(actions >= 0, own[None], -1).astype(np.int32)
    world = drawn(make, seed, True)
    mixed = dataclasses.replace(
        world,
        **{
            name: among(getattr(world, name), order)
            for name in ("speed", "skills", "capacity", "sight", "drain", "charge", "reserve", "health")
        },
        home=jax.tree.map(lambda leaf: among(leaf, order), world.home),
    )
    one, other = play(world, actions)[-1], play(mixed, actions[:, order])[-1]
    np.testing.assert_allclose(one[3], other[3], rtol=1e-6)
    for name in ("where", "heading", "task", "waited", "serving", "until", "energy", "depot"):
        for a, b in zip(*(jax.tree.leaves(getattr(x[-1], name)) for x in (one, other)), strict=True):
            np.testing.assert_allclose(a[..., order], b, atol=1e-6)
    for name in ("place", "open", "worth", "eta", "free", "valid", "region", "demand", "left"):
        np.testing.assert_allclose(getattr(one[1], name)[order], getattr(other[1], name), atol=1e-6)
    np.testing.assert_array_equal(one[-1].last, other[-1].last)


@settings(max_examples=25)
@given(MAKERS, SEEDS, st.integers(0, AGENTS - 1))
def test_an_agent_that_idles_or_can_do_nothing_changes_nothing_for_the_others(make, seed, agent):
    actions = random_actions(seed, 16)
    world = drawn(make, seed, True)
    idle = actions.copy()
    idle[:, agent] = -1
    useless = dataclasses.replace(world, capacity=world.capacity.at[agent].set(0))
    one, other = play(world, idle)[-1], play(useless, actions)[-1]
    others = np.arange(AGENTS) != agent
    np.testing.assert_allclose(one[3], other[3])
    np.testing.assert_array_equal(one[-1].last, other[-1].last)
    np.testing.assert_array_equal(one[-1].tallies.served[others], other[-1].tallies.served[others])
    np.testing.assert_array_equal(one[-1].heading[others], other[-1].heading[others])
    np.testing.assert_array_equal(one[1].open[others], other[1].open[others])
