"""Simulated annealing."""

import jax
import numpy as np
import pytest

from quorate.solvers import DEVICE_SOLVERS
from quorate.solvers.annealing import COLD, HOT, Annealing

SWEEPS = DEVICE_SOLVERS["annealing_sweeps"]


def plain_annealing(draw: np.random.Generator, errors: np.ndarray, steps: int, runs: int) -> np.ndarray:
    """The same method in numpy, float64, all runs side by side: the best error of each."""
    devices = len(errors)
    row = np.arange(runs)
    chosen = draw.random((runs, devices)) < 0.5
    total, count = chosen @ errors, chosen.sum(axis=1)
    error = np.abs(total) / count
    best = error
    for t in range(1, steps):
        temperature = HOT / devices * (COLD / HOT) ** (t / (steps - 1)) * np.sqrt(np.mean(errors**2))
        device = draw.integers(devices, size=runs)
        sign = np.where(chosen[row, device], -1, 1)
        new = np.abs(total + sign * errors[device]) / (count + sign)
        moved = draw.random(runs) < np.exp(np.minimum(0, (error - new) / temperature))
        chosen[row[moved], device[moved]] ^= True
        total, count = total + moved * sign * errors[device], count + moved * sign
        error = np.where(moved, new, error)
        best = np.minimum(best, error)
    return best


def test_annealing_ends_where_plain_numpy_ends():
    """N = 50, 200 steps, 40 configurations of 50 runs, compared configuration by configuration."""
    ratios = []
    for seed in range(40):
        errors = np.random.default_rng(seed).normal(size=50)
        compiled = Annealing().solve(jax.random.key(seed), errors, 200, 50).error
        ratios.append(
            np.mean(np.log(compiled)) - np.mean(np.log(plain_annealing(np.random.default_rng(seed), errors, 200, 50)))
        )
    assert abs(np.mean(ratios)) < 4 * np.std(ratios, ddof=1) / np.sqrt(40)
    assert np.std(ratios, ddof=1) / np.sqrt(40) < 0.1  # so that half or double would be seen


def test_annealing_ends_where_a_separate_program_ended():
    """Mean after 200 flips at N = 1000; 1.9e-5 is from 20 other configurations, its standard error taken to be ours."""
    draws = (np.random.default_rng(seed).normal(size=1000) for seed in range(100, 120))
    means = [Annealing().solve(jax.random.key(seed), errors, 200, 50).error.mean() for seed, errors in enumerate(draws)]
    assert abs(np.mean(means) - 1.9e-5) < 4 * np.sqrt(2) * np.std(means, ddof=1) / np.sqrt(20)


@pytest.mark.parametrize("shape, steps", [((50,), 200), ((5, 60), 20)])
def test_sweeps_return_the_best_choice_met_within_a_sweep(shape, steps):
    """The choice is rebuilt from the flips of the sweep: its exact error is the least of the curve, but for
    float32: 2^-24 of each error and of the first sum, well below 2^-23 of the mean."""
    found = SWEEPS.solve(jax.random.key(0), np.random.default_rng(0).normal(size=shape), steps, 50)
    assert found.evaluations == steps * shape[-1]
    np.testing.assert_allclose(found.error, found.curve[:, -1], rtol=1e-4, atol=2**-23)


def test_two_hundred_sweeps_are_far_better_than_two_hundred_flips():
    """A separate program ended at 3.9e-5 (sweeps) and 4.3e-4 (flips) at N = 50; a factor of 5 is left for chance."""
    few, many = [], []
    for seed in range(20):
        errors = np.random.default_rng(seed).normal(size=50)
        few.append(Annealing().solve(jax.random.key(seed), errors, 200, 50).error.mean())
        many.append(SWEEPS.solve(jax.random.key(seed), errors, 200, 50).error.mean())
    assert 5 * np.mean(many) < np.mean(few)
    assert abs(np.mean(many) - 3.9e-5) < 4 * np.sqrt(2) * np.std(many, ddof=1) / np.sqrt(20)
