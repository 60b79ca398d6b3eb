"""The centre: against a clerk with a dictionary, against exact assignment, and through crashes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from quorate import comms
from quorate.core import Scenario, swept
from quorate.errors import Refusal
from quorate.faults import Chain, Crash, Loss
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import NEVER, Alone
from quorate.protocols.central import CENTRAL, CENTRAL_NAIVE, Central, make
from quorate.protocols.orders import FOREVER
from quorate.step import run, start
from quorate.worlds import fleet
from tests.outlooks import site
from tests.protocols.clerk import Clerk
from tests.protocols.desks import Pattern, every_pattern, geography, outlook, shared, talk, value

BUGS = (
    "none",
    "what was given is forgotten",
    "an order that was not heard is obeyed",
    "nobody tries again",
    "no standby",
    "an answer does not count",
    "what is chosen alone is taken for an order",
    "the own way is forgotten",
    "the first silence is enough",
)


class Buggy(Central):
    """`Central` with one of `BUGS`, by number, so that all are one program."""

    bug: jax.Array = swept(jnp.int32, 0)

    def serve(self, key, place_state, heap):
        ledger = place_state.ledger
        until = jnp.where(self.bug == 1, -1, ledger.until)
        return super().serve(key, place_state._replace(ledger=ledger._replace(until=until)), heap)

    def hear(self, key, ballot, news):
        return super().hear(key, ballot, news._replace(kept=news.kept | (self.bug == 2)))

    def post(self, ballot):
        posts = super().post(ballot)
        return posts._replace(live=posts.live & ((self.bug != 3) | (ballot.round == 0)))

    def host(self, place):
        return jnp.where(self.bug == 4, 0, super().host(place))

    def decide(self, ballot):
        hasty = ballot.subject._replace(unanswered=ballot.subject.unanswered + jnp.where(self.bug == 8, NEVER, 0))
        place, new = super().decide(ballot._replace(subject=hasty))
        count = jnp.where(self.bug == 8, 0, new.unanswered)
        count = jnp.where(self.bug == 5, ballot.subject.unanswered + ballot.speaks, count)
        hold = new.duty.hold
        hold = hold._replace(place=jnp.where((self.bug == 7) & new.alone, -1, hold.place))
        alone = new.alone & (self.bug != 6)
        return place, new._replace(unanswered=count, alone=alone, duty=new.duty._replace(hold=hold))


def central(agents, tasks, **more):
    """With room for all; unless told nobody acts alone."""
    return Buggy(**dict(agents=agents, tasks=tasks, capacity=agents, options=tasks, alone_after=NEVER) | more)


@eqx.filter_jit
def under(protocol, view, slips, notices):
    """Decisions [B, N] and the owners [B, M] in the centre's book, under each pattern of a batch; `view` one for all or
    [B, ...]."""

    def one(view, slips, notices):
        fault, key, n = Pattern(slips, notices), jax.random.key(0), slips.shape[1]
        talked = comms.converse(key, key, protocol, comms.boot(key, protocol, n), view, None, fault, (), None, n)
        return talked.decision, talked.lasting.places.ledger.owner[0]

    return jax.vmap(one, (0 if view.t.ndim == 2 else None, 0, 0))(view, slips, notices)


# ------------------------------------------------------------------------------------------------------- one tick


@pytest.mark.parametrize("seed", range(4))
def test_within_eps_of_the_optimum(seed):
    view = geography(seed, 40)
    talked = talk(central(40, 40, rounds=1, places=1, bidding=400), view)
    worth = np.asarray(view.worth, np.float64)
    optimum = worth[linear_sum_assignment(worth, maximize=True)].sum()
    got, given = value(view, talked.decision), int(np.sum(np.asarray(talked.decision) >= 0))
    assert optimum - 0.1 * given <= got <= optimum + 1e-5
    assert got > 0.97 * optimum and not shared(talked.decision)
    assert float(talked.traffic.sent) == 2 * 40


@pytest.fixture(scope="module")
def patterns():
    """100 crowds of 8 with 8 places, and what is lost in three rounds."""
    draw = np.random.default_rng(3)
    worth = draw.uniform(0.1, 1.5, (100, 8, 8)) * (draw.random((100, 8, 8)) < 0.7)
    views = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(outlook(table) for table in worth))
    slips, replies = draw.random((2, 100, 3, 8)) < 0.6
    slips[:20], replies[:20] = True, True
    return views, slips, replies


def by_hand(worth, slips, replies):
    """What the agents decide and who has what in the book."""
    clerk, to = Clerk(5, 0.1, 80), [None] * 8
    for slip, reply in zip(slips, replies, strict=True):
        sent = [
            (i, [(p, 0, w, np.float32(3)) for p, w in sorted(enumerate(worth[i]), key=lambda one: -one[1])], -1, -1)
            for i in range(8)
            if to[i] is None and slip[i]
        ]
        for (i, *_), (place, _, _) in zip(sent, clerk.hand_out(0, sent), strict=True):
            if reply[i]:
                to[i] = place
    return [-1 if place is None else place for place in to], [clerk.row(p)["owner"] for p in range(8)]


def disagreements(patterns, bug=0):
    views, slips, replies = patterns
    decided, owner = map(np.asarray, under(central(8, 8, places=1, bug=bug), *patterns))
    twins = [by_hand(np.asarray(views.worth[b]), slips[b], replies[b]) for b in range(100)]
    return sum(to != d.tolist() or book != o.tolist() for (to, book), d, o in zip(twins, decided, owner, strict=True))


def test_decisions_and_books_are_the_clerks_whatever_is_lost(patterns):
    assert disagreements(patterns) == 0


@pytest.mark.parametrize("bug", BUGS[1:4])
def test_the_clerk_finds_that(bug, patterns):
    assert disagreements(patterns, BUGS.index(bug)) > 0


def test_one_centre_never_sends_two_to_one_task():
    view, protocol = outlook([[1.0, 0.4], [0.9, 0.8], [0.7, 0.3]]), central(3, 2, rounds=2)
    for batch in every_pattern(2, 3):
        decided, owner = map(np.asarray, under(protocol, view, *batch))
        assert not shared(decided).any()
        told = np.take_along_axis(owner, np.maximum(decided, 0), axis=1) == np.arange(3)
        assert np.all(told | (decided < 0))


# ----------------------------------------------------------------------------------------------------- many ticks


def days(protocol, view, here, loss=0.0):
    """Decisions [T, N] of agents who finish each task in the tick after it was ordered; `here` [T, N]; what is sent."""
    return _days(protocol, view, jnp.asarray(here), jnp.float32(loss))


@eqx.filter_jit
def _days(protocol, view, here, loss):
    ticks, n = here.shape
    key, fault = jax.random.key(2), Loss(share=loss)

    def tick(lasting, now):
        t, up = now
        own = jax.random.fold_in(key, t)
        fresh = view._replace(t=jnp.full(n, t), number=jnp.full(view.number.shape, t))
        talked = comms.converse(own, own, protocol, lasting, fresh, None, fault, (), None, n, t, up)
        return talked.lasting, (jnp.where(up, talked.decision, -1), talked.traffic.sent)

    return jax.lax.scan(tick, comms.boot(key, protocol, n), (jnp.arange(ticks), here))[1]


def worked(here, loss=0.0, **more):
    """How many have an order in each tick; 8 agents, 8 places, each task new in each tick."""
    decided, _ = days(central(8, 8, **more), geography(5, 8)._replace(open=jnp.ones((8, 8), bool)), here, loss)
    return np.sum(np.asarray(decided) >= 0, axis=1)


HERE = np.ones((30, 8), bool)
DEAD = HERE.copy()
DEAD[10:, 0] = False  # the centre's host
BACK = DEAD.copy()
BACK[22:, 0] = True


def test_the_standby_takes_over_after_the_lease():
    calm, dead = worked(HERE), worked(DEAD)
    assert np.all(calm == calm[0]) and calm[0] >= 5
    np.testing.assert_array_equal(dead[:10], calm[:10])
    assert np.all(dead[10:15] == 0), "silence has to last for the lease"
    assert np.all(dead[15:] >= calm[0] - 1), "and then the standby orders all but the one who fell"


def test_a_standby_on_the_host_that_fell_is_none():
    assert np.all(worked(DEAD, bug=BUGS.index("no standby"))[10:] == 0)


def test_the_centre_is_believed_again_when_it_is_heard():
    assert worked(BACK)[-1] == worked(HERE)[-1]
    decided, _ = days(central(8, 8), geography(5, 8), BACK)
    assert not shared(np.asarray(decided)[24:]).any()


@pytest.mark.slow
def test_tries_make_up_for_loss():
    calm, once, thrice = worked(HERE), worked(HERE, 0.3, bug=BUGS.index("nobody tries again")), worked(HERE, 0.3)
    assert once.mean() < 0.6 * calm.mean() < 0.75 * calm.mean() < thrice.mean()
    assert np.all(worked(HERE, 1.0) == 0)


def naive(here):
    """One try, no standby, room for two answers, and nobody acts alone."""
    made = CENTRAL_NAIVE.make(site(8, 8, budget=4))
    assert (made.rounds, made.places, made.capacity, int(made.alone_after)) == (1, 1, 2, NEVER)
    bare = central(8, 8, rounds=1, places=1, capacity=2, alone_after=made.alone_after)
    return map(np.asarray, days(bare, geography(5, 8), here))


def test_without_standby_nothing_is_served_after_the_crash():
    ordered = np.sum(next(naive(DEAD)) >= 0, axis=1)
    assert np.all(ordered[:10] > 0) and np.all(ordered[10:] == 0)


def test_a_small_budget_serves_few_and_all_in_turn():
    decided, sent = naive(HERE)
    ordered = decided >= 0
    assert ordered.sum(1).max() <= 2 and np.all(sent == 8 + 2)
    assert np.all(ordered[:, ordered.any(0)].sum(0) >= 2) and ordered.any(0).sum() >= 6


def test_the_budget_is_dealt_out_to_the_tries():
    assert make(site(20, 10, budget=12, tries=3)).capacity == 2
    assert make(site(20, 10, budget=0)).capacity == 20 and make(site(20, 10, budget=999)).capacity == 20
    naive = CENTRAL_NAIVE.make(site(20, 10, budget=12))
    assert (naive.places, naive.rounds, naive.capacity) == (1, 1, 6)
    with pytest.raises(Refusal, match="at least 6"):
        make(site(20, 10, budget=5, tries=3))
    with pytest.raises(Refusal, match="places is 3"):
        central(3, 2, places=3)
    with pytest.raises(Refusal, match="alone_after"):
        central(3, 2, alone_after=0)
    assert int(make(site(20, 10, alone_after=7)).alone_after) == 7


def test_one_agent_alone_orders_itself():
    for place, goes in ((0, 0), (-1, -1)):
        assert int(talk(CENTRAL.make(site(1, 1)), outlook([[1.0]], place=[[place]])).decision[0]) == goes


# ---------------------------------------------------------------------------------------------------------- alone

WAY, WORK, TICKS = 3, 2, 60


class Walker:
    """One agent with a place of its own, where a task follows the other: the way, the work, and what it has heard."""

    def __init__(self, after):
        self.after, self.number, self.left, self.work = after, 0, 0, 0
        self.trip, self.task, self.silent, self.told, self.begun = None, -1, 0, True, -1

    def dawn(self, gone):
        """What it is shown: heading (-1 or 0), the task, ways left, whether that is there still, serving, served."""
        served = self.work == 1
        if self.work:
            self.work -= 1
        elif self.trip:
            self.left -= 1
            if self.task == self.number and self.left == 0:
                self.work, self.told, self.begun = WORK, False, self.number
        if served:
            self.trip, self.number = None, self.number + 1
        self.number += gone and not self.work
        heads = self.trip is not None and not self.work
        shown = (0 if heads else -1, self.task, self.left, heads and self.task == self.number)
        return (*shown, 0 if self.work else -1, 0 if served else -1)

    def tick(self, answered):
        """Where it heads, and whether that is its own way."""
        if self.trip and not self.work and self.task != self.number:
            self.trip = None
        asks = self.trip is None
        if asks or (self.trip == "alone" and self.work and not self.told):
            self.silent = 0 if answered else self.silent + 1
            self.told |= answered
            if asks and (answered or self.silent >= self.after):
                self.trip, self.task, self.left = "order" if answered else "alone", self.number, WAY
        return 0 if self.trip and not self.work else -1, self.trip == "alone"


def walks(bug=0, after=3, n=8):
    """In how many ticks of agents what the mechanism and what the walkers do differ; how many trips were their own."""
    draw = np.random.default_rng(8)
    slips, replies = draw.random((2, TICKS, 2, n)) < 0.45
    gone = draw.random((TICKS, n)) < 0.05
    protocol = central(n, n, rounds=2, places=1, options=1, alone_after=after, bug=bug)
    me, walkers = np.arange(n), [Walker(after) for _ in range(n)]
    lasting, wrong, own = comms.boot(jax.random.key(0), protocol, n), 0, 0
    view = outlook(np.ones((n, 1)), me[:, None])
    for t in range(TICKS):
        heading, task, left, valid, serving, served = np.transpose(
            [walker.dawn(lost) for walker, lost in zip(walkers, gone[t], strict=True)]
        )
        view = view._replace(
            number=jnp.array([[walker.number] for walker in walkers]),
            eta=jnp.full((n, 1), float(WAY)),
            open=jnp.asarray(serving[:, None] < 0),
            free=jnp.asarray(serving < 0),
            heading=jnp.where(heading < 0, -1, me),
            task=jnp.asarray(task),
            left=jnp.asarray(left, jnp.float32),
            valid=jnp.asarray(valid > 0),
            serving=jnp.where(serving < 0, -1, me),
            served=jnp.where(served < 0, -1, me),
            t=jnp.full(n, t),
        )
        decided, lasting = one_tick(protocol, lasting, view, slips[t], replies[t], jnp.int32(t))
        answered = (slips[t] & replies[t]).any(0)
        place, alone = np.transpose([walker.tick(came) for walker, came in zip(walkers, answered, strict=True)])
        closed = np.asarray(lasting.places.ledger.until[0] == FOREVER)
        wrong += np.sum(np.asarray(decided) != np.where(place < 0, -1, me))
        wrong += np.sum(np.asarray(lasting.nodes.alone) != (alone > 0))
        begun = np.array([one.trip == "alone" and one.work > 0 and one.told for one in walkers])
        wrong += np.sum(begun & ~closed)
        own += np.sum((alone > 0) & (place >= 0) & (heading < 0))
    return int(wrong), int(own)


@eqx.filter_jit
def one_tick(protocol, lasting, view, slips, replies, t):
    key = jax.random.key(0)
    n = view.t.shape[0]
    talked = comms.converse(key, key, protocol, lasting, view, None, Pattern(slips, replies), (), None, n, t)
    return talked.decision, talked.lasting


def test_who_gets_no_answer_acts_alone_as_the_walker_does():
    for after in (1, 3):
        wrong, own = walks(after=after)
        assert wrong == 0 and own > 10
    assert walks(after=NEVER) == (0, 0)


@pytest.mark.parametrize("bug", BUGS[5:])
def test_the_walker_finds_that(bug):
    assert walks(BUGS.index(bug))[0] > 0


def test_alone_they_choose_as_alone_does():
    """Seven of eight have the same best place, the eighth sees nothing; "nothing for you" is an answer."""
    worth = np.zeros((8, 8))
    worth[:7, :3], worth[:7, 1] = 0.5, 0.9
    lost, calm = (
        days(central(8, 8, alone_after=after), outlook(worth), HERE, loss)[0] for after, loss in ((2, 1.0), (1, 0.0))
    )
    assert np.asarray(lost).tolist() == [[-1] * 8] + [[1] * 7 + [-1]] * 29
    assert not shared(calm).any() and np.all(np.sum(np.asarray(calm) >= 0, axis=1) == 3)


def test_alone_they_still_turn_to_the_standby():
    """Who is on its way alone listens: five silent ticks after the centre's fall all are the standby's."""
    walking = np.asarray(days(central(8, 8, alone_after=1), geography(5, 8), DEAD)[0])
    assert (walking[10:15] >= 0).any(1).all() and shared(walking[10:15]).any()
    assert not shared(walking[15:]).any()


# -------------------------------------------------------------------------------------------------------- a fleet


def worth_served(step):
    return step.after.tallies.value_served, step.after.tallies.value_offered


def test_a_fleet_lives_on_after_its_centre():
    """150 agents on a plane; the centre's host falls at tick 20, 29 others with it."""
    world = fleet.rolling(num_agents=150, options=16)
    order = np.arange(150.0)[::-1].copy()
    order[1] = -1  # the standby's host stays

    def share(loss, fallen, since, to, **more):
        protocol = Central(agents=150, tasks=world.num_actions, capacity=150, **more)
        fault = Chain(faults=(Loss(share=loss), Crash(share=fallen, at=20, order=order, first=True)))
        scenario = Scenario(world=world, learner=Deferring(), commit=protocol, fault=fault)
        served, offered = (
            np.asarray(leaf)[:, 0] for leaf in run(start(jax.random.key(1), scenario), scenario, 45, worth_served)[1]
        )
        return (served[to] - served[since]) / (offered[to] - offered[since])

    calm, lossy = share(0.0, 0.0, 12, 44), share(0.3, 0.0, 12, 44)
    assert calm > 0.86 and abs(calm - lossy) < 0.03
    assert share(0.0, 0.2, 21, 25, alone_after=NEVER) < 0.4 < 0.7 < share(0.0, 0.2, 21, 25)
    assert share(0.0, 0.2, 31, 44) > 0.8


def test_a_centre_without_room_serves_as_much_as_agents_alone():
    """150 agents and room for four answers a round."""
    world = fleet.rolling(num_agents=150, options=16)

    def share(protocol):
        scenario = Scenario(world=world, learner=Deferring(), commit=protocol)
        served, offered = (
            np.asarray(leaf)[:, 0] for leaf in run(start(jax.random.key(1), scenario), scenario, 45, worth_served)[1]
        )
        return (served[44] - served[12]) / (offered[44] - offered[12])

    alone, (often, never) = (
        share(Alone()),
        (share(Central(agents=150, tasks=world.num_actions, capacity=4, alone_after=n)) for n in (1, NEVER)),
    )
    assert often > alone - 0.02 and often > never + 0.2
