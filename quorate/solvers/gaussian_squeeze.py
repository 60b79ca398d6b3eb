"""The best a Gaussian squeeze can do: try every sum."""

import numpy as np

from quorate.core import World
from quorate.errors import Refusal
from quorate.solvers.collectives import Optimum, read


def optimum(world: World) -> Optimum:
    """The greatest x exp(-(x - mu)^2 / sigma^2) over all sums x in 0..9 N, exactly, and actions that add up to it.

    `world` is a `GaussianSqueeze`. Sums are compared by the logarithm of the score, so a target far out of reach still
    has a best sum (all of it) though its score may underflow to 0. Cost: O(N).

    >>> from quorate.worlds.gaussian_squeeze import GaussianSqueeze
    >>> found = optimum(GaussianSqueeze(num_agents=4, mu=10.0, sigma=1.0))
    >>> int(found.actions.sum()), found.score
    (10, 10.0)
    """
    num_agents, mu, sigma = read(world, "num_agents", "mu", "sigma")
    if mu.ndim or sigma.ndim:
        raise Refusal(f"mu has shape {mu.shape} and sigma {sigma.shape}; solve one world at a time")
    num_agents = int(num_agents)
    sums = np.arange(1, 9 * num_agents + 1)  # 0 scores 0, less than any other
    height = np.log(sums) - ((sums - mu) / sigma) ** 2
    best = sums[np.argmax(height)]
    share, rest = divmod(int(best), num_agents)
    score = best * np.exp(-(((best - mu) / sigma) ** 2))
    return Optimum(float(score), share + (np.arange(num_agents) < rest))
