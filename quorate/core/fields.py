"""How fields are declared, and the names of things whose structure is the part's own."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

State = Ballot = Payload = Mind = Memory = PyTree
Key = PRNGKeyArray


def swept(dtype: Any = jnp.float32, default: Any = ...) -> Any:
    """A field that may be swept: an array of a fixed dtype. A bare or weakly typed scalar would compile anew for each
    value."""
    given = {} if default is ... else {"default": default}
    return eqx.field(converter=lambda value: jnp.asarray(value, dtype), kw_only=True, **given)


def static(default: Any = ...) -> Any:
    """A field that shapes the program: another value is another compilation."""
    given = {} if default is ... else {"default": default}
    return eqx.field(static=True, kw_only=True, **given)
