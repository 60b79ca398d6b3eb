"""What `quorate verify` says: tables and sentences for the terminal, figures and a page, all made from a `Verified`."""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.errors import Refusal
from quorate.experiments.store import provenance
from quorate.report import spacetime as drawn
from quorate.report.figure import Figure
from quorate.report.heat import Cell, heat
from quorate.report.numbers import duration, integer, number
from quorate.report.page import Table, page
from quorate.report.plays import acts, number_of, said_by_liars, says_yes, thresholds, told_in_space, watched
from quorate.verify.check import Finding, Verified
from quorate.verify.play import Play, breaks, played, replayed
from quorate.verify.strategy import Strategy

MOST_COLUMNS = 18  # of the heat map
DRAWN_NODES, DRAWN_ROUNDS = 24, 10  # at most, in a space-time figure


class Story:
    """One `Verified`, told. Strategies are worked out when first needed: they look at every play once more."""

    def __init__(self, found: Verified):
        self.found = found
        self.safety = next((f for f in found.findings if f.about.kind == ALWAYS and not f.about.early), None)

    @cached_property
    def strategy(self) -> Strategy:
        return Strategy(self.found.game, self.found.findings.index(self.safety))

    @property
    def in_words(self) -> bool:
        """Whether proposals are no and yes, so that attacks can be told in words."""
        return self.found.entry.values == (0, 1)

    def start(self, willing: int, index: int) -> int:
        """The worst start for property `index` with so many willing nodes."""
        game = self.found.game
        places = [i for i, row in enumerate(game.proposed) if int(row[-1]) == willing]
        return max(places, key=lambda i: game.answers[index].chances[i])

    def alternatives(self, willing: int) -> list[Any]:
        """What the best attacks on the first promise do, from so many willing nodes."""
        return self.strategy.alternatives(self.start(willing, self.strategy.index)) or []

    def plans(self) -> list[Any] | None:
        """For `--json`: by number of willing nodes, the best attack round by round, None where none succeeds."""
        if self.safety is None:
            return None
        return [
            self.strategy.plan(self.start(willing, self.strategy.index)) if chance else None
            for willing, chance in enumerate(self.safety.chances)
        ]

    def table(self) -> list[tuple[str, str, str]]:
        """(willing nodes, worst case, the attack that reaches it); equal neighbours share a line."""
        rows: list[tuple[list[int], str, str]] = []
        for willing, (chance, counts) in enumerate(zip(self.safety.chances, self.safety.counts, strict=True)):
            shown, attack = "-", "nothing is promised there"
            if counts:
                entries = self.alternatives(willing)
                attack = attack_in_words(entries) if self.in_words else f"an attack over {len(entries)} rounds"
                shown, attack = number(chance), attack if chance else "none"
            if rows and rows[-1][1:] == (shown, attack):
                rows[-1][0].append(willing)
            else:
                rows.append(([willing], shown, attack))
        said: list[tuple[str, str, str]] = []
        for place, (numbers, shown, attack) in enumerate(rows):
            same = place and attack.startswith(("let", "keep", "have")) and rows[place - 1][2] == attack
            said.append((ranged(numbers), shown, "the same" if same else attack))
        return said

    def judged(self) -> list[tuple[bool, str, str]]:
        """(holds, the property, how often or against what), a line for each property and one for the engine."""
        lines = [(f.holds, f.words, self._detail(f)) for f in self.found.findings]
        engine = self.found.engine
        if engine is not None:
            more = f"{integer(engine.plays)} random plays, {' and '.join(engine.ways)}"
            lines.append((not engine.difference, "the simulator counts every vote once", engine.difference or more))
        return lines

    def _detail(self, finding: Finding) -> str:
        worst, at = finding.worst, finding.broken_at
        t = self.found.roster.liars
        if finding.about.kind == SOMETIMES:
            return "" if finding.holds else "not in any run: safe because nothing ever happens"
        if not any(finding.counts):
            return "there are not so many nodes"
        if finding.holds and worst:
            tight = ", tight" if worst == finding.allowed else ""
            return f"in more than {number(worst)} of runs   bound {number(finding.allowed)}{tight}"
        if finding.holds:
            said = "" if not t else "the liar sends" if t == 1 else f"the {t} liars send"
            return f"whatever {said}" if said else "there is no liar"
        if worst == 1:
            return f"broken in every run, with {ranged(at)} willing nodes"
        often = f"broken in up to {number(worst)} of runs, with {ranged(at)} willing nodes"
        return often + (f", {number(finding.allowed)} allowed" if finding.allowed else "")

    def verdict(self) -> str:
        """One sentence, for `--quiet` and the head of the page."""
        found, name = self.found, self.found.name.replace("_", " ")
        if found.holds and not found.roster.liars:
            return f"The {name} holds; there is no liar."
        if found.holds and (self.safety is None or not self.safety.worst):
            return f"The {name} holds, whatever {_liars(found.roster.liars, 'can say')}."
        if found.holds:
            often = f"in at most {number(self.safety.worst)} of runs"
            return f"The {name} holds: {_liars(found.roster.liars, 'can break it')} {often}."
        broken = next((f for f in found.findings if not f.holds), None)
        if broken is None:
            return f"The {name} is not carried as it should be: {found.engine.difference}."
        if broken.about.kind == SOMETIMES:
            return f"The {name} is safe only because nothing ever happens: {broken.words} in no run."
        often = "in every run" if broken.worst == 1 else f"in {number(broken.worst)} of runs"
        return f"The {name} is broken {often}: {broken.words} fails with {ranged(broken.broken_at)} willing nodes."

    def footer(self) -> str:
        found = self.found
        kind = "Exact" if found.method == "exact" else "Exhaustive"
        positions = f"{integer(found.game.positions)} positions, {integer(found.game.plays)} ways to lie"
        what = "every equivocating and rushing attack"
        if not getattr(found.game, "complete", True):
            what += " with messages that nodes can say and the extremes of their kind"
        return f"{kind}. {positions}, {what}, {duration(found.seconds)}."

    # ----------------------------------------------------------------------------------------------------- one play

    @cached_property
    def broken(self) -> Play | None:
        """The shortest play that breaks the first broken property that liars can break, from the fewest willing."""
        for index, finding in enumerate(self.found.findings):
            if finding.broken_at and not finding.about.early:
                return Strategy(self.found.game, index).play(self.start(finding.broken_at[0], index))
        return None

    @cached_property
    def likely(self) -> Play | None:
        """The broken play; where nothing is broken, the play behind the chance that is left."""
        if self.broken is not None or self.safety is None or not self.safety.worst:
            return self.broken
        return self.strategy.play(self.start(self.safety.chances.index(self.safety.worst), self.strategy.index))

    def shortest(self) -> tuple[str, list[tuple[str, str, str, str, str]]]:
        """(a heading, a row for each round) of the broken play."""
        play, rows = self.broken, []
        needed = thresholds(self.found.protocol, play)
        for r, turn in enumerate(play.turns):
            last = r == len(play.turns) - 1 and all(turn.settled)
            nodes = watched(play, r, needed)
            votes = " ".join(number_of(turn.heard[i]) for i in nodes[:8]) + (" …" if len(nodes) > 8 else "")
            asked = sorted({needed[r][i] for i in nodes} - {None}) if needed else []
            if last or r == len(play.turns) - 1:
                so = f"{sum(1 for decision in play.decisions if acts(decision))} act"
                if not self.in_words:
                    so = "decisions " + " ".join(map(str, play.decisions))
            else:
                so = f"{sum(map(says_yes, turn.after))} stay willing"
            asked_words = " to ".join(str(x) for x in dict.fromkeys((asked[0], asked[-1]))) if asked else "-"
            rows.append((f"{r + 1}{' last' if last else ''}", said_by_liars(play, r, nodes), votes, asked_words, so))
        willing = sum(1 for proposal in play.proposals if proposal == self.found.entry.values[-1])
        end = f", the end comes in round {len(play.turns)}" if len(play.turns) > 1 else ""
        return f"shortest attack, {willing} willing nodes{end}", rows

    def figures(self) -> list[Figure]:
        """The chances by number of willing nodes, and a play that breaks it beside one that does not."""
        found, figures = self.found, []
        named = [f for f in found.findings if f.about.kind in (ALWAYS, EVENTUALLY)]
        columns = self._columns(named)
        if named and columns:

            def cell(finding: Finding, willing: int) -> Cell:
                chance, counts = finding.chances[willing], finding.counts[willing]
                long = f"{finding.words}: broken in {number(chance)} of runs with {willing} willing nodes"
                long += "" if counts else "; not promised there"
                return Cell(float(chance), number(chance), long, counts)

            by_words = {f.words: f for f in named}
            figures.append(
                heat(
                    "chances",
                    "How often the best attack breaks each promise",
                    list(by_words),
                    columns,
                    lambda words, willing: cell(by_words[words], willing),
                    "willing nodes",
                    "",
                    "Exact, over every equivocating and rushing attack.",
                    zero="cannot happen",
                    one="always",
                    stripes="not promised there",
                )
            )
        play = self.likely
        if play is None or play.roster.honest + play.roster.liars > DRAWN_NODES or len(play.turns) > DRAWN_ROUNDS:
            return figures
        safe = self.nearest_safe(play)
        title = "A run that breaks it" if self.broken is not None else "The run behind the chance that is left"
        one = (title, told_in_space(found.protocol, play, True), "Blue: honest yes. Red: what liars tell each node.")
        if safe is None:
            return [*figures, drawn.spacetime("play", *one)]
        why, other = safe
        return [*figures, *drawn.pair("play", one, ("The nearest run that does not", other, why))]

    def _columns(self, named: list[Finding]) -> list[int]:
        """The numbers of willing nodes that a heat map shows: all, or those around where something can go wrong; none
        where even these are too many."""
        everyone = list(range(self.found.roster.honest + 1))
        if len(everyone) > MOST_COLUMNS and self.safety is not None:
            near = [a for a, chance in enumerate(self.safety.chances) if chance] or [0]
            everyone = everyone[max(0, near[0] - 2) : near[-1] + 3]
        return everyone if len(everyone) <= MOST_COLUMNS else []

    def nearest_safe(self, play: Play) -> tuple[str, drawn.Play] | None:
        """The same run with one thing changed: the last coin, else the last lies, else all lies."""
        found, turns = self.found, play.turns
        index = next(i for i, f in enumerate(found.findings) if f.about.kind != SOMETIMES and not f.about.early
                     and breaks(found.protocol, f.about, play))  # fmt: skip
        words, lies = [turn.word for turn in turns], [turn.lies for turn in turns]
        quiet = tuple(tuple(None for _ in told) for told in turns[-1].lies)
        changed = [
            ("Only the coin of the last round differs.", lies, [*words[:-1], word])
            for word in (2**32 - 1, 0)
            if word != words[-1]
        ]
        changed += [("Only in the last round the liars are silent.", [*lies[:-1], quiet], words)]
        changed += [("The same run with silent liars.", [quiet] * len(lies), words)]
        for why, told, coin in changed:
            other = played(found.protocol, play.roster, play.proposals, told, coin)
            if not breaks(found.protocol, found.findings[index].about, other, replayed(found.protocol, other)[0]):
                return why, told_in_space(found.protocol, other, False)
        return None


