"""Who hears whom: against networkx and plain counting, and what is refused."""

import itertools
import sys

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate import comms
from quorate.errors import Refusal

with_extras = jax.jit(comms.with_extras, static_argnums=1)


def heard(links):
    """The set of pairs (receiver, sender); every row ascends and names nobody twice."""
    index, real = np.asarray(links.index), np.asarray(links.real)
    rows = [row[there].tolist() for row, there in zip(index, real, strict=True)]
    assert all(row == sorted(set(row)) for row in rows)
    assert max(map(len, rows)) == index.shape[1]
    return {(i, j) for i, row in enumerate(rows) for j in row}


def of(graph, order=None, loops=True):
    """The same of a networkx graph, the obvious way."""
    order = list(graph.nodes) if order is None else order
    pairs = {(order.index(b), order.index(a)) for a, b in graph.edges}
    if not graph.is_directed():
        pairs |= {(j, i) for i, j in pairs}
    return pairs | ({(i, i) for i in range(len(order))} if loops else set())


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda **form: comms.ring(7, **form), networkx.cycle_graph(7)),
        (lambda **form: comms.ring(2, **form), networkx.path_graph(2)),
        (lambda **form: comms.ring(9, reach=3, **form), networkx.circulant_graph(9, [1, 2, 3])),
        (lambda **form: comms.ring(4, reach=2, **form), networkx.complete_graph(4)),
        (lambda **form: comms.tree(12, **form), networkx.full_rary_tree(2, 12)),
        (lambda **form: comms.tree(12, children=3, **form), networkx.full_rary_tree(3, 12)),
        (lambda **form: comms.k_regular(10, 3, seed=4, **form), networkx.random_regular_graph(3, 10, seed=4)),
        (lambda **form: comms.small_world(12, 4, 0.3, seed=4, **form), networkx.watts_strogatz_graph(12, 4, 0.3, 4)),
        (lambda **form: comms.scale_free(12, 2, seed=4, **form), networkx.barabasi_albert_graph(12, 2, seed=4)),
    ],
)
def test_the_graphs_of_networkx(ours, theirs, loops):
    links = ours(loops=loops)
    assert heard(links) == of(theirs, sorted(theirs.nodes), loops)
    assert links.index.dtype == jnp.int32 and links.real.dtype == bool
    edges = ours(loops=loops, sparse=True)
    assert set(zip(edges.receiver.tolist(), edges.sender.tolist(), strict=True)) == heard(links)
    assert edges.loops.tolist() == [loops] * len(theirs)


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize(("height", "width"), [(3, 4), (1, 5), (2, 2), (1, 1), (5, 2)])
def test_a_grid(height, width, wrap):
    theirs = networkx.grid_2d_graph(height, width, periodic=wrap)
    theirs.remove_edges_from(list(networkx.selfloop_edges(theirs)))
    order = list(itertools.product(range(height), range(width)))
    assert heard(comms.grid(height, width, wrap=wrap)) == of(theirs, order)
    if height * width > 1:
        assert heard(comms.grid(height, width, wrap=wrap, loops=False)) == of(theirs, order, False)


def test_degrees_and_seeds():
    regular = comms.k_regular(50, 4, seed=1)
    assert regular.real.sum(axis=1).tolist() == [5] * 50
    assert heard(comms.k_regular(50, 4, seed=1)) == heard(regular) != heard(comms.k_regular(50, 4, seed=2))
    hubs = np.diff(comms.scale_free(400, 2, sparse=True).starts)
    assert hubs.max() > 5 * hubs.mean() and hubs.min() >= 2
    assert heard(comms.small_world(20, 4, 0.0)) == heard(comms.ring(20, reach=2))


@pytest.mark.parametrize("alone", [comms.ring(1), comms.grid(1, 1, wrap=True), comms.tree(1), comms.complete(1)])
def test_alone_one_hears_oneself(alone):
    assert heard(alone) == {(0, 0)}


