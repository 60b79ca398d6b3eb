"""What runs in a process with some of the participants: `python -m quorate.live.child`, which `processes.py` starts."""

import asyncio
import io
import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

import numpy as np

from quorate.errors import Refusal
from quorate.live.cluster import players
from quorate.live.front import made
from quorate.live.log import arrays
from quorate.live.node import Notes, Setup
from quorate.live.program import Program


def main() -> None:
    """A child's life: be told, say its ports, be told everybody's, take part, hand over the notes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not stand between the lines
    heard: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(heard,), daemon=True).start()

    def say(said: dict[str, Any], more: bytes = b"") -> None:
        out.write(json.dumps(said).encode() + b"\n" + more)
        out.flush()

    try:
        notes = asyncio.run(_take_part(heard.get(), heard, say))
        body = io.BytesIO()
        np.savez(body, **{f"{me} {name}": part for me, one in notes.items() for name, part in arrays(one).items()})
        say({"bytes": body.tell()}, body.getvalue())
    except Refusal as refusal:
        say({"refusal": str(refusal)})
    except BaseException as fault:
        say({"error": traceback.format_exc(), "lost": isinstance(fault, ConnectionError)})
    threading.Event().wait()  # the parent ends us, or is gone


def _listen(heard: queue.SimpleQueue) -> None:
    try:
        for line in sys.stdin.buffer:
            heard.put(json.loads(line))
    finally:  # a parent that was killed may leave half a line
        os._exit(1)


async def _take_part(told: dict[str, Any], heard: queue.SimpleQueue, say: Any) -> dict[int, Notes]:
    setup = Setup.from_json(told["setup"])
    protocol = made(told["protocol"], setup.nodes, setup.byzantine, told["options"])
    roots = tuple(np.array(root, np.uint32) for root in told["roots"])
    proposals = np.array(told["proposals"], np.int32).reshape(setup.decisions, setup.nodes)
    crowd = players(setup, Program(protocol, setup.slots), roots, proposals, told["ids"])

    async def meet(ports: dict[int, int]) -> dict[int, int]:
        say({"ports": ports})
        everybody = await asyncio.to_thread(heard.get)
        return {int(me): port for me, port in everybody["ports"].items()}

    left, _ = await crowd.over_tcp(bytes.fromhex(told["token"]), told["port"], meet)
    return {me: notes for me, notes in left.items() if me < setup.nodes}


if __name__ == "__main__":
    main()
