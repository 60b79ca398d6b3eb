"""Subsets of an exact size, drawn without sorting: sums over a mask are cheap, a sort is not."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int, PRNGKeyArray, UInt32

from quorate.errors import Refusal


def choose(key: PRNGKeyArray, count: int | Int[Array, ""], total: int) -> Bool[Array, " total"]:
    """A uniform subset of exactly `count` out of `total` entries, as a mask.

    Every entry draws a 32-bit word and the `count` lowest words win (see `lowest`). `count` may be traced, `total` is
    static; a traced `count` below 0 gives the empty mask and one above `total` the full mask.

    Cost: one random word and 32 + log2(total) comparisons an entry, no sort. Two words are equal with probability
    2^-32, and only then does the lower index win: no entry's chance is off by more than total / 2^32.

    Errors: `Refusal` for a Python `count` outside 0..total.

    >>> import jax
    >>> mask = choose(jax.random.key(0), 3, 10)
    >>> mask.shape, int(mask.sum())
    ((10,), 3)
    """
    if isinstance(count, int) and not 0 <= count <= total:
        raise Refusal(f"count is {count}; it must be between 0 and total, here {total}")
    return lowest(jax.random.bits(key, (total,), jnp.uint32), count)


def lowest(words: UInt32[Array, " total"], count: int | Int[Array, ""]) -> Bool[Array, " total"]:
    """The mask of the `count` lowest `words`; among equal words the lower index comes first.

    The threshold is the greatest word with at most `count` words below it, found bit by bit; entries that equal it fill
    what is missing.

    >>> import jax.numpy as jnp
    >>> lowest(jnp.asarray([7, 2, 7, 7, 9], jnp.uint32), 3).tolist()
    [True, True, True, False, False]
    """

    def try_bit(i: Array, threshold: Array) -> Array:
        raised = threshold | (jnp.uint32(1 << 31) >> i.astype(jnp.uint32))
        return jnp.where(jnp.sum(words < raised) <= count, raised, threshold)

    threshold = jax.lax.fori_loop(0, 32, try_bit, jnp.uint32(0))
    below = words < threshold
    return below | first(words == threshold, count - jnp.sum(below))


def first(mask: Bool[Array, " total"], count: int | Int[Array, ""]) -> Bool[Array, " total"]:
    """The first `count` true entries of `mask` (all of them if there are fewer).

    Bisects the index where to stop: log2(total) masked sums, no cumulative sum.

    >>> import jax.numpy as jnp
    >>> first(jnp.asarray([False, True, True, False, True]), 2).tolist()
    [False, True, True, False, False]
    """
    index = jnp.arange(mask.shape[0], dtype=jnp.int32)
    bits = mask.shape[0].bit_length()

    def try_bit(i: Array, end: Array) -> Array:
        raised = end | (jnp.int32(1 << bits >> 1) >> i)
        return jnp.where(jnp.sum(mask & (index < raised)) <= count, raised, end)

    return mask & (index < jax.lax.fori_loop(0, bits, try_bit, jnp.int32(0)))
