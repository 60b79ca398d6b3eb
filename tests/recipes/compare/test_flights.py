"""New York's flights: counts of the data, the fleet of the day, and the fewest aircraft against brute force."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare import flights
from quorate.recipes.compare.description import read_text
from quorate.recipes.compare.instance import resolve

CALM, BAD = "2013-10-02", "2013-07-10"


@functools.cache
def day(date):
    return flights.flights(date)


@pytest.mark.parametrize(
    ("date", "count", "cancelled", "late", "aircraft", "untold"),
    [(CALM, 975, 1, 11, 713, 0), (BAD, 1004, 121, 243, 713, 32)],
)
def test_counts(date, count, cancelled, late, aircraft, untold):
    found = day(date)
    assert len(found.name) == len(set(found.name.tolist())) == count
    assert np.isnan(found.delay).sum() == cancelled and (found.delay > 60).sum() == late
    assert (found.tail == "").sum() == untold
    assert set(found.origin.tolist()) == {"EWR", "JFK", "LGA"}
    fleet = flights.historic_fleet(found)
    assert len(fleet.origin) == len(fleet.carriers) == aircraft == len(set(found.tail.tolist()) - {""})
    assert (np.diff(found.departure) >= 0).all() and found.departure.min() >= 300
    assert (found.air >= 20).all() and (found.air <= 700).all()


def test_the_human_row():
    calm, bad = flights.historic(CALM), flights.historic(BAD)
    assert (calm.offered, calm.cancelled) == (975, 1) and calm.served == pytest.approx((975 - 1 - 11) / 975)
    assert (bad.offered, bad.cancelled) == (1004, 121) and bad.served == pytest.approx((1004 - 121 - 243) / 1004)
    delay = day(BAD).delay
    assert bad.late == pytest.approx(np.nansum(np.maximum(delay, 0)) / (1004 - 121))
    assert flights.historic(BAD, tolerance=2000).served == pytest.approx((1004 - 121) / 1004)
    assert calm.late < 5 < 50 < bad.late


def test_a_flight_that_did_not_arrive_gets_the_median_of_its_route():
    rows = [
        {"origin": "EWR", "dest": "IAH", "air_time": minutes, "distance": "1400"}
        for minutes in ("200", "", "230", "210")
    ]
    air, pace = flights._air_times([*rows, {"origin": "JFK", "dest": "X", "air_time": "", "distance": "700"}])
    assert air == {("EWR", "IAH"): 210.0} and pace == pytest.approx(0.15)
    gone = np.isnan(day(BAD).delay)
    route = [name.split(" ")[1] for name in day(BAD).name]
    for index in np.flatnonzero(gone)[:20]:
        same = [row for row in flights._month(7) if f"{row['origin']}-{row['dest']}" == route[index]]
        times = [float(row["air_time"]) for row in same if row["air_time"]]
        assert day(BAD).air[index] == np.median(times)


def test_the_fleet_of_the_day_begins_at_its_first_origin_an_hour_before():
    found, fleet = day(CALM), flights.historic_fleet(day(CALM))
    tails = list(dict.fromkeys(tail for tail in found.tail.tolist() if tail))
    for tail, origin, since, carriers in list(zip(tails, fleet.origin, fleet.since, fleet.carriers, strict=True))[::50]:
        own = found.tail == tail
        assert since == found.departure[own].min() - 60
        assert origin == found.origin[own][np.argmin(found.departure[own])]
        assert set(carriers) == set(found.carrier[own].tolist())


def least_by_force(departure, busy, travel, tolerance):
    """The fewest aircraft over all ways to share out the flights and all orders of each aircraft's own."""

    def alone(flights_):
        for order in itertools.permutations(flights_):
            at, place = -np.inf, None
            for flight in order:
                at = max(departure[flight], at if place is None else at + travel[place, flight])
                if at > departure[flight] + tolerance:
                    break
                at, place = at + busy[flight], flight
            else:
                return True
        return False

    count = len(departure)
    best = count
    for labels in itertools.product(range(count), repeat=count):
        used = set(labels)
        if len(used) < best and all(alone([f for f in range(count) if labels[f] == label]) for label in used):
            best = len(used)
    return best


@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([0, 3, 8]))
def test_the_fewest_aircraft_against_brute_force(count, seed, tolerance):
    draw = np.random.default_rng(seed)
    departure = np.sort(draw.integers(0, 20, count))
    busy = draw.integers(1, 9, count)
    place = draw.integers(0, 6, count)
    travel = np.abs(place[:, None] - place[None, :])  # a metric, since flights come back to where they began
    begins, least = flights.scheduled(departure, departure + tolerance, busy, travel)
    force = least_by_force(departure, busy, travel, tolerance)
    assert least <= force <= len(begins)
    if tolerance == 0:
        assert least == force == len(begins)


def test_the_binding_fleet():
    names, at = flights.airports()
    hop = {
        (a, b): 20.0 * np.hypot(*(at[:, i] - at[:, j])) / 10 for i, a in enumerate(names) for j, b in enumerate(names)
    }
    fleet = flights.binding_fleet(day(CALM), hop, tolerance=60, tick=5)
    assert fleet.about.startswith(f"{len(fleet.origin)} aircraft: ")
    assert 400 < len(fleet.origin) < 450
    used = {carriers[0] for carriers in fleet.carriers}
    assert used == set(day(CALM).carrier.tolist()) and all(len(carriers) == 1 for carriers in fleet.carriers)
    punctual = flights.binding_fleet(day(CALM), hop, tolerance=0, tick=5)
    assert len(punctual.origin) > len(fleet.origin)


FILE = """
[[agents]]
speed = 3
[tasks]
source = "flights:{date}"
fleet = "{fleet}"
"""


PLANNED = "713 aircraft, all that were planned that day"
FEW = "431 aircraft: 410 can fly every flight at most 60 minutes late (fewer than 397 cannot), and 5 % more"


@pytest.mark.parametrize(("fleet", "aircraft", "fact"), [("historic", 713, PLANNED), ("binding", 431, FEW)])
def test_the_day_in_ticks(fleet, aircraft, fact):
    drawn = resolve(read_text(FILE.format(date=CALM, fleet=fleet)), seed=0)
    crew, tasks = drawn.crew, drawn.tasks
    assert crew.at.shape == (2, aircraft) and tasks.at.shape == (2, 975)
    start = (day(CALM).departure.min() - 60) // 5 * 5
    assert (tasks.release == (day(CALM).departure - start) // 5).all() and tasks.release.min() == 12
    assert (tasks.deadline - tasks.release == 12).all() and drawn.ticks == tasks.deadline.max() + 1
    assert (tasks.due - tasks.release == tasks.duration).all()
    assert (tasks.duration == np.ceil((2 * day(CALM).air + 90) / 5)).all()
    assert crew.since.min() == 0 and (crew.since < tasks.release.max()).all()
    assert ((crew.skills & (crew.skills - 1)) == 0).all() and set(tasks.need.tolist()) <= set(crew.skills.tolist())
    assert {tuple(at) for at in crew.at.T.tolist()} <= {tuple(at) for at in flights.airports()[1].T.tolist()}
    assert (crew.at <= np.array(drawn.room.size)[:, None]).all() and drawn.minutes == 5
    assert drawn.facts[1] == fact and sum("assumed" in said for said in drawn.facts) == 2


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(flights.importlib.util, "find_spec", lambda name: None)
    flights._month.cache_clear()
    flights.flights.cache_clear()
    with pytest.raises(Refusal, match=r'not installed\npip install "quorate\[flights\]"'):
        flights.flights("2013-01-01")
