"""From the tables to words and figures."""

from fractions import Fraction
from typing import Any

from quorate.experiments.outcome import Outcome, Rows
from quorate.protocols import PROTOCOLS
from quorate.recipes.ibgp import plays
from quorate.recipes.ibgp.sampled import SHARES
from quorate.report.figure import Figure, lines
from quorate.report.heat import Cell, heat
from quorate.report.numbers import number
from quorate.report.series import Series
from quorate.report.spacetime import pair, spacetime

Tables = dict[str, Rows]


def told(tables: Tables, max_rounds: int) -> Outcome:
    """Words and figures from the tables alone; `rows` is the main one."""
    usual = [row for row in tables["rows"] if row["law"] == "uniform" and row["least_rounds"] == 2]
    worst = max(Fraction(row["worst_exact"]) for row in usual)
    verdict = f"Whatever liars send, the hidden-stop vote ends with too few acting in at most {number(worst)} of runs, "
    verdict += "and the best attack gets there."
    tables = tables | {"recovered": recovered(tables)}
    more = {name: rows for name, rows in tables.items() if name != "rows"}
    broken, safe, lucky = _drawn()
    figures = (
        *(broken, safe, lucky, _strikes(tables["strikes"])),
        *_margins(tables["margins"]),
        *(_requirements(tables["requirements"]), _gap(tables["gap"])),
        *_babble(tables["babble"]),
        *_rounds(tables["rounds"]),
    )
    return Outcome(
        rows=tables["rows"],
        verdict=verdict,
        lede=_lede(tables, worst),
        tables=more,
        figures=figures,
        summary=_summary(usual),
    )


def _lede(tables: Tables, worst: Fraction) -> str:
    cases = {(row["n"], row["k"], row["t"]) for row in tables["rows"]}
    low = [row for row in tables["margins"] if row["margin"] < row["t"]]
    gap = [row for row in tables["gap"] if row["reach"] == 1]
    free, once, always = (
        max(Fraction(row[f"{name}_exact"]) for row in found)
        for found, name in ((low, "worst"), (gap, "worst_once"), (gap, "worst_always"))
    )
    text = f"Solved exactly in {len(cases)} instances against every attack that sees all but the coin. "
    text += f"With a margin below the number of liars the chance rises from {number(worst)} to {_chance(free)}. "
    text += "The proof of Theorem 6 has a gap: after one round of dispersion a single liar can split a target with "
    text += f"a chance of {_chance(once)}; dispersion in every round brings it back to {_chance(always)}."
    return text.replace("a chance of certainty", "certainty")


def _chance(value: Fraction) -> str:
    return "certainty" if value == 1 else number(value)


def recovered(tables: Tables) -> Rows:
    """Tables 5 to 7 of the paper: what came back, what only in shape, what not at all."""
    found = {(row["margin"], row["share"]): row for row in tables["babble"]}
    t = max(margin for margin, _ in found)
    ends = abs(found[0, 0.0]["exact"] - found[t, 1.0]["exact"]) < 1e-12

    def best(share: float, column: str) -> int:
        return max(range(t + 1), key=lambda margin: found[margin, share][column])

    same = sum(best(share, "exact") == best(share, "source") for share in SHARES)
    mixed = sum(row["mixed_score"] > row["equal_score"] + 1e-9 for row in tables["varying"])
    apart = max(abs(row["exact"] - row["source"]) for row in tables["babble"])
    said = (
        ("6", "the outer columns are margin 0 and margin t: equal ends", "recovered" if ends else "not recovered"),
        ("6", f"which margin is best, by the chance of a yes: {same} of {len(SHARES)} rows", "in shape"),
        ("6", f"the numbers: up to {number(apart)} away with our sizes and rewards, theirs are lost", "not recovered"),
        ("7", "the outer columns: equal ends", "recovered" if ends else "not recovered"),
        ("7", f"mixed margins do best: in {mixed} of {len(tables['varying'])} settings", "in some settings"),
        ("7", "the vector of margins and the numbers: lost", "not recovered"),
        ("5", "success rates against three attackers that are not described", "not recovered"),
    )
    return [{"table": table, "what": what, "how_far": how_far} for table, what, how_far in said]


