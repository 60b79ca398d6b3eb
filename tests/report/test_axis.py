"""Ticks are round and few, and names at line ends keep their distance."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.report.axis import Axis, checked, limits, linear_ticks, log_ticks, spread, ticks


def labels(pairs):
    return [label for _, label in pairs]


def test_a_log_axis_carries_decades_only():
    assert labels(log_ticks(50, 2e5, 6)) == ["10²", "10³", "10⁴", "10⁵"]
    assert labels(log_ticks(0.5, 500, 6)) == ["1", "10", "10²"]
    places = [v for v, _ in log_ticks(1e-12, 1e3, 6)]
    assert len(places) <= 6
    assert all(math.log10(v) == pytest.approx(round(math.log10(v))) for v in places)


def test_a_short_log_axis_still_has_two_ticks():
    assert labels(log_ticks(1.5, 9, 6)) == ["2", "5"]
    assert len(log_ticks(2.1, 2.9, 6)) >= 2


def test_linear_labels():
    assert labels(linear_ticks(0, 100, 6)) == ["0", "20", "40", "60", "80", "100"]
    assert labels(linear_ticks(0, 1, 5)) == ["0", "0.25", "0.50", "0.75", "1.00"]
    assert labels(linear_ticks(-20, 20, 5)) == ["−20", "−10", "0", "10", "20"]
    assert labels(linear_ticks(0, 20000, 5)) == ["0", "5\u202f000", "10\u202f000", "15\u202f000", "20\u202f000"]


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.integers(4, 9))
def test_linear_ticks_are_inside_few_and_distinct(low, span, most):
    high = low + span
    found = linear_ticks(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-6 * span <= v <= high + 1e-6 * span for v, _ in found)
    assert len({round((v - low) / span, 6) for v, _ in found}) == len(found)


@given(st.floats(1e-12, 1e6), st.floats(1.2, 1e12), st.booleans())
def test_limits_hold_the_values_and_ticks_lie_within(low, ratio, log):
    values = np.array([low, low * ratio])
    first, last = limits(values, log, margin=0.04, snap=True)
    assert first <= low * (1 + 1e-9) and last >= low * ratio * (1 - 1e-9)
    axis = Axis(first, last, log, 300.0, 30.0)
    assert all(30 - 1e-3 <= axis.at(v) <= 300 + 1e-3 for v, _ in ticks(first, last, log, 6))


def test_equal_values_still_span_an_axis():
    for log in (False, True):
        low, high = limits(np.array([3.0, 3.0]), log, margin=0.04, snap=True)
        assert low < 3 < high


def test_what_cannot_be_drawn_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r'y of series "a" holds nan at position 1'):
        checked([1.0, math.nan], 'y of series "a"', False)
    with pytest.raises(ValueError, match="holds inf at position 0"):
        checked([math.inf], "y", False)
    with pytest.raises(ValueError, match="holds 0 at position 2; a log axis needs numbers above 0"):
        checked([1, 2, 0], "y", True)
    with pytest.raises(ValueError, match="at least one value"):
        checked([], "y", False)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(1, 30))
def test_spread_keeps_apart_in_order_and_inside(heights, gap):
    placed = spread(heights, gap, 0.0, 100.0)
    room = min(gap, 100 / max(1, len(heights) - 1))
    ordered = sorted(range(len(heights)), key=lambda i: heights[i])
    for a, b in itertools.pairwise(ordered):
        assert placed[b] - placed[a] >= room - 1e-6
    assert all(-1e-6 <= p <= 100 + 1e-6 for p in placed)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_spread_moves_as_little_as_possible(heights):
    """Against every placement on a half-unit grid: none is closer in the sum of squares."""
    gap = 4
    placed = spread([float(h) for h in heights], gap, 0.0, 12.0)
    cost = sum((p - h) ** 2 for p, h in zip(placed, heights, strict=True))
    ordered = sorted(heights)
    grid = [k / 2 for k in range(25)]
    best = min(
        sum((p - h) ** 2 for p, h in zip(places, ordered, strict=True))
        for places in itertools.combinations(grid, len(heights))
        if all(b - a >= gap for a, b in itertools.pairwise(places))
    )
    assert cost <= best + 1e-6
