"""Uniform: every action is equally likely, for ever. The floor of every comparison."""

import jax.numpy as jnp

from quorate.core import Key, Learner, Scenario, static
from quorate.learners.boltzmann import Chances
from quorate.learners.choice import softmax_choice


class Uniform(Learner):
    """p(a) = 1 / A among the legal actions; nothing is learned. Cost O(A N). `Ran` of Tumer, Designing Agent
    Utilities, Section 4.2.

    >>> Uniform().horizon
    1
    """

    horizon: int = static(1)
    gives_chances = True

    def init(self, key: Key, scenario: Scenario):
        return jnp.zeros((scenario.world.num_actions, scenario.world.num_agents))

    def act(self, key, mind, memory, obs, legal):
        preference = mind if legal is None else jnp.where(legal.T, mind, -jnp.inf)
        chance = jnp.exp(preference)
        return softmax_choice(key, preference), memory, Chances((chance / chance.sum(axis=0, keepdims=True)).T)
