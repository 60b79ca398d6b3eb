"""What a fleet costs: rounds of a board, and ticks of a rolling fleet.

    python benchmarks/fleet.py [--agents 100000] [--rounds 5] [--ticks 3]

Everything runs in one process on one core, in turn, and is timed in CPU time; each number is a median over the rounds,
compiling left out. Read the ratios: the absolute times belong to the machine. `memory` is the least a round must do,
gathers and scatters in numpy; `numpy, claim` are the same claims written for these arrays alone, and must decide the
same.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from timing import in_turn, machine, pinned, verdict

from quorate import comms, random
from quorate.core import BoardProtocol, NoFault, Outlook, Posts, Scenario, static
from quorate.learners.deferring import Deferring
from quorate.protocols.auction import Auction
from quorate.protocols.claim import Claim
from quorate.protocols.contract_net import ContractNet
from quorate.protocols.desk import Slip
from quorate.protocols.mechanisms import mechanism
from quorate.recipes.compare.site import site
from quorate.step import run, start
from quorate.worlds import fleet

Contender = Callable[[int], float]
OPTIONS, SKILLS, HELD = 16, 4, 0.6
ROUNDS = 8  # of each conversation


# ------------------------------------------------------------------------------------------------------ a snapshot


class Snapshot(NamedTuple):
    """N agents and as many tasks, spread evenly, one of each a unit of area: worth = U(.5, 1.5) - .15 distance for
    whom has the skill. Each agent knows the `OPTIONS` nearest tasks."""

    place: np.ndarray  # [N, K]
    worth: np.ndarray
    open: np.ndarray

    def value(self, decision: Any) -> float:
        """Sum of the worths of what is decided; nan where two agents decided for one place."""
        decision = np.asarray(decision)
        has = decision >= 0
        if len(np.unique(decision[has])) < has.sum():
            return float("nan")
        return float(np.sum(self.worth, where=self.open & (self.place == decision[:, None]), dtype=np.float64))

    def outlook(self) -> Outlook:
        """The same as free agents see it in a fleet."""
        agents = len(self.place)
        zero, none, no = jnp.zeros(agents, jnp.int32), jnp.full(agents, -1, jnp.int32), jnp.zeros(agents, bool)
        numbers = jnp.zeros(self.place.shape, jnp.int32)
        return Outlook(
            place=jnp.asarray(self.place), worth=jnp.asarray(self.worth), open=jnp.asarray(self.open), number=numbers,
            eta=numbers + jnp.float32(3), team=numbers + 1, free=~no, heading=none, task=none, left=jnp.zeros(agents),
            valid=no, waited=zero, serving=none, served=none, region=zero, demand=jnp.zeros(agents), capacity=zero + 1,
            health=jnp.zeros(agents), t=zero,
        )  # fmt: skip


def snapshot(agents: int, seed: int = 0) -> Snapshot:
    from scipy.spatial import cKDTree

    draw = np.random.default_rng([seed, agents])
    side = agents**0.5
    at, task = draw.uniform(0, side, (2, agents, 2))
    distance, place = cKDTree(task).query(at, min(OPTIONS, agents))
    worth = draw.uniform(0.5, 1.5, agents)[place] - 0.15 * distance
    need = draw.integers(0, SKILLS, agents)[place]
    able = np.take_along_axis(draw.random((agents, SKILLS)) < HELD, need, axis=1) & (worth > 0)
    return Snapshot(place.astype(np.int32), np.where(able, worth, 0).astype(np.float32), able)


# --------------------------------------------------------------------------------------------------------- a round


class Talk:
    """One tick of a protocol among all, on a board; `decision` is that of the last call."""

    def __init__(self, protocol: BoardProtocol, view: Outlook):
        agents = view.place.shape[0]

        @eqx.filter_jit
        def talk(key: Any, protocol: BoardProtocol, view: Outlook) -> Any:
            lasting = comms.boot(key, protocol, agents)
            return comms.converse(key, key, protocol, lasting, view, None, NoFault(), (), None, agents).decision

        self.play = lambda seed: talk(random.key(seed, "hashed"), protocol, view)
        self.decision: Any = None

    def __call__(self, seed: int) -> float:
        self.decision = np.asarray(self.play(seed))
        return float(np.sum(self.decision))


class Talking(NamedTuple):
    outlook: Outlook
    option: Any  # of which it speaks
    read: Any  # sum of what it has read


class Record(NamedTuple):
    """What a place knows of the best slip it has seen."""

    price: Any
    owner: Any
    number: Any


class Bare(BoardProtocol):
    """The board by itself: each posts a bid with a body of three numbers on one option after the other, each place
    keeps the best it has seen and who bid it, everybody reads three numbers of all its options."""

    places: int = static()
    rounds: int = static(ROUNDS)
    capacity: int = static(0)

    def propose(self, key, state, proposal: Outlook) -> Talking:
        return Talking(proposal, jnp.int32(0), jnp.int32(0))

    def post(self, ballot: Talking) -> Posts:
        view, option = ballot.outlook, ballot.option
        slip = Slip(view.number[option], view.eta[option], option)
        live = view.open[option]
        body = Slip(*(leaf[None] for leaf in slip))
        return Posts(view.place[option][None], live[None], bid=view.worth[option][None], body=body)

    def watch(self, ballot: Talking):
        return ballot.outlook.place

    def hear(self, key, ballot: Talking, news) -> Talking:
        told, outlook = news.notice, ballot.outlook
        below = news.heard & (told.price >= outlook.worth) & (told.number == outlook.number) & (told.owner >= 0)
        option = (ballot.option + 1) % outlook.place.shape[0]
        return ballot._replace(option=option, read=ballot.read + jnp.sum(below, dtype=jnp.int32))

    def decide(self, ballot: Talking):
        return ballot.read, ()

    def open(self, key, place) -> Record:
        return Record(jnp.float32(-jnp.inf), jnp.int32(-1), jnp.int32(-1))

    def serve(self, key, place_state: Record, heap) -> Record:
        better = (heap.who >= 0) & (heap.best > place_state.price)
        new = Record(heap.best, heap.who, heap.said.number)
        return jax.tree.map(lambda one, other: jnp.where(better, one, other), new, place_state)

    def notice(self, place_state: Record) -> Record:
        return place_state


class ClaimsByNumpy:
    """The claims of `Claim` with nothing lost, in plain numpy: no leases, no bill, agents and tasks in five arrays."""

    def __init__(self, shot: Snapshot):
        self.shot, self.decision = shot, None

    def __call__(self, seed: int) -> float:
        place, worth, able = self.shot
        place, agents = place.astype(np.intp), len(place)
        ids, price = np.arange(agents), np.empty(agents, np.float32)
        owner, holds = np.full(agents, agents), np.full(agents, -1)
        for _ in range(ROUNDS):
            net = np.where(able & (owner[place] == agents), worth, 0)
            best = net.argmax(axis=1)
            bid, at = net[ids, best], place[ids, best]
            asks = (holds < 0) & (bid > 0)
            who, at, bid = ids[asks], at[asks], bid[asks]
            price[:] = 0
            np.maximum.at(price, at, bid)
            leads = bid == price[at]
            np.minimum.at(owner, at[leads], who[leads])
            given = owner[at] == who
            holds[who[given]] = at[given]
        self.decision = holds
        return float(np.sum(holds))


def memory_floor(shot: Snapshot) -> Contender:
    """The least of a round, in numpy: a word of each option's place read and kept, one word for each agent's slip sent
    to a place, and read back. No arithmetic."""
    place = shot.place.astype(np.intp)
    place_of_slip = place[:, 0].copy()
    kept, desks = np.empty(place.shape, np.int32), np.arange(len(place), dtype=np.int32)
    slips = np.arange(len(place), dtype=np.int32)

    def play(seed: int) -> float:
        for _ in range(ROUNDS):
            desks[place_of_slip] = slips
            np.take(desks, place, out=kept, mode="clip")
            np.take(desks, place_of_slip, out=slips, mode="clip")
        return float(kept[0, 0])

    return play


def rounds(shot: Snapshot) -> dict[str, Contender]:
    agents, view = len(shot.place), shot.outlook()
    return {
        "board": Talk(Bare(places=agents), view),
        "claim": Talk(Claim(places=agents, rounds=ROUNDS), view),
        "auction": Talk(Auction(places=agents, rounds=ROUNDS, eps=0.1), view),
        "contract net": Talk(ContractNet(places=agents, rounds=ROUNDS), view),
        "numpy, claim": ClaimsByNumpy(shot),
        "memory": memory_floor(shot),
    }


# ------------------------------------------------------------------------------------------------- a rolling fleet


class Rolling:
    """The fleet of `fleet.rolling` under a mechanism, going on where the last call stopped; `served` is the share of
    the value offered that is served so far."""

    def __init__(self, name: str, world: Any, site: Any, ticks: int):
        self.scenario = Scenario(world=world, learner=Deferring(), commit=mechanism(name).make(site))
        self.ticks, self.progress, self.served = ticks, None, float("nan")

    def __call__(self, seed: int) -> float:
        if self.progress is None:
            self.progress = start(random.key(seed, "hashed"), self.scenario)
        self.progress, record = run(self.progress, self.scenario, self.ticks)
        total = float(np.sum(record["score"]))
        sums = self.progress.carry.world.tallies
        self.served = float(np.sum(sums.value_served) / max(float(np.sum(sums.value_offered)), 1.0))
        return total


def rolling(agents: int, ticks: int) -> dict[str, Rolling]:
    """32 options and 7 places an agent, 4 message rounds a tick; `alone` is the world with an argmax."""
    world = fleet.rolling(num_agents=agents, density=7, options=min(32, 7 * agents))
    known = site(world, rounds=4)
    return {name: Rolling(name, world, known, ticks) for name in ("alone", "claim", "auction")}


# --------------------------------------------------------------------------------------------------------- the tables


def tell_rounds(agents: int, repeats: int) -> list[str]:
    each = agents * ROUNDS
    table = rounds(snapshot(agents))
    cost = {name: seconds / each * 1e9 for name, seconds in in_turn(table, repeats).items()}
    print(f"\nrounds of {agents} agents and as many places, {OPTIONS} options, {ROUNDS} rounds a tick")
    print(f"{'':<22}{'ns an agent-round':>18}{'over memory':>14}")
    for name, value in cost.items():
        print(f"{name:<22}{value:>18.1f}{value / cost['memory']:>14.2f}")
    same = np.array_equal(table["claim"].decision, table["numpy, claim"].decision)
    print(f"claims and numpy's claims decide {'the same' if same else 'DIFFERENTLY'}")
    return [
        verdict("a round of the bare board", cost["board"], "ns", 250),
        verdict("a round of claims", cost["claim"], "ns", 200),
    ]


def tell_rolling(agents: int, repeats: int, ticks: int) -> list[str]:
    table = rolling(agents, ticks)
    cost = {name: seconds / (agents * ticks) * 1e6 for name, seconds in in_turn(table, repeats).items()}
    world = table["alone"].scenario.world
    print(f"\na rolling fleet of {agents} agents, {world.num_actions} places, {world.options} options, 4 rounds a tick")
    print(f"{'':<22}{'us an agent-tick':>18}")
    for name, value in cost.items():
        print(f"{name:<22}{value:>18.3f}")
    return [verdict(f"a rolling tick with {name}", cost[name], "us", 5) for name in ("claim", "auction")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=3)
    options = parser.parse_args(arguments)
    print(machine())
    targets = tell_rounds(options.agents, options.rounds)
    targets += tell_rolling(options.agents, options.rounds, options.ticks)
    print("\ntargets")
    for line in targets:
        print(line)


if __name__ == "__main__":
    pinned()
    main()
