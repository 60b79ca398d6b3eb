"""Silent holders: a twin that works out who speaks, lost beats and crashes, answers to who asks, and fleets."""

from functools import lru_cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, step
from quorate.core import Inbox, Scenario
from quorate.errors import Refusal
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import Alone
from quorate.protocols.bundles import Bundles
from quorate.protocols.cbba import Cbba
from quorate.protocols.claim import Claim
from quorate.protocols.strategies.say_once import SayOnce
from quorate.protocols.strategies.silent_holders import SilentHolders
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks
from tests.proof import later
from tests.protocols.test_cbba import AGENTS, OPTIONS, PAIR, PLACES, RING, Dropped, at_work, life

ROUNDS, BEAT, LEASE = 4, 3, 2
INNER = Cbba(options=OPTIONS, rounds=ROUNDS, lease=LEASE)


@eqx.filter_jit
def tick(protocol, lasting, view, links, heard):
    """One tick: decisions, what lasts, and how many words were offered; heard[R, N, K]: which are not lost."""
    key, agents = jax.random.key(0), view.t.shape[0]
    fault = Dropped(heard)
    talked = comms.converse(key, key, protocol, lasting, view, links, fault, (), None, agents, view.t[0])
    return talked.decision, talked.lasting, talked.traffic.sent


@eqx.filter_jit
def opened(protocol, lasting, view):
    return jax.vmap(protocol.propose)(comms.node_keys(jax.random.key(0), view.t.shape[0]), lasting, view)


@eqx.filter_jit
def a_round(protocol, ballot, links, heard):
    """One round in which heard[N, K] reaches its readers: the ballots after it."""
    agents, index = links.index.shape[0], links.index
    mail = jax.tree.map(lambda leaf: leaf[index], jax.vmap(protocol.send)(ballot))
    inbox = Inbox(mail, index, heard, jnp.zeros(agents, jnp.uint32))
    return jax.vmap(protocol.receive)(comms.node_keys(jax.random.key(0), agents), ballot, inbox)


@eqx.filter_jit
def ended(protocol, ballot):
    return jax.vmap(protocol.decide)(ballot)


def twin_tick(protocol, lasting, view, links, arrives, who_speaks):
    """One tick of the protocol without any wrapper, where `who_speaks(round, ballots, words heard before)` says in
    numpy who does: decisions, what lasts, words offered."""
    ballot, offered = opened(protocol, lasting, view), 0
    index, real = np.asarray(links.index), np.asarray(links.real)
    own, heard = index == np.arange(len(index))[:, None], None
    for number, mask in enumerate(arrives):
        speaks = who_speaks(number, jax.tree.map(np.asarray, ballot), heard)
        offered += int(np.sum(real & ~own & speaks[index]))
        heard = real & speaks[index] & (mask | own)
        ballot = a_round(protocol, ballot, links, jnp.asarray(heard))
    return *ended(protocol, ballot), offered


class Twin:
    """Who speaks, by a dictionary of the claims that each has said last and when."""

    def __init__(self, heartbeat: int, links):
        self.heartbeat, self.index, self.claims = heartbeat, np.asarray(links.index), {}

    def __call__(self, t: int, number: int, ballot, heard):
        words = [tuple(leaf[i].tobytes() for leaf in ballot.bids) for i in range(AGENTS)]
        if number == 0:
            self.said = {}
        speaks = np.zeros(AGENTS, bool)
        for i in range(AGENTS):
            holds = ballot.mine[i] == OPTIONS
            task = (int(ballot.bids.place[i, -1]), int(ballot.bids.number[i, -1]))
            if not holds:
                self.claims.pop(i, None)
                speaks[i] = self.said.get(i) != words[i]
            elif number == 0:
                last = self.claims.get(i)
                speaks[i] = last is None or last[0] != task or t - last[1] >= self.heartbeat
            else:
                asked = any(heard[i, k] and self.bids(self.before, j, task) - {i} for k, j in enumerate(self.index[i]))
                speaks[i] = asked and self.said.get(i) != words[i]
            if speaks[i]:
                self.said[i] = words[i]
            if holds and speaks[i]:
                self.claims[i] = (task, t)
        self.before = ballot.bids
        return speaks

    def bids(self, bids, j: int, task) -> set:
        """Whose bids for the task agent j told."""
        rows = zip(bids.place[j], bids.number[j], bids.winner[j], strict=True)
        return {int(winner) for place, number, winner in rows if (place, number) == task and winner >= 0}


