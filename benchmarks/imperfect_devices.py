"""What one tick of imperfect devices costs: ours, beside a numpy loop, a scan written out by hand, and the memory
itself.

    python benchmarks/imperfect_devices.py [--sizes 1000 10000] [--ticks 100] [--rounds 9] [--runs 1000] [--large 50000]

Everything runs in one process on one core, in turn, and is timed in CPU time (user and system of the whole process);
each number is a median over the rounds. Read the ratios: the absolute times belong to the machine.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from timing import cpu, in_turn, machine, pinned, verdict

from quorate import random
from quorate.core import Scenario
from quorate.experiments.study import Study, stacked
from quorate.learners.boltzmann import Boltzmann
from quorate.step import run, start
from quorate.utilities.difference import ExpectedDifference
from quorate.worlds.imperfect_devices import ImperfectDevices, draw

Contender = Callable[[int], float]  # plays all ticks with this seed and returns the last error

MEMORY, FIRST = 0.8, 20


def temperature(num_agents: int) -> float:
    return 0.1 / num_agents**2


def switch_on(num_agents: int) -> int:
    return max(1, num_agents // 50)


# ---------------------------------------------------------------------------------------------------------- contenders


def scenario(num_agents: int) -> Scenario:
    return Scenario(
        world=ImperfectDevices(errors=draw(0, num_agents)),
        learner=Boltzmann(
            temperature=temperature(num_agents), memory=MEMORY, first=FIRST, switch_on=switch_on(num_agents)
        ),
        utility=ExpectedDifference(),
    )


def ours(num_agents: int, ticks: int, generator: str) -> Contender:
    """`quorate.step.run`, with everything it does by default."""
    here, begin = scenario(num_agents), eqx.filter_jit(start)

    def play(seed: int) -> float:
        _, records = run(begin(random.key(seed, generator), here), here, ticks)
        return -float(records["score"][-1, 0])

    return play


def _mix(word):
    word = (word ^ (word >> 16)) * jnp.uint32(0x21F0AAAD)
    word = (word ^ (word >> 15)) * jnp.uint32(0x735A2D97)
    return word ^ (word >> 15)


def by_hand(num_agents: int, ticks: int, generator: str) -> Contender:
    """A `lax.scan` for this one problem, using nothing of ours: four [N] arrays, plain float32 sums, the hash written
    out (two rounds of two mixes, as many as ours) or JAX's threefry."""
    errors, num_on = jnp.asarray(draw(0, num_agents), jnp.float32), switch_on(num_agents)
    worst, colder = jnp.max(jnp.abs(errors)), jnp.float32(1 / temperature(num_agents))
    counter = jnp.arange(num_agents)

    def uniform(key, t):
        if generator == "threefry":
            words = jax.random.bits(jax.random.fold_in(key, t), (num_agents,), jnp.uint32)
        else:
            inner = _mix(counter.astype(jnp.uint32) ^ _mix(key ^ _mix(t.astype(jnp.uint32))))
            words = _mix(inner + key) ^ inner
        return (words.astype(jnp.float32) + 0.5) * 2.0**-32

    def tick(carry, t):
        key, off, on, off_weight, on_weight = carry  # what each action paid, and the weight behind it
        gap = jnp.where(counter < (t + 1 - FIRST) * num_on, (on - off) * colder, 0)
        odds = jnp.exp(-jnp.abs(gap))
        chosen = (gap > 0) ^ (uniform(key, t) * (1 + odds) < odds)
        terms = jnp.where(chosen, errors, 0), chosen.astype(jnp.int32)
        total, count = lax.reduce(  # one reduction of two terms: XLA runs two reductions at half the speed
            terms, (jnp.float32(0), jnp.int32(0)), lambda a, b: (a[0] + b[0], a[1] + b[1]), (0,)
        )
        error = jnp.where(count > 0, jnp.abs(total) / jnp.maximum(count, 1), worst)
        other_total, other_count = total + jnp.where(chosen, -errors, errors), count + jnp.where(chosen, -1, 1)
        other = jnp.where(other_count > 0, jnp.abs(other_total) / jnp.maximum(other_count, 1), worst)
        credit = 0.5 * (other - error)
        off_weight = off_weight * MEMORY + jnp.where(chosen, 0.0, 1.0)
        on_weight = on_weight * MEMORY + jnp.where(chosen, 1.0, 0.0)
        change = (credit - jnp.where(chosen, on, off)) / jnp.where(chosen, on_weight, off_weight)
        off, on = off + jnp.where(chosen, 0, change), on + jnp.where(chosen, change, 0)
        return (key, off, on, off_weight, on_weight), error

    @jax.jit
    def play(key):
        nothing = jnp.zeros(num_agents)
        return lax.scan(tick, (key, nothing, nothing, nothing, nothing), jnp.arange(ticks))[1]

    key = jax.random.key if generator == "threefry" else lambda seed: _mix(jnp.uint32(seed + 1))
    return lambda seed: float(play(key(seed))[-1])


