"""Threshold vote with a hidden last round: enough willing nodes act together, or nobody does."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int16, PyTree, UInt32

from quorate.arguments import Count, Each, Text, typed
from quorate.core import Key, Property, Protocol, Registered, Roster, State, TallyProtocol, swept
from quorate.core.fields import at_least
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES, never
from quorate.errors import Refusal
from quorate.numerics.rational import chance, threshold
from quorate.protocols.making import checking


class Ballot(NamedTuple):
    willing: Bool[Array, ""]
    margin: Int[Array, ""] | tuple[()]  # the node's own, where nodes have margins of their own
    round: Int16[Array, ""]  # small: a crowd carries it along
    over: Bool[Array, ""]


class HiddenStopVote(TallyProtocol):
    """Enough willing nodes act together, or nobody does, because nobody knows which round is the last.

        w_0 = x,    w_r = w_{r-1} and [heard_r >= k + margin (1 - last_r)],    act = w_T

    x is the proposal, w whether the node is still willing and says so, heard_r the number of yes it hears in round r,
    its own included, k the `threshold`: the number of acting nodes that makes acting worth while. Round r is the last
    (last_r = 1, T = r) iff the round's coin is below `stops[r-1]`, which everybody learns after the round's mail is
    closed: one bit a round. Later rounds are silent.

    Holds: with margin >= t liars and at least two rounds, some but fewer than k act with a chance of at most
    max_r P(T = r), and whenever k + margin nodes are willing all of them act, whatever is sent. Fails: with one margin
    < t for all and k >= 2 some start misfires with certainty; with a known last round too.

    Shapes: `margin` is one number or one for each of the N nodes; `make` sees to their number, since the class does not
    know N. Cost: O(N) a round by tally; (T_min + T_max) / 2 rounds where T is uniform.

    Errors: `Refusal` for a threshold below 1, a negative margin, and without any stop.

    Reference: IBGP, Section 4.1, Theorem 3; Appendix A.4 for a margin below t, A.4.2 for one of each node. The paper
    leaves the law of T open; here T >= 2 by default, which its proof needs.

    >>> vote = HiddenStopVote(threshold=3, margin=1, stops=stops(last_round("uniform", 2, 5)))
    >>> vote.rounds, [str(share) for share in law_of(vote)]
    (5, ['0', '1/4', '1/4', '1/4', '1/4'])
    """

    threshold: Int[Array, ""] = swept(jnp.int32)
    margin: Int[Array, "..."] = swept(jnp.int32)
    stops: UInt32[Array, " R"] = swept(jnp.uint32)

    def __check_init__(self):
        at_least(1, threshold=self.threshold, rounds=self.stops.shape[-1] if self.stops.ndim else 0)
        at_least(0, margin=self.margin)

    @property
    def rounds(self) -> int:
        return self.stops.shape[-1]

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        return self.margin[me] if self.margin.ndim else ()

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return Ballot(proposal > 0, state, jnp.int16(0), jnp.array(False))

    def send(self, ballot: Ballot) -> Bool[Array, ""]:
        return ballot.willing & ~ballot.over

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        return ~ballot.over

    def hear(self, key: Key, ballot: Ballot, total: Int[Array, ""], coin: UInt32[Array, ""]) -> Ballot:
        last = (coin < self.stops[ballot.round]) | (ballot.round == self.rounds - 1)
        margin = ballot.margin if self.margin.ndim else self.margin
        willing = ballot.willing & (ballot.over | (total >= self.threshold + jnp.where(last, 0, margin)))
        following = jnp.minimum(ballot.round + 1, self.rounds - 1)
        return Ballot(willing, ballot.margin, following, ballot.over | last)

    def decide(self, ballot: Ballot) -> tuple[Int[Array, ""], State]:
        return ballot.willing.astype(jnp.int32), ballot.margin

    def settled(self, ballot: Ballot) -> Bool[Array, ""]:
        return ballot.over | ~ballot.willing


# --------------------------------------------------------------------------------------------------- the last round


def last_round(law: str, least: int, most: int) -> tuple[Fraction, ...]:
    """P(T = r) for r = 1..most. `law` is "uniform" on least..most, "geometric:q" (each round from `least` on is the
    last with chance q, the rest falls on `most`), or the chances of least..most written out, as "1/2,1/4,1/4".

    >>> [str(share) for share in last_round("geometric:1/2", 2, 4)]
    ['0', '1/2', '1/4', '1/4']
    """
    before = (Fraction(0),) * (least - 1)
    if law == "uniform":
        return (*before, *[Fraction(1, most - least + 1)] * (most - least + 1))
    if law.startswith("geometric:"):
        stop = _fraction(law, law.removeprefix("geometric:"))
        if not 0 < stop < 1:
            raise Refusal(f"--law is {law}; the chance of a stop must lie between 0 and 1")
        shares = [stop * (1 - stop) ** i for i in range(most - least)]
        return (*before, *shares, 1 - sum(shares, Fraction(0)))
    if law.startswith("geometric") or not any(letter.isdigit() for letter in law):
        raise Refusal(f"--law is {typed(law)}; it can be uniform, geometric:0.3, or chances such as 1/2,1/4,1/4")
    shares = [_fraction(law, piece) for piece in law.split(",")]
    if len(shares) != most - least + 1:
        rounds = f"{most - least + 1} rounds {least}..{most}"
        raise Refusal(f"--law has {len(shares)} chances; it must have one for each of the {rounds}")
    if any(share < 0 for share in shares) or sum(shares) != 1:
        raise Refusal(f"--law is {law}; chances are at least 0 and add up to 1, these to {sum(shares)}")
    return (*before, *shares)


def _fraction(law: str, text: str) -> Fraction:
    try:
        return Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise Refusal(f"--law is {typed(law)}; {typed(text)} is no number such as 0.25 or 1/4") from None


def stops(law: Sequence[Fraction]) -> np.ndarray:
    """Thresholds of the coin: round r is the last iff it was not over before and coin / 2^32 < P(T = r) / P(T >= r)."""
    found, left = [], Fraction(1)
    for share in law:
        found.append(threshold(share / left))
        left -= share
        if not left:
            break
    return np.array(found, np.uint32)


def law_of(protocol: HiddenStopVote) -> list[Fraction]:
    """P(T = r) for r = 1.., read back from the thresholds; exact wherever the chances have small denominators."""
    left, law = Fraction(1), []
    words = np.asarray(protocol.stops)
    for index, word in enumerate(words):
        share = Fraction(1) if index == len(words) - 1 else chance(int(word))
        law.append(left * share)
        left -= left * share
    return law


# ----------------------------------------------------------------------------------------------------- its promises


def acts(protocol: Protocol, proposal: Array, decision: Array) -> Array:
    """1: was willing, and acts. 2: acts without having been willing."""
    return jnp.where(decision > 0, jnp.where(proposal > 0, 1, 2), 0)


def all_or_enough(counts: np.ndarray, k: int) -> np.ndarray:
    """Of nodes counted by `acts`: none acts or k do, and none that was unwilling."""
    return ((counts[..., 1] == 0) | enough(counts, k)) & (counts[..., 2] == 0)


def enough(counts: np.ndarray, k: int) -> np.ndarray:
    """Of nodes counted by `acts`: k willing ones act."""
    return counts[..., 1] >= k


def _all_or_enough(protocol: HiddenStopVote, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return all_or_enough(counts, int(protocol.threshold))


def _enough(protocol: HiddenStopVote, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return enough(counts, int(protocol.threshold))


def super_sufficient(protocol: HiddenStopVote) -> int:
    """The number of willing nodes from which on nothing that is sent can stop them."""
    return int(protocol.threshold) + int(np.max(np.asarray(protocol.margin)))


def theorem_3(protocol: HiddenStopVote, roster: Roster) -> Fraction:
    """max_r P(T = r): what the vote promises (IBGP, Theorem 3)."""
    return max(law_of(protocol))


def proved(protocol: HiddenStopVote, roster: Roster) -> Fraction:
    """Theorem 3 where every margin is at least t; where one is not it says nothing."""
    return theorem_3(protocol, roster) if int(np.min(np.asarray(protocol.margin))) >= roster.liars else Fraction(1)


def _willing(protocol: HiddenStopVote, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return proposed[..., 1] >= super_sufficient(protocol)


def _safety(at_most: Any, early: bool = False) -> Property:
    words = "never too few, even with coins seen early" if early else "never some but too few act"
    return Property(
        kind=ALWAYS,
        words=lambda protocol, roster: words,
        marks=3,
        mark=acts,
        holds=_all_or_enough,
        at_most=at_most,
        early=early,
    )


def _always_act(protocol: HiddenStopVote, roster: Roster) -> str:
    return f"{super_sufficient(protocol)} willing nodes always act"


def _can_act(protocol: HiddenStopVote, roster: Roster) -> str:
    return f"{int(protocol.threshold)} nodes can act without a liar's help"


LIVENESS = Property(kind=EVENTUALLY, words=_always_act, marks=3, mark=acts, holds=_enough, when=_willing)
POSSIBLE = Property(kind=SOMETIMES, words=_can_act, marks=3, mark=acts, holds=_enough)


def warnings(protocol: HiddenStopVote, roster: Roster) -> tuple[str, ...]:
    first = float(law_of(protocol)[0])
    if first and roster.liars:
        return (
            f"round 1 is the last with chance {first:.3g}, and then no relay has asked for the margin: fewer than k "
            "willing nodes may act; --min-rounds 2 rules it out",
        )
    return ()


def settings(protocol: HiddenStopVote, asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, with threshold and margin as they came out."""
    margin = np.asarray(protocol.margin)
    return asked | {"k": int(protocol.threshold), "margin": margin.tolist()}


