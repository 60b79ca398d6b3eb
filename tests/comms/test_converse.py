"""The two ways of mail agree, lies are bounded, own words are true, and the bill is right."""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import (
    CountingAttack,
    Fault,
    NoFault,
    Protocol,
    TallyProtocol,
    static,
    swept,
)

COIN = jax.random.key(77)


class Ballot(NamedTuple):
    vote: jax.Array
    heard: jax.Array
    voices: jax.Array


class Majority(TallyProtocol):
    """Each round everybody says what it holds for right, and takes over what more than half of N say. A vote of 2 says
    nothing."""

    rounds: int = static(2)
    half: jax.Array = swept(default=1.5)

    def propose(self, key, state, proposal):
        return Ballot(proposal, jnp.zeros(self.rounds, jnp.int32), jnp.int32(0))

    def send(self, ballot):
        return ballot.vote == 1

    def speaks(self, ballot):
        return ballot.vote < 2

    def hear(self, key, ballot, total, coin):
        vote = (total > self.half).astype(jnp.int32)
        return Ballot(vote, ballot.heard.at[ballot.voices].set(total), ballot.voices + 1)

    def decide(self, ballot):
        return (ballot.vote, ballot.heard), ()


class Liars(CountingAttack):
    """The marked members and the talkers from outside: `how` many false yes each receiver hears."""

    marked: jax.Array = swept(bool)
    how: str = static("all")
    table: jax.Array = swept(jnp.int32, 0)

    def liars(self, state):
        return self.marked

    def lies(self, key, state, tally):
        n = len(self.marked)
        if self.how == "table":
            return state, self.table[tally.round]
        if self.how == "random":
            return state, jax.random.randint(key, (n,), -1, tally.power + 2)
        if self.how == "rushing":  # each receiver is told what tips the honest total
            return state, (tally.power - tally.total) * (jnp.arange(n) % 2)
        return state, jnp.full(n, 1000 if self.how == "all" else -1000)


@eqx.filter_jit
def talk(protocol, proposal, fault=None, trusted=None, links=None, key=None):
    fault, n = fault or NoFault(), proposal.shape[0]
    key = jax.random.key(5) if key is None else key
    lasting = comms.boot(key, protocol, n)
    return comms.converse(key, COIN, protocol, lasting, proposal, links, fault, fault.reset(key, n), trusted, n)


def both(protocol, proposal, fault=None, trusted=None, key=None):
    """The conversation by sums, after it has been found equal to the one by complete inboxes."""
    links = comms.complete(proposal.shape[0], 0 if fault is None else fault.extras)
    by_sum = talk(protocol, proposal, fault, trusted, None, key)
    by_list = talk(protocol, proposal, fault, trusted, links, key)
    for one, other in zip(jax.tree.leaves(by_sum.decision), jax.tree.leaves(by_list.decision), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(by_sum.traffic, by_list.traffic, strict=True):
        assert float(one) == float(other)
    return by_sum


def mask(n, *members):
    return jnp.isin(jnp.arange(n), jnp.array(members, jnp.int32))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_both_ways_agree_without_faults(n):
    for seed in range(3):
        proposal = jax.random.randint(jax.random.key(seed), (n,), 0, 3)
        vote, heard = both(Majority(half=n / 2), proposal).decision
        yes = int((proposal == 1).sum())
        assert heard[:, 0].tolist() == [yes] * n
        assert heard[:, 1].tolist() == [n * (yes > n / 2)] * n  # now nobody is silent
        assert vote.tolist() == [int(yes > n / 2)] * n


INSIDE = pytest.param("random", 0, marks=pytest.mark.slow)  # nobody from outside
RUSHING = pytest.param("rushing", 2, marks=pytest.mark.slow)


@pytest.mark.parametrize(("how", "extras"), [("all", 3), ("none", 2), INSIDE, ("random", 3), RUSHING])
def test_both_ways_agree_under_attack(how, extras):
    """24 plays: proposals, members who lie, and whom nobody listens to, at random; some say nothing."""
    n, plays = 6, 24
    keys = jax.random.split(jax.random.key(extras), plays)

    def play(key):
        proposal = jax.random.randint(key, (n,), 0, 3)
        marked = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.4, (n,))
        trusted = jax.random.bernoulli(jax.random.fold_in(key, 2), 0.7, (n + extras,))
        fault = Liars(marked=marked, how=how, extras=extras)
        routes = [talk(Majority(half=2.5), proposal, fault, trusted, links, key) for links in (None, everybody)]
        return proposal, marked, trusted, [(route.decision, route.traffic) for route in routes]

    everybody = comms.complete(n, extras)
    proposal, marked, trusted, (by_sum, by_list) = jax.tree.map(np.asarray, jax.jit(jax.vmap(play))(keys))
    jax.tree.map(np.testing.assert_array_equal, by_sum, by_list)
    others = ~np.eye(n, dtype=bool)
    for yes, lying, listened, heard in zip(proposal == 1, marked, trusted, by_sum[0][1][:, :, 0], strict=True):
        least = (others & (yes & listened[:n] & ~lying)).sum(1) + yes
        power = (others & (lying & listened[:n])).sum(1) + listened[n:].sum()
        assert (heard >= least).all() and (heard <= least + power).all()
        if how == "all":
            assert (heard == least + power).all()
        if how == "none":
            assert (heard == least).all()


