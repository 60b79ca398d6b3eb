"""Stigmergy: equal to a twin of loops, untouched by loss, and where hesitation helps and where it hurts."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, step
from quorate.core import NoFault, Posts, Scenario
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import Alone
from quorate.protocols.claim import Claim
from quorate.protocols.stigmergy import STIGMERGY, Stigmergy
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks
from tests.proof import later

AGENTS, PLACES, OPTIONS = 8, 10, 4


@eqx.filter_jit
def talk(protocol, view, marks, fault, key):
    n = view.place.shape[0]
    lasting = comms.boot(key, protocol, n)._replace(places=marks)
    return comms.converse(key, key, protocol, lasting, view, None, fault, fault.reset(key, n), None, n)


def case(seed):
    """Agents of every kind: choosing, on their way, waiting too long, at work, not free."""
    rng = np.random.default_rng(seed)
    view = outlooks.random(seed, AGENTS, PLACES, OPTIONS)
    serving = np.where(rng.random(AGENTS) < 0.2, rng.integers(0, PLACES, AGENTS), -1)
    heading = np.where((rng.random(AGENTS) < 0.5) & (serving < 0), rng.integers(0, PLACES, AGENTS), -1)
    each = {
        "team": rng.integers(1, 3, (AGENTS, OPTIONS)),
        "heading": heading,
        "serving": serving,
        "waited": rng.integers(0, 12, AGENTS),
    }
    view = view._replace(
        **{name: jnp.asarray(value, jnp.int32) for name, value in each.items()},
        free=jnp.asarray((serving < 0) & (rng.random(AGENTS) < 0.9)),
        valid=jnp.asarray((heading >= 0) & (rng.random(AGENTS) < 0.8)),
    )
    return view, jnp.asarray(rng.exponential(1.0, PLACES) * (rng.random(PLACES) < 0.6), jnp.float32)


def twin(protocol, view, marks, key):
    """The same with lists: (where each goes, the marks after)."""
    view = jax.tree.map(np.asarray, view)
    keep, beta, theta, steep = (float(x) for x in (protocol.keep, protocol.beta, protocol.theta, protocol.steep))
    drawn = [
        np.asarray(jax.random.uniform(k, (2,)), float) for k in comms.node_keys(jax.random.fold_in(key, 0), AGENTS)
    ]
    goal, after = [-1] * AGENTS, [keep * float(mark) for mark in marks]
    for i in range(AGENTS):
        patient = view.waited[i] <= float(protocol.patience) * (1 + drawn[i][0])
        if view.heading[i] >= 0 and view.valid[i] and view.free[i] and patient:
            goal[i] = int(view.heading[i])
            after[goal[i]] += 1
    for i in range(AGENTS):
        if goal[i] >= 0 or not view.free[i] or view.serving[i] >= 0:
            continue
        stimuli = {}
        for k in range(OPTIONS):
            j = int(view.place[i, k])
            left = j == view.heading[i] and view.waited[i] > float(protocol.patience) * (1 + drawn[i][0])
            if view.open[i, k] and not left and view.worth[i, k] > 0:
                excess = max(after[j] - (view.team[i, k] - 1) / (1 - keep), 0)
                stimuli[j] = float(view.worth[i, k]) * np.exp(-beta * excess)
        if stimuli:
            j = max(stimuli, key=stimuli.get)
            s = stimuli[j]
            if drawn[i][1] < s**steep / (s**steep + theta**steep):
                goal[i] = j
    return goal, after


def differs(protocol, seeds=range(100)) -> bool:
    """Whether the protocol and the twin of the true one ever part."""
    true = Stigmergy(places=PLACES)
    for seed in seeds:
        (view, marks), key = case(seed), jax.random.key(seed)
        talked = talk(protocol, view, marks, NoFault(), key)
        goal, after = twin(true, view, marks, key)
        if goal != talked.decision.tolist() or not np.allclose(talked.lasting.places, after, rtol=1e-5):
            return True
    return False


def test_it_is_its_twin():
    assert not differs(Stigmergy(places=PLACES))


class Everlasting(Stigmergy):
    def serve(self, key, place_state, heap):
        return place_state + heap.total


class Attracting(Stigmergy):
    def hear(self, key, ballot, news):
        return super().hear(key, ballot, news._replace(notice=-news.notice))


class Rash(Stigmergy):
    def response(self, stimulus):
        return (stimulus > 0).astype(jnp.float32)


class Fickle(Stigmergy):
    def propose(self, key, state, proposal):
        return super().propose(key, state, proposal)._replace(goal=jnp.int32(-1))


class Marking(Stigmergy):
    """Who works marks too."""

    def post(self, ballot):
        place = jnp.maximum(ballot.goal, ballot.outlook.serving)
        return Posts(place[None], (place >= 0)[None], amount=jnp.ones(1, jnp.float32))


@pytest.mark.parametrize("bug", [Marking, *later(Everlasting, Attracting, Rash, Fickle)])
def test_the_twin_catches(bug):
    assert differs(bug(places=PLACES))


@pytest.mark.slow
def test_promises():
    """Of the registered one tests/contracts asks the same."""
    check_protocol(Stigmergy(places=PLACES), case(0)[0])


def test_what_a_site_gives():
    made = STIGMERGY.make(outlooks.site(AGENTS, PLACES, patience=5))
    assert (made.places, int(made.patience), STIGMERGY.teams) == (PLACES, 5, True)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_no_mail_is_lost_for_there_is_none(share):
    view, marks = case(3)
    key = jax.random.key(0)
    clear = talk(Stigmergy(places=PLACES), view, marks, Loss(share=0.0), key)
    lossy = talk(Stigmergy(places=PLACES), view, marks, Loss(share=share), key)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), clear[:2], lossy[:2]))
    assert clear.traffic == lossy.traffic


def test_a_mark_in_the_long_run():
    """One agent on its way makes a mark of 1 / (1 - keep), which falls by `keep` a tick when it is gone."""
    view = outlooks.outlook([[0, 1]], [[1.0, 0.5]], heading=jnp.zeros(1, jnp.int32), valid=jnp.ones(1, bool))
    protocol, marks = Stigmergy(places=2, keep=0.5), jnp.zeros(2)
    seen = []
    for t in range(24):
        view = view if t < 20 else view._replace(heading=-jnp.ones(1, jnp.int32), free=jnp.zeros(1, bool))
        marks = talk(protocol, view, marks, NoFault(), jax.random.key(t)).lasting.places
        seen.append(float(marks[0]))
    assert seen[19] == pytest.approx(2, abs=1e-5)
    assert seen[20:] == pytest.approx([1, 0.5, 0.25, 0.125], abs=1e-5)
    assert float(marks[1]) == 0


def test_the_response_is_a_half_at_theta_and_safe_at_the_ends():
    protocol = Stigmergy(places=1, theta=0.5)
    found = protocol.response(jnp.array([-1.0, 0.0, 1e-30, 0.5, 1e30]))
    assert found.tolist() == [0, 0, 0, 0.5, 1]
    assert Stigmergy(places=1, theta=0.0).response(jnp.array([0.0, 1e-30])).tolist() == [0, 1]


def test_one_agent_and_nothing_open():
    nothing = outlooks.outlook([[-1, -1]], [[0.0, 0.0]])
    talked = talk(Stigmergy(places=1, theta=0.0), nothing, jnp.zeros(1), NoFault(), jax.random.key(0))
    assert talked.decision.tolist() == [-1] and float(talked.traffic.sent) == 0


def test_who_waits_for_a_team_is_no_crowd():
    """A mark of two in the long run repels from a task for one, not from one for three."""
    view = outlooks.outlook([[0]], [[1.0]])
    marks = jnp.full(1, 2 / (1 - 0.7) / 0.7)
    protocol = Stigmergy(places=1, theta=0.01, beta=5.0)
    one, three = (
        talk(protocol, view._replace(team=jnp.full((1, 1), team)), marks, NoFault(), jax.random.key(0))
        for team in (1, 3)
    )
    assert (one.decision.tolist(), three.decision.tolist()) == ([-1], [0])


@lru_cache
def served(name: str, density: float, theta: float = 0.3) -> np.ndarray:
    """The share of the value offered that is served after 30 ticks, of the same 4 runs for each."""
    world = rolling(num_agents=200, density=density)
    places = world.num_actions
    protocol = {"alone": Alone(), "claim": Claim(places=places), "stigmergy": Stigmergy(places=places, theta=theta)}
    scenario = Scenario(world, Deferring(), commit=protocol[name])
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 30)
    end, _ = step.run(middle, scenario, 50)
    before, after = (progress.carry.world.tallies for progress in (middle, end))
    return np.asarray((after.value_served - before.value_served) / (after.value_offered - before.value_offered))


@pytest.mark.slow
def test_near_saturation_it_is_above_alone_and_below_claim():
    assert np.mean(served("stigmergy", 7.0) - served("alone", 7.0)) > 0.02
    assert np.mean(served("stigmergy", 7.0) - served("claim", 7.0)) < -0.02


@pytest.mark.slow
def test_under_overload_hesitation_costs_more_than_marks_gain():
    """Where there is work for all, hesitant agents idle, down to less than alone."""
    hesitant, alone = served("stigmergy", 20.0, 0.6), served("alone", 20.0)
    assert np.mean(hesitant) < np.mean(alone) - 0.01
    gain = [np.mean(served("stigmergy", density) - served("alone", density)) for density in (7.0, 20.0)]
    assert gain[0] > gain[1] + 0.01


@pytest.mark.parametrize("name, value", [("keep", 1.0), ("keep", -0.1), ("beta", -1.0), ("theta", -0.1), ("steep", 0)])
def test_refusals(name, value):
    with pytest.raises(Refusal, match=name):
        Stigmergy(places=2, **{name: value})
