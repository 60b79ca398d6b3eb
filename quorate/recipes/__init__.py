"""One recipe for each question or paper. `RECIPES` says where each lives; nothing is imported before it is asked
for."""

import importlib
from types import ModuleType
from typing import NamedTuple

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
}


def recipe(name: str) -> ModuleType:
    """The module of a recipe, or a refusal with the nearest name."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return importlib.import_module(RECIPES[name].module)
