"""The crowd's mail as one sum: O(N) a round, whoever hears whom."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.comms.channel import Channel, Sums, bill, like, talkers, told, with_own
from quorate.core import Fault, Key, State, Tally, Traffic, add_up


def tally(
    key: Key,
    round_: Int[Array, ""],
    sent: PyTree,
    speaks: Bool[Array, " N"],
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
) -> tuple[State, PyTree, Traffic]:
    """The sum of everybody's mail, liars left out, then what the fault makes of it. Own mail counts and is always
    true."""
    num_agents = speaks.shape[0]
    certain = fault.liars(fault_state) is None and trusted is None  # whoever speaks is in the sum
    lying, lies = talkers(fault, fault_state, num_agents)
    member, outside = listened(trusted, num_agents, fault.extras)
    able = speaks | lying
    offered = jnp.sum(able, dtype=jnp.float32) * (num_agents - 1) + float(fault.extras * num_agents)
    heard = jnp.sum(able & member, dtype=jnp.float32) * (num_agents - 1)
    heard += jnp.sum(outside, dtype=jnp.float32) * num_agents
    seen = account(round_, sent, speaks, lying, trusted, num_agents, fault.extras)
    if isinstance(fault, Channel):

        def reach(marked: Array) -> Array:
            marked &= jnp.concatenate([member, outside])
            return jnp.sum(marked, dtype=jnp.int32) - marked[:num_agents]

        arriving = reach(jnp.concatenate([able, lies[num_agents:]]))
        sums = Sums(seen.total, speaks & member & ~lying, arriving, reach, num_agents + fault.extras)
        fault_state, sums = told(key, fault, fault_state, seen, sums, lies)
        total, heard = sums.total, jnp.sum(sums.arriving, dtype=jnp.float32)
    else:
        fault_state, total = fault.on_tally(key, fault_state, seen)
    if not certain:
        missing = speaks & (lying | ~member)  # a liar, or one whom nobody trusts, still hears itself
        total = with_own(total, sent, missing)
    return fault_state, total, bill(offered, heard, sent, speaks)


def listened(trusted: Array | None, num_agents: int, extras: int) -> tuple[Array, Array]:
    """Which members and which talkers from outside are listened to."""
    if trusted is None:
        return jnp.ones(num_agents, bool), jnp.ones(extras, bool)
    return trusted[:num_agents], trusted[num_agents:]


def account(
    round_: Array, sent: PyTree, speaks: Array, lying: Array, trusted: Array | None, num_agents: int, extras: int
) -> Tally:
    """A round as a sum: all ways of mail show attackers the same one."""
    member, outside = listened(trusted, num_agents, extras)
    counts, forged = speaks & member & ~lying, lying & member
    total = jax.tree.map(lambda leaf: add_up(jnp.where(like(counts, leaf), leaf, 0).astype(leaf.dtype)), sent)
    power = jnp.sum(forged, dtype=jnp.int32) + jnp.sum(outside, dtype=jnp.int32)
    return Tally(round_, sent, total, power, forged)
