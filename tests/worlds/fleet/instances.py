"""Small fleets for the tests, and what random agents do in them."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate.utilities.difference import WonderfulLife
from quorate.worlds import fleet

AGENTS, PLACES, SKILLS = 6, 7, 2


def rows(seed, *, chained=True, teams=3, places=PLACES):
    """Random tasks, as `fleet.trace`."""
    draw = np.random.default_rng(seed)
    release = draw.integers(0, 8, places)
    after = np.where(draw.random(places) < 0.3, draw.integers(0, places, places), -1)
    after = np.where(after >= np.arange(places), -1, after) if chained else np.full(places, -1)
    made = fleet.trace(
        release,
        release + draw.integers(0, 14, places),
        due=release + draw.integers(0, 9, places),
        value=draw.uniform(0.5, 1.5, places).astype(np.float32),
        need=draw.integers(0, 2**SKILLS, places),
        duration=draw.integers(1, 4, places),
        team=draw.integers(1, teams + 1, places),
        after=after,
    )
    return dataclasses.replace(made, largest=teams, chained=True, needy=True)  # one program for all seeds


def traits(seed, agents=AGENTS):
    draw = np.random.default_rng([seed, 1])
    return {
        "speed": draw.uniform(0.4, 1.5, agents),
        "skills": draw.integers(0, 2**SKILLS, agents),
        "capacity": draw.integers(0, 3, agents),
        "sight": draw.choice([0.5, 2.0, np.inf], agents),
        "late": -0.1,
    }


def on_plane(seed, *, powered=False, source=None, options=5, **change):
    """A fleet on a 3 x 3 plane."""
    draw = np.random.default_rng([seed, 2])
    source = rows(seed) if source is None else source
    energy = {"drain": 0.1537, "charge": 0.2971, "reserve": 0.3019} if powered else {}
    depot = draw.uniform(0, 3, (2, 2)) if powered else ((), ())
    place = draw.uniform(0, 3, (2, source.places))
    space = fleet.plane((3, 3), place, num_agents=AGENTS, options=options, region_size=2, depot=depot)
    home = jnp.asarray(draw.uniform(0, 3, (2, AGENTS)), jnp.float32)
    return fleet.assemble(space=space, source=source, home=home, options=options, **(traits(seed) | energy | change))


EDGES, LENGTHS = [[0, 1], [1, 2], [2, 3], [3, 0], [1, 4]], [1.0, 1.5, 0.7, 2.0, 0.4]
COORDINATES = np.array([[0, 1, 1, 0, 2], [0, 0, 1, 1, 0]], float)


def on_graph(seed, *, source=None, options=5, powered=False, **change):
    """A fleet on a square with a tail."""
    draw = np.random.default_rng([seed, 3])
    source = rows(seed) if source is None else source
    place = draw.integers(0, 5, source.places)
    space = fleet.graph(EDGES, LENGTHS, place, COORDINATES, depot=[4] if powered else [], regions=2)
    energy = {"drain": 0.1537, "charge": 0.2971, "reserve": 0.3019} if powered else {}
    home = fleet.at_nodes(draw.integers(0, 5, AGENTS))
    return fleet.assemble(space=space, source=source, home=home, options=options, **(traits(seed) | energy | change))


def random_actions(seed, ticks, agents=AGENTS, places=PLACES):
    """[ticks, agents]: a goal is kept for a few ticks, so that agents arrive and wait."""
    draw = np.random.default_rng([seed, 4])
    new = draw.integers(-1, places, (ticks, agents))
    keeps = draw.random((ticks, agents)) < 0.75
    for t in range(1, ticks):
        new[t] = np.where(keeps[t], new[t - 1], new[t])
    return new.astype(np.int32)


@eqx.filter_jit
def _step(world, state, actions):
    key = jax.random.key(0)
    after = world.step(key, state, actions)
    return after, world.score(state, actions, after), world.observe(key, state), world.tasks(state)


@eqx.filter_jit
def lives(world, state, actions):
    """(wonderful lives, own accounts, the scores with each agent idle) of a tick."""
    score = world.score(state, actions, ())
    idle = jnp.where(jnp.eye(AGENTS, dtype=bool), -1, actions[None])
    without = jax.vmap(lambda one: world.score(state, one, ()))(idle)
    return WonderfulLife()(world, state, actions, (), score, None), world.own(state, actions), without


@eqx.filter_jit
def status(world, state):
    return world.status(state)


@eqx.filter_jit
def position(world, state):
    return world.position(state)


@eqx.filter_jit
def _reset(world, key):
    return world.reset(key)


def play(world, actions, seed=0):
    """Every tick: (state before, what is seen, the tasks, the score, state after), as numpy."""
    state, ticks = _reset(world, jax.random.key(seed)), []
    for one in actions:
        after, score, seen, tasks = _step(world, state, jnp.asarray(one))
        ticks.append(jax.tree.map(np.asarray, (state, seen, tasks, score, after)))
        state = after
    return ticks
