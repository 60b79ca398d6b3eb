"""Saying less among neighbours: what was said in this tick is not said again."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from quorate.core import BoardProtocol, Protocol
from quorate.errors import Refusal


def speaking(protocol: Protocol, instead: str) -> None:
    """Refuses a protocol whose nodes do not talk to neighbours; on a board there is another strategy `instead`."""
    name = type(protocol).__name__
    if isinstance(protocol, BoardProtocol):
        raise Refusal(f"{name} has a board; {instead}")
    if not protocol.rounds:
        raise Refusal(f"{name} says nothing, so there is nothing to save")


class Once(NamedTuple):
    """What a node under `SayOnce` remembers during a tick: its own ballot, what it last said, whether it has."""

    own: PyTree
    said: PyTree
    spoke: Bool[Array, ""]


class SayOnce(Protocol):
    """`protocol` among neighbours, but in a tick a node says the same only once: it speaks in the first round, and in a
    later one iff

        what it would say now is not what it last said in this tick, bit for bit.

    protocol  one of a tick's words that may be heard twice: `receive` does with a word heard again nothing that it did
              not do the first time, as where the largest is kept (`Cbba`). Where words are counted a silent node would
              be taken for one that says nothing

    Where no mail is lost, decisions are those of the protocol itself, bit for bit; a word that is lost is not repeated,
    and the repetition was a second chance. From tick to tick nothing is withheld: the bid of
    who asks is believed for a tick only. Cost: one word more in the ballot of each node.

    Errors: Refusal for a protocol on a board, for which there is `SelectiveBroadcast`, and for one without rounds.

    >>> from quorate.protocols.cbba import Cbba
    >>> SayOnce(protocol=Cbba(options=8)).rounds
    4
    """

    protocol: Protocol
    rounds: int = eqx.field(static=True)

    def __init__(self, *, protocol: Protocol):
        speaking(protocol, "SelectiveBroadcast withholds slips to places")
        self.protocol, self.rounds = protocol, protocol.rounds

    def boot(self, key, me):
        return self.protocol.boot(key, me)

    def propose(self, key, state, proposal) -> Once:
        own = self.protocol.propose(key, state, proposal)
        return Once(own, self.protocol.send(own), jnp.array(False))

    def send(self, ballot: Once):
        return self.protocol.send(ballot.own)

    def speaks(self, ballot: Once):
        pairs = zip(jax.tree.leaves(self.send(ballot)), jax.tree.leaves(ballot.said), strict=True)
        same = jnp.all(jnp.stack([jnp.all(new == old) for new, old in pairs]))
        return self.protocol.speaks(ballot.own) & ~(ballot.spoke & same)

    def receive(self, key, ballot: Once, inbox) -> Once:
        said, speaks = self.send(ballot), self.speaks(ballot)
        said = jax.tree.map(lambda new, old: jnp.where(speaks, new, old), said, ballot.said)
        return Once(self.protocol.receive(key, ballot.own, inbox), said, ballot.spoke | speaks)

    def decide(self, ballot: Once):
        return self.protocol.decide(ballot.own)

    def settled(self, ballot: Once):
        return self.protocol.settled(ballot.own)
