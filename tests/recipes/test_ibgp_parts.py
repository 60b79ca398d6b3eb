"""The recipe's own small solvers and plays, each against something that shares no code with it."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest

from quorate.core import Roster
from quorate.experiments.study import Study
from quorate.protocols import PROTOCOLS
from quorate.protocols.hidden_stop_vote import last_round
from quorate.recipes.ibgp import babble, dispersion, influence, plays, sampled, scene, selection, tables
from quorate.solvers import target_selection
from quorate.testing import check_learner, check_world

SIXTHS = last_round("uniform", 2, 7)
NINTHS = last_round("uniform", 2, 10)


# ------------------------------------------------------------------------------------------------------------- exact


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"n": 4, "k": 3, "t": 1, "max_rounds": 5}, "0 0 0 1/4 0"),
        ({"n": 4, "k": 2, "t": 2}, "0 0 1/9 1/9 0"),
        ({"n": 10, "k": 5, "t": 2}, "0 0 0 0 0 1/9 1/9 0 0 0 0"),
        ({"n": 6, "k": 3, "t": 2, "margin": 0}, "0 1 1 0 0 0 0"),
        ({"n": 6, "k": 3, "t": 2, "margin": 1}, "0 0 1 1 0 0 0"),
    ],
)
def test_worst_cases_that_were_solved_before(settings, expected):
    assert " ".join(map(str, tables.worst(tables.game("hidden_stop_vote", **settings)))) == expected


@pytest.mark.parametrize(("n", "k", "t"), [(7, 4, 3), (6, 2, 2), (6, 3, 3), (5, 1, 2)])
def test_margins_below_t_follow_their_closed_form(n, k, t):
    """Certain harm for max(1, k - (t - margin)) <= A_0 <= k + margin - 1, nothing else; none at all for k = 1."""
    for row in tables.margins(n, k, t, 7):
        margin, willing = row["margin"], row["willing"]
        if margin < t:
            certain = k >= 2 and max(1, k - (t - margin)) <= willing <= k + margin - 1
            assert row["worst_exact"] == ("1" if certain else "0")
            split = k >= 2 and k <= willing < k + margin
            assert row["worst_restricted_exact"] == ("1/6" if split else "0")


@pytest.mark.parametrize(
    ("n", "k", "t", "margin"), [(4, 3, 1, 1), (6, 3, 2, 1), (6, 3, 2, 2), (5, 2, 3, 1), (5, 3, 3, 2)]
)
def test_with_constant_power_both_solvers_agree(n, k, t, margin):
    found = tables.worst(tables.game("hidden_stop_vote", n=n, k=k, t=t, margin=margin, max_rounds=7))
    assert found == [influence.worst(willing, k, margin, SIXTHS, [t] * 7) for willing in range(n + 1)]


@pytest.mark.parametrize(("k", "t", "margin"), [(3, 2, 1), (3, 4, 2), (4, 4, 2), (3, 6, 3)])
def test_the_gap_in_theorem_6(k, t, margin):
    """`reach` liars in round 1 and t afterwards split every vote with max(1, k + margin - reach) <= A_0 < k + margin;
    while dispersion lasts they split it with 1/9 if reach <= margin."""
    for row in tables.gap([(k, t, margin)], 10):
        within = max(1, k + margin - row["reach"]) <= row["willing"] < k + margin
        assert row["worst_once_exact"] == ("1" if within else "0")
        if row["reach"] <= margin:
            assert Fraction(row["worst_always_exact"]) == (Fraction(1, 9) if within else 0)
    assert influence.worst(k + margin - 1, k, margin, NINTHS, [1] + [t] * 9) == 1


@pytest.mark.parametrize(("n", "k", "t"), [(4, 3, 1), (5, 2, 2), (3, 2, 3)])
def test_single_rounds_as_the_solver_has_them(n, k, t):
    for threshold in range(1, n + t + 2):
        found = tables.worst(tables.game("single_round_vote", n=n, k=k, t=t, threshold=threshold))
        assert [i for i, chance in enumerate(found) if chance] == tables.broken_at(n, k, t, threshold)
        assert set(found) <= {0, 1}


def test_how_many_liars_a_vote_bears():
    for row in tables.requirements(6):
        assert row["solved"] == row["liars"] == max(t for t in range(6) if 6 - t >= row["k"] + t)


def test_laws_are_compared_at_equal_worst_cases():
    rows = tables.rounds_against_safety(5)
    uniform, geometric = ([row for row in rows if row["law"] == law] for law in ("uniform", "geometric"))
    for one, other in zip(uniform, geometric, strict=True):
        assert one["worst_exact"] == other["worst_exact"] == f"1/{one['max_rounds'] - 1}"
        assert one["mean_rounds"] == (2 + one["max_rounds"]) / 2 <= other["mean_rounds"]
        assert one["until_settled"] == pytest.approx(one["mean_rounds"])


def test_paths_of_a_vote_agree_with_its_worst_case():
    rows = plays.all_plays(4, 3, 1, 5)
    solved = tables.worst(tables.game("hidden_stop_vote", n=4, k=3, t=1, max_rounds=5))
    for willing in range(5):
        most = max(row["dangerous"] for row in rows if row["willing"] == willing)
        assert Fraction(most, 4) == solved[willing]
    assert all(
        [int(a) for a in row["path"].split()] == sorted(map(int, row["path"].split()), reverse=True) for row in rows
    )


# -------------------------------------------------------------------------------------------------------- random liars


def by_messages(margins, k, t, share, law):
    """The mean score, over every set of willing nodes and every word of every liar."""
    n, total = len(margins), 0.0
    every = list(itertools.product((0, 1), repeat=t * n))
    for willing in itertools.product((0, 1), repeat=n):
        weight = 1 / ((n + 1) * len([w for w in itertools.product((0, 1), repeat=n) if sum(w) == sum(willing)]))
        now = {willing: weight}
        for chance in law:
            after, scored = {}, 0.0
            for state, mass in now.items():
                for words in every:
                    here = mass * share ** sum(words) * (1 - share) ** (len(words) - sum(words))
                    heard = [sum(state) + sum(words[i::n]) for i in range(n)]
                    acting = sum(state[i] and heard[i] >= k for i in range(n))
                    scored += here * (1 if acting >= k else -1 if acting else 0)
                    stays = tuple(int(state[i] and heard[i] >= k + margins[i]) for i in range(n))
                    after[stays] = after.get(stays, 0.0) + here
            total += chance * scored
            now = after
    return total


@pytest.mark.parametrize("margins", [(0, 0, 0), (1, 1, 1), (0, 1, 2)])
def test_rewards_against_every_message(margins):
    law = [0.0, 0.5, 0.5]
    assert babble.reward(margins, 2, 2, 0.3, law) == pytest.approx(by_messages(margins, 2, 2, 0.3, law), abs=1e-12)


def test_rewards_of_the_reference_setting():
    law = [float(share) for share in NINTHS]
    known = {
        0.0: (0.6, 0.4, 0.2),
        0.2: (0.5955, 0.3986, 0.2024),
        0.5: (0.5538, 0.4040, 0.2194),
        0.8: (0.4426, 0.4733, 0.3257),
        0.9: (0.4116, 0.4898, 0.4037),
        1.0: (0.4, 0.4, 0.6),
    }
    for share, row in known.items():
        assert [round(babble.reward([m] * 4, 2, 2, share, law), 4) for m in (0, 1, 2)] == list(row)


@pytest.mark.parametrize(("n", "k", "t"), [(4, 2, 2), (5, 3, 1), (3, 2, 3)])
def test_all_yes_against_margin_t_is_silence_against_margin_0(n, k, t):
    law = [float(share) for share in SIXTHS]
    assert babble.reward([t] * n, k, t, 1.0, law) == pytest.approx(babble.reward([0] * n, k, t, 0.0, law), abs=1e-12)


def test_mixed_margins_are_compared_in_every_setting():
    rows = sampled.varying(10)
    assert len(rows) == len({tuple(row[name] for name in ("n", "k", "end", "willing", "cost")) for row in rows})
    row = next(
        row for row in rows if (row["k"], row["cost"], row["willing"], row["end"]) == (2, 1.0, "uniform", "hidden")
    )
    law = [float(share) for share in NINTHS]
    mean = np.mean([babble.reward([0, 0, 0, 0], 2, 2, share, law) for share in sampled.SHARES])
    assert row["equal"] == "0 0 0 0" and row["equal_score"] == pytest.approx(mean, abs=1e-12)


# ------------------------------------------------------------------------------------------------------------ engine


def test_world_and_learner_keep_their_contracts():
    world = scene.CallToAct(num_agents=4, enough=2)
    check_world(world, lambda n: scene.CallToAct(num_agents=n, enough=2))
    check_learner(scene.Candid(), world)


def test_who_sees_the_chance():
    """Every number of nodes is as likely as any other, unless it is given."""
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = jax.jit(jax.vmap(scene.CallToAct(num_agents=3, enough=2).reset))(keys).seen
    counts = np.bincount(np.asarray(drawn).sum(axis=1), minlength=4)
    assert np.all(np.abs(counts - 1000) < 4.5 * (4000 * 3 / 16) ** 0.5)
    assert np.all(np.abs(np.asarray(drawn).sum(axis=0) - 2000) < 4.5 * 1000**0.5)
    fixed = jax.jit(jax.vmap(scene.CallToAct(num_agents=3, enough=2, willing=2).reset))(keys[:50]).seen
    assert set(np.asarray(fixed).sum(axis=1).tolist()) == {2}


def test_enough_are_never_stopped_and_too_few_never_misled():
    study = Study()
    few, enough = (scene.attacked(5, 2, 2, willing, 2, 4) for willing in (1, 4))
    scores = scene.scores(study, "ends", [few, enough], 200)
    assert set(scores[0].tolist()) == {0.0} and set(scores[1].tolist()) == {1.0}


@pytest.mark.slow  # with fewer votes in tests/recipes/test_ibgp.py
def test_the_best_attack_strikes_as_often_as_it_should():
    rows = sampled.strikes(Study(), 4, 3000)
    assert {row["exact_fraction"] for row in rows} == {"1/3"}
    for row in rows:
        assert abs(row["share"] - 1 / 3) < 4.5 * (2 / 9 / row["votes"]) ** 0.5
        assert row["low_99"] <= row["low"] <= row["share"] <= row["high"] <= row["high_99"]


@pytest.mark.slow  # with fewer votes in tests/recipes/test_ibgp.py
def test_babble_is_played_as_it_is_solved():
    for row in sampled.babbled(Study(), 4, 3000):
        assert abs(row["played"] - row["exact"]) < 4.5 * row["error"]


def test_drawn_plays_follow_the_protocol():
    hidden = PROTOCOLS["hidden_stop_vote"].make(n=4, k=3, t=1)
    play = plays.drawn(hidden, (4, 4, 3), (True, True, True, False), [(1, 1, 1, 1), (1, 1, 0, 0), (1, 0, 0, 0)], 3, "")
    assert [[(c.lane, c.votes, c.enough) for c in one.counts] for one in play.rounds] == [
        [(0, 4, True), (1, 4, True), (2, 4, True)],
        [(0, 4, True), (1, 4, True), (2, 3, False)],
        [(0, 3, True), (1, 2, False)],
    ]
    assert play.bad and [item.acts for item in play.decisions] == [True, False, False, False]
    assert [one.last for one in play.rounds] == [False, False, True]


# -------------------------------------------------------------------------------------------------------- dispersion


@pytest.mark.parametrize("named", [2, 3, 4])
def test_from_45_lists_on_a_liar_reaches_few_targets(named):
    reached = dispersion.influenced(0, 45, named)
    assert reached <= 3 and dispersion.influenced(0, 1, named) == named
    assert named > 2 or reached == 2


def test_the_gap_is_played_and_the_remedy_works():
    once, always = (
        dispersion.votes_split(0, 3, 4, 2, dispersion.SPLIT, mode, 10, 100).mean() for mode in (False, True)
    )
    assert abs(once - 8 * 15 / 16) < 0.5  # a target is lost unless its four willing nodes all miss the one liar
    assert always < 1


@pytest.mark.slow  # tests/recipes/test_ibgp.py sees the gap in the rows
def test_the_gap_on_the_protocol_itself():
    """The engine splits as many targets of the real protocol as the counts have it, and the remedy works there."""
    counted, played = (
        [split(0, 3, 4, 2, *more, always, 10, 100) for always in (False, True)]
        for split, more in ((dispersion.votes_split, (dispersion.SPLIT,)), (dispersion.replayed, ()))
    )
    for one, other in zip(counted, played, strict=True):
        error = ((one.var() + other.var()) / 100) ** 0.5
        assert abs(one.mean() - other.mean()) < 4.5 * error
    assert played[0].mean() > 6 > 1 > played[1].mean()


def test_honest_counts_are_left_alone():
    """Liars only add: k - 1 of the willing hear them, or all while they hold."""
    willing = np.array([[[True, True, False]]] * 2)
    lies = dispersion._as_they_like(willing, 2, 2, np.array([False, True]))
    assert lies.tolist() == [[[2, 0, 0]], [[2, 2, 0]]]


# --------------------------------------------------------------------------------------------------------- selection


@pytest.mark.parametrize("exactly", [True, False])
def test_the_brute_force_optimum_is_that_of_integer_programming(exactly):
    for one in selection.drawn(3, 3, exactly, 25):
        chosen = target_selection.optimum(*one)
        assert selection.optimum(one) == pytest.approx(target_selection.collected(one.worth, one.takes, chosen))


@pytest.mark.parametrize("takes", [1, 2, 3])
def test_greedy_at_its_worst(takes):
    assert selection.share(selection.packing(takes), False) == pytest.approx(1 / takes)
    assert selection.share(selection.choosing(takes), False) == pytest.approx(1 / (takes + 1))
    assert selection.share(selection.choosing(takes), True) >= 1 / takes - 1e-12


def test_greedy_keeps_what_is_proved():
    for row in selection.compared(1, 60):
        proved = row["most"] if row["exactly_able"] or row["exchanged"] else row["most"] + 1
        assert row["least_share"] >= 1 / proved - 1e-9


def test_fleet_of_fewer_liars_than_the_vote_was_made_for():
    found = tables.game("hidden_stop_vote", 1, n=5, k=3, t=2, margin=1, max_rounds=4)
    assert found.roster == Roster(5, 1) and max(tables.worst(found)) == Fraction(1, 3)
