"""Majority: do what more than half of all members say."""

from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.arguments import Count
from quorate.core import Key, Registered, State, TallyProtocol, static, swept
from quorate.core.fields import at_least
from quorate.protocols.agreement import POSSIBLE, VALIDITY, agreement
from quorate.protocols.making import checking


class Majority(TallyProtocol):
    """Every round each node takes over what more than half of all members say; silence says no.

        x_r = [2 heard_r > members]

    heard_r is the number of yes in round r, the node's own included, and `members` counts honest nodes and liars.

    Holds: what all honest nodes propose is decided, while liars are fewer than they. Fails: where A honest nodes say
    yes and A <= members / 2 < A + t, liars choose for every node what it decides, in every round anew; more rounds do
    not help.

    Cost: O(N) a round by tally. Reference: the exchange of votes that every agreement protocol begins with, as in
    Attiya and Welch, Distributed Computing (2004), Section 5.2.5, without the king who breaks ties.

    >>> vote = Majority(members=4)
    >>> [bool(vote.hear(None, jnp.array(False), jnp.int32(heard), None)) for heard in (2, 3)]
    [False, True]
    """

    members: Int[Array, ""] = swept(jnp.int32)
    rounds: int = static(1)

    def __check_init__(self):
        at_least(1, members=self.members, rounds=self.rounds)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Bool[Array, ""]:
        return proposal > 0

    def send(self, ballot: Bool[Array, ""]) -> Bool[Array, ""]:
        return ballot

    def hear(
        self, key: Key, ballot: Bool[Array, ""], total: Int[Array, ""], coin: UInt32[Array, ""]
    ) -> Bool[Array, ""]:
        return 2 * total > self.members

    def decide(self, ballot: Bool[Array, ""]) -> tuple[Int[Array, ""], State]:
        return ballot.astype(jnp.int32), ()


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    rounds: Annotated[int, Count("rounds of voting", most=1000)] = 1,
) -> Majority:
    """The vote of n honest nodes against t liars."""
    return Majority(members=n + t, rounds=rounds)


MAJORITY = Registered(
    make=make,
    example=Majority(members=6, rounds=2),
    about="do what more than half say; liars split a close vote",
    properties=(agreement(), VALIDITY, POSSIBLE),
)
