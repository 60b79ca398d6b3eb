"""What lies between sender and receiver: mail is lost, comes late, or is more than can be heard."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from quorate.comms import Channel, Sums
from quorate.comms.channel import like
from quorate.core import Tally, static, swept
from quorate.core.fault import votes
from quorate.errors import Refusal
from quorate.faults.thinning import lost
from quorate.numerics.choose import lowest


class Loss(Channel):
    """Every message is lost with probability `share`, independently of all others; lies too, own messages never.

    share    probability, from 0 to 1; each link and each round anew

    On inboxes (N x K, or everybody) a coin is thrown for every link: O(N K) a round. On sums each receiver's yes from
    others become Binomial(yes, 1 - share), which is the same in distribution and costs O(N log N) a round: a few
    look-ups in a table that all share (see `thinning.lost`). Sums of anything but one yes-no word a message do not say
    what is left of them, and are refused.

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
        return state, mail.payload, mail.heard & ~jax.random.bernoulli(key, self.share, mail.heard.shape)

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

    def _wait(self, state: PyTree, round_: Int[Array, ""], now: PyTree) -> tuple[PyTree, PyTree]:
        """Puts this round's mail in the ring in place of the mail that is due."""
        if not self.rounds:
            return state, now
        place = round_ % self.rounds
        due = jax.tree.map(lambda ring: ring[place], state)
        return jax.tree.map(lambda ring, leaf: ring.at[place].set(leaf), state, now), due


class Bandwidth(Channel):
    """A receiver hears at most `most` messages of others in a round, drawn at random among those that reach it.

    most    messages of others a receiver and round; with fewer all are heard

    On inboxes: a random word a link and 32 + log2(K) comparisons, no sort. On sums the messages that are heard are
    drawn one by one, yes or no, as from an urn: O(N most) a round, the same in distribution. Sums of anything but one
    yes-no word a message are refused.

    >>> int(Bandwidth(most=3).most)
    3
    """

    most: Int[Array, ""] = swept(jnp.int32)

    def __check_init__(self):
        if not isinstance(self.most, jax.core.Tracer) and np.any(np.asarray(self.most) < 0):
            raise Refusal(f"most is {self.most}; it counts the messages that are heard and must be at least 0")

    def on_deliver(self, key, state, mail):
        words = jax.random.bits(key, mail.heard.shape, jnp.uint32)
        own = mail.sender == jnp.arange(mail.sender.shape[0])[:, None]
        others = mail.heard & ~own
        drawn = jax.vmap(lowest, (0, None))(jnp.where(others, words, jnp.uint32(2**32 - 1)), self.most)
        return state, mail.payload, (mail.heard & own) | (others & drawn)

    def on_sums(self, key, state, seen, sums):
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
