"""Who gets which place: auctions, claims and deferred acceptance over short lists of options, as array code."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quorate.errors import Refusal

FEW = 1024  # with fewer agents than this, picking out those who still bid costs more than it saves
SHARE = 8  # the agents who still bid are picked out anew when so many times fewer are left


class Assigned(NamedTuple):
    """Who got what.

    place    the place of each agent, -1: none
    price    what each place costs: the highest bid; 0 where nobody bid and no price was given
    rounds   rounds that were run
    posts    bids or claims made, all rounds together: the messages up
    settled  nobody wants anything better at these prices; False when the cap on rounds cut it short
    """

    place: Int[Array, " N"]
    price: Float[Array, " M"]
    rounds: Int[Array, ""]
    posts: Int[Array, ""]
    settled: Bool[Array, ""]


class _Book(NamedTuple):
    """The state between rounds: `owner` of each place (N: nobody), `place` of each agent (-1: none)."""

    place: Int[Array, " N"]
    owner: Int[Array, " M"]
    price: Float[Array, " M"]
    idle: Bool[Array, " N"]
    rounds: Int[Array, ""]
    posts: Int[Array, ""]


def auction(
    place: Int[Array, "N K"],
    worth: Float[Array, "N K"],
    open: Bool[Array, "N K"],
    places: int,
    eps: float | Float[Array, ""],
    rounds: int | Int[Array, ""],
    prices: Float[Array, " M"] | None = None,
) -> Assigned:
    """Bertsekas' auction in Jacobi form: at once, all agents without a place bid for the one that is best for them.

    Agent i nets b_ij = `worth`_ij - p_j at place j. It bids p_j + b1 - b2 + `eps` for the best one, where b1 is the
    best net worth and b2 the best at any other place, but at least 0: idling is worth 0. The highest bid becomes the
    price, its bidder the owner, the former owner bids again. An agent with b1 <= 0 idles for good, as prices only rise.
    Ties: the smallest place, the smallest agent. Option k of agent i is `place`[i, k] (0 to `places` - 1) and counts
    where `open`; others may hold anything, -1 for instance.

    When it ends by itself and began at price 0, optimum <= bound <= value + `eps` * assigned, with the bound of
    `quorate.solvers.assignment.dual_bound`; `rounds` caps it, and then `finish` uses what is left. With given
    `prices` the second inequality loses the prices of the places that nobody owns. `eps` must be well above the
    rounding of a float32 price, 1e-7 of the largest worth.

    Cost: O(K) for an agent that bids and O(N + M) a round, rounds up to the largest worth / `eps`; from `FEW` agents
    on only those who still bid are looked at. Works under `vmap`: the slowest case decides about the rounds.

    Errors: `Refusal` for shapes that disagree.

    Reference: Bertsekas, The auction algorithm (1988), Section 2; the idle option and the starting price 0 make it
    hold with unequal numbers of agents and places.

    >>> import jax.numpy as jnp
    >>> place = jnp.array([[0, 1], [0, 1], [0, 1]])
    >>> worth = jnp.array([[1.0, 0.75], [1.0, 0.25], [0.5, 0.5]])
    >>> got = auction(place, worth, worth > 0, places=2, eps=0.0625, rounds=50)
    >>> got.place.tolist(), bool(got.settled)
    ([1, 0, -1], True)
    """
    place, worth, open = _checked(place, worth, open, prices, places)
    start = jnp.zeros(places) if prices is None else jnp.asarray(prices, jnp.float32)

    def offers(who: Int[Array, " A"], book: _Book) -> tuple[Array, Array, Array]:
        at, known = place[who], open[who]
        net = jnp.where(known, worth[who] - book.price[jnp.where(known, at, 0)], -jnp.inf)
        best = net.max(axis=1)
        target = jnp.where(net == best[:, None], at, places).min(axis=1)
        other = jnp.where(at == target[:, None], -jnp.inf, net).max(axis=1)
        wanted = best > 0
        target = jnp.where(wanted, target, places)
        bid = book.price[jnp.minimum(target, places - 1)] + (best - jnp.maximum(other, 0)) + eps
        return target, bid, wanted

    return _run(offers, _empty(len(place), start), rounds)


def greedy_by_worth(
    place: Int[Array, "N K"],
    worth: Float[Array, "N K"],
    open: Bool[Array, "N K"],
    places: int,
    rounds: int | Int[Array, ""],
) -> Assigned:
    """Deferred acceptance: each agent claims the best place that would take it, a place keeps its best claimant.

    A better claimant displaces the owner, who claims again. Both sides rank by the same `worth`, so that with distinct
    worths the result is the global greedy one: the best pair of all, then the best of the rest, at least half of the
    optimum. Ties: the smallest place, the smallest agent. `price` is the worth of the owner. Arguments as in `auction`.

    Cost: as `auction`; rounds up to N, about 10 for 10^4 agents on a plane.

    Reference: Gale, Shapley, College admissions and the stability of marriage (1962).

    >>> import jax.numpy as jnp
    >>> worth = jnp.array([[1.0, 0.75], [2.0, 0.25]])
    >>> greedy_by_worth(jnp.array([[0, 1], [0, 1]]), worth, worth > 0, places=2, rounds=9).place.tolist()
    [1, 0]
    """
    place, worth, open = _checked(place, worth, open, None, places)

    def offers(who: Int[Array, " A"], book: _Book) -> tuple[Array, Array, Array]:
        at, known = place[who], open[who]
        safe = jnp.where(known, at, 0)
        held, owner = book.price[safe], book.owner[safe]
        beats = (worth[who] > held) | ((worth[who] == held) & (who[:, None] < owner))
        return _best(at, worth[who], known & beats & (worth[who] > 0), places)

    return _run(offers, _empty(len(place), jnp.zeros(places)), rounds)


def finish(
    place: Int[Array, "N K"],
    worth: Float[Array, "N K"],
    open: Bool[Array, "N K"],
    assigned: Assigned,
    rounds: int | Int[Array, ""],
) -> Assigned:
    """Claims for those whom `assigned` left without a place: the end of an auction that was cut short.

    Each round every agent without a place claims the free place of largest `worth` > 0; the place keeps its best
    claimant for good, the others claim again. Nobody loses a place. Ties: the smallest place, the smallest agent.
    `price` stays that of `assigned`: claims say nothing about prices. `settled`: nobody wants a free place any more.

    Cost: as `auction`, about log N rounds.

    >>> import jax.numpy as jnp
    >>> place, worth = jnp.array([[0, 1], [0, 1]]), jnp.array([[1.0, 0.75], [1.0, 0.5]])
    >>> cut = auction(place, worth, worth > 0, places=2, eps=0.0625, rounds=1)
    >>> cut.place.tolist(), finish(place, worth, worth > 0, cut, rounds=2).place.tolist()
    ([-1, 0], [1, 0])
    """
    places = len(assigned.price)
    place, worth, open = _checked(place, worth, open, assigned.price, places)
    agents = len(place)

    def offers(who: Int[Array, " A"], book: _Book) -> tuple[Array, Array, Array]:
        at, known = place[who], open[who]
        free = book.owner[jnp.where(known, at, 0)] == agents
        return _best(at, worth[who], known & free & (worth[who] > 0), places)

    has = assigned.place >= 0
    owner = jnp.full(places, agents, jnp.int32)
    owner = owner.at[jnp.where(has, assigned.place, places)].set(jnp.arange(agents, dtype=jnp.int32), mode="drop")
    book = _Book(assigned.place, owner, jnp.zeros_like(assigned.price), has, jnp.int32(0), assigned.posts)
    done = _run(offers, book, rounds)
    return done._replace(price=assigned.price, rounds=assigned.rounds + done.rounds)


def _checked(
    place: Array, worth: Array, open: Array, prices: Array | None, places: int
) -> tuple[Int[Array, "N K"], Float[Array, "N K"], Bool[Array, "N K"]]:
    place, worth, open = jnp.asarray(place, jnp.int32), jnp.asarray(worth, jnp.float32), jnp.asarray(open, bool)
    if place.ndim != 2 or place.shape != worth.shape or place.shape != open.shape or 0 in place.shape:
        raise Refusal(
            f"place {place.shape}, worth {worth.shape} and open {open.shape} must have one shape, [agents, options]"
        )
    if places < 1 or (prices is not None and jnp.shape(prices) != (places,)):
        shape = "none" if prices is None else jnp.shape(prices)
        raise Refusal(f"places is {places} and prices has shape {shape}; there must be one price for each place")
    return place, worth, open


def _empty(agents: int, price: Float[Array, " M"]) -> _Book:
    nobody = jnp.full(len(price), agents, jnp.int32)
    none = jnp.full(agents, -1, jnp.int32)
    return _Book(none, nobody, price, jnp.zeros(agents, bool), jnp.int32(0), jnp.int32(0))


def _best(at: Array, worth: Array, wanted: Array, places: int) -> tuple[Array, Array, Array]:
    """The place of largest worth among the wanted ones, its worth, and whether there is any."""
    net = jnp.where(wanted, worth, -jnp.inf)
    best = net.max(axis=1)
    some = wanted.any(axis=1)
    target = jnp.where(wanted & (net == best[:, None]), at, places).min(axis=1)
    return target, best, some


def _run(offers: Callable, book: _Book, rounds: int | Array) -> Assigned:
    """Rounds of `offers` until all are settled or `rounds` is reached.

    The number of those who still want a place never grows: whoever gains one displaces at most one other.
    """
    agents = len(book.place)
    sizes = [agents]
    while sizes[-1] // SHARE >= FEW:
        sizes.append(sizes[-1] // SHARE)
    for size, smaller in zip(sizes, [*sizes[1:], 0], strict=True):

        def going(book: _Book, smaller: int = smaller) -> Array:
            return (book.rounds < rounds) & (_wanting(book).sum() > smaller)

        def step(book: _Book, size: int = size) -> _Book:
            return _round(offers, book, size)

        book = lax.while_loop(going, step, book)
    return Assigned(book.place, book.price, book.rounds, book.posts, ~_wanting(book).any())


def _wanting(book: _Book) -> Bool[Array, " N"]:
    return (book.place < 0) & ~book.idle


def _round(offers: Callable, book: _Book, size: int) -> _Book:
    """One round in which at most `size` agents speak."""
    agents, places = len(book.place), len(book.price)
    wanting = _wanting(book)
    if size == agents:
        who, speaks = jnp.arange(agents, dtype=jnp.int32), wanting
    else:
        who = jnp.nonzero(wanting, size=size, fill_value=agents)[0].astype(jnp.int32)
        speaks = who < agents
        who = jnp.minimum(who, agents - 1)
    target, bid, wanted = offers(who, book)
    bids = speaks & wanted
    target = jnp.where(bids, target, places)  # beyond the last place: dropped
    price = jnp.full(places, -jnp.inf, book.price.dtype).at[target].max(bid, mode="drop")
    leads = bids & (bid == price[jnp.minimum(target, places - 1)])
    owner = jnp.full(places, agents, jnp.int32).at[jnp.where(leads, target, places)].min(who, mode="drop")
    taken = owner < agents
    ids = jnp.arange(places, dtype=jnp.int32)
    leaves = jnp.where(taken, book.owner, agents)
    place = book.place.at[leaves].set(-1, mode="drop")
    place = place.at[jnp.where(taken, owner, agents)].set(ids, mode="drop")
    gives_up = jnp.where(speaks & ~wanted, who, agents)
    return _Book(
        place,
        jnp.where(taken, owner, book.owner),
        jnp.where(taken, price, book.price),
        book.idle.at[gives_up].set(True, mode="drop"),
        book.rounds + 1,
        book.posts + bids.sum(dtype=jnp.int32),
    )
