"""What the best attack does: round by round in counts, as one whole play, and as all plays it may come to."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from quorate.core.property import SOMETIMES
from quorate.numerics.rational import WORDS
from quorate.verify.exact import Game, Layer
from quorate.verify.play import Play, Telling, played

NEVER = 2**30  # rounds


class Seats(NamedTuple):
    """A position by name: where it stands in its layer, and what each node is there (a class, or a ballot)."""

    position: int
    nodes: np.ndarray


class Board(Protocol):
    """A solved game as `Strategy` walks it, whatever its positions are."""

    protocol: Any
    roster: Any
    properties: Any
    answers: Any
    layers: tuple[Layer, ...]
    shares: tuple[tuple[Fraction, ...], ...]  # by round and meaning of the coin
    cuts: tuple[tuple[int, ...], ...]

    def seats(self, start: int) -> tuple[tuple[int, ...], Seats]: ...  # what each node proposes, and where it begins

    def tell(self, round_: int, seats: Seats, edge: int) -> tuple[Telling, list[Seats]]: ...  # lies, and what follows

    def cost(self, round_: int, position: int, edge: int) -> tuple[int, int]: ...  # told apart, yes: less is plainer

    def yes(self, round_: int, position: int) -> int: ...  # nodes that say yes; that decide yes in the last layer

    def final(self, round_: int) -> list[bool]: ...  # for each meaning of the coin, whether all is over then


def board(game: Any) -> Board:
    """A solved game, with its nodes by name."""
    if isinstance(game, Game):
        from quorate.verify.counted import Counted

        return Counted(game)
    return game


class Script(NamedTuple):
    """What a play is made of: what liars tell whom, the words of the coin, and how likely each is to mean the same."""

    lies: list[Telling]
    words: list[int]
    shares: list[Fraction]

    @property
    def chance(self) -> Fraction:
        chance = Fraction(1)
        for share in self.shares:
            chance *= share
        return chance


class Strategy:
    """The best attack on property `index` of a solved game. Of equally good lies it takes those that are over soonest,
    then those that tell the fewest nodes something else, then those with the fewest yes.

    sure    by round and position: broken whatever the coin says, though liars fall silent
    steps   by round and position: rounds until then, with the coin that suits liars best
    low     by round and position: what the worst attack would get
    good    by round, meaning of the coin and edge: whether it is as good as any. Meanings differ only for a property
            whose liars see the coin early
    """

    def __init__(self, game: Any, index: int):
        self.board = board(game)
        self.about, self.index = self.board.properties[index], index
        self.values = self.board.answers[index].values
        self.silent = self.about.kind == SOMETIMES
        goal = self.values[-1] > 0
        self.sure, self.steps, self.low = [goal], [np.where(goal, 0, NEVER)], [self.values[-1]]
        self.good: list[np.ndarray] = []
        self.chosen: dict[tuple[int, int, int], int] = {}
        for r in reversed(range(len(self.board.layers) - 1)):
            self._back(r)

    def _back(self, r: int) -> None:
        layer, weights = self.board.layers[r], _weights(self.board.shares[r])
        heads, owner = layer.first[:-1], np.repeat(np.arange(len(layer.states)), np.diff(layer.first))
        after = [weight * self.values[r + 1][then] for weight, then in zip(weights, layer.then, strict=True)]
        least = [weight * self.low[0][then] for weight, then in zip(weights, layer.then, strict=True)]
        if self.silent:
            best = np.stack([np.arange(len(owner)) == layer.quiet[owner]] * len(weights))
            low = sum(after)[layer.quiet]
        elif self.about.early:
            best = np.stack([part == np.maximum.reduceat(part, heads)[owner] for part in after])
            low = sum(np.minimum.reduceat(part, heads) for part in least)
        else:
            best = np.stack([sum(after) == self.values[r][owner]] * len(weights))
            low = np.minimum.reduceat(sum(least), heads)
        ahead = np.stack([np.where(self.values[r + 1][then] > 0, self.steps[0][then], NEVER) for then in layer.then])
        if not self.about.early:
            ahead = np.broadcast_to(ahead.min(axis=0), ahead.shape)
        steps = np.where(best, np.minimum(1 + ahead, NEVER), NEVER)
        fewest = np.stack([np.minimum.reduceat(row, heads) for row in steps])
        sure = np.all([self.sure[0][then] for then in layer.then[:, layer.quiet]], axis=0)
        self.good.insert(0, best & (steps == fewest[:, owner]))
        self.steps.insert(0, np.where(sure, 0, fewest.min(axis=0)))
        self.low.insert(0, low)
        self.sure.insert(0, sure)

    def moves(self, round_: int, position: int, meaning: int) -> np.ndarray:
        """Edges that are equally good."""
        first = self.board.layers[round_].first
        return first[position] + np.flatnonzero(self.good[round_][meaning, first[position] : first[position + 1]])

    def move(self, round_: int, position: int, meaning: int, look: int = 256) -> int:
        """The plainest of the first `look` of them."""
        known = round_, position, meaning if self.about.early else 0
        if known not in self.chosen:
            edges = self.moves(*known)[:look].tolist()
            alone = len(edges) == 1
            self.chosen[known] = edges[0] if alone else min(edges, key=lambda e: self.board.cost(round_, position, e))
        return self.chosen[known]

    def hopeless(self, start: int) -> bool:
        return not self.board.answers[self.index].chances[start]

    def play(self, start: int) -> Play | None:
        """The shortest play of the best attack that breaks the property (of a "sometimes": that has it hold), with the
        coin that it takes; None where there is none."""
        if self.hopeless(start):
            return None
        proposals, seats = self.board.seats(start)
        script = Script([], [], [])
        for r in range(len(self.good)):
            if self.sure[r][seats.position]:
                break
            options = [(self.steps[r + 1][one.position], -self.board.shares[r][c], c, one, telling)
                       for c, one, telling in self._onward(r, seats)]  # fmt: skip
            _, _, c, seats, telling = min(options, key=lambda option: option[:3])
            self._write(script, r, c, telling)
        return played(self.board.protocol, self.board.roster, proposals, *script)

    def _onward(self, r: int, seats: Seats) -> Iterator[tuple[int, Seats, Telling]]:
        """(meaning of the coin, what follows, what was told) wherever there is still something to be had."""
        for c in range(len(self.board.shares[r])):
            telling, after = self.board.tell(r, seats, self.move(r, seats.position, c))
            if self.values[r + 1][after[c].position] > 0:
                yield c, after[c], telling

    def _write(self, script: Script, r: int, c: int, telling: Telling) -> None:
        script.lies.append(telling)
        script.words.append(word(self.board.cuts[r], c))
        script.shares.append(self.board.shares[r][c])

    def scripts(self, start: int, most: int) -> Iterator[Script]:
        """Up to `most` plays of the best attack that break the property, likely turns of the coin first. Their chances
        add up to the answer when there are no more than `most`."""
        if self.hopeless(start):
            return
        queue = [(0, self.board.seats(start)[1], Script([], [], []))]
        while queue and most:
            r, seats, script = queue.pop()
            if self.sure[r][seats.position]:
                most -= 1
                yield script
                continue
            for c, after, telling in sorted(self._onward(r, seats), key=lambda way: self.board.shares[r][way[0]]):
                more = Script(*(list(part) for part in script))
                self._write(more, r, c, telling)
                queue.append((r + 1, after, more))

    def plan(self, start: int) -> list[dict[str, Any]] | None:
        """Along the coin that goes on, one entry a round until nothing more is to be gained: `pass`, how many honest
        nodes say yes in the next round (None if it cannot go on), and `split`, how many decide yes if this round is the
        last (None if it cannot be). None where no attack breaks the property."""
        return self._along(start, every=False)

    def alternatives(self, start: int) -> list[dict[str, Any]] | None:
        """The plan with (least, most) over all equally good moves in place of each number."""
        return self._along(start, every=True)

    def _along(self, start: int, every: bool) -> list[dict[str, Any]] | None:
        if self.hopeless(start):
            return None
        position, entries = self.board.seats(start)[1].position, []
        for r in range(len(self.good)):
            ends, on = self._coin(r, position)
            passing = [self.board.yes(r + 1, then) for then in self._reached(r, position, on, every)]
            split = [self._decided(r + 1, then) for then in self._reached(r, position, ends, every)]
            entries.append({"round": r + 1, "pass": _range(passing, every), "split": _range(split, every)})
            if on is None:
                break
            position = self._reached(r, position, on, False)[0]
            if self.values[r + 1][position] == self.low[r + 1][position]:
                break
        return entries

    def _coin(self, r: int, position: int) -> tuple[int | None, int | None]:
        """(meaning that ends, meaning that goes on), of several the one that liars would like best."""
        shares, final = self.board.shares[r], self.board.final(r)
        then = [self._reached(r, position, c, False)[0] for c in range(len(shares))]
        liked = sorted(range(len(then)), key=lambda c: (self.values[r + 1][then[c]], shares[c]), reverse=True)
        return next((c for c in liked if final[c]), None), next((c for c in liked if not final[c]), None)

    def _reached(self, r: int, position: int, meaning: int | None, every: bool) -> list[int]:
        if meaning is None:
            return []
        edges = self.moves(r, position, meaning) if every else [self.move(r, position, meaning)]
        return np.unique(self.board.layers[r].then[meaning, edges]).tolist()

    def _decided(self, r: int, position: int) -> int:
        layers = self.board.layers
        for later in range(r, len(layers) - 1):
            position = int(layers[later].then[0, layers[later].quiet[position]])
        return self.board.yes(len(layers) - 1, position)


def _range(numbers: Sequence[int], every: bool) -> Any:
    if not numbers:
        return None
    return (min(numbers), max(numbers)) if every else numbers[0]


def _weights(shares: Sequence[Fraction]) -> list[int]:
    unit = int(np.lcm.reduce([share.denominator for share in shares], dtype=object))
    return [int(share * unit) for share in shares]


def word(cuts: Sequence[int], meaning: int) -> int:
    """A word of the coin that means this, from the middle of its range, from the ends where it reaches them."""
    if meaning == len(cuts) - 1:
        return WORDS - 1
    return 0 if meaning == 0 else (cuts[meaning] + cuts[meaning + 1]) // 2


def best_play(game: Any, index: int, start: int) -> Play | None:
    """`Strategy.play`."""
    return Strategy(game, index).play(start)


def plan(game: Any, index: int, start: int) -> list[dict[str, Any]] | None:
    """`Strategy.plan`."""
    return Strategy(game, index).plan(start)


def alternatives(game: Any, index: int, start: int) -> list[dict[str, Any]] | None:
    """`Strategy.alternatives`."""
    return Strategy(game, index).alternatives(start)
