"""Forward selection: start with the best device, add the one that helps most, remember the best set on the way."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from quorate.solvers.solution import Solutions, Solver

MOST_WORK = 10**9  # multiplications


@dataclass(frozen=True, kw_only=True)
class GreedySelection(Solver):
    """Greedy forward ensemble selection: N times add the device that helps most; the best of the N sets is kept.

    Any number of points. Cost: O(D N) an addition, O(D N^2) in all. Evaluations: N (N + 1) / 2. `steps` is not used.

    Reference: Caruana, Niculescu-Mizil, Crew, Ksikes, Ensemble Selection from Libraries of Models (2004). There a model
    may be added again; here it may not, so that the result is a subset.

    >>> import numpy as np
    >>> errors = np.array([[1.0, -1.0, 3.0], [2.0, -1.0, 3.0]])
    >>> GreedySelection().solve(None, errors, steps=1, runs=1).chosen.tolist()
    [[True, True, False]]
    """

    about: str = "forward ensemble selection"
    random: bool = False

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        work = errors.size * errors.shape[-1]
        return f"{work:.1e} multiplications are above {MOST_WORK:.0e}" if work > MOST_WORK else None

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        devices = scaled.shape[1]
        lengths = np.sum(np.square(scaled), axis=0)
        total, free = np.zeros(len(scaled)), np.ones(devices, bool)
        order, errors = np.zeros(devices, np.int64), np.zeros(devices)
        for k in range(devices):
            # |total + a_j|^2 less |total|^2, which is the same for all. One number a device is added before it is
            # squared: its sums come much closer to zero than its parts.
            size = np.square(total[0] + scaled[0]) if len(scaled) == 1 else 2 * (total @ scaled) + lengths
            order[k] = np.argmin(np.where(free, size, np.inf))
            free[order[k]] = False
            total = total + scaled[:, order[k]]
            errors[k] = np.sqrt(np.mean(np.square(total))) / (k + 1)
        chosen = np.zeros((1, devices), bool)
        chosen[0, order[: np.argmin(errors) + 1]] = True
        return Solutions(chosen, np.zeros(1), devices * (devices + 1) // 2)
