"""What the checks have in common: how two results are compared, and how a broken promise is said."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quorate.errors import Refusal

TICKS = 4
ADDRESS = re.compile("0x[0-9a-f]+")


def kind(part: Any) -> str:
    return type(part).__name__


@contextmanager
def promise(part: Any, what: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into `Part: what; the error`."""
    try:
        yield
    except (AssertionError, Refusal):
        raise
    except Exception as error:
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        raise AssertionError(f"{kind(part)}: {what} does not work; {kind(error)}: {said}") from error


def weak(leaf: jax.Array) -> bool:
    """Keys have no such property."""
    return bool(getattr(leaf, "weak_type", False))


def say(leaf: Any) -> str:
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return f"a bare {kind(leaf)}"
    return f"{leaf.dtype}{list(leaf.shape)}" + (", weakly typed" if weak(leaf) else "")


def named(tree: PyTree) -> list[tuple[str, Any]]:
    return [
        (jax.tree_util.keystr(path) or "the value", leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def strongly_typed(part: Any, what: str, tree: PyTree) -> None:
    """Every leaf is an array of a dtype of its own."""
    for name, leaf in named(tree):
        if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
            raise AssertionError(f"{kind(part)}: {name} of {what} is {say(leaf)}; it must be an array")
        if weak(leaf):
            raise AssertionError(
                f"{kind(part)}: {name} of {what} is weakly typed {leaf.dtype}, so that its dtype depends on what it "
                "meets; give it a dtype, as in jnp.asarray(value, jnp.float32)"
            )


def kept(part: Any, what: str, before: PyTree, after: PyTree) -> None:
    """Structure, shapes and dtypes are the same."""
    old, new = jax.tree.structure(before), jax.tree.structure(after)
    if old != new:
        raise AssertionError(f"{kind(part)}: {what} changes its structure, from {old} to {new}")
    for (name, one), (_, other) in zip(named(before), named(after), strict=True):
        if say(one) != say(other):
            raise AssertionError(f"{kind(part)}: {name} of {what} was {say(one)} and becomes {say(other)}")


def shaped(part: Any, what: str, value: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """An array of this shape whose dtype is of this kind."""
    strongly_typed(part, what, value)
    array = isinstance(value, jax.Array | jax.ShapeDtypeStruct)
    if not array or value.shape != shape or not jnp.issubdtype(value.dtype, dtype):
        found = say(value) if array else "no array"
        raise AssertionError(f"{kind(part)}: {what} is {found}; it must be {dtype.__name__}{list(shape)}")


def per_agent(part: Any, what: str, tree: PyTree, num_agents: int) -> None:
    """Every leaf leads with the agents."""
    strongly_typed(part, what, tree)
    for name, leaf in named(tree):
        if leaf.shape[:1] != (num_agents,):
            raise AssertionError(
                f"{kind(part)}: {name} of {what} is {say(leaf)}; its first axis must be the {num_agents} agents"
            )


def plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def equal(part: Any, what: str, one: PyTree, other: PyTree) -> None:
    """Bit for bit."""
    kept(part, what, one, other)
    for (name, a), (_, b) in zip(named(one), named(other), strict=True):
        a, b = plain(a), plain(b)
        if a.tobytes() != b.tobytes():
            raise AssertionError(f"{kind(part)}: {what} differs in {name}, in {int((a != b).sum())} of {a.size} values")


def close(part: Any, what: str, one: PyTree, other: PyTree) -> None:
    """Equal, floats but for the rounding that another order of adding brings."""
    kept(part, what, one, other)
    for (name, a), (_, b) in zip(named(one), named(other), strict=True):
        a, b = plain(a), plain(b)
        inexact = np.issubdtype(a.dtype, np.inexact)
        scale = np.max(np.abs(a[np.isfinite(a)]), initial=0) if inexact else 0
        if not (np.allclose(a, b, rtol=1e-4, atol=1e-5 * scale, equal_nan=True) if inexact else np.array_equal(a, b)):
            raise AssertionError(f"{kind(part)}: {what} differs in {name}")


def check_fields(part: eqx.Module) -> None:
    """What may be swept is a strongly typed array; what shapes the program is static and no array."""
    for name, leaf in named(part):
        if isinstance(leaf, bool | int | float | complex | np.generic | np.ndarray | str):
            raise AssertionError(
                f"{kind(part)}: field {name} holds {say(leaf)}, so that every value compiles anew; declare it as "
                "swept() to sweep it, or as static() if it shapes the program"
            )
        if isinstance(leaf, jax.Array) and weak(leaf):
            raise AssertionError(f"{kind(part)}: field {name} is weakly typed {leaf.dtype}; declare it as swept()")
    for field in dataclasses.fields(part):
        value = getattr(part, field.name, None)
        if field.metadata.get("static", False):
            if any(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree.leaves(value)):
                raise AssertionError(f"{kind(part)}: field .{field.name} is static and holds an array; use swept()")
        elif isinstance(value, eqx.Module):
            check_fields(value)


def shapes_of(part: Any, what: str, function: Callable, *args: Any) -> PyTree:
    """What it returns in shapes and dtypes; nothing is computed."""
    with promise(part, what):
        return eqx.filter_eval_shape(lambda *given: function(*given), *args)


def traced(part: Any, what: str, function: Callable, *args: Any) -> PyTree:
    """What it returns in shapes and dtypes; nothing is computed. It is asked twice over, and must be the same program:
    state that is kept in Python shows as a difference."""
    with promise(part, what):
        asked = [eqx.filter_make_jaxpr(lambda *given: function(*given))(*args) for _ in range(2)]
    (one, shapes, _), (other, _, _) = asked
    same = [ADDRESS.sub("", str(program.jaxpr)) for program in (one, other)]
    if same[0] != same[1] or any(
        plain(a).tobytes() != plain(b).tobytes() for a, b in zip(one.consts, other.consts, strict=True)
    ):
        raise AssertionError(
            f"{kind(part)}: {what}, asked twice with the same key, differs; something beside its arguments decides, as "
            "an attribute or a global that Python changes"
        )
    return shapes


def twice(part: Any, what: str, function: Callable, *args: Any) -> PyTree:
    """What it returns, after `traced`."""
    traced(part, what, function, *args)
    with promise(part, what):
        return eqx.filter_jit(function)(*args)


def other_values(tree: PyTree) -> PyTree:
    """The same program with other numbers in it."""
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(1.25, leaf.dtype) if eqx.is_inexact_array(leaf) else leaf, tree)


class Counted:
    """A function compiled on its own, and how often it was traced."""

    def __init__(self, function: Callable):
        self.traces = 0

        def counting(*args: Any) -> Any:
            self.traces += 1
            return function(*args)

        self.call = eqx.filter_jit(counting)

    def once(self, part: Any, what: str) -> None:
        if self.traces != 1:
            raise AssertionError(
                f"{kind(part)}: {what} was compiled {self.traces} times for the same shapes; some array is weakly "
                "typed, changes its dtype or steers the program by its value"
            )
