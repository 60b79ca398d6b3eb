"""Whether two protocols do the same, by going through everything that their nodes can hear."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import Inbox, TallyProtocol
from quorate.verify.automaton import GRID
from quorate.verify.check import Verified

STEP = 64  # arrays are padded to multiples of it, so that few shapes are compiled


def alike(one: Verified, other: Verified) -> bool:
    """Whether two protocols of one instance do the same in a tick, whatever is heard, seen from outside: who speaks,
    what it says and what it decides, for every node and proposal, through all rounds.

    All pairs of ballots that the two can be in together are gone through. Tallies: every total and every meaning of the
    coin. Inboxes of yes and no: each sender says either, as far as it may speak in that round, silence being a no;
    one's own message is true.
    """
    n, t = one.roster
    both = one.protocol, other.protocol
    me, value = (x.ravel() for x in np.meshgrid(np.arange(n), np.asarray(one.entry.values, np.int32), indexing="ij"))
    pairs = [_begun(protocol, jnp.asarray(me), jnp.asarray(value)) for protocol in both]
    me, *pairs = _distinct((me, *pairs))
    for number in range(one.protocol.rounds):
        (said, speaks, _), others = map(_shown, both, pairs)
        if not (np.array_equal(said, others[0]) and np.array_equal(speaks, others[1])):
            return False
        if isinstance(one.protocol, TallyProtocol):
            cuts = {cut for found in (one, other) for cut in found.game.machine.rounds[number].cuts}
            total, word = np.meshgrid(np.arange(n + t + 1), _padded(np.union1d(list(cuts), GRID)), indexing="ij")
            mail = total.ravel().astype(np.int32), word.ravel().astype(np.uint32)
            after = [_heard(protocol, ballots, *mail) for protocol, ballots in zip(both, pairs, strict=True)]
        else:
            may = [*(bool(np.any(np.asarray(said)[me == i])) for i in range(n)), *[True] * t]
            inboxes = np.array(list(itertools.product((False, True), repeat=n + t))) & np.array(may)[None, :]
            after = [_read(protocol, ballots, me, said, inboxes) for protocol, ballots in zip(both, pairs, strict=True)]
        rows = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), after)
        times = len(jax.tree.leaves(rows)[0]) // len(me)
        me, *pairs = _distinct((np.repeat(me, times), *rows))
    ends = [_shown(protocol, ballots)[2] for protocol, ballots in zip(both, pairs, strict=True)]
    return np.array_equal(*ends)


def _padded(rows: np.ndarray) -> np.ndarray:
    return np.append(rows, np.full(-len(rows) % STEP, rows[0], rows.dtype))


def _distinct(tree: Any) -> Any:
    """Distinct rows; every leaf has one number in a row."""
    leaves = [np.asarray(leaf).astype(np.int64) for leaf in jax.tree.leaves(tree)]
    first = _padded(np.unique(np.stack(leaves, axis=1), axis=0, return_index=True)[1])
    return jax.tree.map(lambda leaf: np.asarray(leaf)[first], tree)


@jax.jit
def _begun(protocol: Any, me: Any, value: Any) -> Any:
    key = jax.random.key(0)
    return jax.vmap(lambda me, value: protocol.propose(key, protocol.boot(key, me), value))(me, value)


@jax.jit
def _shown(protocol: Any, ballots: Any) -> tuple[Any, Any, Any]:
    """What each says, whether it speaks, and what it would decide."""

    def one(ballot: Any) -> tuple[Any, Any, Any]:
        speaks = protocol.speaks(ballot)
        return protocol.send(ballot) & speaks, speaks, protocol.decide(ballot)[0]

    return jax.vmap(one)(ballots)


@jax.jit
def _heard(protocol: Any, ballots: Any, totals: Any, words: Any) -> Any:
    """Ballots after each total with its word, leaves [ballots, totals]."""
    hear = jax.vmap(protocol.hear, (None, None, 0, 0))
    return jax.vmap(hear, (None, 0, None, None))(jax.random.key(0), ballots, totals, words)


@jax.jit
def _read(protocol: Any, ballots: Any, me: Any, said: Any, inboxes: Any) -> Any:
    """Ballots after each inbox, leaves [ballots, inboxes]."""
    sender = jnp.arange(inboxes.shape[1], dtype=jnp.int32)

    def one(ballot: Any, me: Any, own: Any, payload: Any) -> Any:
        payload = jnp.where(sender == me, own, payload)
        return protocol.receive(jax.random.key(0), ballot, Inbox(payload, sender, payload, jnp.uint32(0)))

    return jax.vmap(jax.vmap(one, (None, None, None, 0)), (0, 0, 0, None))(ballots, me, said, inboxes)
