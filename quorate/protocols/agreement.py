"""What protocols of full agreement promise: all honest nodes decide alike, and what all propose is decided."""

from collections.abc import Callable
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from quorate.core import Property, Protocol, Roster
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES, never


def decided(protocol: Protocol, proposal: Array, decision: Array) -> Array:
    """1: decides yes. 0: decides no."""
    return (decision > 0).astype(jnp.int32)


def changed(protocol: Protocol, proposal: Array, decision: Array) -> Array:
    """1: decides what it did not propose."""
    return ((decision > 0) != (proposal > 0)).astype(jnp.int32)


def _alike(protocol: Protocol, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return (counts[..., 0] == 0) | (counts[..., 1] == 0)


def _nobody_changed(protocol: Protocol, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return counts[..., 1] == 0


def all_yes(protocol: Protocol, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return counts[..., 0] == 0


def fitting(protocol: Protocol, roster: Roster, factor: int) -> bool:
    """Whether the protocol's N = `members` and t = `liars` are the roster's, and N > factor t."""
    meant = (int(protocol.members), int(protocol.liars)) == (roster.honest + roster.liars, roster.liars)
    return meant and roster.honest + roster.liars > factor * roster.liars


def too_few(roster: Roster, factor: int, what: str) -> tuple[str, ...]:
    """The warning where N <= factor t.

    >>> too_few(Roster(2, 1), 3, "agreement by a coin")
    ('3 members with 1 liars; agreement by a coin is proved from 4 members on, that is --n 3',)
    """
    members, least = roster.honest + roster.liars, factor * roster.liars + 1
    if members >= least:
        return ()
    return (
        f"{members} members with {roster.liars} liars; {what} is proved from {least} members on, "
        f"that is --n {least - roster.liars}",
    )


def _of_one_mind(protocol: Protocol, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return (proposed[..., 0] == 0) | (proposed[..., 1] == 0)


def agreement(at_most: Callable[[Protocol, Roster], Fraction] = never) -> Property:
    """All honest nodes decide alike, but for a chance of `at_most` (IBGP, Definition 1).

    >>> agreement().holds(None, Roster(3, 1), np.array([[3, 0], [2, 1]])).tolist()
    [True, False]
    """
    return Property(
        kind=ALWAYS,
        words=lambda protocol, roster: "honest nodes decide alike",
        marks=2,
        mark=decided,
        holds=_alike,
        at_most=at_most,
    )


VALIDITY = Property(
    kind=EVENTUALLY,
    words=lambda protocol, roster: "what all honest nodes propose is what they decide",
    marks=2,
    mark=changed,
    holds=_nobody_changed,
    when=_of_one_mind,
)
POSSIBLE = Property(
    kind=SOMETIMES,
    words=lambda protocol, roster: "all honest nodes can decide yes",
    marks=2,
    mark=decided,
    holds=all_yes,
)
