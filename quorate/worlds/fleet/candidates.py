"""Which places an agent chooses from: the K nearest of its cell, looked up once and then a gather."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from scipy.spatial import cKDTree

from quorate.core import swept
from quorate.errors import Refusal
from quorate.worlds.fleet.space import Plane, Space
from quorate.worlds.fleet.tasks import Source, Trace


class Candidates(eqx.Module):
    """Rows of K places, one a cell of the space and stretch of time; -1 pads.

    index  [buckets, cells, K]
    width  ticks a bucket; the last one lasts for ever
    """

    index: Int[Array, "B C K"] = swept(jnp.int32)
    width: Int[Array, ""] = swept(jnp.int32, default=1)

    @property
    def options(self) -> int:
        return self.index.shape[-1]

    def rows(self, cell: Int[Array, " N"], t: Int[Array, ""]) -> Int[Array, "N K"]:
        """The candidates of those in these cells at tick t."""
        if self.index.shape[-3] == 1:
            return self.index[0][cell]
        return self.index[jnp.clip(t // self.width, 0, self.index.shape[-3] - 1)][cell]


def candidates(space: Space, source: Source, options: int, buckets: int = 1) -> Candidates:
    """The table: for each cell the `options` places nearest to its middle, of those at one spot the one released first.

    Rows of a `Trace` are split into `buckets` stretches of time of one length; a stretch knows the places whose window
    (release to deadline) touches it. Cost: a search in a k-d tree a cell on the plane, O(V M log M) a bucket on a
    graph, in numpy, once.
    """
    if options < 1 or buckets < 1:
        raise Refusal(f"options is {options} and buckets {buckets}; both are counts and must be at least 1")
    if not isinstance(source, Trace) or buckets == 1:
        release = source.release if isinstance(source, Trace) else np.zeros(source.places)
        return Candidates(index=_nearest(space, np.argsort(np.asarray(release), kind="stable"), options)[None])
    release, deadline = np.asarray(source.release), np.asarray(source.deadline)
    begin, end = int(release.min()), int(deadline.max()) + 1
    width = max(-(-(end - min(begin, 0)) // buckets), 1)
    tables = []
    for start in range(0, buckets * width, width):
        touching = np.flatnonzero((release < start + width) & (deadline >= start))
        tables.append(_nearest(space, touching[np.argsort(release[touching], kind="stable")], options))
    return Candidates(index=np.stack(tables), width=width)


def _nearest(space: Space, places: np.ndarray, options: int) -> np.ndarray:
    """[cells, options]: of these places the nearest to each cell, -1 where there are not so many."""
    table = np.full((space.cells, options), -1, np.int32)
    found = min(options, len(places))
    if not found:
        return table
    if isinstance(space, Plane):
        columns, rows = space.grid
        width, height = np.asarray(space.size, np.float64)
        x, y = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
        middle = np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=1)
        spots, which = np.unique(np.asarray(space.place).T[places], axis=0, return_inverse=True)
        near = cKDTree(spots).query(middle, min(options, len(spots)), workers=-1)[1].reshape(space.cells, -1)
        by_spot = np.argsort(which.reshape(-1), kind="stable")  # at a spot as they come: by release
        first = np.concatenate([[0], np.cumsum(np.bincount(which.reshape(-1)))])
        if len(spots) == len(places):
            table[:, :found] = places[by_spot[near]]
            return table
        for row, order in zip(table, near, strict=True):
            row[:found] = places[np.concatenate([by_spot[first[s] : first[s + 1]] for s in order])[:found]]
        return table
    away = np.asarray(space.length)[:, np.asarray(space.place)[places]]
    order = np.argsort(away, axis=1, kind="stable")[:, :found]
    near = places[order]
    table[:, :found] = np.where(np.isfinite(np.take_along_axis(away, order, axis=1)), near, -1)
    return table
