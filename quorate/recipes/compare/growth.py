"""A larger fleet of the same kind: copies of the agents, the tasks and the space, side by side."""

import numpy as np

from quorate.recipes.compare.instance import ArrivalsSpec, Crew, Instance, Room, TraceSpec


def tiles(copies: int, width: float, height: float) -> tuple[int, int]:
    """Columns and rows that hold exactly `copies` of a rectangle and are together as near to a square as can be.

    >>> tiles(10, 60, 40), tiles(10, 1, 1), tiles(7, 1, 1)
    ((2, 5), (2, 5), (1, 7))
    """
    fits = [(columns, copies // columns) for columns in range(1, copies + 1) if copies % columns == 0]
    return min(fits, key=lambda fit: round(abs(float(np.log(fit[0] * width / (fit[1] * height)))), 9))


def grown(instance: Instance, copies: int) -> Instance:
    """`copies` of a fleet in tiles that border on each other, without walls between them.

    Density and load stay as they were. Copies are alike in everything but their places' numbers, from which the world
    hashes arrivals, so these differ. A hot spot grows with the space: its radius by sqrt(copies). Of a graph the copies
    are linked at their node of highest degree to the copies right and above, by an edge of mean length.

    Cost: O(copies x size).

    >>> from quorate.recipes.compare.description import read_text
    >>> from quorate.recipes.compare.instance import resolve
    >>> large = grown(resolve(read_text('[[agents]]\\ncount = 3'), seed=0), copies=10)
    >>> large.crew.at.shape, large.room.size, large.tasks.rate
    ((2, 30), (20.0, 50.0), 10.0)
    """
    columns, rows = tiles(copies, *instance.room.size)
    gap = 0.0 if instance.room.kind == "plane" else float(instance.room.lengths.mean())
    step = np.array([instance.room.size[0] + gap, instance.room.size[1] + gap])
    corner = np.stack([np.arange(copies) % columns, np.arange(copies) // columns]) * step[:, None]
    nodes = len(instance.room.names)

    def moved(at: np.ndarray) -> np.ndarray:
        return (corner[:, :, None] + at[:, None, :]).reshape(2, -1)

    def shifted(index: np.ndarray, by: int) -> np.ndarray:
        """Numbers of the first copy as those of each copy; -1 stays."""
        every = index[None, :] + by * np.arange(copies, dtype=np.int32)[:, None]
        return np.where(index[None, :] < 0, np.int32(-1), every).reshape(-1)

    repeated = [np.tile(field, copies) for field in instance.crew[2:]]
    crew = Crew(moved(instance.crew.at), shifted(instance.crew.node, nodes), *repeated)
    old = instance.tasks
    places = {"at": moved(old.at), "node": shifted(old.node, nodes)}
    tasks: ArrivalsSpec | TraceSpec
    if isinstance(old, ArrivalsSpec):
        hot = old.hotspot and (old.hotspot[0], old.hotspot[1] * copies**0.5, old.hotspot[2])
        tasks = old._replace(**places, rate=old.rate * copies, phase=np.tile(old.phase, copies), hotspot=hot)
    else:
        kept = ("release", "deadline", "due", "value", "need", "duration", "team")
        places |= {name: np.tile(getattr(old, name), copies) for name in kept}
        names = tuple(name if copy == 0 else f"{name} #{copy + 1}" for copy in range(copies) for name in old.id)
        tasks = TraceSpec(id=names, after=shifted(old.after, len(old.id)), **places)
    return instance._replace(
        crew=crew,
        room=_room(instance.room, moved, shifted, (columns, rows), gap),
        depots=moved(instance.depots),
        depot_nodes=shifted(instance.depot_nodes, nodes),
        tasks=tasks,
    )


def _room(old: Room, moved, shifted, grid: tuple[int, int], gap: float) -> Room:
    columns, rows = grid
    size = tuple(float(side * count + gap * (count - 1)) for side, count in zip(old.size, grid, strict=True))
    if old.kind == "plane":
        return old._replace(size=size)
    copies, nodes = columns * rows, len(old.names)
    hub = int(np.argmax(np.bincount(old.links.ravel(), minlength=nodes)))
    tile = np.arange(copies)
    right = [(one, one + 1) for one in tile if (one + 1) % columns]
    above = [(one, one + columns) for one in tile if one + columns < copies]
    bridges = np.array(right + above, np.int32).reshape(-1, 2) * nodes + hub
    links = np.stack([shifted(old.links[:, 0], nodes), shifted(old.links[:, 1], nodes)], axis=1)
    return old._replace(
        size=size,
        names=tuple(name if copy == 0 else f"{name} #{copy + 1}" for copy in range(copies) for name in old.names),
        at=moved(old.at),
        links=np.concatenate([links, bridges]).astype(np.int32),
        lengths=np.concatenate([np.tile(old.lengths, copies), np.full(len(bridges), gap)]),
    )
