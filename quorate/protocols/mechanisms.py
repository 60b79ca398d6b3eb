"""Coordination mechanisms for fleets: from what each agent sees to the place it heads for; and strategies that save
mail around them."""

from collections.abc import Callable

import numpy as np
from jaxtyping import PyTree

from quorate.core import BoardProtocol, Protocol
from quorate.errors import Refusal, unknown
from quorate.protocols.alone import ALONE
from quorate.protocols.auction import AUCTION
from quorate.protocols.cbba import CBBA
from quorate.protocols.central import CENTRAL, CENTRAL_NAIVE
from quorate.protocols.claim import CLAIM_EVICTING, CLAIM_FINAL
from quorate.protocols.clustered import EVERYBODY, Clustered
from quorate.protocols.contract_net import CONTRACT_NET
from quorate.protocols.hierarchy import HIERARCHY
from quorate.protocols.hybrid import HYBRID
from quorate.protocols.quorum import QUORUM
from quorate.protocols.say_once import SayOnce
from quorate.protocols.site import Mechanism, Site
from quorate.protocols.stigmergy import STIGMERGY
from quorate.protocols.strategies import PolicySilence, SelectiveBroadcast
from quorate.protocols.team_claim import TEAM_CLAIM, TEAM_MARKS

MECHANISMS: dict[str, Mechanism] = {
    "alone": ALONE,
    "central": CENTRAL,
    "central_naive": CENTRAL_NAIVE,
    "hierarchy": HIERARCHY,
    "claim": CLAIM_FINAL,
    "claim_evicting": CLAIM_EVICTING,
    "contract_net": CONTRACT_NET,
    "team_claim": TEAM_CLAIM,
    "team_marks": TEAM_MARKS,
    "auction": AUCTION,
    "hybrid": HYBRID,
    "stigmergy": STIGMERGY,
    "quorum": QUORUM,
    "cbba": CBBA,
}

BEAT = 3  # ticks between signs of life under `silence`

# name -> (the protocol, what one node proposes, the site) -> the same protocol with less to say
STRATEGIES: dict[str, Callable[[Protocol, PyTree, Site], Protocol]] = {
    "selective": lambda protocol, proposal, site: (
        SelectiveBroadcast(protocol=protocol, proposal=proposal)
        if isinstance(protocol, BoardProtocol)
        else SayOnce(protocol=protocol)
    ),
    "silence": lambda protocol, proposal, site: PolicySilence(protocol=protocol, proposal=proposal, heartbeat=BEAT),
    "clustered": lambda protocol, proposal, site: Clustered(
        protocol=protocol, proposal=proposal, region_of=_clusters(protocol, site), anchor=site.regions.anchor
    ),
}

_MUTE = "says nothing, so there is nothing to save"
_MARKS = "leaves marks that fade; one that is left out is gone, not still so"
_VOTES = "posts one ballot of sums a term, and a sum cannot know what was left out"
_ONE = "reports to one place; with clusters between the agents and it, it is hierarchy"

# (mechanism, strategy) that do not go together -> why
APART: dict[tuple[str, str], str] = {
    **{("alone", strategy): _MUTE for strategy in STRATEGIES},
    **{("stigmergy", strategy): _MARKS for strategy in STRATEGIES},
    **{("quorum", strategy): _VOTES for strategy in STRATEGIES},
    **{(name, "clustered"): _ONE for name in ("central", "central_naive")},
    ("hierarchy", "clustered"): "is clusters with leaders already",
    ("cbba", "clustered"): "talks to its nearest few alone already",
    ("cbba", "silence"): "believes the bid of who asks for one tick, so silence cannot stand for it",
}

# Every name that may be asked for: a mechanism, or one with a strategy, such as auction+silence.
NAMES = (
    *MECHANISMS,
    *(f"{name}+{how}" for name in MECHANISMS for how in STRATEGIES if (name, how) not in APART),
)


def _clusters(protocol: Protocol, site: Site) -> np.ndarray:
    """The region of each place of a board; places that are no task's are everybody's."""
    more = getattr(protocol, "places", 0) - site.places
    return np.pad(site.regions.of, (0, max(more, 0)), constant_values=EVERYBODY)


def refused(name: str) -> str | None:
    """Why a mechanism has no such strategy, where both are known; None for any other name.

    >>> refused("alone+silence"), refused("claim+silence")
    ('alone says nothing, so there is nothing to save', None)
    """
    mechanism, _, strategy = name.partition("+")
    why = APART.get((mechanism, strategy))
    return why and f"{mechanism} {why}"


def mechanism(name: str) -> Mechanism:
    """The registry's entry of that name, of a name with a strategy that of its mechanism, or a refusal that says why
    the two do not go together, or names the nearest one."""
    why = refused(name)
    if why:
        raise Refusal(f"there is no {name}: {why}")
    if name not in NAMES:
        raise unknown("mechanism", name, NAMES)
    return MECHANISMS[name.partition("+")[0]]


def sparing(name: str, protocol: Protocol, proposal: PyTree, site: Site) -> Protocol:
    """The protocol of mechanism `name` with the strategy that its name asks for, if any."""
    strategy = name.partition("+")[2]
    return STRATEGIES[strategy](protocol, proposal, site) if strategy else protocol
