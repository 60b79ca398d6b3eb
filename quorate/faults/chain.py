"""Faults in a row: an attack whose lies are lost on the way, failures beside loss."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from quorate.comms import Channel
from quorate.comms.channel import closed, like, opened, talkers, told
from quorate.core import Fault, Key, State, Tally
from quorate.errors import Refusal

MAIL = ("liars", "on_deliver", "on_tally", "on_post", "on_notice")


class Chain(Channel):
    """Several faults as one: each hook of the first, then of the second on what the first made of it, and so on.

    faults    in the order in which they act; what lies between (a `Channel`) comes after those who lie

    Members lie for the first fault that claims them, and are down where any fault says so. At most one fault has
    talkers from outside. The state, the report and what is learned are tuples, one for each fault; fault i draws from
    branch i of the key. Cost: the sum of the faults', and for each attack on an edge list one pass over the edges.

    Errors: `Refusal` for nothing in the chain, for what is no fault, for two faults with talkers from outside, and for
    a lying fault behind a channel, whose lies could not be lost any more.

    >>> from quorate.faults import Failing, Loss
    >>> len(Chain(faults=(Failing(fraction=0.2, at=2), Loss(share=0.1))).faults)
    2
    """

    faults: tuple[Fault, ...]

    def __init__(self, faults: Iterable[Fault]):
        faults = tuple(faults)
        for one in faults:
            if not isinstance(one, Fault):
                raise Refusal(f"a chain is made of faults; {type(one).__name__} is none")
        self.faults = tuple(part for one in faults for part in (one.faults if isinstance(one, Chain) else (one,)))
        self.extras = sum(one.extras for one in self.faults)

    def __check_init__(self):
        if not self.faults:
            raise Refusal("a chain needs at least one fault; NoFault stands for nothing")
        outside = [type(one).__name__ for one in self.faults if one.extras]
        if len(outside) > 1:
            raise Refusal(f"{' and '.join(outside)} both have talkers from outside; one fault of a chain may")
        before = ""
        for one in self.faults:
            kind = type(one)
            if isinstance(one, Channel):
                before = kind.__name__
            elif before and (one.extras or any(getattr(kind, hook) is not getattr(Fault, hook) for hook in MAIL)):
                raise Refusal(f"{kind.__name__} forges mail and stands behind {before}; put {before} behind it")

    def _each(self, hook: str, key: Key, state: State, value, *more):
        """Passes `value` through a hook of every fault."""
        states = []
        for index, (one, own) in enumerate(zip(self.faults, state, strict=True)):
            own, value = getattr(one, hook)(jax.random.fold_in(key, index), own, value, *more)
            states.append(own)
        return tuple(states), value

    def _own(self, method, state: State, *args):
        return tuple(method(one, own, *args) for one, own in zip(self.faults, state, strict=True))

    def reset(self, key, num_agents):
        return tuple(one.reset(jax.random.fold_in(key, i), num_agents) for i, one in enumerate(self.faults))

    def update(self, key, state, t):
        both = enumerate(zip(self.faults, state, strict=True))
        return tuple(one.update(jax.random.fold_in(key, i), own, t) for i, (one, own) in both)

    def open(self, state, passing):
        return self._own(opened, state, passing)

    def close(self, state):
        return self._own(closed, state)

    def on_observe(self, key, state, obs):
        return self._each("on_observe", key, state, obs)

    def on_act(self, key, state, actions, idle):
        return self._each("on_act", key, state, actions, idle)

    def on_credit(self, key, state, credit):
        return self._each("on_credit", key, state, credit)

    def on_post(self, key, state, posts, board):
        return self._each("on_post", key, state, posts, board)

    def on_notice(self, key, state, place, notice, heard, board):
        states = []
        for index, (one, own) in enumerate(zip(self.faults, state, strict=True)):
            own, notice, heard = one.on_notice(jax.random.fold_in(key, index), own, place, notice, heard, board)
            states.append(own)
        return tuple(states), notice, heard

    def down(self, state):
        return _any(self._own(lambda one, own: one.down(own), state))

    def liars(self, state):
        return _any(self._own(lambda one, own: one.liars(own), state))

    def _claims(self, state: State, num_agents: int) -> list[Bool[Array, " S"] | None]:
        """The talkers that lie for each fault, bool[N + extras]; None for a fault that nobody lies for."""
        taken, claims = jnp.zeros(num_agents, bool), []
        for one, own in zip(self.faults, state, strict=True):
            mine = one.liars(own)
            if mine is None and not one.extras:
                claims.append(None)
                continue
            mine = (jnp.zeros(num_agents, bool) if mine is None else mine) & ~taken
            taken |= mine
            claims.append(jnp.concatenate([mine, jnp.full(self.extras, bool(one.extras))]))
        return claims

    def on_deliver(self, key, state, mail):
        num_agents = jax.tree.leaves(mail.sent)[0].shape[0]
        _, everybody = talkers(self, state, num_agents)
        claims, states = self._claims(state, num_agents), []
        for index, (one, own, mine) in enumerate(zip(self.faults, state, claims, strict=True)):
            now = jax.random.fold_in(key, index)
            if mine is None:
                own, payload, heard = one.on_deliver(now, own, mail)
            else:
                hidden = (everybody & ~mine)[mail.sender]  # slots in which others lie
                shown = mail._replace(heard=mail.heard & ~hidden, tally=_of(mine, mail.tally))
                own, payload, heard = one.on_deliver(now, own, shown)
                heard = jnp.where(hidden, mail.heard, heard)
                payload = jax.tree.map(
                    lambda new, old, hidden=hidden: jnp.where(like(hidden, old), old, new), payload, mail.payload
                )
            mail = mail._replace(payload=payload, heard=heard)
            states.append(own)
        return tuple(states), mail.payload, mail.heard

    def on_sums(self, key, state, seen, sums):
        num_agents = jax.tree.leaves(seen.sent)[0].shape[0]
        claims, states = self._claims(state, num_agents), []
        nobody = jnp.zeros(num_agents + self.extras, bool)
        for index, (one, own, mine) in enumerate(zip(self.faults, state, claims, strict=True)):
            shown = seen if mine is None else _of(mine, seen)
            mine = nobody if mine is None else mine
            own, sums = told(jax.random.fold_in(key, index), one, own, shown, sums, mine)
            states.append(own)
        return tuple(states), sums

    def report(self, state):
        return self._own(lambda one, own: one.report(own), state)

    def learn(self, key, segment):
        keys = [jax.random.fold_in(key, index) for index in range(len(self.faults))]
        parts = zip(self.faults, keys, segment.trace, strict=True)
        return Chain(faults=tuple(one.learn(now, segment._replace(trace=trace)) for one, now, trace in parts))


def _any(masks: Iterable[Bool[Array, " N"] | None]) -> Bool[Array, " N"] | None:
    """Whom any of them marks; None where none says anything."""
    said = [mask for mask in masks if mask is not None]
    return jnp.stack(said).any(axis=0) if said else None


def _of(mine: Bool[Array, " S"], tally: Tally) -> Tally:
    """The tally as one fault sees it: its own liars, and the talkers from outside if they are its own."""
    num_agents = tally.forged.shape[0]
    forged = tally.forged & mine[:num_agents]
    outside = jnp.int32(0)
    if mine.shape[0] > num_agents:
        outside = jnp.where(mine[-1], tally.power - jnp.sum(tally.forged, dtype=jnp.int32), 0)
    return tally._replace(power=jnp.sum(forged, dtype=jnp.int32) + outside, forged=forged)
