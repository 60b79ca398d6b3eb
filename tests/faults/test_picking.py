"""Exact shares, at random or by an order."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from quorate.errors import Refusal
from quorate.faults.picking import ascending, leaders_first, picked

NUMBERS = st.lists(st.sampled_from([-2.5, -1.0, -0.0, 0.0, 1e-30, 0.5, 3.0, np.inf, -np.inf]), min_size=6, max_size=6)
PICK = jax.jit(picked, static_argnums=2)


@given(order=NUMBERS, share=st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_the_highest_first_and_the_lower_id_among_equals(order, share):
    mask = PICK(jax.random.key(0), jnp.float32(share), 6, jnp.array(order, jnp.float32), jnp.array(True))
    count = int(np.round(np.float32(share) * np.float32(6)))
    expected = sorted(range(6), key=lambda i: (-order[i], i))[:count]
    assert np.flatnonzero(mask).tolist() == sorted(expected)


def test_words_in_the_order_of_the_numbers():
    numbers = np.sort(
        np.random.default_rng(0).normal(size=500).astype(np.float32) * 10.0 ** np.arange(-250, 250).clip(-30, 30)
    )
    assert (np.diff(np.asarray(ascending(jnp.asarray(np.sort(numbers)))).astype(np.int64)) > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.3, 0.5, 1.0])
def test_exact_counts_at_random(share):
    key, order = jax.random.key(1), jnp.arange(10.0)
    for n in (1, 10, 333):
        assert int(picked(key, jnp.float32(share), n, None, jnp.array(False)).sum()) == round(
            float(np.float32(share) * n)
        )
    both = [picked(key, jnp.float32(share), 10, one, jnp.array(False)).tolist() for one in (None, order)]
    assert both[0] == both[1]  # an order that is not asked for changes nothing


def test_hosts_before_all_others():
    order = leaders_first(jnp.array([0.1, 0.9, 0.2, 0.3]), hosts=[2, 0, -1, 2])
    assert np.argsort(-np.asarray(order)).tolist() == [2, 0, 1, 3]
    assert leaders_first(jnp.array([0.5, 0.25])).tolist() == [0.5, 0.25]
    with pytest.raises(Refusal, match="agent 4 is a host; there are 4 agents, from 0 on"):
        leaders_first(jnp.zeros(4), hosts=[4])


def test_an_order_for_others_is_refused():
    with pytest.raises(Refusal, match="order ranks 3 agents; the world has 4"):
        picked(jax.random.key(0), jnp.float32(0.5), 4, jnp.zeros(3), jnp.array(True))
