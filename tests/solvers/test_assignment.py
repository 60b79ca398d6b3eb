"""The optimum against every assignment there is, dense against sparse, and what a certificate accepts."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.solvers import assignment as module
from quorate.solvers.assignment import assignment, certificate, dual_bound, greedy


def draw_options(seed: int, agents: int, options: int, places: int):
    draw = np.random.default_rng(seed)
    place = draw.integers(0, places, (agents, options))  # a place may be offered twice
    return place, draw.uniform(-0.3, 1.5, (agents, options)), draw.random((agents, options)) < 0.8


def brute(place, worth, open) -> float:
    """Every choice of an option, or none, for every agent."""
    best = 0.0
    for choice in product(range(-1, place.shape[1]), repeat=len(place)):
        chosen = [(agent, option) for agent, option in enumerate(choice) if option >= 0]
        at = [place[pair] for pair in chosen]
        if all(open[pair] for pair in chosen) and len(set(at)) == len(at):
            best = max(best, sum(worth[pair] for pair in chosen))
    return best


def value_of(found, place, worth, open) -> float:
    assert len(set(found.place[found.place >= 0])) == np.count_nonzero(found.place >= 0)
    gains = np.where(open & (place == found.place[:, None]), worth, -np.inf).max(axis=1)
    return float(gains[found.place >= 0].sum())


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=60)
def test_the_optimum_is_the_best_of_all_assignments(seed, agents, places):
    options = draw_options(seed, agents, 3, places)
    optimum = brute(*options)
    pairs = module._pairs(*options, places)
    for found in (
        assignment(*options, places),
        module._dense(*pairs, agents, places),
        module._sparse(*pairs, agents, places),
    ):
        assert found.value == pytest.approx(optimum, abs=1e-12)
        assert value_of(found, *options) == pytest.approx(optimum, abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_every_price_bounds_the_optimum_and_greed_reaches_half(seed):
    options = draw_options(seed, 5, 3, 4)
    optimum = assignment(*options, 4).value
    for scale in (0.0, 0.3, 2.0):
        assert dual_bound(*options, np.random.default_rng(seed).exponential(scale, 4)) >= optimum - 1e-12
    reached = greedy(*options, 4)
    assert optimum / 2 - 1e-12 <= reached.value <= optimum + 1e-12
    assert value_of(reached, *options) == pytest.approx(reached.value, abs=1e-12)


def test_dense_and_sparse_agree_where_both_are_affordable():
    options = draw_options(1, 400, 12, 350)
    pairs = module._pairs(*options, 350)
    assert module._dense(*pairs, 400, 350).value == pytest.approx(module._sparse(*pairs, 400, 350).value, rel=1e-12)


def test_nobody_wants_anything():
    place, worth = np.zeros((3, 2), int), np.full((3, 2), -1.0)
    for open in (worth < 0, worth > 0):
        assert assignment(place, worth, open, 2).value == 0
        assert module._sparse(*module._pairs(place, worth, open, 2), 3, 2).place.tolist() == [-1, -1, -1]
        assert greedy(place, worth, open, 2).place.tolist() == [-1, -1, -1]


def test_a_certificate_that_does_not_hold_says_so():
    place, worth = np.array([[0, 1], [0, 1]]), np.array([[1.0, 0.75], [1.0, 0.25]])
    good = certificate(place, worth, worth > 0, np.array([0.5, 0.25]), np.array([1, 0]), 0.1, optimum=1.75)
    assert good.holds and good.value == 1.75 and good.assigned == 2
    assert not certificate(place, worth, worth > 0, np.array([2.0, 2.0]), np.array([1, 0]), 0.1).holds
    assert not certificate(place, worth, worth > 0, np.array([0.5, 0.0]), np.array([0, -1]), 0.1).holds
    assert not certificate(place, worth, worth > 0, np.array([0.5, 0.25]), np.array([1, 0]), 0.1, optimum=1.9).holds


def test_what_is_refused():
    place, worth = np.array([[0, 1], [0, 1]]), np.array([[1.0, 0.75], [1.0, 0.25]])
    open = worth > 0
    with pytest.raises(Refusal, match="must have one shape"):
        assignment(place, worth[:, :1], open, 2)
    with pytest.raises(Refusal, match="outside 0 to 0"):
        assignment(place, worth, open, 1)
    with pytest.raises(Refusal, match="not finite"):
        assignment(place, worth * np.inf, open, 2)
    with pytest.raises(Refusal, match="20001 agents are too many"):
        assignment(np.zeros((20_001, 1), int), np.ones((20_001, 1)), np.ones((20_001, 1), bool), 1)
    with pytest.raises(Refusal, match="least value -1.0"):
        dual_bound(place, worth, open, np.array([-1.0, 0.0]))
    with pytest.raises(Refusal, match="one place to two agents"):
        certificate(place, worth, open, np.zeros(2), np.array([0, 0]), 0.1)
    with pytest.raises(Refusal, match="agent 1 place 1, which is not among"):
        certificate(place, worth, np.array([[True, True], [True, False]]), np.zeros(2), np.array([0, 1]), 0.1)
