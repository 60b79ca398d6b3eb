"""The bound against the best of all plans, found by trying every order and every team."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from quorate.errors import Refusal
from quorate.solvers import clairvoyant
from quorate.solvers.clairvoyant import Horizon, bound

TICKS = 16


class Tiny:
    """At most 3 agents and 5 tasks on a plane, with skills, speeds, capacities, shifts, windows, teams, lateness."""

    def __init__(self, seed: int):
        draw = np.random.default_rng(seed)
        self.agents, self.tasks = draw.integers(1, 4), draw.integers(1, 6)
        size = draw.choice([0.5, 2.0, 5.0])
        self.home, self.place = draw.uniform(0, size, (self.agents, 2)), draw.uniform(0, size, (self.tasks, 2))
        self.speed = draw.uniform(0.5, 1.5, self.agents)
        self.skills = draw.integers(1, 4, self.agents)
        self.capacity = draw.choice([1, 1, 2], self.agents)
        self.start = draw.choice([0, 0, 4], self.agents)
        self.stop = draw.choice([TICKS, TICKS, 9], self.agents)
        self.release = draw.integers(0, draw.choice([2, 12]), self.tasks)
        self.deadline = self.release + draw.integers(0, draw.choice([2, 14]), self.tasks)
        self.duration = draw.integers(1, 6, self.tasks)
        self.due = self.release + self.duration + draw.integers(0, 3, self.tasks)
        self.value = draw.uniform(0.5, 1.5, self.tasks)
        self.need = draw.choice([0, 0, 1, 2], self.tasks)
        self.team = draw.choice([1, 1, 1, 1, 2, 3], self.tasks)
        self.late = -draw.choice([0.0, 0.2])

    def travel(self, agent: int, origin: np.ndarray, task: int) -> int:
        return int(np.ceil(np.linalg.norm(origin - self.place[task]) / self.speed[agent]))

    def optimum(self) -> float:
        """Every sequence of tasks in order of their starts, every least team, each start as early as it can be."""

        def search(left: frozenset, free: tuple, where: tuple, latest: int) -> float:
            best = 0.0
            for task in left:
                able = [a for a in range(self.agents) if self.skills[a] & self.need[task] == self.need[task]]
                for size in range(1, len(able) + 1):
                    for team in combinations(able, size):
                        units = sum(self.capacity[a] for a in team)
                        if units < self.team[task] or any(units - self.capacity[a] >= self.team[task] for a in team):
                            continue
                        ready = [free[a] + self.travel(a, where[a], task) for a in team]
                        start = max(int(self.release[task]), latest, *ready)
                        if start > min(self.deadline[task], TICKS - 1) or any(start >= self.stop[a] for a in team):
                            continue
                        end = start + int(self.duration[task])
                        gain = self.value[task] + self.late * max(0, end - self.due[task])
                        then = tuple(end if a in team else free[a] for a in range(self.agents))
                        there = tuple(self.place[task] if a in team else where[a] for a in range(self.agents))
                        best = max(best, gain + search(left - {task}, then, there, start))
            return best

        return search(frozenset(range(self.tasks)), tuple(map(int, self.start)), tuple(self.home), 0)

    def horizon(self, first: bool = True) -> Horizon:
        able = (self.skills[:, None] & self.need[None, :]) == self.need[None, :]
        approach = np.zeros(self.tasks)
        for task in range(self.tasks):
            ways = [
                self.travel(agent, self.place[other], task)
                for agent in np.flatnonzero(able[:, task])
                for other in range(self.tasks)
                if other != task and able[agent, other]
            ]
            approach[task] = min(ways, default=0)
        soonest = [
            [self.start[a] + self.travel(a, self.home[a], j) for j in range(self.tasks)] for a in range(self.agents)
        ]
        return Horizon(
            self.release,
            self.deadline,
            self.due,
            self.value,
            self.need,
            self.duration,
            self.team,
            approach,
            self.skills,
            self.capacity,
            np.ones(self.agents),
            self.start,
            self.stop,
            TICKS,
            self.late,
            np.array(soonest, float) if first else None,
        )


@pytest.fixture(scope="module")
def tiny() -> list[tuple[Tiny, float]]:
    made = [Tiny(seed) for seed in range(200)]
    return [(case, case.optimum()) for case in made]


def test_no_plan_beats_the_bound_on_200_tiny_instances(tiny):
    found = [bound(case.horizon()) for case, _ in tiny]
    for (_, optimum), upper in zip(tiny, found, strict=True):
        assert optimum <= upper.value + 1e-9
        assert 0 <= upper.share <= 1
    optima = np.array([optimum for _, optimum in tiny])
    values = np.array([upper.value for upper in found])
    assert np.count_nonzero(optima) > 130  # in the others nobody has the skills, the shift or the company
    assert values.sum() <= 1.1 * optima.sum()  # measured: 1.07
    assert np.mean(values <= optima * 1.0001 + 1e-9) > 0.75  # measured: 0.83 of the bounds are the optimum
    assert {upper.method.split(",")[0] for upper in found} == {"all that anybody can serve", "agent time"}


def test_any_prices_give_a_bound(tiny):
    draw = np.random.default_rng(5)
    for case, optimum in tiny:
        for first in (True, False):
            facts = clairvoyant._prepare(case.horizon(first))
            for scale in (0.05, 0.5):
                prices = draw.exponential(scale, facts.room.shape) * (draw.random(facts.room.shape) < 0.5)
                assert optimum <= clairvoyant._dual(facts, prices) + 1e-9


def test_rounding_approaches_and_merging_groups_keep_it_a_bound(tiny, monkeypatch):
    monkeypatch.setattr(clairvoyant, "SHAPES", 2)
    monkeypatch.setattr(clairvoyant, "GROUPS", 1)
    for case, optimum in tiny[:60]:
        facts = clairvoyant._prepare(case.horizon())
        if len(np.unique(facts.team)) == 1 and len(np.unique(facts.need)) == 1:
            assert len(facts.need) <= 2
        assert facts.able.shape[1] == 1 or not len(facts.value)
        assert optimum <= bound(case.horizon()).value + 1e-9


def test_a_sample_of_tasks_and_starts_keeps_it_a_bound(tiny, monkeypatch):
    for name, value in (("SAMPLE", 2), ("STARTS", 2), ("COLUMNS", 1), ("FEW", 0), ("BUCKETS", (3, 3))):
        monkeypatch.setattr(clairvoyant, name, value)
    for case, optimum in tiny[:60]:
        assert optimum <= bound(case.horizon()).value + 1e-9


def many(tasks: int = 3_000, agents: int = 60, **changes) -> Horizon:
    draw = np.random.default_rng(1)
    release = draw.integers(-5, 120, tasks)
    facts = dict(
        release=release,
        deadline=release + draw.integers(0, 20, tasks),
        due=release + 9.0,
        value=draw.uniform(0.5, 1.5, tasks),
        need=1 << draw.integers(0, 2, tasks),
        duration=draw.integers(1, 4, tasks),
        team=np.ones(tasks),
        approach=draw.exponential(1.0, tasks),
        skills=[1, 2, 3],
        capacity=[1, 1, 1],
        count=[agents // 3] * 3,
        start=[0, 0, 0],
        stop=[120, 120, 60],
        ticks=120,
        late=-0.1,
    )
    return Horizon(**(facts | changes))


def test_the_range_minimum_is_the_plain_one():
    draw = np.random.default_rng(3)
    cost = draw.normal(size=37)
    left = draw.integers(0, 37, 200)
    right = np.minimum(left + draw.integers(-1, 37, 200), 36)
    plain = [min(cost[a : b + 1], default=np.inf) for a, b in zip(left, right, strict=True)]
    assert np.array_equal(clairvoyant._least(cost, left, right), plain)


def test_the_dual_is_the_formula_written_out():
    horizon = many(tasks=40, agents=6, late=-0.07)
    facts = clairvoyant._prepare(horizon)
    prices = np.random.default_rng(2).exponential(0.2, facts.room.shape)

    def paid(group, begin, end):
        overlap = [max(0.0, min(end, t + 1) - max(begin, t)) for t in range(facts.low, facts.low + facts.room.shape[1])]
        return float(np.dot(prices[group], overlap))

    total = float((prices * facts.room).sum())
    for j in range(40):
        gains = [0.0]
        for s in range(max(0, horizon.release[j]), min(horizon.deadline[j], 119) + 1):
            late = max(0.0, s + horizon.duration[j] - horizon.due[j])
            for group in range(facts.room.shape[0]):
                if facts.able[horizon.need[j] - 1, group] and facts.there[group, s]:
                    begin, end = s - horizon.approach[j], s + horizon.duration[j]
                    gains.append(horizon.value[j] - 0.07 * late - paid(group, begin, end))
        total += max(gains)
    assert clairvoyant._dual(facts, prices) == pytest.approx(total, rel=1e-12)


def test_prices_over_time_reach_the_value_of_the_plain_linear_programme():
    """The relaxation written out tick by tick: which share of each task starts when, served by which class."""
    start = np.arange(150) % 40
    horizon = many(150, 3, ticks=40, release=start, deadline=start + 3, due=start + 2, approach=np.zeros(150))
    ways = [
        (j, s, c)
        for j in range(150)
        for s in range(start[j], min(start[j] + 3, 39) + 1)
        for c in range(3)
        if horizon.skills[c] & horizon.need[j] == horizon.need[j]
    ]
    profit, table = np.zeros(len(ways)), np.zeros((150 + 3 * 40, len(ways)))
    for column, (j, s, c) in enumerate(ways):
        end = s + horizon.duration[j]
        profit[column] = horizon.value[j] - 0.1 * max(0, end - horizon.due[j])
        table[j, column] = 1
        table[150 + 40 * c + s : 150 + 40 * c + min(end, 40), column] = 1
    plain = linprog(-profit, A_ub=table, b_ub=np.ones(len(table)))
    found = bound(horizon)
    assert "40 prices" in found.method
    assert found.share < 0.8
    assert found.value == pytest.approx(-plain.fun, rel=1e-7)


def test_more_agents_never_lower_the_bound_and_enough_serve_everything():
    values = [bound(many(agents=agents)).share for agents in (0, 30, 60, 3_000)]
    assert values[0] == 0
    assert values == sorted(values)
    assert 0.1 < values[1] < values[2] < 1
    horizon = many(agents=3_000, late=0.0)
    everything = bound(horizon)
    assert everything.method == "all that anybody can serve"
    assert everything.value == pytest.approx(horizon.value[horizon.deadline >= 0].sum())


def test_lateness_lowers_the_bound():
    assert bound(many(late=-0.1)).value < bound(many(late=0.0)).value


def test_it_says_when_the_best_plan_is_far_below():
    upper = bound(many()).value
    assert bound(many(), best=0.97 * upper).loose is None
    assert "90%" in bound(many(), best=0.9 * upper).loose
    with pytest.raises(Refusal, match="above what is possible"):
        bound(many(), best=1.1 * upper)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": [1, 2]}, r"count has shape \(2,\)"),
        ({"value": np.full(3_000, np.nan)}, "value holds numbers that are not finite"),
        ({"approach": np.full(3_000, -1.0)}, "approach holds -1.0; it must be at least 0"),
        ({"duration": np.zeros(3_000)}, "duration holds 0.0; it must be above 0"),
        ({"team": np.zeros(3_000)}, "team holds 0"),
        ({"late": 0.5}, "late is 0.5"),
        ({"ticks": 0}, "ticks is 0"),
        ({"first": np.zeros((2, 3_000))}, r"first has shape \(2, 3000\)"),
    ],
)
def test_bad_horizons_are_refused(changes, said):
    with pytest.raises(Refusal, match=said):
        bound(many(**changes))
