"""The Python front door: a result in memory, in a folder, read back, judged."""

import csv
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quorate
from quorate.errors import Refusal
from quorate.experiments.claims import Claim, Measured, judged_as
from quorate.report.terminal import Terminal
from tests.running import SIZE, only, strict, tiny, toy

GIVEN = "imperfect_devices"


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = tiny()
    assert isinstance(result, quorate.Result) and result.folder is None and list(tmp_path.iterdir()) == []
    assert {row["num_agents"] for row in result.rows} == {12} and result.claims == []
    assert result.verdict.startswith("Paid by expected difference, 12 devices end ")
    assert (
        result.command
        == "quorate run imperfect_devices --num-agents 12 --configurations 2 --runs 3 --steps 30 --seed 0"
    )


def test_a_result_is_saved_whole_and_once(tmp_path):
    result = tiny()
    folder = result.save(tmp_path / "new" / "here")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "rows.csv",
        "configurations.csv",
        "curves.csv",
        "report.html",
        "result.json",
        "provenance.json",
    } | {f"figures/{figure.id}.svg" for figure in result.figures}
    assert result.figures
    for path in folder.glob("figures/*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    with open(folder / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result.rows)
    for row, told in zip(rows, result.rows, strict=True):
        assert row["epsilon_mean"] == ("" if "refused" in told else repr(told["epsilon_mean"]))
    assert result.verdict.split("[")[0] in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "provenance.json").read_text())["command"] == result.command
    strict((folder / "result.json").read_text())
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    for taken in (folder, folder / "rows.csv"):
        with pytest.raises(Refusal, match="is there already; a result is saved into a new folder"):
            result.save(taken)
    with pytest.raises(Refusal, match="cannot be written"):
        result.save(folder / "rows.csv" / "below")
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.parametrize(
    ("number", "counts"),
    [("1e1", (10,)), ([20, 30], (20, 30)), ("20,30", (20, 30)), ("20..22", (20, 21, 22)), (7, (7,))],
)
def test_numbers_lists_and_ranges_are_understood(monkeypatch, number, counts):
    toy(monkeypatch)
    result = quorate.run("toy", many=number, size="1e1", kind="b")
    assert result.arguments == {"size": 10, "kind": "b", "many": counts} and len(result.rows) == 10
    again = quorate.run("toy", many=list(counts), size=10.0, kind="b")
    assert (again.arguments, again.command) == (result.arguments, result.command)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"num_agent": 3}, "no option is called num_agent; did you mean num_agents?"),
        ({"num_agents": 0}, "--num-agents is 0"),
        ({"num_agents": True}, "--num-agents is True"),
        ({"law": "norml"}, "did you mean normal?"),
        ({"seed": -1}, "--seed is -1"),
        ({"seed": "x"}, "--seed is x"),
        ({"devices": 3}, "--devices is 3; it must name a file"),
    ],
)
def test_bad_arguments(arguments, told, tmp_path):
    with pytest.raises(Refusal) as refused:
        quorate.run(GIVEN, out=tmp_path / "runs", **arguments)
    assert told in str(refused.value) and list(tmp_path.iterdir()) == []


def test_an_unknown_recipe():
    with pytest.raises(Refusal, match=r'no recipe is called "imperfct_devices"; did you mean imperfect_devices\?'):
        quorate.run("imperfct_devices")


def test_seeds():
    assert tiny(seed=1).rows != tiny().rows
    assert quorate.run(GIVEN, seed=1, **SIZE).rows == tiny(seed=1).rows


def test_a_finished_folder_is_read_back(tmp_path, monkeypatch):
    counted = toy(monkeypatch)
    first = quorate.run("toy", out=tmp_path, seed=2)
    assert counted.computed == 1 and first.folder == only(tmp_path)
    back = quorate.run("toy", out=tmp_path, seed="2")
    assert counted.computed == 1
    for name in (
        "rows",
        "tables",
        "verdict",
        "interval",
        "lede",
        "setting",
        "warnings",
        "summary",
        "made",
        "claims",
        "files",
    ):
        assert getattr(back, name) == getattr(first, name), name
    assert strict(json.dumps(back.as_json())) == strict(json.dumps(first.as_json()))
    quorate.run("toy", out=tmp_path, seed=2, again=True)
    assert counted.computed == 2 and only(tmp_path) == first.folder
    quorate.run("toy", out=tmp_path, seed=3)
    quorate.run("toy", out=tmp_path, seed=2, kind="b")
    assert counted.computed == 4 and len(list(tmp_path.iterdir())) == 3


def test_what_is_read_back_is_saved_whole(tmp_path):
    result = quorate.run(GIVEN, out=tmp_path / "runs", **SIZE)
    back = quorate.run(GIVEN, out=tmp_path / "runs", **SIZE)
    assert back.figures == result.figures and back.report() == result.report()
    saved = back.save(tmp_path / "saved")
    kept = {str(path.relative_to(result.folder)): path.read_bytes() for path in result.folder.rglob("*.*")}
    del kept["arguments.json"]
    assert {str(path.relative_to(saved)): path.read_bytes() for path in saved.rglob("*.*")} == kept


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "3",
        lambda text: "null",
        lambda text: text.replace('"verdict"', '"ruling"'),
        lambda text: text.replace('"claimed"', '"unclaimed"'),
        lambda text: text.replace('"claims": [', '"claims": [7, '),
        lambda text: re.sub(r'"rows": \[.*?\]', '"rows": 7', text),
        lambda text: text.replace('"figures": []', '"figures": [{"id": 3}]'),
        lambda text: None,
    ],
)
def test_a_damaged_result(tmp_path, monkeypatch, damage):
    toy(monkeypatch)
    result = quorate.run("toy", out=tmp_path)
    path = result.folder / "result.json"
    text = damage(path.read_text())
    assert text != path.read_text()
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(Refusal, match=r"result.json: damaged\nremove the folder, or run with --again"):
        quorate.run("toy", out=tmp_path)
    assert quorate.run("toy", out=tmp_path, again=True).rows == result.rows
    assert quorate.run("toy", out=tmp_path).rows == result.rows


