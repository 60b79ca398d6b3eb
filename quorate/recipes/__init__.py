"""One recipe for each question or paper. `RECIPES` says where each lives; nothing is imported before it is asked
for."""

import importlib
from types import ModuleType
from typing import Any, NamedTuple

from quorate.errors import unknown


class Entry(NamedTuple):
    """module: has `main(study, *, ...) -> Outcome`, `CLAIMS`, `scenario(...)`, and `RECORDED`, the arguments at which
    the claims were recorded."""

    module: str
    about: str
    claims: int  # how many it judges; stated here so that listing imports nothing


RECIPES = {
    "imperfect_devices": Entry("quorate.recipes.imperfect_devices", "choose the devices whose errors cancel best", 15),
    "collectives": Entry("quorate.recipes.collectives", "four crowded worlds with known optima", 4),
    "ibgp": Entry("quorate.recipes.ibgp", "act together although some messages lie", 14),
    "sensor_network": Entry("quorate.recipes.sensor_network", "agree on a moving target, a liar next door", 6),
}


def recipe(name: str) -> ModuleType:
    """The module of a recipe, or a refusal with the nearest name."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return importlib.import_module(RECIPES[name].module)


def pick(rows: list[dict[str, Any]], **where: Any) -> list[dict[str, Any]]:
    """The rows in which the named columns have these values.

    >>> pick([{"k": 1, "t": 2}, {"k": 3, "t": 2}], k=3)
    [{'k': 3, 't': 2}]
    """
    return [row for row in rows if all(row[name] == value for name, value in where.items())]
