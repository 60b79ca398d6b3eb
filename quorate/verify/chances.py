"""The exact chance of a breach under one given attacker: every course of the coin is played through the protocol's own
methods."""

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt32

from quorate import comms
from quorate.core import Fault, Property, Roster, TallyProtocol
from quorate.errors import Refusal
from quorate.verify.automaton import Automaton
from quorate.verify.exact import compositions
from quorate.verify.tabulate import distinct

MOST = 4096  # courses of the coin, and starts, that are played out


class Case(NamedTuple):
    """What is attacked: a protocol, who takes part, the property to break, where it starts and what its coin can do."""

    protocol: TallyProtocol
    roster: Roster
    about: Property
    starts: np.ndarray  # [S, N]: what each node proposes, wherever the property speaks of it
    words: np.ndarray  # uint32[C, R]: the coins of each course
    shares: tuple[Fraction, ...]  # [C]: how likely each course is


def case(protocol: TallyProtocol, roster: Roster, about: Property, values: Sequence[int], machine: Automaton) -> Case:
    """Every start that differs and of which the property speaks, and every course of the coin that differs. `machine`
    is asked only where the coin's meaning changes and from where on it has none.

    Errors: `Refusal` for a property that speaks of no start.
    """
    every = starts(protocol, roster.honest, values)
    proposed = np.stack([(every == value).sum(axis=1) for value in values], axis=1)
    counts = np.asarray(about.when(protocol, roster, proposed), bool)
    if not counts.any():
        raise Refusal(f'"{about.words(protocol, roster)}" speaks of no start; there is nothing to attack')
    words, shares = courses(machine)
    return Case(protocol, roster, about, every[counts], words, shares)


def courses(machine: Automaton) -> tuple[np.ndarray, tuple[Fraction, ...]]:
    """The coin's words in every course that it can take, uint32[C, R], and how likely each is. A course is not told
    apart any further once neither coins nor mail can change anything.

    Errors: `Refusal` for more than 4096 courses.
    """
    still = _still(machine)
    found: list[tuple[tuple[int, ...], Fraction]] = []
    open_: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    for number, stage in enumerate(machine.rounds):
        longer = []
        for (words, share), (c, cut) in itertools.product(open_, enumerate(stage.cuts)):
            course = (*words, cut), share * stage.shares[c]
            (found if still[number + 1][stage.then[c]].all() else longer).append(course)
        open_ = longer
        if len(open_) + len(found) > MOST:
            raise Refusal(f"the coin can take more than {MOST} courses; a plan cannot be played against each of them")
    found += open_
    table = np.zeros((len(found), len(machine.rounds)), np.uint32)
    for row, (words, _) in zip(table, found, strict=True):
        row[: len(words)] = words
    return table, tuple(share for _, share in found)


def _still(machine: Automaton) -> list[np.ndarray]:
    """By round: which classes have only one future."""
    still = [np.ones(machine.marks.shape[1], bool)]
    for stage in reversed(machine.rounds):
        onward = np.moveaxis(stage.then, 1, 0).reshape(len(stage.says), -1)
        still.append((onward == onward[:, :1]).all(axis=1) & still[-1][onward[:, 0]])
    return still[::-1]


def starts(protocol: TallyProtocol, honest: int, values: Sequence[int]) -> np.ndarray:
    """Every way to hand out proposals, up to exchanging nodes to which `boot` gives the same: int32[S, N].

    Errors: `Refusal` for more than 4096 of them.
    """
    key = jax.random.key(0)
    state = jax.vmap(lambda me: protocol.boot(key, me))(jnp.arange(honest))
    leaves = [np.asarray(leaf).reshape(honest, -1) for leaf in jax.tree.leaves(state)]
    kind = distinct(np.concatenate([leaf.view(np.uint8) for leaf in leaves], axis=1))[1] if leaves else np.zeros(honest)
    ways = [compositions(int((kind == k).sum()), len(values))[::-1] for k in range(int(kind.max()) + 1)]
    number = np.prod([float(len(way)) for way in ways])
    if number > MOST:
        raise Refusal(f"there are {number:.0f} starts that differ; at most {MOST} are attacked one by one")
    found = []
    for split in itertools.product(*ways):
        proposal = np.zeros(honest, np.int32)
        for k, counts in enumerate(split):
            proposal[kind == k] = np.repeat(np.asarray(values), counts[::-1])
        found.append(proposal)
    return np.stack(sorted(found, key=lambda proposal: int((proposal == values[-1]).sum())))


def play(protocol: TallyProtocol, fault: Fault, proposal: Int[Array, " N"], words: UInt32[Array, " R"]) -> PyTree:
    """One conversation with the coins given: decisions [N, ...]. The fault draws what it draws from one fixed key."""
    num_agents = proposal.shape[0]
    key = jax.random.key(0)
    keys = comms.node_keys(key, num_agents)
    ballot = jax.vmap(protocol.propose)(keys, comms.boot(key, protocol, num_agents), proposal)

    def one_round(carry: tuple, now: tuple) -> tuple[tuple, None]:
        ballot, state = carry
        index, word = now
        sent, speaks = jax.vmap(protocol.send)(ballot), jax.vmap(protocol.speaks)(ballot)
        state, total, _ = comms.tally(jax.random.fold_in(key, index), index, sent, speaks, fault, state, None)
        each = jax.tree.map(lambda whole, leaf: 0 if whole.ndim == leaf.ndim else None, total, sent)
        return (jax.vmap(protocol.hear, (0, 0, each, None))(keys, ballot, total, word), state), None

    begin = ballot, fault.update(key, fault.reset(key, num_agents), jnp.int32(0))
    (ballot, _), _ = jax.lax.scan(one_round, begin, (jnp.arange(words.shape[0]), words))
    return jax.vmap(protocol.decide)(ballot)[0]


@eqx.filter_jit
def _marked(protocol: Any, mark: Callable, marks: int, fault: Fault, axis: int | None, starts: Any, words: Any) -> Any:
    """How many nodes carry each mark at the end, int32[P, C, marks]."""

    def one(fault: Fault, proposal: Array, words: Array) -> Array:
        decision = play(protocol, fault, proposal, words)
        marked = jax.vmap(lambda p, d: mark(protocol, p, d))(proposal, decision)
        return jnp.sum(marked[:, None] == jnp.arange(marks)[None, :], axis=0, dtype=jnp.int32)

    over_coins = eqx.filter_vmap(one, in_axes=(None, None, 0))
    return eqx.filter_vmap(over_coins, in_axes=(eqx.if_array(axis) if axis == 0 else None, 0, None))(
        fault, starts, words
    )


def breached(case: Case, fault: Fault, proposals: np.ndarray, each: bool = False) -> np.ndarray:
    """Whether the property is broken, bool[P, C], at the end of every course of the coin from each of `proposals`
    [P, N]. With `each`, the arrays of `fault` lead with P: an attacker for each."""
    counts = _marked(
        case.protocol, case.about.mark, case.about.marks, fault, 0 if each else None, proposals, case.words
    )
    return ~np.asarray(case.about.holds(case.protocol, case.roster, np.asarray(counts)), bool)


def chances(case: Case, fault: Fault, proposals: np.ndarray, each: bool = False) -> list[Fraction]:
    """The chance of a breach from each of `proposals` under an attacker that throws no dice, exactly: the sum of the
    shares of all courses that end in one."""
    bad = breached(case, fault, proposals, each)
    return [sum((share for share, b in zip(case.shares, row, strict=True) if b), Fraction(0)) for row in bad]
