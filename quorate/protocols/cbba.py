"""Consensus-based assignment: neighbours tell each other the highest bids they know; no place keeps anything."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Inbox, Outlook, Protocol, static, swept
from quorate.core.fields import at_least
from quorate.protocols.site import Mechanism, Site

PRIORITY = 1e6  # who is on its way outbids all who ask
LAST = jnp.iinfo(jnp.int32).max
MOST = 16  # options on which an agent bids


class Bids(NamedTuple):
    """The highest bids that an agent knows for its K options, and last for the task that it has: of the task of that
    number at that place (-1: none), the bid, who made it (-1: nobody), and the tick of its maker's last word."""

    place: Int[Array, "... K+1"]
    number: Int[Array, "... K+1"]
    bid: Float[Array, "... K+1"]
    winner: Int[Array, "... K+1"]
    told: Int[Array, "... K+1"]


class Member(NamedTuple):
    """What an agent keeps from tick to tick: who it is, the bids it knows, and the task that it won (-1: none)."""

    me: Int[Array, ""]
    bids: Bids
    place: Int[Array, ""]
    number: Int[Array, ""]


class Bidding(NamedTuple):
    """What an agent remembers during a tick: its view, who it is, the bids it knows, which of these is its own (-1:
    none), and whether the last round changed anything."""

    outlook: Outlook
    me: Int[Array, ""]
    bids: Bids
    mine: Int[Array, ""]
    changed: Bool[Array, ""]


class Cbba(Protocol):
    """The consensus-based auction with one task for each agent (CBAA), on neighbour lists.

    Each agent keeps for each of its options j the highest bid y_j it knows and who made it, z_j. An agent without a
    task bids c_j = worth_j for the best of those with c_j > y_j (or c_j = y_j and a smaller id than z_j). Then it tells
    its neighbours all it knows, and keeps of each option the highest bid heard; whoever finds its own outbid has lost
    and bids elsewhere in the next round.

    Bids for one task only rise, so nothing is ever taken back, and where all who share options are linked through
    others that have them too, it ends, after at most as many rounds as tasks times the diameter, without a conflict and
    at the global greedy assignment by worth: at least half the optimum. With fewer rounds, lost mail or too few links,
    several may go to one task; they find out when word reaches them, and the nearest goes on.

    Who is on its way bids above all who ask, and the more the nearer it is; who serves, more still. Such bids are
    remembered for `lease` ticks after their maker's last word, all others for a tick.

    Topology. The protocol hears `Scenario.topology` or `World.links`, as neighbour lists; about 6 nearest neighbours,
    both ways. Agents that move away from neighbours of the start share no options with them any more: lists that
    follow positions are better. Who hears nobody decides as `Alone`. On complete lists it costs O(N^2 K^2).

    Where we differ from the reference: bids are lists over an agent's own options, not over all tasks, and one more
    for the task it has; nobody relays bids for what is no option of its own. Bundles of several tasks are `Bundles`:
    they take bids back, and telling old bids from new ones takes a time stamp of every agent at every agent, O(N^2).

    rounds  message rounds a tick
    options K, the best ones of which an agent keeps bids; `make` takes at most 16 of what it sees
    lease   ticks a claim is believed without a word of its maker

    Cost O(N D K^2) a round with D neighbours; a message of 20 (K + 1) bytes on each link in each round. Errors: Refusal
    for less than one option or a negative lease.

    Reference: Choi, Brunet, How, Consensus-based decentralized auctions for robust task allocation, IEEE Transactions
    on Robotics 25 (2009), Section III, Algorithms 1 and 2.

    >>> from quorate.protocols.cbba import Cbba
    >>> Cbba(options=8).rounds
    4
    """

    options: int = static()
    rounds: int = static(4)
    lease: Int[Array, ""] = swept(jnp.int32, 5)

    def __check_init__(self):
        at_least(1, options=self.options)
        at_least(0, lease=self.lease)

    def boot(self, key, me):
        none = jnp.int32(-1)
        return Member(jnp.asarray(me, jnp.int32), _unknown(jnp.full(self.options + 1, -1, jnp.int32)), none, none)

    def propose(self, key, state: Member, proposal: Outlook) -> Bidding:
        outlook, me = _shortlist(proposal, self.options), state.me
        serves = outlook.serving >= 0
        claims = (state.place >= 0) & (state.place == outlook.heading) & (state.number == outlook.task)
        claims &= outlook.free & outlook.valid & ~serves
        own = jnp.where(serves, outlook.serving, jnp.where(claims, outlook.heading, -1))
        # The task it has stands at the end only.
        listed = jnp.where((outlook.place == own) & (outlook.number == outlook.task), -1, outlook.place)
        place, number = jnp.append(listed, own), jnp.append(outlook.number, outlook.task)
        old = state.bids
        holds = (old.bid >= PRIORITY / 2) & (outlook.t - old.told <= self.lease) & (old.winner != me)
        known = _best(old._replace(winner=jnp.where(holds, old.winner, -1)), place, number)
        has, last = own >= 0, self.options
        bid = jnp.where(serves, 2 * PRIORITY, PRIORITY * (0.5 + 0.5 / (1 + outlook.left))).astype(jnp.float32)
        mine = Bids(own[None], outlook.task[None], bid[None], me[None], outlook.t[None])
        told = jax.tree.map(lambda new, leaf: leaf.at[last].set(jnp.where(has, new[0], leaf[last])), mine, known)
        outbid = _above(known, told)[last]
        bids = jax.tree.map(lambda new, leaf: leaf.at[last].set(jnp.where(outbid, leaf[last], new[last])), told, known)
        mine_at = jnp.where(has & (serves | ~outbid), last, -1).astype(jnp.int32)
        return self.ask(Bidding(outlook, me, bids, mine_at, jnp.array(True)))

    def ask(self, ballot: Bidding) -> Bidding:
        """Bids for the best option that it can win, if it has none."""
        outlook, bids, me = ballot.outlook, ballot.bids, ballot.me
        worth = jnp.where(outlook.open & (outlook.worth > 0) & (bids.place[:-1] >= 0), outlook.worth, -jnp.inf)
        top, holder = bids.bid[:-1], bids.winner[:-1]
        wins = (holder < 0) | (worth > top) | ((worth == top) & (me < holder))
        worth = jnp.where(wins, worth, -jnp.inf)
        best = jnp.argmax(worth).astype(jnp.int32)
        wants = outlook.free & (outlook.serving < 0) & (ballot.mine < 0) & jnp.isfinite(worth[best])
        mine = jnp.where(wants, best, ballot.mine)

        def put(leaf: Array, value: Array) -> Array:
            return leaf.at[best].set(jnp.where(wants, value, leaf[best]))

        bids = bids._replace(
            bid=put(bids.bid, worth[best]), winner=put(bids.winner, me), told=put(bids.told, outlook.t)
        )
        return ballot._replace(bids=bids, mine=mine, changed=ballot.changed | wants)

    def send(self, ballot: Bidding) -> Bids:
        return ballot.bids

    def receive(self, key, ballot: Bidding, inbox: Inbox) -> Bidding:
        said, own = inbox.payload, ballot.bids
        said = said._replace(winner=jnp.where(inbox.heard[:, None], said.winner, -1))
        said = Bids(*(leaf.reshape(-1) for leaf in said))
        heard = _best(said, own.place, own.number)
        above = _above(heard, own) & (own.place >= 0)
        same = (heard.winner == own.winner) & (heard.bid == own.bid)
        told = jnp.where(same, jnp.maximum(own.told, heard.told), own.told)
        bids = jax.tree.map(lambda new, old: jnp.where(above, new, old), heard, own._replace(told=told))
        lost = (ballot.mine >= 0) & (bids.winner[jnp.maximum(ballot.mine, 0)] != ballot.me)
        return self.ask(ballot._replace(bids=bids, mine=jnp.where(lost, -1, ballot.mine), changed=jnp.any(above)))

    def decide(self, ballot: Bidding):
        at = jnp.maximum(ballot.mine, 0)
        goes = (ballot.mine >= 0) & (ballot.outlook.serving < 0) & ballot.outlook.free
        place = jnp.where(goes, ballot.bids.place[at], -1)
        return place, Member(ballot.me, ballot.bids, place, jnp.where(goes, ballot.bids.number[at], -1))

    def settled(self, ballot: Bidding):
        return ~ballot.changed


