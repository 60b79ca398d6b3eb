"""A hash of 32-bit words for streams and lots that anybody can work out from numbers alone."""

from typing import Any

import numpy as np

GOLDEN = np.uint32(0x9E3779B9)  # 2^32 over the golden ratio: what is added to a word to tell it from its number


def mix(word: Any) -> Any:
    """A bijection of 32-bit words, in numpy for numpy and in JAX for JAX: multiply and xorshift, twice.

    Reference: C. Wellons, a search for constants of low bias (2018).

    >>> import jax.numpy as jnp
    >>> words = np.arange(3, dtype=np.uint32)
    >>> mix(words).tolist() == mix(jnp.asarray(words)).tolist(), mix(words).tolist()[:2]
    (True, [0, 2261973619])
    """
    word = (word ^ (word >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    word = (word ^ (word >> np.uint32(15))) * np.uint32(0x735A2D97)
    return word ^ (word >> np.uint32(15))


def fraction(word: Any) -> Any:
    """The upper 24 bits of a word as a number in [0, 1), float32.

    >>> float(fraction(np.array([2**31], np.uint32))[0])
    0.5
    """
    return (word >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
