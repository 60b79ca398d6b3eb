"""The exact optimum."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.solvers.meet_in_the_middle import MeetInTheMiddle
from quorate.solvers.solution import epsilon


def solve(errors):
    return MeetInTheMiddle().solve(None, np.asarray(errors, float), 1, 1)


def all_subsets(devices: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=devices)))[1:]


@given(st.lists(st.floats(-10, 10).map(lambda value: round(value, 3)), min_size=1, max_size=8))
def test_it_is_the_optimum_over_all_subsets(errors):
    found = solve(errors)
    assert found.error[0] == epsilon(np.array(errors), all_subsets(len(errors))).min()


@pytest.mark.parametrize("devices", [9, 10, 11, 12])
def test_it_is_the_optimum_for_normal_errors(devices):
    errors = np.random.default_rng(devices).normal(size=devices)
    every = epsilon(errors, all_subsets(devices))
    found = solve(errors)
    assert found.error[0] == every.min()
    np.testing.assert_array_equal(found.chosen[0], all_subsets(devices)[every.argmin()])


def test_sums_that_one_float64_cannot_tell_apart():
    """1 + y - (1 + 2^-52) for two y that round alike: 2^-72 and -2^-82."""
    y = 2.0**-52 * np.array([1 + 2.0**-20, 1 - 2.0**-30])
    for first, second in (y, y[::-1]):
        errors = [1.0, first, -(1 + 2.0**-52), second, 0.37]
        found = solve(errors)
        picked = sum(Fraction(error) for error, member in zip(errors, found.chosen[0], strict=True) if member)
        assert picked == -(Fraction(2) ** -82)
        assert found.error[0] == 2.0**-82 / 3


def test_acceptance_09_exact_optimum_law():
    """The optimum over 2^-N / sqrt(N), geometric mean of 200 configurations: its 99 % interval is within [.5, 4]."""
    for devices in range(16, 25, 2):
        law = 2.0**-devices / np.sqrt(devices)
        draws = (np.random.default_rng(seed).normal(size=devices) for seed in range(200))
        logs = np.log([solve(errors).error[0] / law for errors in draws])
        reach = 2.6 * logs.std(ddof=1) / np.sqrt(len(logs))
        assert np.exp(logs.mean() - reach) > 0.5
        assert np.exp(logs.mean() + reach) < 4


def test_forty_devices_are_solved():
    """2^40 subsets; the first-moment law puts the optimum near 1.4e-13."""
    found = solve(np.random.default_rng(0).normal(size=40))
    assert found.error[0] < 100 * 2.0**-40 / np.sqrt(40)
    assert found.evaluations < 2**25
