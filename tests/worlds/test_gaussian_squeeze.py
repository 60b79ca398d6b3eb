import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Scenario, Team
from quorate.errors import Refusal
from quorate.learners.boltzmann import Boltzmann
from quorate.solvers import gaussian_squeeze as solver
from quorate.step import run, start
from quorate.utilities.difference import ExpectedDifference, WonderfulLife
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from tests.worlds.twins import TWINS, drawn

WORLD, SCORE, OWN = TWINS["squeeze"]
TEMPERATURE = jnp.float32(1e-3)  # about the best for all three utilities


@pytest.mark.parametrize("idlers", [False, True])
def test_score_and_own_account_are_those_of_the_twin(idlers):
    for seed in range(20):
        actions = drawn(WORLD, seed, idlers)
        np.testing.assert_allclose(WORLD.score((), jnp.asarray(actions), ()), SCORE(WORLD, actions), rtol=1e-5)
        expected = [OWN(WORLD, actions, agent) for agent in range(WORLD.num_agents)]
        np.testing.assert_allclose(WORLD.own((), jnp.asarray(actions)), expected, rtol=1e-6)


def test_only_the_sum_matters():
    scores = [WORLD.score((), jnp.array(actions), ()) for actions in ([4] * 7, [9, 9, 9, 1, 0, 0, 0])]
    assert scores[0] == scores[1] == 28.0  # on the target the bell is 1


def test_a_million_numbers_add_up_exactly_in_any_order():
    world = GaussianSqueeze(num_agents=10**6, mu=1.8e6, sigma=9e5)
    actions = drawn(world, 0)
    total = world.total(world.parts((), jnp.asarray(actions)))
    assert int(total) == int(actions.sum(dtype=np.int64))
    turned = world.score((), jnp.asarray(actions[::-1]), ())
    assert turned == world.score((), jnp.asarray(actions), ())


def test_what_is_not_above_zero_is_refused():
    with pytest.raises(Refusal, match="^sigma is 0; it must be above 0"):
        GaussianSqueeze(num_agents=3, mu=5.0, sigma=0.0)


@eqx.filter_jit
def learned(world, utility, temperature):
    """The score at the end of 300 ticks, mean of the last 10 and of four seeds."""
    learner = Boltzmann(temperature=temperature, memory=0.9)
    scenario = Scenario(world=world, learner=learner, utility=utility)

    def one(seed):
        return run(start(jax.random.key(seed), scenario), scenario, 300)[1]["score"][-10:]

    return jnp.mean(jax.vmap(one)(jnp.arange(4)))


def test_difference_utilities_hit_a_wide_bell_and_the_team_does_not():
    world = GaussianSqueeze(num_agents=100, mu=180.0, sigma=90.0)
    best = solver.optimum(world).score
    assert learned(world, WonderfulLife(), TEMPERATURE) > 0.98 * best
    assert learned(world, ExpectedDifference(), TEMPERATURE) > 0.98 * best
    assert learned(world, Team(), TEMPERATURE) < 0.2 * best


def test_where_a_random_start_sees_no_slope_nobody_learns():
    """A difference utility does not explore: at sigma = mu / 10 the score of a random joint action underflows."""
    world = GaussianSqueeze(num_agents=100, mu=180.0, sigma=18.0)
    assert solver.optimum(world).score > 180
    for utility in (Team(), WonderfulLife(), ExpectedDifference()):
        assert learned(world, utility, TEMPERATURE) < 1e-20
