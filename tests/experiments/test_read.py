"""read_numbers: what it reads, and the exact words for what it refuses."""

import csv
import io

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from quorate.errors import Refusal
from quorate.experiments.read import _spans, one_sign, read_numbers


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, so that paths in messages are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, text):
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("text", "names", "columns", "cells"),
    [
        ("1\n2\n", ["device 1", "device 2"], ["column 1"], [[1], [2]]),
        ("error\n1\n-2e3\n", ["device 1", "device 2"], ["error"], [[1], [-2000]]),
        ("a,b\n1,2\n3,4\n", ["device 1", "device 2"], ["a", "b"], [[1, 2], [3, 4]]),
        ("name,v\nx,1\ny,2\n", ["x", "y"], ["v"], [[1], [2]]),
        ("v,ID,w\n1,7,2\n3,8,4\n", ["7", "8"], ["v", "w"], [[1, 2], [3, 4]]),
        ("sensor,v\nx,1\ny,2\n", ["x", "y"], ["v"], [[1], [2]]),
        ("x,1\ny,2\n", ["x", "y"], ["column 2"], [[1], [2]]),
        ("1,x\n2,3\n".replace("x", "7"), ["device 1", "device 2"], ["column 1", "column 2"], [[1, 7], [2, 3]]),
        (",v\nx,1\ny,2\n", ["x", "y"], ["v"], [[1], [2]]),
        (' name , "v, w"\r\n a , 1 \r\n "b ""c""", .5 \r\n\r\n\n', ["a", 'b "c"'], ["v, w"], [[1], [0.5]]),
        ("v\r1\r2", ["device 1", "device 2"], ["v"], [[1], [2]]),
        ("\ufeffname,v\nx_1,1\nグ,2\n", ["x_1", "グ"], ["v"], [[1], [2]]),
        ("1e308,1e308\n1,1\n", ["device 1", "device 2"], ["column 1", "column 2"], [[1e308, 1e308], [1, 1]]),
    ],
)
def test_reads(here, text, names, columns, cells):
    save(here / "f.csv", text)
    table = read_numbers("f.csv")
    assert table[:3] == ("f.csv", tuple(names), tuple(columns))
    assert table.cells.dtype == np.float64
    np.testing.assert_array_equal(table.cells, cells)


@given(
    st.integers(1, 5).flatmap(
        lambda columns: st.lists(
            st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=columns, max_size=columns),
            min_size=2,
            max_size=8,
        )
    ),
    st.booleans(),
    st.booleans(),
)
def test_reads_back_every_bit_of_what_csv_wrote(tmp_path_factory, cells, header, named):
    path = tmp_path_factory.mktemp("read") / "f.csv"
    rows = [[f"n_{k}", *map(repr, row)] if named else [*map(repr, row)] for k, row in enumerate(cells)]
    if header:
        rows.insert(0, ["name"] * named + [f"v{k}" for k in range(len(cells[0]))])
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    table = read_numbers(path)
    assert table.path == str(path)
    assert table.names == tuple(f"n_{k}" if named else f"device {k + 1}" for k in range(len(cells)))
    np.testing.assert_array_equal(table.cells.view(np.int64), np.array(cells).view(np.int64))


@given(st.lists(st.text(st.sampled_from('a ",;1é'), max_size=5), min_size=1, max_size=5), st.booleans())
def test_spans_cut_a_line_where_csv_does(cells, quote_all):
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL, lineterminator="").writerow(cells)
    line = file.getvalue()
    read = next(csv.reader([line], skipinitialspace=True, strict=True), [""])
    cut = [next(csv.reader([line[start:end]], strict=True))[0] if end > start else "" for start, end in _spans(line)]
    assert [cell.strip() for cell in cut] == [cell.strip() for cell in read]


