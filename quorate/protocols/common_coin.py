"""Full agreement by a common coin: who hears no clear vote follows the coin."""

from fractions import Fraction
from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.arguments import Count
from quorate.core import Key, Registered, Roster, State, TallyProtocol, static, swept
from quorate.core.fields import at_least
from quorate.protocols.agreement import POSSIBLE, VALIDITY, agreement, fitting, too_few
from quorate.protocols.making import checking


class CommonCoin(TallyProtocol):
    """Each round a node says its bit; it keeps what N - t members say, and else takes the coin of the round.

        x_r = 1 if heard_r >= N - t,    0 if N - heard_r >= N - t,    else c_r

    N is `members`, honest nodes and liars; t is `liars`; heard_r counts the yes heard in round r, the node's own
    included, and silence is a no. c_r is the top bit of the round's coin, which nobody knows before the mail is closed.

    Holds for N > 3t: after R = `rounds` rounds two honest nodes differ with a chance of at most 2^-R against liars who
    see each round's mail and all earlier coins first, and what all honest nodes propose is always decided. Proof:
    (1) a node can hear v from N - t members only if N - 2t honest ones say v, and with N > 3t that is more than half of
    the N - t honest, so at most one v can be kept in a round, and it stands before the coin is tossed. (2) With a
    chance of at least 1/2 the coin is this v, or any where there is none; then all honest nodes hold the same bit.
    (3) From then on everybody hears it from N - t members. The coins are independent. Fails for N <= 3t.

    Cost: O(N) a round by tally. Reference: Rabin, Randomized Byzantine Generals (1983); Feldman and Micali, An Optimal
    Probabilistic Protocol for Synchronous Byzantine Agreement (1997), for the bound N > 3t. There the coin is made of
    shares that nodes hold, nodes stop as soon as they can and the agreement is certain; here the coin is given, all
    stop after R rounds, and a chance remains.

    >>> vote = CommonCoin(members=4, liars=1, rounds=5)
    >>> heads = jnp.uint32(2**31)
    >>> [bool(vote.hear(None, jnp.array(False), jnp.int32(heard), heads)) for heard in (1, 2, 3)]
    [False, True, True]
    """

    members: Int[Array, ""] = swept(jnp.int32)
    liars: Int[Array, ""] = swept(jnp.int32)
    rounds: int = static()

    def __check_init__(self):
        at_least(1, members=self.members, rounds=self.rounds)
        at_least(0, liars=self.liars)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Bool[Array, ""]:
        return proposal > 0

    def send(self, ballot: Bool[Array, ""]) -> Bool[Array, ""]:
        return ballot

    def hear(
        self, key: Key, ballot: Bool[Array, ""], total: Int[Array, ""], coin: UInt32[Array, ""]
    ) -> Bool[Array, ""]:
        head = coin >= jnp.uint32(2**31)
        return (total >= self.members - self.liars) | ((total > self.liars) & head)

    def decide(self, ballot: Bool[Array, ""]) -> tuple[Int[Array, ""], State]:
        return ballot.astype(jnp.int32), ()


def promised(protocol: CommonCoin, roster: Roster) -> Fraction:
    """2^-R."""
    return Fraction(1, 2**protocol.rounds)


def proved(protocol: CommonCoin, roster: Roster) -> Fraction:
    """2^-R where the protocol's N and t are the roster's and N > 3t; nothing else is proved."""
    return promised(protocol, roster) if fitting(protocol, roster, 3) else Fraction(1)


def warnings(protocol: CommonCoin, roster: Roster) -> tuple[str, ...]:
    return too_few(roster, 3, "agreement by a coin")


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    rounds: Annotated[int, Count("rounds; two nodes differ with a chance of 2^-rounds", most=1000)] = 10,
) -> CommonCoin:
    """The agreement of n honest nodes against t liars."""
    return CommonCoin(members=n + t, liars=t, rounds=rounds)


COMMON_COIN = Registered(
    make=make,
    example=CommonCoin(members=6, liars=1, rounds=3),
    about="agree in full; the undecided follow a common coin",
    properties=(agreement(promised), VALIDITY, POSSIBLE),
    bound=proved,
    warnings=warnings,
)
