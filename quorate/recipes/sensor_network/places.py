"""Where sensors are, who is whose neighbour, and how the target moves. The source's numbers are lost: these are
assumed."""

from dataclasses import dataclass, replace

import numpy as np

from quorate import comms
from quorate.core import Neighbours
from quorate.errors import Refusal, nearest

RADIUS = 2.0  # assumed: how far sensors on a line hear and see, in units of their spacing
SIGHT = 1.5  # assumed: how far they see on a grid
NOISE = 0.1  # assumed: standard deviation of a reading
WIDTH = 1.0  # assumed: of a bin
PERIOD = 100  # assumed: steps after which the target's path begins again
STAY = 5  # assumed: steps that the target stays at a node of a real network
JOINT = 4  # the sensor that joins the two halls
MARGIN = 3  # bins beyond the range of the signal, so that no reading leaves the table


@dataclass(frozen=True)
class Place:
    """Sensors on a graph with a target: `beside` [N, N], each its own neighbour; `signal` [L]; `seen` [L, N]; `there`
    says which sensors are no padding."""

    name: str
    beside: np.ndarray
    signal: np.ndarray
    seen: np.ndarray
    there: np.ndarray

    @property
    def num_agents(self) -> int:
        return len(self.beside)

    @property
    def links(self) -> Neighbours:
        pairs = np.argwhere(np.triu(self.beside, 1))
        return comms.from_edges(self.num_agents, pairs)

    @property
    def low(self) -> float:
        """Where the first bin begins, so that whole numbers lie in the middle of a bin."""
        return float(np.floor(self.signal.min()) - MARGIN * WIDTH - WIDTH / 2)

    @property
    def bins(self) -> int:
        return int(np.ceil((self.signal.max() - self.low) / WIDTH)) + MARGIN

    def distances(self, without: np.ndarray | None = None) -> np.ndarray:
        """[N, N] links between sensors on a way that avoids `without`; N where there is none."""
        open_ = np.ones(self.num_agents, bool) if without is None else ~without
        step = self.beside & open_[None, :] & open_[:, None]
        far = np.full(step.shape, self.num_agents)
        reached = np.eye(self.num_agents, dtype=bool) & open_[:, None]
        for length in range(self.num_agents):
            new = reached & (far == self.num_agents)
            if not new.any():
                break
            far[new] = length
            reached = reached @ step
        return far

    @property
    def diameter(self) -> int:
        far = self.distances()
        return int(far[far < self.num_agents].max())

    def placements(self, liars: int, draws: int, random: np.random.Generator) -> np.ndarray:
        """[draws, N]: up to `liars` of them, no two in one neighbourhood; fewer where no more fit."""
        shared = (self.beside.astype(int) @ self.beside.astype(int)) > 0
        rows = np.zeros((draws, self.num_agents), bool)
        for row in rows:
            for sensor in random.permutation(np.flatnonzero(self.there)):
                if row.sum() < liars and not (row & shared[sensor]).any():
                    row[sensor] = True
        return rows

    def adjacent_pairs(self) -> np.ndarray:
        """[pairs, N]: two liars beside each other."""
        pairs = np.argwhere(np.triu(self.beside, 1))
        rows = np.zeros((len(pairs), self.num_agents), bool)
        rows[np.arange(len(pairs))[:, None], pairs] = True
        return rows


def sine(low: float, high: float, times: float = 1.0) -> np.ndarray:
    """[PERIOD]: a slow sine between the two."""
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * np.sin(2 * np.pi * times * np.arange(PERIOD) / PERIOD)


def line(sensors: int, radius: float = RADIUS) -> Place:
    """Sensors at 0, 1, 2, ...; the target moves along them and its position is the signal."""
    at = np.arange(sensors)
    signal = sine(0, sensors - 1)
    near = np.abs(at[:, None] - at[None, :]) <= radius
    seen = np.abs(signal[:, None] - at[None, :]) <= RADIUS
    return Place(f"line of {sensors}", near, signal, seen, np.ones(sensors, bool))


def grid(side: int) -> Place:
    """side x side sensors, each with the four beside it; the target moves on the plane, its row is the signal."""
    rows, columns = np.divmod(np.arange(side**2), side)
    steps = np.abs(rows[:, None] - rows[None, :]) + np.abs(columns[:, None] - columns[None, :])
    near = steps <= 1
    y, x = sine(0, side - 1), sine(0, side - 1, times=2)
    seen = np.hypot(y[:, None] - rows[None, :], x[:, None] - columns[None, :]) <= SIGHT
    return Place(f"grid of {side} x {side}", near, y, seen, np.ones(side**2, bool))


def topology(name: str, random: np.random.Generator) -> Place:
    """A real network from topohub. The target stays at a node for some steps and then moves to a neighbouring one;
    the node and its neighbours see it. The signal is a slow sine of its own."""
    try:
        import networkx
        import topohub
    except ImportError:
        raise Refusal(
            "real topologies need topohub, which is not installed", 'pip install "quorate[topologies]"'
        ) from None
    try:
        found = topohub.get(name)
    except (KeyError, OSError):
        known = ("topozoo/Abilene", "sndlib/germany50", "sndlib/nobel-eu", "sndlib/cost266", "topozoo/Geant2012")
        close = nearest(name, known)
        hint = f"; did you mean {close}?" if close else "; there are group/name such as " + ", ".join(known)
        raise Refusal(f"topohub has no topology {name}{hint}") from None
    graph = networkx.Graph(networkx.node_link_graph(found, edges="edges"))
    near = networkx.to_numpy_array(graph) > 0
    near |= np.eye(len(near), dtype=bool)
    return wandering(name.split("/")[-1], near, random)


def wandering(name: str, near: np.ndarray, random: np.random.Generator) -> Place:
    """Any graph with a target that walks from node to node."""
    visits, node = [], int(random.integers(len(near)))
    for _ in range(PERIOD // STAY):
        visits += [node] * STAY
        node = int(random.choice(np.flatnonzero(near[node])))
    return Place(name, near, sine(0, 10), near[visits], np.ones(len(near), bool))


def two_halls() -> Place:
    """Two halls of four, each all within earshot, joined by one sensor that hears one of the first hall and two of the
    second. Every neighbourhood has more than three members; the target stays in the first hall."""
    near = np.eye(9, dtype=bool)
    for hall in (range(4), range(5, 9)):
        near[np.ix_(hall, hall)] = True
    for other in (3, 5, 6):
        near[JOINT, other] = near[other, JOINT] = True
    seen = np.zeros((PERIOD, 9), bool)
    seen[:, :3] = True
    return Place("two halls", near, sine(0, 10), seen, np.ones(9, bool))


def padded(place: Place, sensors: int) -> Place:
    """The same with sensors that hear nobody and see nothing, up to `sensors` of them."""
    more = sensors - place.num_agents
    near = np.pad(place.beside, ((0, more), (0, more))) | np.eye(sensors, dtype=bool)
    return replace(
        place,
        beside=near,
        seen=np.pad(place.seen, ((0, 0), (0, more))),
        there=np.pad(place.there, (0, more)),
    )
