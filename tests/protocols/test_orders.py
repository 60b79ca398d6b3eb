"""Ledgers and handing out, against a clerk with a dictionary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.protocols import desk, orders
from quorate.protocols.orders import Ledger, Order, Report
from tests.protocols.clerk import Clerk
from tests.protocols.desks import outlook

PLACES, SLIPS, OPTIONS, LEASE, EPS = 6, 8, 3, 2, np.float32(0.1)
ROUNDS, TICKS, RUNS = 4, 6, 100


def written(seed):
    """Slips of some ticks: [TICKS, SLIPS, ...] of a crowd of 10, each at most once in a tick."""
    draw = np.random.default_rng([seed, 5])
    shape = TICKS, SLIPS
    who = np.stack([draw.permutation(10)[:SLIPS] for _ in range(TICKS)])
    place = np.stack([[draw.permutation(PLACES)[:OPTIONS] for _ in range(SLIPS)] for _ in range(TICKS)])
    newest = np.cumsum(draw.random((TICKS, PLACES)) < 0.2, axis=0)
    last = np.where(draw.random(shape) < 0.15, draw.integers(0, PLACES, shape), -1)
    report = Report(
        place=np.where(draw.random(place.shape) < 0.1, -1, place),
        number=np.stack([newest[t][place[t]] for t in range(TICKS)]),
        worth=np.where(draw.random(place.shape) < 0.1, 0, draw.uniform(0.1, 1.5, place.shape)),
        eta=draw.uniform(0, 3, place.shape),
        last=last,
        begun=np.where(last >= 0, np.stack([newest[t][last[t]] for t in range(TICKS)]), -1),
    )
    report = Report(*(leaf.astype(np.float32 if leaf.dtype.kind == "f" else np.int32) for leaf in report))
    times = np.array([0, 0, 1, 1, 4, 5])  # two rounds of a tick, and a gap in which terms run out
    return times, np.where(draw.random(shape) < 0.1, -1, who).astype(np.int32), report


BUGS = (
    "none",
    "terms never end",
    "an order is forgotten in the next round",
    "nobody is barred",
    "what others have is given again",
    "what is begun is not noted",
)


def wrong(bug, ledger, t, reports):
    """What is read of the ledger and of the reports, with one of `BUGS`."""
    until = jnp.where((bug == 1) & (ledger.until >= 0), orders.FOREVER - 1, ledger.until)
    ledger = ledger._replace(
        until=jnp.where(bug == 4, -1, until),
        since=jnp.where(bug == 2, ledger.since - 1, ledger.since),
        barred=jnp.where(bug == 3, -1, ledger.barred),
    )
    return ledger, reports._replace(begun=jnp.where(bug == 5, -1, reports.begun))


@jax.jit
def handed(times, who, reports, bug):
    def tick(ledger, now):
        t, who, told = now
        ledger, told = wrong(bug, ledger, t, told)
        ledger, order = orders.hand_out(
            ledger, t, told, who, told.place, told.last, jnp.int32(LEASE), jnp.float32(EPS), ROUNDS
        )
        return ledger, (order, ledger)

    def run(times, who, reports):
        return jax.lax.scan(tick, orders.blank(PLACES), (times, who, reports))[1]

    return jax.vmap(run)(times, who, reports)


@pytest.fixture(scope="module")
def slips():
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *(written(seed) for seed in range(RUNS)))


def disagreements(slips, bug=0):
    """In how many of the runs an answer or the book differs from the clerk's."""
    times, who, reports = jax.tree.map(np.asarray, slips)
    answers, ledgers = jax.tree.map(np.asarray, handed(*slips, bug))
    wrong = 0
    for run in range(RUNS):
        clerk, same = Clerk(LEASE, EPS, ROUNDS), True
        for tick in range(TICKS):
            told = clerk.hand_out(int(times[run, tick]), list(read(who[run, tick], reports, (run, tick))))
            same &= told == list(zip(*(leaf[run, tick].tolist() for leaf in answers), strict=True))
        for place in range(PLACES):
            same &= clerk.row(place) == {name: int(leaf[run, -1, place]) for name, leaf in ledgers._asdict().items()}
        wrong += not same
    return wrong


def read(who, reports, at):
    for index, name in enumerate(who):
        slip = Report(*(leaf[at][index] for leaf in reports))
        options = [(int(p), int(n), w, e) for p, n, w, e in zip(*slip[:4], strict=True)]
        yield int(name), options, int(slip.last), int(slip.begun)


def test_orders_and_books_are_the_clerks(slips):
    assert disagreements(slips) == 0


def test_what_is_handed_out_again_is_the_same_order(slips):
    times, who, _ = slips
    order, _ = handed(*slips, 0)
    first = {(r, int(w)): int(p) for r in range(RUNS) for w, p in zip(who[r, 0], order.place[r, 0], strict=True)}
    pairs = [
        (first[r, int(w)], int(p))
        for r in range(RUNS)
        for w, p in zip(who[r, 1], order.place[r, 1], strict=True)
        if first.get((r, int(w)), -1) >= 0
    ]
    assert times[0, 1] == times[0, 0] and len(pairs) > 100
    # who no longer writes of the task it was given asks for another: the slips of the two rounds are drawn anew
    assert np.mean([a == b for a, b in pairs]) > 0.3


