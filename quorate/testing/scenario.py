"""`check_scenario`: the whole, and what every part is put through inside one."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from quorate import comms
from quorate.core import NoFault, Scenario, Silent, TallyProtocol, Unwatched
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
)
from quorate.testing.tiny import IdleFault, IdleMonitor

SEEN = ("score", "credit", "actions", "decided", "done", "after")


def check_scenario(scenario: Scenario) -> None:
    """Every part's fields, and the whole: it runs, alone and in batches, compiles once, gives the same for the same key
    however it is cut in pieces, and a part that does nothing moves no bit of it."""
    for part in (getattr(scenario, field.name) for field in dataclasses.fields(scenario)):
        if isinstance(part, eqx.Module):
            check_fields(part)
    check_runs(scenario, scenario)
    check_routes(scenario, scenario)


def check_runs(part: Any, scenario: Scenario, thorough: bool = True) -> None:
    """It runs, keeps its structure and compiles once; thorough: also cut in pieces, in batches and beside idle parts."""
    key = jax.random.key(5)
    with promise(part, "start"):
        first = start(key, scenario)
    strongly_typed(part, "what start gives", eqx.filter(first, eqx.is_array_like))
    counted = Counted(lambda scenario, progress: run(progress, scenario, TICKS // 2, SEEN))
    with promise(part, "run"):
        middle, early = counted.call(scenario, first)
        kept(part, "what is carried from tick to tick", first, middle)
        last, late = counted.call(scenario, middle)
        counted.call(other_values(scenario), first)
    counted.once(part, "a run")
    if not thorough:
        return
    whole = run(first, scenario, TICKS, SEEN)
    pieces = last, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), early, late)
    equal(part, "a run in one piece and in two", whole, pieces)
    with promise(part, "run of a batch, vmap over keys"):
        run(start(key, scenario, runs=2), scenario, 1, SEEN)
        eqx.filter_vmap(lambda k: run(start(k, scenario), scenario, 1, SEEN)[1])(jax.random.split(key, 2))
    beside = scenario
    if type(scenario.fault) is NoFault:
        beside = eqx.tree_at(lambda s: s.fault, beside, IdleFault(extras=scenario.fault.extras), is_leaf=_is_null)
    if type(scenario.monitor) is Unwatched:
        beside = eqx.tree_at(lambda s: s.monitor, beside, IdleMonitor(), is_leaf=_is_null)
    if beside is not scenario:
        equal(part, "a run beside parts that do nothing", whole[1], run(start(key, beside), beside, TICKS, SEEN)[1])


def _is_null(leaf: Any) -> bool:
    return isinstance(leaf, NoFault | Unwatched)


def check_routes(part: Any, scenario: Scenario) -> None:
    """A tally and a complete inbox lead to the same run."""
    talks = [one for one in (scenario.talk, scenario.commit) if not isinstance(one, Silent)]
    state = scenario.world.reset(jax.random.key(0))
    free = scenario.topology is None and scenario.world.links(state) is None
    if not (free and talks and all(isinstance(one, TallyProtocol) for one in talks)):
        return
    everybody = comms.complete(scenario.world.num_agents, scenario.fault.extras)
    listed = eqx.tree_at(lambda s: s.topology, scenario, everybody, is_leaf=lambda leaf: leaf is None)
    runs = [run(start(jax.random.key(5), one), one, TICKS, SEEN)[1] for one in (scenario, listed)]
    close(part, "a run by sums and by complete inboxes", *runs)
