"""What agreement costs: votes of a million nodes under attack, attack episodes in count form, gossip, exact tables.

    python benchmarks/agreement.py [--nodes 1000000] [--rounds 5] [--episodes 1000000] [--table 64]

Everything runs in one process on one core, in turn, and is timed in CPU time; each number is a median over the rounds.
Read the ratios: the absolute times belong to the machine. "Beyond random numbers" takes off the words an attack draws,
timed on their own.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from timing import cpu, in_turn, machine, pinned, verdict

from quorate import comms, random
from quorate.core import Fault, NoFault, Roster
from quorate.faults.counting import AllYes, DropAtRound, RandomYes
from quorate.numerics.push import push
from quorate.protocols import PROTOCOLS
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops
from quorate.verify.episodes import optimal, play, tables
from quorate.verify.exact import solve

Contender = Callable[[int], float]
ROUNDS = 10  # of each vote


# --------------------------------------------------------------------------------------- votes of a great crowd


def vote(nodes: int) -> HiddenStopVote:
    """Needs half of them, and a tenth more before the last round; all rounds are played, so that all are timed."""
    return HiddenStopVote(threshold=nodes // 2, margin=nodes // 10, stops=stops(last_round("uniform", ROUNDS, ROUNDS)))


def willing(nodes: int) -> Any:
    return (jnp.arange(nodes) % 10 < 7).astype(jnp.int32)


def ours(nodes: int, fault: Fault) -> Contender:
    """`comms.converse` by tally, every tenth node a liar that tells each receiver what it likes."""
    protocol, proposal = vote(nodes), willing(nodes)

    @eqx.filter_jit
    def talk(key: Any, fault: Fault) -> Any:
        lasting = comms.boot(key, protocol, nodes)
        coin = jax.random.key(1)
        rot = fault.reset(key, nodes)
        return jnp.sum(comms.converse(key, coin, protocol, lasting, proposal, None, fault, rot, None, nodes).decision)

    return lambda seed: float(talk(random.key(seed, "hashed"), fault))


def words(nodes: int) -> Contender:
    """One random word for each node and round, summed so that they are made."""

    @jax.jit
    def draw(key: Any) -> Any:
        def one(total: Any, number: Any) -> tuple[Any, None]:
            return total + jnp.sum(jax.random.bits(jax.random.fold_in(key, number), (nodes,), jnp.uint32)), None

        return lax.scan(one, jnp.uint32(0), jnp.arange(ROUNDS))[0]

    return lambda seed: float(draw(random.key(seed, "hashed")))


BALLOT = 4  # bytes of a ballot: willing, round, over


def memory_floor(nodes: int) -> Contender:
    """Every node's ballot read and written once a round, and hardly computed with."""

    @jax.jit
    def stream(first: Any) -> Any:
        state = jnp.full(nodes, first, jnp.int16), jnp.zeros(nodes, bool), jnp.zeros(nodes, bool)

        def one(state: tuple, _: None) -> tuple[tuple, Any]:
            number, over, said = state
            total = jnp.sum(said, dtype=jnp.int32)
            return (number + total.astype(jnp.int16), ~over, ~said), total

        return jnp.sum(lax.scan(one, state, length=ROUNDS)[1])

    return lambda seed: float(stream(jnp.int32(seed)))


