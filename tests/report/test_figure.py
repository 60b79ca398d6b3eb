"""Figures are well-formed, carry the values they were given, and refuse what cannot be drawn."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from quorate.report.axis import Axis
from quorate.report.figure import MOST_POINTS, Rule, Series, lines, standalone, strip
from quorate.report.numbers import number, rounded
from quorate.report.palette import SERIES_ROLES

HOSTILE = '</script><script>alert("1")</script> & <b>\x00\x1b[2J]]>'
SPACE = "{http://www.w3.org/2000/svg}"


def drawn(id="sample", hostile="", **options):
    """A figure of two series over different x, with the series."""
    x = np.array([1.0, 2.0, 5.0, 10.0])
    y = np.array([0.5, 0.0123456, 0.002, 1.5e-5])
    series = [
        Series("search" + hostile, "s3", x, y, y / 2, y * 2),
        Series("liars" + hostile, "harm", x[1:3], 3 * y[1:3]),
    ]
    options = {"xlabel": "tick" + hostile, "ylabel": "error" + hostile, "ylog": True} | options
    return lines(id, series, **options), series


def embedded_data(svg):
    return json.loads(next(e for e in ElementTree.fromstring(svg).iter("script")).text)


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("hostile", ["", HOSTILE])
def test_it_parses_as_xml_inside_the_page_and_alone(points, wide, hostile):
    rules = [(3, "start" + hostile), Rule(0.1, "bound" + hostile, "y")]
    svg, series = drawn(hostile=hostile, points=points, wide=wide, rules=rules)
    assert [e.tag for e in ElementTree.fromstring(svg).iter("script")] == ["script"]
    alone = ElementTree.fromstring(standalone(svg))
    assert not list(alone.iter(SPACE + "script"))
    assert alone.get("width") == ("1080" if wide else "520")
    assert "var(" not in standalone(svg)
    marks = [e for e in alone.iter(SPACE + "path") if e.get("class").startswith("mark")]
    assert len(marks) == (sum(len(item.x) for item in series) if points else len(series))
    assert "\x1b" not in svg


def test_hover_data_equals_what_was_passed():
    svg, series = drawn(hostile=HOSTILE.replace("\x00", "").replace("\x1b", ""))
    data = embedded_data(svg)
    assert data["x"] == [1, 2, 5, 10]
    assert [entry["n"] for entry in data["series"]] == [item.name for item in series]
    assert [entry["c"] for entry in data["series"]] == ["s3", "harm"]
    for entry, item in zip(data["series"], series, strict=True):
        known = dict(zip(item.x.tolist(), item.y, strict=True))
        for x, y in zip(data["x"], entry["y"], strict=True):
            assert (y is None) == (x not in known)
            assert y is None or number(y) == number(known[x])
    whole = data["series"][0]
    assert whole["lo"] == [rounded(v) for v in series[0].low]
    assert whole["hi"] == [rounded(v) for v in series[0].high]
    assert "lo" not in data["series"][1]


def test_lines_pass_through_the_values():
    svg, series = drawn()
    data = embedded_data(svg)
    x_axis, y_axis = (Axis(*data[name]) for name in ("ax", "ay"))
    places = re.search(r'class="line s3" d="M([^"]*)"', svg)[1].split()
    expected = [v for x, y in zip(series[0].x, series[0].y, strict=True) for v in (x_axis.at(x), y_axis.at(y))]
    assert [float(p) for p in places] == pytest.approx(expected, abs=0.051)
    assert y_axis.at(series[0].y[0]) < y_axis.at(series[0].y[3])  # larger is higher up


def test_every_role_has_a_mark_and_its_colour():
    series = [Series(role, role, [1, 2], [k, k + 1]) for k, role in enumerate(SERIES_ROLES)]
    svg = lines("roles", series, xlabel="x", ylabel="y")
    for role in SERIES_ROLES:
        assert f'class="line {role}"' in svg and f'class="mark {role}"' in svg and f'class="name {role}"' in svg


def test_names_do_not_run_into_each_other_or_over_the_edge():
    names = [f"a rather long name, number {k}" for k in range(5)]
    roles = SERIES_ROLES[:5]
    svg = lines(
        "names", [Series(n, r, [0, 1], [1, 1]) for n, r in zip(names, roles, strict=True)], xlabel="x", ylabel="y"
    )
    texts = [e for e in ElementTree.fromstring(svg).iter("text") if e.get("class").startswith("name")]
    heights = sorted(float(e.get("y")) for e in texts)
    assert min(np.diff(heights)) >= 14
    assert max(float(e.get("x")) + 7 * len(e.text) for e in texts) <= 520


def test_words_of_close_rules_stand_on_separate_lines():
    svg, _ = drawn(rules=[(3, "first of them"), (3.2, "second"), (9, "far away")])
    notes = {e.text: float(e.get("y")) for e in ElementTree.fromstring(svg).iter("text") if e.get("class") == "note"}
    assert notes["first of them"] < notes["second"] == notes["far away"]


def test_long_series_are_thinned_and_say_so():
    x = np.arange(1000)
    svg = lines("long", [Series("a", "s1", x, x % 7)], xlabel="tick", ylabel="y")
    data = embedded_data(svg)
    assert len(data["x"]) <= MOST_POINTS + 1
    assert data["x"][0] == 0 and data["x"][-1] == 999
    assert data["series"][0]["y"] == [v % 7 for v in data["x"]]
    assert "tick (every 5th point is drawn)" in svg


@pytest.mark.parametrize(
    "series, options, message",
    [
        ([], {}, "has no series"),
        ([Series("a", "s1", [1, 2], [1, math.nan])], {}, 'y of series "a" holds nan at position 1'),
        ([Series("a", "s1", [1, 2], [1, math.inf])], {}, "holds inf"),
        ([Series("a", "s1", [0, 2], [1, 2])], {"xlog": True}, 'x of series "a" holds 0 at position 0; a log axis'),
        ([Series("a", "s1", [1, 2], [1, -2])], {"ylog": True}, "holds -2 at position 1; a log axis"),
        ([Series("a", "s1", [1, 2], [1, 2], [0, 1], [2, 3])], {"ylog": True}, 'low of series "a" holds 0'),
        ([Series("a", "s1", [1, 2], [1, 2], [3, 1], [2, 3])], {}, "low above its high at position 0"),
        ([Series("a", "s1", [1, 2], [1, 2], [0, 1])], {}, "only one of low and high"),
        ([Series("a", "s1", [2, 1], [1, 2])], {}, "must increase"),
        ([Series("a", "s1", [1, 2], [1])], {}, "has 1 values, x has 2"),
        ([Series("a", "s9", [1, 2], [1, 2])], {}, "has the role 's9'"),
        ([Series("a", "s1", [1], [1]), Series("a", "s2", [1], [1])], {}, "two series of the same name"),
        ([Series("a", "s1", [1, 2], [1, 2])], {"ylim": (0, 1.5)}, r"ylim is \(0, 1.5\) but 2 has to be drawn"),
        ([Series("a", "s1", [1, 2], [1, 2])], {"xlim": (3, 1)}, "the first must be below the second"),
        ([Series("a", "s1", [1, 2], [1, 2])], {"rules": [(math.nan, "r")]}, "rules holds nan"),
        ([Series("a", "s1", [1, 2], [1, 2])], {"rules": [(0, "r")], "xlog": True}, "a rule at or below 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(series, options, message):
    with pytest.raises(ValueError, match=message):
        lines("bad", series, xlabel="x", ylabel="y", **options)


def test_ids_are_plain():
    with pytest.raises(ValueError, match="a figure id is"):
        drawn(id='x" onload="')


def parts(svg):
    return [(e.tag, e.get("class")) for e in ElementTree.fromstring(svg).iter() if e.get("class") in ("whisk", "tipp")]


def test_strip_places_the_interval():
    svg = strip(2.0, 1.0, 4.0)
    left, right = map(float, re.search(r'class="whisk" d="M([\d.]+) 10H([\d.]+)"', svg).groups())
    middle = float(re.search(r'cx="([\d.]+)"', svg)[1])
    assert left == 66  # at the claim
    assert middle - left == pytest.approx(right - middle, abs=0.11)  # equal ratios are equally far


def test_strip_shows_what_is_off_the_scale_as_arrows():
    assert parts(strip(1.0, 1.0, 1.0)) == [("circle", "tipp")]  # exact: no whisker
    assert parts(strip(1.0, 0.01, 2.0)) == [("path", "whisk"), ("path", "whisk"), ("circle", "tipp")]
    for ratios in ((30.0, 20.0, 40.0), (math.inf, 1.0, math.inf), (0.0, 0.0, 0.0)):
        assert parts(strip(*ratios))[-1] == ("path", "tipp")
    for ratios in ((math.nan, 1, 1), (-1.0, -2.0, 1.0), (3.0, 1.0, 2.0)):
        with pytest.raises(ValueError, match="a strip needs"):
            strip(*ratios)
