"""Agents of one make fail together: how often a quorum is lost, exactly and by a vote that is held."""

from functools import cache
from math import comb
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quorate import comms
from quorate.core import NoFault
from quorate.experiments.outcome import Rows
from quorate.measure.intervals import clopper_pearson
from quorate.protocols.quorum import Quorum
from quorate.recipes.mechanisms.snapshot import outlook, snapshot

MAKES = (1, 2, 3, 4, 5, 7, 10)
STRUCK = 0.02  # chance that a make is struck, and all its agents with it
AGENTS = 420  # a multiple of every number of makes


def lost_exactly(makes: int, more_than: bool = True) -> float:
    """P(no quorum), each of `makes` equal parts of the fleet down with chance `STRUCK`; two thirds of all have to be
    exceeded, or only reached.

    >>> [round(lost_exactly(v), 4) for v in (1, 2, 3, 4, 7)], round(lost_exactly(3, more_than=False), 4)
    ([0.02, 0.0396, 0.0588, 0.0023, 0.0003], 0.0012)
    """
    least = makes // 3 if makes % 3 == 0 and more_than else makes // 3 + 1
    least = max(least, 1)
    return sum(comb(makes, down) * STRUCK**down * (1 - STRUCK) ** (makes - down) for down in range(least, makes + 1))


@cache
def _vote() -> Any:
    """A vote of `AGENTS` agents on a plan, of whom some are not there: whether a plan holds."""
    view = outlook(snapshot(AGENTS, np.random.default_rng(0)))
    protocol, key, fault = Quorum(needed=2 * AGENTS // 3 + 1), jax.random.key(0), NoFault()

    @jax.jit
    def held(here: Any) -> Any:
        lasting = comms.boot(key, protocol, AGENTS)
        talked = comms.converse(
            key, key, protocol, lasting, view, None, fault, fault.reset(key, AGENTS), None, AGENTS, here=here
        )
        return jnp.any(here & (talked.lasting.nodes.decree.plan >= 0))

    return held


def plan_holds(makes: int, down: int) -> bool:
    """Whether the fleet gets its quorum of more than two thirds when `down` of `makes` equal parts are away."""
    here = np.arange(AGENTS) % makes >= down
    return bool(_vote()(jnp.asarray(here)))


def rows(trials: int, seed: int) -> Rows:
    """For each number of makes the exact chance, and the share of `trials` draws in which the vote finds no quorum."""
    random, found = np.random.default_rng(seed), []
    for makes in MAKES:
        held = np.array([plan_holds(makes, down) for down in range(makes + 1)])
        lost = int((~held[random.binomial(makes, STRUCK, trials)]).sum())
        seen = clopper_pearson(lost, trials)
        found.append(
            {
                "makes": makes,
                "exact": lost_exactly(makes),
                "exact_at_least": lost_exactly(makes, more_than=False),
                "measured": seen.middle,
                "measured_low": seen.low,
                "measured_high": seen.high,
                "survives": int(held.sum()) - 1,
                "trials": trials,
            }
        )
    return found
