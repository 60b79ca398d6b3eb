"""Steepest descent over single flips: look at every device, flip the best one, until none helps."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from quorate.solvers.joint import uniform_subset
from quorate.solvers.solution import Solutions, Solver, worst_single

TOGETHER = 2**18  # counterfactuals held at once


@dataclass(frozen=True, kw_only=True)
class SteepestFlip(Solver):
    """Steepest single flip: from a uniform start, flip the device that lowers the error most, until none lowers it.

    The error after flipping device i, for all i in one pass: |S +- a_i| / (K +- 1), S and K the sum and number of the
    chosen. `steps` is not used: a run ends at a local optimum, after about 5 passes at N = 50 and 10 at N = 1000, after
    many more with vectors.

    Any number of points. Cost: O(D N) a pass. Evaluations: passes times N, mean over runs, the last pass (in vain)
    included. In float64 and not compiled: at a local optimum the sum is about 1/N, where float32 sums would decide by
    rounding.

    >>> import jax, numpy as np
    >>> errors = np.random.default_rng(0).normal(size=100)
    >>> found = SteepestFlip().solve(jax.random.key(0), errors, steps=1, runs=3)
    >>> bool((found.error < 1e-3).all()), found.evaluations < 1000
    (True, True)
    """

    about: str = "flip the best single device until none helps"

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        points, devices = scaled.shape
        starts = jax.vmap(lambda run: uniform_subset(jax.random.fold_in(key, run), devices))(np.arange(runs))
        chosen = np.array(starts)
        batch = max(1, TOGETHER // devices)
        passes = sum(_descend(scaled, chosen[first : first + batch]) for first in range(0, runs, batch))
        return Solutions(chosen, np.zeros(runs), round(passes * devices / runs))


def _descend(errors: Float64[np.ndarray, "D N"], chosen: np.ndarray) -> int:
    """Bring every row of `chosen` to a local optimum, in place; how many passes all rows took together."""
    worst, lengths = worst_single(errors), np.sum(np.square(errors), axis=0)
    active, passes = np.arange(len(chosen)), 0
    total, count = chosen @ errors.T, chosen.sum(axis=1)
    error = _objective(np.sum(np.square(total), axis=1), count, len(errors), worst)
    while len(active):
        passes += len(active)
        sign = np.where(chosen[active], -1.0, 1.0)
        if len(errors) == 1:
            size = np.square(total + sign * errors)
        else:
            size = np.sum(np.square(total), axis=1)[:, None] + 2 * sign * (total @ errors) + lengths[None, :]
        new = _objective(np.maximum(size, 0), count[:, None] + sign, len(errors), worst)
        device = np.argmin(new, axis=1)
        row = np.arange(len(active))
        step = sign[row, device]
        new_total = total + step[:, None] * errors[:, device].T
        new_error = _objective(np.sum(np.square(new_total), axis=1), count + step, len(errors), worst)
        better = new_error < error
        chosen[active[better], device[better]] ^= True
        active, total, count, error = active[better], new_total[better], (count + step)[better], new_error[better]
    return passes


def _objective(size: np.ndarray, count: np.ndarray, points: int, worst: float) -> np.ndarray:
    """The error from the squared length of the sum and the number chosen."""
    return np.where(count > 0, np.sqrt(size / points) / np.maximum(count, 1), worst)
