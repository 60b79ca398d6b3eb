"""Small parts for those that come without a scenario of their own, and parts that do nothing but draw noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

from quorate.core import CountingAttack, Fault, Monitor, TallyProtocol, World


class Lamps(World):
    """A tiny world for parts that come without one: N lamps that are lit or not; each agent sees its own and how many
    are lit."""

    num_agents: int = eqx.field(static=True, kw_only=True)
    num_actions: int = eqx.field(default=2, static=True, kw_only=True)

    def reset(self, key):
        return jax.random.bernoulli(key, 0.5, (self.num_agents,))

    def observe(self, key, state):
        return jnp.stack([state.astype(jnp.float32), jnp.full(self.num_agents, jnp.sum(state, dtype=jnp.float32))], 1)

    def step(self, key, state, actions):
        return state ^ (actions > 0)

    def score(self, state, actions, after):
        return jnp.sum(after, dtype=jnp.float32)


class Show(TallyProtocol):
    """A tiny protocol for parts that come without one: act when more than half of the mail says act."""

    rounds: int = eqx.field(default=2, static=True, kw_only=True)

    def propose(self, key, state, proposal):
        return proposal > 0, jnp.int32(1)

    def send(self, ballot):
        return ballot[0]

    def hear(self, key, ballot, total, coin):
        return ballot[0], total

    def decide(self, ballot):
        return (ballot[1] * 2 > 3).astype(jnp.int32), ()


class IdleFault(Fault):
    """Nothing goes wrong, with noise of its own."""

    def reset(self, key, num_agents):
        return jax.random.normal(key, (num_agents,))

    def update(self, key, state, t):
        return state + jax.random.normal(key, state.shape)

    def report(self, state):
        return state


class IdleMonitor(Monitor):
    """Looks on, with noise of its own."""

    def reset(self, key, num_agents):
        return jax.random.normal(key, (num_agents,))

    def watch(self, key, state, step):
        return state + jax.random.normal(key, state.shape), state


class Chorus(CountingAttack):
    """The first `members` agents and all talkers from outside tell each receiver something else."""

    members: int = eqx.field(default=0, static=True, kw_only=True)

    def reset(self, key, num_agents):
        return jnp.arange(num_agents) < self.members

    def liars(self, state):
        return state

    def lies(self, key, state, tally):
        return state, jax.random.randint(key, state.shape, 0, self.members + self.extras + 1)
