"""Boltzmann: each agent averages what each action paid, forgets with age, and picks the better one more often."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from quorate.core import Key, Learner, Scenario, Step, static, swept
from quorate.errors import Refusal
from quorate.learners.choice import softmax_choice


class Estimates(NamedTuple):
    """What an agent knows: a mean pay and the weight behind it for each action, [A, N], and the number of ticks
    seen."""

    pay: Float[Array, "A N"]
    weight: Float[Array, "A N"]
    ticks: Int[Array, ""]


class Chances(NamedTuple):
    chances: Float[Array, "N A"]


class Boltzmann(Learner):
    """Aged averages and a Boltzmann choice at a constant temperature, switched on a few agents at a time.

        pay_a    = sum_t' memory^(t-t') u(t') [a(t') = a]  /  sum_t' memory^(t-t') [a(t') = a]
        p(a)     = exp(pay_a / temperature) / sum_b exp(pay_b / temperature)

    memory        how much of a weight is left after a tick (the ageing rate gamma)
    temperature   in the unit of the utility; 0 takes the best, and any of equals; for N imperfect devices with errors
                  of root mean square s it is c s / N^2 (`device_temperature`)
    first         the number of ticks before anybody learns: all act uniformly and record
    switch_on     agents that start to use what they know in each tick from then on, by index; the others act
                  uniformly and record

    The raw sums underflow for an action that was not tried for long, so the mean is kept in the recursive form: each
    tick weight *= memory, and the action taken gets weight += 1, pay += (u - pay) / weight. An action never tried
    counts as 0; one long untried keeps its stale mean, which is what makes a crowd settle. Runs that share a mind
    count as several experiences of one tick.

    Shapes: state 2 A N numbers. Cost O(A N) a tick, one random number an agent where A = 2.
    Reference: Tumer, Designing Agent Utilities, Section 4; temperature and ageing rate are not stated there.

    >>> learner = Boltzmann(temperature=1e-4)
    >>> float(learner.memory), int(learner.first)
    (0.800000011920929, 20)
    """

    temperature: Float[Array, ""] = swept()
    memory: Float[Array, ""] = swept(default=0.8)
    first: Int[Array, ""] = swept(jnp.int32, 20)
    switch_on: Int[Array, ""] = swept(jnp.int32, 3)
    horizon: int = static(1)

    gives_chances = True

    def __check_init__(self):
        for name, most in (("temperature", np.inf), ("memory", 1.0)):
            value = getattr(self, name)
            if isinstance(value, jax.core.Tracer):
                continue
            if not np.all((np.asarray(value) >= 0) & (np.asarray(value) <= most)):
                raise Refusal(f"{name} is {value}; it must be between 0 and {most}")

    def init(self, key: Key, scenario: Scenario) -> Estimates:
        shape = scenario.world.num_actions, scenario.world.num_agents
        return Estimates(jnp.zeros(shape), jnp.zeros(shape), jnp.int32(0))

    def act(self, key, mind, memory, obs, legal):
        num_agents = mind.pay.shape[1]
        steps = (num_agents - 1) // jnp.maximum(self.switch_on, 1) + 1  # then all are on; the product cannot overflow
        learning = jnp.arange(num_agents) < jnp.clip(mind.ticks + 1 - self.first, 0, steps) * self.switch_on
        allowed = jnp.ones((1, 1), bool) if legal is None else legal.T
        pay = jnp.where(allowed, mind.pay, -jnp.inf)
        best = jnp.maximum(pay[0], pay[1]) if len(pay) == 2 else jnp.max(pay, axis=0)  # a reduction is no fused kernel
        gap = pay - best[None]  # the best has 0, which stays 0 at any temperature
        preference = jnp.where(learning[None] & (gap < 0), gap * (1 / self.temperature), 0)
        preference = jnp.where(allowed, preference, -jnp.inf)
        return softmax_choice(key, preference), memory, Chances(jax.nn.softmax(preference, axis=0).T)

    def learn(self, key: Key, mind: Estimates, segment: Step, scenario: Scenario) -> Estimates:
        def age(mind: Estimates, seen: tuple) -> tuple[Estimates, None]:
            actions, credit, live = seen  # [B, N], [B, N], [B]
            options = jnp.arange(mind.pay.shape[0])
            taken = (actions[:, None, :] == options[None, :, None]) & live[:, None, None]  # [B, A, N]
            times = jnp.sum(taken, axis=0, dtype=jnp.float32)
            weight = mind.weight * self.memory + times
            surprise = jnp.sum(jnp.where(taken, credit[:, None, :], 0), axis=0) - times * mind.pay
            pay = mind.pay + surprise / jnp.maximum(weight, 1)  # at least 1 where there is a surprise
            return Estimates(pay, weight, mind.ticks + 1), None

        seen = segment.actions, segment.credit, segment.live
        if self.horizon == 1:
            return age(mind, jax.tree.map(lambda leaf: leaf[0], seen))[0]
        return jax.lax.scan(age, mind, seen)[0]


def device_temperature(errors: Array, strength: float) -> Float[Array, ""]:
    """c s / N^2 with c `strength`, s the root mean square of `errors` [N] or [D, N]: pay shrinks like s / N, and so
    does the useful resolution of an error, so this one law holds at every N and in every unit."""
    return strength * jnp.sqrt(jnp.mean(errors**2)) / float(errors.shape[-1]) ** 2
