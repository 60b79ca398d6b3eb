"""Saboteurs: each kind against an obvious twin, and nothing where it is off."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Board, Mail, Outlook, Posts
from quorate.errors import Refusal
from quorate.faults import KINDS, Chain, Loss, Saboteurs, saboteurs
from quorate.protocols.cbba import Cbba
from quorate.protocols.hierarchy import Answer
from quorate.protocols.orders import Order
from tests.protocols import desks

N, M, P, K = 6, 5, 3, 4
ORDER = np.array([0, 9, 1, 8, 2, 7], np.float32)  # a half by this order: 1, 3 and 5
BAD = ORDER > 5
BOARD = Board(jnp.int32(0), jnp.int32(0), M, True)
KEY = jax.random.key(4)


class Body(NamedTuple):
    worth: jax.Array
    number: jax.Array


def posts(**changes):
    random = np.random.default_rng(0)
    live = random.random((N, P)) < 0.6
    live[0] = True
    worth = random.random((N, P, 2)).astype(np.float32) * (random.random((N, P, 2)) < 0.7)
    given = Posts(
        jnp.asarray(random.integers(0, M, (N, P)), jnp.int32),
        jnp.asarray(live),
        amount=jnp.asarray(random.normal(size=(N, P)), jnp.float32),
        bid=jnp.asarray(random.normal(size=(N, P)), jnp.float32),
        body=Body(jnp.asarray(worth), jnp.arange(N * P, dtype=jnp.int32).reshape(N, P)),
    )
    return given._replace(**changes)


def band(**changes):
    """The fault and its state once it has begun."""
    fault = Saboteurs(**{"share": 0.5, "order": ORDER, "first": True, **changes})
    return fault, fault.update(None, fault.reset(jax.random.key(0), N), jnp.int32(99))


def same(one, other, where=slice(None)):
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a)[where], np.asarray(b)[where]), one, other)


def outlook(**changes):
    random = np.random.default_rng(1)
    place = np.stack([random.permutation(M)[:K] for _ in range(N)]).astype(np.int32)
    given = {name: np.zeros(N, np.int32) for name in Outlook._fields} | {
        "place": place,
        "worth": random.random((N, K)).astype(np.float32),
        "open": random.random((N, K)) < 0.7,
        "number": place + 10,
        "eta": np.ones((N, K), np.float32),
        "left": np.zeros(N, np.float32),
        "free": np.ones(N, bool),
        "heading": np.full(N, -1, np.int32),
        "task": np.full(N, -1, np.int32),
        "valid": np.zeros(N, bool),
    }
    return Outlook(**jax.tree.map(jnp.asarray, given | changes))


@eqx.filter_jit
def posted(key, fault, state, given, by_mail=True):
    return fault.on_post(key, state, given, BOARD._replace(by_mail=by_mail))[1]


# ------------------------------------------------------------------------------------------------------------ who, when


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_exact_counts_and_when_they_begin(share):
    fault = Saboteurs(share=share, at=3, lie=1.0)
    state = fault.reset(KEY, 50)
    assert int(state.members.sum()) == round(50 * share)
    now = [fault.report(fault.update(None, state, jnp.int32(t))) for t in range(5)]
    assert [int(who.sum()) for who in now] == [0, 0, 0, round(50 * share), round(50 * share)]
    assert band()[1].now.tolist() == BAD.tolist()


def every(**changes):
    strengths = {kind.name: kind.strength for kind in KINDS}
    return {**strengths, "silent": 0.3, "hosts": np.arange(M), **changes}


def answers():
    """Replies of cells, and of those that nobody leads (-1), to each of N P slips."""
    random = np.random.default_rng(3)
    orders = Order(*(jnp.asarray(random.integers(0, M, (N, P)), jnp.int32) for _ in Order._fields))
    leader = jnp.asarray(random.integers(-1, N, (N, P)), jnp.int32)
    return Answer(orders, leader.at[1, 0].set(1).at[2, 0].set(3), jnp.asarray(random.random((N, P)) < 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [every(share=0.0), every(at=100), {kind.name: 0.0 for kind in KINDS}])
def test_what_is_off_changes_nothing(changes):
    """No share, not yet begun, or all strengths 0: every bit stays, of views, actions, slips and notices."""
    fault, state = band(**changes)
    given, seen = posts(), outlook()
    state, out = fault.on_observe(KEY, state, seen)
    same(seen, out)
    actions = jnp.arange(N, dtype=jnp.int32)
    state, out = fault.on_act(KEY, state, actions, actions * 0 - 1)
    same(actions, out)
    state, out = fault.on_post(KEY, state, given, BOARD)
    same(given, out)
    state, *out = fault.on_notice(KEY, state, given.place, given.body, given.live, BOARD)
    same([given.body, given.live], out)
    state, *out = fault.on_notice(KEY, state, given.place, answers(), given.live, BOARD)
    same([answers(), given.live], out)
    same(seen, fault.on_observe(KEY, state, seen)[1])


@pytest.mark.slow
def test_one_program_for_every_kind():
    given, traces = posts(), []

    def out(strengths):
        traces.append(0)
        fault, state = band(**dict(zip([kind.name for kind in KINDS], strengths, strict=True)))
        return fault.on_post(KEY, state, given, BOARD)[1]

    settings = jnp.diag(jnp.array([kind.strength for kind in KINDS]))
    each = jax.tree.leaves(jax.jit(jax.vmap(out))(settings))
    for index, kind in enumerate(KINDS):
        alone = posted(KEY, *band(**{kind.name: kind.strength}), given)
        same(jax.tree.leaves(alone), [leaf[index] for leaf in each])
    assert len(traces) == 1


# ----------------------------------------------------------------------------------------------------- what they say


@pytest.mark.parametrize("kind", ["lie", "hog"])
def test_bids_and_worths_too_high(kind):
    (fault, state), given = band(**{kind: 1.5}), posts()
    out = posted(KEY, fault, state, given)
    bid, worth = np.asarray(given.bid), np.asarray(given.body.worth)
    np.testing.assert_array_equal(out.bid, np.where(BAD[:, None], bid + np.float32(1.5), bid))
    raised = np.where(BAD[:, None, None] & (worth != 0), worth + np.float32(1.5), worth)
    np.testing.assert_array_equal(out.body.worth, raised)
    same(given._replace(bid=out.bid, body=given.body._replace(worth=out.body.worth)), out)


def test_worths_are_raised_wherever_they_stand_in_a_slip():
    given = posts()
    nested = given._replace(body=(given.body, given.body.worth))
    fault, state = band(lie=1.5)
    told, flat = (fault.on_post(KEY, state, one, BOARD)[1] for one in (nested, given))
    same(told.body, (flat.body, given.body.worth))
    assert np.any(np.asarray(flat.body.worth) != np.asarray(given.body.worth))


def test_slips_without_bids_or_worths_are_left_alone():
    bare = Posts(posts().place, posts().live)
    fault, state = band(lie=1.0, hog=1.0, vandal=2.0)
    same(bare, posted(KEY, fault, state, bare))
    whole = bare._replace(bid=jnp.full((N, P), 2**24 + 1, jnp.int32))
    assert (posted(KEY, *band(forge=1.0, silent=1.0), whole).bid == 2**24 + 1).all()  # no lie, so not one bit less
    whole = bare._replace(bid=jnp.ones((N, P), jnp.int32))
    assert posted(KEY, fault, state, whole).bid[:, 0].tolist() == [1, 3, 1, 3, 1, 3]


def test_a_goal_of_its_own():
    (fault, state), seen = band(own_goal=2.0), outlook()
    _, out = fault.on_observe(KEY, state, seen)
    mine = BAD[:, None] & np.asarray(seen.open)
    same(seen.worth, out.worth, ~mine)
    assert (out.worth[mine] != seen.worth[mine]).all() and (out.worth[mine] >= 0).all() and (out.worth[mine] < 2).all()
    same(seen._replace(worth=out.worth), out)
    # The same place is worth the same to the same agent later on, wherever it stands in the list; to others it is not.
    turned = seen._replace(place=seen.place[:, ::-1], open=seen.open[:, ::-1], worth=seen.worth[:, ::-1])
    np.testing.assert_array_equal(fault.on_observe(KEY, state, turned)[1].worth[:, ::-1][mine], out.worth[mine])
    wide = jnp.broadcast_to(jnp.arange(2000, dtype=jnp.int32)[None], (N, 2000))
    ones = jnp.ones((N, 2000))
    own = {"place": wide, "worth": ones, "open": ones > 0, "number": wide, "eta": ones}
    worth = np.asarray(fault.on_observe(KEY, state, seen._replace(**own))[1].worth)[BAD] / 2
    assert np.abs(worth.mean(axis=1) - 0.5).max() < 5 / (12 * 2000) ** 0.5
    assert np.abs(np.corrcoef(worth)[~np.eye(3, dtype=bool)]).max() < 5 / 2000**0.5
    # Nothing where the world shows something else.
    other = jnp.ones((N, 2))
    assert fault.on_observe(KEY, state, other)[1] is other


def test_a_hog_stays_and_goes_on_claiming():
    fault, state = band(hog=2.0)
    place = jnp.broadcast_to(jnp.arange(K, dtype=jnp.int32)[None], (N, K))
    seen = outlook(place=place, number=place + 10, open=jnp.ones((N, K), bool), eta=place * 1.0 + 5)
    idle = jnp.full(N, -1, jnp.int32)
    state, out = fault.on_observe(KEY, state, seen)
    same(seen, out)  # nothing held yet
    state, moved = fault.on_act(KEY, state, jnp.array([0, 1, 2, 3, 0, -1]), idle)
    assert moved.tolist() == [0, -1, 2, -1, 0, -1]
    for _ in range(2):
        state, out = fault.on_observe(KEY, state, seen)
        assert out.heading.tolist() == [-1, 1, -1, 3, -1, -1] and out.task.tolist() == [-1, 11, -1, 13, -1, -1]
        assert out.valid.tolist() == [False, True, False, True, False, False]
        assert out.left.tolist() == [0, 6, 0, 8, 0, 0]  # and it does not get shorter
        state, _ = fault.on_act(KEY, state, jnp.array([0, 1, 2, 3, 0, -1]), idle)
    # The task of place 1 is gone, place 3 has a newer one: both are let go.
    number = seen.number.at[3, 3].add(1)
    state, out = fault.on_observe(KEY, state, seen._replace(open=seen.open.at[1, 1].set(False), number=number))
    assert out.heading.tolist() == [-1] * N and not out.valid.any() and state.held.tolist() == [-1] * N
    # Mechanism and world agree about who is no hog.
    state, _ = fault.on_act(KEY, state, jnp.array([0, 2, 2, 3, 0, 1]), idle)
    out = fault.on_observe(KEY, state, seen._replace(number=number))[1]
    assert out.heading.tolist() == [-1, 2, -1, 3, -1, 1] and out.task.tolist() == [-1, 12, -1, 14, -1, 11]
    whole = {"go": jnp.ones((N, 2))}
    assert fault.on_act(KEY, state, whole, {"go": jnp.zeros((N, 2))})[1]["go"][:, 0].tolist() == (~BAD * 1.0).tolist()


# ---------------------------------------------------------------------------------------------- what others hear of it


def drawn(times, once):
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(once))(jax.random.split(KEY, times)))


@pytest.mark.parametrize("chance", [0.4, 1.0])
def test_silence(chance):
    fault, state = band(silent=chance, hosts=[1, 0, -1, 5, 2])
    live, times = jnp.ones((N, P), bool), 3000
    place = jnp.broadcast_to(jnp.array([0, 2, 3], jnp.int32)[None], (N, P))
    given = Posts(place, live)

    def once(key):
        said = fault.on_post(jax.random.fold_in(key, 0), state, given, BOARD)[1].live
        return said, fault.on_notice(jax.random.fold_in(key, 1), state, place, (), live, BOARD)[2]

    said, heard = drawn(times, once)
    off = 5 * (chance * (1 - chance) / times) ** 0.5
    assert said[:, ~BAD].all() and np.abs(said[:, BAD].mean(axis=0) - (1 - chance)).max() <= off
    assert heard[:, :, 1].all() and np.abs(heard[:, :, [0, 2]].mean(axis=0) - (1 - chance)).max() <= off
    marks = BOARD._replace(by_mail=False)
    assert fault.on_notice(KEY, state, place, (), live, marks)[2].all()


class Bids(NamedTuple):
    bid: jax.Array
    winner: jax.Array


def mail():
    """Of six agents in a ring of three each, themselves included, and a slot of a talker from outside."""
    random = np.random.default_rng(3)
    sender = np.stack([np.arange(N), (np.arange(N) + 1) % N, (np.arange(N) - 1) % N, np.full(N, N)], axis=1)
    bid = random.random((N, 4, 5)).astype(np.float32) * (random.random((N, 4, 5)) < 0.6)
    said = Bids(jnp.asarray(bid), jnp.asarray(random.integers(-1, N, (N, 4, 5)), jnp.int32))
    return Mail(jnp.int32(0), (), jnp.asarray(sender, jnp.int32), said, jnp.asarray(sender != 2), ())


def theirs(given):
    """The slots of the band's words."""
    sender = np.asarray(given.sender)
    return np.where(sender < N, BAD[np.minimum(sender, N - 1)], False)


