import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.learners.boltzmann import Boltzmann
from quorate.solvers import servers as solver
from quorate.step import run, start
from quorate.utilities.difference import ExpectedDifference, WonderfulLife
from quorate.worlds.servers import Servers
from tests.worlds.twins import TWINS, drawn

WORLD, SCORE, OWN = TWINS["servers"]


@pytest.mark.parametrize("idlers", [False, True])
def test_score_and_own_account_are_those_of_the_twin(idlers):
    for seed in range(20):
        actions = drawn(WORLD, seed, idlers)
        np.testing.assert_allclose(WORLD.score((), jnp.asarray(actions), ()), SCORE(WORLD, actions), rtol=1e-6)
        expected = [OWN(WORLD, actions, agent) for agent in range(WORLD.num_agents)]
        np.testing.assert_allclose(WORLD.own((), jnp.asarray(actions)), expected, rtol=1e-6)


def test_every_job_runs_on_one_server():
    actions = drawn(WORLD, 2)
    queues = WORLD.total(WORLD.parts((), jnp.asarray(actions))).amount
    assert queues.tolist() == np.bincount(actions, minlength=3).tolist() and queues.sum() == WORLD.num_agents


def test_own_latencies_add_up_to_the_score_and_average_to_the_mean_latency():
    actions = jnp.asarray(drawn(WORLD, 2))
    own, score = WORLD.own((), actions), WORLD.score((), actions, ())
    np.testing.assert_allclose(jnp.sum(own), score, rtol=1e-6)
    np.testing.assert_allclose(WORLD.mean_latency(score), -jnp.mean(own), rtol=1e-6)


def test_a_wonderful_life_is_the_whole_burden_of_a_job():
    """-(b_m + (2 x_m - 1) / s_m)."""
    actions = jnp.asarray(drawn(WORLD, 4))
    queues = WORLD.total(WORLD.parts((), actions)).amount
    burden = WORLD.base[actions] + (2 * queues[actions] - 1) / WORLD.speed[actions]
    pay = WonderfulLife()(WORLD, (), actions, (), WORLD.score((), actions, ()), None)
    np.testing.assert_allclose(pay, -burden, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": [1.0]}, "one number a server"),
        ({"speed": [1.0, 0.0]}, "speed is 0"),
        ({"base": [1.0, -0.5]}, "base is -0.5; it must be at least 0"),
        ({"base": [], "speed": []}, "one number a server"),
    ],
)
def test_numbers_that_make_no_server_are_refused(change, message):
    with pytest.raises(Refusal, match=message):
        Servers(**{"num_agents": 3, "base": [1.0, 0.0], "speed": [1.0, 2.0]} | change)


def test_difference_utilities_do_better_than_the_selfish_could():
    """8 servers, 100 jobs; the mean latency must lie between the optimum and the equilibrium, nearer to the optimum."""
    draw = np.random.default_rng(0)
    world = Servers(num_agents=100, base=draw.uniform(1, 5, 8), speed=draw.uniform(1, 5, 8))
    learner = Boltzmann(temperature=0.1, memory=0.9)
    scenario = Scenario(world=world, learner=learner, utility=ExpectedDifference())

    def one(seed):
        return run(start(jax.random.key(seed), scenario), scenario, 300)[1]["score"][-10:]

    score = float(jnp.mean(eqx.filter_jit(jax.vmap(one))(jnp.arange(4))))
    best, stable = solver.optimum(world).score, solver.nash(world).score
    assert best - 0.4 * (best - stable) < score <= best * (1 - 1e-6)
