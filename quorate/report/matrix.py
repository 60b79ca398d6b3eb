"""The matrix of a comparison: what each mechanism reached under each condition, as numbers on a blue of three steps."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from quorate.report.axis import nice
from quorate.report.drawing import LETTER, box, grid, key, path, plain_id, words
from quorate.report.figure import Figure
from quorate.report.heat import MOST_CELLS, ROUND, WIDE
from quorate.report.numbers import number
from quorate.report.words import clean, escape

ROW, GAP, TOP = 40.0, 14.0, 34.0  # pixels: a row with its gap, the room above the rows set apart, the column names
SIGNS = {"best": "M-4 3L0-4L4 3z", "tie": "M-4-2H4M-4 2H4"}  # a triangle, an equals sign
MEANING = {"best": "best in its column", "tie": "not told apart from the best"}


class Entry(NamedTuple):
    """One cell: a share in 0..1 (None: not measured), its half-width, how it stands, and more words for pointing.

    half     of the interval around `value`; None where it is exact
    stands   "best" in its column, a "tie" with the best, or ""
    note     follows the numbers where the cell is pointed at or walked to
    """

    value: float | None
    half: float | None = None
    stands: Literal["best", "tie", ""] = ""
    note: str = ""


def matrix(
    id: str,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    entry: Callable[[str, str], Entry],
    caption: str,
    *,
    apart: Sequence[str] = (),
    what: str = "share of the value served",
) -> Figure:
    """A matrix of shares: a row for each mechanism, a column for each condition, in each cell the share and `±` the
    half-width of its interval.

    rows, columns   mechanisms from the top down, conditions from left to right
    entry           `entry(row, column) -> Entry`, asked once for each pair, rows of `apart` included
    apart           further rows below a gap, without colour, such as the upper bound and what people did
    what            what the numbers are

    The three steps of blue split the range of the values of `rows` at two round numbers; 0 has a colour of its own. The
    best of a column carries a triangle, what is not told apart from it an equals sign. It takes the full width of a
    page and scrolls in its box on narrow screens. Raises ValueError for a value outside 0..1, a negative half-width,
    a column with two best, a sign on a row set apart, and for more than fits.

    >>> served = {("claim", "calm"): Entry(0.712, 0.012, "best"), ("alone", "calm"): Entry(0.613, 0.02)}
    >>> figure = matrix("served", "Claims serve most", ["claim", "alone"], ["calm"], lambda *at: served[at], "Means.")
    >>> "0.712</text>" in figure.svg, "±0.012</text>" in figure.svg, "claim, calm: 0.712 ±0.012" in figure.svg
    (True, True, True)
    """
    plain_id(id)
    names = [*rows, *apart]
    if not rows or not columns or len(names) * len(columns) > MOST_CELLS:
        raise ValueError(f'matrix "{id}" has {len(names)} x {len(columns)} cells; it shows 1 to {MOST_CELLS}')
    cells = [[_checked(entry(row, column), f'"{id}" at ({row}, {column})') for column in columns] for row in names]
    for i, column in enumerate(columns):
        best = [row for row, line in zip(names, cells, strict=True) if line[i].stands == "best"]
        if len(best) > 1:
            raise ValueError(f'matrix "{id}", column {column}: {" and ".join(best)} are both best; one is a tie')
        if any(line[i].stands for line in cells[len(rows) :]):
            raise ValueError(f'matrix "{id}", column {column}: a row set apart cannot be best')

    left = 22 + LETTER * max(len(name) for name in names)
    texts = [text for line in cells for item in line for text in _texts(item)]
    least = 16 + LETTER * max(len(text) for text in [*texts, *columns])
    if left + least * len(columns) > WIDE:
        raise ValueError(
            f'matrix "{id}" needs {left + least * len(columns):.0f} pixels for {len(columns)} columns; '
            f"a page has {WIDE}"
        )
    across = min(160.0, (WIDE - 4 - left) / len(columns))
    cuts = steps([item.value for line in cells[: len(rows)] for item in line if item.value is not None])

    parts = []
    for i, column in enumerate(columns):
        parts.append(words("tick name", left + across * (i + 0.5) - 1, TOP - 12, column, "middle"))
    for j, (name, line) in enumerate(zip(names, cells, strict=True)):
        y = TOP + ROW * j + GAP * (j >= len(rows))
        parts.append(words("tick", left - 10, y + 23, name, "end"))
        for i, item in enumerate(line):
            kind = "blank" if j >= len(rows) else _kind(item.value, cuts)
            long = f"{name}, {columns[i]}: {_said(item)}"
            parts.append(_drawn(item, kind, long, left + across * i, y, across - 2))
    floor = TOP + ROW * len(names) + GAP * bool(apart)
    meaning, low = key(_key(cells[: len(rows)], cuts, what), left, WIDE - 8, floor + 8)
    svg = grid("matrix", WIDE, math.ceil(low + 2), f"{what}: {title}", len(columns), "".join(parts) + meaning)
    return Figure(id, title, caption, svg, wide=True)


def steps(values: Sequence[float]) -> tuple[float, float]:
    """Two round numbers that split the range of `values` in about three.

    >>> steps([0.31, 0.9]), steps([0.612, 0.688]), steps([0.5])
    ((0.5, 0.7), (0.64, 0.66), (0.5, 0.5))
    """
    if not values or min(values) == max(values):
        return (values[0],) * 2 if values else (0.0, 0.0)
    low, high = min(values), max(values)
    unit = nice((high - low) / 10)
    first, second = (round(round((low + share * (high - low)) / unit) * unit, 9) for share in (1 / 3, 2 / 3))
    return first, second


def _checked(item: Entry, where: str) -> Entry:
    value, half, stands, note = item
    if stands not in ("best", "tie", ""):
        raise ValueError(f'cell {where} stands {stands!r}; it is "best", "tie" or ""')
    if value is None:
        if half is not None or stands:
            raise ValueError(f"cell {where} has no value, so neither a half-width nor a sign")
        return Entry(None, None, "", clean(note))
    value = float(value)
    if not 0 <= value <= 1:
        raise ValueError(f"cell {where} has the value {value:g}; a matrix shows shares from 0 to 1")
    if half is not None and not 0 <= float(half) < math.inf:
        raise ValueError(f"cell {where} has the half-width {half:g}; it is finite and not negative")
    return Entry(value, None if half is None else float(half), stands, clean(note))


def _texts(item: Entry) -> tuple[str, str]:
    """(share, half-width) as they stand in the cell."""
    if item.value is None:
        return "–", ""
    return number(item.value), "" if item.half is None else f"±{_half(item.half)}"


def _half(half: float) -> str:
    """Three decimals, as many as a share has; what is smaller says so.

    >>> _half(0.0124), _half(0.0), _half(0.0002)
    ('0.012', '0', '<0.001')
    """
    return "0" if half == 0 else "<0.001" if half < 0.0005 else f"{half:.3f}"


def _said(item: Entry) -> str:
    if item.value is None:
        return ". ".join(filter(None, ("not measured", item.note)))
    told = " ".join(filter(None, _texts(item)))
    return ". ".join(filter(None, (told + (f", {MEANING[item.stands]}" if item.stands else ""), item.note)))


def _kind(value: float | None, cuts: tuple[float, float]) -> str:
    if value is None:
        return "blank"
    return "zero" if value == 0 else f"step{1 + int(np.searchsorted(cuts, value, side='right'))}"


def _drawn(item: Entry, kind: str, long: str, x: float, y: float, width: float) -> str:
    share, half = _texts(item)
    middle = x + width / 2
    sign = ""
    if item.stands:
        sign = path(
            f"stands {item.stands}", SIGNS[item.stands], f' transform="translate({x + width - 11:.1f} {y + 11:.1f})"'
        )
    lines = words("", middle, y + (17 if half else 23), share, "middle")
    lines += words("half", middle, y + 31, half, "middle") if half else ""
    return (
        f'<g class="stop cell {kind}" data-long="{escape(long)}">{box("hit", x, y, width, ROW - 2, ROUND)}'
        f"{lines}{sign}</g>"
    )


def _key(cells: Sequence[Sequence[Entry]], cuts: tuple[float, float], what: str) -> list[tuple[str, float, str]]:
    """The colours and the signs that occur."""
    found = [item for line in cells for item in line]
    kinds = {_kind(item.value, cuts) for item in found}
    low, high = (number(cut) for cut in cuts)
    told = {
        "zero": "0",
        "step1": f"below {low}",
        "step2": f"{low} to below {high}",
        "step3": f"{high} and more",
        "blank": "not measured",
    }
    items: list[tuple[Any, float, str]] = [("", 0, f"{what}:")]
    for kind, text in told.items():
        if kind in kinds:
            items.append((f'<g class="cell {kind}">{box("hit", 0, -7, 22, 14, ROUND)}</g>', 22, text))
    for stands, text in MEANING.items():
        if any(item.stands == stands for item in found):
            items.append((path(f"stands {stands}", SIGNS[stands], ' transform="translate(6 0)"'), 14, text))
    return items
