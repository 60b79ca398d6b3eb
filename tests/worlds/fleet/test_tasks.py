import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.worlds import fleet
from tests.worlds.fleet.instances import PLACES, on_plane, play, random_actions

SEED = jnp.array([123, 456], jnp.uint32)


@eqx.filter_jit
def told(source, seed, t):
    return source.tasks(seed, t)


def many(**change):
    draw = np.random.default_rng(0)
    given = {"phase": draw.integers(0, 30, 20_000), "period": 30, "needs": (1, 2, 4, 8)}
    return fleet.Arrivals(**(given | change))


def test_a_place_has_one_task_a_window_and_it_is_the_same_all_through_it():
    source = many(phase=np.arange(30).repeat(4))
    seen = jax.jit(jax.vmap(lambda t: source.tasks(SEED, t)))(jnp.arange(90))
    number, release = np.asarray(seen.number), np.asarray(seen.release)
    assert (number == (np.arange(90)[:, None] - np.asarray(source.phase)) // 30).all()
    assert (release == np.asarray(source.phase) + 30 * number).all()
    for name in ("value", "deadline", "need", "duration", "real"):
        column = np.asarray(getattr(seen, name))
        turns = number[1:] != number[:-1]
        assert (column[1:] == column[:-1])[~turns].all()
    assert not np.asarray(seen.real)[number < 0].any() and np.asarray(seen.real)[number >= 0].all()


def test_attributes_have_the_laws_they_are_said_to_have():
    """Means within five standard errors, and no two attributes, places or windows go together."""
    tasks = told(many(), SEED, jnp.int32(100))
    value, slack = np.asarray(tasks.value), np.asarray(tasks.deadline - tasks.release)
    count = len(value)
    assert abs(value.mean() - 1) < 5 * np.sqrt(1 / 12 / count) and value.min() >= 0.5 and value.max() < 1.5
    counts = np.bincount(slack, minlength=30)
    assert counts[:10].sum() == 0 and (np.abs(counts[10:] - count / 20) < 5 * np.sqrt(count / 20)).all()
    for column, values in ((tasks.duration, (1, 2, 3)), (tasks.need, (1, 2, 4, 8))):
        for one in values:
            share = 1 / len(values)
            assert abs(np.mean(np.asarray(column) == one) - share) < 5 * np.sqrt(share * (1 - share) / count)
    later = told(many(), SEED, jnp.int32(130))
    other = told(many(), SEED + 1, jnp.int32(100))
    columns = [value, slack, np.asarray(tasks.duration), np.asarray(later.value), np.asarray(other.value)]
    columns.append(np.roll(value, 1))
    apart = np.abs(np.corrcoef(columns) - np.eye(len(columns)))
    assert apart.max() < 5 / np.sqrt(count)


def test_intensity_is_the_share_of_windows_that_have_a_task():
    real = np.asarray(told(many(intensity=0.3), SEED, jnp.int32(100)).real)
    assert abs(real.mean() - 0.3) < 5 * np.sqrt(0.21 / len(real))


def test_a_hot_spot_moves_and_leaves_the_number_of_tasks_as_it_is():
    world = fleet.rolling(num_agents=2500, hot=(0.5, 7.0, 120.0), options=1)
    even = fleet.rolling(num_agents=2500, options=1)
    half = np.asarray(world.space.place[0]) > 25
    shares, totals = [], []
    for t in (60, 120):  # half a round apart: left of the middle, then right of it
        real = np.asarray(told(world.source, SEED, jnp.int32(t + 15)).real)
        shares.append(real[half].sum() / real.sum())
        totals.append(real.sum() / even.num_actions)
    assert shares[0] < 0.42 and shares[1] > 0.58
    assert all(0.85 < total < 1.1 for total in totals)


def test_grace_makes_a_task_late_sooner():
    tasks = told(many(grace=4), SEED, jnp.int32(100))
    assert (tasks.due == tasks.release + 4 + tasks.duration).all()
    usual = told(many(), SEED, jnp.int32(100))
    assert (usual.due == usual.deadline + usual.duration).all()


def test_a_trace_of_the_written_out_rows_gives_the_same_episode():
    """Three windows of each of 7 places are 21 places of a trace; agents that head for a place head for the row whose
    window it is."""
    draw = np.random.default_rng(3)
    source = fleet.Arrivals(
        phase=draw.integers(0, 6, PLACES), period=6, slack=(1, 5), needs=(1, 2), team=(1, 2), largest=2
    )
    rolls = on_plane(3, source=source)
    actions = random_actions(3, 18)
    ticks = play(rolls, actions, seed=9)
    seed = rolls.reset(jax.random.key(9)).seed
    during = jax.jit(jax.vmap(lambda t: source.tasks(seed, t)))
    windows = [during(source.phase + 6 * c) for c in range(3)]
    own = np.arange(PLACES)
    row = {
        name: np.concatenate([np.asarray(getattr(w, name))[own, own] for w in windows]) for name in windows[0]._fields
    }
    assert row["number"].tolist() == [c for c in range(3) for _ in own]
    listed = {name: row[name] for name in ("due", "value", "need", "duration", "team")}
    written = on_plane(3, source=fleet.trace(row["release"], row["deadline"], **listed))
    place = np.tile(np.asarray(rolls.space.place), 3)
    written = fleet.assemble(
        space=fleet.plane((3, 3), place, num_agents=6, options=5, region_size=2),
        source=written.source, home=rolls.home, speed=rolls.speed, skills=rolls.skills, capacity=rolls.capacity,
        sight=rolls.sight, late=-0.1, options=5,
    )  # fmt: skip
    window = np.array([np.maximum(tick[2].number, 0) for tick in ticks])
    headed = np.where(
        actions >= 0, np.maximum(actions, 0) + PLACES * np.take_along_axis(window, np.maximum(actions, 0), 1), -1
    )
    others = play(written, headed.astype(np.int32))
    np.testing.assert_allclose([tick[3] for tick in ticks], [tick[3] for tick in others], atol=1e-6)
    assert ticks[-1][-1].tallies.started == others[-1][-1].tallies.started > 3
    np.testing.assert_allclose(ticks[-1][-1].where, others[-1][-1].where, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deadline": [5, 1]}, "task 1: its deadline is before its release"),
        ({"duration": [1, 0]}, "task 1: its duration must be at least 1"),
        ({"team": [0, 1]}, "task 0: its team must be at least 1"),
        ({"after": [1, 2]}, "task 1: it comes after a row that is not among 0 to 1"),
        ({"after": [1, 0]}, "go round in a circle"),
        ({"release": [-1, 0]}, "task 0: its ticks must be from 0 to"),
    ],
)
def test_wrong_rows_are_refused(given, said):
    with pytest.raises(Refusal, match=said):
        fleet.trace(**({"release": [2, 3], "deadline": [4, 5]} | given))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slack": (3, 30)}, "slack goes up to 30, period is 30"),
        ({"slack": (-1, 3)}, "0 <= first <= second"),
        ({"duration": (0, 3)}, "1 <= first <= second"),
        ({"team": (1, 2)}, "largest is 1"),
        ({"phase": [30]}, "phase must be from 0 to 29"),
    ],
)
def test_wrong_arrivals_are_refused(change, said):
    with pytest.raises(Refusal, match=said):
        many(**change)
