"""Best plays, plans in counts, replays through the engine, and plays made shorter."""

from fractions import Fraction

import pytest

from quorate.core import Roster
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.verify.exact import solve
from quorate.verify.play import breaks, played, replayed, shrink, size
from quorate.verify.strategy import Strategy, alternatives, best_play, plan
from tests.verify.tree import TOP
from tests.verify.votes import PROMISES, VOTE, DrawnBar, VetoVote, vote


def solved(k, margin, low, high, n, t):
    return solve(vote(k, margin, low, high)[0], Roster(n, t), VOTE.values, VOTE.properties)


@pytest.fixture(scope="module")
def small():
    return solved(3, 1, 2, 5, 4, 1)


@pytest.fixture(scope="module")
def wide():
    """The margin is one too small."""
    return solved(4, 2, 2, 10, 7, 3)


def start_of(game, willing):
    return [int(proposed[-1]) for proposed in game.proposed].index(willing)


def test_the_plan_of_the_best_attack(small):
    assert [plan(small, 0, start_of(small, willing)) for willing in (0, 1, 2, 4)] == [None] * 4
    assert plan(small, 0, start_of(small, 3)) == [
        {"round": 1, "pass": 2, "split": None},
        {"round": 2, "pass": 0, "split": 2},
    ]
    assert alternatives(small, 0, start_of(small, 3)) == [
        {"round": 1, "pass": (2, 2), "split": None},
        {"round": 2, "pass": (0, 0), "split": (1, 2)},
    ]


def test_the_plan_goes_on_while_something_is_to_be_gained(wide):
    every = plan(wide, 0, start_of(wide, 3))
    assert [entry["round"] for entry in every] == list(range(1, 11))
    assert every[1] == {"round": 2, "pass": 3, "split": 3} and every[-1] == {"round": 10, "pass": None, "split": 3}


def test_the_shortest_attack_is_the_one_that_the_page_shows(wide):
    play = best_play(wide, 0, start_of(wide, 3))
    assert len(play.turns) == 2 and play.chance == Fraction(1, 9)
    assert [turn.heard[:3] for turn in play.turns] == [((6,),) * 3] * 2
    assert all(told == (((True,),) * 3) for turn in play.turns for told in turn.lies)  # yes to all
    assert play.decisions == (1, 1, 1, 0, 0, 0, 0)


def test_every_best_play_breaks_what_it_should_and_replays(small, wide):
    for game in (small, solved(3, (2, 2, 2, 1, 2), 2, 5, 5, 2)):
        for index, about in enumerate(game.properties):
            strategy = Strategy(game, index)
            plays = [strategy.play(start) for start in range(len(game.starts))]
            assert [play is None for play in plays] == [not chance for chance in game.answers[index].chances]
            found = [play for play in plays if play is not None]
            for play, decisions in zip(found, replayed(game.protocol, *found), strict=True):
                assert play.decisions == decisions
                assert breaks(game.protocol, about, play) == (about.kind != SOMETIMES)
                assert sum(play.proposals) in [int(proposed[1]) for proposed in game.proposed]


def test_all_plays_of_the_best_attack_add_up_to_its_chance(small, wide):
    for game in (small, wide, solved(2, 1, 1, 4, 4, 2)):
        for index in range(len(game.properties)):
            strategy = Strategy(game, index)
            for start, chance in enumerate(game.answers[index].chances):
                scripts = list(strategy.scripts(start, 100))
                assert sum((script.chance for script in scripts), Fraction(0)) == chance
                words = [tuple(script.words) for script in scripts]
                assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("protocol", "values"),
    [
        (VetoVote(enough=2, few=1), (0, 1, 2)),
        (DrawnBar(), (0, 1)),
        (PROTOCOLS["common_coin"].make(n=3, rounds=3), (0, 1)),
    ],
    ids=["two kinds of voices", "three meanings", "coin"],
)
def test_other_protocols_have_best_plays_too(protocol, values):
    game = solve(protocol, Roster(3, 1), values, PROMISES)
    for index, about in enumerate(PROMISES):
        strategy = Strategy(game, index)
        for start, chance in enumerate(game.answers[index].chances):
            play = strategy.play(start)
            assert (play is None) == (chance == 0)
            if play is not None:
                assert breaks(protocol, about, play) == (about.kind != SOMETIMES)
                assert sum((s.chance for s in strategy.scripts(start, 500)), Fraction(0)) == chance
                assert 0 < play.chance <= chance


def test_a_lengthy_play_is_made_short():
    """Two idle rounds, a lie that does nothing and two that are told apart without need are left out."""
    protocol, _ = vote(3, 1, 2, 5)
    every, none = ((True,),), ((False,),)
    lies = [(every,) * 4, (every, every, every, none), (every, every, none, none), (every, none, none, every)]
    play = played(protocol, Roster(4, 1), (1, 1, 1, 0), lies, [TOP, TOP, TOP, 0])
    assert play.decisions == (1, 0, 0, 0) and size(play) == (4, 5, 11)

    def broken(one, decisions):
        return breaks(protocol, VOTE.properties[0], one, decisions)

    short = shrink(protocol, play, broken)
    assert size(short) == (2, 1, 7) and breaks(protocol, VOTE.properties[0], short)
    assert replayed(protocol, short) == [short.decisions]
    assert shrink(protocol, short, broken) == short
    quiet = played(protocol, Roster(4, 1), (1, 1, 1, 1), [], [])
    assert quiet.decisions == (1, 1, 1, 1)
    with pytest.raises(Refusal, match="nothing to shrink"):
        shrink(protocol, quiet, broken)


def test_a_play_says_what_was_said_and_heard():
    protocol, _ = vote(2, 1, 2, 3)
    play = played(protocol, Roster(3, 2), (1, 1, 0), [(((True,), None), (None, None), ((True,), (True,)))], [TOP])
    (turn,) = play.turns
    assert turn.said == ((True,), (True,), (False,))
    assert turn.heard == ((3,), (2,), (4,))
    assert turn.after == ((True,), (False,), (False,))
    assert turn.settled == (False, True, True)


def test_a_play_that_is_too_long_is_refused():
    protocol, _ = vote(2, 1, 2, 3)
    silent = (((),),) * 3
    with pytest.raises(Refusal, match="has 4 turns; the protocol has 3 rounds"):
        played(protocol, Roster(3, 0), (1, 1, 0), [silent] * 4, [0] * 4)
