"""Frames over TCP on loopback: every participant is an endpoint of its own, with a port and a connection to each peer.

Of two peers the one with the higher number dials, and says who it is in its first frame, with the run's token: a
stranger on the port is hung up on. Frames leave at once and in order; a reader takes whatever a segment holds. The
callbacks of asyncio are used in place of its streams, which would need a task for every connection.
"""

import asyncio
import errno
import resource
from typing import Any

from quorate.errors import Refusal
from quorate.live.wire import HELLO, Reader, frame

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds for all to find each other
LINGER = 2.0  # seconds for what is still on its way out
SPARE = 64  # files a process has open besides


class Endpoint:
    """One participant's end. `box` takes (source, kind, tick, round, body), and `lose(source)` when one hangs up."""

    def __init__(self, me: int, peers: list[int], token: bytes, box: Any):
        self.me, self.peers, self.token, self.box = me, set(peers), token, box
        self.wires: dict[int, asyncio.Transport] = {}
        self.open: list[asyncio.Transport] = []
        self.server: asyncio.Server | None = None
        self.complete: asyncio.Future | None = None
        self.closed: asyncio.Future | None = None

    async def listen(self, port: int | None) -> int:
        """Starts to listen, on a free port unless one is named; the port."""
        loop = asyncio.get_running_loop()
        self.complete = loop.create_future()
        try:
            self.server = await loop.create_server(lambda: Wire(self, None), HOST, port or 0)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is in use" if error.errno == errno.EADDRINUSE else "may not be used"
            raise Refusal(
                f"port {port} of {HOST} {why}; participant {self.me} needs it: name another --port, or none at all"
            ) from None
        return self.server.sockets[0].getsockname()[1]

    async def connect(self, ports: dict[int, int]) -> None:
        """Dials peers with lower numbers, and waits until all peers are there. One that hangs up before, or does not
        come within `PATIENCE` seconds, is a ConnectionError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                for peer in sorted(self.peers):
                    if peer < self.me:
                        await loop.create_connection(lambda peer=peer: Wire(self, peer), HOST, ports[peer])
                self.look()
                await self.complete
        except TimeoutError:
            missing = sorted(self.peers - self.wires.keys())
            raise ConnectionError(f"participants {missing} did not come within {PATIENCE:g} s") from None

    def look(self) -> None:
        if self.wires.keys() == self.peers and self.complete is not None and not self.complete.done():
            self.complete.set_result(None)

    def post(self, to: int, data: bytes) -> None:
        """To one who has hung up, nothing."""
        wire = self.wires.get(to)
        if wire is not None:
            wire.write(data)

    async def close(self) -> None:
        """Sends what is still to be sent, and hangs up."""
        if self.server is not None:
            self.server.close()
            self.complete.cancel()
        if self.open:
            self.closed = asyncio.get_running_loop().create_future()
            for wire in self.open:
                wire.close()
            await asyncio.wait([self.closed], timeout=LINGER)
        for wire in self.open:
            wire.abort()

    def lose(self, wire: asyncio.BaseTransport, peer: int | None) -> None:
        """A connection has ended."""
        self.open.remove(wire)
        if not self.open and self.closed is not None and not self.closed.done():
            self.closed.set_result(None)
        if peer is not None and self.wires.pop(peer, None) is not None:
            self.box.lose(peer)
            if not self.complete.done():
                self.complete.set_exception(ConnectionError(f"participant {peer} is gone"))


class Wire(asyncio.Protocol):
    """One connection. `peer` is known where we dialled; else its first frame says it."""

    def __init__(self, end: Endpoint, peer: int | None):
        self.end, self.peer, self.reader, self.wire = end, peer, Reader(), None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = transport
        self.end.open.append(transport)
        if self.peer is not None:
            transport.write(frame(HELLO, self.end.me, 0, self.end.token))
            self.known(self.peer)

    def known(self, peer: int) -> None:
        self.peer = peer
        self.end.wires[peer] = self.wire
        self.end.look()

    def data_received(self, data: bytes) -> None:
        try:
            for kind, tick, round_, body in self.reader.feed(data):
                if self.peer is not None:
                    self.end.box.take(self.peer, kind, tick, round_, body)
                elif kind == HELLO and body == self.end.token and tick in self.end.peers - self.end.wires.keys():
                    self.known(tick)
                else:
                    raise ValueError("a stranger")
        except ValueError:
            self.wire.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.end.lose(self.wire, self.peer)


def room_for(connections: int) -> None:
    """Refuses more connections than this process may open, having asked for more room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    if soft != resource.RLIM_INFINITY and needed > soft:
        if hard != resource.RLIM_INFINITY and needed > hard:
            raise Refusal(
                f"one process would hold {connections} connections, and the system allows {hard} open files; "
                "take fewer --nodes, more --processes, or --transport memory"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
