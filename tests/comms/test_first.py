"""The first k true entries, against a cumulative sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate import comms

marked = jax.jit(comms.first)


@given(st.lists(st.booleans(), min_size=9, max_size=9), st.integers(-3, 12))
def test_as_a_cumulative_sum_says(bits, count):
    mask = np.array(bits)
    assert np.asarray(marked(mask, jnp.int32(count))).tolist() == (mask & (np.cumsum(mask) <= count)).tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 63, 64, 65, 1000])
def test_every_count_at_sizes_around_powers_of_two(n):
    mask = np.random.default_rng(n).random(n) < 0.6
    counts = jnp.arange(-2, n + 2)
    ours = np.asarray(jax.vmap(marked, (None, 0))(mask, counts))
    assert (ours == (mask & (np.cumsum(mask) <= np.asarray(counts)[:, None]))).all()
    assert not ours[:3].any() and (ours[-1] == mask).all()  # none for k <= 0, all for more than there are


def test_no_cumulative_sum_and_no_sort_over_agents():
    program = str(jax.make_jaxpr(comms.first)(jnp.ones(1000, bool), jnp.int32(3)))
    assert "cumsum" not in program and "sort" not in program and "reduce_sum" in program
