"""Rows read and checked, and who is worse than whom under which condition."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.errors import Refusal

_NEEDED = ("served_mean", "messages_per_agent_tick", "bytes_per_agent_tick", "difference_from_best")
_OPTIONAL = ("served_se", "difference_low", "difference_high", "reads_per_agent_tick")


class Entry(NamedTuple):
    """One row, as far as the verdict looks at it."""

    name: str
    condition: str
    served: float
    error: float | None
    messages: float
    bytes: float
    reads: float
    seeds: int
    difference: float
    low: float | None
    high: float | None


class Between(NamedTuple):
    """A difference with its bounds; both None where there is no interval."""

    middle: float
    low: float | None
    high: float | None


class Standing(NamedTuple):
    """The table and its measures; `entries` by (mechanism, condition)."""

    entries: dict[tuple[str, str], Entry]
    margin: float
    little: float
    floor: float
    yardsticks: tuple[str, ...]

    def get(self, name: str, condition: str) -> Entry | None:
        """The row of a mechanism under a condition, None where it was not run."""
        return self.entries.get((name, condition))

    def mechanisms(self) -> list[str]:
        """All that can be recommended, by name."""
        return sorted({name for name, _ in self.entries} - set(self.yardsticks))

    def conditions(self, order: Sequence[str]) -> list[str]:
        """Those in which a mechanism was run, first as in `order`, others by name."""
        present = {c for name, c in self.entries if name not in self.yardsticks}
        return [c for c in order if c in present] + sorted(present - set(order))

    def ranked(self, condition: str) -> list[str]:
        """The mechanisms run under a condition, most served first, equals by name."""
        found = [e for e in self.entries.values() if e.condition == condition and e.name not in self.yardsticks]
        return [e.name for e in sorted(found, key=lambda e: (-e.served, e.name))]

    def best(self, condition: str) -> Entry:
        """The row with most served under a condition."""
        return self.entries[self.ranked(condition)[0], condition]

    def against(self, name: str, other: str, condition: str) -> Between:
        """served(name) - served(other). The bounds follow from those against the best: a - b = (a - best) - (b - best),
        so [a_low - b_high, a_high - b_low] is right whenever both are."""
        a, b = self.entries[name, condition], self.entries[other, condition]
        if a.low is None or b.low is None:
            return Between(a.difference - b.difference, None, None)
        return Between(a.difference - b.difference, a.low - b.high, a.high - b.low)

    def worse(self, name: str, other: str, condition: str) -> bool:
        """Lower by more than the margin, and by an interval that excludes 0. False where one was not run."""
        if name == other or self.get(name, condition) is None or self.get(other, condition) is None:
            return False
        apart = self.against(name, other, condition)
        return apart.middle < -self.margin and (apart.high is None or apart.high < 0)

    def cost(self, name: str, condition: str) -> tuple:
        """What is compared between equals: messages, then bytes, then reads; then who serves more; then the name."""
        row = self.entries[name, condition]
        return row.messages, row.bytes, row.reads, -row.served, name

    def spread(self, condition: str) -> Between:
        """Last minus first."""
        ranked = self.ranked(condition)
        return self.against(ranked[-1], ranked[0], condition)

    def detectable(self, condition: str) -> float | None:
        """The largest difference from the best that the intervals leave open; None without intervals."""
        rows = [self.entries[name, condition] for name in self.ranked(condition)]
        if any(row.low is None for row in rows):
            return None
        return max(max(abs(row.low), abs(row.high)) for row in rows)

    def detected(self, condition: str) -> bool:
        """Whether any mechanism is shown to differ from the best, by however little."""
        return any((row.high or 0.0) < 0 for row in (self.entries[name, condition] for name in self.ranked(condition)))

    def regret(self, name: str, conditions: Sequence[str]) -> tuple[float, str]:
        """The largest shortfall against the best, and the first condition in which it is that large."""
        found = [(self.best(c).served - self.entries[name, c].served, c) for c in conditions if self.get(name, c)]
        return max(found, key=lambda pair: pair[0]) if found else (0.0, conditions[0])

    def falls(self, name: str, than: str) -> tuple[str, float] | None:
        """(condition, loss): where `name` falls below `than` as more messages are lost; None where it does not.

        The condition is the first in which it is worse; the loss, where the line between that level and the one before
        is lower by the margin. `calm` is a loss of 0.
        """
        before = None
        for loss, condition in self.losses():
            if self.get(name, condition) is None or self.get(than, condition) is None:
                continue
            ahead = self.against(name, than, condition).middle + self.margin
            if self.worse(name, than, condition):
                if before is None or before[1] <= 0:
                    return condition, loss if before is None else before[0]
                share = before[1] / (before[1] - ahead)
                return condition, before[0] + share * (loss - before[0])
            before = (loss, ahead)
        return None

    def losses(self) -> list[tuple[float, str]]:
        """The levels of loss that were run, lowest first: (share of messages, condition)."""
        found = {"calm": 0.0}
        for _, condition in self.entries:
            if condition.startswith("loss_"):
                found[condition] = _level(condition)
        return sorted((loss, c) for c, loss in found.items())


def read(
    rows: Sequence[Mapping[str, Any]], margin: float, little: float, floor: float, yardsticks: Sequence[str]
) -> Standing:
    """The rows by mechanism and condition, every number checked."""
    for name, value in (("margin", margin), ("little", little), ("floor", floor)):
        if not (isinstance(value, int | float) and 0 <= value < 1):
            raise Refusal(f"{name} is {value}; it is a share of the value offered, at least 0 and below 1")
    entries = {}
    for row in rows:
        entry = _entry(row)
        if (entry.name, entry.condition) in entries:
            raise Refusal(f"rows hold {entry.name} under {entry.condition} twice; each may stand there once")
        entries[entry.name, entry.condition] = entry
    _one_best(entries)
    found = Standing(entries, margin, little, floor, tuple(yardsticks))
    if not found.mechanisms():
        raise Refusal("rows hold no mechanism to recommend; at least one is needed")
    return found


def _entry(row: Mapping[str, Any]) -> Entry:
    for column in ("mechanism", "condition", "seeds", *_NEEDED):
        if row.get(column) in (None, ""):
            raise Refusal(f"a row of {row.get('mechanism') or 'no mechanism'} has no {column}; every row needs one")
    where = f"{row['mechanism']} under {row['condition']}"
    values = {column: _number(row[column], column, where) for column in _NEEDED}
    # A CSV writes None as an empty field.
    optional = {c: None if row.get(c) in (None, "") else _number(row[c], c, where) for c in _OPTIONAL}
    if not 0 <= values["served_mean"] <= 1 + 1e-6:
        raise Refusal(f"served_mean of {where} is {values['served_mean']:g}; it is a share, between 0 and 1")
    for column in ("messages_per_agent_tick", "bytes_per_agent_tick", "reads_per_agent_tick", "served_se"):
        value = (values | optional)[column]
        if value is not None and value < 0:
            raise Refusal(f"{column} of {where} is {value:g}; it cannot be below 0")
    seeds = _number(row["seeds"], "seeds", where)
    if seeds < 1 or seeds != int(seeds):
        raise Refusal(f"seeds of {where} is {seeds:g}; it counts runs and must be at least 1")
    low, high, middle = optional["difference_low"], optional["difference_high"], values["difference_from_best"]
    if (low is None) != (high is None):
        raise Refusal(f"{where} has only one of difference_low and difference_high; both or none are needed")
    if low is not None and not low - 1e-9 <= middle <= high + 1e-9:
        raise Refusal(f"difference_from_best of {where} is {middle:g}, outside its interval [{low:g}, {high:g}]")
    _level(row["condition"])
    return Entry(
        str(row["mechanism"]),
        str(row["condition"]),
        values["served_mean"],
        optional["served_se"],
        values["messages_per_agent_tick"],
        values["bytes_per_agent_tick"],
        optional["reads_per_agent_tick"] or 0.0,
        int(seeds),
        middle,
        low,
        high,
    )


def _one_best(entries: dict[tuple[str, str], Entry]) -> None:
    """All differences of a condition are from one and the same best: served - difference is one number."""
    first: dict[str, Entry] = {}
    for entry in entries.values():
        other = first.setdefault(entry.condition, entry)
        if abs((entry.served - entry.difference) - (other.served - other.difference)) > 1e-4:
            raise Refusal(
                f"{entry.name} and {other.name} under {entry.condition} give different values for the best: "
                f"{entry.served - entry.difference:.6g} and {other.served - other.difference:.6g}"
            )


def _number(value: Any, column: str, where: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise Refusal(f"{column} of {where} is {value}; it must be a finite number")
    return found


def _level(condition: str) -> float | None:
    """The share lost, of a condition such as loss_0.3; None for other conditions."""
    if not condition.startswith("loss_"):
        return None
    try:
        loss = float(condition.removeprefix("loss_"))
    except ValueError:
        loss = math.nan
    if not 0 <= loss <= 1:
        raise Refusal(f'condition "{condition}" must end in a share between 0 and 1, such as loss_0.3')
    return loss
