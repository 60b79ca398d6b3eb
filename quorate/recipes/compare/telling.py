"""The table told: verdict, matrix, curves around the failure, what traffic buys, fairness, replays."""

import re
from typing import Any

import numpy as np

from quorate.experiments.outcome import Outcome
from quorate.measure import fleet
from quorate.recipes.compare.attacks import SEARCHED, Found, said
from quorate.recipes.compare.build import FAR, Trouble
from quorate.recipes.compare.conditions import LARGER, in_words
from quorate.recipes.compare.play import Played
from quorate.recipes.compare.rows import YARDSTICKS, Row, Runs
from quorate.recipes.compare.verdict import Verdict
from quorate.recipes.compare.wording import spoken
from quorate.report.figure import Figure, lines, points
from quorate.report.matrix import Entry, matrix
from quorate.report.series import Point, Series

LOOSE = 0.05  # of the bound: farther below it, it says little about what is possible
SHORT = {"described": "as is", "loss_0.1": "loss .1", "loss_0.3": "loss .3", "loss_0.5": "loss .5", "partition": "cut"}
SHORT |= {"growth": f"x {LARGER}", "own_goal": "own", "leaders_crash": "crash", "split_election": "split"}
LINES = 5  # curves in a figure
ROLES = ("s2", "s4", "s5")
SIGN = {True: "=", False: " "}


def told(
    rows: list[Row],
    judged: Verdict,
    played: Played,
    wrong: dict[str, Trouble],
    warnings: tuple[str, ...],
    replay: Any,
) -> Outcome:
    """Everything that a reader gets."""
    table = {(row.mechanism, row.condition): row for row in rows}
    first, *rest = judged.sentences
    found = re.search(r"\[[^]]*\]", first)
    figures = [
        _matrix(rows, table, wrong),
        *_curves(played, judged, wrong),
        *_struck(played),
        _traffic(rows, judged),
        _fair(rows, judged),
    ]
    tables = {"attacks": _attacks(played), "shares": played.shares}
    return Outcome(
        rows=[row._asdict() for row in rows],
        verdict=first,
        interval=found[0] if found else None,
        lede=" ".join((*rest, *_bounds(rows))),
        tables={name: lines for name, lines in tables.items() if lines},
        figures=tuple(figures),
        summary=_summary(rows, table),
        warnings=warnings,
        replay=replay,
    )


def _named(rows: list[Row]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(row.mechanism for row in rows)), list(dict.fromkeys(row.condition for row in rows))


