"""Certificates: a result on file that can be checked without the solver that found it."""

import hashlib
import importlib
import json
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quorate import __version__
from quorate import arguments as arguing
from quorate.core import Protocol, Registered, Roster
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.protocols import protocol as registered
from quorate.verify import reading
from quorate.verify.check import instance
from quorate.verify.exact import Game
from quorate.verify.explore import Explored
from quorate.verify.model import CountModel, MessageModel, ballot_names, share_of
from quorate.verify.play import Play, Telling, Turn, breaks, replayed
from quorate.verify.strategy import Strategy, board

FORMAT = 1
PLAYS = 64  # of one start and property that are written down, at most
TOGETHER = 256  # plays that are replayed at once


class Proven(NamedTuple):
    """One property at one start: how many nodes propose each value, and the chance of a breach (of a "sometimes": the
    chance that it holds while liars are silent) between what replayed plays show and what no attack exceeds."""

    proposed: tuple[int, ...]
    lower: Fraction
    upper: Fraction


class Checked(NamedTuple):
    """What a certificate proves. `allowed` and `starts` go by property; `speaks` marks the starts it speaks of."""

    name: str
    options: dict[str, Any]
    method: str
    protocol: Protocol
    entry: Registered
    roster: Roster
    words: tuple[str, ...]
    allowed: tuple[Fraction, ...]
    starts: tuple[tuple[Proven, ...], ...]
    speaks: tuple[tuple[bool, ...], ...]
    positions: int
    plays: int

    @property
    def exact(self) -> bool:
        """Whether both bounds meet everywhere."""
        return all(one.lower == one.upper for starts in self.starts for one in starts)

    def worst(self, index: int) -> list[Fraction]:
        """The upper bound for property `index`, by how many nodes propose the last value: the worst start of each."""
        most: list[Fraction] = [Fraction(0)] * (self.roster.honest + 1)
        for one in self.starts[index]:
            most[one.proposed[-1]] = max(most[one.proposed[-1]], one.upper)
        return most

    def bounds(self, index: int) -> tuple[Fraction, Fraction]:
        """(lower, upper) for the worst start that property `index` speaks of; (0, 0) where it speaks of none."""
        counted = [one for one, here in zip(self.starts[index], self.speaks[index], strict=True) if here]
        none = Fraction(0)
        return max((one.lower for one in counted), default=none), max((one.upper for one in counted), default=none)

    def holds(self, index: int) -> bool:
        """Whether property `index` is proved to hold."""
        counted = [one for one, here in zip(self.starts[index], self.speaks[index], strict=True) if here]
        if self.entry.properties[index].kind == SOMETIMES:
            return any(one.lower > 0 for one in counted)
        return all(one.upper <= self.allowed[index] for one in counted)


# ------------------------------------------------------------------------------------------------------------ writing


def write(game: Game | Explored, path: Path | str, name: str, options: dict[str, Any], plays: int = PLAYS) -> None:
    """Writes what was solved: `name` and `options` remake the protocol (`PROTOCOLS[name].make`).

    plays   of the best attack on each property from each start, at most; with fewer than there are the lower bound
            stays below the upper one
    """
    entry = registered(name)
    counted = isinstance(game, Game)
    model: Any = CountModel(game.protocol, game.roster, game.values, game.properties) if counted else None
    content: dict[str, Any] = {
        "certificate": FORMAT,
        "version": __version__,
        "protocol": name,
        "options": {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()},
        "roster": list(game.roster),
        "sources": sources(entry, game.protocol),
        "method": "exact" if counted else "exhaustive",
        "layers": [layer.states.tolist() for layer in game.layers],
        "tables": model.fingerprint() if counted else None,
        "values": [[_numbers(row) for row in answer.values] for answer in game.answers],
        "units": [[str(unit) for unit in answer.units] for answer in game.answers],
        "starts": [list(board(game).seats(start)[0]) for start in range(len(game.proposed))],
        "chances": [[str(chance) for chance in answer.chances] for answer in game.answers],
    }
    if not counted:
        content["ballots"] = [ballot_names(pool) for pool in game.pools]
        content["exchange"] = game.exchange
    letters: dict[Any, int] = {} if counted else {message: i for i, message in enumerate(game.alphabet)}
    content["plays"] = [_plays(game, index, letters, plays) for index in range(len(game.properties))]
    content["alphabet"] = list(letters)
    content["digest"] = _digest(content)
    path = Path(path)
    part = path.with_name(path.name + ".writing")
    part.write_bytes(_bytes(content))
    os.replace(part, path)


