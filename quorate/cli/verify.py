"""`quorate verify PROTOCOL`: how often can liars break it? Exactly where possible, with an interval where not."""

import json
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

from quorate.cli.exits import DIFFERENT, FINE, UNSETTLED
from quorate.cli.options import Flag, Value
from quorate.cli.protocols import asked, number
from quorate.errors import Refusal

RUNS = 10_000  # of each attack, for protocols that can only be sampled
OWN = {
    "method": Value("exact: over counts; exhaustive: message by message; what fits the protocol unless told", "METHOD"),
    "at_most": Value("ask about this chance of a breach instead of the promised one, as 0.05 or 1/9", "CHANCE"),
    "time": Value("seconds that it may take (60)", "SECONDS"),
    "max_states": Value("positions and ways to lie that it may look at (2e7)", "N"),
    "sample": Value("play so many runs of each attack instead: a lower bound with an interval", "RUNS"),
    "certificate": Value("write a certificate that can be checked without the solver", "FILE"),
    "report": Flag("write a page with figures into --out"),
    "out": Value("where reports are kept (runs)", "FOLDER", "runs"),
}


def main(rest: list[str], terminal: Any) -> int:
    if rest and (rest[0] == "--check" or rest[0].startswith("--check=")):
        return _check(rest, terminal)
    found = asked("verify", rest, OWN)
    if isinstance(found, int):
        return found
    name, common, given = found
    from quorate.protocols import protocol

    if common["sample"] is not None:
        _alone("sample", common, ("method", "at_most", "time", "max_states", "certificate", "report"))
    if common["certificate"] is not None and not Path(common["certificate"]).absolute().parent.is_dir():
        raise Refusal(f"--certificate is {common['certificate']}; there is no such folder")
    if common["sample"] is not None or (common["method"] is None and protocol(name).method == "sampled"):
        return _sample(name, common, given, terminal)
    from quorate.report.verified import Story
    from quorate.verify.check import MOST, SECONDS, verify
    from quorate.verify.exact import Unsettled, expected_rounds

    seconds = SECONDS if common["time"] is None else number("--time", common["time"])
    most = MOST if common["max_states"] is None else number("--max-states", common["max_states"])
    at_most = None if common["at_most"] is None else _chance(common["at_most"])
    try:
        result = verify(name, method=common["method"], at_most=at_most, most=most, seconds=seconds, flags=True, **given)
    except Unsettled as budget:
        terminal.error(_too_much(budget, rest, seconds, most))
        return UNSETTLED
    for warning in result.warnings:
        terminal.warning(warning)
    story, code = Story(result), FINE if result.holds else DIFFERENT
    if common["certificate"]:
        from quorate.verify.certificate import write

        write(result.game, common["certificate"], name, result.options)
    paths = {"certificate": common["certificate"]} if common["certificate"] else {}
    if common["report"]:
        from quorate.report.verified import report

        paths["report"] = report(story, common["out"], shlex.join(["quorate", "verify", *rest]))
    if common["json"]:
        from quorate.verify.check import as_json

        game = result.game
        rounds = float(expected_rounds(game) if result.method == "exact" else game.expected_rounds())
        print(json.dumps(as_json(result, story.plans(), rounds)))
        return code
    terminal.header(name, result.words)
    if terminal.quiet:
        terminal.verdict(story.verdict())
        return code
    if story.safety is not None:
        columns = ("willing nodes", "worst case", "the attack that reaches it")
        terminal.table(columns, story.table(), right=(1,))
    terminal.findings(story.judged())
    if story.broken is not None:
        heading, rows = story.shortest()
        terminal.prose(heading)
        terminal.table(("round", "liars say", "yes votes", "needed", "so"), rows)
    terminal.prose(story.footer())
    if story.broken is not None and not common["report"]:
        paths["replay"] = shlex.join(["quorate", "verify", *rest, "--report"])
    terminal.paths(paths)
    return code


def _alone(name: str, common: dict[str, Any], others: tuple[str, ...]) -> None:
    """Options that would have no effect beside --name are refused."""
    for other in others:
        if common[other]:
            raise Refusal(f"--{other.replace('_', '-')} does not go with --{name}")


