"""Figures as SVG text: lines with bands or error bars, labelled points, and the strip that lays an interval against a
claim."""

import math
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quorate.report.axis import Axis, checked, limits, spread, ticks
from quorate.report.drawing import LETTER, box, grid, path, plain_id, px, words
from quorate.report.numbers import number, rounded
from quorate.report.palette import LIGHT, chart_style
from quorate.report.series import Point, Rule, Series, checked_point, checked_series, thinned, within
from quorate.report.words import embedded, escape

MARKS = {
    "s1": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "s2": "M-3.7-3.7h7.4v7.4h-7.4z",
    "s3": "M0-5L4.8 3.6H-4.8z",
    "s4": "M0-5L5 0 0 5-5 0z",
    "s5": "M-4-4L4 4M4-4L-4 4",
    "harm": "M0 5L4.8-3.6H-4.8z",
}
MOST_POINTS = 240  # drawn for one series; longer ones are thinned evenly and the axis says so
LINE = 15.0  # height of a line of text
REACH = 8.0  # a strip shows ratios from 1/8 to 8


class Figure(NamedTuple):
    """A drawing with its caption: `title` states the finding, `caption` how to read it. `wide` takes the full width."""

    id: str
    title: str
    caption: str
    svg: str
    wide: bool = False


def _data(series: Sequence[Series], x_axis: Axis, y_axis: Axis, xlabel: str, shifts: Sequence[float]) -> str:
    """What hovering and the arrow keys show, with the digits that `number` gives; places are computed on the page."""
    grid = sorted({float(x) for item in series for x in item.x})
    entries = []
    for item, shift in zip(series, shifts, strict=True):
        place = {float(x): i for i, x in enumerate(item.x)}
        entry = {"n": item.name, "c": item.role, "dx": shift}
        for short, part in (("y", "y"), ("lo", "low"), ("hi", "high")):
            values = getattr(item, part)
            if values is not None:
                entry[short] = [rounded(float(values[place[x]])) if x in place else None for x in grid]
        entries.append(entry)
    axes = {
        name: [axis.low, axis.high, int(axis.log), axis.start, axis.end]
        for name, axis in (("ax", x_axis), ("ay", y_axis))
    }
    whole = [int(x) if x == int(x) else x for x in grid]
    return embedded({"xname": xlabel, **axes, "x": whole, "series": entries})


def _rule_rows(rules: Sequence[Rule], x_axis: Axis) -> list[tuple[Rule, float, str, int]]:
    """The upright rules with (place, anchor, row) of their words; no rule cuts the words of another."""
    ends: list[list[tuple[float, float]]] = []
    placed = []
    for rule in sorted((rule for rule in rules if rule.axis == "x"), key=lambda rule: -rule.at):
        x, width = x_axis.at(rule.at), LETTER * 0.9 * len(rule.text) + 8
        anchor = "end" if x + width > x_axis.end + 60 else "start"
        left, right = (x - width, x) if anchor == "end" else (x, x + width)
        row = next((k for k, taken in enumerate(ends) if all(right <= a or left >= b for a, b in taken)), len(ends))
        if row == len(ends):
            ends.append([])
        ends[row].append((left, right))
        placed.append((rule, x, anchor, row))
    return placed


