"""Faults in a row act one after the other, each with its own state, noise and liars, and the same on every route."""

import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Board, CountingAttack, Fault, NoFault, Scenario, swept
from quorate.errors import Refusal
from quorate.faults import Chain, Crash, Delay, Failing, Loss, saboteurs
from quorate.learners import Uniform
from quorate.step import run, start
from quorate.testing.tiny import Lamps, Show

N = 7


class Adding(Fault):
    """Adds to and then multiplies whatever passes, and notes how often it was asked."""

    plus: jax.Array = swept(jnp.int32, 0)
    times: jax.Array = swept(jnp.int32, 1)

    def reset(self, key, num_agents):
        return jnp.int32(0)

    def update(self, key, state, t):
        return state + 1

    def _do(self, value):
        return jax.tree.map(lambda leaf: (leaf + self.plus) * self.times, value)

    def on_observe(self, key, state, obs):
        return state + 10, self._do(obs)

    def on_act(self, key, state, actions, idle):
        return state + 100, self._do(actions)

    def on_credit(self, key, state, credit):
        return state + 1000, self._do(credit)

    def on_post(self, key, state, posts, board):
        return state + board.places, self._do(posts)

    def on_notice(self, key, state, place, notice, heard, board):
        return state + board.places + place, self._do(notice), ~heard

    def report(self, state):
        return state

    def learn(self, key, segment):
        return Adding(plus=self.plus + segment.trace)


def test_hooks_act_in_order():
    chain = Chain(faults=(Adding(plus=1), Adding(times=3), NoFault()))
    key = jax.random.key(0)
    state = chain.update(key, chain.reset(key, N), jnp.int32(0))
    assert [int(one) for one in state[:2]] == [1, 1] and state[2] == ()
    for hook, more, count in (("on_observe", (), 11), ("on_act", (None,), 101), ("on_credit", (), 1001)):
        after, value = getattr(chain, hook)(key, state, jnp.int32(5), *more)
        assert int(value) == 18 and [int(one) for one in after[:2]] == [count, count]
    board = Board(jnp.int32(0), jnp.int32(0), 7, True)
    told, notice, heard = chain.on_notice(key, state, jnp.int32(30), jnp.int32(5), jnp.array([True]), board)
    posted, posts = chain.on_post(key, state, jnp.int32(5), board)
    assert int(notice) == int(posts) == 18 and heard.tolist() == [True]
    assert [int(one) for one in told[:2]] == [38, 38] and [int(one) for one in posted[:2]] == [8, 8]
    assert chain.report(after) == (after[0], after[1], ())


def test_each_learns_from_its_own_report():
    class Segment(types.SimpleNamespace):
        def _replace(self, trace):
            return Segment(trace=trace)

    chain = Chain(faults=(Adding(plus=1), NoFault(), Adding(plus=2)))
    learned = chain.learn(jax.random.key(0), Segment(trace=(jnp.int32(10), (), jnp.int32(20))))
    assert isinstance(learned, Chain)
    assert (int(learned.faults[0].plus), int(learned.faults[2].plus)) == (11, 22)


def test_noise_of_its_own():
    chain = Chain(faults=(Failing(fraction=0.5, at=0), Failing(fraction=0.5, at=0)))
    one, other = chain.reset(jax.random.key(1), 60)
    assert (one.doomed != other.doomed).any()


def test_chains_in_chains_are_one_chain():
    inner = Chain(faults=(Failing(fraction=0.5, at=0), Loss(share=0.1)))
    kinds = [type(one).__name__ for one in Chain(faults=(NoFault(extras=2), inner)).faults]
    assert kinds == ["NoFault", "Failing", "Loss"] and Chain(faults=(NoFault(extras=2), inner)).extras == 2


class Liars(CountingAttack):
    """Tells each receiver a random share of what it can, as far as it can see that."""

    marked: jax.Array = swept(bool)

    def liars(self, state):
        return self.marked

    def lies(self, key, state, tally):
        return state, jax.random.randint(key, self.marked.shape, -1, tally.power + 2)


@eqx.filter_jit
def plays(routes, faults, extras, keys):
    def play(key):
        proposal = jax.random.bernoulli(key, 0.5, (N,)).astype(jnp.int32)
        marked = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.4, (2, N))
        trusted = jax.random.bernoulli(jax.random.fold_in(key, 2), 0.8, (N + extras,))
        fault = faults(*marked)
        state, out = fault.reset(key, N), []
        for links in routes:
            said = comms.converse(key, key, Show(), (), proposal, links, fault, state, trusted, N)
            out.append((said.decision, said.traffic, said.fault))
        return out, fault.liars(state)

    return jax.vmap(play)(keys)


