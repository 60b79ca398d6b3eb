"""The fleet world: agents that travel to tasks on a plane or a graph. Begin with `fleet.rolling` and `Fleet`."""

from quorate.worlds.fleet.build import assemble, health, hot_spot, plane, rolling
from quorate.worlds.fleet.candidates import Candidates, candidates
from quorate.worlds.fleet.coverage import missed
from quorate.worlds.fleet.fleet import Fleet
from quorate.worlds.fleet.space import Graph, Plane, Spot, at_nodes, graph
from quorate.worlds.fleet.state import STATUS, FleetState, Tallies
from quorate.worlds.fleet.tasks import NEVER, Arrivals, HotSpot, Tasks, Trace, trace

__all__ = [
    "NEVER",
    "STATUS",
    "Arrivals",
    "Candidates",
    "Fleet",
    "FleetState",
    "Graph",
    "HotSpot",
    "Plane",
    "Spot",
    "Tallies",
    "Tasks",
    "Trace",
    "assemble",
    "at_nodes",
    "candidates",
    "graph",
    "health",
    "hot_spot",
    "missed",
    "plane",
    "rolling",
    "trace",
]