@pytest.mark.parametrize("bug", BUGS[1:])
def test_the_clerk_finds(bug, slips):
    assert disagreements(slips, BUGS.index(bug)) > 0


# ------------------------------------------------------------------------------------------------------ on the node


def one(view):
    return jax.tree.map(lambda leaf: leaf[0], view)


def test_the_best_options_are_reported():
    view = one(outlook([[0.2, 0.9, 0.0, 0.5]], place=[[7, 3, 1, -1]]))
    told = orders.report(orders.recruit(0), view, jnp.array([True, True, True, True]), 3)
    assert told.place.tolist() == [3, 7, -1] and told.worth.tolist() == pytest.approx([0.9, 0.2, 0])
    assert orders.report(orders.recruit(0), view, jnp.array([True, False, True, True]), 9).place.tolist()[0] == 7
    assert (
        orders.report(orders.recruit(0), view._replace(free=jnp.array(False)), view.open, 3).worth.tolist() == [0] * 3
    )


def test_who_serves_speaks_only_when_its_term_ends_and_tells_it_later():
    duty = orders.recruit(0)._replace(hold=desk.Hold(*map(jnp.int32, (0, 4, 2, 9))))
    view = one(outlook([[1.0]]))._replace(free=jnp.array(False), serving=jnp.int32(4), task=jnp.int32(2))
    early = orders.at_dawn(duty, view._replace(t=jnp.int32(8)))
    assert not orders.must_tell(early, view._replace(t=jnp.int32(8)))
    at_end = view._replace(t=jnp.int32(9))
    late = orders.at_dawn(early, at_end)
    assert orders.must_tell(late, at_end) and not orders.asks(late, at_end)
    told = orders.report(late, at_end, at_end.open, 1)
    assert (int(told.last), int(told.begun)) == (4, 2)
    free = one(outlook([[1.0]]))._replace(t=jnp.int32(9))
    back = orders.at_dawn(early, free)
    told = orders.report(back, free, free.open, 1)
    assert orders.asks(back, free) and (int(told.last), int(told.begun)) == (4, 2)
    nothing = Order(*map(jnp.int32, (-1, -1, -1)))
    heard = orders.obeyed(back, nothing, jnp.array(True), jnp.array(True))
    assert int(orders.report(heard, free, free.open, 1).last) == -1
    assert int(orders.report(orders.obeyed(back, nothing, True, jnp.array(False)), free, free.open, 1).last) == 4


@pytest.mark.parametrize(("change", "begun"), [({}, 2), ({"served": -1}, -1), ({"served": 3}, -1)])
def test_a_task_of_one_tick_counts_as_begun(change, begun):
    """Held in the last tick, and now it is finished."""
    duty = orders.recruit(0)._replace(hold=desk.Hold(*map(jnp.int32, (0, 4, 2, 9))))
    view = one(outlook([[1.0]]))._replace(t=jnp.int32(8), served=jnp.int32(4))
    view = view._replace(**{name: jnp.asarray(value, getattr(view, name).dtype) for name, value in change.items()})
    after = orders.at_dawn(duty, view)
    assert int(after.begun) == begun and int(after.last) == (4 if begun > 0 else -1) and bool(after.told) == (begun < 0)
    assert int(after.hold.place) == -1


HAND = jax.jit(orders.hand_out, static_argnames=("rounds", "delay"))


def asked_again(t, delay=0, **row):
    """The ledger and the order after agent 3 asks for task 0, of which the ledger says this."""
    ledger = Ledger(*(jnp.full(1, row.get(name, -1), jnp.int32) for name in Ledger._fields))
    told = Report(*(jnp.asarray(leaf) for leaf in ([[0]], [[0]], [[1.0]], [[2.0]], [-1], [-1])))
    at, last = jnp.zeros((1, 1), jnp.int32), jnp.full(1, -1, jnp.int32)
    who, settings = jnp.array([3]), (jnp.int32(LEASE), jnp.float32(EPS))
    return HAND(ledger, jnp.int32(t), told, who, at, last, *settings, rounds=2, delay=delay)


def test_the_last_who_was_late_is_barred():
    """Also where its number is smaller than that of the one before."""
    ledger, order = asked_again(t=9, number=0, owner=3, until=8, since=1, barred=7)
    assert (int(ledger.barred[0]), int(ledger.owner[0]), int(order.place[0])) == (3, -1, -1)


def test_late_mail_is_answered_with_the_same_order():
    """With a tick each way, who asks in the next two ticks has not heard yet: it gets the same, and then a new one."""
    held = dict(number=0, owner=3, until=9, since=1)
    until = {t: int(asked_again(t=t, delay=1, **held)[1].until[0]) for t in (1, 3, 4)}
    assert until == {1: 9, 3: 9, 4: 4 + 1 + 2 + LEASE}
    assert int(asked_again(t=2, **held)[1].until[0]) == 2 + 2 + LEASE


def test_an_order_is_for_one_who_asked_and_heard_it():
    order = Order(*map(jnp.int32, (3, 1, 9)))
    for asked, came in ((True, True), (True, False), (False, True)):
        duty = orders.obeyed(orders.recruit(5), order, jnp.array(asked), jnp.array(came))
        assert int(duty.hold.place) == (3 if asked and came else -1)


def test_an_empty_ledger_gives_nothing_away():
    assert Ledger(*(leaf.tolist() for leaf in orders.blank(2))) == Ledger(*[[-1, -1]] * 5)
