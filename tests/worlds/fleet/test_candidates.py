import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.worlds import fleet
from tests.worlds.fleet.instances import COORDINATES, EDGES, LENGTHS, on_graph, on_plane, rows


def test_a_row_holds_the_places_nearest_to_the_middle_of_its_cell():
    draw = np.random.default_rng(0)
    place = draw.uniform(0, 1, (2, 60)) * np.array([[8], [4]])
    space = fleet.plane((8, 4), place, num_agents=40, options=6)
    source = fleet.Arrivals(phase=np.zeros(60), period=30)
    table = np.asarray(fleet.candidates(space, source, 6).index)
    columns, lines = space.grid
    assert table.shape == (1, columns * lines, 6) and columns > lines > 1
    for cell in range(columns * lines):
        middle = (np.array([cell % columns, cell // columns]) + 0.5) * [8 / columns, 4 / lines]
        assert int(space.cell(jnp.asarray(middle, jnp.float32)[:, None])[0]) == cell
        nearest = np.argsort(np.linalg.norm(place.T - middle, axis=1))[:6]
        assert table[0, cell].tolist() == nearest.tolist()


def test_of_tasks_at_one_spot_those_released_first_are_known():
    place = np.repeat([[1.0, 7.0], [1.0, 3.0]], 40, axis=1)
    release = np.random.default_rng(1).permutation(80)
    space = fleet.plane((8, 4), place, num_agents=10, options=50)
    table = np.asarray(fleet.candidates(space, fleet.trace(release, release + 9), 50).index)[0]
    west = int(space.cell(jnp.array([[1.0], [1.0]]))[0])
    own, other = np.argsort(release[:40]), 40 + np.argsort(release[40:])
    assert table[west].tolist() == [*own, *other[:10]]


@pytest.mark.parametrize("make", [on_plane, on_graph])
def test_stretches_of_time_know_the_tasks_whose_windows_touch_them(make):
    source = rows(5)
    world = make(5, source=source, buckets=4, options=7)
    width, release, deadline = int(world.candidates.width), np.asarray(source.release), np.asarray(source.deadline)
    cells = jnp.arange(world.space.cells)
    for t in range(int(deadline.max()) + 1):
        live = np.flatnonzero((release <= t) & (t <= deadline))
        for row in np.asarray(world.candidates.rows(cells, jnp.int32(t))):
            assert set(live) <= set(row) and len(set(row) - {-1}) == np.sum(row >= 0)
    assert 4 * width > deadline.max()
    assert (np.asarray(world.candidates.rows(cells, jnp.int32(10**6))) == np.asarray(world.candidates.index[-1])).all()


def test_what_no_way_leads_to_is_no_candidate():
    space = fleet.graph([[0, 1]], [1.0], [0, 1, 2], np.zeros((2, 3)))
    table = fleet.candidates(space, fleet.trace([0, 0, 0], [9, 9, 9]), 3).index
    assert table[0].tolist() == [[0, 1, -1], [1, 0, -1], [2, -1, -1]]


def test_a_table_too_small_says_how_much_it_misses():
    state = jax.random.key(0)
    shares = []
    for options in (4, 40, 700):
        world = fleet.rolling(num_agents=100, options=options, sight=2.0)
        later = world.reset(state)._replace(t=jnp.int32(60))
        shares.append(fleet.missed(world, later))
    assert 0.5 < shares[0] < 1 and shares[0] > shares[1] > shares[2] == 0
    blind = dataclasses.replace(world, sight=jnp.zeros(100))
    assert fleet.missed(blind, later) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edges": [[0, 5]], "lengths": [1.0]}, "edges names node 5 of 5"),
        ({"lengths": [1.0, 1.0, 1.0, 0.0, 1.0]}, "above 0 and finite"),
        ({"place": [-1]}, "place names node -1"),
    ],
)
def test_a_wrong_graph_is_refused(change, said):
    given = {"edges": EDGES, "lengths": LENGTHS, "place": [0], "at": COORDINATES} | change
    with pytest.raises(Refusal, match=said):
        fleet.graph(**given)


def test_ways_on_a_graph_are_the_shortest_and_regions_are_connected_pieces():
    space = fleet.graph(EDGES, LENGTHS, [0], COORDINATES, regions=2)
    length, hop = np.asarray(space.length), np.asarray(space.hop)
    assert length[4].tolist() == pytest.approx([1.4, 0.4, 1.9, 2.6, 0])
    for a in range(5):
        for b in range(5):
            at, walked = a, 0.0
            while at != b:
                ahead = hop[at, b]
                walked += length[at, ahead]
                assert [at, ahead] in EDGES or [ahead, at] in EDGES
                at = ahead
            assert walked == pytest.approx(length[a, b])
    assert space.regions == 2 and set(np.asarray(space.region_of)) == {0, 1}
