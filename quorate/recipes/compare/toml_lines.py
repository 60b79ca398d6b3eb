"""Where each key of a TOML file stands. The standard library's reader gives values without their places."""

import os
import re
import tomllib
from typing import Any, NamedTuple

from quorate.errors import Refusal, nearest

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_REST = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")  # what may stand between two elements
_PLAIN = re.compile(r"[^,\]}#\r\n]*")  # a number, a word, a date
_STRINGS = tuple(
    re.compile(pattern, re.S)
    for pattern in (r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', r"'''.*?'''(?:'{0,2})", r'"(?:\\.|[^"\\])*"', r"'[^']*'")
)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Span(NamedTuple):
    """A key and its value in a text: 0-based offsets; the key of an element of an array is the element itself."""

    key: int
    start: int
    end: int


class Document(NamedTuple):
    """A TOML file that was read: its `path` as given, its `text`, the plain `data`, and a Span for each path."""

    path: str
    text: str
    data: dict[str, Any]
    spans: dict[Path, Span]

    def at(self, where: Path, value: bool = False) -> str:
        """`file:line:column` of a key, or of its value; of the nearest table around it where it is not written."""
        while where and where not in self.spans:
            where = where[:-1]
        span = self.spans.get(where, Span(0, 0, 0))
        line, column = line_and_column(self.text, span.start if value else span.key)
        return f"{self.path}:{line}:{column}"

    def typed(self, where: Path) -> str:
        """A value as it was typed, cut to 40 characters."""
        span = self.spans[where]
        text = " ".join(self.text[span.start : span.end].split())
        return text if len(text) <= 40 else text[:37] + "..."


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both from 1, the column in characters.

    >>> line_and_column("a = 1\\nb = 2", 10)
    (2, 5)
    """
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def text_of(path: str | os.PathLike, kind: str) -> str:
    """The text of a file; `kind` says what it should be (TOML, CSV).

    Errors: Refusal for a file that is missing, a folder, unreadable, or not UTF-8.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        if folder and not os.path.isdir(folder):
            raise Refusal(f"{path}: no such file", f"there is no folder {folder}") from None
        files = sorted(file for file in os.listdir(folder or ".") if os.path.isfile(os.path.join(folder, file)))
        close = nearest(name, files)
        alike = [close] if close else [file for file in files if file.lower().endswith("." + kind.lower())][:3]
        offer = f"{folder or 'this folder'} holds {', '.join(alike) if alike else f'no {kind} file'}"
        raise Refusal(f"{path}: no such file", offer) from None
    except IsADirectoryError:
        raise Refusal(f"{path}: a folder, not a file") from None
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", errors="replace")
        line, column = line_and_column(before.removeprefix("\ufeff"), len(before.removeprefix("\ufeff")))
        found = f"not UTF-8 text, found byte 0x{data[error.start]:02x}"
        raise Refusal(f"{path}:{line}:{column}: {found}", f"save the file as {kind} in UTF-8") from None


def parsed(text: str, path: str) -> Document:
    """Reads TOML and finds every key.

    Cost: two passes over the text. Errors: Refusal with file:line:column for what is no TOML.

    >>> document = parsed("[links]\\nloss = 0.1\\n", "fleet.toml")
    >>> document.at(("links", "loss")), document.at(("links", "loss"), value=True)
    ('fleet.toml:2:1', 'fleet.toml:2:8')
    """
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line, column = line_and_column(text, len(text))
        if place and place[1]:
            line, column = int(place[1]), int(place[2])
        problem = _PLACE.sub("", message)
        raise Refusal(f"{path}:{line}:{column}: not TOML: {problem[:1].lower()}{problem[1:]}") from None
    return Document(path, text, data, _Finder(text).found)


class _Finder:
    """One pass over a text that is known to be TOML."""

    def __init__(self, text: str):
        self.text, self.place = text, 0
        self.found: dict[Path, Span] = {}
        self.counts: dict[Path, int] = {}  # tables so far of each array of tables
        table: Path = ()
        self.skip(_REST)
        while self.place < len(text):
            table = self.header() if text[self.place] == "[" else self.pair(table)
            self.skip(_REST)

    def skip(self, pattern: re.Pattern) -> None:
        self.place = pattern.match(self.text, self.place).end()

    def header(self) -> Path:
        many = self.text.startswith("[[", self.place)
        start = self.place
        self.place += 2 if many else 1
        keys = self.keys()
        self.place += 2 if many else 1
        path: Path = ()
        for depth, key in enumerate(keys):
            path += (key,)
            if many and depth == len(keys) - 1:
                self.note(path, start, start, self.place)
                self.counts[path] = self.counts.get(path, -1) + 1
                path += (self.counts[path],)
            elif path in self.counts:
                path += (self.counts[path],)
            self.note(path, start, start, self.place)
        return path

    def pair(self, table: Path) -> Path:
        start = self.place
        keys = self.keys()
        self.place += 1  # =
        self.skip(_BLANK)
        begin = self.place
        path = table + tuple(keys)
        self.value(path)
        for depth in range(len(table) + 1, len(path) + 1):
            self.note(path[:depth], start, begin, self.place)
        return table

    def note(self, path: Path, key: int, start: int, end: int) -> None:
        self.found.setdefault(path, Span(key, start, end))

    def keys(self) -> list[str]:
        keys = []
        while True:
            self.skip(_BLANK)
            start = self.place
            if self.text[start] in "\"'":
                self.string()
                keys.append(tomllib.loads("k = " + self.text[start : self.place])["k"])
            else:
                self.skip(_BARE)
                keys.append(self.text[start : self.place])
            self.skip(_BLANK)
            if self.text[self.place] != ".":
                return keys
            self.place += 1

    def string(self) -> None:
        for pattern in _STRINGS:
            if match := pattern.match(self.text, self.place):
                self.place = match.end()
                return

    def value(self, path: Path) -> None:
        first = self.text[self.place]
        if first == "[":
            self.listed("]", path)
        elif first == "{":
            self.listed("}", path)
        elif first in "\"'":
            self.string()
        else:
            match = _PLAIN.match(self.text, self.place)
            self.place += len(match[0].rstrip())

    def listed(self, close: str, path: Path) -> None:
        """An array or an inline table, from its opening to behind its closing bracket."""
        self.place += 1
        index = 0
        self.skip(_REST)
        while self.text[self.place] != close:
            start = self.place
            if close == "}":
                self.pair(path)
            else:
                self.value(path + (index,))
                self.note(path + (index,), start, start, self.place)
            index += 1
            self.skip(_REST)
            if self.text[self.place] == ",":
                self.place += 1
                self.skip(_REST)
        self.place += 1