def agrees(kind=SilentHolders, seeds=range(4), days: int = 12) -> bool:
    """Whether decisions and bills are those of the twin in lives in which options come and go, tasks end and are served
    and, in every other life, mail is lost."""
    protocol = kind(protocol=INNER, heartbeat=BEAT)
    plain = Cbba(options=OPTIONS, rounds=ROUNDS, lease=max(LEASE, 2 * BEAT))
    for seed in seeds:
        rng, twin = np.random.default_rng(seed), Twin(BEAT, RING)
        lasting, known = (comms.boot(jax.random.key(0), part, AGENTS) for part in (protocol, plain))
        heading, number = np.full(AGENTS, -1), np.zeros(PLACES, np.int32)
        for t in range(days):
            view = outlooks.random(100 * seed + t, AGENTS, PLACES, OPTIONS)
            serving = np.where(rng.random(AGENTS) < 0.2, heading, -1)
            view = view._replace(
                t=jnp.full(AGENTS, t, jnp.int32),
                number=jnp.asarray(number[np.maximum(view.place, 0)]),
                heading=jnp.asarray(np.where(serving < 0, heading, -1), jnp.int32),
                serving=jnp.asarray(serving, jnp.int32),
                free=jnp.asarray(serving < 0),
                task=jnp.asarray(np.where(heading >= 0, number[heading], -1), jnp.int32),
                valid=jnp.asarray(heading >= 0),
                left=jnp.asarray(rng.integers(1, 9, AGENTS), jnp.float32),
            )
            arrives = rng.random((ROUNDS, *RING.index.shape)) < (1.0 if seed % 2 else 0.6)
            decided, lasting, sent = tick(protocol, lasting, view, RING, jnp.asarray(arrives))
            told, known, offered = twin_tick(plain, known, view, RING, arrives, partial(twin, t))
            if float(sent) != offered or decided.tolist() != told.tolist():
                return False
            heading = np.where(serving >= 0, serving, np.asarray(decided))
            over = (heading >= 0) & (rng.random(AGENTS) < 0.15)
            number[np.unique(heading[over])] += 1
            heading = np.where(np.isin(heading, heading[over]), -1, heading)
    return True


def test_it_is_its_twin_with_and_without_loss():
    assert agrees()


class Deaf(SilentHolders):
    """Does not answer who asks."""

    def receive(self, key, ballot, inbox):
        return super().receive(key, ballot, inbox)._replace(due=jnp.array(False))


class Forgetful(SilentHolders):
    """Leaves the lease as it is."""

    def __init__(self, *, protocol, heartbeat):
        super().__init__(protocol=protocol, heartbeat=heartbeat)
        self.protocol = protocol


class Mute(SilentHolders):
    """Says a claim once and for all."""

    def decide(self, ballot):
        decision, state = super().decide(ballot)
        return decision, state._replace(last=jnp.where(state.place >= 0, 2**30, -1))


class Careless(SilentHolders):
    """Takes the next task of its place for the one before."""

    def propose(self, key, state, proposal):
        return super().propose(key, state._replace(number=proposal.task), proposal)


class Touchy(SilentHolders):
    """Takes word of its own claim for somebody else's bid."""

    def receive(self, key, ballot, inbox):
        heard = super().receive(key, ballot, inbox)
        about = (inbox.payload.place == ballot.own.bids.place[-1]) & (inbox.payload.winner >= 0)
        return heard._replace(due=heard.due | jnp.any(about & inbox.heard[:, None]))


@pytest.mark.parametrize("bug", [Deaf, Forgetful, *later(Mute, Touchy)])
def test_the_twin_catches(bug):
    assert not agrees(bug)


# ------------------------------------------------------------------------------------------- two who want one task


def pair(kind, lost=(), gone: int = 99, number: int = 12, lease: int = LEASE, late: int = 0):
    """The first of two has the only task of both; decisions [T, 2] and words offered [T]. Nothing arrives in the ticks
    `lost`; the first agent is heard no more from tick `gone` on; the second is there from tick `late` on."""
    protocol = kind(protocol=Cbba(options=1, rounds=2, lease=lease), heartbeat=BEAT)
    lasting = comms.boot(jax.random.key(0), protocol, 2)
    lasting = lasting._replace(own=at_work(protocol.protocol))
    views, found = life(number), []
    for t in range(number):
        view = jax.tree.map(lambda leaf, t=t: leaf[t], views)
        view = view._replace(open=view.open & jnp.array([[True], [t >= late]]))
        if t == late:
            lasting = comms.rebooted(jax.random.key(0), protocol, lasting, jnp.array([False, True]))
        heard = np.full((2, *PAIR.index.shape), t not in lost and t < gone)
        decided, lasting, sent = tick(protocol, lasting, view, PAIR, jnp.asarray(heard))
        found.append((*decided.tolist(), float(sent)))
    return np.array([one[:2] for one in found]), [one[2] for one in found]


