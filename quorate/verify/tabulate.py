"""A protocol's own functions, tried on everything that can reach them: what `automaton` and `explore` are made of."""

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval
from jaxtyping import PyTree

from quorate.core import Property, Protocol
from quorate.errors import Refusal
from quorate.numerics.rational import WORDS, chance

GRID = np.unique(  # words of the coin at which its meaning is looked up: evenly, and close to both ends
    np.concatenate([np.linspace(0, WORDS - 1, 257), 2.0 ** np.arange(32), WORDS - 1 - 2.0 ** np.arange(32)]).astype(
        np.uint32
    )
)
MEANINGS = 64  # of one round's coin, at most
PROBES = np.random.default_rng(32).integers(0, WORDS, 128, dtype=np.uint32)  # words that a found meaning must hold for
WINDOW = 16  # words that are looked up at once
KEY = 0  # of a protocol that throws no dice any key is as good


def key() -> Any:
    return jax.random.key(KEY)


_DICE: dict[Any, bool] = {}


def no_dice(protocol: Any, what: str, *args: Any) -> None:
    """Refuses a protocol whose method `what` makes anything of its key: the key is traced through the program, so
    dice that fall alike most of the time are seen too."""
    leaves, structure = jax.tree.flatten((protocol, args))
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    if (what, structure, shapes) not in _DICE:
        program = jax.make_jaxpr(lambda key, part, given: getattr(part, what)(key, *given))(key(), protocol, args).jaxpr
        _DICE[what, structure, shapes] = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))[1][0]
    if _DICE[what, structure, shapes]:
        name = type(getattr(protocol, "protocol", protocol)).__name__
        raise Refusal(f"{name} throws dice of its own in {what}; it cannot be solved exactly, only sampled")


# ----------------------------------------------------------------------------------------------------- rows of trees


def size_of(tree: PyTree) -> int:
    leaves = jax.tree.leaves(tree)
    return leaves[0].shape[0] if leaves else 1


def byte_rows(tree: PyTree) -> np.ndarray:
    """Each row of a tree as its bytes, [M, bytes]."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    parts = [np.ascontiguousarray(leaf.reshape(leaf.shape[0], -1)).view(np.uint8) for leaf in leaves]
    return np.concatenate(parts, axis=1)


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index of the first of each distinct row, in order of appearance; which of them each row is)."""
    rows = np.ascontiguousarray(rows)
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, back = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[back.ravel()]


def unique(tree: PyTree) -> tuple[PyTree, np.ndarray]:
    first, back = distinct(byte_rows(tree))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[first], tree), back


def padded(tree: PyTree, step: int) -> PyTree:
    """Rows repeated up to a multiple of `step`, so that rounds and sizes share one compilation."""
    size = size_of(tree)
    index = np.minimum(np.arange(-(-size // step) * step), size - 1)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


# ---------------------------------------------------------------------------------------------- a protocol's functions


@partial(jax.jit, static_argnums=2)
def _booted(protocol: Protocol, key: Any, honest: int) -> PyTree:
    return jax.vmap(protocol.boot, (None, 0))(key, jnp.arange(honest))


def booted(protocol: Protocol, honest: int) -> PyTree:
    """What every node keeps before the first tick, leaves [N, ...]."""
    no_dice(protocol, "boot", jnp.int32(0))
    return _booted(protocol, key(), honest)


@partial(jax.jit, static_argnums=4)
def _opened(protocol: Protocol, key: Any, states: PyTree, values: Any, number: int) -> PyTree:
    each = jax.vmap(protocol.propose, (None, None, 0))
    return jax.vmap(each, (None, 0, None), axis_size=number)(key, states, values)


def opened(protocol: Protocol, states: PyTree, values: Sequence[int], number: int) -> PyTree:
    """The ballot of each of `number` states for each proposal, leaves [states times values, ...]."""
    proposals = jnp.asarray(values, jnp.int32)
    no_dice(protocol, "propose", jax.tree.map(lambda leaf: leaf[0], states), proposals[0])
    ballots = _opened(protocol, key(), states, proposals, number)
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), ballots)


@jax.jit
def _decided(protocol: Protocol, ballots: PyTree) -> tuple[PyTree, Any]:
    return jax.vmap(lambda ballot: protocol.decide(ballot)[0])(ballots), jax.vmap(protocol.settled)(ballots)


def decided(protocol: Protocol, ballots: PyTree) -> tuple[PyTree, np.ndarray]:
    """(what each ballot decides, whether it is settled)."""
    size = size_of(ballots)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:size], _decided(protocol, padded(ballots, 8)))


