"""World: where joint actions have consequences."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core.fields import Key, State


class Neighbours(NamedTuple):
    """Who hears whom: `index[i, k]` is the k-th agent that i hears, in topology order; rows are padded where `real`
    is False."""

    index: Int[Array, "N K"]
    real: Bool[Array, "N K"]


class World(eqx.Module):
    """Where joint actions have consequences. Pure functions of (key, state, actions); leaves of state lead with N or
    stand for the whole."""

    num_agents: eqx.AbstractVar[int]
    num_actions: eqx.AbstractVar[int]

    def reset(self, key: Key) -> State:
        """The first state; () where a world has none, as in a bandit."""
        return ()

    def step(self, key: Key, state: State, actions: PyTree) -> State:
        return state

    @abc.abstractmethod
    def score(self, state: State, actions: PyTree, after: State) -> Float[Array, ""]:
        """G(z), the system's objective for this tick."""

    def observe(self, key: Key, state: State) -> PyTree:
        """What each agent sees, leaves [N, ...]; by default nothing, as in a bandit."""
        return ()

    def done(self, state: State) -> Bool[Array, ""]:
        """Termination only; time limits belong to the scenario."""
        return jnp.array(False)

    def legal(self, state: State) -> Bool[Array, "N A"] | None:
        return None

    def idle(self, state: State) -> PyTree:
        """What an agent does that does nothing."""
        return jnp.zeros(self.num_agents, jnp.int32)

    def present(self, state: State) -> Bool[Array, " N"]:
        """Who is there. The absent neither speak nor hear, idle, and boot anew when they come; a world gives them no
        part in its score itself."""
        return jnp.ones(self.num_agents, bool)

    def view(self, state: State) -> Float[Array, " V"]:
        """The whole, for central critics."""
        return jnp.zeros(0, jnp.float32)

    def links(self, state: State) -> Neighbours | None:
        """Who hears whom, where that moves with the world."""
        return None
