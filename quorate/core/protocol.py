"""Protocol: proposals in, decisions out, written for one node."""

import abc
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.core.fields import Ballot, Key, Payload, State
from quorate.errors import Refusal


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
    """What one node posts in a round: up to P slips, each for one place. What a slip carries says how it is reduced;
    what is left out () costs nothing.

    place   the places, 0..M-1; ignored where not live
    live    whether the slip is posted at all
    amount  summed at the place: leaves [P, ...]
    bid     the largest at the place wins, the lowest id among equals: [P]
    body    what the winner, or each collected slip, says: leaves [P, ...]
    """

    place: Int[Array, " P"]
    live: Bool[Array, " P"]
    amount: PyTree = ()
    bid: PyTree = ()
    body: PyTree = ()


class Heap(NamedTuple):
    """What one place finds after a round.

    t      the tick, the same for all
    round  the round of this tick, from 0
    count  slips that arrived
    total  the sums of `amount`
    best   the largest bid, -inf where none arrived; `who` made it (-1: nobody) and `said` is its body
    first  the first C slips, where places collect; -1 and zeros where fewer came
    """

    t: Int[Array, ""]
    round: Int[Array, ""]
    count: Int[Array, ""]
    total: PyTree
    best: PyTree
    who: PyTree
    said: PyTree
    first: PyTree


class Collected(NamedTuple):
    """The slips that a place keeps, by id from an offset that moves on each round, so that nobody waits for ever."""

    body: PyTree  # [C, ...]
    who: Int[Array, " C"]


class News(NamedTuple):
    """What one node hears in a round of a board.

    notice  of the W places it watches; zero where not heard
    heard   whether it came through
    reply   to each of its P slips, where places collect and answer; zero where there is none
    kept    whether that slip was collected and the reply came through; a slip that did not fit comes back as not kept
    coin    one word a round, the same for all
    """

    notice: PyTree  # [W, ...]
    heard: Bool[Array, " W"]
    reply: PyTree  # [P, ...]
    kept: Bool[Array, " P"]
    coin: UInt32[Array, ""]


class BoardProtocol(Protocol):
    """Nodes post to places (a task, a cell, a hub, a ballot box) and watch them; the place's own code runs once a
    place. O(N (P + W) + M) a round, O(N C) more where places collect.

    places    M, static
    capacity  C, static: how many slips a place can keep in a round; 0: none, places only reduce
    by_mail   static: False for marks in the environment, which no link carries and none loses

    A place's state lasts as long as the episode. A place whose host is away is frozen: nothing reaches it, nothing is
    heard from it, and it forgets nothing.
    """

    places: eqx.AbstractVar[int]
    capacity: eqx.AbstractVar[int]
    by_mail: ClassVar[bool] = True

    @abc.abstractmethod
    def post(self, ballot: Ballot) -> Posts: ...

    @abc.abstractmethod
    def watch(self, ballot: Ballot) -> Int[Array, " W"]:
        """The places whose notices it reads, -1: none."""

    @abc.abstractmethod
    def hear(self, key: Key, ballot: Ballot, news: News) -> Ballot: ...

    @abc.abstractmethod
    def open(self, key: Key, place: Int[Array, ""]) -> State:
        """A place as it is when the episode begins."""

    @abc.abstractmethod
    def serve(self, key: Key, place_state: State, heap: Heap) -> State:
        """One place, once a round."""

    @abc.abstractmethod
    def notice(self, place_state: State) -> PyTree:
        """What everybody who watches the place reads."""

    def reply(self, place_state: State) -> PyTree:
        """Where slips are collected: what the sender of each reads, leaves [C, ...]."""
        return ()

    def owes(self, ballot: Ballot) -> Bool[Array, ""]:
        """Whether its word counts by being said in this tick, as a leader's sign of life does, so that nobody may take
        it as still so where it is not said."""
        return jnp.array(False)

    def host(self, place: Int[Array, ""]) -> Int[Array, ""]:
        """The agent that keeps the place; -1: nobody, it cannot fail."""
        return jnp.int32(-1)

    def where(self, place: Int[Array, ""]) -> Int[Array, ""]:
        """The task place at which it lies, so that a cut in halves knows its side; -1: nowhere. Itself, unless the
        board's places are others than those of tasks."""
        return place

    def send(self, ballot: Ballot) -> Payload:
        """Final: what is said is what is posted."""
        return self.post(ballot)

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        return jnp.any(self.post(ballot).live)

    def receive(self, key: Key, ballot: Ballot, inbox: "Inbox") -> Ballot:
        """Final: a board has no inboxes; only `converse` carries its mail."""
        raise Refusal(f"{type(self).__name__} posts to places; it has no inbox")


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