def lines(
    id: str,
    series: Sequence[Series],
    *,
    xlabel: str,
    ylabel: str,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    xlog: bool = False,
    ylog: bool = False,
    rules: Sequence[Rule | tuple] = (),
    points: bool = False,
    wide: bool = False,
) -> str:
    """Lines over a common x axis as one SVG element, named at their ends; no legend, no frame, no upright grid.

    Where a series has `low` and `high` they are drawn as a band, and with `points` as error bars, with a mark at every
    value. `rules` are `Rule`s or tuples (at, text). A log axis carries whole decades only. More than 240 points in a
    series are thinned evenly, the last one kept, and the x axis says so. The values behind hovering and the arrow keys
    lie inside as JSON in a script element `ID-d`.

    Raises ValueError for what cannot be drawn: values that are not finite, not positive on a log axis or outside given
    limits, and x that does not increase.

    >>> search = Series("search", "s3", [1, 2, 3], [0.1, 0.01, 0.02])
    >>> svg = lines("error", [search], xlabel="tick", ylabel="error", ylog=True)
    >>> svg.startswith("<svg"), "search ends at 0.0200" in svg
    (True, True)
    """
    plain_id(id)
    if not series:
        raise ValueError(f'figure "{id}" has no series')
    series = [checked_series(item, xlog, ylog) for item in series]
    names = [item.name for item in series]
    if len(set(names)) < len(names):
        raise ValueError(f'figure "{id}" has two series of the same name')
    step = math.ceil(max(item.x.size for item in series) / MOST_POINTS)
    series = [thinned(item, step) for item in series] if step > 1 else series
    rules = [Rule(*rule) for rule in rules]

    width, height = (1080, 400) if wide else (520, 340)
    wrapped = [textwrap.wrap(item.name, 30 if wide else 19) or [""] for item in series]
    right = width - 26 - min(LETTER * max(len(line) for name in wrapped for line in name), 0.4 * width)
    xs = np.concatenate([item.x for item in series] + [np.array([rule.at for rule in rules if rule.axis == "x"])])
    flat = [rule.at for rule in rules if rule.axis == "y"]
    checked([*xs, *flat, 1.0], f'figure "{id}", rules', False)
    if xlog and (xs <= 0).any() or ylog and any(at <= 0 for at in flat):
        raise ValueError(f'figure "{id}" has a rule at or below 0 on a log axis')
    ys = np.concatenate([item.y for item in series] + [np.array(flat)])
    bands = [part for item in series for part in (item.low, item.high) if part is not None]
    xlow, xhigh = within(xlim, xs, "xlim", xlog) or limits(xs, xlog, margin=0.04 * points, snap=False)
    ylow, yhigh = within(ylim, ys, "ylim", ylog) or limits(np.concatenate([ys, *bands]), ylog, margin=0.04, snap=True)
    y_ticks = ticks(ylow, yhigh, ylog, 7 if wide else 6)
    left = max(44.0, 16 + 8.2 * max(len(label) for _, label in y_ticks))
    x_axis = Axis(xlow, xhigh, xlog, left, right)
    upright = _rule_rows(rules, x_axis)
    top = 34.0 + 14 * max([row for *_, row in upright], default=0)
    y_axis = Axis(ylow, yhigh, ylog, height - 44.0, top)
    floor = y_axis.start

    parts = []
    for value, label in y_ticks:
        y = y_axis.at(value)
        parts += [path("grid", f"M{px(left, y)}H{px(right)}"), words("tick", left - 8, y + 4, label, "end")]
    x_ticks = ticks(xlow, xhigh, xlog, 9 if wide else 6)
    if xlow == 1 and not xlog and x_ticks[0][0] > 1 and x_axis.at(x_ticks[0][0]) - left > 30:
        x_ticks.insert(0, (1.0, "1"))
    for value, label in x_ticks:
        x = x_axis.at(value)
        parts += [path("tk", f"M{px(x, floor)}v5"), words("tick", x, floor + 19, label, "middle")]
    every = "" if step == 1 else f" (every {step}{ {2: 'nd', 3: 'rd'}.get(step, 'th') } point is drawn)"
    parts += [
        path("axis", f"M{px(left, floor)}H{px(right)}"),
        words("lab", 8, 16, ylabel),
        words("lab", right, height - 6, xlabel + every, "end"),
    ]
    for rule, x, anchor, row in upright:
        y = top - 6 - 14 * row
        parts.append(path("rule", f"M{px(x, y - 8)}V{px(floor)}"))
        parts.append(words("note", x + (5 if anchor == "start" else -5), y + 2, rule.text, anchor))
    for rule in (rule for rule in rules if rule.axis == "y"):
        y = y_axis.at(rule.at)
        parts += [path("rule", f"M{px(left, y)}H{px(right)}"), words("note over", left + 6, y - 5, rule.text)]

    shifts = [4 * (j - (len(series) - 1) / 2) if points else 0.0 for j in range(len(series))]  # bars side by side
    drawn = [_one(item, x_axis, y_axis, shift, points) for item, shift in zip(series, shifts, strict=True)]
    parts += [band for band, _ in drawn] + [line for _, line in drawn]

    ends = [(x_axis.at(item.x[-1]) + shift, y_axis.at(item.y[-1])) for item, shift in zip(series, shifts, strict=True)]
    tallest = max(len(name) for name in wrapped)
    for item, name, (x, y), place in zip(
        series, wrapped, ends, spread([y for _, y in ends], LINE * tallest + 1, top, floor), strict=True
    ):
        parts.append(path("lead", f"M{px(x + 6, y)}L{px(right + 16, place)}"))
        first = place + 4 - LINE / 2 * (len(name) - 1)
        parts += [words(f"name {item.role}", right + 20, first + LINE * k, line) for k, line in enumerate(name)]

    spoken = "; ".join(f"{item.name} ends at {number(item.y[-1])}" for item in series)
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t" tabindex="0"'
        f' data-chart="{id}">'
        f'<title id="{id}-t">{escape(f"{ylabel} by {xlabel}: {spoken}")}</title>'
        + "".join(parts)
        + f'<g class="cross" hidden="">{path("xline", f"M0 {px(top)}V{px(floor)}")}</g>'
        + f'<script type="application/json" id="{id}-d">{_data(series, x_axis, y_axis, xlabel, shifts)}</script></svg>'
    )


