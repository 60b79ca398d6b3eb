"""Team claims: agents reserve a place in a task's team; when the team is whole it goes, else they let go."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.protocols import desk
from quorate.protocols.desk import CLAIM, DONE, HOLD, Hold
from quorate.protocols.site import Mechanism, Site

RELEASE = 5  # what a slip says besides: count on me no more


class Entry(NamedTuple):
    """What an agent writes: which task it means, ticks until it is there, CLAIM, HOLD, DONE or RELEASE, the units it
    brings, those the task asks for, and what the task is worth to it."""

    number: Int[Array, ""]
    eta: Float[Array, ""]
    kind: Int[Array, ""]
    units: Int[Array, ""]
    team: Int[Array, ""]
    worth: Float[Array, ""]


class Table(NamedTuple):
    """A place's own record, with C seats (-1: empty).

    number   the newest task it has heard of, team the units it asks for; done: it has begun
    member   who has a seat; each grant ends with tick `until`
    units    that it brings
    moved    tick in which it last came nearer, and `eta` how near
    answer   until when each slip of the round has a seat, -1: it has none
    """

    number: Int[Array, ""]
    team: Int[Array, ""]
    done: Bool[Array, ""]
    member: Int[Array, " C"]
    units: Int[Array, " C"]
    until: Int[Array, " C"]
    moved: Int[Array, " C"]
    eta: Float[Array, " C"]
    answer: Int[Array, " C"]


class Call(NamedTuple):
    """What a place tells everybody: its task, the units that are still missing, and whether it has begun."""

    number: Int[Array, ""]
    missing: Int[Array, ""]
    done: Bool[Array, ""]


class Answer(NamedTuple):
    """What a place answers each slip: its task, and until when the sender has a seat there (-1: it has none)."""

    number: Int[Array, " C"]
    until: Int[Array, " C"]


class Seat(NamedTuple):
    """What an agent keeps from tick to tick: who it is, how patient (in [1, 2), for life), its seat (place -1: none)
    with the tick until which it holds and the tick since which it does, whether the team was whole, and the task it
    last gave up."""

    me: Int[Array, ""]
    patience: Float[Array, ""]
    place: Int[Array, ""]
    number: Int[Array, ""]
    until: Int[Array, ""]
    since: Int[Array, ""]
    whole: Bool[Array, ""]
    left: Int[Array, ""]
    left_number: Int[Array, ""]


class Joining(NamedTuple):
    """What an agent remembers during a tick: its view, its seat, what is missing where as far as it has heard (none: no
    seat to be had), what it asks for (option, -1: nothing), the place it lets go in this round (-1: none), `quiet` once
    its sign is confirmed, and `over` the task that is begun and over, until its place knows."""

    outlook: Outlook
    seat: Seat
    missing: Int[Array, " K"]
    asked: Int[Array, ""]
    leaving: Int[Array, ""]
    quiet: Bool[Array, ""]
    over: Hold

    @property
    def hold(self) -> Hold:
        """The seat that it has, or lets go in this round."""
        seat, leaves = self.seat, self.leaving >= 0
        number = jnp.where(leaves, seat.left_number, seat.number)
        return Hold(seat.me, jnp.where(leaves, self.leaving, seat.place), number, seat.until)

    @property
    def taken(self) -> Bool[Array, " K"]:
        """Options that it does not ask for: no seat is to be had there, or it gave one up."""
        outlook, seat = self.outlook, self.seat
        given_up = (outlook.place == seat.left) & (outlook.number == seat.left_number)
        return (self.missing <= 0) | given_up


class TeamClaim(BoardProtocol):
    """Two phases. Reserve: a free agent asks for a seat at its best option, by

        worth_k + pull (team_k - missing_k) / team_k,

    while units are missing there and worth_k > 0; a place gives seats to the best askers of the round until its units
    are enough. Commit: when none is missing the members go. An agent that has waited longer than wait (1 + U) ticks for
    the others lets go and looks elsewhere; U in [0, 1) is its own, for life, so that not all let go together. Nobody
    holds and waits for ever.

    With `eager` who has a seat goes at once, and what it leaves at the place is a mark: join the nearly full, avoid
    the full. Its patience is spent at the place.

    Members on their way keep going when one of them is lost: its seat runs out and is given to another. A member at the
    place counts as coming nearer while any other does. Seats are never given before the grant of who had them has run
    out or was given back, so those who believe in a seat never bring more units than the team asks for plus those of
    the last to join, less one; whatever mail is lost. With teams of one it is a final claim. Who went to a task that is
    already over tells its place in the first round, and asks from the second on.

    capacity  C, seats and slips a place can keep in a round; a team of more than C members never gathers
    wait      ticks of patience
    pull      what a whole team is worth more than an empty one
    eager     whether a seat is enough to go
    lease     ticks a seat lives without a sign of its owner
    patience  ticks without coming nearer after which signs no longer count; at least 2 wait

    Cost O(N (K + C) + M C^2) a round; a slip and a reply for each seat and tick, and what it reads. Errors: Refusal
    for a capacity below 1. Reference: ours; O. Shehory and S. Kraus, Artificial Intelligence 101:165 (1998), have
    coalitions for tasks by agreement among all; hold and wait is the deadlock of Coffman, Elphick, Shoshani (1971).

    >>> from quorate.protocols.team_claim import TeamClaim
    >>> TeamClaim(places=6, capacity=4).eager
    False
    """

    places: int = static()
    rounds: int = static(4)
    capacity: int = static(4)
    eager: bool = static(False)
    wait: Float[Array, ""] = swept(default=2.0)
    pull: Float[Array, ""] = swept(default=1.0)
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        at_least(1, capacity=self.capacity)

    # --------------------------------------------------------------------------------------------------- the agent

    def boot(self, key, me):
        none = jnp.int32(-1)
        patience = 1 + jax.random.uniform(key)
        return Seat(jnp.asarray(me, jnp.int32), patience, none, none, none, none, jnp.array(False), none, none)

    def propose(self, key, state: Seat, proposal: Outlook) -> Joining:
        mine = (proposal.place == state.place) & (proposal.number == state.number)
        on_its_way = proposal.heading == state.place
        there = jnp.where(on_its_way, proposal.valid & (proposal.task == state.number), jnp.any(mine & proposal.open))
        keeps = (state.place >= 0) & (proposal.t <= state.until) & proposal.free & there
        keeps &= on_its_way | ~(state.whole | self.eager) | (proposal.heading < 0)
        waited = proposal.waited if self.eager else proposal.t - state.since
        tired = keeps & ~state.whole & (waited > self.wait * state.patience)
        seat = jax.tree.map(lambda one, other: jnp.where(keeps & ~tired, one, other), state, _without(state))
        seat = seat._replace(
            left=jnp.where(tired, state.place, state.left),
            left_number=jnp.where(tired, state.number, state.left_number),
        )
        leaving = jnp.where(tired, state.place, -1)
        went = jnp.where((state.whole | self.eager) & ~keeps, state.place, -1)
        over = desk.ended(Hold(state.me, went, state.number, state.until), proposal)
        ballot = self._ask(Joining(proposal, seat, proposal.team, jnp.int32(-1), leaving, jnp.array(False), over))
        if self.rounds == 1:
            return ballot
        return ballot._replace(asked=jnp.where(over.place >= 0, -1, ballot.asked))  # it tells first, then it asks

    def _ask(self, ballot: Joining) -> Joining:
        outlook, seat = ballot.outlook, ballot.seat
        wants = outlook.free & (outlook.serving < 0) & (seat.place < 0) & (ballot.leaving < 0) & (outlook.capacity > 0)
        fits = outlook.open & (outlook.worth > 0) & ~ballot.taken
        filled = 1 - ballot.missing / jnp.maximum(outlook.team, 1)
        merit = jnp.where(fits, outlook.worth + self.pull * filled, -jnp.inf)
        best = jnp.argmax(merit).astype(jnp.int32)
        return ballot._replace(asked=jnp.where(wants & fits[best], best, -1))

    def post(self, ballot: Joining) -> Posts:
        outlook, seat = ballot.outlook, ballot.seat
        asks, leaves, serves = ballot.asked >= 0, ballot.leaving >= 0, outlook.serving >= 0
        option = jnp.maximum(ballot.asked, 0)
        past = (ballot.over.place >= 0) & (seat.place < 0) & ~serves & ~leaves
        own = jnp.where(serves, outlook.serving, jnp.where(leaves, ballot.leaving, seat.place))
        place = jnp.where(asks, outlook.place[option], jnp.where(past, ballot.over.place, own))
        number = jnp.where(serves, outlook.task, jnp.where(leaves, seat.left_number, seat.number))
        number = jnp.where(past, ballot.over.number, number)
        listed = (outlook.place == place) & (place >= 0)
        at, seen = jnp.argmax(listed), jnp.any(listed)
        kind = jnp.where(asks, CLAIM, jnp.where(serves | past, DONE, jnp.where(leaves, RELEASE, HOLD)))
        entry = Entry(
            number=jnp.where(asks, outlook.number[option], number),
            eta=jnp.where(
                serves | (past & ~asks),
                0,
                jnp.where(outlook.heading == place, outlook.left, jnp.where(seen, outlook.eta[at], jnp.inf)),
            ),
            kind=kind.astype(jnp.int32),
            units=outlook.capacity,
            team=jnp.where(seen, outlook.team[at], 1),
            worth=jnp.where(seen, outlook.worth[at], 0),
        )
        sign = (serves | past | ((seat.place >= 0) & (seat.since < outlook.t))) & ~ballot.quiet
        return Posts(place[None], (asks | leaves | sign)[None], body=jax.tree.map(lambda leaf: leaf[None], entry))

    def watch(self, ballot: Joining):
        outlook, seat = ballot.outlook, ballot.seat
        wants = outlook.free & (outlook.serving < 0) & (seat.place < 0)
        held = jnp.where(seat.place >= 0, jnp.where(seat.whole, -1, seat.place), ballot.over.place)
        own = jnp.where(outlook.serving >= 0, outlook.serving, held)
        own = jnp.where(ballot.quiet & (outlook.serving >= 0), -1, own)
        return jnp.append(jnp.where(wants, outlook.place, -1), own)

    def hear(self, key, ballot: Joining, news) -> Joining:
        outlook, seat = ballot.outlook, ballot.seat
        option = jnp.maximum(ballot.asked, 0)
        told, came = Call(*(leaf[:-1] for leaf in news.notice)), news.heard[:-1]
        own, own_came = Call(*(leaf[-1] for leaf in news.notice)), news.heard[-1]
        asks, holds = ballot.asked >= 0, seat.place >= 0
        answer = jax.tree.map(lambda leaf: leaf[0], news.reply)
        # An answer that is late may be about an older task of the place.
        meant = answer.number == jnp.where(asks, outlook.number[option], seat.number)
        until = jnp.where(news.kept[0] & meant, answer.until, -1)
        given = asks & (until >= outlook.t)
        longer = holds & (until > seat.until)
        new = seat._replace(
            place=outlook.place[option],
            number=outlook.number[option],
            until=until,
            since=outlook.t,
            whole=jnp.array(False),
        )
        seat = jax.tree.map(lambda one, other: jnp.where(given, one, other), new, seat)
        seat = seat._replace(until=jnp.where(longer, until, seat.until))
        number, missing = (
            jnp.where(given, told.number[option], own.number),
            jnp.where(given, told.missing[option], own.missing),
        )
        whole = jnp.where(given, came[option], own_came & holds) & (number == seat.number) & (missing <= 0)
        begun = own_came & ((own.number > outlook.task) | ((own.number == outlook.task) & own.done))
        over = ballot.over
        known = (own.number > over.number) | ((own.number == over.number) & own.done)
        known &= own_came & ~holds & (outlook.serving < 0)
        over = over._replace(place=jnp.where(known, -1, over.place))
        current = came & (told.number == outlook.number)
        left = jnp.where(told.done, 0, told.missing)
        unheard = jnp.where(came & (told.number < outlook.number), outlook.team, ballot.missing)
        return self._ask(
            ballot._replace(
                seat=seat._replace(whole=seat.whole | whole),
                missing=jnp.where(current, left, unheard),
                leaving=jnp.int32(-1),
                quiet=ballot.quiet | jnp.where(outlook.serving >= 0, begun, longer),
                over=over,
            )
        )

    def decide(self, ballot: Joining):
        seat = ballot.seat
        return jnp.where(seat.whole | self.eager, seat.place, -1), seat

    def settled(self, ballot: Joining):
        return (ballot.asked < 0) & (ballot.leaving < 0)

    # --------------------------------------------------------------------------------------------------- the place

    def open(self, key, place) -> Table:
        none, zero = jnp.full(self.capacity, -1, jnp.int32), jnp.zeros(self.capacity, jnp.int32)
        one = jnp.int32(1)
        return Table(-one, one, jnp.array(False), none, zero, none, none, jnp.zeros(self.capacity), none)

    def serve(self, key, place_state: Table, heap) -> Table:
        said, who, t = heap.first.body, heap.first.who, heap.t
        newest = jnp.argmax(jnp.where(who >= 0, said.number, -2))
        newer = (who[newest] >= 0) & (said.number[newest] > place_state.number)
        fresh = self.open(key, None)._replace(number=said.number[newest], team=said.team[newest])
        table = jax.tree.map(lambda one, other: jnp.where(newer, one, other), fresh, place_state)
        current = (who >= 0) & (said.number == table.number)
        table = table._replace(member=jnp.where(t > table.until, -1, table.member))

        by = (table.member[None, :] == who[:, None]) & current[:, None]  # slip c is by the member in seat s
        eta = jnp.min(jnp.where(by, said.eta[:, None], jnp.inf), axis=0)
        moved = jnp.where(eta < table.eta, t, table.moved)
        eta = jnp.minimum(eta, table.eta)
        seated = table.member >= 0
        moved_any = jnp.max(jnp.where(seated, moved, -1))
        alive = t - jnp.where(eta <= 0, moved_any, moved) <= self.patience
        until = jnp.where(jnp.any(by & (said.kind != RELEASE)[:, None], axis=0) & alive, t + self.lease, table.until)
        gone = jnp.any(by & (said.kind == RELEASE)[:, None], axis=0)
        member = jnp.where(gone, -1, table.member)
        done = table.done | jnp.any(current & (said.kind == DONE))

        have = jnp.sum(jnp.where(member >= 0, table.units, 0))
        asks = current & (said.kind == CLAIM) & ~jnp.any(by, axis=1) & (said.units > 0) & ~done
        ahead = (said.worth[None, :] > said.worth[:, None]) | (
            (said.worth[None, :] == said.worth[:, None]) & (who[None, :] < who[:, None])
        )
        ahead &= asks[None, :]  # slip d is before slip c
        enters = asks & (have + jnp.sum(jnp.where(ahead, said.units[None, :], 0), axis=1) < table.team)
        empty = member < 0
        takes = enters[:, None] & empty[None, :]
        takes &= jnp.sum(ahead, axis=1)[:, None] == (jnp.cumsum(empty) - 1)[None, :]
        taken, slip = jnp.any(takes, axis=0), jnp.argmax(takes, axis=0)
        member = jnp.where(taken, who[slip], member)
        units = jnp.where(taken, said.units[slip], table.units)
        until = jnp.where(taken, t + self.lease, until)
        now = jnp.sum(jnp.where(member >= 0, units, 0))
        starts = taken | ((now >= table.team) & (have < table.team))  # a team that is whole has its patience anew
        mine = (member[None, :] == who[:, None]) & current[:, None] & (member >= 0)[None, :]
        return Table(
            number=table.number,
            team=table.team,
            done=done,
            member=member,
            units=units,
            until=until,
            moved=jnp.where(starts, t, moved),
            eta=jnp.where(taken, said.eta[slip], eta),
            answer=jnp.max(jnp.where(mine, until[None, :], -1), axis=1),
        )

    def notice(self, place_state: Table) -> Call:
        units = jnp.sum(jnp.where(place_state.member >= 0, place_state.units, 0))
        return Call(place_state.number, jnp.maximum(place_state.team - units, 0), place_state.done)

    def reply(self, place_state: Table) -> Answer:
        return Answer(jnp.full_like(place_state.answer, place_state.number), place_state.answer)


def _without(seat: Seat) -> Seat:
    """The same agent without a seat."""
    none = jnp.int32(-1)
    return seat._replace(place=none, number=none, until=none, since=none, whole=jnp.array(False))


def make(site: Site, eager: bool = False) -> TeamClaim:
    """Seats at every place for the largest team of the site, and as many slips more for those who ask."""
    return TeamClaim(
        places=site.places,
        rounds=site.rounds,
        capacity=2 * site.team,
        lease=site.lease,
        patience=site.patience,
        eager=eager,
    )


TEAM_CLAIM = Mechanism(make, "reserve a place in a team; go when it is whole, let go when it is not", teams=True)
TEAM_MARKS = Mechanism(
    lambda site: make(site, eager=True), "go where a team is nearly whole, avoid where it is", teams=True
)
