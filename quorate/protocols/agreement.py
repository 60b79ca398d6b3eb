"""What protocols of full agreement promise: all honest nodes decide alike, and what all propose is decided."""

from collections.abc import Callable
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from quorate.core import Fleet, Property, Protocol
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES, never


def decided(protocol: Protocol, proposal: Array, decision: Array) -> Array:
    """1: decides yes. 0: decides no."""
    return (decision > 0).astype(jnp.int32)


def changed(protocol: Protocol, proposal: Array, decision: Array) -> Array:
    """1: decides what it did not propose."""
    return ((decision > 0) != (proposal > 0)).astype(jnp.int32)


def _alike(protocol: Protocol, fleet: Fleet, counts: np.ndarray) -> np.ndarray:
    return (counts[..., 0] == 0) | (counts[..., 1] == 0)


def _nobody_changed(protocol: Protocol, fleet: Fleet, counts: np.ndarray) -> np.ndarray:
    return counts[..., 1] == 0


def all_yes(protocol: Protocol, fleet: Fleet, counts: np.ndarray) -> np.ndarray:
    return counts[..., 0] == 0


def fitting(protocol: Protocol, fleet: Fleet, factor: int) -> bool:
    """Whether the protocol's N = `members` and t = `liars` are the fleet's, and N > factor t."""
    meant = (int(protocol.members), int(protocol.liars)) == (fleet.honest + fleet.liars, fleet.liars)
    return meant and fleet.honest + fleet.liars > factor * fleet.liars


def too_few(fleet: Fleet, factor: int, what: str) -> tuple[str, ...]:
    """The warning where N <= factor t.

    >>> too_few(Fleet(2, 1), 3, "agreement by a coin")
    ('3 members with 1 liars; agreement by a coin is proved from 4 members on, that is --n 3',)
    """
    members, least = fleet.honest + fleet.liars, factor * fleet.liars + 1
    if members >= least:
        return ()
    return (
        f"{members} members with {fleet.liars} liars; {what} is proved from {least} members on, "
        f"that is --n {least - fleet.liars}",
    )


def _of_one_mind(protocol: Protocol, fleet: Fleet, proposed: np.ndarray) -> np.ndarray:
    return (proposed[..., 0] == 0) | (proposed[..., 1] == 0)


def agreement(at_most: Callable[[Protocol, Fleet], Fraction] = never) -> Property:
    """All honest nodes decide alike, but for a chance of `at_most` (IBGP, Definition 1).

    >>> agreement().holds(None, Fleet(3, 1), np.array([[3, 0], [2, 1]])).tolist()
    [True, False]
    """
    return Property(
        kind=ALWAYS,
        words=lambda protocol, fleet: "honest nodes decide alike",
        marks=2,
        mark=decided,
        holds=_alike,
        at_most=at_most,
    )


VALIDITY = Property(
    kind=EVENTUALLY,
    words=lambda protocol, fleet: "what all honest nodes propose is what they decide",
    marks=2,
    mark=changed,
    holds=_nobody_changed,
    when=_of_one_mind,
)
POSSIBLE = Property(
    kind=SOMETIMES,
    words=lambda protocol, fleet: "all honest nodes can decide yes",
    marks=2,
    mark=decided,
    holds=all_yes,
)
