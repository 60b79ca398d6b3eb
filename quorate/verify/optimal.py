"""The strongest attacker as a fault: what a solved game says to do, looked up by round and by how many say yes."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from quorate.core import CountingAttack, swept
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.faults.counting import votes
from quorate.verify.automaton import Round
from quorate.verify.exact import Game, compositions


class OptimalAttack(CountingAttack):
    """Plays a solved game: in each round a table says how many of those who say yes, and of those who say no, are told
    how much.

    told    int32[R, N + 1, 2, L]: of the receivers who say no (0) or yes (1) in round r, where y in all say yes, the
            first told[r, y, s, 0] by index hear no false yes, the next one, and so on; cumulative, L = t + 1

    It needs no memory: the position follows from the round and from y (`optimal` refuses games where it does not).
    Its attackers are talkers from outside, as in the game. Cost: O(N t) and one cumulative sum a round, meant for
    populations that can be solved.

    >>> from quorate.verify.check import instance
    >>> from quorate.verify.exact import solve
    >>> entry, vote, roster, _ = instance("hidden_stop_vote", False, {"n": 4, "k": 3, "max_rounds": 5})
    >>> optimal(solve(vote, roster, entry.values, entry.properties)).told.shape
    (5, 5, 2, 2)
    """

    told: Int[Array, "R N_and_1 2 L"] = swept(jnp.int32)

    def lies(self, key, state, tally):
        rounds, most = self.told.shape[0], self.told.shape[1] - 1
        if tally.forged.shape[0] != most:
            raise Refusal(f"the attack was solved for {most} nodes; {tally.forged.shape[0]} agents hear")
        said = votes(tally.sent)
        row = self.told[jnp.minimum(tally.round, rounds - 1), jnp.sum(said, dtype=jnp.int32)]  # [2, L]
        rank = jnp.where(said, jnp.cumsum(said), jnp.cumsum(~said))  # from 1, among those who say the same
        ends = jnp.where(said[None, :], row[1][:, None], row[0][:, None])  # [L, N]
        return state, jnp.sum(rank[None, :] > ends, axis=0, dtype=jnp.int32)


class Way(NamedTuple):
    """A best way to lie at a position: how many nodes of each class are told each number, and the chance it gives."""

    told: np.ndarray  # [K, L]
    chance: Fraction


def optimal(game: Game, index: int = 0) -> OptimalAttack:
    """The attacker that reaches the game's answer for property `index` from every start.

    Attackers see the honest mail, not the nodes' state. So wherever a choice matters, the number of yes must tell the
    position, and what a node says its class.

    Errors: `Refusal` where it does not, for messages of more than one yes or no, and for a "sometimes", which
    attackers have no part in.
    """
    name, about, machine = type(game.protocol).__name__, game.properties[index], game.machine
    if about.kind == SOMETIMES:
        raise Refusal('a "sometimes" speaks of runs in which liars are silent; no attack belongs to it')
    if any(stage.says.shape[1] != 1 for stage in machine.rounds):
        raise Refusal(f"{name} sends more than one yes or no; the attackers forge one")
    honest, liars = game.roster
    told = np.zeros((len(machine.rounds), honest + 1, 2, liars + 1), np.int64)
    owner: dict[tuple[int, int], np.ndarray] = {}
    for number, state, way in _courses(game, index):
        stage = machine.rounds[number]
        says = stage.says[:, 0]
        seen, present = int(state @ says), state > 0
        alike = number, seen
        table = np.stack([way.told[present & (says == said)].sum(axis=0) for said in (0, 1)])
        classes = [int((present & (says == said)).sum()) for said in (0, 1)]
        if max(classes) > 1 or (alike in owner and not np.array_equal(owner[alike], table)):
            why = f"in round {number + 1} nodes that differ say the same" if max(classes) > 1 else (
                f"in round {number + 1} two positions look alike, with {seen} who say yes")  # fmt: skip
            raise Refusal(
                f"{name} cannot be attacked by looks alone: {why}",
                "write the plan out for a start of your choice: quorate.faults.Scripted(plan=...)",
            )
        owner[alike] = told[number, seen] = table
    return OptimalAttack(told=np.cumsum(told, axis=-1), extras=liars)


def _courses(game: Game, index: int) -> Iterator[tuple[int, np.ndarray, Way]]:
    """(round, position, best way) for every position that the best ways reach, from any start, and where a choice
    matters."""
    layers, machine = game.layers, game.machine
    where = {id(layer): _numbered(layer.states) for layer in layers}
    ahead = {tuple(map(int, state)) for state in game.starts}
    for number, stage in enumerate(machine.rounds):
        following: set[tuple[int, ...]] = set()
        answer, after = game.answers[index], where[id(layers[number + 1])]
        values, unit = answer.values[number + 1], answer.units[number + 1]
        for place in sorted(ahead):
            state = np.array(place)
            way, options, reached = _best(stage, state, game.roster.liars, values, unit, after)
            stored = Fraction(int(answer.values[number][where[id(layers[number])][place]]), answer.units[number])
            if way.chance != stored:
                raise AssertionError(f"round {number + 1}, {place}: the best way gives {way.chance}, not {stored}")
            following |= reached
            if options > 1:
                yield number, state, way
        ahead = following


def _numbered(states: np.ndarray) -> dict[tuple[int, ...], int]:
    return {tuple(map(int, state)): i for i, state in enumerate(states)}


def _best(
    stage: Round, state: np.ndarray, liars: int, values: np.ndarray, unit: int, after: dict[tuple[int, ...], int]
) -> tuple[Way, int, set[tuple[int, ...]]]:
    """The best way to lie at a position, how many there are that differ in value, and the positions it leads to."""
    total, meanings, width = int(state @ stage.says[:, 0]), len(stage.shares), len(next(iter(after)))
    next_states = np.zeros((1, meanings, width), np.int64)
    plans = np.zeros((1, len(state), liars + 1), np.int64)
    for kind in np.flatnonzero(state):
        rows = stage.then[:, kind, total : total + liars + 1].T  # [lies, C]
        _, first = np.unique(rows, axis=0, return_index=True)
        split = compositions(int(state[kind]), len(first))
        onto = (rows[first][:, :, None] == np.arange(width)).astype(np.int64)  # [ways, C, K]
        more = np.einsum("sw,wck->sck", split, onto)
        next_states = (next_states[:, None] + more[None]).reshape(-1, meanings, width)
        choice = np.zeros((len(split), len(state), liars + 1), np.int64)
        choice[:, kind, first] = split
        plans = (plans[:, None] + choice[None]).reshape(-1, len(state), liars + 1)
    flat = [[after[tuple(row)] for row in way] for way in next_states.tolist()]
    worth = [sum(share * int(values[s]) for share, s in zip(stage.shares, way, strict=True)) for way in flat]
    best = max(range(len(worth)), key=worth.__getitem__)
    reached = {tuple(row) for row in next_states[best].tolist()}
    return Way(plans[best], Fraction(worth[best]) / unit), len(set(worth)), reached
