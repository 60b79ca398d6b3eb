"""`quorate run RECIPE`: from arguments to verdict."""

import shlex
from typing import Any

from quorate.cli.exits import DIFFERENT, FINE
from quorate.cli.options import Flag, Value, options
from quorate.errors import Refusal, unknown

OUT = Value("where run folders are kept (runs)", "FOLDER", "runs")
AGAIN = Flag("compute anew what is finished")


def main(rest: list[str], terminal: Any) -> int:
    from quorate.recipes import RECIPES, recipe

    if not rest or rest[0] in ("--help", "-h"):
        print("quorate run RECIPE [options]\n\nRecipes")
        for name, entry in RECIPES.items():
            print(f"  {name:<20} {entry.about}")
        print("\nquorate run RECIPE --help lists the options of one")
        return FINE
    if rest[0].startswith("-"):
        raise Refusal(f"quorate run takes a recipe before its options, found {rest[0]}; there are {', '.join(RECIPES)}")
    if rest[0] not in RECIPES:
        raise unknown("recipe", rest[0], RECIPES)
    module = recipe(rest[0])
    common, given = options(f"run {rest[0]}", module.main, rest[1:], own={"out": OUT, "again": AGAIN})
    return ran(rest[0], module, common, given, terminal)


def ran(name: str, module: Any, common: dict[str, Any], given: dict[str, Any], terminal: Any) -> int:
    """Runs what was asked for and prints it; the exit code."""
    from quorate.front import run

    if common["json"]:
        terminal.quiet = True
    result = run(
        name, seed=common["seed"], out=common["out"], again=common["again"], terminal=terminal, flags=True, **given
    )
    for warning in result.warnings:
        terminal.warning(warning)
    if common["json"]:
        import json

        print(json.dumps(result.as_json()))
        return FINE if result.as_recorded else DIFFERENT
    if result.claims:
        terminal.claims(result.claims)
    elif result.summary:
        terminal.table(*result.summary)
    terminal.verdict(result.verdict, result.claims)
    terminal.prose(result.lede)
    if not terminal.quiet and not result.claims and module.CLAIMS:
        terminal.note(
            f"{len(module.CLAIMS)} claims are not judged at these arguments; quorate run {result.recipe} judges them"
        )
    terminal.paths(
        {
            "report": result.folder / "report.html",
            "rows": result.folder / "rows.csv",
            "again": result.command + ("" if common["out"] == "runs" else f" --out {shlex.quote(common['out'])}"),
        }
        | ({"chosen": result.folder / "chosen.csv"} if (result.folder / "chosen.csv").exists() else {})
    )
    return FINE if result.as_recorded else DIFFERENT
