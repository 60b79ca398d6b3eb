"""Bar: everybody picks a night, and a night is pleasant while not too many come."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import AggregativeWorld, At, Places, State, static, swept
from quorate.worlds.limits import above_zero


class Bar(AggregativeWorld):
    """The El Farol bar problem: N guests spread over M nights, and the pleasure of a night falls with its crowd.

        G = sum over nights k of x_k exp(-x_k / c)

    num_agents  N, guests
    nights      M, the actions
    capacity    c, guests: a night is worth most, c / e, with c of them

    x_k is the number of guests of night k. Beyond M c guests the best there is crowds one night, to put c on each of
    the others: it takes agents that give way. Staying at home is action -1 (`idle`), which nobody chooses but a fault
    may impose.

    Shapes: actions i32[N] in 0..M-1, or -1. Cost O(N + M) for the score and for all wonderful lives, O(M N) for all
    expected differences.
    Errors: Refusal for a number that is not above 0.
    Reference: W. B. Arthur, Inductive Reasoning and Bounded Rationality, American Economic Review 84 (1994); with this
    score D. H. Wolpert and K. Tumer, Optimal Payoff Functions for Members of Collectives, Advances in Complex Systems 4
    (2001), of which this is the case of one night a week and all nights alike.

    >>> world = Bar(num_agents=3, nights=2, capacity=1.0)
    >>> round(float(world.score((), jnp.array([0, 1, 1]), ())), 4)  # 1/e + 2/e^2
    0.6386
    """

    num_agents: int = static()
    nights: int = static()
    capacity: Float[Array, ""] = swept()

    def __check_init__(self):
        above_zero(num_agents=self.num_agents, nights=self.nights, capacity=self.capacity)

    @property
    def num_actions(self) -> int:
        return self.nights

    def idle(self, state: State) -> Int[Array, " N"]:
        return jnp.full(self.num_agents, -1, jnp.int32)

    def parts(self, state: State, actions: Int[Array, " N"]) -> At:
        return At(jnp.maximum(actions, 0), (actions >= 0).astype(jnp.float32), self.nights)

    def value(self, state: State, total: Places) -> Float[Array, "..."]:
        return total.sum(lambda night, crowd: crowd * jnp.exp(-crowd / self.capacity))

    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """exp(-x_k / c) of the agent's own night, 0 at home: its share of the pleasure, blind to the cost to others."""
        crowd = self.total(self.parts(state, actions)).amount
        return jnp.where(actions >= 0, jnp.exp(-crowd / self.capacity)[actions], 0)
