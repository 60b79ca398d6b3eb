"""`check_world`: the promises of `World` and `AggregativeWorld`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate.core import AggregativeWorld, At, World, replaced
from quorate.learners.choice import softmax_choice
from quorate.testing.compare import (
    TICKS,
    Counted,
    check_fields,
    close,
    kept,
    kind,
    other_values,
    per_agent,
    promise,
    say,
    shaped,
    strongly_typed,
    traced,
    twice,
)


def some_actions(key: Any, world: World, state: PyTree) -> PyTree:
    """Random legal actions where an action is a number, else what is done by doing nothing."""
    idle, legal = world.idle(state), world.legal(state)
    if not isinstance(idle, jax.Array) or idle.dtype != jnp.int32 or idle.shape != (world.num_agents,):
        return idle
    preference = jnp.zeros((world.num_actions, world.num_agents))
    return softmax_choice(key, preference if legal is None else jnp.where(legal.T, preference, -jnp.inf))


def check_world(world: World, at_size: Callable[[int], World] | None = None) -> None:
    """Every promise of `World`, and of `AggregativeWorld` if it is one. Cost: some small compilations and, for an
    aggregative world, N evaluations of the score."""
    for one in (world, *(at_size(n) for n in (1, 2) if at_size)):
        _check_world(one)


def _check_world(world: World) -> None:
    check_fields(world)
    n, key = world.num_agents, jax.random.key(1)
    for what in ("num_agents", "num_actions"):
        count = getattr(world, what)
        if not isinstance(count, int) or count < 1:
            raise AssertionError(f"{kind(world)}: {what} is {count!r}; it must be a whole number from 1 on")
    state = twice(world, "reset", world.reset, key)
    strongly_typed(world, "the state", state)
    per_agent(world, "observe", traced(world, "observe", world.observe, key, state), n)
    per_agent(world, "idle", world.idle(state), n)
    shaped(world, "done", world.done(state), (), jnp.bool_)
    shaped(world, "present", world.present(state), (n,), jnp.bool_)
    shaped(world, "view", world.view(state), world.view(state).shape[:1], jnp.floating)
    legal = world.legal(state)
    if legal is not None:
        shaped(world, "legal", legal, (n, world.num_actions), jnp.bool_)
        if not legal.any(axis=1).all():
            raise AssertionError(f"{kind(world)}: legal leaves some agent without any action")

    def play(world: World, key: Any, state: PyTree) -> tuple[PyTree, PyTree]:
        actions = some_actions(key, world, state)
        after = world.step(key, state, actions)
        return after, world.score(state, actions, after)

    traced(world, "step", play, world, key, state)
    counted = Counted(play)
    with promise(world, "step"):
        after, score = counted.call(world, key, state)
    kept(world, "the state after a step", state, after)
    shaped(world, "score", score, (), jnp.floating)
    if not jnp.isfinite(score):
        raise AssertionError(f"{kind(world)}: score is {score}; the objective of legal actions must be finite")
    with promise(world, "step with other numbers in the same fields"):
        counted.call(other_values(world), jax.random.key(2), after)
    counted.once(world, "step")
    keys = jax.random.split(key, 3)

    def episode(key: Any) -> PyTree:
        return jax.lax.scan(lambda state, k: play(world, k, state), world.reset(key), jax.random.split(key, TICKS))

    with promise(world, "vmap of an episode under scan"):
        many = jax.jit(jax.vmap(episode))(keys)
    close(world, "an episode under vmap and by itself", jax.tree.map(lambda x: x[1], many), jax.jit(episode)(keys[1]))
    if isinstance(world, AggregativeWorld):
        _check_sums(world, state)


def _check_sums(world: AggregativeWorld, state: PyTree) -> None:
    n = world.num_agents
    actions = some_actions(jax.random.key(3), world, state)
    parts = world.parts(state, actions)
    for part in jax.tree.leaves(parts, is_leaf=lambda leaf: isinstance(leaf, At)):
        strongly_typed(world, "parts", part)
        for leaf in jax.tree.leaves(part):
            if leaf.ndim not in (1, 2) or leaf.shape[-1] != n:
                raise AssertionError(f"{kind(world)}: a leaf of parts is {say(leaf)}; it must be [{n}] or [D, {n}]")
    total = world.total(parts)
    close(world, "the score and the value of the sums", world.score(state, actions, ()), world.value(state, total))
    shaped(world, "own", world.own(state, actions), (n,), jnp.floating)
    shaped(world, "value without each agent", world.value(state, replaced(total, parts)), (n,), jnp.floating)
    shifted = (actions + 1) % world.num_actions
    quick = world.value(state, replaced(total, parts, world.parts(state, shifted)))
    shaped(world, "value had each agent acted otherwise", quick, (n,), jnp.floating)
    deviations = jnp.where(jnp.eye(n, dtype=bool), shifted[None], actions[None])
    slow = jax.vmap(lambda changed: world.value(state, world.total(world.parts(state, changed))))(deviations)
    close(world, "what each agent changes, by sums and by playing it out,", quick, slow)
