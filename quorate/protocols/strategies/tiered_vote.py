"""TieredVote: the fleet's vote in two tiers; regions count, delegates carry the sums up and the decree down."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols.quorum import Citizen, Decree, Quorum, Voting


class Tally(NamedTuple):
    """How many ballots, and their sums, one for each plan."""

    count: Int[Array, ""]
    worth: Float[Array, " B"]


class Voter(NamedTuple):
    """What an agent keeps from tick to tick: itself and its decree; the box at which it last cast its ballot (-1: never
    yet); whether it is that box's delegate in this term."""

    citizen: Citizen
    box: Int[Array, ""]
    delegate: Bool[Array, ""]


class Casting(NamedTuple):
    """What an agent remembers during a tick: the vote's part, what it keeps, the sums it carries, and the round."""

    own: Voting
    box: Int[Array, ""]
    delegate: Bool[Array, ""]
    tally: Tally
    round: Int[Array, ""]


class Box(NamedTuple):
    """What a box tells; the sums of the ballots that came in this round; whether it is the one at the top."""

    decree: Decree
    tally: Tally
    top: Bool[Array, ""]


class TieredVote(BoardProtocol):
    """`protocol`, a `Quorum`, but ballots go to a box of the agent's own region. In the first tick of a term

        round 0  all cast, each where it is: n_g = sum 1,  s_g[b] = sum v_b  over the ballots that reach box g. It
                 answers one of these alone, the first from an id on that the coin of the round draws: the *delegate*
        round 1  delegates tell the top box n_g and s_g, which decides as `Quorum` does,
                 sum_g n_g >= needed:  plan argmax_b sum_g s_g[b],  else none;  delegates read that
        round 2  delegates tell it to their region's box, and everybody else reads that

    and in every later tick who has not heard yet, for whatever reason, reads the top itself.

    What it can: no box hears the fleet, a region's box hears its members and the top one delegate of each region. All
    who follow a plan in a tick follow the same one, whatever is lost: only the top decides, once a term, from what
    reaches it in that one round, and every box tells that or nothing. A delegate that crashes, leaves, or whose way
    back is lost costs its region one tick, since the top is asked; one that is gone before its report, also the
    region's ballots. (That a delegate tries again would need a delegate that is there, and without one its region would
    read in vain until the term is over.)

    What it cannot: see that a region's sums are missing. A ballot counts if it, the answer to the delegate and the
    delegate's report all arrive, so that with mail lost at a share p

        E[counted] = (1 - p)^3 N,    of `Quorum`: (1 - p) N,

    and with two thirds needed plans cease to hold around p = 0.13 where those of `Quorum` do at 0.33. The last two of
    the three are lost for a whole region together, so with few regions there are terms without a plan long before.
    A delegate that lies speaks for its region: nothing here checks its sums, or the decree that it brings.

    With one region and no loss it decides as `Quorum`, bit for bit; with more, sums are added up in another order.

    protocol  whose `term`, `needed`, `plans`, `classes` and `patience` hold here. Where its `delay` is d, mail takes d
              ticks each way (see `Delayed`): cast in tick 0 of a term, answered in 2 d, for which all post a second
              slip without weight (a late answer needs one); sums at the top in 3 d, its plan read by delegates in 4 d,
              at the regions in 5 d, and a plan holds for all from 6 d of its term on, so never where that is all of it
    anchor    a task place in the middle of each region, [G]: there lies its box. Places of the board are these G, by
              `Outlook.region`, which counts from 0 to G - 1, and at last the top, which lies nowhere. None can fail

    Cost O(N (B K + G)) a tick, B plans, K options. Calm, a term costs N + 6 G + 2 messages by the bill, which counts
    answers and notices that nobody waits for (`Quorum`: N + 1), as many reads as `Quorum`'s, and
    (4 B + 16) N + (16 B + 24) G + 4 B + 4 bytes (`Quorum`: (4 B + 12) N). Only delegates read sums: told to all in a
    notice these would treble the bytes. Under loss p a share of about 1 - (1 - p)^4 of the agents asks the top in the
    second tick. In fleets of 200 in 9 regions a box heard at most 37 slips in a round, that of `Quorum` 200.

    Errors: Refusal for another protocol than a Quorum, and where anchors are no row of places.

    Reference: sums on their way up a tree as in Madden, Franklin, Hellerstein and Hong, TAG: a Tiny AGgregation service
    for ad-hoc sensor networks, OSDI 2002. There parents are nodes that a tree of radio links fixes, and each sums for
    its children; here boxes sum, nodes only carry, drawn by lot anew for each term, and there are two tiers.

    >>> from quorate.protocols.quorum import Quorum
    >>> TieredVote(protocol=Quorum(needed=7), anchor=[0, 4]).places
    3
    """

    protocol: Quorum
    anchor: Int[Array, " G"] = swept(jnp.int32)
    rounds: int = static()
    places: int = static()
    capacity: int = static()

    def __init__(self, *, protocol: Quorum, anchor: Array):
        if not isinstance(protocol, Quorum):
            raise Refusal(f"{type(protocol).__name__} holds no vote", "TieredVote is for a Quorum")
        if not isinstance(anchor, jax.core.Tracer):
            if np.ndim(anchor) != 1 or not np.size(anchor):
                raise Refusal(f"anchor has shape {np.shape(anchor)}; it is a row with one task place for each region")
            at_least(0, anchor=np.asarray(anchor))
        self.protocol, self.anchor = protocol, jnp.asarray(anchor, jnp.int32)
        self.rounds, self.capacity, self.places = 3, 1, len(self.anchor) + 1

    @property
    def top(self) -> int:
        """The place that decides."""
        return self.places - 1

    def _at(self, ways: int, ballot: Casting) -> Bool[Array, ""]:
        """Whether its term began so many times the delay ago."""
        return self._since(ballot.own.looking.outlook.t) == ways * self.protocol.delay

    def _since(self, t: Int[Array, ""]) -> Int[Array, ""]:
        return t % self.protocol.term

    def _knows(self, own: Voting) -> Bool[Array, ""]:
        return own.citizen.decree.term == own.looking.outlook.t // self.protocol.term

    def _nothing(self) -> Tally:
        return Tally(jnp.int32(0), jnp.zeros(self.protocol.plans, jnp.float32))

    def boot(self, key, me):
        return Voter(self.protocol.boot(key, me), jnp.int32(-1), jnp.array(False))

    def propose(self, key, state: Voter, proposal: Outlook) -> Casting:
        casts = self._since(proposal.t) == 0
        return Casting(
            own=self.protocol.propose(key, state.citizen, proposal),
            box=jnp.where(casts, proposal.region, state.box),
            delegate=state.delegate & ~casts,
            tally=self._nothing(),
            round=jnp.int32(0),
        )

    def post(self, ballot: Casting) -> Posts:
        """A ballot, or the question who is the delegate, to the box; sums to the top; a decree, as the sums that lead
        to it, to the box."""
        casts = self._at(0, ballot)
        worth = jnp.where(casts, self.protocol.post(ballot.own).amount[0], 0)
        plan = ballot.own.citizen.decree.plan
        down = Tally(jnp.int32(0), (jnp.arange(self.protocol.plans) == plan).astype(jnp.float32))
        now = [ballot.round == number for number in range(self.rounds)]
        live = [
            (casts | self._at(2, ballot)) & (ballot.box >= 0),
            ballot.delegate & self._at(2, ballot),
            ballot.delegate & self._at(4, ballot) & self._knows(ballot.own),
        ]
        said = jax.tree.map(
            lambda *each: jnp.select(now, each)[None], Tally(casts.astype(jnp.int32), worth), ballot.tally, down
        )
        place = jnp.where(now[1], self.top, ballot.box)
        return Posts(place[None].astype(jnp.int32), jnp.select(now, live, False)[None], amount=said)

    def watch(self, ballot: Casting):
        """The top as a delegate, and as one who has not heard in time; the region's box once a term."""
        since = self._since(ballot.own.looking.outlook.t)
        late = since > 6 * self.protocol.delay
        up = (ballot.round == 1) & ((ballot.delegate & self._at(4, ballot)) | late)
        here = (ballot.round == 2) & self._at(6, ballot)
        place = jnp.where(up, self.top, jnp.where(here, ballot.own.looking.outlook.region, -1))
        return jnp.where(self._knows(ballot.own), -1, place)[None].astype(jnp.int32)

    def hear(self, key, ballot: Casting, news: News) -> Casting:
        named = (ballot.round == 0) & self._at(2, ballot) & news.kept[0]
        return Casting(
            own=self.protocol.hear(key, ballot.own, news),
            box=ballot.box,
            delegate=ballot.delegate | named,
            tally=jax.tree.map(lambda new, old: jnp.where(named, new[0], old), news.reply, ballot.tally),
            round=ballot.round + 1,
        )

    def decide(self, ballot: Casting):
        decision, citizen = self.protocol.decide(ballot.own)
        return decision, Voter(citizen, ballot.box, ballot.delegate)

    def open(self, key, place) -> Box:
        return Box(self.protocol.open(key, place), self._nothing(), jnp.asarray(place == self.top))

    def serve(self, key, place_state: Box, heap: Heap) -> Box:
        decree, _, top = place_state
        delay, total = self.protocol.delay, heap.total
        reports = heap._replace(t=heap.t - 2 * delay, count=total.count, total=total.worth)
        decided = self.protocol.serve(key, decree, reports)
        plan = jnp.where(jnp.max(total.worth) > 0, jnp.argmax(total.worth), -1).astype(jnp.int32)
        brought = Decree((heap.t - delay) // self.protocol.term, plan)
        up, down = top & (heap.round == 1), ~top & (heap.round == 2) & (heap.count > 0)
        votes = ~top & (heap.round == 0) & (self._since(heap.t - delay) == 0)
        return Box(
            decree=jax.tree.map(
                lambda one, other, old: jnp.where(up, one, jnp.where(down, other, old)), decided, brought, decree
            ),
            tally=jax.tree.map(lambda new: jnp.where(votes, new, 0), total),
            top=top,
        )

    def notice(self, place_state: Box) -> Decree:
        return place_state.decree

    def reply(self, place_state: Box) -> Tally:
        """To the delegate."""
        return jax.tree.map(lambda leaf: leaf[None], place_state.tally)

    def where(self, place):
        return jnp.where(place < self.top, self.anchor[jnp.minimum(place, self.top - 1)], -1)
