"""Votes in two tiers: a twin of loops, one plan at a time under every loss, the vote of all as a special case."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from quorate import comms, step
from quorate.comms.conversation import tossed
from quorate.core import NoFault, Scenario
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.learners.deferring import Deferring
from quorate.protocols.alone import Alone
from quorate.protocols.delayed import Delayed
from quorate.protocols.quorum import Quorum, quorum
from quorate.protocols.strategies.tiered_vote import TieredVote
from quorate.testing import check_protocol
from quorate.worlds.fleet import rolling
from tests.proof import later
from tests.protocols.desks import Pattern, ticks
from tests.protocols.test_quorum import AGENTS, first_choices, seen

REGIONS, TERM, TICKS = 3, 3, 6
ALL = np.ones((TICKS, 3, AGENTS), bool)


def tiered(needed=5, term=TERM, regions=REGIONS, kind=TieredVote, **more):
    return kind(protocol=Quorum(needed=needed, term=term, **more), anchor=np.arange(regions))


@lru_cache
def views(seed: int, number: int = TICKS, regions: int = REGIONS):
    """Views of that many ticks; agents stray from region to region."""
    region = np.random.default_rng(seed).integers(0, regions, (number, AGENTS))
    return seen(seed, number)._replace(region=jnp.asarray(region, jnp.int32))


class Losing(Pattern):
    """Tables for each tick and round, [T, 3, N]; no round has both notices and answers that matter."""

    def _row(self, table, board, like):
        return jnp.broadcast_to(table[board.t, board.round][:, None], like.shape)


# ------------------------------------------------------------------------------------------------------- the twin


def twin(protocol, views, slips, heard, key):
    """The same written out, given which slips arrive and what is heard, bool[T, 3, N]: for each tick the goals, the
    decrees that agents know, those of the boxes, the delegates, the messages and the reads."""
    views, term, needed = jax.tree.map(np.asarray, views), int(protocol.protocol.term), int(protocol.protocol.needed)
    own, regions = np.asarray(first_choices(protocol.protocol)), protocol.places - 1
    knows, boxes, said = [(-1, -1)] * AGENTS, [(-1, -1)] * (regions + 1), []
    for t in range(len(views.t)):
        wishes = [
            {int(j): w for j, w, is_open in zip(*row, strict=True) if is_open and w > 0}
            for row in zip(views.place[t], views.worth[t], views.open[t], strict=True)
        ]
        region, messages, reads, delegates = views.region[t], 0, 0, []
        if t % term == 0:
            first = int(tossed(jax.random.fold_in(key, t), 0)) % AGENTS
            sums, messages = {}, AGENTS
            for g in range(regions):
                came = [i for i in range(AGENTS) if region[i] == g and slips[t][0][i]]
                if came:
                    messages += 2  # what the box tells, and its answer
                    named = min(came, key=lambda i: (i - first) % AGENTS)
                    likes = [
                        [max([w for j, w in wishes[i].items() if own[i, b, j]], default=0) for b in range(own.shape[1])]
                        for i in came
                    ]
                    if heard[t][0][named]:
                        delegates.append(named)
                        messages += 1
                        if slips[t][1][named]:
                            sums[g] = len(came), np.sum(np.array(likes, np.float64), axis=0)
            messages += 2 * (len(sums) > 0)
            passes = sum(count for count, _ in sums.values()) >= needed
            boxes[-1] = (t // term, int(np.argmax(sum(worth for _, worth in sums.values()))) if passes else -1)
            told = [i for i in delegates if heard[t][1][i]]
            reads += len(told)
            for i in told:
                knows[i] = boxes[-1]
                messages += 1 + 2 * int(slips[t][2][i])
                if slips[t][2][i]:
                    boxes[region[i]] = boxes[-1]
            for i in range(AGENTS):
                if knows[i][0] != t // term and heard[t][2][i]:
                    knows[i], reads = boxes[region[i]], reads + 1
        else:
            for i in range(AGENTS):
                if knows[i][0] != t // term and heard[t][1][i]:
                    knows[i], reads = boxes[-1], reads + 1
        goals = []
        for i in range(AGENTS):
            wish = wishes[i]
            if knows[i][0] == t // term and knows[i][1] >= 0:
                wish = {j: w for j, w in wish.items() if own[i, knows[i][1], j]} or wish
            goals.append(max(wish, key=wish.get) if wish else -1)
        said.append((goals, list(knows), list(boxes), sorted(delegates), messages, reads))
    return said


def found(protocol, talked):
    """What the twin says, as the program has it."""
    talked = jax.tree.map(np.asarray, talked)
    nodes, boxes, said = talked.lasting.nodes, talked.lasting.places.decree, []
    for t in range(len(talked.decision)):
        knows, tells = (
            list(zip(decree.term[t].tolist(), decree.plan[t].tolist(), strict=True))
            for decree in (nodes.citizen.decree, boxes)
        )
        delegates = np.flatnonzero(nodes.delegate[t]).tolist() if t % int(protocol.protocol.term) == 0 else []
        bill = int(talked.traffic.sent[t]), int(talked.traffic.reads[t])
        said.append((talked.decision[t].tolist(), knows, tells, delegates, *bill))
    return said


def differs(protocol, seeds) -> bool:
    true, key = tiered(), jax.random.key(0)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        slips, heard = (rng.random(ALL.shape) < share for share in (0.9, 0.8))
        seen = views(seed % 8)
        if found(protocol, ticks(protocol, seen, Losing(slips, heard), key)) != twin(true, seen, slips, heard, key):
            return True
    return False


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20))
def test_it_is_its_twin_under_loss(seed):
    assert not differs(tiered(), [seed])


class Twice(TieredVote):
    """Two delegates a region, so it counts twice."""

    def __init__(self, **given):
        super().__init__(**given)
        self.capacity = 2

    def reply(self, place_state):
        return jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), super().reply(place_state))


class Anew(TieredVote):
    """Delegates tell their sums again in the next tick, and the top decides from what then comes."""

    def post(self, ballot):
        posts, t = super().post(ballot), ballot.own.looking.outlook.t
        again = ballot.delegate & (t % self.protocol.term == 1) & (ballot.round == 1)
        worth = self.protocol.post(ballot.own).amount
        amount = posts.amount._replace(
            count=jnp.where(again, 5, posts.amount.count), worth=jnp.where(again, worth, posts.amount.worth)
        )
        return posts._replace(live=posts.live | again, amount=amount)

    def serve(self, key, place_state, heap):
        again = place_state.top & (heap.round == 1) & (heap.count > 0) & (heap.t % self.protocol.term == 1)
        return super().serve(key, place_state, heap._replace(t=jnp.where(again, heap.t - 1, heap.t)))


class Inventing(TieredVote):
    """A region's box that hears from no delegate tells what its own sums say."""

    def serve(self, key, place_state, heap):
        box = super().serve(key, place_state, heap)
        told = (heap.round == 0) & (box.tally.count > 0) & ~box.top
        mine = box.decree._replace(
            term=heap.t // self.protocol.term, plan=jnp.argmax(box.tally.worth).astype(jnp.int32)
        )
        decree = jax.tree.map(lambda new, old: jnp.where(told, new, old), mine, box.decree)
        return box._replace(decree=decree)


