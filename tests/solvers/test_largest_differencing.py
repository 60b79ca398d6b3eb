"""Largest differencing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.solvers.largest_differencing import LargestDifferencing, split
from quorate.solvers.solution import epsilon


def solve(errors):
    return LargestDifferencing().solve(None, np.asarray(errors, float), 1, 1)


def means(devices: int) -> np.ndarray:
    return np.array([solve(np.random.default_rng(seed).normal(size=devices)).error[0] for seed in range(20)])


def plain_difference(sizes: list[float]) -> float:
    """What is left when the two largest are replaced by their difference, again and again."""
    sizes = sorted(sizes)
    while len(sizes) > 1:
        *sizes, second, largest = sizes
        sizes = sorted([*sizes, largest - second])
    return sizes[0]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_the_signs_give_the_last_difference(sizes):
    sizes = np.array(sizes, float)
    signs = split(sizes)
    assert set(signs) <= {-1, 1}
    assert abs(signs @ sizes) == plain_difference(sizes.tolist())


def test_split_of_the_textbook_example():
    """Karmarkar and Karp's method splits 4, 5, 6, 7, 8 with difference 2; 0 is possible."""
    assert abs(split(np.array([4.0, 5, 6, 7, 8])) @ [4, 5, 6, 7, 8]) == 2


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12))
def test_somebody_is_chosen_and_no_single_device_is_better(errors):
    found = solve(errors)
    assert found.chosen.any()
    assert found.error[0] <= min(abs(error) for error in errors)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=12), st.sampled_from([-1, 1]))
def test_when_all_signs_agree_the_smallest_alone_is_optimal(sizes, sign):
    assert solve(np.array(sizes) * sign).error[0] == min(sizes)


def test_acceptance_10_differencing_below_1e_minus_6():
    """20 configurations of 50 devices; the mean a separate program found is 4.0e-7."""
    assert means(50).mean() < 1e-6


@pytest.mark.parametrize("devices, recorded", [(50, 4.0e-7), (100, 8.3e-9), (1000, 1.5e-17)])
def test_differencing_ends_where_a_separate_program_ended(devices, recorded):
    """`recorded` is from 20 other configurations, its standard error taken to be ours."""
    errors = means(devices)
    assert abs(errors.mean() - recorded) < 4 * np.sqrt(2) * errors.std(ddof=1) / np.sqrt(20)


def test_the_forced_device_is_in_the_choice():
    """Where the first split chooses nobody, as for one large error against small ones of the other sign."""
    errors = np.array([10.0, -0.5, -0.25, -0.125])
    found = solve(errors)
    assert found.error[0] == epsilon(errors, found.chosen)[0] <= 0.125
