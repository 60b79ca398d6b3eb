"""Saying less at places: wrappers of protocols on boards that post only what is news, or only signs of life."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core import BoardProtocol, Heap, Posts
from quorate.errors import Refusal

NEVER = 2**30  # ticks; longer than any run


class Memory(NamedTuple):
    """A node's own state; the slip that it last posted in each position, and how many ticks ago (`NEVER`: not yet);
    and, where places collect, the reply to it, how many ticks ago that came, and whether it came and left nothing to
    say (() elsewhere)."""

    own: PyTree
    said: Posts  # [P, ...]
    age: Int[Array, " P"]
    reply: PyTree  # [P, ...]
    since: PyTree  # [P]
    done: PyTree  # [P]


class Sparing(NamedTuple):
    """What a node remembers during a tick: its own ballot; what it last said before this tick, when, and what came of
    it; what it has said in this tick, whether it has, and the reply to that; and the places it would have told again
    (-1: none); and whether a round is over."""

    own: PyTree
    before: Memory
    now: Posts
    spoke: Bool[Array, " P"]
    reply: PyTree
    since: PyTree
    kept: PyTree
    still: Int[Array, " P"]
    begun: Bool[Array, ""]


class Kept(NamedTuple):
    """A place's own state, and the last tick in which a slip reached it."""

    own: PyTree
    last: Int[Array, ""]


