"""Central: all free agents report to one place, it solves the assignment and orders; with retry, a hot standby, and
agents that act on their own where no answer comes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols import orders
from quorate.protocols.alone import NEVER
from quorate.protocols.orders import Duty, Ledger, Order, Report, Roaming
from quorate.protocols.site import ALONE_AFTER, Mechanism, Site

CENTRE, STANDBY = 0, 1


class Office(NamedTuple):
    """What a centre keeps: who was given what, the tick of its last slip (-1: never), whether that is less than a lease
    ago, and its answers to the slips of this round, leaves [C]."""

    ledger: Ledger
    last: Int[Array, ""]
    busy: Bool[Array, ""]
    answers: Order


class Subject(NamedTuple):
    """What an agent keeps from tick to tick: its duty, whether it reports to the standby, for how many ticks in which
    it listened it has heard nothing of the centre, in how many ticks of reports in a row it had no answer, and whether
    its way, or the task it serves, is one that it chose alone."""

    duty: Duty
    standby: Bool[Array, ""]
    silent: Int[Array, ""]
    unanswered: Int[Array, ""]
    alone: Bool[Array, ""]


class Reporting(NamedTuple):
    """What an agent remembers during a tick: what it kept, what it writes and whether it does, whether it asks for a
    task, is free, has had its answer, has heard of the centre, has heard that the standby is at work; the round; and
    how it stands without answers."""

    subject: Subject
    report: Report
    speaks: Bool[Array, ""]
    asks: Bool[Array, ""]
    free: Bool[Array, ""]
    answered: Bool[Array, ""]
    alive: Bool[Array, ""]
    taken_over: Bool[Array, ""]
    round: Int[Array, ""]
    way: Roaming


class Central(BoardProtocol):
    """Every agent that is free and has no order reports its best options to the centre, which gives tasks to those it
    has heard by an auction (`orders.hand_out`; within eps per order of their optimum where `bidding` rounds are
    enough), and answers each. Who is answered that there is nothing for it stays where it is.

    Who is on its way says nothing, as the order's term covers the way: t + ceil(eta) + lease. Who serves says so with
    its next report, or at the end of that term if it still serves then.

    Retry. Who gets no answer (its slip or the answer was lost, or there was no room) reports again in the next round;
    `rounds` is the number of tries. The centre repeats an order of the same tick.

    Alone. Who asks and has had no answer to its reports of the last `alone_after` ticks, this one included, heads where
    `Alone` would, and keeps to that as `Alone` does, silent on its way; when the task is gone it asks again, and
    chooses anew in the same tick if there is still no answer. It tells what it has begun as soon as it serves. The
    centre does not know of its way and may give the same task to another: one of the trips is wasted. `NEVER`: who has
    no answer stays. In fleets of 300 the default is ahead of that by 38 points with a tenth of the room, by 83 without
    centre and standby, by 3 with half of the mail lost; calm, and with 0.3 of it lost, by 0.

    Hot standby. Who has heard nothing of the centre in `lease` ticks in which it reported or was on its way alone, or
    in one in which it read that the standby is at work, turns to place 1, until it reads the centre's notice again.
    Only those read notices who got no answer: nobody, as long as all mail arrives and there is room. The standby does
    not know the centre's orders: after the turn, and while some agents hear only the one and some only the other, two
    may be sent to one task, and one of the trips is wasted.

    places    1: the centre, kept by agent 0; 2: and the standby, kept by agent 1
    capacity  C: the slips that can be answered in a round. Places collect by id from an offset drawn for each round, so
              who finds no room has its chance in a later one. Nearest deadline first would take a rank among all
              slips, a sort a round, and agents are not shown deadlines
    agents    N
    tasks     M, the task places
    options   the best ones that an agent reports
    bidding   most rounds of the auction, then claims
    lease     ticks beyond the way after which an order ends, and ticks of silence after which the standby is asked
    eps       bidding step, in units of worth
    delay     ticks that mail takes each way, by which orders last longer and are repeated (see `Delayed`), and twice
              that more until an agent acts alone
    alone_after  ticks of reports without an answer after which an agent acts alone; NEVER: it does not
    patience  as in `Alone`, for those who act alone

    Cost O(C options bidding + M) a round, most of it in the first; 2 messages for each report. Errors: Refusal for
    other numbers of places, and counts below 1.

    Reference: Bertsekas, The auction algorithm (1988), for the assignment; retry, standby and terms are ours.

    >>> from quorate.protocols.central import Central
    >>> Central(agents=4, tasks=6, capacity=4).places
    2
    """

    places: int = static(2)
    rounds: int = static(3)
    capacity: int = static()
    agents: int = static()
    tasks: int = static()
    options: int = static(8)
    bidding: int = static(80)
    delay: int = static(0)
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    eps: Float[Array, ""] = swept(default=0.1)
    alone_after: Int[Array, ""] = swept(jnp.int32, ALONE_AFTER)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        if self.places not in (1, 2):
            raise Refusal(f"places is {self.places}; there is a centre (1), or a centre and a standby (2)")
        for name in ("rounds", "capacity", "agents", "tasks", "options", "bidding"):
            at_least(1, **{name: getattr(self, name)})
        at_least(1, alone_after=self.alone_after)
        at_least(0, lease=self.lease, delay=self.delay, patience=self.patience)

    def boot(self, key, me):
        no, none = jnp.array(False), jnp.int32(0)
        return Subject(orders.recruit(me), no, none, none, no)

    def propose(self, key, state: Subject, proposal: Outlook) -> Reporting:
        no = jnp.array(False)
        duty, way = orders.roaming(key, orders.at_dawn(state.duty, proposal), state.alone, proposal, self.patience)
        asks = orders.asks(duty, proposal)
        return Reporting(
            subject=state._replace(duty=duty, alone=way.alone),
            report=orders.report(duty, proposal, proposal.open, self.options),
            speaks=asks | orders.must_tell(duty, proposal) | way.begins,
            asks=asks,
            free=proposal.free & (proposal.serving < 0),
            answered=no,
            alive=no,
            taken_over=no,
            round=jnp.int32(0),
            way=way,
        )

    def post(self, ballot: Reporting) -> Posts:
        place = jnp.where(ballot.subject.standby, STANDBY, CENTRE).astype(jnp.int32)
        live = ballot.speaks & ~ballot.answered
        return Posts(place[None], live[None], body=jax.tree.map(lambda leaf: leaf[None], ballot.report))

    def watch(self, ballot: Reporting):
        """The notices of the centre and of the standby, after a try without an answer; at once by who is on its way
        alone, and the centre's at once by who has turned away from it. Without a standby nobody reads."""
        roams = ballot.way.roams & ~ballot.alive
        waits = ballot.speaks & ~ballot.answered | roams
        late = waits & (ballot.round >= min(1, self.rounds - 1)) | roams
        standby = ballot.subject.standby
        reads = jnp.stack([late | (waits & standby), late & ~standby])
        return jnp.where(reads, jnp.arange(2, dtype=jnp.int32), -1)[: 2 if self.places > STANDBY else 0]

    def hear(self, key, ballot: Reporting, news: News) -> Reporting:
        subject, came = ballot.subject, news.kept[0]
        order = jax.tree.map(lambda leaf: leaf[0], news.reply)
        duty = orders.obeyed(subject.duty, order, ballot.asks, came)
        alive, taken_over = ballot.alive | (came & ~subject.standby), ballot.taken_over
        if self.places > STANDBY:
            alive |= news.heard[CENTRE]
            taken_over |= news.heard[STANDBY] & news.notice[STANDBY]
        return ballot._replace(
            subject=subject._replace(duty=duty),
            answered=ballot.answered | came,
            alive=alive,
            taken_over=taken_over,
            round=ballot.round + 1,
        )

    def decide(self, ballot: Reporting):
        subject = ballot.subject
        listens = ballot.speaks | ballot.way.roams
        silent = jnp.where(ballot.alive, 0, subject.silent + listens)
        turns = (silent >= self.lease) | (listens & ballot.taken_over)
        standby = (subject.standby | turns) & ~ballot.alive & (self.places > STANDBY)
        unanswered = jnp.where(ballot.answered, 0, subject.unanswered + ballot.speaks)
        duty, alone = orders.on_its_own(
            subject.duty, ballot.way, ballot.asks, ballot.answered, unanswered, self.alone_after + 2 * self.delay
        )
        place = jnp.where(ballot.free, duty.hold.place, -1)
        return place, Subject(duty, standby, silent, unanswered, alone)

    def settled(self, ballot: Reporting):
        return ballot.answered | ~ballot.speaks

    def open(self, key, place) -> Office:
        never = jnp.int32(-1)
        return Office(orders.blank(self.tasks), never, jnp.array(False), orders.nothing(self.capacity))

    def serve(self, key, place_state: Office, heap: Heap) -> Office:
        reports, who = heap.first.body, heap.first.who
        ledger, answers = orders.hand_out(
            place_state.ledger, heap.t, reports, who, reports.place, reports.last, self.lease, self.eps, self.bidding,
            self.delay,
        )  # fmt: skip
        last = jnp.where(heap.count > 0, heap.t, place_state.last)
        return Office(ledger, last, (last >= 0) & (heap.t - last < jnp.maximum(self.lease, 1)), answers)

    def notice(self, place_state: Office):
        """That it is there, and whether it is at work; nothing where nobody reads."""
        return place_state.busy if self.places > STANDBY else ()

    def reply(self, place_state: Office) -> Order:
        return place_state.answers

    def host(self, place):
        return jnp.minimum(place, self.agents - 1).astype(jnp.int32)


def make(site: Site) -> Central:
    """The centre of a site. Of the budget each try has an equal part, and each report needs two messages of it."""
    room = site.agents
    if site.budget:
        room = site.budget // (2 * site.tries)
        if room < 1:
            raise Refusal(
                f"a centre with {site.budget} messages a tick cannot answer in each of {site.tries} tries; "
                f"it needs at least {2 * site.tries}, or 0 for any number"
            )
    return Central(
        places=2 if site.standby else 1,
        rounds=site.tries,
        capacity=min(site.agents, room),
        agents=site.agents,
        tasks=site.places,
        lease=site.lease,
        eps=site.eps,
        delay=site.delay,
        alone_after=site.alone_after,
        patience=site.patience,
    )


CENTRAL = Mechanism(make, "report to a centre that orders; with retry, a hot standby, alone where no answer comes")
CENTRAL_NAIVE = Mechanism(
    lambda site: make(site._replace(tries=1, standby=False, alone_after=NEVER)),
    "report to a centre that orders; one try, no standby, idle without an answer",
)
