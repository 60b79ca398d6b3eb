"""How many fail, when, and what they do then."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.faults import Failing
from quorate.learners import Uniform
from quorate.step import run, start
from quorate.testing.tiny import Lamps

AT, TICKS = 5, 60


def played(manner, fraction=0.3, n=20, num_actions=3, runs=3):
    fault = Failing(fraction=fraction, at=AT, manner=manner, num_actions=num_actions)
    scenario = Scenario(Lamps(num_agents=n, num_actions=num_actions), Uniform(), fault=fault)
    seen = run(start(jax.random.key(1), scenario, runs), scenario, TICKS, ("actions", "decided", "trace"))[1]
    return tuple(np.asarray(seen[name]) for name in ("actions", "decided", "trace"))


@pytest.mark.parametrize("manner", ["off", "frozen", "random"])
def test_who_fails_when_and_what_they_do(manner):
    actions, decided, failed = played(manner)
    assert not failed[:AT].any() and (failed[AT:] == failed[AT]).all()  # from tick AT on, for good
    assert failed[AT].sum(axis=-1).tolist() == [6, 6, 6]
    assert len({tuple(row) for row in failed[AT].tolist()}) == 3  # each run its own
    assert (actions == decided)[~failed].all()
    broken = actions[AT:][failed[AT:]].reshape(TICKS - AT, -1)
    if manner == "off":
        assert (broken == 0).all()
    if manner == "frozen":
        assert (broken == actions[AT - 1][failed[AT]]).all() and len(np.unique(broken)) > 1
    if manner == "random":
        counts = np.bincount(broken.ravel(), minlength=3)
        assert (
            stats.chisquare(counts).pvalue > 1e-6 and (broken != decided[AT:][failed[AT:]].reshape(broken.shape)).any()
        )


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_exact_counts(n):
    fractions = np.array([0.0, 0.1, 0.25, 0.3, 0.5, 0.9, 1.0], np.float32)
    doomed = jax.jit(jax.vmap(lambda share: Failing(fraction=share, at=0).reset(jax.random.key(n), n).doomed))(
        fractions
    )
    assert doomed.sum(axis=1).tolist() == [round(float(share * np.float32(n))) for share in fractions]


def test_everybody_is_as_likely_to_fail():
    fault = Failing(fraction=0.3, at=0)
    doomed = jax.jit(jax.vmap(lambda key: fault.reset(key, 10).doomed))(jax.random.split(jax.random.key(0), 5000))
    counts = np.asarray(doomed).sum(axis=0)
    assert counts.sum() == 15000
    # Ten counts that add up: each has variance 5000 0.3 0.7 = 1050, and with every other the covariance -1050 / 9.
    assert stats.chi2.sf(((counts - 1500) ** 2).sum() / (1050 * 10 / 9), 9) > 1e-6


def test_failing_from_the_first_tick_and_frozen_before_anything_was_done():
    fault = Failing(fraction=1.0, at=0, manner="frozen")
    scenario = Scenario(Lamps(num_agents=4), Uniform(), fault=fault)
    seen = run(start(jax.random.key(1), scenario), scenario, 5, ("actions", "trace"))[1]
    assert not seen["actions"].any() and seen["trace"].all()


def test_a_new_episode_draws_anew():
    fault = Failing(fraction=0.5, at=0)
    scenario = Scenario(Lamps(num_agents=40), Uniform(), fault=fault, limit=3)
    trace = np.asarray(run(start(jax.random.key(1), scenario), scenario, 8, ("trace",))[1]["trace"])[:, 0]
    assert (trace[:4] == trace[0]).all() and (trace[4:] == trace[4]).all() and (trace[0] != trace[4]).any()
    assert trace.sum(axis=1).tolist() == [20] * 8


def test_share_and_time_are_swept_in_one_program():
    traces = []

    def fails(fraction, at):
        traces.append(fraction)
        fault = Failing(fraction=fraction, at=at)
        state = fault.reset(jax.random.key(0), 10)
        return jnp.stack([fault.update(None, state, jnp.int32(t)).now.sum() for t in range(3)])

    counts = jax.jit(jax.vmap(fails))(jnp.array([0.0, 0.5, 1.0]), jnp.array([0, 1, 2]))
    assert counts.tolist() == [[0, 0, 0], [0, 5, 5], [0, 0, 10]] and len(traces) == 1


def test_what_is_refused():
    with pytest.raises(Refusal, match='no manner of failing is called "of"; did you mean off?'):
        Failing(fraction=0.1, at=1, manner="of")
    for fraction in (-0.1, 1.2, np.nan, 20):
        with pytest.raises(Refusal, match="fraction is .*; it is a share of the agents, from 0 to 1"):
            Failing(fraction=fraction, at=1)
