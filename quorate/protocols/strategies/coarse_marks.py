"""Coarse marks: stigmergy whose agents read each mark in their own region, and one summary of each other region."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Heap, News, Outlook, Posts, static, swept
from quorate.errors import Refusal
from quorate.protocols.stigmergy import Smelling, Stigmergy
from quorate.protocols.strategies.clustered import cut


class Spot(NamedTuple):
    """A place of the board: its mark, whether it is a region, and the tasks last told of there (0: never)."""

    mark: Float[Array, ""]
    region: Bool[Array, ""]
    tasks: Float[Array, ""]


class CoarseMarks(BoardProtocol):
    """`protocol`, but an agent reads the marks one by one only in the region it is in. Of each other region in which it
    has an option it reads one number, the mean mark of a task there,

        mark_r / tasks_r,        (1 / (1 - keep)) f_r in the long run,

    and takes it for the mark of each of its options there; with f_r the share of the region's tasks that somebody is on
    his way to. Who is on its way leaves a deposit at the place and one more for the region of that place, where they
    are summed to mark_r, which fades as marks do. tasks_r: those announced there (`Outlook.demand`), the largest number
    told in the last tick in which somebody told one. With its deposit tells who is in that region itself; until then
    tasks_r is 1, as whoever reads the summary sees one. An aim is kept as `protocol` keeps it.

    protocol   a `Stigmergy`
    region_of  the region of each place, [M]
    anchor     a task place in the middle of each region, [G]: there lies its mark, place M + g of the board, which is
               nobody's and cannot fail

    What it can: nobody need know more of what lies beyond its border than one number a region. What it cannot: tell the
    options of another region apart; the mean mark repels more than marks do on average (exp is convex), so it keeps
    agents at home. Who tells of too many tasks makes its region look free. One region changes no decision.

    The bill: deposits double, and each carries one number more. Reads fall only where options share a region beyond the
    border: little where agents see few open tasks. So it saves what agents must know of each other, and no messages.

    Where ways are short, most is gained by looking beyond the border at all; where they are long, by the summary. For
    teams, some of whose marks count for nothing, it is no help: there damping options beyond by 1 - f_r, the chance
    that one is free, is better, and elsewhere a little worse.

    Cost O(N K^2 + M + G) a round. Errors: Refusal for what is no `Stigmergy`, and a table that does not fit.

    Reference: ours; the thresholds are those of `Stigmergy`, the regions those of `Hybrid`.

    >>> marks = CoarseMarks(protocol=Stigmergy(places=4), region_of=[0, 0, 1, 1], anchor=[0, 2])
    >>> marks.places, marks.by_mail
    (6, False)
    """

    by_mail: ClassVar[bool] = False
    protocol: Stigmergy
    region_of: Int[Array, " M"] = swept(jnp.int32)
    anchor: Int[Array, " G"] = swept(jnp.int32)
    rounds: int = static()
    places: int = static()
    capacity: int = static()

    def __init__(self, *, protocol: Stigmergy, region_of: Array, anchor: Array):
        if not isinstance(protocol, Stigmergy):
            raise Refusal(f"{type(protocol).__name__} is no Stigmergy, whose marks fade; CoarseMarks wraps that alone")
        self.protocol, self.anchor = protocol, jnp.asarray(anchor, jnp.int32)
        self.region_of = cut(region_of, protocol, len(self.anchor))
        self.rounds, self.places, self.capacity = protocol.rounds, protocol.places + len(self.anchor), 0

    def boot(self, key, me):
        return self.protocol.boot(key, me)

    def propose(self, key, state, proposal: Outlook) -> Smelling:
        return self.protocol.propose(key, state, proposal)

    def post(self, ballot: Smelling) -> Posts:
        """The deposit at the place, and the same at its region; with it the tasks there, -1 where it does not see
        them."""
        posts, outlook = self.protocol.post(ballot), ballot.outlook
        region = self.region_of[jnp.maximum(posts.place, 0)]
        tasks = jnp.where(region == outlook.region, outlook.demand, -1)
        return Posts(
            place=jnp.append(posts.place, self.protocol.places + region),
            live=jnp.append(posts.live, posts.live),
            amount=jnp.append(posts.amount, posts.amount),
            bid=jnp.append(jnp.full_like(tasks, -1), tasks),
        )

    def sources(self, ballot: Smelling) -> tuple[Int[Array, " W"], Int[Array, " W"]]:
        """Which place of the board tells of each place that the protocol watches (-1: none), and the first of these
        that has the same; places in its own region tell of themselves."""
        watched = self.protocol.watch(ballot)
        region = self.region_of[jnp.maximum(watched, 0)]
        beyond = (watched >= 0) & (region != ballot.outlook.region)
        source = jnp.where(beyond, self.protocol.places + region, watched)
        first = jnp.argmax(source[:, None] == source[None, :], axis=1)
        return source, jnp.where(beyond, first, jnp.arange(len(source)))

    def watch(self, ballot: Smelling):
        source, first = self.sources(ballot)
        return jnp.where(first == jnp.arange(len(source)), source, -1)

    def hear(self, key, ballot: Smelling, news: News) -> Smelling:
        _, first = self.sources(ballot)
        return self.protocol.hear(key, ballot, news._replace(notice=news.notice[first], heard=news.heard[first]))

    def decide(self, ballot: Smelling):
        return self.protocol.decide(ballot)

    def settled(self, ballot: Smelling):
        return self.protocol.settled(ballot)

    def open(self, key, place) -> Spot:
        return Spot(self.protocol.open(key, place), jnp.asarray(place >= self.protocol.places), jnp.float32(0))

    def serve(self, key, place_state: Spot, heap: Heap) -> Spot:
        mark = self.protocol.serve(key, place_state.mark, heap)
        return place_state._replace(mark=mark, tasks=jnp.where(heap.best >= 0, heap.best, place_state.tasks))

    def notice(self, place_state: Spot) -> Float[Array, ""]:
        """Its mark; of a region the mean mark of its tasks."""
        mark, region, tasks = place_state
        return jnp.where(region, mark / jnp.maximum(tasks, 1), mark)

    def where(self, place):
        inner = self.protocol.places
        return jnp.where(place < inner, place, self.anchor[jnp.maximum(place - inner, 0)])
