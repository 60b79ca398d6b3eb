"""The front door: run a recipe, judge its claims, keep the result in a run folder."""

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate import __version__
from quorate import arguments as arguing
from quorate.errors import Refusal
from quorate.experiments.claims import Claim, Judged, Measured, judged
from quorate.experiments.outcome import Outcome, Rows
from quorate.experiments.store import Folder, plain, provenance, table
from quorate.experiments.study import Nobody, Study
from quorate.recipes import entry
from quorate.recipes import recipe as recipe_module

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """What a run gave. `rows` is the main table, `tables` the others, `claims` what the source says beside what came
    out (empty away from the recorded arguments), `folder` where everything lies (None: in memory)."""

    recipe: str
    arguments: dict[str, Any]
    seed: int
    rows: Rows
    tables: dict[str, Rows]
    claims: list[Judged]
    verdict: str
    interval: str | None
    lede: str
    setting: str
    warnings: tuple[str, ...]
    summary: tuple[tuple[str, ...], list[tuple[Any, ...]]] | None
    made: dict[str, str]
    folder: Path | None = None
    figures: tuple[Any, ...] = field(default=(), repr=False)
    files: dict[str, str] = field(default_factory=dict, repr=False)
    replay: Any = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Result({self.recipe}, seed {self.seed}, {len(self.rows)} rows: {self.verdict})"

    @property
    def command(self) -> str:
        return self.made["command"]

    @property
    def as_recorded(self) -> bool:
        """Every claim that was judged came out as the recipe has it on record."""
        return all(judged.as_recorded for judged in self.claims)

    def report(self) -> str:
        """The report as one HTML page."""
        from quorate.report.page import Table, page

        columns, body = self.summary or ((), [])
        text = "Every column of it, and the other tables, stand in the CSV files below."
        return page(
            title=f"{self.recipe} · quorate report",
            eyebrow=f"{self.recipe} · seed {self.seed} · {self.setting}",
            verdict=self.verdict,
            interval=self.interval,
            lede=self.lede,
            claims=self.claims,
            sections=(),
            figures=self.figures,
            tables=[Table("Rows", text, columns, body)] if body else [],
            provenance=self.made,
            command=self.command,
            files={
                name: ("text/csv" if name.endswith(".csv") else "text/plain", content)
                for name, content in self._csv().items()
            },
            warnings=self.warnings,
            replay=self.replay,
        )

    def _csv(self) -> dict[str, str]:
        return (
            {"rows.csv": table(self.rows)}
            | {f"{name}.csv": table(rows) for name, rows in self.tables.items()}
            | self.files
        )

    def as_json(self, tables: bool = False) -> dict[str, Any]:
        """One object for `--json`; with `tables` everything that a finished folder needs to be told again."""

        def clean(rows: Rows) -> Rows:
            return [{name: plain(value) for name, value in row.items()} for row in rows]

        claims = [
            {"name": j.claim.name, "where": j.claim.where, "words": j.claim.words, "as_recorded": j.as_recorded}
            | {
                name: plain(value) if not isinstance(value, tuple) else [plain(part) for part in value]
                for name, value in j.measured._asdict().items()
            }
            for j in self.claims
        ]
        whole = {
            "recipe": self.recipe,
            "version": __version__,
            "seed": self.seed,
            "command": self.command,
            "arguments": {name: arguing.written(value) for name, value in self.arguments.items()},
            "rows": clean(self.rows),
            "claims": claims,
            "verdict": self.verdict,
            "lede": self.lede,
            "warnings": list(self.warnings),
            "folder": None if self.folder is None else str(self.folder),
        }
        if tables:
            whole |= {"tables": {name: clean(rows) for name, rows in self.tables.items()}, "interval": self.interval}
            columns, lines = self.summary or ((), [])
            whole |= {"summary": [columns, [[plain(value) for value in line] for line in lines]]}
            whole |= {"figures": [figure._asdict() for figure in self.figures], "files": self.files}
            whole |= {"made": self.made, "setting": self.setting}
            whole |= {"replay": None if self.replay is None else list(self.replay)}
        return whole

    def save(self, folder: str | Path) -> Path:
        """Writes rows, further tables, figures, provenance and the report into a new `folder`."""
        folder = Path(folder)
        if folder.exists():
            raise Refusal(f"{folder}: is there already; a result is saved into a new folder")
        try:
            part = folder.with_name(folder.name + ".partial")
            part.mkdir(parents=True)
            for name, text in self.written().items():
                (part / name).parent.mkdir(exist_ok=True)
                (part / name).write_text(text, encoding="utf-8")
            os.replace(part, folder)
        except OSError as problem:
            raise Refusal(f"{folder}: cannot be written ({problem.strerror})") from None
        return folder

    def written(self) -> dict[str, str]:
        """File name -> text: everything that a run folder holds besides arguments.json."""
        from quorate.report.figure import standalone

        figures = {f"figures/{figure.id}.svg": standalone(figure.svg) for figure in self.figures}
        result = json.dumps(self.as_json(tables=True), default=plain, allow_nan=False)
        made = json.dumps(self.made, indent=1)
        return self._csv() | figures | {"report.html": self.report(), RESULT: result, "provenance.json": made}


