"""What a fleet did, in numbers: share served, fairness, waste, recovery from a fault. float64 numpy on finished runs.

Series are per tick on the last axis, seeds before it: `started` is the value of the tasks whose service began in a
tick, `offered` the value of those that were released in it.
"""

from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal
from quorate.measure.intervals import finite
from quorate.measure.paired import mean_interval

TICKS = 10  # the running mean of recovery and of the curves around a fault


class Recovery(NamedTuple):
    """Whether something failed, and how long the fleet took to serve again what its capacity allows.

    `fails` says whether there was a fault; `ticks` counts from the fault (0: no dip), None without a fault and None
    when it never recovered. `level` is what was served before the fault, a share where offered was given and a value a
    tick otherwise; `target` is factor * level, before scaling by capacity. Both are None without a fault.

    >>> Recovery(True, None, 0.9, 0.855).recovered, Recovery(False, None, None, None).recovered
    (False, None)
    """

    fails: bool
    ticks: int | None
    level: float | None
    target: float | None

    @property
    def recovered(self) -> bool | None:
        """None where nothing failed."""
        return self.ticks is not None if self.fails else None


class Around(NamedTuple):
    """Running means around a fault: `ticks` [K] counted from it, `mean`, `low`, `high` [K] over seeds.

    `low` and `high` are None with one seed.
    """

    ticks: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def served_share(started, offered) -> np.ndarray:
    """Value served over value offered: sum_t started / sum_t offered, [..., T] -> [...].

    Over a whole run it is at most 1; over a part of it tasks released before may lift it above. Errors: Refusal for
    other shapes, for numbers that are negative or not finite, and where nothing is offered.

    >>> float(served_share([0.0, 1.0, 2.0], [2.0, 2.0, 0.0]))
    0.75
    """
    values, asked = _amounts("started", started), _amounts("offered", offered)
    if values.ndim == 0 or values.shape != asked.shape:
        raise Refusal(f"started has shape {values.shape} and offered {asked.shape}; both must be the same [..., ticks]")
    total = asked.sum(-1)
    if (total == 0).any():
        raise Refusal("offered is 0 in every tick of a run; a share of nothing is not defined")
    return values.sum(-1) / total


def jain(x, axis: int = -1) -> np.ndarray:
    """Jain's fairness index J = (sum x)^2 / (N sum x^2) of what N agents (or regions) got: 1 all alike, 1/N only one.

    `x` holds amounts >= 0, any unit; the index is taken along `axis`. Where all got nothing they got alike: 1.
    Reference: Jain, Chiu and Hawe, A Quantitative Measure of Fairness (1984), equation 2.

    >>> float(jain([1.0, 1.0, 0.0, 0.0])), float(jain([0.0, 0.0]))
    (0.5, 1.0)
    """
    amounts = _amounts("x", x)
    largest = amounts.max(axis, keepdims=True)  # scaled first, or the squares of small amounts underflow
    scaled = np.where(largest > 0, amounts / np.where(largest > 0, largest, 1.0), 1.0)
    return scaled.sum(axis) ** 2 / (scaled.shape[axis] * (scaled**2).sum(axis))


def waste(wasted, trips) -> np.ndarray:
    """The share of trips that ended at a task already taken: wasted / trips, elementwise; 0 where nobody travelled.

    >>> waste([1, 0], [4, 0]).tolist()
    [0.25, 0.0]
    """
    lost, made = _amounts("wasted", wasted), _amounts("trips", trips)
    if lost.shape != made.shape:
        raise Refusal(f"wasted has shape {lost.shape} and trips {made.shape}; they must be the same")
    if (lost > made).any():
        raise Refusal(f"wasted holds {lost[lost > made].flat[0]:g} of {made[lost > made].flat[0]:g} trips; at most all")
    return lost / np.where(made > 0, made, 1.0)


