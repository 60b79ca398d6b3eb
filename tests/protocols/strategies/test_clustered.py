"""Clusters: a written-out twin of one tick, who crosses borders, exclusive claims under every loss, fleets."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate import comms, step
from quorate.core import Fault, NoFault, Scenario
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.learners.deferring import Deferring
from quorate.numerics.mix import mix
from quorate.protocols.alone import Alone
from quorate.protocols.auction import Auction
from quorate.protocols.claim import Claim
from quorate.protocols.contract_net import ContractNet
from quorate.protocols.delayed import Delayed
from quorate.protocols.desk import DONE
from quorate.protocols.mechanisms import APART, MECHANISMS, sparing
from quorate.protocols.stigmergy import Stigmergy
from quorate.protocols.strategies.clustered import EVERYBODY, Clustered
from quorate.protocols.strategies.selective_broadcast import PolicySilence
from quorate.protocols.team_claim import RELEASE, TeamClaim
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks
from tests.protocols import desks
from tests.protocols.desks import Pattern

OTHERS = ("stigmergy", "quorum", "cbba")  # whose clusters are of another kind
DESKS = [name for name in MECHANISMS if name not in OTHERS and (name, "clustered") not in APART]
AGENTS, PLACES, OPTIONS, CLUSTERS, ROUNDS = 7, 8, 5, 3, 5
CUT = np.arange(PLACES) % CLUSTERS


def one(view):
    return jax.tree.map(lambda leaf: leaf[0], view)


VIEW = outlooks.random(0, AGENTS, PLACES, OPTIONS)


def clustered(protocol, cut=CUT, hubs=CLUSTERS, kind=Clustered):
    return kind(protocol=protocol, proposal=one(VIEW), region_of=cut, anchor=np.arange(hubs))


def scattered(seed: int):
    """Options at random, each agent in some cluster."""
    view = outlooks.random(seed, AGENTS, PLACES, OPTIONS)
    cluster = np.random.default_rng(seed).integers(0, CLUSTERS, AGENTS)
    return view._replace(region=jnp.asarray(cluster, jnp.int32))


class Counting(Fault):
    """Loses nothing; counts the slips that cross a border, and the delegates that hubs have named, in each round."""

    cut: jax.Array = eqx.field(converter=jnp.asarray)
    cluster: jax.Array = eqx.field(converter=jnp.asarray)

    def reset(self, key, num_agents):
        return jnp.zeros((2, ROUNDS), jnp.int32)

    def on_post(self, key, state, posts, board):
        count = len(self.cut)
        place = jnp.clip(posts.place, 0, count - 1)
        over = posts.live & (posts.place < count) & (self.cut[place] != self.cluster[:, None])
        hubs = jnp.zeros(board.places, bool).at[jnp.where(posts.live, posts.place, 0)].set(True)[count:]
        return state.at[:, board.round].add(jnp.stack([jnp.sum(over), jnp.sum(hubs)])), posts


# ---------------------------------------------------------------------------------------------------------- the twin


def twin(view):
    """One tick of final claims in clusters among agents without tasks, written out: (places, messages, readings)."""
    place, worth, open_ = (np.asarray(leaf) for leaf in (view.place, view.worth, view.open))
    cluster = np.asarray(view.region)
    held, owner, door, messages, readings = {}, {}, {}, 0, 0
    taken: dict[int, set] = {i: set() for i in range(AGENTS)}
    has_asked = set()
    turn = mix(np.arange(AGENTS, dtype=np.uint32)) % ROUNDS
    for now in range(ROUNDS):
        slips, wishes, reads = {}, {}, {}
        for i in range(AGENTS):
            if i in held:
                reads[i] = {held[i]}
                continue
            options = {int(p): w for p, w, o in zip(place[i], worth[i], open_[i], strict=True) if o}
            options = {p: w for p, w in options.items() if p not in taken[i]}
            near = {p: w for p, w in options.items() if CUT[p] == cluster[i] or p == door.get(i)}
            far = {p: w for p, w in options.items() if p not in near}
            reads[i] = {int(p) for p in place[i] if p >= 0 and (CUT[p] == cluster[i] or p == door.get(i))}
            best = max(near, key=lambda p: near[p], default=None)
            gain = max(far.values(), default=-np.inf) - (near[best] if near else np.float32(0))
            if gain > 0 and (i not in has_asked if near else turn[i] == now):
                wishes[i] = (gain, max(far, key=lambda p: far[p]))
                has_asked.add(i)
                readings += 1
            elif near:
                slips[i] = (near[best], best)
        delegates = {}
        for i, (gain, _) in wishes.items():
            rival = delegates.get(cluster[i])
            if rival is None or gain > wishes[rival][0]:
                delegates[cluster[i]] = i
        awards = {}
        for i, (bid, wanted) in slips.items():
            if wanted not in owner and (wanted not in awards or bid > slips[awards[wanted]][0]):
                awards[wanted] = i
        owner |= awards
        messages += len(slips) + len(wishes) + len({p for _, p in slips.values()}) + len(delegates)
        readings += sum(len(read) for read in reads.values())
        for i, read in reads.items():
            mine = [p for p in read if owner.get(p) == i]
            held |= {i: mine[0]} if mine else {}
            taken[i] |= read & owner.keys()
        for i in delegates.values():
            door[i] = wishes[i][1]
    return [held.get(i, -1) for i in range(AGENTS)], messages, readings


CLAIM = clustered(Claim(places=PLACES, rounds=ROUNDS))


def agrees(protocol, seed: int) -> bool:
    talked = desks.talk(protocol, scattered(seed), NoFault())
    said = [np.asarray(talked.decision).tolist(), float(talked.traffic.sent), float(talked.traffic.reads)]
    return said == list(twin(scattered(seed)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**20))
def test_a_tick_is_the_one_written_out(seed):
    assert agrees(CLAIM, seed)


class Everybody(Clustered):
    """Whoever hears its hub is a delegate."""

    def hear(self, key, ballot, news):
        place, _, asks = self.wish(ballot)
        heard = super().hear(key, ballot, news)
        named = asks & news.heard[-1]
        door = jnp.where(named, place, heard.door)
        own = heard.own._replace(outlook=self.shown(heard.view, door))
        return heard._replace(own=own, door=door, used=heard.used | named)


class Borderless(Clustered):
    """Speaks to whom it likes."""

    def reached(self, ballot, place):
        return place >= 0


class Insistent(Clustered):
    """Asks its hub instead of asking inside as long as there is anything better beyond."""

    def hear(self, key, ballot, news):
        return super().hear(key, ballot, news)._replace(asked=jnp.array(False))


@pytest.mark.parametrize("bug", [Everybody, Borderless, Insistent])
def test_the_twin_bites(bug):
    broken = clustered(Claim(places=PLACES, rounds=ROUNDS), kind=bug)
    assert not all(agrees(broken, seed) for seed in range(20))


def crossings(protocol, seed: int):
    """Slips across borders, and delegates named, in each round of the first tick; all agents in one cluster."""
    view = outlooks.random(seed, AGENTS, PLACES, OPTIONS)
    return np.asarray(desks.talk(protocol, view, Counting(CUT, view.region)).fault)


@pytest.mark.parametrize("inner", [Claim, Auction, ContractNet])
def test_only_delegates_cross_borders(inner):
    """At most one slip for each delegate of the rounds before: none in the first, and one in the second."""
    rounds = 4 if inner is ContractNet else ROUNDS
    protocol = clustered(inner(places=PLACES, rounds=rounds))
    found = np.stack([crossings(protocol, seed) for seed in range(10)])[..., :rounds]
    over, named = found[:, 0], found[:, 1]
    assert (over[:, 0] == 0).all() and over.sum() > 0
    assert (over[:, 1:] <= np.cumsum(named, axis=1)[:, :-1]).all()
    broken = clustered(inner(places=PLACES, rounds=rounds), kind=Everybody)
    more = np.stack([crossings(broken, seed) for seed in range(10)])[:, :, :rounds]
    assert (more[:, 0, 1:] > np.cumsum(more[:, 1], axis=1)[:, :-1]).any()


@pytest.mark.parametrize("name", DESKS)
def test_one_cluster_is_the_protocol_itself(name):
    """Decisions, bill and what lasts, bit for bit; where slips had no bid, by which hubs name delegates, they have."""
    inner = MECHANISMS[name].make(outlooks.site(AGENTS, PLACES, 1))
    whole = clustered(inner, np.zeros(inner.places, int), 1)
    for seed in range(3):
        alone, talked = (
            desks.talk(part, outlooks.random(seed, AGENTS, PLACES, OPTIONS), NoFault()) for part in (inner, whole)
        )
        assert np.array_equal(alone.decision, talked.decision)
        assert talked.traffic._replace(bytes=alone.traffic.bytes) == alone.traffic
        assert whole.bids == (talked.traffic.bytes == alone.traffic.bytes)
        lasting = _inner(talked.lasting, inner.places)
        for old, new in zip(jax.tree.leaves(alone.lasting), jax.tree.leaves(lasting), strict=True):
            assert np.array_equal(old, new)


def _inner(lasting, count):
    places = jax.tree.map(lambda leaf: leaf[:count], lasting.places.own)
    return lasting._replace(nodes=lasting.nodes.own, places=places)


# ------------------------------------------------------------------------------------------------------- losing mail


def _owner(places):
    return getattr(places.own, "desk", places.own).owner


@pytest.mark.parametrize("inner", [Claim, ContractNet])
def test_no_loss_makes_two_owners(inner, monkeypatch):
    """Two clusters, each of whose agents is better at the other's place: every pattern of losses."""
    monkeypatch.setattr(desks, "_owner", _owner)
    view = desks.outlook([[0.2, 0.9], [0.8, 0.7]], region=jnp.array([0, 1], jnp.int32))
    more = {"bids": 2} if inner is ContractNet else {}
    protocol = Clustered(
        protocol=inner(places=2, rounds=4, **more), proposal=one(view), region_of=np.array([0, 1]), anchor=np.arange(2)
    )
    away = 0
    for slips, notices in desks.every_pattern(4, 2):
        decision, owner = (np.asarray(part) for part in desks.under(protocol, view, slips, notices))
        assert not desks.shared(decision).any()
        believes = decision >= 0
        assert (np.take_along_axis(owner, np.maximum(decision, 0), 1) == np.arange(2))[believes].all()
        away += (decision == np.array([1, 0])).sum()
    assert away > 0


