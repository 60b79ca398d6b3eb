"""From one fleet in numbers to a world, to the site of its mechanisms, and to the troubles of a condition."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import cKDTree

from quorate import comms
from quorate.core import BoardProtocol, Fault, Protocol, Scenario
from quorate.errors import Refusal
from quorate.faults import Bandwidth, Chain, Churn, Crash, Loss, Partition, Saboteurs
from quorate.faults.crash import NEVER
from quorate.faults.picking import leaders_first
from quorate.faults.sabotage import KINDS
from quorate.faults.shift import Shift
from quorate.learners.deferring import Deferring
from quorate.protocols.delayed import Delayed
from quorate.protocols.mechanisms import mechanism as named
from quorate.protocols.mechanisms import sparing
from quorate.protocols.site import Site
from quorate.recipes.compare.description import Description
from quorate.recipes.compare.instance import ArrivalsSpec, Instance
from quorate.recipes.compare.site import site
from quorate.worlds import fleet

OPTIONS, FEW = 32, 128  # places an agent chooses from: of arrivals, and of a list of tasks that lie at few spots
REGION = 25  # agents in a region
DEGREE = 6  # neighbours of an agent, where mechanisms talk from agent to agent
STRETCH = 12  # ticks of a candidate table's stretch, for a list of tasks
LINKS = 2_000_000  # agent-neighbour pairs

FAR = "alone_far"  # `alone` with eyes that see everything: a yardstick, not a mechanism


def world(instance: Instance, description: Description) -> fleet.Fleet:
    """The world of an instance."""
    crew, tasks, room = instance.crew, instance.tasks, instance.room
    agents = len(crew.speed)
    listed = not isinstance(tasks, ArrivalsSpec)
    places = tasks.at.shape[1]
    options = min(places, FEW if listed else OPTIONS)
    if room.kind == "plane":
        space = fleet.plane(
            room.size, tasks.at, num_agents=agents, options=options, region_size=REGION, depot=instance.depots
        )
        home: Any = crew.at
    else:
        space = fleet.graph(
            room.links, room.lengths, tasks.node, room.at, depot=instance.depot_nodes, regions=-(-agents // REGION)
        )
        home = fleet.at_nodes(crew.node)
    objective = description.objective
    return fleet.assemble(
        space=space,
        source=_source(instance),
        home=home,
        speed=crew.speed,
        skills=crew.skills,
        capacity=crew.capacity,
        sight=crew.sight,
        drain=crew.drain,
        charge=crew.charge,
        reserve=crew.reserve,
        options=options,
        buckets=max(1, instance.ticks // STRETCH) if listed else 1,
        travel_cost=objective.travel_cost,
        late=objective.late,
    )


def _source(instance: Instance) -> fleet.Arrivals | fleet.Trace:
    tasks = instance.tasks
    if not isinstance(tasks, ArrivalsSpec):
        columns = ("due", "value", "need", "duration", "team", "after")
        return fleet.trace(tasks.release, tasks.deadline, **{name: getattr(tasks, name) for name in columns})
    hot = None if tasks.hotspot is None else fleet.hot_spot(instance.room.size, *tasks.hotspot)
    return fleet.Arrivals(
        phase=tasks.phase,
        period=tasks.period,
        value=tuple(tasks.value),
        slack=tuple(tasks.slack),
        duration=tuple(tasks.duration),
        team=tuple(tasks.team),
        needs=tasks.needs,
        intensity=tasks.intensity,
        grace=tasks.grace,
        hot=hot,
        spread=((), ()) if hot is None else tasks.at,
        largest=int(tasks.team.high),
        needy=bool(np.any(tasks.needs)),
    )


def largest_team(instance: Instance) -> int:
    """The most units that a task of the instance asks for."""
    team = instance.tasks.team
    return int(team.high) if isinstance(instance.tasks, ArrivalsSpec) else int(np.max(team))


def the_site(place: fleet.Fleet, instance: Instance, description: Description) -> Site:
    """What mechanisms know of this fleet, with the file's settings of links and centre."""
    links, central = description.links, description.central
    return site(
        place,
        rounds=links.rounds,
        team=largest_team(instance),
        budget=links.centre_messages or 0,
        tries=central.retry,
        standby=central.standby,
        delay=links.delay,
    )


class Trouble(NamedTuple):
    """What goes wrong in a condition, as numbers: one program serves them all. Where `variant` is named, its agents are
    the share that crashes. `at` is the tick from which something is wrong that was not before, None where nothing is;
    `capacity` the share of agents that is left then."""

    loss: float = 0.0
    crash: float = 0.0
    crash_at: int = NEVER
    crash_back: int = NEVER
    leaders: bool = False
    leave: float = 0.0
    join: float = 0.0
    cut_at: int = NEVER
    cut: int = 0
    saboteurs: float = 0.0
    kind: str | None = None
    variant: str | None = None

    @property
    def at(self) -> int | None:
        found = [tick for tick, on in ((self.crash_at, self.crash > 0), (self.cut_at, self.cut > 0)) if on]
        return min(found) if found else None

    def capacity(self, ticks: int, agents: int) -> np.ndarray:
        """Of the agents, in each tick; who fails is counted in whole agents."""
        tick = np.arange(ticks)
        gone = (tick >= self.crash_at) & (tick < self.crash_back)
        return np.where(gone, 1 - np.round(self.crash * agents) / agents, 1.0)