def lateness(late, tasks) -> np.ndarray:
    """Mean lateness: sum of (finish - due)+ over tasks served, in ticks, elementwise; 0 where none was served.

    >>> lateness([6.0, 0.0], [4, 0]).tolist()
    [1.5, 0.0]
    """
    total, count = _amounts("late", late), _amounts("tasks", tasks)
    if total.shape != count.shape:
        raise Refusal(f"late has shape {total.shape} and tasks {count.shape}; they must be the same")
    if ((count == 0) & (total > 0)).any():
        raise Refusal("late is above 0 where no task was served")
    return total / np.where(count > 0, count, 1.0)


def settle_rounds(settled) -> np.ndarray:
    """Rounds until everybody is settled and stays so: `settled` [..., R] bool after each round; -1 where never.

    The result counts rounds: 1 means settled after the first. A single unsettled round at the end gives -1.

    >>> settle_rounds([[False, True, False, True, True], [True, True, True, True, False]]).tolist()
    [4, -1]
    """
    done = np.asarray(settled)
    if done.dtype != bool or done.ndim == 0 or done.shape[-1] == 0:
        raise Refusal(f"settled has shape {done.shape} and type {done.dtype}; it must be bool [..., rounds]")
    trailing = np.argmax(~done[..., ::-1], axis=-1)  # rounds at the end that are settled; 0 also where all are
    rounds = done.shape[-1]
    first = np.where(done.all(-1), 1, rounds - trailing + 1)
    return np.where(first <= rounds, first, -1)


def running_mean(series, ticks: int = TICKS) -> np.ndarray:
    """Means of `ticks` ticks on end: [..., T] -> [..., T - ticks + 1], entry t over ticks t .. t + ticks - 1.

    >>> running_mean([1.0, 3.0, 5.0], 2).tolist()
    [2.0, 4.0]
    """
    values = finite("series", series)
    _whole("ticks", ticks, 1, values.shape[-1] if values.ndim else 0, "the number of ticks of the series")
    return np.lib.stride_tricks.sliding_window_view(values, ticks, axis=-1).mean(-1)


def recovery(
    started,
    at: int | None,
    capacity=1.0,
    offered=None,
    factor: float = 0.95,
    ticks: int = TICKS,
    before: int = 50,
) -> Recovery:
    """How long after a fault the fleet serves again what is left of it could serve.

    With l the old level, sum started / sum offered over the last `before` ticks before `at` (all there are, if fewer),
    and c_u the share of the old capacity that is left at tick u, the result is t - at for

        t = min { t >= at : sum_w started >= factor l sum_w c offered for every window w from t on },

    a window being `ticks` ticks on end, none of it before `at`. So 0 says that there was no dip. Scaling by capacity
    matters: a fleet that lost 30 % of its agents at full load never serves 95 % of the old value.

    started: [T] or [S, T], value; with seeds the mean over them is judged, since the ten ticks of one run are noisy.
    at: the first tick under the fault; None: nothing fails. capacity: a number or [T] (members who come back), 1 for
    a cut in the network. offered: value released, shaped as `started`; None: the same in every tick, so that l is a
    value a tick. A window in which nothing was offered holds. A run that ends earlier has less to prove: compare equal
    lengths.
    A fleet that served nothing before the fault has no level to come back to and never recovers.
    Errors: Refusal for `at` without a whole window on both sides, for a capacity below 0, and where nothing was
    offered before the fault.

    >>> series = [1.0] * 20 + [0.0] * 5 + [0.7] * 30
    >>> recovery(series, at=20, capacity=0.7, ticks=1).ticks, recovery(series, at=20, ticks=1).ticks
    (5, None)
    """
    values = _seeds("started", started)
    length = values.shape[-1]
    if at is None:
        return Recovery(False, None, None, None)
    _whole("ticks", ticks, 1, length, "the number of ticks of the series")
    _whole("at", at, ticks, length - ticks, f"the last tick with a window of {ticks} after it; the first needs one too")
    _whole("before", before, ticks, None, "")
    if not (np.isfinite(factor) and factor > 0):
        raise Refusal(f"factor is {factor:g}; it must be finite and above 0")
    asked = np.ones_like(values) if offered is None else _seeds("offered", offered)
    if asked.shape != values.shape:
        raise Refusal(f"offered has shape {asked.shape} and started {values.shape}; they must be the same")
    left = _amounts("capacity", capacity)
    if left.shape not in ((), (length,)):
        raise Refusal(f"capacity has shape {left.shape}; it must be one number or have shape ({length},)")
    values, asked = values.mean(0), asked.mean(0)
    old = slice(max(0, at - before), at)
    if asked[old].sum() == 0:
        raise Refusal(f"nothing was offered in the {old.stop - old.start} ticks before {at}; there is no old level")
    level = values[old].sum() / asked[old].sum()
    if level == 0:
        return Recovery(True, None, 0.0, 0.0)
    wanted = factor * level * running_mean((asked * left)[at:], ticks)
    short = running_mean(values[at:], ticks) < wanted - 1e-9 * level  # sums of equal numbers differ in the last digit
    first = int(np.flatnonzero(short)[-1]) + 1 if short.any() else 0
    return Recovery(True, first if first < short.size else None, float(level), float(factor * level))


