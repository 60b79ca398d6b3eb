"""Optima and equilibria of the collectives against every joint action of small crowds."""

import itertools
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.solvers import bar, braess, gaussian_squeeze, servers
from quorate.solvers.collectives import dealt
from quorate.worlds.bar import Bar
from quorate.worlds.braess import Braess
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from quorate.worlds.servers import Servers
from tests.worlds import twins

SOLVERS = {"bar": bar, "squeeze": gaussian_squeeze, "braess": braess, "servers": servers}
SCORES = {"bar": twins.bar, "squeeze": twins.squeeze, "braess": twins.braess, "servers": twins.servers}
counts = st.integers(1, 6)
positive = st.floats(0.125, 8, width=32)


def crowds(num_agents, num_actions):
    """One joint action for each way to share the agents out: their names do not matter."""
    return itertools.combinations_with_replacement(range(num_actions), num_agents)


@st.composite
def worlds(draw, kind=None):
    kind = kind or draw(st.sampled_from(sorted(SOLVERS)))
    if kind == "bar":
        return kind, Bar(num_agents=draw(counts), nights=draw(st.integers(1, 4)), capacity=draw(positive))
    if kind == "squeeze":
        world = GaussianSqueeze(num_agents=draw(st.integers(1, 3)), mu=draw(positive) * 4, sigma=draw(positive))
        return kind, world
    if kind == "braess":
        narrow, wide = draw(positive), draw(positive)
        return kind, Braess(num_agents=draw(counts), link=draw(st.booleans()), narrow=narrow, wide=wide)
    size = draw(st.integers(1, 4))
    base, speed = (draw(st.lists(positive, min_size=size, max_size=size)) for _ in range(2))
    return kind, Servers(num_agents=draw(counts), base=base, speed=speed)


def score(kind, world, actions):
    if kind == "braess":  # the twin knows the usual minutes only
        x, y = sum(a in (0, 2) for a in actions), sum(a in (1, 2) for a in actions)
        both = sum(a != 2 for a in actions)
        narrow, wide = float(world.narrow), float(world.wide)
        return -(narrow * (x * x + y * y) / world.num_agents + wide * both) / world.num_agents
    return SCORES[kind](world, actions)


@settings(max_examples=60)
@given(case=worlds())
def test_no_joint_action_is_better_than_the_optimum(case):
    kind, world = case
    found = SOLVERS[kind].optimum(world)
    best = max(score(kind, world, actions) for actions in crowds(world.num_agents, world.num_actions))
    assert found.score == pytest.approx(best, rel=1e-12, abs=1e-300)
    assert found.score == pytest.approx(score(kind, world, found.actions.tolist()), rel=1e-12, abs=1e-300)
    assert found.actions.shape == (world.num_agents,)
    assert set(found.actions.tolist()) <= set(range(world.num_actions))


@settings(max_examples=60)
@given(case=st.one_of(worlds("servers"), worlds("braess")))
def test_at_nash_nobody_gains_by_moving_alone(case):
    kind, world = case
    found = SOLVERS[kind].nash(world)
    assert found.score == pytest.approx(score(kind, world, found.actions.tolist()), rel=1e-12)
    assert found.score <= SOLVERS[kind].optimum(world).score * (1 - 1e-12)
    assert regret(kind, world, found.actions) <= 1e-9


def regret(kind, world, actions):
    """How much latency the agent with most to gain would save by moving alone."""
    saved = 0.0
    for agent, action in itertools.product(range(world.num_agents), range(world.num_actions)):
        moved = actions.copy()
        moved[agent] = action
        saved = max(saved, latency(kind, world, actions, agent) - latency(kind, world, moved, agent))
    return saved


