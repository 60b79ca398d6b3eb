"""Jobs on servers: the best assignment and the selfish one, both by giving out one job after the other."""

import heapq
from collections.abc import Callable

import numpy as np

from quorate.core import World
from quorate.errors import Refusal
from quorate.solvers.collectives import Optimum, dealt, read


def optimum(world: World) -> Optimum:
    """The assignment of N jobs with the smallest sum of latencies, exactly. `world` is a `Servers`.

    The x-th job on server m adds b_m + (2 x - 1) / s_m to the sum. That grows with x, so each job goes where it adds
    least. Cost: O(M + N log M), 0.05 s for 10^5 jobs.

    >>> from quorate.worlds.servers import Servers
    >>> found = optimum(Servers(num_agents=2, base=[0.0, 2.5], speed=[1.0, 4.0]))
    >>> found.actions.tolist(), found.score
    ([0, 1], -3.75)
    """
    return _one_by_one(world, lambda base, speed, jobs: base + (2 * jobs + 1) / speed)


def nash(world: World) -> Optimum:
    """An assignment at which no job gains by moving alone: each in turn goes where its own latency will be least.

        the x-th job on server m waits b_m + x / s_m

    Later jobs never make an earlier one want to move to where they went, so the result is an equilibrium; with ties
    there may be others, of another score. Cost: as `optimum`.

    >>> from quorate.worlds.servers import Servers
    >>> found = nash(Servers(num_agents=2, base=[0.0, 2.5], speed=[1.0, 4.0]))
    >>> found.actions.tolist(), found.score
    ([0, 0], -4.0)
    """
    return _one_by_one(world, lambda base, speed, jobs: base + (jobs + 1) / speed)


def _one_by_one(world: World, price: Callable[[float, float, int], float]) -> Optimum:
    num_agents, base, speed = read(world, "num_agents", "base", "speed")
    if base.ndim != 1:
        raise Refusal(f"base has shape {base.shape}; solve one world at a time")
    jobs = [0] * len(base)
    queue = [(price(b, s, 0), server) for server, (b, s) in enumerate(zip(base, speed, strict=True))]
    heapq.heapify(queue)
    for _ in range(int(num_agents)):
        server = queue[0][1]
        jobs[server] += 1
        heapq.heapreplace(queue, (price(base[server], speed[server], jobs[server]), server))
    counts = np.array(jobs)
    return Optimum(-float(np.sum(counts * (base + counts / speed))), dealt(counts))
