"""Moves for the checker of certificates: in plain loops, one position at a time, from the protocol's tables alone."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import Property, Protocol, Roster, TallyProtocol
from quorate.errors import Refusal
from quorate.numerics.rational import WORDS
from quorate.verify import reading
from quorate.verify.automaton import automaton
from quorate.verify.counted import kinds_of
from quorate.verify.play import Telling
from quorate.verify.tabulate import byte_rows, meanings, shares_of

Key = tuple  # a position: counts by class, or what each node proposed and a name of its ballot


class CountModel:
    """Positions are how many nodes are in each class of the automaton, which is written out anew."""

    def __init__(self, protocol: Protocol, roster: Roster, values: Sequence[int], properties: Sequence[Property]):
        self.protocol, self.roster, self.values, self.properties = protocol, roster, tuple(values), properties
        self.machine = automaton(protocol, roster.honest, roster.liars, values, properties)
        self.rounds = len(self.machine.rounds)
        self.shares = [stage.shares for stage in self.machine.rounds]
        self.cuts = [stage.cuts for stage in self.machine.rounds]
        letters = self.machine.rounds[0].says.shape[1] if self.rounds else 0
        self.told = list(itertools.product(range(roster.liars + 1), repeat=letters))

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for stage in self.machine.rounds:
            digest.update(repr((stage.cuts, stage.shares, stage.then.shape, stage.says.tolist())).encode())
            digest.update(np.ascontiguousarray(stage.then, np.int64).tobytes())
        digest.update(repr((self.machine.starts.tolist(), self.machine.marks.tolist())).encode())
        return digest.hexdigest()

    def keys(self, content: Any, round_: int) -> list[Key]:
        return [tuple(state) for state in content["layers"][round_]]

    def starts(self) -> Iterator[tuple[tuple[int, ...], Key]]:
        """(how many propose each value, position), for every way to hand out proposals."""
        machine, width = self.machine, len(self.machine.rounds[0].says)
        each = [
            list(itertools.combinations_with_replacement(range(len(self.values)), int(people)))
            for people in machine.people
        ]
        for chosen in itertools.product(*each):
            classes = [machine.starts[kind, value] for kind, some in enumerate(chosen) for value in some]
            counts = tuple(sum(some.count(value) for some in chosen) for value in range(len(self.values)))
            yield counts, _counted(classes, width)

    def _ways(self, round_: int, key: Key) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
        """For each class that has nodes: how many, and for each lie the class after it by meaning of the coin."""
        stage = self.machine.rounds[round_]
        heard = [sum(count * int(said) for count, said in zip(key, column, strict=True)) for column in stage.says.T]
        for kind, count in enumerate(key):
            if count:
                yield (
                    count,
                    [
                        tuple(
                            int(to) for to in stage.then[(slice(None), kind, *map(sum, zip(heard, lie, strict=True)))]
                        )
                        for lie in self.told
                    ],
                )

    def _width(self, round_: int) -> int:
        last = round_ + 1 == self.rounds
        return self.machine.marks.shape[1] if last else len(self.machine.rounds[round_ + 1].says)

    def lies(self, round_: int, key: Key) -> Iterator[tuple[Key, ...]]:
        """What can follow, by meaning of the coin; silence comes first."""
        meanings, width = range(len(self.shares[round_])), self._width(round_)
        each = [
            list(itertools.combinations_with_replacement(dict.fromkeys(ways), count))
            for count, ways in self._ways(round_, key)
        ]
        for chosen in itertools.product(*each):
            nodes = [to for some in chosen for to in some]
            yield tuple(_counted([to[c] for to in nodes], width) for c in meanings)

    def silence(self, round_: int, key: Key) -> tuple[Key, ...]:
        """What follows if no liar speaks."""
        nodes = [ways[0] for count, ways in self._ways(round_, key) for _ in range(count)]
        return tuple(_counted([to[c] for to in nodes], self._width(round_)) for c in range(len(self.shares[round_])))

    def broken(self, index: int, key: Key) -> bool:
        about, counts = self.properties[index], [0] * self.properties[index].marks
        for kind, count in enumerate(key):
            counts[int(self.machine.marks[index, kind])] += count
        return not bool(about.holds(self.protocol, self.roster, np.array(counts)))

    def path(self, proposals: Sequence[int], lies: Sequence[Telling], meanings: Sequence[int]) -> list[Key]:
        """The positions of a play, node by node."""
        kinds, machine = kinds_of(self.protocol, self.roster.honest), self.machine
        nodes = [int(machine.starts[kind, self.values.index(p)]) for kind, p in zip(kinds, proposals, strict=True)]
        found = [_counted(nodes, len(machine.rounds[0].says))]
        for r, (telling, c) in enumerate(zip(lies, meanings, strict=True)):
            stage = machine.rounds[r]
            honest = [sum(int(stage.says[node, part]) for node in nodes) for part in range(stage.says.shape[1])]
            heard = [
                [have + sum(bool(message[part]) for message in told if message) for part, have in enumerate(honest)]
                for told in telling
            ]
            nodes = [int(stage.then[(c, node, *total)]) for node, total in zip(nodes, heard, strict=True)]
            found.append(_counted(nodes, self._width(r)))
        return found


def _counted(classes: Sequence[int], width: int) -> Key:
    counts = [0] * width
    for kind in classes:
        counts[kind] += 1
    return tuple(counts)


class MessageModel:
    """Positions are the ballots of all nodes, each by its name (a digest of its bytes) and with what was proposed."""

    def __init__(
        self, protocol: Protocol, roster: Roster, values: Sequence[int], properties: Sequence[Property], content: Any
    ):
        self.protocol, self.roster, self.values, self.properties = protocol, roster, tuple(values), properties
        self.exchange = content["exchange"] and isinstance(protocol, TallyProtocol)
        self.alphabet = tuple(None if m is None else reading.tupled(m) for m in content["alphabet"])
        self.rounds, self.cuts, self.shares, self.tables = protocol.rounds, [], [], []
        least = reading.alphabet(protocol, roster, values, ())
        pool = reading.begun(protocol, roster, self.values, np.zeros((1, roster.honest), np.int64))[0]
        self.marks: dict[tuple[int, int, str], int] = {}
        self.pools, spoken = [pool], [*least, *reading.sayable(protocol, pool)]
        for r in range(self.rounds):
            self._read(self.keys(content, r), r)
            if r + 1 < self.rounds:
                spoken += reading.sayable(protocol, self.pools[-1])
        missing = [message for message in spoken if message not in self.alphabet]
        if missing or self.alphabet[0] is not None:
            raise Refusal(f"its liars cannot say {missing[0] if missing else 'nothing'}, which is to be tried")

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.cuts, self.shares)).encode()).hexdigest()

    def keys(self, content: Any, round_: int) -> list[Key]:
        names, size = content["ballots"][round_], len(content["ballots"][round_])
        return [
            _canonical([(code // size, names[code % size]) for code in state], self.exchange)
            for state in content["layers"][round_]
        ]

    def _read(self, keys: list[Key], r: int) -> None:
        """The table of a round, over what receivers have before them in any stored position."""
        pool = self.pools[-1]
        number = {name: i for i, name in enumerate(ballot_names(pool))}
        try:
            ballots = [[number[name] for _, name in key] for key in keys]
        except KeyError as name:
            raise Refusal(f"round {r + 1} has a ballot {name} that no node can have then") from None
        seen = {(own, *row): (own, row) for row in map(tuple, ballots) for own in row}
        own = np.array([own for own, _ in seen.values()])
        mail = np.array([row for _, row in seen.values()])
        views = reading.seen(self.protocol, pool, own, mail)
        tellings = reading.tellings(self.protocol, pool, self.alphabet, self.roster.liars)
        cuts, back, following = reading.read(self.protocol, views, tellings)
        cuts, back = meanings(cuts, back)
        names = ballot_names(following)
        self.cuts.append(cuts)
        self.shares.append(shares_of(cuts))
        self.pools.append(following)
        self.tables.append((number, {view: i for i, view in enumerate(seen)}, back, names))

    def _after(self, round_: int, key: Key) -> list[list[tuple]]:
        """[node][way to lie]: (value proposed, name of the ballot) by meaning of the coin."""
        number, views, back, names = self.tables[round_]
        row = tuple(number[name] for _, name in key)
        return [
            [tuple((value, names[to]) for to in column) for column in back[:, views[(number[name], *row)]].T]
            for value, name in key
        ]

    def starts(self) -> Iterator[tuple[tuple[int, ...], Key]]:
        for chosen in itertools.product(range(len(self.values)), repeat=self.roster.honest):
            yield tuple(chosen.count(v) for v in range(len(self.values))), self._begin(chosen)

    def _begin(self, chosen: Sequence[int]) -> Key:
        nodes = reading.begun(self.protocol, self.roster, self.values, np.array([chosen]))[1][0]
        names = ballot_names(self.pools[0])
        return _canonical([(int(node) // len(names), names[int(node) % len(names)]) for node in nodes], self.exchange)

    def lies(self, round_: int, key: Key) -> Iterator[tuple[Key, ...]]:
        meanings = range(len(self.shares[round_]))
        each = [list(dict.fromkeys(ways)) for ways in self._after(round_, key)]
        for chosen in itertools.product(*each):
            yield tuple(_canonical([to[c] for to in chosen], self.exchange) for c in meanings)

    def silence(self, round_: int, key: Key) -> tuple[Key, ...]:
        nodes = [ways[0] for ways in self._after(round_, key)]
        return tuple(_canonical([to[c] for to in nodes], self.exchange) for c in range(len(self.shares[round_])))

    def broken(self, index: int, key: Key) -> bool:
        about = self.properties[index]
        for value, name in key:
            if (index, value, name) not in self.marks:
                place = self.tables[-1][-1].index(name)
                ballot = jax.tree.map(lambda leaf, place=place: leaf[place], self.pools[-1])
                decision, proposal = self.protocol.decide(ballot)[0], jnp.int32(self.values[value])
                self.marks[index, value, name] = int(about.mark(self.protocol, proposal, decision))
        counts = np.bincount([self.marks[(index, *node)] for node in key], minlength=about.marks)
        return not bool(about.holds(self.protocol, self.roster, counts))

    def path(self, proposals: Sequence[int], lies: Sequence[Telling], meanings: Sequence[int]) -> list[Key]:
        chosen = [self.values.index(proposal) for proposal in proposals]
        names = ballot_names(self.pools[0])
        codes = reading.begun(self.protocol, self.roster, self.values, np.array([chosen]))[1][0]
        nodes = [(int(code) // len(names), names[int(code) % len(names)]) for code in codes]
        ways = {way: i for i, way in enumerate(itertools.product(self.alphabet, repeat=self.roster.liars))}
        found = [_canonical(nodes, self.exchange)]
        for r, (telling, c) in enumerate(zip(lies, meanings, strict=True)):
            order = sorted(range(len(nodes)), key=lambda i: nodes[i]) if self.exchange else range(len(nodes))
            after = self._after(r, tuple(nodes[i] for i in order))
            for place, i in enumerate(order):
                nodes[i] = after[place][ways[telling[i]]][c]
            found.append(_canonical(nodes, self.exchange))
        return found


def _canonical(nodes: Sequence[tuple[int, str]], exchange: bool) -> Key:
    return tuple(sorted(nodes)) if exchange else tuple(nodes)


def ballot_names(pool: Any) -> list[str]:
    """A name for each ballot, from its bytes."""
    return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in byte_rows(pool)]


def share_of(model: Any, round_: int, word: int) -> tuple[int, Fraction]:
    """(which meaning a word of the coin has, how likely that is)."""
    if type(word) is not int or not 0 <= word < WORDS:
        raise Refusal(f"a word of the coin is {word}; it must be a whole number from 0 to {WORDS - 1}")
    meaning = sum(word >= cut for cut in model.cuts[round_]) - 1
    return meaning, model.shares[round_][meaning]
