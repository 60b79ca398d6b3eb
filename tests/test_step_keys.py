"""Keys: every draw has one of its own, and a part that does nothing moves nobody's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import step as loop
from quorate.core import Fault, Monitor, Scenario, TallyProtocol, World, static
from quorate.faults import Failing
from quorate.learners import Uniform
from quorate.step import begin, run, start, tick
from quorate.testing.tiny import IdleFault, IdleMonitor, Show
from tests.test_step import SEEN, devices, same


class Coins(TallyProtocol):
    """Decides on the coin of each round."""

    rounds: int = static(2)

    def propose(self, key, state, proposal):
        return jnp.uint32(0), jnp.uint32(0), jax.random.bits(key, dtype=jnp.uint32)

    def send(self, ballot):
        return jnp.int32(1)

    def hear(self, key, ballot, total, coin):
        return ballot[1], coin, jax.random.bits(key, dtype=jnp.uint32)

    def decide(self, ballot):
        return ballot, ()


class Drawing(Fault):
    """Draws, and takes part in everything without changing it."""

    def reset(self, key, num_agents):
        return jax.random.bits(key, (num_agents,))

    def update(self, key, state, t):
        return state ^ jax.random.bits(key, state.shape)

    def on_tally(self, key, state, tally):
        return state ^ jax.random.bits(key, state.shape), tally.total

    def on_act(self, key, state, actions, idle):
        return state ^ jax.random.bits(key, state.shape), actions

    def report(self, state):
        return state


@pytest.mark.parametrize("fault", [IdleFault(), Drawing(), Failing(fraction=0.0, at=0), Failing(fraction=0.9, at=50)])
def test_a_part_that_does_nothing_moves_nobodys_noise(fault):
    quiet = devices(commit=Show())
    beside = devices(commit=Show(), fault=fault, monitor=IdleMonitor())
    runs = [run(start(jax.random.key(2), one, 2), one, 10, SEEN)[1] for one in (quiet, beside)]
    same(*runs)


def test_a_silent_part_and_a_talking_one_leave_the_learner_its_noise():
    quiet, talking = devices(learner=Uniform()), devices(learner=Uniform(), commit=Show())
    intents = [run(start(jax.random.key(2), one), one, 10, ("intent",))[1] for one in (quiet, talking)]
    same(*intents)


class Pair(World):
    """Takes whatever is decided; its state is what was decided."""

    num_agents: int = static(3)
    num_actions: int = static(2)

    def reset(self, key):
        return jax.random.bits(key, (3,))

    def observe(self, key, state):
        return jax.random.bits(key, (3,))

    def step(self, key, state, actions):
        return jax.random.bits(key, (3,))

    def score(self, state, actions, after):
        return jnp.float32(0)

    def idle(self, state):
        return (jnp.zeros(3, jnp.uint32),) * 3


class Bits(Uniform):
    def act(self, key, mind, memory, obs, legal):
        return jax.random.bits(key, (3,)), memory, ()


def coins_of(step):
    return step.decided, step.obs, step.intent, step.after


def test_a_coin_is_the_same_for_all_and_nobody_elses_word():
    scenario = Scenario(Pair(), Bits(), commit=Coins())
    _, (coins, obs, intent, after) = run(start(jax.random.key(4), scenario), scenario, 30, coins_of)
    first, second, noise = (np.asarray(x)[:, 0] for x in coins)
    assert (first == first[:, :1]).all() and (second == second[:, :1]).all()
    everything = np.concatenate(
        [first[:, 0], second[:, 0], noise.ravel(), *(np.asarray(x).ravel() for x in (obs, intent, after))]
    )
    assert len(np.unique(everything)) == len(everything)


def test_no_two_keys_of_a_run_are_equal(monkeypatch):
    """Every key that is handed to a part, over ticks and runs, is used for one thing. Keys are gathered by running the
    loop's own functions without compiling them."""
    seen = {}

    def note(what, key):
        seen.setdefault(tuple(np.asarray(jax.random.key_data(key)).tolist()), set()).add(what)

    class Noting(Pair):
        def reset(self, key):
            note("reset", key)
            return super().reset(key)

        def observe(self, key, state):
            note("observe", key)
            return super().observe(key, state)

        def step(self, key, state, actions):
            note("step", key)
            return super().step(key, state, actions)

    class NotingLearner(Bits):
        def act(self, key, mind, memory, obs, legal):
            note("act", key)
            return super().act(key, mind, memory, obs, legal)

        def recall(self, key, scenario):
            note("recall", key)
            return ()

        def init(self, key, scenario):
            note("init", key)
            return ()

    class NotingFault(Fault):
        def reset(self, key, num_agents):
            note("fault.reset", key)
            return ()

        def update(self, key, state, t):
            note("fault.update", key)
            return state

        def on_observe(self, key, state, obs):
            note("on_observe", key)
            return state, obs

        def on_act(self, key, state, actions, idle):
            note("on_act", key)
            return state, actions

        def on_credit(self, key, state, credit):
            note("on_credit", key)
            return state, credit

    class NotingMonitor(Monitor):
        def reset(self, key, num_agents):
            note("monitor.reset", key)
            return ()

        def gate(self, key, state, obs, actions, idle):
            note("gate", key)
            return actions

        def watch(self, key, state, step):
            note("watch", key)
            return state, ()

    def converse(key, coin_key, *rest):
        note("talk", key)
        note("coin", coin_key)
        return talk(key, coin_key, *rest)

    talk = loop.comms.converse
    monkeypatch.setattr(loop.comms, "converse", converse)
    scenario = Scenario(Noting(), NotingLearner(), fault=NotingFault(), monitor=NotingMonitor())
    root, ticks, runs = jax.random.key(6), 12, 10
    note("init", jax.random.fold_in(root, loop.INIT))
    for t in range(ticks):
        for i in range(3):
            note(f"learn {i}", jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(root, loop.LEARN), t), i))
    for b in range(runs):
        mine = jax.random.fold_in(root, b)
        for t in range(ticks if b in (0, 8) else 1):
            carry = begin(mine if t == 0 else jax.random.fold_in(mine, t), scenario, ())
            tick(mine, jnp.int32(t), scenario, (), carry)
    uses = sum(len(whats) for whats in seen.values())
    assert uses == len(seen), [whats for whats in seen.values() if len(whats) > 1]
    kinds = {what for whats in seen.values() for what in whats}
    per_tick = len(kinds) - 3 - 1  # learning and the init come once for all
    assert {"reset", "observe", "act", "step", "coin", "talk", "gate", "watch", "on_credit"} <= kinds
    # two conversations a tick, each with a coin
    assert len(seen) == 1 + 3 * ticks + (per_tick + 2) * (2 * ticks + runs - 2)
