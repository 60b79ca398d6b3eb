"""Claims to print, and golden texts that REGENERATE=1 writes anew."""

import os
from pathlib import Path

import pytest

from quorate.experiments.claims import Claim, Judged, Measured

GOLDEN = Path(__file__).parent / "golden"


def judged(words, verdict, text, *, note="", ratio=None, as_recorded=True, recorded=None, where="Fig. 3"):
    """A claim beside its measurement."""
    claim = Claim(words.replace(" ", "_"), where, words, lambda rows: None, recorded or (verdict, None))
    return Judged(claim, Measured(verdict, text, note, ratio), as_recorded)


@pytest.fixture
def claims():
    return [
        judged("EDU beats search", "holds", "17, 20, 20 of 20 configurations"),
        judged("about 20 times at N = 1000", "in part", "12.0 [10.2, 14.2] times", ratio=(0.6, 0.51, 0.71)),
        judged(
            "recovers when 20 % of the devices fail at once and stay away for good",
            "holds",
            "3.34×10⁻⁴ [2.92×10⁻⁴, 3.83×10⁻⁴] after 100 ticks",
            note="search: 6.84×10⁻⁴",
            ratio=(2.05, 1.8, 2.3),
        ),
        judged("better with half failed", "does not hold", "0.62 [0.53, 0.73] times better", ratio=(0.62, 0.53, 0.73)),
        judged("at N = 10 000 as well", "not judged", "needs N = 10 000"),
    ]


@pytest.fixture
def golden():
    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("REGENERATE") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
