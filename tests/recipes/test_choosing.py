"""Choosing among the devices of a file: the subsets by name, the error they have, the words about them."""

import copy
import csv
import io

import numpy as np
import pytest

import quorate
from quorate.errors import Refusal
from quorate.experiments.read import read_numbers
from quorate.recipes.imperfect_devices.choosing import RUNS, _words
from quorate.solvers import DEVICE_SOLVERS
from quorate.utilities import UTILITIES
from tests.running import DEVICES, call, device_errors, device_file, only, strict

SMALL = {"runs": 3, "steps": 30}
POINTS = {"scalar": 1, "vector": 5}
KINDS = ["scalar", pytest.param("vector", marks=pytest.mark.slow)]  # each compiles every method anew: make proof
METHODS = {"random", *UTILITIES}
YARDSTICKS = {"all_devices", "best_single_device"}
SOLVERS = {  # that apply
    "scalar": set(DEVICE_SOLVERS) - {"relaxation"},
    "vector": set(DEVICE_SOLVERS) - {"largest_differencing", "meet_in_the_middle"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def path(folder, kind):
    return device_file(folder / f"{kind}.csv", device_errors(POINTS[kind]))


@pytest.fixture(scope="module")
def result(path):
    return quorate.run("imperfect_devices", devices=path, **SMALL)


def name_of(row):
    return row.get("utility") or row.get("solver") or row.get("yardstick")


def subsets(result):
    """name -> bool[N], and the names of the devices."""
    rows = list(csv.DictReader(io.StringIO(result.files["chosen.csv"])))
    assert all(row[name] in ("0", "1") for row in rows for name in row if name != "device")
    names = [row.pop("device") for row in rows]
    return {name: np.array([row[name] == "1" for row in rows]) for name in rows[0]}, names


def error_of(errors, subset):
    """Root mean square over points of the chosen devices' mean error; nobody chosen is as bad as the worst."""
    if not subset.any():
        return np.sqrt((errors**2).mean(0)).max()
    return float(np.sqrt((errors[:, subset].mean(1) ** 2).mean()))


def test_every_device_stands_in_the_choice_by_name(result, path, kind):
    chosen, names = subsets(result)
    assert names == [f"unit {index}" for index in range(DEVICES)]
    assert set(chosen) == METHODS | YARDSTICKS | (SOLVERS[kind] - {"relaxation"})


def test_the_choice_has_the_error_that_the_rows_tell(result, path):
    errors = read_numbers(path).cells.T
    chosen, _ = subsets(result)
    rows = {name_of(row): row for row in result.rows}
    for name, subset in chosen.items():
        assert rows[name]["epsilon_typical"] == pytest.approx(error_of(errors, subset), rel=1e-12, abs=1e-12), name
        assert rows[name]["chosen"] == subset.sum()
    assert chosen["all_devices"].all() and chosen["best_single_device"].sum() == 1
    alone = [error_of(errors, np.arange(DEVICES) == index) for index in range(DEVICES)]
    assert chosen["best_single_device"].argmax() == np.argmin(alone)


def test_who_applies_and_who_does_not(result, kind):
    refused = {row["solver"]: row["refused"] for row in result.rows if "refused" in row}
    assert set(refused) == set(DEVICE_SOLVERS) - SOLVERS[kind] and all(refused.values())
    assert {name_of(row) for row in result.rows} == METHODS | YARDSTICKS | set(DEVICE_SOLVERS)
    for row in result.rows:
        if "refused" not in row:
            assert row["num_agents"] == DEVICES and row["steps"] == 30
            assert row["evaluations"] > 0 or row["bound"]
            assert row["runs"] in (1, 3)


def test_a_bound_is_not_above_what_anybody_reached(result, kind):
    bounds = [row["epsilon_mean"] for row in result.rows if row.get("bound")]
    assert len(bounds) == (kind == "vector")
    reached = [row["epsilon_typical"] for row in result.rows if "epsilon_typical" in row]
    assert all(bound <= min(reached) for bound in bounds)


@pytest.mark.parametrize("exponent", [-6, 6])
def test_the_unit_of_the_file_does_not_matter(result, folder, kind, exponent):
    scaled = device_file(folder / f"{kind}{exponent}.csv", device_errors(POINTS[kind]), exponent)
    other = quorate.run("imperfect_devices", devices=scaled, **SMALL)
    assert other.files["chosen.csv"] == result.files["chosen.csv"]
    for row, told in zip(result.rows, other.rows, strict=True):
        assert name_of(row) == name_of(told)
        if row["epsilon_mean"] is not None:
            mean = row["epsilon_mean"] * 10.0**exponent
            assert told["epsilon_mean"] == pytest.approx(mean, rel=1e-9, abs=1e-9 * 10.0**exponent)


def test_seeds_choose_anew(result, path):
    other = quorate.run("imperfect_devices", devices=path, seed=1, **SMALL)
    assert other.files["chosen.csv"] != result.files["chosen.csv"]
    assert quorate.run("imperfect_devices", devices=path, **SMALL).rows == result.rows


def test_more_runs_than_a_file_is_worth_are_not_played(result):
    assert RUNS == 20 and max(row.get("runs", 0) for row in result.rows) == 3


def test_without_test_points_the_reader_is_told(result):
    assert "--test FILE judges the choice at other points" in result.lede
    assert "at the selection points" in result.verdict


def test_test_points_judge_the_same_choice(result, path, folder, kind):
    errors = device_errors(4, seed=9)
    shuffled = np.random.default_rng(0).permutation(DEVICES)
    text = device_file(folder / f"test-{kind}.csv", errors).read_text().splitlines()
    test = folder / f"shuffled-{kind}.csv"
    test.write_text("\n".join([text[0], *(text[1 + index] for index in shuffled)]))
    judged = quorate.run("imperfect_devices", devices=path, test=test, **SMALL)
    assert judged.files == result.files  # the test points play no part in the choice
    chosen, _ = subsets(judged)
    for row in judged.rows:
        name = name_of(row)
        if name not in chosen:
            assert "test_error" not in row
            continue
        assert row["test_error"] == pytest.approx(error_of(errors, chosen[name]), rel=1e-12)
        for rival in YARDSTICKS:
            times = error_of(errors, chosen[rival]) / row["test_error"]
            assert row[f"closer_than_{rival}"] == pytest.approx(times, rel=1e-9)
            assert row[f"closer_than_{rival}_low"] <= times * (1 + 1e-9)
            assert row[f"closer_than_{rival}_high"] >= times * (1 - 1e-9)
    assert "at test points" in judged.verdict and "--test FILE" not in judged.lede
    best = min(
        (row for row in judged.rows if "solver" in row and "chosen" in row), key=lambda row: row["epsilon_typical"]
    )
    assert best["closer_than_centre"] == pytest.approx(1)


def test_errors_of_one_sign_warn(folder, capsys):
    positive = device_file(folder / "positive.csv", abs(device_errors()) + 1)
    said = call(capsys, "run", "imperfect_devices", "--devices", positive, "--runs", 3, "--steps", 30,
                "--out", folder / "runs", "--json")  # fmt: skip
    assert said.code == 0 and said.err.startswith(
        "warning  All errors at a point have one sign, so nothing can cancel there"
    )
    found = strict(said.out)
    assert found["warnings"] and said.err.count("warning") == 1
    best = min(row["epsilon_typical"] for row in found["rows"] if "epsilon_typical" in row)
    assert best == min(abs(device_errors())[0] + 1)
    again = call(capsys, "run", "imperfect_devices", "--devices", positive, "--runs", 3, "--steps", 30,
                 "--out", folder / "runs")  # fmt: skip
    kept = only(folder / "runs")
    assert f"chosen  {kept}/chosen.csv" in again.out and (kept / "chosen.csv").is_file()
    assert again.err.startswith("warning")


def test_signed_errors_do_not_warn(result):
    assert result.warnings == ()


# -------------------------------------------------------------------------------------------------------------- words


def told(rows, apart=True):
    found = _words(rows, 40, type("File", (), {"name": "file.csv"}), apart, 5)
    return found["verdict"], found["lede"], found["interval"]


def made(all_low=2.0, single_low=3.0, centre=(0.5, 0.4, 0.6)):
    """Rows of a choice: how many times closer than all and than the best single one at least, and than the centre."""
    mine = {"utility": "expected_difference", "epsilon_typical": 0.2, "test_error": 0.3, "steps": 200}
    for name, low in (("all_devices", all_low), ("best_single_device", single_low)):
        mine |= {f"closer_than_{name}": 1.5 * low, f"closer_than_{name}_low": low, f"closer_than_{name}_high": 2 * low}
    mine |= dict(zip(("closer_than_centre", "closer_than_centre_low", "closer_than_centre_high"), centre, strict=True))
    return [
        {"yardstick": "all_devices", "epsilon_typical": 0.8, "test_error": 0.9},
        {"yardstick": "best_single_device", "epsilon_typical": 1.2, "test_error": 1.3},
        mine,
        {"solver": "local_search", "epsilon_typical": 0.15, "test_error": 0.17},
        {"solver": "steepest_flip", "epsilon_typical": 0.1, "test_error": 0.18},
        {"solver": "relaxation", "epsilon_mean": 0.01, "bound": True},
    ]


def test_a_choice_that_wins():
    verdict, lede, shown = told(made())
    assert verdict == (
        "Choosing among themselves, 40 devices end 3.00 times closer to the truth than the average of all "
        "[2.00, 4.00] at test points."
    )
    assert shown == "[2.00, 4.00]" and "file.csv" in lede


@pytest.mark.parametrize("low", [0.5, 1.0])
def test_the_first_sentence_says_when_averaging_all_is_not_beaten(low):
    assert told(made(all_low=low))[0].startswith("Choosing does not beat averaging all 40 devices: ")
    assert told(made(all_low=1.001))[0].startswith("Choosing among themselves, 40 devices end ")


def test_the_first_sentence_says_when_the_best_single_one_is_not_beaten():
    assert "but no closer than the best single one: 1.35 times [0.900, 1.80]." in told(made(single_low=0.9))[0]
    assert "single" not in told(made(single_low=1.1))[0]
    assert told(made(all_low=0.9, single_low=0.9))[0].startswith("Choosing does not beat averaging all")


def test_the_centre_is_the_best_at_the_selection_points():
    rows = made()
    assert "should use steepest flip, the best at the selection points: 0.180 at test points" in told(rows)[1]
    turned = copy.deepcopy(rows)
    turned[3]["epsilon_typical"] = 0.05
    assert "should use local search, the best at the selection points: 0.170 at test points" in told(turned)[1]


def test_the_lede_says_when_the_centre_is_no_better():
    assert "not told apart" not in told(made())[1]
    assert "They are not told apart there (0.900 times [0.700, 1.10])" in told(made(centre=(0.9, 0.7, 1.1)))[1]


def test_without_test_points_the_words_stand_on_the_selection():
    rows = made()
    for row in rows:
        for name in [name for name in row if name.startswith("closer") or name == "test_error"]:
            del row[name]
    verdict, lede, shown = told(rows, apart=False)
    assert verdict == (
        "Choosing among themselves, 40 devices end 4.00 times closer to the truth than the average of all "
        "at the selection points."
    )
    assert shown is None and "flatter every method" in lede
    rows[2]["epsilon_typical"] = 0.81
    assert told(rows, apart=False)[0].startswith("Choosing does not beat averaging all 40 devices")
    rows[2]["epsilon_typical"] = 0.0
    assert "∞ times closer" in told(rows, apart=False)[0]


def test_points_that_chose_may_not_judge(path, folder):
    copy = folder / "copy.csv"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(Refusal, match="holds the same numbers as"):
        quorate.run("imperfect_devices", devices=path, test=copy, **SMALL)
