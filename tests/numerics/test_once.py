"""`once` gives back what it got, whatever it is, also for a batch."""

import jax
import jax.numpy as jnp
import numpy as np

from quorate.numerics.once import once


def test_it_is_the_identity_on_trees_of_any_kinds():
    tree = {"a": jnp.arange(3), "b": (jnp.array([True, False]), jnp.float32(2.5)), "c": ()}
    for same in (once(tree), jax.jit(once)(tree)):
        assert jax.tree.structure(same) == jax.tree.structure(tree)
        for one, other in zip(jax.tree.leaves(same), jax.tree.leaves(tree), strict=True):
            assert one.dtype == other.dtype and np.array_equal(one, other)


def test_it_stays_a_conditional_under_vmap():
    each = jax.vmap(lambda row: once(row * 2))
    rows = jnp.arange(6).reshape(2, 3)
    assert np.array_equal(each(rows), rows * 2)
    assert "cond" in str(jax.make_jaxpr(each)(rows))
