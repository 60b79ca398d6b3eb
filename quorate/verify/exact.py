"""Exact: the game between a tally protocol and the strongest attacker, solved by dynamic programming over how many
nodes are in each class."""

import itertools
import math
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from quorate.core import Property, Protocol, Roster
from quorate.core.property import SOMETIMES
from quorate.verify.automaton import Automaton, Round, automaton
from quorate.verify.tabulate import distinct

EDGE_SECONDS, STATE_SECONDS, HEAR_SECONDS = 3e-7, 4e-5, 3e-9  # of a play, a position, a call of hear; for forecasts


class Unsettled(Exception):
    """The budget would not do: how many plays there are at least, and about how long they would take."""

    def __init__(self, plays: float, seconds: float):
        super().__init__(f"{plays:.1e} plays, about {seconds:.0f} s")
        self.plays, self.seconds = plays, seconds


class Layer(NamedTuple):
    """The positions at one round: how many nodes are in each class; and what attackers can make of each. Edge e of
    position s, first[s] <= e < first[s+1], is one way to lie; the coin then picks one of C successors."""

    states: np.ndarray  # [S, K]
    first: np.ndarray  # [S + 1]
    then: np.ndarray  # [C, E]
    quiet: np.ndarray  # [S]: the edge on which no liar speaks


class Answer(NamedTuple):
    """What the game gives for one property, by start: the chance of a breach under the best attack (of a "sometimes":
    the chance that it holds when liars are silent)."""

    chances: tuple[Fraction, ...]
    values: tuple[np.ndarray, ...]  # by round and position, numerators
    units: tuple[int, ...]  # their denominators


class Move(NamedTuple):
    """One round of a play: for each class in turn (count, false votes told by leaf, class it becomes by meaning of the
    coin)."""

    groups: tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...]  # (class, count, lies, classes after)


def by_willing(proposed: np.ndarray, chances: Sequence[Fraction], honest: int) -> list[Fraction]:
    """The largest chance among the starts [starts, values] in which 0, 1, .. honest nodes propose the last value."""
    most = [Fraction(0)] * (honest + 1)
    for counts, chance in zip(proposed, chances, strict=True):
        most[int(counts[-1])] = max(most[int(counts[-1])], chance)
    return most


class Game(NamedTuple):
    """A protocol against `roster.liars` attackers, its positions and answers. `proposed[i]` counts the nodes that
    propose each value at start i."""

    protocol: Protocol
    roster: Roster
    properties: tuple[Property, ...]
    machine: Automaton
    layers: tuple[Layer, ...]
    starts: np.ndarray  # [starts, K]
    proposed: np.ndarray  # [starts, values]
    answers: tuple[Answer, ...]
    values: tuple[int, ...] = (0, 1)  # what may be proposed

    @property
    def positions(self) -> int:
        return sum(len(layer.states) for layer in self.layers)

    @property
    def plays(self) -> int:
        return sum(layer.then.shape[1] for layer in self.layers)

    def worst(self, index: int) -> list[Fraction]:
        """The answer for property `index`, by how many nodes propose the last value: the worst start of each."""
        return by_willing(self.proposed, self.answers[index].chances, self.roster.honest)


def solve(
    protocol: Protocol,
    roster: Roster,
    values: Sequence[int],
    properties: Sequence[Property],
    *,
    most: float = 2e7,
    seconds: float = 60.0,
) -> Game:
    """The chance with which the strongest attacker breaks each property, exactly.

    Attackers see everything but the coin of the round that they lie in, lie to each receiver as they like (0 to t false
    votes of each kind), and may use all that happened before. With V_r the chance of a breach from round r on,

        V_r(s) = max over lies of  sum over meanings c of the coin of  share_c V_{r+1}(s after lies and c)

    over s, the number of nodes in each class of the protocol's automaton; sum and max change places for a property
    whose liars see the coin early. Integers throughout; no rounding.

    roster       honest nodes and liars
    values      what may be proposed
    most        plays (positions times ways to lie) that may be looked at
    seconds     the time it may take
    Errors: `Refusal` for protocols that no automaton fits; `Unsettled` when the budget would not do.
    """
    clock = Budget(most, seconds)
    machine = automaton(protocol, roster.honest, roster.liars, values, properties, clock.hear)
    starts, proposed = _starts(machine, clock)
    layers = _layers(machine, starts, roster.liars, clock)
    answers = tuple(_answer(protocol, roster, machine, layers, starts, p, i) for i, p in enumerate(properties))
    return Game(protocol, roster, tuple(properties), machine, layers, starts, proposed, answers, tuple(values))


