import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Team, World, static
from quorate.errors import Refusal
from quorate.measure.alignment import factoredness, learnability
from quorate.measure.intervals import bootstrap, slope
from quorate.utilities.difference import ExpectedDifference, ExpectedDifferenceOwnPolicy, WonderfulLife
from quorate.utilities.selfish import Selfish
from quorate.worlds.bar import Bar
from quorate.worlds.braess import Braess
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from quorate.worlds.imperfect_devices import ImperfectDevices, draw
from quorate.worlds.servers import Servers
from tests.worlds import twins

KEY = jax.random.key(0)
FACTORED = Team(), WonderfulLife(), ExpectedDifference(), ExpectedDifferenceOwnPolicy()


def naive_factoredness(score, pay, agent, num_agents, num_actions, same_state=False):
    """Eq. 1 by four loops; (0, 0) agrees, z' = z is counted only with `same_state` and only as the source writes it."""
    agreed = pairs = 0
    for z in itertools.product(range(num_actions), repeat=num_agents):
        for action in range(num_actions):
            if action == z[agent] and not same_state:
                continue
            other = (*z[:agent], action, *z[agent + 1 :])
            whole, own = score(z) - score(other), pay(z, agent) - pay(other, agent)
            whole, own = (0 if abs(change) < 1e-9 else change for change in (whole, own))
            agreed += whole * own > 0 or (whole == own == 0 and not same_state)
            pairs += 1
    return agreed / pairs


@pytest.mark.parametrize("name", ["devices", "devices_vector", "bar", "braess_link", "servers"])
def test_selfish_factoredness_is_that_of_the_loops(name):
    world, score, own = twins.TWINS[name]
    found = factoredness(world, Selfish(), KEY)
    whole, mine = cache(lambda z: score(world, z)), cache(lambda z, i: own(world, z, i))
    for agent in (0, 3):
        expected = naive_factoredness(whole, mine, agent, world.num_agents, world.num_actions)
        assert found[agent] == pytest.approx(expected, abs=1e-6)


def test_the_literal_sum_would_give_a_perfect_utility_one_half():
    """Why pairs z' = z are left out: u[0] = 0 for each of them."""
    world, score, _ = twins.TWINS["devices"]
    literal = naive_factoredness(lambda z: score(world, z), lambda z, i: score(world, z), 0, 7, 2, same_state=True)
    assert literal == 0.5


WORLDS = {
    "devices": ImperfectDevices(errors=draw(0, 10)),
    "devices_vector": ImperfectDevices(errors=np.stack([draw(seed, 8) for seed in range(3)])),
    "bar": Bar(num_agents=6, nights=4, capacity=1.3),
    "squeeze": GaussianSqueeze(num_agents=4, mu=18.0, sigma=9.0),
    "braess": Braess(num_agents=8, link=True),
    "servers": Servers(num_agents=8, base=[1.0, 0.3, 2.7], speed=[1.0, 0.7, 3.3]),
}


SCALAR = pytest.param("devices", marks=pytest.mark.slow)  # and in tests/utilities, with three utilities


@pytest.mark.parametrize("name", [SCALAR, *(name for name in WORLDS if name != "devices")])
def test_team_and_difference_utilities_are_factored_in_every_pair(name):
    world = WORLDS[name]
    for utility in FACTORED:
        assert factoredness(world, utility, KEY).tolist() == [1.0] * world.num_agents


@pytest.mark.parametrize("name", ["devices", "bar", "braess", "servers"])
def test_the_selfish_are_not(name):
    assert 0 < float(jnp.mean(factoredness(WORLDS[name], Selfish(), KEY))) < 0.99


