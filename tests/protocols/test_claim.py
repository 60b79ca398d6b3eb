"""Claims: exclusive whatever is lost, near the greedy assignment; the evicting form is the greedy assignment."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Heap
from quorate.faults import Loss
from quorate.protocols import desk
from quorate.protocols.claim import Claim
from tests.proof import later
from tests.protocols.desks import (
    Pattern,
    every_pattern,
    geography,
    greedy,
    lives,
    outlook,
    shared,
    talk,
    under,
    value,
)

SMALL = outlook([[3, 2], [2.5, 1], [2.8, 2.2]])
FIERCE = outlook([[3, 1], [2.9, 2], [2.8, 2.7]])


class Forgets(Claim):
    """A bug: the desk awards its task anew in every round."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(owner=jnp.int32(-1)), heap)


class Presumes(Claim):
    """A bug: who asked believes that it was heard."""

    def hear(self, key, ballot, news):
        after = super().hear(key, ballot, news)
        option, asked = jnp.maximum(ballot.asked, 0), ballot.asked >= 0
        place = jnp.where(asked & ~news.heard[option], ballot.outlook.place[option], after.hold.place)
        return after._replace(hold=after.hold._replace(place=place, number=jnp.int32(0), until=jnp.int32(4)))


class Outlives(Claim):
    """A bug: the desk ends a grant a tick before its owner does."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(until=place_state.until - (heap.round == 0)), heap)


class Stubborn(Claim):
    """A bug: an agent asks for the best option even where it knows that to be taken."""

    def hear(self, key, ballot, news):
        return super().hear(
            key, ballot, news._replace(heard=news.heard & (jnp.arange(news.heard.shape[0]) == ballot.asked))
        )


@cache
def counts(kind, evict, view=0):
    """Over all 2^18 ways to lose slips and readings: patterns in which two believe in one place; the same of those in
    which no mail is lost; patterns in which a place that somebody believes in has another owner by its desk."""
    protocol = kind(places=2, rounds=3, evict=evict)
    double = calm = apart = seen = 0
    for slips, notices in every_pattern(3, 3):
        decision, owner = map(np.asarray, under(protocol, (SMALL, FIERCE)[view], slips, notices))
        twice = shared(decision)
        whole = slips.all((1, 2)) & notices.all((1, 2))
        believes = decision >= 0
        by_desk = np.take_along_axis(owner, np.maximum(decision, 0), axis=1)
        double, calm, seen = double + twice.sum(), calm + (twice & whole).sum(), seen + len(decision)
        apart += (believes & (by_desk != np.arange(3))).any(1).sum()
    assert seen == 2**18
    return double, calm, apart


@pytest.mark.parametrize("view", [0, 1])
def test_final_claims_are_exclusive_under_every_loss(view):
    """n = 3, m = 2, R = 3, all 2^18 patterns: one believing owner at most, and its desk says the same."""
    assert counts(Claim, False, view) == (0, 0, 0)


@pytest.mark.parametrize("view", [0, 1])
def test_evicting_claims_are_shared_only_while_mail_is_lost(view):
    double, calm, apart = counts(Claim, True, view)
    assert calm == 0 and 0 < double <= apart < 2**17


@pytest.mark.parametrize("bug", [Presumes, *later(Forgets)])
def test_the_patterns_find_bugs(bug):
    assert counts(bug, False)[0] > 0


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_leases_are_exclusive_over_many_ticks(loss):
    """Agents walk or are stuck, crash and come back without memory, tasks give way to newer ones."""
    life = lives(Claim(places=3, rounds=4), worths(), loss=loss)
    assert not shared(life.place).any()
    assert (life.place >= 0).mean() > 0.3 and life.down.mean() > 0.05
    assert len(np.unique(life.number)) > 3


def worths(agents=5, places=3, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 1, (agents, places))


@pytest.mark.slow
def test_many_ticks_find_a_grant_that_outlives_its_desk():
    assert shared(lives(Outlives(places=3, rounds=4), worths()).place).any()


def test_evicting_is_greedy_to_the_last_bit():
    """Distinct worths, no loss: the pair of largest worth first, over and over."""
    protocol, seeds = Claim(places=8, rounds=40, evict=True), range(100)
    for seed in seeds:
        worth = np.random.default_rng(seed).uniform(0.1, 1, (8, 8)).astype(np.float32)
        assert np.asarray(talk(protocol, outlook(worth)).decision).tolist() == greedy(worth)


def rounds_of(worth, rounds, slips, notices):
    """Final claims once more, with dictionaries and lists."""
    agents, places = worth.shape
    owner, believes, taken = {}, {}, {agent: set() for agent in range(agents)}
    for r in range(rounds):
        asked = {}
        for agent in range(agents):
            options = [place for place in range(places) if worth[agent][place] > 0 and place not in taken[agent]]
            if agent not in believes and options:
                asked[agent] = max(options, key=lambda place, agent=agent: (worth[agent][place], -place))
        for place in range(places):
            asking = [agent for agent, chosen in asked.items() if chosen == place and slips[r][agent]]
            if asking and place not in owner:
                owner[place] = max(asking, key=lambda agent, place=place: (worth[agent][place], -agent))
        for agent, chosen in asked.items():
            if notices[r][agent]:
                if owner.get(chosen) == agent:
                    believes[agent] = chosen
                taken[agent] = {place for place in owner if owner[place] != agent}
    return [believes.get(agent, -1) for agent in range(agents)]


def differs(kind, loss):
    """In how many of 100 instances the decisions are not the twin's."""
    protocol, wrong = kind(places=8, rounds=5), 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        worth = draw.uniform(-0.3, 1, (8, 8)).astype(np.float32)
        slips, notices = draw.random((2, 5, 8)) >= loss
        decision = np.asarray(talk(protocol, outlook(worth), Pattern(slips, notices)).decision)
        wrong += decision.tolist() != rounds_of(worth, 5, slips, notices)
    return wrong


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_equals_its_twin(loss):
    assert differs(Claim, loss) == 0