@pytest.mark.parametrize("kind", ["lie", "hog"])
def test_neighbours_are_told_of_bids_too_high(kind):
    fault, state = band(**{kind: 1.5})
    given = mail()
    _, said, heard = fault.on_deliver(KEY, state, given)
    same(heard, given.heard)
    same(said.winner, given.payload.winner)
    old, new, liar = np.asarray(given.payload.bid), np.asarray(said.bid), theirs(given)
    raised = liar[:, :, None] & (old != 0)
    np.testing.assert_array_equal(new[~raised], old[~raised])
    np.testing.assert_allclose(new[raised], old[raised] + 1.5, rtol=1e-6)
    assert raised.any() and (liar[:, :, None] & (old == 0)).any()


def test_neighbours_hear_nothing_of_the_silent():
    given = mail()
    for chance in (0.0, 1.0):
        fault, state = band(silent=chance)
        _, said, heard = fault.on_deliver(KEY, state, given)
        same(said, given.payload)
        np.testing.assert_array_equal(heard, np.asarray(given.heard) & ~(theirs(given) & (chance > 0)))


def test_a_neighbour_that_lies_keeps_everybody_away():
    """Three in a line, one task that each may have, worth most to the first. The last one, two links away, tells of
    more; what it hears of the others is true, so it leaves the task to them, and nobody has it."""
    lists = comms.Neighbours(
        jnp.array([[0, 1, 0], [0, 1, 2], [1, 2, 2]]), jnp.array([[1, 1, 0], [1, 1, 1], [1, 1, 0]]) > 0
    )
    view = desks.outlook([[0.9], [0.5], [0.4]])
    protocol, order = Cbba(options=1), jnp.array([0.0, 0.0, 1.0])

    def won(**more):
        fault = Saboteurs(share=1 / 3, order=order, first=True, **more)
        state = fault.update(None, fault.reset(KEY, 3), jnp.int32(0))
        lasting = comms.boot(KEY, protocol, 3)
        return comms.converse(KEY, KEY, protocol, lasting, view, lists, fault, state, None, 3).decision.tolist()

    assert won() == [0, -1, -1]
    assert won(lie=1.0) == [-1, -1, -1]
    assert won(silent=1.0) == [0, -1, -1], "who says nothing still hears that others bid more"


