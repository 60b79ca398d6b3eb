"""The only simulation loop: `begin` opens an episode, `tick` moves it one step, `run` scans `tick` and lets everybody
learn."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate import comms
from quorate.core import Carry, Fault, Key, Mind, Progress, Scenario, Step, World
from quorate.errors import unknown

# Each stage draws from its own branch of the tick's key, so adding a part moves nobody else's noise.
OBSERVE, TALK, ACT, COMMIT, FAULT, WORLD, MONITOR = range(7)
# Roots of their own beside those of runs, ticks and stages, which count from 0 and never come this far.
RESET, COIN, INIT, LEARN = range(2**31, 2**31 + 4)


def attending(world: World, state: PyTree, fault: Fault, fault_state: PyTree) -> Bool[Array, " N"] | None:
    """Who is there and not down; None where nobody can be away."""
    down = fault.down(fault_state)
    if type(world).present is World.present:
        return None if down is None else ~down
    return world.present(state) if down is None else world.present(state) & ~down


def begin(key: Key, scenario: Scenario, mind: Mind) -> Carry:
    """A fresh episode: world, memories, protocols, fault and monitor as they are before the first tick."""
    world, n = scenario.world, scenario.world.num_agents
    keys = [jax.random.fold_in(jax.random.fold_in(key, RESET), index) for index in range(6)]
    talk = scenario.learner.speaker(mind) or scenario.talk
    state, broken = world.reset(keys[0]), scenario.fault.reset(keys[4], n)
    here = attending(world, state, scenario.fault, broken)
    return Carry(
        age=jnp.int32(0),
        world=state,
        memory=scenario.learner.recall(keys[1], scenario),
        talk=comms.boot(keys[2], talk, n),
        commit=comms.boot(keys[3], scenario.commit, n),
        fault=broken,
        monitor=scenario.monitor.reset(keys[5], n),
        here=() if here is None else here,
    )


def tick(key: Key, t: Int[Array, ""], scenario: Scenario, mind: Mind, carry: Carry) -> tuple[Carry, Step]:
    """One step of one run. `key` is the run's, `t` the tick's number; all noise of the tick is derived from the two."""
    world, learner, fault, monitor = scenario.world, scenario.learner, scenario.fault, scenario.monitor
    now = jax.random.fold_in(key, t)

    def stage(index: int, part: int = 0) -> Key:
        return jax.random.fold_in(jax.random.fold_in(now, index), part)

    def converse(index, protocol, lasting, proposal, fault_state):
        links = world.links(carry.world) or scenario.topology
        coin = jax.random.fold_in(jax.random.fold_in(key, COIN), t)  # the coin's own root: no stage key leads to it
        if here is not None:
            lasting = comms.rebooted(stage(index, 1), protocol, lasting, here & ~carry.here)
        return comms.converse(
            stage(index),
            jax.random.fold_in(coin, index),
            protocol,
            lasting,
            proposal,
            links,
            fault,
            fault_state,
            trusted,
            n,
            t,
            here,
        )

    n = world.num_agents
    live = ~world.done(carry.world)
    if scenario.limit is not None:
        live &= carry.age < scenario.limit

    state = fault.update(stage(FAULT), carry.fault, t)
    here = attending(world, carry.world, fault, state)
    trusted = monitor.trusted(carry.monitor)
    state, raw = fault.on_observe(stage(FAULT, 1), state, world.observe(stage(OBSERVE), carry.world))
    talked = converse(TALK, learner.speaker(mind) or scenario.talk, carry.talk, raw, state)
    obs, legal = talked.decision, world.legal(carry.world)
    intent, memory, aux = learner.act(stage(ACT), mind, carry.memory, obs, legal)
    agreed = converse(COMMIT, scenario.commit, carry.commit, intent, talked.fault)
    idle = world.idle(carry.world)
    allowed = monitor.gate(stage(MONITOR), carry.monitor, obs, agreed.decision, idle)
    if here is not None:
        allowed = jax.tree.map(lambda act, rest: jnp.where(comms.like(here, act), act, rest), allowed, idle)
    state, actions = fault.on_act(stage(FAULT, 2), agreed.fault, allowed, idle)
    after = world.step(stage(WORLD), carry.world, actions)
    score = world.score(carry.world, actions, after)
    credit = scenario.utility(world, carry.world, actions, after, score, getattr(aux, "chances", None))
    state, credit = fault.on_credit(stage(FAULT, 3), state, credit)
    done = world.done(after)
    cut = jnp.array(False) if scenario.limit is None else (carry.age + 1 >= scenario.limit) & ~done
    step = Step(
        t=t, live=live, obs=obs, raw=raw, legal=legal, view=world.view(carry.world), memory=carry.memory, intent=intent,
        decided=agreed.decision, actions=actions, aux=aux, score=score, credit=credit, done=done, cut=cut,
        before=carry.world, after=after, mail=(talked.heard, agreed.heard), trace=fault.report(state), verdict=(),
        traffic=jax.tree.map(jnp.add, talked.traffic, agreed.traffic),
    )  # fmt: skip
    watching, verdict = monitor.watch(stage(MONITOR, 1), carry.monitor, step)
    there = () if here is None else here
    carry = Carry(carry.age + 1, after, memory, talked.lasting, agreed.lasting, state, watching, there)
    return carry, step._replace(verdict=verdict)


def start(key: Key, scenario: Scenario, runs: int = 1) -> Progress:
    """Before the first tick: a mind, and `runs` episodes that share it. Independent learners are `jax.vmap` over
    `start` and `run`."""
    mind = scenario.learner.init(jax.random.fold_in(key, INIT), scenario)
    carry = jax.vmap(lambda b: begin(jax.random.fold_in(key, b), scenario, mind))(jnp.arange(runs))
    return Progress(key, jnp.int32(0), mind, scenario.fault, scenario.monitor, carry)


Record = tuple[str, ...] | Callable[[Step], PyTree]


def run(progress: Progress, scenario: Scenario, updates: int, record: Record = ("score",)) -> tuple[Progress, Any]:
    """Goes on for `updates` times `horizon` ticks. Returns where it stopped and the records, leaves [ticks, B, ...].

    `record` names fields of `Step`, or is a function of a Step defined at module level (a lambda written at the call
    compiles anew each time). Calling it twice for half as long gives the same, bit for bit. An unmapped program runs
    when B is 1, which is faster.
    """
    if not callable(record):
        record = (record,) if isinstance(record, str) else tuple(record)
        for name in record:
            if name not in Step._fields:
                raise unknown("field of Step", name, Step._fields)
    return _run(progress, scenario, updates, record)


@eqx.filter_jit
def _run(progress: Progress, scenario: Scenario, updates: int, record: Record) -> tuple[Progress, Any]:
    key, learner, horizon = progress.key, scenario.learner, scenario.learner.horizon
    runs = progress.carry.age.shape[0]
    restarts = scenario.limit is not None or type(scenario.world).done is not World.done
    first = jax.tree.map(lambda leaf: leaf[0], progress.carry) if runs == 1 else progress.carry

    def batched(one: Callable) -> Callable:  # one(b, *per_run) for a single run, or for B of them
        return (lambda *args: one(0, *args)) if runs == 1 else (lambda *args: jax.vmap(one)(jnp.arange(runs), *args))

    def keep(step: Step) -> Any:
        if callable(record):
            return record(step)
        return {name: getattr(step, name) for name in record}

    def one_tick(parts: tuple, carry: Carry, t: Array) -> tuple[Carry, Step]:
        mind, fault, monitor = parts
        here = eqx.tree_at(lambda s: (s.fault, s.monitor), scenario, (fault, monitor))
        carry, step = batched(lambda b, carry: tick(jax.random.fold_in(key, b), t, here, mind, carry))(carry)
        if restarts:
            renew = batched(lambda b: begin(jax.random.fold_in(jax.random.fold_in(key, b), t), here, mind))

            def again() -> Carry:
                over = ~step.live

                def pick(new, old):
                    return jnp.where(over.reshape(over.shape + (1,) * (old.ndim - over.ndim)), new, old)

                return jax.tree.map(pick, renew(), carry)

            carry = jax.lax.cond(jnp.all(step.live), lambda: carry, again)
        return carry, step

    still = eqx.filter((progress.mind, progress.fault, progress.monitor), eqx.is_array, inverse=True)

    def update(state: tuple, _: None) -> tuple[tuple, Any]:
        arrays, t, carry = state
        parts = eqx.combine(arrays, still)
        if horizon == 1:  # a bandit: no inner loop
            carry, step = one_tick(parts, carry, t)
            segment = jax.tree.map(lambda leaf: leaf[None], step)
        else:
            carry, segment = jax.lax.scan(lambda c, i: one_tick(parts, c, t + i), carry, jnp.arange(horizon))
        if runs == 1:
            segment = jax.tree.map(lambda leaf: leaf[:, None], segment)
        mind, fault, monitor = parts
        learning = [jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, LEARN), t), i) for i in range(3)]
        mind = learner.learn(learning[0], mind, segment, scenario)
        fault, monitor = fault.learn(learning[1], segment), monitor.learn(learning[2], segment)
        return (eqx.filter((mind, fault, monitor), eqx.is_array), t + horizon, carry), keep(segment)

    arrays = eqx.filter((progress.mind, progress.fault, progress.monitor), eqx.is_array)
    (arrays, t, carry), records = jax.lax.scan(update, (arrays, progress.t, first), length=updates)
    records = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), records)
    if runs == 1:
        carry = jax.tree.map(lambda leaf: leaf[None], carry)
    return Progress(key, t, *eqx.combine(arrays, still), carry), records
