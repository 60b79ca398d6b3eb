"""Mechanisms: parts beside brute force, claims that turn when their rows do, and a fleet that is truly played."""

import copy
import itertools
import math

import numpy as np
import pytest

from quorate.experiments.study import Study
from quorate.protocols.mechanisms import STRATEGIES
from quorate.recipes import RECIPES
from quorate.recipes.compare.build import Trouble
from quorate.recipes.mechanisms import rolling, snapshot, variants
from quorate.recipes.mechanisms.claims import CLAIMS, even
from quorate.recipes.mechanisms.telling import told

BY_NAME = {claim.name: claim for claim in CLAIMS}
DRAWS = range(4)
NOISE = 0.001 * np.random.default_rng(0).standard_normal(len(DRAWS))


def test_the_registry_counts_the_claims():
    assert RECIPES["mechanisms"].claims == len(CLAIMS)


# ---------------------------------------------------------------------------------------------------------- snapshots


def small(seed):
    return snapshot.snapshot(5, np.random.default_rng(seed))


def by_hand(one, allowed):
    """The best of all assignments."""
    worth = np.where(allowed, one.worth, 0)
    return max(sum(worth[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(5)))


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_is_the_best_of_all_assignments(seed):
    one = small(seed)
    assert snapshot.optimum(one)[0] == pytest.approx(by_hand(one, one.open))
    inside = snapshot.inside_cells(one, 1)
    assert snapshot.optimum(one, open=inside)[0] == pytest.approx(by_hand(one, inside))


def test_cells_are_the_squares_that_hold_agent_and_task():
    one = snapshot.snapshot(100, np.random.default_rng(0))  # 10 x 10, cells of 25 are 5 x 5
    inside = snapshot.inside_cells(one, 25)
    for i, j in itertools.product(range(100), repeat=2):
        same = (one.agent[:, i] // 5 == one.task[:, j] // 5).all()
        assert inside[i, j] == (one.open[i, j] and same)
    assert (snapshot.inside_cells(one, 10_000) == one.open).all()


def test_alone_the_nearest_serves_and_the_others_go_in_vain():
    one, gained = small(3), {}
    for agent in range(5):
        if one.open[agent].any():
            task = int(np.where(one.open[agent], one.worth[agent], -1).argmax())
            gained.setdefault(task, []).append((one.far[agent, task], one.worth[agent, task]))
    assert snapshot.alone(one) == pytest.approx(sum(min(there)[1] for there in gained.values()))


def test_the_first_claim_of_all_is_what_agents_alone_do_but_for_who_is_first():
    """A place takes its best claimant, who is its nearest: all value a task alike."""
    one = snapshot.snapshot(60, np.random.default_rng(1))
    first = snapshot.claims(one, 1)
    assert snapshot.team(one, np.asarray(first.place)) == pytest.approx(snapshot.alone(one), rel=1e-6)


def test_a_planner_that_is_told_the_truth_is_optimal_and_lies_cost():
    one = snapshot.snapshot(60, np.random.default_rng(2))
    best = snapshot.optimum(one)[0]
    for told_ in one.told.values():
        misled = snapshot.team(one, snapshot.optimum(one, told_, one.able & (told_ > 0))[1])
        assert misled < 0.9 * best


def test_break_even_lies_between_the_shares_that_were_tried():
    rows = []
    for own, share in ((0.0, 1.0), (0.1, 0.9), (0.2, 0.6)):
        rows += [{"instance": i, "method": "optimal planner", "kind": "k", "own": own, "share": share} for i in DRAWS]
    rows += [{"instance": i, "method": "claims", "kind": "k", "own": 0.0, "share": 0.75} for i in DRAWS]
    assert even({"snapshots": rows}, "k").middle == pytest.approx(0.15)
    rows[-1]["share"] = 0.1  # never reached in one of the four
    assert even({"snapshots": rows}, "k").middle == pytest.approx((3 * 0.15 + 0.2) / 4)


# -------------------------------------------------------------------------------------------------------------- makes


@pytest.mark.parametrize("makes", [1, 2, 3, 4, 7])
def test_quorums_are_lost_as_often_as_the_patterns_say(makes):
    """Every pattern of struck makes, with integers: more than two thirds up, or at least."""
    for more_than in (True, False):
        lost = 0.0
        for pattern in itertools.product((0, 1), repeat=makes):
            up = makes - sum(pattern)
            if 3 * up <= 2 * makes if more_than else 3 * up < 2 * makes:
                lost += math.prod(0.02 if hit else 0.98 for hit in pattern)
        assert variants.lost_exactly(makes, more_than) == pytest.approx(lost)


def test_two_or_three_makes_are_worse_than_one_and_four_are_better():
    one, two, three, four, seven = (variants.lost_exactly(makes) for makes in (1, 2, 3, 4, 7))
    assert three > two > one > four > seven
    assert (round(one, 3), round(two, 3), round(three, 3), round(four, 4)) == (0.02, 0.04, 0.059, 0.0023)


def test_a_vote_that_is_held_needs_more_than_two_thirds():
    held = {(makes, down): variants.plan_holds(makes, down) for makes in (2, 3, 4, 7) for down in range(makes + 1)}
    assert held == {(makes, down): 3 * (makes - down) > 2 * makes for makes, down in held}
    found = variants.rows(20_000, seed=0)
    assert all(row["measured_low"] - 0.002 <= row["exact"] <= row["measured_high"] + 0.002 for row in found)


# ------------------------------------------------------------------------------------------------------------- fleets


def test_what_is_planned_has_names_of_its_own():
    planned = rolling.cases(300, 110, 600, (1, 10))
    names = [(one.part, one.mechanism, one.setting, one.where) for one in planned]
    assert len(set(names)) == len(names)
    assert {one.where for one in planned} == {"uniform", "hot spot", "small hot spot", "crowded", "10 times"}


def test_a_fleet_is_played_and_nothing_but_the_trouble_differs():
    """Alone hears nothing, so lost mail changes no bit; blind it serves less; half the load is served better."""
    planned = [
        rolling.Case("loss", "alone", 0.0),
        rolling.Case("loss", "alone", 0.5, Trouble(loss=0.5)),
        rolling.Case("eyes", "alone", 0.0, sight=0.0),
        rolling.Case("light", "alone", load=0.5),
    ]
    draws = rolling.play(Study(0), 60, 60, 3, planned, "fleets")
    calm, lossy, blind, light = (np.array([row["served"] for row in draws[at : at + 3]]) for at in (0, 3, 6, 9))
    assert (calm == lossy).all() and (blind < calm).all() and light.mean() > calm.mean()
    assert all(row["messages"] == 0 for row in draws)
    table = rolling.summary(draws)
    assert [row["served"] for row in table] == pytest.approx([one.mean() for one in (calm, lossy, blind, light)])
    assert all(row["served_low"] <= row["served"] <= row["served_high"] for row in table)


# ------------------------------------------------------------------------------------------------------------- claims


def lines(part, mechanism, setting, served, where="uniform", messages=1.0, agents=300):
    """The draws of a case."""
    row = {"part": part, "mechanism": mechanism, "setting": setting, "where": where}
    row |= {"agents": agents, "messages": messages, "reads": 1.0, "bytes": 8.0, "waste": 0.0, "jain": 0.9}
    return [row | {"draw": draw, "served": served + NOISE[draw] * (2 if setting else 1)} for draw in DRAWS]


def looks(method, share, **more):
    row = {"method": method, "rounds": None, "posts": 1.0} | more
    return [row | {"instance": index, "share": share + NOISE[index]} for index in DRAWS]


def tables():
    """Every claim holds, with room to spare."""
    draws = []
    calm = {
        "auction": (0.98, 0.98, 0.97, 0.95),
        "claim": (0.97, 0.97, 0.96, 0.93),
        "contract_net": (0.98, 0.97, 0.94, 0.9),
        "central": (0.98, 0.98, 0.97, 0.92),
        "central_naive": (0.98, 0.96, 0.9, 0.7),
        "hierarchy": (0.94, 0.94, 0.92, 0.83),
        "stigmergy": (0.93,) * 4,
        "alone": (0.86,) * 4,
    }
    for name, levels in calm.items():
        for loss, served in zip((0.0, 0.1, 0.3, 0.5), levels, strict=True):
            draws += lines("loss", name, loss, served)
        late = 0.93 if name == "stigmergy" else 0.8
        if name in ("claim", "auction", "central", "stigmergy"):
            draws += lines("delay", name, 5, late)
    for name, setting, served in (
        ("auction", 1, 0.96),
        ("hierarchy", 1, 0.93),
        ("central", 1, 0.3),
        ("central_naive", 1, 0.0),
        ("central", 2, 0.86),
        ("hierarchy", 2, 0.92),
    ):
        draws += lines("hosts", name, setting, served)
    for name, served in (("alone", 0.98), ("auction", 0.99), ("claim", 0.99), ("stigmergy", 0.98), ("central", 0.99)):
        draws += lines("light", name, None, served)
    for name, served in (("alone", 0.7), ("auction", 0.8), ("stigmergy", 0.68)):
        draws += lines("crowded", name, None, served, where="crowded")
    for name, levels in (("alone", (0.4, 0.7, 0.8)), ("auction", (0.8, 0.9, 0.95)), ("claim", (0.8, 0.9, 0.95))):
        for sight, served in zip(rolling.SIGHTS, levels, strict=True):
            draws += lines("eyes", name, sight, served)
    for own in rolling.OWN:
        draws += lines("own goals", "auction", own, 0.98 - own / 2)
    for where in ("uniform", "hot spot", "small hot spot"):
        draws += lines("hybrid", "hybrid", 0.1, 0.99, where=where) + lines("hybrid", "hybrid", 1.0, 0.99, where=where)
    draws += lines("hybrid", "auction", None, 0.97, where="hot spot") + lines(
        "hybrid", "alone", None, 0.85, where="hot spot"
    )
    draws += lines("hybrid", "auction", None, 0.97, where="small hot spot")
    draws += lines("rounds", "auction", 2, 0.95, messages=0.6) + lines("rounds", "auction", 8, 0.95, messages=2.0)
    for how in STRATEGIES:
        draws += lines("saying", f"auction+{how}", None, 0.98, messages=0.3)
    draws += lines("saying", "central+silence", None, 0.98, messages=0.3)
    draws += lines("cells", "hierarchy", 9, 0.9) + lines("cells", "hierarchy", 100, 0.97)
    for times, served in ((1, 0.98), (10, 0.86)):
        where = "uniform" if times == 1 else "10 times"
        draws += lines("budget", "central", times, served, where=where, agents=300 * times)
    draws += lines("waiting", "central", 10, 0.5, where="10 times", agents=3000)
    draws += lines("budget", "auction", 10, 0.98, where="10 times") + lines(
        "budget", "alone", 10, 0.86, where="10 times"
    )
    shots = looks("alone", 0.4)
    for count in snapshot.ROUNDS:
        few = count <= 4
        shots += looks("claim", 0.85 if few else 0.95, rounds=count)
        shots += looks("auction", 0.88 if few else 0.98, rounds=count)
        if count > 2:
            shots += looks("auction and claims", 0.9, rounds=count)
    for count in snapshot.NETS:
        shots += looks("contract_net", 0.9, rounds=count)
    for eps in snapshot.EPS:
        shots += looks("settled auction", 0.99, rounds=60, eps=eps, bound=1.05, certified=True)
    for cell, share in zip(snapshot.CELLS, (0.87, 0.95, 0.98), strict=True):
        shots += looks("cells", share, cell=cell)
    for kind, own in itertools.product((snapshot.GOALS, snapshot.VALUES), snapshot.SHARES):
        shots += looks("optimal planner", 1 - own / 2, kind=kind, own=own)
        shots += looks("claims", 0.95 - own / 2, kind=kind, own=own)
    makes = [
        {"makes": count, "exact": 0.02 / count, "exact_at_least": 0.02 / count}
        | {"measured_low": 0.0, "measured_high": 0.03}
        for count in variants.MAKES
    ]
    return {"draws": draws, "snapshots": shots, "makes": makes}


def turned(name, change, **where):
    """The claim's verdict after a change of the rows that fit."""
    all_ = copy.deepcopy(tables())
    fitting = [
        row for some in all_.values() for row in some if all(row.get(key) == value for key, value in where.items())
    ]
    assert fitting
    for row in fitting:
        for key, value in change.items():
            row[key] = value + (NOISE[row["draw"]] if key == "served" else 0)
    return BY_NAME[name].judge(all_).verdict


@pytest.mark.parametrize("name", BY_NAME)
def test_every_claim_holds_on_rows_made_for_it(name):
    measured = BY_NAME[name].judge(tables())
    assert measured.verdict == "holds"
    assert measured.text and measured.note and "nan" not in measured.text + measured.note


HOT = {"part": "hybrid", "mechanism": "hybrid", "where": "hot spot"}
BOTH = {"part": "hybrid", "mechanism": "hybrid"}


@pytest.mark.parametrize(
    ("name", "verdict", "change", "where"),
    [
        ("hybrid_is_the_middle", "in part", {"served": 0.9}, HOT | {"setting": 1.0}),
        ("hybrid_is_the_middle", "in part", {"served": 0.9}, HOT),
        ("hybrid_is_the_middle", "does not hold", {"served": 0.9}, BOTH),
        ("talk_must_be_strategic", "in part", {"served": 0.99}, {"part": "rounds", "setting": 8}),
        ("talk_must_be_strategic", "in part", {"served": 0.9}, {"part": "saying"}),
        ("stigmergy_is_robust_to_latency", "in part", {"served": 0.98}, {"part": "delay", "mechanism": "auction"}),
        ("stigmergy_is_robust_to_latency", "in part", {"served": 0.8}, {"part": "delay", "mechanism": "stigmergy"}),
        ("centre_is_a_single_point_of_failure", "in part", {"served": 0.96}, {"part": "hosts", "mechanism": "central"}),
        ("centre_is_a_bottleneck", "does not hold", {"served": 0.98}, {"part": "budget", "mechanism": "central"}),
        ("hierarchies_lose_information", "in part", {"served": 0.99}, {"part": "cells", "setting": 100}),
        ("markets_are_efficient", "in part", {"share": 0.7}, {"method": "auction", "rounds": 4}),
        ("markets_are_efficient", "in part", {"share": 0.9}, {"method": "settled auction", "eps": 0.1}),
        ("markets_are_efficient", "does not hold", {"certified": False}, {"method": "settled auction", "instance": 2}),
        ("misalignment_costs_more", "in part", {"share": 1.0}, {"method": "optimal planner", "kind": "own goals"}),
        ("misalignment_costs_more", "in part", {"served": 0.98}, {"part": "own goals"}),
        ("identical_agents_fail_identically", "in part", {"exact": 0.05}, {"makes": 3}),
        ("observation_trumps_prediction", "in part", {"served": 0.95}, {"part": "eyes", "mechanism": "auction"}),
        ("observation_trumps_prediction", "in part", {"served": 0.85}, {"part": "eyes", "mechanism": "alone"}),
        ("redundancy_pays", "in part", {"served": 0.9}, {"part": "hosts", "mechanism": "central_naive"}),
        ("it_hardly_matters_in_light_load", "does not hold", {"served": 0.9}, {"part": "light", "mechanism": "alone"}),
    ],
)
def test_a_claim_turns_with_its_rows(name, verdict, change, where):
    assert turned(name, change, **where) == verdict


def test_the_outcome_is_told_from_rows_alone():
    all_ = tables()
    outcome = told(rolling.summary(all_["draws"]), all_)
    assert outcome.interval in outcome.verdict
    assert "12.0" in outcome.verdict  # 0.98 - 0.86
    assert [figure.id for figure in outcome.figures] == ["anytime", "loss", "gain", "delay", "goals"]
    assert len(outcome.summary[1]) == len(outcome.rows)
