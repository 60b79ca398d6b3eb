"""The fewest agents that could serve every task: chains of tasks that one agent can do one after another."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from quorate.errors import Refusal

LARGEST = 6_000  # copies of tasks of one need: the table of who can follow whom has this squared


class Fewest(NamedTuple):
    """One row for each of the D different needs.

    need    its skill bits
    upper   so many agents suffice: they start every task at its release
    lower   fewer cannot do it, whatever the starts
    first   the tasks with which the chains of `upper` begin, in order of release: where its agents should be
    """

    need: Int[np.ndarray, " D"]
    upper: Int[np.ndarray, " D"]
    lower: Int[np.ndarray, " D"]
    first: tuple[Int[np.ndarray, " A"], ...]


def fewest(
    release: Int[np.ndarray, " T"],
    deadline: Int[np.ndarray, " T"],
    duration: Float[np.ndarray, " T"],
    travel: Float[np.ndarray, "T T"],
    need: Int[np.ndarray, " T"] | None = None,
    team: Int[np.ndarray, " T"] | None = None,
) -> Fewest:
    """The fewest agents that could serve all tasks of a need, with `team` agents at each, wherever they begin.

    With fixed starts, task b can follow a if release_a + duration_a + travel_ab <= release_b. Agents are then chains of
    a graph without cycles, each task in `team` chains (as so many copies), and the fewest chains are the number of
    copies less a largest matching of "is followed by": `upper`. With windows it suffices, but starts later than
    `release` may need fewer. For `lower`, b can follow a if release_a + duration_a + travel_ab <= `deadline`_b: every
    plan is chains of this larger graph. Also `lower` >= the copies that must run at once: a is surely at work from its
    deadline until release + duration; and `lower` >= the largest team. Where deadline = release both are equal and
    exact.

    `release` and `deadline`: first and last tick of a start; `duration` > 0; `travel`[a, b] from the end of a to the
    start of b, infinite where nobody can; `need` default 0, `team` default 1. Needs are separate: an agent serves tasks
    of one need only (all, where there is one need).

    Cost: O(T^2) memory and O(E sqrt(T)) time for E pairs that can follow each other; 1,000 tasks: 0.1 s.

    Errors: `Refusal` for shapes that disagree, a deadline before its release, a duration of 0, a team below 1, travel
    below 0, and more than 6,000 copies of a need.

    Reference: Fulkerson, Note on Dilworth's decomposition theorem (1956); Hopcroft, Karp (1973) for the matching.

    >>> import numpy as np
    >>> start, apart = np.array([0, 2, 4]), np.array([[0, 1, 1], [1, 0, 9], [1, 9, 0]])
    >>> fewest(start, start, np.array([1.0, 1.0, 1.0]), apart).upper.tolist()
    [2]
    """
    release, deadline = np.asarray(release, np.int64), np.asarray(deadline, np.int64)
    duration, travel = np.asarray(duration, np.float64), np.asarray(travel, np.float64)
    need = np.zeros_like(release) if need is None else np.asarray(need, np.int64)
    team = np.ones_like(release) if team is None else np.asarray(team, np.int64)
    _check(release, deadline, duration, travel, need, team)
    rows = [_of_one(mine, release, deadline, duration, travel, team) for mine in map(need.__eq__, np.unique(need))]
    return Fewest(
        np.unique(need),
        np.array([row[0] for row in rows], int),
        np.array([row[1] for row in rows], int),
        tuple(row[2] for row in rows),
    )


def _of_one(
    mine: np.ndarray,
    release: np.ndarray,
    deadline: np.ndarray,
    duration: np.ndarray,
    travel: np.ndarray,
    team: np.ndarray,
) -> tuple[int, int, np.ndarray]:
    """`upper`, `lower` and `first` for the tasks `mine`."""
    copies = np.repeat(np.flatnonzero(mine), team[mine])
    if len(copies) > LARGEST:
        raise Refusal(f"{len(copies)} tasks of one need are too many; the fewest agents are found for {LARGEST}")
    ready = (release + duration)[copies][:, None] + travel[np.ix_(copies, copies)]
    other = copies[:, None] != copies[None, :]  # nobody is twice in one team
    fixed = _matching(other & (ready <= release[copies][None, :]))
    loose = _matching(other & (ready <= deadline[copies][None, :]))
    leading = np.setdiff1d(np.arange(len(copies)), fixed)
    first = copies[leading]
    sure = _at_once(deadline[copies], (release + duration)[copies])
    return (
        len(first),
        max(len(copies) - len(loose), sure, int(team[mine].max())),
        first[np.argsort(release[first], kind="stable")],
    )


def _matching(follows: np.ndarray) -> np.ndarray:
    """Those who follow somebody in a largest matching."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    after = maximum_bipartite_matching(csr_array(follows), perm_type="column")
    return after[after >= 0]


def _at_once(begin: np.ndarray, end: np.ndarray) -> int:
    """The largest number of stretches [begin, end) that share an instant; empty ones count for nothing."""
    real = begin < end
    times = np.concatenate([end[real], begin[real]])
    step = np.repeat([-1, 1], np.count_nonzero(real))
    order = np.lexsort((step, times))  # who ends makes room for who begins
    return int(np.cumsum(step[order]).max(initial=0))


def _check(
    release: np.ndarray,
    deadline: np.ndarray,
    duration: np.ndarray,
    travel: np.ndarray,
    need: np.ndarray,
    team: np.ndarray,
) -> None:
    size = (len(release),)
    named = {"deadline": deadline, "duration": duration, "need": need, "team": team}
    for name, values in named.items():
        if values.shape != size:
            raise Refusal(f"{name} has shape {values.shape}; with {len(release)} tasks it must be {size}")
    if travel.shape != size * 2:
        raise Refusal(f"travel has shape {travel.shape}; it must be [tasks, tasks], {size * 2}")
    if (deadline < release).any():
        raise Refusal(f"task {int(np.argmax(deadline < release))} has its deadline before its release")
    if not (duration > 0).all() or (team < 1).any() or not (travel >= 0).all():
        raise Refusal("duration must be above 0, team at least 1 and travel 0 or more, for every task")
