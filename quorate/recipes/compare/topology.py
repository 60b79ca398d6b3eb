"""Real networks from topohub: nodes with coordinates, links with their lengths in km, demands between nodes."""

from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal, nearest

COLLECTIONS = ("sndlib", "topozoo", "backbone")  # where a bare name is looked for, in this order
EXAMPLES = ("germany50", "nobel-eu", "cost266", "france", "Abilene", "Geant2012")
EARTH = 6371.0  # km


class Topology(NamedTuple):
    """Nodes [V] and undirected links [E].

    names    one per node
    at       [2, V] km east and north of the south-west corner of the map
    links    [E, 2] nodes of each link, the smaller number first
    lengths  [E] km
    demand   [V] traffic that starts or ends at a node, in the data's units; zeros where the data hold none
    """

    name: str
    names: tuple[str, ...]
    at: np.ndarray
    links: np.ndarray
    lengths: np.ndarray
    demand: np.ndarray


def flat(longitude, latitude) -> np.ndarray:
    """[2, V] km on a plane, from degrees: x = R cos(middle latitude) longitude, y = R latitude, moved so that both
    begin at 0. Distances across New York are right to 0.1 %, across Germany to 7 %, so there the map is for drawing and
    ways have the lengths of their links.

    >>> flat([0.0, 0.0], [50.0, 51.0]).round(1).tolist()
    [[0.0, 0.0], [0.0, 111.2]]
    """
    longitude, latitude = np.radians(longitude), np.radians(latitude)
    middle = (latitude.min() + latitude.max()) / 2
    at = EARTH * np.stack([longitude * np.cos(middle), latitude])
    return at - at.min(axis=1, keepdims=True)


@cache
def topology(name: str) -> Topology:
    """The network `name` of topohub, such as `germany50` or `sndlib/germany50`.

    Two nodes of one name are told apart by their number. Errors: Refusal where topohub is not installed or has no such
    network, and for a network with a node without coordinates or in pieces.
    """
    found = _found(name)
    nodes = sorted(found["nodes"], key=lambda node: node["id"])
    numbers = {node["id"]: index for index, node in enumerate(nodes)}
    lost = [str(node["name"]) for node in nodes if not node.get("pos") or None in node["pos"]]
    if lost:
        raise Refusal(f"the topology {name} has no coordinates for {', '.join(lost[:3])}")
    plain = [str(node["name"]) for node in nodes]
    names = tuple(word if plain.count(word) == 1 else f"{word} {index}" for index, word in enumerate(plain))
    lengths: dict[tuple[int, int], float] = {}
    for edge in found["edges"]:
        pair = sorted((numbers[edge["source"]], numbers[edge["target"]]))
        if pair[0] != pair[1]:
            link = (pair[0], pair[1])
            lengths[link] = min(float(edge["dist"]), lengths.get(link, np.inf))
    links = np.array(sorted(lengths), np.int32).reshape(-1, 2)
    if pieces(len(nodes), links) > 1:
        raise Refusal(f"the topology {name} is in {pieces(len(nodes), links)} pieces; agents could not reach all of it")
    demand = np.zeros(len(nodes))
    for source, targets in found["graph"].get("demands", {}).items():
        for target, amount in targets.items():
            demand[numbers[int(source)]] += amount
            demand[numbers[int(target)]] += amount
    at = flat(*np.array([node["pos"] for node in nodes], float).T)
    return Topology(name, names, at, links, np.array([lengths[tuple(link)] for link in links.tolist()]), demand)


def pieces(nodes: int, links: np.ndarray) -> int:
    """How many connected pieces a graph has."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    matrix = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(nodes, nodes))
    return int(connected_components(matrix, directed=False)[0])


def shares(weights: np.ndarray, seats: int) -> np.ndarray:
    """Whole numbers that sum to `seats`, in proportion to `weights`, by the largest remainder.

    >>> shares(np.array([1.0, 2.0, 1.0]), 9).tolist()
    [2, 5, 2]
    """
    exact = seats * weights / weights.sum()
    whole = np.floor(exact + 1e-9).astype(int)
    left = seats - whole.sum()
    whole[np.argsort(-(exact - whole), kind="stable")[:left]] += 1
    return whole


def _found(name: str) -> dict:
    try:
        import topohub
    except ImportError:
        raise Refusal(
            "real topologies need topohub, which is not installed", 'pip install "quorate[topologies]"'
        ) from None
    tries = [name] if "/" in name else [f"{collection}/{name}" for collection in COLLECTIONS]
    for full in tries:
        try:
            return topohub.get(full)
        except (KeyError, OSError):
            continue
    close = nearest(name.split("/")[-1], EXAMPLES)
    offer = f"did you mean {close}?" if close else "there are names such as " + ", ".join(EXAMPLES)
    raise Refusal(f"topohub has no topology {name}; {offer}")
