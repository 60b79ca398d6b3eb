"""Drawing an action from preferences: the Boltzmann distribution, one uniform number an agent where there are two
actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import Key


def softmax_choice(key: Key, preference: Float[Array, "A N"]) -> Int[Array, " N"]:
    """action_i = a with chance exp(preference[a, i]) / sum_b exp(preference[b, i]).

    With two actions logit(u) < difference decides, so no exponential is taken and a certain choice stays certain;
    with more the largest of the preferences plus Gumbel noise. Cost O(A N).
    """
    if preference.shape[0] == 2:
        noise = jax.random.logistic(key, preference.shape[1:])
        return (noise < preference[1] - preference[0]).astype(jnp.int32)
    noise = jax.random.gumbel(key, preference.shape)
    return jnp.argmax(preference + noise, axis=0).astype(jnp.int32)
