"""Clustered: a protocol at desks whose agents talk within their cluster, and beyond it only by delegates."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.errors import Refusal
from quorate.numerics.mix import GOLDEN, mix

PARTS = ("outlook", "hold", "taken", "over")  # what a ballot at desks has
TURN = 16  # ticks in which an agent asks in the same round, so that a notice that is late by less finds it waiting
EVERYBODY = -1  # the cluster of a place that all may speak to and read
DESKS = "Clustered wraps protocols that hold tasks at desks, as Claim, Auction, Hybrid and TeamClaim do"


class Node(NamedTuple):
    """A node's own state, and the place beyond its cluster that is its door (-1: none)."""

    own: PyTree
    door: Int[Array, ""]


class Crossing(NamedTuple):
    """What a node remembers during a tick: its own ballot, all that it sees, its door and whether that was of use,
    whether it has asked its hub in this tick, and the round."""

    own: PyTree
    view: Outlook
    door: Int[Array, ""]
    used: Bool[Array, ""]
    asked: Bool[Array, ""]
    round: Int[Array, ""]


class Spot(NamedTuple):
    """A place's own state, whether it is a hub, and the delegate that a hub has named in this round (-1: none)."""

    own: PyTree
    hub: Bool[Array, ""]
    delegate: Int[Array, ""]


