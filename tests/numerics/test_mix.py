"""The hash of words: the same for both kinds of arrays, undone step by step, even."""

import jax.numpy as jnp
import numpy as np

from quorate.numerics.mix import fraction, mix

WORDS = np.random.default_rng(0).integers(0, 2**32, 2**16, dtype=np.uint32)


def undone(word: np.ndarray) -> np.ndarray:
    """The steps of `mix`, last first: a xorshift by 15 or more is undone by two, a product by the odd inverse."""
    first, second = (np.uint32(pow(factor, -1, 2**32)) for factor in (0x21F0AAAD, 0x735A2D97))
    word = (word ^ (word >> 15) ^ (word >> 30)) * second
    word = (word ^ (word >> 15) ^ (word >> 30)) * first
    return word ^ (word >> 16)


def test_it_is_a_bijection_in_numpy_and_in_jax():
    assert np.array_equal(undone(mix(WORDS)), WORDS)
    assert np.array_equal(mix(jnp.asarray(WORDS)), mix(WORDS))


def test_one_bit_more_or_less_changes_half_of_them():
    """Each bit of the word, over many words: between .47 and .53 of each bit of the hash flip."""
    for bit in range(32):
        changed = mix(WORDS) ^ mix(WORDS ^ np.uint32(1 << bit))
        flips = np.mean((changed[:, None] >> np.arange(32, dtype=np.uint32)[None, :]) & 1, axis=0)
        assert np.all(np.abs(flips - 0.5) < 0.03)


def test_fractions_are_even_and_below_one():
    numbers = np.arange(2**16, dtype=np.uint32)
    assert float(fraction(np.array([2**32 - 1], np.uint32))[0]) == 1 - 2**-24
    counts = np.histogram(fraction(mix(numbers)), bins=64, range=(0, 1))[0]
    assert np.sum((counts - 1024) ** 2 / 1024) < 120, "chi square, 63 degrees of freedom"
