"""Points are named, lie at their values, and a cost of nothing has a place on a log axis."""

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from quorate.report.figure import points, standalone
from quorate.report.series import SERIES_ROLES, Point

HOSTILE = '</g><script>alert("1")</script> & <b>\x00\x1b[2J]]>'
BILL = [
    Point("claim", "s1", 2.0, 0.7, (1.8, 2.3), (0.68, 0.72)),
    Point("alone", "s3", 0, 0.5, None, (0.48, 0.53)),
    Point("auction", "s4", 20.0, 0.71),
    Point("silent", "s5", 0.02, 0.55),
]


def made(marks=BILL, **changes):
    return points("bill", marks, **{"xlabel": "messages", "ylabel": "served", "xlog": True} | changes)


def marks(svg):
    """name -> (x, y) of the marks in pixels."""
    found = {}
    for e in ElementTree.fromstring(svg).iter("g"):
        if e.get("class") == "stop":
            mark = next(p for p in e.iter("path") if p.get("class").startswith("mark"))
            found[e.find("text").text] = tuple(map(float, re.findall(r"[\d.]+", mark.get("transform"))))
    return found


def test_every_point_is_read_out_from_left_to_right():
    stops = [e.get("data-long") for e in ElementTree.fromstring(made()).iter("g") if e.get("class") == "stop"]
    assert stops == [
        "alone: messages 0, served 0.500 [0.480, 0.530]",
        "silent: messages 0.0200, served 0.550",
        "claim: messages 2.00 [1.80, 2.30], served 0.700 [0.680, 0.720]",
        "auction: messages 20.0, served 0.710",
    ]


def test_places_are_those_of_the_values():
    found = marks(made())
    assert found["alone"][0] < found["silent"][0]
    # decades are equally wide
    assert found["auction"][0] - found["claim"][0] == pytest.approx(
        (found["claim"][0] - found["silent"][0]) / 2, abs=0.2
    )
    slope = (found["claim"][1] - found["alone"][1]) / 0.2
    assert found["auction"][1] - found["alone"][1] == pytest.approx(0.21 * slope, abs=0.2)
    assert slope < 0


def test_free_of_cost_is_a_tick_of_its_own():
    ticks = [e.text for e in ElementTree.fromstring(made()).iter("text") if e.get("class") == "tick"]
    assert "0" in ticks and "10" in ticks
    assert len(marks(made([BILL[1]]))) == 1
    linear = marks(made(xlog=False))
    assert linear["auction"][0] - linear["alone"][0] == pytest.approx(
        10 * (linear["claim"][0] - linear["alone"][0]), 0.01
    )


def test_names_keep_apart():
    crowded = [Point(f"mechanism {k}", SERIES_ROLES[k % 5], 1 + 0.02 * k, 0.5 + 0.01 * k) for k in range(6)]
    root = ElementTree.fromstring(made([*crowded, Point("far", "s1", 9, 0.9)]))
    boxes = []
    for e in root.iter("text"):
        if "name" in e.get("class"):
            long = 6.5 * len(e.text)
            left = float(e.get("x")) - {"start": 0, "middle": long / 2, "end": long}[e.get("text-anchor")]
            boxes.append((left, left + long, float(e.get("y"))))
    assert len(boxes) == 7
    for k, (a, b, y) in enumerate(boxes):
        assert a >= 0 and b <= 520
        assert all(b <= c or d <= a or abs(y - v) >= 12 for c, d, v in boxes[:k])


@pytest.mark.parametrize("wide", [False, True])
def test_it_parses_inside_the_page_and_alone_whatever_the_texts(wide):
    svg = made([Point("p" + HOSTILE, "harm", 1, 1), *BILL], xlabel=HOSTILE, ylabel=HOSTILE, wide=wide)
    for text in (svg, standalone(svg)):
        assert not [e for e in ElementTree.fromstring(text).iter() if e.tag.endswith("script")]
        assert "\x00" not in text
    assert "var(" not in standalone(svg)


@pytest.mark.parametrize(
    "point, message",
    [
        (Point("a", "s9", 1, 1), "has the role 's9'"),
        (Point("a", "s1", math.nan, 1), "holds nan"),
        (Point("a", "s1", 1, math.inf), "holds inf"),
        (Point("a", "s1", -1, 1), "reaches -1 across"),
        (Point("a", "s1", 1, 1, (0, 2)), "reaches 0 across"),
        (Point("a", "s1", 0, 1, (0, 2)), "lies at 0 on a log axis"),
        (Point("a", "s1", 1, 1, (2, 3)), "does not hold 1"),
        (Point("a", "s1", 1, 1, None, (0.1, 0.2)), "up from 0.1 to 0.2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(point, message):
    with pytest.raises(ValueError, match=message):
        made([point])


def test_no_points_and_twins_are_refused():
    with pytest.raises(ValueError, match="has no points"):
        made([])
    with pytest.raises(ValueError, match="two points of the same name"):
        made([BILL[0], BILL[0]])


def test_many_points_do_not_leave_the_figure():
    rng = np.random.default_rng(0)
    cloud = [Point(f"m{k}", "s1", float(10 ** rng.uniform(-2, 2)), rng.random()) for k in range(13)]
    for x, y in marks(made(cloud)).values():
        assert 0 < x < 520 and 0 < y < 360
