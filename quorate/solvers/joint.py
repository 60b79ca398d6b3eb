"""What the step methods share: the objective inside a compiled program, and running many runs at once."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float64, Int, PRNGKeyArray

from quorate.solvers.solution import worst_single

CACHED = 2**16  # devices stepped together: their words and masks stay in one core's cache


class Problem(NamedTuple):
    """Device errors for a compiled search: float32, in units of their root mean square."""

    errors: Float[Array, "D N"]
    worst: Float[Array, ""]  # the error of choosing nobody

    @classmethod
    def of(cls, scaled: Float64[np.ndarray, "D N"]) -> "Problem":
        return cls(jnp.asarray(scaled, jnp.float32), jnp.float32(worst_single(scaled)))

    def sums(self, chosen: Bool[Array, " N"]) -> tuple[Float[Array, " D"], Int[Array, ""]]:
        """The summed error at every point and the number chosen: O(D N)."""
        total = jnp.matmul(self.errors, chosen.astype(jnp.float32), precision="highest")
        return total, jnp.sum(chosen, dtype=jnp.int32)

    def error(self, total: Float[Array, " D"], count: Int[Array, ""]) -> Float[Array, ""]:
        """The objective from its sums: O(D)."""
        size = jnp.sqrt(jnp.mean(jnp.square(total)))
        return jnp.where(count > 0, size / jnp.maximum(count, 1), self.worst)


def uniform_subset(key: PRNGKeyArray, total: int) -> Bool[Array, " total"]:
    """Each entry in or out with chance 1/2."""
    return jax.random.bits(key, (total,), jnp.uint8) < 128


def each_run(search: Callable, key: PRNGKeyArray, runs: int, devices: int):
    """`search(key of the run)` for every run, in batches that stay in cache. Run i is the same whatever `runs` is."""
    keys = jax.vmap(lambda run: jax.random.fold_in(key, run))(jnp.arange(runs))
    return jax.lax.map(search, keys, batch_size=max(1, min(runs, CACHED // devices)))