WORTH = np.random.default_rng(0).permutation(15).reshape(5, 3) / 15 + 0.1


@pytest.mark.parametrize("inner", [Claim, ContractNet])
def test_lives_with_loss_and_crashes_share_no_task(inner, monkeypatch):
    """All agents in the first cluster, two of three places beyond its border."""
    monkeypatch.setattr(desks, "_owner", _owner)
    view = one(desks.outlook(WORTH))
    protocol = Clustered(protocol=inner(places=3, rounds=4), proposal=view, region_of=np.arange(3), anchor=np.arange(3))
    life = desks.lives(protocol, WORTH, runs=16, ticks=60)
    held = np.where(life.place >= 0, life.place + 3 * life.number, -1)
    assert (held >= 0).mean() > 0.2 and (life.place > 0).mean() > 0.1
    assert not desks.shared(held).any()


class Starving(Clustered):
    """What is won beyond the border is beyond the border."""

    def reached(self, ballot, place):
        return self.inside(ballot.view, place) | ((place >= 0) & (place == ballot.door))


class Overfull(TeamClaim):
    """A place forgets the units of those who have a seat."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state._replace(units=jnp.zeros_like(place_state.units)), heap)


class Walled(Clustered):
    """Nobody ever asks a hub."""

    def wish(self, ballot):
        return *super().wish(ballot)[:2], jnp.array(False)


class Ajar(Clustered):
    """Its doors never close."""

    def decide(self, ballot):
        decision, state = super().decide(ballot)
        return decision, state._replace(door=ballot.door)


def days(protocol, ticks: int):
    """A long way to the only place of worth, which lies beyond the border: decisions and doors, [ticks]."""
    lasting, heading, found = comms.boot(jax.random.key(0), protocol, 1), -1, []
    for t in range(ticks):
        view = desks.outlook([[0.0, 0.9]], t=jnp.array([t], jnp.int32))
        view = view._replace(
            heading=jnp.array([heading]),
            task=jnp.array([0 if heading >= 0 else -1]),
            eta=jnp.full((1, 2), 30.0),
            left=jnp.array([30.0 - t]),
            valid=jnp.array([heading >= 0]),
        )
        talked = _day(protocol, lasting, view, jnp.int32(t))
        lasting, heading = talked.lasting, int(talked.decision[0])
        found.append((heading, int(lasting.nodes.door[0])))
    return np.array(found)


@eqx.filter_jit
def _day(protocol, lasting, view, t):
    key = jax.random.key(0)
    return comms.converse(key, key, protocol, lasting, view, None, NoFault(), (), None, 1, t)


def far(kind, rounds=3):
    """One agent, in another cluster than the second of two places."""
    view = one(desks.outlook([[0.0, 0.9]]))
    return kind(protocol=Claim(places=2, rounds=rounds), proposal=view, region_of=np.array([0, 1]), anchor=np.arange(2))


def test_a_claim_beyond_the_border_lives_on_its_heartbeats():
    assert (days(far(Clustered, rounds=1), 20)[1:, 0] == 1).all()
    assert (days(far(Starving, rounds=1), 20)[1:, 0] == -1).any()


def wishes(kind) -> list[list[int]]:
    """In how many rounds each of eight agents in one cluster writes to its hub, in three ticks; nobody hears it, and
    in the last agent 0 serves."""
    view = desks.outlook(np.tile([[0.0, 0.9]], (8, 1)))
    protocol = kind(
        protocol=Claim(places=2, rounds=4), proposal=one(view), region_of=np.array([0, 1]), anchor=np.arange(2)
    )
    lasting, found = comms.boot(jax.random.key(0), protocol, 8), []
    for t in range(3):
        serving = jnp.full(8, -1).at[0].set(1 if t == 2 else -1)
        now = view._replace(t=jnp.full(8, t, jnp.int32), serving=serving.astype(jnp.int32))
        lasting, spoke = _unheard(protocol, lasting, now, jnp.int32(t))
        found.append(np.asarray(spoke).sum(0).tolist())
    return found


@eqx.filter_jit
def _unheard(protocol, lasting, view, t):
    key = jax.random.key(0)
    fault = Writing()
    talked = comms.converse(key, key, protocol, lasting, view, None, fault, fault.reset(key, 8), None, 8, t)
    return talked.lasting, talked.fault


class Writing(Fault):
    """Nobody hears anything; remembers who writes to a hub in which round, [4, N]."""

    def reset(self, key, num_agents):
        return jnp.zeros((4, num_agents), bool)

    def on_post(self, key, state, posts, board):
        wrote = jnp.any(posts.live & (posts.place >= 2), axis=1)
        return state.at[board.round].set(wrote), posts

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, jnp.zeros_like(heard)


class Loud(Clustered):
    """Wishes in every round."""

    def wish(self, ballot):
        each = [super(Loud, self).wish(ballot._replace(round=jnp.int32(now))) for now in range(self.rounds)]
        return *each[0][:2], jnp.any(jnp.stack([asks for _, _, asks in each]))


def test_who_finds_nothing_inside_wishes_once_a_tick():
    assert wishes(Clustered) == [[1] * 8, [1] * 8, [0] + [1] * 7]
    assert wishes(Loud)[0] == [4] * 8


class Lingering(Clustered):
    """A hub goes on telling its last delegate where nobody writes to it."""

    def serve(self, key, place_state, heap):
        now = super().serve(key, place_state, heap)
        return now._replace(delegate=jnp.where(heap.who >= 0, now.delegate, place_state.delegate))


@pytest.mark.parametrize("kind", [Clustered, Lingering])
def test_nobody_is_named_by_a_wish_that_was_lost(kind):
    """The answer to the first wish is lost, and then the second wish itself."""
    protocol, view, key = far(kind, rounds=1), desks.outlook([[0.0, 0.9]]), jax.random.key(0)
    lasting = comms.boot(key, protocol, 1)
    for t, (slip, notice) in enumerate([(True, False), (False, True)]):
        now, fault = view._replace(t=jnp.array([t], jnp.int32)), Pattern(np.array([[slip]]), np.array([[notice]]))
        lasting = comms.converse(key, key, protocol, lasting, now, None, fault, (), None, 1, t).lasting
    assert int(lasting.nodes.door[0]) == (1 if kind is Lingering else -1)


def test_a_door_named_last_is_there_in_the_next_tick_and_closes():
    """One round a tick: the first names the delegate, the second gives it the task, and its door is of no more use."""
    assert days(far(Clustered, rounds=1), 4).tolist() == [[-1, 1], [1, -1], [1, -1], [1, -1]]
    assert days(far(Ajar, rounds=1), 4)[:, 1].tolist() == [1, 1, 1, 1]


# ------------------------------------------------------------------------------------------------- teams, intentions


def gathered(kind=Clustered, ticks: int = 8):
    """A team of two is wanted at place 1, in the cluster of agent 1; agents 0 and 2 live in the other, where place 0 is
    worth less to both. Decisions in each tick, [T, 3]."""
    view = desks.outlook([[0.3, 0.9], [0.0, 0.8], [0.2, 0.7]], region=jnp.array([0, 1, 0], jnp.int32))
    view = view._replace(team=jnp.tile(jnp.array([1, 2], jnp.int32), (3, 1)))
    protocol = kind(
        protocol=TeamClaim(places=2, capacity=4), proposal=one(view), region_of=np.array([0, 1]), anchor=np.arange(2)
    )
    lasting, found = comms.boot(jax.random.key(0), protocol, 3), []
    for t in range(ticks):
        now = view._replace(t=jnp.full(3, t, jnp.int32))
        lasting, decision = _together(protocol, lasting, now, jnp.int32(t))
        found.append(np.asarray(decision).tolist())
    return found


@eqx.filter_jit
def _together(protocol, lasting, view, t):
    key = jax.random.key(0)
    talked = comms.converse(key, key, protocol, lasting, view, None, NoFault(), (), None, len(view.t), t)
    return talked.lasting, talked.decision


def test_a_team_gathers_across_a_border():
    """The one who gains most is named, asks, and goes with the one inside; the other keeps to what is near."""
    assert gathered()[0] == [1, 1, 0]
    assert gathered(Walled)[0] == [0, -1, -1]


def spoken(protocol, *views):
    """What agent 0 posts in the first round of the last of these ticks; it takes what it is given in the others."""
    lasting, key = comms.boot(jax.random.key(0), protocol, 1), jax.random.key(0)
    for t, view in enumerate(views[:-1]):
        lasting = _day(protocol, lasting, view._replace(t=jnp.array([t], jnp.int32)), jnp.int32(t)).lasting
    last = views[-1]._replace(t=jnp.array([len(views) - 1], jnp.int32))
    ballot = jax.vmap(protocol.propose)(comms.node_keys(key, 1), lasting.nodes, last)
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), jax.vmap(protocol.post)(ballot))


class Leaving(TeamClaim):
    """Lets go when the tick begins."""

    def propose(self, key, state, proposal):
        ballot = super().propose(key, state, proposal)
        leaves = ballot.seat.place >= 0
        gone = ballot.seat._replace(place=jnp.where(leaves, -1, ballot.seat.place), left=ballot.seat.place)
        return ballot._replace(seat=gone, leaving=jnp.where(leaves, ballot.seat.place, -1))


def test_who_lets_go_of_a_seat_says_so_before_it_wishes_for_what_is_far():
    near, far_off = desks.outlook([[0.5, 0.0]]), desks.outlook([[0.5, 0.9]])
    team = Leaving(places=2, capacity=2, rounds=1)
    protocol = Clustered(protocol=team, proposal=one(near), region_of=np.array([0, 1]), anchor=np.arange(2))
    two = [view._replace(team=jnp.full_like(view.team, 2)) for view in (near, far_off)]
    posts = spoken(protocol, *two)
    assert posts.live.tolist() == [True, False] and posts.place[0] == 0 and posts.body.kind[0] == RELEASE


def test_who_wishes_for_what_is_far_still_says_what_it_has_begun():
    """Its task is over, its place is an option again, and something better lies beyond."""
    first, then = desks.outlook([[0.5, 0.0]]), desks.outlook([[0.0, 0.9]])
    zero = jnp.zeros(1, jnp.int32)
    served = then._replace(served=zero, open=jnp.array([[False, True]]))
    protocol = Clustered(
        protocol=Claim(places=2, rounds=1), proposal=one(first), region_of=np.array([0, 1]), anchor=np.arange(2)
    )
    posts = spoken(protocol, first, served)
    assert posts.live.tolist() == [True, True] and posts.place.tolist() == [0, 2] and posts.body.kind[0] == DONE


def test_one_cluster_is_the_protocol_itself_where_a_place_is_full():
    """Six ask at one place with room for two: the same two are answered, whatever slips there are besides."""
    view = desks.outlook(np.linspace(0.4, 0.9, 6)[:, None])
    view = view._replace(team=jnp.full_like(view.team, 3))
    inner = TeamClaim(places=1, capacity=2)
    whole = Clustered(protocol=inner, proposal=one(view), region_of=np.zeros(1, int), anchor=np.zeros(1, int))
    for seed in range(8):
        alone, talked = (desks.talk(part, view, NoFault(), seed).lasting for part in (inner, whole))
        assert np.array_equal(alone.nodes.place, talked.nodes.own.place)


def test_no_loss_makes_a_team_overfull():
    """Four agents, of whom two are wanted at each of two places, half of them beyond a border."""
    view = desks.outlook(np.array([[3, 1], [2.9, 2], [2.8, 2.7], [2.5, 2.4]]), region=jnp.arange(4) % 2)
    view = view._replace(team=jnp.full_like(view.team, 2))

    def believed(kind):
        team = kind(places=2, capacity=4, wait=20.0, patience=60)
        protocol = Clustered(protocol=team, proposal=one(view), region_of=np.array([0, 1]), anchor=np.arange(2))

        @eqx.filter_jit
        def live(protocol, key):
            def tick(lasting, t):
                own, now = jax.random.fold_in(key, t), view._replace(t=view.t + t)
                talked = comms.converse(own, own, protocol, lasting, now, None, Loss(share=0.3), (), None, 4, t)
                seat = talked.lasting.nodes.own
                sits = (seat.place[:, None] == jnp.arange(2)[None, :]) & (seat.until >= t)[:, None]
                return talked.lasting, jnp.sum(sits, axis=0)

            return jax.lax.scan(tick, comms.boot(key, protocol, 4), jnp.arange(30))[1]

        return np.asarray(jax.vmap(live, (None, 0))(protocol, jax.random.split(jax.random.key(0), 64)))

    found = believed(TeamClaim)
    assert found.max() == 2 and found.mean() > 1
    assert believed(Overfull).max() > 2


def test_what_regions_want_is_told_across_borders():
    """Idle agents of a hybrid look at other regions, whose places are everybody's; walled in they never do."""
    site = outlooks.site(AGENTS, PLACES, CLUSTERS, options=OPTIONS)
    inner = MECHANISMS["hybrid"].make(site)
    regions = PLACES + np.arange(CLUSTERS)
    for cut, others in ((np.full(CLUSTERS, EVERYBODY), True), (np.arange(CLUSTERS), False)):
        protocol = clustered(inner, np.concatenate([CUT, cut]))
        view = scattered(0)
        keys = comms.node_keys(jax.random.key(0), AGENTS)
        lasting = comms.boot(jax.random.key(0), protocol, AGENTS).nodes
        ballot = jax.vmap(protocol.propose)(keys, lasting, view)
        read = np.asarray(jax.vmap(protocol.watch)(ballot))
        own = PLACES + np.asarray(view.region)[:, None]
        assert (np.isin(read, regions) & (read == own)).any()
        assert (np.isin(read, regions) & (read != own)).any() == others