def test_a_random_lie_tells_receivers_different_things():
    fault = Liars(marked=mask(6, 0, 3), how="random", extras=2)
    heard = both(Majority(half=2.5), jnp.zeros(6, jnp.int32), fault).decision[1]
    assert len(set(heard[:, 0].tolist())) > 1


def test_a_quarantine_takes_the_power_away():
    fault, yes = Liars(marked=mask(4, 0, 1), extras=2), jnp.zeros(4, jnp.int32)
    for untrusted, power in (((), 4), ((0,), 3), ((0, 4), 2), ((0, 1, 4, 5), 0)):
        heard = both(Majority(), yes, fault, ~mask(6, *untrusted)).decision[1][:, 0].tolist()
        assert heard[2:] == [power, power]  # an honest receiver
        assert heard[:2] == [power - (i not in untrusted) for i in (0, 1)]  # no liar lies to itself


def test_a_distrusted_member_still_hears_itself():
    heard = both(Majority(), jnp.array([1, 0, 1]), trusted=jnp.array([False, True, True])).decision[1][:, 0]
    assert heard.tolist() == [2, 1, 1]


# ------------------------------------------------------------------------------- all plays of a small instance: a twin


def twin(proposal, liars, lies, half):
    """Two rounds of `Majority` among three, node by node; returns the votes after each round."""
    votes = list(proposal)
    for told in lies:
        heard = []
        for i in range(3):
            honest = sum(votes[j] == 1 for j in range(3) if j not in liars and j != i)
            power = sum(j != i for j in liars)
            heard.append(honest + min(max(told[i], 0), power) + (votes[i] == 1))
        votes = [int(count > half) for count in heard]
    return votes


@pytest.mark.parametrize("route", ["tally", "inbox"])
@pytest.mark.parametrize("liars", [(), (1,), (0, 2)])
def test_every_play_of_three(route, liars):
    """8 proposals and all lies to all receivers in both rounds: 0 to 2 to each, 729 of them."""
    proposals = list(itertools.product((0, 1), repeat=3))
    plays = list(itertools.product(range(3), repeat=6)) if liars else [(0,) * 6]
    links = comms.complete(3) if route == "inbox" else None

    def one(proposal, table):
        fault = Liars(marked=mask(3, *liars), how="table", table=table)
        return talk(Majority(), proposal, fault, None, links).decision[0]

    proposed, told = jnp.array(proposals, jnp.int32), jnp.array(plays, jnp.int32).reshape(-1, 2, 3)
    votes = np.asarray(jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(proposed, told))
    splits = 0
    for p, proposal in enumerate(proposals):
        for q, play in enumerate(plays):
            expected = twin(proposal, liars, (play[:3], play[3:]), 1.5)
            assert votes[p, q].tolist() == expected
            splits += len({expected[i] for i in range(3) if i not in liars}) > 1
    assert votes.shape == (8, len(plays), 3)
    assert (splits > 0) == (liars == (1,))  # one liar splits two honest nodes; nobody splits three, or one


# ------------------------------------------------------------------------------------------------------- what is heard


