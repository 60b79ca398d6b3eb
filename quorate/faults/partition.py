"""Partition: for a while no mail passes between the two halves of a fleet."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from quorate.comms import Channel
from quorate.core import Key, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal


class Partition(Channel):
    """In the ticks at <= t < at + lasts mail passes within a side only: agents and places are on the side that is said.

    at        first tick, from 0; a tick that never comes switches it off
    lasts     ticks; 0 switches it off
    agents    each agent's side, bool[N], or [1] for all
    places    each place's side, bool[M], or [1] for all

    On a board slips, notices and replies pass where agents[i] == places[j]; marks in the environment (`by_mail` False)
    are no mail, so nothing keeps them from being read. On inboxes mail passes between agents of one side; talkers from
    outside are heard by both. O(mail) a round. `report` says whether the cut is there.

    Errors: `Refusal` on sums, which do not say what came from which side, and for sides of another length than N or M.

    >>> Partition(at=40, lasts=50, agents=[False, True, True], places=[False, True]).agents.tolist()
    [False, True, True]
    """

    at: Int[Array, ""] = swept(jnp.int32)
    lasts: Int[Array, ""] = swept(jnp.int32)
    agents: Bool[Array, " N"] = swept(bool)
    places: Bool[Array, " M"] = swept(bool)

    def __check_init__(self):
        at_least(0, lasts=self.lasts)
        for name in ("agents", "places"):
            if not getattr(self, name).ndim:
                raise Refusal(f"{name} is one value; it has a side for each, or [side] for all")

    def reset(self, key: Key, num_agents: int) -> Bool[Array, ""]:
        if self.agents.shape[-1] not in (1, num_agents):
            raise Refusal(f"agents has sides for {self.agents.shape[-1]} agents; the world has {num_agents}")
        return jnp.array(False)

    def update(self, key, state, t):
        return (t >= self.at) & (t - self.at < self.lasts)

    def on_deliver(self, key, state, mail):
        num_agents = mail.sender.shape[0]
        side = jnp.broadcast_to(self.agents, (num_agents,))
        same = side[jnp.minimum(mail.sender, num_agents - 1)] == side[:, None]
        return state, mail.payload, mail.heard & (same | (mail.sender >= num_agents) | ~state)

    def on_sums(self, key, state, seen, sums):
        raise Refusal(
            "Partition cannot take a sum apart by the sides its mail came from",
            "use inboxes: topology=comms.complete(num_agents)",
        )

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=posts.live & self._passes(state, posts.place, board))

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, heard & self._passes(state, place, board)

    def _passes(self, cut: Bool[Array, ""], place: Int[Array, "N W"], board) -> Bool[Array, "N W"]:
        """Whether agent i and its k-th place can reach each other."""
        if self.places.shape[-1] not in (1, board.places):
            raise Refusal(f"places has sides for {self.places.shape[-1]} places; the board has {board.places}")
        if not board.by_mail:
            return jnp.ones(place.shape, bool)
        there = jnp.broadcast_to(self.places, (board.places,))[jnp.clip(place, 0, board.places - 1)]
        return (there == jnp.broadcast_to(self.agents, place.shape[:1])[:, None]) | ~cut

    def report(self, state):
        return state
