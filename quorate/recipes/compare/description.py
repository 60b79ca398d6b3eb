"""A fleet file: what a user writes about a fleet, its tasks and its troubles, as plain values.

Every key has a default. All mistakes of a file are told at once, each with file:line:column. What the keys mean, with
units, stands in docs/fleet_file.md.
"""

import dataclasses
import datetime
import math
import os
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import Refusal
from quorate.protocols.mechanisms import NAMES, refused
from quorate.recipes.compare.kinds import (
    Choice,
    Flag,
    Mistakes,
    Names,
    Number,
    Pair,
    Range,
    Shares,
    Text,
    hint,
    key,
    table,
)
from quorate.recipes.compare.rows import YARDSTICKS
from quorate.recipes.compare.tasks_csv import Orders, orders
from quorate.recipes.compare.toml_lines import Document, parsed, text_of
from quorate.recipes.compare.topology import topology

SPACES = ("plane", "graph")
SOURCES = ("arrivals", "csv", "flights", "demands")
MECHANISMS = (*NAMES, YARDSTICKS[0])
STRIKES = ("leaders_crash", "split_election")  # attacks from outside: nobody of the fleet takes part
KINDS = ("lie", "own_goal", "hog", "forge", "silent", "flood", "vandal", "skim", *STRIKES)

_SHARE = Number(0, 1)
_TICK = Number(0, whole=True)
_ANY = Number(0)
_POSITIVE = Number(0, ranged=True)
_TICKS = Number(0, whole=True, ranged=True)
_POINT = Pair("a point [x, y]")


@dataclass(frozen=True)
class Space:
    kind: str = key("plane", Choice(SPACES), "plane or graph")
    size: tuple[float, float] | None = key(None, Pair("a size [width, height]", least=0.0), "of the plane")
    topology: str | None = key(None, Text("the name of a topology"), "of the graph, a network of topohub")


@dataclass(frozen=True)
class Energy:
    drain: Range = key(Range(0.0, 0.0), _POSITIVE, "share of a full charge spent per unit of distance")
    charge: Range = key(Range(0.05, 0.05), _POSITIVE, "share of a full charge gained per tick at a depot")
    reserve: Range = key(Range(0.2, 0.2), Number(0, 1, ranged=True), "below it an agent goes to the nearest depot")


@dataclass(frozen=True)
class Agents:
    count: int | None = key(None, Number(0, 1e8, whole=True), "how many")
    skills: tuple[tuple[str, float], ...] = key((), Shares("skills"), "held by all, or by a share of them")
    speed: Range = key(Range(1.0, 1.0), _POSITIVE, "distance per tick")
    sight: Range = key(Range(math.inf, math.inf), Number(0, ranged=True, endless=True), "distance")
    capacity: Range = key(Range(1, 1), Number(0, 1e6, whole=True, ranged=True), "units it brings to a team")
    energy: Energy = key(Energy(), Energy, "charge, drain and reserve")
    variant: str = key("", Text("a name"), "what a common fault strikes")
    at: tuple[float, float] | None = key(None, _POINT, "where they begin")
    node: str | None = key(None, Text("the name of a node"), "where they begin")


@dataclass(frozen=True)
class Hotspot:
    share: float = key(0.5, _SHARE, "of the tasks that fall into it")
    radius: float = key(1.0, _ANY, "distance")
    period: float = key(120.0, _ANY, "ticks in which it goes round once")


@dataclass(frozen=True)
class Tasks:
    source: str = key("arrivals", Text("a source of tasks"), "arrivals, csv:FILE, flights:DATE or demands:TOPOLOGY")
    rate: float = key(1.0, _ANY, "tasks released per tick in the whole space")
    hotspot: Hotspot | None = key(None, Hotspot, "where many of them fall")
    value: Range = key(Range(1.0, 1.0), _POSITIVE, "what serving is worth")
    slack: Range = key(Range(10, 29), _TICKS, "ticks from release to the latest start")
    grace: int | None = key(None, _TICK, "ticks after release within which a start is not late")
    duration: Range = key(Range(1, 1), Number(1, 1e6, whole=True, ranged=True), "ticks of serving")
    team: Range = key(Range(1, 1), Number(1, 1e6, whole=True, ranged=True), "units that must be there at once")
    needs: tuple[tuple[str, float], ...] | None = key(None, Shares("skills", None, True), "share that needs each")
    tick: float = key(5.0, Number(0.1, 120), "minutes")
    early: float = key(0.0, Number(0, 1440), "minutes before its time that a flight may leave")
    tolerance: float = key(60.0, Number(0, 1440), "minutes after its time that a flight may leave")
    fleet: str = key("historic", Choice(("historic", "binding")), "which aircraft there are")

    @property
    def kind(self) -> str:
        return self.source.split(":")[0]

    @property
    def detail(self) -> str:
        return self.source.partition(":")[2]


