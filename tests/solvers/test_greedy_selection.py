"""Forward selection."""

import numpy as np
import pytest

from quorate.solvers.greedy_selection import GreedySelection
from quorate.solvers.solution import epsilon


def plain_selection(errors: np.ndarray) -> np.ndarray:
    devices = errors.shape[-1]
    chosen, path = np.zeros(devices, bool), []
    for _ in range(devices):
        rows = chosen | np.eye(devices, dtype=bool)
        rows = rows[~chosen]
        chosen = rows[epsilon(errors, rows).argmin()]
        path.append(chosen)
    return path[epsilon(errors, np.array(path)).argmin()]


@pytest.mark.parametrize("shape", [(12,), (2, 12), (30, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_selection_is_the_plain_selection(shape, seed):
    errors = np.random.default_rng(seed).normal(size=shape)
    found = GreedySelection().solve(None, errors, 1, 1)
    np.testing.assert_array_equal(found.chosen[0], plain_selection(errors))
    assert found.evaluations == 12 * 13 // 2


def test_a_common_bias_is_kept_out():
    """Devices 0 and 1 cancel at every point, the others are all too high."""
    errors = np.array([[1.0, -1.0, 2.0, 2.0], [-2.0, 2.0, 3.0, 1.0], [0.5, -0.5, 2.0, 2.0]])
    found = GreedySelection().solve(None, errors, 1, 1)
    assert found.chosen.tolist() == [[True, True, False, False]] and found.error[0] == 0
