"""Dispersion: a message passes by way of other receivers, whom the sender cannot know when it speaks."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from quorate.errors import Refusal


def dispersed(key: PRNGKeyArray, named: Int[Array, "A N"], draws: int) -> Int[Array, "A N"]:
    """What each of N receivers makes of the messages of A senders, after L = `draws` random permutations.

        named'[a, i] = the value of more than half of named[a, pi_1(i)] .. named[a, pi_L(i)], else 0

    `named[a, i]` is what sender a told receiver i, and 0 means nothing. The permutations pi_l of the receivers are the
    same for all senders. Who tells all the same is heard unchanged; of values told to a share f of the receivers one
    comes through to a receiver with the chance that Binomial(L, f) exceeds L / 2.

    Cost: O(A N L log L) time and memory A N L.

    Errors: `Refusal` for less than one draw.

    Reference: IBGP, Appendix A.3.1.

    >>> told = jnp.array([[7] * 6, [1, 2, 3, 1, 2, 3]])
    >>> dispersed(jax.random.key(0), told, 99).tolist()
    [[7, 7, 7, 7, 7, 7], [0, 0, 0, 0, 0, 0]]
    """
    if draws < 1:
        raise Refusal(f"draws is {draws}; it counts permutations and must be at least 1")
    return most(named[:, permutations(key, draws, named.shape[1])])


def permutations(key: PRNGKeyArray, draws: int, receivers: int) -> Int[Array, "L N"]:
    """`draws` independent permutations of the receivers."""
    return jax.vmap(lambda k: jax.random.permutation(k, receivers))(jax.random.split(key, draws))


def most(heard: Int[Array, "A L N"]) -> Int[Array, "A N"]:
    """The value of more than half of the middle axis, 0 where there is none. If there is one it is the median."""
    draws = heard.shape[1]
    middle = jnp.sort(heard, axis=1)[:, draws // 2]
    often = jnp.sum(heard == middle[:, None], axis=1, dtype=jnp.int32)
    return jnp.where(2 * often > draws, middle, 0)


def draws_needed(n: int, m: int, t: int, delta: float) -> int:
    """Permutations after which, but for a chance of `delta`, no target that one of t liars names to less than a third
    of n receivers comes through to any of them, for all m targets: the least L >= 18 ln(n m t / delta).

    By Hoeffding a share f < 1/3 exceeds a half among L draws with a chance of at most exp(-L/18); the rest is a union
    bound over n m t. Then each liar has at most 3 targets.

    Errors: `Refusal` for `delta` outside (0, 1) or counts below 1.

    Reference: IBGP, Theorem 6, whose proof is lost in our source; the constant is ours.

    >>> draws_needed(20, 4, 2, 0.05), draws_needed(60, 12, 6, 0.05)
    (146, 205)
    """
    if not 0 < delta < 1:
        raise Refusal(f"delta is {delta}; it is a chance and must lie between 0 and 1")
    for name, number in (("n", n), ("m", m), ("t", t)):
        if number < 1:
            raise Refusal(f"{name} is {number}; it must be at least 1")
    return math.ceil(18 * math.log(n * m * t / delta))
