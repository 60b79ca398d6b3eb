"""From played cells to rows, tables, figures and words."""

from typing import Any

import numpy as np

from quorate.experiments.outcome import Outcome
from quorate.measure.intervals import bootstrap, quantiles, ratio, slope
from quorate.recipes.imperfect_devices.cells import Cell, Played
from quorate.report.figure import Figure, lines
from quorate.report.numbers import number
from quorate.report.series import Rule, Series

NAMES = {
    "expected_difference": ("expected difference", "s1"),
    "wonderful_life": ("wonderful life", "s2"),
    "local_search": ("search", "s3"),
    "team": ("team utility", "s4"),
    "random": ("random", "s5"),
}
MOST_FIGURES = 6  # of learning curves, the largest sizes; a page has a budget
UNKNOWN = dict.fromkeys(("evaluations", "epsilon_mean", "epsilon_median", "epsilon_p90", "epsilon_se"))
LEARN = 20  # step at which the source's learners begin


def told(
    played: list[Played], left_out: list[tuple[Cell, str]], whole: bool, learnability: list[dict[str, Any]]
) -> Outcome:
    """The outcome of a study; `whole` is the source's, with all its parts."""
    main = [one for one in played if one.cell.part == "main"]
    rows = [one.row for one in main]
    for cell, reason in left_out:
        known = {"num_agents": cell.num_agents, "solver": cell.method, "steps": cell.steps}
        rows.append(known | UNKNOWN | {"refused": reason})
    tables = {
        "configurations": [line for one in played for line in one.by_configuration],
        "curves": [line for one in played if one.cell.part in ("main", "failures") for line in _curve_rows(one)],
    }
    if whole:
        tables["settings"] = [one.row for one in played if one.cell.part != "main"]
        tables["learnability"] = learnability
    sizes = sorted({one.cell.num_agents for one in main})
    verdict, shown = _verdict(main, sizes[-1])
    figures = [_learning(main, n) for n in sizes[: -MOST_FIGURES - 1 : -1]]
    if whole:
        figures += [
            _sizes(played),
            _failure(played, 50, 0.1),
            _failure(played, 100, 0.2),
            *(_shares(played, n) for n in (50, 100)),
            _fractions(played),
        ]
    return Outcome(
        rows=rows,
        tables=tables,
        verdict=verdict,
        interval=shown,
        lede=_lede(main, sizes[-1]),
        figures=tuple(figures),
        summary=_summary(main, left_out),
    )


def one_of(played: list[Played], method: str, n: int, part: str = "main", **where: Any) -> Played | None:
    """The first cell that fits."""
    for one in played:
        cell = one.cell
        if (cell.part, cell.method, cell.num_agents) == (part, method, n) and all(
            getattr(cell, k) == v for k, v in where.items()
        ):
            return one
    return None


def compared(above: Played, below: Played) -> tuple[float, float, float] | None:
    """How many times larger the one error is, with a 95 % interval over configurations; None where one configuration
    allows none."""
    if len(above.final) < 2:
        return None
    return tuple(ratio(above.final.mean(1), below.final.mean(1)))


def _verdict(main: list[Played], n: int) -> tuple[str, str | None]:
    mine, search = one_of(main, "expected_difference", n), one_of(main, "local_search", n)
    times = compared(search, mine)
    rival = "search without failure" if mine.cell.fail_fraction else "search"
    opening = f"Paid by expected difference, {n} device{'s end' if n > 1 else ' ends'}"
    if times is None:
        middle = search.final.mean() / mine.final.mean() if mine.final.any() else np.inf
        middle, closer = (middle, "closer to") if middle >= 1 else (1 / middle, "farther from")
        return f"{opening} {number(middle)} times {closer} perfect than {rival}, in one configuration.", None
    if times[2] < 1:
        times, closer = tuple(1 / times[index] for index in (0, 2, 1)), "farther from"
    else:
        closer = "closer to"
    shown = f"[{number(times[1])}, {number(times[2])}]"
    if times[1] <= 1:
        return f"{opening} about as close to perfect as {rival}: {number(times[0])} times closer {shown}.", shown
    return f"{opening} {number(times[0])} times {closer} perfect than {rival} {shown}.", shown


