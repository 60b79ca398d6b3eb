"""The sensor network: every lie in a small one, counting beside plain loops, claims that turn with the rows."""

import builtins
import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quorate
from quorate.core import Inbox
from quorate.errors import Refusal
from quorate.experiments.study import Study
from quorate.recipes import RECIPES
from quorate.recipes.sensor_network import places, playing
from quorate.recipes.sensor_network.claims import APART, CLAIMS, TENFOLD, TRIMMED, percent
from quorate.recipes.sensor_network.every_lie import ORDERS, WAVES, explore
from quorate.recipes.sensor_network.liars import BEHAVIOURS
from quorate.recipes.sensor_network.playing import WIDE
from quorate.recipes.sensor_network.rivals import TrimmedMean

BEST = "trimmed mean" + WIDE + TENFOLD
BY_NAME = {claim.name: claim for claim in CLAIMS}


# ------------------------------------------------------------------------------------------------ every lie of one liar


@pytest.mark.parametrize("lie", ORDERS)
def test_theorem_8_on_a_line_of_four_in_all_plays(lie):
    """Whatever one liar says to each in each round: nobody believes what nobody saw, and two adjacent honest observers
    tell all."""
    place, plays, broken, partly = places.line(4), 0, 0, 0
    for liar in range(4):
        honest = [sensor for sensor in range(4) if sensor != liar]
        for chosen in range(8):
            seeing = tuple(honest[bit] for bit in range(3) if chosen >> bit & 1)
            found = explore(place, liar, seeing, WAVES, lie=lie)
            plays, broken = plays + found.plays, broken + found.false
            if any(place.beside[a, b] for a in seeing for b in seeing if a < b):
                assert found.least == 1
            partly += found.least < 1
    assert (plays, broken) == (4 * 8 * 64**6, 0)
    assert partly > 0


def test_without_a_margin_a_liar_convinces():
    for lie in ORDERS:
        assert explore(places.line(4), 1, (), waves=1, margin=0, lie=lie).false > 0


# ------------------------------------------------------------------------------------------------------------- places


def test_liars_never_share_a_neighbourhood():
    place = places.line(20)
    for row in place.placements(4, 30, np.random.default_rng(0)):
        assert 3 <= row.sum() <= 4
        assert all((row & near).sum() <= 1 for near in place.beside)


def test_a_grid_has_four_neighbours_and_ways_around_a_liar():
    place = places.grid(5)
    assert place.beside.sum(1).reshape(5, 5)[2, 2] == 5 and (place.beside == place.beside.T).all()
    assert place.diameter == 8
    liar = np.arange(25) == 12
    assert place.distances(liar)[2, 22] == 6 and place.distances()[2, 22] == 4


def test_the_halls_meet_every_assumption_of_theorem_8():
    halls = places.two_halls()
    assert (halls.beside.sum(1) > 3).all() and halls.diameter < halls.num_agents
    assert playing._cut(halls, np.arange(9) == places.JOINT)


def test_an_unknown_topology_is_refused():
    with pytest.raises(Refusal, match="topohub has no topology sndlib/germany5; did you mean sndlib/germany50"):
        places.topology("sndlib/germany5", np.random.default_rng(0))


def test_a_missing_topohub_is_refused(monkeypatch):
    load = builtins.__import__

    def without(name, *rest, **more):
        if name == "topohub":
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Refusal, match=r'pip install "quorate\[topologies\]"'):
        places.topology("topozoo/Abilene", np.random.default_rng(0))


def test_a_real_topology_has_its_links():
    place = places.topology("topozoo/Abilene", np.random.default_rng(0))
    assert (place.num_agents, int(place.beside.sum())) == (11, 2 * 14 + 11)


# ----------------------------------------------------------------------------------------------------- what is counted


@pytest.fixture(scope="module")
def played():
    """A few short runs of votes and of flooding, the same liars in both."""
    place = places.line(10)
    where = place.placements(1, 4, np.random.default_rng(1))
    kinds = ("one lie", "mixed", "silent", "stale", "near", "split")
    cases = [playing.Case("liars", place, "vote", 1, kind, where) for kind in kinds]
    votes = playing.play(Study(), "votes", cases, 21, 12, 4)
    flood = [playing.Case("liars", place, "flooding", 1, kind, where) for kind in kinds]
    return cases, votes, flood, playing.play(Study(), "floods", flood, 7, 12, 4)


