"""Loss, delay and bandwidth: by hand, by distribution, and the same on every route."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate import comms
from quorate.core import Board, CountingAttack, NoFault, Posts, Protocol, TallyProtocol, static, swept
from quorate.errors import Refusal
from quorate.faults import Bandwidth, Chain, Delay, Loss

N, PLAYS = 6, 4000
ROUTES = {
    "sum": lambda extras: None,
    "lists": lambda extras: comms.complete(N, extras),
    "edges": lambda extras: comms.to_edges(comms.complete(N)),
}


class Heard(TallyProtocol):
    """Says in round r what `script[r]` has for it; the decision is the yes it heard in each round. 2 says nothing."""

    script: jax.Array = swept(jnp.int32)
    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal, jnp.int32(0), jnp.zeros(self.rounds, jnp.int32)

    def send(self, ballot):
        return self.script[ballot[1], ballot[0]] == 1

    def speaks(self, ballot):
        return self.script[ballot[1], ballot[0]] < 2

    def hear(self, key, ballot, total, coin):
        return ballot[0], ballot[1] + 1, ballot[2].at[ballot[1]].set(total)

    def decide(self, ballot):
        return ballot[2], ()


class All(CountingAttack):
    """Its members and talkers say yes to odd receivers and no to even ones."""

    members: int = static(0)

    def liars(self, state):
        return jnp.arange(N) < self.members

    def lies(self, key, state, tally):
        return state, jnp.where(jnp.arange(N) % 2 == 1, 99, 0)


@eqx.filter_jit
def talk(script, fault, links, key, trusted=None):
    protocol = Heard(script=script, rounds=script.shape[0])
    state, who = fault.reset(key, N), jnp.arange(N)
    said = comms.converse(key, jax.random.key(1), protocol, (), who, links, fault, state, trusted, N)
    return said.decision, said.traffic


def often(script, fault, links, trusted=None):
    keys = jax.random.split(jax.random.key(8), PLAYS)
    return jax.tree.map(np.asarray, jax.vmap(lambda key: talk(script, fault, links, key, trusted))(keys))


def drawn_from(values, law, most):
    """Chi-square; cells that expect fewer than 8 are added to the largest. 200 of these are wrong once in 1000 keys."""
    expected = law.pmf(np.arange(most + 1)) * len(values)
    observed = np.bincount(values, minlength=most + 1)
    assert len(observed) == most + 1 and not observed[expected == 0].any()
    cell = np.where(expected >= 8, np.arange(most + 1), expected.argmax())
    seen, due = (np.bincount(cell, part, most + 1)[np.unique(cell)] for part in (observed, expected))
    return len(due) == 1 or stats.chisquare(seen, due).pvalue > 5e-6


SCRIPT = jnp.array([[1, 1, 0, 1, 2, 1]])  # 4 yes, a no, a silent one


@pytest.mark.parametrize("route", ROUTES)
def test_loss_thins_what_others_say(route):
    """Own yes is never lost, others' are Binomial, independent of each other, on every route."""
    heard, bill = often(SCRIPT, Loss(share=0.3), ROUTES[route](0))
    heard = heard[:, :, 0]
    own = np.array([1, 1, 0, 1, 0, 1])
    for me in range(N):
        assert drawn_from(heard[:, me] - own[me], stats.binom(4 - own[me], 0.7), 4)
    correlations = np.corrcoef(heard.T)[~np.eye(N, dtype=bool)]
    assert np.abs(correlations).max() < 5.5 / np.sqrt(PLAYS)
    assert (bill.sent == 5 * 5).all() and (bill.rounds == 1).all() and (bill.bytes == bill.heard).all()
    assert drawn_from(bill.heard.astype(int), stats.binom(25, 0.7), 25)
    # What arrives is what is billed: yes and no of others are lost alike, so the bill and the yes go together.
    yes = (heard - own).sum(axis=1)
    assert drawn_from((bill.heard - yes).astype(int), stats.binom(5, 0.7), 5)


def test_yes_and_no_are_lost_independently_on_sums():
    heard, bill = often(jnp.array([[1, 0, 1, 0, 1, 0]]), Loss(share=0.4), None)
    yes = heard.sum(axis=(1, 2))
    correlation = np.corrcoef(yes, bill.heard - yes)[0, 1]
    assert abs(correlation) < 5 / np.sqrt(PLAYS)