def _summary(usual: Rows) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    columns = ("nodes n", "enough k", "liars t", "worst case", "at so many willing", "all act from")
    cases = dict.fromkeys((row["n"], row["k"], row["t"]) for row in usual)
    body = []
    for case in cases:
        here = [row for row in usual if (row["n"], row["k"], row["t"]) == case]
        worst = max((row for row in here), key=lambda row: row["worst"])
        at = [row["willing"] for row in here if row["worst"] > 0]
        sure = [row["willing"] for row in here if row["acts_exact"] == "1"]
        body.append((*case, worst["worst_exact"], _span(at), min(sure, default=None)))
    return columns, body


def _span(items: list[int]) -> str:
    if not items:
        return "none"
    return str(items[0]) if len(items) == 1 else f"{items[0]} to {items[-1]}"


def _requirements(rows: Rows) -> Figure:
    x = [row["share"] for row in rows]
    series = [
        Series("BGP: a third", "s3", x, [row["generals"] for row in rows]),
        Series("IBGP: (1 − k/N)/2", "s1", x, [row["imperfect"] for row in rows]),
    ]
    svg = lines(
        "requirements", series, xlabel="threshold k, as a share of N", ylabel="largest share of liars", points=True
    )
    more = [row["k"] for row in rows if row["imperfect"] > row["generals"] + 1e-12]
    title = "IBGP's largest share of liars lies above BGP's third only while k is below N/3: "
    title += f"up to k = {max(more)} of {rows[0]['talkers']}"
    bears = all(row["liars"] == row["solved"] for row in rows)
    caption = "BGP asks for N > 3t, IBGP for N ≥ k + 2t (its nodes n = N − t must be at least k + t). "
    caption += "Solved exactly, the vote bears just that many at each threshold. " if bears else ""
    whole = max((row["k"] for row in rows if row["solved"] > row["perfect"]), default=0)
    caption += f"In whole liars BGP bears {rows[0]['perfect']}, the vote more up to k = {whole}."
    return Figure("requirements", title, caption, svg)


def _drawn() -> tuple[Figure, ...]:
    """Figures 3 and 4: the same liar against one round and against a hidden end, and the guess that it needs."""
    enough, willing = 3, (True, True, True, False)
    single = PROTOCOLS["single_round_vote"].make(n=4, k=enough, t=1, threshold=4)
    hidden = PROTOCOLS["hidden_stop_vote"].make(n=4, k=enough, t=1)
    everybody, two, one = (1, 1, 1, 1), (1, 1, 0, 0), (1, 0, 0, 0)
    broken = plays.drawn(single, (4,), willing, (two,), enough, "2 act, 3 are needed")
    safe = plays.drawn(hidden, (4, 4, 3), willing, (two, two, two), enough, "nobody acts: the split lasted one round")
    lucky = plays.drawn(hidden, (4, 4, 3), willing, (everybody, two, one), enough, "1 acts, 3 are needed")
    first, second = pair(
        "play",
        ("One round: a single liar splits three willing nodes", broken, "n = 4, k = 3, t = 1, threshold 4."),
        (
            "Hidden end: after the same split all give up in the next round",
            safe,
            "The same nodes, the same liar. While the vote goes on 4 yes are asked for, in its last round 3.",
        ),
    )
    third = spacetime(
        "lucky",
        "The best attack: split just before the last round, which it has to guess",
        lucky,
        "It keeps all willing, splits in round 2, and the vote happens to end in round 3.",
    )
    return first, second, third


