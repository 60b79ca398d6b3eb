"""Attackers by rule tell each receiver what they say they do, on both ways of mail, and play what is written."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Tally, TallyProtocol, static
from quorate.errors import Refusal
from quorate.faults import (
    AllYes,
    Chain,
    DropAtRound,
    RandomYes,
    Rushing,
    Scripted,
    SilentLiars,
    SplitVote,
)
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops


class Listener(TallyProtocol):
    """Says in every round what it proposed, and decides what it heard: the total of each round."""

    rounds: int = static(3)

    def propose(self, key, state, proposal):
        return proposal > 0, jnp.zeros(self.rounds, jnp.int32), jnp.int32(0)

    def send(self, ballot):
        return ballot[0]

    def hear(self, key, ballot, total, coin):
        return ballot[0], ballot[1].at[ballot[2]].set(total), ballot[2] + 1

    def decide(self, ballot):
        return ballot[1], ()


@eqx.filter_jit
def talk(fault, state, proposal, rounds):
    """By sums, and by inboxes."""
    n, key, listener = len(proposal), jax.random.key(5), Listener(rounds=rounds)
    return [
        comms.converse(key, jax.random.key(9), listener, (), proposal, links, fault, state, None, n).decision
        for links in (None, comms.complete(n, fault.extras))
    ]


def heard(fault, proposal, rounds=3):
    """The false yes that each receiver hears, [N, R], found equal on both ways of mail; honest mail is taken off."""
    n = len(proposal)
    state = fault.reset(jax.random.key(0), n)
    by_sum, by_list = map(np.asarray, talk(fault, state, jnp.asarray(proposal, jnp.int32), rounds))
    np.testing.assert_array_equal(by_sum, by_list)
    liars = fault.liars(state)
    liars = np.zeros(n, bool) if liars is None else np.asarray(liars)
    yes = np.asarray(proposal) > 0
    own = np.where(liars, yes, 0)  # a liar still hears itself
    return by_sum - ((yes & ~liars).sum() + own)[:, None]


WILLING = [1, 1, 0, 1, 0, 0]


def test_the_silent_and_those_who_say_yes():
    assert not heard(SilentLiars(members=2, extras=1), WILLING).any()
    assert (heard(AllYes(extras=3), WILLING) == 3).all()
    told = heard(AllYes(members=[True, False, False, False, True, False], extras=1), WILLING)
    assert told[:, 0].tolist() == [2, 3, 3, 3, 2, 3]  # nobody lies to itself


def test_split_and_rushing():
    assert heard(SplitVote(extras=2), WILLING)[:, 1].tolist() == [2, 0, 2, 0, 2, 0]
    for threshold, lies in ((4, [1, 0] * 3), (5, [2, 1] * 3), (9, [2, 2] * 3), (2, [0, 0] * 3)):  # three say yes
        assert heard(Rushing(threshold=threshold, extras=2), WILLING)[:, 0].tolist() == lies


def test_the_drop():
    told = heard(DropAtRound(at=2, passing=2, extras=2), WILLING)
    assert told.T.tolist() == [[2] * 6, [2, 2, 0, 0, 0, 0], [2] * 6]
    assert (heard(DropAtRound(at=7, passing=0, extras=1), WILLING) == 1).all()


def test_the_script():
    plan = np.arange(12).reshape(2, 6) % 4
    told = heard(Scripted(plan=plan, extras=2), WILLING).T
    assert told.tolist() == [*np.minimum(plan, 2).tolist(), [0] * 6]
    assert heard(Scripted(plan=plan, extras=3, later="repeat"), WILLING).T[2].tolist() == plan[1].tolist()
    assert heard(Scripted(plan=[[1], [2]], extras=2), WILLING).T.tolist() == [[1] * 6, [2] * 6, [0] * 6]


@pytest.mark.parametrize(("members", "extras"), [(0, 3), (2, 2)])
def test_random_yes_is_binomial_for_each_receiver_and_round(members, extras):
    """Means over 64 rounds of 200 receivers against Binomial(t, p), within 5 standard errors; receivers and rounds
    differ."""
    n, t, p, rounds = 200, members + extras, 0.3, 64
    told = heard(RandomYes(chance=p, members=members, extras=extras), np.zeros(n), rounds)
    if members:  # honest receivers alone hear all t
        told = told[~np.asarray(RandomYes(chance=p, members=members).reset(jax.random.key(0), n))]
    size = told.size
    for moment, mean, spread in (
        (told, t * p, (t * p * (1 - p)) ** 0.5),
        ((told == t) * 1.0, p**t, (p**t * (1 - p**t)) ** 0.5),
    ):
        assert abs(moment.mean() - mean) < 5 * spread / size**0.5
    assert abs(np.corrcoef(told[:, 0], told[:, 1])[0, 1]) < 0.4
    assert abs(np.corrcoef(told[0], told[1])[0, 1]) < 0.6


def test_certain_and_impossible_lies():
    assert (heard(RandomYes(chance=1.0, extras=3), WILLING) == 3).all()
    assert not heard(RandomYes(chance=0.0, extras=3), WILLING).any()


def test_members_are_drawn_anew():
    fault = AllYes(members=4)
    drawn = np.stack([np.asarray(fault.reset(jax.random.key(seed), 30)) for seed in range(6)])
    assert (drawn.sum(1) == 4).all() and len({tuple(row) for row in drawn}) == 6
    assert AllYes(members=0).reset(jax.random.key(0), 5) == () and AllYes().liars(()) is None


def test_the_drop_breaks_the_vote_as_often_as_theorem_3_allows():
    """Four nodes, k = 3, t = 1, the last round uniform on 2..5: a drop in round r breaks it iff T = r + 1; so do
    members who lie."""
    vote = HiddenStopVote(threshold=3, margin=1, stops=stops(last_round("uniform", 2, 5)))
    plays = 4000

    def misfires(fault, proposal, honest):
        n = proposal.shape[0]

        def one(key):
            state = fault.reset(key, n)
            coin, lasting = jax.random.fold_in(key, 1), comms.boot(key, vote, n)
            acts = comms.converse(key, coin, vote, lasting, proposal, None, fault, state, None, n).decision
            count = jnp.sum(acts * proposal * honest)
            return (count > 0) & (count < 3)

        return jnp.mean(jax.vmap(one)(jax.random.split(jax.random.key(3), plays)))

    misfires = eqx.filter_jit(misfires)
    three = jnp.array([1, 1, 1, 0, 0], jnp.int32)
    outside, inside = jnp.ones(4, jnp.int32), jnp.array([1, 1, 1, 1, 0], jnp.int32)
    error = 4 * (0.25 * 0.75 / plays) ** 0.5
    for at in (1, 2, 3, 4):
        rate = misfires(DropAtRound(at=at, passing=2, extras=1), three[:4], outside)
        assert abs(rate - 0.25) < error
    member = jnp.array([False, False, False, False, True])
    assert abs(misfires(DropAtRound(at=2, passing=2, members=member), three, inside) - 0.25) < error
    assert misfires(DropAtRound(at=5, passing=2, extras=1), three[:4], outside) == 0
    for quiet in (SilentLiars(extras=1), AllYes(extras=1)):
        assert misfires(quiet, three[:4], outside) == 0


def test_lies_are_swept_in_one_program():
    traces = []
    tally = Tally(jnp.int32(0), jnp.ones(5, bool), jnp.int32(5), jnp.int32(3), jnp.zeros(5, bool))

    def total(fault):
        traces.append(fault)
        return jnp.sum(fault.lies(jax.random.key(0), (), tally)[1])

    drops = DropAtRound(at=jnp.array([1, 1, 2]), passing=jnp.array([0, 2, 4]), extras=3)
    assert eqx.filter_jit(eqx.filter_vmap(total))(drops).tolist() == [0, 6, 15] and len(traces) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AllYes(extras=-1), "extras is -1; it counts talkers from outside and must be at least 0"),
        (lambda: AllYes(members=-2), "members is -2; it counts agents and must be at least 0"),
        (lambda: AllYes(members=0.5), "members is 0.5; it is how many members lie, or True or False for each"),
        (lambda: AllYes(members=True), "members is True; it is how many members lie, or True or False for each"),
        (
            lambda: AllYes(members=[0, 2]).reset(jax.random.key(0), 3),
            "members is [0, 2]; it is how many members lie, or True or False for each",
        ),
        (lambda: DropAtRound(at=1.5, extras=1), "1.5 is given where whole numbers"),
        (lambda: AllYes(members=7).reset(jax.random.key(0), 6), "members is 7; the world has 6 agents"),
        (
            lambda: AllYes(members=[True] * 3).reset(jax.random.key(0), 6),
            "members marks 3 agents; the world has 6",
        ),
        (lambda: RandomYes(chance=1.5, extras=1), "chance is 1.5; it must be between 0 and 1"),
        (lambda: DropAtRound(at=0, extras=1), "at is 0; it must be at least 1"),
        (lambda: DropAtRound(at=1, passing=-1, extras=1), "passing is -1; it must be at least 0"),
        (lambda: Scripted(plan=[1, 2], extras=1), "the plan has the shape [2]; it has a row for each round"),
        (lambda: Scripted(plan=[[1, -2]], extras=1), "the plan holds -2; it counts false yes"),
        (lambda: Scripted(plan=[[1]], later="loop", extras=1), 'later is "loop"; it can be silence or repeat'),
        (lambda: heard(Scripted(plan=[[1, 2]], extras=1), WILLING), "the plan has 2 columns; 6 agents hear"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(Refusal) as error:
        make()
    assert str(error.value).startswith(said)


def test_other_mail_is_refused():
    sent = {"a": jnp.ones(3, bool), "b": jnp.ones((3, 2), jnp.int32)}
    tally = Tally(jnp.int32(0), sent, {"a": jnp.int32(3)}, jnp.int32(1), jnp.zeros(3, bool))
    with pytest.raises(Refusal, match=r"one yes or no from each node; here a round's mail is bool\[3\], int32\[3,2\]"):
        DropAtRound(at=1, extras=1).lies(jax.random.key(0), (), tally)


class Numbers(Listener):
    def send(self, ballot):
        return ballot[0].astype(jnp.int32)


@pytest.mark.parametrize("fault", [AllYes(extras=1), SilentLiars(members=2), Chain(faults=(AllYes(extras=1),))])
@pytest.mark.parametrize("links", [None, comms.complete(6, 1), comms.to_edges(comms.complete(6))])
def test_attackers_refuse_to_forge_numbers(fault, links):
    """A false yes is a target or an amount where mail is a number."""
    args = Numbers(rounds=1), (), jnp.asarray(WILLING), links, fault, fault.reset(jax.random.key(0), 6), None, 6
    with pytest.raises(Refusal, match=r"one yes or no from each node; here a round's mail is int32\[6\]"):
        comms.converse(jax.random.key(0), jax.random.key(1), *args)
