"""What counts as heard: the first of each sender, in time, in its own slot."""

import asyncio

import pytest

from quorate.live.mailbox import Ballots, Mailbox
from quorate.live.wire import COIN, DELAYED, DROPPED, HEARD, SILENT, VOTED, WAITING, WORD

BEACON = 3


def boxed(play):
    """`play(box)` within a loop: three slots of two bytes."""

    async def main():
        return await play(Mailbox(3, 2, BEACON))

    return asyncio.run(main())


def test_a_round_ends_when_every_slot_is_told_about():
    async def play(box):
        waiting = asyncio.create_task(box.close((0, 0), 1000))
        await asyncio.sleep(0)
        box.own(0, (0, 0), True, b"aa")
        box.take(1, SILENT, 0, 0, b"")
        await asyncio.sleep(0)
        assert not waiting.done()
        box.take(2, DROPPED, 0, 0, b"")
        page = await waiting
        assert page.status.tolist() == [HEARD, SILENT, DROPPED]
        assert page.said.tobytes() == b"aa\0\0\0\0"

    boxed(play)


def test_the_deadline_ends_a_round_and_what_comes_then_is_late():
    async def play(box):
        box.own(0, (0, 0), True, b"aa")
        page = await box.close((0, 0), 0.01)
        box.take(1, HEARD, 0, 0, b"bb")
        assert page.status.tolist() == [HEARD, WAITING, WAITING] and not page.said[1].any()
        box.take(BEACON, COIN, 0, 0, WORD.pack(7))
        assert await box.coin((0, 0)) == 7
        box.take(2, HEARD, 0, 0, b"cc")
        assert box.late == 2 and box.pages == {}

    boxed(play)


def test_of_two_messages_the_first_is_heard():
    async def play(box):
        for body in (b"bb", b"cc"):
            box.take(1, HEARD, 0, 0, body)
        box.take(2, DELAYED, 0, 0, b"")
        box.take(2, HEARD, 0, 0, b"dd")
        page = box.page((0, 0))
        assert page.status.tolist() == [WAITING, HEARD, DELAYED]
        assert page.said.tobytes() == b"\0\0bb\0\0" and box.repeated == 2

    boxed(play)


def test_mail_for_a_coming_round_waits_for_it():
    async def play(box):
        box.take(1, HEARD, 0, 1, b"bb")
        box.own(0, (0, 0), True, b"aa")
        for sender in (1, 2):
            box.take(sender, SILENT, 0, 0, b"")
        await box.close((0, 0), 1000)
        box.take(BEACON, COIN, 0, 0, WORD.pack(1))
        await box.coin((0, 0))
        assert box.page((0, 1)).said.tobytes() == b"\0\0bb\0\0"

    boxed(play)


def test_the_coin_closes_the_round_of_a_slow_node():
    async def play(box):
        waiting = asyncio.create_task(box.close((0, 0), 1000))
        await asyncio.sleep(0)
        box.take(BEACON, COIN, 0, 0, WORD.pack(9))
        box.take(1, HEARD, 0, 0, b"bb")
        page = await waiting
        assert not page.status.any() and box.late == 1
        box.take(BEACON, COIN, 0, 1, WORD.pack(8))  # it is a whole round behind
        box.own(0, (0, 1), True, b"aa")
        assert (await box.close((0, 1), 1000)).status.tolist() == [HEARD, WAITING, WAITING]

    boxed(play)


@pytest.mark.parametrize(
    ("source", "kind", "body"),
    [(1, HEARD, b"b"), (1, HEARD, b"bbb"), (1, DROPPED, b"b"), (1, COIN, WORD.pack(1)), (BEACON, HEARD, b"bb"),
     (BEACON, COIN, b"1"), (1, VOTED, b""), (1, 200, b""), (1, WAITING, b"")],
)  # fmt: skip
def test_what_cannot_be_is_counted_and_ignored(source, kind, body):
    async def play(box):
        box.take(source, kind, 0, 0, body)
        assert box.malformed == 1 and not box.pages

    boxed(play)


def test_nobody_waits_for_those_who_are_gone():
    async def play(box):
        box.own(0, (0, 0), True, b"aa")
        box.take(1, SILENT, 0, 0, b"")
        waiting = asyncio.create_task(box.close((0, 0), 1000))
        await asyncio.sleep(0)
        box.lose(2)
        assert (await waiting).status.tolist() == [HEARD, SILENT, WAITING]
        box.own(0, (0, 1), True, b"aa")
        box.take(1, SILENT, 0, 1, b"")
        assert (await box.close((0, 1), 1000)).status.tolist() == [HEARD, SILENT, WAITING]

    boxed(play)


@pytest.mark.parametrize("before", [True, False])
def test_without_the_beacon_nobody_goes_on(before):
    async def play(box):
        waiting = asyncio.create_task(box.coin((0, 0)))
        if not before:
            await asyncio.sleep(0)
        box.lose(BEACON)
        with pytest.raises(ConnectionError, match="beacon"):
            await waiting

    boxed(play)


def test_the_beacon_waits_for_all_nodes_or_for_the_deadline():
    async def main():
        ballots, seen = Ballots(3), []

        async def reveal(deadline):
            for index in range(2):
                await ballots.close((0, index), deadline)
                seen.append(index)

        waiting = asyncio.create_task(reveal(0.01))
        await asyncio.sleep(0.05)
        assert seen == []  # nobody has closed the round yet: the deadline counts from the first
        for voter in (0, 1, 3, 2):  # 3 is no node
            ballots.take(voter, VOTED, 0, 0, b"")
        await asyncio.sleep(0)
        ballots.take(0, VOTED, 0, 1, b"")
        await waiting
        assert seen == [0, 1]
        last = asyncio.create_task(ballots.close((0, 2), 1000))
        ballots.take(0, VOTED, 0, 2, b"")
        await asyncio.sleep(0)
        assert not last.done()
        for gone in (1, 2):
            ballots.lose(gone)
        await last

    asyncio.run(main())
