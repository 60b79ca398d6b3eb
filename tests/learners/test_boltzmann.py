"""The aged mean is the aged sums' quotient; who learns when; what a temperature does."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.learners import Boltzmann, Uniform
from quorate.learners.boltzmann import Estimates, device_temperature
from quorate.step import run, start
from quorate.testing.tiny import Lamps


def learned(memory, actions, credit, live=None, num_actions=2, horizon=1):
    """The mind after ticks [T, B, N]."""
    ticks, runs, n = actions.shape
    learner = Boltzmann(temperature=1, memory=memory, horizon=horizon)
    mind = learner.init(jax.random.key(0), Scenario(Lamps(num_agents=n, num_actions=num_actions), Uniform()))
    live = np.ones((ticks, runs), bool) if live is None else live
    learn = jax.jit(
        lambda mind, a, u, alive: learner.learn(None, mind, SimpleNamespace(actions=a, credit=u, live=alive), None)
    )
    for t in range(0, ticks, horizon):
        part = slice(t, t + horizon)
        mind = learn(mind, jnp.asarray(actions[part], jnp.int32), jnp.asarray(credit[part], jnp.float32), live[part])
    return mind


def aged(memory, actions, credit, live, num_actions):
    """The raw sums, in float64: numerator and weight of each action of each agent."""
    ticks, _, n = actions.shape
    total, weight = np.zeros((2, num_actions, n))
    for t in range(ticks):
        for a in range(num_actions):
            taken = (actions[t] == a) & live[t][:, None]
            total[a] += memory ** (ticks - 1 - t) * (credit[t] * taken).sum(0)
            weight[a] += memory ** (ticks - 1 - t) * taken.sum(0)
    return total, weight


@pytest.mark.parametrize(("num_actions", "runs", "horizon"), [(2, 1, 1), (3, 2, 4)])
@pytest.mark.parametrize("memory", [0.8, 1.0, 0.0, 0.5])
def test_the_mean_is_the_quotient_of_the_aged_sums(num_actions, runs, horizon, memory):
    rng = np.random.default_rng(3)
    actions = rng.integers(0, num_actions, (24, runs, 7))
    actions[:, :, 0] = 1  # an agent that never tries anything else
    credit, live = rng.standard_normal(actions.shape), rng.random((24, runs)) < 0.8
    mind = learned(memory, actions, credit, live, num_actions, horizon)
    total, weight = aged(memory, actions, credit, live, num_actions)
    np.testing.assert_allclose(mind.weight, weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(mind.pay)[weight > 0], (total / np.where(weight, weight, 1))[weight > 0], atol=1e-5
    )
    assert int(mind.ticks) == 24
    assert (np.asarray(mind.pay)[0, 0], np.asarray(mind.weight)[0, 0]) == (0, 0)  # never tried


def test_an_action_long_untried_keeps_its_mean_where_the_sums_underflow():
    actions = np.ones((1200, 1, 1), int)
    actions[:3] = 0
    credit = np.where(actions == 0, 5.0, 1.0)
    mind = learned(0.8, actions, credit)
    assert mind.weight[0, 0] == 0 and np.asarray(mind.pay)[:, 0] == pytest.approx([5, 1])
    once_more = learned(0.8, np.concatenate([actions, [[[0]]]]), np.concatenate([credit, [[[-2.0]]]]))
    assert np.asarray(once_more.pay)[:, 0] == pytest.approx([-2, 1])  # a first try again


@eqx.filter_jit
def act(learner, *args):
    return learner.act(*args)


def chances_of(learner, pay, ticks=10**6, legal=None):
    pay = jnp.asarray(pay, jnp.float32)
    mind = Estimates(pay, jnp.ones_like(pay), jnp.int32(ticks))
    actions, _, aux = act(learner, jax.random.key(2), mind, (), (), legal)
    return np.asarray(aux.chances), np.asarray(actions)


@pytest.mark.parametrize("num_actions", [2, 5])
def test_chances_are_those_of_the_softmax(num_actions):
    pay = np.random.default_rng(0).standard_normal((num_actions, 50)) * 1e-3
    chances, _ = chances_of(Boltzmann(temperature=5e-4), pay)
    expected = np.exp(pay / 5e-4) / np.exp(pay / 5e-4).sum(0)
    np.testing.assert_allclose(chances, expected.T, rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("num_actions", [2, 5])
def test_actions_are_drawn_with_these_chances(num_actions):
    n = 50_000
    pay = np.tile(np.arange(num_actions)[:, None] * 0.4, (1, n))
    chances, actions = chances_of(Boltzmann(temperature=1, first=0, switch_on=n), pay)
    counts = np.bincount(actions, minlength=num_actions)
    assert stats.chisquare(counts, n * chances[0].astype(np.float64) / chances[0].sum(dtype=np.float64)).pvalue > 1e-6


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-38, 1e-30])
def test_no_warmth_takes_the_best_and_lots_among_equals(temperature):
    pay = np.tile([[-1e6], [-3e-3], [-3e-3]], (1, 2000))
    chances, actions = chances_of(Boltzmann(temperature=temperature, switch_on=2000), pay)
    np.testing.assert_array_equal(chances, np.tile([0, 0.5, 0.5], (2000, 1)))
    assert 0.4 < (actions == 1).mean() < 0.6 and not (actions == 0).any()
    two, choices = chances_of(Boltzmann(temperature=temperature, switch_on=2000), pay[:2])
    assert (two == [0, 1]).all() and (choices == 1).all()


def test_much_warmth_is_uniform():
    for temperature in (1e30, np.inf):
        chances, _ = chances_of(Boltzmann(temperature=temperature), [[-5.0], [3.0]])
        assert chances.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("temperature", [0.0, 1.0, np.inf])
def test_what_is_not_legal_has_no_chance_although_it_pays(temperature):
    legal = jnp.array([[False, True, True]])
    chances, actions = chances_of(Boltzmann(temperature=temperature), [[9.0], [-1e30], [-1e30]], legal=legal)
    assert chances.tolist() == [[0, 0.5, 0.5]] and actions[0] > 0


@pytest.mark.parametrize(("ticks", "who"), [(0, 0), (18, 0), (19, 0), (20, 3), (21, 6), (23, 10), (10**9, 10)])
def test_agents_switch_on_by_index(ticks, who):
    """(t - 19) times 3 agents at tick t, counted from 0; all others are uniform."""
    chances, _ = chances_of(Boltzmann(temperature=1e-3), np.tile([[0.0], [1.0]], (1, 10)), ticks)
    assert (chances[:, 1] == 1).tolist() == [i < who for i in range(10)]
    assert (chances[who:] == 0.5).all()


def test_the_switch_on_in_a_run():
    scenario = Scenario(Lamps(num_agents=10), Boltzmann(temperature=0.0, first=5, switch_on=4))
    _, seen = run(start(jax.random.key(0), scenario), scenario, 9, ("aux",))
    uniform = (seen["aux"].chances[:, 0] == 0.5).all(axis=-1)
    learning = 10 - np.asarray(uniform).sum(1)
    assert learning[:5].tolist() == [0] * 5 and (learning[5:] <= [4, 8, 10, 10]).all() and learning[5:].any()


def test_nobody_or_everybody_may_switch_on_at_any_size():
    pay = np.tile([[0.0], [1.0]], (1, 10))
    never, _ = chances_of(Boltzmann(temperature=1e-3, switch_on=0), pay)
    at_once, _ = chances_of(Boltzmann(temperature=1e-3, switch_on=2**30, first=0), pay, 0)
    late, _ = chances_of(Boltzmann(temperature=1e-3, switch_on=10**6), pay, 10**5)  # 10^11 is no int32
    assert (never == 0.5).all() and (at_once[:, 1] == 1).all() and (late[:, 1] == 1).all()


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"temperature": np.nan}, {"memory": 1.1}, {"memory": -0.1}])
def test_what_is_refused(bad):
    with pytest.raises(Refusal, match=f"{next(iter(bad))} is .*; it must be between 0 and"):
        Boltzmann(**({"temperature": 1} | bad))


def test_swept_values_may_be_traced():
    temperatures = jnp.array([0.0, 0.5, 2.0])
    pay = [[0.0], [1.0]]

    def first_chance(temperature):
        mind = Estimates(jnp.array(pay), jnp.ones((2, 1)), jnp.int32(99))
        return Boltzmann(temperature=temperature).act(jax.random.key(0), mind, (), (), None)[2].chances[0, 1]

    together = jax.vmap(first_chance)(temperatures)
    np.testing.assert_allclose(together, [1, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-0.5))], rtol=1e-6)


def test_the_temperature_of_devices_has_their_unit():
    errors = np.random.default_rng(0).standard_normal((3, 50))
    for scale in (1.0, 1e-6, 1e6):
        expected = 0.3 * scale * np.sqrt((errors**2).mean()) / 50**2
        assert float(device_temperature(jnp.asarray(errors * scale), 0.3)) == pytest.approx(expected, rel=1e-5)
