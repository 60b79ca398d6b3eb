"""Every lie that one liar can tell in a small network, message by message, by the protocol's own code."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate import comms
from quorate.core import Inbox
from quorate.protocols.neighbourhood_vote import NeighbourhoodVote, Spread, neighbourhoods
from quorate.recipes.sensor_network.places import Place

BEFORE = 1  # what all believe at first
ORDERS = {"above": (2, 3), "below": (3, 2)}  # where the false value lies; what some see, and what nobody sees
WORDS = (0, BEFORE, 2, 3)  # what a liar may tell each of its receivers in each round
WAVES = 2


class Explored(NamedTuple):
    """plays: ways to lie. positions: distinct states of the honest sensors that were reached, over all rounds.
    false: positions in which an honest sensor believes what nobody has seen. least: the smallest share of honest
    sensors that know the true value in the end."""

    plays: int
    positions: int
    false: int
    least: float


@eqx.filter_jit
def _after(spread: Spread, links: Any, liar: Any, ballots: Any, lies: Any) -> Any:
    """Ballots [S, N, ...] and lies [M, N] -> ballots [S, M, N, ...]. The liar's own ballot stays as it is."""
    n = links.index.shape[0]

    def one(ballot: Any, lie: Any) -> Any:
        sent = jax.vmap(spread.send)(ballot)
        speaks = jax.vmap(spread.speaks)(ballot)
        from_liar = links.index == liar
        payload = jnp.where(from_liar, lie[:, None], sent[links.index])
        heard = links.real & jnp.where(from_liar, (lie != 0)[:, None], speaks[links.index])
        inbox = Inbox(payload * heard, links.index, heard, jnp.zeros(n, jnp.uint32))
        new = jax.vmap(spread.receive)(comms.node_keys(jax.random.key(0), n), ballot, inbox)
        return jax.tree.map(lambda a, b: a.at[liar].set(b[liar]), new, ballot)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(ballots, lies)


def _distinct(ballots: Any) -> Any:
    """Every state once."""
    leaves = [np.asarray(leaf).reshape(len(leaf), -1).astype(np.int32) for leaf in jax.tree.leaves(ballots)]
    _, index = np.unique(np.concatenate(leaves, axis=1), axis=0, return_index=True)
    return jax.tree.map(lambda leaf: leaf[np.sort(index)], ballots)


def explore(
    place: Place, liar: int, observers: tuple[int, ...], waves: int, margin: int = 1, lie: str = "above"
) -> Explored:
    """All lies of `liar` to each who hears it, in every round of one step, after all believed BEFORE. Of two values
    with equally many votes the smaller is taken, so it matters whether the false one lies above or below the true.

    States that are alike are followed once, so the cost is that of the states, not of the plays.
    """
    true, untrue = ORDERS[lie]
    links, circles = neighbourhoods(place.links)
    spread, n = Spread(vote=NeighbourhoodVote(margin=margin), circles=circles, waves=waves), place.num_agents
    receivers = [i for i in range(n) if i != liar and liar in np.asarray(links.index)[i][np.asarray(links.real)[i]]]
    lies = np.zeros((len(WORDS) ** len(receivers), n), np.int32)
    lies[:, receivers] = np.array(np.meshgrid(*[WORDS] * len(receivers), indexing="ij")).reshape(len(receivers), -1).T
    sees = np.isin(np.arange(n), observers) * true
    known = jax.vmap(partial(spread.boot, None))(jnp.arange(n))
    known = known._replace(belief=jnp.full(n, BEFORE, jnp.int32))
    ballots = jax.vmap(partial(spread.propose, None))(known, jnp.asarray(sees, jnp.int32))
    ballots = jax.tree.map(lambda leaf: np.asarray(leaf)[None], ballots)
    honest = np.arange(n) != liar
    positions = false = 0
    for _ in range(spread.rounds):
        after = _after(spread, links, jnp.int32(liar), ballots, jnp.asarray(lies))
        ballots = _distinct(jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), after))
        beliefs = np.asarray(ballots.known.belief)[:, honest]
        positions += len(beliefs)
        false += int((beliefs == untrue).any(axis=1).sum())
    return Explored(len(lies) ** spread.rounds, positions, false, float((beliefs == true).mean(axis=1).min()))
