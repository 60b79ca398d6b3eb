"""The contract tests as functions: call them on a part of your own before you trust it in a scenario.

    check_world(world, at_size)      check_learner(learner, world, at_size)      check_utility(utility, world)
    check_fault(fault)               check_monitor(monitor)                      check_protocol(protocol, proposal)
    check_scenario(scenario)

Each raises `AssertionError` with the promise that is broken in plain words, and returns None if all are kept. `at_size`
builds a world for a number of agents; with it one and two agents are tried too. Each check compiles some small programs
and takes about a second.

>>> from quorate.worlds.imperfect_devices import ImperfectDevices, draw
>>> check_world(ImperfectDevices(errors=draw(0, 4)))
"""

from quorate.testing.fault import check_fault, check_monitor
from quorate.testing.learner import check_learner, check_utility
from quorate.testing.protocol import check_protocol
from quorate.testing.scenario import check_scenario
from quorate.testing.world import check_world

__all__ = [
    "check_fault",
    "check_learner",
    "check_monitor",
    "check_protocol",
    "check_scenario",
    "check_utility",
    "check_world",
]
