"""Sensor network: a few sensors see a moving target; can all of them know where it is when the one next door may lie?

Reference: IBGP, Section 5.2, Appendix A.5.4, Theorem 8, Figures 8, 11 and 12. The numbers of the source's experiment
are lost; those in `places` are assumed.
"""

import itertools
from typing import Annotated, Any

import numpy as np

from quorate.arguments import Count, Text
from quorate.core import Scenario
from quorate.errors import Refusal
from quorate.experiments.outcome import Outcome, Rows
from quorate.experiments.study import Study
from quorate.protocols.neighbourhood_vote import neighbourhoods
from quorate.recipes.sensor_network import places, playing
from quorate.recipes.sensor_network.claims import CLAIMS, TENFOLD
from quorate.recipes.sensor_network.every_lie import ORDERS, WAVES, explore
from quorate.recipes.sensor_network.liars import BEHAVIOURS
from quorate.recipes.sensor_network.playing import WIDE, Case, play, row
from quorate.recipes.sensor_network.telling import told

RECORDED: dict[str, Any] = {}
REAL = "topozoo/Abilene,sndlib/nobel-eu,sndlib/cost266,sndlib/germany50"
DRAWS = 16  # placements of liars that runs choose from
SMALL = 5  # sensors of the line on which every lie is tried
NARROW = 10  # sensors of the line whose neighbourhoods have three members
LYING = ("one lie", "mixed", "silent")


def scenario(sensors: int = 20, liars: int = 1, behaviour: str = "mixed", method: str = "vote") -> Scenario:
    """A line of sensors, `liars` of them lying; `method` is vote, vote of neighbours, flooding or
    trimmed mean, the last two perhaps followed by ", two links".

    >>> scenario().world.num_agents
    20
    """
    place = places.line(sensors)
    rows = place.placements(liars, DRAWS, np.random.default_rng(0))
    case = Case("liars", place, method, liars, behaviour, rows)
    waves = place.diameter + playing.SPARE
    return playing.scenario(case, 3 * waves if method.startswith("vote") else waves, place.bins)


def setting(*, sensors: int, side: int, liars: int, runs: int, steps: int, topologies: str) -> str:
    """The arguments in a few words."""
    return f"{sensors} sensors on a line, {side} x {side} on a grid, up to {liars} liars, {runs} runs of {steps} steps"


