"""Simulated annealing over single flips: now and then a worse choice is accepted, ever less often."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, PRNGKeyArray

from quorate.solvers.joint import Problem, each_run, uniform_subset
from quorate.solvers.solution import Solutions, Solver

HOT, COLD = 0.3, 1e-3  # temperatures of the first and the last step, times N, in units of the errors' root mean square
MOST_FLIPS = 10**7  # of one run


@dataclass(frozen=True, kw_only=True)
class Annealing(Solver):
    """Simulated annealing: flip one device; what is worse is accepted now and then, ever less often.

    Accept when new error < error + T E, E exponential of mean 1 (the rule of Metropolis).

    T = 0.3 / N falls geometrically to 1e-3 / N over `steps`, in units of the errors' root mean square: removing device
    i changes the error by about |a_i| / K. The best choice met is returned.

    With `sweeps` a step is N single flips at one temperature, otherwise one flip.

    Any number of points. Cost: O(D) a flip and O(N) a step. Evaluations = steps (steps N with `sweeps`): the uniform
    start is the first. Sums are carried as a compensated pair of float32; the errors themselves are float32, so that
    what is found is blind to differences of the sum below about 1e-7 sqrt(N) of their root mean square.

    Reference: Kirkpatrick, Gelatt, Vecchi, Optimization by Simulated Annealing (1983); schedule and temperatures are
    ours.

    >>> import jax, numpy as np
    >>> errors = np.random.default_rng(0).normal(size=100)
    >>> found = Annealing().solve(jax.random.key(0), errors, steps=200, runs=3)
    >>> found.evaluations, bool((found.error < 0.01).all())
    (200, True)
    """

    about: str = "simulated annealing, one flip a step"
    sweeps: bool = False

    def refuses(self, errors: np.ndarray, steps: int) -> str | None:
        flips = steps * self._block(errors)
        return f"{flips} flips a run are above {MOST_FLIPS}" if flips > MOST_FLIPS else None

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        block = self._block(scaled)
        result = _anneal(key, Problem.of(scaled), steps, block, runs)
        chosen, curve = (np.asarray(part) for part in result)
        return Solutions(chosen, curve[:, -1], steps * block, curve)

    def _block(self, errors: np.ndarray) -> int:
        return errors.shape[-1] if self.sweeps else 1


def _add(high: Array, low: Array, value: Array) -> tuple[Array, Array]:
    """(high + low) + value, what float32 drops from the sum kept in `low` (Knuth's two-sum)."""
    total = high + value
    part = total - high
    return total, low + ((high - (total - part)) + (value - part))


@partial(jax.jit, static_argnames=("steps", "block", "runs"))
def _anneal(key: PRNGKeyArray, problem: Problem, steps: int, block: int, runs: int) -> tuple[Array, Array]:
    devices = problem.errors.shape[1]
    order = jnp.arange(block, dtype=jnp.int32)

    def search(key: PRNGKeyArray) -> tuple[Array, Array]:
        keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(steps + 1))
        chosen = uniform_subset(keys[steps], devices)
        total, count = problem.sums(chosen)
        error = problem.error(total, count)

        def flip(carry, draw):
            chosen, high, low, count, error, least, last = carry
            device, slack, place = draw
            member = chosen[device]
            change = problem.errors[:, device]
            new_high, new_low = _add(high, low, jnp.where(member, -change, change))
            new_count = count + jnp.where(member, -1, 1)
            new = problem.error(new_high + new_low, new_count)
            moved = new < error + slack
            chosen = chosen.at[device].set(member ^ moved)
            high, low = jnp.where(moved, new_high, high), jnp.where(moved, new_low, low)
            count, error = jnp.where(moved, new_count, count), jnp.where(moved, new, error)
            better = error < least
            last = jnp.where(better, place, last)
            return (chosen, high, low, count, error, jnp.minimum(error, least), last), moved

        def step(carry, now):
            t, key = now
            chosen, high, low, count, error, best, least = carry
            words = jax.random.bits(key, (2, block), jnp.uint32)
            temperature = HOT / devices * (COLD / HOT) ** (t / max(steps - 1, 1))
            device = (words[0] % devices).astype(jnp.int32)
            slack = -temperature * jnp.log(((words[1] >> 8) + 0.5) * 2.0**-24)
            # The very first evaluation is that of the start: no flip is accepted there.
            slack = jnp.where((t == 0) & (order == 0), -jnp.inf, slack)
            state = (chosen, high, low, count, error, least, jnp.int32(-1))
            (chosen, high, low, count, error, least, last), moved = jax.lax.scan(flip, state, (device, slack, order))
            # The best choice of this step is where it ended with the flips after it taken back.
            undone = jnp.zeros(devices, jnp.int32).at[device].add(moved & (order > last)) % 2 == 1
            best = jnp.where(last >= 0, chosen ^ undone, best)
            return (chosen, high, low, count, error, best, least), least

        state = (chosen, total, jnp.zeros_like(total), count, error, chosen, error)
        state, curve = jax.lax.scan(step, state, (jnp.arange(steps), keys[:steps]))
        return state[5], curve

    return each_run(search, key, runs, devices)
