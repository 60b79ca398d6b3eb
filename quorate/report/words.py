"""The words and signs that page and terminal share, and text from data made safe to print."""

import html
import json
import re
from collections.abc import Sequence
from numbers import Number
from typing import Any

from quorate.experiments.claims import Judged
from quorate.report.numbers import number

# verdict: (sign, word on the page, word in the terminal, word without Unicode, class on the page, terminal colour)
VERDICTS = {
    "holds": ("✓", "holds", "yes", "yes", "y", "green"),
    "in part": ("◐", "in part", "in part", "part", "p", "yellow"),
    "does not hold": ("✕", "does not hold", "no", "no", "n", "red"),
    "not judged": ("–", "not judged at these arguments", "not judged", "-", "u", "dim"),
}
BRACKETS = re.compile(r"\[[−\-\d∞][^\[\]]*\]")  # an interval within a text
_COUNTED = {
    "holds": ("holds", "hold"),
    "in part": ("in part", "in part"),
    "does not hold": ("does not", "do not"),
    "not judged": ("not judged", "not judged"),
}
# Control characters would move a terminal's cursor and are not allowed in XML; lone surrogates cannot be encoded.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_POWER = re.compile("×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_ASCII = {
    "\u202f": "",
    "\u2009": "",
    "\u00a0": " ",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "±": "+-",
    "·": "-",
    "“": '"',
    "”": '"',
    "’": "'",
    "‘": "'",
    "∞": "inf",
    "→": "->",
    "ε": "epsilon",
    "λ": "lambda",
    "τ": "tau",
    "✓": "yes",
    "◐": "part",
    "✕": "no",
    "─": "-",
}


def clean(text: Any) -> str:
    """Any value as text without control characters; each one becomes U+FFFD.

    >>> clean("a\\x1b[2Jb")
    'a�[2Jb'
    """
    return _UNSAFE.sub("\ufffd", str(text))


def cell(value: Any) -> str:
    """One value of a table as plain text.

    >>> cell(0.0341), cell(None), cell(True), cell("search")
    ('0.0341', '–', 'yes', 'search')
    """
    value = value.item() if hasattr(value, "item") else value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, Number) else clean(value)


def escape(text: Any) -> str:
    """Text from data, fit for HTML, SVG and attributes.

    >>> escape('<script>"&"')
    '&lt;script&gt;&quot;&amp;&quot;'
    """
    return html.escape(clean(text), quote=True)


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element of HTML or XML: `<`, `>` and `&` are written as escapes.

    NaN and infinity are not JSON and raise ValueError.

    >>> embedded({"n": "</script>"})
    '{"n":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub("\ufffd", text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def ascii_only(text: str) -> str:
    """Text for a terminal that knows no Unicode; what has no spelling of its own becomes `?`.

    >>> ascii_only("1.73×10⁻⁵ … 3 × 4")
    '1.73e-5 ... 3 x 4'
    """
    text = _POWER.sub(lambda match: "e" + match[1].translate(_LOWERED), text)
    text = "".join(_ASCII.get(letter, letter) for letter in text).translate(_LOWERED)
    return text.encode("ascii", "replace").decode("ascii")


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """How many claims came out with each verdict, in the order of `VERDICTS`; zeros left out."""
    found = {word: sum(item.measured.verdict == word for item in judged) for word in VERDICTS}
    return {word: count for word, count in found.items() if count}


def tally(judged: Sequence[Judged]) -> str:
    """The verdicts counted, in words: `2 hold, 1 in part, 1 does not`; empty when there are no claims."""
    return ", ".join(f"{count} {_COUNTED[word][count > 1]}" for word, count in counts(judged).items())
