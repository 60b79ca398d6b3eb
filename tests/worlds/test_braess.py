import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.learners.boltzmann import Boltzmann
from quorate.step import run, start
from quorate.utilities.difference import ExpectedDifference
from quorate.utilities.selfish import Selfish
from quorate.worlds.braess import Braess
from tests.worlds.twins import TWINS, drawn


@pytest.mark.parametrize("name", ["braess", "braess_link"])
@pytest.mark.parametrize("idlers", [False, True])
def test_score_and_own_account_are_those_of_the_twin(name, idlers):
    world, score, own = TWINS[name]
    for seed in range(20):
        actions = drawn(world, seed, idlers)
        np.testing.assert_allclose(world.score((), jnp.asarray(actions), ()), score(world, actions), rtol=1e-6)
        expected = [own(world, actions, agent) for agent in range(world.num_agents)]
        np.testing.assert_allclose(world.own((), jnp.asarray(actions)), expected, rtol=1e-6)


def test_the_link_is_one_more_route():
    assert (Braess(num_agents=4).num_actions, Braess(num_agents=4, link=True).num_actions) == (2, 3)
    actions = jnp.array([0, 1, 1, 0])
    assert Braess(num_agents=4).score((), actions, ()) == Braess(num_agents=4, link=True).score((), actions, ())


def test_every_driver_uses_two_roads_or_the_link():
    world, *_ = TWINS["braess_link"]
    for seed in range(20):
        actions = jnp.asarray(drawn(world, seed))
        load = world.total(world.parts((), actions))
        linked = jnp.sum(actions == 2)
        assert load.wide == world.num_agents - linked
        assert jnp.sum(load.narrow) == world.num_agents + linked


def test_the_mean_of_own_latencies_is_the_score():
    world, *_ = TWINS["braess_link"]
    actions = jnp.asarray(drawn(world, 1))
    np.testing.assert_allclose(jnp.mean(world.own((), actions)), world.score((), actions, ()), rtol=1e-6)


def test_what_is_not_above_zero_is_refused():
    with pytest.raises(Refusal, match="^wide is -1; it must be above 0"):
        Braess(num_agents=3, wide=-1.0)


def test_the_paradox_and_its_cure():
    """Measured at the end of 300 ticks: selfish 65.0 without the link, 80.0 with it; expected difference 64.7."""

    @eqx.filter_jit
    def mean_latency(world, utility, temperature):
        learner = Boltzmann(temperature=temperature, memory=0.9)
        scenario = Scenario(world=world, learner=learner, utility=utility)

        def one(seed):
            return run(start(jax.random.key(seed), scenario), scenario, 300)[1]["score"][-10:]

        return -jnp.mean(jax.vmap(one)(jnp.arange(4)))

    closed, opened = Braess(num_agents=100), Braess(num_agents=100, link=True)
    assert mean_latency(closed, Selfish(), jnp.float32(0.1)) == pytest.approx(65, abs=0.1)
    assert mean_latency(opened, Selfish(), jnp.float32(0.1)) == pytest.approx(80, abs=1)
    assert mean_latency(opened, ExpectedDifference(), jnp.float32(0.003)) < 65
