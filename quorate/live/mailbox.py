"""What a participant has received and not yet used: a page for each round, a slot for each sender."""

import asyncio

import numpy as np

from quorate.live.wire import COIN, DELAYED, HEARD, SILENT, VOTED, WAITING, WORD

At = tuple[int, int]  # tick and round


class Page:
    """One round's mail. Once it is shut nothing is written on it any more."""

    __slots__ = ("said", "status", "missing", "shut", "full", "coin", "revealed")

    def __init__(self, slots: int, size: int):
        self.status, self.said = np.zeros(slots, np.uint8), np.zeros((slots, size), np.uint8)
        self.missing: set[int] = set(range(slots))
        self.shut = False
        self.full: asyncio.Future | None = None
        self.coin: int | None = None
        self.revealed: asyncio.Future | None = None

    def note(self, slot: int, status: int, body: bytes) -> None:
        self.status[slot] = status
        if status == HEARD and body:
            self.said[slot] = np.frombuffer(body, np.uint8)
        self.absent(slot)

    def absent(self, slot: int) -> None:
        """Nothing more is to be waited for from there."""
        self.missing.discard(slot)
        if not self.missing:
            _set(self.full)

    def reveal(self, word: int) -> None:
        """Mail closes before the coin is known, for slow nodes too."""
        self.coin, self.shut = word, True
        _set(self.full)
        _set(self.revealed)


def _set(future: asyncio.Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


class Mailbox:
    """Takes frames in any order. Of each sender the first frame of a round counts; what comes for a round that is over
    is late, and lost."""

    def __init__(self, slots: int, size: int, beacon: int):
        self.slots, self.size, self.beacon = slots, size, beacon
        self.pages: dict[At, Page] = {}
        self.now: At = (0, 0)
        self.gone: set[int] = set()
        self.late = self.repeated = self.malformed = 0

    def page(self, at: At) -> Page:
        if at not in self.pages:
            self.pages[at] = page = Page(self.slots, self.size)
            page.missing -= self.gone
        return self.pages[at]

    def take(self, source: int, kind: int, tick: int, round_: int, body: bytes) -> None:
        at = (tick, round_)
        if kind == COIN and source == self.beacon and len(body) == WORD.size:
            if at >= self.now:
                self.page(at).reveal(*WORD.unpack(body))
        elif HEARD <= kind <= DELAYED and source < self.slots and len(body) == (self.size if kind == HEARD else 0):
            if at < self.now or self.page(at).shut:
                self.late += kind == HEARD
            elif self.page(at).status[source] != WAITING:
                self.repeated += 1
            else:
                self.page(at).note(source, kind, body)
        else:
            self.malformed += 1

    def own(self, me: int, at: At, speaks: bool, body: bytes) -> None:
        """What a node says to itself: it is always heard, whatever the round's end."""
        page = self.page(at)
        shut, page.shut = page.shut, False
        page.note(me, HEARD if speaks else SILENT, body)
        page.shut = shut

    async def close(self, at: At, deadline: float) -> Page:
        """The round's page, when every slot has been told about or the deadline is over."""
        page = self.page(at)
        if page.missing and not page.shut:
            page.full = asyncio.get_running_loop().create_future()
            timer = asyncio.get_running_loop().call_later(deadline, _set, page.full)
            await page.full
            timer.cancel()
        page.shut = True
        return page

    async def coin(self, at: At) -> int:
        """The round's coin, when the beacon has revealed it; the page is forgotten."""
        page = self.page(at)
        if page.coin is None:
            if self.beacon in self.gone:
                raise ConnectionError("the beacon is gone")
            page.revealed = asyncio.get_running_loop().create_future()
            await page.revealed
        del self.pages[at]
        self.now = (at[0], at[1] + 1)
        return page.coin

    def lose(self, source: int) -> None:
        """A connection has ended: nobody waits for that one any more."""
        self.gone.add(source)
        for page in self.pages.values():
            page.absent(source)
            if source == self.beacon and page.revealed is not None and not page.revealed.done():
                page.revealed.set_exception(ConnectionError("the beacon is gone"))


class Ballots:
    """What the beacon receives: who has closed which round."""

    def __init__(self, nodes: int):
        self.voters = set(range(nodes))
        self.voted: dict[At, set[int]] = {}
        self.first: dict[At, asyncio.Future] = {}
        self.all: dict[At, asyncio.Future] = {}
        self.gone: set[int] = set()

    def take(self, source: int, kind: int, tick: int, round_: int, body: bytes) -> None:
        if kind == VOTED and source in self.voters:
            self.voted.setdefault((tick, round_), set()).add(source)
            self._look((tick, round_))

    def _look(self, at: At) -> None:
        if self.voted.get(at) or self.voters <= self.gone:
            _set(self.first.get(at))
        if self.voters <= self.voted.get(at, set()) | self.gone:
            _set(self.all.get(at))

    async def close(self, at: At, deadline: float) -> None:
        """Until all who are there have closed the round, or the deadline after the first of them is over."""
        loop = asyncio.get_running_loop()
        self.first[at], self.all[at] = loop.create_future(), loop.create_future()
        self._look(at)
        await self.first[at]
        timer = loop.call_later(deadline, _set, self.all[at])
        await self.all[at]
        timer.cancel()
        for kept in (self.voted, self.first, self.all):
            kept.pop(at, None)

    def lose(self, source: int) -> None:
        self.gone.add(source)
        for at in list(self.all):
            self._look(at)
