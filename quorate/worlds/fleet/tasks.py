"""What there is to do: a `Tasks` record for every place and tick, from open-loop arrivals or from explicit rows.

Both sources are stateless: the tasks of a tick are a function of (seed, t), so every mechanism meets the same, and any
replica can work them out.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt

from quorate.core import static, swept
from quorate.errors import Refusal
from quorate.numerics.mix import fraction, mix
from quorate.worlds.limits import above_zero

NEVER = 2**30  # a tick that does not come


class Tasks(NamedTuple):
    """One task a place, leaves [M].

    number    which of its place's tasks it is; -1 before the first
    real      there is one: a window may stay empty
    release   the tick from which it is announced
    deadline  the last tick at which it may start
    due       finished later it is late
    value     gained when it starts
    need      bit mask of skills, all of which each serving agent must have
    duration  ticks from start to finish, at least 1
    team      units that must be there at once, at least 1
    after     the place whose task must be done before this one is announced, -1: none
    """

    number: Int[Array, " M"]
    real: Bool[Array, " M"]
    release: Int[Array, " M"]
    deadline: Int[Array, " M"]
    due: Int[Array, " M"]
    value: Float[Array, " M"]
    need: Int[Array, " M"]
    duration: Int[Array, " M"]
    team: Int[Array, " M"]
    after: Int[Array, " M"]


def _whole(word: UInt[Array, "..."], bounds: Int[Array, "2"]) -> Int[Array, "..."]:
    """A whole number between the bounds, both included."""
    span = (bounds[1] - bounds[0] + 1).astype(jnp.float32)
    return bounds[0] + jnp.minimum(jnp.floor(fraction(word) * span), span - 1).astype(jnp.int32)


def _between(least: int, **bounds: Array) -> None:
    """Refuses a pair of bounds of which the first is below `least` or above the second."""
    for name, pair in bounds.items():
        if isinstance(pair, jax.core.Tracer):
            continue
        if pair.shape[-1:] != (2,) or np.any(pair[..., 0] > pair[..., 1]) or np.any(pair < least):
            raise Refusal(f"{name} is {np.asarray(pair).tolist()}; it must be two numbers, {least} <= first <= second")


class HotSpot(eqx.Module):
    """A Gaussian bump of demand that goes round the middle.

    share   of all tasks that belong to the bump; the others are everywhere alike
    radius  its standard deviation
    period  ticks for one round
    centre  [2], the middle of its circle; orbit: the circle's radius
    peak    what the bump's height must be for its share: area / (2 pi radius^2)
    """

    share: Float[Array, ""] = swept()
    radius: Float[Array, ""] = swept()
    period: Float[Array, ""] = swept()
    centre: Float[Array, "2"] = swept()
    orbit: Float[Array, ""] = swept()
    peak: Float[Array, ""] = swept()

    def level(self, place: Float[Array, "2 M"], t: Int[Array, " M"]) -> Float[Array, " M"]:
        """Demand at each place at a tick of its own, over the average."""
        angle = t.astype(jnp.float32) * (2 * jnp.pi / self.period)
        x = place[0] - self.centre[0] - self.orbit * jnp.cos(angle)
        y = place[1] - self.centre[1] - self.orbit * jnp.sin(angle)
        bump = jnp.exp(-(x * x + y * y) / (2 * self.radius * self.radius))
        return 1 - self.share + self.share * self.peak * bump


class Arrivals(eqx.Module):
    """Open-loop arrivals: place j offers task number c in the window [phase_j + c P, phase_j + (c + 1) P), whatever
    became of the one before; every attribute is a hash of (seed, j, c).

        release = phase_j + c P,  deadline = release + slack,  due = min(deadline, release + grace) + duration

    phase      [M], in 0..P-1: when a place's first window begins
    period     P, ticks
    value      [2]: uniform between the two
    slack      [2], whole ticks, both included; at most P - 1, so that a task is over when the next one comes
    duration   [2], team [2]: whole numbers, both included
    needs      [S] bit masks of which each task has one, evenly; [0] for none
    intensity  chance that a window has a task
    grace      ticks after its release by which a task that is not late has started
    hot        a `HotSpot` that the intensity follows (cut at 1), with `spread` [2, M], where the places are; or None
    largest    static, the largest team that may come; needy: static, whether any task needs a skill

    Cost O(M) a tick, about 0.4 ns a place and attribute. Places at least 2^32 / number apart never share a hash.
    """

    phase: Int[Array, " M"] = swept(jnp.int32)
    period: Int[Array, ""] = swept(jnp.int32)
    value: Float[Array, "2"] = swept(default=(0.5, 1.5))
    slack: Int[Array, "2"] = swept(jnp.int32, default=(10, 29))
    duration: Int[Array, "2"] = swept(jnp.int32, default=(1, 3))
    team: Int[Array, "2"] = swept(jnp.int32, default=(1, 1))
    needs: Int[Array, " S"] = swept(jnp.int32, default=(0,))
    intensity: Float[Array, ""] = swept(default=1.0)
    grace: Int[Array, ""] = swept(jnp.int32, default=NEVER)
    hot: HotSpot | None = eqx.field(kw_only=True, default=None)
    spread: Float[Array, "2 M"] = swept(default=((), ()))
    largest: int = static(1)
    needy: bool = static(True)
    chained = False

    def __check_init__(self):
        above_zero(period=self.period)
        _between(0, slack=self.slack)
        _between(1, duration=self.duration, team=self.team)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((self.phase, self.period, self.slack))):
            return
        period, phase = int(self.period), np.asarray(self.phase)
        if np.any((phase < 0) | (phase >= period)):
            raise Refusal(f"phase must be from 0 to {period - 1}, less than the period")
        if self.slack[1] >= period:
            raise Refusal(
                f"slack goes up to {self.slack[1]}, period is {period}; a task must end before the next comes"
            )
        if self.team[1] > self.largest:
            raise Refusal(f"team goes up to {self.team[1]} and largest is {self.largest}")

    @property
    def places(self) -> int:
        return self.phase.shape[-1]

    def tasks(self, seed: UInt[Array, "2"], t: Int[Array, ""]) -> Tasks:
        """The tasks whose windows hold tick t."""
        since = t - self.phase
        number = jnp.where(since >= 0, since // self.period, -1)
        release = self.phase + number * self.period
        place = jnp.arange(self.places, dtype=jnp.uint32)
        inner = mix((number.astype(jnp.uint32) * jnp.uint32(self.places) + place) ^ seed[0])

        def word(attribute: int) -> Array:
            return mix(inner + (seed[1] + jnp.uint32(attribute * 0x9E3779B9 % 2**32))) ^ inner

        chance = self.intensity
        if self.hot is not None:
            chance = chance * self.hot.level(self.spread, release)
        unit = fraction(word(0))
        duration = _whole(word(1), self.duration)
        deadline = release + _whole(word(2), self.slack)
        first = self.needs.shape[-1]
        which = jnp.minimum((fraction(word(3)) * first).astype(jnp.int32), first - 1)
        need = jnp.broadcast_to(self.needs[0], which.shape) if first == 1 else self.needs[which]
        one = self.largest == 1
        return Tasks(
            number=number,
            real=(number >= 0) & (unit < chance),
            release=release,
            deadline=deadline,
            due=jnp.minimum(deadline, release + self.grace) + duration,
            value=self.value[0] + (self.value[1] - self.value[0]) * fraction(word(4)),
            need=need,
            duration=duration,
            team=jnp.ones(self.places, jnp.int32) if one else _whole(word(5), self.team),
            after=jnp.full(self.places, -1, jnp.int32),
        )


class Trace(eqx.Module):
    """Explicit rows, one task a place, number 0; the same in every episode. Fields are those of `Tasks`; build it with
    `trace`.

    largest  static, the largest team; chained: static, whether any row has a predecessor; needy: or needs a skill
    """

    release: Int[Array, " M"] = swept(jnp.int32)
    deadline: Int[Array, " M"] = swept(jnp.int32)
    due: Int[Array, " M"] = swept(jnp.int32)
    value: Float[Array, " M"] = swept()
    need: Int[Array, " M"] = swept(jnp.int32)
    duration: Int[Array, " M"] = swept(jnp.int32)
    team: Int[Array, " M"] = swept(jnp.int32)
    after: Int[Array, " M"] = swept(jnp.int32)
    largest: int = static(1)
    chained: bool = static(False)
    needy: bool = static(True)

    @property
    def places(self) -> int:
        return self.release.shape[-1]

    def tasks(self, seed: UInt[Array, "2"], t: Int[Array, ""]) -> Tasks:
        """All rows; before its release a task is real but not announced."""
        rows = {name: getattr(self, name) for name in Tasks._fields if name not in ("number", "real")}
        zero = jnp.zeros(self.places, jnp.int32)
        return Tasks(number=zero, real=jnp.ones(self.places, bool), **rows)


def trace(
    release: np.ndarray,
    deadline: np.ndarray,
    *,
    due: np.ndarray | None = None,
    value: np.ndarray = 1.0,
    need: np.ndarray = 0,
    duration: np.ndarray = 1,
    team: np.ndarray = 1,
    after: np.ndarray = -1,
) -> Trace:
    """A `Trace` of M rows; all but the first two may be one number for all. Without `due` a task is late when it is
    done after deadline + duration, which is never.

    Errors: Refusal that names the first row that is wrong: ticks out of 0 to 2^20, a deadline before the release, a
    duration or team below 1, a predecessor that is no row or waits, along a chain, for its successor.

    >>> rows = trace([0, 5], [9, 20], value=[1.0, 2.0], after=[-1, 0])
    >>> rows.places, rows.chained
    (2, True)
    """
    release = np.asarray(release, np.int64)
    if release.ndim != 1 or release.size == 0:
        raise Refusal(f"release has shape {release.shape}; it lists one tick a task")

    def column(given: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(given), release.shape)

    deadline, duration, team, after = column(deadline), column(duration), column(team), column(after)
    due = deadline + duration if due is None else column(due)
    rows = len(release)
    for wrong, said in (
        ((release < 0) | (deadline >= 2**20), "its ticks must be from 0 to 2^20"),
        (deadline < release, "its deadline is before its release"),
        (duration < 1, "its duration must be at least 1"),
        (team < 1, "its team must be at least 1"),
        ((after < -1) | (after >= rows), f"it comes after a row that is not among 0 to {rows - 1}"),
    ):
        if np.any(wrong):
            raise Refusal(f"task {np.flatnonzero(wrong)[0]}: {said}")
    last, steps = after.copy(), 0
    while np.any(last >= 0) and steps <= rows:
        last, steps = np.where(last >= 0, after[last], -1), steps + 1
    if np.any(last >= 0):
        raise Refusal(f"task {np.flatnonzero(last >= 0)[0]}: its predecessors go round in a circle")
    return Trace(
        release=release,
        deadline=deadline,
        due=due,
        value=column(value),
        need=column(need),
        duration=duration,
        team=team,
        after=after,
        largest=int(team.max()),
        chained=bool(np.any(after >= 0)),
        needy=bool(np.any(np.asarray(need) != 0)),
    )


Source = Arrivals | Trace
