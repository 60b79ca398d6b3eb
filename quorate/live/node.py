"""Who takes part: honest nodes, liars who are talkers of their own, and the beacon that holds the coin.

A round of an honest node: send to every other node; wait until every slot has been told about, or the deadline is
over; tell the beacon that the round's mail is closed; wait for the coin; receive. What the plan drops is told by an
empty frame that says so, as are silence and delay: nobody waits for the deadline when nothing has really failed. A
delayed message leaves once its sender knows the round's coin. By then every receiver has closed the round, and nobody
hears it, in this round or in the next.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import Key
from quorate.live.mailbox import At, Ballots, Mailbox, Page
from quorate.live.plan import FaultPlan
from quorate.live.program import Program
from quorate.live.wire import COIN, DELAYED, DROPPED, HEARD, SILENT, VOTED, WORD, frame


class Line(Protocol):
    """A participant's way out. Both transports have it."""

    def post(self, to: int, data: bytes) -> None: ...


class Setup(NamedTuple):
    """What everybody knows of a run. Participants are numbered: nodes, then liars, then the beacon."""

    nodes: int
    byzantine: int
    decisions: int
    rounds: int
    plan: FaultPlan
    deadline: float = 2.0

    @property
    def slots(self) -> int:
        return self.nodes + self.byzantine

    @property
    def beacon(self) -> int:
        return self.slots

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"plan": self.plan._asdict()}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Setup":
        return cls(**said | {"plan": FaultPlan(**said["plan"])})

    def peers(self, me: int) -> list[int]:
        """With whom one has a connection: everybody, but liars not with each other."""
        liars = range(self.nodes, self.slots)
        return [one for one in range(self.slots + 1) if one != me and not (one in liars and me in liars)]


class Notes(NamedTuple):
    """What one node writes down. status u8[T, R, K], said u8[T, R, K, size], coin u32[T, R], leaves of what it decided
    and of what lasts [T, ...], and how many messages came late, twice, or could not be read."""

    status: np.ndarray
    said: np.ndarray
    coin: np.ndarray
    decision: list[np.ndarray]
    lasting: list[np.ndarray]
    late: int
    repeated: int
    malformed: int


class Node:
    """An honest node. It has the nodes' roots (as words), its own proposals, and no word of the coin's."""

    def __init__(self, me: int, setup: Setup, program: Program, roots: tuple[np.ndarray, np.ndarray], proposals: Any):
        self.me, self.setup, self.program, self.proposals = me, setup, program, proposals
        self.boot_root, self.root = roots
        self.box = Mailbox(setup.slots, program.layout.size, setup.beacon)
        self.pages: list[Page] = []
        self.kept: dict[int, list[bytes]] = {}  # delayed messages

    async def run(self, line: Line) -> Notes:
        """All ticks; then a last word with the beacon, so that nobody leaves while others talk."""
        setup, program, me = self.setup, self.program, np.int32(self.me)
        lasting, ends = program.boot(self.boot_root, me), []
        for tick in range(setup.decisions):
            every, others = np.arange(setup.rounds)[:, None], np.arange(setup.nodes)[None, :]
            fate = setup.plan.fate(tick, every, self.me, others)
            now = program.open(self.root, me, np.int32(tick), lasting, self.proposals[tick])
            for index in range(setup.rounds):
                at = (tick, index)
                self.send(line, at, bool(now.speaks), program.layout.pack(now.payload), [one[index] for one in fate])
                page = await self.close(at)
                heard, said = page.status == HEARD, page.said.copy()
                line.post(setup.beacon, frame(VOTED, *at))
                coin = np.uint32(await self.box.coin(at))
                payload = program.layout.unpack(said)
                now = program.turn(self.root, me, np.int32(tick), np.int32(index), now.ballot, payload, heard, coin)
                self.pages.append(page)
            for to, late in self.kept.items():
                line.post(to, b"".join(late))
            self.kept.clear()
            lasting = now.lasting
            ends.append(jax.tree.map(np.asarray, (jax.tree.leaves(now.decision), jax.tree.leaves(lasting))))
        line.post(setup.beacon, frame(VOTED, setup.decisions, 0))
        await self.box.coin((setup.decisions, 0))
        return self.notes(ends)

    async def close(self, at: At) -> Page:
        return await self.box.close(at, self.setup.deadline)

    def send(self, line: Line, at: At, speaks: bool, body: bytes, fate: list[np.ndarray]) -> None:
        """To itself by hand, to others as the plan has it, one write for each."""
        self.box.own(self.me, at, speaks, body)
        post(line, at, range(self.setup.nodes), self.me, [body if speaks else None] * self.setup.nodes, fate, self.kept)

    def notes(self, ends: list[Any]) -> Notes:
        setup, size = self.setup, self.program.layout.size
        shape = (setup.decisions, setup.rounds)
        status = np.array([page.status for page in self.pages], np.uint8).reshape(*shape, setup.slots)
        said = np.array([page.said for page in self.pages], np.uint8).reshape(*shape, setup.slots, size)
        coin = np.array([page.coin for page in self.pages], np.uint32).reshape(shape)
        decided, lasted = zip(*ends, strict=True)
        stacked = [[np.stack(leaf) for leaf in zip(*leaves, strict=True)] for leaves in (decided, lasted)]
        return Notes(status, said, coin, *stacked, self.box.late, self.box.repeated, self.box.malformed)


