"""What a value of a fleet file may be: kinds that check one value, and tables made of them."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorate.errors import Refusal, nearest
from quorate.recipes.compare.toml_lines import Document, Path

MOST = 1e18  # no number of a fleet is that large


class Range(NamedTuple):
    """Uniform between two numbers, both included; one number is a range of no width.

    >>> Range(1.0, 3.0).middle, Range(2.0, 2.0).width
    (2.0, 0.0)
    """

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        return self.high - self.low


class Mistakes:
    """What is wrong with a file, each with its place; all are told at once, in the order of the file."""

    def __init__(self, document: Document):
        self.document = document
        self.found: list[tuple[int, str]] = []

    def add(self, where: Path, message: str, value: bool = False) -> None:
        span = self.document.spans.get(where)
        offset = 0 if span is None else span.start if value else span.key
        self.found.append((offset, f"{self.document.at(where, value)}: {message}"))

    def tell(self) -> None:
        """Refuses if there is any."""
        if self.found:
            raise Refusal(*dict.fromkeys(message for _, message in sorted(self.found)))


class Wrong(Exception):
    """A value that its kind does not take: `message`, and which element of it, if one."""

    def __init__(self, message: str, *element: str | int):
        super().__init__(message)
        self.element = element


def listed(messages: list[str], most: int = 20) -> list[str]:
    """The first `most` of them and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    ['a', 'b', 'and 1 more']
    """
    more = len(messages) - most
    return messages if more <= 0 else [*messages[:most], f"and {more} more"]


def hint(name: str, allowed: Iterable[str]) -> str:
    """The nearest name, else all of them, or the first twelve.

    >>> hint("sped", ["speed", "sight"]), hint("x", ["speed", "sight"])
    ('did you mean speed?', 'there are speed, sight')
    """
    allowed = list(allowed)
    close = nearest(name, allowed)
    if close:
        return f"did you mean {close}?"
    more = f" and {len(allowed) - 12} more" if len(allowed) > 13 else ""
    return "there are " + ", ".join(allowed[:12] if more else allowed) + more


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most` (both allowed); `whole`: no fraction; `ranged`: or [low, high]."""

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    ranged: bool = False
    endless: bool = False  # inf is allowed

    @property
    def about(self) -> str:
        """What it takes, in words."""
        noun = "a whole number" if self.whole else "a number"
        if self.least > -math.inf and self.most < math.inf:
            noun += f" from {_spelt(self.least)} to {_spelt(self.most)}"
        elif self.least > -math.inf:
            noun += f" of at least {self.least:g}"
        elif self.most < math.inf:
            noun += f" of at most {self.most:g}"
        return noun + (", or a range [low, high] of them" if self.ranged else "")

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, list):
            number = self.one(value)
            return Range(number, number) if self.ranged else number
        if not self.ranged:
            raise Wrong(f"it must be {self.about}; no range here")
        if len(value) != 2:
            raise Wrong("a range has two ends, [low, high]")
        ends = []
        for index, end in enumerate(value):
            try:
                ends.append(self.one(end))
            except Wrong as wrong:
                raise Wrong(str(wrong), index) from None
        if ends[0] > ends[1]:
            raise Wrong("the low end of a range stands first")
        return Range(*ends)

    def one(self, value: Any) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Wrong(f"it must be {self.about}")
        if not (abs(value) < MOST or self.endless and value == math.inf):
            raise Wrong(f"it must be a finite number, and less than {MOST:g}")
        if self.whole and value != int(value) or not self.least <= value <= self.most:
            raise Wrong(f"it must be {self.about}")
        return int(value) if self.whole else float(value)


