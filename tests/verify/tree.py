"""A game of lies as a tree: every honest node by name, every number of lies told to each, no symmetry used.

The second opinion on `quorate.verify`: it calls a protocol's own functions one node at a time and is slow on purpose.
What the coin can mean, and with which chance, is told by hand.
"""

import itertools
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate.core.property import SOMETIMES

TOP = 2**32 - 1
KEY = jax.random.key(7)


def coins(law):
    """[(word, chance)] of each round, where round r is the last with chance law[r - 1] and low words say so."""
    rounds, left = [], Fraction(1)
    for share in law:
        last = share / left
        rounds.append([(word, part) for word, part in ((0, last), (TOP, 1 - last)) if part])
        left -= share
        if not left:
            break
    return rounds


_boot = eqx.filter_jit(lambda protocol, me: protocol.boot(KEY, me))
_propose = eqx.filter_jit(lambda protocol, state, proposal: protocol.propose(KEY, state, proposal))
_hear = eqx.filter_jit(lambda protocol, ballot, total, coin: protocol.hear(KEY, ballot, total, coin))
_send = eqx.filter_jit(lambda protocol, ballot: (protocol.send(ballot), protocol.speaks(ballot)))
_decide = eqx.filter_jit(lambda protocol, ballot: protocol.decide(ballot)[0])


class Tree:
    def __init__(self, protocol, n, t, values, properties, words):
        self.protocol, self.roster, self.values, self.properties = protocol, (n, t), values, properties
        self.words, self.ballots, self.numbers = words, [], {}
        self.heard, self.spoken, self.decided, self.known = {}, {}, {}, {}

    def number(self, ballot):
        name = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(ballot))
        if name not in self.numbers:
            self.numbers[name] = len(self.ballots)
            self.ballots.append(ballot)
        return self.numbers[name]

    def says(self, ballot):
        if ballot not in self.spoken:
            payload, speaks = _send(self.protocol, self.ballots[ballot])
            self.spoken[ballot] = tuple(int(leaf) * int(speaks) for leaf in jax.tree.leaves(payload))
            self.shape = jax.tree.structure(payload)
        return self.spoken[ballot]

    def hears(self, ballot, total, word):
        if (ballot, total, word) not in self.heard:
            votes = jax.tree.unflatten(self.shape, [jnp.int32(part) for part in total])
            after = _hear(self.protocol, self.ballots[ballot], votes, jnp.uint32(word))
            self.heard[ballot, total, word] = self.number(after)
        return self.heard[ballot, total, word]

    def decides(self, proposal, ballot):
        if (proposal, ballot) not in self.decided:
            decision = _decide(self.protocol, self.ballots[ballot])
            self.decided[proposal, ballot] = [
                int(one.mark(self.protocol, jnp.int32(proposal), decision)) for one in self.properties
            ]
        return self.decided[proposal, ballot]

    def ends(self, proposals, ballots):
        """For each property 1 where it is broken (of a "sometimes": where it holds)."""
        marks, found = [self.decides(*pair) for pair in zip(proposals, ballots, strict=True)], []
        for index, one in enumerate(self.properties):
            counts = np.bincount([mark[index] for mark in marks], minlength=one.marks)
            good = bool(one.holds(self.protocol, self.roster, counts))
            found.append(Fraction(good if one.kind == SOMETIMES else not good))
        return found

    def value(self, round_, proposals, ballots):
        """The attackers' best chance from here, for each property."""
        if round_ == len(self.words):
            return self.ends(proposals, ballots)
        if (round_, proposals, ballots) not in self.known:
            said = [self.says(ballot) for ballot in ballots]
            honest = tuple(map(sum, zip(*said, strict=True)))
            counts = range(self.roster[1] + 1)
            told, words = list(itertools.product(counts, repeat=len(honest))), self.words[round_]
            found = []  # for each way to lie, each word and each property what follows
            for lies in itertools.product(told, repeat=len(ballots)):
                row = []
                for word, _ in words:
                    after = tuple(
                        self.hears(ballot, tuple(a + b for a, b in zip(honest, false, strict=True)), word)
                        for ballot, false in zip(ballots, lies, strict=True)
                    )
                    row.append(self.value(round_ + 1, proposals, after))
                found.append(row)
            best = [self.best(i, found, [share for _, share in words]) for i in range(len(self.properties))]
            self.known[round_, proposals, ballots] = best
        return self.known[round_, proposals, ballots]

    def best(self, index, found, shares):
        """The liars' choice: for each word of the coin if they see it, else for all; silence, where they must."""
        if self.properties[index].early:
            each = [max(row[word][index] for row in found) for word in range(len(shares))]
            return sum(share * value for share, value in zip(shares, each, strict=True))
        rows = found[:1] if self.properties[index].kind == SOMETIMES else found  # silence comes first
        return max(sum(share * value[index] for share, value in zip(shares, row, strict=True)) for row in rows)

    def worst(self):
        """[property][nodes that propose the last value]: the worst over all who propose what."""
        n, worst = self.roster[0], [[Fraction(0)] * (self.roster[0] + 1) for _ in self.properties]
        for proposals in itertools.product(self.values, repeat=n):
            ballots = []
            for me, proposal in enumerate(proposals):
                state = _boot(self.protocol, jnp.int32(me))
                ballots.append(self.number(_propose(self.protocol, state, jnp.int32(proposal))))
            place = proposals.count(self.values[-1])
            for row, value in zip(worst, self.value(0, proposals, tuple(ballots)), strict=True):
                row[place] = max(row[place], value)
        return worst


def worst(protocol, n, t, values, properties, words):
    return Tree(protocol, n, t, values, properties, words).worst()
