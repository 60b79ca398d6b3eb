"""The fewest agents against trying every way to divide the tasks among agents."""

from itertools import permutations, product

import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.solvers.fewest import fewest


def case(seed: int, slack: int):
    """Up to 5 tasks on a plane, two needs."""
    draw = np.random.default_rng(seed)
    tasks = int(draw.integers(1, 6))
    at = draw.uniform(0, 4, (tasks, 2))
    travel = np.ceil(np.linalg.norm(at[:, None] - at[None, :], axis=2))
    travel[draw.random((tasks, tasks)) < 0.15] = np.inf
    release = draw.integers(0, 12, tasks)
    deadline = release + draw.integers(0, slack + 1, tasks)
    return release, deadline, draw.integers(1, 4, tasks), travel, draw.choice([1, 2], tasks)


def one_can(order, release, deadline, duration, travel) -> bool:
    ready, last = -np.inf, None
    for task in order:
        start = max(release[task], ready if last is None else ready + travel[last, task])
        if start > deadline[task]:
            return False
        ready, last = start + duration[task], task
    return True


def brute(release, deadline, duration, travel) -> int:
    """Give every task to an agent; each agent tries every order of its own."""
    tasks = range(len(release))
    facts = (release, deadline, duration, travel)
    return min(
        len(set(owner))
        for owner in product(tasks, repeat=len(release))
        if all(
            any(one_can(order, *facts) for order in permutations([j for j in tasks if owner[j] == agent]))
            for agent in set(owner)
        )
    )


@pytest.mark.parametrize("slack", [0, 5])
def test_it_is_the_fewest_of_all_divisions_or_brackets_it(slack):
    gaps = []
    for seed in range(40):
        release, deadline, duration, travel, need = case(seed, slack)
        found = fewest(release, deadline, duration, travel, need)
        for index, bits in enumerate(found.need):
            mine = need == bits
            least = brute(release[mine], deadline[mine], duration[mine], travel[np.ix_(mine, mine)])
            assert found.lower[index] <= least <= found.upper[index]
            assert len(found.first[index]) == found.upper[index]
            assert mine[found.first[index]].all()
            gaps.append(found.upper[index] - found.lower[index])
    assert (max(gaps) == 0) == (slack == 0)


def test_teams_need_so_many_agents_each():
    release, apart = np.array([0, 5]), np.array([[0.0, 2.0], [2.0, 0.0]])
    found = fewest(release, release, np.array([3, 1]), apart, team=np.array([3, 2]))
    assert (found.upper.tolist(), found.lower.tolist()) == ([3], [3])
    assert found.first[0].tolist() == [0, 0, 0]
    assert fewest(release, release, np.array([4, 1]), apart, team=np.array([3, 2])).upper.tolist() == [5]


def test_who_must_run_at_once_counts_even_if_the_chains_do_not_show_it():
    """Each of three could follow each other one, but all are surely at work in tick 5."""
    three = np.zeros(3, int)
    found = fewest(three, three + 5, three + 6, np.zeros((3, 3)) - 0.0)
    assert found.lower.tolist() == [3] and found.upper.tolist() == [3]
    wide = fewest(three, three + 5, three + 5, np.zeros((3, 3)))
    assert wide.lower.tolist() == [1] and wide.upper.tolist() == [3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deadline": [1, 0]}, "task 1 has its deadline before its release"),
        ({"duration": [1, 0]}, "duration must be above 0"),
        ({"travel": [[0, 1]]}, "travel has shape"),
        ({"team": [1]}, r"team has shape \(1,\)"),
        ({"team": [1, 7_000]}, "7001 tasks of one need are too many"),
    ],
)
def test_what_is_refused(changes, said):
    facts = {"release": [1, 1], "deadline": [1, 1], "duration": [1, 1], "travel": [[0, 1], [1, 0]]}
    with pytest.raises(Refusal, match=said):
        fewest(**(facts | changes))
