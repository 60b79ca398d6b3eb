"""How one receiver reads its mail, written out in tables: for protocols that hear sums and for those that read who said
what."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree, UInt32

from quorate.core import Inbox, Key, Protocol, Roster
from quorate.verify import tabulate
from quorate.verify.play import Message

LETTERS = 6  # yes-no parts of a message that are tried in all ways


class View(NamedTuple):
    """What one receiver has before liars speak."""

    ballot: PyTree
    payload: PyTree  # [N, ...]; zero where nothing is said
    heard: Bool[Array, " N"]


class Lie(NamedTuple):
    """What all liars tell one receiver."""

    payload: PyTree  # [liars, ...]
    heard: Bool[Array, " liars"]


class Reading(eqx.Module):
    """A protocol that reads its mail one by one, in the words of one that hears sums: the view is its ballot, the lie
    its total. So the tables of `automaton` are made of it too."""

    protocol: Protocol

    def hear(self, key: Key, ballot: View, total: Lie, coin: UInt32[Array, ""]) -> PyTree:
        def joined(true: Array, lie: Array) -> Array:
            return jnp.concatenate([true, lie.astype(true.dtype)])

        heard = joined(ballot.heard, total.heard)
        payload = jax.tree.map(joined, ballot.payload, total.payload)
        inbox = Inbox(payload, jnp.arange(heard.shape[0], dtype=jnp.int32), heard, coin)
        return self.protocol.receive(key, ballot.ballot, inbox)


def alphabet(protocol: Protocol, roster: Roster, values: Sequence[int], messages: Sequence[Message]) -> tuple:
    """What liars may say at first: nothing, of a few yes and no all there is, else what is `sayable` when nodes have
    just proposed, and `messages`."""
    ballots, _ = begun(protocol, roster, tuple(values), np.zeros((1, roster.honest), np.int64))
    if complete(protocol, ballots):
        letters = len(jax.tree.leaves(tabulate.messages(protocol, ballots)))
        known = list(itertools.product((False, True), repeat=letters))
    else:
        known = sayable(protocol, ballots)
    return tuple(dict.fromkeys([None, *known, *(message for message in messages if message is not None)]))


def complete(protocol: Protocol, ballots: PyTree) -> bool:
    """Whether messages are a few yes and no, so that all there are can be tried."""
    leaves = jax.tree.leaves(tabulate.messages(protocol, ballots))
    return 0 < len(leaves) <= LETTERS and all(leaf.dtype == bool and leaf.ndim == 1 for leaf in leaves)


def sayable(protocol: Protocol, ballots: PyTree) -> list[Message]:
    """What the ballots say; and the same with each part that is whole numbers replaced by the smallest and by the
    largest of its type, which are below and above all that is said."""
    said, speaks, _ = tabulate.voices(protocol, ballots)
    leaves = [leaf[speaks] for leaf in jax.tree.leaves(said)]
    whole = [i for i, leaf in enumerate(leaves) if np.issubdtype(leaf.dtype, np.integer)]
    wide = [leaves]
    for i, end in itertools.product(whole, ("min", "max")):
        other = np.full_like(leaves[i], getattr(np.iinfo(leaves[i].dtype), end))
        wide.append([*leaves[:i], other, *leaves[i + 1 :]])
    rows = [zip(*(map(tupled, leaf.tolist()) for leaf in parts), strict=True) for parts in wide]
    return list(dict.fromkeys(itertools.chain(*rows)))


def tupled(part: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(tupled, part)) if isinstance(part, list) else part


def begun(protocol: Protocol, roster: Roster, values: tuple[int, ...], chosen: np.ndarray) -> tuple[PyTree, np.ndarray]:
    """(the ballots with which nodes begin; for each choice of values [starts, N] the code of each node: value times
    the number of ballots, plus ballot)."""
    flat = tabulate.opened(protocol, tabulate.booted(protocol, roster.honest), values, roster.honest)
    pool, back = tabulate.unique(flat)
    ballot = back.reshape(roster.honest, len(values))[np.arange(roster.honest)[None, :], chosen]
    return pool, chosen * tabulate.size_of(pool) + ballot


def masked(protocol: Protocol, pool: PyTree) -> tuple[PyTree, np.ndarray]:
    """(what each ballot says, zero where it does not speak; whether it speaks)."""
    said, speaks, _ = tabulate.voices(protocol, pool)

    def quiet(leaf: np.ndarray) -> np.ndarray:
        return np.where(speaks.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, 0).astype(leaf.dtype)

    return jax.tree.map(quiet, said), speaks


def seen(protocol: Protocol, pool: PyTree, own: np.ndarray, all_: np.ndarray) -> View:
    """The views of receivers with ballots `own` [V] among nodes with ballots `all_` [V, N]."""
    said, speaks = masked(protocol, pool)
    return View(taken(pool, own), taken(said, all_), speaks[all_])


def taken(tree: PyTree, index: np.ndarray) -> PyTree:
    """Rows of a tree."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


def tellings(protocol: Protocol, pool: PyTree, alphabet: tuple[Message, ...], liars: int) -> Lie:
    """All that t liars can tell one receiver, leaves [ways, t, ...]; the first is silence."""
    leaves, structure = jax.tree.flatten(masked(protocol, pool)[0])
    heard = np.array([message is not None for message in alphabet])
    letters = [
        np.stack(
            [np.zeros(leaf.shape[1:], leaf.dtype) if m is None else np.asarray(m[i], leaf.dtype) for m in alphabet]
        )
        for i, leaf in enumerate(leaves)
    ]
    index = np.indices((len(alphabet),) * liars).reshape(liars, len(alphabet) ** liars).T
    return Lie(jax.tree.unflatten(structure, [letter[index] for letter in letters]), heard[index])


def read(protocol: Protocol, views: View, lies: Lie) -> tuple[tuple[int, ...], np.ndarray, PyTree]:
    """The ballot after each [meaning of the coin, view, way to lie]. Views are filled up to few sizes, which compile
    once."""
    number = len(views.heard)
    filled = taken(views, np.minimum(np.arange(max(64, 2 ** (number - 1).bit_length())), number - 1))
    cuts, back, following = tabulate.written(Reading(protocol), filled, lies)
    return cuts, back[:, :number], following
