"""`check_learner` and `check_utility`: how agents choose, and what they are paid."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quorate.core import AggregativeWorld, Learner, Scenario, Utility, World
from quorate.errors import Refusal
from quorate.learners.uniform import Uniform
from quorate.testing.compare import (
    Counted,
    check_fields,
    close,
    kept,
    kind,
    other_values,
    per_agent,
    promise,
    shaped,
    strongly_typed,
    traced,
    twice,
)
from quorate.testing.scenario import check_runs, check_trace
from quorate.testing.world import some_actions


def check_learner(learner: Learner, world: World, at_size: Callable[[int], World] | None = None) -> None:
    """Every promise of `Learner`, in this world. `at_size` builds worlds of one and two agents to try as well."""
    check_fields(learner)
    if not isinstance(learner.horizon, int) or learner.horizon < 1:
        raise AssertionError(f"{kind(learner)}: horizon is {learner.horizon!r}; it must be a whole number from 1 on")
    _check_learner(learner, world)
    for one in (at_size(n) for n in (1, 2) if at_size):
        check_trace(learner, Scenario(one, learner))


def _check_learner(learner: Learner, world: World) -> None:
    scenario, key = Scenario(world, learner), jax.random.key(1)
    state = world.reset(key)
    legal, n, num_actions = world.legal(state), world.num_agents, world.num_actions
    mind = twice(learner, "init", lambda k: learner.init(k, scenario), key)
    memory = twice(learner, "recall", lambda k: learner.recall(k, scenario), key)
    for what, tree in (("the mind", mind), ("the memory", memory)):
        strongly_typed(learner, what, eqx.filter(tree, eqx.is_array_like))
    obs = world.observe(key, state)
    intent, after, aux = twice(learner, "act", learner.act, key, mind, memory, obs, legal)
    kept(learner, "the memory", memory, after)
    per_agent(learner, "the intent", intent, n)
    kept(learner, "the intent, beside what the world takes,", world.idle(state), intent)
    if isinstance(intent, jax.Array) and intent.dtype == jnp.int32:
        may = jnp.ones((n, num_actions), bool) if legal is None else legal
        if not ((intent >= 0) & (intent < num_actions)).all() or not may[jnp.arange(n), intent].all():
            raise AssertionError(f"{kind(learner)}: act takes an action that is not legal")
    if learner.gives_chances:
        chances = getattr(aux, "chances", None)
        if chances is None:
            raise AssertionError(f"{kind(learner)}: it promises chances and aux has none")
        shaped(learner, "aux.chances", chances, (n, num_actions), jnp.floating)
        if not np.allclose(chances.sum(axis=1), 1, atol=1e-5) or not (chances >= 0).all():
            raise AssertionError(f"{kind(learner)}: the chances of an agent are not shares that add up to 1")
        if legal is not None and (chances[~legal] != 0).any():
            raise AssertionError(f"{kind(learner)}: an action that is not legal has a chance")
    check_runs(learner, scenario)


def check_utility(utility: Utility, world: World) -> None:
    """Every promise of `Utility`, in this world; that it is refused where it needs sums and the world has none."""
    check_fields(utility)
    if utility.needs_sums and not isinstance(world, AggregativeWorld):
        try:
            Scenario(world, Uniform(), utility)
        except Refusal:
            return
        raise AssertionError(f"{kind(utility)}: it needs sums and is not refused in {kind(world)}, which has none")
    scenario, key, n = Scenario(world, Uniform(), utility), jax.random.key(1), world.num_agents
    state = eqx.filter_jit(world.reset)(key)
    chances = jnp.full((n, world.num_actions), 1 / world.num_actions) if utility.needs_chances else None

    def pay(utility: Utility, actions: PyTree) -> PyTree:
        after = world.step(key, state, actions)
        return utility(world, state, actions, after, world.score(state, actions, after), chances)

    idle = world.idle(state)
    plays = jax.jit(jax.vmap(lambda k: some_actions(k, world, state)))(jax.random.split(key, 3))
    traced(utility, "the utility", pay, utility, idle)
    counted = Counted(pay)
    for actions in (idle, *(jax.tree.map(lambda leaf, i=i: leaf[i], plays) for i in range(3))):
        with promise(utility, "the utility"):
            credit = counted.call(utility, actions)
        shaped(utility, "the credit", credit, (n,), jnp.floating)
        if not jnp.isfinite(credit).all():
            raise AssertionError(f"{kind(utility)}: some credit is not finite")
    with promise(utility, "the utility with other numbers in its fields"):
        single = counted.call(other_values(utility), jax.tree.map(lambda leaf: leaf[2], plays))
    counted.once(utility, "the utility")
    with promise(utility, "vmap of the utility"):
        many = jax.jit(jax.vmap(lambda actions: pay(other_values(utility), actions)))(plays)
    close(utility, "the credit under vmap and by itself", many[2], single)
    check_trace(utility, scenario)
