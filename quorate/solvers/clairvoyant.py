"""What nobody can beat: an upper bound on the value a fleet can serve when everything is known beforehand."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from quorate.errors import Refusal
from quorate.solvers.milp import quiet_library

SHAPES = 2_000  # different kinds of service told apart; above, approaches are rounded down
GROUPS = 64  # groups of agents told apart; above, the smallest are merged into one that can do everything
SAMPLE = 1_000  # tasks from which prices are found; the bound itself counts all of them
STARTS = 5  # starts of each of these that the linear programme may choose, once all of them are more than
COLUMNS = 30_000  # its variables
FEW = 200  # with so many tasks at most, time is cut finely
BUCKETS = (64, 24)  # stretches of time with a price of their own, at most: with few tasks and with many
LOOSE = 0.05
ROUNDING = 1e-9  # relative: what sums in float64 may lose


class Horizon(NamedTuple):
    """A rolling fleet with everything known: T tasks, C classes of agents, ticks 0 to `ticks` - 1.

    release   first tick at which a task can start
    deadline  last tick at which it can start
    due       tick up to which it should be done: lateness = max(0, start + duration - due)
    value     what a start is worth
    need      skill bits that every serving agent must hold
    duration  ticks that a service takes
    team      units of capacity that must be there at once
    approach  least ticks from the end of any other task (start + duration) to a start of this one, for any agent that
              may serve both; 0 is always allowed
    skills    skill bits of a class
    capacity  units that one agent of the class brings
    count     agents in the class
    start     first tick at which they are there
    stop      first tick at which they are gone
    ticks     length of the horizon
    late      added for each tick of lateness, 0 or less
    first     earliest tick at which an agent of the class can start the task, by whatever way; None: not known
    """

    release: Int[np.ndarray, " T"]
    deadline: Int[np.ndarray, " T"]
    due: Float[np.ndarray, " T"]
    value: Float[np.ndarray, " T"]
    need: Int[np.ndarray, " T"]
    duration: Float[np.ndarray, " T"]
    team: Int[np.ndarray, " T"]
    approach: Float[np.ndarray, " T"]
    skills: Int[np.ndarray, " C"]
    capacity: Int[np.ndarray, " C"]
    count: Int[np.ndarray, " C"]
    start: Int[np.ndarray, " C"]
    stop: Int[np.ndarray, " C"]
    ticks: int
    late: float = 0.0
    first: Float[np.ndarray, "C T"] | None = None


class Bound(NamedTuple):
    """`value`: no plan serves more; `share`: of the value offered; `method`: which prices gave it; `loose`: what to
    tell the reader when the best value reached is far below, None when it is near or not given."""

    value: float
    share: float
    method: str
    loose: str | None


class _Facts(NamedTuple):
    """The horizon prepared: tasks that can be served at all, groups of agents, an axis of ticks `low` to `high`."""

    left: Int[np.ndarray, " T"]  # first and last start
    right: Int[np.ndarray, " T"]
    value: Float64[np.ndarray, " T"]
    soft: Float64[np.ndarray, " T"]  # last start without lateness
    late: float
    shape: Int[np.ndarray, " T"]
    need: Int[np.ndarray, " S"]  # of each shape: which row of `able`, team, duration, approach
    team: Int[np.ndarray, " S"]
    duration: Float64[np.ndarray, " S"]
    approach: Float64[np.ndarray, " S"]
    able: Float64[np.ndarray, "D G"]  # units that an agent of the group brings; 0: cannot
    there: Float64[np.ndarray, "G ticks"]  # agents of the group who may start a service
    room: Float64[np.ndarray, "G L"]  # agents of the group who may be busy in each tick of the axis
    low: int
    ticks: int


def bound(horizon: Horizon, best: float | None = None) -> Bound:
    """An upper bound on sum_j (value_j + late * lateness_j) over the tasks served, for any planner.

    Any prices p_g(t) >= 0 of an agent tick of group g give

        sum_g sum_t p_g(t) room_g(t) + sum_j max(0, max_{g, s} [v_js - (k_j / m_gj) integral p_g, s - a_j to s + u_j]),

    v_js the value of task j when started at s, u_j its `duration`, a_j its `approach`, k_j its `team`,
    m_gj = min(capacity, k_j) what an agent brings. A plan is: agents start tasks from `release` to `deadline`, each
    holding all of `need`, those at one task bringing its team, and next_start >= start + duration + approach_next for
    two tasks of one agent; a task that has begun counts, even if its agent goes before it is done.

    Why no plan beats it (weak duality): an agent that serves j from s was at no service in the a_j ticks before, so the
    stretches [s - a_j, s + u_j) of one agent never overlap, and those of a group fill at most room_g(t) at any t. A
    team has sum m_gj >= k_j. So a plan pays for its stretches at most the first sum, for each task at least what its
    bracket subtracts, and the value of a task is at most what it pays plus its bracket. The way to an agent's first
    task may be shorter than a_j: its room begins max a_j ticks before its first tick, and ends max u_j after its last.
    Rounding an approach down, merging groups and forgetting who is where and which task comes first only allow more.

    Prices come from linear programmes (HiGHS) over a sample of tasks: one price per group for the whole horizon, and
    one per group and stretch of time. How exact they are matters for tightness only: the formula is evaluated for all
    tasks, ticks and groups in float64. The smallest is returned, of these and of "all that anybody can serve".

    `best`: the value of the best plan known; when it stays more than 5 % below the bound, `loose` says so.

    Cost: O(T + S G ticks log ticks) for S kinds of service (2,000 at most) and G groups, plus up to 5 s for the linear
    programmes; agents are counted by class, so 10^5 cost as much as 10.

    Errors: `Refusal` for shapes that disagree, numbers that are not finite, negative values, times or counts, a
    positive `late`, durations or teams of 0, and a `best` above the bound.

    Reference: Geoffrion, Lagrangean relaxation for integer programming (1974); the relaxation is ours.

    >>> import numpy as np
    >>> two = np.array([1, 1])
    >>> tasks = dict(release=two, deadline=two, due=9 * two, value=2.0 * two, need=two, duration=3 * two, team=two)
    >>> fleet = dict(skills=[1], capacity=[1], count=[1], start=[0], stop=[9], ticks=9)
    >>> found = bound(Horizon(**tasks, approach=0 * two, **fleet))
    >>> round(found.value, 6), round(found.share, 6)
    (2.0, 0.5)
    """
    facts = _prepare(horizon)
    offered = float(np.sum(np.asarray(horizon.value, np.float64)))
    upper, method = _dual(facts, np.zeros_like(facts.room)), "all that anybody can serve"
    for edges, name in _stretches(facts) if upper > 0 else ():
        reached = _dual(facts, _prices(facts, edges)) * (1 + ROUNDING)
        if reached < upper:
            upper, method = reached, name
    loose = None
    if best is not None:
        if best > upper * (1 + 1e-5) + 1e-5:
            raise Refusal(f"best is {best}, above what is possible, {upper}; the horizon leaves out tasks or agents")
        if best < upper * (1 - LOOSE):
            reached = f"the best plan known reaches {best / upper:.0%} of the bound"
            loose = f"{reached}, which may be loose: it knows the least approach of a task, not the map"
    return Bound(upper, upper / offered if offered else 0.0, method, loose)


def _dual(facts: _Facts, prices: Float64[np.ndarray, "G L"]) -> float:
    """The bound that `prices` >= 0 give, over all tasks: the formula of `bound`."""
    rent = float(np.sum(prices * facts.room))
    if not len(facts.value):
        return rent
    gains = np.zeros(len(facts.value))
    before = np.concatenate([np.zeros((len(prices), 1)), np.cumsum(prices, axis=1)], axis=1)
    starts = np.arange(facts.ticks)
    order = np.argsort(facts.shape, kind="stable")
    for shape, tasks in enumerate(np.split(order, np.searchsorted(facts.shape[order], np.arange(1, len(facts.need))))):
        price = _price(facts, before, shape)
        left, right = facts.left[tasks], facts.right[tasks]
        soft = np.floor(np.clip(facts.soft[tasks], left - 1, right)).astype(int)
        cheapest = _least(price, left, soft)
        if facts.late < 0:
            slope = -facts.late
            tardy = _least(price + slope * starts, np.maximum(soft + 1, left), right) - slope * facts.soft[tasks]
            cheapest = np.minimum(cheapest, tardy)
        else:
            cheapest = np.minimum(cheapest, _least(price, np.maximum(soft + 1, left), right))
        gains[tasks] = np.maximum(facts.value[tasks] - cheapest, 0)
    return rent + float(np.sum(gains))


def _price(facts: _Facts, before: Float64[np.ndarray, "G _"], shape: int) -> Float64[np.ndarray, " ticks"]:
    """What a service of this shape pays at least, for each start; infinite where it cannot be started."""
    units, team = facts.able[facts.need[shape]], facts.team[shape]
    groups = np.flatnonzero(units > 0)
    starts = np.arange(facts.ticks)
    enough = units[groups] @ facts.there[groups] >= team
    cost = np.full(facts.ticks, np.inf)
    for group in groups:
        paid = _until(before[group], starts + facts.duration[shape] - facts.low)
        paid = (paid - _until(before[group], starts - facts.approach[shape] - facts.low)) * team
        paid = np.where(facts.there[group] > 0, paid / min(units[group], team), np.inf)
        cost = np.minimum(cost, paid)
    return np.where(enough, cost, np.inf)


def _until(before: Float64[np.ndarray, " _"], t: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " S"]:
    """The integral of the prices up to time t, a line within each tick."""
    whole = np.clip(np.floor(t).astype(int), 0, len(before) - 2)
    return before[whole] + (t - whole) * (before[whole + 1] - before[whole])


def _least(cost: Float64[np.ndarray, " ticks"], left: np.ndarray, right: np.ndarray) -> Float64[np.ndarray, " T"]:
    """min of cost[left .. right] for each pair; infinite where left > right. Two overlapping powers of two each."""
    span = right - left + 1
    level = np.floor(np.log2(np.maximum(span, 1))).astype(int)
    found = np.full(len(left), np.inf)
    for power in range(level.max(initial=0) + 1):
        width = 2**power
        mine = (span > 0) & (level == power)
        found[mine] = np.minimum(cost[left[mine]], cost[right[mine] - width + 1])
        cost = np.minimum(cost, np.append(cost[width:], np.full(min(width, len(cost)), np.inf)))
    return found


def _stretches(facts: _Facts) -> list[tuple[np.ndarray, str]]:
    """Edges of the stretches of time that share a price, and what the method is called."""
    high = facts.low + facts.room.shape[1]
    whole = np.unique([facts.low, 0, facts.ticks, high])
    pieces = min(facts.ticks, BUCKETS[0] if len(facts.value) <= FEW else BUCKETS[1])
    inner = np.unique(np.linspace(0, facts.ticks, pieces + 1).round().astype(int))
    edges = np.unique(np.concatenate([whole, inner]))
    return [(whole, "agent time, one price for the horizon"), (edges, f"agent time, {len(inner) - 1} prices over time")]


def _prices(facts: _Facts, edges: Int[np.ndarray, " _"]) -> Float64[np.ndarray, "G L"]:
    """Prices of agent time from a linear programme over a sample of tasks, its capacity scaled alike."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    tasks = len(facts.value)
    size = min(tasks, SAMPLE)
    order = np.lexsort((facts.value, facts.left, facts.shape))
    chosen = order[((np.arange(size) + 0.5) * tasks / size).astype(int)]
    row, start, group = _columns(facts, chosen)
    task = chosen[row]
    shape = facts.shape[task]
    profit = facts.value[task] + facts.late * np.maximum(start - facts.soft[task], 0)
    agents = facts.team[shape] / np.minimum(facts.able[facts.need[shape], group], facts.team[shape])
    begin, end = start - facts.approach[shape], start + facts.duration[shape]
    lengths, stretches = np.diff(edges), len(edges) - 1
    room = np.add.reduceat(facts.room, edges[:-1] - facts.low, axis=1) * (size / tasks)
    first = np.searchsorted(edges, begin, "right") - 1
    last = np.searchsorted(edges, end, "left") - 1
    rows, columns, weights = [row], [np.arange(len(row))], [np.ones(len(row))]
    for step in range((last - first).max(initial=0) + 1):
        at = np.minimum(first + step, stretches - 1)
        mine = first + step <= last
        share = np.minimum(edges[at + 1], end) - np.maximum(edges[at], begin)
        rows.append((size + group * stretches + at)[mine])
        columns.append(np.flatnonzero(mine))
        weights.append((share * agents)[mine])
    table = csr_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (size + room.size, len(row))
    )
    limits = np.concatenate([np.ones(size), room.ravel()])
    with quiet_library():
        result = linprog(-profit, A_ub=table, b_ub=limits, method="highs")
    if result.status != 0:  # no prices: the bound falls back on what it has
        return np.zeros_like(facts.room)
    prices = np.maximum(-result.ineqlin.marginals[size:], 0).reshape(len(room), stretches)
    return np.repeat(prices, lengths, axis=1)


