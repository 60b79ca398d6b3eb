"""Fleets that cannot work, told before anything runs."""

import math
from collections.abc import Iterator

from quorate.errors import Refusal
from quorate.recipes.compare.description import Agents, Description
from quorate.recipes.compare.instance import HORIZON, LEAST_PLACES
from quorate.recipes.compare.kinds import hint, listed
from quorate.recipes.compare.tasks_csv import Order
from quorate.recipes.compare.topology import topology

MOST_PLACES = 10_000_000
MOST_SKILLS = 31  # bits of a mask


def possible(description: Description) -> list[str]:
    """What makes this fleet impossible, each as `file:line:column: what`; empty for a fleet that can be run.

    A fleet is impossible if it has no agents, tasks, mechanisms or places to charge; if agents cannot move, bring
    nothing or cannot get from anywhere to a depot; if a task needs skills that no agent has together, a team larger
    than all agents with these skills, a deadline before its release, or a predecessor that is unknown, comes round to
    itself or cannot be done in time; and if a fault comes after the end. Shares of skills are taken at their best: a
    skill that a share above 0 holds is there.

    Cost: O(agents' groups x kinds of tasks + rows of the CSV).

    >>> from quorate.recipes.compare.description import read_text
    >>> possible(read_text('[[agents]]\\ncount = 2\\nspeed = 0\\n'))
    ['fleet.toml:3:9: speed is 0; agents that do not move serve nothing']
    """
    return [
        *_agents(description),
        *_tasks(description),
        *_energy(description),
        *_orders(description),
        *_rest(description),
    ]


def require(description: Description) -> None:
    """Refuses an impossible fleet, with the first 20 reasons."""
    complaints = possible(description)
    if complaints:
        raise Refusal(*listed(complaints))


def _agents(fleet: Description) -> Iterator[str]:
    at = fleet.document.at
    if fleet.tasks.kind != "flights" and sum(_count(group) for group in fleet.agents) == 0:
        yield f"{at(('agents',))}: there are no agents; [[agents]] with a count makes some"
    if len(fleet.skills) > MOST_SKILLS:
        yield f"{at(('agents',))}: there are {len(fleet.skills)} skills; at most {MOST_SKILLS} can be told apart"
    for index, group in enumerate(fleet.agents):
        where = ("agents", index)
        if group.speed.low == 0:
            yield f"{at((*where, 'speed'), True)}: speed is 0; agents that do not move serve nothing"
        if group.capacity.low == 0:
            yield f"{at((*where, 'capacity'), True)}: capacity is 0; agents that bring no unit serve nothing"


def _tasks(fleet: Description) -> Iterator[str]:
    tasks, at = fleet.tasks, fleet.document.at
    if tasks.kind in ("arrivals", "demands"):
        if tasks.rate == 0:
            yield f"{at(('tasks', 'rate'), True)}: rate is 0; there are no tasks"
        elif max(tasks.rate * (tasks.slack.high + 1), LEAST_PLACES) > MOST_PLACES:
            places = tasks.rate * (tasks.slack.high + 1)
            yield (
                f"{at(('tasks', 'rate'), True)}: rate x (slack + 1) is {places:.3g} places for tasks; at most "
                f"{MOST_PLACES:,} can be simulated"
            )
        if tasks.value.high == 0:
            yield f"{at(('tasks', 'value'), True)}: value is 0; there is nothing to gain"
        for index, (name, share) in enumerate(tasks.needs or ()):
            if share > 0:
                plain = ("tasks", "needs", index) in fleet.document.spans
                where = at(("tasks", "needs", index if plain else name), True)
                yield from _needed(fleet, (name,), tasks.team.high, where)
        if tasks.needs is None and fleet.skills:
            for name in fleet.skills:
                yield from _needed(fleet, (name,), tasks.team.high, at(("tasks", "team"), True))
        if not fleet.skills or tasks.needs is not None and sum(share for _, share in tasks.needs) < 1 - 1e-9:
            yield from _needed(fleet, (), tasks.team.high, at(("tasks", "team"), True))
        spot = tasks.hotspot
        if spot is not None and 0 in (spot.radius, spot.period):
            name = "radius" if spot.radius == 0 else "period"
            yield f"{at(('tasks', 'hotspot', name), True)}: {name} is 0; a hot spot needs one above 0"
    if tasks.kind == "demands" and not topology(fleet.space.topology).demand.any():
        yield f"{at(('tasks', 'source'), True)}: {fleet.space.topology} comes without demands; use the source arrivals"


def _needed(fleet: Description, needs: tuple[str, ...], team: float, where: str) -> Iterator[str]:
    """Whether agents who hold all of `needs` exist and are enough for a team."""
    named = " and ".join(needs)
    able = [group for group in fleet.agents if all(dict(group.skills).get(name, 0) > 0 for name in needs)]
    if not sum(_count(group) for group in able):
        held = [name for group in fleet.agents for name, share in group.skills if share > 0]
        if sum(_count(group) for group in fleet.agents):  # else it is told that there are no agents
            more = f"; {hint(named, dict.fromkeys(held))}" if held and len(needs) == 1 else ""
            yield f"{where}: no agent has {f'the skill {named}' if len(needs) == 1 else f'{named} together'}{more}"
        return
    units = sum(_count(group) * group.capacity.high for group in able)
    if 0 < units < team:
        whose = f"all agents with {named}" if needs else "all agents"
        yield f"{where}: a team of {team:g} is more than {whose} bring together, {units:g}"


def _count(group: Agents) -> int:
    return 1 if group.count is None else group.count


