"""Real networks: coordinates in km, lengths, demands, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare.topology import flat, pieces, shares, topology

topohub = pytest.importorskip("topohub")


def test_germany50():
    net = topology("germany50")
    assert net is topology("germany50") and len(net.names) == 50 and net.links.shape == (88, 2)
    assert (net.links[:, 0] < net.links[:, 1]).all() and len({tuple(link) for link in net.links.tolist()}) == 88
    raw = topohub.get("sndlib/germany50")
    assert net.demand.sum() == 2 * sum(sum(row.values()) for row in raw["graph"]["demands"].values())
    berlin = net.names.index("Berlin")
    demands = {int(one): {int(two): x for two, x in row.items()} for one, row in raw["graph"]["demands"].items()}
    sent, received = sum(demands[berlin].values()), sum(row.get(berlin, 0) for row in demands.values())
    assert net.demand[berlin] == sent + received


def test_coordinates_agree_with_the_lengths_of_the_links():
    """Links are straight on the ground; the map shrinks the south of Germany and stretches the north."""
    net = topology("sndlib/germany50")
    straight = np.hypot(*(net.at[:, net.links[:, 0]] - net.at[:, net.links[:, 1]]))
    assert np.abs(straight / net.lengths - 1).max() < 0.08 and abs(np.mean(straight / net.lengths) - 1) < 0.01
    assert (net.at.min(axis=1) == 0).all()


def test_flat_against_the_great_circle():
    longitude, latitude = np.array([-74.17, -73.78, -73.87]), np.array([40.69, 40.64, 40.78])
    at = flat(longitude, latitude)
    for one in range(3):
        for two in range(one):
            a, b = np.radians([longitude[[one, two]], latitude[[one, two]]]).T
            angle = np.arccos(np.sin(a[1]) * np.sin(b[1]) + np.cos(a[1]) * np.cos(b[1]) * np.cos(a[0] - b[0]))
            assert np.hypot(*(at[:, one] - at[:, two])) == pytest.approx(6371 * angle, rel=1e-3)


def test_a_name_without_its_collection_and_one_without_demands():
    assert topology("Abilene").names == topology("topozoo/Abilene").names
    assert not topology("Abilene").demand.any()


@pytest.mark.parametrize(
    ("name", "said"), [("germany51", "did you mean germany50?"), ("moon", "there are names such as germany50")]
)
def test_what_is_not_there(name, said):
    with pytest.raises(Refusal, match=rf"topohub has no topology {name}; {said.rstrip('?')}"):
        topology(name)


def test_without_topohub(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "topohub", None)
    with pytest.raises(Refusal, match=r'not installed\npip install "quorate\[topologies\]"'):
        topology("sndlib/janos-us")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.integers(0, 200))
def test_shares_are_whole_and_within_one(weights, seats):
    given_ = np.array(weights, float)
    found = shares(given_, seats)
    assert found.sum() == seats and (np.abs(found - seats * given_ / given_.sum()) < 1).all()


@given(st.integers(1, 7), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8))
def test_pieces(nodes, links):
    links = [(a % nodes, b % nodes) for a, b in links]
    label = list(range(nodes))
    for _ in range(nodes):
        for a, b in links:
            label[a] = label[b] = min(label[a], label[b])
    assert pieces(nodes, np.array(links, np.int32).reshape(-1, 2)) == len(set(label))