class Patient(TieredVote):
    """Who has not heard goes on reading its region's box."""

    def watch(self, ballot):
        place = super().watch(ballot)
        late = ~self._at(6, ballot)
        return jnp.where(late & (place == self.top), ballot.own.looking.outlook.region, place)


@pytest.mark.parametrize("bug", [Twice, Inventing, *later(Anew, Patient)])
def test_the_twin_catches(bug):
    assert differs(tiered(kind=bug), range(20))


# ------------------------------------------------------------------------------------------------ one plan at a time


@lru_cache
def small(number: int = 4):
    """Three agents, two of them in one region, and terms of two ticks."""
    three = jax.tree.map(lambda leaf: leaf[:, :3], seen(4, number))
    return three._replace(region=jnp.tile(jnp.array([0, 0, 1], jnp.int32), (number, 1)))


class Again(Pattern):
    """The same losses in each tick: [3, N]."""

    def _row(self, table, board, like):
        return jnp.broadcast_to(table[board.round][:, None], like.shape)


@eqx.filter_jit
def plans(protocol, views, slips, heard):
    """The decrees of agents [B, T, N] and of boxes [B, T, G + 1] under each pattern."""

    def one(slips, heard):
        lasting = ticks(protocol, views, Again(slips, heard), jax.random.key(0)).lasting
        return lasting.nodes.citizen.decree, lasting.places.decree

    return jax.vmap(one)(slips, heard)


