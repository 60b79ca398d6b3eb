"""The command line: errors in one line, results on stdout, folders that survive a kill."""

import csv
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import quorate
from quorate.cli import COMMANDS, main
from quorate.cli.parts import FAMILIES
from quorate.experiments import checkpoint
from quorate.recipes import RECIPES, recipe
from tests.running import TINY, Process, call, device_errors, device_file, only, refusal, strict, tiny, toy

RECIPE = "imperfect_devices"
SOLVERS = {"relaxation", "largest_differencing", "milp", "local_search"}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs"


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "imperfct_devices"], 'no recipe is called "imperfct_devices"; did you mean imperfect_devices?'),
        (["run", ""], 'no recipe is called ""; there are imperfect_devices'),
        (["run", "--seed", "3"], "takes a recipe before its options, found --seed"),
        (["rnu"], 'no command is called "rnu"; did you mean run?'),
        (["--sed"], "no option is called --sed; quorate --help lists what there is"),
        (["list", "world"], 'no family is called "world"; did you mean worlds?'),
        (["list", "zzz"], 'no family is called "zzz"; there are recipes, worlds, '),
        (["list", "worlds", "faults"], 'quorate list takes one family, found also "faults"'),
    ],
)
def test_bad_commands(capsys, words, told):
    assert told in refusal(capsys, *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--num-agent 20", "no option is called --num-agent; did you mean --num-agents?"),
        ("--num_agents=20", "no option is called --num_agents=20; did you mean --num-agents?"),
        ("--zzz", "no option is called --zzz; see quorate run imperfect_devices --help"),
        ("20", '"20" stands alone; options are written --name value'),
        ("--steps", "--steps: expected one argument"),
        ("--steps --json", "--steps: expected one argument"),
        ("--preset d", "--preset is d; it can be a, b, c"),
        ("--law norml", "--law is norml; it can be normal, uniform, laplace, student_t3; did you mean normal?"),
        ("--fail-manner of", "--fail-manner is of; it can be off, frozen, random; did you mean off?"),
        ("--num-agents 0", "--num-agents is 0; it counts agents and must be at least 1"),
        ("--num-agents -5", "--num-agents is -5; it counts agents and must be at least 1"),
        ("--num-agents 1.5", "--num-agents is 1.5; it must be a whole number"),
        ("--num-agents abc", "--num-agents is abc; it must be a whole number"),
        ("--num-agents=", '--num-agents is ""; it must be a whole number'),
        ("--num-agents 50,50", "--num-agents is 50,50; each number may stand there once"),
        ("--num-agents 5..1", "--num-agents is 5..1; the range 5..1 is empty"),
        ("--runs 0", "--runs is 0; it counts runs of each configuration and must be at least 1"),
        ("--seed -1", "--seed is -1"),
        ("--fail-fraction 1.5", "--fail-fraction is 1.5; it is a share and must lie between 0 and 1"),
        ("--fail-fraction 0.5 --fail-at 30 --steps 30", "--fail-at is 30; with 30 steps nothing would fail"),
        ("--steps 30", "--fail-at is 100; with 30 steps nothing would fail"),  # the whole study has failures in it
        ("--switch-on 51", "--switch-on is 51; there are 50 agents"),
        ("--num-agents 20,30 --switch-on 21", "--switch-on is 21; there are 20 agents"),
        ("--test points.csv", "--test needs --devices"),
        ("--devices none.csv --num-agents 20", "--num-agents and --devices exclude each other"),
        ("--devices none.csv", "none.csv: no such file"),
        ("--devices=", '--devices is ""; it must name a file'),
    ],
)
def test_bad_options(capsys, out, words, told):
    assert told in refusal(capsys, "run", RECIPE, "--out", out, *words.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": the file is empty"),
        ("name,x\na,1\nb\n", ":3:2: expected 2 cells, found 1"),
        ("name,x\na,1\nb,high\n", ':3:3: column "x" should be a number, found "high"'),
        ("name,x\na,nan\nb,1\n", ':2:3: column "x" should be a finite number, found "nan"'),
        ("name,x\na,1\nb,-inf\n", ':3:3: column "x" should be a finite number, found "-inf"'),
        ("name,x\na,1\n", ":2:1: only one row, so one device"),
        ("name,x\na,1\na,2\n", ':3:1: two devices are called "a"'),
    ],
)
def test_bad_files(capsys, out, tmp_path, text, told):
    path = tmp_path / "devices.csv"
    path.write_text(text)
    assert f"error  {path}{told}" in refusal(capsys, "run", RECIPE, "--out", out, "--devices", path)
    good = device_file(tmp_path / "good.csv", device_errors())
    assert f"error  {path}{told}" in refusal(capsys, "run", RECIPE, "--out", out, "--devices", good, "--test", path)
    assert not out.exists()