def by_numpy(num_agents: int, ticks: int) -> Contender:
    """Numpy done well: float32, every array in place, no temporaries, numpy's own generator."""
    errors = draw(0, num_agents).astype(np.float32)
    worst, colder, num_on = np.max(np.abs(errors)), np.float32(1 / temperature(num_agents)), switch_on(num_agents)

    def play(seed: int) -> float:
        generator = np.random.default_rng(seed)
        off, on, off_weight, on_weight = np.zeros((4, num_agents), np.float32)
        x, y, one = np.empty((3, num_agents), np.float32)
        chosen = np.empty(num_agents, bool)
        for t in range(ticks):
            np.subtract(off, on, out=x)
            x *= colder
            x[max(0, t + 1 - FIRST) * num_on :] = 0
            np.minimum(x, 80, out=x)
            np.exp(x, out=x)
            x += 1
            x *= generator.random(out=y, dtype=np.float32)
            np.less(x, 1, out=chosen)
            np.copyto(one, chosen)
            total, count = np.dot(errors, one), np.count_nonzero(chosen)
            error = abs(total) / count if count else worst
            np.multiply(one, -2, out=y)
            y += 1  # +1 where the other action is to take part, -1 where it is not to
            np.multiply(errors, y, out=x)
            x += np.float32(total)
            np.abs(x, out=x)
            y += count
            if count == 1:
                x[chosen], y[chosen] = worst, 1
            x /= y
            x -= np.float32(error)
            x *= 0.5
            on_weight *= MEMORY
            on_weight += one
            off_weight *= MEMORY
            off_weight += np.subtract(1, one, out=y)
            np.copyto(y, off)
            np.copyto(y, on, where=chosen)
            x -= y
            np.copyto(y, off_weight)
            np.copyto(y, on_weight, where=chosen)
            x /= y
            np.add(on, x, out=on, where=chosen)
            np.add(off, x, out=off, where=np.logical_not(chosen, out=chosen))
        return float(error)

    return play


STREAMED = 44  # bytes an agent-step


def memory_floor(num_agents: int, ticks: int) -> Contender:
    """One tick's state, moved and hardly computed with: two means and two weights are read and written (32 bytes), the
    distortion is read twice and the action once (12), because the score, a sum over everybody, comes between choosing
    and learning. Nothing is counted for the random word, the written action or what fits no register."""
    errors = jnp.asarray(draw(0, num_agents), jnp.float32)

    def tick(state, _):
        state = state * 0.999 + errors[None]  # 16 read, 16 written, 4 read
        total = lax.reduce(  # 8 read, in one pass
            (errors, state[0]), (jnp.float32(0), jnp.float32(0)), lambda a, b: (a[0] + b[0], a[1] + b[1]), (0,)
        )
        return state, total[0] + total[1]

    @jax.jit
    def play(first):
        return lax.scan(tick, jnp.full((4, num_agents), first), length=ticks)[1]

    return lambda seed: float(play(jnp.float32(seed))[-1])


# --------------------------------------------------------------------------------------------------------- measurement

