"""Episodes: how they end, are looked at once more, and begin again."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Learner, Scenario, World, static
from quorate.learners import Uniform
from quorate.step import run, start

SEEN = ("before", "after", "live", "done", "cut")


class Count(NamedTuple):
    now: jax.Array
    end: jax.Array


class Counter(World):
    """Counts its steps from 0; it is over at a length that is drawn when it begins (`longest` 0: never)."""

    num_agents: int = static(2)
    num_actions: int = static(2)
    longest: int = static(0)

    def reset(self, key):
        end = jax.random.randint(key, (), 1, self.longest + 1) if self.longest else jnp.int32(10**6)
        return Count(jnp.int32(0), end)

    def step(self, key, state, actions):
        return state._replace(now=state.now + 1)

    def score(self, state, actions, after):
        return after.now.astype(jnp.float32)

    def done(self, state):
        return state.now >= state.end


def twin(ends, limit, ticks):
    """One run of the counter in plain Python; `ends` has the length of each new episode."""
    rows, age, now, end = [], 0, 0, next(ends)
    for _ in range(ticks):
        live = now < end and (limit is None or age < limit)
        done = now + 1 >= end
        cut = limit is not None and age + 1 >= limit and not done
        rows.append((now, now + 1, live, done, cut))
        age, now = age + 1, now + 1
        if not live:
            age, now, end = 0, 0, next(ends)
    return [list(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(("longest", "limit", "runs"), [(0, 3, 1), (5, None, 4), (6, 4, 1), (6, 4, 4), (3, 1, 4)])
def test_episodes_end_are_looked_at_once_and_begin_again(longest, limit, runs):
    scenario = Scenario(Counter(longest=longest), Uniform(), limit=limit)
    _, seen = run(start(jax.random.key(1), scenario, runs), scenario, 25, SEEN)
    lengths = set()
    for b in range(runs):
        one = jax.tree.map(lambda leaf, b=b: np.asarray(leaf[:, b]), seen)
        begins = one["before"].now == 0
        ends = iter([int(end) for end in one["before"].end[begins]] + [1])
        lengths |= {int(end) for end in one["before"].end[begins]}
        now, after, live, done, cut = twin(ends, limit, 25)
        assert one["before"].now.tolist() == now
        assert one["after"].now.tolist() == after
        assert one["live"].tolist() == live
        assert one["done"].tolist() == done
        assert one["cut"].tolist() == cut
        over = np.flatnonzero(~one["live"])
        last = over - 1
        assert one["live"][last].all() and (one["done"] | one["cut"])[last].all()
        assert begins[over[over < 24] + 1].all()
    assert longest == 0 or len(lengths) > 1  # lengths differ


def test_a_world_without_end_never_begins_again():
    scenario = Scenario(Counter(), Uniform())
    _, seen = run(start(jax.random.key(1), scenario), scenario, 25, SEEN)
    assert seen["before"].now[:, 0].tolist() == list(range(25))
    assert seen["live"].all() and not seen["done"].any() and not seen["cut"].any()


def test_memory_ends_with_the_episode_and_the_mind_does_not():
    class Aging(Learner):
        """The mind counts ticks, the memory ticks of the episode."""

        horizon: int = static(1)

        def init(self, key, scenario):
            return jnp.int32(0)

        def recall(self, key, scenario):
            return jnp.int32(0)

        def act(self, key, mind, memory, obs, legal):
            return jnp.zeros(2, jnp.int32), memory + 1, ()

        def learn(self, key, mind, segment, scenario):
            return mind + 1

    scenario = Scenario(Counter(), Aging(), limit=3)
    progress, seen = run(start(jax.random.key(1), scenario), scenario, 10, ("memory",))
    assert seen["memory"][:, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert int(progress.mind) == 10 and int(progress.t) == 10
    assert progress.carry.age.tolist() == [2]
