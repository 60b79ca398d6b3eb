"""The command line: `quorate list`, `quorate run RECIPE`. It stands on the Python API and imports nothing heavy
before it must."""

import argparse
import os
import shlex
import signal
import sys
import threading
from typing import Any

from quorate.errors import Refusal, nearest, unknown

COMMANDS = {
    "list": "recipes and parts that are there",
    "run": "run a recipe: quorate run RECIPE [--help]",
}
HELP = """quorate: which coordination mechanism holds, at ten or a million agents, under
faults and attack

  quorate list [FAMILY]      recipes, or the parts of a family
  quorate run RECIPE         run a recipe
  quorate run RECIPE --help  its options

Options of every run
  --seed N      of all noise (0)
  --out FOLDER  where run folders are kept (runs)
  --again       compute anew what is finished
  --json        one JSON object on stdout, nothing else there
  --quiet       the verdict only
  --no-color    no colour
  --debug       show where an error came from
"""
FAMILIES = {
    "recipes": ("quorate.recipes", "RECIPES"),
    "worlds": ("quorate.worlds", "WORLDS"),
    "utilities": ("quorate.utilities", "UTILITIES"),
    "learners": ("quorate.learners", "LEARNERS"),
    "faults": ("quorate.faults", "FAULTS"),
    "monitors": ("quorate.monitors", "MONITORS"),
    "protocols": ("quorate.protocols", "PROTOCOLS"),
    "solvers": ("quorate.solvers", "DEVICE_SOLVERS"),
    "optima": ("quorate.solvers", "OPTIMA"),
}
LIGHT = ("--help", "-h", "--version")
FINE, DIFFERENT, BAD_INPUT, OURS, INTERRUPTED = 0, 1, 2, 70, 130


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are refusals like all others."""

    def error(self, message: str) -> None:
        raise Refusal(message.replace("argument ", "", 1))


def main(argv: list[str] | None = None) -> None:
    """The entry point. Exit codes: 0 done, 1 a claim came out otherwise than recorded, 2 bad input, 70 an error of
    ours, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _light(words) if not words or words[0] in LIGHT else _guarded(words)
        sys.stdout.flush()
        sys.exit(code)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # so rich leaves when the reader of our output has gone
            sys.exit(FINE)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FINE)


def _light(words: list[str]) -> int:
    from quorate import __version__

    print(f"quorate {__version__}\n" if words and words[0] == "--version" else HELP, end="")
    return FINE


def _guarded(words: list[str]) -> int:
    from quorate.report.terminal import Terminal

    terminal = Terminal(quiet="--quiet" in words, color=False if "--no-color" in words else None)

    def interrupt(number: int, frame: Any) -> None:
        terminal.interrupted = True  # JAX may discard the exception inside a callback of its own; the mark stays
        raise KeyboardInterrupt

    usual = signal.signal(signal.SIGINT, interrupt) if threading.current_thread() is threading.main_thread() else None
    try:
        return _command(words, terminal)
    except Refusal as refusal:
        if "--debug" in words:
            raise
        terminal.error(str(refusal))
        return BAD_INPUT
    except KeyboardInterrupt:
        terminal.error("interrupted; what was finished is kept, the same command goes on from there")
        return INTERRUPTED
    except Exception as fault:
        if "--debug" in words or isinstance(fault, BrokenPipeError):
            raise
        terminal.error(
            f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else 'no message'}\n{_log()}"
        )
        return OURS
    finally:
        if usual is not None:
            signal.signal(signal.SIGINT, usual)


def _log() -> str:
    """Writes the traceback of an error of ours to a file, and says where."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="quorate-", suffix=".log", delete=False, encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return f"this is an error of quorate's own; the log is {file.name}"


def _command(words: list[str], terminal: Any) -> int:
    name, rest = words[0], words[1:]
    if name == "list":
        return _list([word for word in rest if word != "--no-color"], terminal)
    if name == "run":
        return _run(rest, terminal)
    if name.startswith("-"):
        raise Refusal(f"no option is called {name}; quorate --help lists what there is")
    raise unknown("command", name, COMMANDS)


def _list(rest: list[str], terminal: Any) -> int:
    import importlib

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


def _run(rest: list[str], terminal: Any) -> int:
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
    options = _options(rest[0], module, rest[1:])
    from quorate.front import run

    common = {name: options.pop(name) for name in ("seed", "out", "again", "json", "quiet", "no_color", "debug")}
    given = {name: value for name, value in options.items() if value is not None}
    if common["json"]:
        terminal.quiet = True
    result = run(
        rest[0], seed=common["seed"], out=common["out"], again=common["again"], terminal=terminal, flags=True, **given
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
            f"{len(module.CLAIMS)} claims are not judged at these arguments; quorate run {rest[0]} judges them"
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


def _options(name: str, module: Any, words: list[str]) -> dict[str, Any]:
    from quorate.experiments import arguments as arguing

    declared = arguing.of(module.main)
    about = (module.main.__doc__ or "").strip().split("\n")[0]
    parser = _Parser(prog=f"quorate run {name}", description=about, allow_abbrev=False, exit_on_error=False)
    for argument in declared:
        usual = "" if argument.default is None else f" ({arguing.written(argument.default)})"
        allowed = getattr(argument.kind, "allowed", None)
        shown = "|".join(allowed) if allowed else argument.name.split("_")[-1].upper()
        parser.add_argument(argument.flag, metavar=shown, help=(argument.kind.about + usual).replace("%", "%%"))
    parser.add_argument("--seed", default=0, metavar="N", help="of all noise (0)")
    parser.add_argument("--out", default="runs", metavar="FOLDER", help="where run folders are kept (runs)")
    parser.add_argument("--again", action="store_true", help="compute anew what is finished")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="the verdict only")
    parser.add_argument("--no-color", action="store_true", help="no colour")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    try:
        found, left = parser.parse_known_args(words)
    except argparse.ArgumentError as problem:
        raise Refusal(str(problem).replace("argument ", "", 1)) from None
    if left:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        if not left[0].startswith("-"):
            raise Refusal(
                f'"{left[0]}" stands alone; options are written --name value, quorate run {name} --help lists them'
            )
        close = nearest(left[0].split("=")[0], flags)
        raise Refusal(
            f"no option is called {left[0]}"
            + (f"; did you mean {close}?" if close else f"; see quorate run {name} --help")
        )
    return vars(found)


if __name__ == "__main__":
    main()