def _liars(t: int, verb: str) -> str:
    return f"{'no' if not t else 'one' if t == 1 else t} liar{'' if t == 1 else 's'} {verb}"


def ranged(numbers: Sequence[int]) -> str:
    """Whole numbers in a row, in words.

    >>> ranged([0, 1, 2]), ranged([4]), ranged([6, 7]), ranged([1, 3])
    ('0 to 2', '4', '6 and 7', '1 and 3')
    """
    if len(numbers) == 1:
        return str(numbers[0])
    if len(numbers) == 2:
        return f"{numbers[0]} and {numbers[1]}"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} or {high}" if high == low + 1 else f"{low} to {high}"


def attack_in_words(entries: Sequence[dict[str, Any]]) -> str:
    """A plan of `Strategy.alternatives`, in a line.

    >>> attack_in_words([{"round": 1, "pass": (2, 3), "split": None}, {"round": 2, "pass": None, "split": (1, 3)}])
    'let 2 or 3 pass, have 1 to 3 act'
    """
    if not entries:
        return "none"
    parts, runs = [], []
    for entry in entries[:-1]:
        if runs and runs[-1][0] == entry["pass"]:
            runs[-1][1] += 1
        else:
            runs.append([entry["pass"], 1])
    for passing, length in runs:
        if passing is not None:
            verb = ("let {} pass" if length == 1 else "keep {} willing").format(_between(*passing))
            parts.append(verb)
    split = entries[-1]["split"]
    if split is not None:
        parts.append(f"have {_between(*split)} act")
    return ", ".join(parts) or "the same as doing nothing"


