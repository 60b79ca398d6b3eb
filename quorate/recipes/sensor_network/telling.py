"""From rows to words and pictures."""

from typing import Any

from quorate.experiments.outcome import Outcome, Rows
from quorate.recipes import pick
from quorate.recipes.sensor_network.claims import TENFOLD, TRIMMED, percent, percents, worst
from quorate.recipes.sensor_network.liars import BEHAVIOURS
from quorate.recipes.sensor_network.playing import WIDE
from quorate.report.figure import Figure, lines
from quorate.report.heat import Cell, heat
from quorate.report.numbers import number
from quorate.report.series import Series

ROLES = {"vote": "s1", "trimmed mean": "s2", "flooding": "s3", "vote of neighbours": "s4", "nobody talks": "s5"}
NAMES = {
    "vote": "neighbourhood votes",
    "vote of neighbours": "votes, one link",
    "trimmed mean": "trimmed means",
    "trimmed mean" + WIDE: "trimmed, two links",
    "flooding": "flooding",
    "flooding" + WIDE: "flooding, two links",
}


def told(rows: Rows, tables: dict[str, Rows]) -> Outcome:
    """The outcome, from rows and tables alone."""
    one = {method: worst(rows, method) for method in (*NAMES, *TRIMMED)}
    mine = one["vote"]
    trimmed = min((one[method] for method in TRIMMED), key=lambda row: row["wrong"])
    shown = f"[{number(100 * mine['wrong_low'])}, {number(100 * mine['wrong_high'])}]"
    verdict = f"With a liar next door, votes of neighbourhoods leave {number(100 * mine['wrong'])} {shown} per cent of "
    verdict += "sensors wrong about the target."
    lede = "That rests on hearing members two links away: where each asks its neighbours alone, votes leave "
    lede += f"{percent(one['vote of neighbours']['wrong'])}. Flooding leaves {percent(one['flooding']['wrong'])}; the "
    lede += f"best trimmed means, over {'two links' if WIDE in trimmed['method'] else 'one link'} with "
    lede += "ten times the messages" if TENFOLD in trimmed["method"] else "as many messages"
    lede += f", {percent(trimmed['wrong'])}, each against the liar that is worst for it. "
    lede += "Wrong is who does not believe what some honest sensor sees in the step. All sizes, noises and paths are "
    lede += "assumed, since the source's are lost. Intervals are over runs, each with its own liars."
    columns = ("part", "place", "method", "liars", "behaviour", "wrong", "missed", "messages")
    usual = [row for row in rows if row["liars"] <= 1 or row["part"] != "liars"]
    usual = [row for row in usual if row["part"] != "liars" or row["behaviour"] in ("none", "one lie", "mixed")]
    body = [tuple(row[name] for name in columns) for row in usual]
    figures = (_over_time(tables["curves"]), _by_number(rows), _by_behaviour(rows), _elsewhere(rows))
    return Outcome(
        rows=rows,
        verdict=verdict,
        interval=shown,
        lede=lede,
        tables=tables,
        figures=figures,
        summary=(columns, body),
    )


def _over_time(curves: Rows) -> Figure:
    steps = [row["step"] for row in curves]

    def band(name: str, words: str, role: str) -> Series:
        mean, spread = ([row[f"{name}_{what}"] for row in curves] for what in ("mean", "spread"))
        low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
        return Series(words, role, steps, mean, low, high)

    series = [
        band("flooding", "flooding", "s3"),
        Series("the target", "s5", steps, [row["target"] for row in curves]),
        band("vote", "neighbourhood votes", "s1"),
    ]
    svg = lines("beliefs", series, xlabel="step", ylabel="position, in spacings of sensors", wide=True)
    apart = {name: sum(row[f"{name}_spread"] for row in curves) / len(curves) for name in ("vote", "flooding")}
    title = f"One liar: votes spread by {number(apart['vote'])} on average, flooding by {number(apart['flooding'])}"
    caption = "Mean belief of the honest sensors in one run on the line, band: one standard deviation on either side. "
    caption += "The liar tells all the same false value, another in each step."
    return Figure("beliefs", title, caption, svg, wide=True)


