"""Bundles: Table I row by row, equal to the sequential greedy assignment in time, and what lasts from tick to tick."""

import itertools
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Inbox
from quorate.errors import Refusal
from quorate.protocols.bundles import Bundles, Known, Word, table
from quorate.testing import check_protocol
from tests import outlooks
from tests.proof import later
from tests.protocols.test_cbba import Dropped, ticks

AGENTS, TASKS, DISCOUNT = 6, 8, np.float32(0.8)
ROUNDS = TASKS * (AGENTS - 1)  # enough on a path, the widest graph
COMPLETE = jnp.asarray(np.tile(np.arange(AGENTS, dtype=np.int32), (AGENTS, 1)))


# ------------------------------------------------------------------------------------------------ the greedy assignment


@eqx.filter_jit
def talks(protocol, views, real, heard):
    """The bundles [S, 2, N, L] after each of two ticks, for each instance."""

    def one(views, real, heard):
        key, links = jax.random.key(0), comms.Neighbours(COMPLETE, real)

        def tick(lasting, view):
            talked = comms.converse(key, key, protocol, lasting, view, links, Dropped(heard), (), None, AGENTS)
            return talked.lasting, talked.lasting.place

        return jax.lax.scan(tick, comms.boot(key, protocol, AGENTS), views)[1]

    return jax.vmap(one)(views, real, heard)


