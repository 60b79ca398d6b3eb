"""The loop: chunks, batches, what is recorded, and what learns along the way."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Fault, Learner, Monitor, Progress, Scenario, static, swept
from quorate.errors import Refusal
from quorate.faults import Failing
from quorate.learners import Boltzmann, Uniform
from quorate.learners.boltzmann import Chances, device_temperature
from quorate.step import run, start
from quorate.testing.tiny import Lamps, Show
from quorate.utilities import ExpectedDifference
from quorate.worlds.imperfect_devices import ImperfectDevices, draw

SEEN = ("t", "score", "credit", "actions", "live", "done", "cut", "before", "after")


def same(one, other):
    """Bit for bit, keys included."""
    a, b = jax.tree.leaves(one), jax.tree.leaves(other)
    assert jax.tree.structure(one) == jax.tree.structure(other) and a
    for x, y in zip(a, b, strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        x, y = np.asarray(x), np.asarray(y)
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        assert x.tobytes() == y.tobytes(), f"{(x != y).sum()} of {x.size} values differ"


def devices(n=9, **changes):
    world = ImperfectDevices(errors=draw(1, n))
    learner = Boltzmann(temperature=device_temperature(world.errors, 1.0), first=2, switch_on=2)
    return Scenario(**({"world": world, "learner": learner, "utility": ExpectedDifference()} | changes))


def at(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


# ------------------------------------------------------------------------------------------------- chunks and batches


@pytest.mark.parametrize(("runs", "horizon"), [(1, 1), (3, 4)])
def test_chunks_change_nothing(runs, horizon):
    learner = Boltzmann(temperature=1e-2, first=2, switch_on=2, horizon=horizon)
    scenario = devices(learner=learner, fault=Failing(fraction=0.3, at=5), commit=Show(rounds=1), limit=5)
    first = start(jax.random.key(3), scenario, runs)
    whole = run(first, scenario, 12, SEEN)
    middle, early = run(first, scenario, 4, SEEN)
    last, late = run(middle, scenario, 8, SEEN)
    same(whole, (last, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), early, late)))
    assert whole[1]["score"].shape == (12 * horizon, runs)
    assert whole[1]["t"].tolist() == [[t] * runs for t in range(12 * horizon)]


def test_one_run_is_the_first_of_many_where_nothing_is_shared():
    scenario = devices(learner=Uniform(), limit=4)
    one, many = (run(start(jax.random.key(3), scenario, runs), scenario, 6, SEEN)[1] for runs in (1, 5))
    same(one, jax.tree.map(lambda leaf: leaf[:, :1], many))
    assert (many["actions"][:, 0] != many["actions"][:, 1]).any()  # and the others are runs of their own


class Permuted(Boltzmann):
    """Device i has the noise, and the turn to begin, of device order[i]."""

    order: jax.Array = swept(jnp.int32)

    def act(self, key, mind, memory, obs, legal):
        back = jnp.argsort(self.order)
        home = mind._replace(pay=mind.pay[:, back], weight=mind.weight[:, back])
        actions, memory, aux = super().act(key, home, memory, obs, legal)
        return actions[self.order], memory, Chances(aux.chances[self.order])


def test_acceptance_11_batched_equals_single_and_permutation():
    scenario, keys = devices(), jax.random.split(jax.random.key(8), 4)

    def play(key, scenario):
        return run(start(key, scenario), scenario, 40, SEEN)

    batched = eqx.filter_vmap(play, in_axes=(0, None))(keys, scenario)
    for index, key in enumerate(keys):
        same(play(key, scenario), at(batched, index))

    order = np.array([4, 0, 7, 2, 8, 1, 3, 6, 5])
    moved = Scenario(
        ImperfectDevices(errors=scenario.world.errors[order]),
        Permuted(temperature=scenario.learner.temperature, first=2, switch_on=2, order=order),
        scenario.utility,
    )
    there, here = play(keys[0], moved), play(keys[0], scenario)
    same(there[1]["actions"], here[1]["actions"][:, :, order])
    same(there[1]["score"], here[1]["score"])
    same(there[1]["credit"], here[1]["credit"][:, :, order])
    same(there[0].mind.pay, here[0].mind.pay[:, order])
    assert len(np.unique(np.asarray(here[1]["score"]))) > 10  # something happened


# ------------------------------------------------------------------------------------------------ records and horizons


def halves(step):
    return step.score / 2, step.actions[..., 0]


def test_records_by_name_and_by_function():
    scenario = devices()
    first = start(jax.random.key(2), scenario, 2)
    named, counted = run(first, scenario, 5, ("score", "view", "legal"))[1], run(first, scenario, 5, halves)[1]
    same(counted[0], named["score"] / 2)
    assert counted[1].shape == (5, 2) and named["view"].shape == (5, 2, 0) and named["legal"] is None
    assert run(first, scenario, 5, ())[1] == {}
    assert run(first, scenario, 0)[1]["score"].shape == (0, 2)


def test_an_unknown_record_is_refused():
    scenario = devices()
    with pytest.raises(Refusal, match='no field of Step is called "scores"; did you mean score?'):
        run(start(jax.random.key(2), scenario), scenario, 1, ("scores",))


class Looking(Learner):
    """Keeps the segment it was given."""

    horizon: int = static()

    def init(self, key, scenario):
        return jnp.zeros((self.horizon, 3), jnp.int32), jnp.zeros((self.horizon, 3))

    def act(self, key, mind, memory, obs, legal):
        return jax.random.randint(key, (2,), 0, 2), memory, ()

    def learn(self, key, mind, segment, scenario):
        return segment.t, segment.score


@pytest.mark.parametrize("horizon", [1, 4])
def test_learning_sees_every_tick_of_its_horizon(horizon):
    scenario = Scenario(Lamps(num_agents=2), Looking(horizon=horizon), limit=5)
    progress, seen = run(start(jax.random.key(2), scenario, 3), scenario, 3, SEEN)
    ticks, scores = progress.mind
    assert ticks.tolist() == [[2 * horizon + i] * 3 for i in range(horizon)]
    same(scores, seen["score"][-horizon:])
    assert int(progress.t) == 3 * horizon


def test_horizons_do_not_change_what_is_not_learned():
    one, four = (
        run(start(jax.random.key(2), scenario, 2), scenario, updates, SEEN)[1]
        for scenario, updates in ((devices(learner=Uniform()), 8), (devices(learner=Uniform(horizon=4)), 2))
    )
    same(one, four)


# ---------------------------------------------------------------------------------------------------- what learns along


class Worsening(Fault):
    """Learns from the score, in every update, and turns off as many agents as it has learned to."""

    strength: jax.Array = swept(default=0.0)

    def on_act(self, key, state, actions, idle):
        return state, jnp.where(jnp.arange(len(actions)) < self.strength, idle, 1)

    def learn(self, key, segment):
        return Worsening(strength=self.strength + segment.live.shape[0] * (jnp.mean(segment.score) > -100))


class Strict(Monitor):
    """Holds agent 0 back for ever, and counts its ticks in the verdict; its patience wears off by learning."""

    patience: jax.Array = swept(default=10.0)

    def reset(self, key, num_agents):
        return jnp.int32(0)

    def gate(self, key, state, obs, actions, idle):
        return actions.at[0].set(idle[0])

    def watch(self, key, state, step):
        return state + 1, state * 10 + step.actions.sum()

    def learn(self, key, segment):
        return Strict(patience=self.patience - 1)


def test_a_fault_that_learns_travels_in_progress():
    scenario = devices(learner=Uniform(horizon=2), fault=Worsening())
    middle, _ = run(start(jax.random.key(2), scenario, 2), scenario, 2, SEEN)
    last, seen = run(middle, scenario, 1, SEEN)
    assert float(middle.fault.strength) == 4 and float(last.fault.strength) == 6
    assert seen["actions"].sum(axis=-1).tolist() == [[5, 5], [5, 5]]
    assert float(scenario.fault.strength) == 0  # the scenario stays what it was
    assert isinstance(last, Progress)


def test_a_monitor_gates_watches_and_learns():
    scenario = devices(monitor=Strict(), learner=Uniform())
    last, seen = run(start(jax.random.key(2), scenario, 2), scenario, 6, ("actions", "intent", "verdict", "decided"))
    actions = np.asarray(seen["actions"])
    assert (actions[..., 0] == 0).all() and (np.asarray(seen["intent"])[..., 0] == 1).any()
    same(seen["actions"][..., 1:], seen["decided"][..., 1:])
    assert (np.asarray(seen["verdict"]) == np.arange(6)[:, None] * 10 + actions.sum(-1)).all()
    assert float(last.monitor.patience) == 4 and last.carry.monitor.tolist() == [6, 6]


class Scaling(Fault):
    def on_observe(self, key, state, obs):
        return state, obs * 0

    def on_credit(self, key, state, credit):
        return state, credit * 3


def test_a_fault_comes_before_talk_and_after_pay():
    scenario = Scenario(Lamps(num_agents=3), Uniform(), fault=Scaling())
    _, seen = run(start(jax.random.key(2), scenario), scenario, 5, ("raw", "obs", "credit", "score"))
    assert not seen["raw"].any() and not seen["obs"].any()
    same(seen["credit"], jnp.broadcast_to(seen["score"][..., None], (5, 1, 3)) * 3)
    assert seen["score"].any()
