"""A fleet's snapshot against peers: an assignment with a certificate against SciPy's exact ones, a contract net
against a model in Mesa.

    python benchmarks/fleet_peers.py [--certified 2000 10000] [--mesa 2000] [--rounds 5]

Everything runs in one process on one core, in turn, and is timed in CPU time; each number is a median over the rounds,
compiling left out. Read the ratios: the absolute times belong to the machine. Mesa is compared where it is installed
(`pip install mesa==3.3.1`); its model must serve the same value, or there is nothing to compare.
"""

import argparse
import importlib
from collections.abc import Callable, Sequence
from heapq import nlargest
from operator import itemgetter
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fleet import OPTIONS, ROUNDS, Snapshot, Talk, snapshot
from timing import in_turn, machine, pinned, verdict

from quorate.numerics.auction import auction, finish
from quorate.protocols.contract_net import ContractNet
from quorate.solvers.assignment import certificate

CERTIFIED = 0.99
STEPS = (0.02, 0.01, 0.005)  # eps of the auctions that are tried until one is certified; all count


# --------------------------------------------------------------------------------- an assignment with a certificate


class Certified:
    """Auctions with smaller and smaller steps until value / bound >= 0.99, the bound and its check counted."""

    def __init__(self, shot: Snapshot):
        self.shot, self.agents = shot, len(shot.place)
        self.on_device = tuple(map(jnp.asarray, shot))

        @jax.jit
        def sell(place: Any, worth: Any, able: Any, eps: Any) -> Any:
            sold = auction(place, worth, able, self.agents, eps, 100_000)
            return sold.price, finish(place, worth, able, sold, 100).place

        self.sell, self.eps, self.value, self.share = sell, 0.0, 0.0, 0.0

    def __call__(self, seed: int) -> float:
        for eps in STEPS:
            price, place = map(np.asarray, self.sell(*self.on_device, jnp.float32(eps)))
            proof = certificate(*self.shot, price, place, eps)
            self.eps, self.value, self.share = eps, proof.value, proof.value / proof.upper
            if self.share >= CERTIFIED:
                break
        return self.value


class Dense:
    """SciPy's `linear_sum_assignment` on the full table, 0 where a task is no option; building the table counts."""

    def __init__(self, shot: Snapshot):
        self.shot, self.value = shot, 0.0

    def __call__(self, seed: int) -> float:
        from scipy.optimize import linear_sum_assignment

        place, worth, able = self.shot
        agents = len(place)
        table = np.zeros((agents, agents))
        np.put_along_axis(table, place.astype(np.intp), np.where(able, worth, 0), axis=1)
        rows, columns = linear_sum_assignment(table, maximize=True)
        self.value = float(table[rows, columns].sum())
        return self.value


class Sparse:
    """SciPy's `min_weight_full_bipartite_matching` on the lists, each agent with an idle place of its own."""

    def __init__(self, shot: Snapshot):
        self.shot, self.value = shot, 0.0

    def __call__(self, seed: int) -> float:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import min_weight_full_bipartite_matching

        place, worth, able = self.shot
        agents, base = len(place), 1 + float(worth.max())
        who, option = np.nonzero(able)
        idle = np.arange(agents)
        weights = np.concatenate([base - worth[who, option].astype(np.float64), np.full(agents, base)])
        ends = np.concatenate([who, idle]), np.concatenate([place[who, option], agents + idle])
        table = csr_array((weights, ends), (agents, 2 * agents))
        rows, columns = min_weight_full_bipartite_matching(table)
        self.value = float(np.sum(base - table[rows, columns]))
        return self.value


# -------------------------------------------------------------------------------------------- a contract net in Mesa