def test_graphs_of_ones_own():
    graph = networkx.Graph([("c", "a"), ("a", "b")])
    assert heard(comms.from_networkx(graph)) == of(graph)
    assert heard(comms.from_networkx(graph, ["b", "a", "c"])) == {
        (0, 0),
        (1, 1),
        (2, 2),
        (0, 1),
        (1, 0),
        (1, 2),
        (2, 1),
    }
    arrows = networkx.DiGraph([(0, 1), (2, 1)])
    assert heard(comms.from_networkx(arrows, [0, 1, 2], loops=False)) == {(1, 0), (1, 2)}
    assert heard(comms.from_edges(4, [(0, 2), (2, 0), (3, 3)], loops=False)) == {(0, 2), (2, 0), (3, 3)}
    assert heard(comms.from_edges(2, [])) == {(0, 0), (1, 1)}


@given(st.integers(1, 6), st.data())
def test_lists_and_edges_are_the_same_graph(n, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    loops, directed = data.draw(st.booleans()), data.draw(st.booleans())
    expected = {(b, a) for a, b in pairs} | ({(i, i) for i in range(n)} if loops else set())
    expected |= set() if directed else set(pairs)
    edges = comms.from_edges(n, pairs, directed=directed, loops=loops, sparse=True)
    assert set(zip(edges.receiver.tolist(), edges.sender.tolist(), strict=True)) == expected
    assert len(edges.sender) == len(expected) == int(edges.starts[-1])
    assert np.repeat(np.arange(n), np.diff(edges.starts)).tolist() == edges.receiver.tolist()
    assert edges.loops.tolist() == [(i, i) in expected for i in range(n)]
    again = comms.to_edges(comms.to_neighbours(edges))
    assert all((one == other).all() for one, other in zip(edges, again, strict=True))


def test_talkers_from_outside_are_heard_by_everybody():
    links = with_extras(comms.ring(5), 2)
    assert heard(links) == heard(comms.ring(5)) | {(i, e) for i in range(5) for e in (5, 6)}
    everybody = comms.complete(3, 2)
    for one, other in zip(with_extras(everybody, 2), everybody, strict=True):
        np.testing.assert_array_equal(one, other)
    named = comms.Neighbours(jnp.array([[0, 3], [1, 0], [2, 1]]), jnp.array([[1, 1], [1, 0], [1, 1]], bool))
    slots = with_extras(named, 2)
    assert np.sum((np.asarray(slots.index) == 3) & np.asarray(slots.real), axis=1).tolist() == [1, 1, 1]
    assert comms.to_edges(everybody).sender.tolist() == [0, 1, 2] * 3  # an edge list does not name them


# With padding or new slots, at the border between the two and away from it; the others: make proof.
USUAL = {(2, 1), (3, 1), (4, 1), (8, 1), (4, 2), (5, 2), (5, 3), (8, 3)}
SIZES = [
    pytest.param(width, extras, marks=() if (width, extras) in USUAL else pytest.mark.slow)
    for width in (2, 3, 4, 5, 8)
    for extras in (1, 2, 3)
]


@pytest.mark.parametrize(("width", "extras"), SIZES)
def test_wide_lists_give_talkers_from_outside_their_padding(width, extras):
    """Random rows of three agents that name some talkers, some padding, and some who are not there."""
    draw = np.random.default_rng(width)
    for _ in range(20):
        index = np.array([draw.permutation(8)[:width] for _ in range(3)], np.int32)
        real = draw.random(index.shape) < 0.5
        links = with_extras(comms.Neighbours(jnp.asarray(index), jnp.asarray(real)), extras)
        receiver, slot = np.nonzero(links.real)
        found = sorted(zip(receiver.tolist(), np.asarray(links.index)[receiver, slot].tolist(), strict=True))
        given = {(i, int(index[i, s])) for i, s in zip(*np.nonzero(real), strict=True) if index[i, s] < 3}
        assert found == sorted(given | {(i, 3 + e) for i in range(3) for e in range(extras)})  # nobody twice
        assert links.index.shape[1] == (width if width >= 3 + extras else width + extras)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: comms.complete(0), "num_agents is 0; it is a count and must be at least 1"),
        (lambda: comms.complete(-1), "num_agents is -1; it is a count and must be at least 1"),
        (lambda: comms.complete(2, -1), "extras is -1; it counts talkers from outside and must be at least 0"),
        (lambda: comms.scale_free(1, 1), "num_agents is 1; a scale-free graph needs at least 2"),
        (lambda: comms.ring(0), "num_agents is 0; it is a count and must be at least 1"),
        (lambda: comms.ring(-3), "num_agents is -3; it is a count and must be at least 1"),
        (lambda: comms.ring(2.5), "num_agents is 2.5; it is a count and must be at least 1"),
        (
            lambda: comms.ring(5, reach=3),
            "reach is 3; it must be a whole number from 0 to 2, the number of agents in half the ring",
        ),
        (lambda: comms.grid(0, 3), "height is 0; it is a count and must be at least 1"),
        (lambda: comms.tree(3, children=0), "children is 0; it is a count and must be at least 1"),
        (
            lambda: comms.k_regular(4, 4),
            "degree is 4; it must be a whole number from 0 to 3, the number of the others",
        ),
        (lambda: comms.k_regular(5, 3), "degree is 3 and num_agents 5; one of the two must be even"),
        (
            lambda: comms.small_world(10, 3, 0.1),
            "degree is 3; a small world has as many neighbours on each side: it must be even",
        ),
        (lambda: comms.small_world(10, 2, 1.1), "rewired is 1.1; it is a probability, from 0 to 1"),
        (
            lambda: comms.scale_free(5, 5),
            "links is 5; it must be a whole number from 1 to 4, the number of the others",
        ),
        (
            lambda: comms.from_edges(3, [(0, 1), (1, 3)]),
            "edge (1, 3) names an agent that is not there; agents count from 0 to 2",
        ),
        (
            lambda: comms.from_edges(3, [(0, -1)]),
            "edge (0, -1) names an agent that is not there; agents count from 0 to 2",
        ),
        (lambda: comms.from_edges(3, [("a", "b")]), "edges are pairs of agents' numbers, as in [(0, 1), (1, 2)]"),
        (lambda: comms.from_edges(3, [(0, 1), 2]), "edges are pairs of agents' numbers, as in [(0, 1), (1, 2)]"),
        (lambda: comms.from_edges(0, []), "num_agents is 0; it is a count and must be at least 1"),
        (lambda: comms.from_networkx(networkx.Graph()), "nodes is 0; it is a count and must be at least 1"),
        (lambda: comms.from_networkx([(0, 1)]), "graph is a list; it must be a graph of networkx"),
        (
            lambda: comms.from_networkx(networkx.Graph([("paris", "rome")]), ["pariss", "rome"]),
            "order names 'pariss', which is no node of the graph; did you mean paris?",
        ),
        (
            lambda: comms.from_networkx(networkx.path_graph(3), [0, 1, 7]),
            "order names 7, which is no node of the graph",
        ),
        (
            lambda: comms.from_networkx(networkx.path_graph(3), [0, 1, 1]),
            "order names 1 twice; every node of the graph stands in it once",
        ),
        (
            lambda: comms.from_networkx(networkx.path_graph(3), [0, 1]),
            "order leaves out 2; every node of the graph stands in it once",
        ),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(Refusal) as refused:
        make()
    assert str(refused.value) == said


def test_without_networkx_the_line_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    for make in (lambda: comms.k_regular(4, 2), lambda: comms.scale_free(4, 2), lambda: comms.from_networkx(None)):
        with pytest.raises(Refusal) as refused:
            make()
        assert str(refused.value).splitlines()[1] == 'pip install "quorate[graphs]"'
    assert comms.tree(3).index.shape == (3, 3) and comms.ring(3).index.shape == (3, 3)  # these need none