def test_a_holder_says_its_sign_in_every_third_tick():
    decided, sent = pair(SilentHolders)
    assert decided.tolist() == [[0, -1]] * 12
    assert sent[0] == 3  # both speak; the other, which asked, passes on what it heard
    assert sent[1:] == [1, 1, 3] * 3 + [1, 1]  # the other speaks once a tick, and passes each sign on


def test_one_missed_beat_frees_no_task():
    assert pair(SilentHolders, lost=(3,))[0].tolist() == [[0, -1]] * 12
    assert pair(Forgetful, lost=(3,))[0][3].tolist() == [0, 0]


def test_a_crash_and_two_missed_beats_free_it():
    """The first speaks in tick 0 for the last time: believed for 2 H = 6 ticks."""
    decided, _ = pair(SilentHolders, gone=1)
    assert decided[:, 1].tolist() == [-1] * 7 + [0] * 5
    decided, _ = pair(SilentHolders, lost=(3, 4, 5, 6, 7))
    assert decided[:8, 1].tolist() == [-1] * 7 + [0]
    assert pair(SilentHolders, lost=(3, 4, 5, 6))[0][:8, 1].tolist() == [-1] * 8


def test_a_longer_lease_stays():
    assert int(SilentHolders(protocol=Cbba(options=1, lease=9), heartbeat=3).protocol.lease) == 9
    assert int(SilentHolders(protocol=Cbba(options=1, lease=5), heartbeat=3).protocol.lease) == 6


def test_who_has_not_heard_of_a_claim_asks_and_is_answered():
    """The second agent comes in tick 1, when the first is silent: it asks, is answered, and gives way."""
    decided, sent = pair(SilentHolders, late=1, number=3)
    assert decided[1].tolist() == [0, -1] and sent[1] == 2
    decided, sent = pair(Deaf, late=1, number=3)
    assert decided[1].tolist() == [0, 0] and sent[1] == 1


def served_once(kind=SilentHolders):
    """The first of two serves since tick 0, which is over: the protocol, what lasts, and the view of tick 1."""
    protocol = kind(protocol=Cbba(options=1, rounds=2), heartbeat=BEAT)
    serving, views = jnp.array([[0, -1]] * 2), life(2)
    views = views._replace(serving=serving, free=serving < 0, heading=jnp.full((2, 2), -1), open=views.open & False)
    first, second = (jax.tree.map(lambda leaf, t=t: leaf[t], views) for t in range(2))
    lasting = comms.boot(jax.random.key(0), protocol, 2)
    _, lasting, _ = tick(protocol, lasting, first, PAIR, jnp.ones((2, *PAIR.index.shape), bool))
    return protocol, lasting, second


def test_who_comes_back_speaks():
    """An agent that serves is silent in tick 1; had it been away and come back, it would speak."""
    protocol, lasting, second = served_once()
    back = comms.rebooted(jax.random.key(0), protocol, lasting, jnp.array([True, False]))
    assert speaking(protocol, lasting, second) == [False, True]
    assert speaking(protocol, back, second) == [True, True]


def speaking(protocol, lasting, view):
    """Who speaks in the first round."""
    return np.asarray(jax.vmap(protocol.speaks)(opened(protocol, lasting, view))).tolist()


def test_a_claim_on_another_task_is_new():
    """Who serves the next task of the same place says so."""
    for kind, loud in ((SilentHolders, True), (Careless, False)):
        protocol, lasting, second = served_once(kind)
        assert speaking(protocol, lasting, second) == [False, True]
        assert speaking(protocol, lasting, second._replace(task=second.task + 1)) == [loud, True]


class Vague(SilentHolders):
    """Takes a bid for any task of its place for one for its own."""

    def receive(self, key, ballot, inbox):
        heard, said = super().receive(key, ballot, inbox), inbox.payload
        rival = (said.place == ballot.own.bids.place[-1]) & (said.winner >= 0) & (said.winner != ballot.own.me)
        return heard._replace(due=jnp.any(rival & inbox.heard[:, None]))


@pytest.mark.parametrize("kind, words", [(SilentHolders, 1), (Vague, 2)])
def test_a_bid_for_another_task_of_the_same_place_is_not_answered(kind, words):
    """The first still serves task 0 of the place; the second bids for task 1 there."""
    protocol, lasting, second = served_once(kind)
    second = second._replace(number=jnp.ones_like(second.number), open=jnp.array([[False], [True]]))
    decided, _, sent = tick(protocol, lasting, second, PAIR, jnp.ones((2, *PAIR.index.shape), bool))
    assert decided.tolist() == [-1, 0] and float(sent) == words


