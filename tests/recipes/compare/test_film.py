"""What stands beside the frames of a film."""

import pytest

from quorate.recipes.compare.film import amount
from quorate.report.numbers import integer


@pytest.mark.parametrize("value", [0.0, 7.25, 812.34, 9999.4])
def test_a_small_amount_has_four_digits(value):
    assert float(amount(value)) == pytest.approx(value, rel=5e-4) and len(amount(value).replace(".", "")) <= 4


@pytest.mark.parametrize(
    "value, whole", [(9999.5, 10_000), (12_345.6, 12_346), (713_612.4, 713_612), (3e7, 30_000_000)]
)
def test_a_large_amount_stands_in_full(value, whole):
    assert amount(value) == integer(whole) and "e" not in amount(value)
