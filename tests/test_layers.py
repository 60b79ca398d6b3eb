"""Imports go one way, families do not know each other, and nobody switches on 64-bit JAX."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "quorate"

# Lowest first. A part may import the lines above its own, and itself; parts on one line do not import each other.
LAYERS = (
    ("errors",),
    ("numerics", "arguments"),
    ("core",),
    ("random",),
    ("comms",),
    ("worlds", "protocols", "utilities", "learners", "faults", "monitors", "solvers"),
    ("step",),
    ("measure",),
    ("training",),
    ("verify", "live", "experiments"),
    ("report",),
    ("recipes",),
    ("front",),
    ("cli",),
    ("__init__", "__main__", "registry", "testing"),  # these see everything, each other included
)
HEIGHT = {part: height for height, parts in enumerate(LAYERS) for part in parts}
CLI = HEIGHT["cli"]


def part_of(module: str) -> str:
    """quorate.worlds.bar -> worlds; quorate -> __init__."""
    return module.split(".")[1] if "." in module else "__init__"


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, module) for everything of this package that `tree` imports, at its top, inside functions or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".") + ([""] if is_package else [])
            base = ".".join(here[: len(here) - node.level] if node.level else [])
            base = ".".join(filter(None, (base, node.module)))
            names = [alias.name for alias in node.names if alias.name != "__version__"]
            # `from quorate import core` asks for a part, `from quorate import run` for the front door.
            parts = [f"quorate.{name}" if name in HEIGHT else "quorate" for name in names]
            found = parts if base == "quorate" else [base]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "quorate")


def switches_on_x64(node: ast.AST) -> bool:
    """The option by its name, an assignment to it, or the context manager. Docstrings may speak of it."""
    match node:
        case ast.Constant(value="jax_enable_x64" | "JAX_ENABLE_X64"):
            return True
        case ast.Attribute(attr=name, ctx=ast.Store()) | ast.alias(name=name):
            return name.endswith("enable_x64")
        case ast.Call(func=ast.Attribute(attr="enable_x64") | ast.Name(id="enable_x64")):
            return True
    return False


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with a module, a line each."""
    tree, part, wrong = ast.parse(source), part_of(module), []
    if part not in HEIGHT:
        return [f"{module}: {part} has no place in LAYERS"]
    for line, target in imported(tree, module, is_package):
        other = part_of(target)
        if other not in HEIGHT:
            wrong.append(f"{module}:{line} imports {target}, and {other} has no place in LAYERS")
        elif other != part and HEIGHT[other] >= HEIGHT[part] and HEIGHT[part] < CLI:
            wrong.append(f"{module}:{line} imports {target}: {part} may not know {other}")
    nodes = ((getattr(node, "lineno", 0), node) for node in ast.walk(tree))
    return wrong + [f"{module}:{line} switches on 64-bit JAX" for line, node in nodes if switches_on_x64(node)]


def test_every_module_keeps_the_rules():
    wrong, seen = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        is_package = path.name == "__init__.py"
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if is_package else parts)
        seen.add(part_of(module))
        wrong += violations(path.read_text(encoding="utf-8"), module, is_package)
    assert {"errors", "core", "comms", "worlds"} <= seen
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("quorate.core", "import quorate.comms"),
        ("quorate.core", "from quorate import comms"),
        ("quorate.core", "from quorate import run"),
        ("quorate.core", "import quorate"),
        ("quorate.core", "from .comms import tally"),
        ("quorate.core", "from . import comms"),
        ("quorate.core", "import importlib\nimportlib.import_module('quorate.step')"),
        ("quorate.worlds.bar", "from quorate.faults.crash import Crash"),
        ("quorate.worlds.bar", "from ..faults import crash"),
        ("quorate.worlds.bar", "def late():\n    from quorate.step import run"),
        ("quorate.worlds.bar", "class Late:\n    def method(self):\n        import quorate.learners.greedy"),
        ("quorate.verify.exact", "from quorate.live import node"),
        ("quorate.report.page", "from quorate.registry import RECIPES"),
        ("quorate.recipes.ibgp", "from quorate.testing import check"),
        ("quorate.worlds.bar", "import quorate.utils"),
        ("quorate.utils", ""),
        ("quorate.core", "import jax\njax.config.update('jax_enable_x64', True)"),
        ("quorate.core", "import jax\njax.config.jax_enable_x64 = True"),
        ("quorate.core", "import jax\nwith jax.enable_x64(True):\n    pass"),
        ("quorate.core", "from jax.experimental import enable_x64"),
        ("quorate.core", "import os\nos.environ['JAX_ENABLE_X64'] = '1'"),
    ],
)
def test_a_breach_is_seen(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("quorate.core", "import jax\nfrom quorate.errors import Refusal\nfrom quorate.numerics import sums"),
        (
            "quorate.worlds.bar",
            "from quorate.worlds.braess import toll\nfrom . import braess\nfrom .braess import toll",
        ),
        ("quorate.learners.parts.gae", "from ..boltzmann import draw\nfrom ... import core"),
        ("quorate.experiments.store", "from quorate import __version__"),
        ("quorate.cli", "from quorate.registry import RECIPES\nimport quorate"),
        ("quorate.testing", "from quorate import cli, registry"),
        ("quorate.core", '"""Never sets jax_enable_x64."""\nimport quorated'),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert violations(source, module) == []


def test_relative_imports_of_a_package_start_at_the_package():
    source = "from . import bar\nfrom .. import faults\nfrom ..core import World"
    assert violations(source, "quorate.worlds", is_package=True) == [
        "quorate.worlds:2 imports quorate.faults: worlds may not know faults"
    ]