def main(
    study: Study,
    *,
    sensors: Annotated[int, Count("sensors on the line", least=10)] = 20,
    side: Annotated[int, Count("sensors along a side of the grid", least=4)] = 6,
    liars: Annotated[int, Count("liars at most, no two in one neighbourhood")] = 4,
    runs: Annotated[int, Count("runs of each case", least=6)] = 24,
    steps: Annotated[int, Count("time steps", least=10)] = 40,
    topologies: Annotated[str, Text("real networks of topohub: names such as topozoo/Abilene with commas")] = REAL,
) -> Outcome:
    """Passes the position of a moving target on by votes of neighbourhoods, by flooding and by trimmed means, while
    liars do their worst."""
    random = np.random.default_rng(study.seed)
    real = [places.topology(name.strip(), random) for name in topologies.split(",")]
    line, grid = places.line(sensors), places.grid(side)
    most = max(int(line.placements(liars, DRAWS, random).sum(axis=1).max()), 1)
    if most < liars:
        raise Refusal(f"--liars is {liars}; on a line of {sensors} at most {most} fit without sharing a neighbourhood")
    stages = (
        *("votes on the line", "votes over one link", "flooding", "flooding" + WIDE),
        *(name + far for far in ("", WIDE) for name in ("trimmed means", "tenfold")),
        *("votes on the grid", "real networks", "every lie"),
    )
    study.reporter.stages(list(stages))
    rows: Rows = []

    on_line = _by_liars(line, range(liars + 1), BEHAVIOURS, "liars", random)
    waves = line.diameter + playing.SPARE
    votes, kept = _stage(study, "votes on the line", on_line + _broken(line, random), 3 * waves, steps, runs)
    rows += votes
    quiet = next(one for one in votes if one["part"] == "liars" and not one["liars"])
    rows += _stage(study, "votes over one link", _with(on_line, "vote of neighbours"), 3 * waves, steps, runs)[0]
    flood, flooded = _stage(study, "flooding", _with(on_line, "flooding"), waves, steps, runs)
    rows += flood + _stage(study, "flooding" + WIDE, _with(on_line, "flooding" + WIDE), waves, steps, runs)[0]
    few = [case for case in on_line if not case.liars or case.liars == 1 and case.behaviour in LYING]
    for far, links in (("", line.links), (WIDE, neighbourhoods(line.links)[0])):
        heard = int(links.real.sum()) - sensors
        rounds = max(1, int(np.ceil(quiet["messages"] / heard)))  # as many messages as the votes, or a few more
        name = "trimmed mean" + far
        rows += _stage(study, "trimmed means" + far, _with(on_line, name), rounds, steps, runs)[0]
        rows += _stage(study, "tenfold" + far, _with(few, name + TENFOLD), 10 * rounds, steps, runs)[0]
    for case, played in zip(on_line, kept, strict=False):
        if case.behaviour == "mixed" or not case.liars:
            for name, beliefs in (("nobody talks", playing.floor(played)), ("true broadcast", playing.ceiling(played))):
                rows.append(row(case, played, beliefs) | {"method": name, "messages": None})

    on_grid = _by_liars(grid, (0, liars), LYING, "grid", random)
    rows += _stage(study, "votes on the grid", on_grid, 3 * (grid.diameter + playing.SPARE), steps, runs)[0]
    elsewhere = _elsewhere(real, liars, random)
    waves = max(case.place.diameter for case in elsewhere) + playing.SPARE
    rows += _stage(study, "real networks", elsewhere, 3 * waves, max(10, steps // 2), max(6, runs // 3))[0]
    tables = {"every_lie": _every_lie(study, "every lie")}
    tables["curves"] = _curves(on_line, kept, flooded)
    return told(rows, tables)


def _by_liars(place: places.Place, counts: Any, behaviours: Any, part: str, random: np.random.Generator) -> list[Case]:
    """Votes with every number of liars, in every behaviour; the same placements in all behaviours."""
    found = []
    for count in counts:
        where = place.placements(count, DRAWS, random)
        found += [Case(part, place, "vote", count, kind, where) for kind in (behaviours if count else behaviours[:1])]
    return found


def _with(cases: list[Case], method: str) -> list[Case]:
    return [Case(case.part, case.place, method, case.liars, case.behaviour, case.placements) for case in cases]


def _broken(line: places.Place, random: np.random.Generator) -> list[Case]:
    """The assumptions of Theorem 8 broken on the line: two liars beside each other, a single sensor that sees."""
    pairs = random.choice(line.adjacent_pairs(), DRAWS)
    nearest = np.argmin(np.abs(line.signal[:, None] - np.arange(line.num_agents)[None, :]), axis=1)
    alone = places.replace(line, seen=np.arange(line.num_agents)[None, :] == nearest[:, None])
    return [
        Case("two liars together", line, "vote", 2, "one lie", pairs),
        Case("one observer", alone, "vote", 0, "silent", line.placements(0, DRAWS, random)),
        Case("one observer", alone, "vote", 1, "mixed", line.placements(1, DRAWS, random)),
    ]


def _elsewhere(real: list[places.Place], liars: int, random: np.random.Generator) -> list[Case]:
    """Real networks, with votes of whole neighbourhoods and of neighbours alone; two halls; a narrow line."""
    halls, narrow = places.two_halls(), places.line(NARROW, radius=1.0)
    size = max(place.num_agents for place in (*real, halls, narrow))
    cases = []
    for place in real:
        for case in _by_liars(places.padded(place, size), (0, liars), LYING[1:], "real", random):
            cases += [case, *_with([case], "vote of neighbours")]
    cases += _by_liars(places.padded(narrow, size), (0, 1), LYING[1:], "neighbourhoods of three", random)
    joint = np.zeros((DRAWS, size), bool)
    joint[:, places.JOINT] = True
    halls = places.padded(halls, size)
    cases += [Case("two halls", halls, "vote", 1, kind, joint) for kind in LYING[1:]]
    return cases


def _stage(
    study: Study, name: str, cases: list[Case], rounds: int, steps: int, runs: int
) -> tuple[Rows, list[dict[str, np.ndarray]]]:
    study.reporter.start(name, len(cases), "cases")
    kept = play(study, name, cases, rounds, steps, runs)
    rows = [row(case, played) for case, played in zip(cases, kept, strict=True)]
    study.reporter.finish(name)
    return rows, kept


def _every_lie(study: Study, name: str) -> Rows:
    """A line of five: every place of the liar, every set of honest sensors that see the new value, and a false value
    on either side of it."""
    place, found = places.line(SMALL), []
    study.reporter.start(name, SMALL, "places")
    for liar in range(SMALL):
        honest = [sensor for sensor in range(SMALL) if sensor != liar]
        for chosen, lie in itertools.product(range(2 ** len(honest)), ORDERS):
            seeing = tuple(sensor for bit, sensor in enumerate(honest) if chosen >> bit & 1)
            paired = any(place.beside[a, b] for a in seeing for b in seeing if a < b)
            tried = explore(place, liar, seeing, WAVES, lie=lie)
            where = {"liar": liar, "observers": " ".join(map(str, seeing)), "paired": paired, "lie": lie}
            found.append(where | tried._asdict())
        study.reporter.advance(name, liar + 1)
    study.reporter.finish(name)
    return found


def _curves(cases: list[Case], votes: list[dict[str, np.ndarray]], floods: list[dict[str, np.ndarray]]) -> Rows:
    """Beliefs over time in the first run with one liar that tells one lie."""
    index = next(i for i, case in enumerate(cases) if (case.liars, case.behaviour) == (1, "one lie"))
    place, rows = cases[index].place, []
    honest = ~votes[index]["liars"][0, 0]
    for step, at in enumerate(votes[index]["at"][0]):
        one = {"step": step + 1, "target": float(place.signal[at])}
        for name, played in (("vote", votes[index]), ("flooding", floods[index])):
            beliefs = (played["belief"][0, step][honest] - 0.5) * places.WIDTH + place.low
            one |= {f"{name}_mean": float(beliefs.mean()), f"{name}_spread": float(beliefs.std())}
        rows.append(one)
    return rows


__all__ = ["CLAIMS", "RECORDED", "main", "scenario", "setting"]