@dataclass(frozen=True)
class Depot:
    at: tuple[float, float] | None = key(None, _POINT, "a point of the plane")
    node: str | None = key(None, Text("the name of a node"), "a node of the graph")


@dataclass(frozen=True)
class Links:
    range: float = key(math.inf, Number(0, endless=True), "distance over which agents hear each other")
    loss: float = key(0.0, _SHARE, "of the messages")
    delay: int = key(0, Number(0, 1000, whole=True), "ticks until mail arrives")
    bytes_per_tick: int | None = key(None, Number(1, whole=True), "an agent may send")
    centre_messages: int | None = key(None, Number(1, whole=True), "the centre handles per tick")
    rounds: int = key(4, Number(1, 1000, whole=True), "of messages in a tick")


@dataclass(frozen=True)
class Crash:
    share: float = key(0.3, _SHARE, "of the agents")
    at: int | None = key(None, _TICK, "tick")
    back: int | None = key(None, _TICK, "tick of return")
    leaders_first: bool = key(False, Flag(), "those who lead fail first")
    variant: str | None = key(None, Text("a variant of agents"), "all agents of this variant fail instead")


@dataclass(frozen=True)
class Churn:
    leave: float = key(0.0, _SHARE, "chance per tick that an agent leaves")
    join: float = key(0.0, _SHARE, "chance per tick that an absent one comes back")


@dataclass(frozen=True)
class Partition:
    at: int | None = key(None, _TICK, "tick")
    lasts: int = key(50, Number(1, whole=True), "ticks")


@dataclass(frozen=True)
class Faults:
    crash: Crash | None = key(None, Crash, "agents that fail")
    churn: Churn | None = key(None, Churn, "agents that come and go")
    partition: Partition | None = key(None, Partition, "halves that cannot talk")


@dataclass(frozen=True)
class Attack:
    share: float = key(0.0, _SHARE, "of the agents that attack")
    kinds: tuple[str, ...] = key(KINDS, Names("kinds of attack", KINDS), "what they may do")
    strongest: str = key("fixed", Choice(("fixed", "search")), "the worst of the list, or also searched for")


@dataclass(frozen=True)
class Objective:
    late: float = key(0.0, Number(most=0), "per task and tick finished after the soft end")
    travel_cost: float = key(0.05, _ANY, "what a tick on the way costs an agent, in value")


@dataclass(frozen=True)
class Central:
    retry: int = key(3, Number(1, 100, whole=True), "tries per message")
    standby: bool = key(True, Flag(), "a second centre takes over")


@dataclass(frozen=True)
class Compare:
    mechanisms: tuple[str, ...] = key(
        ("alone", "central", "hierarchy", "claim", "contract_net", "auction", "cbba", "stigmergy", "hybrid"),
        Names("mechanisms", MECHANISMS, refused),
        "to compare",
    )
    seeds: int = key(20, Number(2, 100_000, whole=True), "runs of each")


@dataclass(frozen=True)
class Description:
    """A fleet file that was read.

    `document` knows where each key stands, `orders` holds the rows of a CSV of tasks, `folder` is what its path starts
    from. `ticks` None: until the last deadline of a CSV or a day of flights, else 300.

    >>> fleet = read_text('[[agents]]\\ncount = 3\\nspeed = [0.3, 0.6]')
    >>> fleet.agents[0].speed, fleet.tasks.slack, fleet.links.loss
    (Range(low=0.3, high=0.6), Range(low=10, high=29), 0.0)
    """

    name: str = key("", Text("a name"), "of the fleet")
    ticks: int | None = key(None, Number(1, 10_000_000, whole=True), "how long a run lasts")
    space: Space = key(Space(), Space, "where")
    agents: tuple[Agents, ...] = key((), [Agents], "groups of agents")
    tasks: Tasks = key(Tasks(), Tasks, "what there is to do")
    depots: tuple[Depot, ...] = key((), [Depot], "where agents charge")
    links: Links = key(Links(), Links, "how mail travels")
    faults: Faults = key(Faults(), Faults, "what fails")
    attack: Attack = key(Attack(), Attack, "who attacks")
    objective: Objective = key(Objective(), Objective, "what counts")
    central: Central = key(Central(), Central, "the centre")
    compare: Compare = key(Compare(), Compare, "what is compared")
    document: Document | None = None
    orders: Orders | None = None

    def share_of(self, variant: str) -> float:
        """The share of the agents that are of this variant; of a day's aircraft all are of one."""
        counts = [1 if group.count is None else group.count for group in self.agents]
        mine = sum(count for count, group in zip(counts, self.agents, strict=True) if group.variant == variant)
        return mine / max(sum(counts), 1)

    @property
    def skills(self) -> tuple[str, ...]:
        """Every skill that an agent may hold or a task need, in order of appearance."""
        named = [name for group in self.agents for name, _ in group.skills]
        named += [name for name, _ in self.tasks.needs or ()]
        named += [name for row in self.orders or () for name in row.needs]
        return tuple(dict.fromkeys(named))