class Hoarding(SilentHolders):
    """Remembers what it said of a claim that it has lost."""

    def decide(self, ballot):
        decision, state = super().decide(ballot)
        bids = ballot.own.bids
        said = (bids.place[-1], bids.number[-1], ballot.own.outlook.t)
        kept = (jnp.where(ballot.spoke, new, old) for new, old in zip(said, ballot.before[1:], strict=True))
        return decision, type(state)(state.own, *kept)


@pytest.mark.parametrize("kind", [SilentHolders, Hoarding])
def test_a_claim_that_was_lost_and_is_had_again_is_said_at_once(kind):
    """Both are on their way to one task, and the second is nearer; a tick later the first serves it all the same."""
    protocol, views = kind(protocol=Cbba(options=1, rounds=2), heartbeat=BEAT), life(2)
    first, second = (jax.tree.map(lambda leaf, t=t: leaf[t], views) for t in range(2))
    both, zero = jnp.ones(2, bool), jnp.zeros(2, jnp.int32)
    first = first._replace(heading=zero, task=zero, valid=both, left=jnp.array([5.0, 1.0]))
    lasting = comms.boot(jax.random.key(0), protocol, 2)
    lasting = lasting._replace(own=lasting.own._replace(place=zero, number=zero))
    decided, lasting, _ = tick(protocol, lasting, first, PAIR, jnp.ones((2, *PAIR.index.shape), bool))
    assert decided.tolist() == [-1, 0]
    none = jnp.full(2, -1, jnp.int32)
    second = second._replace(serving=zero, free=~both, heading=none, task=zero, valid=~both)
    assert speaking(protocol, lasting, second) == [kind is SilentHolders, False]


# --------------------------------------------------------------------------------------------- promises, fleets


@pytest.mark.slow
def test_promises():
    check_protocol(SilentHolders(protocol=Cbba(options=3, rounds=2), heartbeat=2), outlooks.random(0, 4, 6, 3))


@lru_cache
def fleet(kind=None):
    """Share served after 20 ticks in four runs, and messages an agent and tick, with links to the 6 nearest homes."""
    from scipy.spatial import cKDTree

    world = rolling(num_agents=100, density=7.0, options=16)
    protocol = Cbba(options=16)
    protocol = kind(protocol) if kind else protocol
    at = np.asarray(world.space.position(world.home)).T
    near = cKDTree(at).query(at, k=7)[1][:, 1:]
    links = comms.from_edges(100, [(i, int(j)) for i in range(100) for j in near[i]])
    scenario = Scenario(world, Deferring(), commit=protocol, topology=links)
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 20)
    end, records = step.run(middle, scenario, 40, record=("traffic",))
    before, after = (progress.carry.world.tallies for progress in (middle, end))
    served = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
    return np.asarray(served), float(np.sum(records["traffic"].sent)) / 16000


def quiet(protocol):
    return SilentHolders(protocol=protocol, heartbeat=BEAT)


def once(protocol):
    return SayOnce(protocol=protocol)


@pytest.mark.slow
def test_a_fleet_serves_as_much_for_a_quarter_of_the_mail():
    (served, sent), (whole, all_sent), (_, once_sent) = fleet(quiet), fleet(), fleet(once)
    assert abs(np.mean(served - whole)) < 0.03
    assert 0.1 * all_sent < sent < 0.35 * all_sent
    assert sent < 0.8 * once_sent


def test_refusals():
    with pytest.raises(Refusal, match="Claim has a board; PolicySilence"):
        SilentHolders(protocol=Claim(places=3), heartbeat=3)
    with pytest.raises(Refusal, match="Alone says nothing"):
        SilentHolders(protocol=Alone(), heartbeat=3)
    for other in (Bundles(agents=3, options=2), SayOnce(protocol=INNER), quiet(INNER)):
        with pytest.raises(Refusal, match=f"{type(other).__name__} does not say which task"):
            SilentHolders(protocol=other, heartbeat=3)
    for wrong in (0, -1, np.array([3, 0])):
        with pytest.raises(Refusal, match="heartbeat is .* at least 1"):
            SilentHolders(protocol=INNER, heartbeat=wrong)
    with pytest.raises(Refusal, match="heartbeat is 1.5; it must be a whole number"):
        SilentHolders(protocol=INNER, heartbeat=1.5)
