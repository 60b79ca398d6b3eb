"""A play: who proposed what, who told whom what, what the coin said and how it ended; and the shortest of its kind."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.comms import boot, complete, converse
from quorate.core import Fault, Inbox, Key, Mail, Property, Protocol, Roster, State, add_up
from quorate.errors import Refusal
from quorate.numerics.rational import WORDS
from quorate.verify.tabulate import marked

Message = tuple[Any, ...] | None  # the leaves of a payload; None: not a word
Telling = tuple[tuple[Message, ...], ...]  # [receiver][liar]


class Turn(NamedTuple):
    """One round of a play."""

    word: int  # of the coin
    share: Fraction | None  # how likely the coin is to mean the same as this word, where that is known
    said: tuple[Message, ...]  # [node], told to all
    lies: Telling
    heard: tuple[tuple[Any, ...], ...]  # [node]: sums by leaf of the message
    after: tuple[Message, ...]  # [node]: what it would say next
    settled: tuple[bool, ...]  # [node], after the round


class Play(NamedTuple):
    """A whole play of honest nodes against liars, who are senders n, n + 1, ... Rounds after the last turn have silent
    liars, and it does not matter what the coin says in them."""

    roster: Roster
    proposals: tuple[int, ...]
    turns: tuple[Turn, ...]
    decisions: tuple[Any, ...]  # [node]

    @property
    def chance(self) -> Fraction:
        """How likely the coin goes as it does here."""
        chance = Fraction(1)
        for turn in self.turns:
            chance *= 1 if turn.share is None else turn.share
        return chance


# ------------------------------------------------------------------------------------------ played through `converse`


class _Forced(Protocol):
    """A protocol whose coin is told beforehand, with a log of what was said and heard."""

    protocol: Protocol
    words: UInt32[Array, " R"]

    @property
    def rounds(self) -> int:
        return self.protocol.rounds

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        return self.protocol.boot(key, me)

    def propose(self, key: Key, state: State, proposal: PyTree) -> PyTree:
        ballot = self.protocol.propose(key, state, proposal)
        empty = jax.eval_shape(self._entry, ballot, self._silence(ballot), ballot)
        log = jax.tree.map(lambda leaf: jnp.zeros((self.rounds, *leaf.shape), leaf.dtype), empty)
        return ballot, jnp.int32(0), log

    def send(self, ballot: PyTree) -> PyTree:
        return self.protocol.send(ballot[0])

    def speaks(self, ballot: PyTree) -> Bool[Array, ""]:
        return self.protocol.speaks(ballot[0])

    def receive(self, key: Key, ballot: PyTree, inbox: Inbox) -> PyTree:
        before, turn, log = ballot
        after = self.protocol.receive(key, before, inbox._replace(coin=self.words[turn]))
        entry = self._entry(before, jax.tree.map(add_up, inbox.payload), after)
        return after, turn + 1, jax.tree.map(lambda whole, one: whole.at[turn].set(one), log, entry)

    def decide(self, ballot: PyTree) -> tuple[PyTree, State]:
        decision, lasting = self.protocol.decide(ballot[0])
        return (decision, ballot[2]), lasting

    def _silence(self, ballot: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: add_up(leaf[None]), self.protocol.send(ballot))

    def _entry(self, before: PyTree, heard: PyTree, after: PyTree) -> tuple:
        say = self.protocol.send
        speaks = jnp.asarray(self.protocol.speaks(before)), jnp.asarray(self.protocol.speaks(after))
        return (say(before), speaks[0], heard, say(after), speaks[1], jnp.asarray(self.protocol.settled(after)))


class _Script(Fault):
    """Liars who say to each receiver what is written, leaves [R, N, liars, ...], where `told`."""

    payload: PyTree
    told: Bool[Array, "R N liars"]

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        num_agents, told = mail.sender.shape[0], self.told[mail.round]

        def forged(true: Array, lies: Array) -> Array:
            mask = told.reshape(told.shape + (1,) * (true.ndim - 2))
            return true.at[:, num_agents:].set(jnp.where(mask, lies[mail.round], 0).astype(true.dtype))

        return state, jax.tree.map(forged, mail.payload, self.payload), mail.heard.at[:, num_agents:].set(told)


@eqx.filter_jit
def _talks(protocol: Protocol, proposals: Array, payload: PyTree, told: Array, words: Array) -> tuple[PyTree, PyTree]:
    """(decisions [B, N], logs [B, N, R, ...]) of many plays."""

    def one(proposal: Array, payload: PyTree, told: Array, words: Array) -> tuple[PyTree, PyTree]:
        num_agents, liars, key = proposal.shape[0], told.shape[-1], jax.random.key(0)
        forced, script = _Forced(protocol, words), _Script(payload, told, extras=liars)
        lasting, links = boot(key, forced, num_agents), complete(num_agents, liars)
        talked = converse(key, key, forced, lasting, proposal, links, script, (), None, num_agents)
        return talked.decision

    return jax.vmap(one)(proposals, payload, told, words)


def _arrays(protocol: Protocol, roster: Roster, plays: Sequence[Play]) -> tuple[Array, PyTree, Array, Array]:
    key = jax.random.key(0)
    shapes = jax.eval_shape(
        lambda: protocol.send(protocol.propose(key, protocol.boot(key, jnp.int32(0)), jnp.int32(0)))
    )
    leaves, structure = jax.tree.flatten(shapes)
    size = len(plays), protocol.rounds, roster.honest, roster.liars
    payload, told = [np.zeros((*size, *leaf.shape), leaf.dtype) for leaf in leaves], np.zeros(size, bool)
    words = np.full(size[:2], WORDS - 1, np.uint32)
    for b, play in enumerate(plays):
        if len(play.turns) > protocol.rounds:
            raise Refusal(f"the play has {len(play.turns)} turns; the protocol has {protocol.rounds} rounds")
        for r, turn in enumerate(play.turns):
            words[b, r] = turn.word
            for i, j in itertools.product(range(roster.honest), range(roster.liars)):
                message = turn.lies[i][j]
                if message is not None:
                    told[b, r, i, j] = True
                    for leaf, part in zip(payload, message, strict=True):
                        leaf[b, r, i, j] = part
    proposals = jnp.asarray([play.proposals for play in plays], jnp.int32)
    return proposals, jax.tree.unflatten(structure, payload), told, words


def _rows(tree: PyTree, *index: int) -> tuple[Any, ...]:
    return tuple(_plain(np.asarray(leaf)[index].tolist()) for leaf in jax.tree.leaves(tree))


def _plain(part: Any) -> Any:
    return tuple(map(_plain, part)) if isinstance(part, list) else part


def replayed(protocol: Protocol, *plays: Play) -> list[tuple[Any, ...]]:
    """The decisions of each play, all of one roster: its lies and its coin once more, message by message through
    `comms.converse` and the protocol's own functions.

    A decision of one number is given as that number, others as their leaves. Errors: `Refusal` for a play of more turns
    than the protocol has rounds.
    """
    if not plays:
        return []
    number = 2 ** (len(plays) - 1).bit_length()  # few sizes, few compilations
    filled = [*plays, *plays[:1] * (number - len(plays))]
    decision = jax.tree.map(np.asarray, _talks(protocol, *_arrays(protocol, plays[0].roster, filled))[0])
    return [tuple(_one(_rows(decision, b, i)) for i in range(play.roster.honest)) for b, play in enumerate(plays)]


def _one(leaves: tuple[Any, ...]) -> Any:
    return leaves[0] if len(leaves) == 1 else leaves


def played(
    protocol: Protocol,
    roster: Roster,
    proposals: Sequence[int],
    lies: Sequence[Telling],
    words: Sequence[int],
    shares: Sequence[Fraction | None] = (),
) -> Play:
    """The play in which liars tell receiver i `lies[round][i][liar]` and the coin says `words[round]`; everything else
    is what the protocol makes of it. Rounds that are not given have silent liars."""
    shares = (*shares, *[None] * (len(words) - len(shares)))
    blank = [Turn(word, share, (), told, (), (), ()) for told, word, share in zip(lies, words, shares, strict=True)]
    play = Play(roster, tuple(int(proposal) for proposal in proposals), tuple(blank), ())
    decision, log = jax.tree.map(np.asarray, _talks(protocol, *_arrays(protocol, roster, [play])))
    said, spoke, heard, later, speaks, settled = log
    nodes, turns = range(roster.honest), []
    for r, turn in enumerate(play.turns):
        turns.append(
            turn._replace(
                said=tuple(_rows(said, 0, i, r) if spoke[0, i, r] else None for i in nodes),
                heard=tuple(_rows(heard, 0, i, r) for i in nodes),
                after=tuple(_rows(later, 0, i, r) if speaks[0, i, r] else None for i in nodes),
                settled=tuple(bool(settled[0, i, r]) for i in nodes),
            )
        )
    return play._replace(turns=tuple(turns), decisions=tuple(_one(_rows(decision, 0, i)) for i in nodes))


def again(protocol: Protocol, play: Play) -> Play:
    """The play with everything but proposals, lies and coin worked out anew."""
    turns = play.turns
    told = [turn.lies for turn in turns], [turn.word for turn in turns], [turn.share for turn in turns]
    return played(protocol, play.roster, play.proposals, *told)


def breaks(protocol: Protocol, about: Property, play: Play, decisions: Sequence[Any] | None = None) -> bool:
    """Whether a play with such decisions breaks a property."""
    shapes = jax.eval_shape(lambda: protocol.decide(_proposed(protocol))[0])
    leaves, structure = jax.tree.flatten(shapes)
    rows = [one if isinstance(one, tuple) and len(leaves) > 1 else (one,) for one in decisions or play.decisions]
    given = [jnp.asarray([row[i] for row in rows], leaf.dtype) for i, leaf in enumerate(leaves)]
    decision = jax.tree.unflatten(structure, given)
    marks = marked(about, protocol, np.asarray(play.proposals), decision)
    counts = np.bincount(marks, minlength=about.marks)
    return not bool(about.holds(protocol, play.roster, counts))


def _proposed(protocol: Protocol) -> PyTree:
    """Some ballot, for its shape."""
    key, me = jax.random.key(0), jnp.int32(0)
    return protocol.propose(key, protocol.boot(key, me), me)


# ------------------------------------------------------------------------------------------------------- made shorter


def size(play: Play) -> tuple[int, int, int]:
    """What `shrink` makes small: rounds, then nodes that are told something else than most, then words of liars other
    than no."""
    apart = sum(len(turn.lies) - max((turn.lies.count(told) for told in turn.lies), default=0) for turn in play.turns)
    yes = sum(_spoken(message) for turn in play.turns for told in turn.lies for message in told)
    return len(play.turns), apart, yes


def _spoken(message: Message) -> bool:
    return message is not None and bool(np.any([np.any(part) for part in message]))


def shrink(protocol: Protocol, play: Play, broken: Callable[[Play, tuple[Any, ...]], bool]) -> Play:
    """The smallest play (`size`) that is still broken and is found by leaving out one thing at a time: a round, a
    difference between receivers, a word of a liar.

    broken      (play, its decisions) -> whether it still shows what it should
    Every step is played again through the protocol's own functions. Shares of the coin are forgotten where a round was
    left out. Cost: at most size(play) steps of O(rounds N t) plays each.
    """
    if not broken(play, replayed(protocol, play)[0]):
        raise Refusal("the play does not show what it should; there is nothing to shrink")
    while True:
        smaller = sorted((one for one in _cuts(play) if size(one) < size(play)), key=size)
        found = None
        for first in range(0, len(smaller), 64):
            some = smaller[first : first + 64]
            found = next(
                (one for one, ends in zip(some, replayed(protocol, *some), strict=True) if broken(one, ends)), None
            )
            if found is not None:
                break
        if found is None:
            return again(protocol, play)
        play = found


def _cuts(play: Play) -> Iterator[Play]:
    """Plays with one thing less."""
    turns = play.turns
    for r, turn in enumerate(turns):
        kept = (*turns[:r], *turns[r + 1 :])
        yield play._replace(turns=kept if r == len(kept) else tuple(one._replace(share=None) for one in kept))
        columns = list(dict.fromkeys(turn.lies))
        tellings: list[Telling] = [(column,) * len(turn.lies) for column in columns]
        for column in columns:
            for i, told in enumerate(turn.lies):
                if told != column:
                    tellings.append((*turn.lies[:i], column, *turn.lies[i + 1 :]))
            for j in range(len(column)):  # everybody who is told this is told less
                if _spoken(column[j]):
                    less = (*column[:j], _no(column[j]), *column[j + 1 :])
                    tellings.append(tuple(less if told == column else told for told in turn.lies))
        for i, told in enumerate(turn.lies):
            for j in range(len(told)):
                if _spoken(told[j]):
                    less = (*told[:j], _no(told[j]), *told[j + 1 :])
                    tellings.append((*turn.lies[:i], less, *turn.lies[i + 1 :]))
        for telling in tellings:
            yield play._replace(turns=(*turns[:r], turn._replace(lies=telling), *turns[r + 1 :]))


def _no(message: Message) -> Message:
    return tuple(_zero(part) for part in message or ())


def _zero(part: Any) -> Any:
    return tuple(map(_zero, part)) if isinstance(part, tuple) else type(part)(0)