class SelectiveBroadcast(BoardProtocol):
    """`protocol`, but a node posts only what differs from what it last said: speak iff

        another place, or another whole number in the slip, or |bid - last bid| > threshold, or `every` ticks are over.

    protocol   any protocol on a board that posts more than amounts
    threshold  in units of the bid; at least 0. Below the noise of the bid it talks all the time
    every      ticks after which the same is said again, so that leases do not run out; by default half of the lease of
               the protocol, so that one lost sign ends none, and `NEVER` where it has no lease. 1 changes nothing
    proposal   what one node proposes, arrays or their shapes: slips are as long as this makes them. For what a world
               shows: jax.tree.map(lambda leaf: leaf[0], world.observe(key, state))

    Whole numbers and truth values in the body (which task, what kind of word) are compared exactly; floats in it (how
    near) are no news by themselves. Compared is with earlier ticks only: within a tick a protocol repeats what it
    likes, and from its first word of a tick on it speaks freely. Where places do not collect, a node that would have
    spoken and reads nothing but the places of which it is silent does not read either.

    Always said is a slip with an amount that is not 0, since a sum cannot know what was left out, and what a node
    `owes` in every tick, as a leader does its sign.

    Where places collect and reply, a slip is withheld only if the same one was replied to and settled its node for that
    tick; the node then takes that reply as given again, and speaks after all if that, with what it reads, leaves it
    unsettled. So who asks a centre, and was told that there is nothing for it, asks again when its options have
    changed. Where mail is late (`Delayed`) the reply that counts is one to a slip that said the same; until it comes
    the node speaks, and a later one takes its place.

    A word that was lost in all rounds of a tick, where no reply tells, is repeated after `every` ticks, not at once.
    Who comes back from being away has forgotten what it said, and speaks. Cost: one slip and reply more in the state
    of each node.

    Errors: Refusal for a protocol without a board, one of marks or of amounts alone, a threshold below 0, `every` below
    1.

    Reference: Astrom and Bernhardsson, Comparison of Riemann and Lebesgue sampling for first order stochastic systems,
    CDC 2002: for a random walk a third of the error of periodic words at the same number of words.
    """

    protocol: BoardProtocol
    threshold: Float[Array, ""]
    every: Int[Array, ""]
    proposal: PyTree = eqx.field(static=True)
    rounds: int = eqx.field(static=True)
    places: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)

    def __init__(self, *, protocol: BoardProtocol, proposal: PyTree, threshold: float | Array = 0.0, every: Any = None):
        name = type(self).__name__
        if not isinstance(protocol, BoardProtocol):
            raise Refusal(f"{type(protocol).__name__} has no board; {name} withholds slips to places")
        if not protocol.by_mail:
            raise Refusal(f"{type(protocol).__name__} leaves marks that fade; one left out is gone, not still so")
        if every is None:
            if not hasattr(protocol, "lease") and hasattr(protocol, "protocol"):
                raise Refusal(f"the leases of {type(protocol).__name__} are not known", "give every=, or wrap its part")
            every = jnp.maximum(protocol.lease // 2, 1) if hasattr(protocol, "lease") else NEVER
        for what, value, least in (("threshold", threshold, 0), ("every", every, 1)):
            if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) >= least):
                raise Refusal(f"{what} is {value}; it must be at least {least}")
        self.protocol = protocol
        self.threshold, self.every = jnp.asarray(threshold, jnp.float32), jnp.asarray(every, jnp.int32)
        self.proposal = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), proposal)
        self.rounds, self.places, self.capacity = protocol.rounds, protocol.places, protocol.capacity
        slips = self._slips(jax.random.key(0), jnp.int32(0))
        if jax.tree.leaves(slips.amount) and not jax.tree.leaves((slips.bid, slips.body)):
            raise Refusal(f"{type(protocol).__name__} posts amounts alone, and a sum cannot know what was left out")

    def _slips(self, key: Any, me: Any) -> PyTree:
        """The shapes of what a node posts."""
        inner = self.protocol
        return jax.eval_shape(
            lambda key, me, proposal: inner.post(inner.propose(key, inner.boot(key, me), proposal)),
            key,
            me,
            self.proposal,
        )

    def boot(self, key, me):
        said = _zeros(self._slips(key, me))
        reply = self._replies(said.live.shape[0])
        never = jnp.full(said.live.shape, NEVER, jnp.int32)
        since, done = (never, jnp.zeros(said.live.shape, bool)) if self.capacity else ((), ())
        return Memory(self.protocol.boot(key, me), said, never, reply, since, done)

    def _replies(self, slips: int) -> PyTree:
        """A reply of zeros to each slip; () where places do not collect."""
        if not self.capacity:
            return ()
        inner = self.protocol
        shape = jax.eval_shape(
            lambda key: jax.tree.map(
                lambda leaf: jnp.broadcast_to(leaf[:1], (slips, *leaf.shape[1:])),
                inner.reply(inner.open(key, jnp.int32(0))),
            ),
            jax.random.key(0),
        )
        return _zeros(shape)

    def propose(self, key, state: Memory, proposal):
        own = self.protocol.propose(key, state.own, proposal)
        no, nowhere = jnp.zeros(state.age.shape, bool), jnp.full(state.age.shape, -1, jnp.int32)
        kept = no if self.capacity else ()
        return Sparing(own, state, state.said, no, state.reply, state.since, kept, nowhere, jnp.array(False))

    def same(self, posts: Posts, said: Posts) -> Bool[Array, " P"]:
        """Which slips say what was said before, amounts aside."""
        same = posts.place == said.place
        for new, old in zip(jax.tree.leaves(posts.body), jax.tree.leaves(said.body), strict=True):
            if not jnp.issubdtype(new.dtype, jnp.floating):
                same &= jnp.all((new == old).reshape(new.shape[0], -1), axis=1)
        if isinstance(posts.bid, tuple):
            return same
        return same & ((posts.bid == said.bid) | (jnp.abs(posts.bid - said.bid) <= self.threshold))

    def repeats(self, posts: Posts, said: Posts) -> Bool[Array, " P"]:
        """Which slips say what was said before, and add nothing to a sum."""
        same = self.same(posts, said)
        for amount in jax.tree.leaves(posts.amount):
            same &= jnp.all((amount == 0).reshape(amount.shape[0], -1), axis=1)
        return same

    def _withheld(self, ballot: Sparing) -> tuple[Posts, Bool[Array, " P"]]:
        posts, before = self.protocol.post(ballot.own), ballot.before
        still_so = self.repeats(posts, before.said) & (before.age < self.every) & ~ballot.spoke
        still_so &= ~self.protocol.owes(ballot.own)
        if self.capacity:
            still_so &= before.done & (~ballot.begun | self.protocol.settled(ballot.own))
        return posts, posts.live & still_so

    def post(self, ballot: Sparing) -> Posts:
        posts, withheld = self._withheld(ballot)
        return posts._replace(live=posts.live & ~withheld)

    def watch(self, ballot: Sparing):
        watched = self.protocol.watch(ballot.own)
        if self.capacity:
            return watched
        posts, withheld = self._withheld(ballot)
        still = jnp.where(withheld, posts.place, ballot.still)
        known = jnp.any(watched[:, None] == still[None, :], axis=1) | (watched < 0)
        return jnp.where(jnp.all(known) & ~jnp.any(posts.live & ~withheld), -1, watched)

    def hear(self, key, ballot: Sparing, news, about: Posts | None = None, late: int = 0):
        """Where mail is late, replies may be `about` other slips than those of this round; they come `late` ticks after
        the question."""
        posts, withheld = self._withheld(ballot)
        says = posts.live & ~withheld
        reply, since, kept = ballot.reply, ballot.since, ballot.kept
        if self.capacity:
            came, stands = news.kept & posts.live, withheld
            answered = came if about is None else came & self.same(posts, about)
            kept = answered | (kept & ~says)
            if about is not None:  # what is asked again was answered, and the new answer is on its way
                again = says & ballot.before.done & self.repeats(posts, ballot.before.said)
                again &= since < self.every + late
                stands, kept = stands | again, kept | again
            reply, since = _where(answered, news.reply, reply), jnp.where(answered, -1, since)
            news = news._replace(reply=_where(stands, reply, news.reply), kept=came | stands)
        return Sparing(
            own=self.protocol.hear(key, ballot.own, news),
            before=ballot.before,
            now=_where(says, posts, ballot.now),
            spoke=ballot.spoke | says,
            reply=reply,
            since=since,
            kept=kept,
            still=jnp.where(withheld, posts.place, jnp.where(says, -1, ballot.still)),
            begun=jnp.array(True),
        )

    def decide(self, ballot: Sparing):
        decision, own = self.protocol.decide(ballot.own)
        before, spoke = ballot.before, ballot.spoke
        since, done = ballot.since, before.done
        if self.capacity:
            since = jnp.minimum(since + 1, NEVER)
            done = jnp.where(spoke, ballot.kept & self.protocol.settled(ballot.own), done)
        return decision, Memory(
            own=own,
            said=_where(spoke, ballot.now, before.said),
            age=jnp.where(spoke, 1, jnp.minimum(before.age + 1, NEVER)),
            reply=ballot.reply,
            since=since,
            done=done,
        )

    def settled(self, ballot: Sparing):
        return self.protocol.settled(ballot.own)

    def owes(self, ballot: Sparing):
        return self.protocol.owes(ballot.own)

    def open(self, key, place):
        return self.protocol.open(key, place)

    def serve(self, key, place_state, heap: Heap):
        return self.protocol.serve(key, place_state, heap)

    def notice(self, place_state):
        return self.protocol.notice(place_state)

    def reply(self, place_state):
        return self.protocol.reply(place_state)

    def host(self, place):
        return self.protocol.host(place)

    def where(self, place):
        return self.protocol.where(place)