@partial(jax.jit, static_argnums=0)
def _marked(mark: Callable, protocol: Protocol, values: Any, decisions: PyTree) -> Any:
    return jax.vmap(mark, (None, 0, 0))(protocol, values, decisions)


def marked(about: Property, protocol: Protocol, values: Any, decisions: PyTree) -> np.ndarray:
    """How a property marks nodes that proposed `values` [M] and decided so. Errors: `Refusal` for marks that it does
    not have."""
    told = padded((np.asarray(values, np.int32), decisions), 8)
    marks = np.asarray(_marked(about.mark, protocol, *told))[: len(values)].astype(np.int64)
    if ((marks < 0) | (marks >= about.marks)).any():
        found = f"{marks.min()} to {marks.max()}"
        raise Refusal(f"a property of {type(protocol).__name__} has {about.marks} marks and gives marks from {found}")
    return marks


def _after(protocol: Any, key: Any, ballots: PyTree, totals: PyTree, coin: Any) -> PyTree:
    """The ballot after hearing each total, leaves [ballots, totals, ...]."""
    hear = jax.vmap(protocol.hear, (None, None, 0, None))
    return jax.vmap(hear, (None, 0, None, None))(key, ballots, totals, coin)


_heard = jax.vmap(_after, (None, None, None, None, 0))


@jax.jit
def _voices(protocol: Any, ballots: PyTree) -> tuple[PyTree, Any, Any]:
    return jax.vmap(protocol.send)(ballots), jax.vmap(protocol.speaks)(ballots), jax.vmap(protocol.settled)(ballots)


def voices(protocol: Any, ballots: PyTree) -> tuple[PyTree, np.ndarray, np.ndarray]:
    """(what each ballot sends, whether it speaks, whether it is settled)."""
    size = size_of(ballots)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:size], _voices(protocol, padded(ballots, 8)))


def messages(protocol: Any, ballots: PyTree) -> PyTree:
    """The shapes of what ballots send."""
    return jax.eval_shape(_voices, protocol, ballots)[0]


def _differ(one: PyTree, other: PyTree) -> Any:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return jnp.any(jnp.stack([jnp.any(a != b) for a, b in pairs]))


