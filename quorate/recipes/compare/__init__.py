"""Which coordination mechanism holds for my fleet? From a fleet file to a table of mechanisms under calm, loss, crash,
partition, attack and growth, with a bound on the optimum, the bill in messages, and a plain verdict.

    description.py  the fleet file; kinds, toml_lines, tasks_csv read it, possible.py says what cannot be
    instance.py     one fleet in numbers; flights.py and topology.py are real ones, growth.py makes it larger
    build.py        its world, its troubles, its mechanisms; site.py what they know; conditions.py what goes wrong when
    play.py         the runs; horizon.py what a clairvoyant could do; film.py one run as frames
    attacks.py      kinds of attack, the search for worse ones, the smallest share that brings a mechanism below alone
    rows.py         the table; standing.py, wording.py and verdict.py what it says; telling.py the report
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from quorate.arguments import Choice, Count, File, Text
from quorate.errors import Refusal, unknown
from quorate.experiments.outcome import Outcome
from quorate.experiments.study import Study
from quorate.protocols.mechanisms import mechanism as named
from quorate.protocols.mechanisms import refused
from quorate.protocols.site import Site
from quorate.recipes.compare.attacks import BUDGET, FEW, LEVELS, SEARCHED, SEGMENTS, said
from quorate.recipes.compare.build import FAR, largest_team, servable
from quorate.recipes.compare.conditions import TRACED, in_words, troubles
from quorate.recipes.compare.description import MECHANISMS, Description, read
from quorate.recipes.compare.film import film
from quorate.recipes.compare.human import HUMAN, human
from quorate.recipes.compare.instance import Instance, TraceSpec
from quorate.recipes.compare.play import ground, play, worst
from quorate.recipes.compare.possible import require
from quorate.recipes.compare.rows import CONDITIONS, YARDSTICKS, rows
from quorate.recipes.compare.telling import told
from quorate.recipes.compare.verdict import verdict
from quorate.recipes.compare.wording import listed, spoken
from quorate.report.numbers import about
from quorate.report.replay import Pair, player

CLAIMS: list = []
RECORDED: dict[str, Any] = {}
BOARDED = ("forge", "flood", "vandal", "skim")  # attacks on boards: who has none is spared
FEWER = 5  # the larger fleets of `growth` are averaged over so many times fewer draws
COST, COMPILE = 6e-6, 12.0  # seconds an agent-tick, and a program: assumed, for the estimate before the start
SLOW = {"cbba": 15}  # times the usual seconds an agent-tick, assumed


def main(
    study: Study,
    *,
    fleet: Annotated[Path, File("fleet file (TOML)")],
    mechanisms: Annotated[str | None, Text("mechanisms with commas: those of the file unless told")] = None,
    conditions: Annotated[str | None, Text("conditions with commas: all unless told")] = None,
    seeds: Annotated[
        int | None, Count("draws of each cell; as the file says unless told", least=1, most=100_000)
    ] = None,
    attacks: Annotated[
        str | None, Choice("how far attacks are tried: those of the list, a search too, smallest shares too", LEVELS)
    ] = None,
) -> Outcome:
    """Which coordination mechanism holds for the fleet of a file, at what price, and what breaks it."""
    description = read(fleet)
    names = _named("mechanism", mechanisms, MECHANISMS) or list(description.compare.mechanisms)
    require(description)
    if set(names) <= set(YARDSTICKS):
        given = "compare.mechanisms" if mechanisms is None else "--mechanisms"
        raise Refusal(f"{given} names only {names[0]}, a yardstick that nobody can field; name one beside it")
    asked = _asked(conditions, description)
    level = _level(attacks, description, names, asked)
    if "alone" in names and FAR not in names:
        names.append(FAR)  # the floor is only as honest as its eyes
    count = description.compare.seeds if seeds is None else seeds
    large = max(2, count // FEWER) if count > 1 else 1
    stage = ground(description, study.seed)
    agents, ticks = len(stage.world.speed), stage.instance.ticks
    wrong = troubles(description, ticks)
    servable(names, stage.world, stage.site, description)
    steps = _steps(description, names, asked, count, large, agents, ticks)
    steps += _tried(description, names, asked, count, level) * agents * ticks
    study.reporter.note(f"{steps:.2g} agent-ticks to play, {about(_seconds(steps, names, asked, level, count))}")
    stages = [one for one, on in (("growth", "growth" in asked), ("shares", level == "shares")) if on]
    study.reporter.stages([*names, *stages])
    played = play(study, description, stage, names, asked, count, large, level)
    if "described" in asked:
        flown = human(description, stage.instance, played.table[names[0]]["described"])
        if flown is not None:
            played.table[HUMAN] = {"described": flown}
    found = rows(played.table)
    judged = verdict([row._asdict() for row in found])
    warnings = _left_out(description, stage.instance, names, asked, count) + _borderless(stage.site, names)
    replay = _replays(study, description, stage, judged, wrong, asked, played)
    return told(found, judged, played, wrong, warnings, replay)


def setting(*, fleet: Path, seeds: int | None, **more: Any) -> str:
    """The arguments in a few words, for headings."""
    return f"fleet of {fleet.name}" + ("" if seeds is None else f", {seeds} draw{'s' * (seeds != 1)}")


def data(*, fleet: Path, **more: Any) -> dict[str, Path]:
    """Files that the result depends on besides those named in the arguments."""
    description = read(fleet)
    return {"orders": fleet.parent / description.tasks.detail} if description.tasks.kind == "csv" else {}


def _named(what: str, given: str | None, allowed: tuple[str, ...]) -> list[str] | None:
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    for name in names:
        why = refused(name)
        if why:
            raise Refusal(f"there is no {name}: {why}")
        if name not in allowed:
            raise unknown(what, name, allowed)
    if len(set(names)) < len(names):
        raise Refusal(f"--{what}s names {next(name for name in names if names.count(name) > 1)} twice")
    return names


def _asked(given: str | None, description: Description) -> list[str]:
    """The conditions in the order of the table; attack only where the file leaves a kind to attack with."""
    asked = _named("condition", given, CONDITIONS) or list(CONDITIONS)
    if not description.attack.kinds and given is None:
        asked.remove(TRACED)
    if not description.attack.kinds and TRACED in asked:
        raise Refusal("attack.kinds is empty, and the condition attack tries each of them")
    return [condition for condition in CONDITIONS if condition in asked]


def _level(given: str | None, description: Description, names: list[str], asked: list[str]) -> str:
    """How far attacks are tried: as given, else as the file says."""
    if given == "search" and "attack" not in asked:
        raise Refusal("--attacks search needs the condition attack, and --conditions leaves it out")
    if given == "shares" and not set(names) - {"alone", FAR}:
        raise Refusal("--attacks shares compares mechanisms with alone, and --mechanisms names no other")
    if given == "shares" and not description.attack.kinds:
        raise Refusal("--attacks shares tries each of attack.kinds, which is empty")
    return given or ("search" if description.attack.strongest == "search" else "listed")


def _steps(
    description: Description, names: list[str], asked: list[str], seeds: int, large: int, agents: int, ticks: int
) -> float:
    """Agent-ticks of the whole table."""
    cells = sum(len(description.attack.kinds) if one == "attack" else 1 for one in asked if one != "growth")
    growth = 10 * large if "growth" in asked else 0
    return float(len(names) * agents * ticks * (cells * seeds + growth))


def _tried(description: Description, names: list[str], asked: list[str], seeds: int, level: str) -> float:
    """Runs of the search and of the smallest shares, these about two for each share of the grid."""
    few = min(seeds, FEW)
    runs = len(names) * (BUDGET * few + seeds) if level != "listed" and "attack" in asked else 0
    return runs + (len(names) * len(description.attack.kinds) * 2 * SEGMENTS * few if level == "shares" else 0)


def _seconds(steps: float, names: list[str], asked: list[str], level: str, seeds: int) -> float:
    few = seeds > FEW and (level == "shares" or level == "search" and "attack" in asked)
    programs = len(names) * (1 + ("growth" in asked) + few)
    each = sum(SLOW.get(name.partition("+")[0], 1) for name in names) / len(names)
    return COST * each * steps + COMPILE * programs


def _left_out(
    description: Description, instance: Instance, names: list[str], asked: list[str], seeds: int
) -> tuple[str, ...]:
    """What the reader should know: what was assumed, what was not run, and what does not bear on what."""
    missing = [name for name in description.compare.mechanisms if name not in names]
    skipped = [condition for condition in CONDITIONS if condition not in asked]
    facts, attack, team = instance.facts, description.attack, largest_team(instance)
    lines = [" ".join(f"{fact[0].upper()}{fact[1:]}." for fact in facts)] if facts else []
    if missing or skipped:
        parts = [
            f"the {what} {', '.join(some)}" for what, some in (("mechanisms", missing), ("conditions", skipped)) if some
        ]
        lines.append(f"Left out: {'; '.join(parts)}.")
    if seeds == 1:
        lines.append("One draw gives no intervals: only what is equal is called a tie in the table.")
    elif seeds < 5:
        lines.append(f"{seeds} draws are few: intervals are wide, and what is called a tie may not be one.")
    if isinstance(instance.tasks, TraceSpec):
        lines.append("Every draw has the same tasks: intervals say how much is luck with them, not with other tasks.")
    single = [spoken(name) for name in names if name not in YARDSTICKS and not named(name).teams]
    if team > 1 and single:
        hint = (
            "" if any(name.startswith("team_") for name in names) else "; team_claim, which gathers teams, is left out"
        )
        send = "sends" if len(single) == 1 else "send"
        lines.append(f"Tasks ask for up to {team} units at once; {listed(single)} {send} one agent to each task{hint}.")
    attacked = TRACED in asked or "described" in asked and attack.share > 0
    deaf = [spoken(kind) for kind in attack.kinds if kind in BOARDED]
    if any(name.partition("+")[0] == "cbba" for name in names) and attacked and deaf:
        lines.append(f"Cbba has no board, so {listed(deaf)} {'does' if len(deaf) == 1 else 'do'} not touch it.")
    if TRACED not in asked and "described" in asked and attack.share > 0:
        kind = spoken(attack.kinds[0])
        lines.append(f"Attackers in described do the first kind of the file, {kind}: which costs most was not tried.")
    return tuple(lines)


def _borderless(known: Site, names: Sequence[str]) -> tuple[str, ...]:
    """That clusters have no borders in a fleet of one region."""
    clustered = [spoken(name) for name in names if name.endswith("+clustered")]
    if not clustered or len(known.regions.anchor) > 1:
        return ()
    return (f"The fleet is one region: no borders for {listed(clustered)}, and nothing to save.",)


def _replays(study, description, stage, judged, wrong, asked, played) -> Any:
    """The recommended mechanism beside alone, under the first trouble that has a tick, else as described. Where some
    attack, they do to both what costs the first of them most."""
    best = judged.recommended or judged.ties[0] if judged.recommended or judged.ties else None
    name = next(
        (one for one in ("crash", "partition", "described") if one in asked and wrong[one].at is not None), None
    )
    name = name or asked[0]
    shown = list(dict.fromkeys(one for one in (best, "alone") if one is not None))
    if not shown or name == "growth":
        return None
    attacks, found = played.attacks.get(shown[0], {}), played.found.get(shown[0])
    kind, trouble, attack = worst(wrong[name], attacks, found, description, stage.instance.ticks)
    by = f" ({said(attack) if kind == SEARCHED else spoken(kind)})" if kind else ""
    note = f"One run, {in_words(name, wrong[name])}{by}."
    alone = len(shown) == 1
    films = [film(stage, one, description, trouble, note if alone else "", study.seed, attack) for one in shown]
    scene = films[0] if alone else Pair(" and ".join(shown), note, films)
    return player([scene])