class Budget:
    """Plays and seconds that may be spent; what would not do is refused beforehand."""

    def __init__(self, most: float, seconds: float):
        self.most, self.seconds, self.plays, self.began = most, seconds, 0.0, time.monotonic()

    def hear(self, calls: float) -> None:
        """Before a protocol is written out: so many calls of `hear`. They are no plays, but take time."""
        spent = time.monotonic() - self.began
        if spent + calls * HEAR_SECONDS > self.seconds:
            raise Unsettled(calls, spent + calls * HEAR_SECONDS)

    def ask(self, plays: float, states: float, rounds: int) -> None:
        """Before work is done: this many plays now, and likely as many in each of `rounds` rounds."""
        self.plays += plays
        ahead = self.plays + plays * (rounds - 1)
        forecast = ahead * EDGE_SECONDS + states * rounds * STATE_SECONDS
        if ahead > self.most or forecast > self.seconds or time.monotonic() - self.began > self.seconds:
            raise Unsettled(ahead, max(forecast, time.monotonic() - self.began))


def _starts(machine: Automaton, clock: Budget) -> tuple[np.ndarray, np.ndarray]:
    """Every way to hand out proposals, up to exchanging nodes of a kind: classes counted, and proposals counted."""
    kinds, values = machine.starts.shape
    number = math.prod(math.comb(int(people) + values - 1, values - 1) for people in machine.people)
    clock.ask(number, number, 1)
    ways = [compositions(int(people), values) for people in machine.people]
    width = 1 + max(int(machine.starts.max()), 0) if not machine.rounds else len(machine.rounds[0].says)
    states, proposed = np.zeros((1, width), np.int64), np.zeros((1, values), np.int64)
    for kind in range(kinds):
        more = np.zeros((len(ways[kind]), width), np.int64)
        for value in range(values):
            more[:, machine.starts[kind, value]] += ways[kind][:, value]
        states = (states[:, None] + more[None]).reshape(-1, width)
        proposed = (proposed[:, None] + ways[kind][None]).reshape(-1, values)
    order = np.lexsort(proposed.T[::-1])[::-1] if values > 2 else np.argsort(proposed[:, -1], kind="stable")
    return states[order], proposed[order]


@lru_cache(maxsize=4096)
def compositions(total: int, parts: int) -> np.ndarray:
    """All ways to split `total` into `parts` counts, [ways, parts]; the first part large first.

    >>> compositions(2, 2).tolist()
    [[2, 0], [1, 1], [0, 2]]
    """
    if parts == 1:
        return np.array([[total]])
    if parts == 2:
        return np.stack([np.arange(total, -1, -1), np.arange(total + 1)], axis=1)
    found = [
        np.concatenate([np.full((len(rest), 1), head), rest], axis=1)
        for head in range(total, -1, -1)
        for rest in [compositions(total - head, parts - 1)]
    ]
    return np.concatenate(found)


class Ways:
    """What can be done to nodes of one class at one honest total: lies that lead to the same classes are one way."""

    def __init__(self, stage: Round, liars: int):
        leaves = stage.says.shape[1]
        self.stage = stage
        self.lies = np.array(list(itertools.product(range(liars + 1), repeat=leaves)))
        self.shape = stage.then.shape[2:]
        self.most = self.shape[0] - 1 - liars
        flat = stage.then.reshape(*stage.then.shape[:2], -1)
        strides = np.array([self.shape[0] ** (leaves - 1 - i) for i in range(leaves)])
        self.offsets, self.told = self.lies @ strides, [tuple(row) for row in self.lies.tolist()]
        self.strides, self.flat, self.known = strides, flat, {}
        honest = np.indices((self.most + 1,) * leaves).reshape(leaves, -1).T @ strides
        base = flat[:, :, honest]
        alone = np.ones(base.shape[1:], bool)
        for offset in self.offsets[1:]:
            alone &= (flat[:, :, honest + offset] == base).all(axis=0)
        self.place = np.full(flat.shape[2], -1)
        self.place[honest] = np.arange(len(honest))
        self.alone = alone  # [K, honest totals]: only one way

    def of(self, kind: int, total: int) -> tuple[np.ndarray, list[tuple[int, ...]], int]:
        """(classes after [ways, C], a lie for each way, the way of silence)."""
        if (kind, total) not in self.known and self.alone[kind, self.place[total]]:
            self.known[kind, total] = self.flat[None, :, kind, total], [self.told[-1]], 0
        elif (kind, total) not in self.known:
            rows = [tuple(row) for row in self.flat[:, kind, total + self.offsets].T.tolist()]  # by lie, by coin
            lies = {row: self.told[index] for index, row in reversed(list(enumerate(rows)))}  # the least of each way
            lies[rows[-1]] = self.told[-1]
            silence, full = rows[0], rows[-1]  # the way of liars who say yes to everything comes first
            lies[silence] = self.told[0]
            ways = sorted(lies, key=lambda row: (row == full, lies[row]), reverse=True)
            self.known[kind, total] = np.array(ways), [lies[row] for row in ways], ways.index(silence)
        return self.known[kind, total]


