"""Sparse marks: stigmergy whose agents mark their way only every few ticks, with deposits that stand for several."""

from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols.stigmergy import Smelling, Stigmergy


class Trail(NamedTuple):
    """What a node keeps from tick to tick: the place it was on its way to when it could last have marked it (-1: none),
    and the ticks since its last deposit, which count for that aim only."""

    aim: Int[Array, ""]
    age: Int[Array, ""]


class Marking(NamedTuple):
    """What a node remembers during a tick: its own ballot, the place it is on its way to (-1: none), and its trail."""

    own: Smelling
    aim: Int[Array, ""]
    before: Trail


class SparseMarks(BoardProtocol):
    """`protocol`, but an agent leaves a deposit only when it is on its way to a place anew, and then every H-th tick as
    long as it keeps that aim. A mark that is left out is gone and not "still so"; so each deposit is larger,

        the first  H / (1 - keep^H) - keep / (1 - keep),        each later one  H,

    and the mean of the mark over each period of H ticks, the first included, is what it is when 1 is left in every tick
    (so H / H / (1 - keep) = 1 / (1 - keep) in the long run). The first is smaller than H as a mark builds up slowly
    there too. H = 1 changes nothing, bit for bit.

    protocol  a `Stigmergy` of one round a tick, with its `keep`
    every     H, ticks between two deposits for the same aim, at least 1; by default 1 / (1 - keep) rounded up, the mean
              life of what is left: 4 with keep = 0.7. Beyond that a mark is mostly gone before the next deposit

    What it can: deposits fall towards 1 / H where ways are much longer than H ticks. What it cannot: save more than
    there is; each aim costs its first deposit, so where ways are short a larger H saves no more. Within a period the
    mark starts above its mean and ends below. So who gives up or crashes just after a deposit leaves more than it would
    have: at the first, that deposit in place of 1 (keep = 0.7: 2.2 for H = 3, which is faded to 1 in 2.3 ticks; 2.9 and
    3.0 ticks for H = 4), in the long run H (1 - keep) / (1 - keep^H) times as much (1.4 and 1.6); at the end of a
    period it leaves less. Peaks look like more agents than there are, so tasks for teams lose with H = 6.

    The sizes count where agents mark for long, on long ways and while they wait for a team: deposits of 1 as seldom
    cost about 2 points there; elsewhere most deposits that are left are first ones, and sizes hardly matter.

    Cost: two numbers more in the state of each node. Errors: Refusal for what is no `Stigmergy`, for one of several
    rounds a tick, `every` below 1.

    Reference: ours; the part that a sign of life plays in `PolicySilence`, for marks that fade.

    >>> marks = SparseMarks(protocol=Stigmergy(places=6), every=3)
    >>> [round(float(size), 3) for size in marks.sizes()]
    [2.233, 3.0]
    >>> int(SparseMarks(protocol=Stigmergy(places=6)).every)
    4
    """

    by_mail: ClassVar[bool] = False
    protocol: Stigmergy
    every: Int[Array, ""] = swept(jnp.int32)
    rounds: int = static()
    places: int = static()
    capacity: int = static()

    def __init__(self, *, protocol: Stigmergy, every: Any = None):
        if not isinstance(protocol, Stigmergy):
            raise Refusal(f"{type(protocol).__name__} is no Stigmergy, whose marks fade; SparseMarks wraps that alone")
        if protocol.rounds != 1:
            raise Refusal(f"rounds is {protocol.rounds}; marks fade each round, and SparseMarks counts ticks: 1 a tick")
        if every is None:  # a little less than the life, or 1 / (1 - 0.8) would be rounded to 6
            every = jnp.ceil(0.999 / (1 - protocol.keep)).astype(jnp.int32)
        at_least(1, every=every)
        self.protocol, self.every = protocol, every
        self.rounds, self.places, self.capacity = protocol.rounds, protocol.places, protocol.capacity

    def sizes(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The first deposit, and each later one."""
        keep, every = self.protocol.keep, self.every.astype(jnp.float32)
        first = every / (1 - keep**every) - keep / (1 - keep)
        return jnp.where(self.every == 1, 1, first), every

    def due(self, ballot: Marking) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        """Whether its aim is new, and whether it leaves a deposit."""
        goes = ballot.aim >= 0
        new = goes & (ballot.aim != ballot.before.aim)
        return new, new | (goes & (ballot.before.age >= self.every))

    def boot(self, key, me):
        return Trail(jnp.int32(-1), jnp.int32(0))

    def propose(self, key, state: Trail, proposal: Outlook) -> Marking:
        own = self.protocol.propose(key, (), proposal)
        return Marking(own, own.goal, state)

    def post(self, ballot: Marking) -> Posts:
        posts = self.protocol.post(ballot.own)
        new, due = self.due(ballot)
        first, later = self.sizes()
        return posts._replace(live=posts.live & due, amount=posts.amount * jnp.where(new, first, later))

    def watch(self, ballot: Marking):
        return self.protocol.watch(ballot.own)

    def hear(self, key, ballot: Marking, news: News) -> Marking:
        return ballot._replace(own=self.protocol.hear(key, ballot.own, news))

    def decide(self, ballot: Marking):
        decision, _ = self.protocol.decide(ballot.own)
        return decision, Trail(ballot.aim, jnp.where(self.due(ballot)[1], 1, ballot.before.age + 1))

    def settled(self, ballot: Marking):
        return self.protocol.settled(ballot.own)

    def open(self, key, place):
        return self.protocol.open(key, place)

    def serve(self, key, place_state, heap: Heap):
        return self.protocol.serve(key, place_state, heap)

    def notice(self, place_state):
        return self.protocol.notice(place_state)
