"""The recipe of imperfect devices: cells, their names and defaults, the plan, the words of a run."""

from dataclasses import replace

import numpy as np
import pytest

import quorate
from quorate.errors import Refusal
from quorate.experiments.study import Nobody, Study
from quorate.recipes.imperfect_devices import plan, play_all
from quorate.recipes.imperfect_devices.cells import (
    METHODS,
    PRESETS,
    Cell,
    Played,
    configurations,
    default_switch_on,
    inapplicable,
    scenario,
    tuned,
)
from quorate.recipes.imperfect_devices.telling import _verdict, told
from quorate.solvers import DEVICE_SOLVERS
from quorate.worlds.imperfect_devices import LAWS
from tests.running import SIZE, tiny

BASE = Cell(part="main", num_agents=12, method="expected_difference", configurations=2, runs=3, steps=30)


# --------------------------------------------------------------------------------------------------------------- cells


def test_equal_work_has_an_equal_name():
    resolved = BASE.resolved()
    assert (resolved.memory, resolved.strength, resolved.switch_on) == (*PRESETS["b"]["expected_difference"], 3)
    written_out = replace(BASE, memory=resolved.memory, strength=resolved.strength, switch_on=3, fail_at=7)
    assert written_out.resolved() == resolved == resolved.resolved()
    assert replace(BASE, fail_fraction=0.2, fail_at=7).resolved() != resolved
    assert replace(BASE, preset="c").resolved() != resolved


def test_what_a_method_does_not_use_is_not_in_its_name():
    search = replace(BASE, method="local_search")
    assert replace(search, preset="c", switch_on=9, memory=0.5).resolved() == search.resolved()
    assert search.resolved().fraction == 0.25 and replace(search, fraction=0.5).resolved().fraction == 0.5
    assert replace(BASE, fraction=0.5).resolved() == BASE.resolved()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS[1:])
def test_every_method_is_tuned_by_every_preset(preset, method):
    memory, strength = tuned(method, preset)
    assert 0 < memory < 1 and strength > 0


def test_a_scenario_takes_what_it_is_given():
    one = scenario(num_agents=30, memory=0.7, switch_on=5)
    assert (one.world.num_agents, float(one.learner.memory), int(one.learner.switch_on)) == (30, np.float32(0.7), 5)
    assert int(scenario(num_agents=1000).learner.switch_on) == 60 == default_switch_on(1000)
    assert type(scenario(utility="random").learner).__name__ == "Uniform"
    assert scenario(errors=np.ones((2, 7))).world.num_agents == 7


def test_all_methods_meet_the_same_configurations():
    drawn, scales = configurations(Study(0), BASE)
    assert drawn.shape == (2, 12) and np.allclose(np.sqrt((drawn**2).mean(1)), 1)
    for other in (replace(BASE, method="milp", runs=9, preset="c"), replace(BASE, configurations=5)):
        assert np.array_equal(configurations(Study(0), other)[0][:2], drawn)
    assert not np.array_equal(configurations(Study(1), BASE)[0], drawn)
    assert not np.array_equal(drawn[0], drawn[1]) and (scales > 0).all()


@pytest.mark.parametrize("law", LAWS)
def test_laws_differ(law):
    drawn, scales = configurations(Study(0), replace(BASE, law=law))
    others = [configurations(Study(0), replace(BASE, law=other))[0] for other in LAWS if other != law]
    assert all(not np.allclose(drawn, other) for other in others) and np.isfinite(scales).all()


def test_who_does_not_apply():
    assert inapplicable(BASE) is None and inapplicable(replace(BASE, method="random")) is None
    assert "vectors" in inapplicable(replace(BASE, method="relaxation"))
    assert inapplicable(replace(BASE, method="meet_in_the_middle", num_agents=1000))


# ---------------------------------------------------------------------------------------------------------------- plan


def test_the_main_part_has_every_method_at_each_size():
    stages = plan.main_part((50, 100), BASE)
    assert list(stages) == ["N = 50", "N = 100"]
    for n, cells in zip((50, 100), stages.values(), strict=True):
        assert {cell.method for cell in cells} == {*METHODS, *DEVICE_SOLVERS} and {
            cell.num_agents for cell in cells
        } == {n}


def test_the_whole_study_has_what_its_claims_stand_on():
    cells = [cell for stage in plan.whole_study(replace(BASE, configurations=20, runs=50)).values() for cell in stage]
    assert {cell.part for cell in cells} == {"failures", "presets", "switch_on", "sensitivity", "scaling"}
    failures = {(c.method, c.num_agents, c.fail_fraction, c.fail_manner) for c in cells if c.part == "failures"}
    for method in ("expected_difference", "wonderful_life", "team"):
        assert {(method, 50, 0.1, "off"), (method, 100, 0.2, "off")} <= failures
    for n in (50, 100):
        assert {("expected_difference", n, 0.5, manner) for manner in ("off", "frozen")} <= failures
    assert len({cell for cell in cells if cell.part == "failures"}) == len(failures)


class Counting(Study):
    def __init__(self):
        super().__init__(0)
        self.cells = []

    def cell(self, name, compute):
        self.cells.append(name)
        return super().cell(name, compute)


def test_equal_cells_are_played_once():
    same = replace(BASE, part="presets", memory=0.8, strength=1.0)
    bound = replace(BASE, method="relaxation")
    study = Counting()
    played, left_out = play_all(study, {"one": [BASE, bound], "two": [same, replace(BASE, part="switch_on")]})
    assert len(study.cells) == 1
    assert [one.cell.part for one in played] == ["main", "presets", "switch_on"]
    assert all(np.array_equal(one.final, played[0].final) for one in played)
    assert [cell.method for cell, _ in left_out] == ["relaxation"]


