"""Who goes down, when, and for how long; and those who come and go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.faults import Churn, Crash
from quorate.learners import Uniform
from quorate.step import run, start
from quorate.testing.tiny import Lamps, Show


def course(fault, n, ticks, key=None):
    """Who is down in each tick, bool[ticks, N]."""
    key = jax.random.key(0) if key is None else key

    def one(state, t):
        state = fault.update(jax.random.fold_in(key, t), state, t)
        return state, fault.down(state)

    return jax.lax.scan(one, fault.reset(key, n), jnp.arange(ticks))[1]


@pytest.mark.parametrize(("at", "back"), [(0, 3), (2, 5), (2, None), (9, 12), (3, 3)])
def test_from_at_until_back(at, back):
    fault = Crash(share=0.4, at=at) if back is None else Crash(share=0.4, at=at, back=back)
    down = np.asarray(course(fault, 10, 8))
    there = (np.arange(8) >= at) & (np.arange(8) < (99 if back is None else back))
    assert down.sum(axis=1).tolist() == (4 * there).tolist()
    assert len({tuple(row) for row in down[there].tolist()}) <= 1  # always the same


def test_everybody_is_as_likely_to_go_down():
    fault = Crash(share=0.3, at=0)
    doomed = jax.jit(jax.vmap(lambda key: fault.reset(key, 10).doomed))(jax.random.split(jax.random.key(0), 4000))
    counts = np.asarray(doomed).sum(axis=0)
    assert counts.sum() == 12000 and np.abs(counts - 1200).max() < 5 * (4000 * 0.3 * 0.7) ** 0.5


def test_by_order_it_is_the_same_agents_however_they_are_numbered():
    order = np.array([0.3, 2.0, 0.9, 0.1, 1.0, 0.2], np.float32)
    down = np.asarray(course(Crash(share=0.5, at=0, order=order, first=True), 6, 1))[0]
    assert down.tolist() == [False, True, True, False, True, False]
    shuffle = np.random.default_rng(0).permutation(6)
    other = np.asarray(course(Crash(share=0.5, at=0, order=order[shuffle], first=True), 6, 1))[0]
    assert other.tolist() == down[shuffle].tolist()


def test_one_program_for_all_settings():
    traces = []

    def down(share, at, back, first):
        traces.append(share)
        return course(Crash(share=share, at=at, back=back, order=jnp.arange(6.0), first=first), 6, 4)

    settings = jnp.array([0.5, 0.5, 0.0]), jnp.array([1, 0, 0]), jnp.array([3, 9, 9]), jnp.array([True, True, False])
    seen = np.asarray(jax.jit(jax.vmap(down))(*settings))
    assert len(traces) == 1 and seen.sum(axis=2).tolist() == [[0, 3, 3, 0], [3, 3, 3, 3], [0, 0, 0, 0]]
    assert not seen[:2, :, :3].any()


def test_who_is_down_neither_speaks_nor_acts():
    scenario = Scenario(Lamps(num_agents=6), Uniform(), commit=Show(), fault=Crash(share=0.5, at=2, back=4))
    seen = run(start(jax.random.key(1), scenario), scenario, 6, ("actions", "traffic", "trace"))[1]
    down = np.asarray(seen["trace"])[:, 0]
    assert down.sum(axis=1).tolist() == [0, 0, 3, 3, 0, 0]
    assert not np.asarray(seen["actions"])[:, 0][down].any()
    sent = np.asarray(seen["traffic"].sent)[:, 0]
    assert (sent[~down.any(axis=1)] == 2 * 6 * 5).all() and (sent[down.any(axis=1)] < 2 * 6 * 5).all()


def test_churn_flips_by_the_stated_chances():
    leave, join, n, ticks = 0.1, 0.3, 4000, 6
    away = np.asarray(course(Churn(leave=leave, join=join), n, ticks))
    before = np.concatenate([np.zeros((1, n), bool), away[:-1]])
    for state, chance in ((False, leave), (True, join)):
        tries = (before == state).sum()
        flips = (away != before)[before == state].sum()
        assert abs(flips - tries * chance) < 5 * (tries * chance * (1 - chance)) ** 0.5
    expected = leave / (leave + join) * (1 - (1 - leave - join) ** np.arange(1, ticks + 1))
    assert np.abs(away.mean(axis=1) - expected).max() < 5 * (0.25 / n) ** 0.5


@pytest.mark.parametrize(("leave", "join", "away"), [(0, 1, [0, 0, 0]), (1, 1, [5, 0, 5]), (1, 0, [5, 5, 5])])
def test_churn_of_nobody_and_everybody(leave, join, away):
    assert course(Churn(leave=leave, join=join), 5, 3).sum(axis=1).tolist() == away


def test_what_is_refused():
    for share in (-0.1, 1.5, np.nan):
        with pytest.raises(Refusal, match="share is .*; it must be from 0 to 1"):
            Crash(share=share, at=1)
    with pytest.raises(Refusal, match="order holds NaN; it ranks agents, the highest first"):
        Crash(share=0.1, at=1, order=[0.0, np.nan])
    with pytest.raises(Refusal, match="first is True, and there is no order to go by"):
        Crash(share=0.1, at=1, first=True)
    with pytest.raises(Refusal, match="order ranks 2 agents; the world has 3"):
        Crash(share=0.1, at=1, order=[0.0, 1.0]).reset(jax.random.key(0), 3)
    with pytest.raises(Refusal, match="join is 2.0; it must be from 0 to 1"):
        Churn(leave=0.1, join=2)
