"""A CSV file of numbers, one row per device, with errors that point at the cell."""

import csv
import difflib
import os
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal

_WINDOW = 60  # characters of a source line shown in an error, so that it fits 80 columns
_QUOTED = re.compile(r'"(?:[^"]|"")*"(?!")')
_CELL = re.compile(rf" *(?:{_QUOTED.pattern})?[^,]*")
_AS_UTF8 = "save the file as CSV in UTF-8"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


class Table(NamedTuple):
    """The numbers of a file: `cells` [rows, columns] float64, one name per row (device), one heading per column."""

    path: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    cells: np.ndarray


class _Row(NamedTuple):
    cells: list[str]
    number: int
    line: str


def read_numbers(path: str | os.PathLike) -> Table:
    """Reads a CSV file of numbers, UTF-8, cells parted by commas, one row per device, at least two of them.

    The first row is a header if and only if none of its cells is a number (`nan` and `inf` count as numbers here, so
    that they are reported). A column holds names if it is headed `name` or `id` in any case, or if it is the first
    and none of its cells is a number; without one the names are `device 1`, `device 2`, ... All other cells must be
    finite numbers, written with a decimal point. Without a header the columns are called `column 1`, `column 2`, ...
    by their place in the file. Spaces before a cell, spaces after one without quotes and empty lines at the end do
    not matter.

    Cost: O(cells) time and memory, one pass; a million rows of one column take about 2 seconds.
    Errors: Refusal with file:line:column (both from 1, the column in characters), the line and a mark under the cell:
    for a file that is missing, a folder, unreadable, not UTF-8 or empty; for a row of another length, an empty line
    or cell, a cell that is no finite number, a heading or a name given twice, no numbers at all, no rows or a single
    one.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sensors.csv")
    ...     _ = path.write_text("name,error\\nleft,-0.5\\nright,0.25\\n")
    ...     table = read_numbers(path)
    >>> table.names, table.columns, table.cells.tolist()
    (('left', 'right'), ('error',), [[-0.5], [0.25]])
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise Refusal(f"{path}: a folder, not a file", *_offers(path, ""))
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read(path, _rows(path, file))
    except FileNotFoundError:
        raise _missing(path) from None
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def one_sign(cells) -> bool:
    """Whether in every column all entries that are not zero have the same sign, so that no choice of rows can cancel.

    `cells` is [rows, columns] or [rows]. A column of zeros has nothing to cancel and counts as of one sign.

    >>> one_sign([[0.5, -1.0], [0.0, -2.0]]), one_sign([0.5, -1.0])
    (True, False)
    """
    values = np.asarray(cells)
    return bool(((values >= 0).all(0) | (values <= 0).all(0)).all())


def _read(path: str, rows: Iterator[_Row]) -> Table:
    first = next(rows, None)
    if first is None:
        raise Refusal(f"{path}: the file is empty; it needs one row of numbers for each device")
    header = first if not any(_is_number(cell) for cell in first.cells) else None
    start = next(rows, None) if header else first
    if start is None:
        spans = _spans(first.line)
        raise _at(path, first, spans[0][0], spans[-1][1], "a header and no rows; each device needs one row of numbers")
    columns = [cell.strip() if header else f"column {k + 1}" for k, cell in enumerate(first.cells)]
    place, headed = _name_column(path, first, header is not None, start)
    if header:
        _check_headings(path, header, columns, place)

    numbers, names, seen = array("d"), [], {}
    count = 0
    row: _Row | None = start
    while row is not None:
        cells = row.cells
        if len(cells) != len(columns):
            raise _ragged(path, row, len(columns))
        if place is not None:
            cells = cells.copy()
            name = cells.pop(place).strip()
            if not headed and _is_number(name):
                # The first column holds a number after all, so it is no column of names and its first cell is wrong.
                remedy = f'line {row.number} holds the number {_shown(name)} there; a column of names is headed "name"'
                raise _not_a_number(path, start, 0, columns[0], remedy)
            if not name:
                raise _at_cell(path, row, place, f"{_called(columns[place])} holds a name, found an empty cell")
            if name in seen:
                message = f'two devices are called "{_shown(name)}"; names must differ'
                raise _at_cell(path, row, place, message, f"the other is in line {seen[name]}")
            seen[name] = row.number
            names.append(name)
        try:
            values = [float(cell) for cell in cells]
            fine = isfinite(sum(values)) and row.line.isascii() and "_" not in row.line
        except ValueError:
            fine = False
        if not fine:
            _check_cells(path, row, columns, place)
        numbers.extend(values)
        count += 1
        row = next(rows, None)
    if count == 1:
        spans = _spans(start.line)
        raise _at(path, start, spans[0][0], spans[-1][1], "only one row, so one device; there is nothing to choose")
    cells = np.frombuffer(numbers, np.float64).reshape(count, -1).copy()
    kept = tuple(column for k, column in enumerate(columns) if k != place)
    return Table(path, tuple(names) if names else tuple(f"device {k + 1}" for k in range(count)), kept, cells)


def _rows(path: str, file: Iterable[str]) -> Iterator[_Row]:
    """The rows of the file with their line, 1-based line numbers, empty lines at the end left out."""
    line, number, blank = "", 0, None  # the first line of the row being read, the number of the line before it

    def lines() -> Iterator[str]:
        nonlocal line
        for read, text in enumerate(file):
            if read == number:
                line = text.rstrip("\r\n")
            yield text

    reader = csv.reader(lines(), strict=True, skipinitialspace=True)
    while True:
        problem = None
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells, problem = [], f"not a row of cells: {error}"
        if cells is None:
            return
        row = _Row(cells, number + 1, line)
        if problem or reader.line_num > row.number:
            opened = [start for start, end in _spans(line) if _open_quote(line[start:end])]
            message = "this quoted cell does not end on its line" if opened else problem
            raise _at(path, row, opened[0] if opened else 0, len(line), message)
        if "\0" in line:
            place = line.index("\0")
            raise _at(path, row, place, place + 1, "not UTF-8 text, found byte 0x00", _AS_UTF8)
        number = row.number
        if not line.strip():
            blank = blank or row
            continue
        if blank:
            raise _at(path, blank, 0, 0, "an empty line between rows; delete it or fill in the missing numbers")
        yield row


def _name_column(path: str, first: _Row, has_header: bool, start: _Row) -> tuple[int | None, bool]:
    """Which column holds the names, and whether its heading says so."""
    headed = [k for k, cell in enumerate(first.cells) if cell.strip().lower() in ("name", "id")]
    if headed and not has_header:
        number = next(k for k, cell in enumerate(first.cells) if _is_number(cell))
        message = f'headings may not be numbers, found "{_shown(first.cells[number])}"'
        raise _at_cell(path, first, number, message, f"give it a word: x{first.cells[number].strip()}")
    if len(headed) > 1:
        both = " and ".join(f'"{_shown(first.cells[k].strip())}"' for k in headed[:2])
        raise _at_cell(path, first, headed[1], f"two columns of names, {both}; keep one")
    if headed:
        if len(first.cells) == 1:
            raise _at_cell(path, first, 0, "only a column of names; each device needs at least one number")
        return headed[0], True
    if len(start.cells) > 1 and not _is_number(start.cells[0]):
        return 0, False
    return None, False


def _check_headings(path: str, header: _Row, columns: list[str], place: int | None) -> None:
    for k, heading in enumerate(columns):
        if not heading and k != place:
            remedy = 'call it "name" if it names the devices'
            raise _at_cell(path, header, k, f"column {k + 1} has no heading", remedy)
        if heading and heading in columns[:k]:
            raise _at_cell(path, header, k, f'two columns are called "{_shown(heading)}"; headings must differ')


def _check_cells(path: str, row: _Row, columns: list[str], place: int | None) -> None:
    """Refuses the first cell of the row that is not a finite number, if there is one."""
    for k, cell in enumerate(row.cells):
        if k == place:
            continue
        if not cell.strip():
            raise _at_cell(path, row, k, f"{_called(columns[k])} should be a number, found an empty cell")
        if not _is_number(cell):
            remedy = []
            if _DECIMAL_COMMA.fullmatch(cell.strip()):
                remedy = ["decimals are written with a point: " + cell.strip().replace(",", ".")]
            elif ";" in cell or "\t" in cell:
                remedy = ["cells are parted by commas"]
            raise _not_a_number(path, row, k, columns[k], *remedy)
        if not isfinite(float(cell)):
            message = f'{_called(columns[k])} should be a finite number, found "{_shown(cell.strip())}"'
            raise _at_cell(path, row, k, message)


def _is_number(cell: str) -> bool:
    """What float() reads, `nan` and `inf` too, without its 1_000 and its digits of other scripts."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def _not_a_number(path: str, row: _Row, place: int, column: str, *remedy: str) -> Refusal:
    found = _shown(row.cells[place].strip())
    return _at_cell(path, row, place, f'{_called(column)} should be a number, found "{found}"', *remedy)


