"""What the worlds ask of their numbers."""

from collections.abc import Callable

import jax
import numpy as np

from quorate.errors import Refusal


def above_zero(**values) -> None:
    """Refuses a value, or an array with an entry, that is not above 0 or not finite.

    Inside a compiled program a value cannot be looked at, and passes.

    >>> above_zero(nights=7, capacity=np.array([2.0, 3.0]))
    """
    _refuse_unless(lambda value: value > 0, "above 0", values)


def not_negative(**values) -> None:
    """As `above_zero`, but 0 is allowed.

    >>> not_negative(base=[0.0, 2.0])
    """
    _refuse_unless(lambda value: value >= 0, "at least 0", values)


def _refuse_unless(right: Callable, rule: str, values: dict) -> None:
    for name, value in values.items():
        if isinstance(value, jax.core.Tracer):
            continue
        value = np.asarray(value)
        wrong = value[~(right(value) & np.isfinite(value))]
        if wrong.size:
            raise Refusal(f"{name} is {wrong.flat[0]:g}; it must be {rule} and finite")
