"""Vote in a single round: act when enough say so. One liar splits it, whatever the threshold."""

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.arguments import Count
from quorate.core import Key, Property, Registered, Roster, State, TallyProtocol, swept
from quorate.core.fields import at_least
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.protocols.hidden_stop_vote import acts, all_or_enough, checked, enough
from quorate.protocols.making import checking


class Ballot(NamedTuple):
    willing: Bool[Array, ""]
    acts: Bool[Array, ""]


class SingleRoundVote(TallyProtocol):
    """A willing node acts when it hears `threshold` yes, its own included.

        act = x and [heard >= threshold]

    x is the proposal. `enough` (k) is the number of acting nodes that makes acting worth while; no node looks at it,
    the promises do.

    Fails for every threshold that can be reached (at most n + t), where k >= 2 and t >= 1: with A >= 1 willing nodes
    and threshold - t <= A < threshold liars choose who acts, and with threshold <= A < k too few act by themselves. It
    is here to show that one round is too little.

    Cost: O(N) by tally, one round. Reference: IBGP, Section 3.2; the numbers of its figure are lost in our source.

    >>> vote = SingleRoundVote(threshold=4, enough=3)
    >>> ballot = vote.propose(None, (), jnp.int32(1))
    >>> [int(vote.decide(vote.hear(None, ballot, jnp.int32(heard), None))[0]) for heard in (3, 4)]
    [0, 1]
    """

    threshold: Int[Array, ""] = swept(jnp.int32)
    enough: Int[Array, ""] = swept(jnp.int32)

    @property
    def rounds(self) -> int:
        return 1

    def __check_init__(self):
        at_least(1, threshold=self.threshold, enough=self.enough)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return Ballot(proposal > 0, jnp.array(False))

    def send(self, ballot: Ballot) -> Bool[Array, ""]:
        return ballot.willing

    def hear(self, key: Key, ballot: Ballot, total: Int[Array, ""], coin: UInt32[Array, ""]) -> Ballot:
        return ballot._replace(acts=ballot.willing & (total >= self.threshold))

    def decide(self, ballot: Ballot) -> tuple[Int[Array, ""], State]:
        return ballot.acts.astype(jnp.int32), ()


def _all_or_enough(protocol: SingleRoundVote, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return all_or_enough(counts, int(protocol.enough))


def _enough(protocol: SingleRoundVote, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return enough(counts, int(protocol.enough))


def _super_sufficient(protocol: SingleRoundVote, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return proposed[..., 1] >= int(protocol.enough) + roster.liars


SAFETY = Property(
    kind=ALWAYS,
    words=lambda protocol, roster: "never some but too few act",
    marks=3,
    mark=acts,
    holds=_all_or_enough,
)
LIVENESS = Property(  # IBGP, Definition 2, consistency
    kind=EVENTUALLY,
    words=lambda protocol, roster: f"of {int(protocol.enough) + roster.liars} willing nodes enough act",
    marks=3,
    mark=acts,
    holds=_enough,
    when=_super_sufficient,
)
POSSIBLE = Property(
    kind=SOMETIMES,
    words=lambda protocol, roster: f"{int(protocol.enough)} nodes can act without a liar's help",
    marks=3,
    mark=acts,
    holds=_enough,
)


def settings(protocol: SingleRoundVote, asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, with k and the threshold as they came out."""
    return asked | {"k": int(protocol.enough), "threshold": int(protocol.threshold)}


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    k: Annotated[int, Count("acting nodes that are enough; half of n unless told")] = None,
    threshold: Annotated[int, Count("votes that make a node act; k + t unless told")] = None,
) -> SingleRoundVote:
    """The vote of n honest nodes against t liars."""
    k, _ = checked(n, k, 0)
    return SingleRoundVote(threshold=k + t if threshold is None else threshold, enough=k)


SINGLE_ROUND = Registered(
    make=make,
    example=SingleRoundVote(threshold=4, enough=3),
    about="act if enough say so in one round; liars split it",
    properties=(SAFETY, LIVENESS, POSSIBLE),
    settings=settings,
)
