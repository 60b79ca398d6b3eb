"""How many of many messages are lost: binomial numbers for a crowd whose numbers of trials differ little."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quorate.numerics.binomial import draw, guide


def lost(key: PRNGKeyArray, counts: Int[Array, " N"], share: Float[Array, ""], most: int) -> Int[Array, " N"]:
    """How many of `counts[i]` messages are lost when each is lost by itself with probability `share`: Binomial
    (counts[i], share), independent of each other. No count is above `most`.

    All draw Binomial(min(counts), share) from one table. What a receiver has beyond the least is added up by powers of
    two, with a table for each: Binomial(m, p) and Binomial(n, p), independent, add up to Binomial(m + n, p). A crowd
    with equal counts needs one table, one whose counts differ by 1 two; `jax.random.binomial` takes 190 ns a draw.

    Cost: for each power of two up to max(counts) - min(counts) and once more, a random word and two look-ups an agent,
    and O(sqrt(most)) for the table (`quorate.numerics.binomial`).

    >>> jax.jit(lost, static_argnums=3)(jax.random.key(0), jnp.array([5, 9, 0]), jnp.float32(1), 9).tolist()
    [5, 9, 0]
    """
    least = jnp.min(counts)
    beyond = counts - least

    def one_table(index: Array, trials: Array) -> Array:
        words = jax.random.bits(jax.random.fold_in(key, index), counts.shape, jnp.uint32)
        return draw(words, guide(trials, share, most))

    def one_bit(state: tuple[Array, Array]) -> tuple[Array, Array]:
        bit, gone = state
        return bit + 1, gone + jnp.where((beyond >> bit) & 1 == 1, one_table(bit + 1, 1 << bit), 0)

    largest = jnp.max(beyond)
    state = jnp.int32(0), one_table(jnp.int32(0), least)
    return jax.lax.while_loop(lambda state: (largest >> state[0]) > 0, one_bit, state)[1]
