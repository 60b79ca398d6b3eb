"""Three opinions on the hidden-stop vote under its best attackers: Storm, a naive tree search, and quorate's solver."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Roster
from quorate.protocols.hidden_stop_vote import HIDDEN, HiddenStopVote, stops
from quorate.verify.exact import Game, informed, solve
from tests.oracles import naive, storm

pytestmark = pytest.mark.oracle

Instance = tuple[int, int, int, int, str]  # n, k, t, margin, name of the law

LAWS = {
    "uniform 2..5": naive.uniform(2, 5),
    "uniform 1..3": naive.uniform(1, 3),
    "geometric 1/2, 2..5": naive.geometric(2, 5, Fraction(1, 2)),
}
SEARCHED = 4  # the largest n of the naive search

# The worst chance for A0 = 0..n, by n, k, t, margin and the largest round of a uniform law from 2; 0 where not named.
NINTH = Fraction(1, 9)
VECTORS = {
    (4, 3, 1, 1, 5): {3: Fraction(1, 4)},
    (4, 2, 2, 2, 10): {2: NINTH, 3: NINTH},
    (10, 5, 2, 2, 10): {5: NINTH, 6: NINTH},
    (20, 4, 2, 2, 10): {4: NINTH, 5: NINTH},
    (6, 3, 2, 0, 10): {1: Fraction(1), 2: Fraction(1)},
    (6, 3, 2, 1, 10): {2: Fraction(1), 3: Fraction(1)},
    (6, 3, 2, 2, 10): {3: NINTH, 4: NINTH},
}

# Mean reward against attackers whose every message says 1 with chance p / 10, for margins 0, 1, 2; n = 4, k = t = 2.
REWARDS = {
    0: ("0.6000", "0.4000", "0.2000"),
    2: ("0.5955", "0.3986", "0.2024"),
    5: ("0.5538", "0.4040", "0.2194"),
    8: ("0.4426", "0.4733", "0.3257"),
    9: ("0.4116", "0.4898", "0.4037"),
    10: ("0.4000", "0.4000", "0.6000"),
}


def grid(largest: int) -> Iterator[Instance]:
    """Every instance with n up to `largest`, k and t up to 3, margins 0..t + 1, and each law."""
    for name in LAWS:
        for n in range(1, largest + 1):
            for k in range(1, min(n, 3) + 1):
                yield from ((n, k, t, margin, name) for t in range(4) for margin in range(t + 2))


@cache
def on_grid(instance: Instance) -> storm.Values:
    """Storm's values, asked for once."""
    return storm.solve(*instance[:-1], LAWS[instance[-1]])


def game(n: int, k: int, t: int, margin: int | Sequence[int], law: Sequence[Fraction]) -> Game:
    """quorate's solver on its own protocol."""
    margins = margin if isinstance(margin, int) else np.array(margin, np.int32)
    vote = HiddenStopVote(threshold=k, margin=margins, stops=stops(law))
    return solve(vote, Roster(honest=n, liars=t), (0, 1), HIDDEN.properties)


def ours(
    n: int, k: int, t: int, margin: int | Sequence[int], law: Sequence[Fraction]
) -> tuple[list[Fraction], list[Fraction]]:
    """What quorate says: (largest chance of 0 < C < k, least chance of C >= k), each for A0 = 0..n."""
    solved = game(n, k, t, margin, law)
    return solved.worst(0), [1 - chance for chance in solved.worst(1)]


def closed_form(n: int, k: int, t: int, margin: int, law: list[Fraction]) -> list[Fraction]:
    """The worst chance for A0 = 0..n when margin <= t and the vote has two rounds or more.

    For margin = t it is the bound of IBGP, Theorem 3, which attackers reach; for less it is ours (smt.py proves both).
    """
    once = max(law) if margin == t else Fraction(1)
    low, high = (k, k + t) if margin == t else (max(1, k - (t - margin)), k + margin)
    return [once if k > 1 and t > 0 and low <= count < high else Fraction(0) for count in range(n + 1)]


@pytest.mark.parametrize("instance", VECTORS, ids=str)
def test_storm_gives_the_known_values(instance):
    n, k, t, margin, last = instance
    expected = [VECTORS[instance].get(count, Fraction(0)) for count in range(n + 1)]
    assert storm.solve(n, k, t, margin, naive.uniform(2, last)).miscoordination == expected
    assert ours(n, k, t, margin, naive.uniform(2, last))[0] == expected


@pytest.mark.parametrize("tenths", REWARDS)
def test_storm_gives_the_known_rewards_against_random_attackers(tenths):
    law = naive.uniform(2, 10)
    found = [storm.reward(4, 2, 2, margin, law, Fraction(tenths, 10)) for margin in (0, 1, 2)]
    assert tuple(f"{float(reward):.4f}" for reward in found) == REWARDS[tenths]


def test_storm_agrees_with_the_naive_search():
    """Up to 81 ways to lie in each round; beyond that two instances with n = 4 and t = 3."""
    small = [instance for instance in grid(SEARCHED) if (instance[2] + 1) ** instance[0] <= 81]
    assert len(small) == 333
    for n, k, t, margin, name in [*small, (4, 3, 3, 2, "geometric 1/2, 2..5"), (4, 2, 3, 3, "uniform 1..3")]:
        found = on_grid((n, k, t, margin, name))
        assert (found.miscoordination, found.together) == naive.search(n, k, t, margin, LAWS[name]), (n, k, t, margin)


def test_quorate_agrees_with_storm():
    for n, k, t, margin, name in grid(6):
        found = on_grid((n, k, t, margin, name))
        assert ours(n, k, t, margin, LAWS[name]) == (found.miscoordination, found.together), (n, k, t, margin, name)