class Clustered(BoardProtocol):
    """`protocol`, but an agent speaks to and reads only the desks of the region it is in, its cluster, and one *door*
    beyond it. Each cluster has a hub. In a round in which an agent that has no task would gain beyond its border,

        gain = (largest worth beyond) - (worth of what it would ask for in this round, 0 where that is nothing) > 0,

    it writes the gain to its hub instead of asking, once a tick; and where it has nothing to ask for, in one round,
    which a hash of its id picks anew every 16 ticks, since of all who wish in a round one is named. The hub names the
    largest gain (ties: smallest id) the *delegate* of the round, and the place the delegate meant is its door from the
    next round on: an option like those inside. So each round one more wish a cluster, the best of all its members', may
    cross its border. A door closes when a tick ends in which it was neither given nor spoken to, and when another
    opens. Desks at which an agent has a claim, serves, or has just served are doors that nobody need grant.

    A word to or from a hub that is lost is silence in this round: nobody crosses, and the agent asks inside in the
    next. What the protocol promises under loss it promises here, since an unread desk is one that was not heard.

    protocol   at desks: `Claim`, `ContractNet`, `Auction`, `Hybrid`, `TeamClaim`
    proposal   what one node proposes, arrays or their shapes (an `Outlook`)
    region_of  the cluster of each place, [M]; `EVERYBODY`: of none, so that all speak to it and read it, as the regions
               of a hybrid, whose sums are what clusters tell each other
    anchor     a task place in the middle of each cluster, [G]: there lies its hub, place M + g of the board, which is
               nobody's and cannot fail

    A hub hears its members, a desk its own cluster and one newly named delegate a round of each other; only desks
    inside are read. The price is a wish a tick of each who finds nothing inside: few where there is work for all, but
    where agents outnumber tasks they all wish for what is far and, as far as they see, not taken. A hub's notice is
    that of a desk, with the delegate in it. Where places collect, as for teams, all slips get a bid, by which hubs
    choose, and a hub answers wishes up to its capacity, which the bill counts. A team draws its members from other
    clusters one by one, as each of them is named. Cost O(N (P + K) + M + G) a round.

    Lost is what is not summarized: whether a place beyond is taken is known only to who has a door there, wishes that
    were not named are forgotten, and agents next to a border see half of what is near. One cluster changes nothing.

    Errors: Refusal for a protocol without desks, and a table that does not fit.

    Reference: Heinzelman, Chandrakasan and Balakrishnan, Energy-efficient communication protocol for wireless
    microsensor networks (LEACH), HICSS 2000: heads of clusters that rotate by lot, in rounds of many ticks. Here the
    one with most to say speaks for its cluster, for one round, and its own wish is the summary.

    >>> import jax
    >>> from quorate.protocols.claim import Claim
    >>> from quorate.worlds.fleet import rolling
    >>> world, key = rolling(num_agents=100, density=2.0, options=4), jax.random.key(0)
    >>> view = jax.tree.map(lambda leaf: leaf[0], world.observe(key, world.reset(key)))
    >>> claim, regions = Claim(places=world.num_actions), world.space.region_of_place()
    >>> Clustered(protocol=claim, proposal=view, region_of=regions, anchor=[0, 0, 0, 0]).places - claim.places
    4
    """

    protocol: BoardProtocol
    region_of: Int[Array, " M"] = swept(jnp.int32)
    anchor: Int[Array, " G"] = swept(jnp.int32)
    rounds: int = static()
    places: int = static()
    capacity: int = static()
    bids: bool = static()

    def __init__(self, *, protocol: BoardProtocol, proposal: PyTree, region_of: Array, anchor: Array):
        name = type(protocol).__name__
        if not isinstance(protocol, BoardProtocol) or not protocol.by_mail:
            raise Refusal(f"{name} has no desks", DESKS)
        ballot, posts = jax.eval_shape(
            lambda key, me, view: _said(protocol, key, me, view), jax.random.key(0), jnp.int32(0), proposal
        )
        if not all(hasattr(type(ballot), part) for part in PARTS):
            raise Refusal(f"{name} has no desks", DESKS)
        self.protocol, self.anchor = protocol, jnp.asarray(anchor, jnp.int32)
        self.region_of = cut(region_of, protocol, len(self.anchor), least=EVERYBODY)
        self.bids = not isinstance(posts.bid, tuple)
        self.rounds, self.capacity = protocol.rounds, protocol.capacity
        self.places = protocol.places + len(self.anchor)

    def inside(self, view: Outlook, place: Int[Array, " W"]) -> Bool[Array, " W"]:
        """Which places lie in the node's cluster, or are everybody's."""
        known = (place >= 0) & (place < self.protocol.places)
        cluster = self.region_of[jnp.where(known, place, 0)]
        return known & ((cluster == view.region) | (cluster == EVERYBODY))

    def reached(self, ballot: Crossing, place: Int[Array, " W"]) -> Bool[Array, " W"]:
        """To which places the node may speak, and which it may read."""
        own, view = ballot.own, ballot.view
        doors = (ballot.door, own.hold.place, own.over.place, view.serving)
        return self.inside(view, place) | ((place >= 0) & jnp.any(place[:, None] == jnp.stack(doors)[None, :], axis=1))

    def shown(self, view: Outlook, door: Int[Array, ""]) -> Outlook:
        """What the protocol sees: nothing beyond the border but the door."""
        here = view.open & (self.inside(view, view.place) | (view.place == door))
        return view._replace(open=here, worth=jnp.where(here, view.worth, 0))

    def boot(self, key, me):
        return Node(self.protocol.boot(key, me), jnp.int32(-1))

    def propose(self, key, state: Node, proposal: Outlook) -> Crossing:
        door = jnp.where(jnp.any(proposal.open & (proposal.place == state.door)), state.door, -1)
        own = self.protocol.propose(key, state.own, self.shown(proposal, door))
        no = jnp.array(False)
        return Crossing(own, proposal, door, no, no, jnp.int32(0))

    def wish(self, ballot: Crossing) -> tuple[Int[Array, ""], Float[Array, ""], Bool[Array, ""]]:
        """The best place beyond the border, what the node would gain there, and whether it asks its hub."""
        own, view = ballot.own, ballot.view
        posts = self.protocol.post(own)
        beyond = view.open & ~self.inside(view, view.place) & (view.place != ballot.door) & ~own.taken
        far = jnp.where(beyond, view.worth, -jnp.inf)
        best = jnp.argmax(far)
        meant = jnp.any((posts.live & self._asking(ballot, posts))[:, None] & _at(posts, view), axis=0)
        near = jnp.max(jnp.where(meant & view.open, view.worth, 0), initial=0.0)
        idle = view.free & (view.serving < 0) & (own.hold.place < 0)
        turn = mix(own.hold.me.astype(jnp.uint32) + GOLDEN * (view.t // TURN).astype(jnp.uint32))
        turn %= jnp.uint32(self.rounds)
        may = jnp.where(near > 0, ~ballot.asked, turn == ballot.round.astype(jnp.uint32))
        asks = idle & (far[best] > near) & may
        return view.place[best], (far[best] - near).astype(jnp.float32), asks

    def post(self, ballot: Crossing) -> Posts:
        """What the protocol says where it may, or a wish to the hub, in a slip at the end."""
        posts = self.protocol.post(ballot.own)
        _, gain, asks = self.wish(ballot)
        live = posts.live & self.reached(ballot, posts.place) & ~(asks & self._asking(ballot, posts))
        if isinstance(posts.bid, tuple):
            posts = posts._replace(bid=jnp.zeros(posts.place.shape, jnp.float32))
        last = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[:1]), posts)._replace(
            place=(self.protocol.places + ballot.view.region)[None],
            live=asks[None],
            bid=jnp.where(asks, gain, 0)[None].astype(posts.bid.dtype),
        )
        return jax.tree.map(lambda one, other: jnp.concatenate([one, other]), posts._replace(live=live), last)

    def _asking(self, ballot: Crossing, posts: Posts) -> Bool[Array, " P"]:
        """Which slips are for an option, and no word of a task that is over."""
        return jnp.any(_at(posts, ballot.view), axis=1) & (posts.place != ballot.own.over.place)

    def watch(self, ballot: Crossing):
        watched = self.protocol.watch(ballot.own)
        hub = jnp.where(self.wish(ballot)[2], self.protocol.places + ballot.view.region, -1)
        return jnp.append(jnp.where(self.reached(ballot, watched), watched, -1), hub)

    def hear(self, key, ballot: Crossing, news: News) -> Crossing:
        place, _, asks = self.wish(ballot)
        posts = self.protocol.post(ballot.own)
        used = ballot.used | jnp.any(posts.live & (posts.place == ballot.door))
        named = asks & news.heard[-1] & (jax.tree.leaves(news.notice)[0][-1] == ballot.own.hold.me)
        door = jnp.where(named, place, ballot.door)
        own = eqx.tree_at(lambda part: part.outlook, ballot.own, self.shown(ballot.view, door))
        inside = jax.tree.map(lambda leaf: leaf[:-1], news._replace(coin=()))
        own = self.protocol.hear(key, own, inside._replace(coin=news.coin))
        return ballot._replace(own=own, door=door, used=used | named, asked=ballot.asked | asks, round=ballot.round + 1)

    def decide(self, ballot: Crossing):
        decision, own = self.protocol.decide(ballot.own)
        leaves = (decision >= 0) & (decision == ballot.own.hold.place)
        return decision, Node(own, jnp.where(ballot.used & ~leaves, ballot.door, -1))

    def settled(self, ballot: Crossing):
        return self.protocol.settled(ballot.own) & ~self.wish(ballot)[2]

    def owes(self, ballot: Crossing):
        return self.protocol.owes(ballot.own)

    def open(self, key, place) -> Spot:
        hub = place >= self.protocol.places
        own = self.protocol.open(key, jnp.minimum(place, self.protocol.places - 1))
        return Spot(own, jnp.asarray(hub), jnp.int32(-1))

    def serve(self, key, place_state: Spot, heap: Heap) -> Spot:
        hub, inner = place_state.hub, heap
        if not self.bids:
            inner = heap._replace(best=(), who=(), said=())
        own = self.protocol.serve(key, place_state.own, inner)
        own = jax.tree.map(lambda new, old: jnp.where(hub, old, new), own, place_state.own)
        return Spot(own, hub, jnp.where(hub, heap.who, -1).astype(jnp.int32))

    def notice(self, place_state: Spot):
        """That of the desk; a hub tells its delegate in place of the first number, so that no notice grows."""
        (first, *rest), tree = jax.tree.flatten(self.protocol.notice(place_state.own))
        first = jnp.where(place_state.hub, place_state.delegate, first)
        return jax.tree.unflatten(tree, [first, *rest])

    def reply(self, place_state: Spot):
        return self.protocol.reply(place_state.own)

    def host(self, place):
        inner = self.protocol
        return jnp.where(place < inner.places, inner.host(jnp.minimum(place, inner.places - 1)), -1)

    def where(self, place):
        inner = self.protocol
        desk = inner.where(jnp.minimum(place, inner.places - 1))
        return jnp.where(place < inner.places, desk, self.anchor[jnp.maximum(place - inner.places, 0)])


def cut(region_of: Array, protocol: BoardProtocol, regions: int, least: int = 0) -> Int[Array, " M"]:
    """A table with the region of each place, or a refusal where it does not fit."""
    if np.shape(region_of) != (protocol.places,):
        name = type(protocol).__name__
        raise Refusal(f"region_of has shape {np.shape(region_of)}; {name} has {protocol.places} places")
    if not isinstance(region_of, jax.core.Tracer):
        table = np.asarray(region_of)
        if np.any((table < least) | (table >= regions)):
            more = f"anchor has {regions} places, one for each"
            raise Refusal(f"region_of has regions {table.min()} to {table.max()}; {more}")
    return jnp.asarray(region_of, jnp.int32)


def _at(posts: Posts, view: Outlook) -> Bool[Array, "P K"]:
    """Which slips are for which options."""
    return (posts.place[:, None] == view.place[None, :]) & (view.place >= 0)[None, :]


def _said(protocol: BoardProtocol, key, me, view) -> tuple[PyTree, Posts]:
    """The first ballot of a node, and what it posts."""
    ballot = protocol.propose(key, protocol.boot(key, me), view)
    return ballot, protocol.post(ballot)