def test_rows_are_those_of_plain_loops(played):
    cases, votes, flood, floods = played
    for case, one in zip((*cases, *flood), (*votes, *floods), strict=True):
        row, wrong, false, told, bad = playing.row(case, one), [], 0, 0, set()
        for run in range(4):
            honest = [i for i in range(10) if not one["liars"][run, 0, i]]
            shares = []
            for step in range(12):
                known = {int(one["seen"][run, step, i]) for i in honest} - {0}
                beliefs = one["belief"][run, step]
                if known:
                    shares.append(np.mean([int(beliefs[i]) not in known for i in honest]))
                for i in honest:
                    before = one["belief"][run, step - 1, i] if step else 0
                    told += before != beliefs[i] and one["seen"][run, step, i] == 0
                    if before != beliefs[i] and int(beliefs[i]) not in known:
                        false += 1
                        bad.add(run)
            wrong.append(np.mean(shares))
        assert row["wrong"] == pytest.approx(np.mean(wrong))
        assert (row["false"], row["told"], row["false_runs"]) == (false, told, len(bad))


def test_votes_are_never_fooled_and_flooding_is(played):
    cases, votes, flood, floods = played
    assert sum(playing.row(case, one)["false"] for case, one in zip(cases, votes, strict=True)) == 0
    fooled = {case.behaviour: playing.row(case, one)["false"] for case, one in zip(flood, floods, strict=True)}
    assert fooled.pop("silent") == 0
    assert set(fooled) == set(BEHAVIOURS) - {"silent"} and min(fooled.values()) > 0


def test_rivals_hear_as_far_as_the_votes():
    """Over two links flooding hears the very neighbours that a vote hears."""
    place = places.line(10)
    where = place.placements(0, 1, np.random.default_rng(0))
    votes, wide, near = (
        playing.scenario(playing.Case("liars", place, method, 0, "silent", where), 3, 16).topology
        for method in ("vote", "flooding" + WIDE, "flooding")
    )
    assert (np.asarray(wide.index) == np.asarray(votes.index)).all() and (wide.real == votes.real).all()
    beside = place.beside.astype(int)
    assert int(wide.real.sum()) == (beside @ beside > 0).sum() > int(near.real.sum()) == beside.sum()


def test_floor_and_ceiling():
    seen = np.array([[[1, 0, 0], [0, 2, 2], [0, 0, 0]]])
    played = {"seen": seen, "liars": np.array([[[False, False, True]] * 3])}
    assert playing.floor(played).tolist() == [[[1, 0, 0], [1, 2, 2], [1, 2, 2]]]
    assert playing.ceiling(played).tolist() == [[[1, 1, 1], [2, 2, 2], [2, 2, 2]]]


def trimmed(own, heard, trim):
    """W-MSR for one node: the largest above and the smallest below its own are thrown away."""
    above = sorted((x for x in heard if x > own), reverse=True)[trim:]
    below = sorted(x for x in heard if x < own)[trim:]
    kept = above + below + [x for x in heard if x == own]
    return sum(kept) / len(kept)


@pytest.mark.parametrize("trim", [0, 1, 2])
def test_a_trimmed_mean_is_that_of_the_twin(trim):
    draw = np.random.default_rng(trim)
    rule = TrimmedMean(rounds=1, trim=trim)

    @jax.jit
    def mean(said, told):
        inbox = Inbox(said * told, jnp.arange(7), told, jnp.uint32(0))
        return rule.receive(None, rule.propose(None, said[0], jnp.int32(0)), inbox).x

    for _ in range(50):
        said = draw.integers(1, 6, 7).astype(np.float32)
        told = np.array([True, *(draw.random(6) < 0.7)])
        assert float(mean(said, told)) == pytest.approx(trimmed(said[0], said[told].tolist(), trim))


# ------------------------------------------------------------------------------------------------------------- claims


def row(part, method, liars, behaviour, **given):
    found = {"part": part, "method": method, "liars": liars, "behaviour": behaviour, "place": part, "false": 0}
    found |= {"told": 100, "false_runs": 0, "runs": 24, "messages": 400.0, "blocked": 0.0}
    for name, usual in (("wrong", 0.001), ("missed", 0.001), ("spread", 0.05), ("error", 0.3)):
        middle = given.pop(name, usual)
        found[name] = middle
        for end, sign in (("low", -1), ("high", 1)):
            found[f"{name}_{end}"], found[f"{name}_{end}_99"] = middle * (1 + 0.1 * sign), middle * (1 + 0.2 * sign)
    return found | given


