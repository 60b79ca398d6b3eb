"""The four worlds: verdicts are functions of rows, and turn when the rows do."""

import copy

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.recipes import RECIPES
from quorate.recipes.collectives import CLAIMS, PAID, problems, told

BY_NAME = {claim.name: claim for claim in CLAIMS}


def row(problem, utility, reached, score=1.0, width=0.01):
    ends = {"reached_low": reached - width, "reached_high": reached + width}
    ends |= {"reached_low_99": reached - 2 * width, "reached_high_99": reached + 2 * width}
    scores = {"score_mean": score, "score_low": score - 0.1, "score_high": score + 0.1}
    size = int(next(word for word in problem.replace(",", "").split() if word.isdigit()))
    names = {"problem": problem, "num_agents": size, "utility": utility, "reached": reached}
    return names | ends | scores | {"optimum": -64.7, "nash": -80.0}


@pytest.fixture
def rows():
    """Rows in which every claim holds."""
    found = []
    for utility in ("random", *PAID):
        for guests, share in ((60, 0.7), (168, 0.4), (1000, 0.1)):
            found.append(row(f"bar, {guests} guests", utility, share if utility == "team" else 0.95))
        score = {"selfish": -78.0, "random": -66.0}.get(utility, -64.8)
        found.append(row("roads, 100 drivers", utility, 0.95, score))
        found.append(row("squeeze, 100 agents, width 0.1", utility, 1e-9, width=0.0))
    return found


def judged(rows, name):
    return BY_NAME[name].judge({"rows": rows})


def test_the_registry_counts_the_claims():
    assert RECIPES["collectives"].claims == len(CLAIMS)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_claim_holds_on_rows_made_for_it(rows, name):
    assert judged(rows, name).verdict == "holds"


def turned(rows, change, **where):
    """The rows with `change` applied to those that fit."""
    rows = copy.deepcopy(rows)
    fitting = [one for one in rows if all(str(value) in str(one[key]) for key, value in where.items())]
    assert fitting
    for one in fitting:
        one.update(change)
    return rows


@pytest.mark.parametrize(
    ("name", "verdict", "change", "where"),
    [
        ("near_the_optimum", "does not hold", row("bar, 60 guests", "expected_difference", 0.5), {"num_agents": 60}),
        ("near_the_optimum", "in part", row("bar, 60 guests", "expected_difference", 0.8), {"num_agents": 60}),
        (
            "team_fades",
            "does not hold",
            {"reached": 0.9, "reached_low": 0.89, "reached_high": 0.91},
            {"num_agents": 1000},
        ),
        ("team_fades", "in part", {"reached": 0.4, "reached_low": 0.39, "reached_high": 0.41}, {"num_agents": 1000}),
        (
            "paradox",
            "does not hold",
            {"score_mean": -64.0, "score_low": -64.1, "score_high": -63.9},
            {"problem": "roads"},
        ),
        (
            "no_exploration",
            "does not hold",
            {"reached": 0.3, "reached_low": 0.2, "reached_high": 0.4},
            {"problem": "squeeze"},
        ),
    ],
)
def test_a_verdict_turns_with_the_rows(rows, name, verdict, change, where):
    utility = {"team_fades": "team", "paradox": "selfish"}.get(name, "expected_difference")
    if name == "near_the_optimum":
        change = {key: value for key, value in change.items() if key.startswith("reached")}
    chosen = [one for one in rows if one["utility"] == utility]
    others = [one for one in rows if one["utility"] != utility]
    assert judged(others + turned(chosen, change, **where), name).verdict == verdict


def test_the_sentence_follows_the_rows(rows):
    assert "at least 0.950" in told(rows).verdict
    worse = turned(rows, {"reached": 0.6, "reached_low": 0.5}, utility="expected_difference", problem="roads")
    assert "at least 0.600 [0.500" in told(worse).verdict
    assert "No utility gets anywhere in 1 (squeeze" in told(rows).lede


def test_no_play_exceeds_an_optimum():
    """The optima are those of the worlds: a random joint action never scores more."""
    scored = eqx.filter_jit(lambda world, actions: world.score((), actions, ()))
    for problem in problems():
        world = problem.world
        actions = np.random.default_rng(0).integers(0, world.num_actions, world.num_agents, dtype=np.int32)
        score = float(scored(world, jnp.asarray(actions)))
        assert score <= problem.optimum * (1 - 1e-6 * (problem.optimum < 0)) + 1e-3