def _ragged(path: str, row: _Row, expected: int) -> Refusal:
    found, spans = len(row.cells), _spans(row.line)
    start, end = (spans[expected][0], spans[-1][1]) if found > expected else (len(row.line), len(row.line))
    remedy = ["cells are parted by commas"] if ";" in row.line or "\t" in row.line else []
    cells = "1 cell" if expected == 1 else f"{expected} cells"
    return _at(path, row, start, end, f"expected {cells}, found {found}", *remedy)


def _at_cell(path: str, row: _Row, place: int, message: str, *remedy: str) -> Refusal:
    start, end = _spans(row.line)[place]
    return _at(path, row, start, end, message, *remedy)


def _at(path: str, row: _Row, start: int, end: int, message: str, *remedy: str) -> Refusal:
    """The refusal that points at line[start:end]: place and message, the line, the mark under it, the remedy."""
    left = max(0, min(start - _WINDOW // 3, len(row.line) - _WINDOW))
    before = "..." if left > 0 else ""
    lead = before + row.line[left:start]
    marked = row.line[start : min(end, left + _WINDOW)]
    rest = row.line[start + len(marked) : left + _WINDOW] + ("..." if len(row.line) > left + _WINDOW else "")
    number = str(row.number)
    mark = " " * _width(lead) + "^" * max(1, _width(marked))
    return Refusal(
        f"{path}:{number}:{start + 1}: {message}",
        f"{number} | {_printable(lead + marked + rest)}".rstrip(),
        f"{' ' * len(number)} | {mark}",
        *remedy,
    )


def _spans(line: str) -> list[tuple[int, int]]:
    """Where each cell of a line starts and ends, quotes within, spaces around it without."""
    spans, place = [], 0
    while True:
        end = _CELL.match(line, place).end()
        text = line[place:end]
        start = place + len(text) - len(text.lstrip())
        spans.append((start, max(start, place + len(text.rstrip()))))
        if end >= len(line):
            return spans
        place = end + 1


def _open_quote(text: str) -> bool:
    return text.startswith('"') and not _QUOTED.match(text)


def _called(column: str) -> str:
    """`column 3` stays, a heading is quoted."""
    return column if re.fullmatch(r"column \d+", column) else f'column "{_shown(column)}"'


def _shown(text: str) -> str:
    return _printable(text if len(text) <= 30 else text[:27] + "...")


def _printable(text: str) -> str:
    """One visible character for each, so that a file cannot move the cursor and the mark stays under its cell."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _missing(path: str) -> Refusal:
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return Refusal(f"{path}: no such file", f"there is no folder {folder}")
    return Refusal(f"{path}: no such file", *_offers(folder, name))


def _offers(folder: str, name: str) -> list[str]:
    """One line: the files of a folder most like `name`, else some of its CSV files."""
    try:
        files = sorted(file for file in os.listdir(folder or ".") if os.path.isfile(os.path.join(folder, file)))
    except OSError:
        return []
    close = difflib.get_close_matches(name, files, n=3, cutoff=0.5)
    where = folder or "this folder"
    if close:
        return [f"nearest in {where}: {', '.join(close)}"]
    tables = [file for file in files if file.lower().endswith(".csv")]
    if not tables:
        return [f"{where} holds no CSV file"]
    more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""
    return [f"{where} holds {', '.join(tables[:3])}{more}"]


def _not_text(path: str) -> Refusal:
    with open(path, "rb") as file:
        data = file.read()
    mark = len(data) - len(data.removeprefix(b"\xef\xbb\xbf"))
    data = data[mark:]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        start = max(data.rfind(b"\n", 0, error.start), data.rfind(b"\r", 0, error.start)) + 1
        number = len(re.findall(rb"\r\n|\r|\n", data[:start])) + 1
        line = re.split(rb"[\r\n]", data[start:], maxsplit=1)[0].decode("utf-8", errors="replace")
        place = len(data[start : error.start].decode("utf-8"))
        message = f"not UTF-8 text, found byte 0x{data[error.start]:02x}"
        return _at(path, _Row([], number, line), place, place + 1, message, _AS_UTF8)
    return Refusal(f"{path}: the file changed while it was read; try again")
