"""From a description to arrays: ranges, skills, places, rates, traces, and a fleet ten times as large."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.recipes.compare.description import read, read_text
from quorate.recipes.compare.growth import grown, tiles
from quorate.recipes.compare.instance import NEVER, ArrivalsSpec, drawn, mixture, resolve
from quorate.recipes.compare.kinds import Range
from quorate.recipes.compare.topology import shares, topology

FLEET = """
space = { kind = "plane", size = [30, 20] }
[[agents]]
count = 400
skills = { lift = 0.6, cool = 1.0 }
speed = [0.3, 0.6]
capacity = [1, 3]
variant = "one"
[[agents]]
count = 5
at = [3, 4]
sight = 2.5
energy = { drain = 0.01 }
variant = "two"
[[depots]]
at = [1, 2]
[tasks]
rate = 20.0
slack = [10, 29]
"""


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_agents():
    fleet = resolve(read_text(FLEET), seed=3)
    crew = fleet.crew
    assert fleet.skills == ("lift", "cool") and fleet.variants == ("one", "two") and fleet.ticks == 300
    assert crew.at.shape == (2, 405) and all(field.shape == (405,) for field in crew[1:])
    first = crew.group == 0
    assert (crew.speed[first] >= 0.3).all() and (crew.speed[first] <= 0.6).all() and np.ptp(crew.speed[first]) > 0.2
    assert set(crew.capacity[first].tolist()) == {1, 2, 3} and (crew.capacity[~first] == 1).all()
    assert (crew.skills[first] & 2 == 2).all() and (crew.skills[~first] == 0).all()
    assert abs((crew.skills[first] & 1).mean() - 0.6) < 4 * math.sqrt(0.24 / 400)
    assert (crew.at[:, ~first] == np.array([[3.0], [4.0]])).all() and (crew.sight[~first] == 2.5).all()
    assert (crew.at >= 0).all() and (crew.at[0] <= 30).all() and (crew.at[1] <= 20).all()
    assert np.isinf(crew.sight[first]).all() and (crew.drain == np.where(first, 0, np.float32(0.01))).all()
    assert (crew.since == 0).all() and fleet.depots.tolist() == [[1.0], [2.0]]


def test_the_same_seed_gives_the_same_fleet_and_streams_are_apart():
    one, again, other = (resolve(read_text(FLEET), seed=seed) for seed in (1, 1, 2))
    assert same(one.crew, again.crew) and not np.array_equal(one.crew.speed, other.crew.speed)
    slower = resolve(read_text(FLEET.replace("count = 400", "count = 7")), seed=1)
    assert np.array_equal(one.tasks.at, slower.tasks.at) and np.array_equal(one.tasks.phase, slower.tasks.phase)
    fixed = resolve(read_text(FLEET.replace("[0.3, 0.6]", "0.5")), seed=1)
    assert np.array_equal(one.crew.capacity, fixed.crew.capacity) and np.array_equal(one.crew.at, fixed.crew.at)


@given(
    st.floats(0.05, 60).map(lambda x: round(x, 2)),
    st.integers(0, 40),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0.1, 50)),
)
def test_places_carry_the_rate(rate, slack, hot):
    text = f"[[agents]]\n[tasks]\nrate = {rate}\nslack = [0, {slack}]\n"
    if hot is not None:
        text += f"hotspot = {{ share = {hot[0]:.6f}, radius = {hot[1]:.6f} }}\n"
    fleet = resolve(read_text(text), seed=0)
    tasks = fleet.tasks
    places = len(tasks.phase)
    assert tasks.period >= slack + 1 and places >= 100 or tasks.rate == pytest.approx(rate, rel=0.1)
    assert tasks.rate == pytest.approx(places * tasks.intensity / tasks.period)
    assert abs(tasks.rate - rate) <= 0.5 * tasks.intensity / tasks.period + 1e-9
    assert tasks.phase.min() >= 0 and tasks.phase.max() < tasks.period and 0.25 - 1e-9 <= tasks.intensity <= 1
    steady = np.bincount(tasks.phase, minlength=tasks.period)
    assert np.ptp(steady) <= 1  # as many in every tick
    assert tasks.grace == NEVER


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_needs_are_mixed_in_their_shares(parts):
    names = tuple(f"s{index}" for index in range(len(parts)))
    needs = tuple((name, part / 100) for name, part in zip(names, parts, strict=True))
    masks = mixture(needs, names)
    for index, part in enumerate(parts):
        assert (masks == 1 << index).mean() == pytest.approx(part / 100)
    assert (masks == 0).mean() == pytest.approx(1 - sum(parts) / 100)


def test_needs_that_are_not_named():
    assert mixture(None, ("lift", "cool")).tolist() == [1, 2] and mixture(None, ()).tolist() == [0]
    assert mixture((("lift", 0.5), ("cool", 0.5)), ("lift", "cool")).tolist() == [1, 2]


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100))
def test_whole_numbers_reach_both_ends(low, width, seed):
    found = drawn(Range(low, low + width), 300, np.random.default_rng(seed), whole=True)
    assert set(found.tolist()) == set(range(low, low + width + 1))


def test_demands_set_where_tasks_arrive():
    pytest.importorskip("topohub")
    text = '[[agents]]\ncount = 30\n[[depots]]\nnode = "Berlin"\n[tasks]\nsource = "demands:germany50"\nrate = 40.0\n'
    fleet = resolve(read_text('space = { kind = "graph" }\n' + text), seed=0)
    net = topology("germany50")
    counts = np.bincount(fleet.tasks.node, minlength=50)
    assert counts.sum() == 1200 and np.array_equal(counts, shares(net.demand, 1200))
    assert np.array_equal(fleet.tasks.at, net.at[:, fleet.tasks.node])
    assert np.array_equal(fleet.crew.at, net.at[:, fleet.crew.node]) and len(set(fleet.crew.node.tolist())) > 10
    assert fleet.room.names[fleet.depot_nodes[0]] == "Berlin"


def test_rows_of_a_csv(tmp_path):
    (tmp_path / "f.toml").write_text(
        '[[agents]]\nskills = ["lift"]\n[tasks]\nsource = "csv:o.csv"\nduration = [4, 6]\nvalue = 2\ngrace = 3\n'
    )
    (tmp_path / "o.csv").write_text(
        "id,release,deadline,x,y,value,needs,team,duration,after\na,0,9,1,2,0.5,lift,2,3,\nb,4,5,3,1,,cool lift,,,a\n"
    )
    fleet = resolve(read(tmp_path / "f.toml"), seed=0)
    tasks = fleet.tasks
    assert fleet.skills == ("lift", "cool") and fleet.ticks == 10
    assert tasks.id == ("a", "b") and tasks.release.tolist() == [0, 4] and tasks.deadline.tolist() == [9, 5]
    assert tasks.value.tolist() == [0.5, 2.0] and tasks.need.tolist() == [1, 3] and tasks.team.tolist() == [2, 1]
    assert tasks.duration[0] == 3 and 4 <= tasks.duration[1] <= 6 and tasks.after.tolist() == [-1, 0]
    assert (tasks.due - tasks.duration).tolist() == [3, 5] and tasks.at.tolist() == [[1.0, 3.0], [2.0, 1.0]]


@pytest.mark.parametrize(("copies", "grid"), [(10, (2, 5)), (4, (2, 2)), (3, (1, 3)), (1, (1, 1))])
def test_tiles(copies, grid):
    assert tiles(copies, 1, 1) == grid
    assert tiles(copies, 1, 100)[0] == copies


def test_ten_planes_side_by_side():
    small = resolve(read_text(FLEET + "hotspot = { share = 0.5, radius = 4, period = 60 }"), seed=0)
    large = grown(small, 10)
    assert large.room.size == (60.0, 100.0) and large.crew.at.shape == (2, 4050) and large.depots.shape == (2, 10)
    assert isinstance(large.tasks, ArrivalsSpec) and large.tasks.rate == 10 * small.tasks.rate
    assert large.tasks.hotspot == (0.5, 4 * math.sqrt(10), 60.0)
    assert np.array_equal(large.crew.at[:, :405], small.crew.at) and (large.crew.node == -1).all()
    cells = np.floor(large.crew.at / np.array([[30], [20]])).astype(int)
    assert (np.bincount(cells[0] + 2 * cells[1], minlength=10) == 405).all()
    assert same(grown(small, 1).crew, small.crew)


def test_ten_networks_are_one():
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    pytest.importorskip("topohub")
    text = 'space = { kind = "graph" }\n[[agents]]\ncount = 7\n[[depots]]\nnode = "Berlin"'
    small = resolve(read_text(text), seed=0)
    large = grown(small, 10)
    assert len(large.room.names) == len(set(large.room.names)) == 500 == large.room.at.shape[1]
    graph = csr_array((large.room.lengths, large.room.links.T), shape=(500, 500))
    assert connected_components(graph, directed=False)[0] == 1
    assert large.room.links.shape == (880 + 13, 2)  # 2 x 5 tiles have 13 borders
    assert large.depot_nodes.tolist() == [small.depot_nodes[0] + 50 * copy for copy in range(10)]
    assert np.allclose(large.crew.at, large.room.at[:, large.crew.node])


def test_ten_traces_keep_their_predecessors(tmp_path):
    (tmp_path / "f.toml").write_text('[[agents]]\n[tasks]\nsource = "csv:o.csv"\n')
    (tmp_path / "o.csv").write_text("id,release,deadline,x,y,after\na,0,9,1,2,\nb,4,5,3,1,a\n")
    large = grown(resolve(read(tmp_path / "f.toml"), seed=0), 3)
    assert large.tasks.after.tolist() == [-1, 0, -1, 2, -1, 4]
    assert large.tasks.id == ("a", "b", "a #2", "b #2", "a #3", "b #3")
    assert large.tasks.at[:, 0].tolist() == [1.0, 2.0] and large.tasks.release.tolist() == [0, 4] * 3


def test_few_tasks_come_all_through_the_period():
    rare = resolve(read_text("[[agents]]\n[tasks]\nrate = 0.5\n"), seed=0).tasks
    assert (len(rare.phase), rare.period, rare.rate) == (100, 200, 0.5)
    assert sorted(rare.phase) == list(range(1, 200, 2))
