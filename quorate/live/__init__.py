"""Protocols between real nodes: as tasks in memory, or as processes that talk TCP on loopback, with a plan of faults
that the simulator shares and a log that the array code replays.

    front.py       `live`: run, replay and judge
    plan.py        what goes wrong, by hash; the same plan as a fault of the simulator
    node.py        honest nodes, liars, the beacon that holds the coin
    program.py     a protocol's functions as a node calls them
    mailbox.py     what has come, round by round
    wire.py        frames, and payloads as bytes
    transports/    memory, tcp
    cluster.py     everybody in this process; processes.py and child.py: in several
    log.py         what is kept; replay.py: the same in the array code
"""

from quorate.live.front import LiveResult, again, live
from quorate.live.log import Log
from quorate.live.plan import FaultPlan, PlannedFault
from quorate.live.replay import Differences, replay

__all__ = ["Differences", "FaultPlan", "LiveResult", "Log", "PlannedFault", "again", "live", "replay"]