@pytest.mark.parametrize("name", ["uniform 2..5", "geometric 1/2, 2..5"])
def test_storm_agrees_with_the_closed_forms(name):
    law = LAWS[name]
    for n, k, t, margin, of in grid(6):
        if of == name and margin <= t:
            found = on_grid((n, k, t, margin, name))
            assert found.miscoordination == closed_form(n, k, t, margin, law), (n, k, t, margin)
            live = [int(count >= k + margin) for count in range(n + 1)]
            assert found.together == live, (n, k, t, margin)


def test_with_one_round_only_lies_can_split_fewer_than_k():
    law = naive.uniform(1, 3)
    found = storm.solve(6, 3, 2, 2, law).miscoordination
    assert found == [0, Fraction(1, 3), Fraction(1, 3), Fraction(1, 3), Fraction(1, 3), 0, 0]


@pytest.mark.parametrize(("n", "k", "t"), [(4, 3, 1), (6, 3, 2), (6, 2, 3)])
def test_the_last_round_known_beforehand_gives_one_and_the_current_bit_alone_changes_nothing(n, k, t):
    law = naive.geometric(2, 6, Fraction(2, 3))
    hidden, current, known = (storm.solve(n, k, t, t, law, coin) for coin in storm.COINS)
    assert current.miscoordination == hidden.miscoordination
    assert current.together == hidden.together
    assert known.miscoordination == [int(k <= count < k + t) for count in range(n + 1)]
    assert max(hidden.miscoordination) == max(law) < 1
    for found, knows in ((current, "bit"), (known, "end")):
        assert list(informed(game(n, k, t, t, law), 0, knows)) == found.miscoordination


@pytest.mark.parametrize(
    ("k", "t", "margins"),
    [(2, 2, (2, 2, 2, 2)), (2, 2, (2, 1, 2, 0)), (3, 1, (1, 0, 1, 1)), (3, 2, (3, 2, 0, 2)), (2, 1, (0, 2, 1))],
    ids=str,
)
def test_all_three_agree_on_a_margin_for_each_node(k, t, margins):
    for law in LAWS.values():
        found = storm.solve(len(margins), k, t, margins, law)
        assert (found.miscoordination, found.together) == naive.search(len(margins), k, t, margins, law)
        assert (found.miscoordination, found.together) == ours(len(margins), k, t, margins, law)


def test_node_by_node_and_by_counts_storm_says_the_same():
    for k, t, margin in [(3, 1, 1), (2, 2, 1), (3, 2, 2), (2, 1, 2)]:
        for law in LAWS.values():
            by_counts, by_node = storm.solve(5, k, t, margin, law), storm.solve(5, k, t, [margin] * 5, law)
            assert (by_node.miscoordination, by_node.together) == (by_counts.miscoordination, by_counts.together)


def test_one_lower_margin_among_five_doubles_the_risk():
    found = storm.solve(5, 3, 2, (2, 2, 2, 1, 2), naive.uniform(2, 6)).miscoordination
    assert max(found) == Fraction(2, 5)


class Shifted(HiddenStopVote):
    """A wrong vote: in the last round it asks for `decide_more` votes more than it should."""

    decide_more: int = eqx.field(static=True, default=0)

    def hear(self, key, ballot, total, coin):
        last = (coin < self.stops[ballot.round]) | (ballot.round == self.rounds - 1)
        wrong = super().hear(key, ballot, total - self.decide_more, coin)
        return eqx.tree_at(
            lambda b: b.willing, wrong, jnp.where(last, wrong.willing, super().hear(key, ballot, total, coin).willing)
        )


@pytest.mark.parametrize("decide", [-1, 1, 2, 3])
def test_all_three_agree_on_wrong_decision_thresholds(decide):
    law = naive.uniform(2, 4)
    for k, t in [(2, 1), (3, 1), (2, 2), (3, 2)]:
        found = storm.check(storm.program(4, k, t, t, law, decide=decide), 4)
        assert (found.miscoordination, found.together) == naive.search(4, k, t, t, law, decide)
        vote = Shifted(threshold=k, margin=t, stops=stops(law), decide_more=decide)
        solved = solve(vote, Roster(honest=4, liars=t), (0, 1), HIDDEN.properties)
        assert solved.worst(0) == found.miscoordination
        assert [1 - chance for chance in solved.worst(1)] == found.together


def test_what_a_wrong_decision_threshold_costs():
    """k - 1 and k + margin are as safe as k; in between there can be two dangerous rounds, above all of them are."""
    law = naive.uniform(2, 5)
    worst = {
        decide: max(storm.check(storm.program(6, 3, 2, 2, law, decide=decide), 6).miscoordination)
        for decide in range(-1, 4)
    }
    assert worst == {-1: Fraction(1, 4), 0: Fraction(1, 4), 1: Fraction(1, 2), 2: Fraction(1, 4), 3: 1}


def test_a_law_that_is_none_and_an_unknown_coin_are_refused():
    for law in ([Fraction(1, 2)], [Fraction(3, 2), Fraction(-1, 2)], [Fraction(1), Fraction(0)]):
        with pytest.raises(ValueError, match="no law"):
            storm.program(4, 3, 1, 1, law)
    with pytest.raises(ValueError, match="no coin"):
        storm.program(4, 3, 1, 1, naive.uniform(2, 5), coin="leaked")
    with pytest.raises(ValueError, match="3 margins for 4 nodes"):
        storm.solve(4, 3, 1, [1, 1, 1], naive.uniform(2, 5))
