"""A protocol as one node runs it: keys derived, mail received and the next message made in one compiled call."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.core import BoardProtocol, Inbox, Key, Protocol
from quorate.errors import Refusal
from quorate.live.wire import Layout


class Turn(NamedTuple):
    """Where a node stands after a call. `decision` and `lasting` count after the last round."""

    ballot: PyTree
    payload: PyTree
    speaks: Bool[Array, ""]
    decision: PyTree
    lasting: PyTree


Words = UInt32[Array, "2"]
Number = Int[Array, ""]


class Program:
    """The functions of a node, compiled once and shared by the nodes of a process.

        boot(root, me) -> lasting
        open(root, me, tick, lasting, proposal) -> Turn
        turn(root, me, tick, round, ballot, payload[K, ...], heard[K], coin) -> Turn

    Keys are those of `comms.converse`: fold(fold(fold(root, tick), 0), me) to propose, with r + 1 in place of 0 to
    receive in round r = 0.. . Roots are given as words. `slots` is K: all nodes, then all liars.
    """

    def __init__(self, protocol: Protocol, slots: int):
        if isinstance(protocol, BoardProtocol):
            raise Refusal(f"{type(protocol).__name__} posts to places; live nodes send mail from node to node only")
        self.protocol, self.slots, self.rounds = protocol, slots, protocol.rounds

        def boot(root: Words, me: Number) -> PyTree:
            return protocol.boot(jax.random.fold_in(_key(root), me), me)

        def open_(root: Words, me: Number, tick: Number, lasting: PyTree, proposal: Number) -> Turn:
            return standing(protocol.propose(stage(root, tick, 0, me), lasting, proposal))

        def turn(
            root: Words,
            me: Number,
            tick: Number,
            round_: Number,
            ballot: PyTree,
            payload: PyTree,
            heard: Bool[Array, " K"],
            coin: UInt32[Array, ""],
        ) -> Turn:
            inbox = Inbox(payload, jnp.arange(slots), heard, coin)
            return standing(protocol.receive(stage(root, tick, round_ + 1, me), ballot, inbox))

        def stage(root: Words, tick: Number, number: Any, me: Number) -> Key:
            return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(_key(root), tick), number), me)

        def standing(ballot: PyTree) -> Turn:
            return Turn(ballot, protocol.send(ballot), protocol.speaks(ballot), *protocol.decide(ballot))

        self.boot, self.open, self.turn = jax.jit(boot), jax.jit(open_), jax.jit(turn)
        opened = jax.eval_shape(self._begin)
        self.layout = Layout(protocol, opened.payload)
        self.decision, self.lasting = opened.decision, opened.lasting  # shapes

    def _begin(self) -> Turn:
        words, number = np.zeros(2, np.uint32), np.int32(0)
        return self.open(words, number, number, self.boot(words, number), number)

    def warm_up(self) -> None:
        """Compiles everything, so that no round waits for it."""
        words, number, now = np.zeros(2, np.uint32), np.int32(0), self._begin()
        payload = self.layout.unpack(np.zeros((self.slots, self.layout.size), np.uint8))
        heard = np.zeros(self.slots, bool)
        for _ in range(min(self.rounds, 2)):  # the second has a ballot that `receive` made
            now = self.turn(words, number, number, number, now.ballot, payload, heard, np.uint32(0))
        jax.block_until_ready(now)


def _key(root: Words) -> Key:
    return jax.random.wrap_key_data(root, impl="threefry2x32")