def post(
    line: Line,
    at: At,
    receivers: range,
    me: int,
    bodies: list[bytes | None],
    fate: list[np.ndarray],
    kept: dict[int, list[bytes]],
) -> None:
    """One round's frames, None for silence. Whatever is not heard in time is announced by an empty frame."""
    dropped, delayed, duplicated = fate
    silent, lost, later = frame(SILENT, *at), frame(DROPPED, *at), frame(DELAYED, *at)
    for to in receivers:
        if to == me:
            continue
        before = b"".join(kept.pop(to)) if to in kept else b""
        if bodies[to] is None:
            data = silent
        elif dropped[to]:
            data = lost
        else:
            data = frame(HEARD, *at, bodies[to]) * (2 if duplicated[to] else 1)
            if delayed[to]:
                kept[to] = [data]
                data = later
        line.post(to, before + data)


class Liar:
    """A talker from outside that tells each receiver what the plan has for it. The coins it learns when all do."""

    def __init__(self, me: int, setup: Setup, program: Program):
        self.me, self.setup, self.layout = me, setup, program.layout
        self.box = Mailbox(setup.slots, program.layout.size, setup.beacon)

    async def run(self, line: Line) -> None:
        setup, kept = self.setup, {}
        every, others = np.arange(setup.rounds)[:, None], np.arange(setup.nodes)[None, :]
        for tick in range(setup.decisions):
            fate = setup.plan.fate(tick, every, self.me, others)
            words = self.words(tick, every, others)
            for index in range(setup.rounds):
                bodies = [body.tobytes() for body in words[index]]
                post(line, (tick, index), range(setup.nodes), self.me, bodies, [one[index] for one in fate], kept)
                await self.box.coin((tick, index))
        for to, late in kept.items():
            line.post(to, b"".join(late))
        await self.box.coin((setup.decisions, 0))

    def words(self, tick: int, every: np.ndarray, others: np.ndarray) -> np.ndarray:
        """What it says in a tick, as bytes [R, N, size]."""
        shape, leaves, start = (len(every), others.shape[1]), [], 0
        for leaf in self.layout.leaves:
            part = start + np.arange(int(np.prod(leaf.shape, dtype=int)))
            start += len(part)
            parts = part[None, None, :]
            leaves.append(self.setup.plan.lie(tick, every[..., None], self.me, others[..., None], parts, leaf.dtype))
        return self.layout.pack_many(leaves, *shape)


class Beacon:
    """Holds the coin's root. It reveals a round's coin when all have closed the round's mail, or at the deadline."""

    def __init__(self, setup: Setup, root: Key):
        self.setup, self.box = setup, Ballots(setup.nodes)
        self.draw = jax.jit(
            lambda tick, index: jax.random.bits(
                jax.random.fold_in(jax.random.fold_in(root, tick), index), dtype=jnp.uint32
            )
        )
        self.draw(np.int32(0), np.int32(0))

    async def run(self, line: Line) -> None:
        for tick in range(self.setup.decisions):
            for index in range(self.setup.rounds):
                await self.reveal(line, (tick, index))
        await self.reveal(line, (self.setup.decisions, 0))

    async def reveal(self, line: Line, at: At) -> None:
        await self.box.close(at, self.setup.deadline)
        word = int(self.draw(np.int32(at[0]), np.int32(at[1])))
        for to in range(self.setup.slots):
            line.post(to, frame(COIN, *at, WORD.pack(word)))