def test_selfish_devices_are_aligned_by_luck():
    """The selfish always prefer to be off, and that is right in a little less than half of all cases: taking a device
    away makes the average noisier. Measured: 0.38 for 10 devices (20 configurations), towards 1/2 for many."""
    shares = [jnp.mean(factoredness(ImperfectDevices(errors=draw(seed, 10)), Selfish(), KEY)) for seed in range(20)]
    interval = bootstrap(np.array(shares, np.float64), level=0.99)
    assert interval.low < 0.38 < interval.high < 0.5
    many = ImperfectDevices(errors=draw(0, 1000))
    assert jnp.mean(factoredness(many, Selfish(), KEY, samples=400, agents=np.arange(100))) == pytest.approx(
        0.5, abs=0.1
    )


def test_samples_estimate_the_exhaustive_share():
    world = WORLDS["devices"]
    exact = factoredness(world, Selfish(), KEY)
    sampled = factoredness(world, Selfish(), KEY, samples=4000)
    np.testing.assert_allclose(sampled, exact, atol=5 * 0.5 / np.sqrt(4000))
    few = factoredness(world, Selfish(), KEY, samples=4000, agents=[7, 2])
    np.testing.assert_array_equal(few, sampled[jnp.array([7, 2])])


@pytest.mark.parametrize("utility", FACTORED[:3])
def test_large_crowds_are_factored_in_every_sample(utility):
    world = ImperfectDevices(errors=draw(1, 1000))
    assert factoredness(world, utility, KEY, samples=200, agents=[0, 500, 999]).tolist() == [1.0] * 3


class Against(Team):
    """Paid for making the score worse."""

    def __call__(self, world, state, actions, after, score, chances):
        return -super().__call__(world, state, actions, after, score, chances)


class Paid(Team):
    """Paid alike whatever happens."""

    def __call__(self, world, state, actions, after, score, chances):
        return jnp.ones(world.num_agents)


def test_signs_and_ties_count_as_documented():
    """The only tie of devices: the worst one alone scores as nobody does. That pair agrees with what ties there too."""
    world = WORLDS["devices"]
    tie = np.where(np.argmax(np.abs(world.errors)) == np.arange(10), 1 / 2**9, 0)
    against = factoredness(world, Against(), KEY)
    np.testing.assert_allclose(against, tie, atol=1e-7)
    np.testing.assert_allclose(factoredness(world, Paid(), KEY), tie, atol=1e-7)  # one difference is 0, not the other
    flat = GaussianSqueeze(num_agents=3, mu=1e6, sigma=1.0)  # the score is 0 everywhere
    assert factoredness(flat, Paid(), KEY).tolist() == [1.0] * 3
    assert jnp.max(factoredness(flat, Selfish(), KEY)) == 0


def naive_learnability(score_of, agent, actions, num_actions, num_agents):
    """Eq. 2 at one z, over all alternatives of both kinds."""
    here = score_of(actions, agent)
    others = [a for a in range(num_actions) if a != actions[agent]]
    own = np.mean([abs(here - score_of((*actions[:agent], a, *actions[agent + 1 :]), agent)) for a in others])
    rest = itertools.product(range(num_actions), repeat=num_agents - 1)
    noise = np.mean([abs(here - score_of((*z[:agent], actions[agent], *z[agent:]), agent)) for z in rest])
    return own, noise


@pytest.mark.parametrize("name", ["bar", "devices", pytest.param("squeeze", marks=pytest.mark.slow)])
def test_learnability_is_that_of_the_loops(name):
    """The numerator exactly, the denominator within five standard errors of 4000 samples."""
    world = {
        "squeeze": GaussianSqueeze(num_agents=3, mu=12.0, sigma=8.0),
        "bar": Bar(num_agents=4, nights=3, capacity=1.2),
        "devices": ImperfectDevices(errors=draw(4, 6)),
    }[name]
    score = {"squeeze": twins.squeeze, "bar": twins.bar, "devices": twins.devices}[name]

    def life(actions, agent):
        return score(world, actions) - score(world, actions, without=agent)

    found = learnability(world, WonderfulLife(), KEY, states=2, samples=4000)
    for state, agent in itertools.product(range(2), range(world.num_agents)):
        actions = tuple(np.asarray(joint_action(world, found, state)).tolist())
        own, noise = naive_learnability(life, agent, actions, world.num_actions, world.num_agents)
        assert found.own[state, agent] == pytest.approx(own, rel=1e-4, abs=1e-6)
        assert found.others[state, agent] == pytest.approx(noise, rel=0.15, abs=1e-6)
    assert found.value == pytest.approx(float(jnp.mean(found.own) / jnp.mean(found.others)), rel=1e-5)


