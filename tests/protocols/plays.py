"""Every play of a small instance, message by message: the protocol's own methods, and lies that are given."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate import comms
from quorate.core import Fault, Inbox

HEADS, TAILS = 2**32 - 1, 0


def every_lie(rounds, n, t):
    """All yes-no lies of t liars to n nodes: [2^(rounds n t), rounds, n, t]."""
    bits = rounds * n * t
    return ((np.arange(2**bits)[:, None] >> np.arange(bits)) & 1).astype(bool).reshape(2**bits, rounds, n, t)


def every_start(n, values=(0, 1)):
    return np.array(list(itertools.product(values, repeat=n)), np.int32)


def every_coin(rounds):
    return np.array(list(itertools.product((TAILS, HEADS), repeat=rounds)), np.uint32)


def play(protocol, proposals, lies, coins):
    """Decisions [N] where everybody hears everybody and then the liars; lies [rounds, N, t], coins [rounds]."""
    n, t = lies.shape[1:3]
    keys, sender = comms.node_keys(jax.random.key(0), n), comms.complete(n, t).index
    ballot = jax.vmap(protocol.propose)(keys, jax.vmap(protocol.boot)(keys, jnp.arange(n)), proposals)
    for r in range(protocol.rounds):
        speaks = jax.vmap(protocol.speaks)(ballot)
        sent = jnp.where(speaks, jax.vmap(protocol.send)(ballot), 0).astype(lies.dtype)
        payload = jnp.concatenate([jnp.broadcast_to(sent, (n, n)), lies[r]], 1)
        heard = jnp.concatenate([jnp.broadcast_to(speaks, (n, n)), jnp.ones((n, t), bool)], 1)
        inbox = Inbox(payload, sender, heard, jnp.broadcast_to(coins[r], n))
        ballot = jax.vmap(protocol.receive)(keys, ballot, inbox)
    return jax.vmap(protocol.decide)(ballot)[0]


@eqx.filter_jit
def outcomes(protocol, proposals, lies, coins):
    """Decisions [plays, N] of one start and one row of coins under each of the lies."""
    return jax.vmap(lambda lie: play(protocol, proposals, lie, coins))(lies)


def broken(promise, protocol, roster, proposals, decisions, values=(0, 1)):
    """Which plays break the property: bool[plays]."""
    given = jnp.broadcast_to(jnp.asarray(proposals), decisions.shape)
    marks = np.asarray(jax.vmap(jax.vmap(lambda x, a: promise.mark(protocol, x, a)))(given, decisions))
    counts = (marks[..., None] == np.arange(promise.marks)).sum(-2)
    proposed = (np.asarray(proposals)[:, None] == np.asarray(values)).sum(0)
    return promise.when(protocol, roster, proposed) & ~promise.holds(protocol, roster, counts)


def count(promises, protocol, roster, coins, starts=None):
    """(plays, breaches of each property) over every start, every lie and every given row of coins."""
    lies = every_lie(protocol.rounds, *roster)
    plays, breaches = 0, [0] * len(promises)
    for proposals in every_start(roster.honest) if starts is None else starts:
        for row in coins:
            decisions = outcomes(protocol, proposals, lies, row)
            plays += len(lies)
            for i, promise in enumerate(promises):
                breaches[i] += int(broken(promise, protocol, roster, proposals, decisions).sum())
    return plays, breaches


class Scripted(Fault):
    """Talkers from outside who say what is written: lies [rounds, N, extras]."""

    lies: jax.Array = eqx.field(kw_only=True, converter=jnp.asarray)

    def on_deliver(self, key, state, mail):
        n = mail.sender.shape[0]
        return state, mail.payload.at[:, n:].set(self.lies[mail.round]), mail.heard


@eqx.filter_jit
def conversed(protocol, proposals, lies, seed):
    """(decisions, coins) by the engine, with the same lies."""
    n, t = lies.shape[1:3]
    key, coin_key = jax.random.key(seed), jax.random.key(seed + 1)
    fault, links = Scripted(lies=lies, extras=t), comms.complete(n, t)
    talked = comms.converse(key, coin_key, protocol, comms.boot(key, protocol, n), proposals, links, fault, (), None, n)
    coins = [jax.random.bits(jax.random.fold_in(coin_key, r), dtype=jnp.uint32) for r in range(protocol.rounds)]
    return talked.decision, jnp.stack(coins)


def check_twin(make, twin, sizes, games=30):
    """The engine's decisions are the twin's, (proposals, lies, coins) -> decisions, on random games of each size."""
    decided = set()
    for n, t in sizes:
        protocol, draw = make(n, t), np.random.default_rng(n)
        for seed in range(games):
            proposals = draw.integers(0, 2, n).astype(np.int32)
            lies = draw.random((protocol.rounds, n, t)) < draw.random()
            decisions, coins = conversed(protocol, jnp.asarray(proposals), lies, jnp.uint32(seed))
            expected = twin(protocol, proposals.tolist(), lies.tolist(), [int(coin) for coin in coins])
            assert np.asarray(decisions).tolist() == expected
            decided.add(tuple(sorted(set(expected))))
    assert {(0,), (1,)} <= decided  # something happened
