"""Votes on several targets at once, and turns on them by decreasing reward."""

from fractions import Fraction
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from quorate import comms
from quorate.arguments import Count, Each, Text
from quorate.core import Fault, Inbox, Key, NoFault, Property, Protocol, Registered, Roster, State, swept
from quorate.core.fields import at_least
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.errors import Refusal
from quorate.protocols.hidden_stop_vote import HiddenStopVote, half, last_round, law_of, stops, told
from quorate.protocols.making import checking


class Ballot(NamedTuple):
    named: Int[Array, ""]  # the target it is willing to go for, -1 for none
    round: Int[Array, ""]
    over: Bool[Array, ""]


class TargetVotes(Protocol):
    """A hidden-stop vote for each of m targets, all at once and with one end; a node goes for one target at most.

        w_0 = x,    w_r = w_{r-1} if heard_r(w_{r-1}) >= k_w + margin (1 - last_r), else none,    decision = w_T

    x is the proposal, a target 0..m-1 or -1 for none (what is no target counts as none); w the target the node still
    names in its mail; heard_r(j) the number of members it hears naming j, itself included; k_j are `thresholds`. A
    message is one number, the target plus 1, and 0 names nothing: no sender can name two targets to one receiver. Round
    r is the last as in `HiddenStopVote`.

    Holds: with margin >= t liars and two rounds or more, for each target some but too few act with a chance of at most
    max_r P(T = r), so for some target of m with at most m times that, and liars reach it by attacking a target each
    round. k_j + margin nodes that name j all go there. Fails: liars have full power over every target, because each
    node is told about its own; `quorate.faults.dispersed` divides it, and then a smaller margin is worth a thought.

    Shapes: `thresholds` [m]. Cost: O(N K) a round, on inboxes.

    Reference: IBGP, Appendix A.3.1; Theorem 6 for dispersion.

    >>> votes = TargetVotes(thresholds=[2, 3], margin=1, stops=stops(last_round("uniform", 2, 4)))
    >>> int(votes.send(votes.propose(None, (), jnp.int32(1))))
    2
    """

    thresholds: Int[Array, " m"] = swept(jnp.int32)
    margin: Int[Array, ""] = swept(jnp.int32)
    stops: UInt32[Array, " R"] = swept(jnp.uint32)

    def __check_init__(self):
        sizes = {"targets": self.thresholds, "rounds": self.stops}
        at_least(1, thresholds=self.thresholds, **{name: leaf.size for name, leaf in sizes.items()})
        at_least(0, margin=self.margin)

    @property
    def rounds(self) -> int:
        return self.stops.shape[-1]

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        real = (proposal >= 0) & (proposal < self.thresholds.shape[-1])
        return Ballot(jnp.where(real, proposal, -1).astype(jnp.int32), jnp.int32(0), jnp.array(False))

    def send(self, ballot: Ballot) -> Int[Array, ""]:
        return jnp.where(ballot.over, 0, ballot.named + 1)

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        return ~ballot.over

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        last = (inbox.coin < self.stops[ballot.round]) | (ballot.round == self.rounds - 1)
        needed = self.thresholds[jnp.maximum(ballot.named, 0)] + jnp.where(last, 0, self.margin)
        heard = jnp.sum(inbox.payload == ballot.named + 1, dtype=jnp.int32)
        named = jnp.where(ballot.over | (heard >= needed), ballot.named, -1)
        return Ballot(named, jnp.minimum(ballot.round + 1, self.rounds - 1), ballot.over | last)

    def decide(self, ballot: Ballot) -> tuple[Int[Array, ""], State]:
        return ballot.named, ()

    def settled(self, ballot: Ballot) -> Bool[Array, ""]:
        return ballot.over | (ballot.named < 0)


# --------------------------------------------------------------------------------------------- one target at a time


def take_turns(
    key: Key,
    coin_key: Key,
    vote: HiddenStopVote,
    rewards: Float[Array, " m"],
    thresholds: Int[Array, " m"],
    able: Bool[Array, "N m"],
    fault: Fault | None = None,
) -> Int[Array, " N"]:
    """The target of each node, -1 for none: the targets are visited by decreasing reward, nodes that are `able` and not
    committed vote on each, and those that decide yes are committed to it.

    `vote` gives the margin and the law of the last round; its threshold is replaced by each target's. Among equal
    rewards the first comes first. Liars of `fault` take part in every vote.

    All nodes that act are committed, more than the threshold if more are willing; a planner commits exactly as many
    (`quorate.solvers.target_selection`). So no share of the optimum is promised here: one target may draw everybody.

    Cost: m votes one after the other, O(N) a round each. Errors: `Refusal` for shapes that do not fit.

    Reference: IBGP, Appendix A.3.2.

    >>> vote = HiddenStopVote(threshold=1, margin=0, stops=stops(last_round("uniform", 2, 2)))
    >>> able = jnp.array([[True, True], [True, True], [False, True]])
    >>> keys = jax.random.split(jax.random.key(0))
    >>> take_turns(*keys, vote, jnp.array([1.0, 5.0]), jnp.array([2, 3]), able).tolist()
    [1, 1, 1]
    """
    if able.ndim != 2 or not rewards.shape == thresholds.shape == able.shape[1:]:
        shapes = f"{rewards.shape}, {thresholds.shape} and {able.shape}"
        raise Refusal(f"rewards, thresholds and able have shapes {shapes}; they must be (m,), (m,) and (N, m)")
    n, fault = able.shape[0], NoFault() if fault is None else fault

    def visit(carry: tuple[Array, PyTree], turn: tuple[Array, Array]) -> tuple[tuple[Array, PyTree], None]:
        committed, rot = carry
        place, target = turn
        voting = HiddenStopVote(threshold=thresholds[target], margin=vote.margin, stops=vote.stops)
        here, coins = jax.random.fold_in(key, place), jax.random.fold_in(coin_key, place)
        willing = (able[:, target] & (committed < 0)).astype(jnp.int32)
        lasting = comms.boot(here, voting, n)
        talked = comms.converse(here, coins, voting, lasting, willing, None, fault, rot, None, n)
        return (jnp.where(talked.decision > 0, target, committed), talked.fault), None

    order = jnp.argsort(-rewards, stable=True).astype(jnp.int32)
    start = (jnp.full(n, -1, jnp.int32), fault.reset(jax.random.fold_in(key, comms.LIES), n))
    turns = (jnp.arange(len(order), dtype=jnp.int32), order)
    return jax.lax.scan(visit, start, turns)[0][0]


