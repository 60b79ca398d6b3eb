"""Sampling given attacks: intervals around what those attacks are worth, below the worst case."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import CountingAttack, Fault, Roster
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.measure.intervals import clopper_pearson
from quorate.protocols import PROTOCOLS
from quorate.verify.exact import solve
from quorate.verify.sample import interval, sample
from tests.verify.votes import PROMISES, VOTE, VetoVote, vote


class Yes(CountingAttack):
    """Yes to everybody."""

    def lies(self, key, state, tally):
        return state, jnp.full(tally.forged.shape, self.extras)


class TwoPass(CountingAttack):
    """In round 2 of the vote below lets two of three willing nodes pass, then pushes them over the final threshold."""

    def lies(self, key, state, tally):
        rank = jnp.cumsum(tally.sent) - 1
        return state, jnp.where((tally.round == 0) & (rank > 1), 0, 1)


class Member(Fault):
    def liars(self, state):
        return jnp.arange(4) == 0


RUNS = 400
PROTOCOL, _ = vote(3, 1, 2, 5)
FLEET = Roster(4, 1)


ATTACKS = {"yes": Yes(extras=1), "two pass": TwoPass(extras=1), "silent": Fault()}


@pytest.fixture(scope="module")
def sampled():
    return sample(PROTOCOL, FLEET, VOTE.values, VOTE.properties, ATTACKS, runs=RUNS, seed=1)


def test_there_is_a_cell_for_each_attack_and_start(sampled):
    cells = [(row.attack, row.property, row.willing) for row in sampled.rows]
    assert len(set(cells)) == len(cells)
    expected = {(name, 0, willing) for name in ("yes", "two pass", "silent") for willing in range(5)}
    expected |= {(name, 3, willing) for name, _, willing in expected}
    expected |= {(name, 1, 4) for name in ("yes", "two pass", "silent")}  # liveness speaks of 4 willing nodes only
    expected |= {("nobody lies", 2, willing) for willing in range(5)}
    assert set(cells) == expected and all(row.runs == RUNS for row in sampled.rows)


def test_intervals_hold_what_the_attacks_are_worth(sampled):
    worth = {("two pass", 3): 0.25}  # the end comes in round 2; elsewhere these attacks break nothing
    for row in sampled.of(0):
        true = worth.get((row.attack, row.willing), 0.0)
        assert row.low <= true <= row.high and (row.breaches > 0) == (true > 0)
    for row in sampled.of(2):
        assert row.breaches == (RUNS if row.willing == 4 else 0)
    assert sampled.worst(0)[3].attack == "two pass" and sampled.worst(0)[3].low > 0.1


def test_it_is_a_lower_bound(sampled):
    game = solve(PROTOCOL, FLEET, VOTE.values, VOTE.properties)
    for index in (0, 1, 3):
        for willing, row in sampled.worst(index).items():
            assert row.low <= game.worst(index)[willing]


def test_levels_are_corrected_for_the_number_of_cells(sampled):
    number = len(sampled.rows)
    for row in sampled.rows[:3]:
        bounds = clopper_pearson(row.breaches, RUNS, 1 - 0.05 / number)
        assert (row.low, row.high) == (bounds.low, bounds.high)
        assert interval(row) == bounds
    assert sampled.rows[0].high > clopper_pearson(sampled.rows[0].breaches, RUNS, 0.95).high


def test_a_planted_error_is_found():
    """The final threshold is one too low."""
    wrong = type("Wrong", (type(PROTOCOL),), {"hear": _one_less})(
        threshold=3, margin=1, stops=np.asarray(PROTOCOL.stops)
    )
    found = sample(wrong, FLEET, VOTE.values, VOTE.properties, {"yes": Yes(extras=1)}, runs=50)
    assert {row.willing: row.breaches for row in found.of(0)} == {0: 0, 1: 0, 2: 50, 3: 0, 4: 0}


def _one_less(self, key, ballot, total, coin):
    return type(PROTOCOL).hear(self, key, ballot, total + 1, coin)


def test_same_seed_same_rows(sampled):
    both = [sample(PROTOCOL, FLEET, VOTE.values, VOTE.properties, ATTACKS, runs=RUNS, seed=seed) for seed in (1, 2)]
    assert both[0] == sampled and both[1] != sampled


def test_protocols_that_read_their_mail_one_by_one():
    entry = PROTOCOLS["phase_king"]
    found = sample(entry.make(n=4, t=1), Roster(4, 1), entry.values, entry.properties, {"yes": Yes(extras=1)}, runs=20)
    assert all(row.breaches == 0 for row in found.rows if entry.properties[row.property].kind != SOMETIMES)


def test_more_than_two_values():
    protocol, roster = VetoVote(enough=1, few=2), Roster(3, 1)
    found = sample(protocol, roster, (0, 1, 2), PROMISES, {"silent": Fault()}, runs=60)
    breaches = [row.breaches for row in found.of(0)]
    assert 0 < breaches[1] < 60  # the two others may both veto
    assert breaches == [0, breaches[1], 60, 0]
    game = solve(protocol, roster, (0, 1, 2), PROMISES)
    assert max(game.worst(0)) == Fraction(1)


@pytest.mark.parametrize(
    ("attacks", "given", "words"),
    [
        ({"many": Yes(extras=2)}, {"runs": 10}, 'the attack "many" has 2 talkers; the roster has 1 liars'),
        ({"member": Member()}, {"runs": 10}, "liars among the members"),
        ({}, {"runs": 10}, "nothing to sample"),
        ({"yes": Yes(extras=1)}, {"runs": 0}, "runs is 0"),
        ({"yes": Yes(extras=1)}, {"runs": 10, "level": 1.0}, "level is 1"),
    ],
)
def test_what_does_not_fit_is_refused(attacks, given, words):
    with pytest.raises(Refusal, match=words):
        sample(PROTOCOL, FLEET, VOTE.values, VOTE.properties[:1], attacks, **given)
