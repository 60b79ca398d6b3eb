"""Difference utilities against their definitions, evaluated in float64, on each world and each kind of part."""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Array

from quorate.core import AggregativeWorld, At, Places, Team, replaced, static, swept
from quorate.measure.alignment import factoredness
from quorate.utilities.difference import ExpectedDifference, ExpectedDifferenceOwnPolicy, WonderfulLife
from quorate.worlds.imperfect_devices import ImperfectDevices, draw
from tests.worlds.twins import TWINS, devices, drawn


class Sums(NamedTuple):
    scalar: Array
    vector: Array
    spots: Places


class Mixed(AggregativeWorld):
    """All three kinds of part in one score. Actions 0 and 2 meet at one place with unlike amounts."""

    weights: Array = swept()
    num_actions: int = static(3)

    @property
    def num_agents(self):
        return self.weights.shape[0]

    def reset(self, key):
        return ()

    def step(self, key, state, actions):
        return ()

    def parts(self, state, actions):
        scalar = self.weights * actions
        return Sums(scalar, jnp.stack([scalar**2, self.weights - actions]), At(actions % 2, 1 + scalar, 2))

    def value(self, state, total):
        crossed = jnp.sin(total.scalar) + 0.1 * total.vector[0] * total.vector[1]
        return crossed + total.spots.sum(lambda place, amount: (place + 1) * jnp.cos(amount))

    def own(self, state, actions):
        return self.weights * actions


def mixed(world, actions, without=None):
    pairs = [(float(w), int(a)) for i, (w, a) in enumerate(zip(world.weights, actions, strict=True)) if i != without]
    first, second = sum((w * a) ** 2 for w, a in pairs), sum(w - a for w, a in pairs)
    amounts = [sum(1 + w * a for w, a in pairs if a % 2 == place) for place in (0, 1)]
    spots = math.cos(amounts[0]) + 2 * math.cos(amounts[1])
    return math.sin(sum(w * a for w, a in pairs)) + 0.1 * first * second + spots


CASES = {name: case[:2] for name, case in TWINS.items()}
CASES["mixed"] = Mixed(weights=np.random.default_rng(1).uniform(0, 1, 7)), mixed
UTILITIES = {"team": Team(), "wonderful_life": WonderfulLife(), "expected_difference": ExpectedDifference()}
every_world = pytest.mark.parametrize("name", CASES)


@eqx.filter_jit
def scored(world, actions):
    return world.score((), actions, ())


@eqx.filter_jit
def paid(utility, world, actions, score, chances):
    return utility(world, (), actions, (), score, chances)


def pay(utility, world, actions, chances=None):
    actions = jnp.asarray(actions)
    return np.asarray(paid(utility, world, actions, scored(world, actions), chances), np.float64)


def instead(actions, agent, action):
    return [action if other == agent else done for other, done in enumerate(actions)]


def by_definition(world, score, actions, chances):
    """Eq. 4 and Eq. 3 for every agent: the score less that of a world without it, or less its mean."""
    without, mean = [], []
    for agent in range(world.num_agents):
        without.append(score(world, actions, agent))
        others = [score(world, instead(actions, agent, action)) for action in range(world.num_actions)]
        mean.append(chances[agent] @ others)
    here = score(world, actions)
    return here - np.array(without), here - np.array(mean), 1e-6 * (1 + abs(here) + np.max(np.abs([without, mean])))


@every_world
def test_every_pay_is_its_definition(name):
    world, score = CASES[name]
    equal = np.full((world.num_agents, world.num_actions), 1 / world.num_actions)
    for seed in range(8):
        actions, generator = drawn(world, seed), np.random.default_rng(seed)
        life, difference, rounding = by_definition(world, score, actions, equal)
        np.testing.assert_allclose(pay(WonderfulLife(), world, actions), life, rtol=1e-5, atol=rounding)
        np.testing.assert_allclose(pay(ExpectedDifference(), world, actions), difference, rtol=1e-5, atol=rounding)
        chances = generator.dirichlet(np.ones(world.num_actions), world.num_agents)
        _, own_policy, rounding = by_definition(world, score, actions, chances)
        found = pay(ExpectedDifferenceOwnPolicy(), world, actions, jnp.asarray(chances, jnp.float32))
        np.testing.assert_allclose(found, own_policy, rtol=1e-5, atol=rounding)


@every_world
def test_a_change_of_mind_moves_pay_and_score_alike(name):
    """g_i = G - f(z_-i): the reason why these utilities are factored."""
    world, _ = CASES[name]
    actions = drawn(world, 11)
    for agent in range(world.num_agents):
        other = np.array(instead(actions, agent, (actions[agent] + 1) % world.num_actions), np.int32)
        after, before = (np.asarray(scored(world, jnp.asarray(turn))) for turn in (other, actions))
        for utility in (WonderfulLife(), ExpectedDifference()):
            change = pay(utility, world, other)[agent] - pay(utility, world, actions)[agent]
            assert change == pytest.approx(float(after - before), abs=2e-5 * (1 + abs(float(after))))


@every_world
def test_expected_difference_is_zero_on_average_over_own_actions(name):
    world, _ = CASES[name]
    actions, chances = drawn(world, 12), np.random.default_rng(0).dirichlet(np.ones(world.num_actions))
    everyone = jnp.asarray(np.tile(chances, (world.num_agents, 1)), jnp.float32)
    for agent in range(world.num_agents):
        turns = [np.array(instead(actions, agent, action), np.int32) for action in range(world.num_actions)]
        scale = 1 + max(abs(float(scored(world, jnp.asarray(turn)))) for turn in turns)
        even = np.mean([pay(ExpectedDifference(), world, turn)[agent] for turn in turns])
        own = chances @ [pay(ExpectedDifferenceOwnPolicy(), world, turn, everyone)[agent] for turn in turns]
        assert abs(even) < 2e-6 * scale and abs(own) < 2e-6 * scale