def test_a_test_of_other_devices(capsys, out, tmp_path):
    devices = device_file(tmp_path / "devices.csv", device_errors())
    fewer = device_file(tmp_path / "fewer.csv", device_errors()[:, 1:])
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(devices.read_text().replace("unit 3,", "unit three,"))
    words = ["run", RECIPE, "--out", out, "--devices", devices]
    assert f"{fewer}: has 11 devices, {devices} has 12" in refusal(capsys, *words, "--test", fewer)
    assert f'{renamed}: has no device "unit 3"' in refusal(capsys, *words, "--test", renamed)
    assert "--switch-on is 13" in refusal(capsys, *words, "--switch-on", 13)
    assert not out.exists()


def test_an_out_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        told = refusal(capsys, "run", RECIPE, "--out", folder, *TINY)
        assert f"error  {folder}: cannot be written" in told and "choose another folder with --out" in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_debug_shows_where_an_error_came_from():
    with pytest.raises(quorate.Refusal, match="no recipe"):
        quorate.cli.main(["run", "nope", "--debug"])


# ---------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help(capsys, words):
    said = call(capsys, *words)
    assert said.code == 0 and said.err == ""
    assert all(f"quorate {name}" in said.out for name in COMMANDS)
    assert max(map(len, said.out.splitlines())) <= 80


def test_the_version(capsys):
    assert call(capsys, "--version") == (0, f"quorate {quorate.__version__}\n", "")


@pytest.mark.parametrize("words", [["run"], ["run", "--help"]])
def test_help_of_run_lists_recipes(capsys, words):
    said = call(capsys, *words)
    assert said.code == 0 and all(name in said.out for name in RECIPES)


def test_help_of_a_recipe_lists_its_options(capsys):
    said = call(capsys, "run", RECIPE, "--help")
    assert said.code == 0
    for flag in ("--num-agents", "--fail-manner off|frozen|random", "--devices", "--seed", "--again", "--json"):
        assert flag in said.out


@pytest.mark.parametrize("family", FAMILIES)
def test_list(capsys, family):
    said = call(capsys, "list", family)
    assert said.code == 0 and said.err == ""
    rows = [line.split(maxsplit=1) for line in said.out.splitlines()[2:] if line[:1].isalpha()]
    assert len(rows) >= 1 and all(len(row) == 2 for row in rows)
    assert call(capsys, "list", family, "--no-color").out == said.out


