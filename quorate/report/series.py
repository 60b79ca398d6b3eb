"""What a figure draws, checked before it is drawn: series of values, named points and the rules across them."""

from typing import Any, Literal, NamedTuple

import numpy as np

from quorate.report.axis import checked
from quorate.report.palette import SERIES_ROLES

Role = Literal["s1", "s2", "s3", "s4", "s5", "harm"]


class Series(NamedTuple):
    """One line: its name, its colour role, x and y, optionally the ends of a band (or of error bars), all [P]."""

    name: str
    role: Role
    x: Any
    y: Any
    low: Any = None
    high: Any = None


class Point(NamedTuple):
    """One named mark: its colour role, where it lies, and the ends (low, high) of its spreads across and up."""

    name: str
    role: Role
    x: float
    y: float
    across: tuple[float, float] | None = None
    up: tuple[float, float] | None = None


class Rule(NamedTuple):
    """A dotted line across the figure at a value of the x axis (or of the y axis), with a few words."""

    at: float
    text: str
    axis: Literal["x", "y"] = "x"


def checked_series(series: Series, xlog: bool, ylog: bool) -> Series:
    """The series as arrays of one length, or ValueError that names what cannot be drawn."""
    if series.role not in SERIES_ROLES:
        raise ValueError(f'series "{series.name}" has the role {series.role!r}; roles are {", ".join(SERIES_ROLES)}')
    if (series.low is None) != (series.high is None):
        raise ValueError(f'series "{series.name}" has only one of low and high; a band needs both')
    found = {}
    for part in ("x", "y", "low", "high"):
        values = getattr(series, part)
        if values is not None:
            found[part] = checked(values, f'{part} of series "{series.name}"', xlog if part == "x" else ylog)
            if found[part].size != found["x"].size:
                raise ValueError(
                    f'{part} of series "{series.name}" has {found[part].size} values, x has {found["x"].size}'
                )
    if (np.diff(found["x"]) <= 0).any():
        raise ValueError(f'x of series "{series.name}" must increase from point to point')
    if "low" in found and (found["low"] > found["high"]).any():
        place = int(np.argmax(found["low"] > found["high"]))
        raise ValueError(f'series "{series.name}" has a low above its high at position {place}')
    return series._replace(**found)


def checked_point(point: Point, xlog: bool) -> Point:
    """The point as floats, or ValueError that names what cannot be drawn; 0 on a log axis may be, less may not."""
    what = f'point "{point.name}"'
    if point.role not in SERIES_ROLES:
        raise ValueError(f"{what} has the role {point.role!r}; roles are {', '.join(SERIES_ROLES)}")
    found = point._replace(x=float(point.x), y=float(point.y))
    for name, middle, ends in (("across", found.x, point.across), ("up", found.y, point.up)):
        values = [middle] if ends is None else [middle, *map(float, ends)]
        checked(values, what, False)
        if ends is not None:
            low, high = values[1:]
            if not low <= middle <= high:
                raise ValueError(f"{what} has {name} from {low:g} to {high:g}, which does not hold {middle:g}")
            found = found._replace(**{name: (low, high)})
        if xlog and name == "across" and (min(values) < 0 or (middle > 0 and min(values) == 0)):
            raise ValueError(f"{what} reaches {min(values):g} across; a log axis needs numbers above 0, or 0 alone")
    if xlog and found.x == 0 and found.across not in (None, (0.0, 0.0)):
        raise ValueError(f"{what} lies at 0 on a log axis and has a spread across")
    return found


def thinned(series: Series, step: int) -> Series:
    """Every `step`-th point, and the last."""
    count = series.x.size
    keep = np.unique(np.append(np.arange(0, count, step), count - 1))
    return series._replace(
        **{part: getattr(series, part)[keep] for part in ("x", "y", "low", "high") if getattr(series, part) is not None}
    )


def within(given: tuple[float, float] | None, values: np.ndarray, what: str, log: bool) -> tuple[float, float] | None:
    """Given limits, once they are known to hold every value that is drawn."""
    if given is None:
        return None
    low, high = (float(v) for v in checked(given, what, log))
    if not low < high:
        raise ValueError(f"{what} is ({low:g}, {high:g}); the first must be below the second")
    outside = (values < low) | (values > high)
    if outside.any():
        raise ValueError(f"{what} is ({low:g}, {high:g}) but {values[np.argmax(outside)]:g} has to be drawn")
    return low, high
