"""A game that `exact` solved over counts, with its nodes by name again."""

from typing import Any

import jax
import numpy as np

from quorate.verify.exact import Game, Ways, compositions
from quorate.verify.play import Telling
from quorate.verify.strategy import Seats
from quorate.verify.tabulate import booted, distinct, unique


class Counted:
    """Says of each edge what each node has to be told. Of the lies that lead to the same it picks as few different ones
    as can be, and of those the ones with the fewest yes."""

    def __init__(self, game: Game):
        self.game, self.protocol, self.roster, self.properties = game, game.protocol, game.roster, game.properties
        self.answers, self.layers, stages = game.answers, game.layers, game.machine.rounds
        self.shares, self.cuts = tuple(stage.shares for stage in stages), tuple(stage.cuts for stage in stages)
        self.begins = distinct(game.starts)[1]
        self.ways: dict[int, Ways] = {}
        self.decides = np.array([_is_yes(decision) for decision in game.machine.decides], np.int64)

    def seats(self, start: int) -> tuple[tuple[int, ...], Seats]:
        """Somebody who proposes what, so that classes and proposals are as often as the start says."""
        machine, which = self.game.machine, kinds_of(self.protocol, self.roster.honest)

        def filled(kind: int, counts: np.ndarray, left: np.ndarray) -> list[np.ndarray] | None:
            if kind == len(machine.people):
                return None if counts.any() else []
            for way in compositions(int(machine.people[kind]), len(left)):
                rest = counts.copy()
                np.subtract.at(rest, machine.starts[kind], way)
                if (rest >= 0).all() and (way <= left).all():
                    more = filled(kind + 1, rest, left - way)
                    if more is not None:
                        return [way, *more]
            return None

        ways = filled(0, self.game.starts[start], self.game.proposed[start])
        assert ways is not None, "a start that nobody can propose"
        chosen = np.empty(self.roster.honest, np.int64)
        for kind, way in enumerate(ways):
            chosen[which == kind] = np.repeat(np.arange(len(way)), way)[::-1]
        proposals = tuple(self.game.values[i] for i in chosen)
        return proposals, Seats(int(self.begins[start]), machine.starts[which, chosen])

    def tell(self, round_: int, seats: Seats, edge: int) -> tuple[Telling, list[Seats]]:
        ways, meanings = self._ways(round_), self.layers[round_].then[:, edge]
        after = np.empty((len(meanings), len(seats.nodes)), np.int64)
        told = np.zeros(len(seats.nodes), np.int64)
        free = {kind: np.flatnonzero(seats.nodes == kind).tolist() for kind in np.unique(seats.nodes).tolist()}
        for kind, to, count, lie in self._lies(round_, seats.position, edge):
            some, free[kind] = free[kind][:count], free[kind][count:]
            after[:, some], told[some] = to[:, None], lie
        telling = tuple(
            tuple(tuple(bool(j < yes) for yes in ways.lies[lie]) for j in range(self.roster.liars)) for lie in told
        )
        return telling, [Seats(int(place), nodes) for place, nodes in zip(meanings, after, strict=True)]

    def cost(self, round_: int, position: int, edge: int) -> tuple[int, int]:
        told: dict[int, int] = {}
        for _, _, count, lie in self._lies(round_, position, edge):
            told[lie] = told.get(lie, 0) + count
        loud = self._ways(round_).lies.sum(axis=1)
        return sum(told.values()) - max(told.values()), sum(int(loud[lie]) * many for lie, many in told.items())

    def yes(self, round_: int, position: int) -> int:
        state = self.layers[round_].states[position]
        if round_ == len(self.game.machine.rounds):
            return int(state @ self.decides)
        return int(state @ self.game.machine.rounds[round_].says[:, 0])

    def final(self, round_: int) -> list[bool]:
        rounds = self.game.machine.rounds
        if round_ == len(rounds) - 1:
            return [True] * len(rounds[round_].shares)
        return [bool(rounds[round_ + 1].settled[then].all()) for then in rounds[round_].then]

    def _ways(self, round_: int) -> Ways:
        if round_ not in self.ways:
            self.ways[round_] = Ways(self.game.machine.rounds[round_], self.roster.liars)
        return self.ways[round_]

    def _total(self, round_: int, position: int) -> int:
        ways = self._ways(round_)
        return int((self.layers[round_].states[position] @ ways.stage.says) @ ways.strides)

    def _parts(self, round_: int, position: int, edge: int) -> list[tuple[int, np.ndarray, int]]:
        """(class, classes after by meaning of the coin, how many of its nodes go there) of an edge, whose number says
        how each class is split among its ways."""
        layer, ways, total = self.layers[round_], self._ways(round_), self._total(round_, position)
        state = layer.states[position]
        rows = {kind: ways.of(kind, total)[0] for kind in np.flatnonzero(state).tolist()}
        splits = [compositions(int(state[kind]), len(rows[kind])) for kind in rows]
        number = np.unravel_index(edge - layer.first[position], [len(split) for split in splits])
        return [
            (kind, rows[kind][way], int(count))
            for kind, split, at in zip(rows, splits, number, strict=True)
            for way, count in enumerate(split[at])
            if count
        ]

    def _lies(self, round_: int, position: int, edge: int) -> list[tuple[int, np.ndarray, int, int]]:
        """The parts with the number of the lies that lead there."""
        ways, parts, total = self._ways(round_), self._parts(round_, position, edge), self._total(round_, position)
        fits = np.stack([(to == ways.flat[:, kind, total + ways.offsets].T).all(axis=1) for kind, to, _ in parts])
        people, loud = np.array([count for _, _, count in parts]), ways.lies.sum(axis=1)
        chosen = np.full(len(parts), -1)
        while (chosen < 0).any():
            left = (chosen < 0)[:, None] & fits
            best = int(np.lexsort((loud, -(people @ left)))[0])
            chosen[left[:, best]] = best
        return [(*part, int(lie)) for part, lie in zip(parts, chosen, strict=True)]


def kinds_of(protocol: Any, honest: int) -> np.ndarray:
    """Of which kind each node is, numbered as `automaton` does."""
    states = booted(protocol, honest)
    return unique(states)[1] if jax.tree.leaves(states) else np.zeros(honest, np.int64)


def _is_yes(decision: Any) -> bool:
    return bool(np.any(np.asarray(jax.tree.leaves(decision)[0]) > 0))