def run(
    recipe: str,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    again: bool = False,
    terminal: Any = None,
    flags: bool = False,
    **arguments: Any,
) -> Result:
    """Runs a recipe and returns its result.

    recipe      a name of `quorate.RECIPES`
    seed        of all noise; equal seeds give equal rows
    out         where run folders are kept; None: nothing is written. With it an unfinished run is taken up, a
                finished one is read back
    again       compute anew even so
    terminal    who is told how far it is (`quorate.report.terminal.Terminal`); None: nobody
    flags       names in errors are written as on the command line
    arguments   the recipe's own, as `quorate run RECIPE --help` lists them; numbers, sequences and text such as
                "1..12" are understood

    Errors: `Refusal` for bad input, before anything is written. docs/start.md shows whole runs.

    >>> run("imperfect_devices", num_agents=0)
    Traceback (most recent call last):
        ...
    quorate.errors.Refusal: --num-agents is 0; it counts agents and must be at least 1
    """
    module = recipe_module(recipe)
    declared = arguing.of(module.main)
    asked = arguing.converted(declared, arguments, flags)
    seed = arguing.Count("seeds", least=0)("--seed", seed)
    command = _command(recipe, declared, asked, seed)
    files = module.data(**asked) if hasattr(module, "data") else {}
    folder = None if out is None else Folder(Path(out), recipe, asked | files, seed)
    if folder is not None and folder.finished and not again:
        result = _read_back(module, folder, asked, seed)
        if terminal is not None:
            terminal.header(recipe, f"seed {seed}, {result.setting}")
        return result
    usual = {argument.name: argument.default for argument in declared}
    claims = module.CLAIMS if asked == usual | module.RECORDED else []
    try:
        return _computed(recipe, module, asked, claims, seed, command, folder, again, terminal)
    finally:
        if folder is not None:
            folder.release()


def compare(
    fleet: str | Path,
    *,
    mechanisms: str | Iterable[str] | None = None,
    conditions: str | Iterable[str] | None = None,
    seeds: int | None = None,
    **more: Any,
) -> Result:
    """Which coordination mechanism holds for the fleet that a file describes (docs/fleet_file.md).

    fleet        the file, TOML
    mechanisms   names of `quorate.MECHANISMS`, a list or text with commas; those of the file unless told
    conditions   of calm, described, loss_0.1, loss_0.3, loss_0.5, crash, partition, attack, growth; all unless told
    seeds        draws of each cell, as the file says unless told
    more         `attacks` (listed, search, shares), and seed, out, again, terminal as for `run`

    `rows` of the result: one for each mechanism and condition, as `recipes.compare.rows.Row` says. O(agents x options x
    ticks) a draw. Errors: `Refusal` that lists every mistake of the file, and what no fleet can serve.
    """
    lists = {"mechanisms": mechanisms, "conditions": conditions}
    asked = {name: ",".join([value] if isinstance(value, str) else value) for name, value in lists.items() if value}
    return run("compare", fleet=fleet, **asked, **({} if seeds is None else {"seeds": seeds}), **more)


