"""Drawing an action from preferences: the Boltzmann distribution, one uniform number an agent where there are two
actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import Key


def softmax_choice(key: Key, preference: Float[Array, "A N"]) -> Int[Array, " N"]:
    """action_i = a with chance exp(preference[a, i]) / sum_b exp(preference[b, i]).

    With two actions the worse one is taken with chance odds / (1 + odds), where odds = exp(-|difference|); with more,
    the largest of the preferences plus Gumbel noise. A choice with odds above 2^33 is certain. Cost O(A N).
    """
    if preference.shape[0] != 2:
        noise = jax.random.gumbel(key, preference.shape)
        return jnp.argmax(preference + noise, axis=0).astype(jnp.int32)
    difference = preference[1] - preference[0]
    odds = jnp.exp(-jnp.abs(difference))  # half the price of the logarithm in logistic noise
    # The division comes last: XLA keeps the result of a dear operation, and repeats cheap ones, random word included,
    # in every use of the action. Below 1 in size the worse action is taken; the sign tells which is better.
    share = _uniform(key, difference.shape) * (1 + odds) / jnp.where(difference > 0, -odds, odds)
    return ((jnp.abs(share) < 1) ^ (share < 0)).astype(jnp.int32)


def _uniform(key: Key, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """In (0, 1], one word each; down to 2^-33, where `jax.random.uniform` has steps of 2^-23."""
    return (jax.random.bits(key, shape, jnp.uint32).astype(jnp.float32) + 0.5) * 2.0**-32
