"""Coordination mechanisms: what two sources say of centres, hierarchies, markets, marks and hybrids, on one world.

Sources: Multi-Agent Alignment at Scale (`at scale`), and Applying Multi-Agent Planning in Distributed Environments
(`planning`). Neither gives numbers or settings: sizes, rates and lines are ours, and stand with each claim.
"""

from typing import Annotated, Any

from quorate.arguments import Count, Counts
from quorate.experiments.outcome import Outcome
from quorate.experiments.study import Study
from quorate.recipes.mechanisms import rolling, snapshot, variants
from quorate.recipes.mechanisms.claims import CLAIMS
from quorate.recipes.mechanisms.telling import told

RECORDED: dict[str, Any] = {}
TRIALS = 1_000_000  # draws of struck makes


def setting(
    *, num_agents: int, ticks: int, seeds: int, sizes: tuple[int, ...], snapshots: int, snapshot_agents: int
) -> str:
    """The arguments in a few words."""
    return f"{num_agents} agents, {ticks} ticks, {seeds} draws; {snapshots} snapshots of {snapshot_agents}"


def main(
    study: Study,
    *,
    num_agents: Annotated[int, Count("agents of the fleet", least=50)] = 300,
    ticks: Annotated[int, Count("ticks of a run", least=40)] = 110,
    seeds: Annotated[int, Count("draws of the tasks", least=3)] = 5,
    sizes: Annotated[tuple[int, ...], Counts("times the agents, for the centre with one budget")] = rolling.SIZES,
    snapshots: Annotated[int, Count("snapshots", least=3)] = 20,
    snapshot_agents: Annotated[int, Count("agents and tasks of a snapshot", least=36)] = 300,
) -> Outcome:
    """Plays every mechanism calm, with mail lost and late, with crashes and misaligned agents, and in snapshots beside
    the exact optimum."""
    study.reporter.stages(["snapshots", "makes", "fleets"])
    study.reporter.start("snapshots", snapshots, "snapshots")

    def advance(done: int) -> None:
        study.reporter.advance("snapshots", done)

    looks = snapshot.rows(snapshot_agents, snapshots, study.seed, advance)
    study.reporter.finish("snapshots")
    study.reporter.start("makes", 1, "votes")
    makes = variants.rows(TRIALS, study.seed)
    study.reporter.finish("makes")
    sizes = tuple(sorted({1, *sizes}))
    budget = round(rolling.BUDGET * num_agents * sizes[-1])
    planned = rolling.cases(num_agents, ticks, budget, sizes)
    study.reporter.start("fleets", len(planned), "cases")
    draws = rolling.play(study, num_agents, ticks, seeds, planned, "fleets")
    study.reporter.finish("fleets")
    return told(rolling.summary(draws), {"draws": draws, "snapshots": looks, "makes": makes})


__all__ = ["CLAIMS", "RECORDED", "main", "setting"]
