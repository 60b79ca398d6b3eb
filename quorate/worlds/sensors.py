"""Sensors: a few see a moving target, all should know where it is."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import AggregativeWorld, Key, State, static, swept
from quorate.errors import Refusal
from quorate.worlds.limits import above_zero, not_negative


class Sensors(AggregativeWorld):
    """N sensors and a signal that moves; each step some see it, with noise, and all say which bin they believe it in.

        value_i = 1 + floor((s(t) + noise * e_i - low) / width)  for the sensors that see it, 0 for the others
        G = share of the sensors whose action is the bin of s(t)

    signal   [L]: s of each step; after L steps it begins again, and a run begins anywhere
    seen     [L, N]: who sees it
    noise    standard deviation of the Gaussian e_i, each sensor and step its own
    low      where the first bin begins; width: of a bin, in the units of s
    bins     B; readings beyond the first or the last bin count there, as with a saturated sensor

    Actions are beliefs, i32 in 1..B, 0 for none. Shapes: state i32, the step. Cost O(N).
    Errors: Refusal for tables of different lengths, for bins below 1, a width that is not above 0 and a noise below 0.
    Reference: IBGP, Section 5.2 (a one-dimensional target, sensors that see it when it is close, discretised readings);
    every number there is lost in our source.

    >>> world = Sensors(signal=[0.5, 1.5], seen=[[1, 0], [1, 1]], noise=0.0, low=0.0, width=1.0, bins=3)
    >>> [world.observe(jax.random.key(0), jnp.int32(t)).tolist() for t in (0, 1, 2)]
    [[1, 0], [2, 2], [1, 0]]
    """

    signal: Float[Array, " L"] = swept()
    seen: Bool[Array, "L N"] = swept(bool)
    noise: Float[Array, ""] = swept()
    low: Float[Array, ""] = swept()
    width: Float[Array, ""] = swept()
    bins: int = static()

    def __check_init__(self):
        if self.signal.shape[-1:] != self.seen.shape[-2:-1]:
            raise Refusal(f"signal has {self.signal.shape[-1]} steps and seen {self.seen.shape[-2]}; they must agree")
        if self.bins < 1:
            raise Refusal(f"bins is {self.bins}; it is a count and must be at least 1")
        above_zero(width=self.width)
        not_negative(noise=self.noise)

    @property
    def num_agents(self) -> int:
        return self.seen.shape[-1]

    @property
    def num_actions(self) -> int:
        return self.bins + 1

    def reset(self, key: Key) -> Int[Array, ""]:
        return jax.random.randint(key, (), 0, self.signal.shape[0], jnp.int32)

    def step(self, key: Key, state: Int[Array, ""], actions: Int[Array, " N"]) -> Int[Array, ""]:
        return (state + 1) % self.signal.shape[0]

    def binned(self, reading: Float[Array, "..."]) -> Int[Array, "..."]:
        """The number of the bin, 1..B."""
        return jnp.clip(1 + jnp.floor((reading - self.low) / self.width), 1, self.bins).astype(jnp.int32)

    def observe(self, key: Key, state: Int[Array, ""]) -> Int[Array, " N"]:
        at = state % self.signal.shape[0]
        reading = self.signal[at] + self.noise * jax.random.normal(key, (self.num_agents,))
        return jnp.where(self.seen[at], self.binned(reading), 0)

    def parts(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        return self.own(state, actions)

    def value(self, state: State, total: Float[Array, "..."]) -> Float[Array, "..."]:
        return total / self.num_agents

    def own(self, state: Int[Array, ""], actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """1 for each who is right."""
        return (actions == self.binned(self.signal[state % self.signal.shape[0]])).astype(jnp.float32)
