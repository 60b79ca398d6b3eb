"""Alone: every agent heads for the best task it sees and looks again when that is gone. No word is said."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quorate.core import Outlook, Protocol, static, swept
from quorate.protocols.site import Mechanism, Site

NEVER = 2**30  # a patience that does not end: hold and wait


class Looking(NamedTuple):
    """Its view, and how often its patience it will wait in this tick, in [1, 2)."""

    outlook: Outlook
    waits: Float[Array, ""]


class Alone(Protocol):
    """The honest floor: k* = argmax over open k of worth_k while worth_k > 0; an agent on its way keeps its aim as long
    as it sees the task, and chooses anew as soon as it is gone. Costs no messages and O(N K) a tick.

    Where others are needed for a task it waits for them, and after patience (1 + U) ticks, U uniform and drawn for each
    tick, it looks elsewhere, so that not all who wait leave together. `NEVER` holds and waits, which with more tasks
    than teams ends with everybody waiting: no default for a floor.

    What it can see is the world's `sight`: with short eyes it walks to tasks that are taken. It has no memory either:
    what it has seen to be taken it believes to be open again as soon as that is out of sight, and may walk back to it.

    patience  ticks at a place, waiting for others

    >>> from quorate.protocols.alone import Alone
    >>> Alone().rounds, int(Alone().patience)
    (0, 8)
    """

    rounds: int = static(0)
    patience: Array = swept(jnp.int32, 8)

    def propose(self, key, state, proposal: Outlook) -> Looking:
        return Looking(proposal, 1 + jax.random.uniform(key))

    def send(self, ballot):
        return ()

    def receive(self, key, ballot, inbox):
        return ballot

    def decide(self, ballot: Looking):
        outlook = ballot.outlook
        tired = outlook.waited > self.patience * ballot.waits
        worth = jnp.where(outlook.open & ~(tired & (outlook.place == outlook.heading)), outlook.worth, 0.0)
        best = jnp.argmax(worth)
        wish = jnp.where(worth[best] > 0, outlook.place[best], -1)
        keeps = (outlook.heading >= 0) & outlook.valid & ~tired
        return jnp.where(outlook.free, jnp.where(keeps, outlook.heading, wish), -1), ()


def make(site: Site) -> Alone:
    return Alone(patience=site.patience)


ALONE = Mechanism(make, "head for the best task seen; look again when it is gone", teams=True)
