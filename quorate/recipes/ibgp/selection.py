"""Which targets to go for when the nodes cannot go for all: greedy against the optimum, by brute force."""

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.experiments.outcome import Rows
from quorate.solvers import target_selection


class Targets(NamedTuple):
    """What each of m targets is worth [m], how many nodes it takes [m], and which nodes can go there [N, m]."""

    worth: np.ndarray
    takes: np.ndarray
    able: np.ndarray


def optimum(targets: Targets) -> float:
    """The largest worth that can be had together, over every choice of targets and of nodes.

    >>> optimum(packing(2)), optimum(choosing(2))
    (2.0, 3.0)
    """
    bits = [[1 << int(node) for node in np.flatnonzero(column)] for column in targets.able.T]

    @cache
    def best(j: int, free: int) -> float:
        if j == len(bits):
            return 0.0
        found = best(j + 1, free)
        for chosen in itertools.combinations([bit for bit in bits[j] if bit & free], int(targets.takes[j])):
            found = max(found, float(targets.worth[j]) + best(j + 1, free & ~sum(chosen)))
        return found

    return best(0, (1 << len(targets.able)) - 1)


def share(targets: Targets, reassign: bool) -> float:
    """What greedy gets, as a share of the optimum (1 where there is nothing to get).

    >>> share(packing(2), False), share(choosing(1), False), share(choosing(1), True)
    (0.5, 0.5, 1.0)
    """
    chosen = target_selection.greedy(*targets, reassign=reassign)
    best = optimum(targets)
    return target_selection.collected(targets.worth, targets.takes, chosen) / best if best else 1.0


def packing(takes: int) -> Targets:
    """Exactly as many are able as each target takes. The first target needs one node of each of `takes` others, all of
    equal worth: greedy gets 1 of `takes`."""
    able = np.zeros((takes * takes, takes + 1), bool)
    able[:takes, 0] = True
    for i in range(takes):
        able[[i, *range(takes + i * (takes - 1), takes + (i + 1) * (takes - 1))], i + 1] = True
    return Targets(np.ones(takes + 1), np.full(takes + 1, takes), able)


def choosing(takes: int) -> Targets:
    """The same with `takes` spare nodes that only the first target can use: greedy overlooks them and gets 1 of
    `takes` + 1."""
    worth, wanted, able = packing(takes)
    spare = np.zeros((takes, takes + 1), bool)
    spare[:, 0] = True
    return Targets(worth, wanted, np.concatenate([able, spare]))


def drawn(seed: int, most: int, exactly: bool, count: int) -> list[Targets]:
    """`count` instances of 3 to 7 nodes and 2 to 5 targets that take 1 to `most` nodes each; `exactly` as many nodes
    are able as a target takes, or any number."""
    random = np.random.default_rng([seed, most, exactly])
    found = []
    for _ in range(count):
        n, m = int(random.integers(3, 8)), int(random.integers(2, 6))
        takes = random.integers(1, most + 1, m)
        sizes = takes if exactly else random.integers(1, n + 1, m)
        able = np.stack([random.permutation(n) < size for size in sizes], axis=1)
        found.append(Targets(random.integers(1, 10, m).astype(float), takes, able))
    return found


def compared(seed: int, count: int) -> Rows:
    """The least share of the optimum over `count` random instances and one made to be the worst: by the largest number
    of nodes that a target takes, who is able, and whether committed nodes may be exchanged."""
    rows = []
    for most, exactly, reassign in itertools.product((1, 2, 3), (True, False), (False, True)):
        made = packing(most) if exactly else choosing(most)
        for kind, instances in (("random", drawn(seed, most, exactly, count)), ("made", [made])):
            shares = [share(one, reassign) for one in instances]
            rows.append(
                {"most": most, "exactly_able": exactly, "exchanged": reassign, "instances": kind}
                | {"count": len(shares), "least_share": min(shares), "mean_share": float(np.mean(shares))}
            )
    return rows
