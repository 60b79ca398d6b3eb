"""Step methods that try one joint choice a step and keep the best: uniform draws, or flips of the best so far."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, PRNGKeyArray

from quorate.errors import Refusal
from quorate.numerics.choose import lowest
from quorate.solvers.joint import Problem, each_run, uniform_subset
from quorate.solvers.solution import Solutions, Solver


@dataclass(frozen=True, kw_only=True)
class RandomSearch(Solver):
    """Random search: a uniform subset each step, the best so far is kept.

    Any number of points. Cost: O(D N) a step; evaluations = steps, one a step.
    """

    about: str = "uniform subsets, the best is kept"

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        return _found(_draw(key, Problem.of(scaled), steps, runs), steps)


@dataclass(frozen=True, kw_only=True)
class LocalSearch(Solver):
    """The paper's search S: flip exactly round(`fraction` N) devices of the best choice, keep it if it is better.

    At least one device is flipped. The result depends on `fraction`: by a factor of nine from 0.02 to 0.5 (N = 1000).

    Any number of points. Cost: O(D N) a step, one random word and about 40 comparisons a device. Evaluations = steps:
    the uniform start is the first, each later step tries one set of flips.

    Errors: `Refusal` for a `fraction` outside 0..1.

    Reference: Tumer, Designing Agent Utilities, algorithm S of Figs. 1-3, where 25 % of the actions are "randomly
    changed"; we read changed as flipped.

    >>> import jax, numpy as np
    >>> errors = np.random.default_rng(0).normal(size=100)
    >>> found = LocalSearch().solve(jax.random.key(0), errors, steps=200, runs=3)
    >>> found.chosen.shape, found.curve.shape, bool((found.error < 0.02).all())
    ((3, 100), (3, 200), True)
    """

    about: str = "flip some devices at once, keep what is better"
    fraction: float = 0.25

    def __post_init__(self):
        if not 0 <= self.fraction <= 1:
            raise Refusal(
                f"fraction is {self.fraction}; it is the share of devices flipped and must be between 0 and 1"
            )

    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        flips = max(1, round(self.fraction * scaled.shape[1]))
        return _found(_flip(key, Problem.of(scaled), jnp.int32(flips), steps, runs), steps)


def _found(result: tuple[Array, Array], steps: int) -> Solutions:
    chosen, curve = (np.asarray(part) for part in result)
    return Solutions(chosen, curve[:, -1], steps, curve)


def _keep_best(key: PRNGKeyArray, problem: Problem, steps: int, propose) -> tuple[Array, Array]:
    """The best choice and the curve of one run; `propose(key, t, best)` is the choice tried in step t."""

    def step(carry: tuple[Array, Array], t: Array) -> tuple[tuple[Array, Array], Array]:
        best, least = carry
        chosen = propose(jax.random.fold_in(key, t), t, best)
        error = problem.error(*problem.sums(chosen))
        best = jnp.where(error < least, chosen, best)
        least = jnp.minimum(error, least)
        return (best, least), least

    nobody = jnp.zeros(problem.errors.shape[1], bool)  # replaced in the first step, whatever that finds
    (best, _), curve = jax.lax.scan(step, (nobody, jnp.float32(jnp.inf)), jnp.arange(steps))
    return best, curve


@partial(jax.jit, static_argnames=("steps", "runs"))
def _draw(key: PRNGKeyArray, problem: Problem, steps: int, runs: int) -> tuple[Array, Array]:
    devices = problem.errors.shape[1]

    def propose(key: PRNGKeyArray, t: Array, best: Array) -> Array:
        return uniform_subset(key, devices)

    return each_run(lambda key: _keep_best(key, problem, steps, propose), key, runs, devices)


@partial(jax.jit, static_argnames=("steps", "runs"))
def _flip(key: PRNGKeyArray, problem: Problem, flips: Array, steps: int, runs: int) -> tuple[Array, Array]:
    devices = problem.errors.shape[1]

    def propose(key: PRNGKeyArray, t: Array, best: Array) -> Array:
        words = jax.random.bits(key, (devices,), jnp.uint32)
        start = words >> 31 == 1  # each device in or out with chance 1/2
        return jnp.where(t == 0, start, best ^ lowest(words, flips))

    return each_run(lambda key: _keep_best(key, problem, steps, propose), key, runs, devices)