@pytest.mark.parametrize("route", ROUTES)
def test_lies_are_lost_as_well(route):
    """Member 0 and one talker from outside lie to odd receivers; member 5 is not listened to."""
    fault = Chain(faults=(All(members=1, extras=1), Loss(share=0.4)))
    trusted = jnp.array([True, True, True, True, True, False, True])
    heard, bill = often(SCRIPT, fault, ROUTES[route](1), trusted)
    heard = heard[:, :, 0]
    own, honest = np.array([1, 1, 0, 1, 0, 1]), np.array([2, 1, 2, 1, 2, 2])
    for me in range(N):
        assert drawn_from(heard[:, me] - own[me], stats.binom(honest[me] + 2 * (me % 2), 0.6), 6)
    assert (bill.sent == 5 * 5 + 6).all()
    assert drawn_from(bill.heard.astype(int), stats.binom(4 * 5 + 6, 0.6), 26)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("share", "heard"), [(0.0, [4, 4, 4, 4, 4, 4]), (1.0, [1, 1, 0, 1, 0, 1])])
def test_nothing_and_everything_is_lost(route, share, heard):
    said, bill = talk(SCRIPT, Loss(share=share), ROUTES[route](0), jax.random.key(0))
    assert said[:, 0].tolist() == heard and float(bill.heard) == (25 if share == 0 else 0)


def test_loss_differs_from_round_to_round_and_by_key():
    script = jnp.ones((6, N), jnp.int32)
    for links in (None, comms.complete(N)):
        said = [np.asarray(talk(script, Loss(share=0.5), links, jax.random.key(seed))[0]) for seed in (1, 2)]
        assert (said[0] != said[1]).any() and len({tuple(column) for column in said[0].T}) > 1


# --------------------------------------------------------------------------------------------------------------- delay

STORY = jnp.array([[1, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 0], [1, 1, 1, 2, 0, 0], [0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0]])


def late(story, rounds):
    """What each hears in each round, the obvious way."""
    yes, heard = np.asarray(story) == 1, np.zeros((N, len(story)), int)
    for now in range(len(story)):
        for me in range(N):
            then = now - rounds
            heard[me, now] = yes[now, me] + (yes[then].sum() - yes[then, me] if then >= 0 else 0)
    return heard.tolist()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_what_was_said_then_is_heard_now(route, rounds):
    said, bill = talk(STORY, Delay(rounds=rounds), ROUTES[route](0), jax.random.key(0))
    assert said.tolist() == late(STORY, rounds)
    speak = (np.asarray(STORY) < 2).sum(axis=1) * (N - 1)
    arrived = speak[: 5 - rounds].sum()
    assert [float(x) for x in bill] == [speak.sum(), arrived, arrived, 5, 0]


def test_lies_come_late_too_and_every_route_agrees():
    script, trusted = STORY[:4], jnp.array([True, False, True, True, True, True, True])
    fault = Chain(faults=(All(members=2, extras=1), Delay(rounds=2)))
    seen = [talk(script, fault, make(1), jax.random.key(0), trusted) for make in ROUTES.values()]
    for other in seen[1:]:
        jax.tree.map(np.testing.assert_array_equal, seen[0], other)
    at_once = talk(script, All(members=2, extras=1), None, jax.random.key(0), trusted)[0]
    own = np.asarray(script).T == 1
    assert ((np.asarray(seen[0][0]) - own)[:, 2:] == (np.asarray(at_once) - own)[:, :2]).all()
    assert (np.asarray(seen[0][0])[:, :2] == own[:, :2]).all()


def test_each_conversation_begins_with_nothing_under_way():
    fault, key = Delay(rounds=1), jax.random.key(0)
    for links in (None, comms.complete(N)):
        state = fault.reset(key, N)
        for _ in range(2):
            args = Heard(script=STORY[:2], rounds=2), (), jnp.arange(N), links, fault, state, None, N
            talked = comms.converse(key, key, *args)
            assert talked.decision.tolist() == late(STORY[:2], 1)
            state = talked.fault
            assert state == ()


# ----------------------------------------------------------------------------------------------------------- bandwidth


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("most", [0, 2, 4, 9])
def test_at_most_so_many_are_heard(route, most):
    """As from an urn: 5 others speak to the silent one, 4 to the others."""
    heard, bill = often(SCRIPT, Bandwidth(most=most), ROUTES[route](0))
    own, speak = np.array([1, 1, 0, 1, 0, 1]), np.array([4, 4, 4, 4, 5, 4])
    for me in range(N):
        law = stats.hypergeom(speak[me], 4 - own[me], min(most, speak[me]))
        assert drawn_from(heard[:, me, 0] - own[me], law, 5)
    assert (bill.sent == 25).all() and (bill.heard == np.minimum(speak, most).sum()).all()


