"""Fleets ready-made: `assemble` puts parts together, `rolling` is the benchmark of a fleet on a plane."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.numerics.mix import GOLDEN, fraction, mix
from quorate.worlds.fleet.candidates import candidates
from quorate.worlds.fleet.fleet import Fleet
from quorate.worlds.fleet.space import Plane, Space
from quorate.worlds.fleet.tasks import NEVER, Arrivals, HotSpot, Source
from quorate.worlds.limits import above_zero, not_negative


def health(num_agents: int) -> np.ndarray:
    """A number in [0, 1) for each agent, the same whenever it is asked for: a hash of its id."""
    return np.asarray(fraction(mix(jnp.arange(num_agents, dtype=jnp.uint32) + GOLDEN)))


def plane(
    size: tuple[float, float],
    place: np.ndarray,
    *,
    num_agents: int,
    options: int = 32,
    region_size: int = 25,
    depot: np.ndarray = ((), ()),
) -> Plane:
    """A plane whose cells are about half as wide as the K nearest places reach, and whose regions hold about
    `region_size` agents when these are spread evenly.

    >>> field = plane((10, 10), np.ones((2, 50)), num_agents=100, options=8)
    >>> field.regions, field.grid
    (4, (9, 9))
    """
    above_zero(size=size)
    at_least(1, num_agents=num_agents, options=options, region_size=region_size)
    width, height = (float(x) for x in size)
    place = np.asarray(place, np.float32)
    cell = 0.5 * np.sqrt(options * width * height / (np.pi * max(place.shape[1], 1)))
    zone = np.sqrt(width * height * region_size / num_agents)

    def boxes(side: float) -> tuple[int, int]:
        return max(round(width / side), 1), max(round(height / side), 1)

    return Plane(size=(width, height), place=place, depot=depot, grid=boxes(cell), zones=boxes(zone))


def assemble(
    *,
    space: Space,
    source: Source,
    home: PyTree,
    speed: np.ndarray,
    skills: np.ndarray = 0,
    capacity: np.ndarray = 1,
    sight: np.ndarray = np.inf,
    drain: np.ndarray = 0.0,
    charge: np.ndarray = 0.05,
    reserve: np.ndarray = 0.2,
    options: int = 32,
    buckets: int = 1,
    travel_cost: float = 0.05,
    late: float = 0.0,
) -> Fleet:
    """A `Fleet` of these parts. `speed` lists one number an agent; the others may be one number for all.

    options  K, at most the number of places; buckets: stretches of time of the candidate table, for a `Trace`
    """
    speed = np.atleast_1d(np.asarray(speed, np.float32))
    powered = bool(np.any(np.asarray(drain) > 0))

    def each(given: np.ndarray, dtype: type) -> np.ndarray:
        return np.broadcast_to(np.asarray(given, dtype), speed.shape)

    return Fleet(
        space=space,
        source=source,
        home=home,
        candidates=candidates(space, source, min(options, source.places), buckets),
        speed=speed,
        skills=each(skills, np.int32),
        capacity=each(capacity, np.int32),
        sight=each(sight, np.float32),
        drain=each(drain, np.float32),
        charge=each(charge, np.float32),
        reserve=each(reserve, np.float32),
        health=health(len(speed)),
        travel_cost=travel_cost,
        late=late,
        powered=powered,
    )


def hot_spot(size: tuple[float, float], share: float, radius: float, period: float) -> HotSpot:
    """A bump of demand that circles the middle of a plane at a quarter of its smaller side."""
    above_zero(radius=radius, period=period)
    not_negative(share=share)
    width, height = size
    peak = width * height / (2 * np.pi * radius**2)
    return HotSpot(
        share=share,
        radius=radius,
        period=period,
        centre=(width / 2, height / 2),
        orbit=min(width, height) / 4,
        peak=peak,
    )


def rolling(
    *,
    num_agents: int = 1000,
    density: float = 7.0,
    options: int = 32,
    seed: int = 0,
    speed: tuple[float, float] = (0.3, 0.6),
    period: int = 30,
    value: tuple[float, float] = (0.5, 1.5),
    slack: tuple[int, int] = (10, 29),
    duration: tuple[int, int] = (1, 3),
    team: tuple[int, int] = (1, 1),
    skills: int = 4,
    held: float = 0.6,
    sight: float = np.inf,
    drain: float = 0.0,
    charge: float = 0.05,
    reserve: float = 0.2,
    depots: int = 0,
    hot: tuple[float, float, float] | None = None,
    region_size: int = 25,
    grace: int = NEVER,
    late: float = 0.0,
    travel_cost: float = 0.05,
) -> Fleet:
    """The rolling benchmark: agents spread evenly on a square, one a unit of area, and places where a task comes every
    `period` ticks.

    density   d, places an agent: 3.5 is light, 7 near saturation, 12 and 20 are overload
    speed     uniform between the two, distance a tick
    skills    S: each task needs one of them; an agent holds each with probability `held`, and one if it would have none
    hot       (share, radius, period) of a hot spot that circles the middle: there are as many tasks as without, that
              share of them under a moving Gaussian. For the peak there are more places, each with a lower chance; above
              four times the average demand is cut
    grace     ticks after its release by which a task must start so as not to be late; `late` is the price of a tick

    >>> world = rolling(num_agents=50, options=8)
    >>> world.num_agents, world.num_actions, world.options, world.regions
    (50, 350, 8, 1)
    """
    at_least(1, num_agents=num_agents, options=options, period=period, skills=skills)
    above_zero(density=density)
    draw = np.random.default_rng([seed, num_agents])
    side = float(np.sqrt(num_agents))
    home = draw.uniform(0, side, (2, num_agents))
    pace = draw.uniform(*speed, num_agents)
    mask = (draw.random((num_agents, skills)) < held) @ (1 << np.arange(skills))
    mask = np.where(mask == 0, 1 << draw.integers(0, skills, num_agents), mask)
    bump, room = None, 1.0
    if hot is not None:
        bump = hot_spot((side, side), *hot)
        room = min(float(1 - bump.share + bump.share * bump.peak), 4.0)
    places = max(round(density * num_agents * room), 1)
    place = draw.uniform(0, side, (2, places)).astype(np.float32)
    depot = draw.uniform(0, side, (2, depots))
    source = Arrivals(
        phase=draw.integers(0, period, places),
        period=period,
        value=value,
        slack=slack,
        duration=duration,
        team=team,
        needs=1 << np.arange(skills),
        intensity=1 / room,
        grace=grace,
        hot=bump,
        spread=place if bump is not None else ((), ()),
        largest=int(team[1]),
    )
    field = plane((side, side), place, num_agents=num_agents, options=options, region_size=region_size, depot=depot)
    if drain > 0 and not depots:
        raise Refusal("drain is above 0 and depots is 0: agents could not charge")
    return assemble(
        space=field,
        source=source,
        home=jnp.asarray(home, jnp.float32),
        speed=pace,
        skills=mask,
        sight=sight,
        drain=drain,
        charge=charge,
        reserve=reserve,
        options=options,
        travel_cost=travel_cost,
        late=late,
    )
