"""The example scripts: files that read back, devices that match, parts that share nothing."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quorate.experiments.read import read_numbers

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(name, folder, *arguments):
    """The selection and the test table of a run of make_<name>.py."""
    script(f"make_{name}").main(["--out", str(folder), *arguments])
    return [read_numbers(folder / f"{name}-{part}.csv") for part in ("selection", "test")]


@pytest.mark.parametrize("name", ["diabetes", "sensors"])
def test_files_hold_the_same_devices_at_different_points(name, tmp_path, capsys):
    selection, test = written(name, tmp_path / "new" / "folder", "--devices", "50")
    assert capsys.readouterr().out.splitlines() == [selection.path, test.path]
    assert len(selection.names) == 50 and selection.names == test.names
    assert not set(selection.columns) & set(test.columns)
    assert selection.cells.shape == (50, len(selection.columns)) and test.cells.shape == (50, len(test.columns))
    assert (selection.cells.std(0) > 0).all() and (test.cells.std(0) > 0).all()


@pytest.mark.parametrize("name", ["diabetes", "sensors"])
def test_a_seed_fixes_the_files(name, tmp_path):
    texts = []
    for folder, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        tables = written(name, tmp_path / folder, "--devices", "10", "--seed", seed)
        texts.append([Path(table.path).read_bytes() for table in tables])
    assert texts[0] == texts[1] and texts[0][0] != texts[2][0] and texts[0][1] != texts[2][1]


def test_patients_are_in_one_part_each():
    parts = script("make_diabetes").split(442, np.random.default_rng(0))
    assert [len(part) for part in parts] == [221, 110, 111]
    assert sorted(np.concatenate(parts)) == list(range(442))


def test_regressors_learn_from_the_training_part_only():
    """Other answers outside the training part change no prediction; other answers within do."""
    module = script("make_diabetes")
    patients, answers = module.load_diabetes(return_X_y=True)
    train, select, _ = module.split(len(answers), np.random.default_rng(0))

    def predictions(answers):
        return module.train_all(20, patients, answers, train, np.random.default_rng(1))[1]

    known = predictions(answers)
    assert np.abs(known.mean(0) - answers).mean() < np.abs(answers.mean() - answers).mean()
    unseen, seen = answers.copy(), answers.copy()
    unseen[select] += 1000
    seen[train] += 1000
    np.testing.assert_array_equal(predictions(unseen), known)
    assert (predictions(seen) > known).all()


def root_mean_square(cells, chosen):
    return np.sqrt((cells[chosen].mean(0) ** 2).mean())


def flip_down(cells):
    """Which devices: from all, always the flip that lowers the root mean square of their mean error most."""
    chosen = np.ones(len(cells), bool)
    while True:
        sign = np.where(chosen, -1, 1)
        means = (cells[chosen].sum(0)[None, :] + sign[:, None] * cells) / (chosen.sum() + sign)[:, None]
        after = np.sqrt((means**2).mean(1))
        if after.min() >= root_mean_square(cells, chosen):
            return chosen
        chosen[after.argmin()] ^= True


def test_choosing_sensors_pays_on_points_it_has_not_seen(tmp_path):
    """With 1000 thermometers 20 seeds gave 15 to 38 times less than all and 8 to 33 times less than the best."""
    selection, test = written("sensors", tmp_path)
    chosen = flip_down(selection.cells)
    best = [np.argmin((selection.cells**2).mean(1))]
    found = root_mean_square(test.cells, chosen)
    assert root_mean_square(test.cells, np.ones(1000, bool)) > 10 * found
    assert root_mean_square(test.cells, best) > 5 * found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make_diabetes", "--devices", "1"], "--devices is 1; it must be at least 2"),
        (["make_diabetes", "--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["make_sensors", "--devices", "1"], "--devices is 1; it must be at least 2"),
        (["make_sensors", "--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["make_sensors", "--selection-points", "0"], "--selection-points is 0; it must be at least 2"),
        (["make_sensors", "--test-points", "0"], "--test-points is 0; it must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        script(arguments[0]).main([*arguments[1:], "--out", str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {message}")
    assert not (tmp_path / "none").exists()


def test_without_scikit_learn_one_line_says_how_to_get_it(tmp_path):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'sklearn'\")\n")
    run = "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, "-c", run, str(tmp_path), str(EXAMPLES / "make_diabetes.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error  make_diabetes.py needs scikit-learn; install it with: pip install scikit-learn\n"
