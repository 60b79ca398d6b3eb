"""Generators as key implementations: threefry is JAX's default; `hashed` is a counter hash for bulk noise of
simulated agents.

The generator belongs to the key, so no contract mentions it: `quorate.random.key(seed, "hashed")` flows through
fold_in, split, uniform, vmap and scan like any other key. `hashed` costs an eighth of threefry on a CPU and passes
the statistical battery in the tests; it is no cipher. Never use it for coins, where an adversary looks on, or for a
published figure.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl
from jaxtyping import Array

from quorate.core import Key
from quorate.errors import Refusal, unknown
from quorate.numerics.mix import GOLDEN, mix


def _word(key: Array, counter: Array) -> Array:
    """Counter and both halves of the key, mixed twice. The xor lets words of one stream repeat as often as chance has
    it; without it they would all differ."""
    inner = mix(counter ^ key[0])
    return mix(inner + key[1]) ^ inner


def _seed(seed: Array) -> Array:
    word = seed.astype(jnp.uint32)
    return jnp.stack([mix(word + GOLDEN), mix(word ^ jnp.uint32(0x85EBCA6B))])


def _fold_in(key: Array, data: Array) -> Array:
    """The first half is a bijection of `data`, so the children of a key all differ; the constant in the second tells
    (a, b) from (b, a)."""
    word = mix(data.astype(jnp.uint32) + GOLDEN)
    second = mix(mix(~word ^ key[1]) + (key[0] ^ jnp.uint32(0xC2B2AE35)))
    return jnp.stack([mix(mix(word ^ key[0]) + key[1]), second])


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    """Children of a sister of the key, so that no number that is folded in gives the same."""
    sister = key ^ jnp.array([0xA5A5A5A5, 0x27D4EB2F], jnp.uint32)
    index = jnp.arange(math.prod(shape), dtype=jnp.uint32)
    return jax.vmap(lambda i: _fold_in(sister, i))(index).reshape(*shape, 2)


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    if bit_width == 64:
        halves = _random_bits(key, 32, (*shape, 2)).astype(jnp.uint64)
        return (halves[..., 0] << 32) | halves[..., 1]
    counter = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    word = _word(key, counter)
    return word if bit_width == 32 else word.astype({8: jnp.uint8, 16: jnp.uint16}[bit_width])


hashed = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in, name="hashed", tag="hsh"
)

GENERATORS = {"threefry": "threefry2x32", "hashed": hashed}


def key(seed: int, generator: str = "threefry") -> Key:
    """A key of the named generator. A seed is a 32-bit word, 0 to 2^32 - 1: JAX would take others modulo 2^32.

    >>> bool(jax.random.uniform(key(0, "hashed")) < 1)
    True
    """
    if generator not in GENERATORS:
        raise unknown("generator", generator, GENERATORS)
    if isinstance(seed, int) and not 0 <= seed < 2**32:
        raise Refusal(f"seed is {seed}; it must be between 0 and 2^32 - 1")
    return jax.random.key(seed, impl=GENERATORS[generator])


def raw(key: Key) -> tuple[str, Array]:
    """(generator, words): a key as it is written to disk; `restored` is the way back."""
    for name in GENERATORS:
        if jax.random.key(0, impl=GENERATORS[name]).dtype == key.dtype:
            return name, jax.random.key_data(key)
    raise unknown("generator", str(key.dtype), GENERATORS)


def restored(generator: str, words: Array) -> Key:
    """The key that `raw` took apart."""
    if generator not in GENERATORS:
        raise unknown("generator", generator, GENERATORS)
    return jax.random.wrap_key_data(jnp.asarray(words, jnp.uint32), impl=GENERATORS[generator])
