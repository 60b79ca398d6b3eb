"""Searches for an attack that need no gradient: cross-entropy, and mutation. They try plans, and play each against
every course of the coin."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quorate.faults import Scripted
from quorate.verify.chances import Case, breached

CROWD = 64  # plans at once for each start
ELITE, PACE, FLOOR = 8, 0.7, 0.02  # cross-entropy: plans to learn from, how much of them, what stays possible
MODES = 3  # of a row: each receiver its own number, nobody hears a false yes, everybody hears all


class Found(NamedTuple):
    """The best plan for each start, int32[S, R, N], what it gives, and how many plays it took."""

    plans: np.ndarray
    worth: np.ndarray
    episodes: int


def _worth(case: Case, plans: np.ndarray) -> np.ndarray:
    """The chance of a breach under each plan [S, P, R, N] from its start: float64[S, P]."""
    number, crowd = plans.shape[:2]
    fault = Scripted(plan=plans.reshape(-1, *plans.shape[2:]), extras=case.roster.liars)
    bad = breached(case, fault, np.repeat(case.starts, crowd, axis=0), each=True)
    return (bad @ np.array([float(share) for share in case.shares])).reshape(number, crowd)


def _rows(modes: np.ndarray, cells: np.ndarray, liars: int) -> np.ndarray:
    """Plans [..., R, N] from the modes of their rows [..., R] and the numbers of single receivers [..., R, N]."""
    return np.where(modes[..., None] == 0, cells, np.where(modes[..., None] == 1, 0, liars))


def cross_entropy(case: Case, generations: int, seed: int) -> Found:
    """Draws plans from a distribution, keeps the best and moves the distribution towards them.

    A row of a plan is told to nobody, to everybody, or to each receiver its own number of false yes, 0..t; modes and
    numbers are independent, by round and by receiver. Each start has a distribution of its own.

    Cost: 64 plans for each start and generation, O(courses R N) each. It may settle on a local optimum; the best plan
    ever seen counts. Reference: Rubinstein and Kroese, The Cross-Entropy Method (2004), Section 2.
    """
    dice = np.random.default_rng(seed)
    number, honest, rounds, liars = _sizes(case)
    mode = np.full((number, rounds, MODES), 1 / MODES)
    cell = np.full((number, rounds, honest, liars + 1), 0.5 / (liars + 1))
    cell[..., 0] += 0.25  # lies are of use where they tip somebody: at first none and all are tried most
    cell[..., liars] += 0.25
    best = Best(number, rounds, honest)
    for _ in range(generations):
        modes = _drawn(dice, mode, CROWD)
        cells = _drawn(dice, cell, CROWD)
        plans = _rows(modes, cells, liars)
        worth = _worth(case, plans)
        best.keep(plans, worth)
        order = np.argsort(-worth, axis=1, kind="stable")[:, :ELITE]
        good = np.take_along_axis(worth, order, axis=1) > 0
        top = np.take_along_axis(modes, order[..., None], axis=1)
        own = np.take_along_axis(cells, order[..., None, None], axis=1)
        mode = _moved(mode, top, np.broadcast_to(good[..., None], top.shape))
        cell = _moved(cell, own, np.broadcast_to((good[..., None] & (top == 0))[..., None], own.shape))
    return Found(best.plans, best.worth, generations * CROWD * number)


def _drawn(dice: np.random.Generator, chances: np.ndarray, crowd: int) -> np.ndarray:
    """`crowd` draws from distributions [S, ..., L]: [S, crowd, ...]."""
    edges = np.cumsum(chances, axis=-1)[:, None]
    uniform = dice.random((len(chances), crowd, *chances.shape[1:-1], 1))
    return (uniform > edges[..., :-1]).sum(axis=-1)


def _moved(chances: np.ndarray, drawn: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Distributions [S, ..., L] on their way to what was drawn, [S, P, ...], where it counts."""
    kinds = chances.shape[-1]
    times = ((drawn[..., None] == np.arange(kinds)) & counts[..., None]).sum(axis=1)
    whole = times.sum(axis=-1, keepdims=True)
    share = np.where(whole > 0, times / np.maximum(whole, 1), chances)
    return (1 - FLOOR) * ((1 - PACE) * chances + PACE * share) + FLOOR / kinds


class Best:
    """The best plan of each start so far."""

    def __init__(self, number: int, rounds: int, honest: int):
        self.plans = np.zeros((number, rounds, honest), np.int64)
        self.worth = np.full(number, -1.0)

    def keep(self, plans: np.ndarray, worth: np.ndarray) -> None:
        every, top = np.arange(len(worth)), worth.argmax(axis=1)
        better = worth[every, top] > self.worth
        self.plans[better] = plans[every, top][better]
        self.worth = np.maximum(self.worth, worth[every, top])


def mutation(case: Case, generations: int, seed: int) -> Found:
    """Starts from random plans, changes each a little, and keeps a change that is not worse.

    A change is one of: another number for one receiver in one round; a row told to nobody or to everybody; a row
    copied over another; a row drawn anew. 64 plans climb side by side for each start.

    Cost: as `cross_entropy`. The hypothesis behind it: where a vote can be broken, a small plan breaks it.
    """
    dice = np.random.default_rng(seed)
    number, honest, rounds, liars = _sizes(case)
    shape = number, CROWD
    modes, cells = dice.integers(0, MODES, (*shape, rounds)), dice.integers(0, liars + 1, (*shape, rounds, honest))
    plans = _rows(modes, cells, liars)
    worth = _worth(case, plans)
    best = Best(number, rounds, honest)
    best.keep(plans, worth)
    for _ in range(generations - 1):
        changed = _changed(dice, plans, liars)
        value = _worth(case, changed)
        best.keep(changed, value)
        better = value >= worth
        plans, worth = np.where(better[..., None, None], changed, plans), np.maximum(value, worth)
    return Found(best.plans, best.worth, generations * CROWD * number)


def _changed(dice: np.random.Generator, plans: np.ndarray, liars: int) -> np.ndarray:
    number, crowd, rounds, honest = plans.shape
    flat = plans.reshape(-1, rounds, honest).copy()
    every, size = np.arange(len(flat)), len(flat)
    how, row, other = dice.integers(0, 5, size), dice.integers(0, rounds, size), dice.integers(0, rounds, size)
    one = np.where(how < 2, dice.integers(0, liars + 1, size), 0)
    receiver = dice.integers(0, honest, size)
    new = flat[every, row].copy()
    new[every, receiver] = np.where(how < 2, one, new[every, receiver])
    new = np.where((how == 2)[:, None], (liars * dice.integers(0, 2, size))[:, None], new)
    new = np.where((how == 3)[:, None], flat[every, other], new)
    new = np.where((how == 4)[:, None], dice.integers(0, liars + 1, (size, honest)), new)
    flat[every, row] = new
    return flat.reshape(plans.shape)


def _sizes(case: Case) -> tuple[int, int, int, int]:
    """(starts, honest nodes, rounds, liars)."""
    return len(case.starts), case.roster.honest, case.words.shape[1], case.roster.liars


SEARCHES: dict[str, tuple[Callable[[Case, int, int], Found], int]] = {  # and how many generations unless told
    "cem": (cross_entropy, 60),
    "mutation": (mutation, 150),
}