@pytest.mark.parametrize("name", TWINS)
def test_an_agent_that_idles_has_no_wonderful_life(name):
    """Up to rounding: JAX takes the exponential of one number and of many in different ways."""
    world, score = CASES[name]
    actions = drawn(world, 1, idlers=True)
    idle = actions == np.asarray(world.idle(()))
    assert idle.any() and not idle.all()
    found = pay(WonderfulLife(), world, actions)
    assert np.max(np.abs(found[idle])) <= 1e-6 * abs(score(world, actions)) and np.all(found[~idle] != 0)


@pytest.mark.parametrize("name", ["devices", "devices_vector", "bar", "squeeze", "servers"])
def test_to_the_others_an_idle_agent_is_not_there(name):
    world, _ = CASES[name]
    actions = drawn(world, 1, idlers=True)
    busy = actions != np.asarray(world.idle(()))
    if name.startswith("devices"):
        fewer = ImperfectDevices(errors=world.errors[..., busy])
    else:
        fewer = dataclasses.replace(world, num_agents=int(busy.sum()))
    np.testing.assert_allclose(
        pay(WonderfulLife(), world, actions)[busy], pay(WonderfulLife(), fewer, actions[busy]), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["bar", "squeeze", "braess_link", "servers"])
@settings(max_examples=25)
@given(data=st.data())
def test_agents_have_no_names(name, data):
    """Permuting the joint action permutes the pay, bit for bit: the sums of these worlds are whole numbers."""
    world, _ = CASES[name]
    actions = np.array(data.draw(st.lists(st.integers(0, world.num_actions - 1), min_size=7, max_size=7)), np.int32)
    order = np.array(data.draw(st.permutations(range(7))))
    for utility in UTILITIES.values():
        np.testing.assert_array_equal(pay(utility, world, actions)[order], pay(utility, world, actions[order]))


@settings(max_examples=6)
@given(seed=st.integers(0, 100), order=st.permutations(range(9)), points=st.sampled_from([None, 4]))
def test_devices_may_change_places(seed, order, points):
    errors = draw(seed, 9) if points is None else np.stack([draw(seed + k, 9) for k in range(points)])
    order, actions = np.array(order), np.random.default_rng(seed).integers(0, 2, 9).astype(np.int32)
    world, turned = ImperfectDevices(errors=errors), ImperfectDevices(errors=errors[..., order])
    for utility in UTILITIES.values():
        np.testing.assert_array_equal(pay(utility, world, actions)[order], pay(utility, turned, actions[order]))


def test_both_touches_at_one_place_are_one_change():
    """Amounts 1 and 3 at one place of two; replacing the 1 by 5 makes 8 there and leaves the other place alone."""
    parts, others = At(jnp.array([0, 0]), jnp.array([1.0, 3.0]), 2), At(jnp.array([0, 1]), jnp.array([5.0, 2.0]), 2)
    world = CASES["mixed"][0]

    @jax.jit
    def changed(parts, others):
        return replaced(world.total(parts), parts, others).sum(lambda place, amount: (10.0**place) * amount**2)

    assert changed(parts, others).tolist() == [64.0, 1.0 + 10 * 4.0]


def closed_forms(errors, actions):
    """Eqs. 7, 8, 10 and 11 in float64; a device alone is compared with nobody, who scores as the worst device."""
    total, count, worst = actions @ errors, actions.sum(), np.max(np.abs(errors))

    def epsilon(error, size):
        return np.where(size > 0, np.abs(error) / np.maximum(size, 1), worst)

    here, used = epsilon(total, count), actions == 1
    removed, added = epsilon(total - errors, count - 1), epsilon(total + errors, count + 1)
    difference = np.where(used, 0.5 * removed - 0.5 * here, 0.5 * added - 0.5 * here)
    return difference, np.where(used, removed - here, 0)


@pytest.mark.parametrize("num_agents", [1, 2, 3, 7, 10])
def test_acceptance_01_closed_forms_by_brute_force(num_agents):
    """Tumer, Designing Agent Utilities, Eqs. 7, 8, 10, 11 against Eqs. 3 and 4 in all 2^N states, and F = 1 (Eq. 1)."""
    world = ImperfectDevices(errors=draw(7, num_agents))
    errors = np.asarray(world.errors, np.float64)
    states = np.array([[code >> agent & 1 for agent in range(num_agents)] for code in range(2**num_agents)], np.int32)
    assert {0, 1} <= set(states.sum(axis=1))

    @eqx.filter_jit
    def all_pay(utility):
        return jax.vmap(lambda z: utility(world, (), z, (), world.score((), z, ()), None))(jnp.asarray(states))

    found = [np.asarray(all_pay(utility)) for utility in (ExpectedDifference(), WonderfulLife())]
    even = np.full((num_agents, 2), 0.5)
    for row, actions in enumerate(states):
        difference, life = closed_forms(errors, actions)
        by_eq_4, by_eq_3, _ = by_definition(world, devices, actions, even)
        np.testing.assert_allclose(difference, by_eq_3, rtol=0, atol=1e-14)
        np.testing.assert_allclose(life, by_eq_4, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found[0][row], difference, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1][row], life, rtol=1e-5, atol=1e-6)
    for utility in UTILITIES.values():
        assert factoredness(world, utility, jax.random.key(0)).tolist() == [1.0] * num_agents
