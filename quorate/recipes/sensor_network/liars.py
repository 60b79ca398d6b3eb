"""Sensors that lie, each receiver and round anew."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from quorate.core import Fault, Mail, static, swept
from quorate.protocols.neighbourhood_vote import NOTHING

BEHAVIOURS = ("silent", "one lie", "split", "near", "stale", "mixed")


class Plan(NamedTuple):
    members: Bool[Array, " N"]
    true: Int[Array, ""]  # the largest value that a sensor sees
    stale: Int[Array, ""]  # another value that was true before
    lie: Int[Array, ""]  # the false value on which all liars agree


class LyingSensors(Fault):
    """Members who forge their mail; each sees the true value and the whole round before it speaks.

    placements  [M, N]: where liars may sit; each run takes a row by chance
    behaviour   which of `BEHAVIOURS`. silent: nothing. one lie: the same far value to all, agreed among liars, another
                in each step. split: to each receiver and round another far value. near: one bin beside the truth, on
                either side. stale: an earlier truth. mixed: to each receiver and round one of all these or the truth
    bins        values are 1..bins
    """

    placements: Bool[Array, "M N"] = swept(bool)
    behaviour: Int[Array, ""] = swept(jnp.int32)
    bins: int = static()

    def reset(self, key, num_agents):
        row = jax.random.randint(key, (), 0, self.placements.shape[0])
        nothing = jnp.int32(NOTHING)
        return Plan(self.placements[row], nothing, nothing, nothing)

    def on_observe(self, key, state, obs):
        now = jnp.where(jnp.any(obs != NOTHING), jnp.max(obs), state.true)
        stale = jnp.where(now != state.true, state.true, state.stale)
        return Plan(state.members, now, stale, self._far(jax.random.bits(key), now)), obs

    def _far(self, luck, true):
        """A value at least a quarter of the range away; from `luck`, a random word."""
        quarter = max(1, self.bins // 4)
        away = quarter + (luck % max(1, self.bins - 2 * quarter + 1)).astype(jnp.int32)
        return (true - 1 + away) % self.bins + 1

    def liars(self, state):
        return state.members

    def on_deliver(self, key, state, mail: Mail):
        num_agents = mail.sender.shape[0]
        other = mail.sender != jnp.arange(num_agents)[:, None]
        forged = mail.heard & other & (mail.sender < num_agents)
        forged &= state.members[jnp.minimum(mail.sender, num_agents - 1)]
        luck = jax.random.bits(key, mail.sender.shape)  # one word a message: drawing is the most of an attack's cost
        silent = jnp.zeros(luck.shape, jnp.int32)
        split = self._far(luck >> 8, state.true)
        beside = state.true + 2 * (luck >> 31).astype(jnp.int32) - 1
        near = jnp.where((beside < 1) | (beside > self.bins), 2 * state.true - beside, beside)
        menu = jnp.stack([silent, silent + state.lie, split, near, silent + state.stale, silent + state.true])
        mixed = jnp.take_along_axis(menu, (luck % len(menu))[None], axis=0)[0]
        said = jnp.where(self.behaviour == len(BEHAVIOURS) - 1, mixed, menu[self.behaviour])
        said = jnp.where(state.true == NOTHING, NOTHING, said)
        payload = jnp.where(forged, said.astype(mail.payload.dtype), mail.payload)
        return state, payload, mail.heard & ~(forged & (said == NOTHING))

    def report(self, state):
        return state.members