class Listener(Protocol):
    """Keeps its whole inbox."""

    rounds: int = static(1)
    silent: jax.Array = swept(bool, False)

    def boot(self, key, me):
        return me

    def propose(self, key, state, proposal):
        empty = jnp.zeros((4, 2), jnp.float32), jnp.zeros(4, jnp.int32), jnp.zeros(4, bool), jnp.uint32(0)
        return state, proposal, empty

    def send(self, ballot):
        return jnp.stack([ballot[1], ballot[1] + 1])

    def speaks(self, ballot):
        return ~self.silent[ballot[0]]

    def receive(self, key, ballot, inbox):
        return *ballot[:2], (inbox.payload, inbox.sender, inbox.heard, inbox.coin)

    def decide(self, ballot):
        return ballot[2], ballot[0]


class Losing(Fault):
    """Loses what receiver 0 should hear from 1, its own mail too, and forges all that it says to 2."""

    def on_deliver(self, key, state, mail):
        rows, sender = jnp.arange(4)[:, None], mail.sender
        lost = (rows == 0) & ((sender == 1) | (sender == 0))
        forged = jnp.where((rows == 2)[:, :, None], jnp.full_like(mail.payload, 99), mail.payload)
        return state, forged, mail.heard & ~lost


def test_unheard_rows_are_zero_and_own_words_true():
    links = comms.Neighbours(
        jnp.array([[0, 1, 2, 3], [1, 3, 0, 0], [3, 2, 1, 0], [3, 3, 3, 3]]),
        jnp.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], bool),
    )
    proposal = jnp.array([10.0, 20.0, 30.0, 40.0])
    silent, trusted = jnp.array([False, False, True, False]), jnp.array([True, True, True, False])
    said = talk(Listener(silent=silent), proposal, Losing(), trusted, links)
    payload, sender, heard, coin = (np.asarray(x) for x in said.decision)
    assert (sender == np.asarray(links.index)).all()
    assert heard.tolist() == [
        [True, False, False, False],  # itself although lost; 1 is lost, 2 silent, 3 distrusted
        [True, False, False, False],  # 3 is distrusted, the rest no links
        [False, False, True, True],  # 3 distrusted, itself silent
        [True, False, False, False],  # itself, whom nobody else trusts
    ]
    assert (payload[~heard] == 0).all()
    assert payload[0, 0].tolist() == [10, 11] and payload[3, 0].tolist() == [40, 41]
    assert payload[2, 2:].tolist() == [[99, 99], [99, 99]]
    assert len(set(coin.tolist())) == 1 and coin[0] != 0
    assert [float(x) for x in said.traffic[:4]] == [6, 2, 16, 1]  # offered: 2, 1 and 3 by those who speak
    assert said.lasting.tolist() == [0, 1, 2, 3]


def test_own_words_cannot_be_forged():
    class Forging(Fault):
        def on_deliver(self, key, state, mail):
            return state, jnp.full_like(mail.payload, -1), jnp.zeros_like(mail.heard)

    said = talk(Listener(silent=jnp.zeros(4, bool)), jnp.arange(4.0), Forging(), None, comms.complete(4))
    payload, _, heard, _ = said.decision
    assert heard.tolist() == np.eye(4, dtype=bool).tolist()
    assert np.asarray(payload)[np.arange(4), np.arange(4), 0].tolist() == [0, 1, 2, 3]


def test_liars_slots_are_empty_until_forged_and_do_not_count():
    class Quiet(Fault):
        def liars(self, state):
            return mask(3, 0)

    heard = both(Majority(), jnp.array([1, 1, 0]), Quiet()).decision[1][:, 0]
    assert heard.tolist() == [2, 1, 1]  # the liar hears itself


class Points(TallyProtocol):
    """Adds up vectors and a number, by a total that some may hear differently."""

    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal, {"place": jnp.zeros(2), "count": jnp.int32(0)}

    def send(self, ballot):
        return {"place": jnp.stack([ballot[0], -ballot[0]]), "count": jnp.int32(1)}

    def hear(self, key, ballot, total, coin):
        return ballot[0], total

    def decide(self, ballot):
        return ballot[1], ()


def test_totals_of_vectors_whole_and_to_each():
    class Each(Fault):
        def on_tally(self, key, state, tally):
            whole = jnp.broadcast_to(tally.total["place"], (3, 2)) + jnp.arange(3.0)[:, None]
            return state, {"place": whole, "count": tally.total["count"]}

    values = jnp.array([1.0, 2.0, 4.0])
    assert talk(Points(), values).decision["place"].tolist() == [[7, -7]] * 3
    told = talk(Points(), values, Each()).decision
    assert told["place"].tolist() == [[7, -7], [8, -6], [9, -5]] and told["count"].tolist() == [3, 3, 3]
    mistrusted = both(Points(), values, None, jnp.array([True, False, True])).decision
    assert mistrusted["place"].tolist() == [[5, -5], [7, -7], [5, -5]] and mistrusted["count"].tolist() == [2, 3, 2]


