"""Heads: a twin that works out who leads, one cluster, clusters of one, heads that take turns, and fleets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Silent
from quorate.errors import Refusal
from quorate.protocols.alone import Alone
from quorate.protocols.cbba import Cbba
from quorate.protocols.claim import Claim
from quorate.protocols.strategies.heads import Heads, lot
from quorate.protocols.strategies.say_once import SayOnce
from quorate.testing import check_protocol
from tests import outlooks
from tests.proof import later
from tests.protocols.strategies.test_silent_holders import fleet, opened, tick, twin_tick
from tests.protocols.test_cbba import AGENTS, OPTIONS, PLACES

ROUNDS, REGIONS = 4, 3
INNER = Cbba(options=OPTIONS, rounds=ROUNDS)
LINKS = comms.ring(AGENTS, reach=2)
WORD = 2**32


def hashed(who: int, t: int) -> int:
    """`lot` in whole numbers."""
    word = who
    for salt in ((t + 0x9E3779B9) % WORD, 0):
        word ^= salt
        word = (word ^ (word >> 16)) * 0x21F0AAAD % WORD
        word = (word ^ (word >> 15)) * 0x735A2D97 % WORD
        word ^= word >> 15
    return word


def test_lots():
    """Those written out; no two of a tick alike."""
    for t in (0, 1, 77):
        drawn = np.asarray(lot(jnp.arange(10_000), jnp.int32(t)))
        assert drawn[:50].tolist() == [hashed(who, t) for who in range(50)]
        assert len(np.unique(drawn)) == 10_000


def regional(seed: int, t: int):
    """Options at random, each agent in some region."""
    region = np.random.default_rng([seed, t]).integers(0, REGIONS, AGENTS)
    view = outlooks.random(100 * seed + t, AGENTS, PLACES, OPTIONS)
    return view._replace(region=jnp.asarray(region, jnp.int32), t=jnp.full(AGENTS, t, jnp.int32))


def agrees(kind=Heads, seeds=range(6)) -> bool:
    """Whether decisions and bills of three ticks are those of the protocol among whom a written-out rule lets speak,
    in every other life with losses."""
    protocol = kind(protocol=INNER)
    index, real = np.asarray(LINKS.index), np.asarray(LINKS.real)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        lasting, known = (comms.boot(jax.random.key(0), part, AGENTS) for part in (protocol, INNER))
        for t in range(3):
            view = regional(seed, t)
            region = np.asarray(view.region)
            arrives = rng.random((ROUNDS, *index.shape)) < (1.0 if seed % 2 else 0.6)
            heads = np.ones(AGENTS, bool)
            for i in range(AGENTS):
                heard = {int(j) for k, j in enumerate(index[i]) if real[i, k] and arrives[0, i, k]} | {i}
                fellows = [j for j in heard if region[j] == region[i]]
                heads[i] = min(fellows, key=lambda j, t=t: hashed(j, t)) == i

            def who_speaks(number, ballot, heard, heads=heads):
                return heads if number else np.ones(AGENTS, bool)

            decided, lasting, sent = tick(protocol, lasting, view, LINKS, jnp.asarray(arrives))
            told, known, offered = twin_tick(INNER, known, view, LINKS, arrives, who_speaks)
            if float(sent) != offered or decided.tolist() != told.tolist():
                return False
    return True


def test_it_is_its_twin_with_and_without_loss():
    assert agrees()


class Borderless(Heads):
    """Heads whatever the region."""

    def leads(self, ballot, inbox):
        same = inbox.payload._replace(region=jnp.full_like(inbox.payload.region, ballot.region))
        return super().leads(ballot, inbox._replace(payload=same))


class Lasting(Heads):
    """The lots of the first tick stay."""

    def leads(self, ballot, inbox):
        return super().leads(ballot._replace(t=jnp.int32(0)), inbox)


class Talkative(Heads):
    """Members go on talking."""

    def speaks(self, ballot):
        return self.protocol.speaks(ballot.own)


class Fickle(Heads):
    """Draws lots again in each round, among those who speak in it."""

    def receive(self, key, ballot, inbox):
        return super().receive(key, ballot._replace(begun=jnp.array(False)), inbox)


@pytest.mark.parametrize("bug", [Borderless, *later(Lasting, Talkative, Fickle)])
def test_the_twin_catches(bug):
    assert not agrees(bug)


EVERY = jnp.ones((ROUNDS, AGENTS, AGENTS), bool)


def test_where_all_hear_all_each_region_has_one_head():
    """Messages: all in the first round, one a region in each of the others."""
    protocol, links = Heads(protocol=INNER), comms.complete(AGENTS)
    lasting = comms.boot(jax.random.key(0), protocol, AGENTS)
    for seed in range(4):
        view = regional(seed, 0)
        sent = tick(protocol, lasting, view, links, EVERY)[2]
        regions = len(np.unique(view.region))
        assert float(sent) == (AGENTS + (ROUNDS - 1) * regions) * (AGENTS - 1)


def leaders(kind, ticks: int):
    """Who leads in each tick [T, N], all in one region on a ring."""
    protocol, links = kind(protocol=INNER), comms.ring(AGENTS)

    @jax.jit
    def one(t):
        view = outlooks.random(0, AGENTS, PLACES, OPTIONS)._replace(t=jnp.full(AGENTS, 1, jnp.int32) * t)
        ballot = opened(protocol, comms.boot(jax.random.key(0), protocol, AGENTS), view)
        mail = jax.tree.map(lambda leaf: leaf[links.index], jax.vmap(protocol.send)(ballot))
        inbox = comms.Inbox(mail, links.index, links.real, jnp.zeros(AGENTS, jnp.uint32))
        return jax.vmap(protocol.leads)(ballot, inbox)

    return np.stack([one(jnp.int32(t)) for t in range(ticks)])


def test_heads_take_turns():
    """Of three in a row each is the least in a third of all ticks; two neighbours never lead together."""
    found = leaders(Heads, 300)
    assert (abs(found.mean(0) - 1 / 3) < 0.1).all()
    assert not (found & np.roll(found, 1, axis=1)).any()
    same = leaders(Lasting, 20)
    assert (same == same[0]).all()


def plays(protocol, seed: int, alone: bool):
    """Decisions, messages and what lasts of the protocol itself after two ticks, all in one region or each alone."""
    lasting, found = comms.boot(jax.random.key(0), protocol, AGENTS), []
    rounds = protocol.rounds
    for t in range(2):
        region = jnp.arange(AGENTS) if alone else jnp.zeros(AGENTS, jnp.int32)
        view = regional(seed, t)._replace(region=region)
        heard = jnp.ones((rounds, *LINKS.index.shape), bool)
        decided, lasting, sent = tick(protocol, lasting, view, LINKS, heard)
        found.append((decided.tolist(), float(sent)))
    own = lasting.own if isinstance(protocol, Heads) else lasting
    return found, [np.asarray(leaf) for leaf in jax.tree.leaves(own)]


def same(one, other, alone: bool) -> bool:
    """Whether two protocols do the same, bit for bit."""
    both = [(plays(one, seed, alone), plays(other, seed, alone)) for seed in range(5)]
    return all(a[0] == b[0] and all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True)) for a, b in both)


def test_one_agent_a_region_or_one_round_is_the_protocol_itself():
    brief = Cbba(options=OPTIONS, rounds=1)
    assert same(Heads(protocol=INNER), INNER, alone=True)
    assert same(Heads(protocol=brief), brief, alone=False)
    assert not same(Heads(protocol=INNER), INNER, alone=False)


@pytest.mark.slow
def test_around_words_said_once():
    """A node away from all others of its region says the same only once, with or without heads."""
    once = SayOnce(protocol=INNER)
    assert same(Heads(protocol=once), once, alone=True)


@pytest.mark.slow
def test_promises():
    check_protocol(Heads(protocol=Cbba(options=3, rounds=2)), outlooks.random(0, 4, 6, 3))


def headed(protocol):
    return Heads(protocol=protocol)


@pytest.mark.slow
def test_a_fleet_serves_nearly_as_much_for_half_of_the_mail():
    (served, sent), (whole, all_sent) = fleet(headed), fleet()
    assert abs(np.mean(served - whole)) < 0.03
    assert 0.3 * all_sent < sent < 0.6 * all_sent


def test_refusals():
    with pytest.raises(Refusal, match="Claim has a board; Clustered"):
        Heads(protocol=Claim(places=3))
    with pytest.raises(Refusal, match="Alone says nothing"):
        Heads(protocol=Alone())
    with pytest.raises(Refusal, match="Silent says nothing"):
        Heads(protocol=Silent())
    protocol = Heads(protocol=INNER)
    with pytest.raises(Refusal, match="tuple has no region; Heads takes an Outlook"):
        protocol.propose(jax.random.key(0), protocol.boot(jax.random.key(0), 0), (1, 2))
