"""Votes on several targets, and turns on them."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Roster
from quorate.errors import Refusal
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops
from quorate.protocols.targets import TARGET_VOTES, TargetVotes, make, take_turns
from quorate.testing.tiny import Chorus
from tests.protocols import plays

SAFETY, LIVENESS, POSSIBLE = TARGET_VOTES.properties
LAW = last_round("uniform", 2, 4)
ENDS = [1, 2, 3]
FLEET = Roster(4, 1)


def twin(protocol, proposals, lies, coins):
    """A vote of plain numbers for each target, one after the other."""
    decided = [-1] * len(proposals)
    for target, k in enumerate(np.asarray(protocol.thresholds).tolist()):
        willing = [x == target for x in proposals]
        for r, told in enumerate(lies):
            heard = [sum(willing) + sum(word == target + 1 for word in told[i]) for i in range(len(willing))]
            last = coins[r] < int(protocol.stops[r]) or r == len(lies) - 1
            willing = [w and heard[i] >= k + (0 if last else int(protocol.margin)) for i, w in enumerate(willing)]
            if last:
                break
        decided = [target if w else d for w, d in zip(willing, decided, strict=True)]
    return decided


@pytest.mark.parametrize("targets", [1, 3])
def test_it_is_a_vote_for_each_target(targets):
    protocol = TargetVotes(thresholds=[2, 1, 3][:targets], margin=1, stops=stops(LAW))
    draw, seen = np.random.default_rng(targets), set()
    for seed in range(40):
        proposals = draw.integers(-1, targets, 5).astype(np.int32)
        lies = draw.integers(0, targets + 2, (4, 5, 2)).astype(np.int32)  # the last is no target
        decisions, coins = plays.conversed(protocol, jnp.asarray(proposals), lies, jnp.uint32(seed))
        expected = twin(protocol, proposals.tolist(), lies.tolist(), [int(coin) for coin in coins])
        assert np.asarray(decisions).tolist() == expected
        seen |= set(expected)
    assert seen == set(range(-1, targets))


def test_what_is_no_target_is_none():
    protocol = TargetVotes(thresholds=[1, 1], margin=0, stops=stops(LAW))
    sent = [int(protocol.send(protocol.propose(None, (), jnp.int32(x)))) for x in (-5, -1, 0, 1, 2)]
    assert sent == [0, 0, 1, 2, 0]


def worst(protocol, proposals):
    """(plays, largest chance that the safety, and the liveness, is broken) over all lies about a node's own target; a
    lie about another is as good as none."""
    own = np.where(proposals >= 0, proposals + 1, 1)[None, None, :, None]
    lies = (plays.every_lie(4, *FLEET) * own).astype(np.int32)
    row = []
    for promise in (SAFETY, LIVENESS):
        hits = np.zeros(len(lies), np.int64)
        for end in ENDS:
            coins = np.array([plays.TAILS if r == end else plays.HEADS for r in range(4)], np.uint32)
            decisions = plays.outcomes(protocol, proposals, lies, coins)
            hits += plays.broken(promise, protocol, FLEET, proposals, decisions, TARGET_VOTES.values)
        row.append(Fraction(int(hits.max()), len(ENDS)))
    return len(lies) * len(ENDS), row


@pytest.mark.parametrize(
    ("proposals", "unsafe"),
    [
        (
            [0, 0, 1, 1],
            Fraction(2, 3),
        ),  # either target misfires, each in a round of its own: the union bound is reached
        ([0, 0, 0, 1], 0),
        ([0, 0, -1, 1], Fraction(1, 3)),
        ([1, 1, 1, 1], 0),
        ([-1, -1, -1, -1], 0),
    ],
)
def test_every_play_of_four_nodes_two_targets_and_a_liar(proposals, unsafe):
    protocol = make(n=4, t=1, k=2, max_rounds=4)
    tried, found = worst(protocol, np.array(proposals, np.int32))
    assert tried == 3 * 2**16
    assert found == [unsafe, 0]
    assert SAFETY.at_most(protocol, FLEET) == TARGET_VOTES.bound(protocol, FLEET) == Fraction(2, 3)


class OneThreshold(TargetVotes):
    """Asks the first target's threshold of all."""

    def receive(self, key, ballot, inbox):
        first = TargetVotes(thresholds=self.thresholds[:1], margin=self.margin, stops=self.stops)
        return first.receive(key, ballot, inbox)


class AnyWord(TargetVotes):
    """Counts a word for any target."""

    def receive(self, key, ballot, inbox):
        word = jnp.where(inbox.payload > 0, ballot.named + 1, 0)
        return super().receive(key, ballot, inbox._replace(payload=word))


