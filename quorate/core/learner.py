"""Utility and Learner: what agents are paid, and how they choose and improve."""

import abc
from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from quorate.core.fields import Key, Memory, Mind, State
from quorate.core.protocol import Protocol
from quorate.core.world import World

if TYPE_CHECKING:
    from quorate.core.scenario import Scenario, Step


class Utility(eqx.Module):
    """What each agent is paid. `score` is G of what was played; `chances[i, a]` is what agent i might have done,
    where the learner reports it."""

    needs_chances: ClassVar[bool] = False
    needs_sums: ClassVar[bool] = False  # works for an AggregativeWorld only

    @abc.abstractmethod
    def __call__(
        self,
        world: World,
        state: State,
        actions: PyTree,
        after: State,
        score: Float[Array, ""],
        chances: Float[Array, "N A"] | None,
    ) -> Float[Array, " N"]: ...


class Team(Utility):
    """Everybody is paid the score: g_i = G(z) (the team game; Tumer, Designing Agent Utilities, Section 2.1)."""

    def __call__(self, world, state, actions, after, score, chances):
        return jnp.broadcast_to(score, (world.num_agents,))


class Learner(eqx.Module):
    """How agents choose and improve. `mind` is learned and shared by the B runs of a batch; `memory` is lived and
    ends with the episode."""

    horizon: eqx.AbstractVar[int]  # ticks between calls of learn
    gives_chances: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, key: Key, scenario: "Scenario") -> Mind: ...

    def recall(self, key: Key, scenario: "Scenario") -> Memory:
        return ()

    def speaker(self, mind: Mind) -> Protocol | None:
        """Learned words: a protocol whose weights come from the mind. None: the scenario's `talk`."""
        return None

    @abc.abstractmethod
    def act(
        self, key: Key, mind: Mind, memory: Memory, obs: PyTree, legal: Bool[Array, "N A"] | None
    ) -> tuple[PyTree, Memory, PyTree]:
        """(intent, memory, aux). `aux.chances` [N, A], where there is one, goes to the utility."""

    def learn(self, key: Key, mind: Mind, segment: "Step", scenario: "Scenario") -> Mind:
        """Leaves of `segment` are [T, B, ...]; the last tick is there to be looked at (to bootstrap from). By default
        nothing is learned."""
        return mind
