"""Collectives: do difference utilities carry over to crowded bars, squeezed sums, roads with a paradox and unequal
servers?

Four small worlds with known optima. Each utility gets the best of one grid of temperatures, chosen on runs that are
not judged.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from quorate.arguments import Count
from quorate.core import AggregativeWorld, Scenario
from quorate.experiments.claims import Claim, Measured, Word, side
from quorate.experiments.outcome import Outcome, Rows
from quorate.experiments.study import Study, stacked
from quorate.learners.boltzmann import Boltzmann
from quorate.learners.uniform import Uniform
from quorate.measure.intervals import bootstrap
from quorate.report.numbers import interval, number
from quorate.solvers import bar, braess, gaussian_squeeze, servers
from quorate.utilities import UTILITIES
from quorate.worlds.bar import Bar
from quorate.worlds.braess import Braess
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from quorate.worlds.servers import Servers

RECORDED: dict[str, Any] = {}
MEMORY = 0.9
PAID = ("team", "selfish", "wonderful_life", "expected_difference", "expected_difference_own_policy")
TEMPERATURES = np.geomspace(1e-3, 10, 9)  # times the size of one agent's effect in its world


@dataclass(frozen=True)
class Problem:
    """A world with the score of its optimum and, where it has one, of its Nash equilibrium; `effect` is the size of
    what one agent can do to the score, the unit of its grid of temperatures."""

    name: str
    world: AggregativeWorld
    optimum: float
    effect: float
    nash: float | None = None


def problems() -> list[Problem]:
    """Twelve problems in four worlds, sizes as in docs/how_sure.md."""
    found = []
    for n, nights, capacity in ((60, 7, 3.0), (168, 7, 6.0), (1000, 10, 20.0)):
        world = Bar(num_agents=n, nights=nights, capacity=capacity)
        found.append(
            Problem(f"bar, {n} guests, {nights} nights for {capacity:g}", world, bar.optimum(world).score, 1.0)
        )
    for width in (0.5, 0.1):
        for n in (10, 100, 1000):
            mu = 1.8 * n
            world = GaussianSqueeze(num_agents=n, mu=mu, sigma=width * mu)
            best = gaussian_squeeze.optimum(world).score
            found.append(Problem(f"squeeze, {n} agents, width {width:g}", world, best, best / n))
    for n in (100, 1000):
        world = Braess(num_agents=n, link=True)
        best, stable = braess.optimum(world).score, braess.nash(world).score
        found.append(Problem(f"roads, {n} drivers", world, best, 20.0 / n, stable))
    base = np.linspace(1.0, 4.5, 8)
    world = Servers(num_agents=100, base=base, speed=np.linspace(1.0, 8.0, 8)[::-1])
    best, stable = servers.optimum(world).score, servers.nash(world).score
    found.append(Problem("servers, 100 jobs, 8 servers", world, best, 5.0, stable))
    return found


def scenario(
    world: AggregativeWorld | None = None, utility: str = "expected_difference", temperature: float = 0.1
) -> Scenario:
    """A crowd of Boltzmann learners in `world` (a bar without it), all learning from the twentieth tick on, 6 % of
    them at a time.

    >>> scenario().world.num_agents
    60
    """
    world = Bar(num_agents=60, nights=7, capacity=3.0) if world is None else world
    if utility == "random":
        return Scenario(world=world, learner=Uniform())
    learner = Boltzmann(temperature=temperature, memory=MEMORY, switch_on=max(1, round(0.06 * world.num_agents)))
    return Scenario(world=world, learner=learner, utility=UTILITIES[utility])


def setting(*, runs: int, steps: int) -> str:
    """The arguments in a few words."""
    return f"{runs} runs of {steps} steps"


def main(
    study: Study,
    *,
    runs: Annotated[int, Count("runs of each problem and utility", least=2)] = 30,
    steps: Annotated[int, Count("time steps", least=20)] = 300,
) -> Outcome:
    """Plays four worlds with known optima under every utility and says what share of the optimum each reaches."""
    every = problems()
    study.reporter.stages([problem.name for problem in every])
    rows: Rows = []
    for problem in every:
        study.reporter.start(problem.name, len(PAID) + 1, "utilities")
        for index, utility in enumerate(("random", *PAID)):
            rows.append(_row(study, problem, utility, runs, steps))
            study.reporter.advance(problem.name, index + 1)
        study.reporter.finish(problem.name)
    return told(rows)


def _row(study: Study, problem: Problem, utility: str, runs: int, steps: int) -> dict[str, Any]:
    """The last tenth of the steps, averaged, over fresh runs at the temperature that was best on others."""
    name = f"{problem.name} {utility} runs={runs} steps={steps}"

    def level(temperatures: np.ndarray, label: str, count: int) -> np.ndarray:
        stack = stacked([scenario(problem.world, utility, temperature) for temperature in temperatures])
        scores = study.sweep(f"{name} {label}", stack, steps, count, ("score",), label)["score"]
        return np.asarray(scores, np.float64)[:, :, -max(1, steps // 10) :].mean(axis=2)

    temperature = None
    if utility != "random":
        grid = TEMPERATURES * problem.effect
        temperature = float(grid[np.argmax(level(grid, "tuning", max(2, runs // 3)).mean(axis=1))])
    final = level(np.array([temperature or 1.0]), "judged", runs)[0]
    shown, wide = bootstrap(final), bootstrap(final, level=0.99)
    return {
        "problem": problem.name,
        "world": problem.name.split(",")[0],
        "num_agents": problem.world.num_agents,
        "utility": utility,
        "temperature": temperature,
        "score_mean": shown.middle,
        "score_low": shown.low,
        "score_high": shown.high,
        "optimum": problem.optimum,
        "nash": problem.nash,
        "runs": runs,
        "steps": steps,
        "reached": _reached(shown.middle, problem.optimum),
        "reached_low": _reached(shown.low, problem.optimum),
        "reached_high": _reached(shown.high, problem.optimum),
        "reached_low_99": _reached(wide.low, problem.optimum),
        "reached_high_99": _reached(wide.high, problem.optimum),
    }


def _reached(score: float, optimum: float) -> float:
    """The share of the optimum, at most 1: score over optimum where scores are gains, optimum over score where they are
    costs.

    >>> _reached(-80.0, -64.0)
    0.8
    """
    return score / optimum if optimum > 0 else optimum / score


def told(rows: Rows) -> Outcome:
    """Words from the rows alone."""
    by = {(row["problem"], row["utility"]): row for row in rows}
    names = list(dict.fromkeys(row["problem"] for row in rows))
    reachable = [name for name in names if max(by[name, utility]["reached"] for utility in PAID) > 0.5]

    def least(utility: str) -> dict[str, Any]:
        return min((by[name, utility] for name in reachable), key=lambda row: row["reached"])

    mine, team = least("expected_difference"), least("team")
    shown = f"[{number(mine['reached_low'])}, {number(mine['reached_high'])}]"
    verdict = f"Paid by expected difference, crowds reach at least {number(mine['reached'])} {shown} of the optimum "
    verdict += f"in {len(reachable)} of {len(names)} problems."
    lede = f"The least is {mine['problem']}. The team utility falls to {number(team['reached'])} ({team['problem']}). "
    lost = [name for name in names if name not in reachable]
    if lost:
        lede += f"No utility gets anywhere in {len(lost)} ({'; '.join(lost)}): from a random start every change scores "
        lede += "the same there, and a difference utility does not create exploration. "
    lede += "Each utility has the best temperature of one grid, chosen on other runs."
    columns = ("problem", "random", *(utility.replace("_", " ") for utility in PAID))
    body = [(name, *(by[name, utility]["reached"] for utility in ("random", *PAID))) for name in names]
    return Outcome(rows=rows, verdict=verdict, interval=shown, lede=lede, summary=(columns, body))


Tables = dict[str, Rows]
ON_RECORD: dict[str, tuple[Word, float | None]] = {
    "near_the_optimum": ("in part", 0.7827),
    "team_fades": ("holds", 0.1318),
    "paradox": ("holds", 1.197),
    "no_exploration": ("holds", None),
}


def _pick(tables: Tables, utility: str, world: str = "", **where: Any) -> Rows:
    rows = [row for row in tables["rows"] if row["utility"] == utility and row["problem"].startswith(world)]
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def _recorded(row: dict[str, Any]) -> tuple[float, float, float]:
    return row["reached"], row["reached_low_99"], row["reached_high_99"]


def near_the_optimum(tables: Tables) -> Measured:
    rows = [row for row in _pick(tables, "expected_difference") if "width 0.1" not in row["problem"]]
    worst = min(rows, key=lambda row: row["reached"])
    low, high, line = worst["reached_low"], worst["reached_high"], 0.8
    strip = (worst["reached"] / line, low / line, high / line)
    text = f"at least {interval(worst['reached'], low, high)} of the optimum"
    note = f"expected difference, least in {worst['problem']}; the squeeze of width 0.1 is left out, "
    note += "where nothing can be learned from a random start; near means four fifths (our line)"
    return Measured(side(low, high, line), text, note, strip, *_recorded(worst))


def team_fades(tables: Tables) -> Measured:
    rows = sorted(_pick(tables, "team", "bar"), key=lambda row: row["num_agents"])
    apart = all(late["reached_high"] < early["reached_low"] for early, late in zip(rows, rows[1:], strict=False))
    shares, sizes = (", ".join(str(part) for part in parts) for parts in zip(*map(_share_and_size, rows), strict=True))
    text = f"{shares} of the optimum with {sizes} guests"
    word = "holds" if apart else ("in part" if rows[-1]["reached_low"] <= rows[0]["reached_high"] else "does not hold")
    return Measured(word, text, "bar", None, *_recorded(rows[-1]))


def _share_and_size(row: dict[str, Any]) -> tuple[str, int]:
    return number(row["reached"]), row["num_agents"]


def paradox(tables: Tables) -> Measured:
    selfish, mine = (
        _pick(tables, "selfish", "roads", num_agents=100)[0],
        _pick(tables, "expected_difference", "roads", num_agents=100)[0],
    )
    times = [
        selfish["score_mean"] / mine["score_mean"],
        selfish["score_high"] / mine["score_low"],
        selfish["score_low"] / mine["score_high"],
    ]
    text = f"{number(-selfish['score_mean'])} minutes selfish, {number(-mine['score_mean'])} by expected difference"
    note = f"optimum {number(-mine['optimum'])}, all on the link {number(-mine['nash'])}"
    chance = _pick(tables, "random", "roads", num_agents=100)[0]
    note += f"; choosing at random already gives {number(-chance['score_mean'])}"
    return Measured(side(times[1], times[2]), text, note, tuple(times), times[0], times[1], times[2])


def no_exploration(tables: Tables) -> Measured:
    rows = [row for utility in PAID for row in _pick(tables, utility, "squeeze") if row["num_agents"] >= 100]
    best = max(row["reached_high"] for row in rows if "width 0.1" in row["problem"])
    text = f"at most {number(best)} of the optimum under any utility (upper end of 95 %)"
    word = "holds" if best < 0.01 else "does not hold"
    return Measured(word, text, "squeeze of width 0.1 with 100 and 1000 agents")


CLAIMS = [
    Claim(judge.__name__, where, words, judge, ON_RECORD[judge.__name__])
    for judge, where, words in (
        (near_the_optimum, "Wolpert and Tumer 2001", "Difference utilities bring a crowd near the optimum"),
        (team_fades, "Wolpert and Tumer 2001", "The team utility fades as the crowd grows"),
        (paradox, "Tumer and Wolpert 2000", "Difference utilities avoid Braess' paradox, the selfish fall into it"),
        (no_exploration, "ours", "No utility helps where every change scores the same"),
    )
]
