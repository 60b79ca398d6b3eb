"""A tally protocol as a finite automaton: its own `propose`, `send`, `hear` and `decide`, written out in tables."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from quorate.core import Property, Protocol, TallyProtocol
from quorate.errors import Refusal
from quorate.verify.tabulate import (
    GRID,
    PROBES,
    booted,
    byte_rows,
    decided,
    distinct,
    marked,
    meanings,
    messages,
    opened,
    shares_of,
    size_of,
    unique,
    voices,
    written,
)

CALLS = 4 * (len(GRID) + len(PROBES))  # of `hear` for each total and round, at least


class Round(NamedTuple):
    """One round. Nodes that send alike, and whatever they hear go on alike, form one of K classes."""

    says: np.ndarray  # [K, L] 0 or 1: what a class sends, by leaf of the message
    cuts: tuple[int, ...]  # the first word of each of the C meanings of the coin
    shares: tuple[Fraction, ...]  # how likely each is
    then: np.ndarray  # [C, K, *totals]: the class in the next round
    settled: np.ndarray  # [K]


class Automaton(NamedTuple):
    """A protocol for `people` nodes of several kinds (those that `boot` tells apart) as classes, round by round."""

    rounds: tuple[Round, ...]
    people: np.ndarray  # [kinds]
    starts: np.ndarray  # [kinds, values]: the class in which a node begins
    marks: np.ndarray  # [properties, K]: what each property calls the final classes
    decides: tuple[Any, ...]  # [K]: what they decide
    ends: np.ndarray  # [K]: settled at the end


def automaton(
    protocol: Protocol,
    honest: int,
    liars: int,
    values: Sequence[int],
    properties: Sequence[Property],
    ask: Callable[[float], None] = lambda calls: None,
) -> Automaton:
    """Writes out `protocol` for up to `honest + liars` votes of each kind.

    Every total that could be heard is tried on every ballot that could arise. Where the meaning of the coin changes is
    found by bisection between a few hundred words (`tabulate.written`); a stretch of words is read as the simplest
    fraction within half a word of its share (`quorate.numerics.rational`), so results are exact for the chances that
    were meant and within 2^-33 a round for the words that are drawn. Only a meaning that lasts for less than 2^24
    words, inside the range and away from its ends, may go unseen. Classes are made as coarse as they can be without
    losing a mark (partition refinement from the end).

    `ask` is told beforehand how often `hear` will be called, and may raise.

    Cost: O(rounds x ballots x totals). Errors: `Refusal` for protocols that need to know senders, count more than
    yes and no, or throw dice of their own.
    """
    name = type(protocol).__name__
    if not isinstance(protocol, TallyProtocol):
        raise Refusal(f"{name} reads its mail one by one; only protocols that hear sums are solved exactly")
    states, people = _kinds(protocol, honest)
    ballots = opened(protocol, states, values, len(people))
    message = messages(protocol, ballots)
    leaves = jax.tree.leaves(message)
    if not leaves or any(leaf.dtype != bool or leaf.ndim != 1 for leaf in leaves):
        raise Refusal(f"{name} sends more than yes and no; only counted votes are solved exactly")
    most = honest + liars
    ask(protocol.rounds * CALLS * (most + 1) ** len(leaves))
    totals = jax.tree.unflatten(
        jax.tree.structure(message), np.indices((most + 1,) * len(leaves)).reshape(len(leaves), -1).astype(np.int32)
    )

    first_ballots, back = unique(ballots)
    begins = back.reshape(len(people), len(values))
    present = np.zeros((len(values), size_of(first_ballots)), bool)
    for kind in range(len(people)):
        present[np.arange(len(values)), begins[kind]] = True
    tables, sent, settled, presents, ballots = [], [], [], [present], first_ballots
    for _ in range(protocol.rounds):
        cuts, then, following = written(protocol, ballots, totals)
        said, calm = _messages(protocol, ballots)
        sent.append(said)
        settled.append(calm)
        present = np.zeros((len(values), size_of(following)), bool)
        for value, ballot in zip(*np.nonzero(presents[-1]), strict=True):
            present[value, np.unique(then[:, ballot])] = True
        tables.append((cuts, then.reshape(len(cuts), -1, *(most + 1,) * len(leaves))))
        presents.append(present)
        ballots = following
    return _coarsest(protocol, values, people, begins, tables, sent, settled, presents, ballots, properties)


def _kinds(protocol: Protocol, honest: int) -> tuple[PyTree, np.ndarray]:
    """Nodes by what `boot` gives them: one state of each kind, and how many nodes have it."""
    states = booted(protocol, honest)
    if not jax.tree.leaves(states):
        return states, np.array([honest])
    kinds, back = unique(states)
    return kinds, np.bincount(back)


def _messages(protocol: TallyProtocol, ballots: PyTree) -> tuple[np.ndarray, np.ndarray]:
    """([ballots, L]: what is said, 0 where nothing is; [ballots]: who has settled)."""
    message, speaks, settled = voices(protocol, ballots)
    return np.stack([leaf & speaks for leaf in jax.tree.leaves(message)], axis=1).astype(np.int64), settled


def _coarsest(
    protocol: Protocol,
    values: Sequence[int],
    people: np.ndarray,
    begins: np.ndarray,
    tables: list,
    sent: list,
    settled: list,
    presents: list,
    ballots: PyTree,
    properties: Sequence[Property],
) -> Automaton:
    """Classes of (value proposed, ballot), from the end backwards: two are one where marks, messages and successors
    agree."""
    value, ballot = np.nonzero(presents[-1])
    decision, calm = decided(protocol, ballots)
    given, over = jax.tree.map(lambda leaf: leaf[ballot], decision), calm[ballot]
    marks = np.zeros((len(properties), len(value)), np.int64)
    for row, about in zip(marks, properties, strict=True):
        row[:] = marked(about, protocol, np.asarray(values)[value], given)
    first, back = distinct(np.concatenate([marks.T.copy().view(np.uint8), over[:, None].view(np.uint8),
                                           byte_rows(given)], axis=1))  # fmt: skip
    classes = np.full(presents[-1].shape, -1)
    classes[value, ballot] = back
    decides = tuple(jax.tree.map(lambda leaf, i=i: leaf[i].tolist(), given) for i in first)
    final_marks, ends, rounds = marks[:, first], over[first], []
    for (cuts, then), says, calm, present in zip(
        reversed(tables), reversed(sent), reversed(settled), reversed(presents[:-1]), strict=True
    ):
        value, ballot = np.nonzero(present)
        onward = classes[value[None, :].reshape(1, -1, *(1,) * (then.ndim - 2)), then[:, ballot]]  # [C, pairs, *totals]
        assert (onward >= 0).all()
        rows = np.moveaxis(onward, 1, 0).reshape(len(value), -1)
        signature = np.concatenate([rows, says[ballot], calm[ballot][:, None]], axis=1).astype(np.int64)
        first, back = distinct(signature)
        kept, merged = meanings(cuts, onward[:, first])
        rounds.append(Round(says[ballot][first], kept, shares_of(kept), merged, calm[ballot][first]))
        classes = np.full(present.shape, -1)
        classes[value, ballot] = back
    starts = classes[np.arange(len(values))[None, :], begins]
    return Automaton(tuple(reversed(rounds)), people, starts, final_marks, decides, ends)