def _numbers(row: np.ndarray) -> list[int]:
    return [int(value) for value in row]


def _plays(game: Any, index: int, letters: dict[Any, int], most: int) -> list[Any]:
    """By start the plays of the best attack; none for a "sometimes", in which liars are silent."""
    if game.properties[index].kind == SOMETIMES:
        return []
    strategy = Strategy(game, index)
    return [
        [
            {
                "lies": [
                    [letters.setdefault(message, len(letters)) for told in telling for message in told]
                    for telling in script.lies
                ],
                "words": script.words,
            }
            for script in strategy.scripts(start, most)
        ]
        for start in range(len(game.proposed))
    ]


def sources(entry: Registered, protocol: Protocol) -> dict[str, str]:
    """SHA-256 of every source file that says what the protocol does and promises, by module."""
    parts = [entry.make, *(part for about in entry.properties for part in (about.mark, about.holds, about.when))]
    modules = {part.__module__ for part in parts} | {kind.__module__ for kind in type(protocol).__mro__}
    names = sorted(name for name in modules if name.split(".")[0] not in ("builtins", "equinox", "abc", "typing"))
    return {name: hashlib.sha256(_source(name)).hexdigest() for name in names}


def _source(module: str) -> bytes:
    return Path(str(importlib.import_module(module).__file__)).read_bytes()


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_bytes({key: value for key, value in content.items() if key != "digest"})).hexdigest()


def _bytes(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


# ----------------------------------------------------------------------------------------------------------- checking


def check(path: Path | str) -> Checked:
    """What the certificate at `path` proves, without the solver.

    Below: its plays are replayed message by message through `comms.converse`, with the lies and the coin that are
    written down; they belong to one attack, which never looks at a coin too early, and their chances add up. Above: at
    every stored position, every lie leads to stored positions s', with V(s) >= sum over meanings of share V(s'), and at
    the end V is 1 where the property is broken; so by induction no attack exceeds V at the starts, all of which are
    there. Errors: `Refusal` for a file that is missing, changed in any byte, of another format, about another source of
    the protocol, or that does not prove what it says.

    Shared with the solver: method "exact" rebuilds positions (`CountModel`) with the same automaton, its merging of
    classes and its bisection of the coin, so the upper bound shares them; the lower bound goes through `converse`.
    Lies of method "exhaustive" are those that `explore` tries.
    """
    content = _read(path)
    try:
        return _checked(content)
    except Refusal as refused:
        raise Refusal(f"{path}: {refused}") from None
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError) as error:
        raise Refusal(f"{path}: the certificate is malformed ({type(error).__name__}: {error})") from None