def _columns(facts: _Facts, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which task of the sample, which start, which group: every way to serve it, or evenly spaced starts if many."""
    left, right = facts.left[chosen], facts.right[chosen]
    most = int((right - left).max()) + 1
    able = facts.able[facts.need[facts.shape[chosen]]] > 0
    if float(((right - left + 1) * able.sum(axis=1)).sum()) > COLUMNS:
        most = min(most, STARTS)
    steps = np.minimum(right - left + 1, most)
    number = np.arange(most)
    starts = left[:, None] + (right - left)[:, None] * number[None, :] // np.maximum(steps - 1, 1)[:, None]
    ways = (number[None, :] < steps[:, None])[:, :, None] & able[:, None, :]
    row, step, group = np.nonzero(ways)
    start = starts[row, step]
    keep = facts.there[group, start] > 0
    return row[keep], start[keep], group[keep]


def _prepare(horizon: Horizon) -> _Facts:
    h = _checked(horizon)
    needs, need = np.unique(h.need, return_inverse=True)
    able = (h.skills[None, :] & needs[:, None]) == needs[:, None]  # [D, C]
    left = np.maximum(h.release, 0)
    if h.first is not None:
        for index in range(len(needs)):
            mine = need == index
            soonest = np.min(h.first[able[index]][:, mine], axis=0, initial=np.inf)
            left[mine] = np.maximum(left[mine], np.minimum(np.ceil(soonest), h.ticks))
    right = np.minimum(h.deadline, h.ticks - 1)
    keep = (left <= right) & (h.value > 0) & able.any(axis=1)[need]
    need, approach, duration, team = need[keep], h.approach[keep], h.duration[keep], h.team[keep]
    units = able * np.minimum(h.capacity, team.max(initial=1))[None, :]
    units, member = _merge(units, h.count)
    shape, columns = _shapes(need, team, duration, approach)
    far, long = approach.max(initial=0), duration.max(initial=1)
    low, high = -int(np.ceil(far)), h.ticks + int(np.ceil(long))
    there, room = np.zeros((units.shape[1], h.ticks)), np.zeros((units.shape[1], high - low))
    ticks, axis = np.arange(h.ticks), np.arange(low, high)
    for kind in range(len(h.count)):
        there[member[kind]] += h.count[kind] * ((ticks >= h.start[kind]) & (ticks < h.stop[kind]))
        busy = (axis >= h.start[kind] + low) & (axis < h.stop[kind] + high - h.ticks)
        room[member[kind]] += h.count[kind] * busy
    soft = h.due[keep] - duration
    return _Facts(
        left[keep], right[keep], h.value[keep], soft, h.late, shape, *columns, units, there, room, low, h.ticks
    )


def _shapes(need: np.ndarray, team: np.ndarray, duration: np.ndarray, approach: np.ndarray) -> tuple[np.ndarray, list]:
    """Which kind of service each task is; approaches, then durations, rounded down until the kinds are few enough."""
    quantum = 0.0
    while True:
        near = np.floor(approach / quantum) * quantum if quantum else approach
        brief = np.maximum(np.floor(duration / quantum) * quantum, 1) if quantum > 1 else duration
        brief = np.minimum(brief, duration)
        parts = (need, team, brief, near)
        code = np.zeros(len(need), np.int64)
        for part in parts:
            values, index = np.unique(part, return_inverse=True)
            _, code = np.unique(code * len(values) + index, return_inverse=True)
        _, where = np.unique(code, return_index=True)
        coarsest = quantum > max(approach.max(initial=0), duration.max(initial=0))
        if len(where) <= SHAPES or coarsest:
            return code, [part[where] for part in parts]
        quantum = 2 * quantum or 0.0625


def _merge(units: Float[np.ndarray, "D C"], count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes that can do the same things, as groups: units[D, G] and the group of each class."""
    kinds, member = np.unique(units.T, axis=0, return_inverse=True)
    member = member.ravel()
    if len(kinds) > GROUPS:
        size = np.bincount(member, weights=count, minlength=len(kinds))
        order = np.argsort(-size, kind="stable")
        to = np.empty(len(kinds), int)
        to[order] = np.minimum(np.arange(len(kinds)), GROUPS - 1)
        kinds = np.concatenate([kinds[order[: GROUPS - 1]], kinds[order[GROUPS - 1 :]].max(axis=0, keepdims=True)])
        member = to[member]
    return kinds.T.astype(np.float64), member


def _checked(horizon: Horizon) -> Horizon:
    """The horizon as arrays of one length each, or a `Refusal`."""
    whole = {"release", "deadline", "need", "team", "skills", "capacity", "count", "start", "stop"}
    fields = {
        name: np.asarray(value, np.int64 if name in whole else np.float64)
        for name, value in horizon._asdict().items()
        if name not in ("ticks", "late", "first")
    }
    names = list(fields)
    for group, size in ((names[:8], len(fields["release"])), (names[8:], len(fields["skills"]))):
        for name in group:
            if fields[name].shape != (size,):
                raise Refusal(f"{name} has shape {fields[name].shape}; with the others it must be ({size},)")
            if not np.isfinite(fields[name]).all():
                raise Refusal(f"{name} holds numbers that are not finite")
    for name, least in (("value", 0), ("duration", 1e-9), ("team", 1), ("approach", 0), ("capacity", 1), ("count", 0)):
        if (fields[name] < least).any():
            what = "above 0" if name == "duration" else f"at least {least}"
            raise Refusal(f"{name} holds {fields[name].min()}; it must be {what}")
    if horizon.ticks < 1 or not -np.inf < horizon.late <= 0:
        raise Refusal(f"ticks is {horizon.ticks} and late is {horizon.late}; at least 1 tick, and late is 0 or less")
    first = horizon.first if horizon.first is None else np.asarray(horizon.first, np.float64)
    if first is not None and first.shape != (len(fields["skills"]), len(fields["release"])):
        raise Refusal(f"first has shape {first.shape}; it must be [classes, tasks]")
    if first is not None and np.isnan(first).any():
        raise Refusal("first holds NaN; infinite is allowed and means never")
    return Horizon(**fields, ticks=int(horizon.ticks), late=float(horizon.late), first=first)
