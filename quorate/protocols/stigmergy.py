"""Stigmergy: agents mark the places they head for, and marks keep others away; nobody speaks to anybody."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.errors import Refusal
from quorate.protocols.site import Mechanism, Site


class Smelling(NamedTuple):
    """Its view; how often its patience it waits in this tick, in [1, 2); the number that it must beat to engage, in
    [0, 1); and the place it heads for in the end (-1: none)."""

    outlook: Outlook
    waits: Float[Array, ""]
    luck: Float[Array, ""]
    goal: Int[Array, ""]


class Stigmergy(BoardProtocol):
    """Response thresholds on marks left in the environment. With a_j agents on their way to place j, its mark is

        mark_j(t) = keep mark_j(t - 1) + a_j(t),        a / (1 - keep) in the long run,

    of which those whom the task needs beside the newcomer count for nothing: excess_k = max(0, mark_k - (team_k - 1) /
    (1 - keep)). An agent without an aim looks at its options. The stimulus of option k is

        s_k = worth_k exp(-beta excess_k),

    and it engages in the *one* option of largest s, with probability s^steep / (s^steep + theta^steep); else it idles
    for this tick. Once engaged it keeps its aim as long as it sees the task; where it waits for others it leaves after
    patience (1 + U) ticks, U uniform, as `Alone` does.

    What it can: agents choose in different ticks, and who comes later sees the mark, so fewer walk in vain than alone;
    no mail, so none is lost or late. What it cannot: two who engage in the same tick collide; and hesitation and
    repulsion leave agents idle, which costs most where there is work for all: there a hesitant fleet (theta of half a
    task's worth or more) serves less than `Alone`.

    keep      share of a mark that is left after a tick, in [0, 1)
    beta      how strongly a mark repels, per unit of mark
    theta     the stimulus that is answered half of the time, in units of worth; 0 answers any stimulus
    steep     how sharp the threshold is, above 0
    patience  ticks at a place, waiting for others

    Cost O(N K + M) a tick; a deposit for each agent on its way, K reads for each that chooses. Errors: Refusal for
    values outside these ranges.

    Reference: Bonabeau, Theraulaz, Deneubourg, Quantitative study of the fixed threshold model for the regulation of
    division of labour in insect societies, Proceedings of the Royal Society B 263 (1996), Equation 1, with steep = 2;
    there the stimulus belongs to the task alone and falls by work, here it is the agent's worth, damped by marks.

    >>> from quorate.protocols.stigmergy import Stigmergy
    >>> Stigmergy(places=6).by_mail
    False
    """

    by_mail: ClassVar[bool] = False
    places: int = static()
    rounds: int = static(1)
    capacity: int = static(0)
    keep: Float[Array, ""] = swept(default=0.7)
    beta: Float[Array, ""] = swept(default=1.0)
    theta: Float[Array, ""] = swept(default=0.3)
    steep: Float[Array, ""] = swept(default=2.0)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        ranges = {
            "keep": (lambda x: (x >= 0) & (x < 1), "from 0 to below 1"),
            "beta": (lambda x: x >= 0, "at least 0"),
            "theta": (lambda x: x >= 0, "at least 0"),
            "steep": (lambda x: x > 0, "above 0"),
        }
        for name, (holds, allowed) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and not np.all(holds(np.asarray(value))):
                raise Refusal(f"{name} is {value}; it must be {allowed}")

    def propose(self, key, state, proposal: Outlook) -> Smelling:
        waits, luck = jax.random.uniform(key, (2,))
        keeps = (proposal.heading >= 0) & proposal.valid & proposal.free
        keeps &= proposal.waited <= self.patience * (1 + waits)
        return Smelling(proposal, 1 + waits, luck, jnp.where(keeps, proposal.heading, -1))

    def post(self, ballot: Smelling) -> Posts:
        """A deposit at the place it is on its way to, or waits at."""
        return Posts(ballot.goal[None], (ballot.goal >= 0)[None], amount=jnp.ones(1, jnp.float32))

    def watch(self, ballot: Smelling):
        outlook = ballot.outlook
        chooses = outlook.free & (outlook.serving < 0) & (ballot.goal < 0)
        return jnp.where(chooses & outlook.open, outlook.place, -1)

    def hear(self, key, ballot: Smelling, news: News) -> Smelling:
        outlook = ballot.outlook
        tired = (outlook.waited > self.patience * ballot.waits) & (outlook.place == outlook.heading)
        excess = jnp.maximum(news.notice - (outlook.team - 1) / (1 - self.keep), 0)
        seen = news.heard & outlook.open & ~tired & (outlook.worth > 0)
        stimulus = jnp.where(seen, outlook.worth * jnp.exp(-self.beta * excess), 0)
        best = jnp.argmax(stimulus)
        engages = (stimulus[best] > 0) & (ballot.luck < self.response(stimulus[best]))
        return ballot._replace(goal=jnp.where(engages, outlook.place[best], ballot.goal))

    def response(self, stimulus: Float[Array, "..."]) -> Float[Array, "..."]:
        """The probability of engaging, s^steep / (s^steep + theta^steep); 0 without a stimulus."""
        ratio = self.theta / jnp.where(stimulus > 0, stimulus, 1)
        return jnp.where(stimulus > 0, 1 / (1 + ratio**self.steep), 0)

    def decide(self, ballot: Smelling):
        return ballot.goal, ()

    def open(self, key, place):
        return jnp.float32(0)

    def serve(self, key, place_state, heap: Heap):
        return self.keep * place_state + heap.total

    def notice(self, place_state):
        return place_state


def make(site: Site) -> Stigmergy:
    """Marks at every place of the site."""
    return Stigmergy(places=site.places, patience=site.patience)


STIGMERGY = Mechanism(
    make, "mark where you head for; marks keep others away, thresholds make them hesitate", teams=True
)
