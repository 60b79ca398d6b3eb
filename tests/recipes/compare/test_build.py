"""From a fleet in numbers to its world, its troubles and its sites."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.experiments.study import Study
from quorate.faults import Partition
from quorate.protocols.hierarchy import Hierarchy
from quorate.recipes.compare import build, conditions, horizon
from quorate.recipes.compare.attacks import struck
from quorate.recipes.compare.build import Trouble
from quorate.recipes.compare.description import read, read_text
from quorate.recipes.compare.film import film
from quorate.recipes.compare.play import ground, runs_of, scene
from quorate.recipes.compare.rows import CONDITIONS
from quorate.step import run, start

EXAMPLES = Path(__file__).parents[3] / "examples"
TEXT = """ticks = 30
space = { kind = "plane", size = [4, 3] }
[[agents]]
count = 10
speed = [0.3, 0.6]
sight = 2.0
[tasks]
rate = 3.0
slack = [4, 9]
[links]
loss = 0.2
rounds = 2
centre_messages = 40
[faults]
churn = { leave = 0.01, join = 0.1 }
partition = { lasts = 8 }
[central]
retry = 2
standby = false
"""


@pytest.fixture(scope="module")
def stage():
    return ground(read_text(TEXT), 0)


def test_the_site_knows_what_the_file_says(stage):
    site, world = stage.site, stage.world
    assert (site.agents, site.places, site.options) == (10, world.num_actions, world.options)
    assert (site.rounds, site.budget, site.tries, site.standby) == (2, 40, 2, False)
    cut = site.regions
    assert sorted(np.bincount(cut.of)) == sorted(np.bincount(np.asarray(world.space.region_of_place())))
    for region in range(world.regions):
        members = np.flatnonzero(cut.of == region)
        assert cut.of[cut.anchor[region]] == region
        assert sorted(cut.local[members]) == list(range(len(members)))
    assert cut.most == np.bincount(cut.of).max()


def test_regions_know_their_nearest_neighbours():
    stage = ground(read_text(TEXT.replace("count = 10", "count = 400").replace("[4, 3]", "[20, 20]")), 0)
    cut, position = stage.site.regions, np.asarray(stage.world.space.place_position())
    assert stage.world.regions == 16
    for region in range(16):
        way = np.hypot(*(position[:, cut.anchor] - position[:, [cut.anchor[region]]]))
        others = [other for other in np.argsort(way, kind="stable") if other != region]
        assert cut.near[region].tolist() == others[: cut.near.shape[1]]
        pace = float(np.median(np.asarray(stage.world.speed)))
        np.testing.assert_allclose(cut.spread[region], way[cut.near[region]] / pace, rtol=1e-4)


def test_a_clairvoyant_knows_exactly_the_tasks_that_are_offered(stage):
    one = scene(stage, "alone", read_text(TEXT))(Trouble())
    progress, kept = run(start(jax.random.key(3), one), one, 30, tasks_of)
    seed = np.asarray(kept["seed"])[-1, 0]
    tasks = horizon.episode(stage.world, seed, 30)
    assert len(tasks["release"]) == int(kept["offered"][-1, 0])
    np.testing.assert_allclose(tasks["value"].sum(), float(kept["value"][-1, 0]), rtol=1e-5)


def tasks_of(step):
    tallies = step.after.tallies
    return {"seed": step.after.seed, "offered": tallies.offered, "value": tallies.value_offered}


def test_conditions_change_what_they_name_and_nothing_else():
    description = read_text(TEXT + "[attack]\nshare = 0.2\n")
    found = conditions.troubles(description, 30)
    assert tuple(found) == CONDITIONS
    assert found["calm"] == Trouble() == found["growth"]
    assert found["described"] == Trouble(loss=0.2, leave=0.01, join=0.1, cut_at=15, cut=8, saboteurs=0.2)
    assert found["loss_0.3"] == Trouble(loss=0.3)
    assert found["crash"] == Trouble(crash=0.3, crash_at=15)
    assert found["partition"] == Trouble(cut_at=15, cut=7)
    assert found["attack"].saboteurs == 0.1
    assert found["crash"].capacity(30, 10).tolist() == [1.0] * 15 + [0.7] * 15
    assert found["crash"].capacity(30, 4)[-1] == 0.75, "one of four fails"
    assert (found["crash"].at, found["partition"].at, found["calm"].at) == (15, 15, None)


def test_a_variant_fails_as_a_whole():
    """Four of ten, whoever leads, from tick 12 on; those who lead attack as they would without it."""
    text = TEXT.replace("count = 10", 'count = 6\nvariant = "old"')
    text += '[[agents]]\ncount = 4\nvariant = "new"\n[attack]\nshare = 0.2\n'
    text = text.replace("partition = { lasts = 8 }", 'crash = { variant = "new", at = 12 }')
    description = read_text(text)
    found = conditions.troubles(description, 30)
    assert found["described"] == Trouble(
        loss=0.2, crash=0.4, crash_at=12, leave=0.01, join=0.1, saboteurs=0.2, variant="new"
    )
    assert conditions.in_words("", Trouble(crash=0.4, crash_at=12, variant="new")) == (
        "40 % of agents down from tick 12, all of variant new"
    )
    assert found["crash"] == Trouble(crash=0.3, crash_at=15)
    stage = ground(description, 0)
    under = scene(stage, "central", description)
    whole = Trouble(crash=0.4, crash_at=12, variant="new")
    for key in range(3):
        down = under(whole).fault.faults[1]
        state = down.update(None, down.reset(jax.random.key(key), 10), jnp.int32(12))
        np.testing.assert_array_equal(down.down(state), stage.instance.crew.variant == 1)
    band, plain = (under(trouble).fault.faults[0].order for trouble in (whole, Trouble(crash=0.3)))
    np.testing.assert_array_equal(band, plain)
    both = struck(whole._replace(saboteurs=0.1), "leaders_crash", 30)
    assert both == Trouble(crash=0.5, crash_at=12, leaders=True, variant="new")
    down = under(both).fault.faults[1]
    gone = np.asarray(down.down(down.update(None, down.reset(jax.random.key(0), 10), jnp.int32(12))))
    assert gone.sum() == 5 and gone[stage.instance.crew.variant == 1].all()
    assert gone[0], "the centre's host falls too"


def test_halves_are_cut_by_where_agents_begin(stage):
    count = stage.world.num_actions
    agents, places = build.sides(stage.world, np.full(count + 2, -1), np.append(np.arange(count), [-1, -1]))
    position, home = np.asarray(stage.world.space.place_position())[0], np.asarray(stage.world.home)[0]
    assert agents.sum() == 5 and home[agents].min() > home[~agents].max()
    np.testing.assert_array_equal(places[:-2], position > np.median(home))
    assert not places[-2:].any()
    hosts = np.array([-1, int(np.argmax(agents))])
    assert build.sides(stage.world, hosts, np.arange(2))[1][1]
    wild = np.arange(2) + count  # where a host stands, it does not matter where the place lies
    assert not build.sides(stage.world, np.array([int(np.argmin(agents))] * 2), wild)[1].any()


def test_cells_are_cut_where_their_middles_lie():
    """That is not where the tasks of the same numbers lie; desks, and what agents keep, are where they were."""
    text = TEXT.replace("count = 10", "count = 150").replace("rate = 3.0", "rate = 30.0").replace("[4, 3]", "[12, 9]")
    made = ground(read_text(text), 0)
    world, known = made.world, made.site
    agents = build.sides(world, *np.zeros((2, 0), np.int32))[0]
    task = np.asarray(world.space.place_position())[0] > np.median(np.asarray(world.home)[0])
    cell = task[known.regions.anchor]
    assert 1 < cell.sum() < len(cell) - 1 and np.any(cell != task[: len(cell)])

    def cut(name, delay=0, **changes):
        protocol = build.mechanism(name, world, known, delay)
        protocol = eqx.tree_at(lambda one: [getattr(one, key) for key in changes], protocol, [*changes.values()])
        (found,) = [
            one
            for one in build.fault(Trouble(cut_at=3, cut=9), world, protocol, made.instance, None).faults
            if isinstance(one, Partition)
        ]
        np.testing.assert_array_equal(found.agents, agents)
        return np.asarray(found.places)

    for delay in (0, 1):
        np.testing.assert_array_equal(cut("hierarchy", delay), cell)
    for name in ("auction", "claim", "auction+silence", "stigmergy", "team_claim"):
        np.testing.assert_array_equal(cut(name), task)
    np.testing.assert_array_equal(cut("auction+clustered"), [*task, *cell])
    np.testing.assert_array_equal(cut("hybrid"), [*task, *[agents[0]] * len(cell)])
    np.testing.assert_array_equal(cut("hybrid", centre=jnp.int32(-1)), [*task, *cell])
    np.testing.assert_array_equal(cut("central"), agents[:1])
    assert cut("quorum").tolist() == [False]


def test_as_many_cells_as_tasks_are_cells(stage):
    """Nothing is told from how many places a board has."""
    count = stage.world.num_actions
    anchor = np.arange(count)[::-1]
    protocol = Hierarchy(
        places=count, capacity=2, most=1, region_of=anchor, local=np.zeros(count, np.int32), anchor=anchor
    )
    found = build.fault(Trouble(cut_at=3, cut=9), stage.world, protocol, stage.instance, None).faults[-2].places
    east = np.asarray(stage.world.space.place_position())[0] > np.median(np.asarray(stage.world.home)[0])
    np.testing.assert_array_equal(found, east[::-1])
    assert np.any(east != east[::-1])


def test_halves_are_halves_where_all_begin_at_one_point_and_one_agent_is_not_cut():
    text = TEXT.replace("sight = 2.0", "sight = 2.0\nat = [1, 1]")
    world = ground(read_text(text), 0).world
    assert build.sides(world, *np.zeros((2, 0), np.int32))[0].tolist() == [False] * 5 + [True] * 5
    single = ground(read_text(text.replace("count = 10", "count = 1")), 0).world
    agents, places = build.sides(single, np.full(single.num_actions, -1), np.arange(single.num_actions))
    assert not agents.any() and not places.any()


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.toml")))
def test_every_mechanism_of_an_example_can_be_made(name):
    description = read(EXAMPLES / f"{name}.toml")
    made = ground(description, 0)
    build.servable(description.compare.mechanisms, made.world, made.site, description)


@pytest.mark.parametrize(
    ("names", "links", "told"),
    [
        (["claim", "cbba"], "delay = 1", "cbba cannot serve this fleet: .*links.delay is not simulated"),
        (["cbba"], "bytes_per_tick = 64", "cbba cannot serve this fleet: .*links.bytes_per_tick is not simulated"),
        (["hybrid"], "rounds = 1", "hybrid cannot serve this fleet: rounds is 1"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(names, links, told):
    description = read_text(TEXT.replace("rounds = 2", links))
    made = ground(description, 0)
    with pytest.raises(Refusal, match=told) as refused:
        build.servable(names, made.world, made.site, description)
    assert "leave it out with --mechanisms" in str(refused.value)
    build.servable(["alone", "claim", "alone_far"], made.world, made.site, description)


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ("crash = { share = 0.3, at = 30 }", "faults.crash.at is 30, after the end, tick 29"),
        ("crash = { share = 0.3, back = 15 }", "faults.crash.back is 15, not after the crash at 15"),
        ("partition = { at = 40 }", "faults.partition.at is 40, after the end, tick 29"),
    ],
)
def test_faults_that_come_too_late_are_refused(faults, told):
    with pytest.raises(Refusal, match=told):
        conditions.troubles(read_text(TEXT.replace("partition = { lasts = 8 }", faults)), 30)


def test_a_draw_without_any_task_is_refused():
    description = read_text(TEXT.replace("rate = 3.0", "rate = 0.001"))
    under = scene(ground(description, 0), "alone", description)
    with pytest.raises(Refusal, match="brings no task of any value in 30 ticks\nraise tasks.rate"):
        runs_of(Study(0), "alone", "calm", under(Trouble()), 30, 2, Trouble())


def test_neighbours_are_the_nearest_and_oneself(stage):
    links = build.neighbours(stage.world, np.inf, degree=3)
    home = np.asarray(stage.world.home)
    way = np.hypot(*(home[:, :, None] - home[:, None, :]))
    for i in range(10):
        heard = np.asarray(links.index)[i][np.asarray(links.real)[i]]
        assert sorted(heard) == sorted(np.argsort(way[i], kind="stable")[:4])
    assert np.asarray(build.neighbours(stage.world, 1e-6).real).sum(1).tolist() == [1] * 10


def test_what_is_off_changes_nothing_and_compiles_nothing_anew(stage):
    description = read_text(TEXT)
    under = scene(stage, "claim", description)
    one = under(Trouble())
    shapes = [
        jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.asarray(leaf).dtype), tree)
        for tree in (one, under(Trouble(loss=0.3, crash=0.2, crash_at=5, saboteurs=0.1, kind="hog", cut_at=4, cut=9)))
    ]
    assert jax.tree.structure(one) == jax.tree.structure(under(Trouble(loss=0.5)))
    assert shapes[0] == shapes[1]


def test_a_film_has_a_frame_a_tick(stage):
    wrong = Trouble(crash=0.3, crash_at=10)
    shown = film(stage, "alone", read_text(TEXT), wrong, "a note", seed=0)
    frames = len(shown.status)
    assert np.shape(shown.positions) == (frames, 2, 10) and np.shape(shown.tasks) == (frames, stage.world.num_actions)
    down = (np.asarray(shown.status) == 3).sum(1)
    first = shown.marks[0][0] - shown.start
    assert set(down[:first]) == {0} and set(down[first + 1 :]) == {3}


@pytest.mark.parametrize("name", ["claim", "auction+silence", "claim+clustered", "cbba", "alone"])
def test_late_mail_and_strategies_wrap_what_meets_at_desks(name):
    description = read_text(TEXT.replace("loss = 0.2", "loss = 0.2\ndelay = 2"))
    stage = ground(description, 0)
    one = scene(stage, name, description)(Trouble())
    wrapped = [type(one.commit).__name__]
    while hasattr(one.commit, "protocol"):
        one = eqx.tree_at(lambda s: s.commit, one, one.commit.protocol)
        wrapped.append(type(one.commit).__name__)
    expected = {"claim": ["Delayed", "Claim"], "auction+silence": ["Delayed", "PolicySilence", "Auction"]}
    expected["claim+clustered"] = ["Delayed", "Clustered", "Claim"]
    assert wrapped == expected.get(name, wrapped[-1:])
    whole = scene(stage, name, description)(Trouble())
    shapes = jax.eval_shape(lambda key: run(start(key, whole), whole, 2, tasks_of)[1], jax.random.key(0))
    assert shapes["offered"].shape == (2, 1)
