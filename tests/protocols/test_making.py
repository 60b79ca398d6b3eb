"""Protocols are made from Python as strictly as from the command line, and say what was taken where nothing was."""

import json

import jax
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.protocols.common_coin import CommonCoin
from quorate.protocols.gossip import PushSum
from quorate.protocols.hidden_stop_vote import HiddenStopVote
from quorate.protocols.majority import Majority
from quorate.protocols.making import checking
from quorate.protocols.neighbourhood_vote import NeighbourhoodVote, Spread
from quorate.protocols.phase_king import PhaseKing
from quorate.protocols.single_round_vote import SingleRoundVote
from quorate.protocols.targets import TargetVotes
from quorate.verify.check import instance


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        *[(name, dict(n=4, t=-1), "--t is -1; it counts liars") for name in PROTOCOLS],
        *[(name, dict(n=0), "--n is 0; it counts honest nodes and must be at least 1") for name in PROTOCOLS],
        ("hidden_stop_vote", dict(n=4, k=0), "--k is 0; it counts acting nodes that are enough and must be at least 1"),
        ("hidden_stop_vote", dict(n=4, margin=-1), "--margin is -1; it counts extra votes"),
        ("hidden_stop_vote", dict(n=4, margin=(1, 1, -1, 1)), "--margin is -1; it counts extra votes"),
        ("hidden_stop_vote", dict(n=4, min_rounds=0), "--min-rounds is 0; it counts rounds before which none is"),
        ("hidden_stop_vote", dict(n=4, k=2.5), "--k is 2.5; it must be a whole number"),
        ("fixed_round_vote", dict(n=4, rounds=0), "--rounds is 0; it counts rounds, known to all"),
        ("target_votes", dict(n=4, k=(2, 0)), "--k is 0; it counts acting nodes"),
        ("common_coin", dict(n=4, rounds=0), "--rounds is 0; it counts rounds"),
        ("majority", dict(n=4, round=1), "no option is called round; did you mean rounds?"),
    ],
)
def test_make_refuses_from_python_too(name, given, said):
    with pytest.raises(Refusal) as refused:
        PROTOCOLS[name].make(**given)
    assert str(refused.value).startswith(said)


STOPS = [2**31, 2**32 - 1]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: HiddenStopVote(threshold=2.9, margin=0, stops=STOPS), "2.9 is given where whole numbers"),
        (lambda: HiddenStopVote(threshold=2, margin=0, stops=[-1]), "[-1] is given where whole numbers from 0 to 4294"),
        (lambda: HiddenStopVote(threshold=0, margin=0, stops=STOPS), "threshold is 0; it must be at least 1"),
        (lambda: HiddenStopVote(threshold=2, margin=-3, stops=STOPS), "margin is -3; it must be at least 0"),
        (lambda: HiddenStopVote(threshold=2, margin=[1, -1], stops=STOPS), "margin is [ 1 -1]; it must be at least 0"),
        (lambda: HiddenStopVote(threshold=2, margin=0, stops=[]), "rounds is 0; it must be at least 1"),
        (lambda: SingleRoundVote(threshold=0, enough=1), "threshold is 0; it must be at least 1"),
        (lambda: SingleRoundVote(threshold=1, enough=0), "enough is 0; it must be at least 1"),
        (lambda: Majority(members=0), "members is 0; it must be at least 1"),
        (lambda: Majority(members=3, rounds=1.5), "rounds is 1.5; it must be a whole number"),
        (lambda: CommonCoin(members=4, liars=-1, rounds=2), "liars is -1; it must be at least 0"),
        (lambda: CommonCoin(members=4, liars=1, rounds=0), "rounds is 0; it must be at least 1"),
        (lambda: PhaseKing(members=5, liars=1, kings=[-1]), "kings is [-1]; it must be at least 0"),
        (lambda: PhaseKing(members=5, liars=1, kings=[]), "phases is 0; it must be at least 1"),
        (lambda: TargetVotes(thresholds=[2, 0], margin=0, stops=STOPS), "thresholds is [2 0]; it must be at least 1"),
        (lambda: TargetVotes(thresholds=[], margin=0, stops=STOPS), "targets is 0; it must be at least 1"),
        (lambda: TargetVotes(thresholds=[2], margin=-1, stops=STOPS), "margin is -1; it must be at least 0"),
        (lambda: NeighbourhoodVote(margin=-1), "margin is -1; it must be at least 0"),
        (lambda: Spread(vote=NeighbourhoodVote(margin=1), waves=0), "waves is 0; it must be at least 1"),
        (lambda: PushSum(neighbours=[[0]], degree=[0], rounds=3), "degree is [0]; it must be at least 1"),
        (lambda: PushSum(neighbours=[[-1]], degree=[1], rounds=3), "neighbours is [[-1]]; it must be at least 0"),
        (lambda: PushSum(neighbours=[[0]], degree=[1], rounds=2.5), "rounds is 2.5; it must be a whole number"),
    ],
)
def test_classes_refuse_what_cannot_be(made, said):
    with pytest.raises(Refusal) as refused:
        made()
    assert str(refused.value).startswith(said)


def test_what_is_traced_is_taken_as_it_is():
    """A sweep makes protocols inside a program, where no value can be looked at."""

    def heard(margin):
        vote = HiddenStopVote(threshold=2, margin=margin, stops=STOPS)
        return vote.threshold + vote.margin

    assert jax.jit(jax.vmap(heard))(np.array([0, 3])).tolist() == [2, 5]


def test_whole_numbers_given_as_floats_are_whole():
    assert int(HiddenStopVote(threshold=2.0, margin=np.float32(1), stops=STOPS).threshold) == 2


@pytest.mark.parametrize(
    ("name", "taken", "told"),
    [
        ("single_round_vote", {"k": 2, "threshold": 3}, "n 4, t 1, k 2, threshold 3"),
        ("target_votes", {"k": [2, 2], "margin": 1}, "n 4, k 2,2, t 1, margin 1, last round uniform on 2..10"),
        ("push_sum", {"rounds": 18}, "n 4, t 0, rounds 18"),
    ],
)
def test_settings_hold_what_was_taken(name, taken, told):
    entry, protocol, _, settings = instance(name, False, {"n": 4})
    assert taken.items() <= settings.items()
    assert entry.told(settings) == told
    assert None not in json.loads(json.dumps(settings)).values()
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    again = entry.make(**options)
    jax.tree.map(np.testing.assert_array_equal, protocol, again)


def test_the_shared_check_keeps_the_signature():
    assert PROTOCOLS["majority"].make.__name__ == "make"
    assert checking(PROTOCOLS["majority"].make)(n="6").rounds == 1