# ------------------------------------------------------------------------------------------------- promises, fleets


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in DESKS[1:]] + [DESKS[0]])
def test_promises(name):
    site = outlooks.site(AGENTS, PLACES, CLUSTERS, options=OPTIONS)
    view = scattered(0)
    protocol = sparing(f"{name}+clustered", MECHANISMS[name].make(site), one(view), site)
    assert protocol.places == protocol.protocol.places + CLUSTERS
    check_protocol(protocol, view)
    hosts = np.asarray(jax.vmap(protocol.host)(jnp.arange(protocol.places)))
    centre = np.flatnonzero(hosts >= 0)
    assert np.array_equal(centre, PLACES + np.arange(CLUSTERS) if name == "hybrid" else [])


def test_late_mail_around_clusters():
    """Late mail wraps it, and a delegate gets there, two ticks later for each question."""
    view = desks.outlook([[0.0, 0.9]])
    late = Delayed(protocol=far(Clustered), ticks=1, proposal=one(view))
    lasting, held = comms.boot(jax.random.key(0), late, 1), []
    for t in range(8):
        now = view._replace(t=jnp.array([t], jnp.int32))
        talked = _day(late, lasting, now, jnp.int32(t))
        lasting = talked.lasting
        held.append(int(talked.decision[0]))
    assert held[:2] == [-1, -1] and 1 in held