def around(series, at: int, window: int, ticks: int = TICKS, level: float = 0.95) -> Around:
    """The running mean of a series from `window` ticks before a fault to `window` ticks after it, over seeds.

    Up to the fault the mean of the last `ticks` ticks, from the fault on the mean of the next `ticks`: no window lies
    on both sides, so the jump is seen where it is and `recovery` judges the same numbers. `series` is [S, T]; the band
    is the t interval of the mean over seeds at each tick on its own. Ticks without a whole window are left out.

    >>> curve = around([[1.0] * 12 + [0.0] * 12], at=12, window=2, ticks=4)
    >>> curve.ticks.tolist(), curve.mean.tolist()
    ([-2, -1, 0, 1, 2], [1.0, 1.0, 0.0, 0.0, 0.0])
    """
    values = finite("series", series)
    if values.ndim != 2:
        raise Refusal(f"series has shape {values.shape}; it must be [seeds, ticks]")
    length = values.shape[-1]
    _whole("ticks", ticks, 1, length, "the number of ticks of the series")
    _whole("at", at, ticks, length - ticks, f"the last tick with a window of {ticks} after it; the first needs one too")
    _whole("window", window, 1, None, "")
    means = running_mean(values, ticks)
    shown = np.arange(max(at - window, ticks - 1), min(at + window, length - ticks) + 1)
    means = means[:, np.where(shown < at, shown - ticks + 1, shown)]
    middle, low, high = mean_interval(means.T, level)
    return Around(shown - at, middle, low, high)


def gap(value, bound) -> np.ndarray:
    """What is at most left to gain: 1 - value / bound, elementwise; `bound` is an upper bound of the optimum, above 0.

    >>> float(gap(0.75, 1.0))
    0.25
    """
    reached, limit = _amounts("value", value), _amounts("bound", bound)
    if (limit <= 0).any():
        raise Refusal("bound is 0; a gap to nothing is not defined")
    return 1 - reached / limit


def _amounts(name: str, values) -> np.ndarray:
    array = finite(name, values)
    if array.min() < 0:
        raise Refusal(f"{name} holds {array.min():g}; no amount can be below 0")
    return array


def _seeds(name: str, values) -> np.ndarray:
    array = _amounts(name, values)
    if array.ndim not in (1, 2):
        raise Refusal(f"{name} has shape {array.shape}; it must be [ticks] or [seeds, ticks]")
    return np.atleast_2d(array)


def _whole(name: str, value, least: int, most: int | None, why: str) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise Refusal(f"{name} is {value}; it must be a whole number, at least {least}")
    if most is not None and value > most:
        raise Refusal(f"{name} is {value}; it must be at most {most}, {why}")