@cache
def instance(seed, loss=0.0, rounds=None):
    """Worths [N, M], the views of all in two ticks, between which worths are drawn anew, a connected graph, and what is
    heard: all of the first tasks x diameter rounds, or of `rounds`, but for the loss. Each has its options in another
    order. With even seeds half of the agents are not free and only pass on what they hear, so that not all tasks are
    taken."""
    rng = np.random.default_rng(seed)
    worth = rng.uniform(0.1, 1, (AGENTS, TASKS)).astype(np.float32)
    real = np.eye(AGENTS, dtype=bool)
    tree = [(i, int(rng.integers(i))) for i in range(1, AGENTS)]
    for i, j in [*tree, *rng.integers(AGENTS, size=(rng.integers(5), 2)).tolist()]:
        real[i, j] = real[j, i] = True
    reach, diameter = real, 1
    while not reach.all():
        reach, diameter = reach @ real, diameter + 1
    order = rng.permuted(np.tile(np.arange(TASKS), (AGENTS, 1)), axis=1)
    free = rng.permutation(AGENTS) < (AGENTS if seed % 2 else AGENTS // 2)
    view = outlooks.outlook(order, np.take_along_axis(worth, order, axis=1), free=jnp.asarray(free))
    worth[~free] = -np.inf
    later = view._replace(worth=jnp.asarray(rng.uniform(0.1, 1, order.shape), jnp.float32), t=view.t + 1)
    lasts = TASKS * diameter if rounds is None else rounds
    heard = (np.arange(ROUNDS) < lasts)[:, None, None] & (rng.random((ROUNDS, AGENTS, AGENTS)) >= loss)
    return worth, (jax.tree.map(lambda *leaves: np.stack(leaves), view, later), real, heard)


def bundles(protocol, **how):
    """The worths of 100 instances, and the bundles [S, 2, N, L] after each tick."""
    worths, given = zip(*(instance(seed, **how) for seed in range(100)), strict=True)
    views, real, heard = jax.tree.map(lambda *leaves: np.stack(leaves), *given)
    return worths, np.asarray(talks(protocol, views, real, heard))


def greedy(worth, length):
    """The largest gain of all first, and so on: the bundle of each agent, filled up with -1."""
    found, left = [[] for _ in range(AGENTS)], set(range(TASKS))
    while wishes := [
        (worth[i, j] * DISCOUNT ** np.float32(len(found[i])), i, j)
        for i in range(AGENTS)
        for j in left
        if len(found[i]) < length and worth[i, j] > 0
    ]:
        _, i, j = max(wishes)
        found[i].append(j)
        left.discard(j)
    return [tasks + [-1] * (length - len(tasks)) for tasks in found]


def conflicts(found) -> int:
    """In how many instances two have one task."""
    return sum(len(set(tasks)) < len(tasks) for one in found for tasks in [one[one >= 0].tolist()])


def differs(protocol, **how) -> bool:
    worths, found = bundles(protocol, **how)
    return any(one.tolist() != greedy(worth, protocol.bundle) for worth, one in zip(worths, found[:, 0], strict=True))


def plan(bundle, kind=Bundles):
    return kind(agents=AGENTS, options=TASKS, bundle=bundle, rounds=ROUNDS, discount=DISCOUNT)


@pytest.mark.parametrize("bundle", [2, *later(1, 3)])
def test_it_is_the_greedy_assignment_within_tasks_times_diameter_rounds(bundle):
    """A bundle of one is what `Cbba` comes to."""
    assert not differs(plan(bundle))


@pytest.mark.parametrize("bundle", [2, *later(3)])
def test_with_loss_it_gets_there_in_the_end(bundle):
    """At 30 in 100 lost, also from what is left of another tick; after three rounds most are in conflict still."""
    worths, found = bundles(plan(bundle), loss=0.3, rounds=ROUNDS)
    assert conflicts(found[:, 0]) == conflicts(found[:, 1]) == 0
    assert found[:, 0].tolist() == [greedy(worth, bundle) for worth in worths]
    assert conflicts(bundles(plan(bundle), loss=0.3, rounds=3)[1][:, 0]) > 50


@pytest.mark.parametrize("bundle", [2, *later(3)])
def test_bids_that_fall_leave_no_conflict_and_no_task(bundle):
    """The second tick starts with bundles made for other worths. Where all are free there are more slots than tasks."""
    found = bundles(plan(bundle), rounds=ROUNDS)[1][:, 1]
    assert conflicts(found) == 0
    assert all(set(range(TASKS)) <= set(one.ravel().tolist()) for one in found[1::2])


class Clinging(Bundles):
    """Keeps what it added after a lost task."""

    def release(self, known, bundle, lost, me):
        first = jnp.argmax(lost)
        moved = jnp.where(jnp.arange(self.bundle) < first, bundle, jnp.append(bundle[1:], -1))
        return known, jnp.where(jnp.any(lost), moved, bundle)


class Deaf(Bundles):
    """Believes only what agents say of themselves."""

    def learn(self, known, said, fresh, me, sender):
        own = said.stamp[:, sender]
        return super().learn(
            known, said._replace(stamp=jnp.full_like(said.stamp, -1).at[:, sender].set(own)), fresh, me, sender
        )


class Credulous(Bundles):
    """Takes every word for the newest."""

    def learn(self, known, said, fresh, me, sender):
        after = super().learn(known._replace(stamp=jnp.full_like(known.stamp, -2)), said, fresh, me, sender)
        return after._replace(stamp=known.stamp)


@pytest.mark.parametrize("bug", [Clinging, *later(Deaf, Credulous)])
def test_the_greedy_assignment_catches(bug):
    assert differs(plan(2, bug))


# -------------------------------------------------------------------------------------------------------------- Table I

ME, SENDER, THIRD, FOURTH, NOBODY = 0, 1, 2, 3, -1
# (whom the sender believes, whom the receiver believes) -> what it does, given whether the bid is higher, whether the
# sender has newer word of m (whom the receiver believes) and of n (whom the sender believes), and older word of n.
RULES = {
    (SENDER, ME): lambda higher, **_: "update" if higher else "leave",
    (SENDER, SENDER): lambda **_: "update",
    (SENDER, THIRD): lambda higher, of_m, **_: "update" if of_m or higher else "leave",
    (SENDER, NOBODY): lambda **_: "update",
    (ME, ME): lambda **_: "leave",
    (ME, SENDER): lambda **_: "reset",
    (ME, THIRD): lambda of_m, **_: "reset" if of_m else "leave",
    (ME, NOBODY): lambda **_: "leave",
    (THIRD, ME): lambda higher, of_n, **_: "update" if of_n and higher else "leave",
    (THIRD, SENDER): lambda of_n, **_: "update" if of_n else "reset",
    (THIRD, THIRD): lambda of_n, **_: "update" if of_n else "leave",
    (FOURTH, THIRD): lambda higher, of_m, of_n, older_n: (
        "update" if of_n and (of_m or higher) else "reset" if of_m and older_n else "leave"
    ),
    (THIRD, NOBODY): lambda of_n, **_: "update" if of_n else "leave",
    (NOBODY, ME): lambda **_: "leave",
    (NOBODY, SENDER): lambda **_: "update",
    (NOBODY, THIRD): lambda of_m, **_: "update" if of_m else "leave",
    (NOBODY, NOBODY): lambda **_: "leave",
}


def test_table_one():
    """Every row, with all orders of the two bids and of the times of the third and the fourth."""
    cases = list(itertools.product(RULES, (1.0, 3.0), (4, 5, 6), (4, 5, 6)))
    size = len(cases)
    pair, bid, third, fourth = ([case[i] for case in cases] for i in range(4))
    place = jnp.zeros(size, jnp.int32)
    theirs, ours = jnp.array(pair, jnp.int32).T
    times = jnp.full((size, 4), 5, jnp.int32)
    known = Known(place, place, jnp.where(ours < 0, 0.0, 2.0), ours, times)
    newer = times.at[:, THIRD].set(jnp.array(third)).at[:, FOURTH].set(jnp.array(fourth))
    said = Known(place, place, jnp.where(theirs < 0, 0.0, jnp.array(bid)), theirs, newer)
    update, reset = table(known, said, jnp.int32(ME), jnp.int32(SENDER))
    does = np.where(update, "update", np.where(reset, "reset", "leave")).tolist()
    for (who, level, *at), done in zip(cases, does, strict=True):
        mine = {THIRD: at[0], FOURTH: at[1]}
        newest = [mine.get(other, 5) for other in who[::-1]]
        facts = {"higher": level > 2, "of_m": newest[0] > 5, "of_n": newest[1] > 5, "older_n": newest[1] < 5}
        assert done == RULES[who](**facts), (who, level, at)
    assert not np.any(update & reset)


# --------------------------------------------------------------------------------------------- lists that are not equal

DIAMOND = comms.from_edges(4, [(0, 1), (0, 2), (1, 3), (2, 3)])


def last_says():
    """Agents 0 and 3 want task 0 and hear of each other through 1, who has that option too, and 2, who has not."""
    view = outlooks.outlook([[0], [0], [7], [0]], [[0.5], [0.1], [0.1], [0.9]])
    return jax.tree.map(lambda leaf: leaf[None], view)


class OneClock(Bundles):
    """Keeps one time for each agent, whatever the task."""

    def receive(self, key, ballot, inbox):
        newest = jnp.max(inbox.payload.known.stamp, axis=(0, 1))
        stamp = jnp.maximum(ballot.known.stamp, jnp.where(jnp.any(inbox.heard), newest, -1)[None])
        return super().receive(key, ballot._replace(known=ballot.known._replace(stamp=stamp)), inbox)


@pytest.mark.parametrize(("kind", "decided"), [(Bundles, [-1, -1, 7, 0]), *later((OneClock, [0, -1, 7, 0]))])
def test_word_through_who_has_not_that_option_is_no_word_of_it(kind, decided):
    protocol = kind(agents=4, options=1, bundle=2, rounds=3)
    heard = jnp.ones((3, *DIAMOND.index.shape), bool)
    lasting = comms.boot(jax.random.key(0), protocol, 4)
    assert ticks(protocol, lasting, last_says(), DIAMOND, Dropped(heard))[0].tolist() == [decided]


# ---------------------------------------------------------------------------------------------------- from tick to tick


PAIR = comms.ring(2)
ALONE = comms.Neighbours(PAIR.index, PAIR.real & (PAIR.index == jnp.arange(2)[:, None]))
TICKS = np.arange(8)[:, None]
FIRST = np.array([[True, False]])


def pair(kind=Bundles):
    return kind(agents=2, options=3, bundle=2, rounds=2, lease=3)


def decisions(worth, open_=True, lasting=None, links=PAIR, kind=Bundles, **changes):
    """What two agents decide in eight ticks, at places 4, 5, 6 of these worths [N, K] or [T, N, K]; changes [T, N]."""
    protocol = pair(kind)
    worth = np.broadcast_to(worth, (len(TICKS), 2, 3))
    view = outlooks.outlook([[4, 5, 6]] * 2, worth[0])
    views = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(TICKS)), view)
    open_ = jnp.asarray(views.open & open_ & (worth > 0))
    worth = jnp.where(open_, jnp.asarray(worth, jnp.float32), 0)
    views = views._replace(t=jnp.asarray(TICKS + [[0, 0]], jnp.int32), open=open_, worth=worth)
    views = views._replace(**{name: jnp.asarray(value, getattr(views, name).dtype) for name, value in changes.items()})
    lasting = comms.boot(jax.random.key(0), protocol, 2) if lasting is None else lasting
    heard = Dropped(jnp.ones((2, *PAIR.index.shape), bool))
    return ticks(protocol, lasting, views, links, heard)[0].tolist()


