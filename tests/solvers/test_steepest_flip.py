"""Steepest single flips."""

import jax
import numpy as np
import pytest

from quorate.solvers.solution import epsilon, root_mean_square
from quorate.solvers.steepest_flip import SteepestFlip, _descend

SHAPES = [(14,), (1, 14), (2, 14), (20, 14)]


def neighbours(chosen: np.ndarray) -> np.ndarray:
    """Every choice one flip away."""
    return chosen[None, :] ^ np.eye(len(chosen), dtype=bool)


def plain_descent(errors: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, int]:
    passes = 1
    while (tried := epsilon(errors, neighbours(chosen))).min() < epsilon(errors, chosen):
        chosen, passes = neighbours(chosen)[tried.argmin()], passes + 1
    return chosen, passes


@pytest.mark.parametrize("shape", SHAPES)
def test_descent_is_the_plain_descent_from_the_same_start(shape):
    draw = np.random.default_rng(0)
    errors = draw.normal(size=shape)
    starts = draw.random((30, 14)) < 0.5
    starts[0] = False  # nobody, which scores as the worst device
    ends = starts.copy()
    passes = _descend(np.atleast_2d(errors), ends)
    plain = [plain_descent(errors, start) for start in starts]
    np.testing.assert_array_equal(ends, [end for end, _ in plain])
    assert passes == sum(count for _, count in plain)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_single_flip_improves_the_end(shape):
    errors = np.random.default_rng(1).normal(size=shape)
    found = SteepestFlip().solve(jax.random.key(0), errors, 1, 20)
    for error, chosen in zip(found.error, found.chosen, strict=True):
        assert epsilon(errors, neighbours(chosen)).min() >= error * (1 - 1e-9) - 1e-15 * root_mean_square(errors, None)
    assert found.evaluations >= 14


@pytest.mark.parametrize("devices, recorded", [(50, 4.1e-4), (100, 1.1e-4), (1000, 1.3e-6)])
def test_descent_ends_where_a_separate_program_ended(devices, recorded):
    """`recorded` is from 20 other configurations, its standard error taken to be ours."""
    found = [
        SteepestFlip().solve(jax.random.key(seed), np.random.default_rng(seed).normal(size=devices), 200, 50)
        for seed in range(20)
    ]
    means = [one.error.mean() for one in found]
    assert abs(np.mean(means) - recorded) < 4 * np.sqrt(2) * np.std(means, ddof=1) / np.sqrt(20)
    passes = np.mean([one.evaluations for one in found]) / devices
    assert 3 < passes < 12
