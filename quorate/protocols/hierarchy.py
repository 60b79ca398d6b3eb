"""Hierarchy: cells with elected leaders; a leader solves the assignment of its own cell and orders; with retry, and
agents that act on their own where no answer comes."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols import orders
from quorate.protocols.orders import Duty, Ledger, Order, Report, Roaming
from quorate.protocols.site import ALONE_AFTER, Mechanism, Site


class Letter(NamedTuple):
    """What a member writes to its cell: its report, and its health, by which leaders are elected."""

    report: Report
    health: Float[Array, ""]


class Answer(NamedTuple):
    """What it reads: an order; who leads; whether that leader has given its sign in this tick, without which no order
    counts."""

    order: Order
    leader: Int[Array, ""]
    led: Bool[Array, ""]


class Cell(NamedTuple):
    """What lasts at a cell: its number, its leader (-1: none), the tick of that one's last sign (-1: never), who was
    given what, and the answers to the slips of this round, leaves [C]."""

    cell: Int[Array, ""]
    leader: Int[Array, ""]
    sign: Int[Array, ""]
    ledger: Ledger
    answers: Answer


class Member(NamedTuple):
    """What an agent keeps from tick to tick: its duty, the cell that it leads as far as it knows (-1: none), in how
    many ticks of reports in a row it had no answer that counts, and whether its way, or the task it serves, is one that
    it chose alone."""

    duty: Duty
    leads: Int[Array, ""]
    unanswered: Int[Array, ""]
    alone: Bool[Array, ""]


class Reporting(NamedTuple):
    """What an agent remembers during a tick: what it kept, its cell, what it writes and whether it does, whether it
    asks for a task and is free, whether it has had an answer that counts, and how it stands without answers."""

    member: Member
    cell: Int[Array, ""]
    letter: Letter
    speaks: Bool[Array, ""]
    asks: Bool[Array, ""]
    free: Bool[Array, ""]
    answered: Bool[Array, ""]
    way: Roaming


class Hierarchy(BoardProtocol):
    """The space is cut into cells. A free agent without an order reports its best options within its own cell; the
    cell's leader gives the cell's tasks to the members it has heard (`orders.hand_out`). Borders are hard: a task is
    only ever given to an agent of its cell.

    A leader holds a lease: it gives a sign in each tick, with its report or by itself, and `lease` ticks after its last
    sign it leads no more. Where nobody leads, the member of best `health` (then of the lowest id) leads among those who
    are heard in a round, and begins at once. Orders count only in a tick in which the leader was heard: while it is
    silent or gone, `lease` ticks go by without any. A leader that goes to another cell, or that has not heard that it
    was elected and is not free, gives no sign either. Who leads is told with each answer.

    Who gets no answer, or one without a leader's sign, reports again in the next round; `rounds` is the number of
    tries. With loss p one try needs the leader's slip, the member's and the answer, (1 - p)^3, where `Central` needs
    (1 - p)^2. Agents on their way are silent, as with `Central`, and so are those who serve, leaders excepted.

    Alone. Who asks and has had no answer under a leader's sign to its reports of the last `alone_after` ticks, this one
    included, heads where `Alone` would, beyond its cell too, and keeps to that as `Alone` does; when the task is gone
    it asks again, and chooses anew in the same tick if there is still no answer. It tells what it has begun as soon as
    it serves, to the cell in which it is then. A leader goes on giving its sign on its way, until it is in another
    cell. `NEVER`: who has no answer stays. In fleets of 300 (five paired draws) the default is ahead of that by 2.6
    points with 0.3 of the mail lost, by 8.4 with half of it, by 2.4 after the 8 % of best health are gone, by 0.4 after
    30 % at random, and behind by 0.1, within noise, after one leader; calm the two are the same to the last digit.
    Kept to its own cell, who acts alone gains 0.8, 6.9, 1.7, 0.9 and 0.3.

    places     G, the cells
    capacity   C: members that can be answered in a round; the others in a later one, as with `Central`
    most       places in the fullest cell
    region_of  the cell of each task place, [M]; local: its number within the cell, [M]
    anchor     a task place in the middle of each cell, [G], which tells where the cell lies; None: nowhere
    options    the best ones that an agent reports
    bidding    most rounds of the auctions, then claims; the slowest cell decides how many are run
    lease      ticks of silence after which there is a new leader, and ticks beyond the way after which an order ends
    eps        bidding step, in units of worth
    delay      ticks that mail takes each way, by which orders last longer and are repeated (see `Delayed`), and twice
               that more until an agent acts alone
    alone_after  ticks of reports without an answer after which an agent acts alone; NEVER: it does not
    patience   as in `Alone`, for those who act alone

    A cell is nobody's in particular and cannot fail, but nobody is given a task there without its leader. A leader that
    is silent, or withholds orders, is one of `Saboteurs`. Against the second there is no defence here: it gives its
    signs, so it keeps its lease, and what it withholds counts as given for as long as that member asks again. Told that
    there is nothing for it, a member has had its answer, and does not act alone.

    Cost O(G C options bidding) a round, most of it in the first; about 2 messages for each report and one for each cell
    and tick. Errors: Refusal for tables that do not fit and counts below 1.

    Reference: leases as in C. Gray and D. Cheriton, Leases (1989); elections by rank as the bully algorithm of H.
    Garcia-Molina (1982), but at a place that hears all candidates, so that two never lead one cell.

    >>> from quorate.protocols.hierarchy import Hierarchy
    >>> Hierarchy(places=2, capacity=4, most=2, region_of=[0, 1, 0], local=[0, 0, 1]).rounds
    3
    """

    places: int = static()
    rounds: int = static(3)
    capacity: int = static()
    most: int = static()
    options: int = static(8)
    bidding: int = static(80)
    delay: int = static(0)
    region_of: Int[Array, " M"] = swept(jnp.int32)
    local: Int[Array, " M"] = swept(jnp.int32)
    anchor: Int[Array, " G"] | None = eqx.field(
        default=None, converter=lambda given: None if given is None else jnp.asarray(given, jnp.int32), kw_only=True
    )
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    eps: Float[Array, ""] = swept(default=0.1)
    alone_after: Int[Array, ""] = swept(jnp.int32, ALONE_AFTER)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        for name in ("places", "rounds", "capacity", "most", "options", "bidding"):
            at_least(1, **{name: getattr(self, name)})
        at_least(1, alone_after=self.alone_after)
        at_least(0, lease=self.lease, delay=self.delay, patience=self.patience)
        if self.region_of.shape != self.local.shape or self.region_of.ndim != 1:
            raise Refusal(
                f"region_of has shape {self.region_of.shape} and local {self.local.shape}; one each for every place"
            )

        if self.anchor is not None and self.anchor.shape[-1:] != (self.places,):
            raise Refusal(f"anchor has shape {self.anchor.shape}; it names a place in each of {self.places} cells")

    def boot(self, key, me):
        return Member(orders.recruit(me), jnp.int32(-1), jnp.int32(0), jnp.array(False))

    def propose(self, key, state: Member, proposal: Outlook) -> Reporting:
        cell = proposal.region
        duty, way = orders.roaming(key, orders.at_dawn(state.duty, proposal), state.alone, proposal, self.patience)
        asks = orders.asks(duty, proposal)
        inside = self.region_of[jnp.maximum(proposal.place, 0)] == cell
        report = orders.report(duty, proposal, inside, self.options)
        return Reporting(
            member=state._replace(duty=duty, alone=way.alone),
            cell=cell,
            letter=Letter(report, proposal.health),
            speaks=asks | orders.must_tell(duty, proposal) | way.begins | (state.leads == cell),
            asks=asks,
            free=proposal.free & (proposal.serving < 0),
            answered=jnp.array(False),
            way=way,
        )

    def post(self, ballot: Reporting) -> Posts:
        live = ballot.speaks & ~ballot.answered
        return Posts(ballot.cell[None], live[None], body=jax.tree.map(lambda leaf: leaf[None], ballot.letter))

    def watch(self, ballot: Reporting):
        return jnp.zeros(0, jnp.int32)

    def hear(self, key, ballot: Reporting, news: News) -> Reporting:
        member, came = ballot.member, news.kept[0]
        answer = jax.tree.map(lambda leaf: leaf[0], news.reply)
        duty = orders.obeyed(member.duty, answer.order, ballot.asks, came & answer.led)
        leads = jnp.where(answer.leader == duty.hold.me, ballot.cell, -1)
        leads = jnp.where(came, leads, member.leads)
        return ballot._replace(
            member=member._replace(duty=duty, leads=leads), answered=ballot.answered | (came & answer.led)
        )

    def decide(self, ballot: Reporting):
        member = ballot.member
        unanswered = jnp.where(ballot.answered, 0, member.unanswered + ballot.speaks)
        duty, alone = orders.on_its_own(
            member.duty, ballot.way, ballot.asks, ballot.answered, unanswered, self.alone_after + 2 * self.delay
        )
        place = jnp.where(ballot.free, duty.hold.place, -1)
        return place, Member(duty, member.leads, unanswered, alone)

    def settled(self, ballot: Reporting):
        return ballot.answered | ~ballot.speaks

    def owes(self, ballot: Reporting):
        """A leader its sign."""
        return ballot.member.leads == ballot.cell

    def open(self, key, place) -> Cell:
        none = jnp.int32(-1)
        blank = jnp.full(self.capacity, -1, jnp.int32)
        answers = Answer(orders.nothing(self.capacity), blank, blank > 0)
        return Cell(jnp.asarray(place, jnp.int32), none, none, orders.blank(self.most), answers)

    def serve(self, key, place_state: Cell, heap: Heap) -> Cell:
        letters, who, t = heap.first.body, heap.first.who, heap.t
        leader, sign = self.elected(place_state, letters.health, who, t)
        led = (leader >= 0) & (sign == t)
        reports = letters.report
        ledger, order = orders.hand_out(
            place_state.ledger, t, reports, jnp.where(led, who, -1), self.within(place_state.cell, reports.place),
            self.within(place_state.cell, reports.last), self.lease, self.eps, self.bidding, self.delay,
        )  # fmt: skip
        answers = Answer(order, jnp.broadcast_to(leader, who.shape), jnp.broadcast_to(led, who.shape))
        return Cell(place_state.cell, leader, sign, ledger, answers)

    def elected(self, cell: Cell, health: Array, who: Array, t: Array) -> tuple[Array, Array]:
        """The leader after these slips, and the tick of its last sign."""
        stands = (cell.leader >= 0) & (t - cell.sign <= self.lease)
        signed = stands & jnp.any(who == cell.leader)
        best = jnp.max(jnp.where(who >= 0, health, -1))
        first = jnp.min(jnp.where((who >= 0) & (health == best), who, orders.FOREVER))
        some = ~stands & jnp.any(who >= 0)
        leader = jnp.where(stands, cell.leader, jnp.where(some, first, -1))
        return leader, jnp.where(signed | some, t, cell.sign)

    def within(self, cell: Array, place: Array) -> Array:
        """The number of each place within the cell; -1: it is not there."""
        known = (place >= 0) & (place < self.local.shape[0])
        safe = jnp.where(known, place, 0)
        return jnp.where(known & (self.region_of[safe] == cell), self.local[safe], -1)

    def notice(self, place_state: Cell):
        """Nothing: who leads is told with each answer."""
        return ()

    def reply(self, place_state: Cell) -> Answer:
        return place_state.answers

    def where(self, place):
        return jnp.int32(-1) if self.anchor is None else self.anchor[place]


def make(site: Site) -> Hierarchy:
    """Cells of the site's regions."""
    return Hierarchy(
        places=len(site.regions.anchor),
        rounds=site.tries,
        capacity=min(site.members, site.agents),
        most=max(site.regions.most, 1),
        region_of=site.regions.of,
        local=site.regions.local,
        anchor=site.regions.anchor,
        lease=site.lease,
        eps=site.eps,
        delay=site.delay,
        alone_after=site.alone_after,
        patience=site.patience,
    )


HIERARCHY = Mechanism(
    make, "report to the leader of the cell, elected with a lease, who orders; alone where no answer comes"
)