def _by_number(rows: Rows) -> Figure:
    counts = sorted({row["liars"] for row in rows if row["part"] == "liars"})

    def series(method: str) -> Series:
        found = [worst(rows, method, count) for count in counts]
        y, low, high = ([100 * row["wrong" + end] for row in found] for end in ("", "_low", "_high"))
        return Series(NAMES.get(method, method), ROLES[method], counts, y, low, high)

    svg = lines(
        "liars",
        [series(method) for method in ("nobody talks", "flooding", "trimmed mean", "vote of neighbours", "vote")],
        xlabel="liars, no two in one neighbourhood",
        ylabel="wrong sensors, per cent",
        ylim=(0, 100),
        points=True,
    )
    last = {method: worst(rows, method, counts[-1]) for method in ("vote", "trimmed mean")}
    title = f"{counts[-1]} liars: {percent(last['vote']['wrong'])} wrong with votes, "
    title += f"{percent(last['trimmed mean']['wrong'])} with trimmed means"
    caption = (
        "Line; of six behaviours the worst for each method and number. Bars: 95 % intervals over runs. Nobody talks: "
    )
    caption += "each believes what it saw last. Trimmed means here hear one link and send as many messages as votes."
    return Figure("liars", title, caption, svg)


def _by_behaviour(rows: Rows) -> Figure:
    methods = {name: method for method, name in NAMES.items()}

    def cell(behaviour: str, name: str) -> Cell:
        row = pick(rows, part="liars", liars=1, behaviour=behaviour, method=methods[name])[0]
        return _cell(row, "wrong", f"{behaviour}, {name}: {percents(row, 'wrong')} wrong")

    title = f"Flooding fares worst with {worst(rows, 'flooding')['behaviour']}"
    caption = "Share of honest sensors and steps that are wrong, line, one liar, by what it does."
    return heat(
        "behaviours", title, BEHAVIOURS, list(methods), cell, "method", "what the liar does", caption, zero="never"
    )


def _elsewhere(rows: Rows) -> Figure:
    names = list(dict.fromkeys(row["place"] for row in rows if row["part"] == "real"))
    most = max(row["liars"] for row in rows if row["part"] == "real")
    columns = {
        "no liar": ("vote", 0, "none"),
        "mixed": ("vote", most, "mixed"),
        "silent": ("vote", most, "silent"),
        "one hop, no liar": ("vote of neighbours", 0, "none"),
        "one hop, silent": ("vote of neighbours", most, "silent"),
    }

    def cell(place: str, column: str) -> Cell:
        method, liars, behaviour = columns[column]
        found = pick(rows, part="real", place=place, method=method, liars=liars, behaviour=behaviour)[0]
        said = f"{place}, {method}, {behaviour}, liars: {liars}: {percents(found, 'missed')} missed"
        return _cell(found, "missed", f"{said}; liars cut some off in {percent(found['blocked'])} of runs")

    wide = max(pick(rows, part="real", method="vote"), key=lambda row: row["missed"])
    near = max(pick(rows, part="real", method="vote of neighbours"), key=lambda row: row["missed"])
    title = (
        f"Real networks: at most {percent(wide['missed'])} are missed, up to {percent(near['missed'])} if each hears "
    )
    title += "its neighbours only"
    caption = f"Share of honest sensors that a new value does not reach, with up to {most} liars, no two in one "
    caption += "neighbourhood. One hop: members of a neighbourhood do not hear each other across it, so a sensor needs "
    caption += "two neighbours of its own that know; where it has only one or two, that fails."
    return heat(
        "networks", title, names, list(columns), cell, "votes, and liars", "network", caption, zero="all reached"
    )


def _cell(row: dict[str, Any], name: str, long: str) -> Cell:
    share = row[name]
    return Cell(share, "0" if share == 0 else f"{100 * share:.2g} %", long)
