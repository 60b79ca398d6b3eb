"""Braess's network: the best split of the drivers, and the one that no driver wants to leave."""

from typing import NamedTuple

import numpy as np

from quorate.core import World
from quorate.errors import Refusal
from quorate.solvers.collectives import Optimum, dealt, read


def optimum(world: World) -> Optimum:
    """The split of N drivers over the routes with the smallest mean latency, exactly. `world` is a `Braess`.

    Cost: O(N^2) with the link, O(N) without.

    >>> from quorate.worlds.braess import Braess
    >>> found = optimum(Braess(num_agents=100, link=True))
    >>> np.bincount(found.actions).tolist(), round(found.score, 3)
    ([44, 44, 12], -64.688)
    """
    splits = _splits(world)
    return _outcome(splits, np.argmin(splits.mean_latency()))


def nash(world: World) -> Optimum:
    """A split at which no driver gains by changing the route alone: the one with the least potential.

        Phi = narrow / N (x (x + 1) / 2 + y (y + 1) / 2) + wide w

    with x and y drivers on the two narrow roads and w wide roads in use. A driver who changes the route alters Phi by
    as much as its own latency, so the least Phi is an equilibrium. At other `narrow` and `wide` there may be more than
    one; at 40 and 45 all drive 65 minutes without the link (N even) and 80 with it. Cost: as `optimum`.
    Reference: R. W. Rosenthal, A Class of Games Possessing Pure-Strategy Nash Equilibria, International Journal of Game
    Theory 2 (1973).

    >>> from quorate.worlds.braess import Braess
    >>> nash(Braess(num_agents=100, link=True)).score
    -80.0
    """
    splits = _splits(world)
    return _outcome(splits, np.argmin(splits.potential()))


class Splits(NamedTuple):
    """All the ways to split `drivers`: with one entry each, how many are on s-A, on B-t, and on both over the link."""

    drivers: int
    narrow: float
    wide: float
    x: np.ndarray
    y: np.ndarray
    linked: np.ndarray

    def mean_latency(self) -> np.ndarray:
        return self.narrow * (self.x**2 + self.y**2) / self.drivers**2 + self.wide * (1 - self.linked / self.drivers)

    def potential(self) -> np.ndarray:
        crowd = (self.x * (self.x + 1) + self.y * (self.y + 1)) / 2
        return self.narrow * crowd / self.drivers + self.wide * (self.drivers - self.linked)


def _splits(world: World) -> Splits:
    num_agents, link, narrow, wide = read(world, "num_agents", "link", "narrow", "wide")
    if narrow.ndim or wide.ndim:
        raise Refusal(f"narrow has shape {narrow.shape} and wide {wide.shape}; solve one world at a time")
    drivers = int(num_agents)
    first, linked = np.meshgrid(np.arange(drivers + 1), np.arange(drivers + 1 if link else 1), indexing="ij")
    possible = first + linked <= drivers
    first, linked = first[possible], linked[possible]
    return Splits(drivers, float(narrow), float(wide), first + linked, drivers - first, linked)


def _outcome(splits: Splits, at: int) -> Optimum:
    x, y, linked = splits.x[at], splits.y[at], splits.linked[at]
    return Optimum(-float(splits.mean_latency()[at]), dealt([x - linked, y - linked, linked]))
