"""Everything that a clairvoyant planner would know of a run: all tasks of its episode, and how far apart they are."""

import jax
import jax.numpy as jnp
import numpy as np

from quorate.recipes.compare.instance import Instance, TraceSpec
from quorate.solvers.clairvoyant import Horizon, bound
from quorate.worlds.fleet import Fleet, Tasks

BLOCK = 2_000_000  # places times ticks that are looked at together


def episode(world: Fleet, seed: np.ndarray, ticks: int) -> dict[str, np.ndarray]:
    """All tasks released in ticks 0 to `ticks` - 1 of the episode whose arrivals come from `seed`, with their `place`.
    O(M ticks)."""
    tasks = jax.jit(jax.vmap(world.source.tasks, (None, 0)))
    block = max(1, BLOCK // world.num_actions)
    parts = []
    for first in range(0, ticks, block):
        ticked = np.arange(first, min(first + block, ticks))
        found: Tasks = jax.tree.map(np.asarray, tasks(jnp.asarray(seed), jnp.asarray(ticked, jnp.int32)))
        when, place = np.nonzero(found.real & (found.release == ticked[:, None]))
        columns = {name: value[when, place] for name, value in found._asdict().items() if name != "real"}
        parts.append(columns | {"place": place})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def horizon(world: Fleet, instance: Instance, seed: np.ndarray, ticks: int) -> Horizon:
    """A run as `solvers.clairvoyant` reads it. Ways between tasks are left out (an approach of 0 is always allowed): a
    task may follow another at its own place. So is the price of lateness: what is bounded is the value served."""
    tasks = episode(world, seed, ticks)
    crew = instance.crew
    kinds, index = np.unique(np.stack([crew.skills, crew.capacity, crew.since]), axis=1, return_inverse=True)
    skills, capacity, since = kinds
    return Horizon(
        release=tasks["release"],
        deadline=np.minimum(tasks["deadline"], ticks - 1),
        due=tasks["due"].astype(np.float64),
        value=tasks["value"].astype(np.float64),
        need=tasks["need"],
        duration=tasks["duration"].astype(np.float64),
        team=tasks["team"],
        approach=np.zeros(len(tasks["release"])),
        skills=skills,
        capacity=capacity,
        count=np.bincount(index.reshape(-1), minlength=len(skills)),
        start=since,
        stop=np.full(len(skills), ticks),
        ticks=ticks,
    )


def bounds(world: Fleet, instance: Instance, seeds: np.ndarray) -> np.ndarray:
    """Upper bounds on the share of value served, one for each episode [S]; a list of tasks is the same in each."""
    ticks = instance.ticks
    if isinstance(instance.tasks, TraceSpec):
        return np.full(len(seeds), bound(horizon(world, instance, seeds[0], ticks)).share)
    return np.array([bound(horizon(world, instance, seed, ticks)).share for seed in seeds])