@lru_cache
def fleet(name: str, kind=None):
    """Share served, and messages and readings an agent and tick, after 20 ticks; four runs."""
    world = rolling(num_agents=100, density=7.0, options=16)
    protocol = {"claim": Claim, "auction": Auction}[name](places=world.num_actions)
    view = jax.eval_shape(lambda: world.observe(jax.random.key(0), world.reset(jax.random.key(0))))
    view = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), view)
    if kind:
        cut = np.asarray(world.space.region_of_place())
        protocol = kind(protocol=protocol, proposal=view, region_of=cut, anchor=np.arange(world.regions))
    scenario = Scenario(world, Deferring(), commit=protocol)
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 20)
    end, records = step.run(middle, scenario, 40, record=("traffic",))
    before, after = (progress.carry.world.tallies for progress in (middle, end))
    served = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
    bill = [float(np.sum(getattr(records["traffic"], field))) / 16000 for field in ("sent", "reads")]
    return np.asarray(served), *bill


@pytest.mark.slow
@pytest.mark.parametrize("name", ["claim", "auction"])
def test_delegates_make_up_for_borders(name):
    """As much served as by the protocol itself, with fewer readings and some more messages; walls without delegates
    cost."""
    (served, sent, reads), (whole, all_sent, all_reads) = fleet(name, Clustered), fleet(name)
    walled, _, _ = fleet(name, Walled)
    assert abs(np.mean(served - whole)) < 0.03
    assert reads < 0.97 * all_reads and all_sent < sent < 1.1 * all_sent
    assert np.mean(walled) < np.mean(served) - 0.01


def test_refusals():
    with pytest.raises(Refusal, match="Alone has no desks"):
        clustered(Alone())
    with pytest.raises(Refusal, match="Stigmergy has no desks"):
        clustered(Stigmergy(places=PLACES))
    claim = Claim(places=PLACES)
    for wrapper in (
        PolicySilence(protocol=claim, proposal=one(VIEW), heartbeat=3),
        Delayed(protocol=claim, ticks=1, proposal=one(VIEW)),
        clustered(claim),
    ):
        with pytest.raises(Refusal, match=f"{type(wrapper).__name__} has no desks"):
            clustered(wrapper)
    with pytest.raises(Refusal, match=r"region_of has shape \(2,\); Claim has 8 places"):
        clustered(claim, [0, 1])
    with pytest.raises(Refusal, match="region_of has regions 0 to 2; anchor has 2 places"):
        clustered(claim, hubs=2)
