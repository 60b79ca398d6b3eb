"""What is played, and what is counted in it."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from quorate.core import Neighbours, Scenario, Step
from quorate.experiments.study import Study, stacked
from quorate.measure.intervals import bootstrap
from quorate.protocols.neighbourhood_vote import NeighbourhoodVote, Spread, neighbourhoods
from quorate.recipes.sensor_network.liars import BEHAVIOURS, LyingSensors
from quorate.recipes.sensor_network.places import NOISE, WIDTH, Place
from quorate.recipes.sensor_network.rivals import Believe, Flooding, TrimmedMean
from quorate.worlds.sensors import Sensors

SPARE = 2  # waves beyond the diameter
WIDE = ", two links"  # a rival that hears as far as the votes do


@dataclass(frozen=True)
class Case:
    """One configuration: where, who says what, and how many liars sit where (a row of `placements` in each run)."""

    part: str
    place: Place
    method: str  # vote, vote of neighbours, or flooding or trimmed mean and perhaps `WIDE`; a remark may follow
    liars: int
    behaviour: str
    placements: np.ndarray


def scenario(case: Case, rounds: int, bins: int, wide: int = 0, circles: int = 0) -> Scenario:
    """`rounds` of messages in a step, `bins` values; neighbour lists padded to `wide` and `circles` so that different
    graphs make one program."""
    world = Sensors(
        signal=case.place.signal, seen=case.place.seen, noise=NOISE, low=case.place.low, width=WIDTH, bins=bins
    )
    fault = LyingSensors(placements=case.placements, behaviour=BEHAVIOURS.index(case.behaviour), bins=bins)
    links = case.place.links
    if case.method.startswith("vote"):
        links, groups = neighbourhoods(links, relayed=case.method == "vote")
        links = _wide(links, wide)
        more = [(0, 0), (0, max(0, circles - groups.shape[1])), (0, links.index.shape[1] - groups.shape[2])]
        talk = Spread(vote=NeighbourhoodVote(margin=1), circles=jnp.pad(groups, more), waves=-(-rounds // 3))
    else:
        links = _wide(neighbourhoods(links)[0] if WIDE in case.method else links, wide)
        talk = Flooding(rounds=rounds) if case.method.startswith("flooding") else TrimmedMean(rounds=rounds)
    return Scenario(world=world, learner=Believe(), talk=talk, topology=links, fault=fault)


def _wide(links: Neighbours, wide: int) -> Neighbours:
    more = [(0, 0), (0, max(0, wide - links.index.shape[1]))]
    return Neighbours(jnp.pad(links.index, more), jnp.pad(links.real, more))


def seen(step: Step) -> dict[str, Any]:
    """What is kept of a step."""
    return {
        "belief": step.obs,
        "seen": step.raw,
        "at": step.before,
        "liars": step.trace,
        "messages": step.traffic.sent,
    }


def play(study: Study, name: str, cases: list[Case], rounds: int, steps: int, runs: int) -> list[dict[str, np.ndarray]]:
    """Plays cases of one method and size in one program; what each left, leaves [runs, steps, ...]."""
    bins = max(case.place.bins for case in cases)
    shapes = [neighbourhoods(case.place.links)[1].shape if case.method == "vote" else (0, 0, 0) for case in cases]
    wide, circles = max(shape[2] for shape in shapes), max(shape[1] for shape in shapes)
    stack = stacked([scenario(case, rounds, bins, wide, circles) for case in cases])
    found = study.sweep(f"{name} {rounds} {steps} {runs}", stack, steps, runs, seen, "sensors")
    return [{field: np.asarray(values[index]) for field, values in found.items()} for index in range(len(cases))]


def right(played: dict[str, np.ndarray], honest: np.ndarray, beliefs: np.ndarray | None = None) -> np.ndarray:
    """[runs, steps, N]: whose belief is a value that some honest sensor sees in this step. `honest` is [runs, N]."""
    beliefs = played["belief"] if beliefs is None else beliefs
    witnessed = np.where(honest[:, None, :], played["seen"], 0)
    same = (beliefs[:, :, :, None] == witnessed[:, :, None, :]).any(axis=3)
    return same & (beliefs > 0) & honest[:, None, :]


def row(case: Case, played: dict[str, np.ndarray], beliefs: np.ndarray | None = None) -> dict[str, Any]:
    """The numbers of one case. A run is a sample, with its liars, start and noise; intervals are over runs.

    wrong    share of honest sensors and steps that do not believe what an honest sensor sees in this step
    missed   the same in steps in which two adjacent honest sensors see one value, as Theorem 8 asks
    false    changes of belief to a value that no honest sensor sees in the step; `told` counts the changes that could
             be false, of honest sensors that see nothing themselves; false_runs: runs with a false one
    spread   standard deviation of beliefs among honest sensors, in bins; error: of their mean, root mean square
    messages sent in a step, liars' included
    blocked  share of runs in which liars cut some honest sensors off from others
    """
    place = case.place
    beliefs = played["belief"] if beliefs is None else beliefs
    liars = played["liars"][:, 0]
    honest = place.there[None, :] & ~liars
    good = right(played, honest, beliefs)
    witnessed = np.where(honest[:, None, :], played["seen"], 0)
    count = honest.sum(axis=1)
    wrong = 1 - good.sum(axis=2) / count[:, None]  # [runs, steps]
    watched = (witnessed > 0).any(axis=2)
    other = place.beside & ~np.eye(place.num_agents, dtype=bool)
    pair = (witnessed[:, :, :, None] == witnessed[:, :, None, :]) & (witnessed > 0)[..., None] & other
    met = pair.any(axis=(2, 3))
    before = np.concatenate([np.zeros_like(beliefs[:, :1]), beliefs[:, :-1]], axis=1)
    changed = (beliefs != before) & honest[:, None, :]
    false = changed & ~good
    mean = (beliefs * honest[:, None, :]).sum(axis=2) / count[:, None]
    deviation = np.sqrt((((beliefs - mean[..., None]) ** 2) * honest[:, None, :]).sum(axis=2) / count[:, None])
    position = (place.signal[played["at"]] - place.low) / WIDTH + 0.5
    settled = np.arange(beliefs.shape[1])[None, :] > 0

    values = {
        "wrong": _each(wrong, watched),
        "missed": _each(wrong, met),
        "spread": _each(deviation, settled & met),
        "error": np.sqrt(_each((mean - position) ** 2, settled & met)),
        "messages": played["messages"].astype(float).mean(axis=1),
    }
    found: dict[str, Any] = {
        "part": case.part,
        "place": place.name,
        "method": case.method,
        "liars": case.liars,
        "behaviour": case.behaviour if case.liars else "none",
        "sensors": int(place.there.sum()),
        "runs": len(liars),
        "steps": beliefs.shape[1],
        "false": int(false.sum()),
        "told": int((changed & (played["seen"] == 0)).sum()),
        "false_runs": int(false.any(axis=(1, 2)).sum()),
        "met": float(met.mean()),
        "blocked": float(np.mean([_cut(place, some) for some in liars])),
    }
    for name, samples in values.items():
        samples = samples[np.isfinite(samples)]
        found[name] = float(samples.mean()) if samples.size else None
        for level, suffix in ((0.95, ""), (0.99, "_99")):
            ends = bootstrap(samples, level=level, resamples=2000)[1:] if samples.size > 1 else (None, None)
            found[f"{name}_low{suffix}"], found[f"{name}_high{suffix}"] = ends
    return found


def _each(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean of each run over the steps in `where`; NaN without any."""
    where = np.broadcast_to(where, values.shape)
    number = where.sum(axis=1)
    return np.where(number > 0, (values * where).sum(axis=1) / np.maximum(number, 1), np.nan)


def _cut(place: Place, liars: np.ndarray) -> bool:
    """Whether liars stand between some honest sensors."""
    honest = place.there & ~liars
    far = place.distances(liars)
    return bool((far[np.ix_(honest, honest)] == place.num_agents).any())


def floor(played: dict[str, np.ndarray]) -> np.ndarray:
    """Beliefs of sensors that never talk: what each saw last."""
    beliefs = played["seen"].copy()
    for step in range(1, beliefs.shape[1]):
        beliefs[:, step] = np.where(beliefs[:, step] > 0, beliefs[:, step], beliefs[:, step - 1])
    return beliefs


def ceiling(played: dict[str, np.ndarray]) -> np.ndarray:
    """Beliefs where one true value reaches everybody: the one that most honest sensors see, the smallest of several; it
    stays where nobody sees anything."""
    liars = played["liars"][:, 0]
    beliefs = np.zeros_like(played["seen"])
    for run, rows in enumerate(played["seen"]):
        for step, one in enumerate(rows):
            known = one[(one > 0) & ~liars[run]]
            last = beliefs[run, step - 1, 0] if step else 0
            beliefs[run, step] = np.bincount(known).argmax() if known.size else last
    return beliefs
