"""What the pages say can be typed: every Python block runs, every named file and command is there."""

import re
from pathlib import Path

import jax.numpy as jnp
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def smaller(code: str) -> str:
    """The same calls at sizes for a test."""
    code = re.sub(
        r"num_agents=\[50, 100\], configurations=5, runs=10", "num_agents=[20], configurations=2, runs=2", code
    )
    return code.replace("num_agents=100)", "num_agents=30)").replace("scenario, 100", "scenario, 5")


@pytest.mark.parametrize("name", ["README.md", "start.md", "one_step.md"])
def test_examples_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = next(page for page in PAGES if page.name == name)
    scope = {"score": 0, "replaced": lambda total, parts: total}
    for code in blocks(page, "python"):
        if "score - world.value" not in code:
            exec(compile(smaller(code), name, "exec"), scope)


def test_the_world_of_add_a_world_keeps_every_promise():
    from quorate.testing import check_world

    scope = {}
    for code in blocks(ROOT / "docs" / "add_a_world.md", "python"):
        exec(compile(code, "add_a_world.md", "exec"), scope)
    world = scope["Thermostats"](num_agents=8, power=jnp.ones(8), plan=4.0)
    check_world(world)
    assert float(world.score((), jnp.ones(8, jnp.int32), ())) == -4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:quorate|tests|examples|benchmarks|docs)/[\w/.]+)`", text):
        known = "thermostats" in name or "veto" in name
        assert known or (ROOT / name).exists(), name
