"""What a fleet's world remembers from tick to tick."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int, PyTree, UInt

ABSENT, BLOCKED, OPEN, ACTIVE, DONE, EXPIRED = range(6)
STATUS = ("absent", "blocked", "open", "active", "done", "expired")


class Tallies(NamedTuple):
    """Sums since the episode began.

    offered, started, expired  tasks released, started, and never started by their deadline
    value_offered, value_served  their values
    late      sum of (finish - due)+ over started tasks, ticks
    waste     trips that ended at a task others had taken: found so on arrival, or left over when it started
    served    value each agent has served; a team's is shared by units
    starts    services each agent has taken part in
    """

    offered: Int[Array, ""]
    started: Int[Array, ""]
    expired: Int[Array, ""]
    value_offered: Float[Array, ""]
    value_served: Float[Array, ""]
    late: Float[Array, ""]
    waste: Int[Array, ""]
    served: Float[Array, " N"]
    starts: Int[Array, " N"]


class FleetState(NamedTuple):
    """The state before tick t.

    seed      of the episode's arrivals
    where     position in the space
    heading   the place an agent heads for or waits at, -1: none; task: the number of the task there, or served last
    waited    ticks it has waited there
    serving   the place it serves or served last, until tick `until`
    energy, depot   in [0, 1], and the depot it goes to or charges at, -1: none; () for a fleet without drain
    last      of each place, the number of the task started last, -1: none; finish: the tick it is done
    """

    t: Int[Array, ""]
    seed: UInt[Array, "2"]
    where: PyTree
    heading: Int[Array, " N"]
    task: Int[Array, " N"]
    waited: Int[Array, " N"]
    serving: Int[Array, " N"]
    until: Int[Array, " N"]
    energy: Any
    depot: Any
    last: Int[Array, " M"]
    finish: Int[Array, " M"]
    tallies: Tallies
