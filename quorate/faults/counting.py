"""Attackers on yes-no mail who follow a rule: silent, all yes, at random, split, drop at a round, rushing."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import CountingAttack, Key, State, Tally, swept
from quorate.core.fault import votes
from quorate.errors import Refusal
from quorate.numerics.binomial import draw, guide
from quorate.numerics.choose import choose, first

EITHER = "it is how many members lie, or True or False for each"


def _members(given: Any) -> Array | None:
    if given is None or (isinstance(given, int) and given == 0):
        return None
    members = jnp.asarray(given)
    if members.dtype == bool and members.ndim:
        return members
    if not jnp.issubdtype(members.dtype, jnp.integer):
        raise Refusal(f"members is {given}; {EITHER}")
    return members.astype(jnp.int32)


class Attackers(CountingAttack):
    """Who lies: `members` of the population, `extras` talkers from outside, or both.

    members    how many, drawn anew when an episode begins, or a mask bool[N]; nobody unless told
    extras     how many; they are heard by everybody

    They collude: `lies` says for each receiver how many of them tell it yes, so all follow one plan. They see the
    round's honest mail before they lie (rushing), tell each receiver something else (equivocation), and never see the
    coin. A member's own word still reaches itself.

    Errors: `Refusal` for a mask of another length than N, and for fewer than 0 or more than N members.
    """

    members: Array | None = eqx.field(default=None, converter=_members, kw_only=True)

    def __check_init__(self):
        if self.extras < 0:
            raise Refusal(f"extras is {self.extras}; it counts talkers from outside and must be at least 0")
        members = self.members
        if members is None or isinstance(members, jax.core.Tracer) or members.dtype == bool:
            return
        if np.any(np.asarray(members) < 0):
            raise Refusal(f"members is {members}; it counts agents and must be at least 0")

    def reset(self, key: Key, num_agents: int) -> State:
        return self.lying(key, num_agents)

    def lying(self, key: Key, num_agents: int) -> Bool[Array, " N"] | tuple[()]:
        """Which members lie; () where none may."""
        members = self.members
        if members is None:
            return ()
        if members.dtype == bool:
            if members.shape != (num_agents,):
                raise Refusal(f"members marks {members.shape[-1]} agents; the world has {num_agents}")
            return members
        if members.ndim:
            raise Refusal(f"members is {members.tolist()}; {EITHER}")
        if not isinstance(members, jax.core.Tracer) and int(members) > num_agents:
            raise Refusal(f"members is {members}; the world has {num_agents} agents")
        return choose(key, members, num_agents)

    def liars(self, state: State) -> Bool[Array, " N"] | None:
        return None if self.members is None else state

    @abc.abstractmethod
    def lies(self, key: Key, state: State, tally: Tally) -> tuple[State, Int[Array, " N"]]: ...


def yes(tally: Tally) -> Bool[Array, " N"]:
    """Who says yes, and is no liar itself."""
    return votes(tally.sent) & ~tally.forged


def everybody(tally: Tally, number: Int[Array, ""]) -> Int[Array, " N"]:
    return jnp.broadcast_to(jnp.asarray(number, jnp.int32), tally.forged.shape)


class SilentLiars(Attackers):
    """Never a false yes: lies_i = 0. They speak and say no to all, which stops votes that need every voice; their mail
    is on the bill. O(1) a round.

    >>> SilentLiars(extras=2).extras
    2
    """

    def lies(self, key, state, tally):
        return state, everybody(tally, jnp.int32(0))


class AllYes(Attackers):
    """Everybody hears yes from every attacker: lies_i = t. It wakes votes that too few wanted; where all hear the same,
    nobody is split. O(1) a round.

    Reference: the attack all-1 of IBGP, Theorem 7.

    >>> AllYes(members=3).members.tolist()
    3
    """

    def lies(self, key, state, tally):
        return state, everybody(tally, tally.power)


class RandomYes(Attackers):
    """Each attacker tells each receiver yes by itself with probability `chance`: lies_i ~ Binomial(t, chance).

    All receivers draw from one table of t's distribution. Cost: one random word and two look-ups a receiver and round,
    and O(sqrt(t)) for the table (`quorate.numerics.binomial`).

    Errors: `Refusal` for a chance that is none.
    Reference: the random attacker of IBGP, Table 6. A liar that is a member draws for t although it hears only t - 1
    others; its own vote is nobody's concern.

    >>> float(RandomYes(chance=0.25, extras=2).chance)
    0.25
    """

    chance: Float[Array, ""] = swept()

    def __check_init__(self):
        chance = self.chance
        if not isinstance(chance, jax.core.Tracer) and not np.all(
            (np.asarray(chance) >= 0) & (np.asarray(chance) <= 1)
        ):
            raise Refusal(f"chance is {chance}; it must be between 0 and 1")

    def lies(self, key, state, tally):
        num_agents = tally.forged.shape[0]
        most = self.extras + (0 if self.members is None else num_agents)
        words = jax.random.bits(key, (num_agents,), jnp.uint32)
        return state, draw(words, guide(tally.power, self.chance, most))


class SplitVote(Attackers):
    """Every other receiver hears yes from every attacker, the rest no: lies_i = t [i even]. The plainest equivocation;
    it breaks every vote of one round. O(1) a round.

    >>> SplitVote(extras=1).extras
    1
    """

    def lies(self, key, state, tally):
        even = jnp.arange(tally.forged.shape[0]) % 2 == 0
        return state, jnp.where(even, tally.power, 0)


class DropAtRound(Attackers):
    """Keeps all that are willing in play until one round, lets few of them pass there, and pushes those over the last
    threshold.

        lies_i = t [r != at  or  i is among the first `passing` who still say yes]

    at         the round in which the others are dropped, counted from 1
    passing    how many of those who still say yes are held up in that round

    Against `HiddenStopVote` with margin t and k <= A_0 < k + t willing nodes, passing between max(1, k - t) and
    k - 1, it splits the vote iff at + 1 is the last round: with chance P(T = at + 1), which no attack beats where
    at + 1 is the likeliest. Cost: O(1) a round, O(N log N) in round `at`; O(N log N) in each where runs are batched,
    since both branches are then computed.

    Errors: `Refusal` for a round below 1 and fewer than 0 passing.
    Reference: the attack behind IBGP, Theorem 3 (Case 2 of its proof).

    >>> drop = DropAtRound(at=2, passing=1, extras=1)
    >>> int(drop.at), int(drop.passing)
    (2, 1)
    """

    at: Int[Array, ""] = swept(jnp.int32)
    passing: Int[Array, ""] = swept(jnp.int32, 1)

    def __check_init__(self):
        for name, least in (("at", 1), ("passing", 0)):
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and np.any(np.asarray(value) < least):
                raise Refusal(f"{name} is {value}; it must be at least {least}")

    def lies(self, key, state, tally):
        def some() -> Array:
            return jnp.where(first(yes(tally), self.passing), tally.power, 0)

        return state, jax.lax.cond(tally.round + 1 == self.at, some, lambda: everybody(tally, tally.power))


class Rushing(Attackers):
    """Looks at the honest total first and tips every other receiver exactly to a number of votes; the rest stay just
    under it wherever they can.

        lies_i = threshold - total - [i odd],    at least 0 and at most t

    threshold    the number of votes from which a receiver would go on
    total        the honest yes of this round

    Lies only add, so a total that is there already stays over. O(1) a round.

    >>> int(Rushing(threshold=4, extras=1).threshold)
    4
    """

    threshold: Int[Array, ""] = swept(jnp.int32)

    def lies(self, key, state, tally):
        total = jax.tree.leaves(tally.total)[0].astype(jnp.int32)
        odd = jnp.arange(tally.forged.shape[0], dtype=jnp.int32) % 2
        return state, jnp.clip(self.threshold - total - odd, 0, tally.power)