def _rows_differ(one: PyTree, other: PyTree) -> Any:
    """[M]: which rows of two trees differ somewhere."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return jnp.any(jnp.stack([jnp.any((a != b).reshape(a.shape[0], -1), axis=1) for a, b in pairs]), axis=0)


@jax.jit
def _steps(protocol: Any, key: Any, ballots: PyTree, totals: PyTree) -> Any:
    """Between which neighbours in `GRID` the meaning of the coin changes, for some ballot and total."""

    def window(words: Any) -> Any:
        after = _heard(protocol, key, ballots, totals, words)
        before, behind = (jax.tree.map(lambda leaf, cut=cut: leaf[cut], after) for cut in (slice(-1), slice(1, None)))
        return _rows_differ(before, behind)

    edges = np.minimum(np.arange(0, len(GRID) - 1, WINDOW)[:, None] + np.arange(WINDOW + 1), len(GRID) - 1)
    return jax.lax.map(window, GRID[edges]).reshape(-1)[: len(GRID) - 1]


@jax.jit
def _table(protocol: Any, key: Any, ballots: PyTree, totals: PyTree, words: Any, meant: Any) -> tuple[PyTree, Any]:
    """The ballot after hearing each total with each of `words`, leaves [words, ballots, totals, ...]; and whether some
    word of `PROBES` means something else than row meant[i] of it."""
    table = _heard(protocol, key, ballots, totals, words)

    def window(given: tuple[Any, Any]) -> Any:
        after = _heard(protocol, key, ballots, totals, given[0])
        return jnp.any(_rows_differ(after, jax.tree.map(lambda leaf: leaf[given[1]], table)))

    return table, jnp.any(jax.lax.map(window, (PROBES.reshape(-1, WINDOW), meant.reshape(-1, WINDOW))))


@jax.jit
def _change(protocol: Any, key: Any, ballots: PyTree, totals: PyTree, low: Any, high: Any) -> tuple[Any, Any]:
    """The first word in (low, high] at which a change of meaning since `low` is seen by bisection, and whether the
    meaning changes again up to `high`."""
    at_low, at_high = (_after(protocol, key, ballots, totals, coin) for coin in (low, high))

    def halve(_: int, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = low + (high - low) // 2
        other = _differ(at_low, _after(protocol, key, ballots, totals, middle))
        return jnp.where(other, low, middle), jnp.where(other, middle, high)

    found = jax.lax.fori_loop(0, 32, halve, (low, high))[1]
    return found, _differ(_after(protocol, key, ballots, totals, found), at_high)


def written(protocol: Any, ballots: PyTree, totals: PyTree) -> tuple[tuple[int, ...], np.ndarray, PyTree]:
    """One round: where the coin's meaning changes, the successor of each [meaning, ballot, total], and the ballots
    that they are.

    Changes are found by bisection between the words of `GRID`; 128 further words must mean what their neighbours do, so
    a meaning that is scattered over many words (the lowest bit, say) is refused and not mistaken. Errors: `Refusal`
    for that, for more than 64 meanings, and for a protocol that throws dice.
    """
    name = type(getattr(protocol, "protocol", protocol)).__name__
    sizes = size_of(ballots), size_of(totals)
    told = protocol, key(), padded(ballots, 4), padded(totals, 32)
    no_dice(protocol, "hear", *(jax.tree.map(lambda leaf: leaf[0], part) for part in told[2:]), GRID[0])
    cuts = [0]
    for index in np.flatnonzero(_steps(*told)):
        more, low = True, GRID[index]
        while more:
            low, more = _change(*told, low, GRID[index + 1])
            cuts.append(int(low))
            if len(cuts) > MEANINGS:
                raise Refusal(f"the coin of {name} has more than {MEANINGS} meanings; it cannot be solved exactly")
    words = np.array(cuts + [cuts[-1]] * (-len(cuts) % 4), np.uint32)
    table, strange = _table(*told, words, np.searchsorted(cuts, PROBES, side="right") - 1)
    if strange:
        raise Refusal(
            f"the coin of {name} changes its meaning more often than can be seen; read it by thresholds (coin < c)"
        )
    heard = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(cuts), : sizes[0], : sizes[1]], table)
    following, back = unique(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[3:]), heard))
    return tuple(cuts), back.reshape(len(cuts), *sizes), following


def meanings(cuts: tuple[int, ...], onward: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """Neighbouring meanings that no class tells apart become one."""
    keep = [0] + [i for i in range(1, len(cuts)) if not np.array_equal(onward[i], onward[i - 1])]
    return tuple(cuts[i] for i in keep), onward[keep]


def shares_of(cuts: tuple[int, ...]) -> tuple[Fraction, ...]:
    ends = [Fraction(0), *(chance(cut) for cut in cuts[1:]), Fraction(1)]
    return tuple(high - low for low, high in itertools.pairwise(ends))