def _spelt(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


@dataclass(frozen=True)
class Flag:
    def __call__(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Wrong("it must be true or false")
        return value


@dataclass(frozen=True)
class Text:
    about: str

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise Wrong(f"it must be {self.about}, in quotes")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    allowed: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if value not in self.allowed:
            close = nearest(value, self.allowed) if isinstance(value, str) else None
            raise Wrong(f"it can be {', '.join(self.allowed)}" + (f"; did you mean {close}?" if close else ""))
        return value


@dataclass(frozen=True)
class Names:
    """A list of different words: `allowed`, or any. `why` tells of some that are not allowed why."""

    about: str
    allowed: tuple[str, ...] = ()
    why: Callable[[str], str | None] = lambda name: None

    def __call__(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Wrong(f"it must be a list of {self.about} such as [{self.example}]")
        for index, name in enumerate(value):
            if not isinstance(name, str) or not name or any(letter.isspace() for letter in name):
                raise Wrong(f"it must be a word without spaces, one of the {self.about}", index)
            if self.allowed and name not in self.allowed:
                raise Wrong(self.why(name) or hint(name, self.allowed), index)
            if name in value[:index]:
                raise Wrong("it stands there twice", index)
        return tuple(value)

    @property
    def example(self) -> str:
        return ", ".join(f'"{name}"' for name in (self.allowed or ("lift", "cool"))[:2])


@dataclass(frozen=True)
class Shares:
    """Words with a share each: { lift = 0.6, cool = 0.3 }. A plain list gives each of them the share `plain`, or
    equal shares if that is None; `whole`: together they may not exceed 1. Gives pairs (word, share)."""

    about: str
    plain: float | None = 1.0
    whole: bool = False

    def __call__(self, value: Any) -> tuple[tuple[str, float], ...]:
        if isinstance(value, list):
            names = Names(self.about)(value)
            share = 1 / max(1, len(names)) if self.plain is None else self.plain
            return tuple((name, share) for name in names)
        if not isinstance(value, dict):
            raise Wrong(f'it must be a list of {self.about} such as ["lift"], or their shares {{ lift = 0.6 }}')
        shares = {}
        for name, share in value.items():
            try:
                shares[name] = Number(0, 1).one(share)
            except Wrong as wrong:
                raise Wrong(str(wrong), name) from None
            if not name or any(letter.isspace() for letter in name):
                raise Wrong("it must be a word without spaces", name)
        if self.whole and sum(shares.values()) > 1 + 1e-9:
            raise Wrong(f"the shares sum to {sum(shares.values()):g}; they may not exceed 1")
        return tuple(shares.items())


@dataclass(frozen=True)
class Pair:
    """Two numbers that are no range: a point or a size."""

    about: str
    least: float = -math.inf

    def __call__(self, value: Any) -> tuple[float, float]:
        if not isinstance(value, list) or len(value) != 2:
            raise Wrong(f"it must be {self.about}")
        for index, number in enumerate(value):
            try:
                Number(least=self.least).one(number)
            except Wrong as wrong:
                raise Wrong(str(wrong), index) from None
        return float(value[0]), float(value[1])


def key(default: Any, kind: Any, about: str) -> Any:
    """A field of a table: its default, what it takes (a kind, or the class of a table), what it means."""
    return field(default=default, metadata={"kind": kind, "about": about})


def table(cls: type, data: Any, where: Path, mistakes: Mistakes) -> Any:
    """`data` as an instance of a dataclass whose fields are made by `key`; every mistake is noted, none stops it."""
    if not isinstance(data, dict):
        mistakes.add(where, f"{_called(where)} is {mistakes.document.typed(where)}; it must be a table", value=True)
        return cls()
    fields = {item.name: item for item in dataclasses.fields(cls) if "kind" in item.metadata}
    values = {}
    for name, value in data.items():
        path = (*where, name)
        if name not in fields:
            group = f" in {_called(where)}" if where else ""
            mistakes.add(path, f'no key{group} is called "{name}"; {hint(name, fields)}')
            continue
        kind = fields[name].metadata["kind"]
        if isinstance(kind, list):
            values[name] = _tables(kind[0], value, path, mistakes)
        elif dataclasses.is_dataclass(kind) and isinstance(kind, type):
            values[name] = table(kind, value, path, mistakes)
        else:
            _note(values, kind, value, path, mistakes)
    return cls(**values)


def _tables(cls: type, data: Any, where: Path, mistakes: Mistakes) -> tuple:
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        mistakes.add(where, f"{where[-1]} are tables, each begun by [[{where[-1]}]]")
        return ()
    return tuple(table(cls, item, (*where, index), mistakes) for index, item in enumerate(data))


def _note(values: dict, kind: Any, value: Any, path: Path, mistakes: Mistakes) -> None:
    try:
        values[path[-1]] = kind(value)
    except Wrong as wrong:
        place = (*path, *wrong.element)
        typed = mistakes.document.typed(place)
        named = ".".join((str(path[-1]), *(step for step in wrong.element if isinstance(step, str))))
        whose = f"{named} holds" if any(isinstance(step, int) for step in wrong.element) else f"{named} is"
        mistakes.add(place, f"{whose} {typed}; {wrong}", value=True)


def _called(where: Path) -> str:
    """The table as one writes it: [[agents]], [tasks], faults.crash."""
    words = [str(step) for step in where if isinstance(step, str)]
    name = ".".join(words)
    if len(words) > 1 or not words:
        return name
    return f"[[{name}]]" if isinstance(where[-1], int) else f"[{name}]"
