"""One snapshot of agents and places: the optimum, an upper bound from prices, and what plain greed gets."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from quorate.errors import Refusal

DENSE = 2_000  # agents, and places, up to which the full table is solved
CELLS = 16_000_000  # numbers in that table: 128 MB
LISTS = 20_000  # agents up to which the lists of options are solved
ROUNDING = 1e-5  # relative: prices are made of sums in float32

Places = Int[np.ndarray, "N K"]
Worths = Float[np.ndarray, "N K"]
Opens = Bool[np.ndarray, "N K"]


class Optimal(NamedTuple):
    """`value`: sum of the worths; `place` int64[N]: the place of each agent, -1: none."""

    value: float
    place: Int[np.ndarray, " N"]


class Certificate(NamedTuple):
    """How far from the optimum an assignment can be.

    value     sum of the worths of the assignment
    upper     upper bound on the optimum, from the prices
    assigned  agents with a place
    eps       the auction's eps
    holds     upper <= value + eps * assigned, and optimum <= upper where the optimum was given, up to the rounding of
              float32 prices (1e-5 of the largest worth an agent)
    """

    value: float
    upper: float
    assigned: int
    eps: float
    holds: bool


def assignment(place: Places, worth: Worths, open: Opens, places: int) -> Optimal:
    """The assignment of largest total worth: each agent at most one place, each place at most one agent.

    max sum_i `worth`[i, k_i] over choices k_i of options that are `open`, no place `place`[i, k_i] < `places` twice;
    idling is worth 0. Exact in float64.

    Cost: with up to `DENSE` agents and `CELLS` cells the full table, N * M float64 numbers, O(N^2 M) at worst (0.2 s at
    2,000 x 2,000); above, the lists of options with one idle place an agent, as a sparse matching.

    Errors: `Refusal` for shapes that disagree, places out of range, worths that are not finite, and more than `LISTS`
    agents (use `dual_bound` there).

    Reference: Crouse, On implementing 2D rectangular assignment algorithms (2016), and Jonker, Volgenant (1987) for the
    sparse one, both in SciPy.

    >>> import numpy as np
    >>> worth = np.array([[1.0, 0.75], [1.0, 0.25]])
    >>> best = assignment(np.array([[0, 1], [0, 1]]), worth, worth > 0, places=2)
    >>> best.value, best.place.tolist()
    (1.75, [1, 0])
    """
    agent, at, value = _pairs(place, worth, open, places)
    agents = len(place)
    if agents > LISTS:
        raise Refusal(
            f"{agents} agents are too many for an exact assignment, which is done up to {LISTS}",
            "an auction and its dual bound certify larger ones",
        )
    if agents <= DENSE and agents * places <= CELLS:
        return _dense(agent, at, value, agents, places)
    return _sparse(agent, at, value, agents, places)


def _dense(agent: np.ndarray, at: np.ndarray, value: np.ndarray, agents: int, places: int) -> Optimal:
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((agents, places))
    np.maximum.at(table, (agent, at), value)
    rows, columns = linear_sum_assignment(table, maximize=True)
    gained = table[rows, columns]
    found = np.full(agents, -1)
    found[rows[gained > 0]] = columns[gained > 0]
    return Optimal(float(gained.sum()), found)


def _sparse(agent: np.ndarray, at: np.ndarray, value: np.ndarray, agents: int, places: int) -> Optimal:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    order = np.lexsort((-value, at, agent))  # of one pair offered twice the better counts
    agent, at, value = agent[order], at[order], value[order]
    first = np.append(True, (np.diff(agent) != 0) | (np.diff(at) != 0))[: len(agent)]
    agent, at, value = agent[first], at[first], value[first]
    # Every agent is matched once, to a place or to its own idle place: a constant added to a row changes nothing,
    # and no weight is 0, which a sparse table would take for "no edge".
    idle = np.arange(agents)
    base = 1.0 + value.max(initial=0.0)
    weights = np.concatenate([base - value, np.full(agents, base)])
    table = csr_array(
        (weights, (np.concatenate([agent, idle]), np.concatenate([at, places + idle]))), (agents, places + agents)
    )
    rows, columns = min_weight_full_bipartite_matching(table)
    found = np.full(agents, -1)
    real = columns < places
    found[rows[real]] = columns[real]
    return Optimal(_worth_of(found, agent, at, value), found)


def greedy(place: Places, worth: Worths, open: Opens, places: int) -> Optimal:
    """Global greed: the best pair of all, then the best of what is left, and so on; at least half of the optimum.

    Ties: the smallest agent, then the smallest place. Arguments as in `assignment`. Cost: a sort of N K pairs and a
    Python loop over them, about 0.3 s a million. Errors: as `assignment`, at any size.

    >>> import numpy as np
    >>> worth = np.array([[1.0, 0.75], [1.5, 1.0]])
    >>> greedy(np.array([[0, 1], [0, 1]]), worth, worth > 0, places=2).place.tolist()
    [1, 0]
    """
    agent, at, value = _pairs(place, worth, open, places)
    found, taken, total = np.full(len(place), -1), np.zeros(places, bool), []
    for pair in np.lexsort((at, agent, -value)):
        who, where = agent[pair], at[pair]
        if found[who] < 0 and not taken[where]:
            found[who], taken[where] = where, True
            total.append(value[pair])
    return Optimal(float(np.sum(total)), found)


def dual_bound(place: Places, worth: Worths, open: Opens, price: Float[np.ndarray, " M"]) -> float:
    """An upper bound on the optimal assignment, from any prices p >= 0: sum_j p_j + sum_i max(0, max_j(w_ij - p_j)).

    Whoever is assigned to j gains w_ij = p_j + (w_ij - p_j), every p_j is paid at most once, and nobody's net worth is
    above its best: weak duality of linear programming, so it holds for every p = `price` [M] >= 0 and every N. In
    float64.

    Cost: O(N K + M). Errors: `Refusal` for shapes that disagree, prices below 0 or not finite.

    >>> import numpy as np
    >>> worth = np.array([[1.0, 0.75], [1.0, 0.25]])
    >>> dual_bound(np.array([[0, 1], [0, 1]]), worth, worth > 0, np.array([0.5, 0.0]))
    1.75
    """
    price = np.asarray(price, np.float64)
    if price.ndim != 1 or not np.isfinite(price).all() or (price < 0).any():
        raise Refusal(f"price has shape {price.shape} and least value {price.min(initial=0)}; prices [M] are 0 or more")
    agent, at, value = _pairs(place, worth, open, len(price))
    best = np.zeros(len(place))
    np.maximum.at(best, agent, value - price[at])
    return float(price.sum() + best.sum())


def certificate(
    place: Places,
    worth: Worths,
    open: Opens,
    prices: Float[np.ndarray, " M"],
    assigned: Int[np.ndarray, " N"],
    eps: float,
    optimum: float | None = None,
) -> Certificate:
    """The value of an assignment, the upper bound from `prices`, and whether the promise of the auction is kept.

    `assigned` [N] holds each agent's place or -1. For a settled auction from price 0 with `eps`:
    optimum <= upper <= value + `eps` * assigned; `optimum` is compared when it is given.

    Cost: O(N K + M). Errors: `Refusal` for what `dual_bound` refuses, for a place given twice and for one that its
    agent may not take.

    >>> import numpy as np
    >>> worth = np.array([[1.0, 0.75], [1.0, 0.25]])
    >>> certificate(np.array([[0, 1], [0, 1]]), worth, worth > 0, np.array([0.5, 0.25]), np.array([1, 0]), eps=0.25)
    Certificate(value=1.75, upper=1.75, assigned=2, eps=0.25, holds=True)
    """
    upper = dual_bound(place, worth, open, prices)
    assigned = np.asarray(assigned)
    has = assigned >= 0
    if len(np.unique(assigned[has])) < np.count_nonzero(has):
        raise Refusal("assigned gives one place to two agents; it is no assignment")
    value = _worth_of(assigned, *_pairs(place, worth, open, len(prices)))
    count = int(np.count_nonzero(has))
    rounding = ROUNDING * len(assigned) * max(1.0, float(np.max(np.abs(worth), where=open, initial=0.0)))
    holds = upper <= value + eps * count + rounding and (optimum is None or optimum <= upper + rounding)
    return Certificate(value, upper, count, float(eps), bool(holds))


def _pairs(place: Places, worth: Worths, open: Opens, places: int) -> tuple[np.ndarray, np.ndarray, Float64]:
    """Agent, place and worth of every open option of worth above 0: the others are no better than idling."""
    place, worth, open = np.asarray(place), np.asarray(worth, np.float64), np.asarray(open, bool)
    if place.ndim != 2 or place.shape != worth.shape or place.shape != open.shape:
        raise Refusal(
            f"place {place.shape}, worth {worth.shape} and open {open.shape} must have one shape, [agents, options]"
        )
    if not np.isfinite(worth[open]).all():
        raise Refusal("worth holds numbers that are not finite where open")
    if (place[open] < 0).any() or (place[open] >= places).any():
        raise Refusal(f"place holds open options outside 0 to {places - 1}; there are {places} places")
    agent, option = np.nonzero(open & (worth > 0))
    return agent, place[agent, option].astype(np.int64), worth[agent, option]


def _worth_of(assigned: np.ndarray, agent: np.ndarray, at: np.ndarray, value: np.ndarray) -> float:
    """Sum of the worths of the places assigned; `Refusal` when one is not among its agent's options."""
    gained = np.full(len(assigned), -np.inf)
    mine = assigned[agent] == at
    np.maximum.at(gained, agent[mine], value[mine])
    wrong = (assigned >= 0) & np.isneginf(gained)
    if wrong.any():
        who = int(np.argmax(wrong))
        raise Refusal(f"assigned gives agent {who} place {assigned[who]}, which is not among its options worth having")
    return float(gained[assigned >= 0].sum())
