"""Arguments of a recipe or a protocol: read off a signature, converted and checked by one set of parsers for the
command line and for Python.

A keyword says what it is by `Annotated[type, Kind("what it means")]`; a kind turns what was given into a
value or refuses it.
"""

import inspect
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from quorate.errors import Refusal, nearest

MOST = 10_000  # numbers that one range may hold
REQUIRED = inspect.Parameter.empty  # the default of an argument that must be given


def typed(given: Any) -> str:
    """What was given as it stands in an error; what would be invisible is quoted.

    >>> typed("abc"), typed(""), typed(0)
    ('abc', '""', '0')
    """
    text = str(given)
    if text and text == text.strip() and text.isprintable():
        return text
    return f'"{text.encode("unicode_escape").decode()}"'


def whole(flag: str, text: Any) -> int:
    """A whole number; `1e6` and `100_000` are written as such.

    >>> whole("--runs", "1e6"), whole("--runs", 12)
    (1000000, 12)
    """
    try:
        number = float(text) if isinstance(text, str) else text
        if isinstance(number, bool) or number != int(number):
            raise ValueError
        return int(number)
    except (ValueError, TypeError, OverflowError):
        raise Refusal(f"{flag} is {typed(text)}; it must be a whole number such as 50 or 1e6") from None


@dataclass(frozen=True)
class Count:
    """One whole number, at least `least` and at most `most`."""

    about: str
    least: int = 1
    most: int = 2**31 - 1

    def __call__(self, flag: str, given: Any) -> int:
        number = whole(flag, given)
        if number < self.least:
            counted = self.about.split(";")[0]
            raise Refusal(f"{flag} is {given}; it counts {counted} and must be at least {self.least}")
        if number > self.most:
            raise Refusal(f"{flag} is {given}; it can be at most {self.most}")
        return number


@dataclass(frozen=True)
class Counts(Count):
    """Several whole numbers: `50,100,1000`, `1..12`, or a Python sequence."""

    def __call__(self, flag: str, given: Any) -> tuple[int, ...]:
        if isinstance(given, str):
            pieces: list[Any] = []
            for piece in given.split(","):
                if ".." in piece:
                    low, high = (whole(flag, end) for end in piece.split("..", 1))
                    if low > high:
                        raise Refusal(f"{flag} is {given}; the range {piece} is empty")
                    if high - low >= MOST:
                        raise Refusal(f"{flag} is {given}; a range may hold at most {MOST} numbers")
                    pieces.extend(range(low, high + 1))
                else:
                    pieces.append(piece)
        else:
            pieces = list(given) if isinstance(given, Iterable) else [given]
        if not pieces:
            raise Refusal(f"{flag} is empty; it takes whole numbers such as 50,100")
        numbers = tuple(Count.__call__(self, flag, piece) for piece in pieces)
        if len(set(numbers)) < len(numbers):
            raise Refusal(f"{flag} is {given}; each number may stand there once")
        return numbers


@dataclass(frozen=True)
class Each(Count):
    """One whole number for all, or one for each of them: `2` or `2,2,1,2`."""

    def __call__(self, flag: str, given: Any) -> int | tuple[int, ...]:
        if isinstance(given, str) and "," not in given or not isinstance(given, str | Iterable):
            return Count.__call__(self, flag, given)
        pieces = given.split(",") if isinstance(given, str) else list(given)
        if not pieces:
            raise Refusal(f"{flag} is empty; it takes one whole number, or one for each")
        return tuple(Count.__call__(self, flag, piece) for piece in pieces)


@dataclass(frozen=True)
class Share:
    """A number from 0 to 1."""

    about: str

    def __call__(self, flag: str, given: Any) -> float:
        try:
            number = float(given)
        except (ValueError, TypeError):
            raise Refusal(f"{flag} is {typed(given)}; it must be a number from 0 to 1") from None
        if not 0 <= number <= 1:
            raise Refusal(f"{flag} is {given}; it is a share and must lie between 0 and 1")
        return number


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    about: str
    allowed: tuple[str, ...]

    def __call__(self, flag: str, given: Any) -> str:
        if given not in self.allowed:
            close = nearest(str(given), self.allowed)
            hint = f"; did you mean {close}?" if close else ""
            raise Refusal(f"{flag} is {typed(given)}; it can be {', '.join(self.allowed)}{hint}")
        return given


@dataclass(frozen=True)
class Text:
    """Words in a form of their own, which whoever takes them checks."""

    about: str

    def __call__(self, flag: str, given: Any) -> str:
        if not isinstance(given, str) or not given.strip():
            raise Refusal(f"{flag} is {typed(given)}; it takes {self.about.split(':')[0]}")
        return given


@dataclass(frozen=True)
class File:
    """A file to read; that it can be read is seen when it is."""

    about: str

    def __call__(self, flag: str, given: Any) -> Path:
        if not isinstance(given, str | Path) or not str(given):
            raise Refusal(f"{flag} is {typed(given)}; it must name a file")
        return Path(given)


class Argument(typing.NamedTuple):
    name: str  # as in Python
    kind: Any
    default: Any

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def convert(self, given: Any) -> Any:
        if given is None and self.default is REQUIRED:
            raise Refusal(f"{self.flag} is missing; it counts {self.kind.about.split(';')[0]}")
        return self.default if given is None else self.kind(self.flag, given)


@cache
def of(function: Callable) -> list[Argument]:
    """The annotated keywords of a recipe's `main`, in order."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        metadata = getattr(hints.get(name), "__metadata__", ())
        if metadata:
            found.append(Argument(name, metadata[0], parameter.default))
    return found


def converted(arguments: list[Argument], given: dict[str, Any], flags: bool = False) -> dict[str, Any]:
    """Every argument with its value, defaults filled in. A name that does not exist is refused with the nearest one."""
    known = {argument.name: argument for argument in arguments}
    for name in given:
        if name not in known:
            shown, allowed = (name, known) if not flags else ("--" + name, [a.flag for a in arguments])
            close = nearest(shown, allowed)
            hint = f"; did you mean {close}?" if close else "; there are " + ", ".join(allowed)
            raise Refusal(f"no option is called {shown}{hint}")
    return {name: argument.convert(given.get(name)) for name, argument in known.items()}


def written(value: Any) -> Any:
    """A value as it stands in arguments.json and in a command line.

    >>> written((50, 100)), written(1e-3)
    ('50,100', 0.001)
    """
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value) if isinstance(value, Path) else value
