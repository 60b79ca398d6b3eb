"""Site: what a deployment knows beforehand about a fleet, and what each coordination mechanism is made from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quorate.core import Protocol

ALONE_AFTER = 1  # ticks; our choice, by what `Central` and `Hierarchy` say of it


class Regions(NamedTuple):
    """The space cut into G regions.

    of       the region of each place, int32[M]
    anchor   a place in or next to the middle of each region, where agents are sent that have no task yet, int32[G]
    near     the nearest other regions of each, nearest first, int32[G, near]; the region itself pads
    spread   how far these are, in ticks of travel, float32[G, near]
    local    the number of each place among those of its region, int32[M]
    most     places in the fullest region
    """

    of: np.ndarray
    anchor: np.ndarray
    near: np.ndarray
    spread: np.ndarray
    local: np.ndarray
    most: int


class Site(NamedTuple):
    """agents N, places M, options K that an agent sees; the rest are the settings of mechanisms.

    regions    cells for leaders and for intentions
    members    most agents that a cell's leader can hear in a round
    rounds     message rounds a tick
    lease      ticks a claim lives without a sign of its holder
    patience   ticks a holder may take without coming nearer before its claim is no longer renewed
    team       the largest team a task asks for
    budget     messages a tick that a centre can take and send, 0: any number
    tries      times an agent reports to a centre or leader in a tick until it is answered
    standby    whether a second host stands by for the centre
    alone_after  ticks without an answer of the centre, or of a leader, after which an agent acts on its own
    eps        bidding step of auctions
    gain       share of the wanted agents that an intention moves in a tick
    period     ticks between intentions
    delay      ticks that mail takes each way, where a mechanism is to run within `Delayed`
    """

    agents: int
    places: int
    options: int
    regions: Regions
    members: int = 64
    rounds: int = 4
    lease: int = 5
    patience: int = 8
    team: int = 1
    budget: int = 0
    tries: int = 3
    standby: bool = True
    alone_after: int = ALONE_AFTER
    eps: float = 0.1
    gain: float = 0.1
    period: int = 5
    delay: int = 0


class Mechanism(NamedTuple):
    """A coordination mechanism: `make(site)` gives the protocol that turns outlooks into places to head for.

    about   what it does, in a line
    teams   whether it can bring several agents to one task
    """

    make: Callable[[Site], Protocol]
    about: str
    teams: bool = False
