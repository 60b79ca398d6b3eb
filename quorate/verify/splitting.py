"""Importance splitting: the chance of a rare breach under a given attack, where plain runs would never see one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from quorate.comms import Channel, boot, complete, exchange, node_keys, tally, with_extras
from quorate.core import Fault, Key, Property, Protocol, Roster, TallyProtocol
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.measure.intervals import Interval

CASES = 4_000_000  # ways in which nodes can carry marks, at most
Alive = Callable[[Protocol, Int[Array, ""], PyTree], Bool[Array, ""]]  # (protocol, round, ballots [N, ...])


class Split(NamedTuple):
    """What independent repetitions found. `interval` is that of the chance of a breach; `alive` the mean share of
    particles that was still in the game after each round."""

    interval: Interval
    repetitions: tuple[float, ...]
    alive: tuple[float, ...]


def split(
    protocol: Protocol,
    roster: Roster,
    about: Property,
    proposals: Sequence[int],
    fault: Fault,
    *,
    alive: Alive | None = None,
    particles: int = 1000,
    repetitions: int = 20,
    seed: int = 0,
    level: float = 0.95,
) -> Split:
    """The chance that `about` is broken when nodes propose `proposals` and liars do what `fault` does.

    In each of R rounds m = `particles` conversations go one round further. Those in which the breach is still possible
    are kept, and m are drawn from them, with replacement; with p_r the share that is kept in round r and q the share of
    breaches at the end,

        estimate = p_1 p_2 ... p_R q

    whose mean is the chance, whatever m is. The interval is Student's over independent repetitions, cut to [0, 1]: fair
    while m is large against the most that a round kills (m p_r of some ten at least, and a relative error of an
    estimate, about sqrt(sum (1 - p_r) / (m p_r)), well below 1). Where no repetition sees a breach nothing is known,
    and the interval is [0, 1].

    alive       (protocol, round, ballots [N, ...]) -> whether the breach is still possible after that round (0, 1, ..).
                It must never be False where a breach may follow. A function at module level. Unless told: while some
                node has not settled, and then if what they would decide breaks the property; right wherever nodes that
                have settled do not change what they decide
    particles   m; repetitions: how often all is done anew, at least 2
    Cost: O(repetitions particles R N). Errors: `Refusal` for too few particles or repetitions, for a "sometimes" (which
    is not rare), and for faults that hold mail back.
    Reference: Cerou, Del Moral, Furon and Guyader, Sequential Monte Carlo for rare event estimation (2012); fixed
    effort as in Garvels, The splitting method in rare event simulation (2000).
    """
    if particles < 2 or repetitions < 2:
        name, number = ("particles", particles) if particles < 2 else ("repetitions", repetitions)
        raise Refusal(f"{name} is {number}; it must be at least 2")
    if not 0 < level < 1:
        raise Refusal(f"level is {level:g}; it must lie between 0 and 1, such as 0.95")
    if about.kind == SOMETIMES:
        raise Refusal('a "sometimes" is no breach; sample it')
    if any(isinstance(one, Channel) for one in getattr(fault, "faults", (fault,))):
        raise Refusal(
            f"{type(fault).__name__} holds mail back from round to round; splitting cannot copy what is under way"
        )
    if len(proposals) != roster.honest:
        raise Refusal(f"there are {len(proposals)} proposals; the roster has {roster.honest} honest nodes")
    if fault.extras > roster.liars:
        raise Refusal(f"the fault has {fault.extras} talkers; the roster has {roster.liars} liars")
    proposal = jnp.asarray(proposals, jnp.int32)
    keys = jax.random.split(jax.random.key(seed), repetitions)
    table = jnp.asarray(_broken(protocol, roster, about))
    ends, kept = _repeated(keys, protocol, fault, alive, about.mark, table, proposal, particles)
    shares = np.asarray(kept, np.float64) / particles
    estimates = shares.prod(axis=1) * np.asarray(ends, np.float64) / particles
    return Split(_student(estimates, level), tuple(estimates.tolist()), tuple(shares.mean(axis=0).tolist()))


def _broken(protocol: Protocol, roster: Roster, about: Property) -> np.ndarray:
    """Whether the property is broken, by how many nodes carry the marks 1, 2, ..; the others carry mark 0."""
    shape = (roster.honest + 1,) * (about.marks - 1)
    if np.prod(shape, dtype=float) > CASES:
        raise Refusal(
            f"{roster.honest} nodes can carry {about.marks} marks in more ways than splitting keeps in a table"
        )
    counts = np.indices(shape).reshape(about.marks - 1, -1).T
    counts = np.concatenate([roster.honest - counts.sum(axis=1, keepdims=True), counts], axis=1)
    return ~np.asarray(about.holds(protocol, roster, counts), bool).reshape(shape)


def _student(estimates: np.ndarray, level: float) -> Interval:
    from scipy.special import stdtrit

    middle, number = float(estimates.mean()), len(estimates)
    if middle == 0:
        return Interval(0.0, 0.0, 1.0)
    reach = float(stdtrit(number - 1, (1 + level) / 2) * estimates.std(ddof=1) / np.sqrt(number))
    return Interval(middle, max(0.0, middle - reach), min(1.0, middle + reach))


@eqx.filter_jit
def _repeated(
    keys: Array,
    protocol: Protocol,
    fault: Fault,
    alive: Alive | None,
    mark: Any,
    table: Bool[Array, "..."],
    proposal: Int[Array, " N"],
    particles: int,
) -> tuple[Int[Array, " K"], Int[Array, "K R"]]:
    """(how many particles end in a breach, how many each round kept)."""

    def broken(ballots: PyTree) -> Bool[Array, ""]:
        decision = jax.vmap(protocol.decide)(ballots)[0]
        marked = jax.vmap(mark, (None, 0, 0))(protocol, proposal, decision)
        return table[tuple(jnp.sum(marked == one) for one in range(1, table.ndim + 1))]

    def living(ballots: PyTree, round_: Int[Array, ""]) -> Bool[Array, ""]:
        if alive is not None:
            return alive(protocol, round_, ballots)
        return ~jnp.all(jax.vmap(protocol.settled)(ballots)) | broken(ballots)

    def once(key: Key) -> tuple[Array, Array]:
        state = jax.vmap(lambda k: _begun(k, protocol, fault, proposal))(
            jax.random.split(jax.random.fold_in(key, 0), particles)
        )

        def one_round(state: PyTree, round_: Int[Array, ""]) -> tuple[PyTree, Int[Array, ""]]:
            key_now = jax.random.fold_in(key, round_ + 1)
            each = jax.random.split(jax.random.fold_in(key_now, 0), particles)
            state = jax.vmap(lambda k, s: _round(k, protocol, fault, s, round_))(each, state)
            live = jax.vmap(living, (0, None))(state[0], round_)
            kept = jnp.sum(live)
            order = jnp.argsort(~live)  # the living first
            drawn = jax.random.randint(jax.random.fold_in(key_now, 1), (particles,), 0, jnp.maximum(kept, 1))
            index = jnp.where(kept == particles, jnp.arange(particles), order[drawn])  # nobody fell: nothing to draw
            return jax.tree.map(lambda leaf: leaf[index], state), kept

        state, kept = jax.lax.scan(one_round, state, jnp.arange(protocol.rounds))
        return jnp.sum(jax.vmap(broken)(state[0])), kept

    return jax.lax.map(once, keys)


def _begun(key: Key, protocol: Protocol, fault: Fault, proposal: Array) -> tuple[PyTree, PyTree]:
    keys, people = jax.random.split(key, 3), proposal.shape[0]
    lasting = boot(keys[0], protocol, people)
    ballots = jax.vmap(protocol.propose, axis_size=people)(node_keys(keys[1], people), lasting, proposal)
    return ballots, fault.reset(keys[2], people)


def _round(
    key: Key, protocol: Protocol, fault: Fault, state: tuple[PyTree, PyTree], round_: Int[Array, ""]
) -> tuple[PyTree, PyTree]:
    """One round of `comms.converse`, by the same ways of mail."""
    ballots, rot = state
    keys, people = jax.random.split(key, 3), jax.tree.leaves(ballots)[0].shape[0]
    sent, speaks = jax.vmap(protocol.send)(ballots), jax.vmap(protocol.speaks)(ballots)
    coin, mine = jax.random.bits(keys[0], dtype=jnp.uint32), node_keys(keys[1], people)
    if isinstance(protocol, TallyProtocol):
        rot, total, _ = tally(keys[2], round_, sent, speaks, fault, rot, None)
        each = jax.tree.map(lambda whole, leaf: 0 if whole.ndim == leaf.ndim else None, total, sent)
        return jax.vmap(protocol.hear, (0, 0, each, None))(mine, ballots, total, coin), rot
    links = with_extras(complete(people, fault.extras), fault.extras)
    rot, mail, _ = exchange(keys[2], round_, sent, speaks, links, fault, rot, None)
    mail = mail._replace(coin=jnp.broadcast_to(coin, people))
    return jax.vmap(protocol.receive)(mine, ballots, mail), rot