def _summary(rows: list[Row], table: dict[tuple[str, str], Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What the terminal shows: shares served, `=` for who is not told apart from the best of its column."""
    names, conditions = _named(rows)

    def share(name: str, condition: str) -> str:
        row = table.get((name, condition))
        if row is None:
            return "-"
        return short(row.served_mean) + SIGN[row.tied_with_best and name not in YARDSTICKS]

    body = [(name, *(share(name, condition) for condition in conditions)) for name in names]
    return ("served", *(SHORT.get(condition, condition) for condition in conditions)), body


def short(share: float) -> str:
    """A share in four characters.

    >>> short(0.98765), short(0.0), short(1.0), short(0.9996)
    ('.988', '.000', '1.00', '1.00')
    """
    text = f"{share:.3f}"
    return text[1:] if text.startswith("0") else text[:4]


def _matrix(rows: list[Row], table: dict[tuple[str, str], Row], wrong: dict[str, Trouble]) -> Figure:
    names, conditions = _named(rows)
    fielded = [name for name in names if name not in YARDSTICKS]
    best = {
        condition: min(
            (row for row in rows if row.condition == condition and row.mechanism in fielded),
            key=lambda row: (-row.served_mean, row.mechanism),
            default=None,
        )
        for condition in conditions
    }
    apart = [name for name in names if name in YARDSTICKS]
    bounded = any(row.upper_bound is not None for row in rows)

    def entry(name: str, condition: str) -> Entry:
        if name == "upper bound":
            found = [row.upper_bound for row in rows if row.condition == condition and row.upper_bound is not None]
            return Entry(min(found[0], 1.0) if found else None)
        row = table.get((name, condition))
        if row is None:
            return Entry(None)
        half = None if row.served_se is None else 2 * row.served_se
        stands = ""
        if name in fielded:
            stands = "best" if row is best[condition] else "tie" if row.tied_with_best else ""
        return Entry(row.served_mean, half, stands, f"{row.messages_per_agent_tick:.3g} messages an agent and tick")

    legend = "; ".join(f"{condition}: {in_words(condition, wrong[condition])}" for condition in conditions)
    return matrix(
        "served",
        "What each mechanism serves when things go wrong",
        fielded or names,
        conditions,
        entry,
        "Share of the value offered that was served, means over the same draws; ± is twice the standard error. "
        f"{legend}.",
        apart=(*(apart if fielded else ()), *(("upper bound",) if bounded else ())),
    )


def _roles(names: list[str], judged: Verdict) -> dict[str, str]:
    """Colours: the recommended one is ours, alone the baseline."""
    rest = iter(ROLES)
    found = {}
    for name in names:
        if name == judged.recommended:
            found[name] = "s1"
        else:
            found[name] = "s3" if name == "alone" else next(rest, "s5")
    return found


def _curves(played: Played, judged: Verdict, wrong: dict[str, Trouble]) -> list[Figure]:
    """Served around the failure, in each condition in which something fails at a tick."""
    figures = []
    for condition in ("described", "crash", "partition"):
        at = wrong[condition].at if condition in wrong else None
        members = {name: row[condition] for name, row in played.table.items() if condition in row}
        if at is None or not members or FAR not in members and len(members) < 2:
            continue
        names = _chosen(members, judged)
        ticks = next(iter(members.values())).started.shape[1]
        window = min(60, at - fleet.TICKS, ticks - at - fleet.TICKS)
        if window < 5:
            continue
        roles, series = _roles(names, judged), []
        for name in names:
            runs = members[name]
            share = runs.started / np.maximum(runs.offered.mean(), 1e-12)
            around = fleet.around(share, at, window)
            series.append(Series(name, roles[name], at + around.ticks, around.mean, around.low, around.high))
        figures.append(
            Figure(
                f"around-{condition}",
                f"Around tick {at}: {in_words(condition, wrong[condition])}",
                "Value served in ten ticks over the value offered in ten ticks on average; the band is the 95 % "
                "interval of the mean over draws.",
                lines(
                    f"around-{condition}", series, xlabel="tick", ylabel="share served", rules=[(at, "trouble begins")]
                ),
            )
        )
    return figures


def _chosen(members: dict[str, Runs], judged: Verdict) -> list[str]:
    """The recommended one, alone, and who serves most besides; at most five lines can be told apart."""
    by_value = sorted(members, key=lambda name: -float(np.sum(members[name].started)))
    first = list(dict.fromkeys(name for name in (judged.recommended, "alone") if name in members))
    return [*first, *(name for name in by_value if name not in first and name not in YARDSTICKS)][:LINES]


def _ranked(rows: list[Row], condition: str) -> list[Row]:
    return [row for row in rows if row.condition == condition and row.mechanism not in YARDSTICKS]


def _traffic(rows: list[Row], judged: Verdict) -> Figure:
    here = _ranked(rows, judged.condition)
    names = [row.mechanism for row in here]
    roles = _roles(names, judged)
    marks = [
        Point(
            row.mechanism,
            roles[row.mechanism],
            row.messages_per_agent_tick,
            row.served_mean,
            up=None
            if row.served_se is None
            else (row.served_mean - 2 * row.served_se, row.served_mean + 2 * row.served_se),
        )
        for row in here
    ]
    return Figure(
        "traffic",
        "What messages buy",
        f"Share served against messages sent for each agent and tick, condition {judged.condition}; bars are twice the "
        "standard error. What is read from boards stands in the rows.",
        points("traffic", marks, xlabel="messages per agent and tick", ylabel="share served", xlog=True),
    )


def _fair(rows: list[Row], judged: Verdict) -> Figure:
    here = _ranked(rows, judged.condition)
    roles = _roles([row.mechanism for row in here], judged)
    marks = [Point(row.mechanism, roles[row.mechanism], row.jain, row.served_mean) for row in here]
    return Figure(
        "fairness",
        "How evenly the work is shared",
        "Jain's index of the value that each agent served (1: all alike) against the share served, condition "
        f"{judged.condition}.",
        points("fairness", marks, xlabel="Jain's index", ylabel="share served"),
    )


def _attacks(played: Played) -> list[dict[str, Any]]:
    """A row for each mechanism and kind of attack. Of the mixture that a search found also what it is, how many were
    played on how many draws, and what it served there: less than anew, as the least of many noisy numbers is."""

    def row(name: str, kind: str, runs: Runs, found: Found | None) -> dict[str, Any]:
        mean, half = _served(runs)
        return {
            "mechanism": name,
            "kind": kind,
            "served_mean": mean,
            "served_se": None if half is None else half / 2,
            "messages_per_agent_tick": float(np.mean(runs.messages)),
            "mixture": None if found is None else said(found.attack),
            "plays": None if found is None else found.plays,
            "draws_searched": None if found is None else found.seeds,
            "served_searched": None if found is None else found.searched,
        }

    return [
        row(name, kind, runs, played.found.get(name) if kind == SEARCHED else None)
        for name, kinds in played.attacks.items()
        for kind, runs in kinds.items()
    ]


def _served(runs: Runs) -> tuple[float, float | None]:
    """Mean share served, and twice its standard error (None with one seed)."""
    shares = np.minimum(fleet.served_share(runs.started, runs.offered), 1.0)  # float32 sums
    return float(shares.mean()), float(2 * shares.std(ddof=1) / len(shares) ** 0.5) if len(shares) > 1 else None


def _struck(played: Played) -> list[Figure]:
    """Mechanisms against kinds of attack, beside what they serve when nothing goes wrong."""
    struck = {name: kinds for name, kinds in played.attacks.items() if kinds}
    if not struck:
        return []
    cells = {
        (name, SHORT.get(kind, kind)): runs
        for name, kinds in struck.items()
        for kind, runs in ({"calm": played.table[name].get("calm")} | kinds).items()
        if runs is not None
    }
    columns = list(dict.fromkeys(column for _, column in cells))
    fielded = [name for name in struck if name not in YARDSTICKS]

    def entry(name: str, column: str) -> Entry:
        runs = cells[name, column]
        mean, half = _served(runs)
        calm = cells.get((name, "calm"))
        found = played.found.get(name) if column == SEARCHED else None
        notes = [] if calm is None or runs is calm else [f"{_served(calm)[0] - mean:+.3f} lost against calm"]
        return Entry(mean, half, "", "; ".join(notes + ([] if found is None else [said(found.attack)])))

    mixed = "; search: the worst mixture that a search found, played on draws it had not seen" if played.found else ""
    return [
        matrix(
            "attacks",
            "What each attack costs",
            fielded or list(struck),
            columns,
            entry,
            "Share served under each attack by the same share of agents; ± is twice the standard error. own: own_goal; "
            f"crash: leaders_crash; split: split_election{mixed}.",
            apart=[name for name in struck if name in YARDSTICKS] if fielded else (),
        )
    ]


def _bounds(rows: list[Row]) -> tuple[str, ...]:
    """How far the best is from what a clairvoyant could serve at most."""
    calm = [row for row in rows if row.condition == "calm" and row.gap is not None and row.mechanism not in YARDSTICKS]
    if not calm:
        return ()
    best = min(calm, key=lambda row: (row.gap, row.mechanism))
    bound = f"{best.upper_bound:.3f}" if best.upper_bound < 1 else "everything"
    reached = f"{spoken(best.mechanism)}, the best, serves {best.served_mean:.3f}"
    if best.gap <= LOOSE and best.upper_bound >= 1:
        return (f"When nothing goes wrong {reached}; nothing forbids to serve everything.",)
    if best.gap <= LOOSE:
        return (f"When nothing goes wrong {reached}, and nobody could serve more than {bound}.",)
    return (f"When nothing goes wrong {reached}; the bound on what anybody could serve, {bound}, is loose.",)
