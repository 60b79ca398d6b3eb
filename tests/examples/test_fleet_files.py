"""The fleet files: they read without a complaint, and orders.csv is what its script writes."""

from pathlib import Path

import numpy as np
import pytest

from quorate.recipes.compare.description import read
from quorate.recipes.compare.instance import TraceSpec, resolve
from quorate.recipes.compare.possible import possible
from tests.examples.test_examples import script

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))


def test_all_are_here():
    assert set(NAMES) >= {"backbone", "flights", "flights_bad_day", "orders", "warehouse"}


@pytest.mark.parametrize("name", NAMES)
def test_a_fleet_that_can_be_run(name):
    fleet = read(EXAMPLES / f"{name}.toml")
    assert possible(fleet) == []
    drawn = resolve(fleet, seed=0)
    assert len(drawn.crew.speed) > 10 and drawn.ticks > 100
    if isinstance(drawn.tasks, TraceSpec):
        assert (drawn.tasks.deadline >= drawn.tasks.release).all() and drawn.ticks > drawn.tasks.deadline.max()


def test_orders_are_what_the_script_writes(tmp_path, capsys):
    script("make_orders").main(["--out", str(tmp_path)])
    assert (tmp_path / "orders.csv").read_bytes() == (EXAMPLES / "orders.csv").read_bytes()
    script("make_orders").main(["--out", str(tmp_path), "--seed", "1", "--orders", "50"])
    text = (tmp_path / "orders.csv").read_text()
    assert len(text.splitlines()) == 51 and text[:200] != (EXAMPLES / "orders.csv").read_text()[:200]
    for flags, said in ((["--orders", "0"], "--orders is 0"), (["--seed", "-1"], "--seed is -1")):
        with pytest.raises(SystemExit):
            script("make_orders").main(flags)
        assert said in capsys.readouterr().err


def test_orders_have_skills_teams_and_predecessors():
    drawn = resolve(read(EXAMPLES / "orders.toml"), seed=0)
    tasks = drawn.tasks
    assert len(tasks.id) == 300 and 20 <= (tasks.after >= 0).sum() <= 40
    assert (tasks.team == 2).sum() == (tasks.need == 1 << drawn.skills.index("lift")).sum() > 30
    first = tasks.after[tasks.after >= 0]
    assert (tasks.release[first] <= tasks.release[tasks.after >= 0]).all()
    assert np.array_equal(tasks.at[:, first], tasks.at[:, tasks.after >= 0])
