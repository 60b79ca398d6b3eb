"""Coordination mechanisms for fleets: from what each agent sees to the place it heads for; and strategies that save
mail around those that meet at desks."""

from collections.abc import Callable

from jaxtyping import PyTree

from quorate.core import BoardProtocol
from quorate.errors import unknown
from quorate.protocols.alone import ALONE
from quorate.protocols.auction import AUCTION
from quorate.protocols.cbba import CBBA
from quorate.protocols.central import CENTRAL, CENTRAL_NAIVE
from quorate.protocols.claim import CLAIM_EVICTING, CLAIM_FINAL
from quorate.protocols.clustered import Clustered
from quorate.protocols.contract_net import CONTRACT_NET
from quorate.protocols.hierarchy import HIERARCHY
from quorate.protocols.hybrid import HYBRID
from quorate.protocols.quorum import QUORUM
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
STRATEGIES: dict[str, Callable[[BoardProtocol, PyTree, Site], BoardProtocol]] = {
    "selective": lambda protocol, proposal, site: SelectiveBroadcast(protocol=protocol, proposal=proposal),
    "silence": lambda protocol, proposal, site: PolicySilence(protocol=protocol, proposal=proposal, heartbeat=BEAT),
    "clustered": lambda protocol, proposal, site: Clustered(
        protocol=protocol, proposal=proposal, region_of=site.regions.of, anchor=site.regions.anchor
    ),
}
DESKS = ("claim", "claim_evicting", "contract_net", "auction")  # what they can stand around

# Every name that may be asked for: a mechanism, or one of desks with a strategy, such as auction+silence.
NAMES = (*MECHANISMS, *(f"{name}+{strategy}" for name in DESKS for strategy in STRATEGIES))


def mechanism(name: str) -> Mechanism:
    """The registry's entry of that name, of a name with a strategy that of its mechanism, or a refusal with the nearest
    one."""
    if name not in NAMES:
        raise unknown("mechanism", name, NAMES)
    return MECHANISMS[name.partition("+")[0]]


def sparing(name: str, protocol: BoardProtocol, proposal: PyTree, site: Site) -> BoardProtocol:
    """The protocol of mechanism `name` with the strategy that its name asks for, if any."""
    strategy = name.partition("+")[2]
    return STRATEGIES[strategy](protocol, proposal, site) if strategy else protocol
