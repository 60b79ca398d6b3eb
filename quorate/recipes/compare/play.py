"""Playing the table: every mechanism under every condition, on the same tasks and with the same agents that fail."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from quorate.core import Protocol, Scenario, Step
from quorate.errors import Refusal
from quorate.experiments.study import Study, stacked
from quorate.measure.fleet import served_share
from quorate.protocols.site import Site
from quorate.recipes.compare import attacks as attacking
from quorate.recipes.compare import build
from quorate.recipes.compare.attacks import SEARCHED, Attack, Found
from quorate.recipes.compare.build import FAR, Trouble
from quorate.recipes.compare.conditions import LARGER, TRACED, troubles
from quorate.recipes.compare.description import Description
from quorate.recipes.compare.growth import grown
from quorate.recipes.compare.horizon import bounds
from quorate.recipes.compare.instance import Instance, resolve
from quorate.recipes.compare.rows import Runs
from quorate.worlds.fleet import Fleet

DRAWS = "draws"  # the label of all runs: arrivals are the same for every mechanism and condition
SEARCH = "search"  # the label of draws that only a search sees


class Ground(NamedTuple):
    """A fleet ready to be played: its numbers, its world (with eyes as described, and with eyes that see all) and what
    mechanisms know of it."""

    instance: Instance
    world: Fleet
    far: Fleet
    site: Site


class Played(NamedTuple):
    """table[mechanism][condition]; `attacks[mechanism][kind]`, the runs under each kind of attack, `search` among them
    where one was made; `found[mechanism]`, what it found; `shares`, rows of the smallest shares of attackers."""

    table: dict[str, dict[str, Runs]]
    attacks: dict[str, dict[str, Runs]]
    found: dict[str, Found]
    shares: list[dict[str, Any]]


def ground(description: Description, seed: int, copies: int = 1) -> Ground:
    """The fleet of a seed, `copies` times as large."""
    instance = resolve(description, seed)
    instance = instance if copies == 1 else grown(instance, copies)
    world = build.world(instance, description)
    far = eqx.tree_at(lambda one: one.sight, world, jnp.full_like(world.sight, jnp.inf))
    return Ground(instance, world, far, build.the_site(world, instance, description))


def ledger(step: Step) -> dict[str, Any]:
    """What is written down of ticks, leaves [T, B]; sums since the start where the world keeps sums."""
    tallies = step.after.tallies
    served = tallies.served
    squares = jnp.sum(served * served, axis=-1)
    return {
        "served": tallies.value_served,
        "offered": tallies.value_offered,
        "late": tallies.late,
        "started": tallies.started,
        "waste": tallies.waste,
        "trips": jnp.sum(tallies.starts, axis=-1) + tallies.waste,
        "jain": jnp.where(squares > 0, jnp.sum(served, axis=-1) ** 2 / jnp.maximum(squares, 1e-30), served.shape[-1])
        / served.shape[-1],
        "messages": step.traffic.sent,
        "bytes": step.traffic.bytes,
        "reads": step.traffic.reads,
        "arrivals": step.after.seed,
    }


def scene(stage: Ground, name: str, description: Description) -> Callable[..., Scenario]:
    """From a trouble to a mechanism on a ground under it; saboteurs do what its kind says unless told."""
    world = stage.far if name == FAR else stage.world
    protocol: Protocol = build.mechanism(name, world, stage.site, description.links.delay)

    def under(trouble: Trouble, attack: Attack | None = None) -> Scenario:
        what = build.fault(trouble, world, protocol, stage.instance, description.links.bytes_per_tick)
        attack = attacking.attack_of(trouble.kind) if attack is None else attack
        return build.scenario(world, protocol, attacking.armed(what, attack), description.links.range)

    return under


def runs_of(
    study: Study,
    name: str,
    condition: str,
    one: Scenario,
    ticks: int,
    seeds: int,
    trouble: Trouble,
    label: str = DRAWS,
) -> tuple[Runs, np.ndarray]:
    """The runs of one cell of the table, and the words that its arrivals came from [seeds, 2]. Errors: Refusal where a
    draw brings no task, since a share of nothing is not defined."""
    raw = study.sweep(f"{name} {condition}", stacked([one]), ticks, seeds, ledger, label=label)
    got = {field: np.asarray(value[0], np.float64) for field, value in raw.items() if field != "arrivals"}
    agents = one.world.num_agents
    idle = np.flatnonzero(got["offered"][:, -1] == 0)
    if idle.size:
        said = f"draw {idle[0] + 1} of {seeds} brings no task of any value in {ticks} ticks"
        raise Refusal(said, "raise tasks.rate or ticks")

    def steps(field: str) -> np.ndarray:
        """A series of sums as one of single ticks; small negative differences are float32 rounding of the sums."""
        return np.maximum(np.diff(got[field], axis=1, prepend=0.0), 0.0)

    runs = Runs(
        seeds=np.arange(seeds),
        started=steps("served"),
        offered=steps("offered"),
        messages=got["messages"].mean(1) / agents,
        bytes=got["bytes"].mean(1) / agents,
        reads=got["reads"].mean(1) / agents,
        jain=got["jain"][:, -1],
        late=got["late"][:, -1] / np.maximum(got["started"][:, -1], 1),
        waste=got["waste"][:, -1] / np.maximum(got["trips"][:, -1], 1),
        at=trouble.at,
        capacity=trouble.capacity(ticks, agents),
    )
    return runs, np.asarray(raw["arrivals"][0][:, -1])


def play(
    study: Study,
    description: Description,
    stage: Ground,
    names: list[str],
    conditions: list[str],
    seeds: int,
    large: int,
    level: str = "listed",
) -> Played:
    """Every cell of the table in turn; what an interrupted run has finished is taken up.

    `large` is the number of seeds of `growth`, whose fleets are ten times as large; `level` of `attacks.LEVELS`: how
    far attacks are tried.
    """
    ticks = stage.instance.ticks
    wrong = troubles(description, ticks)
    table: dict[str, dict[str, Runs]] = {name: {} for name in names}
    attacks: dict[str, dict[str, Runs]] = {name: {} for name in names}
    found: dict[str, Found] = {}
    words: dict[bool, np.ndarray] = {}
    small = [condition for condition in conditions if condition != "growth"]
    for name in names:
        under = scene(stage, name, description)
        study.reporter.start(name, len(small), "condition" if len(small) == 1 else "conditions")
        for done, condition in enumerate(_attack_first(small)):
            trouble = wrong[condition]
            if trouble.saboteurs and condition == TRACED:
                attacks[name], words[False] = _attacks(study, name, under, trouble, description, ticks, seeds)
                if level != "listed":
                    found[name] = _searched(study, name, under, trouble, ticks, seeds)
                    hurt = under(trouble, found[name].attack)
                    attacks[name][SEARCHED], _ = runs_of(
                        study, name, f"{TRACED} {SEARCHED}", hurt, ticks, seeds, trouble
                    )
                table[name][condition] = min(attacks[name].values(), key=_value)
            else:
                _, trouble, attack = worst(trouble, attacks[name], found.get(name), description, ticks)
                runs, words[False] = runs_of(study, name, condition, under(trouble, attack), ticks, seeds, trouble)
                table[name][condition] = runs
            study.reporter.advance(name, done + 1)
        table[name] = {condition: table[name][condition] for condition in small}
        study.reporter.finish(name)
    large_stage = None
    if "growth" in conditions:
        large_stage = ground(description, study.seed, LARGER)
        study.reporter.start("growth", len(names), "mechanism" if len(names) == 1 else "mechanisms")
        for done, name in enumerate(names):
            under = scene(large_stage, name, description)
            trouble = wrong["growth"]
            table[name]["growth"], words[True] = runs_of(study, name, "growth", under(trouble), ticks, large, trouble)
            study.reporter.advance("growth", done + 1)
        study.reporter.finish("growth")
    shares = _shares(study, description, stage, names, seeds) if level == "shares" else []
    return Played(_bounded(study, table, stage, large_stage, words), attacks, found, shares)


def _attack_first(conditions: list[str]) -> list[str]:
    """`described` needs to know the worst attack."""
    return sorted(conditions, key=lambda condition: condition != TRACED)


def _attacks(
    study: Study,
    name: str,
    under: Callable[..., Scenario],
    trouble: Trouble,
    description: Description,
    ticks: int,
    seeds: int,
) -> tuple[dict[str, Runs], np.ndarray]:
    """The runs under each kind of the file, and the words of their arrivals."""
    found = {}
    for kind in description.attack.kinds:
        one = attacking.struck(trouble, kind, ticks)
        found[kind], words = runs_of(study, name, f"{TRACED} {kind}", under(one), ticks, seeds, one)
    return found, words


def _searched(
    study: Study, name: str, under: Callable[..., Scenario], trouble: Trouble, ticks: int, seeds: int
) -> Found:
    """The worst mixture that a search finds, on few draws of its own; every play is of one shape, so one program."""
    few, count = min(seeds, attacking.FEW), itertools.count()

    def value(attack: Attack) -> float:
        cell = f"{SEARCH} {next(count)}"
        return _value(runs_of(study, name, cell, under(trouble, attack), ticks, few, trouble, SEARCH)[0])

    attack, least, tried = attacking.search(value, ticks, study.seed)
    return Found(attack, least, len(tried), few)


def _shares(
    study: Study, description: Description, stage: Ground, names: list[str], seeds: int
) -> list[dict[str, Any]]:
    """For each mechanism and kind the smallest share of attackers that takes it below `alone` under the same attack,
    and below `alone` when nothing goes wrong; on few draws, the same for all."""
    few, ticks = min(seeds, attacking.FEW), stage.instance.ticks
    fielded = [name for name in names if name not in (FAR, "alone")]
    under = {name: scene(stage, name, description) for name in ("alone", *fielded)}
    served: dict[tuple[str, str, float], np.ndarray] = {}
    rows: list[dict[str, Any]] = []

    def of(name: str, kind: str, share: float) -> np.ndarray:
        if (name, kind, share) not in served:
            trouble = attacking.struck(Trouble(saboteurs=share), kind, ticks)
            cell = f"shares {kind} {share:g}"
            runs, _ = runs_of(study, name, cell, under[name](trouble), ticks, few, trouble)
            served[name, kind, share] = served_share(runs.started, runs.offered)
        return served[name, kind, share]

    calm, _ = runs_of(study, "alone", "shares calm", under["alone"](Trouble()), ticks, few, Trouble())
    study.reporter.start("shares", len(fielded) * len(description.attack.kinds), "attacks")
    for name in fielded:
        for kind in description.attack.kinds:
            floors: dict[str, Callable[[float], np.ndarray]] = {
                "alone under the same attack": lambda share, kind=kind: of("alone", kind, share),
                "alone in calm": lambda share: served_share(calm.started, calm.offered),
            }
            for against, floor in floors.items():
                found = attacking.smallest(lambda s, a=name, k=kind, floor=floor: of(a, k, s) - floor(s))
                told = {"mechanism": name, "kind": kind, "against": against, "said": attacking.share_in_words(found)}
                rows.append({**told, **found._asdict(), "seeds": few})
            study.reporter.advance("shares", len(rows) / 2)
    study.reporter.finish("shares")
    return rows


def _value(runs: Runs) -> float:
    return float(np.sum(runs.started) / np.sum(runs.offered))


def worst(
    trouble: Trouble, attacks: dict[str, Runs], found: Found | None, description: Description, ticks: int
) -> tuple[str | None, Trouble, Attack | None]:
    """A trouble whose attackers do what costs most among `attacks`, or the first kind of the file where none was
    played: the kind, the trouble and the attack. A trouble without attackers as it is."""
    if not trouble.saboteurs:
        return None, trouble, None
    kind = min(attacks, key=lambda kind: _value(attacks[kind])) if attacks else description.attack.kinds[0]
    attack = found.attack if found is not None and kind == SEARCHED else attacking.attack_of(kind)
    return kind, attacking.struck(trouble, kind, ticks), attack


def _bounded(
    study: Study,
    table: dict[str, dict[str, Runs]],
    stage: Ground,
    large: Ground | None,
    words: dict[bool, np.ndarray],
) -> dict[str, dict[str, Runs]]:
    """The table with what a clairvoyant could serve at most. Nothing goes wrong for it: losing agents or mail only
    lowers what can be served, so the bound of a calm run holds in every condition."""
    found = {}
    for grown_, ready in ((False, stage), (True, large)):
        if ready is not None and grown_ in words:
            label = "bound growth" if grown_ else "bound"
            shares = study.cell(label, lambda r=ready, w=words[grown_]: {"share": bounds(r.world, r.instance, w)})
            found[grown_] = shares["share"]
    return {
        name: {
            condition: runs._replace(upper_bound=found.get(condition == "growth")) for condition, runs in row.items()
        }
        for name, row in table.items()
    }
