"""How much of what is in reach the table of candidates leaves out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate.errors import Refusal
from quorate.worlds.fleet.fleet import Fleet
from quorate.worlds.fleet.state import OPEN, FleetState


def missed(world: Fleet, state: FleetState, sample: int = 256) -> float:
    """The share of open tasks in reach that are not among an agent's options, over `sample` agents spread over the
    ids; 0 when nothing is in reach.

    In reach are open tasks within sight for whose needs the agent has the skills and which it can be at by the
    deadline. At 0 the table holds all that matters; far from it, raise K or, for a `Trace`, the number of buckets.
    Cost O(sample M).

    >>> from quorate.worlds import fleet
    >>> world = fleet.rolling(num_agents=20, density=2.0, options=40)  # K is the number of places
    >>> missed(world, jax.jit(lambda: world.reset(jax.random.key(0)))())
    0.0
    """
    if sample < 1:
        raise Refusal(f"sample is {sample}; it is a count and must be at least 1")
    n = world.num_agents
    chosen = np.unique(np.linspace(0, n - 1, min(sample, n)).round().astype(int))
    distance, deadline, need, is_open, rows = map(np.asarray, _around(world, state, chosen))
    left = deadline - int(state.t) + 1
    speed, sight, skills = (np.asarray(x)[chosen] for x in (world.speed, world.sight, world.skills))
    reach = (distance <= sight[:, None]) & (distance <= speed[:, None] * left[None])
    reach &= is_open[None]
    reach &= (need[None] & ~skills[:, None]) == 0
    listed = np.zeros(reach.shape, bool)
    agent, column = np.nonzero(rows >= 0)
    listed[agent, rows[agent, column]] = True
    return float((reach & ~listed).sum() / max(reach.sum(), 1))


@eqx.filter_jit
def _around(world: Fleet, state: FleetState, chosen: np.ndarray) -> tuple:
    """Of the chosen agents: how far each place is [S, M] and the rows of their tables [S, K]; deadline, need and
    whether it is open, for each place [M]."""
    where = jax.tree.map(lambda leaf: leaf[..., chosen], state.where)
    places = jnp.broadcast_to(jnp.arange(world.num_actions), (len(chosen), world.num_actions))
    distance, tasks = world.space.distance(where, world.space.spot(places)), world.tasks(state)
    rows = world.candidates.rows(world.space.cell(where), state.t)
    return distance, tasks.deadline, tasks.need, world.status(state) == OPEN, rows
