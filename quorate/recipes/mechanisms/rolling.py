"""Fleets that go on working: the benchmark as fleet files, and everything that is played on them."""

import math
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from quorate.experiments.outcome import Rows
from quorate.experiments.study import Study
from quorate.measure.paired import mean_interval
from quorate.protocols.alone import NEVER
from quorate.protocols.mechanisms import STRATEGIES
from quorate.recipes.compare.build import Trouble, the_site
from quorate.recipes.compare.description import Description, read_text
from quorate.recipes.compare.play import Ground, ground, runs_of, scene
from quorate.recipes.compare.rows import Runs
from quorate.worlds import fleet

PERIOD = 30  # ticks between tasks of a place
DENSITY, CROWDED = 7.0, 12.0  # places an agent: near saturation, and overload
LIGHT = 0.5  # of the usual tasks
WARM = 30  # ticks before anything is counted
LOSSES = (0.0, 0.1, 0.3, 0.5)
GAINS = (0.1, 0.3, 1.0)  # of the agents wanted, how many move
OWN = (0.05, 0.1, 0.2, 0.3)  # shares of agents with goals of their own
SIGHTS = (0.0, 0.3, 0.6)  # of the 1.2 units within which an agent's options lie
DELAYS = (2, 5)
SIZES = (1, 10)
LARGE = 3  # times the agents of the fleet with a hot spot
CELLS = (9, 100)
TALKATIVE, TERSE = 8, 2  # rounds a tick beside the usual four
CRASHED = 0.3
BUDGET = 0.2  # messages a tick and agent that the centre can handle in the largest fleet: 2,000 at 10,000


@dataclass(frozen=True)
class Case:
    """One mechanism in one situation.

    part, setting  what it is about, and the number on the x axis there
    settings       fields of `Site` that differ from the usual
    where          which ground: uniform, crowded, hot spot (`LARGE` times the agents) and a small one, or "10 times"
    cell           agents a region, None: the usual 25
    """

    part: str
    mechanism: str
    setting: float | None = None
    trouble: Trouble = Trouble()
    settings: dict[str, Any] = field(default_factory=dict)
    where: str = "uniform"
    sight: float = math.inf
    delay: int = 0
    load: float = 1.0
    cell: int | None = None


def fleet_file(num_agents: int, ticks: int, where: str = "uniform", delay: int = 0) -> str:
    """The fleet file of a ground: agents on a square, one a unit of area, four skills each held by 0.6 of them.

    >>> "count = 50" in fleet_file(50, 100)
    True
    """
    side = math.sqrt(num_agents)
    density = CROWDED if where == "crowded" else DENSITY
    spot = f"hotspot = {{ share = 0.5, radius = {side / 4}, period = 120 }}" if "hot spot" in where else ""
    return f"""
ticks = {ticks}
space = {{ kind = "plane", size = [{side}, {side}] }}
[[agents]]
count = {num_agents}
skills = {{ a = 0.6, b = 0.6, c = 0.6, d = 0.6 }}
speed = [0.3, 0.6]
[tasks]
rate = {density * num_agents / PERIOD}
value = [0.5, 1.5]
slack = [10, {PERIOD - 1}]
duration = [1, 3]
{spot}
[links]
delay = {delay}
"""


def cases(num_agents: int, ticks: int, budget: int, sizes: tuple[int, ...]) -> list[Case]:
    """Everything that is played, mechanism by mechanism, so that programs are compiled once."""
    middle, one = ticks // 2, 1 / num_agents
    dead = Trouble(crash=one, crash_at=middle, leaders=True)
    both, many = dead._replace(crash=2 * one), Trouble(crash=CRASHED, crash_at=middle)
    calm = ("alone", "claim", "contract_net", "auction", "hierarchy", "central", "central_naive", "stigmergy")
    found = []
    for name in calm:
        found += [Case("loss", name, loss, Trouble(loss=loss)) for loss in LOSSES]
        found.append(Case("crash", name, CRASHED, many))
    found += [Case("hosts", name, 1, dead) for name in ("auction", "hierarchy", "central", "central_naive")]
    found += [Case("hosts", name, 2, both) for name in ("central", "hierarchy")]
    found += [Case("light", name, load=LIGHT) for name in ("alone", "claim", "auction", "stigmergy", "central")]
    found += [Case("crowded", name, where="crowded") for name in ("alone", "auction", "stigmergy")]
    for name in ("alone", "claim", "auction"):
        found += [Case("eyes", name, sight, sight=sight) for sight in SIGHTS]
    found += [Case("own goals", "auction", own, Trouble(saboteurs=own, kind="own_goal")) for own in OWN]
    for gain in GAINS:
        for where in ("uniform", "hot spot", "small hot spot"):
            found.append(Case("hybrid", "hybrid", gain, settings={"gain": gain}, where=where))
    found += [Case("hybrid", name, where="hot spot") for name in ("alone", "auction")]
    found.append(Case("hybrid", "auction", where="small hot spot"))
    found += [Case("rounds", "auction", count, settings={"rounds": count}) for count in (TERSE, TALKATIVE)]
    found += [Case("saying", f"auction+{how}") for how in STRATEGIES]
    found.append(Case("saying", "central+silence", load=LIGHT))
    for name in ("claim", "auction", "central"):
        found += [Case("delay", name, delay, delay=delay) for delay in DELAYS]
    found.append(Case("delay", "stigmergy", DELAYS[-1], delay=DELAYS[-1]))
    found += [Case("cells", "hierarchy", cell, cell=cell, settings={"members": 4 * cell}) for cell in CELLS]
    for times in sizes:
        where = "uniform" if times == 1 else f"{times} times"
        found.append(Case("budget", "central", times, settings={"budget": budget}, where=where))
        if times == max(sizes):
            waits = {"budget": budget, "alone_after": NEVER}
            found.append(Case("waiting", "central", times, settings=waits, where=where))
            found += [Case("budget", name, times, where=where) for name in ("alone", "auction") if times > 1]
    return found