def _shortlist(outlook: Outlook, count: int) -> Outlook:
    """The outlook with the `count` best of its options; as it is where it has no more."""
    if outlook.place.shape[0] <= count:
        return outlook
    worth = jnp.where(outlook.open & (outlook.place >= 0), outlook.worth, -jnp.inf)
    best = jax.lax.top_k(worth, count)[1]
    lists = ("place", "worth", "open", "number", "eta", "team")
    return outlook._replace(**{name: getattr(outlook, name)[best] for name in lists})


def _unknown(place: Array, number: Array | None = None) -> Bids:
    """No bids for these tasks."""
    none = jnp.full(place.shape, -1, jnp.int32)
    return Bids(place, none if number is None else number, jnp.zeros(place.shape, jnp.float32), none, none)


def _above(one: Bids, other: Bids) -> Bool[Array, " K+1"]:
    """Where the first beats the second: there is a bid, and it is higher, or as high of a smaller id."""
    tie = (one.bid == other.bid) & (one.winner < other.winner)
    return (one.winner >= 0) & ((other.winner < 0) | (one.bid > other.bid) | tie)


def _best(said: Bids, place: Int[Array, " K+1"], number: Int[Array, " K+1"]) -> Bids:
    """The highest of these bids [S] for each of these tasks; ties: smallest id, then latest word."""
    about = (said.place[None] == place[:, None]) & (said.number[None] == number[:, None]) & (place[:, None] >= 0)
    about &= said.winner[None] >= 0
    bid = jnp.max(jnp.where(about, said.bid[None], -jnp.inf), axis=1)
    about &= said.bid[None] == bid[:, None]
    winner = jnp.min(jnp.where(about, said.winner[None], LAST), axis=1)
    told = jnp.max(jnp.where(about & (said.winner[None] == winner[:, None]), said.told[None], -1), axis=1)
    some = winner < LAST
    found = Bids(place, number, jnp.where(some, bid, 0), jnp.where(some, winner, -1), told)
    return jax.tree.map(lambda new, none: jnp.where(some, new, none), found, _unknown(place, number))


def make(site: Site) -> Cbba:
    """Bids among neighbours; the scenario's topology says who these are, about 6 nearest both ways."""
    return Cbba(options=min(site.options, MOST), rounds=site.rounds, lease=site.lease)


CBBA = Mechanism(make, "neighbours tell each other the highest bids they know; nobody keeps a place")
