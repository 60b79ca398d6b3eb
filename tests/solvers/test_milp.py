"""Integer programming."""

import itertools

import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.solvers.greedy_selection import GreedySelection
from quorate.solvers.milp import Milp


def largest_error(errors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The largest error over the points, for every row of `chosen`."""
    return np.max(np.abs(chosen @ errors.T), axis=-1) / chosen.sum(axis=-1)


@pytest.mark.parametrize("points", [1, 2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_the_largest_error_over_the_points_is_least(points, seed):
    """Small enough to be solved to the end; the tolerance of HiGHS allows 1e-6 of the sum."""
    errors = np.random.default_rng(seed).normal(size=(points, 10))
    every = np.array(list(itertools.product([0.0, 1.0], repeat=10)))[1:]
    found = Milp(time_limit=60).solve(None, errors, 1, 1)
    assert largest_error(errors, found.chosen)[0] <= largest_error(errors, every).min() + 1e-6


def test_without_time_it_is_the_greedy_start():
    errors = np.random.default_rng(0).normal(size=(4, 30))
    found, start = (solver.solve(None, errors, 1, 1) for solver in (Milp(time_limit=1e-9), GreedySelection()))
    np.testing.assert_array_equal(found.chosen, start.chosen)


def test_with_time_it_is_better_than_the_greedy_start():
    errors = np.random.default_rng(0).normal(size=16)
    found, start = (solver.solve(None, errors, 1, 1) for solver in (Milp(time_limit=60), GreedySelection()))
    assert found.error[0] < start.error[0]
    assert found.evaluations > start.evaluations


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_is_no_time_is_refused(limit):
    with pytest.raises(Refusal, match="it is in seconds and must be above 0"):
        Milp(time_limit=limit)
