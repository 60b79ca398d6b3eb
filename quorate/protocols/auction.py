"""Auction: free agents bid for tasks round by round; what is sold at the end of the tick is final."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.numerics.once import once
from quorate.protocols import desk
from quorate.protocols.desk import CLAIM, Desk, Hold, Slip, Word
from quorate.protocols.site import Mechanism, Site

FALL = 4.0  # with kept prices the bidding step is divided by this in each tick


class Lot(NamedTuple):
    """A task for sale: its desk; the highest bid, 0 where there is none; whether it is not for sale, because somebody
    has it from a tick before or has begun it; where prices are kept, the tick it was first heard of and the step that
    a bid must make, else () and ()."""

    desk: Desk
    price: Float[Array, ""]
    firm: Bool[Array, ""]
    opened: Any
    step: Any


class Offer(NamedTuple):
    """What a desk tells everybody: `word` with the price to be topped, inf where the task is not for sale, and where
    prices are kept the step that a bid must make, else ()."""

    word: Word
    step: Any


class Bidding(NamedTuple):
    """What an agent remembers during a tick: its view, its claim; of its options the price, the step () and whether
    somebody has it, as it last heard; the option it asks for in this round (-1: none), what it bids, and the round;
    `quiet` once its desk has confirmed its sign; `over` the claim whose task is begun and over, until its desk
    knows."""

    outlook: Outlook
    hold: Hold
    price: Float[Array, " K"]
    step: Any
    taken: Bool[Array, " K"]
    asked: Int[Array, ""]
    bid: Float[Array, ""]
    round: Int[Array, ""]
    quiet: Bool[Array, ""]
    over: Hold


class Auction(BoardProtocol):
    """Bertsekas' auction in Jacobi form, anew in each tick among the agents that have no task.

    In each round an agent without a task nets worth_k - p_k at option k, with p_k the price it last heard. With b1 the
    best net, at k*, and b2 the best other net, but at least 0 (idling is worth 0), it bids

        p_k* + b1 - b2 + eps        while b1 > 0.

    A desk sells to the highest bidder of this tick (ties: smallest id), a higher bid displaces. Prices of tasks that
    nobody has begin every tick at 0. Whoever has a task at the end of the tick has it for good, with a lease. Who held
    a task that is already over tells its desk in the first round in which it does not bid.
    In the last `finish` rounds of a tick nothing is displaced: agents without a task claim the best one that nobody
    has, as `Claim` does, for an auction that is cut short leaves good tasks unsold.

    rounds    message rounds a tick
    finish    rounds at the end that are for claims
    eps       bidding step, in units of worth; the value is within eps for each assigned agent of the optimum
    keep      the price of a task that was sold in the tick before lasts, if it is for sale again; the step in the a-th
              tick of a task is then max(eps, first / 4^a), a = 0, 1, ... It saves rounds for a few ticks; later prices
              are too high, as none falls while its task is sold: off unless asked for
    lease     ticks a sale lives without a sign of the owner
    patience  ticks an owner may take without coming nearer

    Certificate. Where an auction without finisher and without kept prices has settled and no mail was lost, optimum <=
    sum_j p_j + sum_i max(0, max_k (worth_ik - p_k)) <= value + eps * assigned, with p = `prices(places)`; see
    `quorate.solvers.assignment.certificate`. With kept prices the right inequality loses the prices of unsold tasks.

    With loss a displaced agent may not hear of it: two may believe in one task until one hears its desk. Cost
    O(N K + M) a round; rounds up to the largest worth / eps. About 6-10 slips an agent at eps 0.1 when it settles, and
    one sign a tick on its way. Errors: Refusal for an eps not above 0 and a finish below 0 or above the rounds.

    Reference: Bertsekas, The auction algorithm, Annals of Operations Research 14 (1988), Section 2; the idle option and
    the starting price 0 make it hold with unequal numbers; the finisher is ours.

    >>> from quorate.protocols.auction import Auction
    >>> Auction(places=6, rounds=10, eps=0.03).finish
    2
    """

    places: int = static()
    rounds: int = static(4)
    capacity: int = static(0)
    finish: int = static(2)
    keep: bool = static(False)
    eps: Float[Array, ""] = swept(default=0.1)
    first: Float[Array, ""] = swept(default=0.3)
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        at_least(0, finish=self.finish, lease=self.lease, patience=self.patience)
        if self.finish > self.rounds:
            raise Refusal(f"finish is {self.finish} and rounds is {self.rounds}; the finisher is part of the rounds")
        for name in ("eps", "first"):
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) > 0):
                raise Refusal(f"{name} is {value}; a bid must rise by more than 0")

    def boot(self, key, me):
        return desk.nothing(me)

    def propose(self, key, state, proposal: Outlook) -> Bidding:
        free = jnp.zeros(proposal.place.shape, jnp.float32)
        step = free + jnp.maximum(self.first, self.eps) if self.keep else ()
        none, hold = jnp.int32(-1), desk.kept(state, proposal)
        zero, no, over = jnp.float32(0), jnp.array(False), desk.ended(state, proposal)
        return self.ask(Bidding(proposal, hold, free, step, free > 0, none, zero, jnp.int32(0), no, over))

    def ask(self, ballot: Bidding) -> Bidding:
        """Chooses the option to ask for and the bid, if the agent is free and has nothing."""
        outlook, option = ballot.outlook, jnp.arange(ballot.price.shape[0])
        claims = ballot.round >= self.rounds - self.finish
        free = outlook.open & (outlook.worth > 0) & ~ballot.taken
        offered = outlook.open & jnp.isfinite(ballot.price)
        sale = jnp.where(offered, outlook.worth - ballot.price, -jnp.inf)
        net = jnp.where(claims, jnp.where(free, outlook.worth, -jnp.inf), sale)
        best = jnp.argmax(net).astype(jnp.int32)
        other = jnp.max(jnp.where(option == best, -jnp.inf, net), initial=0.0)
        step = ballot.step[best] if self.keep else self.eps
        bid = jnp.where(claims, outlook.worth[best], ballot.price[best] + (net[best] - other) + step)
        wants = outlook.free & (outlook.serving < 0) & (ballot.hold.place < 0) & (net[best] > 0)
        return ballot._replace(asked=jnp.where(wants, best, -1), bid=jnp.where(wants, bid, 0))

    def post(self, ballot: Bidding) -> Posts:
        place, slip, bid, something = desk.standing(ballot.outlook, ballot.hold, ballot.quiet, ballot.over)
        option = jnp.maximum(ballot.asked, 0)
        asks = ballot.asked >= 0
        claim = Slip(ballot.outlook.number[option], ballot.outlook.eta[option], jnp.int32(CLAIM))
        slip = Slip(*(jnp.where(asks, mine, other) for mine, other in zip(claim, slip, strict=True)))
        bid = jnp.where(asks, ballot.bid, bid)
        one = jnp.where(asks, ballot.outlook.place[option], place)
        return Posts(one[None], (asks | something)[None], bid=bid[None], body=Slip(*(leaf[None] for leaf in slip)))

    def watch(self, ballot: Bidding):
        """All its options while it may still be displaced: who is displaced must know today's prices at once."""
        outlook, hold = ballot.outlook, ballot.hold
        bids = outlook.free & (outlook.serving < 0) & (hold.place >= 0) & (hold.place != outlook.heading)
        reads = desk.places(outlook, hold, ballot.quiet, ballot.over)
        return once(jnp.where(bids, jnp.append(outlook.place, hold.place), reads))

    def hear(self, key, ballot: Bidding, news: News) -> Bidding:
        outlook, offer = ballot.outlook, news.notice
        news = news._replace(notice=offer.word)
        told, came = desk.of_options(news)
        hold = self.given(ballot, desk.renewed(ballot.hold, news), told, came)
        same, newer = told.number == outlook.number, told.number > outlook.number
        # A desk that has not heard of the task yet speaks of an older one; one that has heard of a newer sells that.
        price = jnp.where(same & (told.barred != hold.me), told.price, jnp.where(same | newer, jnp.inf, 0))
        ballot = ballot._replace(
            hold=hold,
            price=jnp.where(came, price, ballot.price),
            taken=jnp.where(came, desk.owned(told, outlook, hold.me) | newer, ballot.taken),
            round=ballot.round + 1,
            quiet=ballot.quiet | desk.confirmed(outlook, ballot.hold, news),
            over=desk.untold(ballot.over, ballot.hold, outlook, news),
        )
        if self.keep:
            ballot = ballot._replace(step=jnp.where(came & same, offer.step[:-1], ballot.step))
        return self.ask(ballot)

    def given(self, ballot: Bidding, hold: Hold, told: Word, came: Bool[Array, " K"]) -> Hold:
        """The claim after what the desks of the options say. What a desk says is its own it takes, also where it bid in
        an earlier round or tick and the answer was lost; of several the one of largest worth."""
        outlook = ballot.outlook
        mine = came & outlook.open & (told.number == outlook.number) & (told.owner == hold.me)
        mine &= (told.until >= outlook.t) & outlook.free & (outlook.serving < 0) & (hold.place < 0)
        best = jnp.argmax(jnp.where(mine, outlook.worth, -jnp.inf))
        new = Hold(hold.me, outlook.place[best], outlook.number[best], told.until[best])
        return jax.tree.map(lambda one, other: jnp.where(mine[best], one, other), new, hold)

    def decide(self, ballot: Bidding):
        return ballot.hold.place, ballot.hold

    def settled(self, ballot: Bidding):
        return ballot.asked < 0

    def open(self, key, place) -> Lot:
        kept = (jnp.int32(-1), jnp.maximum(self.first, self.eps)) if self.keep else ((), ())
        return Lot(desk.vacant(), jnp.float32(0), jnp.array(False), *kept)

    def serve(self, key, place_state: Lot, heap: Heap) -> Lot:
        old, t = place_state.desk, heap.t
        sells = heap.round < self.rounds - self.finish
        same = (heap.who < 0) | (heap.said.number <= old.number)
        price = jnp.where(same & (old.since >= (t - 1 if self.keep else t)), place_state.price, 0)
        low = sells & (heap.said.kind == CLAIM) & (heap.best <= price)
        new = desk.attend(old, heap._replace(who=jnp.where(low, -1, heap.who)), self.lease, self.patience, sells)
        has = (new.owner >= 0) & (new.until >= t)
        opened, step = (), ()
        if self.keep:
            opened = jnp.where(new.number > old.number, t, place_state.opened)
            step = jnp.maximum(self.first / FALL ** jnp.maximum(t - opened, 0), self.eps)
        return Lot(
            desk=new,
            price=jnp.where(sells & has & (new.since == t), new.price, price),
            firm=new.done | (has & (new.since < t)),
            opened=opened,
            step=step,
        )

    def notice(self, place_state: Lot) -> Offer:
        told = desk.word(place_state.desk)
        told = told._replace(price=jnp.where(place_state.firm, jnp.inf, place_state.price))
        return Offer(told, place_state.step)

    def prices(self, places: Lot) -> Float[Array, " M"]:
        """The price of each task after the last round of a tick, from the states of the places: at least 0, and 0 for
        tasks that were not for sale."""
        return jnp.where(places.firm, 0, places.price)


def make(site: Site) -> Auction:
    """Auctions at every place of the site; of few rounds at most half are for claims."""
    finish = min(2, site.rounds // 2)
    return Auction(
        places=site.places, rounds=site.rounds, finish=finish, eps=site.eps, lease=site.lease, patience=site.patience
    )


AUCTION = Mechanism(make, "bid for tasks; the highest bid has it; the last rounds are for claims")
