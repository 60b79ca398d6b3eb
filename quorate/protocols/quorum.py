"""Quorum: the fleet votes on who looks where first; without a quorum everybody is on its own."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.numerics.mix import GOLDEN, mix
from quorate.protocols.alone import Alone, Looking
from quorate.protocols.site import Mechanism, Site


class Decree(NamedTuple):
    """What the ballot box tells: the term of the last vote (-1: none yet), and the plan that passed (-1: none did)."""

    term: Int[Array, ""]
    plan: Int[Array, ""]


class Citizen(NamedTuple):
    """What an agent keeps from tick to tick: who it is, and the last decree that it heard."""

    me: Int[Array, ""]
    decree: Decree


class Voting(NamedTuple):
    """What an agent remembers during a tick: its view and patience, as alone, and what it keeps."""

    looking: Looking
    citizen: Citizen


class Quorum(BoardProtocol):
    """In the first tick of each term every agent that is there puts one ballot into the only box: for each plan b the
    worth v_b of its best open option that the plan gives it first. The box counts n ballots and sums them. If n >=
    needed, plan argmax_b sum v_b holds for the term, else none.

    Plan b gives place j first to the agents of its class, h(j, b) mod classes = h'(i, b) mod classes, with fixed hash
    functions h, h'. Under a plan a free agent heads for its best option among those that are first its own, and, only
    where none of these is worth going to, for its best option of all. Without a plan it does what `Alone` does.

    What it can: two agents of different classes that both have options of their own never collide. All who follow a
    plan in a tick follow the same one, whatever is lost: a box says one thing in a term, and who has not heard it is on
    its own. What it cannot: two agents of one class still collide, as do those who have nothing of their own; with less
    work than agents the division buys fewer walks in vain for longer ways, under overload it only lengthens the ways.
    Ballots tell what each would like, not where wishes collide, so the vote chooses among plans that all divide: a plan
    that divides nothing would win each time. Lost ballots and absent agents count against the quorum, so that with two
    thirds needed it fails beyond a loss of a third.

    places   of the fleet, M; the board itself has one place, the box
    classes  into which agents and places are cut; plans: how many are on the ballot
    needed   ballots without which no plan holds
    term     ticks between votes
    patience  as in `Alone`
    delay    ticks that mail takes each way: the box counts a term's ballots that much later (see `Delayed`),
             and a plan holds from 2 delay ticks of its term on, so in none where that is a whole term

    Cost O(N B K) a tick, B plans; one slip of 4 B bytes for each agent and term, and one read, repeated in each tick
    until it is heard. Errors: Refusal for counts below 1.

    Reference: ours. Counting with a bar below which a vote is void is that of quorum sensing: Pratt, Mallon, Sumpter,
    Franks, Quorum sensing, recruitment, and collective decision-making during colony emigration by the ant Leptothorax
    albipennis, Behavioral Ecology and Sociobiology 52 (2002).

    >>> from quorate.protocols.quorum import Quorum
    >>> Quorum(needed=7).places
    1
    """

    places: int = static(1)
    rounds: int = static(1)
    capacity: int = static(0)
    plans: int = static(8)
    classes: int = static(4)
    delay: int = static(0)
    needed: Int[Array, ""] = swept(jnp.int32)
    term: Int[Array, ""] = swept(jnp.int32, 20)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        at_least(1, plans=self.plans, classes=self.classes, needed=self.needed, term=self.term)
        at_least(0, delay=self.delay)
        if self.places != 1:
            raise Refusal(f"places is {self.places}; the fleet has one ballot box")

    def boot(self, key, me):
        none = jnp.int32(-1)
        return Citizen(jnp.asarray(me, jnp.int32), Decree(none, none))

    def propose(self, key, state: Citizen, proposal: Outlook) -> Voting:
        return Voting(Alone(patience=self.patience).propose(key, (), proposal), state)

    def own(self, me: Int[Array, ""], place: Int[Array, " K"], plan: Int[Array, "..."]) -> Bool[Array, "... K"]:
        """Which places are first those of agent `me` under this plan, or under each of several."""
        plan = jnp.asarray(plan)[..., None]
        place = place.reshape((1,) * (plan.ndim - 1) + place.shape)
        classes = jnp.uint32(self.classes)
        return _hash(me, plan, 1) % classes == _hash(place, plan, 2) % classes

    def post(self, ballot: Voting) -> Posts:
        outlook = ballot.looking.outlook
        worth = jnp.where(outlook.open, outlook.worth, 0)
        first = self.own(ballot.citizen.me, outlook.place, jnp.arange(self.plans))
        best = jnp.max(jnp.where(first, worth[None, :], 0), axis=1, initial=0.0)
        return Posts(jnp.zeros(1, jnp.int32), (outlook.t % self.term == 0)[None], amount=best[None])

    def watch(self, ballot: Voting):
        """The box, until it is heard in this term."""
        return jnp.where(self._knows(ballot), -1, 0)[None].astype(jnp.int32)

    def _knows(self, ballot: Voting) -> Bool[Array, ""]:
        return ballot.citizen.decree.term == ballot.looking.outlook.t // self.term

    def hear(self, key, ballot: Voting, news: News) -> Voting:
        decree = jax.tree.map(
            lambda new, old: jnp.where(news.heard[0], new[0], old), news.notice, ballot.citizen.decree
        )
        return ballot._replace(citizen=ballot.citizen._replace(decree=decree))

    def divided(self, ballot: Voting) -> Outlook:
        """Its view without what is first that of others, where a plan holds and leaves it something."""
        outlook, citizen = ballot.looking.outlook, ballot.citizen
        first = self.own(citizen.me, outlook.place, citizen.decree.plan) & outlook.open & (outlook.worth > 0)
        follows = self._knows(ballot) & (citizen.decree.plan >= 0) & jnp.any(first)
        return outlook._replace(open=outlook.open & (first | ~follows))

    def decide(self, ballot: Voting):
        looking = ballot.looking._replace(outlook=self.divided(ballot))
        return Alone(patience=self.patience).decide(looking)[0], ballot.citizen

    def open(self, key, place) -> Decree:
        return Decree(jnp.int32(-1), jnp.int32(-1))

    def serve(self, key, place_state: Decree, heap: Heap) -> Decree:
        passed = jnp.where(heap.count >= self.needed, jnp.argmax(heap.total), -1).astype(jnp.int32)
        cast = heap.t - self.delay
        new = Decree(cast // self.term, passed)
        votes = cast % self.term == 0
        return jax.tree.map(lambda new, old: jnp.where(votes, new, old), new, place_state)

    def notice(self, place_state: Decree) -> Decree:
        return place_state

    def where(self, place):
        return jnp.int32(-1)


def _hash(number: Array, plan: Array, salt: int) -> Array:
    """A word that two whole numbers and a salt decide."""
    word = number.astype(jnp.uint32) * GOLDEN + jnp.uint32(salt)
    for _ in range(2):
        word = mix(word) ^ plan.astype(jnp.uint32)
    return word ^ (word >> 15)


def quorum(agents: int, share: float = 2 / 3) -> int:
    """The least number of agents that are at least this share of all, and at least one.

    >>> quorum(9), quorum(10), quorum(1)
    (6, 7, 1)
    """
    at_least(1, agents=agents)
    if not 0 <= share <= 1:
        raise Refusal(f"share is {share}; it is a share of the agents, from 0 to 1")
    exact = share * agents
    return max(1, round(exact) if abs(exact - round(exact)) < 1e-6 else int(exact) + 1)


def make(site: Site, share: float = 2 / 3) -> Quorum:
    """A vote of all agents of the site."""
    return Quorum(needed=quorum(site.agents, share), patience=site.patience, delay=site.delay)


QUORUM = Mechanism(make, "vote on who looks where first; without a quorum each is on its own", teams=True)
