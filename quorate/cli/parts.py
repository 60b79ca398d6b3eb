"""`quorate list [FAMILY]`: recipes and parts that are there."""

import importlib
from typing import Any

from quorate.cli.exits import FINE
from quorate.errors import Refusal, unknown

FAMILIES = {
    "recipes": ("quorate.recipes", "RECIPES"),
    "worlds": ("quorate.worlds", "WORLDS"),
    "utilities": ("quorate.utilities", "UTILITIES"),
    "learners": ("quorate.learners", "LEARNERS"),
    "faults": ("quorate.faults", "FAULTS"),
    "monitors": ("quorate.monitors", "MONITORS"),
    "protocols": ("quorate.protocols", "PROTOCOLS"),
    "mechanisms": ("quorate.protocols.mechanisms", "MECHANISMS"),
    "solvers": ("quorate.solvers", "DEVICE_SOLVERS"),
    "optima": ("quorate.solvers", "OPTIMA"),
}


def main(rest: list[str], terminal: Any) -> int:
    rest = [word for word in rest if word != "--no-color"]
    family = rest[0] if rest else "recipes"
    if family in ("--help", "-h"):
        print(f"quorate list [{' | '.join(FAMILIES)}]")
        return FINE
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES)
    if rest[1:]:
        raise Refusal(f'quorate list takes one family, found also "{rest[1]}"')
    home, registry = FAMILIES[family]
    parts = getattr(importlib.import_module(home), registry)
    if family == "recipes":
        rows = [(name, entry.about, f"{entry.claims} claims") for name, entry in parts.items()]
        terminal.table((family, "what it is", ""), rows)
        terminal.paths({"run": "quorate run RECIPE", "parts": "quorate list " + " | ".join(list(FAMILIES)[1:])})
        return FINE
    terminal.table((family, "what it is"), [(name, _about(part)) for name, part in parts.items()])
    return FINE


def _about(part: Any) -> str:
    """What a part says of itself: its `about`, else the first sentence of its docstring."""
    if hasattr(part, "about"):
        return part.about
    kind = part if callable(part) and hasattr(part, "__name__") else type(part)
    first = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(first.split()).split(". ")[0].rstrip(".")
