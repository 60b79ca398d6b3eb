"""What people did: the flights of the day as the airlines flew them, as a row beside the mechanisms."""

import numpy as np

from quorate.measure.fleet import jain
from quorate.recipes.compare.description import Description
from quorate.recipes.compare.flights import flights
from quorate.recipes.compare.instance import Instance
from quorate.recipes.compare.rows import Runs

HUMAN = "human"


def human(description: Description, instance: Instance, like: Runs) -> Runs | None:
    """The flights flown with their own lateness, by all aircraft of the day, as often as there are draws in `like`.
    None where tasks are no flights.

    A flight counts as served if it left within the tolerance, in the tick in which it left; fairness is over the
    aircraft that flew. The airlines had their whole fleet and their own troubles of the day, so this is no run of a
    mechanism: it is a yardstick.
    """
    tasks = description.tasks
    if tasks.kind != "flights":
        return None
    day = flights(tasks.detail)
    delay = np.where(np.isnan(day.delay), np.inf, np.maximum(day.delay, 0.0))
    served = delay <= tasks.tolerance
    ticks = like.offered.shape[1]
    value = np.asarray(instance.tasks.value, np.float64)
    when = instance.tasks.release[served] + np.round((delay[served] + tasks.early) / tasks.tick).astype(int)
    started = np.bincount(np.minimum(when, ticks - 1), weights=value[served], minlength=ticks)
    known = day.tail != ""
    _, aircraft = np.unique(day.tail[known], return_inverse=True)
    share = np.bincount(aircraft.reshape(-1), weights=(value * served)[known])
    draws = len(like.seeds)

    def each(number: float) -> np.ndarray:
        return np.full(draws, number)

    return Runs(
        seeds=like.seeds,
        started=np.tile(started, (draws, 1)),
        offered=like.offered,
        messages=each(0.0),
        bytes=each(0.0),
        reads=each(0.0),
        jain=each(float(jain(share))),
        late=each(float(np.mean(delay[served])) / tasks.tick),
        waste=each(0.0),
    )
