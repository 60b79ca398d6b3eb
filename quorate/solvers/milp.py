"""Integer programming: the subset of least largest error over the calibration points, within a budget of work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, PRNGKeyArray

from quorate.errors import Refusal
from quorate.solvers.greedy_selection import GreedySelection
from quorate.solvers.solution import Solutions, Solver


@dataclass(frozen=True, kw_only=True)
class Milp(Solver):
    """Mixed-integer programming (HiGHS): minimise max_d |S_d| / K, S = A n, K = sum n, A = errors [D, N].

    The ratio is solved as a sequence of linear problems: minimise max_d |S_d| - r K over 0/1 n with K >= 1, r the ratio
    reached so far, until r stops falling or `nodes` branch-and-bound nodes are spent. The first r is that of
    `GreedySelection`, which is also the answer when nothing better turns up. The budget counts work and not seconds, so
    that the result does not depend on how fast or busy the machine is.

    With one number a device this is the error itself; HiGHS's tolerance of 1e-6 on |S| then stops it near 1e-8 of the
    root mean square, whatever N is. With vectors the largest error over the points stands for their root mean square.

    Cost: seconds at D N up to 10^5, from about N = 30 on. Evaluations: those of the start, N (N + 1) / 2, plus the
    nodes. `steps` is not used.

    Errors: `Refusal` for fewer than 1 node.

    Reference: Dinkelbach, On Nonlinear Fractional Programming (1967); Huangfu, Hall, Parallelizing the Dual Revised
    Simplex Method (2018) for HiGHS.

    >>> import numpy as np
    >>> Milp().solve(None, np.array([5.0, -3.0, -1.75, 4.0]), steps=1, runs=1).chosen.tolist()
    [[True, True, True, False]]
    """

    about: str = "integer programming, a budget of nodes"
    random: bool = False
    nodes: int = 500

    def __post_init__(self):
        if self.nodes < 1:
            raise Refusal(f"nodes is {self.nodes}; it counts branch-and-bound nodes and must be at least 1")

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        return GreedySelection().refuses(errors, steps)

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        start = GreedySelection().search(key, scaled, steps, runs)
        best, left = start.chosen[0], self.nodes
        ratio = _ratio(scaled, best)
        while ratio > 0 and left > 0:
            chosen, spent = _linear(scaled, ratio, left)
            left -= max(1, spent)
            if chosen is None or not _ratio(scaled, chosen) < ratio * (1 - 1e-9):
                break
            best, ratio = chosen, _ratio(scaled, chosen)
        evaluations = start.evaluations + self.nodes - max(0, left)
        return Solutions(best[None, :], np.zeros(1), evaluations)


def _ratio(errors: Float64[np.ndarray, "D N"], chosen: Bool[np.ndarray, " N"]) -> float:
    """The largest error over the points; infinite for nobody."""
    return np.max(np.abs(errors @ chosen)) / chosen.sum() if chosen.any() else np.inf


def _linear(errors: Float64[np.ndarray, "D N"], ratio: float, nodes: int) -> tuple[np.ndarray | None, int]:
    """The subset of least max |S_d| - `ratio` K, or None when none was found; and the nodes visited."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    points, devices = errors.shape
    column = np.ones((points, 1))
    rows = np.block([[errors, -column], [-errors, -column], [np.ones((1, devices)), np.zeros((1, 1))]])
    with quiet_library():
        result = milp(
            np.append(np.full(devices, -ratio), 1.0),
            integrality=np.append(np.ones(devices), 0),
            bounds=Bounds(np.zeros(devices + 1), np.append(np.ones(devices), np.inf)),
            constraints=LinearConstraint(
                rows, np.append(np.full(2 * points, -np.inf), 1), np.append(np.zeros(2 * points), devices)
            ),
            options={"node_limit": nodes},
        )
    chosen = None if result.x is None else result.x[:devices] > 0.5
    return chosen, int(result.mip_node_count or 0)


@contextmanager
def quiet_library() -> Iterator[None]:
    """HiGHS writes stray lines to the process's standard output, whatever it is told; they are dropped meanwhile."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