def installed(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


class ContractNetInMesa:
    """The protocol of `ContractNet` as a model in Mesa: workers and tasks are agents, mail is put into their lists.
    Making the model does not count."""

    def __init__(self, mesa: ModuleType, shot: Snapshot, bids: int = 3):
        self.make, self.shot = model(mesa, bids), shot
        self.ready: dict[int, Any] = {}
        self.decision: Any = None

    def prepare(self, seed: int) -> None:
        self.ready[seed] = self.make(self.shot)

    def __call__(self, seed: int) -> float:
        fleet_ = self.ready.pop(seed)
        for _ in range(ROUNDS // 2):
            fleet_.step()
        self.decision = np.array([-1 if one.task is None else one.task.place for one in fleet_.workers])
        return float(np.sum(self.decision))


def model(mesa: ModuleType, bids: int) -> Callable[[Snapshot], Any]:
    """The model's class. One step is one iteration: bid, award, answer, settle, two rounds of a board."""

    class Task(mesa.Agent):
        def __init__(self, model: Any, place: int):
            super().__init__(model)
            self.place, self.inbox, self.owner, self.awarded = place, [], None, None

        def award(self) -> None:
            if self.inbox and self.owner is None:
                _, _, self.awarded = max(self.inbox)
                self.awarded.inbox.append(self)
            self.inbox.clear()

        def settle(self) -> None:
            for worker, accepts in self.inbox:
                if accepts:
                    self.owner = worker
                    worker.task = self
            self.inbox.clear()

    class Worker(mesa.Agent):
        def __init__(self, model: Any, number: int, options: list):
            super().__init__(model)
            self.number, self.inbox, self.options, self.task = number, [], options, None

        def bid(self) -> None:
            if self.task is None:
                free = [option for option in self.options if option[1].owner is None]
                for worth, task in nlargest(bids, free, key=itemgetter(0)):
                    task.inbox.append((worth, -self.number, self))

        def answer(self) -> None:
            if self.inbox:
                best = max((worth, task.place, task) for worth, task in self.options if task in self.inbox)[2]
                for task in self.inbox:
                    task.inbox.append((self, task is best))
                self.inbox.clear()

    class ContractNetModel(mesa.Model):
        def __init__(self, shot: Snapshot):
            super().__init__(seed=0)
            tasks = [Task(self, place) for place in range(len(shot.place))]
            self.workers = []
            for number, (place, worth, able) in enumerate(zip(*(leaf.tolist() for leaf in shot), strict=True)):
                options = [(w, tasks[p]) for p, w, yes in zip(place, worth, able, strict=True) if yes]
                self.workers.append(Worker(self, number, options))

        def step(self) -> None:
            workers, tasks = self.agents_by_type[Worker], self.agents_by_type[Task]
            workers.do("bid")
            tasks.do("award")
            workers.do("answer")
            tasks.do("settle")

    return ContractNetModel


# --------------------------------------------------------------------------------------------------------- the tables


def tell_certified(sizes: Sequence[int], repeats: int) -> list[str]:
    print(f"\nan assignment within {1 - CERTIFIED:.0%} of the optimum, certified; exact ones by SciPy")
    targets = []
    for agents in sizes:
        shot = snapshot(agents)
        table = {"ours": Certified(shot), "SciPy, dense": Dense(shot), "SciPy, sparse": Sparse(shot)}
        slow = agents > 5_000  # the dense table takes long enough for one round to do
        seconds = in_turn(table, 1 if slow else repeats)
        ours = table["ours"]
        print(f"{agents} agents, {OPTIONS} options, eps {ours.eps:g}, certified {ours.share:.4f}")
        for name, value in seconds.items():
            share = table[name].value / table["SciPy, dense"].value
            print(f"  {name:<20}{value * 1e3:>10.1f} ms{value / seconds['ours']:>10.2f} x ours, value {share:.4f}")
        targets.append(verdict(f"certified share, {agents} agents", ours.share, "", CERTIFIED, at_least=True))
    return targets


def tell_mesa(agents: int, repeats: int) -> list[str]:
    mesa = installed("mesa")
    print(f"\na contract net of {agents} agents, {ROUNDS} rounds")
    shot = snapshot(agents)
    ours = Talk(ContractNet(places=agents, rounds=ROUNDS), shot.outlook())
    table: dict[str, Any] = {"ours": ours}
    if mesa is not None:
        table["Mesa"] = ContractNetInMesa(mesa, shot)
        for seed in range(repeats + 1):
            table["Mesa"].prepare(seed)
    seconds = in_turn(table, repeats)
    for name, value in seconds.items():
        rate = agents * ROUNDS / value
        print(f"{name:<22}{rate:>12.4g} agent-rounds a CPU-second, value {shot.value(table[name].decision):.4f}")
    if mesa is None:
        print(f"{'Mesa':<22}not installed")
        return []
    theirs = shot.value(table["Mesa"].decision)
    if abs(shot.value(ours.decision) / theirs - 1) > 1e-3:
        print("they serve different values: no comparison")
        return []
    print(f"{'Mesa over ours':<22}{seconds['Mesa'] / seconds['ours']:>12.1f} x the time")
    return []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--certified", type=int, nargs="*", default=[2_000, 10_000])
    parser.add_argument("--mesa", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    print(machine())
    targets = tell_certified(options.certified, options.rounds) + tell_mesa(options.mesa, options.rounds)
    print("\ntargets")
    for line in targets:
        print(line)


if __name__ == "__main__":
    pinned()
    main()
