"""Who hears whom. Every graph is made on the host, as padded lists [N, K] or, with `sparse=True`, as `Edges`.

Rows ascend. With `loops` (the default) each node has a slot of its own in its row and hears itself, as in a sum over
everybody; with `loops=False` it does not. Graphs are undirected but for `from_edges(..., directed=True)` and directed
graphs given by hand. Random graphs come from networkx, an extra.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from quorate.comms.edges import Edges, rows, to_neighbours
from quorate.core import Neighbours
from quorate.errors import Refusal, nearest


def complete(num_agents: int, extras: int = 0) -> Neighbours:
    """Everybody hears everybody, itself included, and then the talkers from outside. [N, N + extras]: the twin of the
    tally."""
    _counts(num_agents=num_agents)
    if not isinstance(extras, int | np.integer) or extras < 0:
        raise Refusal(f"extras is {extras}; it counts talkers from outside and must be at least 0")
    index = jnp.broadcast_to(jnp.arange(num_agents + extras), (num_agents, num_agents + extras))
    return Neighbours(index, jnp.ones_like(index, bool))


def ring(num_agents: int, *, reach: int = 1, loops: bool = True, sparse: bool = False) -> Neighbours | Edges:
    """A circle: each hears its `reach` nearest on both sides, at most half the circle.

    >>> ring(5).index.tolist()[0]
    [0, 1, 4]
    """
    _counts(num_agents=num_agents)
    _limit("reach", reach, 0, max(1, num_agents // 2), "agents in half the ring")
    me, steps = np.arange(num_agents), np.arange(1, reach + 1)
    return _others(num_agents, np.repeat(me, reach), ((me[:, None] + steps) % num_agents).ravel(), loops, sparse)


def grid(
    height: int, width: int, *, wrap: bool = False, loops: bool = True, sparse: bool = False
) -> Neighbours | Edges:
    """Squares in rows and columns: agent row * width + column hears the four beside it; with `wrap` the borders meet.

    >>> grid(2, 3).index.tolist()[1]
    [0, 1, 2, 4]
    """
    _counts(height=height, width=width)
    number = np.arange(height * width).reshape(height, width)
    if wrap:
        pairs = [(number, np.roll(number, -1, axis)) for axis in (0, 1)]
    else:
        pairs = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:])]
    one, other = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    return _others(height * width, one, other, loops, sparse)


def tree(num_agents: int, *, children: int = 2, loops: bool = True, sparse: bool = False) -> Neighbours | Edges:
    """Agent 0 is the root; agent i > 0 and its parent (i - 1) // children hear each other.

    >>> tree(4).index.tolist()[0]
    [0, 1, 2]
    """
    _counts(num_agents=num_agents, children=children)
    below = np.arange(1, num_agents)
    return _links(num_agents, below, (below - 1) // children, loops, sparse)


def k_regular(
    num_agents: int, degree: int, *, seed: int = 0, loops: bool = True, sparse: bool = False
) -> Neighbours | Edges:
    """A random graph in which everybody has `degree` others, nearly uniform among all of them.

    Reference: Steger and Wormald, "Generating random regular graphs quickly", Combinatorics, Probability and Computing
    8, 1999, by `networkx.random_regular_graph`.
    """
    _counts(num_agents=num_agents)
    _limit("degree", degree, 0, num_agents - 1, "the others")
    if num_agents * degree % 2:
        raise Refusal(f"degree is {degree} and num_agents {num_agents}; one of the two must be even")
    graph = _networkx().random_regular_graph(degree, num_agents, seed=seed)
    return _undirected(graph, num_agents, loops, sparse)


def small_world(
    num_agents: int,
    degree: int,
    rewired: float,
    *,
    seed: int = 0,
    loops: bool = True,
    sparse: bool = False,
) -> Neighbours | Edges:
    """A ring in which each hears its `degree` nearest (an even number), every link moved to a random place with
    probability `rewired`.

    Reference: Watts and Strogatz, "Collective dynamics of small-world networks", Nature 393, 1998, by
    `networkx.watts_strogatz_graph`.
    """
    _counts(num_agents=num_agents)
    _limit("degree", degree, 0, num_agents - 1, "the others")
    if degree % 2:
        raise Refusal(f"degree is {degree}; a small world has as many neighbours on each side: it must be even")
    if not 0 <= rewired <= 1:
        raise Refusal(f"rewired is {rewired}; it is a probability, from 0 to 1")
    graph = _networkx().watts_strogatz_graph(num_agents, degree, rewired, seed=seed)
    return _undirected(graph, num_agents, loops, sparse)


def scale_free(
    num_agents: int, links: int, *, seed: int = 0, loops: bool = True, sparse: bool = False
) -> Neighbours | Edges:
    """Agents come one after the other, and each links itself to `links` others, the well-linked ones by preference: a
    few hubs, whose degree is of the order of sqrt(N). Take `sparse=True` when there are many agents.

    Reference: Barabasi and Albert, "Emergence of scaling in random networks", Science 286, 1999, by
    `networkx.barabasi_albert_graph`.
    """
    _counts(num_agents=num_agents)
    if num_agents < 2:
        raise Refusal(f"num_agents is {num_agents}; a scale-free graph needs at least 2")
    _limit("links", links, 1, num_agents - 1, "the others")
    return _undirected(_networkx().barabasi_albert_graph(num_agents, links, seed=seed), num_agents, loops, sparse)


def from_edges(
    num_agents: int,
    edges: Iterable[tuple[int, int]],
    *,
    directed: bool = False,
    loops: bool = True,
    sparse: bool = False,
) -> Neighbours | Edges:
    """A graph by hand. An edge (a, b) lets both hear each other; with `directed`, b hears a. An edge named twice counts
    once; (a, a) lets a hear itself also without `loops`.

    >>> from_edges(3, [(0, 2)], directed=True).index.tolist()
    [[0, 0], [1, 0], [0, 2]]
    """
    _counts(num_agents=num_agents)
    edges = list(edges)
    try:
        pairs = np.asarray(edges) if edges else np.zeros((0, 2), int)
    except ValueError:  # pairs and other things mixed
        pairs = np.zeros(1)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise Refusal("edges are pairs of agents' numbers, as in [(0, 1), (1, 2)]")
    unknown = pairs[((pairs < 0) | (pairs >= num_agents)).any(axis=1)]
    if len(unknown):
        one, other = unknown[0].tolist()
        raise Refusal(
            f"edge ({one}, {other}) names an agent that is not there; agents count from 0 to {num_agents - 1}"
        )
    return _links(num_agents, pairs[:, 1], pairs[:, 0], loops, sparse, directed)


def from_networkx(
    graph: Any, order: Sequence[Hashable] | None = None, *, loops: bool = True, sparse: bool = False
) -> Neighbours | Edges:
    """A networkx graph. `order` says which node is agent 0, 1, ...; None is the graph's own order. In a directed graph
    the edge a -> b lets b hear a.

    >>> import networkx
    >>> from_networkx(networkx.path_graph(["a", "b", "c"]), ["b", "a", "c"]).index.tolist()[0]
    [0, 1, 2]
    """
    networkx = _networkx()
    if not isinstance(graph, networkx.Graph):
        raise Refusal(f"graph is a {type(graph).__name__}; it must be a graph of networkx")
    nodes = list(graph.nodes) if order is None else list(order)
    _counts(nodes=len(nodes))
    place = {node: number for number, node in enumerate(nodes)}
    for node in nodes:
        if node not in graph:
            close = (
                nearest(node, [one for one in graph.nodes if isinstance(one, str)]) if isinstance(node, str) else None
            )
            raise Refusal(
                f"order names {node!r}, which is no node of the graph" + (f"; did you mean {close}?" * bool(close))
            )
    if len(place) < len(nodes):
        twice = next(node for number, node in enumerate(nodes) if place[node] != number)
        raise Refusal(f"order names {twice!r} twice; every node of the graph stands in it once")
    missing = [node for node in graph.nodes if node not in place]
    if missing:
        raise Refusal(f"order leaves out {missing[0]!r}; every node of the graph stands in it once")
    pairs = ((place[a], place[b]) for a, b in graph.edges())
    return from_edges(len(nodes), pairs, directed=graph.is_directed(), loops=loops, sparse=sparse)


def _networkx() -> Any:
    try:
        import networkx
    except ImportError:
        raise Refusal("random graphs need networkx, which is not installed", 'pip install "quorate[graphs]"') from None
    return networkx


def _undirected(graph: Any, num_agents: int, loops: bool, sparse: bool) -> Neighbours | Edges:
    pairs = np.array(graph.edges(), np.int64).reshape(-1, 2)
    return _links(num_agents, pairs[:, 0], pairs[:, 1], loops, sparse)


def _others(num_agents: int, one: np.ndarray, other: np.ndarray, loops: bool, sparse: bool) -> Neighbours | Edges:
    """Where it is so narrow that a step leads back to oneself, that step is no link."""
    away = one != other
    return _links(num_agents, one[away], other[away], loops, sparse)


def _links(
    num_agents: int, receiver: np.ndarray, sender: np.ndarray, loops: bool, sparse: bool, directed: bool = False
) -> Neighbours | Edges:
    """Pairs in any order, some perhaps twice, as a graph; the reverse of each is added unless it is directed."""
    me = np.arange(num_agents if loops else 0)
    back = (np.array([], int),) * 2 if directed else (sender, receiver)
    code = np.concatenate([receiver, back[0], me]).astype(np.int64) * num_agents
    code = np.unique(code + np.concatenate([sender, back[1], me]))
    edges = rows(num_agents, code // num_agents, code % num_agents)
    return edges if sparse else to_neighbours(edges)


def _counts(**numbers: int) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or number < 1:
            raise Refusal(f"{name} is {number}; it is a count and must be at least 1")


def _limit(name: str, number: int, least: int, most: int, of: str) -> None:
    if not isinstance(number, int | np.integer) or not least <= number <= most:
        raise Refusal(f"{name} is {number}; it must be a whole number from {least} to {most}, the number of {of}")
