"""How long a system needs after a disturbance."""

import numpy as np

from quorate.errors import Refusal


def recovery_time(curve, at: int, reference, factor: float = 1.0) -> np.ndarray:
    """The first tick after `at` from which a curve stays at or below factor * reference until its end; -1 if never.

    min { t > at : curve[u] <= factor * reference for all u >= t }, for curves where less is better (an error, a
    regret). The result is a tick, an index into `curve`; ticks needed = result - at. `at` is the tick of the
    disturbance, so a curve that is never disturbed gives at + 1.

    `reference` is what counts as recovered, usually the curve's level before `at`, and `factor` the slack on it.
    Single noisy excursions count as not recovered, so a single run often comes late or never: give the mean or median
    over runs, or a factor above 1. A curve that ends earlier has less to prove: compare only curves with the same
    horizon.

    Shapes: curve [..., T]; reference a scalar or exactly [...]; result [...], int64. Cost: O(size of curve).
    Errors: Refusal for `at` outside 0 .. T-2, for numbers that are not finite, for another shape of reference, for a
    factor that is not positive.

    >>> curve = [1.0, 1.0, 9.0, 4.0, 1.5, 2.5, 2.0, 1.0]
    >>> int(recovery_time(curve, at=2, reference=1.0, factor=2.0))
    6
    >>> recovery_time([curve, curve], at=2, reference=[1.0, 0.5], factor=1.0).tolist()
    [7, -1]
    """
    values, limit = np.asarray(curve, np.float64), np.asarray(reference, np.float64)
    if values.ndim == 0:
        raise Refusal("curve is a single number; it must have ticks on its last axis")
    ticks = values.shape[-1]
    if not isinstance(at, int | np.integer) or not 0 <= at < ticks - 1:
        raise Refusal(f"at is {at}; the curve has {ticks} ticks, and at least one must come after it")
    if limit.shape not in ((), values.shape[:-1]):
        raise Refusal(f"reference has shape {limit.shape}; it must be one number or have shape {values.shape[:-1]}")
    if not (np.isfinite(factor) and factor > 0):
        raise Refusal(f"factor is {factor:g}; it must be finite and above 0")
    for name, array in (("curve", values), ("reference", limit)):
        if not np.isfinite(array).all():
            raise Refusal(f"{name} holds {array[~np.isfinite(array)][0]:g}; every value must be finite")
    above = values[..., at + 1 :] > (factor * limit)[..., None]
    calm = np.argmax(above[..., ::-1], axis=-1)  # ticks at the end that are not above, 0 also when no tick is
    first = np.where(above.any(-1), ticks - calm, at + 1)
    return np.where(first < ticks, first, -1)