def test_recipes_are_listed_with_their_claims(capsys):
    out = call(capsys, "list").out
    assert out == call(capsys, "list", "recipes").out
    for name, entry in RECIPES.items():
        assert entry.claims == len(recipe(name).CLAIMS)
        assert re.search(rf"^{name} .*{entry.claims} claims", out, re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------- results


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run of the command line."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.raises(SystemExit) as end:
        quorate.cli.main(["run", RECIPE, *TINY, "--out", str(out), "--quiet"])
    assert end.value.code == 0
    return out


def test_a_run_prints_its_verdict_and_its_paths(capsys, finished):
    said = call(capsys, "run", RECIPE, *TINY, "--out", finished)
    folder, result = only(finished), tiny()
    assert said.code == 0 and result.verdict in said.out and result.lede in said.out
    for line in (f"report  {folder}/report.html", f"rows    {folder}/rows.csv", f"again   {result.command}"):
        assert line in said.out
    assert "\x1b" not in said.out + said.err and "\r" not in said.out + said.err
    assert (folder / "report.html").is_file()


def test_quiet_is_one_line(capsys, finished):
    said = call(capsys, "run", RECIPE, *TINY, "--out", finished, "--quiet")
    assert said == (0, tiny().verdict + "\n", "")


def test_json_is_one_object_and_nothing_else(capsys, finished):
    said = call(capsys, "run", RECIPE, *TINY, "--out", finished, "--json")
    assert said.code == 0 and said.err == "" and said.out.count("\n") == 1
    found = strict(said.out)
    assert (found["recipe"], found["seed"], found["claims"]) == (RECIPE, 0, [])
    assert found["arguments"] | {"num_agents": "12"} == found["arguments"]
    rows = found["rows"]
    assert {row["utility"] for row in rows if "utility" in row} == {"random", *quorate.UTILITIES}
    assert {row["solver"] for row in rows if "solver" in row} == set(quorate.DEVICE_SOLVERS)
    for row in rows:
        assert ("utility" in row) != ("solver" in row) and row["num_agents"] == 12 and row["steps"] == 30
        if "refused" in row:
            assert isinstance(row["refused"], str) and row["epsilon_mean"] is None and row["evaluations"] is None
            continue
        assert row["evaluations"] > 0 and row["epsilon_se"] >= 0
        for name in ("epsilon_mean", "epsilon_median", "epsilon_p90"):
            assert isinstance(row[name], float) and 0 <= row[name] < 10
    assert [row["solver"] for row in rows if "refused" in row] == ["relaxation"]


def test_rows_are_those_of_python(finished):
    with open(only(finished) / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epsilon_mean"] for row in rows if not row["refused"]] == [
        repr(row["epsilon_mean"]) for row in tiny().rows if "refused" not in row
    ]


def test_a_finished_run_is_reused_until_again(capsys, monkeypatch, out):
    counted = toy(monkeypatch)
    words = ["run", "toy", "--size", "4", "--out", out]
    first = call(capsys, *words)
    assert first.code == 0 and counted.computed == 1
    second = call(capsys, *words)
    assert second.out == first.out and counted.computed == 1
    third = call(capsys, *words, "--again")
    assert third.out == first.out and counted.computed == 2
    assert call(capsys, *words, "--seed", 1).out != first.out
    assert len(list(out.iterdir())) == 2


def test_another_content_of_a_file_is_another_folder(capsys, monkeypatch, tmp_path, out):
    from quorate.experiments.store import Folder

    path = tmp_path / "a.csv"
    path.write_text("1\n-2\n")
    first = Folder(out, RECIPE, {"devices": path}, 0)
    path.write_text("1\n-3\n")
    assert Folder(out, RECIPE, {"devices": path}, 0).path != first.path


def test_a_claim_out_of_line_exits_with_1(capsys, monkeypatch, out):
    toy(monkeypatch, recorded=("does not hold", None))
    said = call(capsys, "run", "toy", "--out", out)
    assert said.code == 1 and "source says" in said.out and "1 holds. A toy was toyed with." in said.out
    assert call(capsys, "run", "toy", "--out", out, "--json").code == 1
    assert call(capsys, "run", "toy", "--out", out, "--size", "4").code == 0


def test_damaged_results_are_refused(capsys, monkeypatch, out):
    toy(monkeypatch)
    call(capsys, "run", "toy", "--out", out)
    (only(out) / "result.json").write_text('{"rows": [')
    told = refusal(capsys, "run", "toy", "--out", out)
    assert "result.json: damaged" in told and "--again" in told
    assert call(capsys, "run", "toy", "--out", out, "--again").code == 0
    assert call(capsys, "run", "toy", "--out", out).code == 0


@pytest.mark.parametrize("damage", ["cut", "garbage", "foreign", "version"])
def test_damaged_state_is_refused(capsys, monkeypatch, out, damage):
    counted = toy(monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr("quorate.front.provenance", lambda *args: 1 / 0)
        if damage == "version":
            broken.setattr(checkpoint, "__version__", "99")
        with pytest.raises(ZeroDivisionError):
            quorate.run("toy", out=out)
    state = only(only(out) / "state")
    if damage == "cut":
        state.write_bytes(state.read_bytes()[:-30])
    elif damage == "garbage":
        state.write_bytes(b"garbage")
    elif damage == "foreign":
        checkpoint.save(state, (), {"run": "other", "seed": 0, "cell": "toy"}, {"drawn": [1]})
    said = call(capsys, "run", "toy", "--out", out)
    assert said.code == 2 and said.err.count("error") == 1 and str(state) in said.err and "--again" in said.err
    assert only(out).name.endswith(".partial") and counted.computed == 1
    assert call(capsys, "run", "toy", "--out", out, "--again").code == 0
    assert not only(out).name.endswith(".partial") and counted.computed == 2


# ----------------------------------------------------------------------------------------------------------- processes


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    "code",
    [
        "import quorate; quorate.__version__; dir(quorate)",
        "from quorate.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from quorate.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_imported_before_it_must(code):
    heavy = "{'jax', 'numpy', 'rich', 'scipy', 'equinox'}"
    done = in_a_process(f"{code}\nimport sys\nprint(sorted({heavy} & sys.modules.keys()))")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("words", ["'list', 'recipes'", "'--help'"])
def test_a_reader_that_goes_away_is_no_error(words):
    close = "import os\nread, write = os.pipe()\nos.close(read)\nos.dup2(write, 1)"
    done = in_a_process(f"{close}\nfrom quorate.cli import main\nmain([{words}])")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


def test_an_interrupted_run_says_how_to_go_on(capsys, out, finished, compiled):
    running = Process(compiled, "run", RECIPE, *TINY, "--out", out)
    running.until(lambda: list(out.glob("*.partial/state/*.npz")))
    running.process.send_signal(signal.SIGINT)
    said = running.end()
    assert said.code == 130 and "Traceback" not in said.err
    assert said.err.splitlines()[-1] == (
        "error  interrupted; what was finished is kept, the same command goes on from there"
    )
    assert only(out).name.endswith(".partial") and list(only(out).glob("state/*.npz"))
    assert call(capsys, "run", RECIPE, *TINY, "--out", out).code == 0
    assert (only(out) / "rows.csv").read_bytes() == (only(finished) / "rows.csv").read_bytes()


def test_a_killed_run_gives_the_same_bytes(capsys, monkeypatch, out, finished, compiled):
    words = ["run", RECIPE, *TINY, "--out", out]
    running = Process(compiled, *words)
    running.until(lambda: list(out.glob("*.partial/state/*.npz")))
    for again in ([], ["--again"]):  # one folder, two processes: the second is sent away
        assert "another process is working on the same run" in refusal(capsys, *words, *again)
    running.process.kill()
    assert running.end().code == -signal.SIGKILL
    assert only(out).name.endswith(".partial")
    done = {path.name: path.stat().st_mtime_ns for path in only(out).glob("state/*.npz")}
    saved, save = [], checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda path, *rest: (saved.append(path.name), save(path, *rest)))
    assert call(capsys, *words).code == 0
    assert done and saved and not done.keys() & set(saved)
    assert only(out).name == only(finished).name
    for name in ("rows.csv", "configurations.csv", "curves.csv", "arguments.json"):
        assert (only(out) / name).read_bytes() == (only(finished) / name).read_bytes(), name
    assert {path.name for path in only(out).iterdir()} == {path.name for path in only(finished).iterdir()}


# -------------------------------------------------------------------------------------------------------------- faults


def curves(out):
    """(method, step) -> mean of the one run folder in `out`."""
    with open(only(out) / "curves.csv", newline="") as file:
        return {(row["method"], int(row["step"])): row["mean"] for row in csv.DictReader(file)}


def test_failing_agents_change_nothing_before_they_fail(capsys, out, finished):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = call(capsys, "run", RECIPE, *TINY, "--fail-fraction", 0.5, "--fail-at", 20, "--out", out, "--quiet")
    assert said.code == 0 and said.err == ""
    before, after, learners = curves(finished), curves(out), {"random", *quorate.UTILITIES}
    common = before.keys() & after.keys()
    assert {step for _, step in common if step <= 20} == set(range(1, 21, 2))
    assert all(before[at] == after[at] for at in common if at[1] <= 20 or at[0] not in learners)
    late = [at for at in common if at[0] == "expected_difference" and at[1] > 26]
    assert len(late) >= 2 and all(float(after[at]) > float(before[at]) for at in late)


def test_an_error_of_ours_is_one_line_and_a_log(monkeypatch, capsys):
    """No traceback on the terminal; the log has it, and --debug shows it."""

    def broken(*args, **options):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr("quorate.front.run", broken)
    words = ["run", "imperfect_devices", "--num-agents", "20"]
    with pytest.raises(SystemExit) as end:
        main(words)
    first, second = capsys.readouterr().err.splitlines()
    assert (end.value.code, first) == (70, "error  ZeroDivisionError: by chance")
    log = Path(second.split()[-1])
    assert "Traceback" in log.read_text(encoding="utf-8")
    log.unlink()
    with pytest.raises(ZeroDivisionError):
        main([*words, "--debug"])