# ------------------------------------------------------------------------------------------------------ keys and bills


@pytest.mark.parametrize(
    ("n", "extras", "members", "silent", "untrusted", "sent", "heard"),
    [
        (1, 0, (), 0, (), 0, 0),
        (2, 0, (), 0, (), 2, 2),
        (5, 0, (), 0, (), 20, 20),
        (5, 0, (), 2, (), 12, 12),
        (5, 3, (), 0, (), 35, 35),
        (5, 1, (), 0, (0, 5), 25, 16),
        (5, 0, (0,), 1, (), 20, 20),  # a liar speaks although the protocol is silent
    ],
)
def test_the_bill(n, extras, members, silent, untrusted, sent, heard):
    proposal = jnp.where(jnp.arange(n) < silent, 2, 1).astype(jnp.int32)
    fault = Liars(marked=mask(n, *members), extras=extras)
    said = both(Majority(rounds=1), proposal, fault, ~mask(n + extras, *untrusted))
    assert [float(x) for x in said.traffic[:4]] == [sent, heard, heard, 1]  # one byte each
    if not (extras or members or untrusted):
        twice = talk(Majority(rounds=2), jnp.ones(n, jnp.int32))
        assert float(twice.traffic.sent) == 2 * n * (n - 1)


class Dice(TallyProtocol):
    """Every node throws in every round; the decision is all that was thrown, and the coins."""

    rounds: int = static(3)

    def boot(self, key, me):
        return jax.random.bits(key)

    def propose(self, key, state, proposal):
        return jnp.zeros((5, 2), jnp.uint32).at[0].set(state).at[1, 0].set(jax.random.bits(key)), jnp.int32(2)

    def send(self, ballot):
        return jnp.int32(1)

    def hear(self, key, ballot, total, coin):
        thrown, row = ballot
        return thrown.at[row].set(jnp.stack([jax.random.bits(key), coin])), row + 1

    def decide(self, ballot):
        return ballot[0], ballot[0][0, 0]


def test_a_node_makes_its_draws_alone_and_attackers_move_nothing():
    key = jax.random.key(5)
    thrown = np.asarray(talk(Dice(), jnp.zeros(6)).decision)

    class Dicing(Fault):
        def on_tally(self, key, state, tally):
            return state, tally.total + jax.random.randint(key, (6,), 0, 9)

    assert (thrown == np.asarray(talk(Dice(), jnp.zeros(6), Dicing()).decision)).all()
    assert (thrown == np.asarray(talk(Dice(), jnp.zeros(6), links=comms.complete(6)).decision)).all()

    def mine(me, round_):  # as a live node does: root, round, me
        return jax.random.bits(jax.random.fold_in(jax.random.fold_in(key, round_), me))

    every = jax.jit(jax.vmap(jax.vmap(mine, (None, 0)), (0, None)))(jnp.arange(6), jnp.arange(4))
    np.testing.assert_array_equal(thrown[:, 1:, 0], every)
    coins = thrown[:, 2:, 1]
    assert (coins == coins[0]).all()
    words = np.concatenate([thrown[:, 0, 0], thrown[:, 1:, 0].ravel(), coins[0]])
    assert len(np.unique(words)) == len(words) == 6 + 24 + 3
    assert coins[0].tolist() == [int(jax.random.bits(jax.random.fold_in(COIN, i))) for i in range(3)]


def test_the_attackers_key_is_no_nodes():
    """Also in a crowd: a node whose number were the attacker's branch would share its noise."""
    key = jax.random.key(5)
    below = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))
    theirs = words_of(below(jax.random.fold_in(key, comms.LIES), jnp.arange(4)))
    everybody = jax.jit(comms.node_keys, static_argnums=1)
    for root in below(key, jnp.arange(5)):
        nodes = words_of(everybody(root, 20_000))
        assert nodes.shape == (20_000,) and not np.isin(theirs, nodes).any()
    assert len(np.unique(theirs)) == 4


def words_of(keys):
    """Both words of each key as one number."""
    return np.asarray(jax.random.key_data(keys)).astype(np.uint64) @ np.array([2**32, 1], np.uint64)
