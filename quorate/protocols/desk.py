"""The desk of a task, and how an agent holds it: leases, heartbeats with proof of progress, and who may displace whom.
Claims, contract nets and auctions share it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Heap, News, Outlook
from quorate.numerics.once import once

CLAIM, HOLD, DONE = 0, 1, 2  # what a slip says: I want it; I am on my way; I have begun
BEGUN = 2**30  # told as the owner of a task that is begun: somebody, but no agent
FOREVER = 2**31 - 1
PRIORITY = 1e6  # a holder's word comes before any bid, a beginner's before that


class Slip(NamedTuple):
    """What an agent writes to a desk: which task it means (its number), ticks until it is there, and CLAIM, HOLD or
    DONE."""

    number: Int[Array, ""]
    eta: Float[Array, ""]
    kind: Int[Array, ""]


class Desk(NamedTuple):
    """A place's own record.

    number   the newest task it has heard of; -1: none yet
    owner    who has it, -1: nobody; its grant ends with tick `until`
    since    tick of the award
    moved    tick in which the owner last came nearer, and `eta` how near
    price    the bid it was given for
    done     a task that was begun stays closed
    barred   who had it and did not come nearer: no second award of this task; -1: nobody
    """

    number: Int[Array, ""]
    owner: Int[Array, ""]
    until: Int[Array, ""]
    since: Int[Array, ""]
    moved: Int[Array, ""]
    eta: Float[Array, ""]
    price: Float[Array, ""]
    done: Bool[Array, ""]
    barred: Int[Array, ""]


class Word(NamedTuple):
    """What a desk tells everybody. A task that is begun is told as owned by `BEGUN` for ever: all options are read in
    every round, so each number costs."""

    number: Int[Array, ""]
    owner: Int[Array, ""]
    until: Int[Array, ""]
    price: Float[Array, ""]
    barred: Int[Array, ""]

    @property
    def done(self) -> Bool[Array, "..."]:
        return self.owner == BEGUN


class Hold(NamedTuple):
    """What an agent keeps from tick to tick: who it is, and the claim it believes in (place -1: none)."""

    me: Int[Array, ""]
    place: Int[Array, ""]
    number: Int[Array, ""]
    until: Int[Array, ""]


def vacant() -> Desk:
    none, zero = jnp.int32(-1), jnp.float32(0)
    return Desk(none, none, none, none, none, zero, zero, jnp.array(False), none)


def attend(desk: Desk, heap: Heap, lease: int | Array, patience: int | Array, evict: bool | Array) -> Desk:
    """One round at a desk, on the highest slip of the heap.

    A larger number opens the desk anew, a smaller one is ignored. An owner keeps the task while it gives a sign within
    `lease` ticks and has come nearer within `patience` ticks; after that its word no longer renews the grant, which
    then runs out by itself, so nobody else is given what its owner may still believe in. With `evict` a higher bid
    displaces an owner of the same tick; the price of a task held since an earlier tick is told as infinite.
    """
    said, who, t = heap.said, heap.who, heap.t
    some = who >= 0
    newer = some & (said.number > desk.number)
    desk = jax.tree.map(lambda new, old: jnp.where(newer, new, old), vacant()._replace(number=said.number), desk)
    current = some & (said.number == desk.number)
    owner = jnp.where(t > desk.until, -1, desk.owner)
    own = current & (who == owner)
    moved = jnp.where(own & (said.eta < desk.eta), t, desk.moved)
    stalled = t - moved > patience
    done = desk.done | (current & (said.kind == DONE) & (own | (owner < 0)))
    renewed = own & ~stalled
    open_ = (owner < 0) | (evict & (desk.since == t) & (heap.best > desk.price))
    taken = current & (said.kind == CLAIM) & ~own & ~done & open_ & (who != desk.barred)
    return Desk(
        number=desk.number,
        owner=jnp.where(taken, who, owner),
        until=jnp.where(taken | renewed, t + lease, desk.until),
        since=jnp.where(taken, t, desk.since),
        moved=jnp.where(taken, t, moved),
        eta=jnp.where(taken, said.eta, jnp.where(own, jnp.minimum(said.eta, desk.eta), desk.eta)),
        price=jnp.where(taken, heap.best, jnp.where(evict & (owner >= 0) & (desk.since < t), jnp.inf, desk.price)),
        done=done,
        barred=jnp.where(own & stalled, who, desk.barred),
    )


def word(desk: Desk) -> Word:
    owner, until = jnp.where(desk.done, BEGUN, desk.owner), jnp.where(desk.done, FOREVER, desk.until)
    return Word(desk.number, owner, until, desk.price, desk.barred)


def nothing(me: Array) -> Hold:
    """No claim."""
    none = jnp.int32(-1)
    return Hold(jnp.asarray(me, jnp.int32), none, none, none)


def kept(hold: Hold, outlook: Outlook) -> Hold:
    """The claim at the start of a tick: it stands while its grant lasts and the task is still there as far as the agent
    sees."""
    stands = (hold.place >= 0) & (outlook.t <= hold.until) & outlook.free & outlook.valid
    stands &= (outlook.heading == hold.place) & (outlook.task == hold.number)
    return jax.tree.map(lambda new, old: jnp.where(stands, old, new), nothing(hold.me), hold)


def ended(hold: Hold, outlook: Outlook) -> Hold:
    """The claim of the last tick whose task it has begun and finished since (place -1: none): a task of one tick, of
    which its outlook never shows that it serves."""
    over = (hold.place >= 0) & (outlook.served == hold.place) & (outlook.serving < 0)
    return jax.tree.map(lambda old, new: jnp.where(over, old, new), hold, nothing(hold.me))


def untold(over: Hold, hold: Hold, outlook: Outlook, news: News) -> Hold:
    """What is still to be said of a task that is `over`: nothing once its desk is read to know, or once it was said by
    one who holds another by now and reads that one's desk; for the reading of `places`, with `hold` as it was before
    the `news`."""
    told = Word(*(leaf[-1] for leaf in news.notice))
    begun = (told.number > over.number) | ((told.number == over.number) & told.done)
    known = (hold.place >= 0) | (news.heard[-1] & begun & (outlook.serving < 0))
    return jax.tree.map(lambda none, old: jnp.where(known, none, old), nothing(over.me), over)


def heard(hold: Hold, place: Array, number: Array, told: Word, came: Array) -> Hold:
    """The claim after a notice of `place` on task `number`: given, or lost if it was held. What comes late may give a
    claim whose term is over: `kept` drops it in the next tick."""
    about = came & (told.number >= number)
    mine = about & (told.number == number) & (told.owner == hold.me)
    mine, lost = once((mine, about & ~mine & (hold.place == place) & (hold.number == number)))
    given = Hold(hold.me, place, number, told.until)
    hold = jax.tree.map(lambda new, old: jnp.where(lost, new, old), nothing(hold.me), hold)
    return jax.tree.map(lambda new, old: jnp.where(mine, new, old), given, hold)


def places(outlook: Outlook, hold: Hold, quiet: Array | bool = False, over: Hold | None = None) -> Int[Array, " K+1"]:
    """What an agent reads: the desks of its options, and last that of its claim, or of the task it serves, until it is
    `quiet` about that; where it has neither, that of a task that is `over`."""
    wants = outlook.free & (outlook.serving < 0) & (hold.place < 0)
    held = hold.place if over is None else jnp.where(hold.place >= 0, hold.place, over.place)
    own = jnp.where(outlook.serving >= 0, outlook.serving, held)
    return jnp.append(jnp.where(wants, outlook.place, -1), jnp.where(quiet, -1, own))


def of_options(news: News) -> tuple[Word, Bool[Array, " K"]]:
    """What the desks of the options say, and whether it came through; for the reading of `places`."""
    return Word(*(leaf[:-1] for leaf in news.notice)), news.heard[:-1]


def renewed(hold: Hold, news: News) -> Hold:
    """The claim after what its own desk says; for the reading of `places`."""
    told = Word(*(leaf[-1] for leaf in news.notice))
    return heard(hold, hold.place, hold.number, told, news.heard[-1] & (hold.place >= 0))


def confirmed(outlook: Outlook, hold: Hold, news: News) -> Bool[Array, ""]:
    """Whether its desk has taken its sign of this tick, or knows that its task is begun, so that no more need be said;
    `hold` as it was before the `news`, for the reading of `places`."""
    told = Word(*(leaf[-1] for leaf in news.notice))
    begun = (told.number > outlook.task) | ((told.number == outlook.task) & told.done)
    longer = (told.number == hold.number) & (told.owner == hold.me) & (told.until > hold.until)
    on_its_way = (hold.place >= 0) & (hold.place == outlook.heading)
    return news.heard[-1] & jnp.where(outlook.serving >= 0, begun, on_its_way & longer)


def owned(told: Word, outlook: Outlook, me: Array | None = None) -> Bool[Array, " K"]:
    """Which options are known to be held or begun by somebody; given `me`, by somebody else, or closed to it."""
    held = (told.owner >= 0) & (told.until >= outlook.t)
    if me is not None:
        held = (held & (told.owner != me)) | (told.barred == me)
    return (told.number == outlook.number) & held


def standing(
    outlook: Outlook, hold: Hold, quiet: Array | bool = False, over: Hold | None = None
) -> tuple[Array, Slip, Array, Array]:
    """What an agent has to say that bids nothing: (place, slip, bid, whether there is anything to say). On its way it
    gives a sign, and where it serves it says that the task is begun, until it is `quiet` because that is `confirmed`;
    what was given in this tick the desk knows. Where it does neither, it says of a task that is `over` that it was
    begun."""
    over = nothing(hold.me) if over is None else over
    on_its_way = (hold.place >= 0) & (hold.place == outlook.heading)
    past = (over.place >= 0) & ~on_its_way & (outlook.serving < 0)
    serves = outlook.serving >= 0
    place = jnp.where(serves, outlook.serving, jnp.where(past, over.place, hold.place))
    begun = serves | past
    slip = Slip(
        jnp.where(serves, outlook.task, jnp.where(past, over.number, hold.number)),
        jnp.where(begun, jnp.float32(0), _eta(outlook, place)),
        jnp.where(begun, DONE, HOLD).astype(jnp.int32),
    )
    bid = jnp.where(begun, 2 * PRIORITY, PRIORITY).astype(jnp.float32)
    return place, slip, bid, (begun | on_its_way) & ~jnp.asarray(quiet)


def _eta(outlook: Outlook, place: Array) -> Array:
    return jnp.where(outlook.heading == place, outlook.left, jnp.inf).astype(jnp.float32)
