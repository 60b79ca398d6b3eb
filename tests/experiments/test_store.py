"""The run folder: its name, its lock, its completion; tables as CSV."""

import csv
import io
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.experiments import store
from quorate.experiments.store import Folder, fingerprint, plain, table

ASKED = {"num_agents": (20, 30), "law": "normal", "devices": None}


def test_a_fingerprint_knows_recipe_arguments_contents_and_version(tmp_path, monkeypatch):
    path = tmp_path / "devices.csv"
    path.write_text("1\n2\n")
    asked = ASKED | {"devices": path}
    first = fingerprint("one", asked)
    assert fingerprint("one", dict(reversed(asked.items()))) == first
    others = {fingerprint("two", asked), fingerprint("one", asked | {"law": "uniform"}), fingerprint("one", ASKED)}
    path.write_text("1\n3\n")
    others.add(fingerprint("one", asked))
    path.write_text("1\n2\n")
    assert fingerprint("one", asked) == first
    monkeypatch.setattr(store, "__version__", "99")
    others.add(fingerprint("one", asked))
    assert len(others) == 5 and first not in others


def test_contents_that_move_from_file_to_file_differ(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("1\n2\n")
    two.write_text("3\n")
    first = fingerprint("r", {"devices": one, "test": two})
    one.write_text("1\n")
    two.write_text("2\n3\n")
    assert fingerprint("r", {"devices": one, "test": two}) != first


def test_a_file_that_cannot_be_read_is_left_to_its_reader(tmp_path):
    assert fingerprint("r", {"devices": tmp_path / "none.csv"}) != fingerprint("r", {"devices": tmp_path})


def test_the_folder_says_what_was_asked(tmp_path):
    folder = Folder(tmp_path / "runs", "toy", ASKED, 7)
    assert folder.path.name == f"toy-{folder.fingerprint[:7]}-7"
    assert not (tmp_path / "runs").exists()
    assert folder.open(again=False) is False and not folder.finished
    asked = json.loads((folder.partial / "arguments.json").read_text())
    assert asked == {"recipe": "toy", "seed": 7, "num_agents": "20,30", "law": "normal", "devices": None}
    folder.release()


def test_from_partial_to_complete(tmp_path):
    folder = Folder(tmp_path, "toy", ASKED, 0)
    folder.open(again=False)
    folder.write("figures/a.svg", "<svg/>")
    folder.write("provenance.json", "{}")
    assert not folder.finished
    folder.finish()
    assert folder.finished and not folder.partial.exists()
    assert sorted(path.name for path in folder.path.iterdir()) == ["arguments.json", "figures", "provenance.json"]


def test_an_older_folder_gives_way_to_a_complete_one_only(tmp_path):
    folder = Folder(tmp_path, "toy", ASKED, 0)
    for text in ("old", "new"):
        folder.open(again=True)
        folder.write("provenance.json", text)
        if text == "new":
            assert (folder.path / "provenance.json").read_text() == "old"
        folder.finish()
    assert (folder.path / "provenance.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == [folder.path.name]


def test_the_lock_keeps_a_second_run_out_and_its_cells_safe(tmp_path):
    first, second = Folder(tmp_path, "toy", ASKED, 0), Folder(tmp_path, "toy", ASKED, 0)
    first.open(again=False)
    first.state("cell").write_text("kept")
    for again in (False, True):
        with pytest.raises(Refusal, match="another process is working on the same run"):
            second.open(again)
        assert first.state("cell").read_text() == "kept"
    Folder(tmp_path, "toy", ASKED, 1).open(again=False)  # another seed, another folder
    first.release()
    assert second.open(again=False) is True and second.state("cell").exists()
    second.release()
    assert first.open(again=True) is False and not first.state("cell").exists()
    first.release()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = Folder(tmp_path / "file", "toy", ASKED, 0)
    with pytest.raises(Refusal, match=r"file: cannot be written \(.+\); choose another folder with --out"):
        folder.open(again=False)
    assert (tmp_path / "file").read_text() == "in the way"
    assert "\n" not in str(folder.path)


@pytest.mark.parametrize("one", ["a b=1", "a/b", "../x", "ü", "a" * 400])
def test_a_cell_is_a_file_within_state(tmp_path, one):
    folder = Folder(tmp_path, "toy", ASKED, 0)
    folder.open(again=False)
    path, other = folder.state(one), folder.state(one + "?")
    path.with_suffix(".writing").write_text("x")
    assert path.parent == folder.partial / "state" and path != other and path == folder.state(one)
    folder.release()


def test_cells_that_look_alike_lie_apart(tmp_path):
    folder = Folder(tmp_path, "toy", ASKED, 0)
    names = ["a b", "a_b", "a/b", "a=b", "a" * 200, "a" * 201]
    assert len({folder.state(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.float64(0.5), 0.5), (np.int64(3), 3), (math.inf, None), (np.float32("nan"), None), ("x", "x"), (None, None)],
)
def test_plain(value, shown):
    found = plain(value)
    assert found == shown and not isinstance(found, np.generic)
    json.dumps(found, allow_nan=False)


def test_columns_of_all_rows_in_order():
    rows = [{"a": 1, "b": 2.5}, {"c": 'x, "y"\nz', "a": None, "b": math.nan}]
    text = table(rows)
    assert text.split("\n")[0] == "a,b,c"
    found = list(csv.DictReader(io.StringIO(text)))
    assert found == [{"a": "1", "b": "2.5", "c": ""}, {"a": "", "b": "", "c": 'x, "y"\nz'}]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_to_the_last_bit(values):
    found = csv.DictReader(io.StringIO(table([{"x": np.float64(value)} for value in values])))
    assert [float(row["x"]) for row in found] == values


@pytest.mark.parametrize("name", ["locked", "locked/deeper"])
def test_a_folder_without_the_right_to_write(tmp_path, name, monkeypatch):
    # Root may write everywhere, so the system's answer is played.
    def denied(path, *args, **kwargs):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(Refusal, match="locked.*: cannot be written .Permission denied.; choose another folder"):
        Folder(tmp_path / name, "toy", ASKED, 0).open(again=False)
