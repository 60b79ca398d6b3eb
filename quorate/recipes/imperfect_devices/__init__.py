"""Imperfect devices: can a thousand unreliable agents, each paid for its own effect on the whole, choose a subset
whose errors cancel?

Reference: K. Tumer, Designing Agent Utilities for Coordinated, Scalable and Robust Multi-Agent Systems (2006),
Sections 3 and 4.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from quorate.arguments import Choice, Count, Counts, File, Share
from quorate.errors import Refusal
from quorate.experiments.outcome import Outcome
from quorate.experiments.study import Study
from quorate.faults.failing import MANNERS
from quorate.recipes.imperfect_devices import plan
from quorate.recipes.imperfect_devices.cells import PRESETS, Cell, Played, inapplicable, play, scenario
from quorate.recipes.imperfect_devices.choosing import RUNS, choose_devices
from quorate.recipes.imperfect_devices.claims import CLAIMS, measured_learnability
from quorate.recipes.imperfect_devices.telling import told
from quorate.worlds.imperfect_devices import LAWS

# Claims are judged at these arguments only.
RECORDED: dict[str, Any] = {}
MOST = 10_000_000  # agents: beyond this the common grid of the errors gets coarse, see numerics/fixed_point.py


def main(
    study: Study,
    *,
    num_agents: Annotated[
        tuple[int, ...] | None, Counts("agents; without it the source's whole study is run", most=MOST)
    ] = None,
    configurations: Annotated[int, Count("draws of the distortions")] = 20,
    runs: Annotated[int, Count("runs of each configuration")] = 50,
    steps: Annotated[int, Count("time steps")] = 200,
    switch_on: Annotated[int | None, Count("agents that begin to learn in each step")] = None,
    law: Annotated[str, Choice("law of the distortions", LAWS)] = "normal",
    preset: Annotated[str, Choice("learner settings", tuple(PRESETS))] = "b",
    fail_fraction: Annotated[float, Share("share of the agents that fail")] = 0.0,
    fail_at: Annotated[int, Count("steps before they fail")] = 100,
    fail_manner: Annotated[str, Choice("what failed agents do", MANNERS)] = "off",
    devices: Annotated[
        Path | None, File("CSV of signed errors, a row for each device: choose among real devices")
    ] = None,
    test: Annotated[
        Path | None, File("CSV of the same devices' errors at other points, to judge the choice by")
    ] = None,
) -> Outcome:
    """Chooses the subset of imperfect devices whose errors cancel best, by coordination and by every baseline.

    Without arguments it repeats the source's study and judges its claims; with `num_agents` it plays those sizes;
    with `devices` it chooses among the devices of a file.
    """
    if test is not None and devices is None:
        raise Refusal("--test needs --devices: it holds the same devices' errors at other points")
    whole = num_agents is None and devices is None
    if devices is not None and (configurations != 20 or law != "normal"):
        raise Refusal("--configurations and --law describe drawn distortions; --devices brings its own errors")
    if (fail_fraction or whole) and fail_at >= steps:
        raise Refusal(f"--fail-at is {fail_at}; with {steps} steps nothing would fail: it must be below --steps")
    if whole and configurations < 2:
        raise Refusal(f"--configurations is {configurations}; the source's study compares over at least 2")
    if whole and (fail_fraction or preset != "b"):
        raise Refusal("the source's study sets presets and failures itself; with --num-agents they can be chosen")
    base = Cell(
        part="main",
        num_agents=0,
        method="random",
        configurations=configurations,
        runs=runs,
        steps=steps,
        law=law,
        preset=preset,
        switch_on=switch_on,
        fail_fraction=fail_fraction,
        fail_at=fail_at,
        fail_manner=fail_manner,
    )
    if devices is not None:
        if num_agents is not None:
            raise Refusal("--num-agents and --devices exclude each other: the file says how many devices there are")
        return choose_devices(study, base, devices, test)
    for n in num_agents or plan.SIZES:
        if switch_on is not None and switch_on > n:
            raise Refusal(f"--switch-on is {switch_on}; there are {n} agents")
    stages = plan.main_part(num_agents or plan.SIZES, base)
    if whole:
        stages |= plan.whole_study(base)
    played, left_out = play_all(study, stages)
    return told(played, left_out, whole, measured_learnability(study) if whole else [])


def setting(*, configurations: int, runs: int, law: str, preset: str, devices: Path | None, **more: Any) -> str:
    """The arguments in a few words, for headings."""
    failing = ""
    if more["fail_fraction"]:
        failing = f", {100 * more['fail_fraction']:g} % fail at step {more['fail_at']} ({more['fail_manner']})"
    if devices is not None:
        return f"devices of {devices.name}, {min(runs, RUNS)} runs{failing}"
    return f"{configurations} configurations, {runs} runs each, {law} distortions, preset {preset}{failing}"


def play_all(study: Study, stages: dict[str, list[Cell]]) -> tuple[list[Played], list[tuple[Cell, str]]]:
    """All cells in turn; one that an earlier stage has played is not played again. Solvers that do not apply are kept
    with the reason."""
    study.reporter.stages(list(stages))
    done: dict[Cell, Played] = {}
    played, left_out = [], []
    for name, cells in stages.items():
        total = sum(cell.configurations for cell in cells)
        study.reporter.start(name, total, "plays")
        before = 0
        for cell in cells:
            if reason := inapplicable(cell):
                left_out.append((cell.resolved(), reason))
            else:
                same = replace(cell.resolved(), part="")
                if same not in done:

                    def advance(part: int, stage: str = name, before: int = before) -> None:
                        study.reporter.advance(stage, before + part)

                    done[same] = play(study, cell, advance)
                played.append(replace(done[same], cell=replace(done[same].cell, part=cell.part)))
            before += cell.configurations
            study.reporter.advance(name, before)
        study.reporter.finish(name)
    return played, left_out


__all__ = ["CLAIMS", "RECORDED", "main", "scenario", "setting"]
