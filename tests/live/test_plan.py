"""The plan decides alike for a live node and for the simulator, link by link."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate import comms
from quorate.core import NoFault
from quorate.errors import Refusal
from quorate.live.log import Log
from quorate.live.plan import FaultPlan, PlannedFault, proposals, roots, word
from quorate.live.wire import DELAYED, DROPPED, HEARD, SILENT, Layout
from quorate.random import key
from tests.live.small import DICE, PARTS, SEED, VOTE, played

WORDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0, 1)
FAULTS = {"drop": 0.2, "delay": 0.15, "duplicate": 0.3, "equivocate": 0.7}


@settings(max_examples=20)
@given(seed=WORDS, drop=SHARES, delay=SHARES, duplicate=SHARES, equivocate=SHARES, tick=st.integers(0, 2**31 - 1))
def test_numpy_and_jax_come_to_the_same(seed, drop, delay, duplicate, equivocate, tick):
    plan = FaultPlan(seed, drop, delay, duplicate, equivocate, least=-3, most=4)
    source, receiver = np.arange(5)[:, None] * np.ones((1, 4), int), np.ones((5, 1), int) * np.arange(4)[None, :]
    there = [jnp.asarray(part, jnp.int32) for part in (source, receiver)]
    ours, theirs = plan.fate(tick, 3, source, receiver), plan.fate(jnp.int32(tick), jnp.int32(3), *there)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for dtype in (bool, np.int32, np.uint8, np.float32):
        here = plan.lie(tick, 3, source, receiver, 2 * np.ones_like(source), dtype)
        far = plan.lie(jnp.int32(tick), jnp.int32(3), *there, 2 * jnp.ones_like(there[0]), dtype)
        assert here.dtype == far.dtype == dtype and np.array_equal(here, far)


def test_shares_are_what_they_say_and_independent():
    plan, many = FaultPlan(3, drop=0.1, delay=0.2, duplicate=0.3), np.arange(200_000)
    fate = plan.fate(many // 1000, many % 10, many % 7, many % 11)
    assert np.mean(fate.dropped) == pytest.approx(0.1, abs=0.004)
    assert np.mean(fate.delayed) == pytest.approx(0.9 * 0.2, abs=0.005)
    assert np.mean(fate.duplicated) == pytest.approx(0.9 * 0.3, abs=0.005)
    assert np.mean(fate.delayed & fate.duplicated) == pytest.approx(0.9 * 0.06, abs=0.003)
    assert not np.any(fate.dropped & (fate.delayed | fate.duplicated))


@pytest.mark.parametrize("place", range(6))
def test_every_part_of_the_hash_matters(place):
    many = [np.full(4096, part) for part in (5, 1, 2, 3, 4, 6)]
    before = word(*many)
    many[place] = np.arange(4096) + 100
    after = word(*many)
    assert len(np.unique(after)) > 4090 and len(np.unique(before)) == 1


def test_nothing_and_everything():
    many = np.arange(1000)
    assert FaultPlan(1).fate(0, 0, 0, many).arrives.all()
    assert FaultPlan(1, drop=1.0).fate(0, 0, 0, many).dropped.all()
    assert FaultPlan(1, delay=1.0).fate(0, 0, 0, many).delayed.all()


def test_a_liar_that_does_not_equivocate_tells_all_the_same():
    receivers, ticks = np.arange(50)[None, :], np.arange(40)[:, None]
    one, many = (FaultPlan(1, equivocate=share).lie(ticks, 0, 9, receivers, 0, bool) for share in (0.0, 1.0))
    assert np.all(one == one[:, :1]) and len(np.unique(one[:, 0])) == 2
    assert 0.4 < np.mean(many != many[:, :1]) < 0.6


def test_proposals_favour_something_in_each_tick():
    drawn = proposals(4, (0, 1), 400, 50)
    shares = drawn.mean(axis=1)
    assert set(np.unique(drawn)) == {0, 1}
    assert np.mean(shares < 0.2) > 0.05 and np.mean(shares > 0.8) > 0.05  # a fair coin for each would give nearly none


def predicted(log: Log, protocol, fault):
    """The simulator, from the seed alone: decisions, who was heard, messages."""
    seeds, setup = roots(key(SEED)), log.setup
    links = comms.complete(setup.nodes, setup.byzantine)

    def tick(lasting, index):
        now, coin = jax.random.fold_in(seeds.nodes, index), jax.random.fold_in(seeds.coin, index)
        state = fault.update(now, fault.reset(now, setup.nodes), index)
        proposal = jnp.asarray(log.proposals)[index]
        talked = comms.converse(now, coin, protocol, lasting, proposal, links, fault, state, None, setup.nodes)
        return talked.lasting, (talked.decision, jnp.stack(list(talked.heard)), talked.traffic)

    start = comms.boot(seeds.boot, protocol, setup.nodes)
    return jax.jit(lambda: jax.lax.scan(tick, start, jnp.arange(setup.decisions))[1])()


@pytest.mark.parametrize("name", PARTS)
def test_the_simulator_with_the_same_plan_foretells_a_live_run(name):
    protocol = PARTS[name]
    log = played(protocol, **FAULTS)
    decision, heard, traffic = predicted(log, protocol, PlannedFault(plan=log.setup.plan, extras=1))
    assert np.array_equal(heard, log.status == HEARD)
    assert int(traffic.heard.sum()) == log.messages > 0
    for ours, theirs in zip(log.decision, jax.tree.leaves(decision), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert {HEARD, SILENT, DROPPED, DELAYED} == set(np.unique(log.status))
    assert log.counts[0].sum() >= np.sum(log.status == DELAYED)  # they do come, when nobody listens any more
    assert log.counts[1].sum() > 0 and log.counts[2].sum() == 0


def test_without_faults_the_bill_is_the_simulators():
    log = played(VOTE, byzantine=0)
    _, _, traffic = predicted(log, VOTE, NoFault())
    assert log.messages == int(traffic.heard.sum()) == int(traffic.sent.sum())


def test_liars_say_different_things_to_different_nodes():
    log = played(DICE)
    layout = Layout(DICE, jax.eval_shape(DICE.send, (0, _held())))
    told = layout.unpack(log.said[:, :, :, 5])
    assert len(np.unique(told.loud)) == 2 and np.any(told.loud != told.loud[:, :, :1])
    assert set(np.unique(told.word)) == {0, 1, 2, 2**32 - 1} and np.all((told.fractions >= 0) & (told.fractions <= 1))


def _held():
    _, held = jax.eval_shape(lambda: DICE.propose(jax.random.key(0), (jnp.uint32(0), jnp.int32(0)), jnp.int32(1)))
    return held


def test_sums_cannot_carry_a_plan():
    fault = PlannedFault(plan=FaultPlan(1))
    with pytest.raises(Refusal, match="give links"):
        args = VOTE, comms.boot(key(0), VOTE, 4), jnp.ones(4, jnp.int32), None, fault, jnp.int32(0), None, 4
        comms.converse(key(0), key(1), *args)
