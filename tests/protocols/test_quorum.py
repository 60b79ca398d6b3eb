"""Quorum: equal to a twin of loops, one plan at a time whatever is lost, and alone where no plan passes."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, step
from quorate.core import NoFault, Scenario
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import Alone
from quorate.protocols.delayed import Delayed
from quorate.protocols.quorum import QUORUM, Decree, Quorum, quorum
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests import outlooks
from tests.proof import later
from tests.protocols import desks
from tests.protocols.desks import Pattern

AGENTS, PLACES, OPTIONS = 8, 12, 6


def ticks(*args):
    """The decisions [T, N], the decrees that agents know [T, N] and that of the box [T, 1], and the bill [T]."""
    talked = desks.ticks(*args)
    return talked.decision, talked.lasting.nodes.decree, talked.lasting.places, talked.traffic


@lru_cache
def seen(seed: int, number: int):
    """Views of that many ticks, each with options and worths of its own."""
    each = [outlooks.random(1000 * seed + t, AGENTS, PLACES, OPTIONS) for t in range(number)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)._replace(
        t=jnp.arange(number)[:, None] + jnp.zeros((1, AGENTS), jnp.int32)
    )


@eqx.filter_jit
def first_choices(protocol):
    """bool[N, plans, M]"""
    agents, places, plans = map(jnp.arange, (AGENTS, PLACES, protocol.plans))
    return jax.vmap(protocol.own, (0, None, None))(agents, places, plans)


def twin(protocol, views, slips, notices):
    """The same with lists, given which ballots arrive and which notices are heard, bool[T, N]."""
    views, term, box = jax.tree.map(np.asarray, views), int(protocol.term), (-1, -1)
    knows, said = [(-1, -1)] * AGENTS, []
    plan_of, own = np.arange(protocol.plans), np.asarray(first_choices(protocol))
    for t in range(len(views.t)):
        here = [
            {int(j): float(w) for j, w, is_open in zip(*row, strict=True) if is_open and w > 0}
            for row in zip(views.place[t], views.worth[t], views.open[t], strict=True)
        ]
        if t % term == 0:
            ballots = [i for i in range(AGENTS) if slips[t][i]]
            likes = [
                sum(max([w for j, w in here[i].items() if own[i, b, j]], default=0) for i in ballots) for b in plan_of
            ]
            box = (t // term, int(np.argmax(likes)) if len(ballots) >= int(protocol.needed) else -1)
        goals = []
        for i in range(AGENTS):
            if knows[i][0] != t // term and notices[t][i]:
                knows[i] = box
            wishes = here[i]
            if knows[i][0] == t // term and knows[i][1] >= 0:
                first = {j: w for j, w in wishes.items() if own[i, knows[i][1], j]}
                wishes = first or wishes
            goals.append(max(wishes, key=wishes.get) if wishes else -1)
        said.append((goals, list(knows), box))
    return said


class Losing(Pattern):
    """A row for each tick; the protocol has one round."""

    def _row(self, table, board, like):
        return jnp.broadcast_to(table[board.t][:, None], like.shape)


TERM = 3


def differs(protocol, seeds=range(30)) -> bool:
    true = Quorum(needed=5, term=TERM)
    for seed in seeds:
        views, rng = seen(seed % 10, 2 * TERM), np.random.default_rng(seed)
        slips, notices = (rng.random((2 * TERM, AGENTS)) < share for share in (0.8, 0.6))
        found = ticks(protocol, views, Losing(slips, notices), jax.random.key(0))
        goals, nodes, box, _ = jax.tree.map(np.asarray, found)
        for t, (goal, knows, says) in enumerate(twin(true, views, slips, notices)):
            known = list(zip(nodes.term[t].tolist(), nodes.plan[t].tolist(), strict=True))
            if (goal, knows, says) != (goals[t].tolist(), known, (box.term[t, 0], box.plan[t, 0])):
                return True
    return False


def test_it_is_its_twin_under_loss():
    assert not differs(Quorum(needed=5, term=TERM))


class Lax(Quorum):
    """Counts one ballot more than there are."""

    def serve(self, key, place_state, heap):
        return super().serve(key, place_state, heap._replace(count=heap.count + 1))


class Strict(Quorum):
    """Idles where nothing is its own."""

    def divided(self, ballot):
        outlook = ballot.looking.outlook
        first = self.own(ballot.citizen.me, outlook.place, ballot.citizen.decree.plan)
        follows = self._knows(ballot) & (ballot.citizen.decree.plan >= 0)
        return outlook._replace(open=outlook.open & (first | ~follows))


class Stale(Quorum):
    """Follows the plan of an earlier term."""

    def divided(self, ballot):
        decree = ballot.citizen.decree._replace(term=ballot.looking.outlook.t // self.term)
        return super().divided(ballot._replace(citizen=ballot.citizen._replace(decree=decree)))


class Restless(Quorum):
    """The box forgets after the tick of the vote."""

    def serve(self, key, place_state, heap):
        decree = super().serve(key, place_state, heap)
        return decree._replace(plan=jnp.where(heap.count > 0, decree.plan, -1))


@pytest.mark.parametrize("bug", [Stale, *later(Lax, Strict, Restless)])
def test_the_twin_catches(bug):
    assert differs(bug(needed=5, term=TERM))


@pytest.mark.slow
def test_promises():
    """Of the registered one tests/contracts asks the same."""
    check_protocol(Quorum(needed=5), outlooks.random(0, AGENTS, PLACES, OPTIONS))


def test_what_a_site_gives():
    made = QUORUM.make(outlooks.site(AGENTS, PLACES, patience=5))
    assert (made.places, int(made.needed), int(made.patience)) == (1, 6, 5)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_never_two_plans_at_once(share):
    """Who follows a plan of the present term follows that of the box."""
    views = seen(1, 4 * TERM)
    found = []
    for seed in range(20):
        _, nodes, box, _ = ticks(Quorum(needed=3, term=TERM), views, Loss(share=share), jax.random.key(seed))
        now = np.asarray(views.t) // TERM
        follows = (np.asarray(nodes.term) == now) & (np.asarray(nodes.plan) >= 0)
        plan = np.broadcast_to(np.asarray(box.plan), follows.shape)
        assert np.array_equal(np.asarray(nodes.plan)[follows], plan[follows])
        found.append(follows.mean())
    assert 0.1 < np.mean(found) < 1


def test_without_a_quorum_it_is_alone():
    """One ballot too few, by loss or absence, and all decide as alone; with it they do not."""
    views, key = seen(2, 2 * TERM), jax.random.key(5)
    alone, count = Alone(), np.ones((2 * TERM, AGENTS), bool)
    wishes = jax.vmap(jax.vmap(lambda view: alone.decide(alone.propose(key, (), view))[0]))(views)
    protocol = Quorum(needed=AGENTS, term=TERM)
    full = ticks(protocol, views, NoFault(), key)
    assert np.all(np.asarray(full[2].plan) >= 0) and not np.array_equal(full[0], wishes)
    few = np.copy(count)
    few[:, 3] = False
    lost = ticks(protocol, views, Losing(few, count), key)
    assert np.all(np.asarray(lost[2].plan) == -1) and np.array_equal(lost[0], wishes)
    away = ticks(protocol, views, NoFault(), key, jnp.asarray(few))
    assert np.all(np.asarray(away[2].plan) == -1)
    others = np.arange(AGENTS) != 3
    assert np.array_equal(np.asarray(away[0])[:, others], np.asarray(wishes)[:, others])


def test_agents_of_different_classes_do_not_collide():
    """As long as both have options of their own; those of one class do."""
    protocol, met = Quorum(needed=1, term=TERM), 0
    for seed in range(5):
        goals, _, box, bill = ticks(protocol, seen(seed, 1), NoFault(), jax.random.key(0))
        own = np.stack([protocol.own(jnp.int32(i), jnp.arange(PLACES), box.plan[0, 0]) for i in range(AGENTS)])
        goal = np.asarray(goals[0])
        theirs = np.array([goal[i] >= 0 and own[i, goal[i]] for i in range(AGENTS)])
        assert theirs.sum() > 2
        for i in range(AGENTS):
            for k in range(i):
                if theirs[i] and theirs[k] and goal[i] == goal[k]:
                    assert np.array_equal(own[i], own[k])
                    met += 1
        assert (float(bill.sent[0]), float(bill.heard[0]), float(bill.reads[0])) == (AGENTS + 1, 2 * AGENTS, AGENTS)
    assert met


def test_classes_are_even_and_plans_differ():
    """Of a hundred agents and as many places a quarter of the pairs are first choices, under each plan others."""
    own = jax.vmap(Quorum(needed=1).own, (0, None, None))(jnp.arange(100), jnp.arange(100), jnp.arange(8))
    own = np.asarray(own, float).transpose(1, 0, 2).reshape(8, -1)
    assert own.mean(axis=1) == pytest.approx(np.full(8, 0.25), abs=0.02)
    assert np.corrcoef(own) == pytest.approx(np.eye(8), abs=0.05)


@lru_cache
def served(divided: bool, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of the value offered that is served, and walks in vain for each start, after 30 ticks; four runs."""
    world = rolling(num_agents=200, density=density)
    protocol = QUORUM.make(outlooks.site(200, world.num_actions)) if divided else Alone()
    scenario = Scenario(world, Deferring(), commit=protocol)
    middle, _ = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 30)
    end, _ = step.run(middle, scenario, 50)
    before, after = (jax.tree.map(np.asarray, progress.carry.world.tallies) for progress in (middle, end))
    value = (after.value_served - before.value_served) / (after.value_offered - before.value_offered)
    return value, (after.waste - before.waste) / (after.started - before.started)


