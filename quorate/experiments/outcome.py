"""What a recipe hands back: rows, further tables, and the words and pictures of its report."""

from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """The result of a recipe's `main`, before it is judged, printed and saved.

    rows       the main table, tidy; `tables` holds the others by name; each is written as <name>.csv
    verdict    one sentence with a subject that did something and one number; `interval` is that number's interval as
               the sentence shows it
    lede       two or three sentences below it
    figures    report.figure.Figure, in order of appearance
    summary    what the terminal shows when no claims were judged: (columns, rows of text)
    warnings   sentences for the reader, shown before everything else
    files      further files by name, text
    replay     a report.replay.Player, or None
    """

    rows: Rows
    verdict: str
    interval: str | None = None
    lede: str = ""
    tables: dict[str, Rows] = field(default_factory=dict)
    figures: tuple[Any, ...] = ()
    summary: tuple[tuple[str, ...], list[tuple[str, ...]]] | None = None
    warnings: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    replay: Any = None
