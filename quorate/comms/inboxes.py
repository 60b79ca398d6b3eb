"""An inbox for each on padded neighbour lists: O(N K) a round, K being the largest number of neighbours."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.comms.channel import bill, like, talkers
from quorate.comms.sums import account
from quorate.core import Fault, Inbox, Key, Mail, Neighbours, State, Traffic


def with_extras(links: Neighbours, extras: int) -> Neighbours:
    """The lists with a slot at the end for each talker from outside that a list does not name yet: such talkers are
    heard by everybody, on every graph. [N, K + extras]; where K is N + extras or more, as in `complete`, [N, K]: such
    lists have padding for all who are not named, since nobody stands in a list twice. O(N K).

    >>> from quorate import comms
    >>> with_extras(comms.ring(4), 2).index.tolist()[0]
    [0, 1, 3, 4, 5]
    """
    num_agents, width = links.index.shape
    if not extras:
        return links
    real = links.real & (links.index < num_agents + extras)
    outside = jnp.where(real & (links.index >= num_agents), links.index - num_agents, extras)  # out of bounds: dropped
    me = jnp.arange(num_agents)[:, None]
    named = jnp.zeros((num_agents, extras), bool).at[me, outside].set(True, mode="drop")
    if width < num_agents + extras:
        slots = jnp.broadcast_to(num_agents + jnp.arange(extras, dtype=links.index.dtype), (num_agents, extras))
        return Neighbours(jnp.concatenate([links.index, slots], 1), jnp.concatenate([real, ~named], 1))
    rank = jnp.cumsum(~real, axis=1) - 1  # among the padding
    filled = ~real & (rank < jnp.sum(~named, axis=1, keepdims=True))
    missing = jnp.argsort(named, axis=1, stable=True)  # who is not named comes first
    late = num_agents + missing[me, jnp.clip(rank, 0, extras - 1)]
    return Neighbours(jnp.where(filled, late, links.index).astype(links.index.dtype), real | filled)


def exchange(
    key: Key,
    round_: Int[Array, ""],
    sent: PyTree,
    speaks: Bool[Array, " N"],
    links: Neighbours,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
) -> tuple[State, Inbox, Traffic]:
    """Each node's inbox [N, K] in topology order; a talker from outside has a slot whose number is N or more. The
    slots of liars and of talkers from outside are zero until forged; whether the protocol would speak does not bind
    them."""
    num_agents = speaks.shape[0]
    lying, _ = talkers(fault, fault_state, num_agents)
    member = links.index < num_agents
    source = jnp.minimum(links.index, num_agents - 1)
    own = links.index == jnp.arange(num_agents)[:, None]
    real = links.real & (links.index < num_agents + fault.extras)  # nobody sits in the slots of more extras
    listened = real if trusted is None else real & (trusted[links.index] | own)
    able = jnp.where(own, speaks[source], (speaks | lying)[source] | ~member)
    heard = listened & able
    honest = heard & member & (own | ~lying[source])

    def fill(leaf: Array, mask: Array) -> Array:
        return jnp.where(like(mask, leaf), leaf, 0).astype(leaf.dtype)

    true = jax.tree.map(lambda leaf: fill(leaf[source], honest), sent)
    seen = account(round_, sent, speaks, lying, trusted, num_agents, fault.extras)
    mail = Mail(round_, sent, links.index, true, heard, seen)
    fault_state, payload, heard_now = fault.on_deliver(key, fault_state, mail)
    heard = jnp.where(own, heard, heard_now & listened)
    payload = jax.tree.map(lambda said, honest: fill(jnp.where(like(own, said), honest, said), heard), payload, true)
    others = jnp.sum(heard & ~own, dtype=jnp.float32)
    offered = jnp.sum(real & ~own & able, dtype=jnp.float32)
    return fault_state, Inbox(payload, links.index, heard, jnp.uint32(0)), bill(offered, others, sent, speaks)
