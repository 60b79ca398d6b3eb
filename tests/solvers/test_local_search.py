"""Random search and the paper's search S."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.solvers.local_search import LocalSearch, RandomSearch

pytestmark = pytest.mark.usefixtures("optimised")


def over_configurations(solver, devices: int, configurations: int = 20, runs: int = 25) -> tuple[float, float]:
    """Mean error over fresh N(0, 1) devices after 200 steps, and its standard error over configurations."""
    means = []
    for seed in range(configurations):
        errors = np.random.default_rng(seed).normal(size=devices)
        means.append(solver.solve(jax.random.key(seed), errors, 200, runs).error.mean())
    return np.mean(means), np.std(means, ddof=1) / np.sqrt(configurations)


@pytest.mark.parametrize(
    "devices, recorded, se",
    [(50, 9.8e-4, 1.1e-4), (100, 7.46e-4, 9e-5), pytest.param(1000, 2.04e-4, 1.2e-5, marks=pytest.mark.slow)],
)
def test_search_s_ends_where_a_separate_program_ended(devices, recorded, se):
    """`recorded` +- `se` is from 20 other configurations; four standard errors of the difference are allowed."""
    mean, own = over_configurations(LocalSearch(), devices)
    assert abs(mean - recorded) < 4 * np.hypot(se, own)


@pytest.mark.slow
def test_fewer_flips_are_better_than_half_of_the_devices():
    """A separate program ended at 4.4e-4, 9.8e-4, 2.7e-3 with 5, 25 and 50 % at N = 50. Each step up must cost clearly:
    over configurations the mean log ratio is four standard errors above 0."""
    logs = []
    for seed in range(20):
        errors = np.random.default_rng(seed).normal(size=50)
        solved = (
            LocalSearch(fraction=share).solve(jax.random.key(seed), errors, 200, 50) for share in (0.05, 0.25, 0.5)
        )
        logs.append([np.log(found.error).mean() for found in solved])
    costs = np.diff(logs, axis=1)
    assert (costs.mean(axis=0) > 4 * costs.std(axis=0, ddof=1) / np.sqrt(20)).all()


def test_random_search_improves_as_the_best_of_its_draws():
    """The first draw is one uniform subset: E |S| / K = sqrt(2 / pi) sqrt(1 / K) over devices, K about N / 2."""
    curves = [
        RandomSearch().solve(jax.random.key(seed), np.random.default_rng(seed).normal(size=100), 200, 20).curve
        for seed in range(100)
    ]
    starts = np.array([curve[:, 0].mean() for curve in curves])
    assert abs(starts.mean() - np.sqrt(2 / np.pi / 50)) < 4 * starts.std() / 10 + 0.01 * starts.mean()
    assert np.median([curve[:, -1].mean() for curve in curves]) < starts.mean() / 30


@pytest.mark.parametrize("fraction, flips", [(0, 1), (0.1, 2), (0.5, 10), (1, 20)])
def test_exactly_the_asked_number_of_devices_is_flipped(fraction, flips):
    """The first step evaluates the start, the second the first flips: a run that improved differs by just those."""
    errors = np.random.default_rng(0).normal(size=20)
    solver = replace(LocalSearch(), fraction=fraction)
    found = solver.solve(jax.random.key(0), errors, 2, 200)
    start = solver.solve(jax.random.key(0), errors, 1, 200)
    improved = found.curve[:, 1] < found.curve[:, 0]
    assert improved.sum() > 20
    np.testing.assert_array_equal((found.chosen != start.chosen).sum(axis=1), np.where(improved, flips, 0))


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(fraction):
    with pytest.raises(Refusal, match="it is the share of devices flipped and must be between 0 and 1"):
        LocalSearch(fraction=fraction)
