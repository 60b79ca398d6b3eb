"""Imperfect devices: choose the subset whose distortions cancel best."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from quorate.core import AggregativeWorld, State
from quorate.errors import Refusal, unknown
from quorate.numerics.fixed_point import Grid, exact_sums, grid_exponent, grid_of, onto_grid


class Chosen(NamedTuple):
    """Shares of, and sums over, the chosen devices."""

    error: Float[Array, "..."]
    count: Int[Array, "..."]


class ImperfectDevices(AggregativeWorld):
    """Each device says whether it takes part; the average of those that do should be as near to the truth as possible.

        G = -epsilon,   epsilon = sqrt( mean over points d of (sum_j n_j a_dj / sum_j n_j)^2 )

    with n_j the action of device j (1: chosen) and a_dj `errors[d, j]`, its signed distortion at calibration point d.
    With one number per device (`errors` [N]) this is epsilon = |sum n_j a_j| / sum n_j. Nobody chosen is no perfect
    device: it scores as the worst single one.

    The errors are rounded once to a common grid (at least 22 bits below the largest, up to a million devices), so
    that sums are exact, the same in any order, for any batch and on any device. Their unit is theirs: scale them with
    `standardised` where a choice must not depend on it.

    Shapes: errors [N] or [D, N]; actions i32[N] of 0 and 1. Cost O(N) or O(D N) for the score and for every
    difference utility. Reference: Tumer, Designing Agent Utilities, Eq. 5; D. Challet and N. F. Johnson, Phys. Rev.
    Lett. 89:028701 (2002). The source has one number per device and leaves the empty set undefined.

    >>> world = ImperfectDevices(errors=jnp.array([1.0, -1.0, 0.5]))
    >>> float(world.score((), jnp.array([1, 0, 1]), ())), float(world.score((), jnp.array([0, 0, 0]), ()))
    (-0.75, -1.0)
    """

    errors: Array
    worst: Array
    grid: Grid
    num_actions: int = eqx.field(static=True)

    def __init__(self, *, errors: Array):
        errors = jnp.asarray(errors, jnp.float32)
        if errors.ndim not in (1, 2) or errors.size == 0:
            raise Refusal(f"errors have shape {errors.shape}; they are [devices] or [points, devices]")
        exponent = grid_exponent(errors, errors.shape[-1])
        self.errors, self.grid = onto_grid(errors, exponent), grid_of(exponent)
        self.worst = jnp.max(self._size(self.errors))
        self.num_actions = 2

    @property
    def num_agents(self) -> int:
        return self.errors.shape[-1]

    def _size(self, error: Array) -> Array:
        """Of one number its size; of a column of them, their root mean square."""
        return jnp.abs(error) if self.errors.ndim == 1 else jnp.sqrt(jnp.mean(error**2, axis=0))

    def parts(self, state: State, actions: Int[Array, " N"]) -> Chosen:
        chosen = actions > 0
        return Chosen(jnp.where(chosen if self.errors.ndim == 1 else chosen[None], self.errors, 0), actions)

    def total(self, parts: Chosen) -> Chosen:
        if parts.error.ndim == 1:
            return Chosen(*exact_sums(self.grid, parts.error, parts.count))
        return Chosen(*exact_sums(self.grid, parts.error), jnp.sum(parts.count, dtype=jnp.int32))

    def value(self, state: State, total: Chosen) -> Float[Array, "..."]:
        average = self._size(total.error) / jnp.maximum(total.count, 1)
        return -jnp.where(total.count > 0, average, self.worst)

    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """-|a_i| n_i: a device that takes part answers for its own error, so the selfish switch off."""
        return jnp.where(actions > 0, -self._size(self.errors), 0)


LAWS = ("normal", "uniform", "laplace", "student_t3")


def draw(seed: int | Sequence[int], num_agents: int, law: str = "normal") -> np.ndarray:
    """Independent distortions of mean 0, float64 [num_agents]: normal (the source's, variance 1), uniform on
    +-sqrt(3), Laplace of variance 1, or Student's t with 3 degrees of freedom (variance 3: its heavy tail is the
    point). One draw is one configuration."""
    if law not in LAWS:
        raise unknown("law", law, LAWS)
    generator = np.random.default_rng([*np.atleast_1d(seed), num_agents, LAWS.index(law)])
    if law == "normal":
        return generator.standard_normal(num_agents)
    if law == "uniform":
        return generator.uniform(-np.sqrt(3), np.sqrt(3), num_agents)
    if law == "laplace":
        return generator.laplace(0, np.sqrt(0.5), num_agents)
    return generator.standard_t(3, num_agents)


def standardised(errors: np.ndarray) -> tuple[np.ndarray, float]:
    """(errors over their root mean square, that root mean square), divided in float64: the world that learners see
    has no unit.

    >>> [float(x) for x in standardised(np.array([3e-6, -3e-6]))[0]]
    [1.0, -1.0]
    """
    errors = np.asarray(errors, np.float64)
    largest = np.max(np.abs(errors))
    if largest == 0:
        return errors, 1.0
    scale = float(largest * np.sqrt(np.mean((errors / largest) ** 2)))  # no overflow or underflow on the way
    return errors / scale, scale