class Grounds:
    """The fleets of a study, each drawn once."""

    def __init__(self, num_agents: int, ticks: int, seed: int):
        self.num_agents, self.ticks, self.seed = num_agents, ticks, seed
        self.found: dict[str, Ground] = {}

    def description(self, where: str, delay: int) -> Description:
        times = LARGE if where == "hot spot" else int(where.split()[0]) if where.endswith("times") else 1
        count = self.num_agents * times
        return read_text(fleet_file(count, self.ticks, where, delay))

    def __call__(self, case: Case) -> tuple[Ground, Description]:
        described = self.description(case.where, case.delay)
        name = f"{case.where} {case.cell}"
        if name not in self.found:
            self.found[name] = _recut(ground(described, self.seed), described, case.cell)
        stage = self.found[name]
        world = eqx.tree_at(lambda one: one.sight, stage.world, jnp.full_like(stage.world.sight, case.sight))
        if case.load != 1:
            world = eqx.tree_at(lambda one: one.source.intensity, world, world.source.intensity * case.load)
        return stage._replace(world=world, site=stage.site._replace(**case.settings)), described


def _recut(stage: Ground, described: Description, cell: int | None) -> Ground:
    """The ground with regions of about `cell` agents."""
    if cell is None:
        return stage
    world = stage.world
    space = fleet.plane(
        stage.instance.room.size,
        stage.instance.tasks.at,
        num_agents=world.num_agents,
        options=world.options,
        region_size=cell,
    )
    world = eqx.tree_at(lambda one: one.space, world, space, is_leaf=lambda leaf: leaf is world.space)
    return stage._replace(world=world, site=the_site(world, stage.instance, described))


def play(study: Study, num_agents: int, ticks: int, seeds: int, planned: list[Case], name: str) -> Rows:
    """The draws of every case: one row each."""
    grounds, found = Grounds(num_agents, ticks, study.seed), []
    for done, case in enumerate(planned):
        stage, described = grounds(case)
        under = scene(stage, case.mechanism, described)
        label = f"{case.part} {case.where} {case.setting}"
        few = seeds if stage.world.num_agents <= 3 * num_agents else max(3, seeds // 2)
        runs, _ = runs_of(study, case.mechanism, label, under(case.trouble), ticks, few, case.trouble)
        found += _rows(case, runs, stage.world.num_agents, ticks)
        study.reporter.advance(name, done + 1)
    return found


def _rows(case: Case, runs: Runs, agents: int, ticks: int) -> Rows:
    """One row for each draw. served: share of the value offered from tick `WARM` on, or from the trouble on where it
    has a tick; messages, reads, bytes: an agent and tick."""
    since = WARM if case.trouble.at is None else case.trouble.at
    since = min(since, ticks // 2)
    served = runs.started[:, since:].sum(1) / runs.offered[:, since:].sum(1)
    return [
        {
            "part": case.part,
            "mechanism": case.mechanism,
            "setting": case.setting,
            "where": case.where,
            "agents": agents,
            "draw": int(draw),
            "served": float(served[draw]),
            "messages": float(runs.messages[draw]),
            "reads": float(runs.reads[draw]),
            "bytes": float(runs.bytes[draw]),
            "waste": float(runs.waste[draw]),
            "jain": float(runs.jain[draw]),
        }
        for draw in range(len(served))
    ]


def summary(draws: Rows) -> Rows:
    """Means over draws with 95 % intervals (t)."""
    groups: dict[tuple, Rows] = {}
    for row in draws:
        groups.setdefault((row["part"], row["mechanism"], row["setting"], row["where"]), []).append(row)
    found = []
    for (part, mechanism, setting, where), some in groups.items():
        one = {"part": part, "mechanism": mechanism, "setting": setting, "where": where}
        served = mean_interval([row["served"] for row in some])
        one |= {"agents": some[0]["agents"], "draws": len(some), "served": float(served.middle)}
        one |= {"served_low": float(served.low), "served_high": float(served.high)}
        for name in ("messages", "reads", "bytes", "waste", "jain"):
            one[name] = float(np.mean([row[name] for row in some]))
        found.append(one)
    return found