def _lede(main: list[Played], n: int) -> str:
    mine = number(one_of(main, "expected_difference", n).final.mean())
    brackets = "Brackets are 95 % intervals over configurations." if main[0].cell.configurations > 1 else ""
    steepest, exact = (number(one_of(main, name, n).final.mean()) for name in ("steepest_flip", "largest_differencing"))
    return (
        f"Their error after {main[0].cell.steps} steps is {mine}; each looks only at two broadcast numbers and its own "
        f"error. A centre that sees all errors ends at {steepest} by flipping one device at a time, by largest "
        f"differencing at {exact}. {brackets}"
    )


def _summary(main: list[Played], left_out: list[tuple[Cell, str]]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    columns = ("N", "paid by, or solver", "mean error", "median", "90 %")
    found = []
    for one in main:
        levels = (float(level) for level in (one.final.mean(), np.median(one.final), np.quantile(one.final, 0.9)))
        found.append((one.cell.num_agents, one.cell.method, *levels))
    return columns, found + [(cell.num_agents, cell.method, None, None, None) for cell, _ in left_out]


def _curve_rows(one: Played) -> list[dict[str, Any]]:
    """Mean over configurations with a 95 % interval, at no more than 60 steps."""
    if one.curve.shape[1] == 1:
        return []
    length = one.curve.shape[1]
    steps = {*range(0, min(length, 40), 2), *range(40, length, 4), length - 1}
    if at := one.cell.fail_at:
        steps |= set(range(at, min(at + 30, length), 3))
    setting = {
        name: getattr(one.cell, name) for name in ("part", "num_agents", "method", "fail_fraction", "fail_manner")
    }
    rows = []
    for step in sorted(steps):
        column = one.curve[:, step]
        middle, low, high = bootstrap(column, resamples=2000) if len(column) > 1 else (float(column[0]), None, None)
        rows.append(setting | {"step": step + 1, "mean": middle, "low": low, "high": high})
    return rows


def _series(one: Played, name: str, role: str) -> Series:
    rows = _curve_rows(one)
    x, y = [row["step"] for row in rows], [row["mean"] for row in rows]
    if rows[0]["low"] is None:
        return Series(name, role, x, y)
    return Series(name, role, x, y, [row["low"] for row in rows], [row["high"] for row in rows])


def _learning(main: list[Played], n: int) -> Figure:
    found = [(one_of(main, method, n), *NAMES[method]) for method in NAMES]
    mine, search = found[0][0], found[2][0]
    below = np.flatnonzero(mine.curve.mean(0) > search.curve.mean(0))
    title = f"N = {n}: expected difference "
    if below.size and below[-1] + 1 < mine.curve.shape[1]:
        title += f"passes search at step {below[-1] + 2} and ends at {number(mine.final.mean())}"
    else:
        title += f"ends at {number(mine.final.mean())}, search at {number(search.final.mean())}"
    svg = lines(
        f"learn-{n}",
        [_series(one, name, role) for one, name, role in found],
        xlabel="step",
        ylabel=f"error, N = {n}",
        ylog=True,
        rules=(Rule(LEARN, "learning starts"),) if mine.cell.steps > LEARN else (),
        wide=True,
    )
    caption = f"Mean over {mine.final.size} runs, band: 95 % interval over configurations. "
    caption += f"Devices begin to learn {mine.cell.switch_on} at a time."
    return Figure(f"learn-{n}", title, caption, svg, wide=True)


def _sizes(played: list[Played]) -> Figure:
    def series(method: str, name: str, role: str, parts: tuple[str, ...], presets: tuple[str, ...]) -> Series:
        points = [one for one in played if one.cell.method == method and one.cell.part in parts]
        points = sorted(
            (one for one in points if one.cell.preset in presets and one.cell.num_agents >= 1000 * ("c" in presets)),
            key=lambda one: one.cell.num_agents,
        )
        low, middle, high = np.array([quantiles(one.final.ravel()) for one in points]).T
        return Series(name, role, [one.cell.num_agents for one in points], middle, low, high)

    every_steps = played[0].cell.steps
    every = [series(method, *NAMES[method], ("main", "scaling"), ("b", "")) for method in NAMES]
    every.append(series("expected_difference", "… with short memory", "s1", ("presets", "scaling"), ("c",)))

    def steepness(method: str) -> str:
        ones = [one_of(played, method, n) for n in (50, 100, 1000)]
        return f"{slope((50, 100, 1000), [one.final.mean() for one in ones]):.2f}".replace("-", "−")

    mine, search = steepness("expected_difference"), steepness("local_search")
    title = (
        f"The gap grows with the crowd: up to 1000 devices slope {mine} for expected difference, {search} for search"
    )
    label = f"error after {every_steps} steps"
    svg = lines("sizes", every, xlabel="devices N", ylabel=label, xlog=True, ylog=True, points=True, wide=True)
    caption = "Medians over runs, bars from the 10th to the 90th percentile. Short memory is preset C."
    return Figure("sizes", title, caption, svg, wide=True)


def _failure(played: list[Played], n: int, share: float) -> Figure:
    found = [
        (one_of(played, method, n, "failures", fail_fraction=share, fail_manner="off"), *NAMES[method])
        for method in ("expected_difference", "wonderful_life", "team")
    ]
    search = one_of(played, "local_search", n)
    series = [_series(one, name, role) for one, name, role in found] + [_series(search, "search, no failure", "s3")]
    mine, at = found[0][0], found[0][0].cell.fail_at
    under = np.flatnonzero(mine.curve.mean(0)[at:] > search.curve.mean(0)[at:])
    gone = round(share * n)
    if under.size and under[-1] + 1 < mine.curve.shape[1] - at:
        title = f"{under[-1] + 2} steps after {gone} of {n} fail, expected difference is below search again"
    else:
        title = f"After {gone} of {n} fail, expected difference ends at {number(mine.final.mean())}, "
        title += f"search without failure at {number(search.final.mean())}"
    svg = lines(
        f"fail-{n}", series, xlabel="step", ylabel=f"error, N = {n}", ylog=True, rules=(Rule(at, f"{gone} switch off"),)
    )
    return Figure(
        f"fail-{n}", title, f"Mean over {mine.final.size} runs with 95 % intervals; failed devices stay off.", svg
    )


def _shares(played: list[Played], n: int) -> Figure:
    whole, search = one_of(played, "expected_difference", n), one_of(played, "local_search", n)
    shares = (0.1, 0.2, 0.3, 0.4, 0.5)
    points = [whole] + [
        one_of(played, "expected_difference", n, "failures", fail_fraction=s, fail_manner="off") for s in shares
    ]
    x = [0, *(100 * share for share in shares)]

    def series(name: str, role: str, ones: list[Played], at: list[float]) -> Series:
        middle, low, high = np.array([bootstrap(one.final.mean(1)) for one in ones]).T
        return Series(name, role, at, middle, low, high)

    better = [one.final.mean() < search.final.mean() for one in points]
    kept = better.index(False) if False in better else len(better)  # the first share at which search is ahead
    title = f"N = {n}: search without failure is ahead from {x[kept]:.0f} % failed on"
    if kept == len(better):
        title = f"N = {n}: better than search without failure even with half of them failed"
    all_series = [
        series("expected difference", "s1", points, x),
        series("search, no failure", "s3", [search, search], [0, 50]),
    ]
    svg = lines(
        f"share-{n}",
        all_series,
        xlabel="failed, %",
        ylabel=f"error after {whole.cell.steps} steps, N = {n}",
        ylog=True,
        points=True,
    )
    return Figure(
        f"share-{n}",
        title,
        "Mean with its 95 % interval over configurations; failed devices stay off from then on.",
        svg,
    )


def _fractions(played: list[Played]) -> Figure:
    series = []
    for n, role in ((50, "s5"), (100, "s4"), (1000, "s3")):
        ones = sorted(
            (
                one
                for one in played
                if (one.cell.part, one.cell.method, one.cell.num_agents) == ("sensitivity", "local_search", n)
            ),
            key=lambda one: one.cell.fraction,
        )
        middle, low, high = np.array([bootstrap(one.final.mean(1)) for one in ones]).T
        series.append(Series(f"N = {n}", role, [100 * one.cell.fraction for one in ones], middle, low, high))
    span = max(series[-1].y) / min(series[-1].y)
    title = f"How much search changes matters: a factor of {number(span)} at N = 1000"
    svg = lines(
        "fractions",
        series,
        xlabel="devices flipped in a step, %",
        ylabel=f"error of search after {ones[0].cell.steps} steps",
        xlog=True,
        ylog=True,
        points=True,
    )
    return Figure("fractions", title, "Mean with its 95 % interval over configurations.", svg)