def test_progress_reaches_the_total():
    told_, reporter = [], Nobody()
    reporter.advance = lambda name, done: told_.append(done)
    reporter.start = lambda name, total, unit: told_.append((name, total))
    study = Counting()
    study.reporter = reporter
    play_all(study, {"one": [BASE, replace(BASE, method="relaxation"), replace(BASE, part="again")]})
    (name, total), *done = told_
    assert (name, total) == ("one", 6) and done == sorted(done) and done[-1] == total


# --------------------------------------------------------------------------------------------------------------- words


def played(method, level, n=50, count=4, part="main"):
    """A cell whose runs end at `level`, by and large."""
    noise = 1 + 0.05 * np.random.default_rng(len(method)).standard_normal((count, 3))
    cell = replace(BASE, part=part, method=method, num_agents=n, configurations=count)
    return Played(cell.resolved(), level * noise, np.full((count, 30), level), 30, 0.0)


def verdict(mine, search, count=4):
    return _verdict([played("expected_difference", mine, count=count), played("local_search", search, count=count)], 50)


def test_the_verdict_turns_with_the_rows():
    closer, shown = verdict(0.1, 1.0)
    assert (
        closer.startswith("Paid by expected difference, 50 devices end ")
        and f"closer to perfect than search {shown}." in closer
    )
    farther, shown = verdict(1.0, 0.1)
    assert f"times farther from perfect than search {shown}." in farther
    assert float(shown[1:].split(",")[0]) > 1
    assert "about as close to perfect as search" in verdict(1.0, 1.0)[0]


def test_one_configuration_has_no_interval():
    sentence, shown = verdict(0.1, 1.0, count=1)
    assert shown is None and sentence.endswith("in one configuration.") and "[" not in sentence


def test_the_outcome_of_made_up_cells():
    main = [played(method, 1.0) for method in (*METHODS, "local_search", "steepest_flip", "largest_differencing")]
    outcome = told(main, [(replace(BASE, method="relaxation"), "needs vectors")], False, [])
    assert len(outcome.rows) == len(main) + 1
    left = {"num_agents": 12, "solver": "relaxation", "steps": 30, "refused": "needs vectors"}
    unknown = ("evaluations", "epsilon_mean", "epsilon_median", "epsilon_p90", "epsilon_se")
    assert outcome.rows[-1] == left | dict.fromkeys(unknown)
    assert set(outcome.tables) == {"configurations", "curves"}
    assert len(outcome.tables["configurations"]) == 4 * len(main)
    columns, shown = outcome.summary
    assert all(len(line) == len(columns) for line in shown) and len(shown) == len(outcome.rows)


# ----------------------------------------------------------------------------------------------------------------- run


def test_rows_are_means_over_all_runs():
    result = tiny()
    lines = result.tables["configurations"]
    for row in result.rows:
        if "refused" in row:
            continue
        means = [line["epsilon_mean"] for line in lines if line["method"] == row.get("utility", row.get("solver"))]
        assert len(means) == 2
        assert row["epsilon_mean"] == pytest.approx(np.mean(means), rel=1e-12)
        assert row["epsilon_se"] == pytest.approx(abs(means[0] - means[1]) / 2, rel=1e-9)


def test_the_last_step_of_a_curve_is_the_mean_of_its_row():
    result = tiny()
    ends = {row["method"]: row["mean"] for row in result.tables["curves"] if row["step"] == 30}
    assert METHODS[0] in ends
    for row in result.rows:
        if "utility" in row:
            assert ends[row["utility"]] == pytest.approx(row["epsilon_mean"], rel=1e-9)


def test_coordination_beats_chance_and_a_centre_beats_coordination():
    mean = {row.get("utility", row.get("solver")): row.get("epsilon_mean") for row in tiny().rows}
    assert mean["expected_difference"] < mean["random"]
    assert mean["meet_in_the_middle"] <= min(value for value in mean.values() if value is not None)


@pytest.mark.parametrize(
    ("changes", "methods"),
    [
        ({"preset": "c"}, {"expected_difference", "team"}),
        ({"law": "laplace"}, {"expected_difference", "random"}),
        ({"switch_on": 12}, {"expected_difference", "wonderful_life"}),
    ],
)
def test_settings_reach_the_learners(changes, methods):
    other = quorate.run("imperfect_devices", **SIZE | changes)
    pairs = zip(tiny().rows, other.rows, strict=True)
    assert methods <= {a["utility"] for a, b in pairs if "utility" in a and a["epsilon_mean"] != b["epsilon_mean"]}


def test_what_cannot_be_played_is_refused():
    for arguments, message in (
        ({"num_agents": 20, "switch_on": 21}, "--switch-on is 21; there are 20 agents"),
        ({"fail_fraction": 0.1, "fail_at": 30, "steps": 30}, "--fail-at is 30"),
        ({"test": "points.csv"}, "--test needs --devices"),
        ({"configurations": 1}, "--configurations is 1; the source's study"),
        ({"preset": "a"}, "the source's study sets presets"),
        ({"devices": "points.csv", "law": "uniform"}, "--configurations and --law describe drawn"),
    ):
        with pytest.raises(Refusal) as refused:
            quorate.run("imperfect_devices", **arguments)
        assert str(refused.value).startswith(message)
