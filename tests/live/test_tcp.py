"""Endpoints on loopback: ports in use, strangers, too many connections."""

import asyncio
import socket

import pytest

from quorate.errors import Refusal
from quorate.live import live
from quorate.live.mailbox import Mailbox
from quorate.live.transports import tcp
from quorate.live.wire import HEARD, HELLO, SILENT, frame
from tests.live.small import DICE, played, same

TOKEN = b"0123456789abcdef"


def taken(offset):
    """A socket that listens, and the number `offset` below its port."""
    while True:
        holder = socket.socket()
        holder.bind((tcp.HOST, 0))
        holder.listen()
        if 1024 < holder.getsockname()[1] - offset < 65000:
            return holder, holder.getsockname()[1] - offset
        holder.close()


@pytest.mark.parametrize("processes", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_port_in_use_is_refused_in_a_line(processes):
    holder, port = taken(offset=1)
    with holder, pytest.raises(Refusal) as refusal:
        live("majority", nodes=2, decisions=1, port=port, processes=processes)
    line = str(refusal.value)
    assert "\n" not in line and f"port {port + 1} of 127.0.0.1 is in use; participant 1 needs it" in line


def test_a_named_port_is_where_they_listen_and_it_is_free_again_after(monkeypatch):
    holder, port = taken(offset=0)
    holder.close()
    listen, found = tcp.Endpoint.listen, []

    async def noted(end, asked):
        found.append((end.me, await listen(end, asked)))
        return found[-1][1]

    monkeypatch.setattr(tcp.Endpoint, "listen", noted)
    for _ in range(2):
        result = live("majority", nodes=1, decisions=1, port=port, processes=0)
        assert result.divergences == 0
    assert found == [(0, port), (1, port + 1)] * 2


def test_tcp_carries_what_memory_carries():
    asked = {"drop": 0.1, "delay": 0.1, "duplicate": 0.2}
    assert same(played(DICE, transport="tcp", **asked), played(DICE, **asked))


def hello(me, token=TOKEN):
    return frame(HELLO, me, 0, token)


@pytest.mark.parametrize(
    "words",
    [
        hello(1, b"x" * 16),
        hello(2),
        hello(0),
        frame(HEARD, 0, 0, b"aa"),
        b"GET / HTTP/1.1\r\n\r\n",
        hello(1) + b"\xff" * 40,
    ],
)
def test_strangers_are_hung_up_on(words):
    async def main():
        box = Mailbox(2, 2, beacon=9)
        end = tcp.Endpoint(0, [1], TOKEN, box)
        port = await end.listen(None)
        reader, writer = await asyncio.open_connection(tcp.HOST, port)
        writer.write(words)
        with pytest.raises((ConnectionResetError, EOFError)):
            await reader.readexactly(1)
        writer.close()
        assert not box.page((0, 0)).status.any() and not end.wires
        await end.close()

    asyncio.run(main())


def test_a_peer_is_known_by_its_first_frame_and_missed_when_it_hangs_up():
    async def main():
        box = Mailbox(2, 2, beacon=9)
        end = tcp.Endpoint(0, [1], TOKEN, box)
        port = await end.listen(None)
        there = asyncio.create_task(end.connect({}))
        _, writer = await asyncio.open_connection(tcp.HOST, port)
        writer.write(hello(1) + frame(SILENT, 0, 0))
        await there
        again, second = await asyncio.open_connection(tcp.HOST, port)  # the same once more: a stranger
        second.write(hello(1))
        with pytest.raises((ConnectionResetError, EOFError)):
            await again.readexactly(1)
        assert box.page((0, 0)).status.tolist() == [0, SILENT]
        writer.close()
        while not box.gone:
            await asyncio.sleep(0)
        assert box.gone == {1}
        end.post(1, b"nobody listens")
        await end.close()

    asyncio.run(main())


def test_a_peer_that_hangs_up_while_others_are_missing_is_an_error():
    async def main():
        end = tcp.Endpoint(0, [1, 2], TOKEN, Mailbox(3, 2, beacon=9))
        port = await end.listen(None)
        there = asyncio.create_task(end.connect({}))
        _, writer = await asyncio.open_connection(tcp.HOST, port)
        writer.write(hello(1))
        writer.close()
        with pytest.raises(ConnectionError, match="participant 1 is gone"):
            await there
        await end.close()

    asyncio.run(main())


def test_nobody_waits_for_ever_for_those_who_do_not_come(monkeypatch):
    monkeypatch.setattr(tcp, "PATIENCE", 0.01)

    async def main():
        end = tcp.Endpoint(0, [1, 2], TOKEN, Mailbox(3, 2, beacon=9))
        await end.listen(None)
        with pytest.raises(ConnectionError, match=r"participants \[1, 2\] did not come within 0.01 s"):
            await end.connect({})
        await end.close()

    asyncio.run(main())


@pytest.mark.parametrize("reads", [True, False])
def test_closing_sends_what_is_left_and_does_not_wait_for_one_who_never_reads(monkeypatch, reads):
    monkeypatch.setattr(tcp, "LINGER", 60.0 if reads else 0.01)

    async def main():
        end = tcp.Endpoint(0, [1], TOKEN, Mailbox(2, 2, beacon=9))
        port = await end.listen(None)
        reader, writer = await asyncio.open_connection(tcp.HOST, port)
        writer.write(hello(1))
        await end.connect({})
        end.post(1, b"x" * 10_000_000)
        if reads:
            data, _ = await asyncio.gather(reader.read(-1), end.close())
            assert len(data) == 10_000_000
        else:
            await end.close()
            while end.open:  # hung up on
                await asyncio.sleep(0)
        assert end.open == []
        writer.close()

    asyncio.run(main())


def test_more_connections_than_the_system_allows_are_refused(monkeypatch):
    asked = []
    monkeypatch.setattr(tcp.resource, "getrlimit", lambda kind: (256, 1024))
    monkeypatch.setattr(tcp.resource, "setrlimit", lambda kind, limits: asked.append(limits))
    tcp.room_for(100)
    assert asked == []
    tcp.room_for(900)
    assert asked == [(964, 1024)]
    with pytest.raises(Refusal, match="would hold 1000 connections, and the system allows 1024 open files"):
        tcp.room_for(1000)
