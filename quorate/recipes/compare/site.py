"""What a fleet's world tells a deployment beforehand: the site that mechanisms are made from."""

from typing import Any

import numpy as np

from quorate.protocols.site import Regions, Site
from quorate.worlds.fleet import Fleet

NEAR = 8  # regions that an intention may send an agent to


def regions(world: Fleet) -> Regions:
    """The world's regions: members of each, its middle, which others are near. O(M + G^2 near) once, in numpy."""
    space, count = world.space, world.regions
    of = np.asarray(space.region_of_place())
    position = np.asarray(space.place_position(), np.float64)
    local, most = _within(of, count)
    number = np.maximum(np.bincount(of, minlength=count), 1)
    middle = np.stack([np.bincount(of, weights=axis, minlength=count) / number for axis in position])
    filled = np.flatnonzero(np.bincount(of, minlength=count))
    apart = np.sum((position - middle[:, of]) ** 2, axis=0)
    anchor = np.zeros(count, np.int32)
    order = np.lexsort((apart, of))
    anchor[filled] = order[np.searchsorted(of[order], filled)]
    near = np.tile(np.arange(count)[:, None], (1, NEAR))
    spread = np.zeros((count, NEAR))
    pace = float(np.median(np.asarray(world.speed)))
    for region in filled:
        others = filled[filled != region]
        way = np.asarray(_ways(world, anchor[region], anchor[others])) / pace
        nearest = np.argsort(way, kind="stable")[:NEAR]
        near[region, : len(nearest)], spread[region, : len(nearest)] = others[nearest], way[nearest]
    return Regions(of, anchor, near.astype(np.int32), spread.astype(np.float32), local, most)


def _ways(world: Fleet, start: int, ends: np.ndarray) -> np.ndarray:
    """How far it is from one place to others."""
    position = np.asarray(world.space.place_position())
    return np.hypot(*(position[:, ends] - position[:, [start]]))


def _within(of: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Each place's number among those of its region, and how many the fullest has."""
    order = np.argsort(of, kind="stable")
    start = np.searchsorted(of[order], np.arange(count))
    local = np.empty(len(of), np.int32)
    local[order] = np.arange(len(of)) - start[of[order]]
    return local, int(np.bincount(of, minlength=count).max())


def site(world: Fleet, **settings: Any) -> Site:
    """The site of a world; `settings` are those of `Site` besides its sizes."""
    return Site(world.num_agents, world.num_actions, world.options, regions(world))._replace(**settings)