def test_forged_notices_are_those_of_other_places():
    """Chance forge x share of the band for each that could be swapped; each place says its own number."""
    fault, state = band(forge=0.8)
    random = np.random.default_rng(2)
    place = jnp.asarray(random.integers(0, M, (N, 2)), jnp.int32)
    heard = jnp.asarray(random.random((N, 2)) < 0.8)
    notice = {"place": place, "twice": jnp.stack([place, place], axis=-1)}
    times = 4000

    def once(key):
        _, said, came = fault.on_notice(key, state, place, notice, heard, BOARD)
        return said, came

    said, came = drawn(times, once)
    assert (came == np.asarray(heard)[None]).all() and (said["twice"] == said["place"][..., None]).all()
    swapped = said["place"] != np.asarray(place)[None]
    assert not swapped[:, ~np.asarray(heard)].any()
    expected = np.zeros((N, 2))
    for i in range(N):
        for w in range(2):
            others = [heard[j, w] and place[j, w] != place[i, w] for j in range(N) if j != i]
            expected[i, w] = heard[i, w] * 0.8 * 0.5 * np.mean(others)
    assert expected.max() > 0.2 and np.abs(swapped.mean(axis=0) - expected).max() < 5 * (0.25 / times) ** 0.5
    same(notice, fault.on_notice(KEY, state, place, notice, heard, BOARD._replace(by_mail=False))[1])


