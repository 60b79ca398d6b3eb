"""The six contracts (World, Protocol, Utility, Learner, Fault, Monitor), their null objects, and what joins them.

Every part is an `equinox.Module`: a frozen dataclass that is a pytree, with keyword-only fields. What shapes the
program is static; what one might sweep is an array. N agents, A actions, K neighbours, M places, T ticks, B runs.
Agents are the leading axis of states and the last axis of `parts`. A part that is not wanted is a null object
(`Silent`, `NoFault`, `Unwatched`), which the compiler removes. Read `world.py`, `learner.py`, `scenario.py`, then
`quorate/step.py`, which has the loop; `protocol.py` and `fault.py` when agents talk, fail or lie.
"""

from quorate.core.aggregative import AggregativeWorld, At, Places, replaced
from quorate.core.fault import Board, CountingAttack, Fault, Mail, Monitor, NoFault, Tally, Unwatched
from quorate.core.fields import Ballot, Key, Memory, Mind, Payload, State, static, swept
from quorate.core.learner import Learner, Team, Utility
from quorate.core.outlook import Outlook
from quorate.core.property import Property, Registered, Roster
from quorate.core.protocol import (
    BoardProtocol,
    Collected,
    Heap,
    Inbox,
    News,
    Posts,
    Protocol,
    Silent,
    TallyProtocol,
    add_up,
)
from quorate.core.scenario import Carry, Progress, Scenario, Step, Traffic
from quorate.core.world import Neighbours, World

__all__ = [
    "AggregativeWorld",
    "At",
    "Ballot",
    "Board",
    "BoardProtocol",
    "Carry",
    "Collected",
    "CountingAttack",
    "Fault",
    "Roster",
    "Heap",
    "Inbox",
    "Key",
    "Learner",
    "Mail",
    "Memory",
    "Mind",
    "Monitor",
    "Neighbours",
    "News",
    "NoFault",
    "Outlook",
    "Payload",
    "Places",
    "Posts",
    "Progress",
    "Property",
    "Protocol",
    "Registered",
    "Scenario",
    "Silent",
    "State",
    "Step",
    "Tally",
    "TallyProtocol",
    "Team",
    "Traffic",
    "Unwatched",
    "Utility",
    "World",
    "add_up",
    "replaced",
    "static",
    "swept",
]
