"""Cells and their leaders: against a clerk for each cell, against exact assignment, through silent leaders, alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from quorate import comms
from quorate.core import Scenario, swept
from quorate.errors import Refusal
from quorate.faults import Chain, Crash, Loss, Saboteurs
from quorate.learners.deferring import Deferring
from quorate.protocols import orders
from quorate.protocols.alone import NEVER
from quorate.protocols.hierarchy import HIERARCHY, Hierarchy
from quorate.step import run, start
from quorate.worlds import fleet
from tests.outlooks import site
from tests.protocols.clerk import Clerk
from tests.protocols.desks import Pattern, geography, outlook, shared, talk, value

BUGS = (
    "none",
    "orders count without a sign",
    "the lease never ends",
    "the weakest leads",
    "an order that was not heard is obeyed",
    "borders are open",
    "an answer without a sign is one",
    "the first silence is enough",
    "alone they keep to their cell",
)


class Buggy(Hierarchy):
    """`Hierarchy` with one of `BUGS`, by number, so that all are one program."""

    bug: jax.Array = swept(jnp.int32, 0)

    def elected(self, cell, health, who, t):
        sign = jnp.where((self.bug == 2) & (cell.leader >= 0), t, cell.sign)
        leader, sign = super().elected(cell._replace(sign=sign), jnp.where(self.bug == 3, 1 - health, health), who, t)
        stands = (self.bug == 2) & (sign == t) & ~jnp.any(who == leader)
        return leader, jnp.where(stands, t - 1, sign)

    def serve(self, key, place_state, heap):
        said = heap.first
        seen = jnp.where((self.bug == 1) & (place_state.leader >= 0), place_state.leader, said.who[-1])
        return super().serve(key, place_state, heap._replace(first=said._replace(who=said.who.at[-1].set(seen))))

    def hear(self, key, ballot, news):
        reply = news.reply._replace(led=news.reply.led | (self.bug == 4))
        ballot = super().hear(key, ballot, news._replace(kept=news.kept | (self.bug == 4), reply=reply))
        return ballot._replace(answered=ballot.answered | ((self.bug == 6) & news.kept[0]))

    def decide(self, ballot):
        member, hasty = ballot.member, jnp.where(self.bug == 7, NEVER, 0)
        place, new = super().decide(ballot._replace(member=member._replace(unanswered=member.unanswered + hasty)))
        return place, new._replace(unanswered=jnp.where(self.bug == 7, 0, new.unanswered))

    def propose(self, key, state, proposal):
        inside = self.region_of[jnp.maximum(proposal.place, 0)] == proposal.region
        shown = proposal._replace(open=proposal.open & ((self.bug != 8) | inside))
        ballot = super().propose(key, state, shown)
        every = orders.report(ballot.member.duty, proposal, proposal.open, self.options)
        told = jax.tree.map(lambda one, other: jnp.where(self.bug == 5, one, other), every, ballot.letter.report)
        return ballot._replace(letter=ballot.letter._replace(report=told))

    def within(self, cell, place):
        return jnp.where((self.bug == 5) & (place >= 0), self.local[jnp.maximum(place, 0)], super().within(cell, place))


N, M, CELLS = 8, 6, 2
OF = np.arange(M) % CELLS
LOCAL = np.arange(M) // CELLS


def cells(**more):
    """Agents 0 to 3 in cell 0, 4 to 7 in cell 1; one slot more than there are agents; unless told nobody acts alone."""
    table = dict(places=CELLS, capacity=N + 1, most=3, region_of=OF, local=LOCAL, options=M, rounds=2)
    return Buggy(**table | dict(alone_after=NEVER) | more)


def crowd(worth, health):
    return outlook(worth, region=jnp.arange(N) // 4, health=jnp.asarray(health, jnp.float32))


@eqx.filter_jit
def days(protocol, view, slips, replies):
    """Decisions [T, N], leaders [T, G] and what is sent; each task is new in each tick; `slips` and `replies`,
    [T, R, N], say whose come through."""
    key = jax.random.key(2)

    def tick(lasting, now):
        t, up, down = now
        own = jax.random.fold_in(key, t)
        fresh = view._replace(t=jnp.full(N, t), number=jnp.full(view.number.shape, t))
        talked = comms.converse(own, own, protocol, lasting, fresh, None, Pattern(up, down), (), None, N, t)
        return talked.lasting, (talked.decision, talked.lasting.places.leader, talked.traffic.sent)

    ticks = jnp.arange(slips.shape[0])
    return jax.lax.scan(tick, comms.boot(key, protocol, N), (ticks, jnp.asarray(slips), jnp.asarray(replies)))[1]


# ------------------------------------------------------------------------------------------- against leaders by hand


def by_hand(worth, health, slips, replies, after=NEVER, lease=5):
    """The same in lists and dictionaries. Who has had no answer under a leader's sign in `after` ticks takes the best
    of all places."""
    leader, sign, decided, leaders, silent = [-1] * CELLS, [-1] * CELLS, [], [], [0] * N
    for t in range(len(slips)):
        clerks, to = [Clerk(lease, 0.1, 80) for _ in range(CELLS)], [None] * N
        for slip, reply in zip(slips[t], replies[t], strict=True):
            for cell in range(CELLS):
                sent = [i for i in range(4 * cell, 4 * cell + 4) if to[i] is None and slip[i]]
                if leader[cell] < 0 or t - sign[cell] > lease:
                    leader[cell] = -1
                    if sent:
                        leader[cell], sign[cell] = max(sent, key=lambda i: (health[i], -i)), t
                elif leader[cell] in sent:
                    sign[cell] = t
                if leader[cell] < 0 or sign[cell] != t:
                    continue
                asked = [
                    (i, [(p, t, worth[i][p], np.float32(3)) for p in range(M) if OF[p] == cell], -1, -1) for i in sent
                ]
                for i, (place, _, _) in zip(sent, clerks[cell].hand_out(t, asked), strict=True):
                    if reply[i]:
                        to[i] = place
        silent = [silent[i] + 1 if to[i] is None else 0 for i in range(N)]
        own = [int(np.argmax(worth[i])) if silent[i] >= after and np.max(worth[i]) > 0 else -1 for i in range(N)]
        decided.append([own[i] if place is None else place for i, place in enumerate(to)])
        leaders.append(list(leader))
    return decided, leaders


def instances():
    draw = np.random.default_rng(9)
    for run_ in range(100):
        worth = (draw.uniform(0.1, 1.5, (N, M)) * (draw.random((N, M)) < 0.8)).astype(np.float32)
        health = draw.integers(0, 4, N).astype(np.float32) / 4  # with ties
        slips, replies = draw.random((2, 9, 2, N)) < (1.0 if run_ < 10 else 0.6)
        slips[2:8, :, draw.integers(0, N)] &= run_ < 10
        yield worth, health, slips, replies


INSTANCES = list(instances())


def disagreements(bug=0, after=NEVER):
    wrong, protocol = 0, cells(bug=bug, alone_after=after)
    for worth, health, slips, replies in INSTANCES if bug == 0 else INSTANCES[:40]:
        decided, leaders, _ = days(protocol, crowd(worth, health), slips, replies)
        twin = by_hand(worth, health, slips, replies, after)
        wrong += (np.asarray(decided).tolist(), np.asarray(leaders).tolist()) != twin
    return wrong


def test_orders_and_leaders_are_those_found_by_hand_whatever_is_lost():
    assert disagreements() == 0
    assert disagreements(after=2) == 0


@pytest.mark.parametrize("bug", BUGS[1:])
def test_the_hand_finds_that(bug):
    assert disagreements(BUGS.index(bug), NEVER if bug in BUGS[:6] else 2) > 0


# ---------------------------------------------------------------------------------------------------------- leaders

ALL = np.ones((16, 2, N), bool)
STRONG = np.full((N, M), 1.0) + np.arange(N)[:, None] / 100 + np.arange(M) / 1000


def in_cell(decided):
    """How many have an order in each cell, [T, G]."""
    return np.sum(np.asarray(decided).reshape(-1, CELLS, 4) >= 0, axis=2)


def test_the_healthiest_leads_then_the_lowest_id():
    _, leaders, _ = days(cells(), crowd(STRONG, [0, 0.5, 0.5, 0.2, 0.1, 0.1, 0, 0]), ALL, ALL)
    assert np.all(np.asarray(leaders) == [1, 4])


def test_a_leader_that_falls_costs_its_cell_the_lease():
    slips = ALL.copy()
    slips[3:, :, 1] = False
    decided, leaders, _ = days(cells(), crowd(STRONG, [0, 0.5, 0.4, 0.3, 0.9, 0, 0, 0]), slips, ALL)
    served, leaders = in_cell(decided), np.asarray(leaders)
    assert np.all(served[:, 1] == 3), "the other cell does not notice"
    assert np.all(served[:3, 0] == 3) and np.all(served[3:8, 0] == 0) and np.all(served[8:, 0] == 3)
    assert np.all(leaders[:8, 0] == 1) and np.all(leaders[8:, 0] == 2)


def test_without_a_leader_they_choose_alone_until_there_is_one():
    """The best place of all lies in cell 1; cell 0 has no leader from tick 3 to 7 and is heard all the time."""
    slips, worth = ALL.copy(), STRONG.copy()
    slips[3:, :, 1], worth[:, 5] = False, 2
    view = crowd(worth, [0, 0.5, 0.4, 0.3, 0.9, 0, 0, 0])
    for after, first in ((1, 3), (3, 5), (NEVER, 8)):
        decided = np.asarray(days(cells(alone_after=after), view, slips, ALL)[0])
        inside = (decided[:, :4] >= 0) & (OF[decided[:, :4]] == 0)
        alone = decided[:, :4] == 5
        assert np.all(inside.sum(1)[[*range(3), *range(8, 16)]] == 3)
        assert not inside[3:8].any() and not alone[:first].any() and alone[first:8].all(), after
        assert np.all(in_cell(decided)[:, 1] == 3), "the other cell does not notice"


@eqx.filter_jit
def under(fault, view, protocol):
    """Decisions [T, N], leaders and ledgers [T, G, ...] and what is sent, in 16 ticks with the same three tasks a
    cell."""
    key = jax.random.key(2)

    def tick(carry, t):
        lasting, state = carry
        own = jax.random.fold_in(key, t)
        state = fault.update(own, state, t)
        talked = comms.converse(
            own, own, protocol, lasting, view._replace(t=jnp.full(N, t)), None, fault, state, None, N, t
        )
        places = talked.lasting.places
        return (talked.lasting, talked.fault), (talked.decision, places.leader, places.ledger, talked.traffic.sent)

    start = comms.boot(key, protocol, N), fault.reset(key, N)
    return jax.lax.scan(tick, start, jnp.arange(16))[1]


def test_a_leader_that_skims_costs_its_cell_everything_and_its_lease_does_not_end():
    """It alone goes, its book, its signs and the mail are those of a calm day, so nobody notices; from one that is
    silent its cell is free after the lease."""
    health = np.array([0.1, 0.5, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4])
    view, leaders = crowd(STRONG, health), [1, 7]
    band = dict(share=1 / N, order=health, first=True, at=2)  # the leader of cell 0
    calm = under(Saboteurs(**band), view, cells())
    skim, silent = (under(Saboteurs(**band, **{kind: 1.0}), view, cells()) for kind in ("skim", "silent"))
    assert np.all(in_cell(calm[0]) == 3) and np.all(np.asarray(calm[1]) == leaders)
    mine = np.isin(np.arange(N), [0, 2, 3])[None] & (np.arange(16) >= 2)[:, None]
    np.testing.assert_array_equal(np.where(mine, -1, calm[0]), skim[0])
    jax.tree.map(np.testing.assert_array_equal, calm[1:], skim[1:])
    assert np.all(np.isin(np.asarray(skim[2].owner)[:, 0], np.arange(4))), "what is withheld counts as given"
    served = in_cell(silent[0])[:, 0]
    assert served[:7].tolist() == [3] * 2 + [0] * 5 and served[7:].min() >= 2, "the silent one's own order runs out"
    assert in_cell(skim[0])[:, 0].tolist() == [3] * 2 + [1] * 14
    ready = under(Saboteurs(**band, skim=1.0), view, cells(alone_after=1))
    np.testing.assert_array_equal(ready[0], skim[0], "who is told that there is nothing has its answer")


def test_a_leader_lost_at_the_first_try_is_awaited_at_the_second():
    slips = ALL.copy()
    slips[1:, 0, 1] = False
    decided, _, sent = days(cells(), crowd(STRONG, [0, 0.5, 0, 0, 0.9, 0, 0, 0]), slips, ALL)
    assert np.all(in_cell(decided) == 3) and np.all(np.asarray(sent)[1:] == 8 + 4 + 7 + 4)


def test_only_a_leader_gives_a_sign_on_its_way():
    view = jax.tree.map(lambda leaf: leaf[0], crowd(STRONG, np.zeros(N)))._replace(free=jnp.array(False))
    state = cells().boot(None, jnp.int32(0))
    for leads, speaks in ((0, True), (-1, False), (1, False)):
        ballot = cells().propose(jax.random.key(0), state._replace(leads=jnp.int32(leads)), view)
        assert bool(cells().post(ballot).live[0]) is speaks
        assert not np.any(ballot.letter.report.worth)


def test_alone_only_a_leader_speaks_on_its_way_and_what_is_begun_is_told():
    """On its way to place 5 of cell 1 an agent keeps to it; at work there it tells that cell, until it is answered."""
    view = jax.tree.map(lambda leaf: leaf[0], crowd(STRONG, np.zeros(N)))
    five = dict(task=jnp.int32(0), valid=jnp.array(True))
    way = view._replace(heading=jnp.int32(5), **five)
    work = view._replace(serving=jnp.int32(5), free=jnp.array(False), region=jnp.int32(1), **five)
    protocol = cells(alone_after=1)
    state = protocol.boot(None, jnp.int32(0))
    hold = state.duty.hold._replace(place=jnp.int32(5), number=jnp.int32(0), until=jnp.int32(orders.FOREVER))
    state = state._replace(duty=state.duty._replace(hold=hold), alone=jnp.array(True))
    key = jax.random.key(0)
    for leads, speaks in ((0, True), (-1, False), (1, False)):
        ballot = protocol.propose(key, state._replace(leads=jnp.int32(leads)), way)
        assert bool(protocol.post(ballot).live[0]) is speaks and not np.any(ballot.letter.report.worth)
        place, kept = protocol.decide(ballot)
        assert int(place) == 5 and bool(kept.alone)
    ballot = protocol.propose(key, state, work)
    posts, report = protocol.post(ballot), ballot.letter.report
    assert bool(posts.live[0]) and (int(posts.place[0]), int(report.last), int(report.begun)) == (1, 5, 0)
    told = state._replace(duty=ballot.member.duty._replace(told=jnp.array(True)))
    assert not protocol.post(protocol.propose(key, told, work)).live[0]


def test_two_messages_for_each_report():
    _, _, sent = days(cells(), crowd(STRONG, np.zeros(N)), ALL, ALL)
    assert np.all(np.asarray(sent) == 2 * N)


# ---------------------------------------------------------------------------------------------------------- borders


def test_each_cell_is_within_eps_of_its_own_optimum_and_none_beyond_its_border():
    agents, tasks, count = 60, 60, 4
    view = geography(2, agents, tasks)._replace(region=jnp.arange(agents) % count)
    of = np.arange(tasks) % count
    protocol = Hierarchy(
        places=count, capacity=20, most=15, region_of=of, local=np.arange(tasks) // count, options=tasks, rounds=1,
        bidding=400,
    )  # fmt: skip
    decided = np.asarray(talk(protocol, view).decision)
    worth = np.asarray(view.worth, np.float64)
    assert not shared(decided)
    for cell in range(count):
        mine = np.arange(agents) % count == cell
        went = decided[mine][decided[mine] >= 0]
        assert np.all(of[went] == cell)
        own = worth[np.ix_(mine, of == cell)]
        optimum = own[linear_sum_assignment(own, maximize=True)].sum()
        got = value(view, np.where(mine, decided, -1))
        assert optimum - 0.1 * len(went) <= got <= optimum + 1e-5


def test_tables_have_to_fit():
    with pytest.raises(Refusal, match=r"region_of has shape \(6,\) and local \(2,\)"):
        cells(local=[0, 1])
    with pytest.raises(Refusal, match=r"anchor has shape \(3,\); it names a place in each of 2 cells"):
        cells(anchor=[0, 1, 2])
    with pytest.raises(Refusal, match="alone_after"):
        cells(alone_after=0)
    made = HIERARCHY.make(site(30, 12, regions=3, members=9, tries=2))
    assert (made.places, made.capacity, made.rounds, made.most) == (3, 9, 2, 4)
    made = HIERARCHY.make(site(30, 12, alone_after=7, patience=3))
    assert (int(made.alone_after), int(made.patience)) == (7, 3)


# ---------------------------------------------------------------------------------------------------------- a fleet


def worth_served(step):
    return step.after.tallies.value_served, step.after.tallies.value_offered


@pytest.mark.slow
def test_leaders_who_fall_or_fall_silent_cost_a_fleet_the_lease_and_those_who_skim_all_the_rest():
    """150 agents in 6 cells; the twelve healthiest, the leaders among them, go at tick 20. The lease is lost only where
    nobody acts alone."""
    world = fleet.rolling(num_agents=150, options=16)
    of = np.asarray(world.space.region_of_place())
    local = np.array([np.sum(of[:place] == cell) for place, cell in enumerate(of)])
    table = dict(places=world.regions, capacity=48, most=int(local.max()) + 1, region_of=of, local=local)
    order = np.asarray(world.health)

    def share(loss, fallen, silent, since, to, skim=0.0, after=NEVER):
        protocol = Hierarchy(**table, alone_after=after)
        chosen = dict(at=20, order=order, first=True)
        fault = Chain(
            faults=(
                Saboteurs(share=0.08, silent=silent, skim=skim, **chosen),
                Crash(share=fallen, **chosen),
                Loss(share=loss),
            )
        )
        scenario = Scenario(world=world, learner=Deferring(), commit=protocol, fault=fault)
        served, offered = (
            np.asarray(leaf)[:, 0] for leaf in run(start(jax.random.key(1), scenario), scenario, 45, worth_served)[1]
        )
        return (served[to] - served[since]) / (offered[to] - offered[since])

    calm, at_once = share(0.0, 0.0, 0.0, 12, 44), share(0.0, 0.0, 0.0, 21, 25)
    assert calm > 0.8 and share(0.3, 0.0, 0.0, 12, 44) > calm - 0.08
    assert share(0.0, 0.08, 0.0, 21, 25) < 0.6 * at_once
    assert share(0.0, 0.0, 1.0, 21, 25) < 0.6 * at_once
    assert share(0.0, 0.0, 0.0, 12, 44, after=1) == calm, "all have an answer"
    assert share(0.0, 0.08, 0.0, 21, 25, after=1) > 0.8 and share(0.0, 0.0, 1.0, 21, 25, after=1) > 0.8
    assert share(0.5, 0.0, 0.0, 12, 44, after=1) > share(0.5, 0.0, 0.0, 12, 44) + 0.04
    assert share(0.0, 0.08, 0.0, 31, 44) > 0.7
    skimmed = share(0.0, 0.0, 0.0, 31, 44, skim=1.0)
    assert skimmed < share(0.0, 0.0, 1.0, 31, 44) - 0.2, "the lease ends for those who are silent, never for skimmers"
    often = share(0.0, 0.0, 0.8, 31, 44)
    assert often < share(0.0, 0.0, 1.0, 31, 44), "a leader who speaks now and then keeps its lease and costs more"
