"""`check_world`: the promises of `World` and `AggregativeWorld`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
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
        _check_shapes(one)
    _check_play(world)
    if isinstance(world, AggregativeWorld):
        _check_sums(world)


def play(world: World, key: Any, state: PyTree) -> tuple[PyTree, PyTree]:
    """A random step: the state after it and its score."""
    actions = some_actions(key, world, state)
    after = world.step(key, state, actions)
    return after, world.score(state, actions, after)


def _check_shapes(world: World) -> None:
    check_fields(world)
    n, key = world.num_agents, jax.random.key(1)
    for what in ("num_agents", "num_actions"):
        count = getattr(world, what)
        if not isinstance(count, int) or count < 1:
            raise AssertionError(f"{kind(world)}: {what} is {count!r}; it must be a whole number from 1 on")
    state = traced(world, "reset", world.reset, key)
    strongly_typed(world, "the state", state)
    state = eqx.filter_jit(world.reset)(key)
    per_agent(world, "observe", traced(world, "observe", world.observe, key, state), n)
    per_agent(world, "idle", traced(world, "idle", world.idle, state), n)
    shaped(world, "done", traced(world, "done", world.done, state), (), jnp.bool_)
    shaped(world, "present", traced(world, "present", world.present, state), (n,), jnp.bool_)
    view = traced(world, "view", world.view, state)
    shaped(world, "view", view, view.shape[:1], jnp.floating)
    legal = traced(world, "legal", world.legal, state)
    if legal is not None:
        shaped(world, "legal", legal, (n, world.num_actions), jnp.bool_)
        if not world.legal(state).any(axis=1).all():
            raise AssertionError(f"{kind(world)}: legal leaves some agent without any action")
    after, score = traced(world, "step", play, world, key, state)
    kept(world, "the state after a step", state, after)
    shaped(world, "score", score, (), jnp.floating)


def _check_play(world: World) -> None:
    key = jax.random.key(1)
    state = eqx.filter_jit(world.reset)(key)
    counted = Counted(play)
    with promise(world, "step"):
        after, score = counted.call(world, key, state)
    if not jnp.isfinite(score):
        raise AssertionError(f"{kind(world)}: score is {score}; the objective of legal actions must be finite")
    with promise(world, "step with other numbers in the same fields"):
        counted.call(other_values(world), jax.random.key(2), after)
    counted.once(world, "step")
    keys = jax.random.split(key, 3)

    def episode(key: Any) -> PyTree:
        return jax.lax.scan(lambda state, k: play(world, k, state), world.reset(key), jax.random.split(key, TICKS))

    with promise(world, "vmap of an episode under scan"):
        many, scores = jax.jit(jax.vmap(episode))(keys)
    state = eqx.filter_jit(world.reset)(keys[1])
    for one in jax.random.split(keys[1], TICKS):
        state, score = counted.call(world, one, state)
    together = jax.tree.map(lambda leaf: leaf[1], (many, scores[:, -1]))
    close(world, "an episode under vmap and step by step", together, (state, score))


def _check_sums(world: AggregativeWorld) -> None:
    n = world.num_agents

    def look(world: AggregativeWorld, key: Any) -> dict[str, PyTree]:
        state = world.reset(key)
        actions = some_actions(key, world, state)
        others = (actions + 1) % world.num_actions
        parts = world.parts(state, actions)
        total = world.total(parts)
        deviations = jnp.where(jnp.eye(n, dtype=bool), others[None], actions[None])
        return {
            "parts": parts,
            "score": world.score(state, actions, world.step(key, state, actions)),
            "value": world.value(state, total),
            "own": world.own(state, actions),
            "without": world.value(state, replaced(total, parts)),
            "quick": world.value(state, replaced(total, parts, world.parts(state, others))),
            "slow": jax.vmap(lambda one: world.value(state, world.total(world.parts(state, one))))(deviations),
        }

    seen = twice(world, "the sums", look, world, jax.random.key(3))
    for part in jax.tree.leaves(seen["parts"], is_leaf=lambda leaf: isinstance(leaf, At)):
        strongly_typed(world, "parts", part)
        for leaf in jax.tree.leaves(part):
            if leaf.ndim not in (1, 2) or leaf.shape[-1] != n:
                raise AssertionError(f"{kind(world)}: a leaf of parts is {say(leaf)}; it must be [{n}] or [D, {n}]")
    close(world, "the score, beside the value of the sums,", seen["score"], seen["value"])
    shaped(world, "own", seen["own"], (n,), jnp.floating)
    shaped(world, "value without each agent", seen["without"], (n,), jnp.floating)
    shaped(world, "value had each agent acted otherwise", seen["quick"], (n,), jnp.floating)
    close(world, "what each agent changes, by sums and by playing it out,", seen["quick"], seen["slow"])
