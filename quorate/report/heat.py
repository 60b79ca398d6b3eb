"""Heat maps: a chance in each cell as one of three steps of one blue, and as a number."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from quorate.report.drawing import LETTER, box, grid, key, path, plain_id, words
from quorate.report.figure import Figure
from quorate.report.words import ascii_only, clean, escape

HALF, WIDE = 520, 1080  # pixels
ROW = 34.0  # height of a row, the gap included
ROUND = ' rx="3"'  # corners
MOST_CELLS = 480  # each carries its words, and a page has 400 KB
STEPS = (("step1", 1 / 3), ("step2", 2 / 3), ("step3", 1.0))  # class, the largest value it stands for


class Cell(NamedTuple):
    """One cell: a chance (None: not computed), its text such as "1/9", a sentence, and whether it is striped.

    value   in 0..1; the colour is that of 0, up to 1/3, up to 2/3 or up to 1
    short   what stands in the cell; where it reads as a number, it must be `value`
    long    what pointing at the cell or walking to it tells
    live    False: striped, the answer to another question
    """

    value: float | None
    short: str
    long: str
    live: bool = True


def heat(
    id: str,
    title: str,
    rows: Sequence[Any],
    columns: Sequence[Any],
    cell: Callable[[Any, Any], Cell],
    xlabel: str,
    ylabel: str,
    caption: str,
    *,
    zero: str = "cannot happen",
    one: str = "always",
    stripes: str = "attackers can keep everybody waiting",
) -> Figure:
    """A heat map; a value of 0 has a colour of its own, because "cannot happen" is not "small".

    rows, columns        what stands beside the rows, from the top down, and below the columns
    cell                 `cell(row, column) -> Cell`, asked once for each pair of the above
    zero, one, stripes   what 0, 1 and a striped cell mean; said in the key when there is such a cell

    The figure takes half the width of a page if its numbers fit, else all of it. Raises ValueError for a value outside
    0..1, a text that is another number than its value, and for more than fits: 480 cells, or 1080 pixels of columns.

    >>> chances = {(1, 4): Cell(1 / 9, "1/9", "1 liar, 4 willing: 1/9"), (1, 5): Cell(0.0, "0", "never")}
    >>> figure = heat("worst", "One in nine", [1], [4, 5], lambda t, a: chances[t, a], "willing", "liars", "Exact.")
    >>> "1/9</text>" in figure.svg, 'class="stop cell zero"' in figure.svg, figure.wide
    (True, True, False)
    """
    plain_id(id)
    if not rows or not columns:
        raise ValueError(f'heat map "{id}" has {len(rows)} rows and {len(columns)} columns; it needs one of each')
    if len(rows) * len(columns) > MOST_CELLS:
        raise ValueError(f'heat map "{id}" has {len(rows)} x {len(columns)} cells; at most {MOST_CELLS} fit on a page')
    cells = [[_checked(cell(row, column), f'"{id}" at ({row}, {column})') for column in columns] for row in rows]

    left = 22 + LETTER * max(len(str(row)) for row in rows)
    longest = max([len(item.short) for line in cells for item in line] + [len(str(column)) for column in columns])
    least = 10 + LETTER * longest
    width = HALF if left + least * len(columns) <= HALF - 4 else WIDE
    across = (width - 4 - left) / len(columns)
    if across < least:
        raise ValueError(
            f'heat map "{id}" needs {left + least * len(columns):.0f} pixels for {len(columns)} columns with texts of '
            f"up to {longest} letters; a page has {WIDE}"
        )

    top = 30.0
    floor = top + ROW * len(rows)
    parts = [_hatching(id), words("lab", 8, 16, ylabel)]
    for j, (row, line) in enumerate(zip(rows, cells, strict=True)):
        y = top + ROW * j
        parts.append(words("tick", left - 10, y + 20.5, row, "end"))
        parts += [_drawn(id, item, left + across * i, y, across - 2) for i, item in enumerate(line)]
    for i, column in enumerate(columns):
        parts.append(words("tick", left + across * (i + 0.5) - 1, floor + 16, column, "middle"))
    parts.append(words("lab", width - 6, floor + 38, xlabel, "end"))
    signs = _key(id, [item for line in cells for item in line], zero, one, stripes)
    meaning, low = key(signs, left, width - 8, floor + 54)
    label = f"{ylabel} by {xlabel}: {title}"
    svg = grid("heat", width, math.ceil(low + 2), label, len(columns), "".join(parts) + meaning)
    return Figure(id, title, caption, svg, wide=width == WIDE)


def _checked(item: Cell, where: str) -> Cell:
    """The cell with clean texts, once its value is a chance and its text agrees with it."""
    value, short, long, live = item
    if value is None:
        return Cell(None, clean(short), clean(long), bool(live))
    value = float(value)
    if not 0 <= value <= 1:
        raise ValueError(f"cell {where} has the value {value:g}; a heat map shows chances from 0 to 1")
    said = _said(short)
    if said is not None and ((said == 0) != (value == 0) or not math.isclose(said, value, rel_tol=0.05)):
        raise ValueError(f"cell {where} has the value {value:g} and the text {short!r}")
    return Cell(value, clean(short), clean(long), bool(live))


def _said(short: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        return float(Fraction(ascii_only(short).strip()))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _kind(value: float | None) -> str:
    if value is None:
        return "blank"
    return "zero" if value == 0 else next(kind for kind, most in STEPS if value <= most)


def _hatching(id: str) -> str:
    """Two patterns of stripes, for pale cells and for dark ones."""
    how = 'width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"'
    kinds = ("pale", "dark")
    return "<defs>" + "".join(f'<pattern id="{id}-{k}" {how}>{path(k, "M0 0V6")}</pattern>' for k in kinds) + "</defs>"


def _striped(id: str, kind: str) -> str:
    return f' fill="url(#{id}-{"pale" if kind in ("zero", "blank") else "dark"})"'


def _drawn(id: str, item: Cell, x: float, y: float, width: float) -> str:
    kind, height = _kind(item.value), ROW - 2
    stripes = "" if item.live else box("stripes", x, y, width, height, ROUND + _striped(id, kind))
    return (
        f'<g class="stop cell {kind}" data-long="{escape(item.long)}">{box("hit", x, y, width, height, ROUND)}'
        f"{stripes}{words('', x + width / 2, y + 20.5, item.short, 'middle')}</g>"
    )


def _key(id: str, cells: Sequence[Cell], zero: str, one: str, stripes: str) -> list[tuple[str, float, str]]:
    """The colours that occur, each with the least and the largest number that has it."""

    def sign(kind: str, over: str = "") -> str:
        return f'<g class="cell {kind}">{box("hit", 0, -7, 22, 14, ROUND)}{over}</g>'

    items = []
    for kind in ("zero", *(name for name, _ in STEPS), "blank"):
        found = sorted((item for item in cells if _kind(item.value) == kind), key=lambda item: item.value or 0)
        if not found:
            continue
        first, last = found[0].short, found[-1].short
        text = {"zero": f"{first}: {zero}", "blank": "not computed"}.get(kind)
        if text is None:
            text = f"{first}: {one}" if found[0].value == 1 else first if first == last else f"{first} to {last}"
        items.append((sign(kind), 22, text))
    if not all(item.live for item in cells):
        over = box("stripes", 0, -7, 22, 14, ROUND + _striped(id, "step2"))
        items.append((sign("step2", over), 22, f"striped: {stripes}"))
    return items
