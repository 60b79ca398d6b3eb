"""The cells of the study: one method at one size under one setting, played over configurations and runs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from quorate.core import Fault, NoFault, Scenario
from quorate.experiments.study import Study, fold_in, stacked
from quorate.faults.failing import Failing
from quorate.learners.boltzmann import Boltzmann, device_temperature
from quorate.learners.uniform import Uniform
from quorate.measure.intervals import interquartile_mean, standard_error
from quorate.measure.recovery import recovery_time
from quorate.solvers import DEVICE_SOLVERS
from quorate.solvers.local_search import LocalSearch
from quorate.utilities import UTILITIES
from quorate.worlds.imperfect_devices import ImperfectDevices, draw, standardised

# (memory, strength) of the learner, by the utility that pays it. The source states neither. A: one setting for all.
# B: one for each utility, at every N. C: tuned at N = 1000, poor at 50. See docs/how_sure.md.
PRESETS: dict[str, dict[str, tuple[float, float]]] = {
    "a": {"expected_difference": (0.9, 1.0), "wonderful_life": (0.9, 1.0), "team": (0.9, 1.0)},
    "b": {"expected_difference": (0.8, 1.0), "wonderful_life": (0.95, 0.3), "team": (0.8, 1.0)},
    "c": {"expected_difference": (0.5, 3.0), "wonderful_life": (0.95, 0.3), "team": (0.8, 1000.0)},
}
METHODS = ("random", *UTILITIES)


def tuned(method: str, preset: str) -> tuple[float, float]:
    """(memory, strength) of a method; those that no preset names are set like the expected difference."""
    return PRESETS[preset].get(method, PRESETS[preset]["expected_difference"])


def default_switch_on(num_agents: int) -> int:
    """Agents that begin to learn in each tick: 3 up to 100 and 60 at 1000, as in the source; 6 % of them elsewhere.

    >>> [default_switch_on(n) for n in (50, 100, 1000, 10**6)]
    [3, 3, 60, 60000]
    """
    return 3 if num_agents <= 100 else max(3, round(0.06 * num_agents))


def scenario(
    num_agents: int = 20,
    utility: str = "expected_difference",
    errors: np.ndarray | None = None,
    memory: float | None = None,
    strength: float | None = None,
    switch_on: int | None = None,
    preset: str = "b",
    fault: Fault | None = None,
    seed: int = 0,
) -> Scenario:
    """Imperfect devices that learn whether to take part.

    errors      [N] or [D, N]; without them `num_agents` normal ones
    utility     a name of `UTILITIES`, or "random" for devices that learn nothing
    memory      the learner's ageing rate, `strength` the c of its temperature c s / N^2; without them the preset's
    switch_on   devices that begin to learn in each tick from tick 20 on

    >>> scenario(num_agents=30).world.num_agents
    30
    """
    errors = standardised(draw(seed, num_agents))[0] if errors is None else errors
    world = ImperfectDevices(errors=errors)
    learner = Uniform()
    if utility != "random":
        usual = tuned(utility, preset)
        strength = usual[1] if strength is None else strength
        learner = Boltzmann(
            temperature=device_temperature(world.errors, strength),
            memory=usual[0] if memory is None else memory,
            switch_on=default_switch_on(world.num_agents) if switch_on is None else switch_on,
        )
    pay = UTILITIES["team" if utility == "random" else utility]
    return Scenario(world=world, learner=learner, utility=pay, fault=fault or NoFault())


@dataclass(frozen=True)
class Cell:
    """One method at one size under one setting. `method` is a utility, "random", or a solver of `DEVICE_SOLVERS`.

    `fraction` is the share of bits that local search flips; `memory`, `strength` and `switch_on` belong to the learner.
    """

    part: str
    num_agents: int
    method: str
    configurations: int
    runs: int
    steps: int
    law: str = "normal"
    preset: str = "b"
    memory: float | None = None
    strength: float | None = None
    switch_on: int | None = None
    fail_fraction: float = 0.0
    fail_at: int = 100
    fail_manner: str = "off"
    fraction: float | None = None

    def resolved(self) -> "Cell":
        """With the preset's and the size's defaults written out, so that equal work has equal names."""
        fails = self.fail_fraction and self.method not in DEVICE_SOLVERS  # a central planner has no agents that fail
        cell = self if fails else replace(self, fail_fraction=0.0, fail_at=0, fail_manner="off")
        if cell.method not in UTILITIES:
            fraction = cell.fraction if cell.fraction is not None else (0.25 if cell.method == "local_search" else None)
            return replace(cell, memory=None, strength=None, switch_on=None, preset="", fraction=fraction)
        memory, strength = tuned(cell.method, cell.preset)
        return replace(
            cell,
            memory=memory if cell.memory is None else cell.memory,
            strength=strength if cell.strength is None else cell.strength,
            switch_on=default_switch_on(cell.num_agents) if cell.switch_on is None else cell.switch_on,
            fraction=None,
        )


@dataclass(frozen=True)
class Played:
    """What a cell gave, in the unit of the distortions: error of each run at the last step, and the mean and 10th,
    50th, 90th percentile curves."""

    cell: Cell
    final: np.ndarray  # [C, R]
    curve: np.ndarray  # [C, T], means over runs; best so far for solvers; T = 1 for methods without steps
    evaluations: float
    counterfactuals: float
    about: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """Its line in the main table."""
        cell, means = self.cell, self.final.mean(axis=1)
        name = {"solver": cell.method} if cell.method in DEVICE_SOLVERS else {"utility": cell.method}
        many = len(means) > 1
        setting = {key: value for key, value in asdict(cell).items() if key not in ("method", "num_agents", "steps")}
        return (
            {"num_agents": cell.num_agents}
            | name
            | {
                "steps": cell.steps,
                "evaluations": self.evaluations,
                "counterfactuals": self.counterfactuals,
                "epsilon_mean": float(self.final.mean()),
                "epsilon_median": float(np.median(self.final)),
                "epsilon_p90": float(np.quantile(self.final, 0.9)),
                "epsilon_iqm": float(interquartile_mean(self.final.ravel())),
                "epsilon_se": float(standard_error(means)) if many else None,
                "epsilon_se_runs": float(self.final.std(ddof=1) / np.sqrt(self.final.size))
                if self.final.size > 1
                else None,
            }
            | setting
        )

    @property
    def by_configuration(self) -> list[dict[str, Any]]:
        """A line a configuration: what paired comparisons are made of."""
        cell = self.cell
        left_out = ("configurations", "runs", "steps", "law", "fail_at")
        setting = {key: value for key, value in asdict(cell).items() if key not in left_out}
        fails = 0 < cell.fail_at < self.curve.shape[1]
        before = self.curve[:, max(0, cell.fail_at - 10) : cell.fail_at].mean(axis=1) if fails else None
        at = min(cell.fail_at + 50, self.curve.shape[1]) - 1
        back = recovery_time(self.curve, cell.fail_at - 1, before, factor=2.0) if fails else None  # -1: never
        lines = []
        for index, runs in enumerate(self.final):
            line = setting | {
                "configuration": index,
                "epsilon_mean": float(runs.mean()),
                "epsilon_median": float(np.median(runs)),
            }
            if before is not None:
                line["epsilon_jump"] = float(self.curve[index, cell.fail_at : cell.fail_at + 20].max())
                line |= {"epsilon_before": float(before[index]), "epsilon_after_50": float(self.curve[index, at])}
                line["recovery_steps"] = None if back[index] < 0 else int(back[index]) - cell.fail_at + 1
            elif cell.method in UTILITIES and self.curve.shape[1] > 45:
                line |= {
                    "epsilon_start": float(self.curve[index, :20].mean()),
                    "epsilon_peak": float(self.curve[index, 20:45].mean()),
                }
            lines.append(line)
        return lines


def configurations(study: Study, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """(errors [C, N] over their root mean square, those root mean squares [C]): the same for every method of a size."""
    drawn = [standardised(draw((study.seed, c), cell.num_agents, cell.law)) for c in range(cell.configurations)]
    return np.stack([errors for errors, _ in drawn]), np.array([scale for _, scale in drawn])


def play(study: Study, cell: Cell, advance: Callable[[int], None] = lambda configurations: None) -> Played:
    """Runs a cell. Learners answer for the joint action of the last step, solvers for the best they have seen."""
    cell = cell.resolved()
    name = " ".join(f"{key}={value}" for key, value in asdict(cell).items() if value is not None and key != "part")
    errors, scales = configurations(study, cell)
    label = f"{cell.num_agents} {cell.law}"
    if cell.method in DEVICE_SOLVERS:
        return _solve(study, cell, name, errors, scales, label, advance)
    fault = None
    if cell.fail_fraction:
        fault = Failing(fraction=cell.fail_fraction, at=cell.fail_at, manner=cell.fail_manner)
    one = [
        scenario(
            errors=row,
            utility=cell.method,
            memory=cell.memory,
            strength=cell.strength,
            switch_on=cell.switch_on,
            fault=fault,
        )
        for row in errors
    ]
    scores = study.sweep(name, stacked(one), cell.steps, cell.runs, ("score",), label, advance)["score"]
    epsilon = -np.asarray(scores, np.float64) * scales[:, None, None]
    # Alternatives that each agent looks at in a step, besides what was played.
    looks = {"random": 0, "selfish": 0, "team": 0, "expected_difference_own_policy": 2}.get(cell.method, 1)
    return Played(cell, epsilon[:, :, -1], epsilon.mean(axis=1), cell.steps, looks * cell.steps * cell.num_agents)


def _solve(study, cell, name, errors, scales, label, advance) -> Played:
    solver = DEVICE_SOLVERS[cell.method]
    if cell.method == "local_search":
        solver = LocalSearch(fraction=cell.fraction)

    def compute() -> dict[str, np.ndarray]:
        found = []
        for index, row in enumerate(errors):
            found.append(solver.solve(fold_in(study.key(label), index), row, cell.steps, cell.runs))
            advance(index + 1)
        curves = [solution.error[:, None] if solution.curve is None else solution.curve for solution in found]
        return {
            "final": np.stack([solution.error for solution in found]),
            "curve": np.stack([curve.mean(axis=0) for curve in curves]),
            "evaluations": np.array([solution.evaluations for solution in found]),
        }

    kept = study.cell(name, compute)
    advance(cell.configurations)
    final, curve = kept["final"] * scales[:, None], kept["curve"] * scales[:, None]
    return Played(cell, final, curve, float(kept["evaluations"].mean()), 0.0, solver.about)


def inapplicable(cell: Cell) -> str | None:
    """Why a solver does not apply at this size, None if it does."""
    if cell.method not in DEVICE_SOLVERS:
        return None
    return DEVICE_SOLVERS[cell.method].refuses(np.ones(cell.num_agents), cell.steps)