def two_at_once(knows, boxes, t) -> bool:
    """Whether somebody follows another plan than the top tells in the same tick, or a box tells another one."""
    term = t // 2
    top = np.where(boxes.term[..., -1:] == term, boxes.plan[..., -1:], -1)
    return any(np.any((one.term == term) & (one.plan >= 0) & (one.plan != top)) for one in (knows, boxes))


def every_loss(protocol, batch=2**15):
    """Whether two plans were ever followed at once under one of the 2^18 ways to lose a slip or a notice in a tick; how
    often a plan was followed, and by some but not by all."""
    t, some, part, bad = np.arange(4)[:, None], 0, 0, False
    for start in range(0, 2**18, batch):
        word = np.arange(start, start + batch)[:, None] >> np.arange(18) & 1 == 1
        slips, heard = word.reshape(batch, 2, 3, 3).transpose(1, 0, 2, 3)
        knows, boxes = jax.tree.map(np.asarray, plans(protocol, small(), slips, heard))
        bad |= two_at_once(knows, boxes, t)
        follows = (knows.term == t // 2) & (knows.plan >= 0)
        some, part = some + follows.any(2).sum(), part + (follows.any(2) & ~follows.all(2)).sum()
        if bad:
            break
    return bad, some, part


def test_never_two_plans_at_once_under_any_loss():
    bad, some, part = every_loss(tiered(needed=2, term=2, regions=2))
    assert not bad and some > 1000 and part > 100


@pytest.mark.parametrize("bug", [Inventing, *later(Anew)])
def test_every_loss_catches(bug):
    assert every_loss(tiered(needed=2, term=2, regions=2, kind=bug))[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([0.1, 0.3]))
def test_never_two_plans_at_once_among_those_who_stray_and_come_and_go(seed, share):
    protocol, seen, rng = tiered(needed=2), views(seed % 8, 12), np.random.default_rng(seed)
    here = jnp.asarray(rng.random((12, AGENTS)) < 0.8)
    lasting = ticks(protocol, seen, Loss(share=share), jax.random.key(seed), here).lasting
    decree, top = (jax.tree.map(np.asarray, one) for one in (lasting.nodes.citizen.decree, lasting.places.decree))
    follows = (decree.term == np.asarray(seen.t) // TERM) & (decree.plan >= 0)
    assert np.array_equal(decree.plan[follows], np.broadcast_to(top.plan[:, -1:], follows.shape)[follows])


# ------------------------------------------------------------------------------------------- what it equals and costs


def test_one_region_is_the_vote_of_all():
    """Decisions, decrees and what is read, bit for bit; with three regions the plans of these views are the same."""
    for seed in range(4):
        one = views(seed, regions=1)
        key = jax.random.key(seed)
        whole = ticks(Quorum(needed=5, term=TERM), one, NoFault(), key)
        single = ticks(tiered(regions=1), one, NoFault(), key)
        assert np.array_equal(whole.decision, single.decision)
        assert all(map(np.array_equal, whole.lasting.nodes.decree, single.lasting.nodes.citizen.decree))
        assert np.array_equal(whole.traffic.reads, single.traffic.reads)
        three = ticks(tiered(), views(seed), NoFault(), key)
        assert np.array_equal(whole.decision, three.decision)


def test_the_bill_of_a_calm_term():
    """As the docstring says."""
    protocol, plans = tiered(needed=1), Quorum(needed=1).plans
    region = np.arange(AGENTS) % REGIONS
    view = seen(0, TERM)._replace(region=jnp.tile(jnp.asarray(region, jnp.int32), (TERM, 1)))
    bill = ticks(protocol, view, NoFault(), jax.random.key(0)).traffic
    assert bill.sent.tolist() == [AGENTS + 6 * REGIONS + 2, 0, 0]
    assert bill.reads.tolist() == [AGENTS, 0, 0]
    small = (4 * plans + 16) * AGENTS + (16 * plans + 24) * REGIONS + 4 * plans + 4
    assert bill.bytes.tolist() == [small, 0, 0]
    whole = ticks(Quorum(needed=1, term=TERM), view, NoFault(), jax.random.key(0)).traffic
    assert (float(whole.bytes[0]), float(whole.sent[0])) == ((4 * plans + 12) * AGENTS, AGENTS + 1)


class Counting(Pattern):
    """Loses all slips of a round in which more than so many are for one place."""

    def on_post(self, key, state, posts, board):
        heard = jnp.zeros(board.places, jnp.int32).at[jnp.where(posts.live, posts.place, board.places)].add(1)
        return state, posts._replace(live=posts.live & (jnp.max(heard) <= jnp.max(self.slips)))


def test_no_box_hears_the_fleet():
    """Of eight agents in three regions none hears more than three; the box of all hears eight."""
    region = np.arange(AGENTS) % REGIONS
    view = seen(0, TERM)._replace(region=jnp.tile(jnp.asarray(region, jnp.int32), (TERM, 1)))

    def plan(protocol, most):
        talked = ticks(protocol, view, Counting(np.array([most]), np.ones((3, AGENTS), bool)), jax.random.key(0))
        places = talked.lasting.places
        return int(np.ravel(getattr(places, "decree", places).plan[0])[-1])

    assert plan(tiered(needed=AGENTS), 3) >= 0 and plan(tiered(needed=AGENTS), 2) == -1
    assert plan(Quorum(needed=AGENTS, term=TERM), AGENTS) >= 0 and plan(Quorum(needed=AGENTS, term=TERM), 3) == -1


def delegates(key_of, terms=60):
    """How often each of the agents of one region speaks for it."""
    protocol, often = tiered(term=1, regions=1), np.zeros(AGENTS, int)
    first = jax.tree.map(lambda leaf: leaf[0], seen(0, 1))

    @eqx.filter_jit
    def one(lasting, t):
        key, view = key_of(t), first._replace(t=jnp.full(AGENTS, t, jnp.int32))
        return comms.converse(key, key, protocol, lasting, view, None, NoFault(), (), None, AGENTS, t).lasting

    lasting = comms.boot(jax.random.key(0), protocol, AGENTS)
    for t in range(terms):
        lasting = one(lasting, jnp.int32(t))
        often += np.asarray(lasting.nodes.delegate)
    return often


def test_the_burden_goes_round():
    """By the coin of the round; with one coin for all terms one agent would carry everything."""
    often = delegates(lambda t: jax.random.fold_in(jax.random.key(1), t))
    assert often.sum() == 60 and often.min() > 0 and often.max() < 20
    assert sorted(delegates(lambda t: jax.random.key(1)))[-2:] == [0, 60]


def chance(sizes, needed: int, loss: float) -> float:
    """P(a plan), exactly: of each region's binomial ballots all or none are counted."""
    counted = np.ones(1)
    for size in sizes:
        region = (1 - loss) ** 2 * binom.pmf(np.arange(size + 1), size, 1 - loss)
        region[0] = 1 - region[1:].sum()
        counted = np.convolve(counted, region)
    return float(counted[needed:].sum())


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_how_often_a_plan_holds(loss):
    """In 4,000 draws, against the sum over all cases."""
    protocol, region = tiered(needed=quorum(AGENTS)), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    view = jax.tree.map(lambda leaf: leaf[:1], seen(0, 1))._replace(region=jnp.asarray(region[None], jnp.int32))
    each = eqx.filter_jit(jax.vmap(lambda key: ticks(protocol, view, Loss(share=loss), key).lasting.places.decree.plan))
    held = np.asarray(each(jax.random.split(jax.random.key(2), 4000)))[:, 0, -1] >= 0
    exact = chance(np.bincount(region), quorum(AGENTS), loss)
    assert abs(held.mean() - exact) < 4 * (exact * (1 - exact) / 4000) ** 0.5
    assert abs(held.mean() - binom.sf(quorum(AGENTS) - 1, AGENTS, 1 - loss)) > 0.1  # the box of all


def test_where_two_thirds_are_out_of_reach():
    """A fleet of 3,000: the plans of two tiers cease around a loss of 0.126, those of one box at 1/3."""
    needed = quorum(3000)
    for regions, low, high in ((120, 0.06, 0.19), (1000, 0.1, 0.15)):
        sizes = np.full(regions, 3000 // regions)
        assert chance(sizes, needed, low) > 0.95 and chance(sizes, needed, high) < 0.05
    middle = [chance(np.full(1000, 3), needed, loss) for loss in (0.12, 1 - (2 / 3) ** (1 / 3), 0.132)]
    assert middle[0] > 0.6 > middle[1] > 0.4 > middle[2]
    assert binom.sf(needed - 1, 3000, 1 - 0.31) > 0.95 > 0.05 > binom.sf(needed - 1, 3000, 1 - 0.36)
    few = chance(np.full(4, 25), quorum(100), 0.1)  # terms without a plan long before
    assert few < 0.75 and binom.sf(quorum(100) - 1, 100, 0.9) > 0.999


# ------------------------------------------------------------------------------------------------------- late mail


def late(delay, mail, here=None, regions=REGIONS, number=20, strays=False, kind=TieredVote):
    """The decrees that agents know, (term, plan) of [T, N], with terms of ten ticks, at whose start agents are always
    in the same regions; they stay there unless they stray."""
    seen, home = views(1, number, regions), views(1).region[:1] % regions
    away = strays & (jnp.arange(number) % 10 > 0)
    seen = seen._replace(region=jnp.where(away[:, None], seen.region, home))
    one = jax.tree.map(lambda leaf: leaf[0, 0], seen)
    inner = tiered(needed=AGENTS - 1, term=10, regions=regions, delay=delay, kind=kind)
    talked = ticks(Delayed(protocol=inner, ticks=mail, proposal=one), seen, NoFault(), jax.random.key(0), here)
    nodes = talked.lasting.nodes
    return jax.tree.map(np.asarray, getattr(nodes, "own", nodes).citizen.decree), talked.traffic


def test_late_mail_is_waited_for():
    """Three ways up and three down: in tick 6 of its term all know the plan; delegates read it in tick 4."""
    decree, bill = late(1, 1)
    after = np.arange(20) % 10 >= 6
    now = np.arange(20) // 10
    assert (decree.term[after] == now[after, None]).all() and (decree.plan[after] >= 0).all()
    early = (decree.term == now[:, None]) & ~after[:, None]
    assert (early.sum(1)[[4, 5, 14, 15]] == REGIONS).all() and early.sum() == 4 * REGIONS
    # handed over one tick late: cast in 1, asked again in 3 while sums go up, and down in 5; an answer and two notices
    slips = np.array(bill.heard - bill.reads)[:10]
    assert (np.asarray(bill.reads)[:10] == [0, 0, 0, 0, REGIONS, 0, AGENTS - REGIONS, 0, 0, 0]).all()
    assert slips[1] >= AGENTS and slips[3] >= AGENTS + REGIONS and slips[5] >= REGIONS and slips[[0, 2, 4]].sum() == 0


class Absent(TieredVote):
    """Deals with the box where it is, not with that at which it cast its ballot."""

    def propose(self, key, state, proposal):
        return super().propose(key, state, proposal)._replace(box=proposal.region)


def test_who_strays_while_mail_is_late_is_answered_where_it_cast_its_ballot():
    calm, _ = late(1, 1)
    for kind in (TieredVote, Absent):
        decree, _ = late(1, 1, strays=True, kind=kind)
        same = all(map(np.array_equal, decree, calm))
        assert same == (kind is TieredVote)


@pytest.mark.parametrize("delay, mail", [(0, 1), *later((1, 0))])
def test_mail_that_takes_another_time_than_is_known_brings_no_plan(delay, mail):
    assert (late(delay, mail)[0].plan == -1).all()


@pytest.mark.parametrize("delay", later(2, 5, 10))
def test_a_term_that_is_over_before_mail_is_there_has_no_plan(delay):
    """Nobody but delegates, where they read the top within the term."""
    decree, _ = late(delay, delay, number=40)
    follows = (decree.term == np.arange(40)[:, None] // 10) & (decree.plan >= 0)
    assert follows.sum() == (4 * REGIONS * 2 if delay == 2 else 0)


def test_a_delegate_that_leaves_costs_its_region_a_tick():
    """It has told the sums, and is away from tick 4 on; the others of its region ask the top in tick 7."""
    calm, _ = late(1, 1)
    region = np.asarray(views(1).region[0])
    delegate = np.flatnonzero(calm.term[4] == 0)
    gone = next(int(i) for i in delegate if (region == region[i]).sum() > 1)
    here = np.ones((20, AGENTS), bool)
    here[4:10, gone] = False
    decree, _ = late(1, 1, jnp.asarray(here))
    others = (region == region[gone]) & (np.arange(AGENTS) != gone)
    assert (decree.term[6, others] == -1).all() and (decree.term[6, region != region[gone]] == 0).all()
    assert (decree.term[7, others] == 0).all() and (decree.plan[7, others] == calm.plan[7, others]).all()


# ------------------------------------------------------------------------------------------------- promises, fleets


def test_promises():
    protocol, view = tiered(), jax.tree.map(lambda leaf: leaf[0], views(0))
    check_protocol(protocol, view)
    places = jnp.arange(protocol.places)
    assert jax.vmap(protocol.where)(places).tolist() == [0, 1, 2, -1]
    assert jax.vmap(protocol.host)(places).tolist() == [-1] * 4


def test_refusals():
    for wrong in (Alone(), tiered()):
        with pytest.raises(Refusal, match=f"{type(wrong).__name__} holds no vote"):
            TieredVote(protocol=wrong, anchor=[0])
    for anchor, shape in (([], r"\(0,\)"), (3, r"\(\)"), ([[1]], r"\(1, 1\)")):
        with pytest.raises(Refusal, match=f"anchor has shape {shape}; it is a row"):
            TieredVote(protocol=Quorum(needed=1), anchor=anchor)
    with pytest.raises(Refusal, match="anchor is .*; it must be at least 0"):
        TieredVote(protocol=Quorum(needed=1), anchor=[0, -1])
    with pytest.raises(Refusal, match="it must be a whole number"):
        TieredVote(protocol=Quorum(needed=1), anchor=[0.5])


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_fleet(loss):
    """Calm it serves what the vote of all serves and reads as much; with 0.3 lost it is alone."""
    world = rolling(num_agents=100, density=7.0, options=16)
    vote = Quorum(needed=quorum(100))
    shares = {}
    for name, protocol in (
        ("all", vote), ("tiers", TieredVote(protocol=vote, anchor=np.arange(world.regions))), ("alone", Alone())
    ):  # fmt: skip
        scenario = Scenario(world, Deferring(), commit=protocol, fault=Loss(share=loss))
        end, records = step.run(step.start(jax.random.key(0), scenario, 4), scenario, 60, record=("traffic",))
        tallies = end.carry.world.tallies
        shares[name] = np.asarray(tallies.value_served / tallies.value_offered), records["traffic"]
    near = "alone" if loss else "all"
    assert abs(np.mean(shares["tiers"][0] - shares[near][0])) < 0.01
    reads = {name: float(np.sum(bill.reads)) for name, (_, bill) in shares.items()}
    assert reads["tiers"] == pytest.approx(reads["all"], rel=0.02) if not loss else reads["tiers"] > reads["all"]