def _energy(fleet: Description) -> Iterator[str]:
    at = fleet.document.at
    for index, group in enumerate(fleet.agents):
        energy, where = group.energy, ("agents", index, "energy")
        if energy.drain.high == 0:
            continue
        if not fleet.depots:
            yield f"{at((*where, 'drain'), True)}: agents lose charge and there is no depot; [[depots]] makes one"
        if energy.charge.low == 0:
            yield f"{at((*where, 'charge'), True)}: charge is 0; agents that are empty stay empty"
        if energy.reserve.high >= 1:
            yield f"{at((*where, 'reserve'), True)}: reserve is 1; agents would never leave their depot"
        far, reach = _farthest(fleet), 1 / energy.drain.high
        if fleet.depots and reach < far:
            yield (
                f"{at((*where, 'drain'), True)}: a full charge lasts for a way of {reach:.4g}; the farthest place is "
                f"{far:.4g} from a depot"
            )


def _farthest(fleet: Description) -> float:
    """How far the farthest node, or corner of the plane, is from its nearest depot."""
    if fleet.space.kind == "graph":
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        graph = topology(fleet.space.topology)
        nodes = [graph.names.index(depot.node) for depot in fleet.depots]
        table = csr_array((graph.lengths, graph.links.T), shape=(len(graph.names),) * 2)
        return float(dijkstra(table, directed=False, indices=nodes).min(axis=0).max()) if nodes else 0.0
    if fleet.space.size is None:
        return 0.0
    width, height = fleet.space.size
    corners = ((0, 0), (0, height), (width, 0), (width, height))
    return max(min((math.dist(corner, depot.at) for depot in fleet.depots), default=0.0) for corner in corners)


def _orders(fleet: Description) -> Iterator[str]:
    rows = fleet.orders or ()
    numbers = {row.id: row for row in rows}
    end = _end(fleet)

    def at(row: Order, column: str) -> str:
        return f"{fleet.orders.path}:{row.line}:{row.columns.get(column, 1)}"

    if rows and end is not None and all(row.release >= end for row in rows):
        yield f"{fleet.document.at(('ticks',), True)}: every task is released after the end, tick {end - 1}"
    if rows and all((fleet.tasks.value.high if row.value is None else row.value) == 0 for row in rows):
        yield f"{at(rows[0], 'value')}: every value is 0; there is nothing to gain"
    begins, looped = _earliest(fleet)
    told: set[tuple] = set()
    for row in rows:
        if row.deadline < row.release:
            yield f"{at(row, 'deadline')}: the deadline, {row.deadline}, is before the release, {row.release}"
        size = fleet.space.size
        for axis, name in enumerate("xy"):
            place = getattr(row, name)
            if size is not None and place is not None and not 0 <= place <= size[axis]:
                yield f"{at(row, name)}: {name} is {place:g}, outside the plane of {size[0]:g} x {size[1]:g}"
        if row.after and row.after not in numbers:
            yield f'{at(row, "after")}: no task is called "{row.after}"; {hint(row.after, numbers)}'
        elif row.id in looped:
            if looped[row.id] not in told:
                told.add(looped[row.id])
                ring = looped[row.id]
                yield f"{at(row, 'after')}: these tasks wait for each other: {' after '.join((*ring, ring[0]))}"
        elif row.release <= row.deadline < begins.get(row.id, 0):
            yield (
                f"{at(row, 'after')}: {row.after} cannot be done before tick {begins[row.id]}, after the deadline, "
                f"{row.deadline}"
            )
        team = fleet.tasks.team.high if row.team is None else row.team
        if (row.needs, team) not in told:
            told.add((row.needs, team))
            yield from _needed(fleet, row.needs, team, at(row, "needs" if row.needs else "team"))


def _earliest(fleet: Description) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """The first tick at which each task could begin, and for each task in a ring of predecessors that ring."""
    rows = {row.id: row for row in fleet.orders or ()}
    begins: dict[str, int] = {}
    looped: dict[str, tuple[str, ...]] = {}
    shortest = int(fleet.tasks.duration.low)
    for start in rows:
        chain: dict[str, None] = {}
        name = start
        while name in rows and name not in begins and name not in chain and name not in looped:
            chain[name] = None
            name = rows[name].after
        if name in chain:
            way = list(chain)
            ring = tuple(way[way.index(name) :])
            looped |= dict.fromkeys(ring, ring)
        for name in reversed(chain):
            row = rows[name]
            before = rows.get(row.after)
            if name in looped:
                continue
            begins[name] = row.release
            if before is not None and before.id in begins:
                ready = begins[before.id] + (shortest if before.duration is None else before.duration)
                begins[name] = max(row.release, ready)
    return begins, looped


def _end(fleet: Description) -> int | None:
    """The tick after the last, where it can be told without drawing a fleet."""
    if fleet.ticks is not None or fleet.tasks.kind == "flights":
        return fleet.ticks
    return max(row.deadline for row in fleet.orders) + 1 if fleet.orders else HORIZON


def _rest(fleet: Description) -> Iterator[str]:
    at, end = fleet.document.at, _end(fleet)
    crash, partition = fleet.faults.crash, fleet.faults.partition
    for name, fault in (("crash", crash), ("partition", partition)):
        if fault is not None and fault.at is not None and end is not None and fault.at >= end:
            yield f"{at(('faults', name, 'at'), True)}: at is {fault.at}, after the end, tick {end - 1}"
    if crash is not None and crash.back is not None and crash.at is not None and crash.back <= crash.at:
        yield f"{at(('faults', 'crash', 'back'), True)}: back is {crash.back}, not after the crash at {crash.at}"
    if fleet.attack.share > 0 and not fleet.attack.kinds:
        yield f"{at(('attack', 'kinds'), True)}: kinds is empty, and share says that some agents attack"
    if not fleet.compare.mechanisms:
        yield f"{at(('compare', 'mechanisms'), True)}: mechanisms is empty; there is nothing to compare"
