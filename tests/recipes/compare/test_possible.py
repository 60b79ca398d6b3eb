"""Fleets that cannot work are told, and fleets that can are not."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare.description import read, read_text
from quorate.recipes.compare.possible import _earliest, possible, require
from quorate.recipes.compare.tasks_csv import Order, Orders

EXAMPLES = Path(__file__).parents[3] / "examples"
AGENTS = '[[agents]]\ncount = 2\nskills = ["lift"]\n'

GOOD = ["", "[tasks]\nteam = 2\n", '[tasks]\nneeds = ["lift"]\n', "[tasks]\nneeds = { cool = 0.0 }\n", "depots = []\n"]


@pytest.mark.parametrize("text", GOOD)
def test_nothing_to_complain_of(text):
    assert possible(read_text(text + AGENTS)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: there are no agents; [[agents]] with a count makes some"),
        (
            "[[agents]]\ncount = 0\n[[agents]]\ncount = 0",
            "1:1: there are no agents; [[agents]] with a count makes some",
        ),
        (AGENTS + "speed = [0, 1]", "4:9: speed is 0; agents that do not move serve nothing"),
        (AGENTS + "capacity = 0", "4:12: capacity is 0; agents that bring no unit serve nothing"),
        (AGENTS + '[tasks]\nneeds = ["lft"]', "5:10: no agent has the skill lft; did you mean lift?"),
        (AGENTS + "[tasks]\nneeds = { cool = 0.5 }", "5:18: no agent has the skill cool; there are lift"),
        (AGENTS + "[tasks]\nteam = [1, 3]", "5:8: a team of 3 is more than all agents with lift bring together, 2"),
        ("[[agents]]\n[tasks]\nteam = 2", "3:8: a team of 2 is more than all agents bring together, 1"),
        (AGENTS + "[tasks]\nrate = 0", "5:8: rate is 0; there are no tasks"),
        (
            AGENTS + "[tasks]\nrate = 1e6",
            "5:8: rate x (slack + 1) is 3e+07 places for tasks; at most 10,000,000 can be simulated",
        ),
        (AGENTS + "[tasks]\nvalue = 0", "5:9: value is 0; there is nothing to gain"),
        (AGENTS + "[tasks]\nhotspot = { radius = 0 }", "5:22: radius is 0; a hot spot needs one above 0"),
        (
            AGENTS + "energy = { drain = 0.1 }",
            "4:20: agents lose charge and there is no depot; [[depots]] makes one",
        ),
        (
            AGENTS + "energy = { drain = 0.01, charge = 0 }\n[[depots]]\nat = [5, 5]",
            "4:35: charge is 0; agents that are empty stay empty",
        ),
        (
            AGENTS + "energy = { drain = 0.1, reserve = 1 }\n[[depots]]\nat = [5, 5]",
            "4:35: reserve is 1; agents would never leave their depot",
        ),
        (
            AGENTS + "energy = { drain = 0.1 }\n[[depots]]\nat = [0, 0]",
            "4:20: a full charge lasts for a way of 10; the farthest place is 14.14 from a depot",
        ),
        ("ticks = 50\n" + AGENTS + "[faults.crash]\nat = 50", "6:6: at is 50, after the end, tick 49"),
        (AGENTS + "[faults.partition]\nat = 300", "5:6: at is 300, after the end, tick 299"),
        (AGENTS + "[faults]\ncrash = { at = 9, back = 9 }", "5:26: back is 9, not after the crash at 9"),
        (AGENTS + "[attack]\nshare = 0.1\nkinds = []", "6:9: kinds is empty, and share says that some agents attack"),
        (AGENTS + "[compare]\nmechanisms = []", "5:14: mechanisms is empty; there is nothing to compare"),
    ],
)
def test_each_impossible_fleet(text, said):
    assert possible(read_text(text, "f.toml")) == ["f.toml:" + said]


def test_all_are_told_at_once():
    fleet = read_text(AGENTS + "speed = 0\ncapacity = 0\n[tasks]\nrate = 0\nneeds = ['x']\n", "f.toml")
    assert len(possible(fleet)) == 4
    with pytest.raises(Refusal) as refused:
        require(fleet)
    assert str(refused.value).split("\n") == possible(fleet)


def test_more_skills_than_bits():
    names = ", ".join(f'"s{index}"' for index in range(32))
    fleet = read_text(f"[[agents]]\nskills = [{names}]\n", "f.toml")
    assert possible(fleet) == ["f.toml:1:1: there are 32 skills; at most 31 can be told apart"]


def test_a_network_without_demands():
    pytest.importorskip("topohub")
    fleet = read_text('[[agents]]\n[space]\nkind = "graph"\n[tasks]\nsource = "demands:Abilene"', "f.toml")
    assert possible(fleet) == ["f.toml:5:10: Abilene comes without demands; use the source arrivals"]
    far = AGENTS + 'energy = { drain = 0.002 }\n[space]\nkind = "graph"\n[[depots]]\nnode = "%s"'
    assert (
        "a full charge lasts for a way of 500; the farthest place is " in possible(read_text(far % "Kiel", "f.toml"))[0]
    )
    assert possible(read_text(far.replace("0.002", "0.001") % "Kiel", "f.toml")) == []


def test_rows_of_a_csv(tmp_path):
    (tmp_path / "f.toml").write_text(AGENTS + '[tasks]\nsource = "csv:o.csv"\nduration = 3\n[space]\nsize = [5, 5]\n')
    (tmp_path / "o.csv").write_text(
        "id,release,deadline,x,y,needs,team,after\n"
        "a,5,3,1,1,,,\n"
        "b,0,9,6,1,lift,3,\n"
        "c,0,9,1,1,lift cool,,\n"
        "d,0,9,1,1,,,e\n"
        "e,0,9,1,1,,,f\n"
        "f,0,9,1,1,,,d\n"
        "g,0,9,1,1,,,z\n"
        "h,0,9,1,1,,,h\n"
        "i,0,2,1,1,,,b\n"
        "j,0,99,1,1,,,d\n"
        "k,0,3,1,1,,,b\n"
    )
    path = tmp_path / "o.csv"
    said = [line.replace(str(path), "o.csv") for line in possible(read(tmp_path / "f.toml"))]
    assert said == [
        "o.csv:2:5: the deadline, 3, is before the release, 5",
        "o.csv:3:7: x is 6, outside the plane of 5 x 5",
        "o.csv:3:11: a team of 3 is more than all agents with lift bring together, 2",
        "o.csv:4:11: no agent has lift and cool together",
        "o.csv:5:13: these tasks wait for each other: d after e after f after d",
        'o.csv:8:13: no task is called "z"; there are a, b, c, d, e, f, g, h, i, j, k',
        "o.csv:9:13: these tasks wait for each other: h after h",
        "o.csv:10:13: b cannot be done before tick 3, after the deadline, 2",
    ]


def test_a_day_that_ends_before_its_tasks(tmp_path):
    (tmp_path / "f.toml").write_text("ticks = 4\n" + AGENTS + '[tasks]\nsource = "csv:o.csv"\n')
    (tmp_path / "o.csv").write_text("release,deadline,x,y,value\n5,9,1,1,0\n")
    said = [line.replace(str(tmp_path), "") for line in possible(read(tmp_path / "f.toml"))]
    assert said == [
        "/f.toml:1:9: every task is released after the end, tick 3",
        "/o.csv:2:9: every value is 0; there is nothing to gain",
    ]


@given(st.data())
def test_predecessors_against_search(data):
    """The first tick of each task, and who waits in a ring, by following each chain to its end."""
    count = data.draw(st.integers(1, 6))
    after = [data.draw(st.none() | st.integers(0, count)) for _ in range(count)]
    release = [data.draw(st.integers(0, 9)) for _ in range(count)]
    duration = [data.draw(st.none() | st.integers(1, 9)) for _ in range(count)]
    rows = [
        Order(str(i), release[i], 99, 0.0, 0.0, None, 1.0, (), 1, duration[i], "" if one is None else str(one), i, {})
        for i, one in enumerate(after)
    ]
    fleet = dataclasses.replace(read_text("tasks.source = 'csv:x'\ntasks.duration = [2, 5]"), orders=Orders(rows, "x"))
    begins, looped = _earliest(fleet)

    def chain(i):
        found = [i]
        while after[found[-1]] is not None and after[found[-1]] < count and after[found[-1]] not in found:
            found.append(after[found[-1]])
        return found, after[found[-1]]

    for i in range(count):
        found, end = chain(i)
        in_ring = end == i
        assert (str(i) in looped) == in_ring
        if end is None or end == count:  # it ends at a first task, or at one that is unknown
            t = 0
            for j in reversed(found):
                t = max(release[j], t)
                assert j != i or begins[str(i)] == t
                t += 2 if duration[j] is None else duration[j]
    for ring in looped.values():
        assert all(after[int(one)] == int(two) for one, two in zip(ring, (*ring[1:], ring[0]), strict=True))