@pytest.mark.parametrize("bug", [Stubborn, *later(Forgets)])
def test_the_twin_finds_bugs(bug):
    assert differs(bug, 0.3) > 0


@pytest.mark.slow
def test_phantoms_are_fewer_with_more_rounds():
    """Places whose owner does not know, 2000 agents and places at loss 0.3: 4 rounds leave many, 10 few."""
    view = local(2000, 16)
    share = {rounds: phantoms(rounds, view) for rounds in (4, 10)}
    assert share[10] < 0.02 < share[4] < 0.1 and 4 * share[10] < share[4]


def phantoms(rounds, view):
    places = view.place.shape[0]
    talked = talk(Claim(places=places, rounds=rounds), view, Loss(share=0.3))
    owner, decision = np.asarray(talked.lasting.places.owner), np.asarray(talked.decision)
    held = np.flatnonzero(owner >= 0)
    assert not shared(decision).any()
    return (decision[owner[held]] != held).sum() / places


def local(agents, options):
    """The snapshot with the nearest options alone."""
    draw = np.random.default_rng(agents)
    at, task = draw.uniform(0, agents**0.5, (2, agents, 2))
    value, need = draw.uniform(0.5, 1.5, agents), draw.integers(0, 4, agents)
    far = np.linalg.norm(at[:, None] - task[None], axis=2)
    place = np.argsort(far, axis=1)[:, :options]
    worth = value[place] - 0.15 * np.take_along_axis(far, place, axis=1)
    skilled = np.take_along_axis(draw.random((agents, 4)) < 0.6, need[place], axis=1)
    return outlook(np.where(skilled, np.maximum(worth, 0), 0), place)


@pytest.mark.slow
def test_rounds_and_mail_of_the_snapshot():
    """0.95 of what global greedy has in a few rounds and few slips; the curve by rounds."""
    view = geography(3, 200)
    best = value(view, greedy(view.worth))
    curve = [value(view, talk(Claim(places=200, rounds=rounds), view).decision) / best for rounds in (1, 2, 4, 10)]
    talked = talk(Claim(places=200, rounds=10), view)
    assert np.all(np.diff(curve) > 0.03) and curve[0] < 0.55 and 0.95 < curve[-1] < 1.05
    assert 2.5 < talked.traffic.sent / 200 < 5.5 and 5 <= talked.traffic.rounds <= 9


def test_an_agent_recovers_what_its_desk_says_is_its_own():
    """It won, never heard so, and would rather have that than what is left."""
    slips, notices = np.ones((2, 3, 2), bool)
    notices[:2] = False
    view = outlook([[2, 1], [1, 0.5]])
    assert np.asarray(talk(Claim(places=2, rounds=3), view, Pattern(slips, notices)).decision).tolist() == [0, -1]


@pytest.mark.parametrize("evict", [False, *later(True)])
def test_small_and_padded(evict):
    """One agent alone; a padded list, and nothing open for the other."""
    protocol = Claim(places=2, rounds=3, evict=evict)
    padded = outlook([[1.0, 0.7, 0.0], [0.0, 0.0, 0.0]], place=[[0, 1, -1], [0, 1, -1]])
    assert talk(protocol, padded).decision.tolist() == [0, -1]
    assert talk(protocol, outlook([[1.0]])).decision.tolist() == [0]


def test_who_serves_says_so_until_it_is_read():
    """One slip where nothing is lost; one a round where its place is not heard."""
    view = outlook([[0.0]], free=jnp.array([False]), serving=jnp.array([0]), task=jnp.array([2]))
    protocol, every = Claim(places=1, rounds=4), np.ones((4, 1), bool)
    talked = talk(protocol, view, Pattern(every, every))
    assert bool(talked.lasting.places.done[0]) and int(talked.lasting.places.number[0]) == 2
    assert float(talked.traffic.rounds) == 1
    deaf = Pattern(every, ~every)
    assert float(talk(protocol, view, deaf).traffic.rounds) == 4


def test_nobody_evicts_who_has_held_since_an_earlier_tick():
    """And who would, is told, and asks elsewhere."""
    place = desk.vacant()._replace(
        number=jnp.int32(0), owner=jnp.int32(7), until=jnp.int32(9), since=jnp.int32(2), price=jnp.float32(0.5)
    )
    protocol = Claim(places=1, evict=True)
    heap = heap_of(t=3, bid=0.9, who=1, kind=desk.CLAIM)
    after = protocol.serve(None, place, heap)
    assert int(after.owner) == 7 and bool(jnp.isinf(protocol.notice(after).price))
    assert int(protocol.serve(None, place._replace(since=jnp.int32(3)), heap).owner) == 1


def heap_of(t, bid, who, kind, number=0, eta=3.0):
    slip = desk.Slip(jnp.int32(number), jnp.float32(eta), jnp.int32(kind))
    return Heap(jnp.int32(t), jnp.int32(0), jnp.int32(1), (), jnp.float32(bid), jnp.int32(who), slip, ())