def fault(trouble: Trouble, place: fleet.Fleet, protocol: Protocol, instance: Instance, budget: int | None) -> Fault:
    """The troubles as one fault. Of everything that could be off the numbers are 0, so nothing compiles anew."""
    strength = {kind.name: kind.strength if kind.name == trouble.kind else 0.0 for kind in KINDS}
    hosts, where = _board(protocol)
    order = fails = leaders_first(place.health, [host for host in dict.fromkeys(hosts.tolist()) if host >= 0])
    if trouble.variant is not None:  # before all leaders of others
        struck = np.asarray(instance.crew.variant) == instance.variants.index(trouble.variant)
        fails = order + struck * (1 + jnp.max(order))
    chosen = trouble.leaders or trouble.variant is not None
    agents, places = sides(place, hosts, where)
    parts: list[Fault] = [
        Saboteurs(share=trouble.saboteurs, hosts=hosts if len(hosts) else None, order=order, **strength),
        Crash(share=trouble.crash, at=trouble.crash_at, back=trouble.crash_back, order=fails, first=chosen),
        Churn(leave=trouble.leave, join=trouble.join),
    ]
    if np.any(instance.crew.since > 0):
        parts.append(Shift(since=instance.crew.since, until=np.full(len(instance.crew.since), NEVER)))
    parts.append(Partition(at=trouble.cut_at, lasts=trouble.cut, agents=agents, places=places))
    if budget is not None:
        parts.append(Bandwidth(bytes=budget))
    return Chain(faults=(*parts, Loss(share=trouble.loss)))


def _board(protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Who keeps each place of a mechanism's board, and at which task place it lies (-1: nobody, nowhere); empty where
    it has no board."""
    count = getattr(protocol, "places", 0)
    if not count:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    index = jnp.arange(count)
    return tuple(np.asarray(jax.vmap(told)(index), np.int32) for told in (protocol.host, protocol.where))


def sides(place: fleet.Fleet, hosts: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The halves of a cut: the half of the agents that begin farthest east, among equals those of higher numbers, and
    the rest. A place of the board that an agent keeps is on its side; any other is east where it lies (`where`, a task
    place) beyond the median home, and in the west if that is no task's. A single agent is not cut from anything."""
    home = np.asarray(place.space.position(place.home))[0]
    east = np.zeros(len(home), bool)
    east[np.argsort(home, kind="stable")[-(-len(home) // 2) :]] = True
    side = np.zeros(max(len(hosts), 1), bool)
    beyond = (np.asarray(place.space.place_position())[0] > np.median(home)) & (len(home) > 1)
    kept = np.flatnonzero(hosts >= 0)
    lies = np.flatnonzero((hosts < 0) & (where >= 0) & (where < len(beyond)))
    side[kept], side[lies] = east[hosts[kept]], beyond[where[lies]]
    return east, side


def neighbours(place: fleet.Fleet, reach: float, degree: int = DEGREE) -> comms.Neighbours:
    """Each agent hears the `degree` agents whose homes are nearest, within `reach`, and itself."""
    home = np.asarray(place.space.position(place.home)).T
    count = min(degree + 1, len(home))
    way, index = cKDTree(home).query(home, k=count)
    way, index = way.reshape(len(home), count), index.reshape(len(home), count)
    own = np.arange(len(home))[:, None]
    index = np.concatenate([own, index], axis=1)[:, :count] if not np.all(np.any(index == own, axis=1)) else index
    near = (way <= reach) | (index == own)
    order = np.argsort(np.where(near, index, len(home)), axis=1, kind="stable")
    index, near = np.take_along_axis(index, order, 1), np.take_along_axis(near, order, 1)
    return comms.Neighbours(jnp.asarray(np.where(near, index, own), jnp.int32), jnp.asarray(near))


def mechanism(name: str, place: fleet.Fleet, known: Site, delay: int) -> Protocol:
    """The protocol of a mechanism with its strategy, or `alone` for the yardstick; with mail that is late where the
    links are slow."""
    protocol = named("alone" if name == FAR else name).make(known)
    view = jax.eval_shape(lambda key: place.observe(key, place.reset(key)), jax.random.key(0))
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), view)
    protocol = sparing(name, protocol, one, known)
    late = delay and isinstance(protocol, BoardProtocol)
    return Delayed(protocol=protocol, ticks=delay, proposal=one) if late else protocol


def servable(names: Sequence[str], place: fleet.Fleet, known: Site, description: Description) -> None:
    """Refuses mechanisms that cannot be made for this fleet, and those from agent to agent where mail is late or
    limited: they have no board whose mail could be."""
    links = description.links
    for name in names:
        try:
            protocol = mechanism(name, place, known, links.delay)
            if protocol.rounds and not isinstance(protocol, BoardProtocol) and (links.delay or links.bytes_per_tick):
                key = "delay" if links.delay else "bytes_per_tick"
                raise Refusal(f"it talks from agent to agent within a tick, where links.{key} is not simulated")
        except Refusal as refusal:
            remedy = "leave it out with --mechanisms, or change the file"
            raise Refusal(f"{name} cannot serve this fleet: {refusal}", remedy) from None


def scenario(place: fleet.Fleet, protocol: Protocol, what: Fault, reach: float = math.inf) -> Scenario:
    """A fleet under a mechanism and troubles."""
    boards = isinstance(protocol, BoardProtocol) or not protocol.rounds
    return Scenario(
        world=place,
        learner=Deferring(),
        commit=protocol,
        fault=what,
        topology=None if boards else neighbours(place, reach),
    )
