"""Plays of small votes: every way in which they can go, and some as they are drawn."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import TallyProtocol
from quorate.recipes.ibgp.influence import passing
from quorate.report.spacetime import Count, Decision, Lane, Play, Round, Says


def one_round(n: int, k: int, t: int) -> list[dict]:
    """What a round can make of each number of willing nodes: rows (willing, stay if the vote goes on, act if it is
    over, what that is). The vote asks for k + t yes while it goes on and for k at its end; IBGP, Table 3.

    >>> [row["ends"] for row in one_round(4, 3, 1) if row["willing"] == 2]
    ['nobody acts', 'too few act', 'too few act']
    """
    rows = []
    for willing in range(n + 1):
        for stay, more in passing(willing, k, t, t):
            act = stay + more
            ends = "nobody acts" if act == 0 else "enough act" if act >= k else "too few act"
            rows.append({"willing": willing, "stay": stay, "act": act, "ends": ends})
    return rows


def all_plays(n: int, k: int, t: int, max_rounds: int) -> list[dict]:
    """Every play of the vote, as the numbers of nodes that stay willing: rows (willing at first, path, how many rounds
    would do harm if they were the last).

    The first round is never the last. A path is what liars do as long as the vote goes on; a round does harm if liars
    can then make some but fewer than k act. Cost: one row for each path.

    >>> rows = all_plays(4, 3, 1, 5)
    >>> max(row["dangerous"] for row in rows)
    1
    """
    ways = {willing: passing(willing, k, t, t) for willing in range(n + 1)}
    bad = {willing: any(0 < a + b < k for a, b in ways[willing]) for willing in ways}
    paths = [(willing,) for willing in range(n + 1)]
    for _ in range(max_rounds - 1):
        paths = [(*path, stay) for path in paths for stay in sorted({a for a, _ in ways[path[-1]]}, reverse=True)]
    return [
        {"willing": path[0], "path": " ".join(map(str, path)), "dangerous": sum(bad[now] for now in path[1:])}
        for path in paths
    ]


def drawn(
    protocol: TallyProtocol,
    needed: Sequence[int],
    willing: Sequence[bool],
    lies: Sequence[Sequence[int]],
    enough: int,
    told: str,
) -> Play:
    """A play of one liar, run on the protocol's own code, ready to be drawn.

    needed   votes asked for in each round; the final one is the last
    willing  who proposes to act, [n]
    lies     for each round, 1 for each node that hears yes from the liar
    told     how it ended, in words
    """
    n, rounds = len(willing), len(needed)
    nodes, keys = jnp.arange(n), jax.random.split(jax.random.key(0), n)
    ballot = jax.vmap(protocol.propose)(keys, jax.vmap(protocol.boot)(keys, nodes), jnp.array(willing, jnp.int32))
    shown = []
    for r in range(rounds):
        last = r == rounds - 1
        sent = np.asarray(jax.vmap(protocol.send)(ballot))
        heard = int(sent.sum()) + np.asarray(lies[r])
        says = [Says(i, j, bool(sent[i])) for i in range(n) for j in range(n)]
        says += [Says(n, j, bool(lies[r][j])) for j in range(n)]
        counts = [Count(i, int(heard[i]), needed[r], bool(heard[i] >= needed[r])) for i in range(n) if sent[i]]
        shown.append(Round(last, says, counts))
        coin = jnp.uint32(0 if last else 2**32 - 1)
        ballot = jax.vmap(protocol.hear, (0, 0, 0, None))(keys, ballot, jnp.array(heard, jnp.int32), coin)
    acting = np.asarray(jax.vmap(protocol.decide)(ballot)[0]) > 0
    lanes = [Lane(f"node {i + 1}", "honest") for i in range(n)] + [Lane("liar", "liar")]
    bad = 0 < acting.sum() < enough
    return Play(lanes, shown, [Decision(i, bool(acting[i])) for i in range(n)], told, bool(bad))
