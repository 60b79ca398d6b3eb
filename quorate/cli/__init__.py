"""The command line: a word for each question, each in a file of its own. It stands on the Python API and imports
nothing heavy before it must."""

import importlib
import os
import signal
import sys
import threading
from typing import Any

from quorate.cli.exits import BAD_INPUT, FINE, INTERRUPTED, OURS
from quorate.errors import Refusal, unknown

COMMANDS = {  # where each lives; nothing is imported before it is asked for
    "list": "quorate.cli.parts",
    "run": "quorate.cli.run",
    "compare": "quorate.cli.compare",
    "verify": "quorate.cli.verify",
    "attack": "quorate.cli.attack",
    "live": "quorate.cli.live",
}
HELP = """quorate: which coordination mechanism holds, at ten or a million agents, under
faults and attack

  quorate list [FAMILY]      recipes, or the parts of a family
  quorate run RECIPE         run a recipe
  quorate compare FLEET.toml which mechanism holds for a fleet?
  quorate verify PROTOCOL    how often can liars break it? exactly if possible
  quorate attack PROTOCOL    let an attacker search or learn
  quorate live PROTOCOL      its nodes as real processes, replayed afterwards
  quorate COMMAND NAME --help  the options of each

Options of every command but list
  --seed N      of all noise (0)
  --json        one JSON object on stdout, nothing else there
  --quiet       the verdict only
  --no-color    no colour
  --debug       show where an error came from
"""
LIGHT = ("--help", "-h", "--version")


def main(argv: list[str] | None = None) -> None:
    """The entry point; `quorate.cli.exits` says what the exit codes mean."""
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
        resumes = words[0] in ("run", "compare")
        kept = "; what was finished is kept, the same command goes on from there" if resumes else ""
        terminal.error("interrupted" + kept)
        return INTERRUPTED
    except OSError as problem:
        if "--debug" in words or isinstance(problem, BrokenPipeError):
            raise
        where = "" if problem.filename is None else f"{problem.filename}: "
        terminal.error(f"{where}{(problem.strerror or str(problem)).lower()}")
        return BAD_INPUT
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
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name]).main(rest, terminal)
    if name.startswith("-"):
        raise Refusal(f"no option is called {name}; quorate --help lists what there is")
    raise unknown("command", name, COMMANDS)
