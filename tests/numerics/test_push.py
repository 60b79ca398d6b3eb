"""Push gossip: numbers drawn evenly, mass kept, means found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.numerics.push import below, push


@given(word=st.integers(0, 2**32 - 1), count=st.integers(1, 2**31 - 1))
def test_below_is_the_floor_of_the_product(word, count):
    assert int(below(jnp.array([word], jnp.uint32), count)[0]) == word * count >> 32


@pytest.mark.parametrize("count", [7, 1000, 70_001])
def test_every_number_is_as_likely(count):
    drawn = np.asarray(below(jax.random.bits(jax.random.key(3), (50 * count,), jnp.uint32), count))
    seen = np.bincount(drawn, minlength=count)
    spread = ((seen - 50) ** 2 / 50).sum()
    assert abs(spread - (count - 1)) < 6 * np.sqrt(2 * (count - 1))


def test_a_round_is_what_the_loop_says():
    key, state = jax.random.key(1), jnp.arange(20.0).reshape(10, 2)
    target = np.asarray(below(jax.random.bits(key, (10,), jnp.uint32), 10))
    want = np.asarray(state) / 2
    for node, to in enumerate(target):
        want[to] += np.asarray(state)[node] / 2
    np.testing.assert_allclose(push(key, state), want, rtol=1e-6)


def test_all_learn_the_mean():
    n = 4096
    state = jnp.stack([jnp.arange(n) % 10 < 3, jnp.ones(n)], axis=1).astype(jnp.float32)
    mean = float(state[:, 0].mean())
    for number in range(60):
        state = push(jax.random.key(number), state)
    np.testing.assert_allclose(state[:, 0] / state[:, 1], mean, rtol=1e-3)
    np.testing.assert_allclose(jnp.sum(state, axis=0), [mean * n, n], rtol=1e-5)