# ------------------------------------------------------------------ its promises, for two targets, as `make` makes them


def goes(protocol: TargetVotes, proposal: Array, decision: Array) -> Array:
    """0: stays. 1, 2: goes for the first or second target, which it named. 3: goes where it did not name."""
    return jnp.where(decision < 0, 0, jnp.where(decision == proposal, decision + 1, 3))


def _all_or_enough(protocol: TargetVotes, roster: Roster, counts: np.ndarray) -> np.ndarray:
    going = counts[..., 1:3]
    return np.all((going == 0) | (going >= np.asarray(protocol.thresholds)), -1) & (counts[..., 3] == 0)


def _some_enough(protocol: TargetVotes, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return np.any(counts[..., 1:3] >= np.asarray(protocol.thresholds), -1)


def _some_super_sufficient(protocol: TargetVotes, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return np.any(proposed[..., 1:3] >= np.asarray(protocol.thresholds) + int(protocol.margin), -1)


def promised(protocol: TargetVotes, roster: Roster) -> Fraction:
    """m max_r P(T = r), at most 1: Theorem 3 for each target and the union bound."""
    return min(Fraction(1), protocol.thresholds.shape[-1] * max(law_of(protocol)))


def proved(protocol: TargetVotes, roster: Roster) -> Fraction:
    return promised(protocol, roster) if int(protocol.margin) >= roster.liars else Fraction(1)


SAFETY = Property(
    kind=ALWAYS,
    words=lambda protocol, roster: "never some but too few go for a target",
    marks=4,
    mark=goes,
    holds=_all_or_enough,
    at_most=promised,
)
LIVENESS = Property(
    kind=EVENTUALLY,
    words=lambda protocol, roster: "where k + margin nodes name a target, enough go for one",
    marks=4,
    mark=goes,
    holds=_some_enough,
    when=_some_super_sufficient,
)
POSSIBLE = Property(
    kind=SOMETIMES,
    words=lambda protocol, roster: "enough nodes can go for a target without a liar's help",
    marks=4,
    mark=goes,
    holds=_some_enough,
)


def settings(protocol: TargetVotes, asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, with thresholds and margin as they came out."""
    return asked | {"k": np.asarray(protocol.thresholds).tolist(), "margin": int(protocol.margin)}


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    k: Annotated[int, Each("acting nodes that are enough, for each of two targets; half of n unless told")] = None,
    margin: Annotated[int, Count("extra votes asked for while the end is hidden; t unless told", least=0)] = None,
    min_rounds: Annotated[int, Count("rounds before which none is the last")] = 2,
    max_rounds: Annotated[int, Count("rounds after which all is over", most=1000)] = 10,
    law: Annotated[
        str, Text("the law of the last round: uniform, geometric:0.3, or chances such as 1/2,1/4,1/4")
    ] = "uniform",
) -> TargetVotes:
    """The votes of n honest nodes on two targets against t liars; the class takes any number of targets."""
    k = half(n) if k is None else k
    k = k if isinstance(k, tuple) else (k, k)
    if len(k) != 2:
        raise Refusal(f"--k has {len(k)} numbers; it takes one, or one for each of the 2 targets")
    if max(k) > n:
        raise Refusal(f"--k is {max(k)}; it can be at most --n, which is {n}")
    if min_rounds > max_rounds:
        raise Refusal(f"--min-rounds is {min_rounds}; it can be at most --max-rounds, which is {max_rounds}")
    law = last_round(law, min_rounds, max_rounds)
    return TargetVotes(thresholds=k, margin=t if margin is None else margin, stops=stops(law))


TARGET_VOTES = Registered(
    make=make,
    example=TargetVotes(thresholds=[2, 2], margin=1, stops=stops(last_round("uniform", 2, 4))),
    about="act on two targets at once if enough are willing; the end is hidden",
    properties=(SAFETY, LIVENESS, POSSIBLE),
    settings=settings,
    told=told,
    values=(-1, 0, 1),
    method="exhaustive",
    bound=proved,
)
