"""Heat maps show every number that they are given, in the colour of its step, and refuse what would mislead."""

import math
import re
import xml.etree.ElementTree as ElementTree
from fractions import Fraction

import pytest

from quorate.report.figure import standalone
from quorate.report.heat import MOST_CELLS, Cell, heat
from quorate.report.numbers import number
from quorate.report.palette import DARK, LIGHT
from tests.report.test_palette import contrast, lab

HOSTILE = '</g><script>alert("1")</script> & <b>\x00\x1b[2J]]>'
SPACE = "{http://www.w3.org/2000/svg}"
CHANCES = {
    (t, k): Fraction(0) if t == 0 or k > 6 else Fraction(1) if t == 3 and k == 2 else Fraction(t, 9)
    for t in range(4)
    for k in range(1, 8)
}


def told(t, k):
    chance = CHANCES[t, k]
    return Cell(float(chance), number(chance), f"k = {k}, t = {t}: {number(chance)}", live=k + t <= 7)


def made(rows=(3, 2, 1, 0), columns=range(1, 8), cell=told, **changes):
    words = {"title": "Worst", "xlabel": "threshold k", "ylabel": "attackers t", "caption": "Exact."} | changes
    return heat("worst", rows=rows, columns=columns, cell=cell, **words)


def stops(svg):
    """(classes, number, sentence, striped) of every cell, in the order of the drawing."""
    found = [e for e in ElementTree.fromstring(svg).iter("g") if "stop" in e.get("class", "").split()]
    return [
        (
            e.get("class").split()[-1],
            e.find("text").text,
            e.get("data-long"),
            any(r.get("class") == "stripes" for r in e.iter("rect")),
        )
        for e in found
    ]


def test_numbers_colours_and_stripes_are_those_of_the_data():
    def kind(chance):
        steps = {0: "zero", Fraction(1, 9): "step1", Fraction(2, 9): "step1", Fraction(1, 3): "step1", 1: "step3"}
        return steps[chance]

    expected = [
        (kind(CHANCES[t, k]), number(CHANCES[t, k]), f"k = {k}, t = {t}: {number(CHANCES[t, k])}", k + t > 7)
        for t in (3, 2, 1, 0)
        for k in range(1, 8)
    ]
    assert stops(made().svg) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [(0, "zero"), (1e-12, "step1"), (1 / 3, "step1"), (0.34, "step2"), (2 / 3, "step2"), (0.67, "step3"), (1, "step3")],
)
def test_zero_has_a_colour_of_its_own_and_the_blue_three_steps(value, kind):
    svg = made([1], [1], lambda t, k: Cell(value, number(value), "")).svg
    assert stops(svg)[0][0] == kind


def test_cells_stand_below_their_column_and_beside_their_row():
    root = ElementTree.fromstring(made().svg)
    texts = {(e.text, e.get("text-anchor")): e for e in root.iter("text") if e.get("class") == "tick"}
    cells = [e.find("text") for e in root.iter("g") if "stop" in e.get("class", "")]
    for j, t in enumerate((3, 2, 1, 0)):
        for i, k in enumerate(range(1, 8)):
            cell = cells[7 * j + i]
            assert float(cell.get("x")) == pytest.approx(float(texts[str(k), "middle"].get("x")), abs=0.11)
            assert float(cell.get("y")) == pytest.approx(float(texts[str(t), "end"].get("y")), abs=0.11)


def key_of(svg):
    return [e.text for e in ElementTree.fromstring(svg).iter("text") if e.get("class") == "note"]


def test_the_key_tells_the_colours_that_occur():
    expected = ["0: cannot happen", "1/9 to 1/3", "1: always", "striped: attackers can keep everybody waiting"]
    assert key_of(made().svg) == expected
    assert key_of(made([0], [1, 2], zero="not seen").svg) == ["0: not seen"]
    assert key_of(made([2], [1, 2]).svg) == ["2/9"]
    assert key_of(made([3], [2, 6], one="if they wish", stripes="waits").svg) == [
        "1/3",
        "1: if they wish",
        "striped: waits",
    ]


def test_what_was_not_computed_is_blank():
    svg = made([1], [1, 2], lambda t, k: told(t, k) if k == 1 else Cell(None, "–", "too large")).svg
    assert stops(svg) == [("step1", "1/9", "k = 1, t = 1: 1/9", False), ("blank", "–", "too large", False)]
    assert key_of(svg) == ["1/9", "not computed"]


