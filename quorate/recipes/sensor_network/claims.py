"""What the source says about its sensor network, beside what the rows say."""

from typing import Any

from quorate.experiments.claims import Claim, Measured, Word, side
from quorate.experiments.outcome import Rows
from quorate.measure.intervals import clopper_pearson
from quorate.recipes import pick
from quorate.recipes.sensor_network.every_lie import WAVES, WORDS
from quorate.recipes.sensor_network.playing import WIDE
from quorate.report.numbers import integer, interval, number

Tables = dict[str, Rows]
APART = ("liars", "grid", "real", "neighbourhoods of three", "two halls")  # at most one liar in a neighbourhood
TENFOLD = ", tenfold"  # with ten times the messages
TRIMMED = tuple("trimmed mean" + far + more for far in ("", WIDE) for more in ("", TENFOLD))
NEARLY = 0.1  # of a bin: our line for "nearly zero"
FOLLOWS = 0.5  # of a bin: our line for a mean that follows the signal
ALL = 0.01  # our line for "all": fewer than this are missed
ON_RECORD: dict[str, tuple[Word, float | None]] = {
    "only_the_truth_passes": ("holds", None),
    "all_are_reached": ("in part", 0.004777),
    "one_belief": ("holds", 0.06186),
    "flooding_fails": ("holds", 0.539),
    "every_assumption_is_needed": ("in part", 0.5347),
    "better_than_trimming": ("holds", 0.2626),
}


def worst(rows: Rows, method: str, liars: int = 1) -> dict[str, Any]:
    """The row of the behaviour that is worst for a method on the line."""
    return max(pick(rows, method=method, part="liars", liars=liars), key=lambda row: row["wrong"])


def percent(share: float) -> str:
    """A share as per cent.

    >>> percent(0.1234), percent(0.0)
    ('12.3 %', '0 %')
    """
    return f"{number(100 * share)} %"


def percents(row: dict[str, Any], name: str) -> str:
    """A row's share with its interval, as per cent."""
    return interval(*(100 * row[name + end] for end in ("", "_low", "_high"))) + " %"


def only_the_truth_passes(tables: Tables) -> Measured:
    rows = [row for row in tables["rows"] if row["method"].startswith("vote") and row["part"] in APART]
    false, changes, bad, runs = (sum(row[name] for row in rows) for name in ("false", "told", "false_runs", "runs"))
    lies = tables["every_lie"]
    plays, broken = sum(row["plays"] for row in lies), sum(row["false"] for row in lies)
    text = f"{integer(false)} of {integer(changes)} changes of belief in sensors that see nothing were false"
    note = f"seen in {integer(bad)} of {integer(runs)} runs, so in at most "
    note += f"{percent(clopper_pearson(bad, runs).high)} (upper end of 95 %, as if runs were independent); on a line "
    note += f"of five, with {number(len(WORDS))} words and {number(WAVES)} waves, {integer(broken)} false positions "
    note += f"in all {number(float(plays))} ways to lie, exactly; a value is false when no honest sensor sees it in "
    note += "the step"
    return Measured("holds" if false == broken == 0 else "does not hold", text, note)


def all_are_reached(tables: Tables) -> Measured:
    lying = [
        row for row in tables["rows"] if row["method"] == "vote" and row["part"] in ("liars", "grid") and row["liars"]
    ]
    most = max(lying, key=lambda row: row["missed"])
    halls = max(pick(tables["rows"], part="two halls"), key=lambda row: row["missed"])
    real = max(pick(tables["rows"], part="real", method="vote"), key=lambda row: row["missed"])
    text = f"line and grid: at most {percents(most, 'missed')} missed; two halls joined by a liar: "
    text += percents(halls, "missed")
    note = (
        f"at worst {percents(real, 'missed')} on real networks; a connected graph is not enough: where all ways lead "
    )
    note += "through a liar, those behind it are not reached, though every assumption of the theorem is met; missed on "
    note += "line and grid are sensors that misread at the edge of a bin and then lost sight: nobody calls until the "
    note += "value changes"
    if most["missed_high"] >= ALL:
        word: Word = "does not hold" if most["missed_low"] > ALL else "in part"
    else:
        word = "in part" if halls["missed_low"] > ALL else "holds"
    return Measured(word, text, note, None, most["missed"], most["missed_low_99"], most["missed_high_99"])


def one_belief(tables: Tables) -> Measured:
    rows = pick(tables["rows"], method="vote", part="liars", liars=1)
    wide, far = (max(rows, key=lambda row: row[name]) for name in ("spread", "error"))
    spread, error = (
        [row[name + end] for end in ("", "_low", "_high")] for row, name in ((wide, "spread"), (far, "error"))
    )
    text = f"beliefs spread by {interval(*spread)} bins, their mean is {interval(*error)} bins from the target"
    worst_ones = " and ".join(dict.fromkeys((wide["behaviour"], far["behaviour"])))
    note = f"one liar, at its worst ({worst_ones}); a bin alone is good for {number(12**-0.5)} bins; our lines: nearly "
    note += "zero is below a tenth of a bin, to follow is to be within half a bin; the rest is at the edges of bins, "
    note += "where honest sensors see two"
    ratio = None if min(spread) <= 0 else (NEARLY / spread[0], NEARLY / spread[2], NEARLY / spread[1])
    both = {side(-spread[2], -spread[1], -NEARLY), side(-error[2], -error[1], -FOLLOWS)}
    word = next(one for one in ("does not hold", "in part", "holds") if one in both)
    return Measured(word, text, note, ratio, spread[0], wide["spread_low_99"], wide["spread_high_99"])


