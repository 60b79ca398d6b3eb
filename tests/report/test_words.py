"""Text from data cannot break out of the page or move the cursor."""

import html
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quorate.report.words import ascii_only, cell, clean, counts, embedded, escape, tally


@given(st.text())
def test_escaped_text_has_no_markup_and_reads_the_same(text):
    safe = escape(text)
    assert not set(safe) & set("<>\"'")
    assert html.unescape(safe) == clean(text)
    safe.encode("utf-8")


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none(), st.floats(allow_nan=False, width=32))))
def test_embedded_json_has_no_markup_and_reads_the_same(value):
    value = {clean(k): clean(v) if isinstance(v, str) else v for k, v in value.items() if abs(_size(v)) < 1e30}
    text = embedded(value)
    assert not set(text) & set("<>&")
    assert json.loads(text) == value


def _size(value):
    return value if isinstance(value, float) else 0


def test_control_characters_are_replaced():
    assert clean("a\x1b]0;b\x07\r\x9b2J\ud800\tc\nd") == "a\ufffd]0;b\ufffd\ufffd\ufffd2J\ufffd\tc\nd"


@given(st.text())
def test_ascii_is_ascii(text):
    assert ascii_only(text).isascii()


def test_ascii_keeps_the_meaning():
    assert (
        ascii_only("✓ 1.73×10⁻⁵ [1.00×10⁻⁵, −2] ≥ 100\u202f000 … λ ñ")
        == "yes 1.73e-5 [1.00e-5, -2] >= 100000 ... lambda ?"
    )


def test_cells():
    values = [np.float32(0.25), np.bool_(False), np.int32(12345), None, 1.73e-5, "a\x1b"]
    assert [cell(value) for value in values] == ["0.250", "no", "12\u202f345", "–", "1.73×10⁻⁵", "a\ufffd"]


def test_claims_are_counted(claims):
    assert tally(claims) == "2 hold, 1 in part, 1 does not, 1 not judged"
    assert tally(claims[2:3]) == "1 holds"
    assert tally([]) == ""
    assert counts(claims[:1]) == {"holds": 1}
