"""Tasks as rows of a CSV file, with every bad cell told at its file:line:column."""

import csv
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from quorate.errors import Refusal, nearest
from quorate.experiments.read import _open_quote, _shown, _spans
from quorate.recipes.compare.kinds import Number, Wrong, hint, listed
from quorate.recipes.compare.toml_lines import text_of

COLUMNS = ("id", "release", "deadline", "x", "y", "node", "value", "needs", "team", "duration", "after")


class Order(NamedTuple):
    """One task as written. Ticks count from 0; `value`, `team` and `duration` are None where the file has no such
    column or an empty cell, so that the fleet file's own hold. `line` and `columns` say where it stands."""

    id: str
    release: int
    deadline: int
    x: float | None
    y: float | None
    node: str | None
    value: float | None
    needs: tuple[str, ...]
    team: int | None
    duration: int | None
    after: str
    line: int
    columns: dict[str, int]


class Orders(tuple):
    """The rows of a file, in its order; `path` is the file."""

    path: str

    def __new__(cls, rows: Sequence[Order], path: str):
        self = super().__new__(cls, rows)
        self.path = path
        return self


def orders(path: str | os.PathLike, nodes: Sequence[str] | None = None) -> Orders:
    """Reads a CSV of tasks: a header and one row per task, UTF-8, cells parted by commas.

    release    first tick at which it may be served; needed
    deadline   last tick at which serving may begin; needed
    x, y       where, in a plane; or node, the name of one in a graph (`nodes` are the names there are); needed
    id         a name of its own; without it rows are called row 1, row 2, ...
    value      what serving is worth, at least 0
    needs      skills parted by spaces; who serves must have all of them
    team       units that must be there at once, at least 1
    duration   ticks of serving, at least 1
    after      the id of a task that must be done before this one may begin

    Cost: O(cells). Errors: Refusal that lists up to 20 mistakes as file:line:column, then how many more there are: a
    heading that is unknown, missing or given twice, rows of another length, cells of a wrong kind, ids given twice.
    Empty lines are skipped. Whether tasks can be done at all (deadlines, predecessors, skills) is asked by `possible`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "orders.csv")
    ...     _ = path.write_text("release,deadline,x,y,needs\\n0,9,1.5,2,lift cool\\n")
    ...     rows = orders(path)
    >>> rows[0].id, rows[0].x, rows[0].needs, rows[0].team
    ('row 1', 1.5, ('lift', 'cool'), None)
    """
    path = os.fspath(path)
    lines = text_of(path, "CSV").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        raise Refusal(f"{path}: the file is empty; it needs a header and one row for each task")
    wanted = ("node",) if nodes else ("x", "y")
    number, first = filled[0]
    headings = _header(path, number, first, wanted)
    if len(filled) == 1:
        raise Refusal(f"{path}:{number}:1: a header and no rows; each task needs one row")
    mistakes: list[str] = []
    rows: list[Order] = []
    seen: dict[str, int] = {}
    for number, line in filled[1:]:
        row = _row(path, number, line, headings, len(rows) + 1, nodes or (), mistakes)
        if row is not None:
            if row.id in seen:
                where = f"{path}:{number}:{row.columns['id']}"
                mistakes.append(
                    f'{where}: two tasks are called "{_shown(row.id)}"; the other is in line {seen[row.id]}'
                )
            seen.setdefault(row.id, number)
            rows.append(row)
    if mistakes:
        raise Refusal(*listed(mistakes))
    return Orders(rows, path)


