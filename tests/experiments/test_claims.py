"""Claims: on which side of a line an interval lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.experiments.claims import Claim, Judged, Measured, side


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0001, 2, "holds"),
        (1, 2, "in part"),
        (0.5, 1, "in part"),
        (1, 1, "in part"),
        (0.5, 0.9999, "does not hold"),
        (float("inf"), float("inf"), "holds"),
    ],
)
def test_the_line_itself_belongs_to_neither_side(low, high, verdict):
    assert side(low, high) == verdict


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 100))
def test_turning_interval_and_line_turns_the_verdict(one, other, line):
    low, high = min(one, other), max(one, other)
    turned = {"holds": "does not hold", "does not hold": "holds", "in part": "in part"}
    assert side(-high, -low, -line) == turned[side(low, high, line)]


def test_a_claim_judges_tables():
    claim = Claim(
        "more", "Fig. 1", "more than one", lambda tables: Measured(side(*tables["x"][0]["at"]), "so"), ("holds", 1)
    )
    judged = Judged(claim, claim.judge({"x": [{"at": (2, 3)}]}), True)
    assert judged.measured.verdict == "holds" and judged.measured.ratio is None
    assert claim.judge({"x": [{"at": (0, 0.5)}]}).verdict == "does not hold"