def _layers(machine: Automaton, starts: np.ndarray, liars: int, clock: Budget) -> tuple[Layer, ...]:
    states = starts[distinct(starts)[0]]
    layers: list[Layer] = []
    for index, stage in enumerate(machine.rounds):
        left = len(machine.rounds) - index
        width = machine.marks.shape[1] if left == 1 else len(machine.rounds[index + 1].says)
        if layers and _same(machine.rounds[index - 1], stage, states, layers[-1].states, width):
            layers.append(layers[-1])  # the same positions with the same ways on: what follows is the same again
            continue
        layer, states = _expanded(stage, states, width, liars, clock, left)
        layers.append(layer)
    nothing = np.zeros(0, np.int64)
    return (*layers, Layer(states, np.zeros(len(states) + 1, np.int64), nothing[None], nothing))


def _same(one: Round, other: Round, states: np.ndarray, before: np.ndarray, width: int) -> bool:
    """Whether a round repeats the one before it; how likely the coin's meanings are may differ."""
    alike = (np.array_equal(getattr(one, name), getattr(other, name)) for name in ("says", "then", "settled"))
    return states.shape[1] == width and np.array_equal(states, before) and all(alike)


def _expanded(
    stage: Round, states: np.ndarray, width: int, liars: int, clock: Budget, left: int
) -> tuple[Layer, np.ndarray]:
    """A round's layer, and the positions that follow."""
    ways, meanings = Ways(stage, liars), len(stage.shares)
    total = (states @ stage.says) @ ways.strides
    single = (ways.alone[:, ways.place[total]].T | (states == 0)).all(axis=1)
    plays = np.ones(len(states))
    for s in np.flatnonzero(~single):
        plays[s] = math.prod(
            math.comb(int(count) + len(ways.of(kind, int(total[s]))[0]) - 1, int(count))
            for kind, count in enumerate(states[s])
            if count
        )
    clock.ask(float(plays.sum()), float((~single).sum()), left)
    pieces: list[np.ndarray] = [np.zeros((meanings, 0, width), np.int64)] * len(states)
    quiet = np.zeros(len(states), np.int64)
    bulk = np.zeros((meanings, int(single.sum()), width), np.int64)
    rows = np.flatnonzero(single)
    for c in range(meanings):
        for kind in range(states.shape[1]):
            np.add.at(bulk[c], (np.arange(len(rows)), ways.flat[c, kind, total[rows]]), states[rows, kind])
    for i, s in enumerate(rows):
        pieces[s] = bulk[:, i : i + 1]
    for s in np.flatnonzero(~single):
        pieces[s], quiet[s] = _successors(ways, states[s], int(total[s]), meanings, width)
    first = np.concatenate([[0], np.cumsum([piece.shape[1] for piece in pieces])])
    after = np.concatenate(pieces, axis=1)
    unique, back = distinct(after.reshape(-1, width))
    layer = Layer(states, first, back.reshape(meanings, -1), first[:-1] + quiet)
    return layer, after.reshape(-1, width)[unique]


def _successors(ways: Ways, state: np.ndarray, total: int, meanings: int, width: int) -> tuple[np.ndarray, int]:
    """Positions after each way to lie, [C, ways, K], and which way is silence."""
    after, quiet = np.zeros((meanings, 1, width), np.int64), 0
    for kind, count in enumerate(state):
        if not count:
            continue
        rows, _, silence = ways.of(kind, total)
        split = compositions(int(count), len(rows))
        onto = np.zeros((meanings, len(rows), width), np.int64)
        onto[np.arange(meanings)[:, None], np.arange(len(rows))[None, :], rows.T] = 1
        more = split @ onto  # [C, splits, K]
        quiet = quiet * len(split) + int(np.flatnonzero(split[:, silence] == count)[0])
        after = (after[:, :, None] + more[:, None]).reshape(meanings, -1, width)
    return after, quiet


