"""Choosing among the devices of a file: by coordination, by every baseline, judged at points that played no part in
the choice."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quorate.errors import Refusal
from quorate.experiments.outcome import Outcome
from quorate.experiments.read import Table, one_sign, read_numbers
from quorate.experiments.study import Study, fold_in, stacked
from quorate.faults.failing import Failing
from quorate.measure.intervals import Interval, bootstrap
from quorate.recipes.imperfect_devices.cells import METHODS, Cell, default_switch_on, scenario, tuned
from quorate.recipes.imperfect_devices.telling import NAMES, UNKNOWN
from quorate.report.figure import Figure, lines
from quorate.report.numbers import number
from quorate.report.series import Series
from quorate.solvers import DEVICE_SOLVERS
from quorate.solvers.solution import epsilon
from quorate.worlds.imperfect_devices import standardised

RUNS = 20  # of each method that draws lots, at most: one file is one configuration


@dataclass(frozen=True)
class Choice:
    """What one method chose: a subset a run, its error at the selection points, and the mean curve."""

    name: str
    kind: str  # "utility", "solver" or "yardstick"
    chosen: np.ndarray | None  # [R, N]
    error: np.ndarray  # [R]
    curve: np.ndarray | None
    evaluations: float
    note: str = ""

    @property
    def typical(self) -> int:
        """The run whose error is the median (the lower one of two): what one run of it gives, no lucky pick."""
        return int(np.argsort(self.error)[(len(self.error) - 1) // 2])


def choose_devices(study: Study, base: Cell, devices: Path, test: Path | None) -> Outcome:
    """The outcome of `quorate run imperfect_devices --devices FILE [--test FILE]`."""
    table = read_numbers(devices)
    errors = table.cells.T  # [D, N]: a row of the file is a device
    held_out = None if test is None else _same_devices(table, read_numbers(test), devices, test)
    num_agents = errors.shape[1]
    if base.switch_on is not None and base.switch_on > num_agents:
        raise Refusal(f"--switch-on is {base.switch_on}; {devices} has {num_agents} devices")
    base = Cell(
        **{**vars(base), "num_agents": num_agents, "runs": min(base.runs, RUNS), "configurations": 1, "law": "file"}
    )
    warnings = []
    if one_sign(table.cells):
        warnings.append("All errors at a point have one sign, so nothing can cancel there. Are they signed?")
    flat = errors[0] if len(errors) == 1 else errors
    names = [*METHODS, *DEVICE_SOLVERS]
    study.reporter.stages(["choosing"])
    study.reporter.start("choosing", len(names), "methods")
    choices, refused = _yardsticks(flat), []
    for index, name in enumerate(names):
        if name in METHODS:
            choices.append(_coordinated(study, base, flat, name))
        elif reason := DEVICE_SOLVERS[name].refuses(flat, base.steps):
            refused.append(
                {"num_agents": num_agents, "solver": name, "steps": base.steps} | UNKNOWN | {"refused": reason}
            )
        else:
            choices.append(_solved(study, base, flat, name))
        study.reporter.advance("choosing", index + 1)
    study.reporter.finish("choosing")
    named = {choice.name: choice for choice in choices}
    solved = [choice for choice in choices if choice.kind == "solver"]
    centre = min(solved, key=lambda choice: (choice.error[choice.typical], choice.evaluations))
    rivals = {name: named[name] for name in ("all_devices", "best_single_device")} | {"centre": centre}
    judged = held_out if held_out is not None else flat
    rows = [_row(choice, base, rivals, judged, held_out is not None) for choice in choices]
    chooses = [choice for choice in choices if choice.chosen is not None]
    return Outcome(
        rows=rows + refused,
        figures=tuple(_figures(choices, base)),
        warnings=tuple(warnings),
        files={"chosen.csv": _chosen_csv(table, chooses)},
        summary=_summary(rows, held_out is not None),
        **_words(rows, num_agents, devices, held_out is not None, len(errors)),
    )


def _same_devices(table: Table, other: Table, devices: Path, test: Path) -> np.ndarray:
    """The test errors [D', N], columns in the order of `table`."""
    if len(other.names) != len(table.names):
        raise Refusal(
            f"{test}: has {len(other.names)} devices, {devices} has {len(table.names)}; both need the same ones"
        )
    place = {name: index for index, name in enumerate(other.names)}
    missing = [name for name in table.names if name not in place]
    if missing:
        raise Refusal(f'{test}: has no device "{missing[0]}", which {devices} has')
    if other.cells.shape == table.cells.shape and (other.cells == table.cells).all():
        raise Refusal(
            f"{test}: holds the same numbers as {devices}; a choice is judged at points that played no part in it"
        )
    cells = other.cells[[place[name] for name in table.names]].T
    return cells[0] if len(cells) == 1 and table.cells.shape[1] == 1 else cells


def _yardsticks(errors: np.ndarray) -> list[Choice]:
    """What takes no choosing: all devices, and the one that is best at the selection points."""
    n = errors.shape[-1]
    alone = np.sqrt(np.mean(np.atleast_2d(errors) ** 2, axis=0))
    subsets = {"all_devices": np.ones(n, bool), "best_single_device": np.arange(n) == np.argmin(alone)}
    return [Choice(name, "yardstick", row[None], epsilon(errors, row[None]), None, n) for name, row in subsets.items()]


def _coordinated(study: Study, base: Cell, errors: np.ndarray, method: str) -> Choice:
    scaled, scale = standardised(errors)
    memory, strength = tuned(method, base.preset)
    fault = None
    if base.fail_fraction:
        fault = Failing(fraction=base.fail_fraction, at=base.fail_at, manner=base.fail_manner)
    switch_on = base.switch_on or default_switch_on(base.num_agents)
    one = scenario(errors=scaled, utility=method, memory=memory, strength=strength, switch_on=switch_on, fault=fault)
    name = f"devices {method} runs={base.runs} steps={base.steps}"
    played = study.sweep(name, stacked([one]), base.steps, base.runs, _score_and_choice, "devices")
    chosen = played["actions"][0, :, -1].astype(bool)
    curve = -np.asarray(played["score"][0], np.float64).mean(0) * scale
    return Choice(method, "utility", chosen, epsilon(errors, chosen), curve, base.steps)


def _score_and_choice(step: Any) -> dict[str, Any]:
    return {"score": step.score, "actions": step.actions.astype("int8")}


def _solved(study: Study, base: Cell, errors: np.ndarray, name: str) -> Choice:
    solver = DEVICE_SOLVERS[name]

    def compute() -> dict[str, np.ndarray]:
        found = solver.solve(fold_in(study.key("devices"), 0), errors, base.steps, base.runs)
        kept = {"error": found.error, "evaluations": np.asarray(found.evaluations)}
        return kept | {key: getattr(found, key) for key in ("chosen", "curve") if getattr(found, key) is not None}

    found = study.cell(f"devices {name} runs={base.runs} steps={base.steps}", compute)
    curve = found["curve"].mean(0) if "curve" in found else None
    kind = "bound" if solver.kind == "bound" else "solver"
    return Choice(name, kind, found.get("chosen"), found["error"], curve, float(found["evaluations"]), solver.about)


def _row(choice: Choice, base: Cell, rivals: dict[str, Choice], judged: np.ndarray, apart: bool) -> dict[str, Any]:
    """Its line in the main table. The typical run is judged at the test points, beside each of `rivals`: how many times
    closer it is, with a 95 % interval over points."""
    key = {"utility": "utility", "yardstick": "yardstick"}.get(choice.kind, "solver")
    many = len(choice.error) > 1
    row = {
        "num_agents": base.num_agents,
        key: choice.name,
        "steps": base.steps,
        "evaluations": choice.evaluations,
        "epsilon_mean": float(choice.error.mean()),
        "epsilon_median": float(np.median(choice.error)),
        "epsilon_p90": float(np.quantile(choice.error, 0.9)),
        "epsilon_se": None,
        "epsilon_se_runs": float(choice.error.std(ddof=1) / np.sqrt(len(choice.error))) if many else None,
        "runs": len(choice.error),
    }
    if choice.chosen is None:
        return row | {"bound": True}
    subset = choice.chosen[choice.typical]
    row |= {"chosen": int(subset.sum()), "epsilon_typical": float(choice.error[choice.typical])}
    if apart:
        row["test_error"] = float(epsilon(judged, subset))
        if judged.ndim == 2 and len(judged) > 1:
            mine = _at_points(judged, subset)
            for name, rival in rivals.items():
                times = _times(_at_points(judged, rival.chosen[rival.typical]), mine)
                row |= {f"closer_than_{name}": times.middle, f"closer_than_{name}_low": times.low}
                row |= {f"closer_than_{name}_high": times.high}
    return row


def _at_points(errors: np.ndarray, subset: np.ndarray) -> np.ndarray:
    """The squared error of the chosen devices' mean at each point [D]; nobody chosen is no mean and scores as the
    worst single device."""
    if not subset.any():
        return np.full(len(errors), epsilon(errors, subset) ** 2)
    return errors[:, subset].mean(axis=1) ** 2


def _times(above: np.ndarray, below: np.ndarray) -> Interval:
    """How many times smaller the second root mean square error is, both at the same points."""

    def statistic(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return np.sqrt(one.mean(axis=axis) / np.maximum(other.mean(axis=axis), np.finfo(float).tiny))

    return bootstrap((above, below), statistic, resamples=4000)


def _words(rows: list[dict[str, Any]], n: int, devices: Path, apart: bool, points: int) -> dict[str, Any]:
    """Verdict, interval and lede, from the rows alone.

    The centre's method is the one that is best at the selection points, as a centre would pick it; what that is worth
    is read at the test points.
    """
    by = {row.get("utility") or row.get("solver") or row.get("yardstick"): row for row in rows}
    column, where = ("test_error", "at test points") if apart else ("epsilon_typical", "at the selection points")
    mine, everything, single = by["expected_difference"], by["all_devices"], by["best_single_device"]
    solved = [row for row in rows if "solver" in row and "epsilon_typical" in row]
    centre = min(solved, key=lambda row: (row["epsilon_typical"], row.get("evaluations", 0)))
    error = mine[column]

    def closer(than: str, rival: float) -> tuple[float, str | None, float, float]:
        """(times, interval as text, low, high); without test points the interval is the number itself."""
        plain = 1.0 if rival == error else (rival / error if error else float("inf"))
        times = mine.get(f"closer_than_{than}", plain)
        low, high = (mine.get(f"closer_than_{than}_{end}", times) for end in ("low", "high"))
        return times, f"[{number(low)}, {number(high)}]" if f"closer_than_{than}" in mine else None, low, high

    times, shown, low, high = closer("all_devices", everything[column])
    end = " ".join(filter(None, (f"{number(times)} times closer to the truth than the average of all", shown)))
    if times < 1:
        end = f"{number(1 / times)} times farther from the truth than the average of all"
        end += f" [{number(1 / high)}, {number(1 / low)}]" if shown else ""
    to_single, shown_single, low_single, _ = closer("best_single_device", single[column])
    if low <= 1:
        verdict = f"Choosing does not beat averaging all {n} devices: the chosen end {end} {where}. "
        verdict += "Errors that devices share cannot be cancelled by choosing." if apart else ""
    elif low_single <= 1:
        verdict = f"Choosing among themselves, {n} devices end {end} {where}, but no closer than the best single one: "
        verdict += f"{number(to_single)} times {shown_single or ''}".rstrip() + "."
    else:
        verdict = f"Choosing among themselves, {n} devices end {end} {where}."
    name = centre["solver"].replace("_", " ")
    told = f"One centre that sees every error should use {name}, the best at the selection points: "
    told += f"{number(centre[column])} {where}, against {number(error)} by coordination. "
    over, shown_over, low_over, high_over = closer("centre", centre[column])
    if shown_over and low_over <= 1 <= high_over:
        told += f"They are not told apart there ({number(over)} times {shown_over}). "
    own = "its own error" if points == 1 else "its own errors"
    told += (
        f"Where no centre sees them, coordination buys {number(error)} against {number(everything[column])} for all "
    )
    told += f"devices and {number(single[column])} for the best single one; each device needs {points + 1} broadcast "
    told += f"numbers a step and {own}."
    held = "" if apart else " These errors flatter every method: --test FILE judges the choice at other points."
    return {"verdict": verdict.rstrip(), "interval": shown, "lede": f"{told}{held} Devices from {devices.name}."}


def _summary(rows: list[dict[str, Any]], apart: bool) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    column = "epsilon_typical"
    columns = ("chosen by", "devices", "selection error") + (("test error", "all / this") if apart else ())
    shown = []
    for row in rows:
        name = row.get("utility") or row.get("solver") or row.get("yardstick")
        line = (name, row.get("chosen"), row.get(column, row["epsilon_mean"]))
        shown.append(line + ((row.get("test_error"), row.get("closer_than_all_devices")) if apart else ()))
    return columns, shown


def _figures(choices: list[Choice], base: Cell) -> list[Figure]:
    by = {choice.name: choice for choice in choices}
    x = np.unique(np.linspace(1, base.steps, min(base.steps, 120)).astype(int))
    series = [Series(name, role, x, by[method].curve[x - 1]) for method, (name, role) in NAMES.items()]
    if any(np.any(item.y <= 0) for item in series):
        return []
    ends = {item.name: float(item.y[-1]) for item in series}
    title = f"Expected difference ends at {number(ends['expected difference'])}, search at {number(ends['search'])}"
    caption = f"Error at the selection points, mean over {base.runs} runs."
    svg = lines("choosing", series, xlabel="step", ylabel=f"error, {base.num_agents} devices", ylog=True, wide=True)
    return [Figure("choosing", title, caption, svg, wide=True)]


def _chosen_csv(table: Table, choices: list[Choice]) -> str:
    """A row a device, a column a method: 1 if it is in the subset of the method's typical run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["device", *(choice.name for choice in choices)])
    subsets = np.stack([choice.chosen[choice.typical] for choice in choices], axis=1).astype(int)
    writer.writerows([name, *row] for name, row in zip(table.names, subsets.tolist(), strict=True))
    return text.getvalue()
