"""From the runs of every mechanism under every condition to the rows of the table."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal
from quorate.measure import fleet
from quorate.measure.paired import differences

# Rows to read the others by, which nobody can field: they are neither the best nor recommended.
YARDSTICKS = ("alone_far", "human")
CONDITIONS = ("calm", "described", "loss_0.1", "loss_0.3", "loss_0.5", "crash", "partition", "attack", "growth")


class Runs(NamedTuple):
    """The runs of one mechanism under one condition: arrays [S], one entry a seed, series [S, T].

    `seeds` [S] names the draws: run s of every mechanism has the same tasks and the same agents that fail; losses are
    drawn for each mechanism's own mail. `started`, `offered`: value
    of the tasks begun, released, in each tick. `upper_bound`: a bound on the value any mechanism could serve, as a
    share of the value offered; None where there is none. `messages`, `bytes`, `reads`: per agent and tick. `jain`:
    fairness over agents. `late`: mean lateness in ticks. `waste`: share of trips to taken tasks. `at`: the tick of the
    fault, None where nothing fails; `capacity`: the share of the old capacity left, a number or [T].
    """

    seeds: np.ndarray
    started: np.ndarray
    offered: np.ndarray
    messages: np.ndarray
    bytes: np.ndarray
    reads: np.ndarray
    jain: np.ndarray
    late: np.ndarray
    waste: np.ndarray
    upper_bound: np.ndarray | None = None
    at: int | None = None
    capacity: float | np.ndarray = 1.0


class Row(NamedTuple):
    """One mechanism under one condition, means over seeds.

    `served_mean`, `upper_bound`: shares of the value offered; `served_se` the standard error, None with one seed.
    `gap` = 1 - served_mean / upper_bound. `recovery_ticks`: None where nothing fails, where it never recovered, and
    where it cannot be judged: the fault is nearer than a window to either end of the run, nobody is left after it, or
    nothing was offered just before it.
    `difference_from_best`: served minus that of the best mechanism of the condition, with bounds that hold for all
    pairs of the table at once (None with one seed); `tied_with_best`: 0 lies between them. Yardsticks are not the best.
    """

    mechanism: str
    condition: str
    served_mean: float
    served_se: float | None
    upper_bound: float | None
    messages_per_agent_tick: float
    bytes_per_agent_tick: float
    jain: float
    recovery_ticks: int | None
    late: float
    waste: float
    seeds: int
    gap: float | None
    reads_per_agent_tick: float
    tied_with_best: bool
    difference_from_best: float
    difference_low: float | None
    difference_high: float | None


def rows(
    table: Mapping[str, Mapping[str, Runs]],
    level: float = 0.95,
    yardsticks: tuple[str, ...] = YARDSTICKS,
    ticks: int = fleet.TICKS,
    before: int = 50,
) -> list[Row]:
    """table[mechanism][condition] -> one row each, condition by condition in the order in which they first appear.

    Within a condition the differences of all pairs are simultaneous at level^(1/C), C conditions, so that all bounds
    of the table hold together with probability at least about `level`. With one seed no bound is given, and only equal
    numbers are tied. `ticks` and `before` are those of `quorate.measure.fleet.recovery`.

    Errors: Refusal when runs are not paired (other seeds or other value offered than the first mechanism has under
    that condition), when arrays do not fit, and when more is served than the upper bound allows.
    """
    order = list(dict.fromkeys(condition for runs in table.values() for condition in runs))
    if not order:
        raise Refusal("table holds no runs; it needs at least one mechanism under one condition")
    found = []
    for condition in order:
        members = {name: runs[condition] for name, runs in table.items() if condition in runs}
        _paired(members, condition)
        found += _condition(members, condition, level ** (1 / len(order)), yardsticks, ticks, before)
    return found


def _condition(
    members: dict[str, Runs], condition: str, level: float, yardsticks: tuple[str, ...], ticks: int, before: int
) -> list[Row]:
    names = list(members)
    sums = np.stack([fleet.served_share(runs.started, runs.offered) for runs in members.values()])
    served = np.minimum(sums, 1.0)  # what is above by more than rounding is refused below
    seeds = served.shape[1]
    apart = differences(served, level)
    means = served.mean(1)
    fielded = [k for k, name in enumerate(names) if name not in yardsticks] or list(range(len(names)))
    best = min(fielded, key=lambda k: (-means[k], names[k]))
    found = []
    for k, (name, runs) in enumerate(members.items()):
        difference = float(apart.mean[k, best])
        low, high = (None, None) if apart.low is None else (float(apart.low[k, best]), float(apart.high[k, best]))
        bound = None if runs.upper_bound is None else float(np.mean(runs.upper_bound))
        most, total = 1.0 if bound is None else min(bound, 1.0), sums[k].mean()
        if total > most + 1e-4:  # float32 sums of many values
            raise Refusal(f"{name} serves {total:.5g} under {condition}, above its upper bound of {most:.5g}")
        at = runs.at if _judged(runs, ticks, before) else None
        recovered = fleet.recovery(runs.started, at, runs.capacity, runs.offered, ticks=ticks, before=before)
        found.append(
            Row(
                mechanism=name,
                condition=condition,
                served_mean=float(means[k]),
                served_se=float(served[k].std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else None,
                upper_bound=bound,
                messages_per_agent_tick=float(np.mean(runs.messages)),
                bytes_per_agent_tick=float(np.mean(runs.bytes)),
                jain=float(np.mean(runs.jain)),
                recovery_ticks=recovered.ticks,
                late=float(np.mean(runs.late)),
                waste=float(np.mean(runs.waste)),
                seeds=seeds,
                gap=None if bound is None else float(fleet.gap(means[k], bound)),
                reads_per_agent_tick=float(np.mean(runs.reads)),
                tied_with_best=difference == 0 if low is None else low <= 0 <= high,
                difference_from_best=difference,
                difference_low=low,
                difference_high=high,
            )
        )
    return found


def _judged(runs: Runs, ticks: int, before: int) -> bool:
    """Whether there is a recovery to tell: a fault with a window on both sides, who is left, and an old level."""
    if runs.at is None or not ticks <= runs.at <= np.shape(runs.started)[1] - ticks:
        return False
    return bool(np.min(runs.capacity) > 0 and np.sum(runs.offered[:, max(0, runs.at - before) : runs.at]) > 0)


def _paired(members: dict[str, Runs], condition: str) -> None:
    """Every array fits, is finite, and belongs to the same draws as that of the first mechanism."""
    first_name, first = next(iter(members.items()))
    seeds, offered = np.asarray(first.seeds), np.asarray(first.offered, np.float64)
    if seeds.ndim != 1 or not seeds.size:
        raise Refusal(f"seeds of {first_name} under {condition} has shape {seeds.shape}; it must be [seeds]")
    for name, runs in members.items():
        where = f"of {name} under {condition}"
        if not np.array_equal(np.asarray(runs.seeds), seeds):
            raise Refusal(f"seeds {where} are not those of {first_name}; runs are compared seed by seed")
        if np.ndim(runs.offered) != 2 or len(runs.offered) != seeds.size:
            raise Refusal(f"offered {where} has shape {np.shape(runs.offered)}; it must be [{seeds.size}, ticks]")
        if np.shape(runs.offered) != offered.shape or not np.allclose(runs.offered, offered, rtol=1e-5, atol=1e-6):
            raise Refusal(f"offered {where} differs from that of {first_name}; all must face the same arrivals")
        for field in ("messages", "bytes", "reads", "jain", "late", "waste", "upper_bound"):
            value = getattr(runs, field)
            if value is None:
                continue
            array = np.asarray(value, np.float64)
            if array.shape != seeds.shape or not np.isfinite(array).all() or array.min() < 0:
                raise Refusal(f"{field} {where} must hold {seeds.size} finite numbers, none below 0")
