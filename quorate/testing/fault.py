"""`check_fault` and `check_monitor`: what goes wrong, and who looks on."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate.core import CountingAttack, Fault, Monitor, NoFault, Scenario
from quorate.learners.uniform import Uniform
from quorate.testing.compare import (
    check_fields,
    kept,
    kind,
    say,
    shaped,
    strongly_typed,
    traced,
)
from quorate.testing.scenario import check_routes, check_runs, check_trace
from quorate.testing.tiny import Lamps, Show


def check_fault(fault: Fault) -> None:
    """Every promise of `Fault`, with one, two and five agents; for a `CountingAttack` that both mail routes agree."""
    check_fields(fault)
    for n in (1, 2, 5):
        _check_hooks(fault, n)
        scenario = Scenario(Lamps(num_agents=n), Uniform(), commit=Show(), fault=fault)
        if n < 5:
            check_trace(fault, scenario)
    check_runs(fault, scenario)
    if isinstance(fault, CountingAttack):
        check_routes(fault, scenario)


def _check_hooks(fault: Fault, n: int) -> None:
    key, world = jax.random.key(n), Lamps(num_agents=n)
    state = traced(fault, "reset", lambda k: fault.reset(k, n), key)
    strongly_typed(fault, "the state", state)
    actions, obs, pay = jnp.ones(n, jnp.int32), world.observe(key, world.reset(key)), jnp.ones(n)

    def hooks(fault: Fault, state: PyTree, t: Any) -> PyTree:
        updated = fault.update(key, state, t)
        seen = fault.on_observe(key, updated, obs)
        acted = fault.on_act(key, seen[0], actions, jnp.zeros_like(actions))
        paid = fault.on_credit(key, acted[0], pay)
        return updated, seen, acted, paid, fault.liars(state)

    updated, seen, acted, paid, liars = traced(fault, "a hook", hooks, fault, state, jnp.int32(0))
    kept(fault, "the state after update", state, updated)
    hooked = (("on_observe", seen, obs), ("on_act", acted, actions), ("on_credit", paid, pay))
    for what, (after, value), given in hooked:
        kept(fault, f"the state after {what}", state, after)
        kept(fault, f"what {what} returns", given, value)
    if liars is not None:
        shaped(fault, "liars", liars, (n,), jnp.bool_)


def check_monitor(monitor: Monitor) -> None:
    """Every promise of `Monitor`, with one, two and five agents, with and without a talker from outside."""
    check_fields(monitor)
    for n in (1, 2, 5):
        key, world = jax.random.key(n), Lamps(num_agents=n)
        state = traced(monitor, "reset", lambda k, n=n: monitor.reset(k, n), key)
        strongly_typed(monitor, "the state", state)
        actions, idle, obs = jnp.ones(n, jnp.int32), jnp.zeros(n, jnp.int32), world.observe(key, world.reset(key))
        gated = traced(monitor, "gate", lambda s, *given, k=key: monitor.gate(k, s, *given), state, obs, actions, idle)
        kept(monitor, "what gate returns, beside the actions,", actions, gated)
        trusted = traced(monitor, "trusted", monitor.trusted, state)
        if trusted is not None and (trusted.dtype != bool or trusted.ndim != 1 or trusted.shape[0] < n):
            raise AssertionError(f"{kind(monitor)}: trusted is {say(trusted)}; it must be bool[{n} and extras]")
        extras = 0 if trusted is None else trusted.shape[0] - n
        scenario = Scenario(world, Uniform(), commit=Show(), monitor=monitor, fault=NoFault(extras=extras))
        if n < 5:
            check_trace(monitor, scenario)
    check_runs(monitor, scenario)
