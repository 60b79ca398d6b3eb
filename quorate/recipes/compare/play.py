"""Playing the table: every mechanism under every condition, on the same draws."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from quorate.core import Protocol, Scenario, Step
from quorate.experiments.study import Study, stacked
from quorate.protocols.site import Site
from quorate.recipes.compare import build
from quorate.recipes.compare.build import FAR, Trouble
from quorate.recipes.compare.conditions import LARGER, TRACED, troubles
from quorate.recipes.compare.description import Description
from quorate.recipes.compare.growth import grown
from quorate.recipes.compare.horizon import bounds
from quorate.recipes.compare.instance import Instance, resolve
from quorate.recipes.compare.rows import Runs
from quorate.worlds.fleet import Fleet

DRAWS = "draws"  # the label of all runs: arrivals are the same for every mechanism and condition


class Ground(NamedTuple):
    """A fleet ready to be played: its numbers, its world (with eyes as described, and with eyes that see all) and what
    mechanisms know of it."""

    instance: Instance
    world: Fleet
    far: Fleet
    site: Site


class Played(NamedTuple):
    """table[mechanism][condition]; `attacks[mechanism][kind]`, the runs under each kind of attack; `seeds` words of the
    arrivals of each run, by ground."""

    table: dict[str, dict[str, Runs]]
    attacks: dict[str, dict[str, Runs]]


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


def scene(stage: Ground, name: str, description: Description) -> tuple[Scenario, Callable[[Trouble], Scenario]]:
    """A mechanism on a ground, and the same under other troubles."""
    world = stage.far if name == FAR else stage.world
    protocol: Protocol = build.mechanism(name, world, stage.site, description.links.delay)

    def under(trouble: Trouble) -> Scenario:
        what = build.fault(trouble, world, protocol, stage.instance, description.links.bytes_per_tick)
        return build.scenario(world, protocol, what, description.links.range)

    return under(Trouble()), under


def runs_of(
    study: Study, name: str, condition: str, one: Scenario, ticks: int, seeds: int, trouble: Trouble
) -> tuple[Runs, np.ndarray]:
    """The runs of one cell of the table, and the words that its arrivals came from [seeds, 2]."""
    raw = study.sweep(f"{name} {condition}", stacked([one]), ticks, seeds, ledger, label=DRAWS)
    got = {field: np.asarray(value[0], np.float64) for field, value in raw.items() if field != "arrivals"}
    agents = one.world.num_agents

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
        capacity=trouble.capacity(ticks),
    )
    return runs, np.asarray(raw["arrivals"][0][:, -1])


def play(
    study: Study, description: Description, names: list[str], conditions: list[str], seeds: int, large: int
) -> Played:
    """Every cell of the table in turn; what an interrupted run has finished is taken up.

    `large` is the number of seeds of `growth`, whose fleets are ten times as large.
    """
    stage = ground(description, study.seed)
    ticks = stage.instance.ticks
    wrong = troubles(description, ticks)
    table: dict[str, dict[str, Runs]] = {name: {} for name in names}
    attacks: dict[str, dict[str, Runs]] = {name: {} for name in names}
    words: dict[bool, np.ndarray] = {}
    small = [condition for condition in conditions if condition != "growth"]
    for name in names:
        base, under = scene(stage, name, description)
        study.reporter.start(name, len(small), "conditions")
        for done, condition in enumerate(_attack_first(small)):
            trouble = wrong[condition]
            if trouble.saboteurs and condition == TRACED:
                attacks[name] = _attacks(study, name, under, trouble, description, ticks, seeds)
                table[name][condition] = min(attacks[name].values(), key=_value)
            else:
                if trouble.saboteurs:
                    trouble = trouble._replace(kind=_worst(attacks[name]) or description.attack.kinds[0])
                runs, words[False] = runs_of(study, name, condition, under(trouble), ticks, seeds, trouble)
                table[name][condition] = runs
            study.reporter.advance(name, done + 1)
        table[name] = {condition: table[name][condition] for condition in small}
        study.reporter.finish(name)
        del base
    large_stage = None
    if "growth" in conditions:
        large_stage = ground(description, study.seed, LARGER)
        study.reporter.start("growth", len(names), "mechanisms")
        for done, name in enumerate(names):
            _, under = scene(large_stage, name, description)
            trouble = wrong["growth"]
            table[name]["growth"], words[True] = runs_of(study, name, "growth", under(trouble), ticks, large, trouble)
            study.reporter.advance("growth", done + 1)
        study.reporter.finish("growth")
    return Played(_bounded(study, table, stage, large_stage, words, description), attacks)


def _attack_first(conditions: list[str]) -> list[str]:
    """`described` needs to know the worst attack."""
    return sorted(conditions, key=lambda condition: condition != TRACED)


def _attacks(
    study: Study,
    name: str,
    under: Callable[[Trouble], Scenario],
    trouble: Trouble,
    description: Description,
    ticks: int,
    seeds: int,
) -> dict[str, Runs]:
    found = {}
    for kind in description.attack.kinds:
        one = trouble._replace(kind=kind)
        found[kind], _ = runs_of(study, name, f"{TRACED} {kind}", under(one), ticks, seeds, one)
    return found


def _value(runs: Runs) -> float:
    return float(np.sum(runs.started) / np.sum(runs.offered))


def _worst(attacks: dict[str, Runs]) -> str | None:
    return min(attacks, key=lambda kind: _value(attacks[kind])) if attacks else None


def _bounded(
    study: Study,
    table: dict[str, dict[str, Runs]],
    stage: Ground,
    large: Ground | None,
    words: dict[bool, np.ndarray],
    description: Description,
) -> dict[str, dict[str, Runs]]:
    """The table with what a clairvoyant could serve at most. Nothing goes wrong for it: losing agents or mail only
    lowers what can be served, so the bound of a calm run holds in every condition."""
    found = {}
    for grown_, ready in ((False, stage), (True, large)):
        if ready is not None and grown_ in words:
            label = "bound growth" if grown_ else "bound"
            late = description.objective.late
            shares = study.cell(
                label, lambda r=ready, w=words[grown_], late=late: {"share": bounds(r.world, r.instance, w, late)}
            )
            found[grown_] = shares["share"]
    return {
        name: {
            condition: runs._replace(upper_bound=found.get(condition == "growth")) for condition, runs in row.items()
        }
        for name, row in table.items()
    }