class PolicySilence(SelectiveBroadcast):
    """`protocol`, but silence means "still so": a node posts what has changed, and a sign of life every `heartbeat`
    ticks.

    protocol, proposal   as for `SelectiveBroadcast`
    heartbeat            H, ticks between two words that say the same; at least 1

    A place must not take a lost word for silence. So it knows what it was told only until two beats are missed:
    `known` is False once 2 H ticks have gone without a slip; from then on its state is that of long ago and not "all
    clear". A change whose word is lost is known, or known to be unknown, at most 2 H - 1 ticks later. With messages
    lost at a share p a place whose node is well is unknown p^2 of the time. Leases and patience of the protocol are
    lengthened to 2 H where they are shorter, so that one missed beat frees no task and two do; so it also takes up to
    2 H ticks until the tasks of who has crashed are free.

    Errors: Refusal as for `SelectiveBroadcast`; for a heartbeat below 1; for another wrapper inside, whose leases it
    cannot lengthen.
    """

    def __init__(self, *, protocol: BoardProtocol, proposal: PyTree, heartbeat: int | Array):
        if not isinstance(heartbeat, jax.core.Tracer) and not np.all(np.asarray(heartbeat) >= 1):
            raise Refusal(f"heartbeat is {heartbeat}; it counts the ticks between two beats, at least 1")
        if hasattr(protocol, "protocol"):
            raise Refusal(f"the leases of {type(protocol).__name__} are out of reach", "wrap its part instead")
        beat = jnp.asarray(heartbeat, jnp.int32)
        for name in ("lease", "patience"):
            if hasattr(protocol, name):
                longer = jnp.maximum(getattr(protocol, name), 2 * beat)
                protocol = eqx.tree_at(lambda part, name=name: getattr(part, name), protocol, longer)
        super().__init__(protocol=protocol, proposal=proposal, every=beat)

    def open(self, key, place):
        return Kept(super().open(key, place), jnp.int32(-NEVER))

    def serve(self, key, place_state: Kept, heap: Heap):
        own = super().serve(key, place_state.own, heap)
        return Kept(own, jnp.where(heap.count > 0, heap.t, place_state.last))

    def notice(self, place_state: Kept):
        return super().notice(place_state.own)

    def reply(self, place_state: Kept):
        return super().reply(place_state.own)

    def known(self, places: Kept, t: Int[Array, ""]) -> Bool[Array, "..."]:
        """Of which places the state after tick `t` may be believed: fewer than two beats are missed."""
        return t - places.last < 2 * self.every


def _where(mask: Bool[Array, " P"], new: PyTree, old: PyTree) -> PyTree:
    """New slips where `mask`, [P, ...]."""
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b), new, old)


def _zeros(shape: PyTree) -> PyTree:
    """Arrays of these shapes, all 0."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