def by_numpy(nodes: int, attack: str) -> Contender:
    """The same vote in numpy, arrays in place, sums and not messages."""
    k, margin, proposal = nodes // 2, nodes // 10, np.asarray(willing(nodes)) > 0
    lying = np.arange(nodes) % 10 == 3
    power = int(lying.sum())

    def play(seed: int) -> float:
        dice, state = np.random.default_rng(seed), proposal.copy()
        told = np.zeros(nodes, np.int32)
        for number in range(ROUNDS):
            total = np.count_nonzero(state & ~lying)
            if attack == "random":
                told[:] = dice.binomial(power, 0.5, nodes)
            elif attack == "drop" and number == ROUNDS // 2:
                told[:] = 0
                told[np.flatnonzero(state & ~lying)[: nodes // 3]] = power
            else:
                told[:] = power if attack != "none" else 0
            heard = told
            heard += total
            heard += state & lying
            state &= heard >= k + (0 if number == ROUNDS - 1 else margin)
        return float(state.sum())

    return play


def attacks(nodes: int) -> dict[str, Fault]:
    liars = jnp.arange(nodes) % 10 == 3
    return {
        "none": NoFault(),
        "all yes": AllYes(members=liars),
        "random": RandomYes(chance=0.5, members=liars),
        "drop": DropAtRound(at=ROUNDS // 2 + 1, passing=nodes // 3, members=liars),
    }


# ------------------------------------------------------------------------------------ episodes, message by message

N, K, T = 16, 8, 3


def counted(episodes: int) -> Contender:
    """The optimal attack in count form (`quorate.verify.episodes`), ten rounds."""
    entry = PROTOCOLS["hidden_stop_vote"]
    game = solve(entry.make(n=N, k=K, t=T, max_rounds=ROUNDS), Roster(N, T), entry.values, entry.properties)
    told = tables(game, optimal(game))
    return lambda seed: float(play(jax.random.key(seed), told, jnp.int32(K + 1), episodes)) / episodes


def message_by_message(episodes: int) -> Contender:
    """The same attack in numpy, [episodes, receivers, senders] bits, all episodes at once."""
    law = np.array([float(share) for share in last_round("uniform", 2, ROUNDS)])

    def play(seed: int) -> float:
        dice = np.random.default_rng(seed)
        last = dice.choice(ROUNDS, size=episodes, p=law) + 1
        state = np.zeros((episodes, N), bool)
        state[:, : K + 1] = True
        mail, acts = np.empty((episodes, N, N + T), bool), np.zeros((episodes, N), bool)
        for number in range(1, ROUNDS + 1):
            mail[:, :, :N] = state[:, None, :]
            mail[:, :, N:] = True
            if number == 1:
                mail[:, K - 1 :, N:] = False  # K - 1 pass, the others are dropped
            heard = mail.sum(axis=2)
            ends = last == number
            acts[ends] = (state & (heard >= K))[ends]
            state &= heard >= K + T
        count = acts.sum(axis=1)
        return float(((count > 0) & (count < K)).mean())

    return play


# ---------------------------------------------------------------------------------------------------------- gossip


def gossip(nodes: int) -> Contender:
    """Push-sum (Kempe, Dobra and Gehrke 2003) by `numerics.push`: everybody sends half of what it has to a node drawn
    at random."""

    @jax.jit
    def spread(key: Any) -> Any:
        state = jnp.stack([willing(nodes).astype(jnp.float32), jnp.ones(nodes)], axis=1)
        numbers = jnp.arange(ROUNDS)
        return jnp.sum(lax.scan(lambda state, i: (push(jax.random.fold_in(key, i), state), None), state, numbers)[0])

    return lambda seed: float(spread(random.key(seed, "hashed")))


def gossip_numpy(nodes: int) -> Contender:
    def push(seed: int) -> float:
        dice = np.random.default_rng(seed)
        value, weight = np.asarray(willing(nodes), np.float64), np.ones(nodes)
        for _ in range(ROUNDS):
            target = dice.integers(0, nodes, nodes)
            value, weight = (half + np.bincount(target, half, minlength=nodes) for half in (value * 0.5, weight * 0.5))
        return float(value.sum() + weight.sum())

    return push


# ----------------------------------------------------------------------------------------------------- exact tables


def exact_tables(n: int) -> int:
    """The worst case and the liveness of every k and t, for every number of willing nodes."""
    entry, solved = PROTOCOLS["hidden_stop_vote"], 0
    for t in range(1, n + 1):
        for k in range(1, n + 1):
            solve(entry.make(n=n, k=k, t=t), Roster(n, t), entry.values, entry.properties[:2])
            solved += 1
    return solved


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=1_000_000)
    parser.add_argument("--table", type=int, default=64, help="solve every k and t up to this many nodes; 0: none")
    options = parser.parse_args(arguments)
    nodes, rounds = options.nodes, options.rounds
    print(machine())

    each = nodes * ROUNDS
    crowd = {f"ours, {name}": ours(nodes, fault) for name, fault in attacks(nodes).items()}
    crowd |= {f"numpy, {name.split()[0]}": by_numpy(nodes, name.split()[0]) for name in attacks(nodes)}
    crowd |= {"random words": words(nodes), "memory": memory_floor(nodes)}
    votes = {name: seconds / each * 1e9 for name, seconds in in_turn(crowd, rounds).items()}
    print(f"\na vote of {nodes} nodes, {nodes // 10} of them liars\n{'':<22}{'ns a node-round':>16}{'over memory':>14}")
    for name, value in votes.items():
        print(f"{name:<22}{value:>16.2f}{value / votes['memory']:>14.2f}")
    print(f"memory is {2 * BALLOT} bytes a node-round, {2 * BALLOT / votes['memory']:.1f} GB/s")

    some = max(1, options.episodes // 100)
    plays = in_turn({"counted": counted(options.episodes), "messages": message_by_message(some)}, rounds)
    per = plays["counted"] / options.episodes, plays["messages"] / some
    print(f"\nan attack of {N} nodes, {T} liars, {ROUNDS} rounds")
    print(f"{'count form':<22}{per[0] * 1e9:>16.1f} ns an episode, {1 / per[0]:.3g} a CPU-second")
    print(f"{'numpy, messages':<22}{per[1] * 1e9:>16.1f} ns an episode")

    rumours = in_turn({"ours": gossip(nodes), "numpy": gossip_numpy(nodes)}, rounds)
    print(f"\npush-sum gossip of {nodes} nodes")
    for name, seconds in rumours.items():
        print(f"{name:<22}{seconds / each * 1e9:>16.2f} ns a message, {each / seconds:.3g} a CPU-second")

    print("\ntargets")
    draw = votes["random words"]
    print(verdict("all yes, beyond random numbers", votes["ours, all yes"], "ns", 1.5))
    print(verdict("random per receiver, beyond random numbers", votes["ours, random"] - draw, "ns", 3))
    print(verdict("drop at a round, beyond random numbers", votes["ours, drop"], "ns", 15))
    print(verdict("episodes a CPU-second, in millions", 1e-6 / per[0], "", 5, at_least=True))
    print(verdict("numpy message by message over count form", per[1] / per[0], "x", 10, at_least=True))
    print(verdict("gossip, messages a CPU-second, in millions", each / rumours["ours"] * 1e-6, "", 200, at_least=True))
    if options.table:
        seconds = cpu(partial(exact_tables, options.table))
        print(verdict(f"exact tables of every k and t, n = {options.table}", seconds, "s", 60))


if __name__ == "__main__":
    pinned()
    main()
