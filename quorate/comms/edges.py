"""Sums over neighbours on an edge list: a few hubs do not make every list as long as theirs. O(E) a round."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from quorate.comms.channel import Channel, Sums, bill, like, talkers, told, with_own
from quorate.comms.sums import account, listened
from quorate.core import Fault, Key, Neighbours, State, Traffic


class Edges(NamedTuple):
    """Who hears whom as compressed rows: receiver i hears `sender[starts[i]:starts[i + 1]]`, ascending.

    `receiver` is the row of each edge, `loops` who hears itself. For a `TallyProtocol` only. Talkers from outside are
    heard by everybody and have no edges.
    """

    receiver: Int[Array, " E"]
    sender: Int[Array, " E"]
    starts: Int[Array, " N_and_one"]
    loops: Bool[Array, " N"]


def rows(num_agents: int, receiver: np.ndarray, sender: np.ndarray) -> Edges:
    """Edges in any order, each once, on the host."""
    order = np.lexsort((sender, receiver))
    receiver, sender = receiver[order].astype(np.int32), sender[order].astype(np.int32)
    starts = np.searchsorted(receiver, np.arange(num_agents + 1)).astype(np.int32)
    loops = np.zeros(num_agents, bool)
    loops[receiver[receiver == sender]] = True
    return Edges(*map(jnp.asarray, (receiver, sender, starts, loops)))


def to_edges(links: Neighbours) -> Edges:
    """Neighbour lists as an edge list, on the host; talkers from outside need no edges and are left out.

    >>> from quorate import comms
    >>> to_edges(comms.ring(3)).starts.tolist()
    [0, 3, 6, 9]
    """
    index, real = np.asarray(links.index), np.asarray(links.real)
    receiver, slot = np.nonzero(real & (index < len(index)))
    pairs = np.unique(np.stack([receiver, index[receiver, slot]]), axis=1)
    return rows(len(index), *pairs)


def to_neighbours(edges: Edges) -> Neighbours:
    """An edge list as padded lists [N, K], K being the largest degree, on the host. Rows ascend.

    >>> from quorate import comms
    >>> to_neighbours(comms.ring(3, sparse=True)).index.tolist()
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    receiver, starts = np.asarray(edges.receiver), np.asarray(edges.starts)
    degree = np.diff(starts)
    real = np.arange(degree.max(initial=0))[None, :] < degree[:, None]
    index = np.zeros(real.shape, np.int32)
    index[receiver, np.arange(len(receiver)) - starts[receiver]] = np.asarray(edges.sender)
    return Neighbours(jnp.asarray(index), jnp.asarray(real))


def gather(
    key: Key,
    round_: Int[Array, ""],
    sent: PyTree,
    speaks: Bool[Array, " N"],
    links: Edges,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
) -> tuple[State, PyTree, Traffic]:
    """Each node's sum over those it hears, [N, ...]: what the padded lists of the same graph add up to.

    A `CountingAttack` sees the same tally of everybody as on every route, and tells each receiver at most as many lies
    as there are liars whom it hears.
    """
    num_agents = speaks.shape[0]
    lying, lies = talkers(fault, fault_state, num_agents)
    member, outside = listened(trusted, num_agents, fault.extras)
    others = links.sender != links.receiver

    def over_edges(leaf: Array) -> Array:
        dtype = jnp.int32 if leaf.dtype == bool else leaf.dtype
        return jax.ops.segment_sum(leaf.astype(dtype)[links.sender], links.receiver, num_agents, True)

    def reach(marked: Array) -> Array:
        marked &= jnp.concatenate([member, outside])
        inside = over_edges(marked[:num_agents]) - (marked[:num_agents] & links.loops)
        return inside + jnp.sum(marked[num_agents:], dtype=jnp.int32)

    counted, able = speaks & member & ~lying, speaks | lying
    said = jax.tree.map(lambda leaf: jnp.where(like(counted, leaf), leaf, 0).astype(leaf.dtype), sent)
    offered = jnp.sum(able[links.sender] & others, dtype=jnp.float32) + float(fault.extras * num_agents)
    heard = jnp.sum((able & member)[links.sender] & others, dtype=jnp.float32)
    heard += jnp.sum(outside, dtype=jnp.float32) * num_agents
    arriving = reach(jnp.concatenate([able, lies[num_agents:]])) if isinstance(fault, Channel) else None
    sums = Sums(jax.tree.map(over_edges, said), counted & links.loops, arriving, reach, num_agents + fault.extras)
    seen = account(round_, sent, speaks, lying, trusted, num_agents, fault.extras)
    fault_state, sums = told(key, fault, fault_state, seen, sums, lies)
    total = with_own(sums.total, sent, speaks & links.loops & (lying | ~member))
    if arriving is not None:
        heard = jnp.sum(sums.arriving, dtype=jnp.float32)
    return fault_state, total, bill(offered, heard, sent, speaks)