def latency(kind, world, actions, agent):
    mine = actions[agent]
    if kind == "servers":
        return float(world.base[mine]) + np.sum(actions == mine) / float(world.speed[mine])
    share, wide = float(world.narrow) / world.num_agents, float(world.wide)
    x, y = share * np.sum((actions == 0) | (actions == 2)), share * np.sum((actions == 1) | (actions == 2))
    return [x + wide, wide + y, x + y][mine]


@pytest.mark.parametrize(("link", "latency"), [(False, 65), (True, 80)])
def test_every_equilibrium_of_the_usual_network_has_one_latency(link, latency):
    world = Braess(num_agents=6, link=link)
    stable = [a for a in crowds(6, world.num_actions) if regret("braess", world, np.array(a)) <= 1e-9]
    assert stable and all(twins.braess(world, actions) == pytest.approx(-latency) for actions in stable)
    assert braess.nash(world).score == pytest.approx(-latency)


def test_known_optima():
    """(M - 1) c / e for a bar with far too many guests; 65 and 64.69 minutes; a sum a little above mu."""
    for num_agents, nights, capacity in ((60, 7, 3), (168, 7, 6), (1000, 10, 20)):
        best = bar.optimum(Bar(num_agents=num_agents, nights=nights, capacity=capacity))
        assert best.score == pytest.approx((nights - 1) * capacity / np.e, rel=1e-5)
        assert sorted(np.bincount(best.actions))[:-1] == [capacity] * (nights - 1)
    assert braess.optimum(Braess(num_agents=1000)).score == -65
    assert braess.optimum(Braess(num_agents=1000, link=True)).score == pytest.approx(-64.6875, abs=1e-3)
    squeeze = gaussian_squeeze.optimum(GaussianSqueeze(num_agents=100, mu=180.0, sigma=90.0))
    mu, sigma = 180, 90  # d/dx log G = 1/x - 2 (x - mu) / sigma^2 = 0
    assert squeeze.actions.sum() == round((mu + np.sqrt(mu**2 + 2 * sigma**2)) / 2)


def test_a_target_out_of_reach_is_approached_as_far_as_it_goes():
    world = GaussianSqueeze(num_agents=5, mu=4000.0, sigma=1.0)
    found = gaussian_squeeze.optimum(world)
    assert found.score == 0 and found.actions.tolist() == [9] * 5


@pytest.mark.parametrize("kind", sorted(SOLVERS))
def test_the_world_agrees_on_the_score(kind):
    world = {"bar": Bar(num_agents=40, nights=5, capacity=4.0), "braess": Braess(num_agents=40, link=True),
             "squeeze": GaussianSqueeze(num_agents=40, mu=90.0, sigma=20.0),
             "servers": Servers(num_agents=40, base=[0.0, 1.0, 2.0], speed=[1.0, 2.0, 8.0])}[kind]  # fmt: skip
    found = SOLVERS[kind].optimum(world)
    np.testing.assert_allclose(world.score((), jnp.asarray(found.actions, jnp.int32), ()), found.score, rtol=1e-5)


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(Refusal, match="Servers has no nights"):
        bar.optimum(Servers(num_agents=2, base=[1.0], speed=[1.0]))
    many = jnp.array([1.0, 2.0])
    with pytest.raises(Refusal, match="one world at a time"):
        bar.optimum(Bar(num_agents=2, nights=2, capacity=many))
    with pytest.raises(Refusal, match="one world at a time"):
        gaussian_squeeze.optimum(GaussianSqueeze(num_agents=2, mu=many, sigma=1.0))
    with pytest.raises(Refusal, match="one world at a time"):
        braess.nash(Braess(num_agents=2, wide=many))
    with pytest.raises(Refusal, match="one world at a time"):
        servers.optimum(Servers(num_agents=2, base=many[None], speed=many[None]))


def test_anything_with_the_fields_of_the_world_will_do():
    assert bar.optimum(SimpleNamespace(num_agents=2, nights=2, capacity=1.0)).score == pytest.approx(2 / np.e)
    assert dealt([0, 2, 1]).tolist() == [1, 1, 2]
