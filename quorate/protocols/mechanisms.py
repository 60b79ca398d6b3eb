"""Coordination mechanisms for fleets: from what each agent sees to the place it heads for."""

from quorate.errors import unknown
from quorate.protocols.alone import ALONE
from quorate.protocols.auction import AUCTION
from quorate.protocols.claim import CLAIM_EVICTING, CLAIM_FINAL
from quorate.protocols.contract_net import CONTRACT_NET
from quorate.protocols.hybrid import HYBRID
from quorate.protocols.site import Mechanism
from quorate.protocols.team_claim import TEAM_CLAIM, TEAM_MARKS

MECHANISMS: dict[str, Mechanism] = {
    "alone": ALONE,
    "claim": CLAIM_FINAL,
    "claim_evicting": CLAIM_EVICTING,
    "contract_net": CONTRACT_NET,
    "team_claim": TEAM_CLAIM,
    "team_marks": TEAM_MARKS,
    "auction": AUCTION,
    "hybrid": HYBRID,
}


def mechanism(name: str) -> Mechanism:
    """The registry's entry of that name, or a refusal with the nearest one."""
    if name not in MECHANISMS:
        raise unknown("mechanism", name, MECHANISMS)
    return MECHANISMS[name]
