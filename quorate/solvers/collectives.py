"""What the solvers of collectives share: the shape of an answer, and how a world's numbers are read."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from quorate.core import World
from quorate.errors import Refusal


class Optimum(NamedTuple):
    """A joint action and its score, computed in float64. Agents are alike, so any order of `actions` is as good."""

    score: float
    actions: Int64[np.ndarray, " N"]


def read(world: World, *fields: str) -> list:
    """The named numbers of one world, in float64: the world as it is, its float32 roundings included.

    Errors: Refusal when the world lacks a field.
    """
    for name in fields:
        if not hasattr(world, name):
            kind = type(world).__name__
            raise Refusal(f"{kind} has no {name}; this solver is for a world with {', '.join(fields)}")
    return [np.asarray(getattr(world, name), np.float64) for name in fields]


def dealt(counts) -> Int64[np.ndarray, " N"]:
    """The first counts[0] agents do action 0, the next counts[1] action 1, and so on.

    >>> dealt([2, 0, 1]).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(len(counts)), counts)
