"""Binomial numbers for a crowd that shares its number of trials and its chance: a random word and two look-ups
each."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

SPAN = 33  # powers of two between the smallest tail that a word can hold, 2^-33, and one half


class Guide(NamedTuple):
    """The inverse of a distribution function, cut into stretches of either tail that are so short that at most one
    value ends in each: `base` holds before `cut` (a tail, times 2^32), and one more or one less after it."""

    base: Int[Array, "2 G"]
    cut: Float[Array, "2 G"]


def guide(trials: Int[Array, ""], chance: Float[Array, ""], most: int) -> Guide:
    """The guide of Binomial(trials, chance) for trials of at most `most`.

    Weights follow from P(K = k) / P(K = k - 1) = (trials - k + 1) / k * chance / (1 - chance), from the mode outwards:
    a sum of small logarithms, where log-factorials would lose all digits of a float32. Both tails are summed from
    their thin ends. Stretches grow in proportion to the tail, 2^bits of them between a power of two and the next,
    with 2^bits >= sqrt(most): near the middle the values of a binomial are 1.6 / sqrt(trials) apart or more in
    relation to the tail, and further apart outside.

    Cost: O(sqrt(most)). Only values within 8 standard deviations of the largest spread that `trials` can have are
    drawn; each of the others has a chance below 10^-14.

    >>> jax.jit(guide, static_argnums=2)(jnp.int32(3), jnp.float32(0.5), 3).base.shape
    (2, 66)
    """
    width = min(most + 1, 2 * math.ceil(4 * math.sqrt(most)) + 64)
    bits = _bits(most)
    trials = jnp.asarray(trials, jnp.int32)
    mode = jnp.clip(((trials + 1) * chance).astype(jnp.int32), 0, trials)
    start = jnp.clip(mode - width // 2, 0, jnp.maximum(trials + 1 - width, 0))
    value = start + jnp.arange(width, dtype=jnp.int32)
    inside = value <= trials
    odds = jnp.clip(jnp.log(chance) - jnp.log1p(-chance), -80, 80)  # far enough for a certain event
    ratio = jnp.log(jnp.maximum(trials - value + 1, 1) / jnp.maximum(value, 1)) + odds
    up = jnp.cumsum(jnp.where(inside & (value > mode), ratio, 0))
    step = jnp.where((value > start) & (value <= mode), ratio, 0)
    down = jnp.cumsum(step[::-1])[::-1] - step  # of the steps from value + 1 to the mode
    weight = jnp.where(inside, jnp.exp(up - down), 0)
    whole = jnp.sum(weight)
    below = jnp.cumsum(weight) / whole  # P(K <= value)
    above = (jnp.cumsum(weight[::-1])[::-1] - weight) / whole  # P(K > value)
    tails = jnp.stack([below, above]) * 2.0**32
    size = SPAN << bits
    within = (tails >= 0.5) & (tails < 2.0**31)
    index = jnp.where(within, _place(tails, bits), size)  # out of bounds: dropped
    cut = jax.vmap(lambda i, t: jnp.full(size, jnp.inf).at[i].min(t, mode="drop"))(index, tails)
    count = jax.vmap(lambda i: jnp.zeros(size, jnp.int32).at[i].add(1, mode="drop"))(index)
    before = jnp.cumsum(count, axis=1) - count  # cuts in earlier stretches
    never = jnp.sum(tails[0] < 0.5, dtype=jnp.int32)  # values too rare for any word
    upper = start + jnp.sum(tails[1] >= 2.0**31, dtype=jnp.int32) + jnp.sum(within[1], dtype=jnp.int32)
    return Guide(jnp.stack([start + never + before[0], upper - before[1]]), cut)


def draw(words: UInt32[Array, "..."], table: Guide) -> Int[Array, "..."]:
    """A number for each uniform word: two look-ups.

    >>> table = jax.jit(guide, static_argnums=2)(jnp.int32(3), jnp.float32(0.5), 3)
    >>> words = (jnp.arange(8, dtype=jnp.uint32) << 29) + 2**28
    >>> jax.jit(draw)(words, table).tolist()
    [0, 1, 1, 1, 2, 2, 2, 3]
    """
    high = words >= jnp.uint32(2**31)
    tail = jnp.where(high, ~words, words).astype(jnp.float32) + 0.5
    size = table.base.shape[1]
    place = _place(tail, (size // SPAN).bit_length() - 1) + jnp.where(high, size, 0)
    after = tail >= table.cut.reshape(-1)[place]
    return table.base.reshape(-1)[place] + jnp.where(high, -1, 1) * after


def _bits(most: int) -> int:
    return max(0, math.ceil(math.log2(max(most, 1)) / 2))


def _place(tail: Float[Array, "..."], bits: int) -> Int[Array, "..."]:
    """The stretch in which a tail lies, from the exponent and the first `bits` digits of its float32."""
    word = jax.lax.bitcast_convert_type(tail.astype(jnp.float32), jnp.int32) >> (23 - bits)
    return jnp.clip(word - (126 << bits), 0, (SPAN << bits) - 1)
