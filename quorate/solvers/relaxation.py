"""A floor under every subset: devices may be weighted instead of chosen."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from quorate.errors import Refusal
from quorate.solvers.solution import Solutions, Solver


@dataclass(frozen=True, kw_only=True)
class Relaxation(Solver):
    """Lower bound: min over weights w >= 0 with sum w = 1 of |A w| / sqrt(D), A = errors [D, N].

    Equal weights 1/K on a subset are such a w, so no subset is below. The weights come from non-negative least squares,
    w and a scale together: min |A w|^2 + (sum w - 1)^2. What is returned is not their value but its dual: for every
    unit vector u, |A w| >= min_j u.a_j, here with u along A w. It is a bound however accurate the weights are, and
    equals the minimum for the exact ones. 2^-50 of the longest a_j per point is taken off for rounding.

    Vectors only: with one number a device the floor is 0 as soon as the signs differ. With D numbers of random signs it
    is mostly 0 once N is above 2 D. Cost: an active-set method, about min(D, N) solves with D x N numbers. It evaluates
    no joint choice. `steps` is not used.

    Errors: `Refusal` for one number a device.

    Reference: Lawson, Hanson, Solving Least Squares Problems (1974), chapter 23; the dual bound is the separating
    hyperplane of Gilbert's minimum-norm problem (1966).

    >>> import numpy as np
    >>> found = Relaxation().solve(None, np.array([[1.0, 0.0], [0.0, 1.0]]), steps=1, runs=1)
    >>> found.chosen, round(float(found.error[0]), 6)
    (None, 0.5)
    """

    about: str = "floor: devices weighted instead of chosen"
    kind: str = "bound"
    random: bool = False

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        if errors.ndim == 1 or len(errors) == 1:
            return "needs vectors: with one number per device the floor is 0 as soon as signs differ"
        return None

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        return Solutions(None, np.array([_floor(scaled)]), 0)


def _floor(errors: Float64[np.ndarray, "D N"]) -> float:
    from scipy.optimize import nnls

    points, devices = errors.shape
    rows = np.concatenate([errors, np.ones((1, devices))])
    try:
        weights, _ = nnls(rows, np.append(np.zeros(points), 1.0), maxiter=30 * devices)
    except RuntimeError as failure:
        raise Refusal(f"the floor of {devices} devices was not found: {failure}") from failure
    direction = errors @ weights
    length = np.linalg.norm(direction)
    if length == 0:
        return 0.0
    rounding = 2.0**-50 * points * np.sqrt(np.max(np.sum(np.square(errors), axis=0)))
    least = np.min(direction @ errors) / length - rounding
    return max(0.0, float(least) / np.sqrt(points))
