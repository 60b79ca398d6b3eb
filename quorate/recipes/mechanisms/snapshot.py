"""One look at agents and tasks: what each way to share the tasks out is worth beside the exact optimum."""

import itertools
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from quorate import comms
from quorate.core import NoFault, Outlook
from quorate.experiments.outcome import Rows
from quorate.numerics.auction import Assigned, auction, finish
from quorate.protocols.contract_net import ContractNet
from quorate.solvers.assignment import assignment, certificate

SKILLS, HELD, WAY = 4, 0.6, 0.15  # kinds of tasks, share of agents that can do each, cost of a unit of distance
ROUNDS = (1, 2, 3, 4, 6, 10, 20, 50)
NETS = (2, 4, 6, 10, 20)  # an iteration of contract net takes two rounds, and each number a program
EPS = (0.3, 0.1, 0.03)
USUAL = 0.1  # the bidding step of the curves
CELLS = (9, 25, 100)  # agents
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)  # of agents with goals of their own
VALUES, GOALS = "own values", "own goals"
NEAR = 32  # tasks that an own goal looks at
ENDLESS = 100_000  # more rounds than any auction takes
FINISH = 2  # rounds of claims at the end of an auction that is cut short


class Snapshot(NamedTuple):
    """N agents and N tasks on a square, one a unit of area.

    agent, task  coordinates [2, N]
    worth        value less the way, where the agent has the skill; `open` where it has and that is above 0
    told         what one with a goal of its own says of each task, by kind of goal: `VALUES`, values of its own drawn
                 like the true ones, while it minds the way as all do; `GOALS`, U(0, 1) for the nearest 32 tasks, so
                 that neither true value nor way counts
    """

    agent: Float[np.ndarray, "2 N"]
    task: Float[np.ndarray, "2 N"]
    worth: Float[np.ndarray, "N N"]
    open: Bool[np.ndarray, "N N"]
    told: dict[str, Float[np.ndarray, "N N"]]
    able: Bool[np.ndarray, "N N"]
    far: Float[np.ndarray, "N N"]

    @property
    def place(self) -> Int[np.ndarray, "N N"]:
        """Every task is an option of everybody."""
        count = self.worth.shape[1]
        return np.broadcast_to(np.arange(count, dtype=np.int32), self.worth.shape)


def snapshot(num_agents: int, random: np.random.Generator) -> Snapshot:
    """Values U(0.5, 1.5), a way of one unit costs 0.15, each task needs one of four skills, each held by 0.6.

    >>> one = snapshot(20, np.random.default_rng(0))
    >>> one.worth.shape, bool((one.worth[one.open] > 0).all())
    ((20, 20), True)
    """
    side = np.sqrt(num_agents)
    agent, task = random.uniform(0, side, (2, 2, num_agents))
    value = random.uniform(0.5, 1.5, num_agents)
    held = random.random((num_agents, SKILLS)) < HELD
    able = held[:, random.integers(0, SKILLS, num_agents)]
    far = np.hypot(*(agent[:, :, None] - task[:, None, :]))
    worth = value[None, :] - WAY * far
    own = random.uniform(0, 1, (num_agents, num_agents))
    near = far <= np.sort(far, axis=1)[:, [min(NEAR, num_agents) - 1]]
    told = {VALUES: 0.5 + own - WAY * far, GOALS: np.where(near, own, 0.0)}
    return Snapshot(agent, task, worth, able & (worth > 0), told, able, far)


def alone(one: Snapshot) -> float:
    """Everybody goes where it is best for itself and does not look again: the nearest serves, the others went in
    vain."""
    wish = np.where(one.open, one.worth, -np.inf)
    goal = wish.argmax(axis=1)
    goes = one.open.any(axis=1)
    gained = 0.0
    for task in np.unique(goal[goes]):
        there = np.flatnonzero(goes & (goal == task))
        gained += one.worth[there[one.far[there, task].argmin()], task]
    return float(gained)


def team(one: Snapshot, assigned: np.ndarray) -> float:
    """What an assignment [N] (-1: none) is truly worth."""
    has = np.flatnonzero(assigned >= 0)
    return float(one.worth[has, assigned[has]].sum())


@jax.jit
def _auction(place: Any, worth: Any, open: Any, eps: Any, rounds: Any) -> Assigned:
    return auction(place, worth, open, place.shape[1], eps, rounds)


@jax.jit
def _claims(place: Any, worth: Any, open: Any, before: Assigned, rounds: Any) -> Assigned:
    return finish(place, worth, open, before, rounds)


def _nobody(num_agents: int) -> Assigned:
    zero = jnp.int32(0)
    return Assigned(jnp.full(num_agents, -1, jnp.int32), jnp.zeros(num_agents), zero, zero, jnp.array(False))


def claims(one: Snapshot, rounds: int, worth: np.ndarray | None = None, open: np.ndarray | None = None) -> Assigned:
    """`rounds` of claims that are final; the worths that agents tell, if not the true ones."""
    worth, open = one.worth if worth is None else worth, one.open if open is None else open
    return _claims(one.place, worth, open, _nobody(len(worth)), jnp.int32(rounds))


def market(one: Snapshot, eps: float, rounds: int, finishing: int = 0) -> Assigned:
    """An auction that is stopped after `rounds`, the last `finishing` of them claims."""
    sold = _auction(one.place, one.worth, one.open, jnp.float32(eps), jnp.int32(rounds - finishing))
    return _claims(one.place, one.worth, one.open, sold, jnp.int32(finishing)) if finishing else sold


