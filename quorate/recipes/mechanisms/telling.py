"""From rows to words and pictures."""

import numpy as np

from quorate.experiments.outcome import Outcome, Rows
from quorate.measure.paired import mean_interval
from quorate.recipes import pick
from quorate.recipes.mechanisms.reading import Tables, ends, of, shares
from quorate.report.figure import Figure, lines
from quorate.report.numbers import number
from quorate.report.series import Rule, Series

NAMES = {
    "auction": "auction",
    "contract_net": "contract net",
    "claim": "claims",
    "central": "centre",
    "central_naive": "centre, one try",
    "hierarchy": "hierarchy",
    "stigmergy": "stigmergy",
    "auction and claims": "auction, then claims",
}
ROLES = {"auction": "s1", "central": "s2", "claim": "s3", "hierarchy": "s3", "stigmergy": "s4", "contract_net": "s5"}
ROLES |= {"central_naive": "harm", "auction and claims": "s2"}
POINTS = "value served, per cent of what is offered"


def told(rows: Rows, tables: Tables) -> Outcome:
    """The outcome, from tables alone."""
    gap = ends(of(tables, "auction") - of(tables, "alone"))
    shown = f"[{number(100 * gap.low)}, {number(100 * gap.high)}]"
    verdict = f"An auction serves {number(100 * gap.middle)} {shown} points more than agents alone that see everything."
    once = ends(shares(tables, "claim", rounds=50) - shares(tables, "alone"))
    light = ends(of(tables, "auction", "light", None) - of(tables, "alone", "light", None))
    crowd = ends(of(tables, "auction", "crowded", None) - of(tables, "alone", "crowded", None))
    lede = f"That is near saturation; with half the tasks it is {light.points}, under overload {crowd.points}. Where "
    lede += (
        f"nobody looks again claims bring {once.points} points of the optimum: eyes do most of what coordination is "
    )
    lede += "praised for. All mechanisms meet the same tasks; intervals are over draws of tasks on one fleet, 95 %."
    columns = ("part", "mechanism", "setting", "where", "served", "served_low", "served_high", "messages")
    body = [tuple(row[name] for name in columns) for row in rows]
    figures = (_anytime(tables), _by_loss(tables), _by_gain(tables), _by_delay(tables), _by_goals(tables))
    return Outcome(
        rows=rows,
        verdict=verdict,
        interval=shown,
        lede=lede,
        tables=tables,
        figures=figures,
        summary=(columns, body),
    )


def _line(name: str, role: str, xs: list[float], samples: list[np.ndarray]) -> Series:
    """Means of samples with their intervals, in per cent."""
    found = [mean_interval(some) for some in samples]
    y, low, high = ([100 * float(one[part]) for one in found] for part in range(3))
    return Series(name, role, xs, y, low, high)


def _anytime(tables: Tables) -> Figure:
    series = []
    for method in ("auction", "auction and claims", "contract_net", "claim"):
        rounds = sorted({row["rounds"] for row in pick(tables["snapshots"], method=method)})
        role = "s3" if method == "claim" else ROLES[method]
        series.append(_line(NAMES[method], role, rounds, [shares(tables, method, rounds=count) for count in rounds]))
    floor = 100 * shares(tables, "alone").mean()
    svg = lines(
        "anytime",
        series,
        xlabel="message rounds",
        ylabel="per cent of the exact optimum",
        xlog=True,
        ylim=(0, 100),
        rules=[Rule(floor, "alone", "y")],
        points=True,
    )
    few = {method: 100 * shares(tables, method, rounds=4).mean() for method in ("auction", "claim")}
    title = f"After four rounds claims have {number(few['claim'])} per cent of the optimum, the auction "
    title += number(few["auction"])
    caption = (
        "Snapshots with as many tasks as agents; bars: 95 % over snapshots. An iteration of contract net takes two "
    )
    caption += "rounds. Then claims: the last two rounds of the auction are claims on what is left."
    return Figure("anytime", title, caption, svg)


def _by_loss(tables: Tables) -> Figure:
    names = ("auction", "central", "contract_net", "stigmergy", "hierarchy", "central_naive")
    losses = sorted({row["setting"] for row in pick(tables["draws"], part="loss")})
    series = [_line(NAMES[name], ROLES[name], losses, [of(tables, name, setting=x) for x in losses]) for name in names]
    floor = 100 * of(tables, "alone").mean()
    svg = lines(
        "loss", series, xlabel="share of mail lost", ylabel=POINTS, rules=[Rule(floor, "alone", "y")], points=True
    )
    last = {name: 100 * of(tables, name, setting=losses[-1]).mean() for name in names}
    title = f"Half of the mail lost: {number(last['auction'])} per cent served by the auction, "
    title += f"{number(last['central_naive'])} by a centre that tries once"
    return Figure("loss", title, "Loss strikes every message alike, answers too. Bars: 95 % over draws.", svg)


def _by_gain(tables: Tables) -> Figure:
    gains = sorted({row["setting"] for row in pick(tables["draws"], part="hybrid", mechanism="hybrid")})
    series = []
    for where, role in (("uniform", "s1"), ("hot spot", "s3"), ("small hot spot", "s4")):
        base = of(tables, "auction") if where == "uniform" else of(tables, "auction", "hybrid", None, where=where)
        more = [of(tables, "hybrid", "hybrid", gain, where=where) - base for gain in gains]
        series.append(_line(where, role, [0.0, *gains], [np.zeros_like(base), *more]))
    svg = lines(
        "gain", series, xlabel="gain: share of the wanted agents that move", ylabel="points more than the auction"
    )
    caption = (
        "Hybrid: a centre says where agents are wanted, idle ones move with this chance, an auction does the rest. "
    )
    caption += "Gain 0 is the auction. Bands: 95 % over draws, same tasks."
    return Figure("gain", "What central intention adds, by how strongly it is followed", caption, svg)


def _by_delay(tables: Tables) -> Figure:
    series = []
    for name in ("auction", "central", "claim", "stigmergy"):
        late = sorted({row["setting"] for row in pick(tables["draws"], part="delay", mechanism=name)})
        samples = [of(tables, name), *(of(tables, name, "delay", ticks) for ticks in late)]
        series.append(_line(NAMES[name], ROLES[name], [0.0, *late], samples))
    floor = 100 * of(tables, "alone").mean()
    svg = lines("delay", series, xlabel="ticks until mail arrives", ylabel=POINTS, rules=[Rule(floor, "alone", "y")])
    caption = "Marks lie in the environment and are read on the spot; announcements of tasks are public at once."
    return Figure("delay", "Late mail costs those who talk", caption + " Bands: 95 % over draws.", svg)


def _by_goals(tables: Tables) -> Figure:
    tried = sorted({row["own"] for row in tables["snapshots"] if row.get("kind") == "own goals"})
    series = [
        _line(kind, role, tried, [shares(tables, "optimal planner", kind=kind, own=own) for own in tried])
        for kind, role in (("own goals", "harm"), ("own values", "s2"))
    ]
    line = 100 * shares(tables, "claims", kind="own goals", own=0.0).mean()
    svg = lines(
        "goals",
        series,
        xlabel="share of agents with goals of their own",
        ylabel="per cent of the exact optimum",
        rules=[Rule(line, "claims, none misaligned", "y")],
    )
    caption = (
        "An optimal planner that believes what it is told. Own goals: any of the nearest 32 tasks, whatever the way; "
    )
    caption += "own values: values of their own, but the way counts. Bands: 95 % over snapshots."
    return Figure("goals", "Misaligned agents cost an optimal planner more than its optimality brings", caption, svg)
