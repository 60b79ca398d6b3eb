"""Sensors: readings, bins and the score, beside plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.worlds.sensors import Sensors


def sensors(**changed):
    given = {"signal": [0.2, 1.7, 2.9], "seen": np.eye(3, 4), "noise": 0.1, "low": 0.0, "width": 1.0, "bins": 3}
    return Sensors(**given | changed)


def test_who_sees_the_target_reads_its_bin():
    world = sensors(noise=0.0)
    rows = [world.observe(jax.random.key(0), jnp.int32(t)).tolist() for t in range(4)]
    assert rows == [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [1, 0, 0, 0]]


def test_noise_has_its_width_and_readings_beyond_the_table_stay_in_its_last_bins():
    world = sensors(signal=[0.0], seen=np.ones((1, 20000)), noise=1.0, low=-50.0, width=0.01, bins=10000)
    read = (np.asarray(world.observe(jax.random.key(1), jnp.int32(0))) - 0.5) * 0.01 - 50
    assert abs(read.mean()) < 5 / 20000**0.5 and abs(read.std() - 1) < 5 / 40000**0.5
    far = sensors(signal=[-9.0, 0.5, 9.0], noise=0.0, seen=np.ones((3, 1)))
    assert [int(far.observe(jax.random.key(0), jnp.int32(t))[0]) for t in range(3)] == [1, 1, 3]


def test_the_score_is_the_share_that_is_right():
    world = sensors()
    assert float(world.score(jnp.int32(1), jnp.array([2, 2, 1, 0]), jnp.int32(2))) == 0.5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"signal": [0.0]}, "signal has 1 steps and seen 3"),
        ({"bins": 0}, "bins is 0"),
        ({"width": 0.0}, "width is 0"),
        ({"noise": -1.0}, "noise is -1"),
    ],
)
def test_bad_tables_are_refused(changed, said):
    with pytest.raises(Refusal, match=said):
        sensors(**changed)
