"""`quorate compare`: a tiny fleet from its file to rows, verdict and page; what is refused; that it goes on."""

import json

import numpy as np
import pytest

import quorate
from quorate.recipes import compare
from quorate.recipes.compare.description import read_text
from quorate.recipes.compare.play import ground
from quorate.recipes.compare.rows import CONDITIONS
from tests.running import call, refusal

FLEET = """name = "tiny"
ticks = 40
space = { kind = "plane", size = [4, 3] }
[[agents]]
count = 12
skills = { lift = 0.7, cool = 0.6 }
speed = [0.3, 0.6]
sight = 1.0
[tasks]
rate = 2.5
value = [0.5, 1.5]
slack = [6, 14]
duration = [1, 3]
[links]
rounds = 3
[faults]
crash = { share = 0.25, at = 20, leaders_first = true }
[attack]
share = 0.1
kinds = ["hog", "flood"]
"""
ASKED = ("--mechanisms", "alone,claim", "--conditions", "calm,described,crash,attack", "--seeds", "3")
PROMISED = (
    "mechanism", "condition", "served_mean", "served_se", "upper_bound", "messages_per_agent_tick",
    "bytes_per_agent_tick", "jain", "recovery_ticks",
)  # fmt: skip


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    path = tmp_path_factory.mktemp("fleet") / "tiny.toml"
    path.write_text(FLEET)
    return path


@pytest.fixture(scope="module")
def result(fleet, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return quorate.compare(fleet, mechanisms=["alone", "claim"], conditions=ASKED[3].split(","), seeds=3, out=out)


def test_rows_hold_what_is_promised(result):
    table = {(row["mechanism"], row["condition"]): row for row in result.rows}
    assert set(table) == {(name, one) for name in ("alone", "claim", "alone_far") for one in ASKED[3].split(",")}
    for row in result.rows:
        assert set(PROMISED) <= set(row)
        assert 0 < row["served_mean"] <= row["upper_bound"] <= 1
        assert (row["messages_per_agent_tick"] > 0) == (row["mechanism"] == "claim")
    assert table["claim", "calm"]["recovery_ticks"] is None, "nothing fails"
    assert table["alone_far", "calm"]["served_mean"] >= table["alone", "calm"]["served_mean"] - 0.03
    seeds = {row["condition"]: row["seeds"] for row in result.rows}
    assert seeds == dict.fromkeys(ASKED[3].split(","), 3)
    assert result.verdict.startswith(("Claim", "Alone", "No difference"))


def test_ten_times_the_fleet_is_played_on_fewer_draws(fleet):
    found = quorate.compare(fleet, mechanisms="alone", conditions="calm,growth", seeds=3).rows
    seeds = {(row["mechanism"], row["condition"]): row["seeds"] for row in found}
    assert seeds == {
        (name, one): count for name in ("alone", "alone_far") for one, count in (("calm", 3), ("growth", 2))
    }
    assert all(0 < row["served_mean"] <= row["upper_bound"] <= 1 for row in found)


def test_every_kind_of_attack_is_told_and_the_worst_is_the_row(result):
    table = {(row["mechanism"], row["condition"]): row["served_mean"] for row in result.rows}
    for name in ("alone", "claim"):
        kinds = [row["served_mean"] for row in result.tables["attacks"] if row["mechanism"] == name]
        assert min(kinds) == pytest.approx(table[name, "attack"])


def test_the_page_shows_figures_and_a_replay(result):
    page = (result.folder / "report.html").read_text()
    assert "What each mechanism serves when things go wrong" in page and "What messages buy" in page
    assert 'class="replay' in page or "replay" in page
    assert {path.name for path in (result.folder / "figures").iterdir()} >= {"served.svg", "traffic.svg"}


def test_a_finished_run_is_read_back_and_printed_as_json(capsys, fleet, result):
    said = call(capsys, "compare", fleet, *ASKED, "--json", "--out", result.folder.parent)
    assert said.code == 0
    found = json.loads(said.out)
    assert found["rows"] == json.loads(json.dumps(result.as_json()["rows"])) and found["verdict"] == result.verdict
    assert found["command"].startswith("quorate compare ")


def test_the_same_seed_gives_the_same_rows_whatever_is_run_beside(fleet, result):
    alone = quorate.compare(fleet, mechanisms="claim", conditions="crash", seeds=3)
    mine = next(row for row in alone.rows if row["mechanism"] == "claim")
    theirs = next(row for row in result.rows if (row["mechanism"], row["condition"]) == ("claim", "crash"))
    for name in ("served_mean", "messages_per_agent_tick", "jain", "waste"):
        assert mine[name] == theirs[name]


def test_an_interrupted_run_goes_on(fleet, tmp_path, monkeypatch):
    """Stopped after the first mechanism: its cells are not played again."""
    played = []
    sweep = compare.Study.sweep

    def stopping(self, name, *rest, **more):
        if name.startswith("claim") and not played[-1:] == ["again"]:
            raise KeyboardInterrupt
        return sweep(self, name, *rest, **more)

    asked = {"mechanisms": "alone,claim", "conditions": "calm", "seeds": 3, "out": tmp_path}  # the programs of `result`
    monkeypatch.setattr(compare.Study, "sweep", stopping)
    with pytest.raises(KeyboardInterrupt):
        quorate.compare(fleet, **asked)
    kept = sorted(path.name for path in tmp_path.glob("*.partial/state/*"))
    assert len(kept) == 1 and kept[0].startswith("alone_calm")
    played.append("again")
    assert len(quorate.compare(fleet, **asked).rows) == 3
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope.toml"], "nope.toml"),
        (["--seeds", "3"], "takes a fleet file before its options, found --seeds"),
        (["FLEET", "--mechanisms", "aucton"], 'no mechanism is called "aucton"; did you mean auction?'),
        (["FLEET", "--mechanisms", "alone,alone"], "--mechanisms names alone twice"),
        (["FLEET", "--conditions", "clam"], 'no condition is called "clam"; did you mean calm?'),
        (["FLEET", "--seeds", "0"], "--seeds is 0"),
        (["FLEET", "--mechanisms", "alone_far"], "--mechanisms names only alone_far, a yardstick"),
        (["FLEET", "--sedes", "3"], "no option is called --sedes; did you mean --seeds?"),
    ],
)
def test_bad_words_are_refused(capsys, fleet, words, told):
    assert told in refusal(capsys, "compare", *(fleet if word == "FLEET" else word for word in words))


