"""Consensus-based bundles: each agent plans several tasks ahead, and neighbours settle who has which."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Inbox, Outlook, Protocol, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols.cbba import PRIORITY

MOST = 1000  # agents; what all remember grows with the square of their number


class Known(NamedTuple):
    """What an agent knows of its K options, and last of the task that it has: of the task of that number at that place
    (-1: none), the highest bid y, who made it z (-1: nobody), and for each agent the time s of the newest word about
    the task that comes from it, directly or through others, in message rounds (-1: none)."""

    place: Int[Array, "... K+1"]
    number: Int[Array, "... K+1"]
    bid: Float[Array, "... K+1"]
    winner: Int[Array, "... K+1"]
    stamp: Int[Array, "... K+1 N"]


class Planner(NamedTuple):
    """What an agent keeps from tick to tick: who it is, what it knows, and its bundle in order (-1: none)."""

    me: Int[Array, ""]
    known: Known
    place: Int[Array, " L"]
    number: Int[Array, " L"]


class Planning(NamedTuple):
    """What an agent remembers during a tick: its view, who it is, what it knows, where in that list the tasks of its
    bundle stand (-1: none), the time in message rounds, and whether the last round changed anything."""

    outlook: Outlook
    me: Int[Array, ""]
    known: Known
    bundle: Int[Array, " L"]
    now: Int[Array, ""]
    changed: Bool[Array, ""]


class Word(NamedTuple):
    """What an agent tells its neighbours: all it knows, and when it said so."""

    known: Known
    now: Int[Array, ""]


class Bundles(Protocol):
    """The consensus-based bundle algorithm (CBBA), on neighbour lists: `Cbba` with L tasks for each agent.

    Each agent adds tasks to its bundle one at a time, as the b-th (from 0) the task j with the largest gain

        c_j = worth_j discount^b,  of those with c_j > y_j (or c_j = y_j and a smaller id than z_j),

    tells its neighbours all it knows, and updates, resets or leaves what it knows of each task by Table I of the
    reference, message by message. Whoever has lost a task of its bundle releases it and all that it added after it,
    because their gains counted on it, and bids anew. It heads for the first task of the bundle; the rest is kept for
    the next tick, one place up, at what it is worth then, as long as it is open.

    Gains that fall with the length of the bundle (diminishing marginal gains) are what the proof needs. How far the
    tasks are from each other is not in an `Outlook`; the discount stands for it. With such gains an agent's order of
    tasks is the same at every place of its bundle, so bundles that are new in a tick never lower a bid in it; bundles
    that are kept while worths change do, and then times tell the new word from the old.

    From new bundles, on links that do not change, without loss, where all who share options are linked through others
    that have them too, it ends after at most tasks times diameter rounds, without a conflict, at the sequential greedy
    assignment: at least half the optimum of these gains. With kept bundles it ends without a conflict too, but need not
    be greedy. With fewer rounds, lost mail or too few links several may have one task; they find out when word reaches
    them. Who is on its way or serves bids as in `Cbba`, and may plan on. Any bid is forgotten `lease` ticks after the
    last word of its maker.

    Whether it pays: in the rolling world (60 agents with 16 options, 6 neighbours, 4 rounds, 7 places an agent) bundles
    of 2 and of 3 served .905 of the value, one task each .901, with standard errors of .007, for 13 times the bytes. So
    the mechanism `cbba` is `Cbba`.

    Where we differ from the reference: bids are lists over an agent's own options, and only those with the same option
    pass on what they know of it. So times are kept for each task, not for each agent alone: word of an agent that came
    through somebody without that option says nothing about it. Times are those of sending, and a word that is older
    than what is known from its sender is dropped. A task that its sender does not list counts as one of nobody.

    agents   N, as many as there are; at most 1,000
    bundle   L, tasks in a bundle
    discount in (0, 1], what a task is worth one place later in the bundle
    rounds, options, lease   as in `Cbba`

    Cost O(N D (K^2 + K N)) a round with D neighbours, and O(N^2 K) to remember; a message of 16 (K + 1) +
    4 N (K + 1) + 4 bytes on each link in each round. Errors: Refusal for counts out of range and for a discount that
    is not in (0, 1].

    Reference: Choi, Brunet, How, Consensus-based decentralized auctions for robust task allocation, IEEE Transactions
    on Robotics 25 (2009), Section IV, Algorithm 3 and Table I.

    >>> from quorate.protocols.bundles import Bundles
    >>> Bundles(agents=6, options=8, bundle=3).rounds
    4
    """

    agents: int = static()
    options: int = static()
    bundle: int = static(2)
    rounds: int = static(4)
    discount: Float[Array, ""] = swept(default=0.8)
    lease: Int[Array, ""] = swept(jnp.int32, 5)

    def __check_init__(self):
        at_least(1, agents=self.agents, options=self.options, bundle=self.bundle, rounds=self.rounds)
        at_least(0, lease=self.lease)
        if self.agents > MOST:
            raise Refusal(
                f"agents is {self.agents}; bundles are for at most {MOST}",
                "each remembers a time of each other one: use Cbba, one task each, or a mechanism with desks",
            )
        if not isinstance(self.discount, jax.core.Tracer):
            discount = np.asarray(self.discount)
            if not np.all((discount > 0) & (discount <= 1)):
                raise Refusal(f"discount is {discount}; it must be above 0 and at most 1")

    def boot(self, key, me):
        none = jnp.full(self.bundle, -1, jnp.int32)
        nothing = jnp.full(self.options + 1, -1, jnp.int32)
        return Planner(jnp.asarray(me, jnp.int32), _unknown(nothing, nothing, self.agents), none, none)

    def propose(self, key, state: Planner, proposal: Outlook) -> Planning:
        outlook, me, last = proposal, state.me, self.options
        serves = outlook.serving >= 0
        claims = (state.place[0] >= 0) & (state.place[0] == outlook.heading) & (state.number[0] == outlook.task)
        claims &= outlook.free & outlook.valid & ~serves
        own = jnp.where(serves, outlook.serving, jnp.where(claims, outlook.heading, -1))
        # The task it has stands at the end only.
        listed = jnp.where((outlook.place == own) & (outlook.number == outlook.task), -1, outlook.place)
        known = _aligned(state.known, jnp.append(listed, own), jnp.append(outlook.number, outlook.task))
        told = _time_of(known.stamp, known.winner) // self.rounds
        known = _only(known, (known.winner != me) & (outlook.t - told <= self.lease))
        has = own >= 0
        bid = jnp.where(serves, 2 * PRIORITY, PRIORITY * (0.5 + 0.5 / (1 + outlook.left))).astype(jnp.float32)
        outbid = (known.winner[last] >= 0) & _above(known.bid[last], known.winner[last], bid, me)
        has_it = has & (serves | ~outbid)
        # The rest of the bundle moves up, unless it was made to follow a task that is lost.
        slot, real = _places_in(known, state.place, state.number)
        at = jnp.minimum(slot, last - 1)
        stays = real & (slot < last) & outlook.open[at] & (outlook.worth[at] > 0)
        stays &= (outlook.free | serves) & ~(has & ~has_it)
        rank = jnp.cumsum(stays, dtype=jnp.int32) - 1 + has_it
        bundle = jnp.full(self.bundle, -1, jnp.int32).at[0].set(jnp.where(has_it, last, -1))
        bundle = bundle.at[jnp.where(stays, rank, self.bundle)].set(slot, mode="drop")
        gain = outlook.worth[jnp.clip(bundle, 0, last - 1)] * self._factors()
        gain = jnp.where(bundle == last, bid, gain)
        write = jnp.where((bundle == last) & outbid, last + 1, jnp.where(bundle >= 0, bundle, last + 1))
        known = known._replace(
            bid=known.bid.at[write].set(gain, mode="drop"), winner=known.winner.at[write].set(me, mode="drop")
        )
        now = outlook.t * self.rounds
        return self.ask(Planning(outlook, me, known, bundle, now, jnp.array(True)))

    def ask(self, ballot: Planning) -> Planning:
        """Fills the bundle with the tasks of the largest gains that it can win."""
        outlook, me, factors = ballot.outlook, ballot.me, self._factors()
        may = outlook.free | (outlook.serving >= 0)
        slots = jnp.arange(self.options, dtype=jnp.int32)

        def add(b: Array, so_far: tuple) -> tuple:
            known, bundle, changed = so_far
            gain = outlook.worth * factors[b]
            able = outlook.open & (outlook.worth > 0) & (known.place[:-1] >= 0)
            able &= ~jnp.any(slots[:, None] == bundle[None], axis=1)
            able &= (known.winner[:-1] < 0) | _above(gain, me, known.bid[:-1], known.winner[:-1])
            gain = jnp.where(able, gain, -jnp.inf)
            best = jnp.argmax(gain).astype(jnp.int32)
            wants = may & (bundle[b] < 0) & ((b == 0) | (bundle[b - 1] >= 0)) & able[best]
            known = known._replace(
                bid=known.bid.at[best].set(jnp.where(wants, gain[best], known.bid[best])),
                winner=known.winner.at[best].set(jnp.where(wants, me, known.winner[best])),
            )
            return known, bundle.at[b].set(jnp.where(wants, best, bundle[b])), changed | wants

        start = ballot.known, ballot.bundle, ballot.changed
        known, bundle, changed = jax.lax.fori_loop(0, self.bundle, add, start)
        return ballot._replace(known=known, bundle=bundle, changed=changed)

    def send(self, ballot: Planning) -> Word:
        return Word(ballot.known, ballot.now)

    def receive(self, key, ballot: Planning, inbox: Inbox) -> Planning:
        me, before = ballot.me, ballot.known

        def one(known: Known, mail: tuple) -> tuple[Known, None]:
            word, sender, heard = mail
            said = _aligned(word.known, known.place, known.number)
            fresh = heard & (sender != me) & (known.place >= 0) & (word.now > known.stamp[:, sender])
            said = said._replace(stamp=said.stamp.at[:, sender].set(word.now))
            return self.learn(known, said, fresh, me, sender), None

        known, _ = jax.lax.scan(one, before, (inbox.payload, inbox.sender, inbox.heard))
        lost = (ballot.bundle >= 0) & (known.winner[ballot.bundle] != me)
        lost = lost.at[0].set(lost[0] & (ballot.outlook.serving < 0))
        known, bundle = self.release(known, ballot.bundle, lost, me)
        changed = jnp.any((known.winner != before.winner) | (known.bid != before.bid))
        return self.ask(ballot._replace(known=known, bundle=bundle, now=ballot.now + 1, changed=changed))

    def learn(self, known: Known, said: Known, fresh: Bool[Array, " K+1"], me: Array, sender: Array) -> Known:
        """What is known after a message: Table I of the reference, for the tasks where it is `fresh`."""
        update, reset = table(known, said, me, sender)
        update, reset = update & fresh, reset & fresh
        return known._replace(
            bid=jnp.where(update, said.bid, jnp.where(reset, 0, known.bid)),
            winner=jnp.where(update, said.winner, jnp.where(reset, -1, known.winner)),
            stamp=jnp.where(fresh[:, None], jnp.maximum(known.stamp, said.stamp), known.stamp),
        )

    def release(self, known: Known, bundle: Int[Array, " L"], lost: Bool[Array, " L"], me: Array):
        """What is known, and the bundle, without the first lost task and all after it."""
        gone = jnp.cumsum(lost) > 0
        freed = jnp.any((jnp.arange(self.options + 1)[:, None] == bundle[None]) & gone[None], axis=1)
        return _only(known, ~(freed & (known.winner == me))), jnp.where(gone, -1, bundle)

    def decide(self, ballot: Planning):
        at, known = ballot.bundle, ballot.known
        goes = (at[0] >= 0) & (ballot.outlook.serving < 0) & ballot.outlook.free
        place, number = jnp.where(at >= 0, known.place[at], -1), jnp.where(at >= 0, known.number[at], -1)
        return jnp.where(goes, place[0], -1), Planner(ballot.me, known, place, number)

    def settled(self, ballot: Planning):
        return ~ballot.changed

    def _factors(self) -> Float[Array, " L"]:
        return self.discount ** jnp.arange(self.bundle, dtype=jnp.float32)


def table(known: Known, said: Known, me: Array, sender: Array) -> tuple[Bool[Array, " K+1"], Bool[Array, " K+1"]]:
    """Table I: for which tasks the receiver `me` takes over what the `sender` said, and which it sets back to nobody;
    all others it leaves. Of equal bids that of the smaller id is the higher one."""
    ours, theirs = known.winner, said.winner
    higher = _above(said.bid, theirs, known.bid, ours)
    about_ours, about_theirs = (_time_of(said.stamp, who) > _time_of(known.stamp, who) for who in (ours, theirs))
    older_theirs = _time_of(said.stamp, theirs) < _time_of(known.stamp, theirs)
    # Whom the receiver believes: itself, the sender, nobody, or a third.
    is_me, is_sender, is_none = ours == me, ours == sender, ours < 0
    is_third = ~(is_me | is_sender | is_none)
    # Whom the sender believes: itself, the receiver, nobody, or a third.
    says_self, says_me, says_none = theirs == sender, theirs == me, theirs < 0
    says_third = ~(says_self | says_me | says_none)
    update = says_self & (is_sender | is_none | (is_me & higher) | (is_third & (about_ours | higher)))
    wins = jnp.where(is_me, higher, jnp.where(is_third, about_ours | higher, True))
    update |= says_third & about_theirs & wins
    update |= says_none & (is_sender | (is_third & about_ours))
    reset = says_me & (is_sender | (is_third & about_ours))
    reset |= says_third & ((is_sender & ~about_theirs) | (is_third & about_ours & older_theirs))
    return update, reset


def _above(bid: Array, who: Array, other: Array, whose: Array) -> Array:
    """Whether the first bid beats the second: it is higher, or as high and of a smaller id."""
    return (bid > other) | ((bid == other) & (who < whose))


def _time_of(stamp: Int[Array, "K+1 N"], who: Int[Array, " K+1"]) -> Int[Array, " K+1"]:
    """The time of the newest word of these agents about each task."""
    return jnp.take_along_axis(stamp, jnp.clip(who, 0, stamp.shape[1] - 1)[:, None], axis=1)[:, 0]


def _unknown(place: Array, number: Array, agents: int) -> Known:
    """Nothing, about these tasks."""
    none = jnp.full(place.shape, -1, jnp.int32)
    return Known(
        place, number, jnp.zeros(place.shape, jnp.float32), none, jnp.full((*place.shape, agents), -1, jnp.int32)
    )


def _only(known: Known, where: Bool[Array, " K+1"]) -> Known:
    """What is known, with the bids for all other tasks forgotten."""
    return known._replace(bid=jnp.where(where, known.bid, 0), winner=jnp.where(where, known.winner, -1))


def _places_in(known: Known, place: Array, number: Array) -> tuple[Int[Array, " S"], Bool[Array, " S"]]:
    """Where in the list of what is known these tasks stand, and whether they do."""
    same = (known.place[None] == place[:, None]) & (known.number[None] == number[:, None]) & (place[:, None] >= 0)
    return jnp.argmax(same, axis=1).astype(jnp.int32), jnp.any(same, axis=1)


def _aligned(known: Known, place: Int[Array, " K+1"], number: Int[Array, " K+1"]) -> Known:
    """What is known, in the order of these tasks; of those not listed nothing is known."""
    slot, some = _places_in(known, place, number)
    found = Known(place, number, known.bid[slot], known.winner[slot], known.stamp[slot])
    none = _unknown(place, number, known.stamp.shape[1])
    return jax.tree.map(lambda new, old: jnp.where(some.reshape(-1, *(1,) * (new.ndim - 1)), new, old), found, none)
