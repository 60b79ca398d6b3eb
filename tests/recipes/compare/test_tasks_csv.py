"""Tasks from a CSV: every column, every bad cell with its place, up to twenty of them."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare.tasks_csv import orders


def refused(tmp_path, text, nodes=None):
    path = tmp_path / "o.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal) as found:
        orders(path, nodes)
    return str(found.value).replace(f"{path}", "o.csv").split("\n")


def test_all_columns(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(
        "id, release,deadline,x,y,value,needs,team,duration,after\n"
        'a,0,9,1.5,2,0.5,lift cool,2,3,\n\n"b, c",1,8,0,0,,,,,a\n'
    )
    one, two = orders(path)
    assert (one.id, one.value, one.needs, one.team, one.duration, one.after) == ("a", 0.5, ("lift", "cool"), 2, 3, "")
    assert (two.id, two.value, two.needs, two.team, two.duration, two.after) == ("b, c", None, (), None, None, "a")
    assert (two.line, two.columns["after"], two.columns["x"]) == (4, 20, 12)


def test_nodes(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("release,deadline,node\n0,9,Berlin\n")
    row = orders(path, ("Berlin", "Bonn"))[0]
    assert (row.node, row.x, row.id) == ("Berlin", None, "row 1")
    text = "release,deadline,node\n0,9,Brlin\n"
    said = ['o.csv:2:5: node is "Brlin"; it must name a node of the graph; did you mean Berlin?']
    assert refused(tmp_path, text, ("Berlin", "Bonn")) == said


BAD = """id,release,deadline,x,y,value,team
a,0,9,1,2,3,1
a,x,9,1,2,3,1
c,0,9,"1,5",2,3,1
a,0.5,9,,2,-3,0
e,0,9,1,2,3
f,0,9,1,2,3,1,7
g,0,"9,1,2,3,1
h,0,1_0,nan,inf,1e300,1.5
a,0,9,1,2,3,1
"""


def test_every_bad_cell_is_told(tmp_path, golden):
    lines = refused(tmp_path, BAD)
    golden("orders-mistakes.txt", "\n".join(lines) + "\n")
    assert [line.split(": ")[0].removeprefix("o.csv:") for line in lines] == [
        "3:3",
        "4:7",
        "5:3",
        "5:9",
        "5:12",
        "5:15",
        "6:12",
        "7:15",
        "8:5",
        "9:5",
        "9:9",
        "9:13",
        "9:17",
        "9:23",
        "10:1",
    ]


def test_twenty_and_how_many_more(tmp_path):
    lines = refused(tmp_path, "release,deadline,x,y\n" + "0,9,1,?\n" * 33)
    assert len(lines) == 21 and lines[-1] == "and 13 more" and lines[19].startswith("o.csv:21:7: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["o.csv: the file is empty; it needs a header and one row for each task"]),
        ("release,deadline,x,y\n", ["o.csv:1:1: a header and no rows; each task needs one row"]),
        ("release,x,y\n1,2,3\n", ["o.csv:1:1: the header lacks deadline; needed are release, deadline, x, y"]),
        (
            "release,dedline,x,y,x,node\n",
            [
                'o.csv:1:9: no column is called "dedline"; did you mean deadline?',
                'o.csv:1:21: two columns are called "x"; keep one',
                'o.csv:1:23: column "node" does not fit: the space is a plane, which needs x and y',
                "o.csv:1:1: the header lacks deadline; needed are release, deadline, x, y",
            ],
        ),
        ("release;deadline;x;y\n1;2;3;4\n", None),
    ],
)
def test_headers(tmp_path, text, said):
    lines = refused(tmp_path, text)
    assert lines == said if said else lines[0].startswith('o.csv:1:1: no column is called "release;deadline;x;y"')


CELLS = st.fixed_dictionaries(
    {
        "id": st.text(st.sampled_from('ab ,"é'), min_size=1, max_size=5).map(str.strip).filter(bool),
        "release": st.integers(0, 99),
        "deadline": st.integers(0, 99),
        "x": st.floats(0, 9, width=32),
        "y": st.floats(0, 9, width=32),
        "value": st.none() | st.floats(0, 9, width=32),
        "team": st.none() | st.integers(1, 9),
        "duration": st.none() | st.integers(1, 9),
    }
)


@given(st.lists(CELLS, min_size=1, max_size=5, unique_by=lambda row: row["id"]), st.permutations(range(8)))
def test_what_is_written_reads_back(tmp_path_factory, rows, order):
    path = tmp_path_factory.mktemp("orders") / "o.csv"
    names = [list(rows[0])[index] for index in order]
    with open(path, "w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, names)
        sheet.writeheader()
        sheet.writerows(rows)
    found = orders(path)
    for row, order_ in zip(rows, found, strict=True):
        assert {name: getattr(order_, name) for name in row} == row
    lines = path.read_text(encoding="utf-8").splitlines()
    for order_ in found:
        for name in ("release", "deadline"):
            cell = lines[order_.line - 1][order_.columns[name] - 1 :]
            assert cell.split(",")[0] == str(getattr(order_, name))
