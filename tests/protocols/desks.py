"""What the tests of desks share: small fleets of tables, mail lost by a written pattern, and talks over many ticks."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate import comms
from quorate.core import Fault, Outlook
from quorate.faults import Loss
from tests import outlooks


class Pattern(Fault):
    """Loses what is written down: slips[r, i] whether what i posts in round r arrives, notices[r, i] whether it hears
    anything. [R, N, ...] for each slip or notice."""

    slips: jax.Array = eqx.field(converter=jnp.asarray)
    notices: jax.Array = eqx.field(converter=jnp.asarray)

    def on_post(self, key, state, posts, board):
        return state, posts._replace(live=posts.live & self._row(self.slips, board, posts.live))

    def on_notice(self, key, state, place, notice, heard, board):
        return state, notice, heard & self._row(self.notices, board, heard)

    def _row(self, table, board, like):
        row = table[board.round]
        return row if row.ndim == 2 else jnp.broadcast_to(row[:, None], like.shape)


def outlook(worth, place=None, **more) -> Outlook:
    """Free agents with the worths [N, K] of options; every place unless given [N, K]."""
    worth = worth if isinstance(worth, jax.core.Tracer) else np.asarray(worth, np.float32)
    place = np.tile(np.arange(worth.shape[1]), (len(worth), 1)) if place is None else place
    place = np.asarray(place, np.int32)
    near, health = np.full(worth.shape, 3.0, np.float32), np.zeros(len(worth), np.float32)
    view = outlooks.outlook(place, worth, (worth > 0) & (place >= 0), eta=jnp.asarray(near), health=jnp.asarray(health))
    return view._replace(**more)


def geography(seed: int, agents: int, places: int | None = None) -> Outlook:
    """The snapshot: agents and tasks spread evenly, worth = U(.5, 1.5) - .15 distance for who has the skill, every
    place an option of everybody, in the order of places."""
    draw = np.random.default_rng([seed, agents])
    places, side = places or agents, agents**0.5
    at, task = draw.uniform(0, side, (agents, 1, 2)), draw.uniform(0, side, (places, 2))
    value, need = draw.uniform(0.5, 1.5, places), draw.integers(0, 4, places)
    worth = value - 0.15 * np.linalg.norm(at - task, axis=2)
    return outlook(np.where(draw.random((agents, 4))[:, need] < 0.6, np.maximum(worth, 0), 0))


def talk(protocol, view: Outlook, fault=None, seed: int = 0):
    """One tick among all, from the start."""
    return _compiled(protocol, view, Loss(share=0.0) if fault is None else fault, jax.random.key(seed))


def _talk(protocol, view, fault, key):
    n = view.place.shape[0]
    lasting = comms.boot(key, protocol, n)
    return comms.converse(key, key, protocol, lasting, view, None, fault, fault.reset(key, n), None, n)


_compiled = eqx.filter_jit(_talk)


@eqx.filter_jit
def ticks(protocol, views, fault, key, here=None):
    """What each tick ended with, leaves [T, ...]."""
    n = views.t.shape[1]

    def one(lasting, view):
        now = jax.random.fold_in(key, view.t[0])
        there = None if here is None else here[view.t[0]]
        talked = comms.converse(now, now, protocol, lasting, view, None, fault, (), None, n, view.t[0], there)
        return talked.lasting, talked

    return jax.lax.scan(one, comms.boot(key, protocol, n), views)[1]


def value(view: Outlook, decision) -> float:
    """The worth of what is decided; who shares a place counts once."""
    worth, place, total, seen = np.asarray(view.worth, np.float64), np.asarray(view.place), 0.0, set()
    for agent, chosen in enumerate(np.asarray(decision)):
        if chosen >= 0 and int(chosen) not in seen:
            seen.add(int(chosen))
            total += worth[agent][place[agent] == chosen][0]
    return total


def greedy(worth) -> list[int]:
    """Global greedy: the pair of largest worth first. -1: nothing left."""
    worth = np.array(worth, np.float64)
    chosen = [-1] * len(worth)
    while worth.max() > 0:
        agent, place = np.unravel_index(worth.argmax(), worth.shape)
        chosen[agent] = int(place)
        worth[agent], worth[:, place] = 0, 0
    return chosen


def every_pattern(rounds: int, agents: int, batch: int = 2**14):
    """All ways to lose the slip and the reading of each agent in each round, in batches: bool[B, rounds, agents]
    twice."""
    bits = 2 * rounds * agents
    for start in range(0, 2**bits, batch):
        word = np.arange(start, start + batch)[:, None] >> np.arange(bits) & 1 == 1
        yield tuple(word.reshape(batch, 2, rounds, agents).transpose(1, 0, 2, 3))


@eqx.filter_jit
def under(protocol, view, slips, notices):
    """The decisions [B, N], and the owners [B, M] by the desks, under each pattern of a batch."""

    def one(slips, notices):
        talked = _talk(protocol, view, Pattern(slips, notices), jax.random.key(0))
        return talked.decision, _owner(talked.lasting.places)

    return jax.vmap(one)(slips, notices)


def _owner(places):
    return getattr(places, "desk", places).owner


def shared(decision) -> np.ndarray:
    """Where two agents or more decided for the same place: bool[...], of decisions [..., N]."""
    decision = np.asarray(decision)
    same = (decision[..., :, None] == decision[..., None, :]) & (decision[..., None] >= 0)
    return (same & ~np.eye(decision.shape[-1], dtype=bool)).any((-1, -2))


class Life(NamedTuple):
    """What happened, [runs, ticks, agents]: the place and the task each believed to be its own (-1: none), who was
    down, and the owners by the desks [runs, ticks, M]."""

    place: np.ndarray
    number: np.ndarray
    down: np.ndarray
    owner: np.ndarray


@eqx.filter_jit
def _lives(protocol, worth, keys, ticks, loss, crash, stuck, turnover):
    n, m = worth.shape
    fault = Loss(share=loss)

    def tick(key, state, t):
        lasting, down, heading, task, left, numbers = state
        now = [jax.random.fold_in(jax.random.fold_in(key, t), branch) for branch in range(6)]
        gone = jax.random.bernoulli(now[0], crash, (n,))
        back = down & jax.random.bernoulli(now[1], 0.3, (n,))
        lasting = comms.rebooted(now[2], protocol, lasting, back)
        down = (down & ~back) | gone
        numbers = numbers + jax.random.bernoulli(now[3], turnover, (m,))
        heading, task = jnp.where(down, -1, heading), jnp.where(down, -1, task)
        slow = jax.random.uniform(jax.random.fold_in(key, 7), (n,)) < stuck
        left = jnp.where(slow, left, jnp.maximum(left - 1, 0))
        view = outlook(
            worth * jax.random.uniform(now[4], (n, m), minval=0.5),
            number=jnp.tile(numbers, (n, 1)),
            heading=heading,
            task=task,
            left=left,
            valid=(heading >= 0) & (numbers[jnp.maximum(heading, 0)] == task),
            t=jnp.full(n, t, jnp.int32),
        )
        talked = comms.converse(now[5], now[5], protocol, lasting, view, None, fault, (), None, n, t, ~down)
        to = jnp.where(down, -1, talked.decision)
        left = jnp.where(to == heading, left, 3.0)
        task = jnp.where(to >= 0, numbers[jnp.maximum(to, 0)], -1)
        state = talked.lasting, down, to, task, left, numbers
        return state, Life(to, task, down, _owner(talked.lasting.places))

    def run(key):
        none = jnp.full(n, -1, jnp.int32)
        start = comms.boot(key, protocol, n), none < -1, none, none, jnp.zeros(n), jnp.zeros(m, jnp.int32)
        return jax.lax.scan(partial(tick, key), start, ticks)[1]

    return jax.vmap(run)(keys)


def lives(protocol, worth, runs=64, ticks=80, loss=0.3, crash=0.05, stuck=0.3, turnover=0.03) -> Life:
    """Many ticks of agents who walk (or are stuck), crash and come back, with tasks that give way to newer ones."""
    keys = jax.random.split(jax.random.key(1), runs)
    share = [jnp.float32(value) for value in (loss, crash, stuck, turnover)]
    return Life(*map(np.asarray, _lives(protocol, jnp.asarray(worth, jnp.float32), keys, jnp.arange(ticks), *share)))
