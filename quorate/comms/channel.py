"""What lies between sender and receiver: the interface of faults that lose, delay or hold back mail, on every route."""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.core import CountingAttack, Fault, Key, State, Tally, Traffic
from quorate.core.fault import votes
from quorate.errors import Refusal


class Sums(NamedTuple):
    """A round's sums on their way to the receivers.

    total     what each hears: leaves [...] (one sum for all) or [N, ...]
    own       whose own message is in `total`
    arriving  how many messages of others are in each receiver's total; kept for a `Channel` only, else None
    reach     reach(marked) is how many of the marked talkers, bool[N + extras], each receiver listens to, itself left
              out: int32[N]
    most      no receiver hears more messages than this
    """

    total: PyTree
    own: Bool[Array, " N"]
    arriving: Int[Array, " N"] | None
    reach: Callable[[Array], Int[Array, " N"]]
    most: int


class Channel(Fault):
    """A fault of what lies between: it knows which messages arrive, so that the bill stays right on every route.

    On inboxes it is asked by `on_deliver`, as every fault, and `Mail.heard` says what arrives. On sums it is asked by
    `on_sums` in place of `on_tally`. What is still under way lives as long as a conversation, between `open` and
    `close`; in between all hooks get the opened state.
    """

    def open(self, state: State, passing: PyTree) -> State:
        """Before the first round. `passing` has the shape of what a round passes on, all zero: (payload, heard) of
        `Mail`, or `total` and `arriving` of `Sums` with leaves [N, ...]."""
        return state

    def close(self, state: State) -> State:
        """After the last round: undoes `open`."""
        return state

    @abc.abstractmethod
    def on_sums(self, key: Key, state: State, seen: Tally, sums: Sums) -> tuple[State, Sums]:
        """What arrives of the sums. Own messages are never touched."""


def opened(fault: Fault, state: State, passing: PyTree) -> State:
    return fault.open(state, passing) if isinstance(fault, Channel) else state


def closed(fault: Fault, state: State) -> State:
    return fault.close(state) if isinstance(fault, Channel) else state


def told(key: Key, fault: Fault, state: State, seen: Tally, sums: Sums, mine: Bool[Array, " S"]) -> tuple[State, Sums]:
    """What one fault makes of the sums. `mine`, bool[N + extras], marks the talkers that lie for it.

    A `CountingAttack` adds its lies, at most as many as there are talkers of its own whom the receiver listens to.
    """
    if isinstance(fault, Channel):
        return fault.on_sums(key, state, seen, sums)
    if isinstance(fault, CountingAttack):
        votes(seen.sent)  # refuses other mail
        state, lies = fault.lies(key, state, seen)
        return state, sums._replace(total=sums.total + jnp.clip(lies, 0, sums.reach(mine)))
    state, total = fault.on_tally(key, state, seen._replace(total=sums.total))
    return state, sums._replace(total=total)


def talkers(fault: Fault, state: State, num_agents: int) -> tuple[Array, Array]:
    """The members who lie, bool[N], and all who do, those from outside included, bool[N + extras]."""
    liars = fault.liars(state)
    lying = jnp.zeros(num_agents, bool) if liars is None else liars
    return lying, jnp.concatenate([lying, jnp.ones(fault.extras, bool)])


def fits_edges(fault: Fault) -> None:
    """Refuses what has a meaning only for a sum over everybody or for inboxes."""
    for one in getattr(fault, "faults", (fault,)):
        kind = type(one)
        if not isinstance(one, Channel | CountingAttack) and (
            kind.on_tally is not Fault.on_tally or kind.on_deliver is not Fault.on_deliver
        ):
            raise Refusal(
                f"{kind.__name__} changes mail in a way that an edge list cannot carry; it takes a CountingAttack or a "
                "Channel",
                "use neighbour lists: comms.to_neighbours(edges)",
            )


def like(mask: Array, leaf: Array) -> Array:
    """`mask` with axes of length 1 appended, as many as `leaf` has more."""
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))


def size(sent: PyTree, axes: int = 1) -> int:
    """Bytes of one message, where the first `axes` axes count messages."""
    return sum(leaf.dtype.itemsize * math.prod(leaf.shape[axes:]) for leaf in jax.tree.leaves(sent))


def bill(offered: Array, heard: Array, sent: PyTree, speaks: Bool[Array, " N"]) -> Traffic:
    """A round's bill. A round in which no member's protocol speaks is over before it begins: it does not count, nor
    does what liars say in it, nor what comes late."""
    some = jnp.any(speaks)
    zero = jnp.float32(0)
    offered, heard = jnp.where(some, offered, zero), jnp.where(some, heard, zero)
    return Traffic(offered, heard, heard * size(sent), some.astype(jnp.int32), zero)


def with_own(total: PyTree, sent: PyTree, missing: Bool[Array, " N"]) -> PyTree:
    """Adds the own message of those who hear themselves and whose message is not in the sum. [N, ...]."""

    def add(whole: Array, leaf: Array) -> Any:
        alone = jnp.where(like(missing, leaf), leaf, 0).astype(whole.dtype)
        return (whole if whole.ndim == alone.ndim else whole[None]) + alone

    return jax.tree.map(add, total, sent)
