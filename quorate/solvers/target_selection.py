"""Target selection: which targets to go for, when each needs several agents and an agent serves one."""

import numpy as np
from jaxtyping import Bool, Float64, Int, Int32

from quorate.errors import Refusal
from quorate.solvers.milp import quiet_library


def greedy(
    rewards: Float64[np.ndarray, " m"],
    thresholds: Int[np.ndarray, " m"],
    available: Bool[np.ndarray, "N m"],
    reassign: bool = True,
) -> Int32[np.ndarray, " N"]:
    """The target of each agent, -1 for none: targets by decreasing reward, each taken if enough agents can be had.

    Target j takes exactly thresholds[j] of the agents with available[i, j], no more. With `reassign` agents of targets
    that were taken before may be exchanged for others, so a target is refused only if it and those before it cannot be
    had together; without, who is committed stays, the first agents are taken first, and this is the algorithm of the
    paper.

    Holds: at least 1/k of the largest sum of rewards with `reassign`, at least 1/(k+1) without, k being the largest
    threshold. Both are reached. Proof: a target that is taken costs the optimum at most the targets of its k agents,
    none worth more; without `reassign` the optimum may serve the same target with other agents, and loses k besides.
    With it, the seats of the targets taken are an independent set of the transversal matroid of seats and agents, and
    k seats push out at most k others (Mestre 2006: greedy on k-extendible systems).

    Cost: m matchings of at most N seats with `reassign`, O(N m) without.

    Errors: `Refusal` for shapes that do not fit, a threshold below 1 or with a fraction, a reward that is negative or
    not finite.

    Reference: IBGP, Appendix A.3.2, which claims 1/k for the algorithm without `reassign`. Its proof speaks of targets
    with exactly k available agents (set packing, hence NP-hardness), where both are the same; with more agents to
    choose from it misses a half at k = 1. Mestre, Greedy in Approximation Algorithms (2006).

    >>> both, first = np.array([[True, True], [True, False]]), np.array([2.0, 1.0])
    >>> greedy(first, np.array([1, 1]), both).tolist(), greedy(first, np.array([1, 1]), both, reassign=False).tolist()
    ([1, 0], [0, -1])
    """
    rewards, thresholds, available = _checked(rewards, thresholds, available)
    chosen, taken = np.full(len(available), -1, np.int32), []
    for target in np.argsort(-rewards, kind="stable").tolist():
        if reassign:
            together = _seated(thresholds, available, [*taken, target])
            if together is not None:
                chosen, taken = together, [*taken, target]
        else:
            free = np.flatnonzero(available[:, target] & (chosen < 0))
            if len(free) >= thresholds[target]:
                chosen[free[: thresholds[target]]] = target
    return chosen


def optimum(
    rewards: Float64[np.ndarray, " m"], thresholds: Int[np.ndarray, " m"], available: Bool[np.ndarray, "N m"]
) -> Int32[np.ndarray, " N"]:
    """The target of each agent, -1 for none, such that the sum of the rewards is largest.

        maximise sum_j r_j y_j    where    sum_i x_ij = k_j y_j,    sum_j x_ij <= 1,    x_ij <= available_ij

    y_j says whether target j is taken and x_ij whether agent i serves it. Solved by integer programming (HiGHS) to its
    default gap of 1e-4 of the sum; NP-hard, since set packing is a special case (IBGP, Appendix A.3.2).

    Errors: as `greedy`.

    >>> optimum(np.array([2.0, 1.0]), np.array([1, 1]), np.array([[True, True], [True, False]])).tolist()
    [1, 0]
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, vstack

    rewards, thresholds, available = _checked(rewards, thresholds, available)
    agent, target = np.nonzero(available)
    pairs, (n, m) = len(agent), available.shape
    if not pairs:
        return np.full(n, -1, np.int32)
    columns, ones = np.arange(pairs), np.ones(pairs)
    serving = coo_array((ones, (agent, columns)), shape=(n, pairs + m))
    filled = coo_array(
        (np.append(ones, -thresholds), (np.append(target, np.arange(m)), np.arange(pairs + m))), shape=(m, pairs + m)
    )
    with quiet_library():
        result = milp(
            np.append(np.zeros(pairs), -rewards),
            integrality=np.ones(pairs + m),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(
                vstack([serving, filled]).tocsc(),
                np.append(np.full(n, -np.inf), np.zeros(m)),
                np.append(np.ones(n), np.zeros(m)),
            ),
        )
    if result.x is None:
        raise RuntimeError(f"target selection was not solved: {result.message}")
    chosen = np.full(n, -1, np.int32)
    used = result.x[:pairs] > 0.5
    chosen[agent[used]] = target[used]
    return chosen


def collected(
    rewards: Float64[np.ndarray, " m"], thresholds: Int[np.ndarray, " m"], chosen: Int[np.ndarray, " N"]
) -> float:
    """The sum of the rewards of targets with at least as many agents as their thresholds.

    >>> collected(np.array([5.0, 2.0]), np.array([2, 1]), np.array([0, 1, -1]))
    2.0
    """
    counts = np.bincount(chosen[chosen >= 0], minlength=len(rewards))
    return float(np.sum(rewards, where=counts >= thresholds))


def _seated(thresholds: np.ndarray, available: np.ndarray, targets: list[int]) -> np.ndarray | None:
    """Agents on exactly the seats of these targets, or None where they are too few."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    seats = np.repeat(targets, thresholds[targets])
    if len(seats) > len(available):
        return None
    agents = maximum_bipartite_matching(csr_array(available[:, seats].T), perm_type="column")
    if np.any(agents < 0):
        return None
    chosen = np.full(len(available), -1, np.int32)
    chosen[agents] = seats
    return chosen


def _checked(rewards: np.ndarray, thresholds: np.ndarray, available: np.ndarray) -> tuple[np.ndarray, ...]:
    rewards, thresholds = np.asarray(rewards, float), np.asarray(thresholds)
    available = np.asarray(available, bool)
    if available.ndim != 2 or not rewards.shape == thresholds.shape == available.shape[1:]:
        shapes = f"{rewards.shape}, {thresholds.shape} and {available.shape}"
        raise Refusal(f"rewards, thresholds and available have shapes {shapes}; they must be (m,), (m,) and (N, m)")
    if not np.all(np.isfinite(thresholds) & (thresholds == np.floor(thresholds))):
        raise Refusal(f"thresholds are {thresholds.tolist()}; they count agents and must be whole numbers")
    thresholds = thresholds.astype(np.int64)
    if np.any(thresholds < 1):
        raise Refusal(f"a threshold is {thresholds.min()}; it counts agents and must be at least 1")
    if not np.all(np.isfinite(rewards) & (rewards >= 0)):
        raise Refusal(f"rewards are {rewards.tolist()}; they must be finite and not negative")
    return rewards, thresholds, available
