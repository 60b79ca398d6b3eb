"""What lies between sender and receiver: mail is lost, comes late, or is more than can be heard."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.comms import Channel, Sums
from quorate.comms.channel import like, size
from quorate.core import Key, Tally, static, swept
from quorate.core.fault import votes
from quorate.errors import Refusal
from quorate.faults.thinning import lost
from quorate.numerics.choose import lowest


class Loss(Channel):
    """Every message is lost with probability `share`, independently of all others; lies too, own messages never.

    share    probability, from 0 to 1; each link and each round anew

    On a board a coin is thrown for every slip, every notice to each of its readers and every reply, those between a
    place and its own host too; marks in the environment (`by_mail` False) are no mail, and none is lost: O(N (P + W))
    a round. On inboxes (N x K, or everybody) a coin is thrown for every link: O(N K) a round. On sums each receiver's
    yes from others become Binomial(yes, 1 - share), which is the same in distribution and costs O(N log N) a round: a
    few look-ups in a table that all share (see `thinning.lost`). Sums of anything but one yes-no word a message do not
    say what is left of them, and are refused.

    >>> float(Loss(share=0.25).share)
    0.25
    """

    share: Float[Array, ""] = swept()

    def __check_init__(self):
        if not isinstance(self.share, jax.core.Tracer):
            share = np.asarray(self.share)
            if not np.all((share >= 0) & (share <= 1)):
                raise Refusal(f"share is {self.share}; it is the probability that a message is lost, from 0 to 1")

    def on_deliver(self, key, state, mail):
        return state, mail.payload, self._left(key, mail.heard)

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=self._left(key, posts.live)) if board.by_mail else posts

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, self._left(key, heard) if board.by_mail else heard

    def _left(self, key: Key, sent: Bool[Array, "N W"]) -> Bool[Array, "N W"]:
        return sent & ~jax.random.bernoulli(key, self.share, sent.shape)

    def on_sums(self, key, state, seen, sums):
        total, yes = _votes(self, seen, sums)
        gone = lost(jax.random.fold_in(key, 0), yes, self.share, sums.most)
        # The sums say nothing of the no that are lost, but the bill and what comes behind count them.
        no = lost(jax.random.fold_in(key, 1), sums.arriving - yes, self.share, sums.most)
        return state, sums._replace(total=total(gone), arriving=sums.arriving - gone - no)


class Delay(Channel):
    """What others say in round r is heard in round r + `rounds`; before that nobody is heard but by itself.

    Late mail stands in for the round's own: a receiver hears what was sent `rounds` rounds ago, and that only, as it
    was then, lies and losses included. Own messages are heard at once. Delays live within a conversation: what is
    still under way when it ends is never heard, so that with as many rounds of delay as the protocol has, or more,
    nobody hears anybody. What waits is kept in a ring as long as the delay, shaped like what a round passes on:
    O(rounds N K) on inboxes, O(rounds N) on sums. Sums of floats are taken apart and put together again, and may be off
    by a rounding.

    Errors: `Refusal` on boards, where mail may be late by ticks and a conversation is one tick: wrap the protocol in
    `protocols.delayed.Delayed`.

    >>> Delay(rounds=2).rounds
    2
    """

    rounds: int = static()

    def __check_init__(self):
        if not isinstance(self.rounds, int | np.integer) or self.rounds < 0:
            raise Refusal(f"rounds is {self.rounds}; it says how many rounds late mail is, a whole number from 0 on")

    def open(self, state, passing):
        if not self.rounds:
            return state
        return jax.tree.map(lambda leaf: jnp.zeros((self.rounds, *leaf.shape), leaf.dtype), passing)

    def close(self, state):
        return ()

    def on_deliver(self, key, state, mail):
        state, (payload, heard) = self._wait(state, mail.round, (mail.payload, mail.heard))
        return state, payload, heard

    def on_sums(self, key, state, seen, sums):
        def own(whole: Array, leaf: Array) -> Array:
            return jnp.where(like(sums.own, leaf), leaf, 0).astype(whole.dtype)

        def others(whole: Array, leaf: Array) -> Array:
            return (whole if whole.ndim == leaf.ndim else whole[None]) - own(whole, leaf)

        now = jax.tree.map(others, sums.total, seen.sent), sums.arriving
        state, (total, arriving) = self._wait(state, seen.round, now)
        total = jax.tree.map(lambda whole, leaf: whole + own(whole, leaf), total, seen.sent)
        return state, sums._replace(total=total, arriving=arriving)

    def on_post(self, key, state, posts, board):
        if self.rounds and board.by_mail:
            raise Refusal(
                "Delay holds mail back within one conversation, and a board's mail may be late by ticks",
                "wrap the protocol instead: protocols.delayed.Delayed(protocol=..., ticks=...)",
            )
        return state, posts

    def _wait(self, state: PyTree, round_: Int[Array, ""], now: PyTree) -> tuple[PyTree, PyTree]:
        """Puts this round's mail in the ring in place of the mail that is due."""
        if not self.rounds:
            return state, now
        place = round_ % self.rounds
        due = jax.tree.map(lambda ring: ring[place], state)
        return jax.tree.map(lambda ring, leaf: ring.at[place].set(leaf), state, now), due