def read(path: str | os.PathLike) -> Description:
    """Reads a fleet file, and the CSV of tasks that it names (its path starts from the fleet file's folder).

    Errors: Refusal that lists every mistake of the file, each as `file:line:column: what is wrong; what is allowed`:
    unknown keys and names with the nearest valid one, values of a wrong type or out of range, keys that do not go
    together. Where the fleet file is in order, the mistakes of the CSV are listed alike. Whether such a fleet can
    serve anything is asked by `possible`.
    """
    path = os.fspath(path)
    description = read_text(text_of(path, "TOML"), path)
    if description.tasks.kind != "csv":
        return description
    file = Path(path).parent / description.tasks.detail
    space = description.space
    if space.kind == "graph":
        return dataclasses.replace(description, orders=orders(file, topology(space.topology).names))
    rows = orders(file)
    if space.size is None:
        points = [(row.x, row.y) for row in rows]
        points += [thing.at for thing in (*description.agents, *description.depots) if thing.at is not None]
        space = dataclasses.replace(space, size=(max(1.0, *(x for x, _ in points)), max(1.0, *(y for _, y in points))))
    return dataclasses.replace(description, orders=rows, space=space)


def read_text(text: str, path: str = "fleet.toml") -> Description:
    """The same from a text; a CSV that it names is not read. `path` is what errors call it."""
    document = parsed(text, path)
    mistakes = Mistakes(document)
    found = table(Description, document.data, (), mistakes)
    _check_space(found, mistakes)
    _check_source(found, mistakes)
    for index, group in enumerate(found.agents):
        _check_place(("agents", index), group, found, mistakes)
    for index, depot in enumerate(found.depots):
        _check_place(("depots", index), depot, found, mistakes)
        if depot.at is None and depot.node is None and "depots" in document.data:
            mistakes.add(("depots", index), "a depot needs its place: at = [x, y] in a plane, node in a graph")
    _check_crash(found, mistakes)
    mistakes.tell()
    space = found.space
    if space.kind == "plane" and space.size is None and found.tasks.kind == "arrivals":
        space = dataclasses.replace(space, size=(10.0, 10.0))
    if space.kind == "graph" and space.topology is None:
        named = found.tasks.detail if found.tasks.kind == "demands" else "germany50"
        space = dataclasses.replace(space, topology=named)
    name = found.name or Path(path).stem
    return dataclasses.replace(found, name=name, space=space, document=document)


def _check_crash(found: Description, mistakes: Mistakes) -> None:
    crash, where = found.faults.crash, ("faults", "crash")
    if crash is None or crash.variant is None:
        return
    known = [group.variant for group in found.agents if group.variant and group.count != 0]
    if crash.variant not in known:
        told = hint(crash.variant, known) if known else "write variant in [[agents]]"
        mistakes.add((*where, "variant"), f'no agents are of the variant "{crash.variant}"; {told}', value=True)
    for name in ("share", "leaders_first"):
        if (*where, name) in mistakes.document.spans:
            mistakes.add((*where, name), f"{name} does not go with variant, of which all fail")


def _check_space(found: Description, mistakes: Mistakes) -> None:
    space, where = found.space, ("space",)
    if space.kind == "plane" and space.topology is not None:
        mistakes.add((*where, "topology"), 'topology goes with kind = "graph"; this space is a plane')
    if space.kind == "graph" and space.size is not None:
        mistakes.add((*where, "size"), 'size goes with kind = "plane"; this space is a graph')
    if space.size is not None and min(space.size) == 0:
        mistakes.add((*where, "size"), "a plane needs a width and a height above 0", value=True)
    if space.kind == "graph" and space.topology is not None:
        _try_topology(space.topology, (*where, "topology"), mistakes)


