"""Options of a command, read off the signature of what it stands for."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from quorate.errors import Refusal, nearest


class Flag(NamedTuple):
    about: str


class Value(NamedTuple):
    about: str
    shown: str
    usual: Any = None


EVERY: Mapping[str, Flag | Value] = {
    "seed": Value("of all noise (0)", "N", 0),
    "json": Flag("one JSON object on stdout"),
    "quiet": Flag("the verdict only"),
    "no_color": Flag("no colour"),
    "debug": Flag("show where an error came from"),
}


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are refusals like all others."""

    def error(self, message: str) -> None:
        raise Refusal(message.replace("argument ", "", 1))


def options(
    command: str, function: Callable, words: list[str], own: Mapping[str, Flag | Value], leave: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what every command knows and `own` adds, with defaults; the arguments of `function` that were given, as text).
    Arguments in `leave` are not offered.

    Errors: `Refusal` for an unknown option, with the nearest name.
    """
    from quorate import arguments as arguing

    about = (function.__doc__ or "").strip().split("\n")[0]
    parser = _Parser(prog=f"quorate {command}", description=about, allow_abbrev=False, exit_on_error=False)
    for argument in arguing.of(function):
        if argument.name in leave:
            continue
        usual = "" if argument.default in (None, arguing.REQUIRED) else f" ({arguing.written(argument.default)})"
        allowed = getattr(argument.kind, "allowed", None)
        shown = "|".join(allowed) if allowed else argument.name.split("_")[-1].upper()
        parser.add_argument(argument.flag, metavar=shown, help=(argument.kind.about + usual).replace("%", "%%"))
    common = {**own, **EVERY}
    for name, option in common.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(option, Flag):
            parser.add_argument(flag, action="store_true", help=option.about)
        else:
            parser.add_argument(flag, default=option.usual, metavar=option.shown, help=option.about)
    try:
        found, left = parser.parse_known_args(words)
    except argparse.ArgumentError as problem:
        raise Refusal(str(problem).replace("argument ", "", 1)) from None
    if left:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        if not left[0].startswith("-"):
            raise Refusal(
                f'"{left[0]}" stands alone; options are written --name value, quorate {command} --help lists them'
            )
        close = nearest(left[0].split("=")[0], flags)
        raise Refusal(
            f"no option is called {left[0]}"
            + (f"; did you mean {close}?" if close else f"; see quorate {command} --help")
        )
    every = vars(found)
    given = {name: value for name, value in every.items() if name not in common and value is not None}
    return {name: every[name] for name in common}, given
