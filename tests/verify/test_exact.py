"""The exact solver against numbers known beforehand, and against a naive search of the tree."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import Roster
from quorate.protocols.hidden_stop_vote import last_round
from quorate.verify.exact import Unsettled, informed, solve
from tests.verify.tree import TOP, coins, worst
from tests.verify.votes import BARS, PROMISES, VOTE, DrawnBar, MajorityVote, VetoVote, changed, vote

ONE, NONE = Fraction(1), Fraction(0)


def solved(protocol, n, t):
    return solve(protocol, Roster(n, t), VOTE.values, VOTE.properties)


def breach(n, k, t, margin, low, high, law="uniform"):
    return solved(vote(k, margin, low, high, law)[0], n, t).worst(0)


def closed_form(n, k, t, margin, law):
    """IBGP, Section 4.1 and Appendix A.4: what the game is worth with one margin of at most t for all."""
    if k == 1 or t == 0:
        return [NONE] * (n + 1)
    first, later = law[0], max(law[1:], default=NONE)
    if margin == t:
        return [
            (first if 0 < a < k <= a + t else NONE) if a < k else (later if a < k + t else NONE) for a in range(n + 1)
        ]
    assert not first
    return [ONE if max(1, k - (t - margin)) <= a <= k + margin - 1 else NONE for a in range(n + 1)]


@pytest.mark.parametrize(
    ("n", "k", "t", "margin", "high", "expected"),
    [
        (4, 3, 1, 1, 5, "0 0 0 1/4 0"),
        (4, 2, 2, 2, 10, "0 0 1/9 1/9 0"),
        (10, 5, 2, 2, 10, "0 0 0 0 0 1/9 1/9 0 0 0 0"),
        (20, 4, 2, 2, 10, "0 0 0 0 1/9 1/9" + " 0" * 15),
        (6, 3, 2, 0, 10, "0 1 1 0 0 0 0"),
        (6, 3, 2, 1, 10, "0 0 1 1 0 0 0"),
        (6, 3, 2, 2, 10, "0 0 0 1/9 1/9 0 0"),
    ],
)
def test_known_numbers(n, k, t, margin, high, expected):
    assert breach(n, k, t, margin, 2, high) == [Fraction(word) for word in expected.split()]


def test_mixed_margins():
    assert max(breach(5, 3, 2, (2, 2, 2, 1, 2), 2, 6)) == Fraction(2, 5)
    assert max(breach(5, 3, 2, (2, 2, 2, 2, 2), 2, 6)) == Fraction(1, 5)  # the same program
    for margins in ((1, 2, 2, 2), (2, 2, 2, 2)):
        expected = Fraction(1, 4) if margins == (2, 2, 2, 2) else ONE
        assert max(breach(4, 2, 2, margins, 2, 5)) == expected, margins


@pytest.mark.slow
def test_one_without_a_margin_among_ten_does_no_harm():
    assert max(breach(10, 4, 2, (0,) + (2,) * 9, 2, 6)) == Fraction(1, 5)


@pytest.mark.parametrize("law", ["uniform", "geometric:1/3"])
@pytest.mark.parametrize("low", [1, 2])
def test_margin_of_t_agrees_with_the_closed_form(low, law):
    shares = last_round(law, low, 4)
    for n, t in ((3, 1), (5, 0), (5, 2), (6, 3)):
        for k in range(1, n + 1):
            assert breach(n, k, t, t, low, 4, law) == closed_form(n, k, t, t, shares), (n, k, t)


def test_relaxed_margins_agree_with_the_closed_form():
    shares = last_round("uniform", 2, 4)
    for n, t in ((4, 1), (5, 2), (6, 3)):
        for k, margin in itertools.product(range(1, n + 1), range(t)):
            assert breach(n, k, t, margin, 2, 4) == closed_form(n, k, t, margin, shares), (n, k, t, margin)


def test_liveness_and_possibility():
    game = solved(vote(2, 1, 2, 5)[0], 4, 1)
    assert game.worst(1) == [ONE, ONE, ONE, NONE, NONE]  # the chance that fewer than k act, under the best attack
    assert game.worst(2) == [NONE, NONE, NONE, ONE, ONE]  # the chance that k act while liars are silent
    shy = solved(vote(3, 3, 2, 5)[0], 4, 1)
    assert max(shy.worst(2)) == NONE and max(shy.worst(0)) == NONE  # safe because nothing ever happens


# --------------------------------------------------------------------------------------- against the naive search


@pytest.mark.parametrize(
    ("n", "k", "t", "margin", "low", "high", "law"),
    [
        (4, 3, 1, 1, 2, 4, "uniform"),
        (4, 2, 2, 1, 2, 4, "uniform"),
        (3, 2, 2, 2, 1, 4, "geometric:1/3"),
        (4, 3, 1, 3, 2, 4, "1/2,1/4,1/4"),
        (3, 2, 2, 3, 1, 4, "uniform"),
        pytest.param(4, 2, 1, (1, 0, 1, 2), 2, 4, "uniform", marks=pytest.mark.slow),
        (3, 2, 2, (2, 1, 2), 1, 4, "uniform"),
        (3, 3, 1, 1, 4, 4, "uniform"),  # the last round is known
        (4, 3, 1, 0, 1, 1, "uniform"),  # there is only one
        (4, 2, 0, 0, 1, 4, "uniform"),  # there are no liars
    ],
)
def test_hidden_stop_vote_as_the_tree_says(n, k, t, margin, low, high, law):
    protocol, shares = vote(k, margin, low, high, law)
    game, naive = solved(protocol, n, t), worst(protocol, n, t, VOTE.values, VOTE.properties, coins(shares))
    assert [game.worst(i) for i in range(len(naive))] == naive


CHANGES = {
    "strictly more": (">= self.threshold", "> self.threshold"),
    "margin turned round": ("+ jnp.where(last, 0, margin)", "- jnp.where(last, 0, margin)"),
    "margin at the end": ("jnp.where(last, 0, margin)", "jnp.where(last, margin, 0)"),
    "gate left open": ("ballot.willing & (ballot.over", "(ballot.over"),
    "end forgotten": ("(ballot.over | (total", "((total"),
    "one more": ("total >=", "total + 1 >="),
}


# Each compiles anew; the others: make proof.
FIRST = ("strictly more", "margin turned round", "end forgotten")
TRIED = [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in CHANGES]


@pytest.mark.parametrize("name", TRIED)
def test_one_changed_token_as_the_tree_says(name):
    kind = changed(*CHANGES[name])
    same = []
    for n, k, t, margin in ((3, 2, 1, 1), (3, 2, 1, 2), (4, 3, 1, 1)):
        protocol, law = vote(k, margin, 2, 3, kind=kind)
        found = [solved(protocol, n, t).worst(i) for i in range(4)]
        assert found == worst(protocol, n, t, VOTE.values, VOTE.properties, coins(law)), (n, k, t, margin)
        same.append(found == [solved(vote(k, margin, 2, 3)[0], n, t).worst(i) for i in range(4)])
    assert not all(same)


def test_votes_of_our_own_as_the_tree_says():
    sure = [[(TOP, ONE)]] * 2
    for protocol, n, t, values, words in (
        (VetoVote(enough=2, few=1), 3, 1, (0, 1, 2), sure),
        (DrawnBar(), 3, 1, (0, 1), [BARS] * 2),
        (DrawnBar(rounds=1), 4, 2, (0, 1), [BARS]),
        (MajorityVote(people=5), 4, 1, (0, 1), sure),
        (MajorityVote(people=4, rounds=1), 3, 1, (0, 1), sure[:1]),
    ):
        game = solve(protocol, Roster(n, t), values, PROMISES)
        assert [game.worst(i) for i in range(3)] == worst(protocol, n, t, values, PROMISES, words), protocol


def test_three_meanings_are_found():
    game = solve(DrawnBar(), Roster(3, 1), (0, 1), PROMISES)
    assert [[str(share) for share in stage.shares] for stage in game.machine.rounds] == [["1/2", "1/3", "1/6"]] * 2
    assert set(game.worst(0)) - {NONE, ONE}, "the draw decides somewhere"


# ------------------------------------------------------------------------------------------- what it ought to obey


@settings(max_examples=12)
@given(st.integers(1, 4), st.permutations((0, 1, 2, 2)), st.integers(1, 2))
def test_the_order_of_margins_is_nothing(k, margins, low):
    assert breach(4, k, 2, tuple(margins), low, 3) == breach(4, k, 2, (0, 1, 2, 2), low, 3)


@settings(max_examples=15)
@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2), st.integers(1, 4))
def test_more_liars_never_help_the_honest(k, margin, t, low):
    protocol, _ = vote(k, margin, low, 4)
    few, many = solved(protocol, 5, t), solved(protocol, 5, t + 1)
    for index in (0, 1):
        assert all(a <= b for a, b in zip(few.worst(index), many.worst(index), strict=True))
        assert all(0 <= chance <= 1 for chance in many.worst(index))


def test_what_the_hidden_coin_is_worth():
    game = solved(vote(3, 1, 2, 6)[0], 5, 1)
    assert max(game.worst(0)) == Fraction(1, 5)
    assert informed(game, 0, "bit") == game.answers[0].chances
    assert max(informed(game, 0, "end")) == ONE


def test_large_games_are_refused_by_their_number_of_plays():
    protocol, _ = vote(32, 4, 2, 4)
    with pytest.raises(Unsettled) as refused:
        solve(protocol, Roster(64, 4), VOTE.values, VOTE.properties, most=100)
    assert refused.value.plays > 100
    assert solved(protocol, 64, 4).positions < 5000  # 64 nodes are no reason
