"""`check_fault` and `check_monitor`: what goes wrong, and who looks on."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from quorate import comms
from quorate.core import Board, CountingAttack, Fault, Monitor, NoFault, Posts, Scenario
from quorate.errors import Refusal
from quorate.learners.uniform import Uniform
from quorate.step import run, start
from quorate.testing.compare import (
    check_fields,
    equal,
    kept,
    kind,
    say,
    shaped,
    strongly_typed,
    traced,
    twice,
)
from quorate.testing.scenario import check_routes, check_runs, check_trace
from quorate.testing.tiny import Lamps, Show

PLACES, SLIPS = 3, 2
SHARES = ("share", "fraction")  # fields of which 0 switches a fault off


class Word(NamedTuple):
    """What a slip or a notice says."""

    worth: Array
    number: Array


def check_fault(fault: Fault) -> None:
    """Every promise of `Fault`, with one, two and five agents: hooks keep structures and dtypes, on boards too, and one
    whose share is 0 changes nothing, bit for bit. For a `CountingAttack` also that both mail routes agree. A fault that
    refuses sums is run on inboxes, and one that refuses boards is not asked about them."""
    check_fields(fault)
    for n in (1, 2, 5):
        _check_hooks(fault, n)
    summed = _takes_sums(fault)
    for n in (1, 2, 5):
        links = None if summed else comms.complete(n, fault.extras)
        scenario = Scenario(Lamps(num_agents=n), Uniform(), commit=Show(), fault=fault, topology=links)
        if n < 5:
            check_trace(fault, scenario)
    runs = check_runs(fault, scenario)
    for name in SHARES:
        if hasattr(fault, name):
            _check_off(fault, dataclasses.replace(fault, **{name: 0.0}))
    if isinstance(fault, CountingAttack):
        check_routes(fault, scenario, runs)


def _takes_sums(fault: Fault) -> bool:
    scenario = Scenario(Lamps(num_agents=1), Uniform(), commit=Show(), fault=fault)
    try:
        jax.eval_shape(lambda key: run(start(key, scenario), scenario, 1)[1], jax.random.key(0))
    except Refusal:
        return False
    return True


def _mail(n: int) -> list[tuple[Posts, PyTree]]:
    """Slips and notices: bare ones, and such with everything on them."""

    def some(*shape: int) -> Array:
        return jnp.cos(jnp.arange(math.prod((n, SLIPS, *shape)), dtype=jnp.float32)).reshape(n, SLIPS, *shape)

    place, live = (jnp.arange(n * SLIPS, dtype=jnp.int32) % PLACES).reshape(n, SLIPS), some() > -0.5
    word = Word(some(2), place + 4)
    full = Posts(place, live, (some(), place, live), some(), word)
    return [(Posts(place, live), place + 1), (full, (word, live))]


def _on_boards(fault: Fault, state: PyTree, key: Any, n: int) -> list[tuple[PyTree, PyTree]]:
    """What goes through the hooks of boards and what comes out, states included."""
    out, place = [], (jnp.arange(n * SLIPS, dtype=jnp.int32) % (PLACES + 1)).reshape(n, SLIPS) - 1
    for posts, notice in _mail(n):
        for by_mail in (True, False):
            board = Board(jnp.int32(3), jnp.int32(1), PLACES, by_mail)
            out.append(((state, posts), fault.on_post(key, state, posts, board)))
            given = notice, place >= 0
            after, *heard = fault.on_notice(key, state, place, *given, board)
            out.append(((state, given), (after, tuple(heard))))
    return out


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
        return updated, seen, acted, paid, (fault.liars(state), fault.down(state))

    updated, seen, acted, paid, marked = traced(fault, "a hook", hooks, fault, state, jnp.int32(0))
    kept(fault, "the state after update", state, updated)
    hooked = (("on_observe", seen, obs), ("on_act", acted, actions), ("on_credit", paid, pay))
    for what, (after, value), given in hooked:
        kept(fault, f"the state after {what}", state, after)
        kept(fault, f"what {what} returns", given, value)
    for what, mask in zip(("liars", "down"), marked, strict=True):
        if mask is not None:
            shaped(fault, what, mask, (n,), jnp.bool_)
    try:
        boards = traced(fault, "a hook of boards", lambda f, s: _on_boards(f, s, key, n), fault, state)
    except Refusal:
        return
    for index, ((_, given), (after, value)) in enumerate(boards):
        hook = ("on_post", "on_notice")[index % 2]
        kept(fault, f"the state after {hook}", state, after)
        kept(fault, f"what {hook} returns", given, value)


def _check_off(fault: Fault, off: Fault) -> None:
    """With a share of 0 everything comes out as it went in, in every tick."""
    n, key = 5, jax.random.key(3)
    world = Lamps(num_agents=n)
    obs, actions = world.observe(key, world.reset(key)), jnp.arange(n, dtype=jnp.int32) % 2

    def one_tick(off: Fault, state: PyTree, t: Array) -> tuple[PyTree, PyTree]:
        now = jax.random.fold_in(key, t)
        state = off.update(now, state, t)
        state, seen = off.on_observe(now, state, obs)
        board = [(given[1], value[1]) for given, value in _on_boards(off, state, now, n)]
        state, acted = off.on_act(now, state, actions, jnp.zeros_like(actions))
        down, nobody = off.down(state), jnp.zeros(n, bool)
        return state, [(obs, seen), (actions, acted), *board, (nobody, nobody if down is None else down)]

    def ticks(off: Fault) -> PyTree:
        return jax.lax.scan(lambda state, t: one_tick(off, state, t), off.reset(key, n), jnp.arange(3))[1]

    for given, value in twice(off, "a share of 0", ticks, off):
        equal(fault, "what passes a fault whose share is 0", given, value)


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