def told(settings: dict[str, Any]) -> str:
    """The settings in a few words."""
    margin, k = settings["margin"], settings["k"]
    margin = "margins " + ",".join(map(str, margin)) if isinstance(margin, list) else f"margin {margin}"
    k = ",".join(map(str, k)) if isinstance(k, list) else k
    if "rounds" in settings:
        last = f"last round {settings['rounds']}, known to all"
    else:
        least, most, law = settings["min_rounds"], settings["max_rounds"], settings["law"]
        last = f"last round {law} on {least}..{most}"
    return f"n {settings['n']}, k {k}, t {settings['t']}, {margin}, {last}"


# -------------------------------------------------------------------------------------------------------- making it


def half(n: int) -> int:
    """The usual threshold: half of the nodes, rounded up."""
    return (n + 1) // 2


def checked(n: int, k: int | None, margin: int | tuple[int, ...]) -> tuple[int, Any]:
    """k and the margins, or a refusal."""
    k = half(n) if k is None else k
    if k > n:
        raise Refusal(f"--k is {k}; it can be at most --n, which is {n}")
    if isinstance(margin, tuple) and len(margin) != n:
        raise Refusal(f"--margin has {len(margin)} numbers; it takes one, or one for each of the {n} nodes")
    if isinstance(margin, tuple) and len(set(margin)) == 1:
        margin = margin[0]
    return k, margin


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    k: Annotated[int, Count("acting nodes that are enough; half of n unless told")] = None,
    margin: Annotated[int, Each("extra votes asked for while the end is hidden; t unless told", least=0)] = None,
    min_rounds: Annotated[int, Count("rounds before which none is the last")] = 2,
    max_rounds: Annotated[int, Count("rounds after which all is over", most=1000)] = 10,
    law: Annotated[
        str, Text("the law of the last round: uniform, geometric:0.3, or chances such as 1/2,1/4,1/4")
    ] = "uniform",
) -> HiddenStopVote:
    """The vote of n honest nodes against t liars."""
    k, margin = checked(n, k, t if margin is None else margin)
    if min_rounds > max_rounds:
        raise Refusal(f"--min-rounds is {min_rounds}; it can be at most --max-rounds, which is {max_rounds}")
    return HiddenStopVote(threshold=k, margin=margin, stops=stops(last_round(law, min_rounds, max_rounds)))


@checking
def make_fixed(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    k: Annotated[int, Count("acting nodes that are enough; half of n unless told")] = None,
    margin: Annotated[int, Each("extra votes asked for before the last round; t unless told", least=0)] = None,
    rounds: Annotated[int, Count("rounds, known to all", most=1000)] = 5,
) -> HiddenStopVote:
    """The same vote with a last round that everybody knows, liars too."""
    return make(n=n, t=t, k=k, margin=margin, min_rounds=rounds, max_rounds=rounds)


EXAMPLE = HiddenStopVote(threshold=3, margin=1, stops=stops(last_round("uniform", 2, 5)))
HIDDEN = Registered(
    make=make,
    example=EXAMPLE,
    about="act if enough are willing; the end is hidden",
    properties=(_safety(theorem_3), LIVENESS, POSSIBLE, _safety(theorem_3, early=True)),
    bound=proved,
    warnings=warnings,
    settings=settings,
    told=told,
)
FIXED = Registered(
    make=make_fixed,
    example=HiddenStopVote(threshold=3, margin=1, stops=stops(last_round("uniform", 3, 3))),
    about="the same with an end that all know; liars split it",
    properties=(_safety(never), LIVENESS, POSSIBLE),
    settings=settings,
    told=told,
)
