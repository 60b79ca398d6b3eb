"""The fleet's numbers against twins written with loops and lists."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.measure import fleet
from quorate.measure.paired import mean_interval

amounts = st.integers(0, 20).map(lambda quarters: quarters / 4)
series = st.lists(amounts, min_size=8, max_size=30)


def twin_recovery(started, at, capacity, offered, factor, ticks, before):
    """Ticks from the fault; None where it never recovers. Every window is summed anew."""
    length = len(started)
    old = range(max(0, at - before), at)
    level = sum(started[t] for t in old) / sum(offered[t] for t in old)
    if level == 0:
        return None
    result = None
    for t in reversed(range(at, length - ticks + 1)):
        window = range(t, t + ticks)
        wanted = factor * level * sum(capacity[u] * offered[u] for u in window)
        if sum(started[u] for u in window) < wanted - 1e-9 * level * ticks:
            return result
        result = t - at
    return result


@given(series, st.data())
def test_recovery_is_that_of_the_twin(started, data):
    length = len(started)
    offered = data.draw(st.lists(amounts, min_size=length, max_size=length))
    capacity = data.draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=length, max_size=length))
    ticks = data.draw(st.integers(1, length // 4))
    at = data.draw(st.integers(ticks, length - ticks))
    before = data.draw(st.integers(ticks, length))
    assume(sum(offered[max(0, at - before) : at]) > 0)
    expected = twin_recovery(started, at, capacity, offered, 0.95, ticks, before)
    found = fleet.recovery(started, at, np.array(capacity), offered, 0.95, ticks, before)
    assert found.fails and found.ticks == expected and found.recovered == (expected is not None)


def test_recovery_is_scaled_by_the_capacity_that_is_left():
    full = [1.0] * 60 + [0.7] * 60
    assert fleet.recovery(full, 60).ticks is None
    assert fleet.recovery(full, 60, capacity=0.7).ticks == 0
    back = np.where(np.arange(120) < 90, 0.7, 1.0)  # the dead come back at 90, and nobody serves more
    assert fleet.recovery(full, 60, capacity=back).ticks is None
    dip = [1.0] * 60 + [0.0] * 7 + [0.7] * 53
    # The first window of ten with at least 0.95 * 7 in it: one that begins after the last tick without service.
    assert fleet.recovery(dip, 60, capacity=0.7).ticks == 7


def test_nothing_fails_and_never_recovered_are_told_apart():
    calm, never = fleet.recovery([1.0] * 30, None), fleet.recovery([1.0] * 20 + [0.0] * 20, 20)
    assert (calm.fails, calm.ticks, calm.recovered) == (False, None, None)
    assert (never.fails, never.ticks, never.recovered) == (True, None, False)
    nothing = fleet.recovery([0.0] * 40, 20)
    assert (nothing.fails, nothing.ticks, nothing.level) == (True, None, 0.0)


def test_less_offered_is_no_failure_when_offers_are_given():
    offered = np.array([2.0] * 40 + [1.0] * 40)
    assert fleet.recovery(offered * 0.9, 40).ticks is None
    found = fleet.recovery(offered * 0.9, 40, offered=offered)
    assert found.ticks == 0 and found.level == pytest.approx(0.9)


def test_recovery_judges_the_mean_over_seeds():
    one = np.r_[np.ones(40), np.zeros(5), np.ones(35)]
    other = 2 - one
    assert fleet.recovery(one, 40).ticks == 5 and fleet.recovery([one, other], 40).ticks == 0


@given(st.lists(amounts, min_size=1, max_size=12))
def test_jain_is_its_formula_and_lies_between_one_over_n_and_one(x):
    found = float(fleet.jain(x))
    squares = sum(value * value for value in x)
    expected = sum(x) ** 2 / (len(x) * squares) if squares else 1.0
    assert found == pytest.approx(expected) and 1 / len(x) - 1e-12 <= found <= 1 + 1e-12


def test_jain_knows_its_extremes_and_its_axis():
    assert fleet.jain([[5.0, 5.0], [0.0, 3.0]]).tolist() == [1.0, 0.5]
    assert fleet.jain([[5.0, 0.0], [5.0, 0.0]], axis=0).tolist() == [1.0, 1.0]
    assert float(fleet.jain([1e-200, 1e-200])) == 1.0


@given(series, st.data())
def test_served_share_is_a_ratio_of_sums(offered, data):
    assume(sum(offered) > 0)
    started = data.draw(st.lists(amounts, min_size=len(offered), max_size=len(offered)))
    assert float(fleet.served_share(started, offered)) == pytest.approx(math.fsum(started) / math.fsum(offered))


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_settle_rounds_counts_until_all_later_ones_are_settled(settled):
    expected = next((r + 1 for r in range(len(settled)) if all(settled[r:])), -1)
    assert int(fleet.settle_rounds(settled)) == expected


@given(series, st.integers(1, 8))
def test_running_mean_is_the_mean_of_each_window(values, ticks):
    found = fleet.running_mean(values, ticks)
    assert found.tolist() == pytest.approx([sum(values[t : t + ticks]) / ticks for t in range(len(values) - ticks + 1)])


def test_around_has_no_window_on_both_sides_of_the_fault():
    values = np.random.default_rng(0).uniform(size=(4, 40))
    found = fleet.around(values, at=18, window=30, ticks=5)
    assert found.ticks.tolist() == list(range(4 - 18, 35 - 18 + 1))
    for k, tick in enumerate(found.ticks + 18):
        window = range(tick - 4, tick + 1) if tick < 18 else range(tick, tick + 5)
        means = [np.mean([values[s, t] for t in window]) for s in range(4)]
        expected = mean_interval(means)
        assert (found.mean[k], found.low[k], found.high[k]) == pytest.approx(tuple(float(x) for x in expected))
    assert fleet.around(values[:1], at=18, window=3).low is None


def test_waste_lateness_and_gap_are_plain_ratios():
    assert fleet.waste([3, 0], [4, 0]).tolist() == [0.75, 0.0]
    assert fleet.lateness([3.0, 0.0], [2, 0]).tolist() == [1.5, 0.0]
    assert fleet.gap([0.5, 1.0], [1.0, 1.0]).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fleet.served_share([1.0], [0.0]), "offered is 0 in every tick"),
        (lambda: fleet.served_share([1.0, 2.0], [1.0]), "both must be the same"),
        (lambda: fleet.served_share([-1.0], [1.0]), "started holds -1; no amount can be below 0"),
        (lambda: fleet.jain([1.0, np.nan]), r"x\[1\] is nan"),
        (lambda: fleet.jain([]), "x is empty"),
        (lambda: fleet.waste([2], [1]), "wasted holds 2 of 1 trips"),
        (lambda: fleet.lateness([2.0], [0]), "late is above 0 where no task was served"),
        (lambda: fleet.settle_rounds([1, 0]), "it must be bool"),
        (lambda: fleet.running_mean([1.0], 2), "ticks is 2; it must be at most 1"),
        (lambda: fleet.recovery([1.0] * 30, 5), "at is 5; it must be a whole number, at least 10"),
        (lambda: fleet.recovery([1.0] * 30, 25), "at is 25; it must be at most 20"),
        (lambda: fleet.recovery([1.0] * 30, 15, capacity=[1.0]), "capacity has shape"),
        (lambda: fleet.recovery([1.0] * 30, 15, offered=[0.0] * 30), "nothing was offered in the 15 ticks before 15"),
        (lambda: fleet.recovery([1.0] * 30, 15, factor=0.0), "factor is 0"),
        (lambda: fleet.around([1.0] * 30, 15, 5), "it must be \\[seeds, ticks\\]"),
        (lambda: fleet.gap(1.0, 0.0), "bound is 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(Refusal, match=message):
        call()
