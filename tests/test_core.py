"""Fields, sums at places, and what a scenario refuses."""

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from quorate.core import At, Learner, Places, Scenario, Team, replaced, static, swept
from quorate.errors import Refusal
from quorate.learners import Boltzmann, Uniform
from quorate.testing.tiny import Lamps
from quorate.utilities import ExpectedDifference, ExpectedDifferenceOwnPolicy
from quorate.worlds.imperfect_devices import ImperfectDevices


class Part(eqx.Module):
    rate: jax.Array = swept(default=0.5)
    count: jax.Array = swept(jnp.int32, 3)
    size: int = static(2)


@pytest.mark.parametrize("given", [1, 1.0, np.float64(1), np.int8(1), jnp.asarray(1), jnp.asarray(1.0)])
def test_swept_fields_have_one_dtype_and_compile_once(given):
    traces = []

    @eqx.filter_jit
    def use(part):
        traces.append(part)
        return part.rate + part.count

    use(Part())
    part = Part(rate=given, count=7)
    assert (part.rate.dtype, part.rate.weak_type, part.count.dtype) == (jnp.float32, False, jnp.int32)
    assert float(use(part)) == 8
    assert len(traces) == 1
    use(Part(size=3))
    assert len(traces) == 2  # what is static shapes the program


def test_fields_are_keywords_only():
    with pytest.raises(TypeError):
        Part(0.5)


def at_places(place, amount, places):
    """What `AggregativeWorld.total` makes of an `At`, the obvious way."""
    out = np.zeros(places)
    for where, much in zip(place, amount, strict=True):
        out[where] += much
    return out


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=6
    )
)
def test_sums_at_places_change_as_if_played_out(rows):
    old_place, new_place, old_amount, new_amount = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    pad = 6 - n  # one shape, one compilation
    extend = [np.concatenate([x, np.zeros(pad, int)]) for x in (old_place, new_place, old_amount, new_amount)]
    before = At(jnp.asarray(extend[0], jnp.int32), jnp.asarray(extend[2], jnp.float32), 4)
    after = At(jnp.asarray(extend[1], jnp.int32), jnp.asarray(extend[3], jnp.float32), 4)
    whole = Places(jnp.asarray(at_places(old_place, old_amount, 4), jnp.float32))
    removed, moved = quick(whole, before, after)
    for i in range(n):
        less = at_places(np.delete(old_place, i), np.delete(old_amount, i), 4)
        more = less + at_places(new_place[i : i + 1], new_amount[i : i + 1], 4)
        assert removed[i] == pytest.approx(term(np.arange(4), less).sum(), rel=1e-5)
        assert moved[i] == pytest.approx(term(np.arange(4), more).sum(), rel=1e-5)


def term(place, amount):
    return (place + 1) * amount**2


@jax.jit
def quick(whole, before, after):
    return replaced(whole, before).sum(term), replaced(whole, before, after).sum(term)


def test_components_stand_first():
    total, parts = jnp.array([3.0, 5.0]), jnp.array([[1.0, 2.0, 0.0], [0.0, 4.0, 1.0]])
    assert replaced(total, parts).tolist() == [[2, 1, 3], [5, 1, 4]]
    assert replaced(total, parts, parts + 1).tolist() == [[4, 4, 4], [6, 6, 6]]


def test_a_team_is_paid_the_score():
    world = Lamps(num_agents=3)
    assert Team()(world, None, None, None, jnp.float32(7), None).tolist() == [7, 7, 7]


class Mute(Learner):
    """Says nothing about what it might have done."""

    horizon: int = static(1)

    def init(self, key, scenario):
        return ()

    def act(self, key, mind, memory, obs, legal):
        return jnp.zeros(3, jnp.int32), memory, ()


def test_a_scenario_refuses_what_cannot_work():
    devices, lamps = ImperfectDevices(errors=jnp.ones(3)), Lamps(num_agents=3)
    with pytest.raises(Refusal) as no_chances:
        Scenario(devices, Mute(), ExpectedDifferenceOwnPolicy())
    assert str(no_chances.value) == (
        "ExpectedDifferenceOwnPolicy needs to know what each agent might have done; Mute does not report chances"
    )
    with pytest.raises(Refusal) as no_sums:
        Scenario(lamps, Uniform(), ExpectedDifference())
    assert str(no_sums.value) == (
        "ExpectedDifference needs a world whose score depends on sums; Lamps is no AggregativeWorld"
    )
    Scenario(devices, Boltzmann(temperature=1), ExpectedDifferenceOwnPolicy())
    Scenario(lamps, Mute())


def test_a_limit_is_an_array_and_none_is_none():
    lamps = Lamps(num_agents=3)
    assert Scenario(lamps, Uniform()).limit is None
    limit = Scenario(lamps, Uniform(), limit=5).limit
    assert (limit.dtype, limit.weak_type, int(limit)) == (jnp.int32, False, 5)