def _try_topology(name: str, where: tuple, mistakes: Mistakes) -> None:
    try:
        topology(name)
    except Refusal as refusal:
        if "not installed" in str(refusal):
            raise
        mistakes.add(where, str(refusal), value=True)


_ARRIVALS = ("rate", "slack", "needs", "hotspot")
_FLIGHTS = ("tick", "early", "tolerance", "fleet")
_TAKES = {
    "arrivals": (*_ARRIVALS, "value", "grace", "duration", "team"),
    "demands": (*_ARRIVALS[:-1], "value", "grace", "duration", "team"),
    "csv": ("value", "grace", "duration", "team"),
    "flights": (*_FLIGHTS, "value"),
}


def _check_source(found: Description, mistakes: Mistakes) -> None:
    tasks, where = found.tasks, ("tasks", "source")
    kind, detail = tasks.kind, tasks.detail
    if kind not in SOURCES:
        mistakes.add(where, f'no source of tasks is called "{kind}"; {hint(kind, SOURCES)}', value=True)
        return
    wants = {"csv": "csv:orders.csv", "flights": "flights:2013-10-02"}.get(kind)
    if wants and not detail:
        mistakes.add(where, f"the source {kind} names what it reads, such as {wants}", value=True)
    if kind == "arrivals" and ":" in tasks.source:
        mistakes.add(where, "the source arrivals takes nothing after a colon", value=True)
    if kind == "flights" and detail and not _is_day_of_2013(detail):
        mistakes.add(where, f"{detail} is no day of 2013; write flights:2013-10-02", value=True)
    wanted = {"flights": "plane", "demands": "graph"}.get(kind)
    if wanted and found.space.kind != wanted:
        mistakes.add(where, f'the source {kind} needs space = {{ kind = "{wanted}" }}', value=True)
    if kind == "demands" and detail:
        _try_topology(detail, where, mistakes)
        if found.space.topology not in (None, detail):
            mistakes.add(where, f"the demands of {detail} belong to its graph, not to {found.space.topology}", True)
    if kind == "flights" and found.space.size is not None:
        mistakes.add(("space", "size"), "flights bring their own space, the plane around New York's airports")
    given = mistakes.document.data.get("tasks", {})
    for name in given if isinstance(given, dict) else ():
        known = {item.name for item in dataclasses.fields(Tasks)}
        if name in known - {"source"} and name not in _TAKES[kind]:
            goes = [source for source in SOURCES if name in _TAKES[source]]
            mistakes.add(("tasks", name), f"{name} goes with the source {' or '.join(goes)}, not with {kind}")
    if kind == "flights":
        _check_aircraft(found, mistakes)
    if found.space.kind == "graph" and tasks.hotspot is not None and kind == "arrivals":
        mistakes.add(("tasks", "hotspot"), "a hot spot moves on a plane; in a graph use the source demands")


def _check_aircraft(found: Description, mistakes: Mistakes) -> None:
    for index, _ in enumerate(found.agents):
        if index:
            mistakes.add(("agents", index), "the day's aircraft are the agents: one [[agents]] says what they can do")
        for name in ("count", "skills", "at", "node"):
            if ("agents", index, name) in mistakes.document.spans:
                mistakes.add(("agents", index, name), f"{name} comes with the flights, it cannot be given")


def _is_day_of_2013(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).year == 2013 and len(text) == 10
    except ValueError:
        return False


def _check_place(where: tuple, thing: Agents | Depot, found: Description, mistakes: Mistakes) -> None:
    space = found.space
    if thing.at is not None and space.kind == "graph":
        mistakes.add((*where, "at"), "at goes with a plane; in a graph write node")
    elif thing.at is not None and (space.size or found.tasks.kind == "arrivals"):
        width, height = space.size or (10.0, 10.0)
        if not (0 <= thing.at[0] <= width and 0 <= thing.at[1] <= height):
            typed = mistakes.document.typed((*where, "at"))
            mistakes.add((*where, "at"), f"at is {typed}; it lies outside the plane of {width:g} x {height:g}", True)
    if thing.node is not None and space.kind == "plane":
        mistakes.add((*where, "node"), "node goes with a graph; in a plane write at = [x, y]")
    elif thing.node is not None:
        name = space.topology or (found.tasks.detail if found.tasks.kind == "demands" else "germany50")
        try:
            names = topology(name).names
        except Refusal:
            return  # told where the topology is named
        if thing.node not in names:
            message = f'{name} has no node "{thing.node}"; {hint(thing.node, names)}'
            mistakes.add((*where, "node"), message, value=True)
