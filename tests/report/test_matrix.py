"""A matrix shows the numbers of its rows, in the colour of their step, with signs where rows are best or tied."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from quorate.report.figure import standalone
from quorate.report.matrix import Entry, matrix, steps
from quorate.report.numbers import number

HOSTILE = '</g><script>alert("1")</script> & <b>\x00\x1b[2J]]>'
MECHANISMS = ["alone", "claim", "auction"]
CONDITIONS = ["calm", "loss_0.3", "crash", "attack"]
ROWS = [
    {
        "mechanism": mechanism,
        "condition": condition,
        "served_mean": round(0.2 + 0.17 * j + 0.04 * i, 4),
        "half": 0.01 + 0.001 * i,
    }
    for j, mechanism in enumerate(MECHANISMS)
    for i, condition in enumerate(CONDITIONS)
]


def entry(mechanism, condition):
    if mechanism == "bound":
        return Entry(0.9)
    row = next(row for row in ROWS if (row["mechanism"], row["condition"]) == (mechanism, condition))
    stands = {"auction": "best", "claim": "tie" if condition == "crash" else ""}.get(mechanism, "")
    return Entry(row["served_mean"], row["half"], stands)


def made(rows=MECHANISMS, columns=CONDITIONS, entry=entry, **changes):
    return matrix("served", "Auctions serve most", rows, columns, entry, "Means.", **changes)


def stops(svg):
    """(colour, texts, sentence, sign) of every cell, in the order of the drawing."""
    found = [e for e in ElementTree.fromstring(svg).iter("g") if "stop" in e.get("class", "").split()]
    return [
        (
            e.get("class").split()[-1],
            [t.text for t in e.iter("text")],
            e.get("data-long"),
            [p.get("class").split()[-1] for p in e.iter("path")],
        )
        for e in found
    ]


def test_numbers_in_the_cells_are_those_of_the_rows():
    cells = stops(made(apart=["bound"]).svg)
    assert len(cells) == len(ROWS) + len(CONDITIONS)
    for (_, texts, long, _), row in zip(cells, ROWS, strict=False):
        assert texts == [number(row["served_mean"]), f"±{row['half']:.3f}"]
        assert long.startswith(f"{row['mechanism']}, {row['condition']}: {texts[0]} {texts[1]}")
    for kind, texts, long, sign in cells[len(ROWS) :]:
        assert (kind, texts, sign) == ("blank", ["0.900"], []) and long.startswith("bound, ")


def test_colours_follow_the_steps_and_signs_the_standing():
    svg = made().svg
    low, high = steps([row["served_mean"] for row in ROWS])
    for (kind, _, long, sign), row in zip(stops(svg), ROWS, strict=True):
        value = row["served_mean"]
        assert kind == ("step1" if value < low else "step2" if value < high else "step3")
        expected = entry(row["mechanism"], row["condition"]).stands
        assert sign == [expected] * bool(expected)
        assert ("best in its column" in long, "not told apart" in long) == (expected == "best", expected == "tie")
    notes = [e.text for e in ElementTree.fromstring(svg).iter("text") if e.get("class") == "note"]
    assert notes == [
        "share of the value served:",
        f"below {number(low)}",
        f"{number(low)} to below {number(high)}",
        f"{number(high)} and more",
        "best in its column",
        "not told apart from the best",
    ]


def test_columns_have_their_names_on_top():
    root = ElementTree.fromstring(made().svg)
    heads = {e.text: e for e in root.iter("text") if e.get("class") == "tick name"}
    assert list(heads) == CONDITIONS
    cells = [e for e in root.iter("g") if "stop" in e.get("class", "")]
    for condition, cell in zip(CONDITIONS, cells, strict=False):
        assert float(heads[condition].get("x")) == pytest.approx(float(cell.find("text").get("x")), abs=0.11)
        assert float(heads[condition].get("y")) < float(cell.find("text").get("y"))


@pytest.mark.parametrize("values", [[0.31, 0.9], [0.612, 0.688], [0.1, 0.2, 0.9], [1e-3, 2e-3], [0, 1]])
def test_steps_are_round_and_inside(values):
    low, high = steps(values)
    assert min(values) < low < high < max(values)
    assert all(len(f"{cut:.6g}") <= 7 for cut in (low, high))


def test_zero_and_what_is_missing_have_colours_of_their_own():
    given = {"alone": Entry(0.0), "claim": Entry(None, note="took too long"), "auction": Entry(0.5, 0.0002)}
    cells = stops(made(columns=["calm"], entry=lambda row, column: given[row]).svg)
    assert [cell[:2] for cell in cells] == [("zero", ["0"]), ("blank", ["–"]), ("step3", ["0.500", "±<0.001"])]
    assert cells[1][2] == "claim, calm: not measured. took too long"


def test_it_parses_inside_the_page_and_alone_whatever_the_texts():
    figure = made(["m" + HOSTILE], ["c" + HOSTILE], lambda *at: Entry(0.5, 0.1, "best", HOSTILE), what=HOSTILE)
    for svg in (figure.svg, standalone(figure.svg)):
        root = ElementTree.fromstring(svg)
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        assert "\x00" not in svg and "\x1b" not in svg
    assert "var(" not in standalone(figure.svg)


@pytest.mark.parametrize(
    "cell, message",
    [
        (Entry(1.2), r'cell "served" at \(alone, calm\) has the value 1.2'),
        (Entry(math.nan), "has the value nan"),
        (Entry(0.5, -0.1), "half-width -0.1"),
        (Entry(0.5, math.inf), "half-width inf"),
        (Entry(None, 0.1), "has no value"),
        (Entry(0.5, stands="first"), "stands 'first'"),
    ],
)
def test_what_would_mislead_is_refused(cell, message):
    with pytest.raises(ValueError, match=message):
        made(["alone"], ["calm"], lambda *at: cell)


def test_one_row_is_best_and_none_that_is_set_apart():
    with pytest.raises(ValueError, match="alone and claim are both best"):
        made(["alone", "claim"], ["calm"], lambda *at: Entry(0.5, 0.1, "best"))
    with pytest.raises(ValueError, match="a row set apart cannot be best"):
        made(["alone"], ["calm"], lambda row, _: Entry(0.5, stands="best" if row == "flown" else ""), apart=["flown"])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a page has 1080"):
        made(["alone"], [f"a rather long condition {k}" for k in range(9)], lambda *at: Entry(0.5))
    with pytest.raises(ValueError, match="0 x 1 cells"):
        made([], ["calm"])


def test_all_of_a_full_comparison_fits():
    names = ["alone", "alone_far", "central", "central_naive", "hierarchy", "claim", "claim_evicting", "contract_net"]
    names += ["auction", "cbba", "stigmergy", "quorum", "hybrid"]
    columns = ["calm", "described", "loss_0.1", "loss_0.3", "loss_0.5", "crash", "partition", "attack", "growth"]
    values = np.random.default_rng(0).random((len(names) + 2, len(columns)))
    apart = ["upper bound", "flown"]
    figure = made(
        names,
        columns,
        lambda row, column: Entry(values[[*names, *apart].index(row), columns.index(column)], 0.01),
        apart=apart,
    )
    assert figure.wide and len(figure.svg) < 60_000
    shown = [texts[0] for _, texts, _, _ in stops(figure.svg)]
    assert shown == [number(value) for value in values.ravel()]