def flooding_fails(tables: Tables) -> Measured:
    most = worst(tables["rows"], "flooding")
    where = {"part": "liars", "liars": 1}
    same = pick(tables["rows"], method="vote", behaviour=most["behaviour"], **where)[0]
    silent = pick(tables["rows"], method="flooding", behaviour="silent", **where)[0]
    text = f"one liar makes {percents(most, 'wrong')} wrong; with votes {percents(same, 'wrong')}"
    note = f"line, {most['behaviour']}; over two links, as far as votes are heard, "
    note += f"{percent(worst(tables['rows'], 'flooding' + WIDE)['wrong'])}; a liar that only blocks costs "
    note += f"{percent(silent['wrong'])} there, since each sensor hears two on either side"
    word: Word = "holds" if most["wrong_low"] > max(same["wrong_high"], ALL) else "does not hold"
    return Measured(word, text, note, None, most["wrong"], most["wrong_low_99"], most["wrong_high_99"])


def every_assumption_is_needed(tables: Tables) -> Measured:
    pair = pick(tables["rows"], part="two liars together")[0]
    alone = pick(tables["rows"], part="one observer", liars=0)[0]
    three = pick(tables["rows"], part="neighbourhoods of three")
    free = next(row for row in three if not row["liars"])
    false = sum(row["false"] for row in three)
    needed = [pair["false"] > 0, alone["wrong_low"] > ALL, false > 0 or free["missed_low"] > ALL]
    text = f"two liars together: {percents(pair, 'wrong')} wrong; one observer: {percents(alone, 'wrong')}; "
    text += f"neighbourhoods of three: {integer(false)} false, {percents(free, 'missed')} missed without liars"
    cut = max((row for row in three if row["liars"]), key=lambda row: row["missed"])
    note = f"a liar cuts a line of such neighbourhoods in two ({percent(cut['missed'])} missed) and fools nobody: with "
    note += "the scope of a vote known, it takes no more than three members; the bound is that of the protocol for "
    note += "Byzantine generals that is to agree on the scope"
    word: Word = "holds" if all(needed) else ("in part" if any(needed) else "does not hold")
    return Measured(word, text, note, None, pair["wrong"], pair["wrong_low_99"], pair["wrong_high_99"])


def better_than_trimming(tables: Tables) -> Measured:
    """Against whichever kind of trimmed means does best; each kind, like the votes, with the liar that is worst for it.
    All send as many messages as the votes without liars, or more."""
    rows = tables["rows"]
    ours = worst(rows, "vote")
    kinds = {method: worst(rows, method) for method in TRIMMED}
    best = min(kinds, key=lambda method: kinds[method]["wrong"])
    theirs, calm, free = kinds[best], *(pick(rows, part="liars", method=name, liars=0)[0] for name in ("vote", best))
    text = f"{percents(ours, 'wrong')} wrong; the best trimmed means {percents(theirs, 'wrong')}"
    note = f"one liar at its worst against each ({ours['behaviour']}, {theirs['behaviour']}), line; the best is "
    note += f"{best}: {number(free['messages'])} messages a step where votes send {number(calm['messages'])}, and "
    note += f"{percent(free['wrong'])} wrong without liars against {percent(calm['wrong'])}. The others: "
    note += ", ".join(f"{name} {percent(row['wrong'])}" for name, row in kinds.items() if name != best)
    note += ". A vote hears members two links away, one message each; of neighbours alone it leaves "
    note += percents(worst(rows, "vote of neighbours"), "wrong")
    word: Word = (
        "holds"
        if ours["wrong_high"] < theirs["wrong_low"]
        else ("does not hold" if ours["wrong_low"] > theirs["wrong_high"] else "in part")
    )
    return Measured(word, text, note, None, theirs["wrong"], theirs["wrong_low_99"], theirs["wrong_high_99"])


CLAIMS = [
    Claim(judge.__name__, where, words, judge, ON_RECORD[judge.__name__])
    for judge, where, words in (
        (only_the_truth_passes, "Theorem 8", "Only the correct signal can pass the consensus"),
        (all_are_reached, "Theorem 8", "The new signal will be broadcast to all the agents"),
        (one_belief, "Figure 11", "The mean belief follows the signal, its standard deviation is nearly zero"),
        (flooding_fails, "Figure 12", "With plain broadcasting a liar makes beliefs inconsistent"),
        (
            every_assumption_is_needed,
            "ours",
            "It takes one liar a neighbourhood, two observers, more than three members",
        ),
        (
            better_than_trimming,
            "ours",
            "Votes do better than trimmed means, on one link or two, with as many messages or ten times more",
        ),
    )
]
