"""Largest differencing (Karmarkar and Karp): split numbers into two halves of almost equal sum."""

import heapq
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, PRNGKeyArray

from quorate.solvers.solution import Solutions, Solver, epsilon, needs_scalars, power_of_two


@dataclass(frozen=True, kw_only=True)
class LargestDifferencing(Solver):
    """Largest differencing: replace the two largest numbers by their difference until one is left.

    The sum of the chosen is S = (sum a + sum s_i a_i) / 2 with s_i = +1 for the chosen and -1 for the others, so S is
    small when the signs split the multiset {|a_i|} and |sum a| evenly. Differencing finds such signs; their number is
    not restricted. When the split chooses nobody (as it does when all errors have one sign), the device of least |a| is
    forced in and the rest is split again. A single device that does better is taken instead.

    One number per device only. Cost: O(N log N), a heap; about N^(-0.72 ln N) of error for well-spread numbers.
    Evaluations: the choices compared at the end, 2 or 3. `steps` is not used.

    Reference: Karmarkar, Karp, The Differencing Method of Set Partitioning (1982); the reduction with |sum a| is ours.

    >>> import numpy as np
    >>> errors = np.array([8.0, -7.0, 6.5, -5.0, 4.0])
    >>> found = LargestDifferencing().solve(None, errors, steps=1, runs=1)
    >>> found.chosen.tolist(), float(found.error[0])
    ([[True, True, False, True, True]], 0.0)
    """

    about: str = "largest differencing, O(N log N)"
    random: bool = False

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        return needs_scalars(errors)

    def unit(self, errors: np.ndarray) -> float:
        return power_of_two(errors)

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        errors = scaled[0]
        least = np.argmin(np.abs(errors))
        alone = np.arange(len(errors)) == least
        candidates = [alone, _cancel(errors, 0.0)]
        if not candidates[1].any():
            rest = np.delete(errors, least)
            candidates.append(np.insert(_cancel(rest, errors[least]), least, True))
        candidates = np.array([candidate for candidate in candidates if candidate.any()])
        best = np.argmin(epsilon(errors, candidates))
        return Solutions(candidates[best][None, :], np.zeros(1), len(candidates))


def _cancel(errors: Float64[np.ndarray, " N"], given: float) -> Bool[np.ndarray, " N"]:
    """A subset, perhaps empty, whose sum is close to -`given`."""
    last = math.fsum(errors) + 2 * given  # 2 (given + S) = last + sum s_i a_i
    values = np.append(errors, last)
    side = split(np.abs(values)) * np.where(values < 0, -1, 1)
    return side[:-1] == side[-1]


def split(sizes: Float64[np.ndarray, " N"]) -> np.ndarray:
    """Signs, +1 or -1, such that the signed sum of the `sizes` (none negative) is close to zero.

    Each difference stands for the larger number and says that the smaller one has the other sign: the pairs make a
    tree, which is coloured from its root.

    >>> import numpy as np
    >>> sizes = np.array([8.0, 7.0, 6.0, 5.0, 4.0])
    >>> abs(float(split(sizes) @ sizes))
    2.0
    """
    heap = [(-size, place) for place, size in enumerate(sizes.tolist())]
    heapq.heapify(heap)
    pairs = []
    while len(heap) > 1:
        largest, stays = heapq.heappop(heap)
        second, goes = heap[0]
        pairs.append((stays, goes))
        heapq.heapreplace(heap, (largest - second, stays))
    signs = [1] * len(sizes)
    for stays, goes in reversed(pairs):
        signs[goes] = -signs[stays]
    return np.array(signs)
