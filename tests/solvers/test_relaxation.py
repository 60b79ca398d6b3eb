"""The floor under every subset."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from quorate.solvers.relaxation import Relaxation
from quorate.solvers.solution import epsilon

tables = st.tuples(st.integers(2, 5), st.integers(1, 7)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(-10, 10).map(lambda value: round(value, 3)))
)


def floor(errors: np.ndarray) -> float:
    return float(Relaxation().solve(None, errors, 1, 1).error[0])


@given(tables)
def test_no_subset_is_below_the_floor(errors):
    rows = np.array(list(itertools.product([False, True], repeat=errors.shape[1])))
    assert 0 <= floor(errors) <= epsilon(errors, rows).min()


@given(tables, st.lists(st.integers(0, 100), min_size=7, max_size=7))
def test_no_weighting_is_below_the_floor(errors, weights):
    weights = np.array(weights[: errors.shape[1]], float) + 1e-3
    mean = errors @ (weights / weights.sum())
    assert floor(errors) <= np.sqrt(np.mean(mean**2)) * (1 + 1e-12) + 1e-300


@pytest.mark.parametrize("points, devices", [(8, 5), (20, 12), (6, 10)])
def test_the_floor_is_reached_by_a_general_solver(points, devices):
    """Sequential quadratic programming on the same problem, which the bias keeps away from 0."""
    errors = np.random.default_rng(points).normal(size=(points, devices)) + 0.7

    def objective(weights):
        mean = errors @ weights
        return np.mean(mean**2), 2 * errors.T @ mean / points

    result = minimize(
        objective,
        np.full(devices, 1 / devices),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * devices,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert floor(errors) == pytest.approx(np.sqrt(result.fun), rel=1e-5)
    assert floor(errors) > 0.1


def test_the_floor_of_many_devices_of_random_sign_is_zero():
    assert floor(np.random.default_rng(0).normal(size=(20, 200))) == 0
