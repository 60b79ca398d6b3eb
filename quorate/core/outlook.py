"""Outlook: what a member of a fleet sees and may choose from. Worlds with tasks show it, mechanisms read it."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int


class Outlook(NamedTuple):
    """One agent's view of a world of tasks at places; a world's observation has leaves [N, ...] of it.

    Announcements are public: everybody knows place, value, need, deadline and number of every announced task. Whether
    a task is already taken is seen only within sight; beyond it an announced task is believed to be open. An action
    is the place to head for, or -1 to stay.

    place     the K places to choose from; -1 pads
    worth     value less the cost of the way; what idling is worth is 0; 0 where not open
    open      may be chosen: announced, not seen to be taken, within skills, to be reached before the deadline
    number    which task of its place it is: a place offers one after another
    eta       ticks until arrival
    team      units that must be there at once
    free      may choose: present, not serving, not on the way to a depot
    heading   the place it heads for (or waits at), -1: none
    task      the number of the task it heads for or serves
    left      ticks of way left to it, 0 where there is none
    valid     as far as it sees, that task is still there
    waited    ticks it has waited there for others
    serving   the place whose task it serves, -1: none
    served    the place whose task it has finished just now, -1: none
    region    the region it is in
    demand    announced tasks in that region that are not done; those being served count until their deadline
    capacity  units it brings to a team
    health    in [0, 1): fixed for life; who leads is decided by it
    t         the tick, the same for all
    """

    place: Int[Array, " K"]
    worth: Float[Array, " K"]
    open: Bool[Array, " K"]
    number: Int[Array, " K"]
    eta: Float[Array, " K"]
    team: Int[Array, " K"]
    free: Bool[Array, ""]
    heading: Int[Array, ""]
    task: Int[Array, ""]
    left: Float[Array, ""]
    valid: Bool[Array, ""]
    waited: Int[Array, ""]
    serving: Int[Array, ""]
    served: Int[Array, ""]
    region: Int[Array, ""]
    demand: Float[Array, ""]
    capacity: Int[Array, ""]
    health: Float[Array, ""]
    t: Int[Array, ""]