def _computed(
    recipe: str,
    module: Any,
    asked: dict[str, Any],
    claims: list[Claim],
    seed: int,
    command: str,
    folder: Folder | None,
    again: bool,
    terminal: Any,
) -> Result:
    began, setting = time.monotonic(), module.setting(**asked)
    with ExitStack() as stack:

        def begin(note: str) -> None:
            study.ready()
            terminal.header(recipe, f"seed {seed}, {setting}")
            terminal.announce(note)

        reporter = Nobody() if terminal is None else _Stages(terminal, stack, begin)
        study = _Prepared(seed, folder, reporter, again)
        outcome: Outcome = module.main(study, **asked)
    made = provenance(seed, command, time.monotonic() - began)
    result = Result(
        recipe=recipe,
        arguments=asked,
        seed=seed,
        rows=outcome.rows,
        tables=outcome.tables,
        claims=judged(claims, outcome.tables | {"rows": outcome.rows}),
        verdict=outcome.verdict,
        interval=outcome.interval,
        lede=outcome.lede,
        setting=setting,
        warnings=outcome.warnings,
        summary=outcome.summary,
        made=made,
        folder=None if folder is None else folder.path,
        figures=outcome.figures,
        files=outcome.files,
        replay=outcome.replay,
    )
    if folder is not None:
        study.ready()
        for name, text in result.written().items():
            folder.write(name, text)
        folder.finish()
    return result


class _Prepared(Study):
    """A study whose folder is made when the stages are named or the first cell is asked for: bad input is refused
    before anything is written."""

    def __init__(self, seed: int, folder: Folder | None, reporter: Any, again: bool):
        super().__init__(seed, folder, reporter)
        self._again = again
        self._is_open = False

    def ready(self) -> None:
        if self.folder is not None and not self._is_open:
            self.folder.open(self._again)
            self._is_open = True

    def cell(self, name, compute):
        self.ready()
        return super().cell(name, compute)


class _Stages:
    """A study's reporter on a terminal: the stages are opened, after `begin`, when they are known and closed with the
    run. What is noted before that is said first."""

    def __init__(self, terminal: Any, stack: ExitStack, begin: Callable[[str], None]):
        self.terminal, self.stack, self.begin, self.progress = terminal, stack, begin, None
        self.noted = ""

    def note(self, text: str) -> None:
        self.noted = text

    def stages(self, names: list[str]) -> None:
        self.begin(self.noted)
        shown: AbstractContextManager = self.terminal.stages(names)
        self.progress = self.stack.enter_context(shown)

    def _go_on(self) -> None:
        if self.terminal.interrupted:
            raise KeyboardInterrupt

    def start(self, name: str, total: int, unit: str) -> None:
        self._go_on()
        self.progress.start(name, total, unit)

    def advance(self, name: str, done: int) -> None:
        self._go_on()
        self.progress.advance(name, done)

    def finish(self, name: str) -> None:
        self.progress.finish(name)


def _command(recipe: str, declared: list[arguing.Argument], asked: dict[str, Any], seed: int) -> str:
    asks = entry(recipe)
    words = ["quorate", *(asks.command or ("run", recipe)), *(str(asked[name]) for name in asks.positional)]
    for argument in declared:
        if argument.name not in asks.positional and asked[argument.name] != argument.default:
            words += [argument.flag, str(arguing.written(asked[argument.name]))]
    return shlex.join([*words, "--seed", str(seed)])


def _read_back(module: Any, folder: Folder, asked: dict[str, Any], seed: int) -> Result:
    from quorate.report.figure import Figure
    from quorate.report.replay import Player

    try:
        stored = json.loads((folder.path / RESULT).read_text(encoding="utf-8"))
        claims = {claim.name: claim for claim in module.CLAIMS}
        found = []
        for told in stored["claims"]:
            fields = {name: told[name] for name in Measured._fields}
            fields["ratio"] = None if fields["ratio"] is None else tuple(fields["ratio"])
            found.append(Judged(claims[told["name"]], Measured(**fields), told["as_recorded"]))
        return Result(
            recipe=stored["recipe"],
            arguments=asked,
            seed=seed,
            rows=_rows(stored["rows"]),
            tables={name: _rows(rows) for name, rows in stored["tables"].items()},
            claims=found,
            verdict=stored["verdict"],
            interval=stored["interval"],
            lede=stored["lede"],
            setting=stored["setting"],
            warnings=tuple(stored["warnings"]),
            summary=stored["summary"] if stored["summary"][0] else None,
            made=stored["made"],
            folder=folder.path,
            figures=tuple(Figure(**figure) for figure in stored["figures"]),
            files=stored["files"],
            replay=None if stored["replay"] is None else Player(*stored["replay"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise Refusal(
            f"{folder.path / RESULT}: damaged", "remove the folder, or run with --again to compute anew"
        ) from None


def _rows(stored: Any) -> Rows:
    if not isinstance(stored, list) or not all(isinstance(row, dict) for row in stored):
        raise TypeError
    return stored
