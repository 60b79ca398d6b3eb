"""Push gossip among very many: everybody sends half of what it has to one node, drawn at random."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32


def below(words: UInt32[Array, "..."], count: int) -> Int[Array, "..."]:
    """Numbers 0..count-1 from random words: floor(word count / 2^32), by multiplying in two halves. Each number has
    the same chance to within count / 2^32.

    >>> below(jnp.array([0, 2**31, 2**32 - 1], jnp.uint32), 10).tolist()
    [0, 5, 9]
    """
    high, low = words >> 16, words & 0xFFFF
    top, rest = jnp.uint32(count >> 16), jnp.uint32(count & 0xFFFF)
    middle = high * rest
    carried = (middle & 0xFFFF) + low * top + ((low * rest) >> 16)
    return (high * top + (middle >> 16) + (carried >> 16)).astype(jnp.int32)


def push(key: PRNGKeyArray, state: Float[Array, "N D"]) -> Float[Array, "N D"]:
    """One round of push gossip: s_i <- s_i / 2 + sum of s_j / 2 over the j that drew i.

    With the columns (value, weight), value over weight at every node tends to the mean of all values: push-sum on the
    complete graph, O(N) a round, for crowds for which `protocols.gossip.PushSum` and its inboxes are too large. Column
    sums are kept up to rounding.

    Reference: Kempe, Dobra and Gehrke, Gossip-based computation of aggregate information (2003), Protocol Push-Sum.

    >>> state = jnp.array([[4.0, 1.0], [0.0, 1.0]])
    >>> jnp.sum(push(jax.random.key(0), state), axis=0).tolist()
    [4.0, 2.0]
    """
    half = state * 0.5
    target = below(jax.random.bits(key, state.shape[:1], jnp.uint32), state.shape[0])
    return half.at[target].add(half, mode="promise_in_bounds")
