"""Numbers keep their value within three digits, in both spellings."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.report.numbers import THIN, about, duration, integer, interval, number, rounded
from quorate.report.words import ascii_only


def value(text: str) -> float:
    """The number that a text says, read back."""
    return float(ascii_only(text))


@pytest.mark.parametrize(
    "x, said, plain",
    [
        (1.73e-5, "1.73×10⁻⁵", "1.73e-5"),
        (100000, f"100{THIN}000", "100000"),
        (0.0341, "0.0341", "0.0341"),
        (12.0, "12.0", "12.0"),
        (513.2, "513", "513"),
        (-0.5, "−0.500", "-0.500"),
        (0.00999951, "0.0100", "0.0100"),
        (9999.9, "1.00×10⁴", "1.00e4"),
        (999.6, "1000", "1000"),
        (0, "0", "0"),
        (0.0, "0", "0"),
        (Fraction(1, 9), "1/9", "1/9"),
        (np.float32(0.25), "0.250", "0.250"),
        (np.int32(7), "7", "7"),
        (math.inf, "∞", "inf"),
        (-math.inf, "−∞", "-inf"),
        (math.nan, "not a number", "not a number"),
    ],
)
def test_number(x, said, plain):
    assert number(x) == said
    assert number(x, plain=True) == plain


@given(st.floats(1e-200, 1e200), st.booleans())
def test_three_digits_keep_the_value(x, negative):
    x = -x if negative else x
    assert abs(value(number(x)) - x) <= 0.5001e-2 * abs(x)
    assert float(number(x, plain=True)) == value(number(x)) == rounded(x)
    assert number(rounded(x)) == number(x)
    digits = number(abs(x)).split("×")[0].replace(".", "").lstrip("0")
    assert len(digits) == 3 or 999.5 <= abs(x) < 1e4


@given(st.integers(-(10**15), 10**15))
def test_integers_are_written_in_full(x):
    assert int(integer(x, plain=True)) == x
    assert int(ascii_only(integer(x))) == x


def test_interval_gives_all_three_the_same_spelling():
    assert interval(12.04, 10.2, 14.2) == "12.0 [10.2, 14.2]"
    assert interval(20, 17, 20) == "20 [17, 20]"
    assert interval(20.0, 17, np.float32(20)) == "20.0 [17.0, 20.0]"
    assert interval(1.73e-5, 1e-5, 2e-5, plain=True) == "1.73e-5 [1.00e-5, 2.00e-5]"


def test_durations_carry_over():
    assert [duration(s) for s in (59.4, 59.6, 3599.6, 0.001)] == ["59 s", "1 min 0 s", "1 h 0 min", "under 0.01 s"]
    assert [about(s) for s in (0.0, 10.1, 55.1, 3301)] == ["about 1 s", "about 15 s", "about 1 min", "about 1 h"]
