"""Where a fleet moves: a plane, or a graph with lengths on its edges.

A space knows where the places and the depots are. A position (`where`) is the space's own: [2, N] on the plane, a
`Spot` on a graph. A spot is a goal: [2, ...] on the plane, a node on a graph.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from quorate.core import static, swept
from quorate.errors import Refusal

FORGIVEN = 1.001  # whoever comes as near as a thousandth of its stride is there; positions are rounded every tick


class Plane(eqx.Module):
    """A rectangle from (0, 0) to `size`, without obstacles; ways are straight.

    size    [2], width and height
    place   [2, M], where the places are
    depot   [2, D], where agents charge; [2, 0] for none
    grid    (columns, rows) of the cells that share a row of candidates
    zones   (columns, rows) of the regions
    """

    size: Float[Array, "2"] = swept()
    place: Float[Array, "2 M"] = swept()
    depot: Float[Array, "2 D"] = swept(default=((), ()))
    grid: tuple[int, int] = static((1, 1))
    zones: tuple[int, int] = static((1, 1))

    def __check_init__(self):
        for name in ("place", "depot"):
            if getattr(self, name).shape[-2:-1] != (2,):
                raise Refusal(f"{name} has shape {getattr(self, name).shape}; on a plane it is [2, count]")

    @property
    def places(self) -> int:
        return self.place.shape[-1]

    @property
    def depots(self) -> int:
        return self.depot.shape[-1]

    @property
    def cells(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def regions(self) -> int:
        return self.zones[0] * self.zones[1]

    def spot(self, place: Int[Array, "..."]) -> Float[Array, "2 ..."]:
        """Where those places are."""
        return jnp.stack([self.place[0][place], self.place[1][place]])

    def distance(self, where: Float[Array, "2 N"], spot: Float[Array, "2 N ..."]) -> Float[Array, "N ..."]:
        """How far each agent is from its own spot, or from each of its K."""
        apart = spot - (where if spot.ndim == 2 else where[:, :, None])
        return jnp.sqrt(apart[0] * apart[0] + apart[1] * apart[1])

    def move(
        self, where: Float[Array, "2 N"], spot: Float[Array, "2 N"], stride: Float[Array, " N"], go: Bool[Array, " N"]
    ) -> tuple[Float[Array, "2 N"], Float[Array, " N"], Bool[Array, " N"]]:
        """Where they are after a tick, how far each went, and who has got there."""
        way = self.distance(where, spot)
        there = go & (way <= FORGIVEN * stride)
        share = jnp.where(go & (way > 0), stride / jnp.where(way > 0, way, 1), 0)
        onward = where + jnp.minimum(share, 1)[None] * (spot - where)
        return jnp.where(there[None], spot, onward), jnp.where(go, jnp.minimum(way, stride), 0), there

    def nearest_depot(self, where: Float[Array, "2 N"]) -> Int[Array, " N"]:
        apart = self.depot[:, :, None] - where[:, None, :]
        return jnp.argmin(apart[0] * apart[0] + apart[1] * apart[1], axis=0).astype(jnp.int32)

    def depot_spot(self, depot: Int[Array, " N"]) -> Float[Array, "2 N"]:
        return self.depot[:, depot]

    def choose(self, first: Bool[Array, " N"], one: Float[Array, "2 N"], other: Float[Array, "2 N"]) -> Array:
        """Of two spots each the first where so marked."""
        return jnp.where(first[None], one, other)

    def _box(self, where: Float[Array, "2 N"], shape: tuple[int, int]) -> Int[Array, " N"]:
        counts = jnp.array(shape, jnp.float32)
        at = jnp.clip(where * (counts / self.size)[:, None], 0, (counts - 1)[:, None]).astype(jnp.int32)
        return at[1] * shape[0] + at[0]

    def cell(self, where: Float[Array, "2 N"]) -> Int[Array, " N"]:
        """Which row of the candidate table; positions outside count to the border cell."""
        return self._box(where, self.grid)

    def region(self, where: Float[Array, "2 N"]) -> Int[Array, " N"]:
        return self._box(where, self.zones)

    def region_of_place(self) -> Int[Array, " M"]:
        return self.region(self.place)

    def position(self, where: Float[Array, "2 N"]) -> Float[Array, "2 N"]:
        """Coordinates to draw."""
        return where

    def place_position(self) -> Float[Array, "2 M"]:
        return self.place


class Spot(NamedTuple):
    """A position on a graph: on the way from node `origin` to `node`, `left` before it (0: at the node)."""

    node: Int[Array, " N"]
    left: Float[Array, " N"]
    origin: Int[Array, " N"]


class Graph(eqx.Module):
    """Nodes and edges with lengths; ways are the shortest. Who is on an edge turns round only at its end.

    length     [V, V], shortest distance between nodes, inf where there is no way
    hop        [V, V], the next node on the way from row to column
    place      [M], the node of each place
    depot      [D], the nodes where agents charge
    region_of  [V], the region of each node
    at         [2, V], coordinates of the nodes, to draw
    regions    how many regions (static)

    Build it with `graph`. Memory 8 V^2 bytes.
    """

    length: Float[Array, "V V"] = swept()
    hop: Int[Array, "V V"] = swept(jnp.int32)
    place: Int[Array, " M"] = swept(jnp.int32)
    depot: Int[Array, " D"] = swept(jnp.int32, default=())
    region_of: Int[Array, " V"] = swept(jnp.int32)
    at: Float[Array, "2 V"] = swept()
    regions: int = static(1)

    @property
    def places(self) -> int:
        return self.place.shape[-1]

    @property
    def depots(self) -> int:
        return self.depot.shape[-1]

    @property
    def cells(self) -> int:
        return self.length.shape[-1]

    def spot(self, place: Int[Array, "..."]) -> Int[Array, "..."]:
        return self.place[place]

    def distance(self, where: Spot, spot: Int[Array, "N ..."]) -> Float[Array, "N ..."]:
        if spot.ndim == 1:
            return where.left + self.length[where.node, spot]
        return where.left[:, None] + self.length[where.node[:, None], spot]

    def move(
        self, where: Spot, spot: Int[Array, " N"], stride: Float[Array, " N"], go: Bool[Array, " N"]
    ) -> tuple[Spot, Float[Array, " N"], Bool[Array, " N"]]:
        way = self.distance(where, spot)
        go &= jnp.isfinite(way)
        there = go & (way <= FORGIVEN * stride)

        def walking(state: tuple) -> Array:
            return jnp.any(state[1] > 0)

        def walk(state: tuple) -> tuple:
            at, budget = state
            walks = budget > 0
            stops = walks & (at.left > budget)
            passes = walks & ~stops & (at.node != spot)
            ahead = self.hop[at.node, spot]
            beyond = jnp.where(stops, at.left - budget, jnp.where(walks, 0, at.left))
            after = Spot(
                jnp.where(passes, ahead, at.node),
                jnp.where(passes, self.length[at.node, ahead], beyond),
                jnp.where(passes, at.node, at.origin),
            )
            return after, jnp.where(passes, budget - at.left, 0)

        onward, _ = jax.lax.while_loop(walking, walk, (where, jnp.where(go & ~there, stride, 0)))
        after = Spot(
            jnp.where(there, spot, onward.node),
            jnp.where(there, 0, onward.left),
            jnp.where(there, spot, onward.origin),
        )
        return after, jnp.where(go, jnp.minimum(way, stride), 0), there

    def nearest_depot(self, where: Spot) -> Int[Array, " N"]:
        return jnp.argmin(self.length[where.node[:, None], self.depot[None]], axis=1).astype(jnp.int32)

    def depot_spot(self, depot: Int[Array, " N"]) -> Int[Array, " N"]:
        return self.depot[depot]

    def choose(self, first: Bool[Array, " N"], one: Int[Array, " N"], other: Int[Array, " N"]) -> Array:
        return jnp.where(first, one, other)

    def cell(self, where: Spot) -> Int[Array, " N"]:
        return where.node

    def region(self, where: Spot) -> Int[Array, " N"]:
        return self.region_of[where.node]

    def region_of_place(self) -> Int[Array, " M"]:
        return self.region_of[self.place]

    def position(self, where: Spot) -> Float[Array, "2 N"]:
        """Coordinates to draw: on an edge, between its ends."""
        whole = self.length[where.origin, where.node]
        back = jnp.where(whole > 0, where.left / jnp.where(whole > 0, whole, 1), 0)
        return self.at[:, where.node] + back[None] * (self.at[:, where.origin] - self.at[:, where.node])

    def place_position(self) -> Float[Array, "2 M"]:
        return self.at[:, self.place]


Space = Plane | Graph


def at_nodes(nodes: np.ndarray) -> Spot:
    """Agents that stand at these nodes."""
    nodes = jnp.asarray(nodes, jnp.int32)
    return Spot(nodes, jnp.zeros(nodes.shape, jnp.float32), nodes)


def graph(
    edges: np.ndarray,
    lengths: np.ndarray,
    place: np.ndarray,
    at: np.ndarray,
    *,
    depot: np.ndarray = (),
    regions: int = 1,
) -> Graph:
    """A graph from its undirected edges [E, 2] and their lengths [E]; the number of nodes is that of `at` [2, V].

    Regions are the nodes nearest to `regions` centres, each centre the node farthest from those before it (Gonzalez
    1985). Cost O(V^3) at worst, once, in numpy. Errors: Refusal for an edge without a node, a length that is not above
    0 and finite, and a place or depot at no node.

    >>> line = graph([[0, 1], [1, 2]], [1.0, 2.0], place=[2], at=[[0, 1, 3], [0, 0, 0]])
    >>> float(line.length[0, 2]), int(line.hop[0, 2])
    (3.0, 1)
    """
    edges, lengths, at = np.asarray(edges, int).reshape(-1, 2), np.asarray(lengths, np.float64), np.asarray(at)
    nodes = at.shape[1]
    for name, given in (("edges", edges), ("place", place), ("depot", depot)):
        given = np.asarray(given, int)
        if given.size and (given.min() < 0 or given.max() >= nodes):
            raise Refusal(f"{name} names node {given.max() if given.max() >= nodes else given.min()} of {nodes}")
    if lengths.shape != (len(edges),) or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise Refusal("lengths must be one number an edge, above 0 and finite")
    dense = np.full((nodes, nodes), np.inf)
    np.minimum.at(dense, (edges[:, 0], edges[:, 1]), lengths)
    dense = np.minimum(dense, dense.T)
    one, other = np.nonzero(np.isfinite(dense))
    table = csr_array((dense[one, other], (one, other)), shape=(nodes, nodes))
    far, before = shortest_path(table, directed=False, return_predecessors=True)
    hop = np.where(before.T >= 0, before.T, np.arange(nodes)[:, None])  # the last but one of the way back is the first
    centres, nearest = [0], far[0].copy()
    for _ in range(min(regions, nodes) - 1):
        centres.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, far[centres[-1]])
    region_of = np.argmin(far[centres], axis=0)
    depot = np.asarray(depot, np.int32)
    return Graph(length=far, hop=hop, place=place, depot=depot, region_of=region_of, at=at, regions=len(centres))
