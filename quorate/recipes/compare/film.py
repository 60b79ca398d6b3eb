"""One run of a fleet as frames: where everybody is, what they do, and what becomes of the tasks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quorate import random
from quorate.core import Step
from quorate.recipes.compare.attacks import Attack
from quorate.recipes.compare.build import FAR, Trouble
from quorate.recipes.compare.description import Description
from quorate.recipes.compare.play import Ground, scene
from quorate.report.frames import Replay
from quorate.report.numbers import integer
from quorate.step import run, start
from quorate.worlds.fleet import STATUS

WORDS = (("free", "idle"), ("on its way", "a"), ("serving", "b"), ("down", "crashed"), ("attacks", "harm"))
FREE, GOING, SERVING, DOWN, ATTACKS = range(5)
OPEN, HELD = 1, 2  # in report.frames.TASKS
SHOWN = {"absent": 0, "blocked": 0, "open": OPEN, "active": 3, "done": 4, "expired": 5}
MOST = 4e7  # numbers in the frames of one film; above, fewer ticks are kept
BEFORE, AFTER = 20, 60  # ticks around the trouble that a film shows


def frame(step: Step) -> dict[str, Any]:
    """What a film keeps of ticks: the world without its sums, and who is down or attacks."""
    return {"world": step.after._replace(tallies=()), "trace": step.trace, "served": step.after.tallies.value_served}


def film(
    stage: Ground,
    name: str,
    description: Description,
    trouble: Trouble,
    note: str,
    seed: int,
    attack: Attack | None = None,
) -> Replay:
    """A run of mechanism `name` under a trouble, from 20 ticks before it to 60 after (from tick 0 where nothing
    happens); attackers do what the trouble's kind says, or `attack`. O(frames (N + M))."""
    world, ticks = (stage.far if name == FAR else stage.world), stage.instance.ticks
    one = scene(stage, name, description)(trouble, attack)
    first = 0 if trouble.at is None else max(0, trouble.at - BEFORE)
    last = min(ticks, first + BEFORE + AFTER)
    progress = start(random.key(seed), one)
    if first:
        progress, _ = run(progress, one, first, nothing)
    _, kept = run(progress, one, last - first, frame)
    kept = jax.tree.map(lambda leaf: np.asarray(leaf[:, 0]), kept)
    every = int(np.ceil((last - first) * (world.num_agents * 4 + world.num_actions) / MOST))
    kept = jax.tree.map(lambda leaf: leaf[::every], kept)
    state, size = kept["world"], len(kept["served"])
    status, heading = _agents(state, kept["trace"], size)
    whole = (trouble.at - first) // every * every + first if trouble.at is not None else first
    return Replay(
        name=name,
        note=note,
        words=WORDS,
        status=status,
        positions=np.asarray(jax.vmap(world.space.position)(state.where)),
        places=np.asarray(world.space.place_position()),
        tasks=_tasks(world, state, heading),
        heading=heading,
        captions=[f"served {amount(served)} so far" for served in kept["served"]],
        every=every,
        start=first,
        marks=() if trouble.at is None else ((whole, "trouble begins"),),
    )


def nothing(step: Step) -> dict[str, Any]:
    return {}


def amount(value: float) -> str:
    """A sum of values in four digits, a large one in full rather than as a power of ten.

    >>> amount(7.25), amount(713_612.4) == "713\u202f612"
    ('7.25', True)
    """
    return f"{value:.4g}" if value < 9999.5 else integer(round(float(value)))


def _agents(state: Any, trace: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Status codes [F, N] and headings [F, N], -1 for whoever is down."""
    heading = np.asarray(state.heading)
    busy = state.until > state.t[:, None]
    status = np.where(busy, SERVING, np.where(heading >= 0, GOING, FREE))
    attackers, *faults = trace
    status = np.where(_mask(attackers, heading), ATTACKS, status)
    for fault in faults:
        status = np.where(_mask(fault, heading), DOWN, status)
    return status.astype(np.uint8), np.where(status == DOWN, -1, heading).astype(np.int32)


def _mask(report: Any, like: np.ndarray) -> np.ndarray:
    """A fault's report where it marks agents; nothing where it reports something else."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(report)]
    found = [leaf for leaf in leaves if leaf.dtype == bool and leaf.shape == like.shape]
    return found[-1] if found else np.zeros(like.shape, bool)


def _tasks(world: Any, state: Any, heading: np.ndarray) -> np.ndarray:
    """Codes of `report.frames.TASKS`, [F, M]; a task that somebody heads for is held."""
    code = np.array([SHOWN[word] for word in STATUS], np.uint8)
    status = code[np.asarray(jax.vmap(world.status)(jax.tree.map(jnp.asarray, state)))]
    wanted = np.zeros(status.shape, bool)
    frames, agents = np.nonzero(heading >= 0)
    wanted[frames, heading[frames, agents]] = True
    return np.where((status == OPEN) & wanted, HELD, status).astype(np.uint8)
