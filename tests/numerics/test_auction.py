"""The auction against a plain one in numpy, greed against the sorted pairs, and the promises of both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.numerics import auction as kernel
from quorate.numerics.auction import auction, finish, greedy_by_worth
from quorate.solvers.assignment import assignment, certificate, greedy

AGENTS, OPTIONS, PLACES = 9, 4, 7

solve = jax.jit(auction, static_argnames="places")
claims = jax.jit(finish)
greed = jax.jit(greedy_by_worth, static_argnames="places")


def draw_options(seed: int, agents: int = AGENTS, options: int = OPTIONS, places: int = PLACES, ties: bool = False):
    """Options of each agent: places in any order, some closed or padded, some worths below 0, ties on a grid."""
    draw = np.random.default_rng(seed)
    place = np.stack([draw.permutation(places)[:options] for _ in range(agents)]).astype(np.int32)
    worth = draw.uniform(-0.2, 1.5, (agents, options))
    worth = np.round(worth * 4) / 4 if ties else worth
    open = draw.random((agents, options)) < 0.8
    return np.where(open, place, -1).astype(np.int32), worth.astype(np.float32), open


def plain_auction(place, worth, open, places, eps, rounds):
    """One agent after another, one place after another, as the definition says."""
    price, owner, held, idle = np.zeros(places, np.float32), {}, {}, set()
    for _ in range(rounds):
        bids = {}
        for agent in range(len(place)):
            if agent in held or agent in idle:
                continue
            net = {int(p): w - price[p] for p, w, o in zip(place[agent], worth[agent], open[agent], strict=True) if o}
            target = min(net, key=lambda p: (-net[p], p), default=None)
            if target is None or net[target] <= 0:
                idle.add(agent)
                continue
            other = max([value for p, value in net.items() if p != target], default=np.float32(0))
            bid = price[target] + (net[target] - max(other, np.float32(0))) + np.float32(eps)
            bids.setdefault(target, []).append((-bid, agent))
        for target, offers in bids.items():
            bid, agent = min(offers)
            if target in owner:
                del held[owner[target]]
            owner[target], held[agent], price[target] = agent, target, -bid
    return np.array([held.get(agent, -1) for agent in range(len(place))]), price


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([1, 2, 5, 400]))
@settings(max_examples=60)
def test_it_is_the_plain_auction(seed, ties, rounds):
    place, worth, open = draw_options(seed, ties=ties)
    got = solve(place, worth, open, places=PLACES, eps=0.0625, rounds=rounds)
    who, price = plain_auction(place, worth, open, PLACES, 0.0625, rounds)
    assert np.array_equal(got.place, who)
    assert np.array_equal(got.price, price)


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.3, 0.1, 0.03, 0.01]))
@settings(max_examples=80)
def test_the_certificate_holds_on_every_settled_auction(seed, ties, eps):
    place, worth, open = draw_options(seed, ties=ties)
    got = solve(place, worth, open, places=PLACES, eps=eps, rounds=5_000)
    assert got.settled
    optimum = assignment(place, worth, open, PLACES).value
    proof = certificate(place, worth, open, np.asarray(got.price), np.asarray(got.place), eps, optimum)
    assert proof.holds
    assert optimum - 1e-4 <= proof.upper <= proof.value + eps * proof.assigned + 1e-4
    assert proof.value <= optimum + 1e-4


@given(st.integers(0, 10_000), st.integers(0, 6))
@settings(max_examples=60)
def test_a_cut_auction_still_bounds_the_optimum_and_claims_only_add(seed, rounds):
    place, worth, open = draw_options(seed)
    cut = solve(place, worth, open, places=PLACES, eps=0.1, rounds=rounds)
    done = claims(place, worth, open, cut, rounds=100)
    optimum = assignment(place, worth, open, PLACES).value
    proof = certificate(place, worth, open, np.asarray(cut.price), np.asarray(done.place), 0.1)
    assert optimum <= proof.upper + 1e-4
    before, after = np.asarray(cut.place), np.asarray(done.place)
    assert np.array_equal(after[before >= 0], before[before >= 0])
    free = np.setdiff1d(np.arange(PLACES), after[after >= 0])
    wants = open & (worth > 0) & np.isin(place, free) & (after < 0)[:, None]
    assert done.settled
    assert not wants.any()  # maximal: whoever has nothing finds nothing free
    assert cut.rounds <= done.rounds <= cut.rounds + 100


def test_claims_keep_the_best_claimant_and_the_smallest_among_equals():
    place = np.array([[0, 1], [0, 1], [0, 1]], np.int32)
    worth = np.array([[0.5, 0.25], [0.75, 0.5], [0.75, 0.5]], np.float32)
    nothing = auction(place, worth, worth > 0, places=2, eps=0.1, rounds=0)
    assert nothing.place.tolist() == [-1, -1, -1]
    assert finish(place, worth, worth > 0, nothing, rounds=1).place.tolist() == [-1, 0, -1]
    assert finish(place, worth, worth > 0, nothing, rounds=2).place.tolist() == [-1, 0, 1]


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=60)
def test_deferred_acceptance_is_global_greed(seed, ties):
    place, worth, open = draw_options(seed)
    worth = worth if not ties else np.arange(worth.size, dtype=np.float32).reshape(worth.shape)[:, ::-1] % 13 + worth
    got = greed(place, worth, open, places=PLACES, rounds=1_000)
    best = greedy(place, worth, open, PLACES)
    assert got.settled
    assert np.array_equal(got.place, best.place)
    assert assignment(place, worth, open, PLACES).value <= 2 * best.value + 1e-6


def test_under_vmap_every_cell_gets_what_it_gets_alone():
    cells = [draw_options(seed, agents=16, places=20) for seed in range(12)]
    place, worth, open = (np.stack(parts) for parts in zip(*cells, strict=True))
    together = jax.jit(jax.vmap(lambda p, w, o: auction(p, w, o, places=20, eps=0.05, rounds=500)))(place, worth, open)
    for cell in range(12):
        alone = solve(place[cell], worth[cell], open[cell], places=20, eps=0.05, rounds=500)
        for one, other in zip(jax.tree.map(lambda leaf, cell=cell: leaf[cell], together), alone, strict=True):
            assert np.array_equal(one, other)


def test_looking_only_at_those_who_bid_changes_nothing(monkeypatch):
    options = draw_options(4, agents=700, places=600)

    def three(rounds):
        sold = auction(*options, places=600, eps=0.02, rounds=rounds)
        return sold, finish(*options, sold, rounds=2), greedy_by_worth(*options, places=600, rounds=rounds)

    everybody = jax.jit(three)
    whole = everybody(3), everybody(5_000)
    monkeypatch.setattr(kernel, "FEW", 20)
    picked = jax.jit(lambda rounds: three(rounds))
    few = picked(3), picked(5_000)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(few), strict=True))
    assert (bool(whole[0][0].settled), bool(whole[1][0].settled)) == (False, True)


def test_agents_in_another_order_get_the_same_places():
    place, worth, open = draw_options(8, agents=40, places=30)
    order = np.random.default_rng(0).permutation(40)
    got = solve(place, worth, open, places=30, eps=0.01, rounds=5_000)
    shuffled = solve(place[order], worth[order], open[order], places=30, eps=0.01, rounds=5_000)
    assert np.array_equal(np.asarray(got.place)[order], shuffled.place)
    assert np.array_equal(got.price, shuffled.price)


def test_given_prices_are_where_it_begins():
    place, worth, open = draw_options(2)
    high = auction(place, worth, open, places=PLACES, eps=0.1, rounds=50, prices=jnp.full(PLACES, 9.0))
    assert (high.place < 0).all() and high.settled and high.posts == 0
    assert (high.price == 9).all()


def test_shapes_that_disagree_are_refused():
    place, worth, open = draw_options(2)
    with pytest.raises(Refusal, match="must have one shape"):
        auction(place, worth[:, :2], open, places=PLACES, eps=0.1, rounds=5)
    with pytest.raises(Refusal, match="one price for each place"):
        auction(place, worth, open, places=PLACES, eps=0.1, rounds=5, prices=jnp.zeros(3))