class Bandwidth(Channel):
    """A receiver hears at most `most` messages of others in a round, drawn at random among those that reach it.

    most     messages of others a receiver and round; with fewer all are heard
    bytes    on boards: what an agent may post in a tick, all its rounds together; None for no limit

    On inboxes: a random word a link and 32 + log2(K) comparisons, no sort. On sums the messages that are heard are
    drawn one by one, yes or no, as from an urn: O(N most) a round, the same in distribution. Sums of anything but one
    yes-no word a message are refused.

    On a board each node's own order counts and nothing is drawn: of its slips the first `most` of a round are posted,
    as long as they fit into what is left of `bytes` in this tick; of the notices that reach it the first `most` are
    read, and as many replies. A slip takes 4 bytes for its place and those of amount, bid and body. Marks in the
    environment (`by_mail` False) are no mail and have no limit. O(N (P + W)) a round.

    Errors: `Refusal` for `bytes` where there is no board.

    >>> int(Bandwidth(most=3).most)
    3
    """

    most: Int[Array, ""] = swept(jnp.int32, 2**31 - 1)
    bytes: Float[Array, ""] | None = eqx.field(
        default=None, converter=lambda given: None if given is None else jnp.asarray(given, jnp.float32), kw_only=True
    )

    def __check_init__(self):
        if not isinstance(self.most, jax.core.Tracer) and np.any(np.asarray(self.most) < 0):
            raise Refusal(f"most is {self.most}; it counts the messages that are heard and must be at least 0")
        given = self.bytes
        if given is not None and not isinstance(given, jax.core.Tracer) and not np.all(np.asarray(given) >= 0):
            raise Refusal(f"bytes is {given}; it is what an agent may post in a tick and must be at least 0")

    def reset(self, key, num_agents):
        return () if self.bytes is None else jnp.zeros(num_agents, jnp.float32)  # what each has posted in this tick

    def update(self, key, state, t):
        return jax.tree.map(jnp.zeros_like, state)

    def on_post(self, key, state, posts, board):
        if not board.by_mail:
            return state, posts
        live = posts.live & (jnp.cumsum(posts.live, axis=1) <= self.most)
        if self.bytes is not None:
            slip = float(4 + size(posts[2:], 2))
            live &= state[:, None] + slip * jnp.cumsum(live, axis=1) <= self.bytes
            state = state + slip * jnp.sum(live, axis=1)
        return state, posts._replace(live=live)

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, heard & (jnp.cumsum(heard, axis=1) <= self.most) if board.by_mail else heard

    def on_deliver(self, key, state, mail):
        self._needs_no_board()
        words = jax.random.bits(key, mail.heard.shape, jnp.uint32)
        own = mail.sender == jnp.arange(mail.sender.shape[0])[:, None]
        others = mail.heard & ~own
        drawn = jax.vmap(lowest, (0, None))(jnp.where(others, words, jnp.uint32(2**32 - 1)), self.most)
        return state, mail.payload, (mail.heard & own) | (others & drawn)

    def _needs_no_board(self):
        if self.bytes is not None:
            raise Refusal("bytes limits what is posted to a board; this protocol has none", "give most= instead")

    def on_sums(self, key, state, seen, sums):
        self._needs_no_board()
        total, yes = _votes(self, seen, sums)
        heard = jnp.minimum(sums.arriving, self.most)

        def one_more(draw: Array, kept: Array) -> Array:
            uniform = jax.random.uniform(jax.random.fold_in(key, draw), yes.shape)
            is_yes = uniform * (sums.arriving - draw) < yes - kept  # what is left in the urn
            return kept + (is_yes & (draw < heard))

        kept = jax.lax.fori_loop(0, jnp.max(heard), one_more, jnp.zeros_like(yes))
        return state, sums._replace(total=total(yes - kept), arriving=heard)


def _votes(fault: Channel, seen: Tally, sums: Sums) -> tuple[Callable[[Array], PyTree], Int[Array, " N"]]:
    """How many yes of others each receiver's sum holds, and the total less some of them."""
    said = votes(
        seen.sent,
        f"{type(fault).__name__} takes messages out of a sum only where each is one yes or no",
        "use inboxes: topology=comms.complete(num_agents)",
    )
    (total,), tree = jax.tree.flatten(sums.total)
    return lambda less: jax.tree.unflatten(tree, [total - less]), total - (said & sums.own)