def test_everybody_is_as_likely_to_be_heard_and_exactly_so_many():
    class Who(Protocol):
        rounds: int = static(1)

        def propose(self, key, state, proposal):
            return proposal, jnp.zeros(N, bool)

        def send(self, ballot):
            return ballot[0]

        def receive(self, key, ballot, inbox):
            return ballot[0], inbox.heard

        def decide(self, ballot):
            return ballot[1], ()

    def once(key):
        links, fault = comms.complete(N), Bandwidth(most=2)
        return comms.converse(key, key, Who(), (), jnp.arange(N), links, fault, (), None, N).decision

    heard = np.asarray(jax.jit(jax.vmap(once))(jax.random.split(jax.random.key(5), PLAYS)))
    assert (heard.sum(axis=2) == 3).all() and heard[:, np.arange(N), np.arange(N)].all()
    counts = heard.sum(axis=0)[~np.eye(N, dtype=bool)].reshape(N, N - 1)
    # Two of five drawn: within a row the counts have covariance variance * (delta - (1 - delta) / 4).
    variance = PLAYS * 0.4 * 0.6 * 5 / 4
    assert (stats.chi2.sf(((counts - PLAYS * 0.4) ** 2).sum(axis=1) / variance, N - 2) > 1e-6).all()


# ----------------------------------------------------------------------------------------------------- what is refused


class Numbers(Heard):
    def send(self, ballot):
        return jnp.int32(3)


@pytest.mark.parametrize("fault", [Loss(share=0.1), Bandwidth(most=2)])
def test_sums_of_numbers_are_refused_and_inboxes_of_them_are_not(fault):
    def said(links):
        args = Numbers(script=SCRIPT), (), jnp.arange(N), links, fault, (), None, N
        return comms.converse(jax.random.key(0), jax.random.key(1), *args).decision

    name = type(fault).__name__
    with pytest.raises(Refusal) as refused:
        said(None)
    assert str(refused.value) == (
        f"{name} takes messages out of a sum only where each is one yes or no; here a round's mail is int32[6]\n"
        "use inboxes: topology=comms.complete(num_agents)"
    )
    assert (np.asarray(said(comms.complete(N))) % 3 == 0).all()


def test_what_makes_no_sense_is_refused():
    for share in (-0.1, 1.5, np.nan):
        with pytest.raises(Refusal, match="share is .*; it is the probability that a message is lost, from 0 to 1"):
            Loss(share=share)
    with pytest.raises(Refusal, match="rounds is -1; it says how many rounds late mail is, a whole number from 0 on"):
        Delay(rounds=-1)
    with pytest.raises(Refusal, match="rounds is 1.5; it says how many rounds late mail is"):
        Delay(rounds=1.5)
    with pytest.raises(Refusal, match="2.5 is given where whole numbers from -2147483648 to 2147483647 are due"):
        Bandwidth(most=2.5)
    with pytest.raises(Refusal, match="most is -2; it counts the messages that are heard and must be at least 0"):
        Bandwidth(most=-2)


def test_a_fault_that_is_not_there_changes_nothing():
    """Loss and delay of nothing leave every bit as it is."""
    plain = talk(STORY, NoFault(), None, jax.random.key(0))
    for fault in (Loss(share=0.0), Delay(rounds=0), Bandwidth(most=N)):
        jax.tree.map(np.testing.assert_array_equal, plain, talk(STORY, fault, None, jax.random.key(0)))


# -------------------------------------------------------------------------------------------------------------- boards

BOARD = Board(jnp.int32(0), jnp.int32(0), 4, True)


def slips(live, **parts):
    return Posts(jnp.zeros(live.shape, jnp.int32), jnp.asarray(live), **parts)


