"""What cannot be solved exactly is refused, and what liars can say is ordered as it is told."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest

from quorate.core import Property, Roster, TallyProtocol, static, swept
from quorate.errors import Refusal
from quorate.protocols.common_coin import CommonCoin
from quorate.protocols.majority import MAJORITY, Majority
from quorate.verify import episodes
from quorate.verify.check import verify
from quorate.verify.exact import Unsettled, solve

DECIDED = {"marks": 2, "mark": lambda protocol, proposal, decision: decision}
ALIKE = Property("always", lambda *_: "alike", holds=lambda p, f, counts: (counts == 0).any(axis=-1), **DECIDED)


class LowBit(CommonCoin):
    """Its coin is the lowest bit of the word: as fair as the highest, and scattered over all words."""

    def hear(self, key, ballot, total, coin):
        return super().hear(key, ballot, total, jnp.where(coin & 1, jnp.uint32(2**32 - 1), jnp.uint32(0)))


class Loaded(Majority):
    """Says yes anyway with a small chance, by dice of its own."""

    chance: jax.Array = swept(default=0.1)

    def hear(self, key, ballot, total, coin):
        return super().hear(key, ballot, total, coin) | jax.random.bernoulli(key, self.chance)


class Parity(TallyProtocol):
    """Acts iff it hears an odd number of yes: two false votes are as good as none."""

    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal > 0

    def send(self, ballot):
        return ballot

    def hear(self, key, ballot, total, coin):
        return total % 2 == 1

    def decide(self, ballot):
        return ballot.astype(jnp.int32), ()


def test_a_coin_that_cannot_be_read_is_refused():
    with pytest.raises(Refusal, match="LowBit changes its meaning more often than can be seen"):
        solve(LowBit(members=5, liars=1, rounds=3), Roster(4, 1), (0, 1), [ALIKE])


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_dice_are_seen_however_they_fall(chance):
    with pytest.raises(Refusal, match="Loaded throws dice of its own in hear"):
        solve(Loaded(members=5, chance=chance), Roster(4, 1), (0, 1), [ALIKE])


def test_a_mark_that_a_property_does_not_have_is_refused():
    wild = ALIKE._replace(mark=lambda protocol, proposal, decision: 5 * decision)
    with pytest.raises(Refusal, match="has 2 marks and gives marks from 0 to 5"):
        solve(Majority(members=4), Roster(4, 0), (0, 1), [wild])


def test_yes_to_all_is_yes_to_all():
    game = solve(Parity(), Roster(2, 2), (0, 1), [ALIKE])
    best = game.answers[0].chances
    assert best == (1, 1, 1)  # one liar says yes to one of the two
    assert episodes.value(game, episodes.yes_to_all(game)) == [0, 0, 0]
    assert episodes.value(game, episodes.silent(game)) == [0, 0, 0]
    random = episodes.value(game, episodes.at_random(game))
    assert all(0 < value < 1 for value in random) and isinstance(random[0], Fraction)


def test_attacks_in_count_form_are_about_what_liars_attack_blindly():
    game = solve(Parity(), Roster(2, 1), (0, 1), [ALIKE._replace(early=True), ALIKE._replace(kind="sometimes")])
    for index in (0, 1):
        with pytest.raises(Refusal, match="only properties that liars attack"):
            episodes.optimal(game, index)


def test_what_takes_too_long_to_write_out_is_said_before():
    with pytest.raises(Unsettled):
        solve(Majority(members=3_000_001), Roster(3_000_000, 1), (0, 1), [ALIKE], seconds=1.0)


def test_a_theorem_that_is_wrong_is_no_bound():
    """The theorem registered here promises 0; three voters and a liar disagree in every run."""
    entry = MAJORITY._replace(bound=lambda protocol, roster: Fraction(0))
    found = verify(entry, n=4, t=1)
    assert found.bound == 1 == max(found.findings[0].chances)


def test_another_bound_needs_a_promise_that_it_bounds():
    entry = MAJORITY._replace(properties=(ALIKE._replace(kind="eventually"),))
    assert verify(entry, n=4, t=0).holds
    with pytest.raises(Refusal, match="--at-most bounds the first"):
        verify(entry, n=4, t=0, at_most=Fraction(1, 2))
