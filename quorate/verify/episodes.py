"""Episodes in count form: a solved game played at random, millions of times a second, against attackers whose exact
value is known."""

from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.numerics.rational import WORDS
from quorate.verify.exact import Game, ahead, breaches
from quorate.verify.tabulate import distinct


class Attack(NamedTuple):
    """A way to play for the liars that knows the round and how many nodes are in each class: `share[r]` is the chance
    of each edge of layer r of a game, edges of one position adding up to one."""

    share: tuple[np.ndarray, ...]  # [E] of Fraction


def silent(game: Game) -> Attack:
    """No liar speaks."""
    return _fixed(game, [layer.quiet for layer in game.layers[:-1]])


def yes_to_all(game: Game) -> Attack:
    """Every liar says yes to everybody: the first edge of each position, since ways are ordered by how much is lied."""
    return _fixed(game, [layer.first[:-1] for layer in game.layers[:-1]])


def optimal(game: Game, index: int = 0) -> Attack:
    """The strongest attack on property `index`; of equals the one that lies most to the first classes. Errors:
    `Refusal` for a "sometimes", which nobody attacks, and where liars see coins early, which these attackers do not."""
    about = game.properties[index]
    if about.kind == SOMETIMES or about.early:
        raise Refusal("only properties that liars attack without seeing the coin have an attack in count form")
    edges = []
    for layer, stage, following in zip(
        game.layers[:-1], game.machine.rounds, game.answers[index].values[1:], strict=True
    ):
        reach = ahead(layer, stage, following.astype(object))
        best = np.repeat(np.maximum.reduceat(reach, layer.first[:-1]), np.diff(layer.first))
        place = np.where(reach == best, np.arange(len(reach)), len(reach))
        edges.append(np.minimum.reduceat(place, layer.first[:-1]))
    return _fixed(game, edges)


def at_random(game: Game) -> Attack:
    """Every way to lie is as likely as another."""
    sizes = [np.diff(layer.first) for layer in game.layers[:-1]]
    return Attack(tuple(np.repeat(np.array([Fraction(1, int(n)) for n in size], object), size) for size in sizes))


def _fixed(game: Game, edges: list[np.ndarray]) -> Attack:
    share = []
    for layer, chosen in zip(game.layers[:-1], edges, strict=True):
        row = np.full(layer.then.shape[1], Fraction(0))
        row[np.asarray(chosen, np.int64)] = Fraction(1)
        share.append(row)
    return Attack(tuple(share))


def value(game: Game, attack: Attack, index: int = 0) -> list[Fraction]:
    """The chance with which this attack breaks property `index`, exactly, by start."""
    at: Any = np.array([Fraction(int(bad)) for bad in breaches(game, index)], object)
    for layer, stage, share in reversed(list(zip(game.layers[:-1], game.machine.rounds, attack.share, strict=True))):
        at = np.add.reduceat(share * ahead(layer, stage, at), layer.first[:-1])
    return [at[s] for s in distinct(game.starts)[1]]


class Tables(NamedTuple):
    """A game and an attack as arrays, padded to the largest layer: S positions, C meanings of the coin, W ways to lie.
    `pick[r, s]` holds the words below which ways 0.. are chosen; with W = 1 nothing is drawn for it."""

    cuts: UInt32[Array, "R C"]
    pick: UInt32[Array, "R S W"]
    after: Int[Array, "R flat"]  # [S, W, C] in a row
    bad: Int[Array, " S"]
    start: Int[Array, " starts"]


def tables(game: Game, attack: Attack, index: int = 0) -> Tables:
    """Ways that have no chance are left out."""
    rounds, layers = game.machine.rounds, game.layers[:-1]
    most = max(len(layer.states) for layer in game.layers)
    meanings = max((len(stage.shares) for stage in rounds), default=1)
    live = [[np.flatnonzero(share[a:b]) + a for a, b in zip(layer.first[:-1], layer.first[1:], strict=True)]
            for layer, share in zip(layers, attack.share, strict=True)]  # fmt: skip
    ways = max((len(edges) for row in live for edges in row), default=1)
    cuts = np.full((len(rounds), meanings), WORDS - 1, np.uint32)
    pick = np.full((len(rounds), most, ways), WORDS - 1, np.uint32)
    after = np.zeros((len(rounds), most, ways, meanings), np.int32)
    for r, (layer, stage) in enumerate(zip(layers, rounds, strict=True)):
        cuts[r, : len(stage.cuts)] = stage.cuts
        for s, edges in enumerate(live[r]):
            chance = np.cumsum([float(attack.share[r][edge]) for edge in edges])
            pick[r, s, : len(edges)] = np.minimum(np.round(chance * WORDS), WORDS - 1).astype(np.uint32)
            for c in range(meanings):
                after[r, s, :, c] = layer.then[min(c, len(stage.shares) - 1), edges[-1]]
                after[r, s, : len(edges), c] = layer.then[min(c, len(stage.shares) - 1), edges]
    bad = np.zeros(most, np.int32)
    bad[: len(game.layers[-1].states)] = breaches(game, index)
    begin = distinct(game.starts)[1].astype(np.int32)
    return Tables(*map(jnp.asarray, (cuts, pick, after.reshape(len(rounds), -1), bad, begin)))


@partial(jax.jit, static_argnames="episodes")
def play(key: Any, told: Tables, start: Int[Array, ""], episodes: int) -> Int[Array, ""]:
    """How many of `episodes` plays from `start` break the property.

    Cost: one word, one look-up and C - 1 comparisons an episode and round; a second word and W - 1 comparisons where
    the attack throws dice.
    """
    (_, meanings), (_, _, ways) = told.cuts.shape, told.pick.shape

    def one_round(at: Array, given: tuple) -> tuple[Array, None]:
        cuts, pick, after, number = given
        coin_key, way_key = jax.random.split(jax.random.fold_in(key, number))
        coin = jax.random.bits(coin_key, (episodes,), jnp.uint32)
        place = at * (ways * meanings)
        if ways > 1:
            drawn = jax.random.bits(way_key, (episodes,), jnp.uint32)
            way = sum((drawn >= pick[at, w]).astype(jnp.int32) for w in range(ways - 1))
            place = place + way * meanings
        for c in range(1, meanings):
            place = place + (coin >= cuts[c])
        return after[place], None

    rounds = (told.cuts, told.pick, told.after, jnp.arange(told.cuts.shape[0]))
    at, _ = jax.lax.scan(one_round, jnp.full(episodes, told.start[start], jnp.int32), rounds)
    return jnp.sum(told.bad[at])