def test_who_is_on_its_way_is_not_outbid():
    """The first agent has won place 4 before."""
    lasting = comms.boot(jax.random.key(0), pair(), 2)
    lasting = lasting._replace(place=lasting.place.at[0, 0].set(4), number=lasting.number.at[0, 0].set(0))
    goes = np.where(FIRST & (TICKS >= 0), [4, -1], -1)
    worth = [[0.5, 0.0, 0.0], [0.9, 0.0, 0.0]]
    way = {"heading": goes, "task": np.minimum(goes, 0), "valid": goes >= 0, "left": np.where(goes >= 0, 5.0, 0.0)}
    assert decisions(worth, lasting=lasting, **way) == [[4, -1]] * 8
    assert decisions(worth) == [[-1, 4]] * 8


def test_bids_are_forgotten_a_lease_after_the_last_word():
    """The second agent heard in tick 0 that the first bids more, and nothing since."""
    lasting = comms.boot(jax.random.key(0), pair(), 2)
    known = lasting.known
    known = known._replace(
        place=known.place.at[1, 0].set(4),
        number=known.number.at[1, 0].set(0),
        bid=known.bid.at[1, 0].set(0.9),
        winner=known.winner.at[1, 0].set(0),
        stamp=known.stamp.at[1, 0, 0].set(0),
    )
    worth = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
    found = decisions(worth, lasting=lasting._replace(known=known), links=ALONE)
    assert found == [[-1, -1]] * 4 + [[-1, 4]] * 4
    linked = decisions(worth, lasting=lasting._replace(known=known))
    assert linked == [[-1, 4]] * 8  # the first says that it has it not


