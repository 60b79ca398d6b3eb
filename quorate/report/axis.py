"""One axis of a figure: where a value lies in pixels, which ticks it carries and how they read."""

import math
from typing import NamedTuple

import numpy as np

from quorate.report.numbers import MINUS, THIN, number, raised


class Axis(NamedTuple):
    """A stretch of values [low, high] laid over the pixels from `start` to `end`, linear or logarithmic."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def checked(values, what: str, log: bool) -> np.ndarray:
    """`values` as floats, or ValueError where one cannot be drawn: not finite, or not positive on a log axis."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{what} has shape {array.shape}; a figure needs at least one value in one dimension")
    bad = ~np.isfinite(array)
    if bad.any():
        place = int(np.argmax(bad))
        raise ValueError(f"{what} holds {array[place]} at position {place}; a figure needs finite numbers")
    if log and (array <= 0).any():
        place = int(np.argmax(array <= 0))
        raise ValueError(f"{what} holds {array[place]:g} at position {place}; a log axis needs numbers above 0")
    return array


def nice(rough: float) -> float:
    """The least of 1, 2, 2.5 or 5 times a power of ten that is not below `rough`.

    >>> nice(0.13), nice(3.0), nice(23.0)
    (0.2, 5.0, 25.0)
    """
    power = 10.0 ** math.floor(math.log10(rough))
    choices = (1, 2, 5, 10) if power == 1 else (1, 2, 2.5, 5, 10)  # steps of 2.5 look odd where readers count in ones
    return next(m * power for m in choices if m * power >= rough * (1 - 1e-9))


def limits(values: np.ndarray, log: bool, *, margin: float, snap: bool) -> tuple[float, float]:
    """Limits that hold all `values`, with a `margin` (share of the span) around; `snap` ends a linear axis on ticks."""
    low, high = float(values.min()), float(values.max())
    if log:
        if low == high:
            return low / 3, high * 3
        factor = (high / low) ** margin
        return low / factor, high * factor
    if low == high:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    if not snap:
        return low - margin * (high - low), high + margin * (high - low)
    if 0 <= low <= 0.35 * high:
        low = 0.0
    step = nice((high - low) / 5)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def linear_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """At most `most` round values from `low` to `high` with their labels.

    >>> [label for _, label in linear_ticks(0, 1, 6)]
    ['0', '0.2', '0.4', '0.6', '0.8', '1.0']
    """
    step = nice((high - low) / (most - 1))
    values = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    if max(abs(low), abs(high)) >= 1e6 or step < 1e-4:
        return [(v, number(float(v))) for v in values]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    places += abs(round(step * 10**places) - step * 10**places) > 1e-6  # 0.25 needs one more place than 0.2
    grouped = max(abs(low), abs(high)) >= 1e4
    labels = [f"{v:,.{places}f}".replace(",", THIN if grouped else "").replace("-", MINUS) for v in values]
    return [(v, "0" if v == 0 else label) for v, label in zip(values, labels, strict=True)]


def log_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Whole decades from `low` to `high`, every second or third of them when they are many.

    Where fewer than two decades lie inside, 1, 2 and 5 times a decade serve, and below that round values.

    >>> [label for _, label in log_ticks(2e-8, 0.2, 6)]
    ['10⁻⁷', '10⁻⁵', '10⁻³', '10⁻¹']
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last > first:
        stride = math.ceil((last - first + 1) / most)
        exponents = [e for e in range(first, last + 1) if (last - e) % stride == 0]
        return [(10.0**e, {0: "1", 1: "10"}.get(e, f"10{raised(e)}")) for e in exponents]
    values = [m * 10.0**e for e in range(first - 1, last + 2) for m in (1, 2, 5)]
    values = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    if len(values) < 2:
        return linear_ticks(low, high, most)
    return [(v, f"{v:g}" if 1e-4 <= v < 1e4 else number(v)) for v in values]


def ticks(low: float, high: float, log: bool, most: int) -> list[tuple[float, str]]:
    """Places and labels of the ticks of an axis."""
    return log_ticks(low, high, most) if log else linear_ticks(low, high, most)


def spread(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places near `heights`, at least `gap` apart and within [low, high], moved as little as possible.

    Neighbours that are too close form a block centred on their mean; blocks that then touch are joined. Where all do
    not fit, the gap shrinks until they do.

    >>> spread([10.0, 12.0, 50.0], 16.0, 0.0, 100.0)
    [3.0, 19.0, 50.0]
    """
    if not heights:
        return []
    count = len(heights)
    gap = min(gap, (high - low) / max(1, count - 1))
    order = sorted(range(count), key=lambda i: heights[i])
    blocks: list[tuple[float, int]] = []  # (centre, members)

    def inside(centre: float, members: int) -> float:
        half = gap * (members - 1) / 2
        return min(max(centre, low + half), high - half)

    means: list[float] = []
    for i in order:
        mean, members = heights[i], 1
        while (
            blocks
            and inside(mean, members) - gap * (members - 1) / 2
            < blocks[-1][0] + gap * (blocks[-1][1] - 1) / 2 + gap - 1e-9
        ):
            _, others = blocks.pop()
            mean = (mean * members + means.pop() * others) / (members + others)
            members += others
        blocks.append((inside(mean, members), members))
        means.append(mean)
    placed = [centre + gap * (k - (members - 1) / 2) for centre, members in blocks for k in range(members)]
    result = [0.0] * count
    for i, place in zip(order, placed, strict=True):
        result[i] = place
    return result