@pytest.fixture
def tables():
    """Rows in which every claim holds."""
    kinds = ("one lie", "silent")
    rows = [row("liars", "vote", 0, "none"), *(row("liars", name, 0, "none", wrong=0.5) for name in TRIMMED)]
    rows += [row("liars", "vote", 1, kind) for kind in kinds] + [row("grid", "vote", 1, "mixed")]
    rows += [row("liars", "flooding", 1, kind, wrong=0.5 * (kind == "one lie")) for kind in kinds]
    rows += [row("liars", name, 1, "one lie", wrong=0.6) for name in TRIMMED]
    rows += [row("liars", name, 1, "one lie", wrong=0.5) for name in ("flooding" + WIDE, "vote of neighbours")]
    rows += [row("real", "vote", 1, "silent"), row("two halls", "vote", 1, "silent")]
    rows += [row("two liars together", "vote", 2, "one lie", wrong=0.5, false=7)]
    rows += [row("one observer", "vote", 0, "none", wrong=0.9)]
    rows += [row("neighbourhoods of three", "vote", number, "none", missed=0.2) for number in (0, 1)]
    return {"rows": rows, "every_lie": [{"plays": 10**12, "false": 0}]}


def test_the_registry_counts_the_claims():
    assert RECIPES["sensor_network"].claims == len(CLAIMS)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_claim_holds_on_rows_made_for_it(tables, name):
    assert BY_NAME[name].judge(tables).verdict == "holds"


@pytest.mark.parametrize(
    ("name", "verdict", "part", "method", "change"),
    [
        ("only_the_truth_passes", "does not hold", "grid", "vote", {"false": 1}),
        ("all_are_reached", "in part", "two halls", "vote", {"missed": 0.5, "missed_low": 0.4}),
        ("all_are_reached", "does not hold", "grid", "vote", {"missed": 0.3, "missed_low": 0.2, "missed_high": 0.4}),
        ("one_belief", "does not hold", "liars", "vote", {"spread": 1.0, "spread_low": 0.9, "spread_high": 1.1}),
        ("one_belief", "in part", "liars", "vote", {"spread": 0.1, "spread_low": 0.05, "spread_high": 0.15}),
        ("one_belief", "does not hold", "liars", "vote", {"error": 1.0, "error_low": 0.9, "error_high": 1.1}),
        ("one_belief", "in part", "liars", "vote", {"error": 0.5, "error_low": 0.4, "error_high": 0.6}),
        ("flooding_fails", "does not hold", "liars", "flooding", {"wrong": 0.0, "wrong_low": 0.0, "wrong_high": 0.0}),
        ("every_assumption_is_needed", "in part", "two liars together", "vote", {"false": 0}),
        ("every_assumption_is_needed", "in part", "one observer", "vote", {"wrong_low": 0.0}),
        ("every_assumption_is_needed", "in part", "neighbourhoods of three", "vote", {"missed_low": 0.0}),
        ("better_than_trimming", "does not hold", "liars", "vote", {"wrong": 0.9, "wrong_low": 0.8, "wrong_high": 1.0}),
        ("better_than_trimming", "in part", "liars", "vote", {"wrong": 0.6, "wrong_low": 0.5, "wrong_high": 0.7}),
        ("better_than_trimming", "does not hold", "liars", BEST, {"wrong": 0, "wrong_low": 0, "wrong_high": 0}),
    ],
)
def test_a_verdict_turns_with_the_rows(tables, name, verdict, part, method, change):
    changed = copy.deepcopy(tables)
    fitting = [one for one in changed["rows"] if (one["part"], one["method"]) == (part, method)]
    assert fitting
    for one in fitting:
        one.update(change)
    assert BY_NAME[name].judge(changed).verdict == verdict


def test_what_can_be_false_is_counted_over_runs(tables):
    """Without a false run of n the upper end of 95 % is 1 - 0.025^(1/n)."""
    note = BY_NAME["only_the_truth_passes"].judge(tables).note
    runs = sum(row["runs"] for row in tables["rows"] if row["method"].startswith("vote") and row["part"] in APART)
    assert f"at most {percent(1 - 0.025 ** (1 / runs))}" in note and "4 words and 2 waves" in note


def test_a_false_position_breaks_the_theorem(tables):
    tables["every_lie"][0]["false"] = 1
    assert BY_NAME["only_the_truth_passes"].judge(tables).verdict == "does not hold"


def test_too_many_liars_are_refused():
    with pytest.raises(Refusal, match="--liars is 9; on a line of 10 at most 2 fit"):
        quorate.run("sensor_network", sensors=10, liars=9)


@pytest.mark.slow
def test_a_small_study_tells_itself():
    result = quorate.run("sensor_network", sensors=10, side=4, liars=2, runs=6, steps=10, topologies="topozoo/Abilene")
    assert result.claims == [] and {row["place"] for row in result.rows} >= {"Abilene", "two halls", "line of 10"}
    assert "neighbourhoods" in result.report()
