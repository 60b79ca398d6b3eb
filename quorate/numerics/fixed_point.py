"""Sums that do not depend on their order: float32 values on a common grid, added as two integer words.

A float32 sum over 10^6 agents errs by about 10^-4 and changes with the batch shape and the device; a settled crowd
has sums of that size.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.errors import Refusal

MOST = 2**27  # agents: beyond this a word of the sum could overflow


class Grid(NamedTuple):
    """Multiples of `unit`, a power of two from 2^-126 to 2^126; `per_unit` is its inverse.

    A world keeps both: what XLA derives from a constant outside a loop no longer looks equal inside it, and two equal
    sums would be added up twice.
    """

    unit: Float[Array, ""]
    per_unit: Float[Array, ""]


def grid_of(exponent: Int[Array, ""]) -> Grid:
    """Multiples of 2^exponent."""
    one = jnp.float32(1)
    return Grid(jnp.ldexp(one, exponent), jnp.ldexp(one, -exponent))


def word_bits(count: int) -> int:
    """Bits of a word such that `count` words add up within 32 bits; 12 at most, which fills the mantissa of a float32.

    >>> [word_bits(count) for count in (1, 1000, 2**20, 2**21)]
    [12, 12, 12, 11]
    """
    if count > MOST:
        raise Refusal(f"{count} values: fixed point sums take at most {MOST}")
    return min(12, 32 - max(1, math.ceil(math.log2(max(count, 2)))))


def grid_exponent(values: Float[Array, "..."], count: int) -> Int[Array, ""]:
    """The finest exponent at which every value is an integer below 2^(2 word_bits - 1) in size."""
    bits = 2 * word_bits(count) - 1
    largest = jnp.maximum(jnp.max(jnp.abs(values)), jnp.float32(1e-30))
    _, above = jnp.frexp(largest)  # largest < 2^above
    rounds_up = jnp.round(jnp.ldexp(largest, bits - above)) >= 2**bits  # a mantissa of all ones
    return (above - bits + rounds_up).astype(jnp.int32)


def onto_grid(values: Float[Array, "..."], exponent: Int[Array, ""]) -> Float[Array, "..."]:
    """Each value rounded to a multiple of 2^exponent; float32 holds the result exactly."""
    return jnp.ldexp(jnp.round(jnp.ldexp(values, -exponent)), exponent)


def exact_sum(values: Float[Array, "... N"], exponent: Int[Array, ""]) -> Float[Array, "..."]:
    """The sum over the last axis of values on the grid: exact but for the one rounding of the result to float32.
    O(N), one pass.

    >>> import jax.numpy as jnp
    >>> values = onto_grid(jnp.array([1e4, 0.125, -1e4]), jnp.int32(-9))
    >>> float(exact_sum(values, jnp.int32(-9)))
    0.125
    """
    return exact_sums(grid_of(exponent), values)[0]


def exact_sums(grid: Grid, values: Float[Array, "... N"], *counts: Int[Array, "... N"]) -> tuple[Array, ...]:
    """`exact_sum`, and the sums of int32 arrays of the same shape, all in one pass."""
    bits = word_bits(values.shape[-1])
    whole = (values * grid.per_unit).astype(jnp.int32)
    # One reduction of several operands: XLA makes them as it adds them up. One operand each it would write to memory
    # first, at five times the cost on a CPU.
    terms = (whole >> bits, whole & (2**bits - 1), *(count.astype(jnp.int32) for count in counts))
    zeros = (jnp.int32(0),) * len(terms)
    high, low, *sums = jax.lax.reduce(terms, zeros, lambda a, b: tuple(map(jnp.add, a, b)), (values.ndim - 1,))
    low = low.astype(jnp.uint32)
    high = high + (low >> bits).astype(jnp.int32)
    # Both terms fit a mantissa, so that the addition is the only rounding.
    low = ((high & 0xFFF) << bits) | (low & (2**bits - 1)).astype(jnp.int32)
    high = (high >> 12).astype(jnp.float32) * 2.0 ** (bits + 12)
    return high * grid.unit + low.astype(jnp.float32) * grid.unit, *sums