def _read(path: Path | str) -> dict[str, Any]:
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise Refusal(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    try:
        content = json.loads(raw.decode())
        if not isinstance(content, dict) or "certificate" not in content:
            raise Refusal(f"{path}: not a certificate; quorate verify --certificate FILE writes one")
        whole = _bytes(content)
    except (ValueError, RecursionError):
        raise Refusal(f"{path}: not a certificate, for it is no JSON") from None
    if content["certificate"] != FORMAT:
        raise Refusal(f"{path}: a certificate of format {content['certificate']}; this version reads format {FORMAT}")
    if whole != raw or content.get("digest") != _digest(content):
        raise Refusal(f"{path}: changed since it was written; its digest differs")
    return content


def _checked(content: dict[str, Any]) -> Checked:
    name, entry = content["protocol"], registered(content["protocol"])
    options = arguing.converted(arguing.of(entry.make), content["options"])
    _, protocol, roster, _ = instance(entry, False, options)
    if content["roster"] != list(roster):
        raise Refusal(f"it is about a roster of {content['roster']}, and its options make one of {list(roster)}")
    now = sources(entry, protocol)
    for module in sorted(now.keys() | content["sources"].keys()):
        if now.get(module) != content["sources"].get(module):
            raise Refusal(f"it proves something about another {name}: {module} has another source now")
    model = _model(content, protocol, roster, entry)
    stored = [{key: i for i, key in enumerate(model.keys(content, r))} for r in range(model.rounds + 1)]
    begins = [model.path(proposals, [], [])[0] for proposals in content["starts"]]
    if {key for _, key in model.starts()} - set(begins):
        raise Refusal("a start is missing")
    proofs = [_Proof(content, model, stored, index) for index in range(len(entry.properties))]
    for r in range(model.rounds):
        for key, place in stored[r].items():
            after = [tuple(_found(stored, r + 1, then) for then in row) for row in model.lies(r, key)]
            for proof in proofs:
                proof.back_up(r, place, after)
    quiet = _quiet(model, stored)
    proven, replays = [], 0
    for proof in proofs:
        lower, number = proof.lower(content["starts"], quiet)
        proven.append(tuple(proof.at(begin, low) for begin, low in zip(begins, lower, strict=True)))
        replays += number
    counts = np.array([[row.count(value) for value in entry.values] for row in content["starts"]])
    starts = tuple(
        tuple(Proven(tuple(map(int, row)), *bounds) for row, bounds in zip(counts, bounds_, strict=True))
        for bounds_ in proven
    )
    return Checked(
        name,
        options,
        content["method"],
        protocol,
        entry,
        roster,
        tuple(about.words(protocol, roster) for about in entry.properties),
        tuple(about.at_most(protocol, roster) for about in entry.properties),
        starts,
        tuple(tuple(map(bool, about.when(protocol, roster, counts))) for about in entry.properties),
        sum(map(len, stored)),
        replays,
    )


def _model(content: dict[str, Any], protocol: Protocol, roster: Roster, entry: Registered) -> Any:
    if content["method"] == "exhaustive":
        return MessageModel(protocol, roster, entry.values, entry.properties, content)
    model = CountModel(protocol, roster, entry.values, entry.properties)
    if model.fingerprint() != content["tables"]:
        raise Refusal("the protocol's tables come out otherwise in this version")
    return model


def _found(stored: list[dict], round_: int, key: Any) -> int:
    if key not in stored[round_]:
        raise Refusal(f"a lie in round {round_} leads to a position that is not stored")
    return stored[round_][key]


def _quiet(model: Any, stored: list[dict]) -> list[list[list[int]]]:
    """By round and position: what follows if liars are silent, by meaning of the coin."""
    found = []
    for r in range(model.rounds):
        row: list[list[int]] = [[] for _ in stored[r]]
        for key, place in stored[r].items():
            row[place] = [stored[r + 1][then] for then in model.silence(r, key)]
        found.append(row)
    return found


class _Proof:
    """The check of one property. It is made with the ends, then backed up round by round, then told its plays."""

    def __init__(self, content: dict[str, Any], model: Any, stored: list[dict], index: int):
        self.model, self.stored, self.index, self.about = model, stored, index, model.properties[index]
        self.values, self.units = content["values"][index], [_unit(text) for text in content["units"][index]]
        self.claims = [Fraction(chance) for chance in content["chances"][index]]
        self.plays, self.alphabet = content["plays"][index], content["alphabet"]
        self.silent = self.about.kind == SOMETIMES
        if [len(row) for row in self.values] != [len(row) for row in stored] or self.units[-1] != 1:
            raise Refusal("values and positions do not belong together")
        for row, unit in zip(self.values, self.units, strict=True):
            if not all(type(value) is int and 0 <= value <= unit for value in row):
                raise Refusal(f"a value is no whole number from 0 to its unit, {unit}")
        self.weights = []
        for r, shares in enumerate(model.shares):
            weights = [share * self.units[r] / self.units[r + 1] for share in shares]
            if any(weight.denominator != 1 for weight in weights):
                raise Refusal(f"the chances of the coin in round {r + 1} do not fit the values")
            self.weights.append([weight.numerator for weight in weights])
        for key, place in stored[-1].items():
            broken = model.broken(index, key)
            if self.values[-1][place] != (not broken if self.silent else broken):
                raise Refusal(f"the end {key} is judged wrongly")

    def back_up(self, r: int, place: int, after: Sequence[tuple[int, ...]]) -> None:
        """One Bellman backup, over all lies at a position; silence comes first among them."""
        value, later, weights = self.values[r][place], self.values[r + 1], self.weights[r]
        if self.silent:
            right = value == sum(w * later[to] for w, to in zip(weights, after[0], strict=True))
        elif self.about.early:
            right = value >= sum(w * max(later[row[c]] for row in after) for c, w in enumerate(weights))
        else:
            right = all(value >= sum(w * later[to] for w, to in zip(weights, row, strict=True)) for row in after)
        if not right:
            raise Refusal(f"position {place} of round {r + 1} is worth more than is written down")

    def at(self, begin: Any, lower: Fraction | None) -> tuple[Fraction, Fraction]:
        """(lower, upper) at a start; a "sometimes" is worth what it is."""
        upper = Fraction(self.values[0][_found(self.stored, 0, begin)], self.units[0])
        if lower is not None and lower > upper:
            raise Refusal(f"its plays reach {lower} from a start that is worth {upper}")
        return (upper if lower is None else lower), upper

    def lower(self, starts: Sequence[Sequence[int]], quiet: list) -> tuple[list[Fraction | None], int]:
        """By start the chance of the plays that are written down, and how many they are."""
        if len(self.claims) != len(starts):
            raise Refusal("a chance is missing")
        for proposals, claim in zip(starts, self.claims, strict=True):
            if self.at(self.model.path(proposals, [], [])[0], None)[1] != claim:
                raise Refusal(f"the chance {claim} is not the value of its start")
        if self.silent:
            return [None] * len(starts), 0
        sure = self._sure(quiet)
        plays = [
            [self._play(proposals, one) for one in scripts]
            for proposals, scripts in zip(starts, self.plays, strict=True)
        ]
        flat = [play for some in plays for play, _ in some]
        for first in range(0, len(flat), TOGETHER):
            some = flat[first : first + TOGETHER]
            for play, decisions in zip(some, replayed(self.model.protocol, *some), strict=True):
                if not breaks(self.model.protocol, self.about, play, decisions):
                    raise Refusal("a play that is written down breaks nothing")
        found: list[Fraction | None] = []
        for some in plays:
            self._one_attack(some)
            for play, meanings in some:
                last = self.model.path(play.proposals, [turn.lies for turn in play.turns], meanings)[-1]
                if not sure[len(play.turns)][_found(self.stored, len(play.turns), last)]:
                    raise Refusal("a play ends before all is decided")
            found.append(sum((play.chance for play, _ in some), Fraction(0)))
        return found, len(flat)

    def _sure(self, quiet: list) -> list[list[bool]]:
        """By round and position whether it is broken whatever the coin says, though liars fall silent."""
        found = [[bool(value) for value in self.values[-1]]]
        for row in reversed(quiet):
            found.insert(0, [all(found[0][to] for to in after) for after in row])
        return found

    def _play(self, proposals: Sequence[int], script: dict[str, Any]) -> tuple[Play, tuple[int, ...]]:
        """(the play, what its coin means)."""
        roster, turns, meanings = self.model.roster, [], []
        for r, (told, word) in enumerate(zip(script["lies"], script["words"], strict=True)):
            if len(told) != roster.honest * roster.liars:
                raise Refusal("a play tells another number of nodes")
            messages = [self.alphabet[letter] for letter in told]
            said = [None if message is None else reading.tupled(message) for message in messages]
            lies: Telling = tuple(tuple(said[i * roster.liars : (i + 1) * roster.liars]) for i in range(roster.honest))
            meaning, share = share_of(self.model, r, word)
            meanings.append(meaning)
            turns.append(Turn(word, share, (), lies, (), (), ()))
        return Play(roster, tuple(proposals), tuple(turns), ()), tuple(meanings)

    def _one_attack(self, plays: Sequence[tuple[Play, tuple[int, ...]]]) -> None:
        """Plays whose coin has meant the same so far have told the same; none goes on where another ends."""
        told: dict[tuple[int, ...], Telling] = {}
        ends = {meanings for _, meanings in plays}
        if len(ends) < len(plays):
            raise Refusal("a play is counted twice")
        for play, meanings in plays:
            for r, turn in enumerate(play.turns):
                if meanings[:r] in ends:
                    raise Refusal("a play is counted twice")
                known = meanings[: r + 1] if self.about.early else meanings[:r]
                if told.setdefault(known, turn.lies) != turn.lies:
                    raise Refusal("the plays look at a coin before it is tossed")


def _unit(text: Any) -> int:
    if not isinstance(text, str) or not text.isdecimal() or int(text) < 1:
        raise Refusal(f"a unit is {text}; it must be a whole number, at least 1")
    return int(text)