def _margins(rows: Rows) -> tuple[Figure, Figure]:
    by = {(row["margin"], row["willing"]): row for row in rows}
    n, k, t = (rows[0][name] for name in ("n", "k", "t"))
    margins, willing = (sorted({key[i] for key in by}) for i in (0, 1))

    def drawn(id: str, column: str, acts: str, title: str, caption: str) -> Figure:
        def cell(margin: int, count: int) -> Cell:
            row = by[margin, count]
            exact = row[f"{column}_exact"]
            waits = count >= k and row[acts] < 1
            told = f"margin {margin}, {count} willing: too few act in {exact} of runs under the best attack; "
            told += "liars can keep everybody waiting" if waits else f"enough act in {row[f'{acts}_exact']} of runs"
            return Cell(row[column], exact, told, not waits)

        return heat(id, title, margins, willing, cell, "willing nodes", "margin λ", caption)

    below = max(Fraction(row["worst_exact"]) for row in rows if row["margin"] < t)
    full = max(Fraction(row["worst_exact"]) for row in rows if row["margin"] >= t)
    mild = max(Fraction(row["worst_restricted_exact"]) for row in rows)
    size = f"n = {n}, k = {k}, t = {t}, exactly"
    return (
        drawn(
            "margins",
            "worst",
            "acts",
            f"A margin of t holds the best attacker to {number(full)}; one below t lets it go to {number(below)}",
            f"{size}: chance that some but fewer than {k} act.",
        ),
        drawn(
            "distance",
            "worst_restricted",
            "acts_restricted",
            f"If at most λ liars say yes to one node, every margin holds them to {number(mild)}",
            f"{size}, attackers t − λ away from all-1 (Theorem 7).",
        ),
    )


def _gap(rows: Rows) -> Figure:
    case = {"k": 4, "t": 4, "margin": 2}
    here = [row for row in rows if all(row[name] == value for name, value in case.items())]
    by = {(row["reach"], row["willing"]): row for row in here}
    willing = sorted({row["willing"] for row in here if row["worst_once"] > 0 or row["worst_always"] > 0})
    names = {
        f"{reach} get through, {mode}": (reach, column)
        for column, mode in (("worst_once", "round 1 only"), ("worst_always", "every round"))
        for reach in (1, 2, 3)
    }

    def cell(name: str, count: int) -> Cell:
        reach, column = names[name]
        exact = by[reach, count][f"{column}_exact"]
        return Cell(by[reach, count][column], exact, f"{name}, {count} willing: {exact} of runs")

    first, then = (
        max(Fraction(row[f"worst_{name}_exact"]) for row in here if row["reach"] == 1) for name in ("once", "always")
    )
    title = f"The gap in Theorem 6: one liar through the first round splits with {_chance(first)}, "
    title += f"through every round with {_chance(then)}"
    caption = "k = 4, t = 4, λ = 2, exactly: chance that some but fewer than 4 act, by how many liars get through the "
    caption += "dispersion to a target and whether it is in force once or always."
    return heat("gap", title, list(names), willing, cell, "willing nodes", "liars", caption)


def _strikes(rows: Rows) -> Figure:
    roles = ("s1", "s2")
    series = []
    for role, case in zip(roles, dict.fromkeys((row["n"], row["k"], row["t"]) for row in rows), strict=True):
        here = [row for row in rows if (row["n"], row["k"], row["t"]) == case]
        columns = ([row[name] for row in here] for name in ("strikes_in", "share", "low", "high"))
        series.append(Series("n = {}, k = {}, t = {}".format(*case), role, *columns))
    exact, at = rows[0]["exact_fraction"], sorted({row["strikes_in"] for row in rows})
    series.append(Series(f"solved: {exact}", "s5", at, [rows[0]["exact"]] * len(at)))
    inside = sum(row["low"] <= row["exact"] <= row["high"] for row in rows)
    svg = lines(
        "strikes", series, xlabel="round of the split", ylabel="share of votes in which too few act", points=True
    )
    title = f"Played, the best attack succeeds as often as solved: {inside} of {len(rows)} intervals hold {exact}"
    return Figure("strikes", title, f"{number(rows[0]['votes'])} votes each; bars are 95 % intervals.", svg)


