"""What the vote is held against: flooding, trimmed means, and nobody talking at all."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Inbox, Key, Learner, Protocol, static
from quorate.protocols.neighbourhood_vote import NOTHING


class Flood(NamedTuple):
    belief: Int[Array, ""]
    value: Int[Array, ""]
    fresh: Bool[Array, ""]


class Flooding(Protocol):
    """Plain broadcasting: believe the first new value that is heard in a step and pass it on, once.

    Where several come in one round, one of the messages is taken by chance. Cost O(N K) a round. Reference: IBGP,
    Appendix A.5.4, Figure 12 (the counterexample).
    """

    rounds: int = static()

    def boot(self, key: Key, me: Int[Array, ""]) -> Int[Array, ""]:
        return jnp.int32(NOTHING)

    def propose(self, key: Key, state: Int[Array, ""], proposal: Int[Array, ""]) -> Flood:
        sees = proposal != NOTHING
        return Flood(jnp.where(sees, proposal, state), proposal, sees & (proposal != state))

    def speaks(self, ballot: Flood) -> Bool[Array, ""]:
        return ballot.fresh

    def send(self, ballot: Flood) -> Int[Array, ""]:
        return jnp.where(ballot.fresh, ballot.value, NOTHING)

    def receive(self, key: Key, ballot: Flood, inbox: Inbox) -> Flood:
        told = inbox.heard & (inbox.payload != NOTHING)
        luck = jnp.where(told, jax.random.uniform(key, told.shape), -1.0)
        adopts = (ballot.value == NOTHING) & jnp.any(told)
        value = jnp.where(adopts, inbox.payload[jnp.argmax(luck)], ballot.value)
        return Flood(jnp.where(adopts, value, ballot.belief), value, adopts)

    def decide(self, ballot: Flood) -> tuple[Int[Array, ""], Int[Array, ""]]:
        return ballot.belief, ballot.belief


class Estimate(NamedTuple):
    x: Float[Array, ""]
    fixed: Bool[Array, ""]


class TrimmedMean(Protocol):
    """Every round each takes the mean of what it hears, once the `trim` largest above and smallest below its own are
    thrown away; who sees the target keeps to what it sees. The decision is the nearest bin.

    It lets no single liar among a node's neighbours pull it beyond what honest ones say. Cost O(N K^2) a round,
    in which all speak. Reference: W-MSR of LeBlanc, Zhang, Koutsoukos and Sundaram, Resilient Asymptotic Consensus in
    Robust Networks, IEEE Journal on Selected Areas in Communications 31 (2013); with fixed sources it follows a leader.
    """

    rounds: int = static()
    trim: int = static(1)

    def boot(self, key: Key, me: Int[Array, ""]) -> Float[Array, ""]:
        return jnp.float32(NOTHING)

    def propose(self, key: Key, state: Float[Array, ""], proposal: Int[Array, ""]) -> Estimate:
        sees = proposal != NOTHING
        return Estimate(jnp.where(sees, proposal.astype(jnp.float32), state), sees)

    def speaks(self, ballot: Estimate) -> Bool[Array, ""]:
        return ballot.x != NOTHING

    def send(self, ballot: Estimate) -> Float[Array, ""]:
        return ballot.x

    def receive(self, key: Key, ballot: Estimate, inbox: Inbox) -> Estimate:
        told = inbox.heard & (inbox.payload != NOTHING)
        values = jnp.where(told, inbox.payload, jnp.inf)
        count = jnp.sum(told, dtype=jnp.int32)
        # Without an estimate of its own a node trims around the median of what it hears.
        middle = jnp.sort(values)[jnp.maximum(count - 1, 0) // 2]
        own = jnp.where(ballot.x != NOTHING, ballot.x, middle)
        said, slot = inbox.payload, jnp.arange(told.shape[0])
        first = slot[None, :] < slot[:, None]  # of equal values the first is thrown away first

        def thrown(outside: Array, further: Array) -> Array:
            """Those outside with fewer than `trim` that are further out."""
            before = further | (said[None, :] == said[:, None]) & first
            return outside & (jnp.sum(before & outside[None, :], axis=1) < self.trim)

        high = thrown(told & (said > own), said[None, :] > said[:, None])
        low = thrown(told & (said < own), said[None, :] < said[:, None])
        kept = told & ~high & ~low
        number = jnp.sum(kept)
        mean = jnp.sum(jnp.where(kept, inbox.payload, 0)) / jnp.maximum(number, 1)
        return ballot._replace(x=jnp.where(ballot.fixed | (number == 0), ballot.x, mean))

    def decide(self, ballot: Estimate) -> tuple[Int[Array, ""], Float[Array, ""]]:
        return jnp.round(ballot.x).astype(jnp.int32), ballot.x


class Believe(Learner):
    """Does what was agreed on: the action is the belief. Nothing is learned."""

    horizon: int = static(1)

    def init(self, key, scenario):
        return ()

    def act(self, key, mind, memory, obs, legal):
        return obs, memory, ()