def outlook(one: Snapshot) -> Outlook:
    """What each agent sees, for a protocol on a board."""
    count = len(one.worth)

    def all_(value: Any, dtype: Any) -> jax.Array:
        return jnp.full(count, value, dtype)

    none, zero = all_(-1, jnp.int32), all_(0, jnp.int32)
    return Outlook(
        place=jnp.asarray(one.place),
        worth=jnp.asarray(np.where(one.open, one.worth, 0), jnp.float32),
        open=jnp.asarray(one.open),
        number=jnp.zeros(one.worth.shape, jnp.int32),
        eta=jnp.asarray(one.far, jnp.float32),
        team=jnp.ones(one.worth.shape, jnp.int32),
        free=all_(True, bool),
        heading=none,
        task=none,
        left=all_(0, jnp.float32),
        valid=all_(False, bool),
        waited=zero,
        serving=none,
        served=none,
        region=zero,
        demand=all_(0, jnp.float32),
        capacity=all_(1, jnp.int32),
        health=all_(0.5, jnp.float32),
        t=zero,
    )


@jax.jit(static_argnums=2)
def _net(key: Any, view: Outlook, rounds: int) -> tuple[Any, Any]:
    count = view.worth.shape[1]
    protocol = ContractNet(places=count, rounds=rounds)
    fault = NoFault()
    lasting = comms.boot(key, protocol, count)
    talked = comms.converse(
        key, key, protocol, lasting, view, None, fault, fault.reset(key, count), None, count, here=None
    )
    return talked.decision, talked.traffic.sent


def contract_net(one: Snapshot, rounds: int) -> tuple[np.ndarray, float]:
    """The assignment and the messages of so many rounds."""
    goal, sent = _net(jax.random.key(0), outlook(one), rounds)
    return np.asarray(goal), float(sent)


def optimum(one: Snapshot, worth: np.ndarray | None = None, open: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """The exact best assignment by the worths told, and what these say it is worth."""
    worth, open = one.worth if worth is None else worth, one.open if open is None else open
    best = assignment(one.place, worth, open, worth.shape[1])
    return best.value, best.place


def inside_cells(one: Snapshot, size: int) -> np.ndarray:
    """Which options lie in the agent's own cell, when the square is cut into cells of about `size` agents: what is left
    when only a leader's summary crosses a border."""
    count = len(one.worth)
    side = np.sqrt(count)
    across = max(round(side / np.sqrt(size)), 1)
    homes, tasks = (
        np.array([1, across]) @ np.minimum((where / side * across).astype(int), across - 1) for where in one[:2]
    )
    return one.open & (homes[:, None] == tasks[None, :])


def _note(
    found: Rows,
    index: int,
    best: float,
    num_agents: int,
    method: str,
    value: float,
    posts: float | None = None,
    rounds: int | None = None,
    **more: Any,
) -> None:
    """Writes down what a method got on instance `index`, whose optimum is `best`."""
    row = {"instance": index, "method": method, "rounds": rounds, "share": value / best}
    found.append(row | {"posts": None if posts is None else posts / num_agents} | more)


def rows(
    num_agents: int, instances: int, seed: int, advance: Any = lambda done: None, nets: tuple[int, ...] = NETS
) -> Rows:
    """Every method on every instance. `share` is value over the exact optimum; `bound` over it, where a price bound was
    asked for."""
    found: Rows = []
    for index in range(instances):
        one = snapshot(num_agents, np.random.default_rng([seed, index]))
        best, _ = optimum(one)

        note = partial(_note, found, index, best, num_agents)
        note("alone", alone(one), 0.0)
        _curves(one, nets, note)
        _settled(one, best, note)
        for size in CELLS:
            note("cells", optimum(one, open=inside_cells(one, size))[0], cell=size)
        _misaligned(one, np.random.default_rng([seed, index, 1]), note)
        advance(index + 1)
    return found


def _curves(one: Snapshot, nets: tuple[int, ...], note: Any) -> None:
    for limit in ROUNDS:
        got = claims(one, limit)
        note("claim", team(one, np.asarray(got.place)), float(got.posts), limit)
        got = market(one, USUAL, limit)
        note("auction", team(one, np.asarray(got.place)), float(got.posts), limit)
        if limit > FINISH:
            got = market(one, USUAL, limit, FINISH)
            note("auction and claims", team(one, np.asarray(got.place)), float(got.posts), limit)
    for limit in nets:
        goal, sent = contract_net(one, limit)
        note("contract_net", team(one, goal), sent, limit)


def _settled(one: Snapshot, best: float, note: Any) -> None:
    for eps in EPS:
        got = market(one, eps, ENDLESS)
        sold = np.asarray(got.place)
        paper = certificate(one.place, one.worth, one.open, np.asarray(got.price), sold, eps, best)
        note(
            "settled auction",
            paper.value,
            float(got.posts),
            int(got.rounds),
            eps=eps,
            bound=paper.upper / best,
            certified=bool(paper.holds and got.settled),
        )


def _misaligned(one: Snapshot, random: np.random.Generator, note: Any) -> None:
    """The first so many agents of a random order have goals of their own; the same order for all shares."""
    order = random.permutation(len(one.worth))
    for kind, share in itertools.product(one.told, SHARES):
        members = np.zeros(len(order), bool)
        members[order[: round(share * len(order))]] = True
        told = np.where(members[:, None], one.told[kind], one.worth)
        open_ = one.able & (told > 0)
        note("optimal planner", team(one, optimum(one, told, open_)[1]), kind=kind, own=share)
        got = claims(one, ENDLESS, told, open_)
        note("claims", team(one, np.asarray(got.place)), float(got.posts), kind=kind, own=share)
