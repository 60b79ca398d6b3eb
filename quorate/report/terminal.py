"""What a run says in the terminal: results on stdout, progress and errors on stderr, 80 columns."""

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import IO, Any

from quorate.experiments.claims import Judged
from quorate.report.progress import Progress
from quorate.report.words import BRACKETS, VERDICTS, ascii_only, cell, clean, tally

WIDTH = 80
PROSE = 72
Cell = tuple[str, str]  # (text, style)


def knows_unicode(stream: IO[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream can show more than ASCII. In a C locale Python still writes UTF-8, so LC_ALL is asked too."""
    if "utf" not in (getattr(stream, "encoding", None) or "").lower():
        return False
    return "PYTHONIOENCODING" in environment or environment.get("LC_ALL") not in ("C", "POSIX")


class Terminal:
    """Prints a run. Each result method begins with an empty line where something stands above it.

    quiet           only `verdict` and `error` print
    color           None: colour where stdout is a terminal and NO_COLOR is not set; False: never; True: always
    stdout, stderr  the streams to write to
    clock           seconds that only go up, for progress

    Where a stream is no terminal nothing is wrapped and no cursor is moved; where it knows no Unicode, signs and
    numbers are ASCII.
    """

    def __init__(
        self,
        quiet: bool = False,
        color: bool | None = None,
        *,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.quiet, self.color, self.clock = quiet, color, clock
        self.stdout, self.stderr = stdout or sys.stdout, stderr or sys.stderr
        self.interrupted = False
        self.wraps = self.stdout.isatty()
        self.plain = not knows_unicode(self.stdout)
        self._below = False  # something has been printed on stdout
        self._consoles: dict[int, Any] = {}

    def _console(self, stream: IO[str]) -> Any:
        """The rich console of a stream, made when it is first needed: importing rich takes a while."""
        if id(stream) not in self._consoles:
            from rich.console import Console

            lively = stream.isatty() and os.environ.get("TERM") != "dumb"
            coloured = bool(self.color) or (self.color is None and lively and not os.environ.get("NO_COLOR"))
            self._consoles[id(stream)] = Console(
                file=stream,
                force_terminal=lively,  # rich would also take FORCE_COLOR for a terminal and move its cursor
                color_system="standard" if lively or self.color else None,
                no_color=not coloured,
                highlight=False,
                emoji=False,
                legacy_windows=False,
            )
        return self._consoles[id(stream)]

    def _print(self, *cells: Cell, stream: IO[str] | None = None) -> None:
        from rich.text import Text

        stream = stream or self.stdout
        plain = not knows_unicode(stream)
        texts = [(ascii_only(clean(text)) if plain else clean(text), style) for text, style in cells]
        while texts and not texts[-1][0].rstrip():
            texts.pop()
        if texts:
            texts[-1] = (texts[-1][0].rstrip(), texts[-1][1])
        self._console(stream).print(Text.assemble(*texts), soft_wrap=True)
        self._below = self._below or stream is self.stdout

    def _gap(self) -> None:
        if self._below:
            self._print()

    def header(self, name: str, text: str) -> None:
        """What runs, and with which settings."""
        if not self.quiet:
            self._print((name, "bold"), ("  ", ""), (text, "dim"))

    def announce(self, text: str) -> None:
        """A line before the stages, on stderr."""
        if text and not self.quiet:
            self._print((text, "dim"), stream=self.stderr)

    @contextmanager
    def stages(self, names: Sequence[str]) -> Iterator[Progress]:
        """Progress through named stages on stderr; see `Progress`. On a terminal the bars are gone afterwards."""
        lively = self.stderr.isatty() and os.environ.get("TERM") != "dumb" and not self.quiet
        plain = not knows_unicode(self.stderr)

        def finished(line: str) -> None:
            if not lively and not self.quiet:
                self._print((line, ""), stream=self.stderr)

        progress = Progress([clean(name) for name in names], clock=self.clock, plain=plain, finished=finished)
        if not lively:
            yield progress
            return
        from rich.live import Live

        console = self._console(self.stderr)
        with Live(get_renderable=progress.render, console=console, refresh_per_second=5, transient=True):
            yield progress

    def claims(self, judged: Sequence[Judged]) -> None:
        """The claims table: what a source says, what we measured, whether it holds."""
        if self.quiet or not judged:
            return
        rows = []
        for claim, measured, _ in judged:
            sign, _, word, ascii_word, _, style = VERDICTS[measured.verdict]
            shown = ascii_word if self.plain else f"{sign} {word}"
            rows.append([(claim.words, ""), (measured.text, ""), (shown, style)])
        self._ruled(("source says", "we measured", "holds?"), rows, [False] * 3)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
        """Rows under named columns. Numbers are written by `number` and stand to the right, as do the columns in
        `right`; None is a dash."""
        if self.quiet:
            return
        aligned = [
            j in right
            or (
                any(isinstance(row[j], Number) for row in rows)
                and not any(isinstance(row[j], str | bool) for row in rows)
            )
            for j in range(len(columns))
        ]
        self._ruled(columns, [[(cell(value), "") for value in row] for row in rows], aligned)

    def findings(self, rows: Sequence[tuple[bool, str, str]]) -> None:
        """Properties: whether each holds, in words, and how often or against what."""
        if self.quiet:
            return
        self._gap()
        width = max(len(words) for _, words, _ in rows)
        for holds, words, more in rows:
            sign, _, _, ascii_word, _, style = VERDICTS["holds" if holds else "does not hold"]
            shown = ascii_word.ljust(3) if self.plain else sign
            self._print((shown, style), (f" {words.ljust(width)}   {more}", ""))

    def _ruled(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[bool]) -> None:
        from rich.cells import cell_len

        say = (lambda text: ascii_only(clean(text))) if self.plain else clean
        rows = [[(say(text), style) for text, style in row] for row in rows]
        lines = [[(say(head), "dim") for head in columns], *rows]
        widths = [max(cell_len(line[j][0]) for line in lines) for j in range(len(columns))]
        if self.wraps:
            widths = fitted(widths, min(WIDTH, self._console(self.stdout).width) - 3 * (len(columns) - 1))
        total = sum(widths) + 3 * (len(columns) - 1)
        self._gap()
        for place, line in enumerate(lines):
            broken = [folded(text, width) for (text, _), width in zip(line, widths, strict=True)]
            if not self.wraps:
                broken = [[text] for text, _ in line]
            for k in range(max(map(len, broken))):
                cells: list[Cell] = []
                for j, ((_, style), texts) in enumerate(zip(line, broken, strict=True)):
                    text = texts[k] if k < len(texts) else ""
                    room = " " * (widths[j] - cell_len(text))
                    cells += [(room + text if right[j] else text + room, style), ("   ", "")]
                self._print(*cells)
            if place == 0:
                self._print((("-" if self.plain else "─") * total, "dim"))

    def verdict(self, text: str, judged: Sequence[Judged] = ()) -> None:
        """The verdict, after the claims counted; the only line with `quiet`."""
        counted = tally(judged)
        counted = f"{counted}." if counted else ""
        whole = f"{counted} {text}".strip()
        lines = [whole] if self.quiet or not self.wraps else folded(whole, PROSE)
        if not self.quiet:
            self._gap()
        for k, line in enumerate(lines):
            bold = min(len(counted), len(line)) if k == 0 else 0
            self._print((line[:bold], "bold"), (line[bold:], ""))

    def paths(self, paths: Mapping[str, Any]) -> None:
        """Where things were written, and the command that does it again."""
        if self.quiet or not paths:
            return
        self._gap()
        width = max(len(name) for name in paths)
        for name, path in paths.items():
            self._print((name.ljust(width) + "  ", "dim"), (str(path), ""))

    def prose(self, text: str) -> None:
        """Sentences below the verdict."""
        if not self.quiet and text:
            self._gap()
            for line in textwrap.wrap(text, PROSE, break_on_hyphens=False) if self.wraps else [text]:
                self._print((line, ""))

    def note(self, text: str) -> None:
        """A remark that is no result."""
        if not self.quiet:
            self._print((text, "dim"))

    def warning(self, message: str) -> None:
        """What the reader should know before trusting a result, on stderr."""
        self._print(("warning", "yellow"), ("  ", ""), (message, ""), stream=self.stderr)

    def error(self, message: str) -> None:
        """What went wrong, on stderr; further lines stand below the first."""
        first, *more = str(message).split("\n")
        self._print(("error", "red"), ("  ", ""), (first, ""), stream=self.stderr)
        for line in more:
            self._print((" " * 7 + line, ""), stream=self.stderr)


def folded(text: str, width: int) -> list[str]:
    """Text in lines of at most `width`, intervals kept whole where they fit; at least one line.

    >>> folded("12.0 [10.2, 14.2] times", 12)
    ['12.0', '[10.2, 14.2]', 'times']
    """
    joined = BRACKETS.sub(lambda match: match[0].replace(" ", "\u00a0") if len(match[0]) <= width else match[0], text)
    lines = textwrap.wrap(joined, width, break_on_hyphens=False) or [""]
    return [line.replace("\u00a0", " ") for line in lines]


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Column widths that fit into `room`: the widest are narrowed first, none below 6.

    >>> fitted([20, 60, 9], 74)
    [20, 45, 9]
    """
    widths = list(widths)
    while sum(widths) > room and max(widths) > 6:
        widths[widths.index(max(widths))] -= 1
    return widths