def report(story: Story, out: str, command: str) -> Path:
    """Writes the page into a folder of its own under `out`, named by protocol and settings."""
    found = story.found
    mark = hashlib.sha256(repr((found.name, found.settings, found.method)).encode()).hexdigest()[:7]
    folder = Path(out) / f"verify-{found.name}-{mark}"
    signs = {True: "holds", False: "broken"}
    tables = [
        Table(
            "Promises",
            "Each line is checked against every attack, or on random plays where it says so.",
            ("promise", "verdict", "how often, or against what"),
            [(words, signs[holds], more or "yes") for holds, words, more in story.judged()],
        )
    ]
    if story.safety is not None:
        columns = ("willing nodes", "worst case", "the attack that reaches it")
        tables.append(Table("Worst cases", story.safety.words, columns, story.table()))
    made = provenance(0, command, found.seconds)
    text = page(
        title=f"{found.name} · quorate verify",
        eyebrow=f"{found.name} · {found.words}",
        verdict=story.verdict(),
        interval=None,
        lede=story.footer(),
        claims=(),
        sections=(),
        figures=story.figures(),
        tables=tables,
        provenance=made,
        command=command,
        files={},
        warnings=found.warnings,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "report.html.partial"
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / "report.html")
    except OSError as problem:
        raise Refusal(f"{folder}: cannot be written ({problem.strerror})") from None
    return folder / "report.html"
