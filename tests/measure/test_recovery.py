"""recovery_time against the obvious loop, and its refusals."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from quorate.errors import Refusal
from quorate.measure.recovery import recovery_time


def by_search(curve: list[float], at: int, limit: float) -> int:
    for tick in range(at + 1, len(curve)):
        if all(value <= limit for value in curve[tick:]):
            return tick
    return -1


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_is_the_first_tick_from_which_the_curve_stays_low(curves, at, reference, factor):
    found = recovery_time(curves, at, reference, factor)
    assert found.tolist() == [by_search(curve, at, factor * reference) for curve in curves]


def test_each_curve_has_its_own_reference():
    curves = np.array([[[3, 1, 5, 2, 2, 1]], [[3, 1, 5, 2, 2, 1]]])
    assert recovery_time(curves, 1, np.array([[2.0], [1.0]])).tolist() == [[3], [5]]
    assert recovery_time(curves, 1, np.array([[1.0], [0.5]]), factor=2.0).tolist() == [[3], [5]]


def test_an_undisturbed_curve_is_back_at_once_and_an_excursion_at_the_end_is_never():
    assert recovery_time(np.ones(9), 3, 1.0) == 4
    assert recovery_time([1, 9, 1, 1, 9], 1, 1.0) == -1
    assert recovery_time([1, 9], 0, 1.0) == -1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3.0, 0, 1.0), "curve is a single number; it must have ticks on its last axis"),
        (([1.0, 2.0], 1, 1.0), "at is 1; the curve has 2 ticks, and at least one must come after it"),
        (([1.0, 2.0], -1, 1.0), "at is -1; the curve has 2 ticks, and at least one must come after it"),
        (([1.0, 2.0], 0.0, 1.0), "at is 0.0; the curve has 2 ticks, and at least one must come after it"),
        ((np.ones((3, 4)), 1, np.ones(4)), "reference has shape (4,); it must be one number or have shape (3,)"),
        (([1.0, 2.0], 0, 1.0, 0.0), "factor is 0; it must be finite and above 0"),
        (([1.0, 2.0], 0, 1.0, np.inf), "factor is inf; it must be finite and above 0"),
        (([1.0, np.nan], 0, 1.0), "curve holds nan; every value must be finite"),
        (([1.0, 2.0], 0, np.inf), "reference holds inf; every value must be finite"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(Refusal) as refused:
        recovery_time(*arguments)
    assert str(refused.value) == message
