"""The smallest pieces of a figure: numbers as pixels, paths, words, keys and ids, as SVG text."""

import re
from collections.abc import Sequence
from typing import Any

from quorate.report.words import escape

LETTER = 7.6  # mean width of a letter in pixels, on the safe side


def px(*values: float) -> str:
    """Pixels with one decimal, separated by spaces.

    >>> px(3, 0.25, 7.04)
    '3 0.2 7'
    """
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in values)


def path(kind: str, d: str, more: str = "") -> str:
    """A path of the given classes."""
    return f'<path class="{kind}"{more} d="{d}"/>'


def words(kind: str, x: float, y: float, text: Any, anchor: str = "") -> str:
    """Escaped text of the given classes at a place."""
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{px(x)}" y="{px(y)}"{anchor}>{escape(text)}</text>'


def box(kind: str, x: float, y: float, width: float, height: float, more: str = "") -> str:
    """A rectangle of the given classes."""
    return f'<rect class="{kind}"{more} x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}"/>'


def plain_id(id: str) -> str:
    """`id`, once it is known to fit for an element and a file name; ValueError otherwise."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", id):
        raise ValueError(f"a figure id is lower-case letters, digits, _ and -; found {id!r}")
    return id


def key(items: Sequence[tuple[str, float, str]], left: float, right: float, top: float) -> tuple[str, float]:
    """What the signs of a figure mean, in lines of signs and words; returns the drawing and its lower edge.

    items    (sign, its width, words); the sign is drawn around the origin of its own group, on the line's middle
    left, right, top   where the key may stand, in pixels

    >>> svg, low = key([("", 20, "one"), ("", 20, "two")], 0, 500, 10)
    >>> low, svg.count("<text")
    (32, 2)
    """
    parts, x, y = [], left, top
    for sign, width, text in items:
        whole = (width + 7 if sign else 0) + LETTER * 0.8 * len(text)
        if x > left and x + whole > right:
            x, y = left, y + 22
        parts.append(f'<g transform="translate({px(x, y + 8)})">{sign}</g>' if sign else "")
        parts.append(words("note", x + (width + 7 if sign else 0), y + 12, text))
        x += whole + 18
    return "".join(parts), y + 22


def grid(kind: str, width: float, height: float, label: str, columns: int, drawn: str) -> str:
    """A whole figure whose groups of class `stop` stand in `columns`: pointing and the arrow keys read out their
    `data-long` (page.js). It keeps its size on narrow screens, where its box scrolls.

    >>> svg = grid("heat", 100, 50, "a & b", 2, "")
    >>> 'viewBox="0 0 100 50"' in svg, 'aria-label="a &amp; b"' in svg, 'data-grid="2"' in svg
    (True, True, True)
    """
    return (
        f'<svg class="chart full {kind}" viewBox="0 0 {px(width, height)}" role="img" aria-label="{escape(label)}"'
        f' tabindex="0" data-grid="{columns}">{drawn}</svg>'
    )
