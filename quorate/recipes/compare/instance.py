"""From a description to numbers: one fleet, drawn with a seed, as plain numpy arrays."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from quorate.recipes.compare import flights
from quorate.recipes.compare.description import Agents, Description
from quorate.recipes.compare.kinds import Range
from quorate.recipes.compare.topology import shares, topology

LEAST_PLACES = 100  # at which tasks arrive, so that they are not always at the same few
ROOM = 4.0  # a hot spot's demand is cut at this many times the average
NEVER = 2**30  # a tick that does not come
MIXES = 100  # needs of arrivals are mixed in hundredths
HORIZON = 300  # ticks of a run whose tasks never end


class Crew(NamedTuple):
    """The agents, arrays [N].

    at        [2, N] where they begin; in a graph the coordinates of the node
    node      the node where they begin, -1 in a plane
    speed     distance per tick; sight: distance; capacity: units brought to a team
    skills    bit mask, bit s for skill s of the instance
    drain     charge per distance; charge: per tick at a depot; reserve: below it an agent goes to a depot
    variant   index into the instance's variants; group: which [[agents]] it comes from
    since     tick from which it is there
    """

    at: np.ndarray
    node: np.ndarray
    speed: np.ndarray
    sight: np.ndarray
    capacity: np.ndarray
    skills: np.ndarray
    drain: np.ndarray
    charge: np.ndarray
    reserve: np.ndarray
    variant: np.ndarray
    group: np.ndarray
    since: np.ndarray


class Room(NamedTuple):
    """A plane from (0, 0) to `size`, or a graph: `names` of nodes, where they are `at` [2, V], undirected `links`
    [E, 2] and their `lengths` [E]."""

    kind: str
    size: tuple[float, float]
    names: tuple[str, ...]
    at: np.ndarray
    links: np.ndarray
    lengths: np.ndarray


class ArrivalsSpec(NamedTuple):
    """Open-loop arrivals at M places: place j may release a task at the ticks phase_j + c period, c = 0, 1, ...

    rate      tasks per tick in the whole space: M intensity / period
    intensity chance that there is a task, the same everywhere without a hot spot
    at, node  [2, M], [M] where the places are; node -1 in a plane
    hotspot   (share, radius, period) or None
    needs     [S] bit masks of which each task has one, all equally likely; 0: no skill
    grace     ticks after the release within which a start is not late, NEVER for no limit
    Value, slack, duration, team are uniform in a Range, whole numbers but for the value.
    """

    rate: float
    period: int
    intensity: float
    phase: np.ndarray
    at: np.ndarray
    node: np.ndarray
    hotspot: tuple[float, float, float] | None
    value: Range
    slack: Range
    duration: Range
    team: Range
    grace: int
    needs: np.ndarray


class TraceSpec(NamedTuple):
    """Explicit tasks, arrays [M]: ticks of release, latest start (`deadline`), and soft end (`due`: lateness is what a
    task ends after it); `at` [2, M], `node`, `value`, `need` (bit mask), `duration`, `team`; `after`: the index of the
    task that must be done before, -1 for none; `id`: names."""

    id: tuple[str, ...]
    release: np.ndarray
    deadline: np.ndarray
    due: np.ndarray
    at: np.ndarray
    node: np.ndarray
    value: np.ndarray
    need: np.ndarray
    duration: np.ndarray
    team: np.ndarray
    after: np.ndarray


class Instance(NamedTuple):
    """One fleet. `depots` are [2, D] and their nodes [D] (-1 in a plane); `minutes` a tick lasts, None where the file
    does not say; `facts` are sentences on what was counted and what was assumed."""

    name: str
    ticks: int
    seed: int
    skills: tuple[str, ...]
    variants: tuple[str, ...]
    crew: Crew
    room: Room
    depots: np.ndarray
    depot_nodes: np.ndarray
    tasks: ArrivalsSpec | TraceSpec
    minutes: float | None
    facts: tuple[str, ...]


def resolve(description: Description, seed: int) -> Instance:
    """Draws everything that the file leaves open: ranges, skills held by a share, homes, places and phases.

    The same seed gives the same fleet. Agents, tasks and places have streams of their own, so that a change of the one
    leaves the others as they were. Tasks of arrivals are not drawn here: the world hashes them from its own seed.

    Cost: O(agents + tasks). Errors: Refusal where a package is missing. A fleet that `possible` complains of may fail.

    >>> from quorate.recipes.compare.description import read_text
    >>> fleet = resolve(read_text('[[agents]]\\ncount = 3\\nspeed = [0.3, 0.6]'), seed=0)
    >>> fleet.crew.at.shape, bool((fleet.crew.speed >= 0.3).all()), fleet.tasks.period, fleet.tasks.phase.shape
    ((2, 3), True, 100, (100,))
    """
    if description.tasks.kind == "flights":
        return _flights(description, seed)
    room = _room(description)
    skills = description.skills
    crew = _crew(description, room, skills, _stream(seed, 0))
    facts: tuple[str, ...] = ()
    tasks: ArrivalsSpec | TraceSpec
    if description.tasks.kind == "csv":
        tasks = _trace(description, room, skills, _stream(seed, 1))
    else:
        tasks = _arrivals(description, room, skills, _stream(seed, 2))
        if abs(tasks.rate / description.tasks.rate - 1) > 0.001:
            facts = (f"{tasks.rate:.4g} tasks arrive per tick, not {description.tasks.rate:g}: places are whole",)
    ticks = description.ticks or (HORIZON if isinstance(tasks, ArrivalsSpec) else int(tasks.deadline.max()) + 1)
    at, nodes = _places([(depot.at, depot.node) for depot in description.depots], room)
    return Instance(
        description.name, ticks, seed, skills, _variants(description), crew, room, at, nodes, tasks, None, facts
    )


def _stream(seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, purpose])


def _variants(description: Description) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.variant for group in description.agents))


def _room(description: Description) -> Room:
    space = description.space
    if space.kind == "plane":
        none = np.zeros((2, 0))
        return Room("plane", space.size, (), none, np.zeros((0, 2), np.int32), np.zeros(0))
    found = topology(space.topology)
    width, height = found.at.max(axis=1).tolist()
    return Room("graph", (width, height), found.names, found.at, found.links, found.lengths)


def _places(places: list[tuple], room: Room) -> tuple[np.ndarray, np.ndarray]:
    """[2, D] and [D] of points or of nodes by name."""
    if room.kind == "plane":
        return np.array([at for at, _ in places], float).reshape(-1, 2).T, np.full(len(places), -1, np.int32)
    nodes = np.array([room.names.index(node) for _, node in places], np.int32)
    return room.at[:, nodes], nodes


def _anywhere(count: int, room: Room, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if room.kind == "plane":
        return random.uniform(0, 1, (2, count)) * np.array(room.size)[:, None], np.full(count, -1, np.int32)
    nodes = random.integers(0, len(room.names), count).astype(np.int32)
    return room.at[:, nodes], nodes


def drawn(given: Range, count: int, random: np.random.Generator, whole: bool = False) -> np.ndarray:
    """[count] uniform in a range; whole numbers with both ends included.

    >>> drawn(Range(2, 2), 3, np.random.default_rng(0), whole=True).tolist()
    [2, 2, 2]
    """
    if whole:
        return random.integers(int(given.low), int(given.high) + 1, count).astype(np.int32)
    if given.width == 0 or math.isinf(given.high):
        random.random(count)  # so that what is drawn next does not depend on whether this is a range
        return np.full(count, given.low, np.float32)
    return random.uniform(given.low, given.high, count).astype(np.float32)


def mask(names: tuple[str, ...], skills: tuple[str, ...]) -> int:
    """Bit s for skill s.

    >>> mask(("cool",), ("lift", "cool"))
    2
    """
    return sum(1 << skills.index(name) for name in names)


def _crew(description: Description, room: Room, skills: tuple[str, ...], random: np.random.Generator) -> Crew:
    parts = []
    for index, group in enumerate(description.agents):
        count = 1 if group.count is None else group.count
        anywhere = _anywhere(count, room, random)
        if group.at is None and group.node is None:
            at, nodes = anywhere
        else:
            one, node = _places([(group.at, group.node)], room)
            at, nodes = np.repeat(one, count, axis=1), np.repeat(node, count)
        held = np.zeros(count, np.int32)
        for name, share in group.skills:
            held |= (random.random(count) < share).astype(np.int32) << skills.index(name)
        parts.append(Crew(at, nodes, *_body(group, index, count, held, description, random)))
    return Crew(*(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)))


def _body(
    group: Agents, index: int, count: int, held: np.ndarray, description: Description, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """What an agent is, apart from where: the fields of `Crew` after `node`."""
    energy = group.energy
    return (
        drawn(group.speed, count, random),
        drawn(group.sight, count, random),
        drawn(group.capacity, count, random, whole=True),
        held,
        drawn(energy.drain, count, random),
        drawn(energy.charge, count, random),
        drawn(energy.reserve, count, random),
        np.full(count, _variants(description).index(group.variant), np.int32),
        np.full(count, index, np.int32),
        np.zeros(count, np.int32),
    )


def mixture(needs: tuple[tuple[str, float], ...] | None, skills: tuple[str, ...]) -> np.ndarray:
    """Bit masks, each as likely as the others, that give every need its share, to a hundredth.

    >>> mixture((("lift", 0.5), ("cool", 0.25)), ("lift", "cool")).tolist().count(0)
    25
    """
    if needs is None:
        return np.array([1 << bit for bit in range(len(skills))] or [0], np.int32)
    parts = [(mask((name,), skills), share) for name, share in needs]
    rest = 1 - sum(share for _, share in parts)
    if rest > 1e-9:
        parts.append((0, rest))
    if all(math.isclose(share, parts[0][1]) for _, share in parts):
        return np.array([bits for bits, _ in parts], np.int32)
    seats = shares(np.array([share for _, share in parts]), MIXES)
    return np.repeat(np.array([bits for bits, _ in parts], np.int32), seats)


def _arrivals(
    description: Description, room: Room, skills: tuple[str, ...], random: np.random.Generator
) -> ArrivalsSpec:
    tasks = description.tasks
    period = max(int(tasks.slack.high) + 1, math.ceil(LEAST_PLACES / tasks.rate - 1e-9))
    above = 1.0
    if tasks.hotspot is not None:
        peak = room.size[0] * room.size[1] / (2 * math.pi * tasks.hotspot.radius**2)
        above = min(1 - tasks.hotspot.share + tasks.hotspot.share * max(peak, 1.0), ROOM)
    places = max(1, round(tasks.rate * period * above))
    if tasks.kind == "demands":
        demand = topology(tasks.detail or description.space.topology).demand
        nodes = np.repeat(np.arange(len(demand), dtype=np.int32), shares(demand, places))
        at = room.at[:, nodes]
    else:
        at, nodes = _anywhere(places, room, random)
    hot = tasks.hotspot
    # Evenly over the period, where there are fewer places than ticks in it in the middle of equal stretches.
    number = np.arange(places, dtype=np.int64)
    phase = number % period if places >= period else (2 * number + 1) * period // (2 * places)
    return ArrivalsSpec(
        rate=places / above / period,
        period=period,
        intensity=1 / above,
        phase=random.permutation(phase).astype(np.int32),
        at=at,
        node=nodes,
        hotspot=None if hot is None else (hot.share, hot.radius, hot.period),
        value=tasks.value,
        slack=tasks.slack,
        duration=tasks.duration,
        team=tasks.team,
        grace=NEVER if tasks.grace is None else tasks.grace,
        needs=mixture(tasks.needs, skills),
    )


def _trace(description: Description, room: Room, skills: tuple[str, ...], random: np.random.Generator) -> TraceSpec:
    tasks, rows = description.tasks, description.orders
    count = len(rows)

    def filled(name: str, whole: bool) -> np.ndarray:
        """The column, and where it is empty what the fleet file says."""
        numbers = drawn(getattr(tasks, name), count, random, whole)
        given = [getattr(row, name) for row in rows]
        return np.array([mine if mine is not None else other for mine, other in zip(given, numbers, strict=True)])

    release = np.array([row.release for row in rows], np.int32)
    deadline = np.array([row.deadline for row in rows], np.int32)
    duration = filled("duration", True).astype(np.int32)
    grace = deadline if tasks.grace is None else np.minimum(deadline, release + tasks.grace)
    at, nodes = _places([((row.x, row.y), row.node) for row in rows], room)
    index = {row.id: number for number, row in enumerate(rows)}
    return TraceSpec(
        id=tuple(row.id for row in rows),
        release=release,
        deadline=deadline,
        due=(grace + duration).astype(np.int32),
        at=at,
        node=nodes,
        value=filled("value", False).astype(np.float32),
        need=np.array([mask(row.needs, skills) for row in rows], np.int32),
        duration=duration,
        team=filled("team", True).astype(np.int32),
        after=np.array([index[row.after] if row.after else -1 for row in rows], np.int32),
    )


def _flights(description: Description, seed: int) -> Instance:
    tasks = description.tasks
    description = description if description.agents else dataclasses.replace(description, agents=(Agents(),))
    group = description.agents[0]
    day = flights.flights(tasks.detail)
    names, at = flights.airports()
    tick = tasks.tick
    far = np.hypot(*(at[:, :, None] - at[:, None, :]))
    minutes = np.ceil(far / group.speed.low) * tick
    hop = {(one, two): minutes[i, j] for i, one in enumerate(names) for j, two in enumerate(names)}
    if tasks.fleet == "binding":
        fleet = flights.binding_fleet(day, hop, tasks.tolerance, tick)
    else:
        fleet = flights.historic_fleet(day)
    start = math.floor((day.departure.min() - max(tasks.early, flights.EARLY)) / tick) * tick

    def ticks(minute: np.ndarray) -> np.ndarray:
        return np.maximum(np.floor((minute - start) / tick), 0).astype(np.int32)

    skills = tuple(sorted(set(day.carrier.tolist())))
    random = _stream(seed, 0)
    home = at[:, [names.index(origin) for origin in fleet.origin]]
    count = len(fleet.origin)
    held = np.array([mask(carriers, skills) for carriers in fleet.carriers], np.int32)
    crew = Crew(home, np.full(count, -1, np.int32), *_body(group, 0, count, held, description, random))
    crew = crew._replace(since=ticks(fleet.since))
    duration = np.ceil(flights.occupied(day) / tick).astype(np.int32)
    size, untold = len(day.name), int((day.tail == "").sum())
    trace = TraceSpec(
        id=tuple(day.name.tolist()),
        release=ticks(day.departure - tasks.early),
        deadline=ticks(day.departure + tasks.tolerance),
        due=ticks(day.departure) + duration,
        at=at[:, [names.index(origin) for origin in day.origin]],
        node=np.full(size, -1, np.int32),
        value=drawn(tasks.value, size, _stream(seed, 1)),
        need=np.array([mask((carrier,), skills) for carrier in day.carrier], np.int32),
        duration=duration,
        team=np.ones(size, np.int32),
        after=np.full(size, -1, np.int32),
    )
    width, height = (at.max(axis=1) + flights.MARGIN).tolist()
    room = Room("plane", (width, height), (), np.zeros((2, 0)), np.zeros((0, 2), np.int32), np.zeros(0))
    facts = (
        f"{size} flights on {tasks.detail}, {untold} of them without a tail number",
        fleet.about,
        "assumed: a flight keeps its aircraft for twice its air time and 90 minutes, and brings it back; a cancelled "
        "one would have taken the median of its route in that month",
        "assumed: an aircraft is at its first origin one hour before its first departure and flies for its own carrier",
    )
    last = description.ticks or int(trace.deadline.max()) + 1
    depots, nodes = _places([(depot.at, None) for depot in description.depots], room)
    return Instance(
        description.name, last, seed, skills, _variants(description), crew, room, depots, nodes, trace, tick, facts
    )