class NoMargin(TargetVotes):
    def receive(self, key, ballot, inbox):
        plain = TargetVotes(thresholds=self.thresholds, margin=0, stops=self.stops)
        return plain.receive(key, ballot, inbox)


@pytest.mark.parametrize(("bug", "proposals"), [(OneThreshold, [0, 1, 1, 1]), (AnyWord, [0, 0, 0, 1])])
def test_a_seeded_bug_is_seen(bug, proposals):
    proposals, given = np.array(proposals, np.int32), dict(thresholds=[1, 4], margin=1, stops=stops(LAW))
    if bug is AnyWord:
        given["thresholds"] = [2, 2]
    assert worst(TargetVotes(**given), proposals)[1][0] == 0
    assert worst(bug(**given), proposals)[1][0] == 1


def test_a_forgotten_margin_is_seen():
    given = dict(thresholds=[2, 2], margin=1, stops=stops(LAW))
    assert worst(NoMargin(**given), np.array([0, -1, 1, -1], np.int32))[1][0] == 1
    assert worst(TargetVotes(**given), np.array([0, -1, 1, -1], np.int32))[1][0] == 0
    assert TARGET_VOTES.bound(make(n=4, t=1, margin=0), FLEET) == 1


def test_enough_can_go():
    protocol, silent = make(n=4, t=1, k=(4, 1), max_rounds=4), np.zeros((1, 4, 4, 1), np.int32)
    coins = np.full(4, plays.HEADS, np.uint32)
    for proposals, enough in (([0, 0, 0, 0], False), ([0, 1, 1, -1], True)):
        proposals = np.array(proposals, np.int32)
        decisions = plays.outcomes(protocol, proposals, silent, coins)
        assert plays.broken(POSSIBLE, protocol, FLEET, proposals, decisions, (-1, 0, 1))[0] != enough


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(n=4, k=(2, 2, 2)), "--k has 3 numbers; it takes one, or one for each of the 2 targets"),
        (dict(n=4, k=(2, 5)), "--k is 5; it can be at most --n, which is 4"),
        (dict(n=4, min_rounds=4, max_rounds=3), "--min-rounds is 4"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(Refusal, match=said):
        make(**given)


# -------------------------------------------------------------------------------------------------------------- turns


def turns_in_words(rewards, thresholds, able):
    """Without liars and margin: by decreasing reward, all who are free and able go if they are enough."""
    target = [-1] * len(able)
    for j in sorted(range(len(rewards)), key=lambda j: (-rewards[j], j)):
        free = [i for i, row in enumerate(able) if row[j] and target[i] < 0]
        if len(free) >= thresholds[j]:
            for i in free:
                target[i] = j
    return target


def test_turns_go_by_reward():
    draw, vote = np.random.default_rng(0), HiddenStopVote(threshold=1, margin=0, stops=stops(LAW))
    turns, seen = jax.jit(take_turns), set()
    for seed in range(40):
        rewards = draw.integers(0, 4, 5).astype(np.float32)
        thresholds, able = draw.integers(1, 4, 5).astype(np.int32), draw.random((8, 5)) < 0.4
        found = turns(*jax.random.split(jax.random.key(seed)), vote, rewards, thresholds, able).tolist()
        assert found == turns_in_words(rewards, thresholds.tolist(), able.tolist())
        seen |= set(found)
    assert seen == set(range(-1, 5))


def test_turns_against_liars():
    """With margin t the votes are as safe as one vote: a target with k + t able and free nodes is taken, one with too
    few never is, in a hundred runs against random lies."""
    able = jnp.asarray(np.repeat(np.eye(3, dtype=bool), [5, 2, 3], 0))
    vote = HiddenStopVote(threshold=1, margin=2, stops=stops(LAW))
    keys = jax.random.split(jax.random.key(0), 100)

    def one(key):
        rewards, thresholds = jnp.array([1.0, 3.0, 2.0]), jnp.array([3, 3, 1])
        return take_turns(key, jax.random.fold_in(key, 1), vote, rewards, thresholds, able, Chorus(members=0, extras=2))

    assert np.unique(jax.jit(jax.vmap(one))(keys), axis=0).tolist() == [[0] * 5 + [-1] * 2 + [2] * 3]


@pytest.mark.parametrize("shapes", [((3,), (2,), (8, 3)), ((3,), (3,), (8, 2)), ((3,), (3,), (3,))])
def test_turns_refuse_shapes_that_do_not_fit(shapes):
    vote, keys = HiddenStopVote(threshold=1, margin=0, stops=stops(LAW)), jax.random.split(jax.random.key(0))
    rewards, thresholds, able = (jnp.ones(shape) for shape in shapes)
    with pytest.raises(Refusal, match="rewards, thresholds and able have shapes"):
        take_turns(*keys, vote, rewards, thresholds.astype(int), able > 0)
