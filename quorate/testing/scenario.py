"""`check_scenario`: the whole, and what every part is put through inside one."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate import comms
from quorate.core import NoFault, Progress, Scenario, Silent, TallyProtocol, Unwatched
from quorate.step import run, start
from quorate.testing.compare import (
    TICKS,
    Counted,
    check_fields,
    close,
    equal,
    kept,
    other_values,
    promise,
    strongly_typed,
    traced,
)
from quorate.testing.tiny import IdleFault, IdleMonitor

SEEN = ("score", "credit", "actions", "decided", "done", "after")


def check_scenario(scenario: Scenario) -> None:
    """Every part's fields, and the whole: it runs, alone and in batches, compiles once, gives the same for the same key
    however it is cut in pieces, and a part that does nothing moves no bit of it."""
    for part in (getattr(scenario, field.name) for field in dataclasses.fields(scenario)):
        if isinstance(part, eqx.Module):
            check_fields(part)
    check_trace(scenario, scenario)
    first, counted = check_runs(scenario, scenario)
    whole = run(first, scenario, TICKS, SEEN)
    middle, early = counted.call(scenario, first)
    last, late = counted.call(scenario, middle)
    pieces = last, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), early, late)
    equal(scenario, "a run in one piece and in two", whole, pieces)
    with promise(scenario, "vmap over keys"):
        eqx.filter_vmap(lambda k: run(start(k, scenario), scenario, 1, SEEN)[1])(jax.random.split(jax.random.key(5), 2))
    _check_beside(scenario, whole[1])
    check_routes(scenario, scenario, (first, counted))


def check_trace(part: Any, scenario: Scenario) -> None:
    """It can be compiled, and what is carried from tick to tick keeps its structure; nothing is computed."""
    first = traced(part, "start", lambda key: start(key, scenario), jax.random.key(5))
    arrays = eqx.filter(first, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    strongly_typed(part, "what start gives", arrays)
    after = traced(part, "run", lambda: run(start(jax.random.key(5), scenario), scenario, 1, SEEN)[0])
    kept(part, "what is carried from tick to tick", first, after)


def check_runs(part: Any, scenario: Scenario) -> tuple[Progress, Counted]:
    """It compiles once whatever the numbers. Returns a start, and what runs half of TICKS from there."""
    counted = Counted(lambda scenario, progress: run(progress, scenario, TICKS // 2, SEEN))
    with promise(part, "run"):
        first = eqx.filter_jit(start)(jax.random.key(5), scenario)
        middle, _ = counted.call(scenario, first)
        counted.call(scenario, middle)
        counted.call(other_values(scenario), first)
    counted.once(part, "a run")
    return first, counted


def _check_beside(scenario: Scenario, alone: PyTree) -> None:
    """Parts that do nothing but draw noise move not a bit of the run."""
    beside = scenario
    if type(scenario.fault) is NoFault:
        beside = eqx.tree_at(lambda s: s.fault, beside, IdleFault(extras=scenario.fault.extras), is_leaf=_is_null)
    if type(scenario.monitor) is Unwatched:
        beside = eqx.tree_at(lambda s: s.monitor, beside, IdleMonitor(), is_leaf=_is_null)
    if beside is not scenario:
        accompanied = run(eqx.filter_jit(start)(jax.random.key(5), beside), beside, TICKS, SEEN)[1]
        equal(scenario, "a run beside parts that do nothing", alone, accompanied)


def _is_null(leaf: Any) -> bool:
    return isinstance(leaf, NoFault | Unwatched)


def check_routes(part: Any, scenario: Scenario, runs: tuple[Progress, Counted]) -> None:
    """A tally and a complete inbox lead to the same run; `runs` is what `check_runs` returned."""
    talks = [one for one in (scenario.talk, scenario.commit) if not isinstance(one, Silent)]
    state = scenario.world.reset(jax.random.key(0))
    free = scenario.topology is None and scenario.world.links(state) is None
    if not (free and talks and all(isinstance(one, TallyProtocol) for one in talks)):
        return
    everybody = comms.complete(scenario.world.num_agents, scenario.fault.extras)
    listed = eqx.tree_at(lambda s: s.topology, scenario, everybody, is_leaf=lambda leaf: leaf is None)
    first, counted = runs
    middle, early = counted.call(scenario, first)
    by_sum = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), early, counted.call(scenario, middle)[1])
    by_list = eqx.filter_jit(lambda key, one: run(start(key, one), one, TICKS, SEEN)[1])(jax.random.key(5), listed)
    close(part, "a run by sums and by complete inboxes", by_sum, by_list)
