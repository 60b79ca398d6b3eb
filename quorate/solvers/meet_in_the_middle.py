"""The exact optimum for up to 40 devices: all sums of either half, matched by size of the subset."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from quorate.solvers.solution import Solutions, Solver, needs_scalars, power_of_two

LARGEST = 40


@dataclass(frozen=True, kw_only=True)
class MeetInTheMiddle(Solver):
    """Exact optimum of |sum n_j a_j| / sum n_j: match all sums of two halves, by subset size.

    For every pair of sizes (k, m) and every sum x of k devices of one half, the best partner is one of the two sums of
    m devices of the other half next to -x.

    One number per device, N at most 40. Cost: 2^(N/2) N time and 2^(N/2) memory: N = 40 holds two tables of 2^20 sums,
    150 MB and a second. Evaluations: the sums x + y looked at. `steps` is not used.

    Sums are carried as unevaluated pairs of float64 (about 32 digits), because at N = 40 the optimum is near the
    rounding of one float64. Only sums within one half that agree in their first 16 digits are not told apart.

    Reference: Horowitz, Sahni, Computing Partitions with Applications to the Knapsack Problem (1974); by subset size is
    ours.

    >>> import numpy as np
    >>> found = MeetInTheMiddle().solve(None, np.array([5.0, -3.0, -1.75, 4.0]), steps=1, runs=1)
    >>> found.chosen.tolist(), round(float(found.error[0]), 6)
    ([[True, True, True, False]], 0.083333)
    """

    about: str = "exact optimum, all sums of two halves matched"
    kind: str = "exact"
    random: bool = False

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        if reason := needs_scalars(errors):
            return reason
        return f"N = {errors.shape[-1]} is above {LARGEST}" if errors.shape[-1] > LARGEST else None

    def unit(self, errors: np.ndarray) -> float:
        return power_of_two(errors)

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        errors = scaled[0]
        devices = len(errors)
        middle = devices // 2
        left, right = _by_size(errors[:middle]), _by_size(errors[middle:])
        best, members, evaluations = np.inf, (0, 0), 0
        for k, few in enumerate(left):
            for other, many in enumerate(right):
                if k + other == 0:
                    continue
                swapped = len(few[0]) > len(many[0])
                least, pair = _closest(*((many, few) if swapped else (few, many)))
                evaluations += 2 * min(len(few[0]), len(many[0]))
                if least / (k + other) < best:
                    best, members = least / (k + other), pair[::-1] if swapped else pair
        mask = members[0] | members[1] << middle
        chosen = np.array([[mask >> i & 1 for i in range(devices)]], bool)
        return Solutions(chosen, np.zeros(1), evaluations)


Table = tuple[np.ndarray, np.ndarray, np.ndarray]  # sums in ascending order, their remainders, their masks


def _by_size(errors: Float64[np.ndarray, " N"]) -> list[Table]:
    """For each size the sums of all subsets of that size; bit i of a mask stands for device i."""
    high, low, size = np.zeros(1), np.zeros(1), np.zeros(1, np.int8)
    for error in errors:
        total = high + error
        part = total - high
        dropped = (high - (total - part)) + (error - part)  # Knuth's two-sum: total + dropped is exact
        high, low = np.concatenate([high, total]), np.concatenate([low, low + dropped])
        size = np.concatenate([size, size + 1])
    tables = []
    for k in range(len(errors) + 1):
        masks = np.flatnonzero(size == k)
        masks = masks[np.argsort(high[masks])]
        tables.append((high[masks], low[masks], masks))
    return tables


def _closest(few: Table, many: Table) -> tuple[float, tuple[int, int]]:
    """The smallest |x + y| over x in `few` and y in `many`, and the masks of that pair."""
    after = np.searchsorted(many[0], -few[0])
    least, pair = np.inf, (0, 0)
    for place in (np.maximum(after - 1, 0), np.minimum(after, len(many[0]) - 1)):
        size = np.abs((few[0] + many[0][place]) + (few[1] + many[1][place]))
        x = int(np.argmin(size))
        if size[x] < least:
            least, pair = float(size[x]), (int(few[2][x]), int(many[2][place[x]]))
    return least, pair