def _babble(rows: Rows) -> tuple[Figure, Figure]:
    """Table 6: our setting, exactly and played, and the paper's numbers."""
    names = ((0, "s3", "margin 0"), (1, "s2", "in between"), (2, "s1", "margin t"))

    def drawn(id: str, label: str, *columns: str) -> str:
        found = []
        for margin, role, name in names:
            here = [row for row in rows if row["margin"] == margin]
            found.append(Series(name, role, *([row[column] for row in here] for column in ("share", *columns))))
        return lines(id, found, xlabel="chance that a liar says yes", ylabel=label)

    best = [max((r for r in rows if r["share"] == share), key=lambda r: r["exact"])["margin"] for share in SHARES]
    turns = [f"{margin} from a chance of {SHARES[best.index(margin)]:g}" for margin in dict.fromkeys(best)]
    turns[0] = f"{best[0]} at first"
    n, k, t = (rows[0][name] for name in ("n", "k", "t"))
    caption = f"n = {n}, k = {k}, t = {t}; a vote scores 1 if enough act, −1 if too few. "
    caption += f"Band: 95 % interval of {number(rows[0]['votes'])} played votes."
    title = f"Against random liars the best margin is {', '.join(turns)}"
    same = sum(
        mine == max((r for r in rows if r["share"] == share), key=lambda r: r["source"])["margin"]
        for mine, share in zip(best, SHARES, strict=True)
    )
    ends = f"{rows[0]['source']:.3f} and {rows[-1]['source']:.3f}"
    told = "The numbers that survive of Table 6; its sizes and rewards are lost, so only the shape can be compared."
    return (
        Figure("babble", title, caption, drawn("babble", "mean score, exactly", "exact", "low", "high")),
        Figure(
            "table6",
            f"The paper's Table 6 agrees on the best margin at {same} of {len(SHARES)} chances, ends {ends}",
            told,
            drawn("table6", "reward in the paper", "source"),
        ),
    )


def _rounds(rows: Rows) -> tuple[Figure, Figure]:
    uniform, geometric = ([row for row in rows if row["law"] == law] for law in ("uniform", "geometric"))
    most = [row["max_rounds"] for row in uniform]
    at_most = [
        Series("uniform last round", "s1", most, [row["worst"] for row in uniform]),
        Series("lost messages: no less", "s5", most, [row["coordinated_attack"] for row in uniform]),
    ]
    on_average = [
        Series(name, role, [row["mean_rounds"] for row in found], [row["worst"] for row in found])
        for name, role, found in (("uniform", "s1", uniform), ("geometric", "s2", geometric))
    ]
    end, other = uniform[-1], geometric[-1]
    bound = number(Fraction(end["coordinated_attack_exact"]))
    first = (
        f"In at most {end['max_rounds']} rounds the vote gets to {end['worst_exact']}; with lost messages none gets "
    )
    first += f"below {bound}"
    told = "n = 4, k = 3, t = 1, exactly. The other line is coordinated attack with lost messages and private coins, "
    told += "1/(r + 1) in r rounds (Varghese and Lynch 1992): another problem, no bound on ours."
    second = f"{end['worst_exact']} costs {number(end['mean_rounds'])} rounds on average with a uniform end, "
    second += f"{number(other['mean_rounds'])} with a geometric one"
    label = "chance that too few act"
    return (
        Figure("at-most", first, told, lines("at-most", at_most, xlabel="rounds at most", ylabel=label, points=True)),
        Figure(
            "on-average",
            second,
            "n = 4, k = 3, t = 1, exactly, at equal worst cases.",
            lines("on-average", on_average, xlabel="rounds on average", ylabel=label, points=True),
        ),
    )