REFUSED = {
    "decimal comma": (
        'time,id,value\n0.69,s1,3.1\n0.70,s2,"3,2"\n',
        """f.csv:3:9: column "value" should be a number, found "3,2"
3 | 0.70,s2,"3,2"
  |         ^^^^^
decimals are written with a point: 3.2""",
    ),
    "decimal comma, one column": (
        '"-3,2e-1"\n"1,5"\n',
        """f.csv:2:1: column "-3,2e-1" should be a number, found "1,5"
2 | "1,5"
  | ^^^^^
decimals are written with a point: 1.5""",
    ),
    "word": (
        "1,2\n3, four \n",
        """f.csv:2:4: column 2 should be a number, found "four"
2 | 3, four
  |    ^^^^""",
    ),
    "semicolons": (
        "a;b\n1;2\n",
        """f.csv:2:1: column "a;b" should be a number, found "1;2"
2 | 1;2
  | ^^^
cells are parted by commas""",
    ),
    "semicolons and decimal commas": (
        "a;b\n1,5;2,5\n",
        """f.csv:2:3: expected 1 cell, found 3
2 | 1,5;2,5
  |   ^^^^^
cells are parted by commas""",
    ),
    "underscore": (
        "v\n1\n1_000\n",
        """f.csv:3:1: column "v" should be a number, found "1_000"
3 | 1_000
  | ^^^^^""",
    ),
    "digits of another script": (
        "v\n1\n٣\n",
        """f.csv:3:1: column "v" should be a number, found "٣"
3 | ٣
  | ^""",
    ),
    "too few cells": (
        "a,b,c\n1,2,3\n4,5\n",
        """f.csv:3:4: expected 3 cells, found 2
3 | 4,5
  |    ^""",
    ),
    "too many cells": (
        "1,2\n3,4,55,6\n",
        """f.csv:2:5: expected 2 cells, found 4
2 | 3,4,55,6
  |     ^^^^""",
    ),
    "empty cell": (
        "a,b\n1,2\n3,\n",
        """f.csv:3:3: column "b" should be a number, found an empty cell
3 | 3,
  |   ^""",
    ),
    "empty name": (
        "name,b\nx,1\n,2\n",
        """f.csv:3:1: column "name" holds a name, found an empty cell
3 | ,2
  | ^""",
    ),
    "empty line": (
        "a\n1\n\n2\n",
        """f.csv:3:1: an empty line between rows; delete it or fill in the missing numbers
3 |
  | ^""",
    ),
    "nan": (
        "name,b\nx,1\ny,NaN\n",
        """f.csv:3:3: column "b" should be a finite number, found "NaN"
3 | y,NaN
  |   ^^^""",
    ),
    "nan in the first row is no header": (
        "nan,1\n2,3\n",
        """f.csv:1:1: column 1 should be a finite number, found "nan"
1 | nan,1
  | ^^^""",
    ),
    "infinity": (
        "1,2\n3,-inf\n",
        """f.csv:2:3: column 2 should be a finite number, found "-inf"
2 | 3,-inf
  |   ^^^^""",
    ),
    "beyond float64": (
        "1\n1e999\n",
        """f.csv:2:1: column 1 should be a finite number, found "1e999"
2 | 1e999
  | ^^^^^""",
    ),
    "infinities that cancel": (
        "1,2\n-inf,inf\n",
        """f.csv:2:1: column 1 should be a finite number, found "-inf"
2 | -inf,inf
  | ^^^^""",
    ),
    "duplicate name": (
        "name,v\na,1\nb,2\n a ,3\n",
        """f.csv:4:2: two devices are called "a"; names must differ
4 |  a ,3
  |  ^
the other is in line 2""",
    ),
    "names that turn into numbers": (
        "sensor,v\n1a,1\n17,2\n",
        """f.csv:2:1: column "sensor" should be a number, found "1a"
2 | 1a,1
  | ^^
line 3 holds the number 17 there; a column of names is headed "name\"""",
    ),
    "headings that are numbers": (
        "name,1,2\na,3,4\nb,5,6\n",
        """f.csv:1:6: headings may not be numbers, found "1"
1 | name,1,2
  |      ^
give it a word: x1""",
    ),
    "two columns of names": (
        "name,Id,v\na,b,1\nc,d,2\n",
        """f.csv:1:6: two columns of names, "name" and "Id"; keep one
1 | name,Id,v
  |      ^^""",
    ),
    "only names": (
        "id\n1\n2\n",
        """f.csv:1:1: only a column of names; each device needs at least one number
1 | id
  | ^^""",
    ),
    "no heading": (
        ",a\n0,1\n1,2\n",
        """f.csv:1:1: column 1 has no heading
1 | ,a
  | ^
call it "name" if it names the devices""",
    ),
    "duplicate heading": (
        "a,a\n1,2\n3,4\n",
        """f.csv:1:3: two columns are called "a"; headings must differ
1 | a,a
  |   ^""",
    ),
    "header and no rows": (
        "a,b\n",
        """f.csv:1:1: a header and no rows; each device needs one row of numbers
1 | a,b
  | ^^^""",
    ),
    "one row": (
        "a,b\n1,2\n",
        """f.csv:2:1: only one row, so one device; there is nothing to choose
2 | 1,2
  | ^^^""",
    ),
    "empty": ("", "f.csv: the file is empty; it needs one row of numbers for each device"),
    "only empty lines": (" \n\n", "f.csv: the file is empty; it needs one row of numbers for each device"),
    "open quote": (
        'name,v\nx,1\ny,"2\nz,3\n',
        """f.csv:3:3: this quoted cell does not end on its line
3 | y,"2
  |   ^^""",
    ),
    "open quote at the end": (
        '1\n"2',
        """f.csv:2:1: this quoted cell does not end on its line
2 | "2
  | ^^""",
    ),
    "text after a quote": (
        'name,v\n"a"b,1\n',
        """f.csv:2:1: not a row of cells: ',' expected after '"'
2 | "a"b,1
  | ^^^^^^""",
    ),
    "control characters": (
        "v\n1\n\x1b[31mred\n",
        """f.csv:3:1: column "v" should be a number, found "?[31mred"
3 | ?[31mred
  | ^^^^^^^^""",
    ),
    "wide characters": (
        "name,v,w\n温度,1,2\n温度計,x,2\n",
        """f.csv:3:5: column "v" should be a number, found "x"
3 | 温度計,x,2
  |        ^""",
    ),
    "long line": (
        ",".join(["1.25"] * 40) + "\n" + ",".join(["1.25"] * 20 + ["x"] + ["1.25"] * 19) + "\n",
        """f.csv:2:101: column 21 should be a number, found "x"
2 | ...1.25,1.25,1.25,1.25,x,1.25,1.25,1.25,1.25,1.25,1.25,1.25,1.2...
  |                        ^""",
    ),
    "latin-1": (
        "name,v\ngrün,1\nrot,2\n".encode("latin-1"),
        """f.csv:2:3: not UTF-8 text, found byte 0xfc
2 | gr\ufffdn,1
  |   ^
save the file as CSV in UTF-8""",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(here, case):
    text, message = REFUSED[case]
    save(here / "f.csv", text)
    with pytest.raises(Refusal) as refused:
        read_numbers("f.csv")
    assert str(refused.value) == message


def test_refuses_utf_16(here):
    save(here / "f.csv", "v\n1\n2\n".encode("utf-16-le"))
    with pytest.raises(Refusal) as refused:
        read_numbers("f.csv")
    assert str(refused.value) == (
        "f.csv:1:2: not UTF-8 text, found byte 0x00\n1 | v?\n  |  ^\nsave the file as CSV in UTF-8"
    )
    save(here / "f.csv", b"\xff\xfe" + "v\n1\n2\n".encode("utf-16-le"))
    with pytest.raises(Refusal, match="^f.csv:1:1: not UTF-8 text, found byte 0xff\n"):
        read_numbers("f.csv")


def test_the_byte_that_is_no_text_is_found_far_into_the_file(here):
    """Beyond one read of the decoder, after a byte order mark, Windows line ends and letters of two bytes."""
    save(here / "f.csv", "\ufeffv\r\n".encode() + b"1\r\n" * 20_000 + "é1".encode() + b"\x80\r\n")
    with pytest.raises(Refusal) as refused:
        read_numbers("f.csv")
    place, line, mark, _ = str(refused.value).split("\n")
    assert place == "f.csv:20002:3: not UTF-8 text, found byte 0x80"
    assert (line, mark) == ("20002 | é1\ufffd", "      |   ^")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data/sensor.csv", "data/sensor.csv: no such file\nnearest in data: sensors.csv"),
        ("sensors.csv", "sensors.csv: no such file\nthis folder holds a1.csv, a2.csv, a3.csv and 2 more"),
        ("data/zz", "data/zz: no such file\ndata holds sensors.csv"),
        ("bare/zz", "bare/zz: no such file\nbare holds no CSV file"),
        ("date/sensors.csv", "date/sensors.csv: no such file\nthere is no folder date"),
        ("data", "data: a folder, not a file\ndata holds sensors.csv"),
        ("loop", "loop: cannot be read: too many levels of symbolic links"),
        ("a1.csv/sensors.csv", "a1.csv/sensors.csv: cannot be read: not a directory"),
    ],
)
def test_refuses_a_path(here, path, message):
    for folder in ("data", "bare"):
        (here / folder).mkdir()
    for file in ("data/sensors.csv", "data/notes.txt", "a1.csv", "a2.csv", "a3.csv", "a4.csv", "a5.CSV"):
        save(here / file, "1\n2\n")
    (here / "loop").symlink_to("loop")
    with pytest.raises(Refusal) as refused:
        read_numbers(path)
    assert str(refused.value) == message


def test_the_first_fault_of_a_file_is_the_one_reported(here):
    save(here / "f.csv", "a,b\n1,2\n3,nan\n4\n")
    with pytest.raises(Refusal, match="^f.csv:3:3: "):
        read_numbers("f.csv")


@pytest.mark.parametrize(
    ("cells", "one"),
    [
        ([[1.0, -1.0], [2.0, -3.0]], True),
        ([[1.0, -1.0], [2.0, 3.0]], False),
        ([[0.0], [0.0]], True),
        ([[0.0], [-2.0], [-1.0]], True),
        ([0.0, -2.0, 1.0], False),
    ],
)
def test_one_sign_looks_at_each_column(cells, one):
    assert one_sign(cells) is one