def test_a_run_that_breaks_lets_the_next_one_in(tmp_path, monkeypatch):
    counted = toy(monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr("quorate.front.provenance", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            quorate.run("toy", out=tmp_path)
    assert only(tmp_path).name.endswith(".partial") and counted.computed == 1
    result = quorate.run("toy", out=tmp_path)
    assert counted.computed == 1 and only(tmp_path) == result.folder  # the cell was kept


def test_claims_are_judged_at_the_recorded_arguments_only(monkeypatch):
    toy(monkeypatch)
    assert [judged.claim.name for judged in quorate.run("toy", seed=5).claims] == ["claimed"]
    assert quorate.run("toy", size=3, kind="a").claims != []
    for away in ({"size": 4}, {"kind": "b"}, {"many": [1]}):
        assert quorate.run("toy", **away).claims == []
    import toy_recipe

    toy_recipe.RECORDED["size"] = 4
    assert quorate.run("toy").claims == [] and quorate.run("toy", size=4).claims != []


def test_a_claim_whose_rows_are_missing_is_not_judged(monkeypatch):
    toy(monkeypatch)
    import toy_recipe

    toy_recipe.CLAIMS[0] = toy_recipe.CLAIMS[0]._replace(judge=lambda tables: None)
    result = quorate.run("toy")
    assert [judged.measured.verdict for judged in result.claims] == ["not judged"] and result.as_recorded
    assert "not judged" in result.report()


def judged(recorded, verdict="holds", value=2.0, low=1.0, high=3.0):
    claim = Claim("name", "Fig. 1", "words", lambda tables: None, recorded)
    return judged_as(claim, Measured(verdict, "text", value=value, low=low, high=high)).as_recorded


def test_a_sampled_claim_is_as_recorded_when_its_value_lies_in_the_interval_of_a_difference():
    """2 [1, 3] and a record that varies as much: the interval of their difference is wider by the root of 2."""
    for value in (0.6, 2.0, 3.4):
        assert judged(("does not hold", value))
    for value in (0.58, 3.42):
        assert not judged(("holds", value))


def test_without_a_value_on_record_the_verdict_counts():
    assert judged(("holds", None)) and not judged(("in part", None))


def test_an_exact_claim_is_judged_by_its_verdict():
    assert judged(("holds", 2.0), low=None, high=None)
    assert not judged(("holds", 2.0), verdict="in part", low=None, high=None)
    assert judged(("holds", 2.0), low=2.0) and not judged(("holds", 2.1), low=2.0, high=2.0)


@given(st.floats(0.1, 10), st.floats(0, 5), st.floats(0, 5))
def test_what_lies_in_the_interval_is_as_recorded(middle, below, above):
    for value in (middle - below, middle, middle + above):
        assert judged(("holds", value), value=middle, low=middle - below, high=middle + above)
    assert not judged(("holds", middle + 1.5 * above + 1), value=middle, low=middle - below, high=middle + above)


def test_one_claim_out_of_line_makes_the_result_so(monkeypatch):
    toy(monkeypatch, recorded=("holds", 3.5))
    assert not quorate.run("toy").as_recorded


def test_json_is_strict_whatever_was_measured(monkeypatch, tmp_path):
    inf, nan = math.inf, math.nan
    toy(monkeypatch, measured=Measured("holds", "so", "", (inf, 1.0, inf), inf, nan, inf))
    result = quorate.run("toy", out=tmp_path)
    (claim,) = strict(json.dumps(result.as_json()))["claims"]
    assert claim["ratio"] == [None, 1.0, None] and claim["value"] is claim["low"] is None
    strict((result.folder / "result.json").read_text())


def test_a_figure_of_each_learning_curve_in_the_report():
    result = tiny()
    assert [figure.id for figure in result.figures] == ["learn-12"]
    assert "learn-12" in result.report() and Path(GIVEN).name in result.report()


def test_an_interrupt_that_was_discarded_stops_the_run_at_the_next_cell(tmp_path):
    """JAX may drop the exception inside a callback of its own; the mark on the terminal stays."""
    terminal = Terminal(quiet=True)
    terminal.interrupted = True
    sizes = {"num_agents": 12, "configurations": 2, "runs": 3, "steps": 30}
    with pytest.raises(KeyboardInterrupt):
        quorate.run("imperfect_devices", out=tmp_path, terminal=terminal, **sizes)
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]


def test_failures_stand_in_the_heading_and_beside_the_rival():
    sizes = {"num_agents": 12, "configurations": 2, "runs": 3, "steps": 30}
    result = quorate.run("imperfect_devices", fail_fraction=0.25, fail_at=20, fail_manner="frozen", **sizes)
    assert "25 % fail at step 20 (frozen)" in result.setting and "search without failure" in result.verdict
    assert repr(result).startswith("Result(imperfect_devices, seed 0, ") and len(repr(result)) < 300
