"""Out of the draws: what a mechanism served, and means with their intervals."""

from typing import Any, NamedTuple

import numpy as np

from quorate.experiments.claims import Measured, Word, side
from quorate.experiments.outcome import Rows
from quorate.measure.paired import mean_interval
from quorate.recipes import pick
from quorate.report.numbers import interval

Tables = dict[str, Rows]


class Ends(NamedTuple):
    """A mean with its 95 % interval and, for the record, the 99 % one."""

    middle: float
    low: float
    high: float
    low_99: float
    high_99: float

    @property
    def points(self) -> str:
        """In per cent of what is offered."""
        return interval(*(100 * end for end in self[:3]))

    def word(self, line: float = 0.0) -> Word:
        return side(self.low - line, self.high - line, 0.0)


def ends(samples: Any) -> Ends:
    """Of one number a draw.

    >>> ends([1.0, 1.0, 1.0]).points
    '100 [100, 100]'
    """
    usual, wide = mean_interval(samples), mean_interval(samples, 0.99)
    return Ends(*(float(end) for end in (usual.middle, usual.low, usual.high, wide.low, wide.high)))


def of(tables: Tables, mechanism: str, part: str = "loss", setting: float | None = 0.0, **where: Any) -> np.ndarray:
    """What a mechanism served in each draw of a case; without a part, in the calm."""
    return column(tables, "served", mechanism, part, setting, **where)


def column(
    tables: Tables, name: str, mechanism: str, part: str = "loss", setting: float | None = 0.0, **where: Any
) -> np.ndarray:
    some = pick(tables["draws"], mechanism=mechanism, part=part, setting=setting, **where)
    return np.array([row[name] for row in sorted(some, key=lambda row: row["draw"])])


def shares(tables: Tables, method: str, **where: Any) -> np.ndarray:
    """Of the optimum, in each snapshot."""
    some = [row for row in tables["snapshots"] if row["method"] == method]
    some = [row for row in some if all(row.get(name) == value for name, value in where.items())]
    return np.array([row["share"] for row in sorted(some, key=lambda row: row["instance"])])


def worst_of(words: list[Word]) -> Word:
    """Holds if all hold, does not if none does."""
    if all(word == "holds" for word in words):
        return "holds"
    return "does not hold" if all(word == "does not hold" for word in words) else "in part"


def told(word: Word, value: Ends, text: str, note: str) -> Measured:
    """The measurement of a claim whose number is `value`."""
    return Measured(word, text, note, None, value.middle, value.low_99, value.high_99)


def turned_round(gap: Ends) -> Ends:
    """The difference the other way."""
    return Ends(-gap.middle, -gap.high, -gap.low, -gap.high_99, -gap.low_99)
