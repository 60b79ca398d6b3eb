"""Protocols that only tests know, and changes to those that all know."""

import inspect
import textwrap
from fractions import Fraction
from typing import Any, NamedTuple

import jax.numpy as jnp

from quorate.core import Property, Roster, TallyProtocol, static, swept
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.numerics.rational import threshold
from quorate.protocols import hidden_stop_vote
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops

VOTE = hidden_stop_vote.HIDDEN


def vote(k, margin, low, high, law="uniform", kind=HiddenStopVote):
    """(a hidden-stop vote, the law of its last round)."""
    law = last_round(law, low, high)
    return kind(threshold=k, margin=margin, stops=stops(law)), law


def changed(old: str, new: str) -> type[HiddenStopVote]:
    """The vote with one place in `hear` written otherwise."""
    source = textwrap.dedent(inspect.getsource(HiddenStopVote.hear))
    assert source.count(old) == 1, f"{old} occurs {source.count(old)} times"
    names: dict[str, Any] = {}
    exec(source.replace(old, new), vars(hidden_stop_vote), names)
    return type(HiddenStopVote)("Changed", (HiddenStopVote,), {"hear": names["hear"]})


class Voices(NamedTuple):
    yes: Any
    veto: Any


class VetoVote(TallyProtocol):
    """Two rounds of yes and veto: act if `enough` say yes and fewer than `few` veto; 0 is no, 1 veto, 2 yes."""

    enough: Any = swept(jnp.int32)
    few: Any = swept(jnp.int32)
    rounds: int = static(2)

    def propose(self, key, state, proposal):
        return proposal == 2, proposal == 1

    def send(self, ballot):
        return Voices(yes=ballot[0], veto=ballot[1])

    def hear(self, key, ballot, total, coin):
        return ballot[0] & (total.yes >= self.enough) & (total.veto < self.few), ballot[1]

    def decide(self, ballot):
        return ballot[0].astype(jnp.int32), ()


class DrawnBar(TallyProtocol):
    """The coin picks the bar: 1 with chance 1/2, 2 with 1/3, 3 with 1/6; nodes that pass it go on saying yes."""

    rounds: int = static(2)

    def propose(self, key, state, proposal):
        return proposal > 0

    def send(self, ballot):
        return ballot

    def hear(self, key, ballot, total, coin):
        bar = 1 + (coin >= jnp.uint32(threshold(Fraction(1, 2)))) + (coin >= jnp.uint32(threshold(Fraction(5, 6))))
        return total >= bar

    def decide(self, ballot):
        return ballot.astype(jnp.int32), ()


BARS = [(0, Fraction(1, 2)), (threshold(Fraction(1, 2)), Fraction(1, 3)), (threshold(Fraction(5, 6)), Fraction(1, 6))]


class MajorityVote(TallyProtocol):
    """Say what more than half of `people` said, round after round."""

    people: Any = swept(jnp.int32)
    rounds: int = static(2)

    def propose(self, key, state, proposal):
        return proposal > 0

    def send(self, ballot):
        return ballot

    def hear(self, key, ballot, total, coin):
        return 2 * total > self.people

    def decide(self, ballot):
        return ballot.astype(jnp.int32), ()


def decides(protocol, proposal, decision):
    return jnp.where(decision > 0, 1, 0)


TOGETHER = Property(
    ALWAYS, lambda p, f: "all or none act", 2, decides, lambda p, f, c: (c[..., 0] == 0) | (c[..., 1] == 0)
)
ALL = Property(EVENTUALLY, lambda p, f: "all act", 2, decides, lambda p, f, c: c[..., 0] == 0)
SOME = Property(SOMETIMES, lambda p, f: "some act", 2, decides, lambda p, f, c: c[..., 1] > 0)
PROMISES = (TOGETHER, ALL, SOME)
FLEET = Roster(4, 1)
