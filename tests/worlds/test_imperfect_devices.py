import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.utilities.difference import ExpectedDifference, WonderfulLife
from quorate.worlds.imperfect_devices import LAWS, ImperfectDevices, draw, standardised
from tests.worlds.twins import TWINS, drawn


@pytest.mark.parametrize("name", ["devices", "devices_vector"])
def test_score_and_own_account_are_those_of_the_twin(name):
    world, score, own = TWINS[name]
    for seed in range(20):
        actions = drawn(world, seed)
        np.testing.assert_allclose(world.score((), jnp.asarray(actions), ()), score(world, actions), rtol=1e-5)
        expected = [own(world, actions, agent) for agent in range(world.num_agents)]
        np.testing.assert_allclose(world.own((), jnp.asarray(actions)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["devices", "devices_vector"])
def test_nobody_chosen_scores_as_the_worst_single_device(name):
    world, *_ = TWINS[name]
    nobody = world.score((), jnp.zeros(world.num_agents, jnp.int32), ())
    alone = [world.score((), jnp.zeros(world.num_agents, jnp.int32).at[i].set(1), ()) for i in range(world.num_agents)]
    np.testing.assert_allclose(nobody, min(alone), rtol=1e-6)


def test_one_row_of_points_is_one_number_a_device():
    errors, actions = draw(1, 9), jnp.array([1, 0, 1, 1, 0, 0, 1, 0, 1])
    scores = [ImperfectDevices(errors=e).score((), actions, ()) for e in (errors, errors[None])]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)


@pytest.mark.parametrize("devices", [100_000, 300_000])
def test_a_large_crowd_scores_the_same_in_any_order(devices):
    """A float32 sum does not; the pay of every agent must not depend on it either."""
    errors, generator = draw(2, devices), np.random.default_rng(0)
    actions, order = generator.integers(0, 2, devices).astype(np.int32), generator.permutation(devices)
    world, turned = ImperfectDevices(errors=errors), ImperfectDevices(errors=errors[order])
    parts = world.parts((), jnp.asarray(actions))
    total, total_turned = world.total(parts), turned.total(turned.parts((), jnp.asarray(actions[order])))
    assert total.error == total_turned.error and total.count == total_turned.count
    exact = np.sum(np.asarray(parts.error, np.float64))
    assert total.error == np.float32(exact)
    scores = world.score((), jnp.asarray(actions), ()), turned.score((), jnp.asarray(actions[order]), ())
    assert scores[0] == scores[1]
    for utility in (WonderfulLife(), ExpectedDifference()):
        pay = np.asarray(utility(world, (), jnp.asarray(actions), (), scores[0], None))
        pay_turned = np.asarray(utility(turned, (), jnp.asarray(actions[order]), (), scores[1], None))
        np.testing.assert_array_equal(pay[order], pay_turned)


def test_a_plain_float32_sum_would_depend_on_the_order():
    """What the test above guards against is real: two orders of one crowd, two sums."""
    errors, order = draw(2, 100_000).astype(np.float32), np.random.default_rng(0).permutation(100_000)
    assert jnp.sum(jnp.asarray(errors)) != jnp.sum(jnp.asarray(errors[order]))


@pytest.mark.slow
@given(exponent=st.integers(-40, 40), seed=st.integers(0, 5))
def test_units_of_two_scale_the_score_exactly(exponent, seed):
    errors, actions = draw(seed, 9), jnp.asarray(np.random.default_rng(seed).integers(0, 2, 9))
    plain = ImperfectDevices(errors=errors).score((), actions, ())
    scaled = ImperfectDevices(errors=np.ldexp(errors, exponent)).score((), actions, ())
    assert float(scaled) == np.ldexp(float(plain), exponent)


@pytest.mark.parametrize(("law", "variance"), list(zip(LAWS, (1, 1, 1, 3), strict=True)))
def test_laws_have_their_mean_and_spread(law, variance):
    """Median of 25 sample variances: robust to the heavy tail of Student's t."""
    samples = np.array([draw(seed, 4000, law) for seed in range(25)])
    assert abs(samples.mean()) < 5 * np.sqrt(variance / samples.size)
    assert np.median(samples.var(axis=1)) == pytest.approx(variance, rel=0.1)


def test_one_draw_is_one_configuration():
    np.testing.assert_array_equal(draw(3, 10), draw(3, 10))
    assert not np.array_equal(draw(3, 10), draw(4, 10))
    assert not np.array_equal(draw(3, 10), draw(3, 10, "uniform"))
    with pytest.raises(Refusal, match="did you mean normal"):
        draw(3, 10, "norml")


@pytest.mark.parametrize("size", [1e-200, 1e-6, 1.0, 1e200])
def test_standardised_errors_have_no_unit(size):
    errors, scale = standardised(draw(0, 50) * size)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(1) and scale == pytest.approx(size, rel=0.5)
    np.testing.assert_allclose(errors * scale, draw(0, 50) * size)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4)])
def test_errors_of_another_shape_are_refused(shape):
    with pytest.raises(Refusal, match="devices"):
        ImperfectDevices(errors=np.zeros(shape))
