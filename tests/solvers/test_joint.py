"""What the step methods share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.solvers.joint import Problem, each_run, uniform_subset
from quorate.solvers.solution import epsilon


@pytest.mark.parametrize("points", [1, 4])
def test_the_compiled_objective_is_epsilon(points):
    draw = np.random.default_rng(0)
    errors = draw.normal(size=(points, 7))
    problem = Problem.of(errors)
    for chosen in [np.zeros(7, bool), np.ones(7, bool), *(draw.random((5, 7)) < 0.5)]:
        compiled = problem.error(*problem.sums(jnp.asarray(chosen)))
        assert float(compiled) == pytest.approx(epsilon(errors, chosen), rel=1e-5, abs=1e-6)


def test_uniform_subset_takes_each_with_chance_one_half():
    share = np.mean(uniform_subset(jax.random.key(0), 40_000))
    assert abs(share - 0.5) < 5 * 0.5 / 200  # five standard errors


@pytest.mark.parametrize("devices, runs", [(3, 5), (2**16, 3), (2**15, 5)])
def test_runs_in_batches_are_runs_one_by_one(devices, runs):
    """All in one batch, one run a batch, and batches of two with a remainder."""
    key = jax.random.key(1)
    words = each_run(lambda key: jax.random.bits(key, (2,)), key, runs, devices)
    alone = [jax.random.bits(jax.random.fold_in(key, run), (2,)) for run in range(runs)]
    np.testing.assert_array_equal(words, alone)