def _one(item: Series, x_axis: Axis, y_axis: Axis, shift: float, points: bool) -> tuple[str, str]:
    """(what lies below, what lies above) for one series; bands and bars end at the edge of the plot."""
    x = [x_axis.at(v) + shift for v in item.x]
    y = [y_axis.at(v) for v in item.y]
    below, above = "", []
    if item.low is not None:
        low, high = ([min(max(y_axis.at(v), y_axis.end), y_axis.start) for v in part] for part in (item.low, item.high))
        if points:
            above += [path(f"err {item.role}", f"M{px(a, b)}V{px(c)}") for a, b, c in zip(x, low, high, strict=True)]
        else:
            edge = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
            below = path(f"band {item.role}", "M" + " ".join(px(*place) for place in edge) + "z")
    above.insert(0, path(f"line {item.role}", "M" + " ".join(px(*place) for place in zip(x, y, strict=True))))
    for a, b in zip(x, y, strict=True) if points else [(x[-1], y[-1])]:
        above.append(path(f"mark {item.role}", MARKS[item.role], f' transform="translate({px(a, b)})"'))
    return below, "".join(above)


def points(id: str, marks: Sequence[Point], *, xlabel: str, ylabel: str, xlog: bool = False, wide: bool = False) -> str:
    """Named points with their spreads as one SVG element, such as what is gained against what it costs.

    Names stand beside their marks where there is most room. With `xlog` a point at 0 stands left of the axis, at a tick
    of its own. Pointing, or the arrow keys, read out name and numbers, from left to right.

    Raises ValueError for two points of one name and for what cannot be drawn.

    >>> svg = points("bill", [Point("claim", "s1", 2.0, 0.7)], xlabel="messages", ylabel="served", xlog=True)
    >>> "claim: messages 2.00, served 0.700" in svg
    True
    """
    plain_id(id)
    if not marks:
        raise ValueError(f'figure "{id}" has no points')
    if len({item.name for item in marks}) < len(marks):
        raise ValueError(f'figure "{id}" has two points of the same name')
    marks = sorted((checked_point(item, xlog) for item in marks), key=lambda item: item.x)
    width, height = (1080, 420) if wide else (520, 360)
    right, top, floor = width - 16.0, 34.0, height - 44.0
    free = [item for item in marks if xlog and item.x == 0]  # costs nothing, and a log axis has no 0
    across = [v for item in marks for v in (item.x, *(item.across or ())) if v > 0 or not xlog] or [1.0]
    up = [v for item in marks for v in (item.y, *(item.up or ()))]
    y_axis = Axis(*limits(np.array(up), False, margin=0.06, snap=True), False, floor, top)
    y_ticks = ticks(y_axis.low, y_axis.high, False, 6)
    left = max(44.0, 16 + 8.2 * max(len(label) for _, label in y_ticks))
    start = left + 56 if free else left
    x_axis = Axis(*limits(np.array(across), xlog, margin=0.1, snap=False), xlog, start, right)

    def at(x: float) -> float:
        return left + 24 if xlog and x == 0 else x_axis.at(x)

    parts = []
    for value, label in y_ticks:
        y = y_axis.at(value)
        parts += [path("grid", f"M{px(left, y)}H{px(right)}"), words("tick", left - 8, y + 4, label, "end")]
    x_ticks = [(at(value), label) for value, label in ticks(x_axis.low, x_axis.high, xlog, 6)]
    for x, label in [(at(0), "0"), *x_ticks] if free else x_ticks:
        parts += [path("tk", f"M{px(x, floor)}v5"), words("tick", x, floor + 19, label, "middle")]
    if free:
        parts.append(path("axis", f"M{px(left, floor)}H{px(left + 40)}M{px(left + 38, floor + 4)}l4-8m6 0l-4 8"))
    parts += [path("axis", f"M{px(start - 10 * bool(free), floor)}H{px(right)}"), words("lab", 8, 16, ylabel)]
    parts.append(words("lab", right, height - 6, xlabel, "end"))

    places = [(at(item.x), y_axis.at(item.y)) for item in marks]
    for item, (x, y), (u, v, anchor) in zip(
        marks, places, _beside(marks, places, left, right, top, floor), strict=True
    ):
        bars = ""
        if item.across is not None:
            low, high = (max(at(end), start) if item.x else at(end) for end in item.across)
            bars += path(f"err {item.role}", f"M{px(low, y)}H{px(high)}")
        if item.up is not None:
            low, high = (y_axis.at(end) for end in item.up)
            bars += path(f"err {item.role}", f"M{px(x, low)}V{px(high)}")
        said = [f"{name} {number(value)}" for name, value in ((xlabel, item.x), (ylabel, item.y))]
        for k, ends in enumerate((item.across, item.up)):
            said[k] += "" if ends is None else f" [{number(ends[0])}, {number(ends[1])}]"
        if abs(v - 4 - y) > 17:  # a name that stands away from its mark
            bars = path("lead", f"M{px(x, y)}L{px(u, v - 4)}") + bars
        drawn = path(f"mark {item.role}", MARKS[item.role], f' transform="translate({px(x, y)})"')
        parts.append(
            f'<g class="stop" data-long="{escape(item.name + ": " + ", ".join(said))}">'
            f"{box('hit clear', x - 12, y - 12, 24, 24)}{bars}{drawn}"
            f"{words(f'name over {item.role}', u, v, item.name, anchor)}</g>"
        )
    return grid("points", width, height, f"{ylabel} by {xlabel}", 1, "".join(parts))


