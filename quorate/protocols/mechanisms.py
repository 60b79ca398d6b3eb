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
from quorate.protocols.contract_net import CONTRACT_NET
from quorate.protocols.hierarchy import HIERARCHY
from quorate.protocols.hybrid import HYBRID
from quorate.protocols.quorum import QUORUM, Quorum
from quorate.protocols.site import Mechanism, Site
from quorate.protocols.stigmergy import STIGMERGY, Stigmergy
from quorate.protocols.strategies.clustered import EVERYBODY, Clustered
from quorate.protocols.strategies.coarse_marks import CoarseMarks
from quorate.protocols.strategies.heads import Heads
from quorate.protocols.strategies.say_once import SayOnce
from quorate.protocols.strategies.selective_broadcast import PolicySilence, SelectiveBroadcast
from quorate.protocols.strategies.silent_holders import SilentHolders
from quorate.protocols.strategies.sparse_marks import SparseMarks
from quorate.protocols.strategies.tiered_vote import TieredVote
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


def _selective(protocol: Protocol, proposal: PyTree, site: Site) -> Protocol:
    if isinstance(protocol, Stigmergy):
        return SparseMarks(protocol=protocol)
    if isinstance(protocol, BoardProtocol):
        return SelectiveBroadcast(protocol=protocol, proposal=proposal)
    return SayOnce(protocol=protocol)


def _silence(protocol: Protocol, proposal: PyTree, site: Site) -> Protocol:
    if isinstance(protocol, Stigmergy):
        return SparseMarks(protocol=protocol, every=BEAT)
    if isinstance(protocol, BoardProtocol):
        return PolicySilence(protocol=protocol, proposal=proposal, heartbeat=BEAT)
    return SilentHolders(protocol=protocol, heartbeat=BEAT)


def _clustered(protocol: Protocol, proposal: PyTree, site: Site) -> Protocol:
    regions = site.regions
    if isinstance(protocol, Stigmergy):
        return CoarseMarks(protocol=protocol, region_of=regions.of, anchor=regions.anchor)
    if isinstance(protocol, Quorum):
        return TieredVote(protocol=protocol, anchor=regions.anchor)
    if isinstance(protocol, BoardProtocol):
        more = max(protocol.places - site.places, 0)  # what is no task's is everybody's
        cut = np.pad(regions.of, (0, more), constant_values=EVERYBODY)
        return Clustered(protocol=protocol, proposal=proposal, region_of=cut, anchor=regions.anchor)
    return Heads(protocol=protocol)


# name -> (the protocol, what one node proposes, the site) -> the same protocol with less to say
STRATEGIES: dict[str, Callable[[Protocol, PyTree, Site], Protocol]] = {
    "selective": _selective,
    "silence": _silence,
    "clustered": _clustered,
}

_MUTE = "says nothing, so there is nothing to save"
_VOTES = "needs every ballot: one that is left out counts against the quorum"
_ONE = "reports to one place; with clusters between the agents and it, it is hierarchy"

# (mechanism, strategy) that do not go together -> why
APART: dict[tuple[str, str], str] = {
    **{("alone", strategy): _MUTE for strategy in STRATEGIES},
    **{("quorum", strategy): _VOTES for strategy in ("selective", "silence")},
    **{(name, "clustered"): _ONE for name in ("central", "central_naive")},
    ("hierarchy", "clustered"): "is clusters with leaders already",
}

# Every name that may be asked for: a mechanism, or one with a strategy, such as auction+silence.
NAMES = (
    *MECHANISMS,
    *(f"{name}+{how}" for name in MECHANISMS for how in STRATEGIES if (name, how) not in APART),
)


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
