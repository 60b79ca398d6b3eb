"""What the tests of runs share: tiny runs, calls of the command line, files of devices, and a recipe that is a toy."""

import json
import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, NamedTuple

import numpy as np
import pytest

import quorate
from quorate.arguments import Choice, Count, Counts
from quorate.cli import main
from quorate.experiments.claims import Claim, Measured
from quorate.experiments.outcome import Outcome
from quorate.recipes import RECIPES, Entry

# One shape for all, so that a session compiles it once.
SIZE = {"num_agents": 12, "configurations": 2, "runs": 3, "steps": 30}
TINY = ["--num-agents", "12", "--configurations", "2", "--runs", "3", "--steps", "30"]
DEVICES = 12


class Said(NamedTuple):
    code: int
    out: str
    err: str


def call(capsys, *words: str) -> Said:
    """The command line in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return Said(end.value.code, *capsys.readouterr())


def refusal(capsys, *words: str) -> str:
    """The one error of a call that must be refused: exit 2, nothing on stdout, no traceback."""
    said = call(capsys, *words)
    assert said.code == 2 and said.out == ""
    first, *more = said.err.splitlines()
    assert first.startswith("error  ") and all(line.startswith("       ") for line in more)
    assert "Traceback" not in said.err
    return said.err


@lru_cache
def tiny(**changes) -> "quorate.Result":
    """The tiny run in memory."""
    return quorate.run("imperfect_devices", **SIZE | changes)


class Process:
    """`quorate` in a process of its own; `code` is run before it."""

    def __init__(self, folder: Path, *words: str, code: str = ""):
        script = f"{code}\nfrom quorate.cli import main\nmain()"
        saved = {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
        saved |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)],
            cwd=Path(__file__).parents[1],
            env=os.environ | saved,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, there) -> None:
        """Waits for `there()`; fails if the process ends before."""
        while not there():
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.01)

    def end(self) -> Said:
        out, err = self.process.communicate(timeout=300)
        return Said(self.process.returncode, out, err)


def only(folder: Path, pattern: str = "*") -> Path:
    """The one entry of a folder."""
    (found,) = folder.glob(pattern)
    return found


def device_errors(points: int = 1, offset: float = 0.0, seed: int = 5) -> np.ndarray:
    """Whole numbers [points, DEVICES]."""
    drawn = np.random.default_rng(seed).normal(offset, 300, (points, DEVICES))
    return np.round(drawn).astype(int)


def device_file(path: Path, errors: np.ndarray, exponent: int = 0) -> Path:
    """A CSV of `errors` [points, devices], each times ten to `exponent`, with names that are no numbers."""
    head = ["name", *(f"p{point}" for point in range(len(errors)))]
    rows = [[f"unit {index}", *(f"{value}e{exponent}" for value in row)] for index, row in enumerate(errors.T)]
    path.write_text("\n".join(",".join(row) for row in [head, *rows]) + "\n", encoding="utf-8")
    return path


def strict(text: str) -> dict:
    """JSON without NaN or infinity."""

    def refuse(word: str):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def toy(monkeypatch, recorded=("holds", None), measured=None) -> SimpleNamespace:
    """Registers a recipe that takes no time. `counts` says how often its cell was computed; `measured` is what its only
    claim comes to."""
    counted = SimpleNamespace(computed=0)

    def play(
        study,
        *,
        size: Annotated[int, Count("things")] = 3,
        kind: Annotated[str, Choice("kind", ("a", "b"))] = "a",
        many: Annotated[tuple[int, ...] | None, Counts("others")] = None,
    ):
        """Toys with things."""

        def compute():
            counted.computed += 1
            return {"drawn": np.arange(size) + study.seed}

        study.reporter.stages(["toying"])
        drawn = study.cell("toy", compute)["drawn"]
        rows = [{"thing": index, "value": float(value)} for index, value in enumerate(drawn)]
        return Outcome(rows=rows, verdict="A toy was toyed with.", tables={"more": rows}, files={"note.txt": "aye\n"})

    value = measured or Measured("holds", "as said", value=2.0, low=1.0, high=3.0)
    module = ModuleType("toy_recipe")
    module.main, module.RECORDED, module.setting = play, {}, lambda **asked: "at play"
    module.CLAIMS = [Claim("claimed", "Fig. 1", "Toys are things", lambda tables: value, recorded)]
    monkeypatch.setitem(sys.modules, "toy_recipe", module)
    monkeypatch.setitem(RECIPES, "toy", Entry("toy_recipe", "a toy", 1))
    return counted
