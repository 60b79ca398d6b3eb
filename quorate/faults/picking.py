"""Who it hits: an exact share of the agents, at random or by a given order."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from quorate.core import Key
from quorate.errors import Refusal
from quorate.numerics.choose import lowest


def picked(
    key: Key, share: Float[Array, ""], num_agents: int, order: Float[Array, " N"] | None, first: Bool[Array, ""]
) -> Bool[Array, " N"]:
    """round(share N) agents: at random, or where `first` holds those with the highest `order`; among equals the lower
    id. O(N), no sort.

    >>> order = jnp.array([0.5, 2.0, -1.0, 0.7])
    >>> picked(jax.random.key(0), jnp.float32(0.5), 4, order, jnp.array(True)).tolist()
    [False, True, False, True]
    """
    words = jax.random.bits(key, (num_agents,), jnp.uint32)
    if order is not None:
        if order.shape != (num_agents,):
            raise Refusal(f"order ranks {order.shape[-1]} agents; the world has {num_agents}")
        words = jnp.where(first, ~ascending(order), words)
    return lowest(words, jnp.round(share * num_agents).astype(jnp.int32))


def ascending(value: Float[Array, " N"]) -> UInt32[Array, " N"]:
    """Words in the same order as the numbers; 0 and -0 are equal."""
    words = jax.lax.bitcast_convert_type(jnp.where(value == 0, 0.0, value), jnp.uint32)
    return jnp.where(words >> 31 == 1, ~words, words | jnp.uint32(1 << 31))


def leaders_first(health: Float[Array, " N"], hosts: Sequence[int] = ()) -> Float[Array, " N"]:
    """An order in which leaders fall first: the hosts one after another, then the others by health (from 0 to 1, the
    highest first). Ids below 0 are nobody's, and one that is named twice counts the first time.

    >>> leaders_first(jnp.array([0.5, 0.75, 0.25]), hosts=[2, -1]).tolist()
    [0.5, 0.75, 1.25]
    """
    order = np.array(health, np.float32)
    named = list(dict.fromkeys(int(host) for host in np.asarray(hosts, np.int64).reshape(-1) if host >= 0))
    if named and max(named) >= len(order):
        raise Refusal(f"agent {max(named)} is a host; there are {len(order)} agents, from 0 on")
    order[named] += np.arange(len(named), 0, -1)
    return jnp.asarray(order)


def an_order(given: Any) -> Array | None:
    """The converter of a field `order`."""
    return None if given is None else jnp.asarray(given, jnp.float32)


def check_picking(share: Array, order: Array | None, first: Array) -> None:
    """Refuses shares that are none, an order with NaN, and to go by an order that is not there."""
    check_chances(share=share)
    if order is not None and not isinstance(order, jax.core.Tracer) and np.any(np.isnan(np.asarray(order))):
        raise Refusal("order holds NaN; it ranks agents, the highest first")
    if order is None and not isinstance(first, jax.core.Tracer) and np.any(np.asarray(first)):
        raise Refusal("first is True, and there is no order to go by", "give order=, one number for each agent")


def check_chances(**values: Array) -> None:
    """Refuses what is no share or probability; what is traced cannot be looked at.

    >>> check_chances(leave=jnp.float32(1.5))
    Traceback (most recent call last):
    quorate.errors.Refusal: leave is 1.5; it must be from 0 to 1
    """
    for name, value in values.items():
        numbers = None if isinstance(value, jax.core.Tracer) else np.asarray(value)
        if numbers is not None and not np.all((numbers >= 0) & (numbers <= 1)):
            raise Refusal(f"{name} is {value}; it must be from 0 to 1")