def test_loss_on_a_board_is_a_coin_for_every_message():
    """Slips and notices are lost by themselves: counts of all cells, of all pairs in a row, and none that were not."""
    live = np.random.default_rng(0).random((N, 3)) < 0.8
    fault, share = Loss(share=0.3), 0.3

    def once(key):
        posts = fault.on_post(jax.random.fold_in(key, 0), (), slips(live), BOARD)[1]
        heard = fault.on_notice(jax.random.fold_in(key, 1), (), posts.place, (), jnp.asarray(live), BOARD)[2]
        return jnp.concatenate([posts.live, heard], axis=1)

    kept = np.asarray(jax.vmap(once)(jax.random.split(jax.random.key(3), PLAYS)))
    sent = np.concatenate([live, live], axis=1)
    assert not kept[:, ~sent].any()
    cells = kept[:, sent]
    assert np.abs(cells.mean(axis=0) - (1 - share)).max() < 5 * (share * (1 - share) / PLAYS) ** 0.5
    correlations = np.corrcoef(cells.T)[~np.eye(cells.shape[1], dtype=bool)]
    assert np.abs(correlations).max() < 5.5 / PLAYS**0.5


@pytest.mark.parametrize(("share", "by_mail", "arrives"), [(0.0, True, True), (1.0, True, False), (1.0, False, True)])
def test_nothing_and_everything_is_lost_on_a_board_and_marks_never(share, by_mail, arrives):
    fault, board = Loss(share=share), BOARD._replace(by_mail=by_mail)
    for seed in range(3):
        _, posts = fault.on_post(jax.random.key(seed), (), slips(np.ones((N, 3), bool)), board)
        _, notice, heard = fault.on_notice(
            jax.random.key(seed), (), posts.place, posts.place, jnp.ones((N, 3), bool), board
        )
        assert (posts.live == arrives).all() and (heard == arrives).all() and notice is posts.place


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_bandwidth_on_a_board_takes_the_first(most):
    fault, live = Bandwidth(most=most), np.random.default_rng(1).random((N, 4)) < 0.7
    expected = np.array([[live[i, k] and live[i, : k + 1].sum() <= most for k in range(4)] for i in range(N)])
    state, posts = fault.on_post(None, fault.reset(None, N), slips(live), BOARD)
    assert (posts.live == expected).all() and state == ()
    assert (fault.on_notice(None, (), posts.place, (), jnp.asarray(live), BOARD)[2] == expected).all()
    assert (fault.on_post(None, (), slips(live), BOARD._replace(by_mail=False))[1].live == live).all()


def test_bytes_are_for_all_rounds_of_a_tick():
    """Slips of 4 + 4 + 8 = 16 bytes, then of 4: as many as fit, and anew in the next tick."""
    budget, live = 40, np.random.default_rng(2).random((2, 3, N, 4)) < 0.6
    fault = Bandwidth(bytes=budget)
    state = fault.reset(None, N)
    for t in range(2):
        state, left = fault.update(None, state, t), np.full(N, budget)
        for r in range(3):
            parts = {} if r == 2 else {"bid": jnp.zeros((N, 4)), "body": jnp.zeros((N, 4, 2))}
            state, posts = fault.on_post(None, state, slips(live[t, r], **parts), BOARD)
            for i in range(N):
                for k in range(4):
                    fits = live[t, r, i, k] and left[i] >= (4 if r == 2 else 16)
                    left[i] -= fits * (4 if r == 2 else 16)
                    assert bool(posts.live[i, k]) == fits
            assert state.tolist() == (budget - left).tolist()
    assert (
        fault.on_post(None, state * 0, slips(live[0, 0]), BOARD._replace(by_mail=False))[1].live == live[0, 0]
    ).all()
    free = Bandwidth(bytes=np.inf)
    assert (free.on_post(None, free.reset(None, N), slips(live[0, 0]), BOARD)[1].live == live[0, 0]).all()


def test_what_boards_refuse_and_what_only_boards_take():
    posts = slips(np.ones((N, 2), bool))
    with pytest.raises(Refusal) as refused:
        Delay(rounds=1).on_post(None, (), posts, BOARD)
    assert str(refused.value) == (
        "Delay holds mail back within one conversation, and a board's mail may be late by ticks\n"
        "wrap the protocol instead: protocols.delayed.Delayed(protocol=..., ticks=...)"
    )
    assert Delay(rounds=0).on_post(None, (), posts, BOARD)[1] is posts
    assert Delay(rounds=1).on_post(None, (), posts, BOARD._replace(by_mail=False))[1] is posts
    with pytest.raises(Refusal, match="bytes is -1.0; it is what an agent may post in a tick and must be at least 0"):
        Bandwidth(bytes=-1)
    for links in (None, comms.complete(N)):
        with pytest.raises(Refusal, match="bytes limits what is posted to a board; this protocol has none"):
            talk(STORY, Bandwidth(bytes=100), links, jax.random.key(0))
