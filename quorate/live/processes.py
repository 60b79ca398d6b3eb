"""The same run with nodes and liars in processes of their own. The parent holds the beacon and hears no mail.

Parent and child talk over the child's standard streams, in lines of JSON; notes come back as numpy's files. A child
whose parent is gone finds the end of its input and ends itself; a parent that stops, for whatever reason, ends its
children first. They stand in sessions of their own, so that Ctrl-C reaches them through the parent only.
"""

import asyncio
import io
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from quorate.errors import Refusal
from quorate.live.cluster import TOKEN, Players, shares, words
from quorate.live.log import from_arrays
from quorate.live.node import Beacon, Notes, Setup
from quorate.live.plan import Roots
from quorate.live.transports.tcp import LINGER

LIMIT = 1 << 26  # the longest line that a parent reads


class Child:
    """A process with some of the participants."""

    def __init__(self, process: asyncio.subprocess.Process, ids: Sequence[int]):
        self.process, self.ids = process, ids
        self.complaints = asyncio.create_task(process.stderr.read())

    @classmethod
    async def born(cls, ids: Sequence[int], told: dict[str, Any]) -> "Child":
        source = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quorate.live.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
            limit=LIMIT,
            start_new_session=True,
        )
        child = cls(process, ids)
        child.tell(told | {"ids": list(ids)})
        return child

    def tell(self, told: dict[str, Any]) -> None:
        self.process.stdin.write(json.dumps(told).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        """Its next line, or why there is none."""
        line = await self.process.stdout.readline()
        said = json.loads(line) if line else {}
        if "refusal" in said:
            raise Refusal(said["refusal"])
        if not said or "error" in said:
            why = said.get("error") or (await self.complaints).decode(errors="replace")
            kind = ConnectionError if said.get("lost") else RuntimeError
            raise kind(f"the process of participants {self.ids} has failed: {why.strip() or 'it was ended'}")
        return said

    async def notes(self, ready: asyncio.Event) -> dict[int, Notes]:
        """What its honest nodes wrote down. Until `ready` somebody else hears what it says."""
        await ready.wait()
        length = (await self.hear())["bytes"]
        with np.load(io.BytesIO(await self.process.stdout.readexactly(length)), allow_pickle=False) as file:
            found: dict[int, dict[str, np.ndarray]] = {}
            for name in file.files:
                me, field = name.split(" ")
                found.setdefault(int(me), {})[field] = file[name]
        return {me: from_arrays(Notes, parts) for me, parts in found.items()}

    async def end(self) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)  # asyncio's own kill would first collect one that has ended
        await self.process.wait()
        await asyncio.gather(self.complaints, return_exceptions=True)


async def apart(
    header: dict[str, Any],
    setup: Setup,
    roots: Roots,
    proposals: np.ndarray,
    processes: int | None = None,
    port: int | None = None,
) -> tuple[list[Notes], float]:
    """Notes of all nodes, in order, and the seconds the rounds took. `header` names the protocol and its options."""
    token = secrets.token_bytes(TOKEN)
    boot, nodes = (root.tolist() for root in words(roots))
    told = {"protocol": header["protocol"], "options": header["options"], "setup": setup.as_json()}
    told |= {"roots": [boot, nodes], "proposals": proposals.tolist(), "token": token.hex(), "port": port}
    children: list[Child] = []
    ready = asyncio.Event()

    async def meet(ports: dict[int, int]) -> dict[int, int]:
        for child in children:
            ports |= {int(me): port for me, port in (await child.hear())["ports"].items()}
        for child in children:
            child.tell({"ports": ports})
        ready.set()
        return ports

    try:
        for ids in shares(setup, processes):
            children.append(await Child.born(ids, told))
        here = Players(setup, {setup.beacon: Beacon(setup, roots.coin)})
        beacon = asyncio.create_task(here.over_tcp(token, port, meet))
        left = [asyncio.create_task(child.notes(ready)) for child in children]
        try:
            await _done([beacon, *left])
        finally:
            for task in (beacon, *left):
                task.cancel()
            await asyncio.gather(beacon, *left, return_exceptions=True)
        notes = {me: one for task in left for me, one in task.result().items()}
        return [notes[me] for me in range(setup.nodes)], beacon.result()[1]
    finally:
        for child in children:
            await child.end()


async def _done(tasks: list[asyncio.Task]) -> None:
    """Waits for all. Where some fail, what is raised is no lost connection, which another's failure would explain."""

    def failures() -> list[BaseException]:
        return [error for task in tasks if task.done() and (error := task.exception()) is not None]

    pending, patience = set(tasks), None
    while pending and all(isinstance(error, ConnectionError) for error in failures()):
        done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_EXCEPTION)
        if not done:
            break
        patience = LINGER + 1  # who failed first hangs up first, and says why after that
    if failures():
        raise min(failures(), key=lambda error: isinstance(error, ConnectionError))
