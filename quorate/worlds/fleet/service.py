"""Who serves: of those at a place the first to come, as many as the team takes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Crew(NamedTuple):
    """member, share: [N], who begins to serve and which part of its team it is; starts: [M], whose task begins."""

    member: Bool[Array, " N"]
    share: Float[Array, " N"]
    starts: Bool[Array, " M"]


def crews(
    place: Int[Array, " N"],
    able: Bool[Array, " N"],
    waited: Int[Array, " N"],
    capacity: Int[Array, " N"],
    team: Int[Array, " M"],
    largest: int,
) -> Crew:
    """Fills each team whose units are there, longest wait first, then smallest id, until it has its units.

    place     where each agent is; read only where `able`
    capacity  units, at least 1 where `able`
    largest   static bound of `team`; 1 saves counting units

    Cost O(N + M) for each member of the largest team that starts; no sort.
    """
    n, m = place.shape[-1], team.shape[-1]
    ids, nobody = jnp.arange(n, dtype=jnp.int32), jnp.int32(n)

    def first(wanted: Bool[Array, " N"]) -> tuple[Array, Array]:
        """Of the wanted at each place the one to go first (n: none), and who they are."""
        spot = jnp.where(wanted, place, m)
        longest = jnp.full(m, -1, jnp.int32).at[spot].max(waited, mode="drop")
        leads = wanted & (waited == longest[place])
        who = jnp.full(m, nobody).at[jnp.where(leads, place, m)].min(ids, mode="drop")
        return who, leads & (who[place] == ids)

    if largest == 1:
        who, member = first(able)
        return Crew(member, member.astype(jnp.float32), who < n)
    units = jnp.zeros(m, jnp.int32).at[jnp.where(able, place, m)].add(capacity, mode="drop")
    starts = units >= team

    def unfilled(state: tuple) -> Array:
        return jnp.any(state[1] > 0)

    def fill(state: tuple) -> tuple:
        member, short = state
        who, joins = first(able & ~member & (short[place] > 0))
        return member | joins, short - jnp.where(who < n, capacity[jnp.minimum(who, n - 1)], 0)

    member, short = jax.lax.while_loop(unfilled, fill, (jnp.zeros(n, bool), jnp.where(starts, team, 0)))
    brought = jnp.maximum(jnp.where(starts, team, 0) - short, 1)  # the last to join may bring more than is wanted
    share = jnp.where(member, capacity / jnp.where(member, brought[place], 1), 0)
    return Crew(member, share.astype(jnp.float32), starts)
