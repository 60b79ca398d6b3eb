"""Saboteurs: members of a fleet who work against it, in eight ways."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from quorate.comms.channel import like
from quorate.core import Fault, Key, Outlook, Posts, swept
from quorate.errors import Refusal, unknown
from quorate.faults.picking import an_order, check_chances, check_picking, picked
from quorate.numerics.mix import GOLDEN, fraction, mix

RELAY, HUSH, FLOOD, VANDAL, SKIM = range(1, 6)  # branches of a hook's key
LARGE = 2.0**30  # the largest whole number that saboteurs post


class Kind(NamedTuple):
    """A way to work against the fleet: the name of its field, how strong it is by default, and a line on it."""

    name: str
    strength: float
    about: str


KINDS = (
    Kind("lie", 1.0, "what it bids, and the worths it tells, are `lie` too high"),
    Kind("own_goal", 1.0, "it values options by a goal of its own, worth up to `own_goal`, and serves that"),
    Kind("hog", 2.0, "it bids `hog` too high, holds what it wins by heartbeats, and never moves"),
    Kind("forge", 1.0, "what it relays is, with chance `forge`, the notice of another place"),
    Kind(
        "silent",
        1.0,
        "it hears and acts, and with chance `silent` a slip, a word to neighbours, or a notice of a place it keeps, "
        "is not sent",
    ),
    Kind("flood", 2.0, "all its slips are copies of others' slips that bid `flood` more than anybody"),
    Kind("vandal", 3.0, "all its slips leave or erase marks, `vandal` times the largest, at random places"),
    Kind(
        "skim",
        1.0,
        "where it leads it gives its signs and hears all reports, but with chance `skim` another's order is empty",
    ),
)


class Band(NamedTuple):
    """The saboteurs of an episode: who they are, whether they have begun, what a hog holds and the number of the task
    there (-1: none, or not seen yet), and the word that their own goals come from."""

    members: Bool[Array, " N"]
    now: Bool[Array, " N"]
    held: Int[Array, " N"]
    task: Int[Array, " N"]
    goal: UInt32[Array, ""]


class Saboteurs(Fault):
    """round(share N) members work against the fleet from tick `at` on. Each kind is a strength, 0 switches it off, so
    that one program serves all; several at once are allowed. `KINDS` has a line on each.

    share       of the agents, drawn when the episode begins
    at          first tick, from 0
    order       a number for each agent, f32[N], or None; with `first` those with the highest (`picking.leaders_first`)
    hosts       who keeps each place, int32[M], for `silent` and `skim`: jax.vmap(protocol.host)(jnp.arange(M)); None:
                not said
    lie         added to `bid` of every slip, and to entries that are not 0 of fields `worth` anywhere in its body;
                among neighbours to entries that are not 0 of fields `bid` in what it tells them
    own_goal    an `Outlook` shows worth u(place, agent) own_goal instead, u in [0, 1) for the whole episode, where
                open; the score stays the true one
    hog         added like `lie`. It stays where it is, and its own mechanism is told that it heads for what it was
                given, as long as it sees that task, so that it goes on sending heartbeats. They tell the truth about
                the way left: leases that ask for progress see through it, those that ask for a sign of life do not
    forge       any notice or reply is relayed by an agent drawn at random; one of the band replaces it, with chance
                `forge`, by what another node hears from another place
    silent      chance that a slip is not posted, that a neighbour does not hear what it says in a round, or that a
                reader does not hear a place whose host is in the band
    flood       all P slips are live: copies of another node's slips (at random places where that posts none), which
                bid `flood` above the largest bid of the round; amounts are `flood` times the largest
    vandal      all P slips are live and lie at random places; amounts are +-`vandal` times the largest of the round,
                the sign drawn for each (marks erased or laid where none belong); 1 where nobody posts any
    skim        chance that an order becomes "stay" (place -1) on its way to another agent, where one of the band leads:
                the `leader` that the answer names, else the place's host. Signs and the rest of the answer stay as they
                are, so nobody tries again, no lease runs out, and who gives tasks out takes this one for given

    What is not there is left alone: worlds without an `Outlook` have no own goal, slips without bids no lie, desks and
    contract nets give no orders to skim. Forged notices, silent hosts and skimmed orders need mail; marks in the
    environment (`by_mail` False) have none. Whole numbers and truth values that are posted stay what they are, at most
    2^30. Of mail among neighbours only `lie`, `hog` and `silent` make something, of sums nothing. O(N (K + P + W)) a
    round for the kinds that are on.

    Errors: `Refusal` for a share or chance that is none, negative strengths, an order of another length than N and
    hosts of another than M; on an edge list, of which `comms.to_neighbours` makes lists.
    Reference: the attack classes on markets and on marks; hogs against leases are the case in which a sign of life is
    not enough, skimming leaders that in which a leader's is not.

    >>> float(saboteurs("hog", 0.1).hog)
    2.0
    """

    share: Float[Array, ""] = swept()
    at: Int[Array, ""] = swept(jnp.int32, 0)
    order: Array | None = eqx.field(default=None, converter=an_order, kw_only=True)
    first: Bool[Array, ""] = swept(bool, False)
    hosts: Array | None = eqx.field(
        default=None, converter=lambda given: None if given is None else jnp.asarray(given, jnp.int32), kw_only=True
    )
    lie: Float[Array, ""] = swept(default=0.0)
    own_goal: Float[Array, ""] = swept(default=0.0)
    hog: Float[Array, ""] = swept(default=0.0)
    forge: Float[Array, ""] = swept(default=0.0)
    silent: Float[Array, ""] = swept(default=0.0)
    flood: Float[Array, ""] = swept(default=0.0)
    vandal: Float[Array, ""] = swept(default=0.0)
    skim: Float[Array, ""] = swept(default=0.0)

    def __check_init__(self):
        check_picking(self.share, self.order, self.first)
        check_chances(forge=self.forge, silent=self.silent, skim=self.skim)
        for name in ("lie", "own_goal", "hog", "flood", "vandal"):
            value = getattr(self, name)
            if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) >= 0):
                raise Refusal(f"{name} is {value}; it must be at least 0, and 0 switches it off")

    def reset(self, key: Key, num_agents: int) -> Band:
        members = picked(jax.random.fold_in(key, 0), self.share, num_agents, self.order, self.first)
        nothing = jnp.full(num_agents, -1, jnp.int32)
        goal = jax.random.bits(jax.random.fold_in(key, 1), dtype=jnp.uint32)
        return Band(members, jnp.zeros(num_agents, bool), nothing, nothing, goal)

    def update(self, key, state, t):
        return state._replace(now=state.members & (t >= self.at))

    def on_observe(self, key, state, obs):
        if not isinstance(obs, Outlook):
            return state, obs

        def valued(worth: Array) -> Array:
            own = self.own_goal * own_worth(state.goal, obs.place)
            return jnp.where(state.now[:, None] & obs.open, own.astype(worth.dtype), worth)

        obs = obs._replace(worth=_if(self.own_goal > 0, valued, obs.worth))
        held = obs.open & (obs.place == state.held[:, None]) & (state.held >= 0)[:, None]
        number = jnp.max(jnp.where(held, obs.number, -1), axis=1)
        task = jnp.where(state.task < 0, number, state.task)
        still = state.now & (self.hog > 0) & (number >= 0) & (number == task)
        state = state._replace(held=jnp.where(still, state.held, -1), task=jnp.where(still, task, -1))
        return state, obs._replace(
            heading=jnp.where(still, state.held, obs.heading),
            task=jnp.where(still, task, obs.task),
            left=jnp.where(still, jnp.sum(jnp.where(held, obs.eta, 0), axis=1), obs.left),
            valid=obs.valid | still,
        )

    def on_act(self, key, state, actions, idle):
        hogs = state.now & (self.hog > 0)
        if getattr(actions, "shape", None) == hogs.shape and actions.dtype == jnp.int32:
            held = jnp.where(hogs, actions, -1)
            state = state._replace(held=held, task=jnp.where(held == state.held, state.task, -1))
        return state, jax.tree.map(lambda one, other: jnp.where(like(hogs, one), other, one), actions, idle)

    def on_post(self, key, state, posts, board):
        more = jnp.where(state.now, self.lie + self.hog, 0)
        if not isinstance(posts.bid, tuple):
            posts = posts._replace(bid=_raised(posts.bid, more))

        posts = posts._replace(body=_told("worth", more, posts.body))
        for branch, strength, changed in ((FLOOD, self.flood, self._flooded), (VANDAL, self.vandal, self._vandalised)):
            own = jax.random.fold_in(key, branch)
            posts = _if(strength > 0, lambda posts, own=own, how=changed: how(own, state, posts, board.places), posts)
        return state, posts._replace(live=self._spoken(key, posts.live, state.now[:, None]))

    def on_deliver(self, key, state, mail):
        num_agents = len(state.now)
        theirs = state.now[jnp.minimum(mail.sender, num_agents - 1)] & (mail.sender < num_agents)
        more = jnp.where(theirs, self.lie + self.hog, 0)
        payload = _if(self.lie + self.hog > 0, lambda said: _told("bid", more, said), mail.payload)
        return state, payload, self._spoken(key, mail.heard, theirs)

    def _spoken(self, key: Key, live: Array, theirs: Array) -> Array:
        """What is left of `live` when the band is silent about what is theirs."""

        def hushed(live: Array) -> Array:
            return live & ~(theirs & (jax.random.uniform(jax.random.fold_in(key, HUSH), live.shape) < self.silent))

        return _if(self.silent > 0, hushed, live)

    def _flooded(self, key: Key, state: Band, posts: Posts, places: int) -> Posts:
        keys = [jax.random.fold_in(key, index) for index in range(2)]
        copied = _of_another(keys[0], posts)
        place = jax.random.randint(keys[1], posts.place.shape, 0, places, posts.place.dtype)
        fake = copied._replace(
            place=jnp.where(copied.live, copied.place, place),
            live=jnp.ones_like(posts.live),
            amount=jax.tree.map(lambda leaf: _like(leaf, self.flood * _largest(leaf, posts.live)), posts.amount),
        )
        if not isinstance(posts.bid, tuple):
            fake = fake._replace(bid=_like(posts.bid, self.flood + jnp.max(jnp.where(posts.live, posts.bid, 0))))
        return _instead(state.now, fake, posts)

    def _vandalised(self, key: Key, state: Band, posts: Posts, places: int) -> Posts:
        if not jax.tree.leaves(posts.amount):
            return posts
        keys = [jax.random.fold_in(key, index) for index in range(2)]
        place = jax.random.randint(keys[0], posts.place.shape, 0, places, posts.place.dtype)
        sign = jnp.where(jax.random.bernoulli(keys[1], 0.5, posts.live.shape), 1.0, -1.0)
        amount = jax.tree.map(
            lambda leaf: _like(leaf, like(sign, leaf) * (self.vandal * _largest(leaf, posts.live))), posts.amount
        )
        return _instead(state.now, posts._replace(place=place, live=jnp.ones_like(posts.live), amount=amount), posts)

    def on_notice(self, key, state, place, notice, heard, board):
        if not board.by_mail:
            return state, notice, heard
        host = jnp.full_like(place, -1)
        if self.hosts is not None:
            if self.hosts.shape != (board.places,):
                raise Refusal(f"hosts names {self.hosts.shape[-1]} hosts; the board has {board.places} places")
            host = self.hosts[jnp.clip(place, 0, board.places - 1)]
        notice = _if(self.skim > 0, lambda said: self._skimmed(key, state, said, host), notice)
        own = jax.random.fold_in(key, RELAY)
        notice = _if(self.forge > 0, lambda said: self._forged(own, state, place, said, heard), notice)
        if self.hosts is not None:
            heard = self._spoken(key, heard, (host >= 0) & state.now[jnp.maximum(host, 0)])
        return state, notice, heard

    def _skimmed(self, key: Key, state: Band, said: PyTree, host: Int[Array, "N W"]) -> PyTree:
        """`said` with orders emptied; what has none is left alone."""
        leaves, structure = jax.tree_util.tree_flatten_with_path(said)
        # Known by the names of fields, as worths are, since faults know no mechanism: `place` beside `until`, `leader`.
        names = [tuple(getattr(part, "name", "") for part in path) for path, _ in leaves]
        orders = [name[-1:] == ("place",) and (*name[:-1], "until") in names for name in names]
        if not any(orders):
            return said
        leader = next((leaf for name, (_, leaf) in zip(names, leaves, strict=True) if "leader" in name[-1:]), host)
        theirs = (leader >= 0) & state.now[jnp.maximum(leader, 0)] & (leader != jnp.arange(len(leader))[:, None])
        empty = theirs & (jax.random.uniform(jax.random.fold_in(key, SKIM), leader.shape) < self.skim)
        return jax.tree_util.tree_unflatten(
            structure,
            [
                jnp.where(like(empty, leaf), -1, leaf) if order else leaf
                for order, (_, leaf) in zip(orders, leaves, strict=True)
            ],
        )

    def _forged(self, key: Key, state: Band, place: Array, notice: PyTree, heard: Array) -> PyTree:
        keys = [jax.random.fold_in(key, index) for index in range(2)]
        there, said, came = _of_another(keys[0], (place, notice, heard))
        chance = self.forge * jnp.mean(state.now, dtype=jnp.float32)
        swap = heard & came & (there != place) & (jax.random.uniform(keys[1], heard.shape) < chance)
        return jax.tree.map(lambda old, new: jnp.where(like(swap, old), new, old), notice, said)

    def report(self, state):
        return state.now


def saboteurs(kind: str, share: Any, strength: Any = None, **more: Any) -> Saboteurs:
    """Saboteurs of one kind, as strong as `KINDS` has it unless told; `more` are other fields.

    >>> float(saboteurs("lie", 0.1, strength=0.5).lie)
    0.5
    """
    strengths = {one.name: one.strength for one in KINDS}
    if kind not in strengths:
        raise unknown("kind of saboteur", kind, strengths)
    return Saboteurs(share=share, **{kind: strengths[kind] if strength is None else strength}, **more)


def own_worth(goal: UInt32[Array, ""], place: Int[Array, "N K"]) -> Float[Array, "N K"]:
    """u in [0, 1) by place and agent: a hash, the same whenever the agent looks."""
    agent = jnp.arange(place.shape[0], dtype=jnp.uint32)[:, None] * GOLDEN
    return fraction(mix(mix(place.astype(jnp.uint32) * jnp.uint32(0x85EBCA6B) + (agent ^ goal))))


def _if(on: Bool[Array, ""], change: Callable[[PyTree], PyTree], value: PyTree) -> PyTree:
    """`change(value)` where it is on; what is off costs nothing."""
    return jax.lax.cond(on, change, lambda value: value, value)


def _told(name: str, more: Float[Array, "..."], tree: PyTree) -> PyTree:
    """`tree` with entries that are not 0 of the fields of that name, wherever they stand, too high by `more`."""

    def told(path: tuple, leaf: Array) -> Array:
        if not path or getattr(path[-1], "name", "") != name:
            return leaf
        return jnp.where(leaf == 0, leaf, _raised(leaf, more))

    return jax.tree_util.tree_map_with_path(told, tree)


def _instead(who: Bool[Array, " N"], new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda one, other: jnp.where(like(who, other), one, other), new, old)


def _of_another(key: Key, tree: PyTree) -> PyTree:
    """Each agent's row is that of another, the same distance on for all."""
    num_agents = jax.tree.leaves(tree)[0].shape[0]
    shift = jax.random.randint(key, (), 1, max(num_agents, 2))
    return jax.tree.map(lambda leaf: jnp.roll(leaf, shift, axis=0), tree)


def _raised(leaf: Array, more: Float[Array, " N"]) -> Array:
    """`leaf` [N, ...] and `more` beside it; where there is no more, every bit stays."""
    higher = _like(leaf, leaf.astype(jnp.float32) + like(more, leaf))
    return jnp.where(like(more > 0, leaf), higher, leaf)


def _largest(leaf: Array, live: Bool[Array, "N P"]) -> Array:
    """The largest amount of the round, without its sign; 1 where nobody posts any."""
    size = jnp.max(jnp.where(like(live, leaf), jnp.abs(leaf.astype(jnp.float32)), 0), axis=(0, 1))
    return jnp.where(size > 0, size, 1)[None, None]


def _like(leaf: Array, value: Array) -> Array:
    """`value` in the shape and dtype of `leaf`; what cannot be negative is 0 there."""
    value = jnp.broadcast_to(value, leaf.shape)
    if leaf.dtype == bool:
        return value > 0
    if jnp.issubdtype(leaf.dtype, jnp.integer):
        value = jnp.clip(value, max(jnp.iinfo(leaf.dtype).min, -LARGE), min(jnp.iinfo(leaf.dtype).max, LARGE))
    return value.astype(leaf.dtype)
