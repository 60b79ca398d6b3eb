"""Runs the participants: as tasks of this process, in memory or over TCP, or as processes that talk TCP."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from quorate.live.node import Beacon, Liar, Node, Notes, Setup
from quorate.live.plan import Roots
from quorate.live.program import Program
from quorate.live.transports.memory import Memory
from quorate.live.transports.tcp import Endpoint, room_for

TOKEN = 16  # bytes


class Players(NamedTuple):
    """Those of a run who live in one process."""

    setup: Setup
    members: dict[int, Any]  # by number: `box`, and `run(line)`

    async def in_memory(self) -> tuple[dict[int, Any], float]:
        """What each leaves, and the seconds it took."""
        board = Memory()
        lines = {me: board.join(me, one.box) for me, one in self.members.items()}
        return await _timed({me: one.run(lines[me]) for me, one in self.members.items()})

    async def over_tcp(
        self, token: bytes, port: int | None, meet: Callable[[dict[int, int]], Awaitable[dict[int, int]]]
    ) -> tuple[dict[int, Any], float]:
        """The same as endpoints on loopback. `meet` takes the ports of those here and gives everybody's."""
        ends = {me: Endpoint(me, self.setup.peers(me), token, one.box) for me, one in self.members.items()}
        room_for(sum(len(end.peers) + 1 for end in ends.values()))
        try:
            ports = {me: await end.listen(port and port + me) for me, end in ends.items()}
            ports = await meet(ports)
            await _all([end.connect(ports) for end in ends.values()])
            return await _timed({me: one.run(ends[me]) for me, one in self.members.items()})
        finally:
            await asyncio.gather(*(end.close() for end in ends.values()))


async def _timed(runs: dict[int, Awaitable[Any]]) -> tuple[dict[int, Any], float]:
    began = time.perf_counter()
    left = await _all(list(runs.values()))
    return dict(zip(runs, left, strict=True)), time.perf_counter() - began


async def _all(runs: Sequence[Awaitable[Any]]) -> list[Any]:
    """Everybody's results; where one fails, the others are stopped and the failure is ours."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in runs]
    except* BaseException as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def words(roots: Roots) -> tuple[np.ndarray, np.ndarray]:
    """The roots that nodes get."""
    return np.asarray(jax.random.key_data(roots.boot)), np.asarray(jax.random.key_data(roots.nodes))


def players(
    setup: Setup,
    program: Program,
    roots: tuple[np.ndarray, np.ndarray],
    proposals: np.ndarray,
    ids: Sequence[int],
    node: Callable[..., Node] = Node,
) -> Players:
    """Nodes and liars of these numbers. `node` makes an honest node; tests give others."""
    program.warm_up()
    found: dict[int, Any] = {}
    for me in ids:
        honest = me < setup.nodes
        found[me] = node(me, setup, program, roots, proposals[:, me]) if honest else Liar(me, setup, program)
    return Players(setup, found)


async def here(
    setup: Setup,
    program: Program,
    roots: Roots,
    proposals: np.ndarray,
    transport: str,
    port: int | None = None,
    node: Callable[..., Node] = Node,
) -> tuple[list[Notes], float]:
    """Everybody as a task of this process."""
    crowd = players(setup, program, words(roots), proposals, range(setup.slots), node)
    crowd.members[setup.beacon] = Beacon(setup, roots.coin)

    async def alone(ports: dict[int, int]) -> dict[int, int]:
        return ports

    over_tcp = crowd.over_tcp(secrets.token_bytes(TOKEN), port, alone) if transport == "tcp" else crowd.in_memory()
    left, seconds = await over_tcp
    return [left[me] for me in range(setup.nodes)], seconds


def shares(setup: Setup, processes: int | None) -> list[list[int]]:
    """Who lives in which process: dealt like cards, as many processes as there are processors unless told."""
    many = min(processes or os.cpu_count() or 1, setup.slots)
    return [list(range(first, setup.slots, many)) for first in range(many)]
