"""One play of a protocol, in words and as a space-time diagram."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import TallyProtocol
from quorate.report import spacetime as drawn
from quorate.verify.play import Play


def says_yes(message: Any) -> bool:
    """Whether a message says yes."""
    return message is not None and any(bool(np.any(part)) for part in message)


def acts(decision: Any) -> bool:
    """Whether a decision is one to act."""
    return bool(np.any(np.asarray(decision) > 0))


def number_of(heard: tuple[Any, ...]) -> str:
    """A count of votes, by leaf of the message."""
    return ",".join(str(part) for part in heard) if heard else "-"


def watched(play: Play, r: int, needed: list[list[int | None]] | None) -> list[int]:
    """The nodes for which it matters what they hear in round r; all where that is not known."""
    everyone = list(range(play.roster.honest))
    return [i for i in everyone if needed and needed[r][i] is not None] or everyone


def said_by_liars(play: Play, r: int, nodes: Sequence[int]) -> str:
    """What the liars tell these nodes, in a few words."""
    turn, t = play.turns[r], play.roster.liars
    yes = [sum(map(says_yes, turn.lies[i])) for i in nodes]
    if not t:
        return "there are none"
    if len(set(yes)) == 1:
        return "yes to all" if yes[0] == t else "nothing" if not yes[0] else f"{yes[0]} of {t} say yes to all"
    high, low = max(yes), min(yes)
    told = "yes" if high == t else f"{high} yes"
    rest = "no" if not low else f"{low} yes"
    return f"{told} to {yes.count(high)}, {rest} to {len(yes) - yes.count(high)}"


def thresholds(protocol: Any, play: Play) -> list[list[int | None]] | None:
    """By round and node, the least number of votes with which it would have gone on saying yes (or would act, where
    all is over); None where no number does, or where it reads its mail one by one."""
    if not isinstance(protocol, TallyProtocol) or any(len(turn.heard[0]) != 1 for turn in play.turns):
        return None
    n, key = play.roster.honest, jax.random.key(0)
    most = jnp.arange(n + play.roster.liars + 1, dtype=jnp.int32)
    ballots = jax.vmap(lambda me, x: protocol.propose(key, protocol.boot(key, me), x))(
        jnp.arange(n), jnp.asarray(play.proposals, jnp.int32)
    )
    structure = jax.tree.structure(jax.eval_shape(jax.vmap(protocol.send), ballots))

    def total(votes: Any) -> Any:
        return jax.tree.unflatten(structure, [votes])

    @jax.jit
    def one(ballots: Any, heard: Any, word: Any, final: Any) -> tuple[Any, Any]:
        def tried(ballot: Any, votes: Any) -> Any:
            after = protocol.hear(key, ballot, total(votes), word)
            says = jnp.any(jnp.stack(jax.tree.leaves(protocol.send(after)))) & protocol.speaks(after)
            decides = jnp.any(jnp.stack([jnp.any(leaf > 0) for leaf in jax.tree.leaves(protocol.decide(after)[0])]))
            return jnp.where(final | protocol.settled(after), decides, says)

        on = jax.vmap(lambda ballot: jax.vmap(lambda votes: tried(ballot, votes))(most))(ballots)
        return on, jax.vmap(lambda ballot, votes: protocol.hear(key, ballot, total(votes), word))(ballots, heard)

    found = []
    for r, turn in enumerate(play.turns):
        heard = jnp.asarray([votes[0] for votes in turn.heard], jnp.int32)
        on, ballots = one(ballots, heard, jnp.uint32(turn.word), jnp.array(r == protocol.rounds - 1))
        found.append([int(np.argmax(row)) if row.any() else None for row in np.asarray(on)])
    return found


def told_in_space(protocol: Any, play: Play, bad: bool) -> drawn.Play:
    """A play as `report.spacetime` draws it."""
    n, t = play.roster
    lanes = [drawn.Lane(f"node {i + 1}", "honest") for i in range(n)]
    lanes += [drawn.Lane(f"liar {j + 1}" if t > 1 else "liar", "liar") for j in range(t)]
    needed, rounds = thresholds(protocol, play), []
    for r, turn in enumerate(play.turns):
        says = [drawn.Says(i, k, says_yes(turn.said[i])) for i in range(n) for k in range(n) if i != k and turn.said[i]]
        says += [drawn.Says(n + j, i, says_yes(turn.lies[i][j])) for i in range(n) for j in range(t)]
        counts = []
        for i in range(n):
            if needed is not None and needed[r][i] is not None:
                votes = int(turn.heard[i][0])
                counts.append(drawn.Count(i, votes, needed[r][i], votes >= needed[r][i]))
        rounds.append(drawn.Round(r == len(play.turns) - 1 and all(turn.settled), says, counts))
    acting = sum(1 for decision in play.decisions if acts(decision))
    decisions = [drawn.Decision(i, acts(decision)) for i, decision in enumerate(play.decisions)]
    verdict = f"{acting} of {n} act" if acting else "nobody acts"
    return drawn.Play(lanes, rounds, decisions, verdict, bad)