def _answer(
    protocol: Protocol,
    roster: Roster,
    machine: Automaton,
    layers: tuple[Layer, ...],
    starts: np.ndarray,
    about: Property,
    index: int,
) -> Answer:
    good = _good(protocol, roster, machine, layers, about, index)
    silent = about.kind == SOMETIMES
    weights = [_weights(stage) for stage in machine.rounds]
    wide = math.prod(unit for _, unit in weights) >= 2**62
    value = (good if silent else ~good).astype(object if wide else np.int64)
    values, units = [value], [1]
    for layer, (share, unit) in zip(reversed(layers[:-1]), reversed(weights), strict=True):
        after = [weight * value[layer.then[c]] for c, weight in enumerate(share)]
        if silent:
            value = sum(part[layer.quiet] for part in after)
        elif about.early:
            value = sum(np.maximum.reduceat(part, layer.first[:-1]) for part in after)
        else:
            value = np.maximum.reduceat(sum(after), layer.first[:-1])
        values.append(value)
        units.append(units[-1] * unit)
    values, units = values[::-1], units[::-1]
    begin = distinct(starts)[1]
    chances = tuple(Fraction(int(values[0][s]), units[0]) for s in begin)
    return Answer(chances, tuple(values), tuple(units))


def _good(
    protocol: Protocol, roster: Roster, machine: Automaton, layers: tuple[Layer, ...], about: Property, index: int
) -> np.ndarray:
    """At which of the last positions a property holds."""
    counts = layers[-1].states @ (machine.marks[index][:, None] == np.arange(about.marks)).astype(np.int64)
    return np.asarray(about.holds(protocol, roster, counts), bool)


def breaches(game: Game, index: int) -> np.ndarray:
    """At which of the last positions property `index` is broken."""
    return ~_good(game.protocol, game.roster, game.machine, game.layers, game.properties[index], index)


def _weights(stage: Round) -> tuple[list[int], int]:
    unit = math.lcm(*(share.denominator for share in stage.shares))
    return [int(share * unit) for share in stage.shares], unit


def informed(game: Game, index: int, knows: str, most: int = 2**14) -> tuple[Fraction, ...]:
    """The chances of property `index` if attackers knew more than they may: "bit", the round's coin before they lie in
    it; "end", every coin beforehand. They show what the hidden coin is worth."""
    bad = breaches(game, index).astype(object)
    begin = distinct(game.starts)[1]
    meanings = [range(len(stage.shares)) for stage in game.machine.rounds]
    if knows == "bit":
        early = game.properties[index]._replace(early=True)
        parts = game.protocol, game.roster, game.machine, game.layers, game.starts
        return _answer(*parts, early, index).chances
    if math.prod(map(len, meanings)) > most:
        raise Unsettled(float(math.prod(map(len, meanings))), float("inf"))
    total: Any = 0
    for drawn in itertools.product(*meanings):
        value, share = bad, Fraction(1)
        steps = zip(game.layers[:-1], game.machine.rounds, drawn, strict=True)
        for layer, stage, c in reversed(list(steps)):
            value, share = np.maximum.reduceat(value[layer.then[c]], layer.first[:-1]), share * stage.shares[c]
        total = total + share * value
    return tuple(Fraction(total[s]) for s in begin)


def ahead(layer: Layer, stage: Round, value: np.ndarray) -> np.ndarray:
    """The mean of the next round's values over the coin, by edge: one step of the recursion before liars choose."""
    return sum(share * value[layer.then[c]] for c, share in enumerate(stage.shares))


def expected_rounds(game: Game) -> Fraction:
    """The mean number of rounds until every node has settled, from the start where it takes longest, liars silent."""
    steps = list(zip(game.layers[:-1], game.machine.rounds, strict=True))
    value: Any = np.zeros(len(game.layers[-1].states), object)
    for layer, stage in reversed(steps):
        over = (layer.states @ ~stage.settled) == 0
        value = np.where(over, Fraction(0), 1 + ahead(layer, stage, value)[layer.quiet])
    return max(Fraction(v) for v in value)
