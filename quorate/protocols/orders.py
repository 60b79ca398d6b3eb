"""Orders: what agents report to one who decides for them, what that one remembers, how it hands out tasks, and how
agents act on their own where no answer comes. A centre and the leaders of cells share it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Outlook
from quorate.numerics.auction import auction, finish
from quorate.protocols import desk
from quorate.protocols.alone import Alone
from quorate.protocols.desk import Hold

FOREVER = desk.FOREVER  # the term of a task that is begun
CLAIMS = 32  # most rounds of claims after an auction that was cut short


class Report(NamedTuple):
    """What a free agent writes: its best options (place -1, worth 0: none), and the task that it has begun since it was
    last heard (`last`, `begun`: place and number, -1: none). One that does not ask for a task writes no options."""

    place: Int[Array, " options"]
    number: Int[Array, " options"]
    worth: Float[Array, " options"]
    eta: Float[Array, " options"]
    last: Int[Array, ""]
    begun: Int[Array, ""]


class Order(NamedTuple):
    """What it is told: the place to head for (-1: stay), the task meant, and the last tick in which the order holds."""

    place: Int[Array, ""]
    number: Int[Array, ""]
    until: Int[Array, ""]


class Duty(NamedTuple):
    """What an agent under orders keeps from tick to tick: its order, the task it began last (place and number, -1:
    none), and whether that has been told."""

    hold: Hold
    last: Int[Array, ""]
    begun: Int[Array, ""]
    told: Bool[Array, ""]


class Ledger(NamedTuple):
    """Who was given which task, a row for each place.

    number   the newest task that was given or begun there, -1: none yet
    owner    who has it, -1: nobody
    until    the last tick of the order; FOREVER: begun; -1: free
    since    the tick of the order
    barred   who had it and was not there in time: no second order; -1: nobody
    """

    number: Int[Array, " M"]
    owner: Int[Array, " M"]
    until: Int[Array, " M"]
    since: Int[Array, " M"]
    barred: Int[Array, " M"]


class Roaming(NamedTuple):
    """How an agent without answers stands in a tick: whether its way, or the task it serves, is one that it chose
    alone, whether it is on that way, whether it has begun that task and not told it, and where it would head alone."""

    alone: Bool[Array, ""]
    roams: Bool[Array, ""]
    begins: Bool[Array, ""]
    wish: Hold


def recruit(me: Array) -> Duty:
    """An agent without any order."""
    none = jnp.int32(-1)
    return Duty(desk.nothing(me), none, none, jnp.array(True))


def at_dawn(duty: Duty, outlook: Outlook) -> Duty:
    """Its duty when a tick begins: an order stands until its term, while the task is there as far as the agent sees;
    of one that serves, it stays in mind, to know when silence would cost it the task. A task of one tick is over before
    it is ever seen to be served (`desk.ended`): that counts as begun too."""
    serves = outlook.serving >= 0
    same = (duty.hold.place == outlook.serving) & (duty.hold.number == outlook.task)
    mine = jax.tree.map(lambda old, none: jnp.where(same, old, none), duty.hold, desk.nothing(duty.hold.me))
    hold = jax.tree.map(lambda old, new: jnp.where(serves, old, new), mine, desk.kept(duty.hold, outlook))
    over = desk.ended(duty.hold, outlook)
    last = jnp.where(serves, outlook.serving, over.place)
    begun = jnp.where(serves, outlook.task, over.number)
    new = (last >= 0) & ((duty.last != last) | (duty.begun != begun))
    return Duty(
        hold=hold,
        last=jnp.where(new, last, duty.last),
        begun=jnp.where(new, begun, duty.begun),
        told=duty.told & ~new,
    )


def asks(duty: Duty, outlook: Outlook) -> Bool[Array, ""]:
    """Whether it is free and has no order."""
    return outlook.free & (outlook.serving < 0) & (duty.hold.place < 0)


def must_tell(duty: Duty, outlook: Outlook) -> Bool[Array, ""]:
    """Whether it serves, nobody has been told, and its order would end: else what it has begun can wait for the next
    report."""
    return (outlook.serving >= 0) & ~duty.told & (outlook.t >= duty.hold.until)


def roaming(key: Array, duty: Duty, alone: Array, outlook: Outlook, patience: Array) -> tuple[Duty, Roaming]:
    """How it stands when a tick begins, and its duty (that of `at_dawn`) less a way of its own that `Alone` would not
    keep to. What it wishes is an order without end; place -1: nothing."""
    free = outlook.free & (outlook.serving < 0)
    wish = _wish(key, duty.hold.me, outlook, patience)
    alone = alone & (duty.hold.place >= 0)
    leaves = alone & free & (wish.place != duty.hold.place)
    alone = alone & ~leaves
    hold = jax.tree.map(lambda none, old: jnp.where(leaves, none, old), desk.nothing(duty.hold.me), duty.hold)
    return duty._replace(hold=hold), Roaming(alone, alone & free, alone & ~free & ~duty.told, wish)


def _wish(key: Array, me: Array, outlook: Outlook, patience: Array) -> Hold:
    """Where `Alone` would head, and the number of the task there."""
    honest = Alone(patience=patience)
    place, _ = honest.decide(honest.propose(key, (), outlook))
    chosen = outlook.number[jnp.argmax(outlook.open & (outlook.place == place))]
    task = jnp.where(outlook.valid & (place == outlook.heading), outlook.task, chosen)
    return Hold(me, place, task, jnp.int32(FOREVER))


def on_its_own(
    duty: Duty, way: Roaming, asks: Array, answered: Array, unanswered: Array, after: Array
) -> tuple[Duty, Bool[Array, ""]]:
    """Its duty at the end of a tick, and whether its way, or the task it serves, is one that it chose alone: who asked,
    and has had no answer in `after` ticks of reports in a row, heads where it wishes."""
    goes = asks & ~answered & (unanswered >= after) & (way.wish.place >= 0)
    hold = jax.tree.map(lambda own, old: jnp.where(goes, own, old), way.wish, duty.hold)
    return duty._replace(hold=hold), way.alone | goes


def report(duty: Duty, outlook: Outlook, allowed: Bool[Array, " K"], options: int) -> Report:
    """The `options` best of what is open, allowed and worth more than 0, if it asks; O(K). Ties: the first ones."""
    wanted = asks(duty, outlook) & allowed & outlook.open & (outlook.place >= 0) & (outlook.worth > 0)
    worth = jnp.where(wanted, outlook.worth, 0)
    few = min(options, worth.shape[0])
    best, chosen = jax.lax.top_k(worth, few)
    some = best > 0
    return Report(
        place=jnp.where(some, outlook.place[chosen], -1),
        number=jnp.where(some, outlook.number[chosen], -1),
        worth=best.astype(jnp.float32),
        eta=jnp.where(some, outlook.eta[chosen], 0).astype(jnp.float32),
        last=jnp.where(duty.told, -1, duty.last),
        begun=jnp.where(duty.told, -1, duty.begun),
    )


def obeyed(duty: Duty, order: Order, asked: Array, came: Array) -> Duty:
    """Its duty after an answer, if that came: an order is taken by one who asked, and what it wrote has been told."""
    takes = came & asked & (order.place >= 0)
    given = Hold(duty.hold.me, order.place, order.number, order.until)
    hold = jax.tree.map(lambda new, old: jnp.where(takes, new, old), given, duty.hold)
    return duty._replace(hold=hold, told=duty.told | came)


def blank(places: int) -> Ledger:
    none = jnp.full(places, -1, jnp.int32)
    return Ledger(none, none, none, none, none)


def nothing(count: int) -> Order:
    none = jnp.full(count, -1, jnp.int32)
    return Order(none, none, none)


def hand_out(
    ledger: Ledger,
    t: Int[Array, ""],
    reports: Report,
    who: Int[Array, " C"],
    at: Int[Array, "C options"],
    last: Int[Array, " C"],
    lease: Array,
    eps: Array,
    rounds: int,
    delay: int = 0,
) -> tuple[Ledger, Order]:
    """An order for each of C reports (leaves [C, ...]) of agents `who` (-1: no report).

    `at` and `last` are the rows of the ledger that the options and the tasks begun have there, -1: none. A task may be
    given if nobody has it under an order that still holds, nobody has begun it and no newer one is known at its place.
    Whoever has an order of this tick gets the same again. The others bid for what is left in Bertsekas' auction with
    step `eps`, cut short after `rounds`, and those left over claim. An order holds from t until

        t + delay + ceil(eta) + lease,

    so an agent on its way has nothing to say, and whoever is not there in time loses the task and is not given it a
    second time. Whoever asks again in a later tick had not heard of its order, or could not carry it out: that is over.
    Where mail takes `delay` ticks each way, later is more than 2 delay ticks later.

    Cost O(C options) for each round of the auction, and O(M).
    """
    size = ledger.number.shape[0]
    real = who >= 0
    starts = jnp.where(real & (last >= 0) & (reports.begun >= ledger.number[last]), last, size)
    ledger = ledger._replace(
        number=ledger.number.at[starts].max(reports.begun, mode="drop"),
        until=ledger.until.at[starts].set(FOREVER, mode="drop"),
    )
    known = Ledger(*(leaf[jnp.maximum(at, 0)] for leaf in ledger))
    offered = real[:, None] & (at >= 0) & (reports.worth > 0) & (reports.number >= known.number)
    same = known.number == reports.number
    own = offered & same & (known.owner == who[:, None]) & (known.until < FOREVER)
    again = own & (t - known.since <= 2 * delay) & (known.until >= t)
    late = own & (known.until < t)
    back = own & ~again
    closed = same & ((known.until >= t) & ~back | late | (known.barred == who[:, None]))
    repeated = jnp.any(again, axis=1)
    bids = offered & ~closed & ~repeated[:, None]

    row = jnp.where(back, at, size)
    ledger = ledger._replace(
        owner=ledger.owner.at[row].set(-1, mode="drop"),
        until=ledger.until.at[row].set(-1, mode="drop"),
        barred=ledger.barred.at[jnp.where(late, at, size)].set(  # one owner of a row at most
            jnp.broadcast_to(who[:, None], at.shape), mode="drop"
        ),
    )  # fmt: skip
    got = auction(at, reports.worth, bids, size, eps, rounds)
    got = finish(at, reports.worth, bids, got, CLAIMS).place
    option = jnp.argmax(jnp.where(repeated[:, None], again, bids & (at == got[:, None])), axis=1)

    def chosen(leaf: Array) -> Array:
        return jnp.take_along_axis(leaf, option[:, None], axis=1)[:, 0]

    until = t + delay + jnp.ceil(chosen(reports.eta)).astype(jnp.int32) + lease
    order = Order(chosen(reports.place), chosen(reports.number), jnp.where(repeated, chosen(known.until), until))
    given = repeated | (got >= 0)
    order = Order(*(jnp.where(given, leaf, -1) for leaf in order))
    row = jnp.where(got >= 0, got, size)
    newer = jnp.where((got >= 0) & ~chosen(same), got, size)
    return Ledger(
        number=ledger.number.at[row].set(order.number, mode="drop"),
        owner=ledger.owner.at[row].set(who, mode="drop"),
        until=ledger.until.at[row].set(order.until, mode="drop"),
        since=ledger.since.at[row].set(t, mode="drop"),
        barred=ledger.barred.at[newer].set(-1, mode="drop"),
    ), order