def test_one_agent_has_nobody_to_copy_from():
    fault = Saboteurs(share=1.0, forge=1.0, flood=1.0)
    state = fault.update(None, fault.reset(KEY, 1), jnp.int32(0))
    notice = jnp.array([[3, 4]])
    same(notice, fault.on_notice(KEY, state, notice, notice, jnp.ones((1, 2), bool), BOARD)[1])


def test_flood():
    (fault, state), given = band(flood=2.0), posts()
    out = posted(KEY, fault, state, given)
    same(given, out, ~BAD)
    live, bid, amount = np.asarray(given.live), np.asarray(given.bid), np.asarray(given.amount)
    assert out.live[BAD].all()
    np.testing.assert_array_equal(out.bid[BAD], np.float32(max(bid[live].max(), 0) + 2))
    np.testing.assert_array_equal(out.amount[BAD], np.float32(2) * np.abs(amount[live]).max())
    # Each row is that of another agent, the same distance on.
    source = np.asarray(out.body.number)[:, 0][BAD] // P
    assert len({(i - j) % N for i, j in zip(np.flatnonzero(BAD), source, strict=True)} - {0}) == 1
    copied = live[source]
    same(np.asarray(given.place)[source][copied], np.asarray(out.place)[BAD][copied])
    assert (out.place >= 0).all() and (out.place < M).all()
    places = drawn(2000, lambda key: fault.on_post(key, state, Posts(given.place, given.live & False), BOARD)[1].place)
    counts = np.bincount(places[:, BAD].ravel(), minlength=M)
    assert len(counts) == M and np.abs(counts / counts.sum() - 1 / M).max() < 5 * (0.16 / counts.sum()) ** 0.5


