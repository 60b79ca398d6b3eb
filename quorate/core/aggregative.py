"""Aggregative worlds: the score depends on sums, so every agent's effect on it costs O(N) for all together."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from quorate.core.fields import State
from quorate.core.world import World


class At(eqx.Module):
    """A part that is summed at places: agent i adds `amount[i]` at `place[i]` of `places`. O(N) whatever the number
    of places."""

    place: Int[Array, " N"]
    amount: Float[Array, " N"]
    places: int = eqx.field(static=True)


class Places(eqx.Module):
    """Sums at places, and in `touched` and `change` (both [C, N], or None) at most two places that differ when one
    agent acts otherwise."""

    amount: Float[Array, " M"]
    touched: Int[Array, "C N"] | None = None
    change: Float[Array, "C N"] | None = None

    def sum(self, term: Callable[[Array, Array], Array]) -> Float[Array, "..."]:
        """sum over places of term(place, amount), [] or [N]; `term` is elementwise. Cost O(M + C N).

        The change is added to the common sum, so an effect below 2^-24 of that sum is lost: keep terms of the order
        of one agent's share.
        """
        everywhere = jnp.sum(term(jnp.arange(self.amount.shape[0]), self.amount))
        if self.touched is None:
            return everywhere
        here = self.amount[self.touched]
        return everywhere + jnp.sum(term(self.touched, here + self.change) - term(self.touched, here), axis=0)


class AggregativeWorld(World):
    """A world whose score depends on the crowd only through sums: G(z) = value(state, total(parts(state, actions))).

    Every difference utility then costs O(N) for all agents together: taking agent i away is `total - parts[i]`.
    """

    @abc.abstractmethod
    def parts(self, state: State, actions: Int[Array, " N"]) -> PyTree:
        """Each agent's share of each sum: a leaf is [N], or [D, N] with the component first ([N, D] is 2.2 times
        slower), or `At`."""

    def total(self, parts: PyTree) -> PyTree:
        """The sums: [], [D] or `Places`. Override where a float sum is not exact enough or must not depend on the
        order."""

        def add(part: Any) -> Any:
            if isinstance(part, At):
                return Places(jnp.zeros(part.places, part.amount.dtype).at[part.place].add(part.amount))
            return jnp.sum(part, axis=-1)

        return jax.tree.map(add, parts, is_leaf=lambda leaf: isinstance(leaf, At))

    @abc.abstractmethod
    def value(self, state: State, total: PyTree) -> Float[Array, "..."]:
        """The score of sums. Leaves of `total` come bare or with a last axis of N alternatives: write it for both."""

    @abc.abstractmethod
    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """What each agent gets or suffers on its own account, whatever that does to the score: the pay of the
        selfish."""

    def score(self, state: State, actions: PyTree, after: State) -> Float[Array, ""]:
        return self.value(state, self.total(self.parts(state, actions)))


def replaced(total: PyTree, parts: PyTree, others: PyTree = None) -> PyTree:
    """The sums as they would be for each i had agent i given `others[i]` (None: nothing) and not `parts[i]`; leaves
    gain an axis of N."""

    def replace(whole: Any, old: Any, new: Any = None) -> Any:
        if not isinstance(old, At):
            return whole[..., None] + (-old if new is None else new - old)
        if new is None:
            return Places(whole.amount, old.place[None], -old.amount[None])
        same = old.place == new.place  # both changes meet at one place: they are one change there
        touched = jnp.stack([old.place, new.place])
        change = jnp.stack([jnp.where(same, new.amount - old.amount, -old.amount), jnp.where(same, 0, new.amount)])
        return Places(whole.amount, touched, change)

    leaves = (total, parts) if others is None else (total, parts, others)
    return jax.tree.map(replace, *leaves, is_leaf=lambda leaf: isinstance(leaf, At | Places))
