"""The contract net: awards, refusals and answers that are missing; exclusive whatever is lost; one bid is a claim."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Heap, News
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.protocols.claim import Claim
from quorate.protocols.contract_net import BID, CONTRACT_NET, REFUSE, ContractNet
from quorate.protocols.desk import CLAIM, Slip
from tests import outlooks
from tests.proof import later
from tests.protocols.desks import Pattern, geography, lives, outlook, shared, talk, under, value


class Eager(ContractNet):
    """A bug: an award is taken for a claim."""

    def hear(self, key, ballot, news):
        until = jnp.where(news.notice.until < 0, 9, news.notice.until)
        return super().hear(key, ballot, news._replace(notice=news.notice._replace(until=until)))


class Polite(ContractNet):
    """A bug: nothing is refused."""

    def post(self, ballot):
        posts = super().post(ballot)
        return posts._replace(live=posts.live & (posts.body.kind != REFUSE))


class Forgets(ContractNet):
    """A bug: a place announces again what was accepted."""

    def serve(self, key, place_state, heap):
        owner = jnp.where(heap.round % 2 == 0, -1, place_state.desk.owner)
        return super().serve(key, place_state._replace(desk=place_state.desk._replace(owner=owner)), heap)


@cache
def twice(kind):
    """In how many of 2^17 random patterns of loss two believe in one place."""
    draw, double = np.random.default_rng(0), 0
    view = outlook([[3, 1], [2.9, 2], [2.8, 2.7]])
    for _ in range(8):
        slips, notices = draw.random((2, 2**14, 6, 3)) < 0.7
        decision, _ = under(kind(places=2, rounds=6, bids=2), view, slips, notices)
        double += shared(decision).sum()
    return double


def test_exclusive_whatever_is_lost():
    assert twice(ContractNet) == 0


@pytest.mark.parametrize("bug", [Eager, *later(Forgets)])
def test_losses_find_bugs(bug):
    assert twice(bug) > 0


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_exclusive_over_many_ticks(loss):
    """Agents walk or are stuck, crash and come back without memory, tasks give way to newer ones."""
    worth = np.random.default_rng(0).uniform(0.5, 1, (5, 3))
    life = lives(ContractNet(places=3, rounds=4, bids=2), worth, loss=loss)
    assert not shared(life.place).any()
    assert (life.place >= 0).mean() > 0.3 and life.down.mean() > 0.05


def test_one_bid_is_a_claim():
    """The same assignment, in twice the rounds, on 100 instances."""
    net, claim = ContractNet(places=8, rounds=8, bids=1), Claim(places=8, rounds=4)
    for seed in range(100):
        view = outlook(np.random.default_rng(seed).uniform(-0.3, 1, (8, 8)))
        assert np.array_equal(talk(net, view).decision, talk(claim, view).decision)


def iterations_of(worth, bids, iterations):
    """The contract net once more, with dictionaries and lists; no mail is lost."""
    agents, places = worth.shape
    owner = {}
    for _ in range(iterations):
        bidding = {}
        for agent in set(range(agents)) - set(owner.values()):
            options = [place for place in range(places) if worth[agent][place] > 0 and place not in owner]
            bidding[agent] = sorted(options, key=lambda place, agent=agent: (-worth[agent][place], place))[:bids]
        awards = {agent: [] for agent in bidding}
        for place in range(places):
            asking = [agent for agent in bidding if place in bidding[agent]]
            if asking:
                awards[max(asking, key=lambda agent, place=place: (worth[agent][place], -agent))].append(place)
        for agent, won in awards.items():
            if won:
                owner[min(won, key=bidding[agent].index)] = agent
    decided = {agent: place for place, agent in owner.items()}
    return [decided.get(agent, -1) for agent in range(agents)]


def differs(kind):
    wrong = 0
    for seed in range(100):
        worth = np.random.default_rng(seed).uniform(-0.3, 1, (8, 8)).astype(np.float32)
        decision = np.asarray(talk(kind(places=8, rounds=6), outlook(worth)).decision)
        wrong += decision.tolist() != iterations_of(worth, 3, 3)
    return wrong


def test_equals_its_twin():
    assert differs(ContractNet) == 0


def test_the_twin_finds_what_is_not_refused():
    assert differs(Polite) > 0


@pytest.mark.slow
def test_more_bids_save_iterations_and_cost_messages():
    """The snapshot, three seeds: ahead of claims after as many iterations as these have rounds, level at the end."""
    gaps, ends = [], []
    for seed in range(3):
        view = geography(seed, 200)
        for iterations, kept in ((2, gaps), (10, ends)):
            net = talk(ContractNet(places=200, rounds=2 * iterations), view)
            claim = talk(Claim(places=200, rounds=iterations), view)
            kept.append((value(view, net.decision) - value(view, claim.decision)) / value(view, claim.decision))
            if iterations == 10:
                assert 8 <= net.traffic.sent / 200 <= 11 and 8 <= net.traffic.rounds <= 14
                assert net.traffic.sent > 2 * claim.traffic.sent
    assert min(gaps) > 0.1 and np.mean(ends) > -0.01


@pytest.mark.parametrize("loss", [0.1, 0.5])
def test_mail_lost_costs_time_and_not_exclusion(loss):
    view = geography(1, 80)
    few, many = (talk(ContractNet(places=80, rounds=rounds), view, Loss(share=loss)) for rounds in (4, 20))
    assert value(view, few.decision) < value(view, many.decision)
    assert not shared(few.decision) and not shared(many.decision)


def test_an_odd_number_of_rounds_is_refused():
    with pytest.raises(Refusal, match="rounds is 5; a contract net bids and answers in turn"):
        ContractNet(places=2, rounds=5)


@pytest.mark.parametrize(("rounds", "made"), [(1, 2), (2, 2), (5, 4), (6, 6)])
def test_a_site_with_an_odd_number_of_rounds_leaves_one_out(rounds, made):
    assert CONTRACT_NET.make(outlooks.site(4, 3, rounds=rounds)).rounds == made


def test_an_award_outlasts_the_way_of_late_mail():
    """Nobody answers: with mail that takes a tick each way, `rounds` answers more may be missing."""
    silence = Heap(jnp.int32(0), jnp.int32(1), jnp.int32(0), (), jnp.float32(0), jnp.int32(-1), no_slip(), ())
    for delay, answers in ((0, 2), (1, 6)):
        net = ContractNet(places=1, rounds=4, delay=delay)
        place = net.open(None, 0)._replace(awarded=jnp.int32(3))
        for missing in range(1, answers + 1):
            place = net.serve(None, place, silence)
            assert int(place.awarded) == (3 if missing < answers else -1)


def no_slip():
    return Slip(jnp.int32(-1), jnp.float32(0), jnp.int32(0))


def test_more_bids_than_options_are_refused():
    with pytest.raises(Refusal, match="bids is 3; an agent has 2 options"):
        talk(ContractNet(places=2), outlook([[1.0, 0.5]]))


def test_a_transcript(golden):
    """Three agents, two tasks: one award is refused, one award is lost on its way."""
    worth = [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]]
    notices = np.ones((6, 3, 3), bool)
    notices[2, 1, 1] = False  # agent 1 does not hear that task 1 is awarded to it
    golden("contract-net.txt", transcript(ContractNet(places=2, rounds=6, bids=2), outlook(worth), notices))


def transcript(protocol, view, notices) -> str:
    """Who says what in each round, what each place then tells, and who hears it."""
    agents = view.place.shape[0]
    fault = Pattern(np.ones(notices.shape[:2], bool), notices)
    first = "worth    " + ", ".join(
        f"agent {agent}: {' and '.join(f'{worth:.1f}' for worth in row)}"
        for agent, row in enumerate(view.worth.tolist())
    )
    lines = [first]
    key = jax.random.key(0)
    lasting = comms.boot(key, protocol, agents)
    keys = comms.conversation.node_keys(key, agents)
    ballot, places = jax.vmap(protocol.propose)(keys, lasting.nodes, view), lasting.places
    names = {BID: "bids on", CLAIM: "accepts", REFUSE: "refuses"}
    for round_ in range(protocol.rounds):
        posts, watched, heard, word, ballot = one_meeting(protocol, jnp.int32(round_), keys, ballot, places, fault)
        lines += ["", f"round {round_}  {'answers' if round_ % 2 else 'bids'}"]
        for agent, slip in np.argwhere(np.asarray(posts.live)):
            kind = names.get(int(posts.body.kind[agent, slip]), "gives a sign to")
            lines.append(f"  agent {agent} {kind} task {int(posts.place[agent, slip])}")
        for place in range(protocol.places):
            owner, until = int(word.owner[place]), int(word.until[place])
            state = (
                "open" if owner < 0 else f"agent {owner}'s until {until}" if until >= 0 else f"awarded to agent {owner}"
            )
            deaf = np.argwhere(
                ((np.asarray(watched) == place) & ~np.asarray(heard.news.heard))[:, : view.place.shape[1]]
            )
            lost = "".join(f", not heard by agent {agent}" for agent, _ in deaf)
            lines.append(f"  task {place} is {state}{lost}")
        places = heard.places
    decision = np.asarray(jax.vmap(protocol.decide)(ballot)[0]).tolist()
    return "\n".join(lines + ["", f"decided  {decision}"]) + "\n"


@eqx.filter_jit
def one_meeting(protocol, round_, keys, ballot, places, fault):
    """(posts, places watched, what is heard, what the places tell, the ballots after)."""
    key = jax.random.key(0)
    heard = comms.board.meet(
        (key, key), jnp.int32(0), round_, jnp.uint32(0), protocol, ballot, places, fault, (), None, None
    )
    posts, watched = jax.vmap(protocol.post)(ballot), jax.vmap(protocol.watch)(ballot)
    after = jax.vmap(protocol.hear, (0, 0, News(0, 0, 0, 0, None)))(keys, ballot, heard.news)
    return posts, watched, heard, jax.vmap(protocol.notice)(heard.places), after