def joint_action(world, found, state):
    assert found.actions.shape[1] == world.num_agents  # everybody is looked at, so z is known
    return found.actions[state]


def test_what_only_oneself_moves_is_learnable_without_end_and_what_nobody_moves_not_at_all():
    world = GaussianSqueeze(num_agents=4, mu=10.0, sigma=5.0)
    assert learnability(world, Selfish(), KEY).value == jnp.inf
    assert learnability(world, Paid(), KEY).value == 0


@pytest.mark.slow
def test_acceptance_06_learnability():
    """Where a device is in use, expected difference has twice the lambda of wonderful life; that of G falls as N^-1/2.

    For both difference utilities the ratio of means is near 3 in a large crowd of any size: pay moves by |a_i| / K with
    the own action, and as far with the others when the sign of their sum turns, in one of three draws of everything.
    """
    sizes, configurations = (50, 200, 800), 16
    slopes, moved = [], []
    for seed in range(configurations):
        worlds = [ImperfectDevices(errors=draw(seed, size)) for size in sizes]
        team = [lambdas(world, Team(), seed) for world in worlds]
        slopes.append(slope(sizes, [found.value for found in team]))
        expected, life = (lambdas(worlds[1], utility, seed) for utility in (ExpectedDifference(), WonderfulLife()))
        used = np.asarray(expected.actions) == 1
        twice = (expected.own / expected.others)[used] / (life.own / life.others)[used]
        np.testing.assert_allclose(twice, 2, rtol=2e-3)
        assert np.all(np.asarray(life.others)[~used] == 0)  # Eq. 2 is infinite there
        for found in (expected, life):  # g = G - f(z_-i): one numerator for all
            np.testing.assert_allclose(found.own, team[1].own, rtol=2e-2, atol=1e-6)
        moved.append([[jnp.mean(found.own), jnp.mean(found.others)] for found in (expected, life)])
    interval = bootstrap(slopes, level=0.99)
    assert interval.low < -0.5 < interval.high and interval.high - interval.low < 0.4
    own, others = np.mean(moved, axis=0).T
    assert np.all((own / others > 1.5) & (own / others < 6))


def lambdas(world, utility, seed):
    return learnability(world, utility, jax.random.key(seed), states=3, samples=50, agents=np.arange(20))


class Forbidding(World):
    num_agents: int = static(2)
    num_actions: int = static(2)

    def reset(self, key):
        return ()

    def step(self, key, state, actions):
        return ()

    def score(self, state, actions, after):
        return jnp.float32(0)

    def legal(self, state):
        return jnp.array([[True, False], [True, True]])


@pytest.mark.parametrize(
    ("world", "given", "message"),
    [
        (Forbidding(), {}, "forbids actions"),
        (Bar(num_agents=3, nights=1, capacity=1.0), {}, "leaves 1 action"),
        (WORLDS["bar"], {"samples": 0}, "samples is 0"),
        (WORLDS["bar"], {"agents": [6]}, r"indices in 0\.\.5"),
        (WORLDS["bar"], {"agents": []}, r"indices in 0\.\.5"),
        (Bar(num_agents=30, nights=2, capacity=1.0), {}, "samples="),
    ],
)
def test_what_cannot_be_measured_is_refused(world, given, message):
    with pytest.raises(Refusal, match=message):
        factoredness(world, Team(), KEY, **given)


def test_learnability_needs_states_and_samples():
    for given in ({"states": 0}, {"samples": -1}):
        with pytest.raises(Refusal, match="must be at least 1"):
            learnability(WORLDS["bar"], Team(), KEY, **given)
