"""Property: what a protocol promises, in words a checker can test; Registered: how a protocol is found and made."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from quorate.core.protocol import Protocol

ALWAYS, EVENTUALLY, SOMETIMES = "always", "eventually", "sometimes"


class Roster(NamedTuple):
    """Who takes part in one instance: honest nodes, and liars who are talkers of their own."""

    honest: int
    liars: int


def whatever(protocol: Protocol, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    """Every start counts."""
    return np.ones(proposed.shape[:-1], bool)


def never(protocol: Protocol, roster: Roster) -> Fraction:
    """No chance of a breach is allowed."""
    return Fraction(0)


class Property(NamedTuple):
    """What should be true of how honest nodes end. It depends on counts only: `mark` sorts a node by what it proposed
    and decided, `holds` judges how many nodes carry each mark.

    kind       "always": no attack breaks it. "eventually": by the last round it is so, whatever is sent. Both may allow
               a chance of breach. "sometimes": some run in which no liar speaks gets there; without it a protocol is
               safe because nothing ever happens
    words      the property in a sentence, for this protocol and roster
    marks      how many marks there are
    mark       (protocol, proposal, decision) of one node -> 0..marks-1, in jax.numpy
    holds      (protocol, roster, counts[..., marks]) -> bool[...], in numpy
    when       (protocol, roster, proposed[..., values]) -> bool[...]: the starts it speaks of, by how many nodes
               propose each of the protocol's values
    at_most    the chance of a breach that is allowed
    early      whether liars see the coin of a round before they lie in it; else they see it afterwards, as they should
    """

    kind: str
    words: Callable[[Protocol, Roster], str]
    marks: int
    mark: Callable[[Protocol, Any, Any], Any]
    holds: Callable[[Protocol, Roster, np.ndarray], np.ndarray]
    when: Callable[[Protocol, Roster, np.ndarray], np.ndarray] = whatever
    at_most: Callable[[Protocol, Roster], Fraction] = never
    early: bool = False


def in_words(settings: dict[str, Any]) -> str:
    """Every setting by its name, those left open left out.

    >>> in_words({"n": 7, "t": 2, "min_rounds": 2})
    'n 7, t 2, min rounds 2'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value is not None)


def unlimited(protocol: Protocol, roster: Roster) -> Fraction:
    """Nothing is known beforehand: a chance is at most one."""
    return Fraction(1)


class Registered(NamedTuple):
    """A protocol as the registry knows it.

    make         keywords n (honest nodes), t (liars) and the protocol's own, each annotated with what it means
                 (`quorate.arguments`) -> Protocol; refuses what cannot be
    example      ready-made and small, for the contract tests
    about        what it does, in a line
    properties   its promises, the safety first
    values       what a node may propose
    method       how `quorate verify` goes about it when not told: exact, exhaustive or sampled
    bound        the chance of breaching the first property that is proved beforehand, by a theorem; 1 where none is
    warnings     (protocol, roster) -> lines: allowed but hardly meant
    settings     (protocol, what was asked) -> the same, with everything that was left to the protocol filled in
    told         (settings) -> the settings in a few words
    """

    make: Callable[..., Protocol]
    example: Protocol
    about: str
    properties: tuple[Property, ...]
    values: tuple[int, ...] = (0, 1)
    method: str = "exact"
    bound: Callable[[Protocol, Roster], Fraction] = unlimited
    warnings: Callable[[Protocol, Roster], tuple[str, ...]] = lambda protocol, roster: ()
    settings: Callable[[Protocol, dict[str, Any]], dict[str, Any]] = lambda protocol, asked: asked
    told: Callable[[dict[str, Any]], str] = in_words
