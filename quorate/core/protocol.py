"""Protocol: proposals in, decisions out, written for one node."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.core.fields import Ballot, Key, Payload, State


class Inbox(NamedTuple):
    """One round's mail as one node finds it, in topology order, its own message included and always true.

    Rows that were not heard are zero. `coin` is one word a round, the same for all, from a root of its own, revealed
    after the round's mail is closed.
    """

    payload: PyTree
    sender: Int[Array, " K"]
    heard: Bool[Array, " K"]
    coin: UInt32[Array, ""]


class Protocol(eqx.Module):
    """Proposals in, decisions out: written for one node as pure functions, vmapped for the crowd, run as it is in a
    live node.

    `rounds` is the number of message rounds a tick. Values that differ by node (a margin each) are indexed by `me` in
    `boot` and live in State.
    """

    rounds: eqx.AbstractVar[int]

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        """What lasts from tick to tick."""
        return ()

    @abc.abstractmethod
    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        """Opens a tick. The ballot may have any structure; every later call keeps it, dtypes included."""

    @abc.abstractmethod
    def send(self, ballot: Ballot) -> Payload: ...

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        """Saying nothing is not the same as being lost."""
        return jnp.array(True)

    @abc.abstractmethod
    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot: ...

    @abc.abstractmethod
    def decide(self, ballot: Ballot) -> tuple[PyTree, State]: ...

    def settled(self, ballot: Ballot) -> Bool[Array, ""]:
        """Measured, never used to stop a loop."""
        return jnp.array(False)


class TallyProtocol(Protocol):
    """A protocol that hears only the sum of its mail, so a round of everybody to everybody costs O(N)."""

    @abc.abstractmethod
    def hear(self, key: Key, ballot: Ballot, total: Payload, coin: UInt32[Array, ""]) -> Ballot: ...

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        """Final: sums the inbox (truth values as int32) and calls `hear`."""
        return self.hear(key, ballot, jax.tree.map(add_up, inbox.payload), inbox.coin)


def add_up(payload: Array) -> Array:
    """The sum over senders; truth values are counted."""
    return jnp.sum(payload, axis=0, dtype=jnp.int32 if payload.dtype == bool else payload.dtype)


class Posts(NamedTuple):
    place: Int[Array, " P"]
    body: PyTree
    live: Bool[Array, " P"]


class Heap(NamedTuple):
    """What lies at one place after a round, by the reducers that the protocol names."""

    count: Int[Array, ""]
    total: PyTree
    best: PyTree
    who: Int[Array, ""]
    first: PyTree


class BoardProtocol(Protocol):
    """Nodes post to places (a task, a cell, a hub) and watch them; the place's code runs once a place. O(N P + M) a
    round."""

    places: eqx.AbstractVar[int]
    reduce: eqx.AbstractVar[tuple[str, ...]]  # of "sum", "max", "collect"

    @abc.abstractmethod
    def post(self, ballot: Ballot) -> Posts: ...

    @abc.abstractmethod
    def watch(self, ballot: Ballot) -> Int[Array, " W"]: ...

    @abc.abstractmethod
    def hear(
        self, key: Key, ballot: Ballot, notice: PyTree, heard: Bool[Array, " W"], coin: UInt32[Array, ""]
    ) -> Ballot: ...

    @abc.abstractmethod
    def open(self, key: Key, place: Int[Array, ""]) -> State: ...

    @abc.abstractmethod
    def serve(self, key: Key, place_state: State, heap: Heap) -> State: ...

    @abc.abstractmethod
    def notice(self, place_state: State) -> PyTree: ...

    def host(self, place: Int[Array, ""]) -> Int[Array, ""]:
        """The agent that keeps the place; it freezes when that agent dies. -1: nobody, it cannot die."""
        return jnp.int32(-1)

    def send(self, ballot: Ballot) -> Payload:
        return self.post(ballot)

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        """Final: a notice is the payload of a watched place."""
        return self.hear(key, ballot, inbox.payload, inbox.heard, inbox.coin)


class Silent(Protocol):
    """No word is said: the decision is the proposal."""

    rounds: int = eqx.field(default=0, static=True)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return proposal

    def send(self, ballot: Ballot) -> Payload:
        return ()

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        return ballot

    def decide(self, ballot: Ballot) -> tuple[PyTree, State]:
        return ballot, ()
