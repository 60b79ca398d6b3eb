"""Subsets of an exact size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from quorate.errors import Refusal
from quorate.numerics.choose import choose, first, lowest

LENGTH = 13  # one shape, so that each function compiles once
jitted_choose = jax.jit(choose, static_argnames="total")
jitted_lowest, jitted_first = jax.jit(lowest), jax.jit(first)


@given(st.integers(0, 2**32 - 1), st.integers(0, LENGTH))
def test_choose_takes_exactly_count(seed, count):
    assert int(jitted_choose(jax.random.key(seed), count, total=LENGTH).sum()) == count


@pytest.mark.parametrize("total", [1, 2, 64, 1000])
def test_choose_at_the_ends_and_in_between(total):
    key = jax.random.key(total)
    for count in {0, 1, total // 2, total - 1, total}:
        assert int(jitted_choose(key, jnp.int32(count), total=total).sum()) == count
    assert not jitted_choose(key, jnp.int32(-3), total=total).any()
    assert jitted_choose(key, jnp.int32(total + 3), total=total).all()


def test_choose_for_many_keys_at_once_is_choose_for_each():
    keys = jax.random.split(jax.random.key(1), 6)
    counts = jnp.array([0, 1, 4, 6, 9, 10])
    together = jax.jit(jax.vmap(lambda key, count: choose(key, count, 10)))(keys, counts)
    assert together.sum(axis=1).tolist() == counts.tolist()
    for key, count, mask in zip(keys, counts, together, strict=True):
        np.testing.assert_array_equal(jitted_choose(key, count, total=10), mask)


def test_every_subset_is_equally_likely():
    """3 of 6 entries: 20 subsets, and the 6 marginals they imply. Two-sided, false alarm 2e-6 over all keys."""
    draws = 40_000
    keys = jax.random.split(jax.random.key(2), draws)
    masks = np.asarray(jax.jit(jax.vmap(lambda key: choose(key, 3, 6)))(keys))
    _, counts = np.unique(masks @ (1 << np.arange(6)), return_counts=True)
    assert len(counts) == 20
    statistic = np.sum((counts - draws / 20) ** 2) / (draws / 20)
    assert chi2.ppf(1e-6, 19) < statistic < chi2.ppf(1 - 1e-6, 19)
    # Marginals are correlated, as they add up to 3: their scaled sum of squares has 5 degrees of freedom.
    marginals = masks.sum(axis=0)
    statistic = np.sum((marginals - draws / 2) ** 2) / (draws / 4) * 5 / 6
    assert chi2.ppf(1e-6, 5) < statistic < chi2.ppf(1 - 1e-6, 5)


WORDS = st.one_of(
    st.integers(0, 2), st.sampled_from([2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]), st.integers(0, 2**32 - 1)
)


@given(st.lists(WORDS, min_size=LENGTH, max_size=LENGTH), st.integers(0, LENGTH))
def test_lowest_is_a_stable_sort_even_with_ties(words, count):
    words = np.array(words, np.uint32)
    expected = np.zeros(LENGTH, bool)
    expected[np.argsort(words, kind="stable")[:count]] = True
    np.testing.assert_array_equal(jitted_lowest(words, count), expected)


@given(st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH), st.integers(-2, LENGTH + 2))
def test_first_keeps_the_first_true_entries(mask, count):
    mask = np.array(mask)
    np.testing.assert_array_equal(jitted_first(mask, count), mask & (np.cumsum(mask) <= count))


@pytest.mark.parametrize("total", [1, 7, 8])
def test_first_reaches_the_last_entry_of_any_length(total):
    np.testing.assert_array_equal(first(jnp.ones(total, bool), total), np.ones(total, bool))


@pytest.mark.parametrize("count", [-1, 5])
def test_choose_refuses_a_count_outside_the_total(count):
    with pytest.raises(Refusal, match=f"count is {count}; it must be between 0 and total, here 4"):
        choose(jax.random.key(0), count, 4)
