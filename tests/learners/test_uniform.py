"""Every legal action is equally likely, and nothing is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate.core import Scenario
from quorate.learners import Uniform
from quorate.learners.choice import softmax_choice
from quorate.testing.tiny import Lamps

ALARM = 1e-6


class Fenced(Lamps):
    """Agent 1 may not take action 0, agent 2 only the last."""

    num_agents: int = eqx.field(default=3, static=True, kw_only=True)

    def legal(self, state):
        free = jnp.ones((3, self.num_actions), bool).at[1, 0].set(False)
        return free.at[2].set(jnp.arange(self.num_actions) == self.num_actions - 1)


@pytest.mark.parametrize(("num_actions", "fenced"), [(1, False), (2, False), (5, False), (2, True), (5, True)])
def test_every_legal_action_is_equally_likely(num_actions, fenced):
    world = (Fenced if fenced else Lamps)(num_agents=3, num_actions=num_actions)
    learner, legal = Uniform(), world.legal(())
    mind = learner.init(jax.random.key(0), Scenario(world, learner))
    keys = jax.random.split(jax.random.key(1), 4000)
    actions, _, aux = jax.jit(jax.vmap(lambda key: learner.act(key, mind, (), (), legal)))(keys)
    allowed = np.ones((3, num_actions), bool) if legal is None else np.asarray(legal)
    np.testing.assert_allclose(aux.chances[0], allowed / allowed.sum(1, keepdims=True), rtol=1e-6)
    for agent in range(3):
        counts = np.bincount(np.asarray(actions)[:, agent], minlength=num_actions)
        assert (counts[~allowed[agent]] == 0).all() and len(counts) == num_actions
        if allowed[agent].sum() > 1:
            assert stats.chisquare(counts[allowed[agent]]).pvalue > ALARM


@pytest.mark.parametrize(
    "preference", [[0.0, 0.0], [0.0, 1.5], [3.0, 0.0], [0.0, 0.5, 1.0, -1.0, 0.2], [2.0, 0.0, 0.0, 0.0, -3.0]]
)
def test_choices_follow_the_boltzmann_distribution(preference):
    n = 100_000
    drawn = softmax_choice(jax.random.key(4), jnp.broadcast_to(jnp.array(preference)[:, None], (len(preference), n)))
    expected = np.exp(preference) / np.exp(preference).sum()
    assert drawn.dtype == jnp.int32
    assert stats.chisquare(np.bincount(drawn, minlength=len(preference)), n * expected).pvalue > ALARM


@pytest.mark.parametrize("preference", [[0.0, -jnp.inf, 0.0, 0.0], [0.0, -jnp.inf]])
def test_what_is_impossible_is_never_chosen(preference):
    drawn = softmax_choice(jax.random.key(4), jnp.tile(jnp.array(preference)[:, None], (1, 100_000)))
    assert not (drawn == 1).any()


@pytest.mark.parametrize("better", [0, 1])
@pytest.mark.parametrize(("gap", "worst_word", "best_word"), [(20.0, 8, 9), (22.0, 0, 1), (30.0, None, 0)])
def test_rare_choices_are_as_rare_as_they_should_be(better, gap, worst_word, best_word, monkeypatch):
    """Of 2^32 words, 2^32 exp(-gap) lead to the worse action, on either side: 8.9, 1.2 and none."""
    preference = jnp.array([[0.0], [gap]]) if better else jnp.array([[gap], [0.0]])
    for word, action in ((worst_word, 1 - better), (best_word, better), (2**32 - 1, better)):
        if word is not None:
            monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype, word=word: jnp.full(shape, word, dtype))
            assert softmax_choice(jax.random.key(0), preference).tolist() == [action]
