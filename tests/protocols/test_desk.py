"""Desks: when a grant is given, renewed, refused and closed; what an agent believes of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Heap, News, NoFault
from quorate.protocols import desk
from quorate.protocols.auction import Auction
from quorate.protocols.claim import Claim
from quorate.protocols.contract_net import ContractNet
from quorate.protocols.desk import CLAIM, DONE, HOLD, Hold, Slip, Word
from quorate.protocols.team_claim import TeamClaim
from tests.protocols.desks import outlook

LEASE, PATIENCE = 5, 8


def heap(t, who, kind, number=0, eta=3.0, bid=1.0):
    slip = Slip(jnp.int32(number), jnp.float32(eta), jnp.int32(kind))
    return Heap(jnp.int32(t), jnp.int32(0), jnp.int32(who >= 0), (), jnp.float32(bid), jnp.int32(who), slip, ())


def after(*heaps, evict=False):
    """A desk after these rounds."""
    place = desk.vacant()
    for one in heaps:
        place = desk.attend(place, one, LEASE, PATIENCE, evict)
    return place


def test_a_grant_ends_with_its_lease_and_not_before():
    first = heap(0, 3, CLAIM)
    assert (int(after(first).owner), int(after(first).until)) == (3, LEASE)
    assert int(after(first, heap(LEASE, 4, CLAIM, bid=9)).owner) == 3
    assert int(after(first, heap(LEASE + 1, 4, CLAIM)).owner) == 4


def test_a_sign_without_progress_renews_for_a_while_only():
    rounds = [heap(0, 3, CLAIM)] + [heap(t, 3, HOLD) for t in range(1, 40)]
    place = after(*rounds)
    assert int(place.until) == PATIENCE + LEASE and int(place.owner) == -1 and int(place.barred) == 3
    again = after(*rounds, heap(40, 3, CLAIM))
    assert int(again.owner) == -1
    assert int(after(*rounds, heap(40, 4, CLAIM)).owner) == 4


def test_who_comes_nearer_keeps_its_task():
    place = after(heap(0, 3, CLAIM, eta=30), *[heap(t, 3, HOLD, eta=30 - t) for t in range(1, 30)])
    assert int(place.owner) == 3 and int(place.until) == 29 + LEASE


def test_newer_tasks_open_a_desk_and_older_slips_are_ignored():
    first = heap(0, 3, CLAIM, number=1)
    place = after(first, heap(1, 4, CLAIM, number=2))
    assert (int(place.owner), int(place.number)) == (4, 2)
    assert int(after(first, heap(9, 4, CLAIM, number=0)).owner) == -1
    assert int(after(first, heap(1, 4, DONE, number=0)).owner) == 3


def test_what_is_begun_stays_closed():
    place = after(heap(0, 3, CLAIM), heap(1, 3, DONE), heap(30, 4, CLAIM))
    assert bool(place.done) and int(place.owner) == -1
    assert not bool(after(heap(0, 3, CLAIM), heap(1, 4, DONE)).done)


def test_nobody_said_anything():
    place = after(heap(0, 3, CLAIM), heap(2, -1, 0))
    assert int(place.owner) == 3 and int(place.until) == LEASE


def told(owner, until=9, number=0, done=False, barred=-1):
    owner, until = (desk.BEGUN, desk.FOREVER) if done else (owner, until)
    return Word(*map(jnp.asarray, (number, owner, until, 1.0, barred)))


@pytest.mark.parametrize(
    ("word", "believes"),
    [
        (told(2), True),
        (told(1), False),
        (told(2, number=1), False),
        (told(2, done=True), False),
        (told(1, number=-1), None),
    ],
    ids=["given", "another's", "a newer task", "begun", "an older task"],
)
def test_belief_follows_the_word(word, believes):
    """None: what it believed before, whatever that was."""
    for before in (desk.nothing(jnp.int32(2)), held()):
        hold = desk.heard(before, jnp.int32(0), jnp.int32(0), word, jnp.array(True))
        expected = before.place >= 0 if believes is None else believes
        assert bool(hold.place >= 0) == bool(expected)
        assert desk.heard(before, jnp.int32(0), jnp.int32(0), word, jnp.array(False)) == before


def held(until=6):
    return Hold(*(jnp.int32(value) for value in (2, 0, 0, until)))


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        ({}, True),
        ({"t": 7}, False),
        ({"free": False}, False),
        ({"valid": False}, False),
        ({"heading": 1}, False),
        ({"task": 1}, False),
    ],
)
def test_a_claim_stands_while_everything_speaks_for_it(change, stands):
    view = one_view(**{"heading": 0, "task": 0, "valid": True, "t": 6} | change)
    assert bool(desk.kept(held(), view).place >= 0) == stands


@pytest.mark.parametrize(
    ("change", "over"),
    [({}, True), ({"t": 7}, True), ({"served": -1}, False), ({"served": 1}, False), ({"serving": 0}, False)],
)
def test_what_was_held_is_over_when_the_agent_has_finished_it(change, over):
    view = one_view(**{"t": 6, "served": 0} | change)
    assert bool(desk.ended(held(), view).place >= 0) == over
    assert int(desk.ended(desk.nothing(jnp.int32(2)), view).place) == -1


@eqx.filter_jit
def two_ticks(protocol, first, later):
    """What is decided in the second of two ticks, and which desks are done."""
    key, n = jax.random.key(0), first.place.shape[0]

    def tick(lasting, given):
        t, view = given
        now = view._replace(t=jnp.full(n, t))
        talked = comms.converse(key, key, protocol, lasting, now, None, NoFault(), (), None, n, t)
        return talked.lasting, talked.decision

    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, later)
    lasting, decisions = jax.lax.scan(tick, comms.boot(key, protocol, n), (jnp.arange(2), both))
    return decisions[1], getattr(lasting.places, "desk", lasting.places).done


@pytest.mark.parametrize("kind", [Claim, Auction, ContractNet, TeamClaim])
def test_a_task_of_one_tick_is_known_to_be_done_a_tick_after_its_start(kind):
    """Its agent is free again at once: it says so and still gets another task. One on its way says no such thing."""
    protocol = kind(places=2, rounds=4, **({"bids": 2} if kind is ContractNet else {}))
    zero = jnp.zeros(1, jnp.int32)
    first, later = outlook([[1.0, 0.0]]), outlook([[0.0, 1.0]], served=zero)
    decision, done = two_ticks(protocol, first, later)
    assert decision.tolist() == [1] and done.tolist() == [True, False]
    on_its_way = later._replace(heading=zero, task=zero, valid=zero == 0, left=jnp.ones(1), served=zero - 1)
    decision, done = two_ticks(protocol, first, on_its_way)
    assert decision.tolist() == [0] and done.tolist() == [False, False]


def one_view(**change):
    view = outlook([[1.0, 0.5]])
    view = type(view)(*(leaf[0] for leaf in view))
    return view._replace(**{name: jnp.asarray(value, getattr(view, name).dtype) for name, value in change.items()})


def test_signs_stop_when_they_are_confirmed():
    view = one_view(heading=0, task=0, valid=True, t=4, left=2.0)
    place, slip, bid, speaks = desk.standing(view, held())
    assert (int(place), int(slip.kind), float(slip.eta), bool(speaks)) == (0, HOLD, 2.0, True)
    for until, confirmed in ((6, False), (9, True)):
        assert bool(desk.confirmed(view, held(), news(told(2, until)))) == confirmed
    assert not bool(desk.confirmed(view, held(), news(told(2), came=False)))
    assert not bool(desk.standing(view, held(), jnp.array(True))[3])
    assert np.asarray(desk.places(view, held(), jnp.array(True))).tolist() == [-1, -1, -1]


def news(word, came=True):
    notice = Word(*(jnp.stack([jnp.zeros_like(leaf)] * 2 + [leaf]) for leaf in word))
    return News(notice, jnp.array([True, True, came]), (), jnp.zeros(1, bool), jnp.uint32(0))


def test_what_is_owned():
    view = one_view()
    words = [told(1), told(2), told(-1, done=True), told(-1, barred=2), told(1, until=-1), told(1, number=5)]
    expected = [True, False, True, True, False, False]
    for word, answer in zip(words, expected, strict=True):
        pair = Word(*(jnp.stack([leaf, leaf]) for leaf in word))
        assert bool(desk.owned(pair, view, jnp.int32(2))[0]) == answer
    pair = Word(*(jnp.stack([leaf, leaf]) for leaf in told(2)))
    assert bool(desk.owned(pair, view)[0])