def test_it_parses_inside_the_page_and_alone_whatever_the_texts():
    figure = made(
        ["t" + HOSTILE],
        ["k" + HOSTILE],
        lambda t, k: Cell(0.5, "½" + HOSTILE[:5], t + k, False),
        title=HOSTILE,
        xlabel=HOSTILE,
        ylabel=HOSTILE,
        stripes=HOSTILE,
    )
    for svg, tag in ((figure.svg, "script"), (standalone(figure.svg), SPACE + "script")):
        assert not list(ElementTree.fromstring(svg).iter(tag))
        assert "\x00" not in svg and "\x1b" not in svg
    assert stops(figure.svg)[0][2].startswith("t</g><script>")


def test_alone_it_keeps_numbers_and_stripes_and_needs_nothing_else():
    figure = made()
    alone = standalone(figure.svg)
    root = ElementTree.fromstring(alone)
    numbers = [e.find(SPACE + "text").text for e in root.iter(SPACE + "g") if "stop" in e.get("class", "")]
    assert numbers == [number(CHANCES[t, k]) for t in (3, 2, 1, 0) for k in range(1, 8)]
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    used = set(re.findall(r'fill="url\(#([^)]*)\)"', alone))
    assert used == ids == {"worst-pale", "worst-dark"}
    assert "var(" not in alone and "data-" not in alone and LIGHT["step3"] in alone


def test_colours_come_from_classes_only():
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|style=", re.sub(r"url\(#[^)]*\)", "", made().svg))


def test_keyboard_and_readout():
    root = ElementTree.fromstring(made().svg)
    assert (root.get("tabindex"), root.get("data-grid"), root.get("role")) == ("0", "7", "img")
    assert root.get("aria-label") == "attackers t by threshold k: Worst"
    assert all(e.find("rect").get("class") == "hit" for e in root.iter("g") if "stop" in e.get("class", ""))


def test_it_takes_the_width_it_needs():
    def cell(t, k):
        return Cell(1e-5, number(1e-5), "")

    assert not made([1], range(4), cell).wide and made([1], range(4), cell).svg.startswith(
        '<svg class="chart full heat" v'
    )
    assert made([1], range(10), cell).wide
    for figure in (made([1], range(4), cell), made([1], range(10), cell)):
        root = ElementTree.fromstring(figure.svg)
        width, height = map(float, root.get("viewBox").split()[2:])
        for rect in (e for e in root.iter("rect") if e.get("class") == "hit" and float(e.get("x")) > 0):
            assert float(rect.get("x")) + float(rect.get("width")) <= width
        assert max(float(e.get("y")) for e in root.iter("text")) <= height
    with pytest.raises(ValueError, match="a page has 1080"):
        made([1], range(20), cell)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell(1.5, "1.5", ""), r'"worst" at \(1, 2\) has the value 1.5; a heat map shows chances'),
        (Cell(-0.1, "", ""), "has the value -0.1"),
        (Cell(math.nan, "", ""), "has the value nan"),
        (Cell(0.5, "1/9", ""), "has the value 0.5 and the text '1/9'"),
        (Cell(1e-5, "0", ""), "has the value 1e-05 and the text '0'"),
        (Cell(0.0, "1.00×10⁻⁵", ""), "has the value 0 and the text"),
    ],
)
def test_what_would_mislead_is_refused(cell, message):
    with pytest.raises(ValueError, match=message):
        made([1], [2], lambda t, k: cell)


def test_too_much_and_too_little_are_refused():
    with pytest.raises(ValueError, match="has 0 rows and 7 columns"):
        made([])
    with pytest.raises(ValueError, match=f"at most {MOST_CELLS} fit"):
        made(range(25), range(20), lambda t, k: Cell(0, "0", ""))
    with pytest.raises(ValueError, match="a figure id is"):
        heat('x" onload="', "", [1], [1], told, "", "", "")


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_numbers_can_be_read_and_steps_told_apart(palette):
    steps = ("zero", "step1", "step2", "step3")
    assert min(contrast(palette["ink"], palette[step]) for step in steps[:3]) >= 4.5
    assert contrast(palette["onstep3"], palette["step3"]) >= 4.5
    labs = [lab(palette[step]) for step in steps]
    distances = [math.dist(a, b) for k, a in enumerate(labs) for b in labs[:k]]
    assert min(distances) >= 15
    towards = [abs(one[0] - labs[0][0]) for one in labs[1:]]
    assert towards == sorted(towards)  # each step leads further from nothing