def _chance(text: Any) -> Fraction:
    try:
        value = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        raise Refusal(f"--at-most is {text}; it must be a chance such as 0.05 or 1/9") from None
    if not 0 <= value <= 1:
        raise Refusal(f"--at-most is {text}; a chance lies between 0 and 1")
    return value


def _too_much(budget: Any, rest: list[str], seconds: float, most: float) -> str:
    from quorate.report.numbers import duration

    size = next((rest[i + 1] for i, word in enumerate(rest[:-1]) if word == "--n"), None)
    what = "this" if size is None else f"--n {size}"
    limit = f"--time is {seconds:g} s" if budget.seconds > seconds else f"--max-states is {most:g}"
    return (
        f"{what} would take {budget.plays:.1e} states, about {duration(budget.seconds)}, to solve ({limit})\n"
        "--sample 100000 gives a bound instead"
    )


def _check(rest: list[str], terminal: Any) -> int:
    words = rest[0].split("=", 1)[1:] + rest[1:] if "=" in rest[0] else rest[1:]
    files = [word for word in words if not word.startswith("--")]
    for word in set(words) - set(files) - {"--json", "--quiet", "--no-color", "--debug"}:
        raise Refusal(f"{word} does not go with --check")
    if len(files) != 1:
        raise Refusal("--check takes one file, a certificate that quorate verify --certificate FILE wrote")
    from quorate.report.numbers import integer
    from quorate.report.numbers import number as shown
    from quorate.verify.certificate import check

    checked = check(files[0])
    holds = all(checked.holds(index) for index in range(len(checked.words)))
    bounds = [checked.bounds(index) for index in range(len(checked.words))]
    if "--json" in words:
        rows = [
            {"words": said, "holds": checked.holds(i), "lower": str(bounds[i][0]), "upper": str(bounds[i][1])}
            for i, said in enumerate(checked.words)
        ]
        settings = {"protocol": checked.name, **checked.options, "method": checked.method, "exact": checked.exact}
        print(json.dumps(settings | {"properties": rows, "positions": checked.positions, "holds": holds}))
        return FINE if holds else DIFFERENT
    terminal.header(checked.name, checked.entry.told(checked.entry.settings(checked.protocol, checked.options)))
    terminal.findings(
        [
            (checked.holds(i), said, " to ".join(dict.fromkeys(map(shown, bounds[i]))))
            for i, said in enumerate(checked.words)
        ]
    )
    terminal.verdict(
        f"Checked without the solver: one step from each of {integer(checked.positions)} stored positions (no attack "
        f"does better), {integer(checked.plays)} plays replayed message by message (an attack does as well)."
    )
    return FINE if holds else DIFFERENT


def _sample(name: str, common: dict[str, Any], given: dict[str, Any], terminal: Any) -> int:
    from quorate.arguments import Count
    from quorate.report.numbers import interval
    from quorate.verify.check import tried

    runs = Count("runs of each attack", most=10**8)("--sample", RUNS if common["sample"] is None else common["sample"])
    seed = Count("seeds", least=0)("--seed", common["seed"])
    result = tried(name, runs=runs, seed=seed, flags=True, **given)
    code = DIFFERENT if result.any_refuted else FINE
    if common["json"]:
        print(json.dumps(result.as_json()))
        return code
    terminal.header(name, f"{result.words}; {runs} runs of each attack")
    worst = result.sampled.worst(0)
    rows = [
        (str(willing), interval(row.share, row.low, row.high), row.attack if row.breaches else "none of those tried")
        for willing, row in sorted(worst.items())
    ]
    terminal.table(("willing nodes", "runs it breaks", "the attack that does most harm"), rows, right=(1,))
    terminal.findings(
        [
            (not result.refuted(index), title, "refuted" if result.refuted(index) else "not refuted")
            for index, title in enumerate(result.titles)
        ]
    )
    attacks = len({row.attack for row in result.sampled.rows})
    terminal.verdict(
        f"{attacks} attacks were tried; a stronger one may exist, so this bounds the worst case from below, with "
        f"{result.sampled.level:.0%} for all cells together."
    )
    return code