@pytest.mark.parametrize(
    ("faults", "extras"),
    [
        (lambda a, b: Chain(faults=(Liars(marked=a),)), 0),
        (lambda a, b: Chain(faults=(Liars(marked=a), Liars(marked=b))), 0),
        (lambda a, b: Chain(faults=(Liars(marked=a), Liars(marked=b, extras=2), NoFault())), 2),
        (lambda a, b: Chain(faults=(Liars(marked=a, extras=2), Liars(marked=b), Delay(rounds=1))), 2),
    ],
)
def test_every_route_leads_to_the_same(faults, extras):
    """Two crowds of liars that overlap: who is claimed twice lies for the first."""
    everybody = comms.complete(N, extras)
    routes = None, everybody, comms.to_edges(everybody)
    seen, _ = plays(routes, faults, extras, jax.random.split(jax.random.key(3), 40))
    for other in seen[1:]:
        jax.tree.map(np.testing.assert_array_equal, seen[0], other)
    assert len(np.unique(np.asarray(seen[0][0]))) > 1


def test_a_chain_of_one_is_that_one():
    class Deaf(Liars):
        def lies(self, key, state, tally):  # without noise: the chain draws from a branch of the key
            return state, tally.power - tally.total + jnp.arange(N)

    def alone(a, b):
        return Deaf(marked=a, extras=1)

    def chained(a, b):
        return Chain(faults=(alone(a, b),))

    keys = jax.random.split(jax.random.key(4), 20)
    routes = None, comms.complete(N, 1)
    one, other = (plays(routes, faults, 1, keys)[0] for faults in (alone, chained))
    for mine, theirs in zip(one, other, strict=True):
        jax.tree.map(np.testing.assert_array_equal, mine[:2], theirs[:2])


def test_liars_of_any():
    a, b = jnp.arange(N) < 2, jnp.arange(N) == 4
    chain = Chain(faults=(Liars(marked=a), Loss(share=0.1)))
    assert chain.liars(chain.reset(jax.random.key(0), N)).tolist() == a.tolist()
    both = Chain(faults=(Liars(marked=a), Liars(marked=b)))
    assert both.liars(both.reset(jax.random.key(0), N)).tolist() == (a | b).tolist()
    assert Chain(faults=(Loss(share=0.1),)).liars(((),)) is None


def test_down_where_any_says_so():
    key, crash = jax.random.key(0), Crash(share=0.5, at=0, order=jnp.arange(4), first=True)
    chain = Chain(faults=(crash, Loss(share=0.1), Crash(share=0.25, at=1, order=-jnp.arange(4), first=True)))
    state = chain.reset(key, 4)
    down = [chain.down(chain.update(key, state, jnp.int32(t))).tolist() for t in range(2)]
    assert down == [[False, False, True, True], [True, False, True, True]]
    assert Chain(faults=(Loss(share=0.1), NoFault())).down(((), ())) is None


def test_in_a_run():
    chain = Chain(faults=(Liars(marked=jnp.arange(N) < 2), Failing(fraction=1.0, at=2), Loss(share=0.2)))
    scenario = Scenario(Lamps(num_agents=N), Uniform(), commit=Show(), fault=chain)
    seen = run(start(jax.random.key(1), scenario), scenario, 5, ("actions", "trace", "traffic"))[1]
    assert not seen["actions"][2:].any() and seen["trace"][1][2:].all() and not seen["trace"][1][:2].any()
    assert (seen["traffic"].sent == 2 * N * (N - 1)).all() and (seen["traffic"].rounds == 2).all()
    assert (seen["traffic"].heard < seen["traffic"].sent).all()


def test_what_is_refused():
    liars, loss = Liars(marked=jnp.ones(N, bool)), Loss(share=0.1)
    for faults, said in (
        ((), "a chain needs at least one fault; NoFault stands for nothing"),
        ((liars, 3), "a chain is made of faults; int is none"),
        (
            (Liars(marked=jnp.ones(N, bool), extras=1), NoFault(extras=1)),
            "Liars and NoFault both have talkers from outside; one fault of a chain may",
        ),
        ((loss, liars), "Liars forges mail and stands behind Loss; put Loss behind it"),
        ((loss, saboteurs("lie", 0.1)), "Saboteurs forges mail and stands behind Loss; put Loss behind it"),
        ((Delay(rounds=1), NoFault(extras=1)), "NoFault forges mail and stands behind Delay; put Delay behind it"),
    ):
        with pytest.raises(Refusal) as refused:
            Chain(faults=faults)
        assert str(refused.value) == said
    assert len(Chain(faults=(loss, Failing(fraction=0.1, at=1))).faults) == 2