def _beside(
    marks: Sequence[Point], places: Sequence[tuple[float, float]], left: float, right: float, top: float, floor: float
) -> list[tuple[float, float, str]]:
    """(x, y, anchor) of the names: of the places around its mark the one that covers least of marks and names, the
    nearest among equals."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    found = []
    for item, (x, y) in zip(marks, places, strict=True):
        long, choices = LETTER * len(item.name), []
        middle = max(min(x, right + 14 - long / 2), left + long / 2)
        for far in (0, 14, 28, 42, 56):
            for u, v, anchor in (
                (x + 10, y + 4 - far, "start"),
                (x + 10, y + 4 + far, "start"),
                (x - 10, y + 4 - far, "end"),
                (x - 10, y + 4 + far, "end"),
                (middle, y - 11 - far, "middle"),
                (middle, y + 20 + far, "middle"),
            ):
                a = u - {"start": 0, "middle": long / 2, "end": long}[anchor]
                covered = (a, v - 11, a + long, v + 3)
                outside = (
                    max(0, left - a) + max(0, a + long - right - 14) + max(0, top - v + 11) + max(0, v + 3 - floor)
                )
                overlap = sum(
                    max(0, min(covered[2], c) - max(covered[0], a)) * max(0, min(covered[3], d) - max(covered[1], b))
                    for a, b, c, d in taken
                )
                choices.append((20 * overlap + 100 * outside + far, len(choices), (u, v, anchor), covered))
        *_, place, covered = min(choices)
        found.append(place)
        taken.append(covered)
    return found


def strip(middle: float, low: float, high: float) -> str:
    """An interval against its claim: a log axis from 1/8 to 8 times the claim, the claim at the line, its side shaded.

    What is off the scale, 0 and infinity too, is drawn as an arrow at that end; an exact result (low equal to high) has
    no whisker. Raises ValueError for NaN, for negative ratios and where low <= middle <= high does not hold.

    >>> 'aria-label="1.50 times the claim, 1.20 to 9.00"' in strip(1.5, 1.2, 9.0)
    True
    """
    if not 0 <= low <= middle <= high:
        raise ValueError(
            f"a strip needs 0 <= low <= middle <= high; found low {low:g}, middle {middle:g}, high {high:g}"
        )

    def at(ratio: float) -> float:
        return 66 + 58 * math.log(min(max(ratio, 1 / REACH), REACH)) / math.log(REACH)

    said = f"{number(middle)} times the claim" + (f", {number(low)} to {number(high)}" if low < high else ", exactly")
    parts = ['<rect class="side" x="66" y="1" width="58" height="18"/>', path("claim", "M66 1v18")]
    if low < high:
        parts.append(path("whisk", f"M{px(at(low))} 10H{px(at(high))}"))
    # The arrow of the middle is full, that of an end of the whisker open.
    if low < 1 / REACH <= middle:
        parts.append(path("whisk", "M12 6L8 10L12 14"))
    if middle <= REACH < high:
        parts.append(path("whisk", "M120 6L124 10L120 14"))
    if middle < 1 / REACH:
        parts.append(path("tipp", "M13 5L6 10L13 15z"))
    elif middle > REACH:
        parts.append(path("tipp", "M119 5L126 10L119 15z"))
    else:
        parts.append(f'<circle class="tipp" cx="{px(at(middle))}" cy="10" r="3.6"/>')
    return (
        f'<svg class="strip" viewBox="0 0 132 20" width="132" height="20" role="img" aria-label="{said}">'
        + "".join(parts)
        + "</svg>"
    )


def standalone(svg: str) -> str:
    """A figure as a file of its own: the light palette written in, without data for hovering, well-formed XML."""
    svg = re.sub(r"<script\b.*?</script>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g class="cross".*?</g>', "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:tabindex|data-[a-z]+)="[^"]*"', "", svg)
    width, height = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()
    start = svg.index(">") + 1
    opening = svg[:start].replace(
        "<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" ', 1
    )
    style = f'<style>{chart_style()}</style><rect width="{width}" height="{height}" fill="{LIGHT["bg"]}"/>'
    return opening.replace(' width="132" height="20"', "", 1) + style + svg[start:] + "\n"
