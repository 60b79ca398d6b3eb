"""One recipe for each question or paper. `RECIPES` says where each lives; nothing is imported before it is asked
for."""

import importlib
from types import ModuleType
from typing import Any, NamedTuple

from quorate.errors import unknown


class Entry(NamedTuple):
    """module: has `main(study, *, ...) -> Outcome`, `setting(...)`, `CLAIMS`, and `RECORDED`, the arguments at which
    the claims were recorded. Where results depend on files that no argument names, `data(...)` names them."""

    module: str
    about: str
    claims: int  # how many it judges; stated here so that listing imports nothing
    command: tuple[str, ...] = ()  # the words that ask for it, where they are not `run NAME`
    positional: tuple[str, ...] = ()  # arguments that stand alone behind these words


RECIPES = {
    "imperfect_devices": Entry("quorate.recipes.imperfect_devices", "choose the devices whose errors cancel best", 15),
    "collectives": Entry("quorate.recipes.collectives", "four crowded worlds with known optima", 4),
    "ibgp": Entry("quorate.recipes.ibgp", "act together although some messages lie", 14),
    "sensor_network": Entry("quorate.recipes.sensor_network", "agree on a moving target, a liar next door", 6),
    "mechanisms": Entry("quorate.recipes.mechanisms", "what two sources say of coordination, in numbers", 12),
}

# Questions with a command of their own, which are no recipes to list.
QUESTIONS = {
    "compare": Entry("quorate.recipes.compare", "which mechanism holds for a fleet", 0, ("compare",), ("fleet",)),
}


def entry(name: str) -> Entry:
    """What is registered of a recipe or a question, or a refusal with the nearest name."""
    if name in QUESTIONS:
        return QUESTIONS[name]
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def recipe(name: str) -> ModuleType:
    """The module of a recipe, or a refusal with the nearest name."""
    return importlib.import_module(entry(name).module)


def pick(rows: list[dict[str, Any]], **where: Any) -> list[dict[str, Any]]:
    """The rows in which the named columns have these values.

    >>> pick([{"k": 1, "t": 2}, {"k": 3, "t": 2}], k=3)
    [{'k': 3, 't': 2}]
    """
    return [row for row in rows if all(row[name] == value for name, value in where.items())]
