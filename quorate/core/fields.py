"""How fields are declared, and the names of things whose structure is the part's own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from quorate.errors import Refusal

State = Ballot = Payload = Mind = Memory = PyTree
Key = PRNGKeyArray


def swept(dtype: Any = jnp.float32, default: Any = ...) -> Any:
    """A field that may be swept: an array of a fixed dtype. A bare or weakly typed scalar would compile anew for each
    value. Where it is a whole number, one that would be rounded or wrapped is refused."""
    given = {} if default is ... else {"default": default}
    return eqx.field(converter=lambda value: _fixed(value, dtype), kw_only=True, **given)


def _fixed(value: Any, dtype: Any) -> Array:
    whole = np.issubdtype(dtype, np.integer) and getattr(value, "dtype", None) != dtype
    if whole and not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        numbers, limits = np.asarray(value), np.iinfo(dtype)
        if numbers.dtype.kind == "f":
            fits = (numbers == np.floor(numbers)) & (numbers >= limits.min) & (numbers <= limits.max)
        else:
            fits = (numbers >= limits.min) & (numbers <= limits.max)
        if not np.all(fits):
            raise Refusal(f"{value} is given where whole numbers from {limits.min} to {limits.max} are due")
    return jnp.asarray(value, dtype)


def at_least(least: int, **values: Any) -> None:
    """Refuses whole numbers, one or an array, of which any is less than `least`; what is traced cannot be looked at.

    >>> at_least(0, margin=-1)
    Traceback (most recent call last):
    quorate.errors.Refusal: margin is -1; it must be at least 0
    """
    for name, value in values.items():
        if isinstance(value, jax.core.Tracer):
            continue
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iu":
            raise Refusal(f"{name} is {value}; it must be a whole number")
        if np.any(numbers < least):
            raise Refusal(f"{name} is {value}; it must be at least {least}")


def static(default: Any = ...) -> Any:
    """A field that shapes the program: another value is another compilation."""
    given = {} if default is ... else {"default": default}
    return eqx.field(static=True, kw_only=True, **given)
