"""Sums on a grid are the integer sums, rounded once, in any order and batch."""

import fractions
import math

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings

from quorate.errors import Refusal
from quorate.numerics.fixed_point import MOST, exact_sum, grid_exponent, onto_grid, word_bits

LENGTH = 37  # one length, so that hypothesis pays for compiling once


def nearest_float(value: fractions.Fraction) -> np.float32:
    """The float32 nearest to an exact number, ties to even; by trying the two on either side."""
    guess = np.float32(float(value))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    gaps = [abs(fractions.Fraction(float(one)) - value) for one in around]
    best = [one for one, gap in zip(around, gaps, strict=True) if gap == min(gaps)]
    return best[0] if len(best) == 1 else next(one for one in best if one.view(np.int32) % 2 == 0)


def true_sum(values: np.ndarray) -> fractions.Fraction:
    return sum((fractions.Fraction(float(value)) for value in values), fractions.Fraction(0))


@jax.jit
def prepared(values):
    exponent = grid_exponent(values, values.shape[-1])
    return onto_grid(values, exponent), exponent


summed = jax.jit(exact_sum)
SCALES = st.sampled_from([1e-30, 1e-20, 1e-5, 1.0, 3.0, 1e9, 1e20, 1e30])
VALUES = hnp.arrays(np.float32, LENGTH, elements=st.floats(-1, 1, width=32))


@settings(max_examples=60)
@given(VALUES, SCALES)
@example(np.zeros(LENGTH, np.float32), 1.0)
@example(np.full(LENGTH, 1, np.float32), 1.0)
@example(np.full(LENGTH, -1, np.float32), 1e30)
@example(np.full(LENGTH, 1 - 2.0**-24, np.float32), 1.0)
def test_the_sum_is_rounded_once_whatever_the_order(values, scale):
    gridded, exponent = prepared(jnp.asarray(values * np.float32(scale)))
    gridded = np.asarray(gridded)
    total = np.float32(summed(gridded, exponent))
    assert total == nearest_float(true_sum(gridded))
    order = np.random.default_rng(0).permutation(LENGTH)
    assert np.float32(summed(gridded[order], exponent)) == total
    again = jax.jit(onto_grid)(gridded, exponent)
    assert (np.asarray(again) == gridded).all()


@settings(max_examples=60)
@given(VALUES, SCALES)
def test_the_grid_is_fine(values, scale):
    values = values * np.float32(scale)
    gridded, exponent = map(np.asarray, prepared(jnp.asarray(values)))
    largest = max(float(np.abs(values).max()), 1e-30)
    assert np.abs(gridded.astype(np.float64) - values).max() <= 2.0 ** (int(exponent) - 1)
    assert 2.0 ** int(exponent) <= largest * 2.0**-21  # 23 bits but for a mantissa of all ones, and its sign
    assert np.abs(gridded.astype(np.float64) / 2.0 ** int(exponent)).max() < 2**23


def test_batches_change_nothing():
    values = np.random.default_rng(1).standard_normal((5, 3, 1000)).astype(np.float32)
    exponent = grid_exponent(values, 1000)
    gridded = np.asarray(onto_grid(values, exponent))
    whole = np.asarray(summed(gridded, exponent))
    assert whole.shape == (5, 3)
    for index in np.ndindex(5, 3):
        assert np.float32(summed(gridded[index], exponent)) == whole[index] == nearest_float(true_sum(gridded[index]))
    mapped = jax.vmap(jax.vmap(exact_sum, (0, None)), (0, None))(gridded, exponent)
    assert (np.asarray(mapped) == whole).all()


@pytest.mark.parametrize("count", [1, 2, 2**12, 2**20 - 1, 2**20, 2**20 + 1, 2**21])
@pytest.mark.parametrize("mantissa", [1.0, 1 - 2.0**-24, 1 - 2.0**-20])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_do_not_overflow(count, mantissa, sign):
    """All values as large as the grid allows, where a mantissa of all ones would round up to a bit too many."""
    values = np.full(count, sign * mantissa, np.float32)
    exponent = grid_exponent(values[:1], count)
    one = float(onto_grid(values[:1], exponent)[0])
    total = float(exact_sum(jnp.full(count, one, jnp.float32), exponent))
    assert np.float32(total) == nearest_float(fractions.Fraction(one) * count)


def test_a_million_normal_values():
    values = np.random.default_rng(2).standard_normal(2**20).astype(np.float32)
    exponent = int(grid_exponent(values, 2**20))
    gridded = np.asarray(onto_grid(values, jnp.int32(exponent)))
    whole = np.ldexp(gridded.astype(np.float64), -exponent)
    assert (whole == np.round(whole)).all()
    exact = math.ldexp(int(whole.astype(np.int64).sum()), exponent)
    assert np.float32(exact_sum(gridded, jnp.int32(exponent))) == np.float32(exact)
    backwards = np.float32(exact_sum(gridded[::-1].copy(), jnp.int32(exponent)))
    assert backwards == np.float32(exact)
    assert abs(exact - values.astype(np.float64).sum()) < 2.0**exponent * 2**10  # the grid's own error, at random


def test_a_sum_that_was_rounded_twice():
    """The sum is 3 * 2^24 + 3 + 2^-11 in words: an odd half and a little more, which two roundings lose."""
    exponent = jnp.int32(0)
    values = jnp.asarray(np.r_[np.full(16384, 4194304.0), np.full(4, 4096.0), [1.0]], jnp.float32)
    assert np.float32(exact_sum(values, exponent)) == nearest_float(true_sum(np.asarray(values)))
    values = jnp.asarray(np.r_[np.full(16384, 4194304.0), np.full(1, 4096.0), [1.0]], jnp.float32)
    total = np.float32(exact_sum(values, exponent))
    assert total == nearest_float(true_sum(np.asarray(values))) == np.float32(2.0**36 + 2**13)


def test_word_bits():
    for count in [1, 2, 3, 1000, 2**20, 2**20 + 1, 2**21, 2**26 + 1, MOST]:
        bits = word_bits(count)
        assert 5 <= bits <= 12
        assert count * (2**bits - 1) < 2**32  # the low words
        assert count * 2 ** (bits - 1) <= 2**31  # the high words
        assert bits == 12 or count * (2 ** (bits + 1) - 1) >= 2**32 or count * 2**bits > 2**31
    with pytest.raises(Refusal, match=f"{MOST + 1} values: fixed point sums take at most {MOST}"):
        word_bits(MOST + 1)


def test_nothing_is_nothing():
    assert float(exact_sum(jnp.zeros(5), grid_exponent(jnp.zeros(5), 5))) == 0
    assert float(onto_grid(jnp.float32(0), jnp.int32(-122))) == 0
