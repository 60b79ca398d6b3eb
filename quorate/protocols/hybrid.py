"""Hybrid: a centre says where agents are wanted, a small share of the idle ones goes there, and an auction does the
rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols.auction import Auction, Bidding, Lot, Offer
from quorate.protocols.desk import Hold, Slip, Word
from quorate.protocols.site import Mechanism, Site


class Count(NamedTuple):
    """What agents tell a region, to be summed: 1 if idle, 1 if it has a task or serves there, 1 if it would come."""

    idle: Int[Array, "..."]
    busy: Int[Array, "..."]
    asks: Int[Array, "..."]


class Area(NamedTuple):
    """A region's own record: agents idle there or on their way to it without a task, agents less these that its tasks
    want, the tick of both (-1: never told), and how many asked to come in this round."""

    idle: Int[Array, ""]
    wanted: Float[Array, ""]
    told: Int[Array, ""]
    asks: Int[Array, ""]


class Spot(NamedTuple):
    """A place of the board: a task's lot, or a region's area with the tasks that somebody there last told of; each has
    both and uses one."""

    lot: Lot
    area: Area
    tasks: Float[Array, ""]
    region: Bool[Array, ""]


class Member(NamedTuple):
    """What an agent keeps from tick to tick: its claim, and the region it is on its way to without a task (-1)."""

    hold: Hold
    goal: Int[Array, ""]


class Following(NamedTuple):
    """What an agent remembers during a tick: the auction's part; the region it is on its way to (-1: none); the regions
    it looks at; whether it is one too many in its own; the region it would go to (-1: none); whether it moves there;
    whether it has heard of any region; and four numbers drawn from [0, 1)."""

    bidding: Bidding
    goal: Int[Array, ""]
    looks: Int[Array, " L"]
    leaves: Bool[Array, ""]
    chosen: Int[Array, ""]
    moves: Bool[Array, ""]
    heard: Bool[Array, ""]
    luck: Float[Array, "4"]

    @property
    def outlook(self) -> Outlook:
        return self.bidding.outlook

    @property
    def hold(self) -> Hold:
        return self.bidding.hold

    @property
    def taken(self) -> Bool[Array, " K"]:
        return self.bidding.taken

    @property
    def over(self) -> Hold:
        return self.bidding.over


class Hybrid(Auction):
    """Central intention, local execution, bounded gain: an `Auction`, and agents that it leaves without a task drift
    from regions that have too many to near ones that want some.

    Every `period` ticks each agent tells one region's place, by sums, that it is idle (in the region where it is, or to
    which it is on its way) or busy (in the region of its task), and, if it is there, the tasks announced there; while
    nobody there tells, those last told of count (0 at first). A region of which nobody tells wants 0, any other

        w_r = tasks_r - busy_r - idle_r          agents; it has too many where w_r < 0.

    An agent that the auction leaves without a task, in a region with w_r < 0, does in each tick, with probability
    -w_r / idle_r: draw `looks` of its near regions with probability ~ exp(-spread / scale), look at what they want, and
    choose r' among them with probability ~ w_r'+ . In the last round it asks to come; the place sums these askers to
    a_r', and it moves with probability

        quota = min(1, gain * w_r'+ / a_r'),        w+ = max(w, 0).

    So the expected number moved into r' in a tick is at most gain * w_r'+, whoever asks from wherever. It heads for the
    region's anchor and bids in every tick on the way, until it has a task or is there. With gain 0 it is the auction.

    What was told more than `period` ticks ago fades with `half_life`, and where no region is heard (the host of their
    places is down) nobody new moves, and those on their way give up at that half-life: the last intention never
    persists. Under loss w_r is too large, as some agents are not counted; then fewer regions have too many, fewer move.

    places     task places and behind them one for each region
    region_of  the region of each task place, [tasks]
    anchor     a task place in each region, [G]; near, spread: the nearest other regions and ticks to them, [G, L]; the
               region itself pads
    gain       g: share of the agents wanted that moves in a tick; 0.1 is meant
    centre     the agent that hosts the regions' places, -1: nobody, it cannot fail

    Cost: the auction's, and for each agent a slip a `period`, `looks` + 1 notices a tick and a slip where it would
    move. Errors: Refusal for fewer than 2 rounds, tables that do not fit and numbers out of range.

    Reference: ours, after central-intention, local-execution planners; the quota plays the part of the bounded step of
    distributed load balancing (Cybenko, Journal of Parallel and Distributed Computing 7:279, 1989).

    >>> import numpy as np
    >>> tables = dict(region_of=[0, 0, 1], anchor=[0, 2], near=[[1], [0]], spread=[[3.0], [3.0]])
    >>> Hybrid(places=5, **tables).looks
    2
    """

    region_of: Int[Array, " tasks"] = swept(jnp.int32)
    anchor: Int[Array, " G"] = swept(jnp.int32)
    near: Int[Array, "G L"] = swept(jnp.int32)
    spread: Float[Array, "G L"] = swept()
    looks: int = static(2)
    gain: Float[Array, ""] = swept(default=0.1)
    period: Int[Array, ""] = swept(jnp.int32, 5)
    half_life: Float[Array, ""] = swept(default=10.0)
    scale: Float[Array, ""] = swept(default=10.0)
    centre: Int[Array, ""] = swept(jnp.int32, -1)

    def __check_init__(self):
        at_least(1, period=self.period, looks=self.looks)
        if self.rounds < 2:
            raise Refusal(f"rounds is {self.rounds}; a hybrid first hears what is wanted and then asks: at least 2")
        regions = self.anchor.shape[-1]
        if self.places != self.region_of.shape[-1] + regions:
            raise Refusal(
                f"places is {self.places}; there are {self.region_of.shape[-1]} of tasks and {regions} of regions"
            )
        if self.near.shape != self.spread.shape or self.near.shape[-2:-1] != (regions,):
            raise Refusal(f"near {self.near.shape} and spread {self.spread.shape} need a row for each of {regions}")
        if not isinstance(self.gain, jax.core.Tracer) and not np.all(np.asarray(self.gain) >= 0):
            raise Refusal(f"gain is {self.gain}; it is a share of the agents wanted, at least 0")
        for name in ("half_life", "scale"):
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) > 0):
                raise Refusal(f"{name} is {value}; it is a number of ticks above 0")

    @property
    def tasks(self) -> int:
        return self.region_of.shape[-1]

    def boot(self, key, me):
        return Member(super().boot(key, me), jnp.int32(-1))

    def propose(self, key, state: Member, proposal: Outlook) -> Following:
        bidding, home = super().propose(key, state.hold, proposal), proposal.region
        drawing, luck = jax.random.split(key)
        near, no, none = self.near[home], jnp.array(False), jnp.int32(-1)
        chance = jnp.where(near == home, -jnp.inf, -self.spread[home] / self.scale)
        drawn = near[jax.random.categorical(drawing, chance, shape=(self.looks,))]
        there = (proposal.heading == self.anchor[jnp.maximum(state.goal, 0)]) & (proposal.left <= 0)
        goes = (state.goal >= 0) & proposal.free & (bidding.hold.place < 0) & ~there
        return Following(
            bidding=bidding,
            goal=jnp.where(goes, state.goal, -1),
            looks=jnp.where(drawn == home, -1, drawn),  # a region with no others near draws itself
            leaves=no,
            chosen=none,
            moves=no,
            heard=no,
            luck=jax.random.uniform(luck, (4,)),
        )

    def post(self, ballot: Following) -> Posts:
        """The auction's slip, and a second one: to its region in the first round of a period, to the region it would go
        to in the last round."""
        outlook, hold, now = ballot.bidding.outlook, ballot.bidding.hold, ballot.bidding.round
        slip = super().post(ballot.bidding)
        at = jnp.where(outlook.serving >= 0, outlook.serving, hold.place)
        busy = at >= 0
        aim = jnp.where(ballot.goal >= 0, ballot.goal, outlook.region)
        region = jnp.where(busy, self.region_of[jnp.maximum(at, 0)], aim)
        tells = (now == 0) & (outlook.t % self.period == 0) & (busy | outlook.free)
        asks = (now == self.rounds - 1) & self._would(ballot)
        count = Count(tells & ~busy, tells & busy, asks)
        tasks = jnp.where(tells & (region == outlook.region), outlook.demand, -1)  # -1: it does not see them
        place = self.tasks + jnp.where(asks, ballot.chosen, region)
        return Posts(
            place=jnp.append(slip.place, place),
            live=jnp.append(slip.live, tells | asks),
            amount=Count(*(jnp.append(0, leaf.astype(jnp.int32)) for leaf in count)),
            bid=jnp.append(slip.bid, tasks),
            body=Slip(*(jnp.append(leaf, jnp.zeros_like(leaf)) for leaf in slip.body)),
        )

    def _would(self, ballot: Following) -> Bool[Array, ""]:
        idle = ballot.bidding.outlook.free & (ballot.bidding.hold.place < 0) & (ballot.goal < 0)
        return idle & ballot.leaves & (ballot.chosen >= 0)

    def watch(self, ballot: Following):
        """The auction's places; first its own region and those it looks at, last the one it would go to."""
        outlook, now = ballot.bidding.outlook, ballot.bidding.round
        idle = outlook.free & (outlook.serving < 0) & (ballot.bidding.hold.place < 0)
        first = jnp.where((now == 0) & idle, jnp.append(ballot.looks, outlook.region), -1)
        last = jnp.where((now == self.rounds - 1) & self._would(ballot), ballot.chosen, -1)
        regions = jnp.append(first, last)
        return jnp.append(super().watch(ballot.bidding), jnp.where(regions < 0, -1, regions + self.tasks))

    def hear(self, key, ballot: Following, news: News) -> Following:
        now, t, extra = ballot.bidding.round, ballot.bidding.outlook.t, self.looks + 2
        told, came = jax.tree.map(lambda leaf: leaf[-extra:], news.notice.word), news.heard[-extra:]
        auction = news._replace(
            notice=jax.tree.map(lambda leaf: leaf[:-extra], news.notice), heard=news.heard[:-extra],
            reply=(), kept=news.kept[:1],
        )  # fmt: skip
        bidding = super().hear(key, ballot.bidding, auction)
        area, begins, luck = _area(told), now == 0, ballot.luck
        fresh = 0.5 ** (jnp.maximum(t - area.told - self.period, 0) / self.half_life)
        wanted = jnp.where(came & (area.told >= 0), area.wanted * fresh, 0)
        want = jnp.cumsum(jnp.maximum(wanted[: self.looks], 0))
        choice = jnp.minimum(jnp.sum(want <= luck[0] * want[-1]), self.looks - 1)
        leaves = luck[1] * jnp.maximum(area.idle[self.looks], 1) < -wanted[self.looks]
        moves = luck[2] * jnp.maximum(area.asks[-1], 1) < self.gain * wanted[-1]
        return ballot._replace(
            bidding=bidding,
            leaves=jnp.where(begins, leaves, ballot.leaves),
            chosen=jnp.where(begins, jnp.where(want[-1] > 0, ballot.looks[choice], -1), ballot.chosen),
            moves=ballot.moves | (self._would(ballot) & moves),
            heard=ballot.heard | jnp.any(came),
        )

    def decide(self, ballot: Following):
        place, hold = super().decide(ballot.bidding)
        fades = ~ballot.heard & (ballot.luck[3] >= 0.5 ** (1 / self.half_life))
        goal = jnp.where(ballot.moves, ballot.chosen, jnp.where(fades, -1, ballot.goal))
        goal = jnp.where(hold.place >= 0, -1, goal)
        return jnp.where(goal >= 0, self.anchor[jnp.maximum(goal, 0)], place), Member(hold, goal)

    def settled(self, ballot: Following):
        return super().settled(ballot.bidding)

    def open(self, key, place) -> Spot:
        nobody = jnp.int32(0)
        area = Area(nobody, jnp.float32(0), jnp.int32(-1), nobody)
        return Spot(super().open(key, place), area, jnp.float32(0), jnp.asarray(place >= self.tasks))

    def serve(self, key, place_state: Spot, heap: Heap) -> Spot:
        lot, area, tasks, region = place_state
        count = heap.total
        told = count.idle + count.busy > 0
        tasks = jnp.where(told & (heap.best >= 0), heap.best, tasks)
        area = Area(
            idle=jnp.where(told, count.idle, area.idle),
            wanted=jnp.where(told, tasks - (count.idle + count.busy), area.wanted),
            told=jnp.where(told, heap.t, area.told),
            asks=count.asks,
        )
        bids = heap._replace(who=jnp.where(region, -1, heap.who))  # what is told to a region is no bid
        return Spot(super().serve(key, lot, bids), area, tasks, region)

    def notice(self, place_state: Spot) -> Offer:
        """A task's offer; a region tells its area in the words of an offer, so that no notice grows."""
        offer, area = super().notice(place_state.lot), place_state.area
        mine = Word(area.told, area.asks, area.idle, area.wanted, jnp.int32(-1))
        return offer._replace(
            word=jax.tree.map(lambda one, other: jnp.where(place_state.region, one, other), mine, offer.word)
        )

    def host(self, place):
        return jnp.where(place >= self.tasks, self.centre, -1)

    def where(self, place):
        return jnp.where(place < self.tasks, place, self.anchor[jnp.maximum(place - self.tasks, 0)])

    def prices(self, places: Spot) -> Float[Array, " M"]:
        """As the auction's, 0 for regions."""
        return super().prices(places.lot)


def _area(word: Word) -> Area:
    """What a region tells, out of the words of an offer."""
    return Area(idle=word.until, wanted=word.price, told=word.number, asks=word.owner)


def make(site: Site) -> Hybrid:
    """An auction at every place of the site, and a centre, kept by agent 0, that knows the regions."""
    regions = site.regions
    return Hybrid(
        places=site.places + len(regions.anchor),
        rounds=site.rounds,
        finish=min(2, site.rounds // 2),
        eps=site.eps,
        lease=site.lease,
        patience=site.patience,
        region_of=regions.of,
        anchor=regions.anchor,
        near=regions.near,
        spread=regions.spread,
        gain=site.gain,
        period=site.period,
        centre=0,
    )


HYBRID = Mechanism(make, "auction; a share of those left over goes where a centre wants agents")