def _header(path: str, number: int, line: str, wanted: tuple[str, ...]) -> list[str]:
    mistakes: list[str] = []
    spans = _spans(line)
    headings = [cell.strip().lower() for cell in _cells(line, f"{path}:{number}", mistakes)]
    if mistakes:
        raise Refusal(*mistakes)
    needed = ("release", "deadline", *wanted)
    for index, heading in enumerate(headings):
        where = f"{path}:{number}:{spans[index][0] + 1}"
        if heading not in COLUMNS:
            offer = hint(heading, [name for name in COLUMNS if name not in headings])
            mistakes.append(f'{where}: no column is called "{_shown(heading)}"; {offer}')
        elif heading in headings[:index]:
            mistakes.append(f'{where}: two columns are called "{heading}"; keep one')
        elif heading in ("x", "y", "node") and heading not in wanted:
            space = "a plane, which needs x and y" if "x" in wanted else "a graph, which needs node"
            mistakes.append(f'{where}: column "{heading}" does not fit: the space is {space}')
    lost = [name for name in needed if name not in headings]
    if lost:
        mistakes.append(f"{path}:{number}:1: the header lacks {', '.join(lost)}; needed are {', '.join(needed)}")
    if mistakes:
        raise Refusal(*mistakes)
    return headings


def _cells(line: str, where: str, mistakes: list[str]) -> list[str]:
    opened = [start for start, end in _spans(line) if _open_quote(line[start:end])]
    try:
        if not opened:
            return next(csv.reader([line], strict=True, skipinitialspace=True))
        problem = "this quoted cell does not end on its line"
    except csv.Error as error:
        problem = f"not a row of cells: {error}"
    mistakes.append(f"{where}:{opened[0] + 1 if opened else 1}: {problem}")
    return []


def _row(
    path: str, number: int, line: str, headings: list[str], count: int, nodes: Sequence[str], mistakes: list[str]
) -> Order | None:
    before = len(mistakes)
    cells = _cells(line, f"{path}:{number}", mistakes)
    if len(mistakes) > before:
        return None
    spans = _spans(line)
    if len(cells) != len(headings):
        column = spans[len(headings)][0] + 1 if len(cells) > len(headings) else len(line) + 1
        remedy = "; cells are parted by commas" if ";" in line or "\t" in line else ""
        mistakes.append(f"{path}:{number}:{column}: expected {len(headings)} cells, found {len(cells)}{remedy}")
        return None
    columns = {heading: spans[index][0] + 1 for index, heading in enumerate(headings)}
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    for heading, cell in zip(headings, cells, strict=True):
        try:
            found[heading] = _READ[heading](cell.strip())
            if heading == "node" and found["node"] not in nodes:
                close = nearest(found["node"], nodes)
                raise Wrong("it must name a node of the graph" + (f"; did you mean {close}?" if close else ""))
        except Wrong as wrong:
            shown = f'"{_shown(cell.strip())}"' if cell.strip() else "empty"
            mistakes.append(f"{path}:{number}:{columns[heading]}: {heading} is {shown}; {wrong}")
    if len(mistakes) > before:
        return None
    found["id"] = found["id"] or f"row {count}"
    columns.setdefault("id", 1)
    return Order(
        **(found | {"needs": found["needs"] or (), "after": found["after"] or ""}), line=number, columns=columns
    )


def _number(kind: Number, optional: bool = False) -> Callable[[str], float | int | None]:
    def read(cell: str) -> float | int | None:
        if optional and not cell:
            return None
        try:
            if not cell.isascii() or "_" in cell:
                raise ValueError
            number = float(cell)
        except ValueError:
            comma = cell.replace(",", ".", 1)
            remedy = ", written with a point" if "," in cell and comma.replace(".", "", 1).isdigit() else ""
            raise Wrong(f"it must be {kind.about}{remedy}") from None
        return kind(number)

    return read


_TICK = Number(0, 1e9, whole=True)
_UNITS = Number(1, 1e6, whole=True)
_READ: dict[str, Callable[[str], Any]] = {
    "id": str,
    "release": _number(_TICK),
    "deadline": _number(_TICK),
    "x": _number(Number()),
    "y": _number(Number()),
    "node": str,
    "value": _number(Number(0), optional=True),
    "needs": lambda cell: tuple(dict.fromkeys(cell.split())),
    "team": _number(_UNITS, optional=True),
    "duration": _number(_UNITS, optional=True),
    "after": str,
}