def test_five_mistakes_are_told_at_once_and_nothing_is_written(capsys, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(
        'ticks = "many"\n[[agents]]\ncuont = 3\nspeed = [0.6, 0.3]\n[tasks]\nrate = -1\n[links]\nloss = 1.5\n'
    )
    said = call(capsys, "compare", path, "--out", tmp_path / "runs")
    assert said.code == 2 and not (tmp_path / "runs").exists()
    for line in (1, 3, 4, 6, 8):
        assert f"wrong.toml:{line}:" in said.err
    assert "did you mean count" in said.err


def test_a_fleet_that_cannot_serve_is_refused_before_anything_runs(capsys, tmp_path):
    path = tmp_path / "idle.toml"
    path.write_text(FLEET.replace("duration = [1, 3]", "duration = [1, 3]\nneeds = { weld = 1.0 }"))
    said = call(capsys, "compare", path, "--out", tmp_path / "runs")
    assert said.code == 2 and "weld" in said.err and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("old", "new", "asked", "told"),
    [
        ("rounds = 3", "delay = 1", ["--mechanisms", "cbba"], "cbba cannot serve this fleet"),
        ('["hog", "flood"]', "[]\nstrongest = 'fixed'", ["--conditions", "attack"], "attack.kinds is empty"),
        ("rounds = 3", "centre_messages = 0", [], "centre_messages is 0"),
    ],
)
def test_fleets_that_cannot_be_compared_so_are_refused(capsys, tmp_path, old, new, asked, told):
    path = tmp_path / "other.toml"
    path.write_text(FLEET.replace(old, new).replace("share = 0.1", "share = 0.0"))
    assert told in refusal(capsys, "compare", path, *asked, "--out", tmp_path / "runs")


def test_what_bears_on_nothing_is_said():
    text = FLEET.replace("duration = [1, 3]", "duration = [1, 3]\nteam = [1, 2]")
    description = read_text(text)
    instance = ground(description, 0).instance

    def said(*asked):
        return " ".join(compare._left_out(description, instance, ["alone", "cbba", "auction"], list(asked), 1))

    assert "cbba and auction send one agent to each task; team_claim, which gathers teams, is left out." in said("calm")
    teams = compare._left_out(description, instance, ["cbba", "team_marks"], ["calm"], 5)
    assert any(line.endswith("cbba sends one agent to each task.") for line in teams)
    assert "flood does not touch it" in said("attack") and "touch" not in said("calm")
    assert "do the first kind of the file, hog" in said("described") and "first kind" not in said("described", "attack")
    assert "One draw" in said("calm") and "1 draws" not in said("calm")


def test_a_fleet_of_one_region_is_told_that_clusters_save_nothing_there():
    stage = ground(read_text(FLEET), 0)
    for regions, said in ((1, True), (2, False)):
        site = stage.site._replace(regions=stage.site.regions._replace(anchor=np.zeros(regions, np.int32)))
        told = compare._borderless(site, ["claim", "team_claim+clustered", "claim+selective"])
        assert told == (("The fleet is one region: no borders for team claim+clustered, and nothing to save.",) * said)


def test_the_bound_stands_beside_an_attack_alone_and_the_replay_shows_its_worst_kind(fleet, tmp_path):
    found = quorate.compare(fleet, mechanisms="claim", conditions="attack", seeds=3, out=tmp_path)
    assert all(row["upper_bound"] is not None for row in found.rows)
    worst = min(found.tables["attacks"], key=lambda row: row["served_mean"])["kind"]
    assert f"One run, 10 % of agents attack ({worst})." in (found.folder / "report.html").read_text()


def test_help_names_the_conditions(capsys):
    said = call(capsys, "compare", "--help")
    assert said.code == 0 and "--mechanisms" in said.out
    assert all(condition in said.out for condition in CONDITIONS)


def test_the_larger_fleet_has_the_same_centre(fleet):
    description = compare.read(fleet)
    small, large = ground(description, 0), ground(description, 0, 10)
    assert large.site.agents == 10 * small.site.agents and large.site.budget == small.site.budget
    assert large.site.places == 10 * small.site.places
    assert np.isinf(np.asarray(large.far.sight)).all() and not np.isinf(np.asarray(large.world.sight)).any()
