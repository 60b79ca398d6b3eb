"""Proposals in, decisions out. `PROTOCOLS` says of each how it is made, what it promises, and holds a small example."""

from quorate.core import Registered
from quorate.errors import unknown
from quorate.protocols import (
    common_coin,
    gossip,
    hidden_stop_vote,
    majority,
    neighbourhood_vote,
    phase_king,
    single_round_vote,
    targets,
)

PROTOCOLS: dict[str, Registered] = {
    "hidden_stop_vote": hidden_stop_vote.HIDDEN,
    "fixed_round_vote": hidden_stop_vote.FIXED,
    "single_round_vote": single_round_vote.SINGLE_ROUND,
    "majority": majority.MAJORITY,
    "common_coin": common_coin.COMMON_COIN,
    "phase_king": phase_king.PHASE_KING,
    "target_votes": targets.TARGET_VOTES,
    "push_sum": gossip.PUSH_SUM,
    "neighbourhood_vote": neighbourhood_vote.NEIGHBOURHOOD,
}


def protocol(name: str) -> Registered:
    """The registry's entry of that name, or a refusal with the nearest one."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