NAMES = {
    "ours, hashed": lambda n, ticks: ours(n, ticks, "hashed"),
    "by hand, hashed": lambda n, ticks: by_hand(n, ticks, "hashed"),
    "ours, threefry": lambda n, ticks: ours(n, ticks, "threefry"),
    "by hand, threefry": lambda n, ticks: by_hand(n, ticks, "threefry"),
    "numpy": by_numpy,
    "memory": memory_floor,
}


def step_times(num_agents: int, ticks: int, rounds: int) -> dict[str, float]:
    """The median ns of an agent-step of each contender, all of them in turn in every round."""
    seconds = in_turn({name: make(num_agents, ticks) for name, make in NAMES.items()}, rounds)
    return {name: value / (num_agents * ticks) * 1e9 for name, value in seconds.items()}


def peak() -> float:
    """The most memory this process has ever had, in megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--ticks", type=int, help="ticks a call (default: 10^7 agent-steps, and at least 40 ticks)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=1000, help="runs of 200 ticks of 1000 agents")
    parser.add_argument("--large", type=int, default=1_000_000, help="agents of the single run of 200 ticks")
    options = parser.parse_args(arguments)
    print(machine())

    large, before = ours(options.large, 200, "hashed"), peak()
    compiling = cpu(lambda: large(0))
    wall = time.perf_counter()
    playing = cpu(lambda: large(1))
    wall, compiling = time.perf_counter() - wall, compiling - playing
    print(
        f"\n{options.large} agents, 200 ticks, hashed: {playing:.2f} CPU-s, {wall:.2f} s wall, "
        f"{peak() - before:.0f} MB more at the peak ({peak():.0f} MB in all)"
    )
    study, cells = Study(), stacked([scenario(1000)])
    first = cpu(lambda: study.sweep("runs", cells, 200, options.runs))
    sweep = cpu(lambda: study.sweep("runs", cells, 200, options.runs))
    print(f"{options.runs} runs of 200 ticks of 1000 agents, threefry, by Study.sweep: {sweep:.2f} CPU-s")
    print(f"compiling: {compiling:.2f} CPU-s one run, {first - sweep:.2f} CPU-s the sweep\n")

    print(f"{'ns an agent-step':<20}" + "".join(f"{n:>12}" for n in options.sizes))
    table = {}
    for n in options.sizes:
        table[n] = step_times(n, options.ticks or max(40, 10_000_000 // n), options.rounds)
    for name in NAMES:
        print(f"{name:<20}" + "".join(f"{table[n][name]:>12.2f}" for n in options.sizes))
    ratios = {
        f"{mine}, over {name}": [table[n][mine] / table[n][other] for n in options.sizes]
        for mine in ("ours, hashed", "ours, threefry")
        for name, other in (("by hand", f"by hand{mine[4:]}"), ("memory", "memory"))
    }
    ratios["numpy, over ours, hashed"] = [table[n]["numpy"] / table[n]["ours, hashed"] for n in options.sizes]
    print("\nratios")
    for name, values in ratios.items():
        print(f"{name:<30}" + "".join(f"{value:>10.2f}" for value in values))

    n = options.sizes[-1]
    print(f"\nmemory is {STREAMED} bytes an agent-step, {STREAMED / table[n]['memory']:.1f} GB/s at {n} agents")
    print(f"targets, {n} agents")
    print(verdict("ours over by hand, hashed", ratios["ours, hashed, over by hand"][-1], "x", 1.4))
    print(verdict("ours, hashed, over memory", ratios["ours, hashed, over memory"][-1], "x", 2.5))
    print(verdict("numpy over ours, hashed", ratios["numpy, over ours, hashed"][-1], "x", 8, at_least=True))
    print(verdict(f"{options.runs} runs of 200 ticks of 1000 agents, CPU", sweep, "s", 10))
    print(verdict("compiling, the slower of the two, CPU", max(compiling, first - sweep), "s", 4))


if __name__ == "__main__":
    pinned()
    main()
