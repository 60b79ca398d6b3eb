"""Attackers trained inside `run`: a world in which every tick is one vote, and its score says whether it broke."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from quorate.core import Learner, Scenario, World, static, swept
from quorate.faults.learned import Learned, untrained
from quorate.step import run, start
from quorate.verify.chances import Case
from quorate.verify.exact import compositions

RUNS, LESSONS = 512, 400  # votes at once, and steps of learning unless told


class Votes(World):
    """One vote a tick, from one of the given starts at random. The score is -1 if the property is broken, else 0.

    starts    what each node may propose, [S, N]; it is also what it sees
    broken    by how many nodes carry each mark but the last, as one number to the base N + 1

    Cost O(N) a tick.
    """

    num_agents: int = static()
    num_actions: int = static(2)
    vote: eqx.Module  # the protocol, for its marks
    mark: Callable = static()
    marks: int = static()
    starts: Int[Array, "S N"] = swept(jnp.int32)
    broken: Float[Array, " B"] = swept()

    def reset(self, key):
        return self.starts[jax.random.randint(key, (), 0, self.starts.shape[0])]

    def observe(self, key, state):
        return state

    def step(self, key, state, actions):
        return self.reset(key)

    def score(self, state, actions, after):
        marked = jax.vmap(lambda p, d: self.mark(self.vote, p, d))(state, actions)
        base, place = self.num_agents + 1, 0
        for digit in range(self.marks - 1):
            place = place * base + jnp.sum(marked == digit, dtype=jnp.int32)
        return -self.broken[place]


class Earnest(Learner):
    """Proposes what it sees, and learns nothing: the crowd whose vote is attacked."""

    horizon: int = static(1)

    def init(self, key, scenario):
        return ()

    def act(self, key, mind, memory, obs, legal):
        return obs, memory, ()


def scenario(case: Case, fault: Learned) -> Scenario:
    """The votes of a case, attacked."""
    honest, marks = case.roster.honest, case.about.marks
    table = np.zeros((honest + 1,) * (marks - 1), np.float32)
    ends = compositions(honest, marks)
    table[tuple(ends[:, :-1].T)] = ~np.asarray(case.about.holds(case.protocol, case.roster, ends), bool)
    world = Votes(
        num_agents=honest, vote=case.protocol, mark=case.about.mark, marks=marks, starts=case.starts,
        broken=table.reshape(-1),
    )  # fmt: skip
    return Scenario(world, Earnest(), commit=case.protocol, fault=fault)


def train(case: Case, seed: int, episodes: int | None = None, runs: int = RUNS) -> tuple[Learned, int]:
    """Attackers trained on all starts of a case at once, then frozen; and how many votes it took.

    One vote a tick and run, one step of learning a tick. Starts of which the property speaks are drawn evenly, whether
    or not they can be broken: the attackers are not told which.
    """
    rounds, honest = case.words.shape[1], case.roster.honest
    root = jax.random.key(seed)
    fault = untrained(jax.random.fold_in(root, 0), rounds=rounds, receivers=honest, extras=case.roster.liars)
    lessons = LESSONS if episodes is None else max(1, episodes // runs)
    here = scenario(case, fault)
    progress, _ = run(start(jax.random.fold_in(root, 1), here, runs), here, lessons, ())
    return progress.fault.frozen(), lessons * runs
