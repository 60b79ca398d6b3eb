"""Exhaustive: every play of a small instance, with the ballot of every honest node, for any protocol."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from quorate.core import Property, Protocol, Roster, TallyProtocol
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.verify import reading, tabulate
from quorate.verify.exact import Answer, Budget, Layer, by_willing
from quorate.verify.play import Message, Telling
from quorate.verify.strategy import Seats

MESSAGES = 64  # that liars choose from, at most


class Step(NamedTuple):
    """One round: which view each node of each position has, and what can be made of each view."""

    views: np.ndarray  # [S, N]
    rows: list[np.ndarray]  # by view: [options, C] ballots that it may become
    lies: list[np.ndarray]  # by view: [ways to lie] which of them each comes to; way 0 is silence
    raw: np.ndarray  # [E]: the number of an edge among all products of options of its position
    cuts: tuple[int, ...]
    over: list[bool]  # by meaning of the coin, whether everything that can follow is settled


class Explored(NamedTuple):
    """Every play of an instance. Positions are the ballots of all nodes, in order, each with what its node proposed."""

    protocol: Protocol
    roster: Roster
    properties: tuple[Property, ...]
    values: tuple[int, ...]
    layers: tuple[Layer, ...]
    shares: tuple[tuple[Fraction, ...], ...]
    answers: tuple[Answer, ...]
    begins: np.ndarray  # [starts]: positions
    proposals: np.ndarray  # [starts, N]: which value each node proposes
    proposed: np.ndarray  # [starts, values]
    pools: tuple[PyTree, ...]  # by round: the ballots that can occur
    steps: tuple[Step, ...]
    alphabet: tuple[Message, ...]  # what a liar may say; None is silence
    exchange: bool  # whether positions are sorted, as nodes are told apart by their ballots only

    @property
    def positions(self) -> int:
        return sum(len(layer.states) for layer in self.layers)

    @property
    def complete(self) -> bool:
        """Whether liars were given every message there is; else only those that `explore` lists."""
        return reading.complete(self.protocol, self.pools[0])

    @property
    def plays(self) -> int:
        """Ways to lie, up to the ballots they lead to, at all positions together."""
        return sum(layer.then.shape[1] for layer in self.layers)

    @property
    def histories(self) -> int:
        """Plays from a start to the end, lies that lead to the same ballots being one."""
        ways: Any = np.ones(len(self.layers[-1].states), object)
        for layer in reversed(self.layers[:-1]):
            ways = np.add.reduceat(sum(ways[then] for then in layer.then), layer.first[:-1])
        return int(sum(ways[self.begins]))

    def expected_rounds(self) -> Fraction:
        """The mean number of rounds until every node has settled, from the start where it takes longest, liars
        silent."""
        value: Any = np.full(len(self.layers[-1].states), Fraction(0))
        for layer, pool, shares in zip(
            reversed(self.layers[:-1]), reversed(self.pools[:-1]), reversed(self.shares), strict=True
        ):
            settled = tabulate.voices(self.protocol, pool)[2][layer.states % tabulate.size_of(pool)]
            ahead = sum(share * value[then[layer.quiet]] for share, then in zip(shares, layer.then, strict=True))
            value = np.where(settled.all(axis=1), Fraction(0), 1 + ahead)
        return max(value[self.begins])

    @property
    def cuts(self) -> tuple[tuple[int, ...], ...]:
        return tuple(step.cuts for step in self.steps)

    def worst(self, index: int) -> list[Fraction]:
        """The answer for property `index`, by how many nodes propose the last value: the worst start of each."""
        return by_willing(self.proposed, self.answers[index].chances, self.roster.honest)

    # ------------------------------------------------------------------------ as `strategy.Board` asks

    def seats(self, start: int) -> tuple[tuple[int, ...], Seats]:
        chosen = self.proposals[start]
        nodes = reading.begun(self.protocol, self.roster, self.values, chosen[None])[1][0]
        return tuple(self.values[i] for i in chosen), Seats(int(self.begins[start]), nodes)

    def tell(self, round_: int, seats: Seats, edge: int) -> tuple[Telling, list[Seats]]:
        step, size = self.steps[round_], tabulate.size_of(self.pools[round_])
        following = tabulate.size_of(self.pools[round_ + 1])
        order = np.argsort(seats.nodes, kind="stable") if self.exchange else np.arange(len(seats.nodes))
        views, options = self._options(round_, seats.position, edge)
        ways = self._ways(round_, seats.position, edge)
        combos = list(itertools.product(self.alphabet, repeat=self.roster.liars))
        told: list[Any] = [None] * len(order)
        after = np.empty((len(step.cuts), len(order)), np.int64)
        for place, node in enumerate(order.tolist()):
            told[node] = combos[ways[place]]
            ballots = step.rows[views[place]][options[place]]
            after[:, node] = seats.nodes[node] // size * following + ballots
        then = self.layers[round_].then[:, edge]
        return tuple(told), [Seats(int(place), nodes) for place, nodes in zip(then, after, strict=True)]

    def cost(self, round_: int, position: int, edge: int) -> tuple[int, int]:
        ways, loud = self._ways(round_, position, edge), self._loud()
        return len(ways) - max(map(ways.count, ways)), sum(int(loud[way]) for way in ways)

    def yes(self, round_: int, position: int) -> int:
        pool = self.pools[round_]
        ballots = self.layers[round_].states[position] % tabulate.size_of(pool)
        if round_ == len(self.steps):
            said, speaks = tabulate.decided(self.protocol, pool)[0], True
        else:
            said, speaks, _ = tabulate.voices(self.protocol, pool)
        first = np.asarray(jax.tree.leaves(said)[0])
        loud = (first.reshape(len(first), -1) > 0).any(axis=1) & np.asarray(speaks)
        return int(loud[ballots].sum())

    def final(self, round_: int) -> list[bool]:
        last = round_ == len(self.steps) - 1
        return [True] * len(self.steps[round_].cuts) if last else self.steps[round_].over

    def _options(self, round_: int, position: int, edge: int) -> tuple[np.ndarray, tuple[int, ...]]:
        step = self.steps[round_]
        views = step.views[position]
        sizes = [len(step.rows[view]) for view in views]
        return views, tuple(int(i) for i in np.unravel_index(step.raw[edge], sizes))

    def _ways(self, round_: int, position: int, edge: int) -> list[int]:
        """A way to lie for each place: as few different ones as can be, of those with the least said."""
        views, options = self._options(round_, position, edge)
        lies = self.steps[round_].lies
        fits = np.stack([lies[view] == option for view, option in zip(views, options, strict=True)])
        chosen, loud = np.full(len(views), -1), self._loud()
        while (chosen < 0).any():
            left = (chosen < 0)[:, None] & fits
            best = int(np.lexsort((loud, -left.sum(axis=0)))[0])
            chosen[left[:, best]] = best
        return chosen.tolist()

    def _loud(self) -> np.ndarray:
        spoken = [0 if message is None else 1 + 2 * bool(np.any([np.any(part) for part in message]))
                  for message in self.alphabet]  # fmt: skip
        return np.array([sum(way) for way in itertools.product(spoken, repeat=self.roster.liars)])


def explore(
    protocol: Protocol,
    roster: Roster,
    values: Sequence[int],
    properties: Sequence[Property],
    *,
    most: float = 2e6,
    seconds: float = 60.0,
    messages: Sequence[Message] = (),
    exchange: bool = True,
) -> Explored:
    """The chance with which the strongest attacker breaks each property, by going through every play.

    As `exact.solve`, for any protocol that throws no dice, those that read who said what included: a position is the
    ballots of all honest nodes in order. In each round, seeing all honest mail but not the coin, every liar (senders
    n .. n + t - 1) tells every receiver a message or nothing. Lies that make the same ballot of a receiver are one.

    messages    what liars may say besides what is always tried: of up to six single yes and no every message; else what
                honest nodes say in some play and, for each part that is whole numbers, the same with the smallest and
                with the largest number of its type. `Explored.complete` tells the first case, in which nothing is left
                out
    exchange    whether positions that differ only in the order of nodes are one where that is safe: for a
                `TallyProtocol`, which knows nothing of senders. Everything else about a node is in its ballot and its
                proposal, which move with it
    most, seconds   ways to lie that may be looked at, and the time; each round is counted before it is gone through
    Errors: `Refusal` for protocols that throw dice, and for liars with too many messages; `Unsettled` where the budget
    would not do.
    """
    clock = Budget(most, seconds)
    exchange = exchange and isinstance(protocol, TallyProtocol)
    alphabet = reading.alphabet(protocol, roster, values, messages)
    while True:
        found, spoken = _explored(protocol, roster, tuple(values), tuple(properties), alphabet, exchange, clock)
        more = [message for message in spoken if message not in alphabet]
        if not more:
            return found
        alphabet = (*alphabet, *more)
        if len(alphabet) > MESSAGES:
            name = type(protocol).__name__
            raise Refusal(f"{name} sends more than {MESSAGES} different messages; its lies cannot all be tried")


def _sorted(states: np.ndarray, exchange: bool) -> np.ndarray:
    return np.sort(states, axis=-1) if exchange else states


def _explored(
    protocol: Protocol,
    roster: Roster,
    values: tuple[int, ...],
    properties: tuple[Property, ...],
    alphabet: tuple[Message, ...],
    exchange: bool,
    clock: Budget,
) -> tuple[Explored, list[Message]]:
    clock.ask(float(len(values)) ** roster.honest, float(len(values)) ** roster.honest, 1)
    chosen = np.indices((len(values),) * roster.honest).reshape(roster.honest, -1).T
    pool, nodes = reading.begun(protocol, roster, values, chosen)
    nodes = _sorted(nodes, exchange)
    first, begins = tabulate.distinct(nodes)
    states = nodes[first]
    if exchange:
        chosen, begins = chosen[first], np.arange(len(first))
    layers, shares, steps, pools, spoken = [], [], [], [pool], dict.fromkeys(reading.sayable(protocol, pool))
    for left in range(protocol.rounds, 0, -1):
        layer, step, states, pool = _round(protocol, roster, states, pools[-1], alphabet, exchange, clock, left)
        layers.append(layer)
        steps.append(step)
        shares.append(tabulate.shares_of(step.cuts))
        pools.append(pool)
        if left > 1:
            spoken |= dict.fromkeys(reading.sayable(protocol, pool))
    layers.append(Layer(states, np.zeros(len(states) + 1, np.int64), np.zeros((1, 0), np.int64), np.zeros(0)))
    good = _good(protocol, roster, values, properties, states, pool)
    answers = tuple(_answer(about, row, layers, shares, begins) for about, row in zip(properties, good, strict=True))
    proposed = np.stack([(chosen == value).sum(axis=1) for value in range(len(values))], axis=1)
    told = tuple(layers), tuple(shares), answers, begins, chosen, proposed, tuple(pools), tuple(steps)
    return Explored(protocol, roster, properties, values, *told, alphabet, exchange), list(spoken)


def _round(
    protocol: Protocol,
    roster: Roster,
    states: np.ndarray,
    pool: PyTree,
    alphabet: tuple[Message, ...],
    exchange: bool,
    clock: Budget,
    left: int,
) -> tuple[Layer, Step, np.ndarray, PyTree]:
    size, nodes = tabulate.size_of(pool), roster.honest
    value, ballot = states // size, states % size
    _, sent = tabulate.unique(reading.masked(protocol, pool))
    mail = np.broadcast_to(sent[ballot][:, None, :], (len(states), nodes, nodes))
    keys = np.concatenate([ballot[:, :, None], mail], axis=2).reshape(-1, 1 + nodes)
    first, view = tabulate.distinct(keys)
    clock.ask(len(first) * len(alphabet) ** roster.liars, len(states), 1)
    views = reading.seen(protocol, pool, ballot.reshape(-1)[first], ballot[first // nodes])
    tellings = reading.tellings(protocol, pool, alphabet, roster.liars)
    cuts, back, following = reading.read(protocol, views, tellings)
    cuts, back = tabulate.meanings(cuts, back)
    rows, lies = [], []
    for table in np.moveaxis(back, 0, -1):  # [lies, C]
        some, which = tabulate.distinct(table)
        rows.append(table[some])
        lies.append(which)
    view = view.reshape(len(states), nodes)
    sizes = np.array([len(row) for row in rows], float)[view]
    clock.ask(float(sizes.prod(axis=1).sum()), float(len(states)), left)
    layer, raw, unique = _expanded(states, value, view, rows, tabulate.size_of(following), len(cuts), exchange)
    settled = tabulate.voices(protocol, following)[2]
    over = [bool(settled[np.unique(part)].all()) for part in back]
    return layer, Step(view, rows, lies, raw, cuts, over), unique, following


def _expanded(
    states: np.ndarray,
    value: np.ndarray,
    view: np.ndarray,
    rows: list[np.ndarray],
    size: int,
    meanings: int,
    exchange: bool,
) -> tuple[Layer, np.ndarray, np.ndarray]:
    pieces, raws, quiet = [], [], np.zeros(len(states), np.int64)
    for s in range(len(states)):
        options = [rows[v] for v in view[s]]
        index = np.indices([len(option) for option in options]).reshape(len(options), -1)
        after = np.stack([option[i] for option, i in zip(options, index, strict=True)], axis=2)  # [edges, C, N]
        after = _sorted(after + value[s] * size, exchange)
        raw = np.arange(len(after))
        if exchange:
            raw, back = tabulate.distinct(after.reshape(len(after), -1))
            quiet[s], after = back[0], after[raw]
        pieces.append(after)  # silence is the first option of every view, so the first product
        raws.append(raw)
    first = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    joined = np.concatenate(pieces).transpose(1, 0, 2).reshape(-1, states.shape[1])
    some, back = tabulate.distinct(joined)
    layer = Layer(states, first, back.reshape(meanings, -1), first[:-1] + quiet)
    return layer, np.concatenate(raws), joined[some]


def _good(
    protocol: Protocol,
    roster: Roster,
    values: tuple[int, ...],
    properties: tuple[Property, ...],
    states: np.ndarray,
    pool: PyTree,
) -> list[np.ndarray]:
    """For each property at which of the last positions it holds."""
    decision, size, good = tabulate.decided(protocol, pool)[0], tabulate.size_of(pool), []
    for about in properties:
        marks = np.concatenate([tabulate.marked(about, protocol, np.full(size, v), decision) for v in values])
        counts = (marks[states][:, :, None] == np.arange(about.marks)).sum(axis=1)
        good.append(np.asarray(about.holds(protocol, roster, counts), bool))
    return good


def _answer(
    about: Property, good: np.ndarray, layers: list[Layer], shares: list[tuple[Fraction, ...]], begins: np.ndarray
) -> Answer:
    value: Any = (good if about.kind == SOMETIMES else ~good).astype(object)
    values, units = [value], [1]
    for layer, chances in zip(reversed(layers[:-1]), reversed(shares), strict=True):
        unit = math.lcm(*(share.denominator for share in chances))
        after = [int(share * unit) * value[then] for share, then in zip(chances, layer.then, strict=True)]
        if about.kind == SOMETIMES:
            value = sum(after)[layer.quiet]
        elif about.early:
            value = sum(np.maximum.reduceat(part, layer.first[:-1]) for part in after)
        else:
            value = np.maximum.reduceat(sum(after), layer.first[:-1])
        values.append(value)
        units.append(units[-1] * unit)
    chances = tuple(Fraction(int(value[s]), units[-1]) for s in begins)
    return Answer(chances, tuple(values[::-1]), tuple(units[::-1]))
