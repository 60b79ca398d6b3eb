"""The vote among liars who babble: chances and rewards, exactly, node by node."""

import itertools
from collections.abc import Sequence
from math import comb

import numpy as np


def reward(
    margins: Sequence[int],
    k: int,
    t: int,
    share: float,
    law: Sequence[float],
    cost: float = 1.0,
    willing: Sequence[float] | None = None,
) -> float:
    """The mean score of a vote of n = len(margins) nodes: 1 when at least k act and -cost when some but fewer do.

    Each of t liars says yes to each receiver with chance `share`, in every round anew. A node with margin m goes on
    when it hears k + m yes, and acts when it hears k in the last round. Float64, O(rounds 4^n).

    margins  of the nodes, [n]
    law      P(T = r), r = 1..
    willing  P(A_0 = 0..n); all alike without it. Every set of that size is equally likely
    Reference: IBGP, A.4.1, A.4.2 and Tables 6 and 7; rewards and sizes of the tables are lost.

    >>> two = [0.0, 1.0]
    >>> round(reward([2, 2, 2, 2], 2, 2, 0.0, two), 3), round(reward([0, 0, 0, 0], 2, 2, 0.0, two), 3)
    (0.2, 0.6)
    """
    n = len(margins)
    willing = np.full(n + 1, 1 / (n + 1)) if willing is None else np.asarray(willing)
    sets = np.array(list(itertools.product((0, 1), repeat=n)))  # [2^n, n]
    size = sets.sum(1)
    says = [comb(t, j) * share**j * (1 - share) ** (t - j) for j in range(t + 1)]
    tail = np.array([sum(says[j:]) for j in range(t + 1)] + [0.0])  # P(at least j false yes)

    def onward(margin: np.ndarray) -> np.ndarray:
        """P(set -> set) when a willing node needs k + margin."""
        lacking = np.clip(k + margin[None, :] - size[:, None], 0, t + 1)
        stays = sets * tail[lacking]
        chance = np.where(sets[None], stays[:, None, :], 1 - stays[:, None, :])
        return chance.prod(axis=2)

    go, end = onward(np.asarray(margins)), onward(np.zeros(n, int))
    now = willing[size] / np.array([comb(n, int(c)) for c in size])
    score = np.where(size >= k, 1.0, np.where(size > 0, -cost, 0.0))
    total = 0.0
    for chance in law:
        total += chance * float(now @ end @ score)
        now = now @ go
    return total


def binomial(n: int, chance: float) -> list[float]:
    """P(A_0 = 0..n) when each node is willing with this chance.

    >>> binomial(2, 0.5)
    [0.25, 0.5, 0.25]
    """
    return [comb(n, c) * chance**c * (1 - chance) ** (n - c) for c in range(n + 1)]
