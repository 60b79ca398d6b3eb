"""Drawing an action from preferences: the Boltzmann distribution, one uniform number an agent where there are two
actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import Key


def softmax_choice(key: Key, preference: Float[Array, "A N"]) -> Int[Array, " N"]:
    """action_i = a with chance exp(preference[a, i]) / sum_b exp(preference[b, i]).

    With two actions logistic noise below the difference decides, so no exponential is taken; with more the largest of
    the preferences plus Gumbel noise. A choice with odds above 2^33 is certain. Cost O(A N).
    """
    if preference.shape[0] == 2:
        return (logistic(key, preference.shape[1:]) < preference[1] - preference[0]).astype(jnp.int32)
    noise = jax.random.gumbel(key, preference.shape)
    return jnp.argmax(preference + noise, axis=0).astype(jnp.int32)


def logistic(key: Key, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Logistic noise from one word each: a sign, and a size whose tail reaches odds of 2^33 on either side.

    `jax.random.logistic` has 2^-23 of its mass at -87 and nothing above 17, so that one of two certain choices would
    be broken every 8 million draws.
    """
    word = jax.lax.bitcast_convert_type(jax.random.bits(key, shape, jnp.uint32), jnp.int32)
    signed = (word.astype(jnp.float32) + 0.5) * 2.0**-31
    tail = jnp.abs(signed)
    # The logarithm comes last: what is cheap after it would be compiled, random word included, into every use.
    return jnp.log(jnp.where(signed > 0, 2 - tail, tail) / jnp.where(signed > 0, tail, 2 - tail))
