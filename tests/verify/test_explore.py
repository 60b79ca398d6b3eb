"""Every play of small instances: against the exact solver, and for protocols that read who said what."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest

from quorate.core import Property, Protocol, Roster, static, swept
from quorate.core.property import ALWAYS, SOMETIMES
from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.verify.exact import Unsettled, expected_rounds, solve
from quorate.verify.explore import explore
from quorate.verify.play import breaks
from quorate.verify.strategy import Strategy
from tests.verify.votes import PROMISES, TOGETHER, VOTE, DrawnBar, MajorityVote, VetoVote, vote

ONE, NONE = Fraction(1), Fraction(0)
ENDS = (-(2**31),), (2**31 - 1,)


class Echo(Protocol):
    """Do what the node after you says; the last node listens to the first liar."""

    people: int = static()
    rounds: int = static(1)

    def boot(self, key, me):
        return me

    def propose(self, key, state, proposal):
        return jnp.asarray(state, jnp.int32), jnp.asarray(proposal, jnp.int32)

    def send(self, ballot):
        return ballot[1]

    def receive(self, key, ballot, inbox):
        return ballot[0], jnp.sum(jnp.where(inbox.sender == ballot[0] + 1, inbox.payload, 0))

    def decide(self, ballot):
        return ballot[1], ballot[0]


class Gate(Protocol):
    """Says its proposal and decides 1 if any number that it hears lies beyond `bar`, as no honest one does."""

    bar: jax.Array = swept(jnp.int32)
    kind: type = static(jnp.int32)
    rounds: int = static(1)

    def boot(self, key, me):
        return ()

    def propose(self, key, state, proposal):
        return proposal.astype(self.kind), jnp.int32(0)

    def send(self, ballot):
        return ballot[0]

    def receive(self, key, ballot, inbox):
        payload = inbox.payload.astype(jnp.int32)
        beyond = jnp.where(self.bar > 0, payload > self.bar, payload < self.bar)
        return ballot[0], jnp.maximum(ballot[1], jnp.any(beyond).astype(jnp.int32))

    def decide(self, ballot):
        return ballot[1], ()


class Dice(MajorityVote):
    """Throws dice where it should not."""

    def hear(self, key, ballot, total, coin):
        return (total > 0) ^ jax.random.bernoulli(key)


@pytest.mark.parametrize(
    ("protocol", "n", "t", "values", "promises"),
    [
        (vote(3, 1, 2, 4)[0], 4, 1, (0, 1), VOTE.properties),
        pytest.param(vote(2, 1, 1, 3, "geometric:1/3")[0], 3, 2, (0, 1), VOTE.properties, marks=pytest.mark.slow),
        (vote(2, (2, 0, 1), 2, 3)[0], 3, 2, (0, 1), VOTE.properties),
        (VetoVote(enough=2, few=1), 3, 1, (0, 1, 2), PROMISES),
        (DrawnBar(), 3, 1, (0, 1), PROMISES),
        (MajorityVote(people=4), 3, 1, (0, 1), PROMISES),
    ],
    ids=["hidden stop", "early stop", "own margins", "two kinds of voices", "three meanings", "majority"],
)
def test_the_same_as_the_exact_solver(protocol, n, t, values, promises):
    game = solve(protocol, Roster(n, t), values, promises)
    for exchange in (True, False):
        found = explore(protocol, Roster(n, t), values, promises, exchange=exchange)
        assert [found.worst(i) for i in range(len(promises))] == [game.worst(i) for i in range(len(promises))]
        assert found.expected_rounds() == expected_rounds(game)


def test_the_number_of_plays():
    """Majority of 2 honest nodes and a liar, one round. With 0 or 2 yes the liar changes nothing; with 1 yes it chooses
    for each node: 4 ways. So 1 + 4 + 4 + 1 plays from 4 starts, and as many ends."""
    found = explore(MajorityVote(people=3, rounds=1), Roster(2, 1), (0, 1), PROMISES, exchange=False)
    assert (found.plays, found.histories, found.positions) == (10, 10, 4 + 10)
    assert found.worst(0) == [NONE, ONE, NONE]
    same = explore(MajorityVote(people=3, rounds=1), Roster(2, 1), (0, 1), PROMISES)
    assert (len(same.begins), same.histories) == (3, 1 + 4 + 1)  # who proposes 0 may end otherwise than who proposes 1
    twice = explore(MajorityVote(people=3), Roster(2, 1), (0, 1), PROMISES, exchange=False)
    assert twice.histories == 1 + 2 * (1 + 1 + 4 + 4) + 1


def test_who_said_what_counts():
    found = explore(Echo(people=3), Roster(3, 1), (0, 1), PROMISES)
    assert not found.exchange and found.alphabet == (None, (0,), (1,), *ENDS)
    assert found.histories == 8 * 4  # only the last node hears a liar, and nothing is as much as 0
    worst = dict(zip(map(tuple, found.proposals.tolist()), found.answers[0].chances, strict=True))
    assert worst[0, 1, 1] == ONE and all(chance == ONE for chance in worst.values())
    assert found.worst(2) == [NONE, ONE, ONE, ONE]  # with a silent liar somebody acts if node 1 or 2 proposes it


def test_messages_of_another_kind_can_be_given():
    found = explore(Echo(people=2), Roster(2, 1), (0, 1), PROMISES, messages=[(7,)])
    assert found.alphabet == (None, (0,), (1,), *ENDS, (7,))
    assert found.histories == 4 * 5


SHORT = pytest.param(-5, jnp.int16, marks=pytest.mark.slow)


@pytest.mark.parametrize(("bar", "kind"), [(5, jnp.int32), (-5, jnp.int32), (100, jnp.uint8), SHORT])
def test_liars_say_numbers_that_nobody_says(bar, kind):
    nobody = Property(
        kind=ALWAYS,
        words=lambda protocol, roster: "nobody hears what no honest node says",
        marks=2,
        mark=lambda protocol, proposal, decision: decision,
        holds=lambda protocol, roster, counts: counts[..., 1] == 0,
    )
    for rounds in (1, 2):
        gate = Gate(bar=bar, kind=kind, rounds=rounds)
        assert explore(gate, Roster(2, 0), (0, 1), (nobody,)).worst(0) == [NONE] * 3
        found = explore(gate, Roster(2, 1), (0, 1), (nobody,))
        assert found.worst(0) == [ONE] * 3 and not found.complete
        assert Strategy(found, 0).play(0) is not None and breaks(gate, nobody, Strategy(found, 0).play(0))


def test_of_a_few_yes_and_no_every_message_is_tried():
    assert explore(MajorityVote(people=4), Roster(3, 1), (0, 1), PROMISES).complete
    assert not explore(Echo(people=3), Roster(3, 1), (0, 1), PROMISES).complete


def test_phase_king_holds_where_it_is_proved():
    entry = PROTOCOLS["phase_king"]
    game = explore(entry.make(n=4, t=1), Roster(4, 1), entry.values, entry.properties)
    assert game.worst(0) == [NONE] * 5
    assert [game.worst(1)[willing] for willing in (0, 4)] == [NONE, NONE]
    assert game.worst(2)[4] == ONE
    assert game.histories == 30026


def test_phase_king_without_an_honest_king_is_broken_by_a_play():
    entry = PROTOCOLS["phase_king"]
    protocol = type(entry.example)(members=4, liars=1, kings=[3])
    game = explore(protocol, Roster(3, 1), entry.values, entry.properties)
    assert max(game.worst(0)) == ONE
    strategy = Strategy(game, 0)
    for start, chance in enumerate(game.answers[0].chances):
        play = strategy.play(start)
        assert (play is None) == (chance == 0)
        if play is not None:
            assert breaks(protocol, entry.properties[0], play)


@pytest.mark.parametrize("exchange", [True, False])
def test_plays_break_what_they_should(exchange):
    protocol, _ = vote(2, (2, 0, 1), 2, 3)
    game = explore(protocol, Roster(3, 2), VOTE.values, VOTE.properties, exchange=exchange)
    for index, about in enumerate(VOTE.properties):
        strategy = Strategy(game, index)
        for start, chance in enumerate(game.answers[index].chances):
            play = strategy.play(start)
            assert (play is None) == (chance == 0)
            if play is not None:
                assert breaks(protocol, about, play) == (about.kind != SOMETIMES)
                assert sum((script.chance for script in strategy.scripts(start, 100)), NONE) == chance
                assert strategy.plan(start)


def test_what_is_too_large_is_refused_before_it_is_done():
    protocol, _ = vote(5, 3, 2, 9)
    with pytest.raises(Unsettled) as refused:
        explore(protocol, Roster(9, 3), VOTE.values, VOTE.properties, most=100)
    assert refused.value.plays > 100
    assert explore(vote(1, 0, 2, 2)[0], Roster(12, 0), (0, 1), VOTE.properties, most=1e5).plays < 100


def test_dice_are_refused():
    with pytest.raises(Refusal, match="throws dice of its own in hear"):
        explore(Dice(people=3), Roster(2, 1), (0, 1), (TOGETHER,))
