"""Team claims: whole teams go, half teams let go; never more members than a team asks for, whatever is lost."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, step
from quorate.core import NoFault, Scenario
from quorate.errors import Refusal
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import NEVER, Alone
from quorate.protocols.claim import Claim
from quorate.protocols.delayed import Delayed
from quorate.protocols.team_claim import TeamClaim
from quorate.worlds.fleet import rolling
from tests.proof import later
from tests.protocols.desks import Pattern, outlook, talk


class Overfull(TeamClaim):
    """A bug: a place forgets the units of those who have a seat."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(units=jnp.zeros_like(place_state.units)), heap)


class Shared(TeamClaim):
    """A bug: a place gives every seat anew in each round."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(member=jnp.full_like(place_state.member, -1)), heap)


def pairs(worth, **more):
    """Every task asks for two."""
    view = outlook(worth, **more)
    return view._replace(team=jnp.full_like(view.team, 2))


@eqx.filter_jit
def seats(protocol, view, slips, notices):
    """The places that agents believe to have seats at, and those they go to, [B, N] each, by pattern of loss."""

    def one(slips, notices):
        key, n, fault = jax.random.key(0), view.place.shape[0], Pattern(slips, notices)
        lasting = comms.boot(key, protocol, n)
        talked = comms.converse(key, key, protocol, lasting, view, None, fault, (), None, n)
        return talked.lasting.nodes.place, talked.decision

    return jax.vmap(one)(slips, notices)


@cache
def crowded(kind):
    """In how many of 2^14 patterns of loss three or more believe in a seat of a team of two; and how many go."""
    slips, notices = np.random.default_rng(0).random((2, 2**14, 4, 4)) < 0.7
    view = pairs([[3, 1], [2.9, 2], [2.8, 2.7], [2.5, 2.4]])
    believed, decided = map(np.asarray, seats(kind(places=2, capacity=4), view, slips, notices))
    return int(sum((believed == place).sum(1) > 2 for place in range(2)).sum()), float((decided >= 0).mean())


def test_no_team_is_overfull_whatever_is_lost():
    double, going = crowded(TeamClaim)
    assert double == 0 and going > 0.3


@pytest.mark.parametrize("bug", [Overfull, *later(Shared)])
def test_losses_find_bugs(bug):
    assert crowded(bug)[0] > 0


def test_a_team_of_one_is_a_claim():
    """The same assignment where every asker is collected."""
    team, claim = TeamClaim(places=8, rounds=5, capacity=8), Claim(places=8, rounds=5)
    for seed in range(50):
        view = outlook(np.random.default_rng(seed).uniform(-0.3, 1, (8, 8)))
        assert np.array_equal(talk(team, view).decision, talk(claim, view).decision)


def test_whole_teams_go_and_half_teams_stay():
    """Three agents, two tasks for two: the pair goes, the third has a seat and stays where it is."""
    talked = talk(TeamClaim(places=2, capacity=4), pairs([[3, 1], [2.9, 1], [2.8, 1]]))
    assert np.asarray(talked.decision).tolist() == [0, 0, -1]
    assert np.asarray(talked.lasting.nodes.place).tolist() == [0, 0, 1]
    eager = talk(TeamClaim(places=2, capacity=4, eager=True), pairs([[3, 1], [2.9, 1], [2.8, 1]]))
    assert np.asarray(eager.decision).tolist() == [0, 0, 1]


def after(protocol, view, ticks):
    """Where everybody has a seat, and where each goes, tick by tick."""
    seats, decisions = map(np.asarray, standing(protocol, view, jnp.arange(ticks)))
    return list(zip(seats.tolist(), decisions.tolist(), strict=True))


@eqx.filter_jit
def standing(protocol, view, ticks):
    key, n = jax.random.key(0), view.place.shape[0]
    calm = Pattern(np.ones((4, n), bool), np.ones((4, n), bool))

    def tick(lasting, t):
        now = view._replace(t=jnp.full(n, t))
        talked = comms.converse(key, key, protocol, lasting, now, None, calm, (), None, n, t)
        return talked.lasting, (talked.lasting.nodes.place, talked.decision)

    return jax.lax.scan(tick, comms.boot(key, protocol, n), ticks)[1]


def test_who_waits_in_vain_lets_go_and_a_deadlock_ends():
    """Two agents, each with a seat at its own task for two: without patience both wait for ever, with it they meet."""
    view = pairs([[3, 1], [1, 3]])
    waits = after(TeamClaim(places=2, capacity=4, wait=1e6, pull=0.0, patience=10**6), view, 15)
    assert waits[-1] == ([0, 1], [-1, -1])
    met = [
        seated for seated, goes in after(TeamClaim(places=2, capacity=4, pull=0.0), view, 15) if goes[0] == goes[1] >= 0
    ]
    assert met


@pytest.mark.slow
def test_whole_teams_serve_more_of_few_tasks():
    """60 agents, 12 places, teams of three: no trip in vain, and more tasks than by waiting for whoever comes."""
    shape = {"num_agents": 60, "density": 0.2, "options": 8, "period": 10, "slack": (9, 9), "team": (3, 3)}
    world = rolling(**shape, skills=1, held=1.0)
    reserved, alone = (served(world, protocol) for protocol in (TeamClaim(places=12, capacity=6), Alone(patience=5)))
    assert reserved.waste == 0 < alone.waste and reserved.started > 1.05 * alone.started


def served(world, protocol):
    scenario = Scenario(world, Deferring(), commit=protocol)
    stopped, _ = step.run(step.start(jax.random.key(0), scenario), scenario, 100)
    return jax.tree.map(lambda leaf: leaf[0], stopped.carry.world.tallies)


def test_a_capacity_below_one_is_refused():
    with pytest.raises(Refusal, match="capacity is 0"):
        TeamClaim(places=2, capacity=0)


@pytest.mark.parametrize(("patience", "leaves"), [(5, True), (13, False), (NEVER, False)])
def test_alone_looks_elsewhere_after_its_patience(patience, leaves):
    """Gone for sure after twice its patience, there for sure before it has passed once."""
    none = jnp.array([0])
    view = outlook([[3, 1]], heading=none, task=none, valid=jnp.array([True]), waited=jnp.array([12]))
    assert np.asarray(talk(Alone(patience=patience), view).decision).tolist() == [1 if leaves else 0]


class Nameless(TeamClaim):
    """A bug: an answer does not say which task it is about."""

    def hear(self, key, ballot, news):
        asked = ballot.outlook.number[jnp.maximum(ballot.asked, 0)]
        number = jnp.where(ballot.asked >= 0, asked, ballot.seat.number)
        return super().hear(key, ballot, news._replace(reply=news.reply._replace(number=number[None])))


def believers(kind, runs=48, length=40) -> np.ndarray:
    """Mail is late by a tick, a place has a new task in one tick of ten, and an agent in twenty forgets all: how many
    believe in a seat of each of two teams of two, [runs, T, 2]."""
    view = pairs([[3, 1], [2.9, 2], [2.8, 2.7], [2.5, 2.4], [1, 2.2], [0.7, 0.8]])
    team = kind(places=2, capacity=4, wait=20.0, patience=60)
    protocol = Delayed(protocol=team, ticks=1, proposal=jax.tree.map(lambda leaf: leaf[0], view))

    @eqx.filter_jit
    def live(protocol, key):
        def tick(carry, t):
            lasting, number = carry
            own = jax.random.fold_in(key, t)
            number = number + jax.random.bernoulli(jax.random.fold_in(own, 1), 0.1, (2,))
            back = jax.random.bernoulli(jax.random.fold_in(own, 2), 0.05, (6,))
            lasting = comms.rebooted(own, protocol, lasting, back)
            now = view._replace(t=view.t + t, number=jnp.tile(number, (6, 1)))
            talked = comms.converse(own, own, protocol, lasting, now, None, NoFault(), (), None, 6, t)
            seat = talked.lasting.nodes.own
            sits = (seat.place[:, None] == jnp.arange(2)[None, :]) & (seat.number[:, None] == number[None, :])
            return (talked.lasting, number), jnp.sum(sits & (seat.until >= t)[:, None], axis=0)

        start = comms.boot(key, protocol, 6), jnp.zeros(2, jnp.int32)
        return jax.lax.scan(tick, start, jnp.arange(length))[1]

    return np.asarray(jax.vmap(live, (None, 0))(protocol, jax.random.split(jax.random.key(0), runs)))


def test_a_late_answer_about_an_older_task_gives_no_seat():
    found = believers(TeamClaim)
    assert found.max() == 2 and found.mean() > 0.5
    assert believers(Nameless).max() > 2