@pytest.mark.slow
def test_a_plan_saves_walks_in_vain_and_pays_near_saturation():
    value, waste = served(True, 7.0)
    alone, in_vain = served(False, 7.0)
    assert np.mean(value) > np.mean(alone) + 0.005
    assert np.all(waste < 0.9 * in_vain)


@pytest.mark.slow
def test_under_overload_it_only_lengthens_ways():
    assert np.mean(served(True, 20.0)[0]) < np.mean(served(False, 20.0)[0])


def late(delay, mail):
    """The plans that agent 0 knows, [T, 2]: term and plan, with mail that takes so many ticks each way."""
    views = seen(1, 2 * 5)
    one = jax.tree.map(lambda leaf: leaf[0, 0], views)
    protocol = Delayed(protocol=Quorum(needed=AGENTS, term=5, delay=delay), ticks=mail, proposal=one)
    key = jax.random.key(0)

    def tick(lasting, view):
        talked = comms.converse(key, key, protocol, lasting, view, None, Loss(share=0.0), (), None, AGENTS, view.t[0])
        return talked.lasting, jnp.stack(talked.lasting.nodes.own.decree, 1)[0]

    told = eqx.filter_jit(lambda views: jax.lax.scan(tick, comms.boot(key, protocol, AGENTS), views)[1])(views)
    return np.asarray(told)


def test_late_ballots_are_counted_when_they_are_there():
    """A tick each way: cast in tick 0, counted in tick 1, read in tick 2; a box that does not know counts none."""
    told = late(1, 1)
    assert told[:, 0].tolist() == [-1, -1, 0, 0, 0, 0, 0, 1, 1, 1]
    assert (told[2:, 1] >= 0).all()
    assert (late(0, 1)[:, 1] == -1).all()


def test_a_decree_of_nothing_at_the_start():
    assert Quorum(needed=1).open(None, 0) == Decree(-1, -1)


@pytest.mark.parametrize("wrong", [{"needed": 0}, {"needed": 1, "classes": 0}, {"needed": 1, "term": 0}])
def test_refusals(wrong):
    with pytest.raises(Refusal, match="at least 1"):
        Quorum(**wrong)


def test_refusals_of_boxes_and_shares():
    with pytest.raises(Refusal, match="one ballot box"):
        Quorum(needed=1, places=2)
    with pytest.raises(Refusal, match="share is 1.5"):
        quorum(9, 1.5)
