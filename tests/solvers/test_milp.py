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
    found = Milp(nodes=10**6).solve(None, errors, 1, 1)
    assert largest_error(errors, found.chosen)[0] <= largest_error(errors, every).min() + 1e-6


def test_more_nodes_are_no_worse_and_none_worse_than_the_greedy_start():
    errors = np.random.default_rng(0).normal(size=(4, 30))
    start, few, many = (s.solve(None, errors, 1, 1) for s in (GreedySelection(), Milp(nodes=1), Milp(nodes=300)))
    largest = [largest_error(errors, found.chosen)[0] for found in (many, few, start)]
    assert largest == sorted(largest)


def test_the_same_budget_gives_the_same_choice():
    errors = np.random.default_rng(1).normal(size=60)
    once, again = (Milp(nodes=50).solve(None, errors, 1, 1) for _ in range(2))
    np.testing.assert_array_equal(once.chosen, again.chosen)


def test_the_library_says_nothing_on_standard_output(capfd):
    Milp(nodes=20).solve(None, np.random.default_rng(2).normal(size=(8, 40)), 1, 1)
    assert capfd.readouterr().out == ""


def test_it_is_better_than_the_greedy_start():
    errors = np.random.default_rng(0).normal(size=16)
    found, start = (solver.solve(None, errors, 1, 1) for solver in (Milp(nodes=10**6), GreedySelection()))
    assert found.error[0] < start.error[0]
    assert found.evaluations > start.evaluations


def test_no_nodes_are_refused():
    with pytest.raises(Refusal, match="nodes is 0; it counts branch-and-bound nodes"):
        Milp(nodes=0)