class Greater(Bundles):
    """Goes by the higher bid alone, as with one task each."""

    def learn(self, known, said, fresh, me, sender):
        more = (said.winner >= 0) & ((said.bid > known.bid) | (known.winner < 0)) & fresh
        return known._replace(
            bid=jnp.where(more, said.bid, known.bid), winner=jnp.where(more, said.winner, known.winner)
        )


@pytest.mark.parametrize(("kind", "then"), [(Bundles, [-1, 4]), *later((Greater, [4, -1]))])
def test_a_bid_that_falls_is_believed(kind, then):
    """The first bids .9 in tick 0, and from tick 1 on .2; the second bids .5."""
    worth = np.zeros((8, 2, 3))
    worth[:, :, 0] = np.where(TICKS > 0, [0.2, 0.5], [0.9, 0.5])
    assert decisions(worth, kind=kind)[:2] == [[4, -1], then]


def test_the_rest_of_the_bundle_is_next():
    """It plans 4 before 5, serves 4 while it keeps 5 from the other, then goes there, though 6 is worth more by now."""
    way, serves = FIRST & (TICKS == 1), FIRST & (TICKS == 2)
    found = decisions(
        [[0.9, 0.8, 1.0], [0.0, 0.5, 0.0]],
        open_=np.stack([TICKS < 2, TICKS >= 0, TICKS >= 3], axis=-1),
        heading=np.where(way, 4, -1),
        task=np.where(way | serves, 0, -1),
        valid=way,
        left=np.where(way, 2.0, 0.0),
        serving=np.where(serves, 4, -1),
        free=~serves,
    )
    assert found[:4] == [[4, -1], [4, -1], [-1, -1], [5, -1]]


def test_an_older_word_after_a_newer_one_is_dropped():
    """As with mail that is delayed: the sender bid .9 at time 5 and took it back at time 6, and 6 arrives first."""
    protocol = pair()

    @jax.jit
    def after(times):
        state = protocol.boot(jax.random.key(0), jnp.int32(0))
        view = jax.tree.map(lambda leaf: leaf[0], outlooks.outlook([[0, 1, 2]] * 2, [[0.5, 0, 0]] * 2))
        ballot = protocol.propose(jax.random.key(0), state, view)
        known = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), ballot.known)
        bids = (times == 5)[:, None] & jnp.array([[True, False, False, False]])
        known = known._replace(
            bid=jnp.where(bids, 0.9, 0).astype(jnp.float32),
            winner=jnp.where(bids, 1, -1).astype(jnp.int32),
            stamp=jnp.full((2, 4, 2), -1, jnp.int32),
        )
        inbox = Inbox(Word(known, times), jnp.array([1, 1]), jnp.array([True, True]), jnp.uint32(0))
        return protocol.receive(jax.random.key(0), ballot, inbox).bundle[0]

    assert [int(after(jnp.array(times))) for times in ([6, 5], [5, 6], [5, 5])] == [0, 0, -1]


def test_promises():
    check_protocol(Bundles(agents=4, options=3, rounds=1), outlooks.random(0, 4, 6, 3))


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"agents": 0}, "agents is 0"),
        ({"agents": 1001}, "agents is 1001; bundles are for at most 1000"),
        ({"bundle": 0}, "bundle is 0"),
        ({"lease": -1}, "lease is -1"),
        ({"discount": 0.0}, "discount is 0.0"),
        ({"discount": 1.1}, "it must be above 0 and at most 1"),
    ],
)
def test_refusals(wrong, line):
    with pytest.raises(Refusal, match=line):
        Bundles(**{"agents": 4, "options": 3} | wrong)
