"""What a solver takes and gives back: device errors in, chosen subsets with their exact error out."""

import abc
import math
import time
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, PRNGKeyArray

from quorate.errors import Refusal

Errors = Float64[np.ndarray, " N"] | Float64[np.ndarray, "D N"]


class Solutions(NamedTuple):
    """What a solver found in R runs.

    chosen       bool[R, N], the devices in use; None for a pure bound
    error        float64[R], `epsilon(errors, chosen)` in the units of the errors; for a bound, the bound
    evaluations  how often one run computed the objective of a joint choice, counterfactuals included (mean over runs)
    curve        float64[R, steps], best error after each step, in float32 precision, for figures; None if not stepwise
    seconds      wall time of the call, all runs together; a first call includes the compilation
    """

    chosen: Bool[np.ndarray, "R N"] | None
    error: Float64[np.ndarray, " R"]
    evaluations: int
    curve: Float64[np.ndarray, "R steps"] | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Solver(abc.ABC):
    """A way to choose, among N devices with signed errors, the subset whose errors cancel best.

    `about` says in a few words what it is; `kind` whether it returns a "heuristic" choice, the "exact" optimum or a
    lower "bound". Unless `random`, one run says all: R = 1 whatever was asked for. Subclasses write `search` and, where
    they do not apply to every problem, `refuses`.
    """

    about: str
    kind: Literal["heuristic", "exact", "bound"] = "heuristic"
    random: bool = True

    def refuses(self, errors: Errors, steps: int) -> str | None:
        """Why this solver does not apply to `errors` ([N] or [D, N]) with a budget of `steps`; None if it does."""
        return None

    def unit(self, errors: Errors) -> float:
        """What the errors are divided by before the search: their root mean square."""
        return root_mean_square(errors, axis=None)

    @abc.abstractmethod
    def search(self, key: PRNGKeyArray, scaled: Float64[np.ndarray, "D N"], steps: int, runs: int) -> Solutions:
        """The work itself, on [D, N] errors divided by `unit`. The `error` returned matters for bounds only."""

    def solve(self, key: PRNGKeyArray, errors: Errors, steps: int, runs: int) -> Solutions:
        """Choose devices for `errors`: [N], one signed number a device, or [D, N], row d = calibration point d.

        `steps` is the budget of step methods, `runs` the number of independent runs. The units of `errors` do not
        matter: the search sees them divided by `unit`.

        Errors: `Refusal` when `errors` is empty, not finite or neither [N] nor [D, N], when `steps` or `runs` is below
        1, or when the solver does not apply.
        """
        began = time.perf_counter()
        errors = checked(errors)
        for name, value in (("steps", steps), ("runs", runs)):
            if value < 1:
                raise Refusal(f"{name} is {value}; it must be at least 1")
        if reason := self.refuses(errors, steps):
            raise Refusal(f"the solver ({self.about}) does not apply: {reason}")
        unit = self.unit(errors) or 1.0
        found = self.search(key, np.atleast_2d(errors) / unit, steps, runs if self.random else 1)
        error = found.error * unit if found.chosen is None else epsilon(errors, found.chosen)
        curve = None if found.curve is None else np.asarray(found.curve, np.float64) * unit
        return found._replace(error=error, curve=curve, seconds=time.perf_counter() - began)


def checked(errors: Errors) -> Errors:
    """`errors` as float64, [1, N] flattened to [N]; `Refusal` when it is empty, not finite or has another shape."""
    errors = np.asarray(errors, np.float64)
    if errors.ndim not in (1, 2) or errors.size == 0:
        raise Refusal(f"errors has shape {errors.shape}; it must be [devices] or [points, devices] and not empty")
    if not np.isfinite(errors).all():
        raise Refusal(f"errors holds {np.count_nonzero(~np.isfinite(errors))} numbers that are not finite")
    return errors[0] if errors.ndim == 2 and len(errors) == 1 else errors


def needs_scalars(errors: Errors) -> str | None:
    """The reason of a solver that knows only one number a device."""
    return f"needs one number per device; these have {len(errors)}" if errors.ndim == 2 and len(errors) > 1 else None


def root_mean_square(values: np.ndarray, axis: int | None) -> np.ndarray:
    """sqrt(mean(values^2)) along `axis`, safe from overflow and underflow of the squares."""
    peak = np.max(np.abs(values)) or 1.0
    return peak * np.sqrt(np.mean(np.square(values / peak), axis=axis))


def power_of_two(errors: Errors) -> float:
    """The power of two next below the largest |error|: dividing by it rounds nothing."""
    return float(np.ldexp(0.5, np.frexp(np.max(np.abs(errors)))[1]))


def epsilon(errors: Errors, chosen: Bool[np.ndarray, "*R N"]) -> Float64[np.ndarray, "*R"]:
    """Error of the mean of the chosen devices, as exactly as float64 holds it.

    One number a device, a = `errors` [N], n = `chosen`: |sum n_j a_j| / sum n_j, the sum rounded once (`math.fsum`).
    Vectors, `errors` [D, N]: sqrt(mean over points d of (sum_j n_j a_dj / sum_j n_j)^2).
    Nobody chosen is no perfect device: it scores as the worst single one.

    Cost: O(D N) a subset. Reference: Tumer, Designing Agent Utilities, Eq. 5; the empty choice and the vectors are
    ours.

    >>> import numpy as np
    >>> a = np.array([0.5, -0.25, 2.0])
    >>> float(epsilon(a, np.array([True, True, False]))), float(epsilon(a, np.zeros(3, bool)))
    (0.125, 2.0)
    """
    errors, chosen = checked(errors), np.asarray(chosen, bool)
    rows = chosen.reshape(-1, errors.shape[-1])
    return np.array([_epsilon(errors, row) for row in rows]).reshape(chosen.shape[:-1])[()]


def _epsilon(errors: Errors, chosen: Bool[np.ndarray, " N"]) -> float:
    count = np.count_nonzero(chosen)
    if count == 0:
        return worst_single(errors)
    if errors.ndim == 1:
        return abs(math.fsum(errors[chosen])) / count
    return float(root_mean_square(errors @ chosen.astype(np.float64), axis=None)) / count


def worst_single(errors: Errors) -> float:
    """Error of the worst device on its own: the score of choosing nobody."""
    return float(np.max(root_mean_square(np.atleast_2d(errors), axis=0)))
