"""Sampling: how often given attacks break a property, with exact intervals. A lower bound on the worst case."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from quorate.comms import boot, converse
from quorate.core import Fault, Key, Property, Protocol, Roster, TallyProtocol
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.measure.intervals import Interval, clopper_pearson

CELLS = 4_000_000  # votes in flight at once: runs of a batch times nodes, times nodes where inboxes are read
BATCH = 8192  # runs of a batch, at most


class Row(NamedTuple):
    """One cell: an attack, a property, and how many nodes propose the last value. `breaches` of `runs` broke it (of a
    "sometimes": got there); the chance that they do lies in [low, high], all cells together with the stated level."""

    attack: str
    property: int
    willing: int
    breaches: int
    runs: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.breaches / self.runs


class Sampled(NamedTuple):
    """All cells. The worst case over all attacks is at least what the tried ones reach; nothing here bounds it from
    above, however many runs there are."""

    rows: tuple[Row, ...]
    level: float

    def of(self, index: int) -> list[Row]:
        """The cells of property `index`."""
        return [row for row in self.rows if row.property == index]

    def worst(self, index: int) -> dict[int, Row]:
        """By willing nodes the cell with the highest lower bound."""
        found: dict[int, Row] = {}
        for row in self.of(index):
            if row.willing not in found or row.low > found[row.willing].low:
                found[row.willing] = row
        return found


def sample(
    protocol: Protocol,
    roster: Roster,
    values: Sequence[int],
    properties: Sequence[Property],
    attacks: Mapping[str, Fault],
    *,
    runs: int,
    seed: int = 0,
    level: float = 0.95,
) -> Sampled:
    """Plays `runs` conversations for every attack and every number of willing nodes, through `comms.converse`.

    Who the willing nodes are is drawn anew for each run; the others propose any other value. A run that starts where a
    property does not speak does not count for it. Each cell has a
    Clopper-Pearson interval at 1 - (1 - level) / cells, so all of them hold together with chance `level` (Bonferroni).
    A "sometimes" is sampled with silent liars, in cells of the attack "nobody lies".

    attacks     name -> fault with at most `roster.liars` talkers from outside, none of them a member
    runs        of each cell
    Cost: one compilation an attack; O(attacks N runs) conversations.
    Errors: `Refusal` for no attack, fewer than one run, and faults that do not fit the roster.
    """
    if runs < 1:
        raise Refusal(f"runs is {runs}; it counts conversations of each cell and must be at least 1")
    if not 0 < level < 1:
        raise Refusal(f"level is {level:g}; it must lie between 0 and 1, such as 0.95")
    tried: list[tuple[str, Fault, list[int]]] = []
    for name, fault in attacks.items():
        _fits(name, fault, roster)
        tried.append((name, fault, [i for i, about in enumerate(properties) if about.kind != SOMETIMES]))
    silent = [i for i, about in enumerate(properties) if about.kind == SOMETIMES]
    if silent:
        tried.append(("nobody lies", Fault(), silent))
    if not tried:
        raise Refusal("there is nothing to sample: no attack is given")
    found = []
    for place, (name, fault, indices) in enumerate(tried):
        key = jax.random.fold_in(jax.random.key(seed), place)
        found += [
            (name, index, willing, int(hits), int(number))
            for index, *row in _broken(key, protocol, roster, values, properties, indices, fault, runs)
            for willing, (hits, number) in enumerate(zip(*row, strict=True))
            if number
        ]
    rows = []
    for name, index, willing, hits, number in found:
        bounds = clopper_pearson(hits, number, 1 - (1 - level) / len(found))
        rows.append(Row(name, index, willing, hits, number, bounds.low, bounds.high))
    return Sampled(tuple(rows), level)


def _fits(name: str, fault: Fault, roster: Roster) -> None:
    if fault.extras > roster.liars:
        raise Refusal(f'the attack "{name}" has {fault.extras} talkers; the roster has {roster.liars} liars')
    members = fault.liars(fault.reset(jax.random.key(0), roster.honest))
    if members is not None and bool(np.any(np.asarray(members))):
        raise Refusal(f'the attack "{name}" has liars among the members; here all {roster.honest} are honest')


def _broken(
    key: Key,
    protocol: Protocol,
    roster: Roster,
    values: Sequence[int],
    properties: Sequence[Property],
    indices: Sequence[int],
    fault: Fault,
    runs: int,
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """(property, in how many runs it was broken (of a "sometimes": held), how many runs it speaks of), by number of
    willing nodes."""
    asked = [properties[index] for index in indices]
    hits, told = np.zeros((2, len(asked), roster.honest + 1), np.int64)
    willing = np.repeat(np.arange(roster.honest + 1, dtype=np.int32), runs)
    width = 1 if isinstance(protocol, TallyProtocol) else roster.honest  # an inbox for each node, or one sum for all
    batch = max(1, min(BATCH, CELLS // ((roster.honest + roster.liars) * width), len(willing)))
    marks, most = tuple(about.mark for about in asked), max((about.marks for about in asked), default=1)
    for first in range(0, len(willing), batch):
        some = np.resize(willing[first : first + batch], batch)  # the last batch is filled up, and cut below
        kept = min(batch, len(willing) - first)
        key_now, choices = jax.random.fold_in(key, first // batch), jnp.asarray(values, jnp.int32)
        counts, proposed = _counted(marks, key_now, protocol, choices, some, fault, roster.honest, most)
        proposed = np.asarray(proposed)[:kept]
        for i, (about, count) in enumerate(zip(asked, np.asarray(counts)[:, :kept], strict=True)):
            holds = np.asarray(about.holds(protocol, roster, count[:, : about.marks]), bool)
            hit, speaks = holds == (about.kind == SOMETIMES), np.asarray(about.when(protocol, roster, proposed), bool)
            hits[i] += np.bincount(some[:kept][hit & speaks], minlength=roster.honest + 1)
            told[i] += np.bincount(some[:kept][speaks], minlength=roster.honest + 1)
    return list(zip(indices, hits, told, strict=True))


@eqx.filter_jit
def _counted(
    marks: tuple,
    key: Key,
    protocol: Protocol,
    values: Int[Array, " V"],
    willing: Int[Array, " B"],
    fault: Fault,
    honest: int,
    most: int,
) -> tuple[Int[Array, "properties B marks"], Int[Array, "B V"]]:
    """(how many nodes carry each mark after one conversation for each entry of `willing`, how many proposed what)."""

    def one(key: Key, willing: Int[Array, ""]) -> PyTree:
        keys = jax.random.split(key, 6)
        rank = jax.random.permutation(keys[0], honest)
        other = jax.random.randint(keys[1], (honest,), 0, max(values.shape[0] - 1, 1))
        proposal = values[jnp.where(rank < willing, values.shape[0] - 1, other)]
        lasting, state = boot(keys[2], protocol, honest), fault.reset(keys[3], honest)
        talked = converse(keys[4], keys[5], protocol, lasting, proposal, None, fault, state, None, honest)
        marked = [jax.vmap(mark, (None, 0, 0))(protocol, proposal, talked.decision) for mark in marks]
        counts = jnp.stack([jnp.sum(row[:, None] == jnp.arange(most)[None, :], axis=0) for row in marked])
        return counts, jnp.sum(proposal[:, None] == values[None, :], axis=0)

    return jax.vmap(one, out_axes=(1, 0))(jax.random.split(key, willing.shape[0]), willing)


def interval(row: Row) -> Interval:
    """The cell as an interval.

    >>> interval(Row("silent", 0, 3, 1, 4, 0.0, 0.9))
    Interval(middle=0.25, low=0.0, high=0.9)
    """
    return Interval(row.share, row.low, row.high)