def test_vandals():
    """Amounts of either sign at random places; whole numbers and truth values stay what they are."""
    amount = {"mark": posts().amount, "count": jnp.arange(N * P).reshape(N, P), "yes": jnp.zeros((N, P), bool)}
    (fault, state), given = band(vandal=3.0), posts(amount=amount)
    out = drawn(2000, lambda key: fault.on_post(key, state, given, BOARD)[1])
    same(jax.tree.map(lambda leaf: np.broadcast_to(leaf, (2000, *leaf.shape)), given), out, np.s_[:, ~BAD])
    live = np.asarray(given.live)
    assert out.live[:, BAD].all()
    marks = out.amount["mark"][:, BAD]
    size = np.float32(3) * np.abs(np.asarray(amount["mark"])[live]).max()
    np.testing.assert_array_equal(np.abs(marks), size)
    assert abs((marks > 0).mean() - 0.5) < 5 * (0.25 / marks.size) ** 0.5
    largest = 3 * int(np.asarray(amount["count"])[live].max())
    assert np.unique(out.amount["count"][:, BAD]).tolist() == [-largest, largest]
    assert ((out.amount["count"] > 0) == (out.amount["mark"] > 0))[:, BAD].all()
    assert out.amount["yes"].dtype == bool and (out.amount["yes"] == (out.amount["mark"] > 0))[:, BAD].all()
    counts = np.bincount(out.place[:, BAD].ravel(), minlength=M)
    assert np.abs(counts / counts.sum() - 1 / M).max() < 5 * (0.16 / counts.sum()) ** 0.5
    same(given.bid, out.bid[0])
    # They work on marks in the environment too, and where nobody else posts.
    alone = given._replace(live=given.live & False)
    out = posted(KEY, fault, state, alone, by_mail=False)
    np.testing.assert_array_equal(np.abs(out.amount["mark"])[BAD], 3)


def test_their_slips_are_lost_like_others():
    chain = Chain(faults=(saboteurs("flood", 0.5), Loss(share=1.0)))
    state = chain.update(KEY, chain.reset(KEY, N), jnp.int32(0))
    assert not chain.on_post(KEY, state, posts(), BOARD)[1].live.any()


# ----------------------------------------------------------------------------------------------------- what is refused


def test_kinds_have_a_line_each_and_the_helper_makes_one():
    for kind in KINDS:
        fault = saboteurs(kind.name, 0.25, at=7)
        on = {other.name: float(getattr(fault, other.name)) for other in KINDS}
        assert on == {other.name: kind.strength * (other is kind) for other in KINDS}
        assert kind.about and float(fault.share) == 0.25 and int(fault.at) == 7
    with pytest.raises(Refusal, match='no kind of saboteur is called "hogs"; did you mean hog?'):
        saboteurs("hogs", 0.1)


def test_what_is_refused():
    for changes, said in (
        ({"share": 1.5}, "share is 1.5; it must be from 0 to 1"),
        ({"forge": 2.0}, "forge is 2.0; it must be from 0 to 1"),
        ({"silent": np.nan}, "silent is nan; it must be from 0 to 1"),
        ({"skim": 1.5}, "skim is 1.5; it must be from 0 to 1"),
        ({"lie": -1.0}, "lie is -1.0; it must be at least 0, and 0 switches it off"),
        ({"vandal": np.nan}, "vandal is nan; it must be at least 0, and 0 switches it off"),
        ({"order": None}, "first is True, and there is no order to go by"),
    ):
        with pytest.raises(Refusal) as refused:
            band(**changes)
        assert str(refused.value).splitlines()[0] == said
    fault, state = band(silent=1.0, hosts=[1, 2])
    with pytest.raises(Refusal, match="hosts names 2 hosts; the board has 5 places"):
        fault.on_notice(KEY, state, posts().place, (), posts().live, BOARD)
