"""Attacks: kinds and mixtures, the search for worse ones, the smallest share that brings a mechanism below alone."""

import jax
import jax.monitoring
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate import random
from quorate.errors import Refusal
from quorate.experiments.study import Study
from quorate.faults.sabotage import KINDS
from quorate.recipes.compare import attacks
from quorate.recipes.compare import main as compare
from quorate.recipes.compare.attacks import BUDGET, Attack, armed, attack_of, crossing, neighbours, search, smallest
from quorate.recipes.compare.build import Trouble
from quorate.recipes.compare.description import KINDS as NAMES
from quorate.recipes.compare.description import STRIKES, read_text
from quorate.recipes.compare.play import DRAWS, SEARCH, ground, play, runs_of, scene
from quorate.recipes.compare.rows import rows

TEXT = """ticks = 60
space = { kind = "plane", size = [10, 10] }
[[agents]]
count = 20
speed = [0.5, 1.0]
sight = 2.0
[tasks]
rate = 2.0
[attack]
share = 0.1
kinds = ["hog", "leaders_crash"]
"""
TICKS, SEEDS = 60, 4
HOG = [kind.name for kind in KINDS].index("hog")


@pytest.fixture(scope="module")
def description():
    return read_text(TEXT)


@pytest.fixture(scope="module")
def stage(description):
    return ground(description, 0)


@pytest.fixture(scope="module")
def played(description, stage):
    return play(Study(0), description, stage, ["alone", "claim"], ["calm", "described", "attack"], SEEDS, 2, "shares")


def served(runs):
    return float(np.sum(runs.started) / np.sum(runs.offered))


def test_a_kind_is_as_strong_as_the_fault_has_it_and_strikes_need_no_saboteurs():
    for index, kind in enumerate(KINDS):
        assert attack_of(kind.name).strengths == tuple(kind.strength * (i == index) for i in range(len(KINDS)))
    assert {attack_of(kind) for kind in (None, *STRIKES)} == {Attack()}
    assert set(NAMES) == {kind.name for kind in KINDS} | set(STRIKES)


def test_strikes_stand_in_for_saboteurs_at_one_tick():
    calm = Trouble(saboteurs=0.1)
    crash, split = (attacks.struck(calm, kind, TICKS) for kind in STRIKES)
    assert (crash.saboteurs, crash.crash, crash.crash_at, crash.leaders, crash.cut) == (0, 0.1, 30, True, 0)
    assert split._replace(cut=0, cut_at=crash.cut_at) == crash
    assert split.cut_at == split.crash_at == split.at and split.cut == 15
    both = attacks.struck(calm._replace(crash=0.95, crash_at=9, cut=40, cut_at=3), "split_election", TICKS)
    assert (both.crash, both.crash_at, both.cut_at, both.cut) == (1.0, 9, 9, 40)
    assert attacks.struck(calm, "lie", TICKS) == calm._replace(kind="lie")


def test_a_silent_leader_is_the_one_who_leads(stage, description):
    """The centre of `hybrid` is an agent: one silent agent is that one, one hog is anybody."""
    under = scene(stage, "hybrid", description)
    one = under(Trouble(saboteurs=0.05, kind="silent")).fault.faults[0]
    skimmer = under(Trouble(saboteurs=0.05, kind="skim")).fault.faults[0]
    assert (float(skimmer.skim), bool(skimmer.first)) == (1.0, True)
    (host,) = {int(host) for host in one.hosts if host >= 0}
    found = set()
    for seed in range(12):
        assert np.flatnonzero(one.reset(random.key(seed), 20).members).tolist() == [host]
        hog = under(Trouble(saboteurs=0.05, kind="hog")).fault.faults[0]
        found |= set(np.flatnonzero(hog.reset(random.key(seed), 20).members).tolist())
    assert len(found) > 3


def test_an_attack_is_put_into_the_fault_and_nothing_else_changes(stage, description):
    under = scene(stage, "claim", description)
    attack = Attack((0.0, 0.5, 0.0, 0.25, 0.0, 7.0, 0.0, 0.5), at=11, first=True)
    plain, other = under(Trouble(saboteurs=0.3)), under(Trouble(saboteurs=0.3), attack)
    band, *rest = other.fault.faults
    assert tuple(float(getattr(band, kind.name)) for kind in KINDS) == attack.strengths
    assert (int(band.at), bool(band.first), round(float(band.share), 6)) == (11, True, 0.3)
    for one, two in zip(jax.tree.leaves(plain.fault.faults[1:]), jax.tree.leaves(tuple(rest)), strict=True):
        assert np.array_equal(one, two)
    assert jax.tree.structure(armed(plain.fault, attack)) == jax.tree.structure(plain.fault)


@pytest.mark.slow
def test_every_attack_runs_in_one_program(stage, description):
    under = scene(stage, "claim", description)
    compiled = []

    def note(event, duration, **more):
        if "backend_compile" in event:
            compiled.append(event)

    def one(attack, trouble):
        return runs_of(Study(0), "claim", "x", under(trouble, attack), TICKS, SEEDS, trouble)[0]

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        first = one(Attack(), Trouble(saboteurs=0.2, loss=0.31))
        one(None, attacks.struck(Trouble(saboteurs=0.2), "split_election", TICKS))
        compiled.clear()
        values = [served(first)]
        for attack in neighbours(Attack(tuple(kind.strength for kind in KINDS), at=5), TICKS)[:12]:
            values.append(served(one(attack, Trouble(saboteurs=0.4))))
        for kind in NAMES:
            one(None, attacks.struck(Trouble(saboteurs=0.2), kind, TICKS))
        assert compiled == []
        jax.jit(lambda x: x + len(values))(np.arange(3.0))
        assert compiled, "the listener hears of programs"
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert len(set(values)) > 3


mixtures = st.integers(0, 2**32).map(lambda seed: attacks.drawn(np.random.default_rng(seed), TICKS))


@given(mixtures)
def test_mixtures_are_allowed_and_their_neighbours_differ_in_one_thing(attack):
    around = neighbours(attack, TICKS)
    assert len(set(around)) == len(around) and attack not in around
    for one in (attack, *around):
        assert any(one.strengths) and min(one.strengths) >= 0 and 0 <= one.at < TICKS
        assert all(one.strengths[[kind.name for kind in KINDS].index(name)] <= 1 for name in attacks.CHANCES)
    for one in around:
        apart = sum(a != b for a, b in zip(attack.strengths, one.strengths, strict=True))
        assert apart + (attack.at != one.at) + (attack.first != one.first) == 1


@given(st.integers(0, 1000), st.integers(1, 40))
def test_a_search_keeps_to_its_budget_and_returns_the_worst_it_tried(seed, budget):
    tried = {}

    def value(attack):
        assert attack not in tried
        tried[attack] = abs(sum(attack.strengths) - 9) + attack.at / 10 + attack.first
        return tried[attack]

    best, least, values = search(value, TICKS, seed, budget)
    assert len(tried) == budget and values == list(tried.values())
    assert tried[best] == least == min(values)


def test_changing_one_thing_at_a_time_finds_worse_than_chance_alone():
    def value(attack):
        return 1 - 0.05 * sum(attack.strengths) + 0.1 * attack.first + attack.at / TICKS

    found = [search(value, TICKS, seed) for seed in range(40)]
    by_chance = [min(tried[: BUDGET // 2]) for _, _, tried in found]
    assert np.mean([least for _, least, _ in found]) < np.mean(by_chance) - 0.2
    assert search(value, TICKS, 3) == search(value, TICKS, 3)


def test_the_least_of_a_noisy_search_is_too_low_and_fresh_draws_are_not():
    """Every attack costs the same: 0.5 is served but for noise of 0.05 in each play."""
    searched, anew = [], []
    for seed in range(200):
        noise = np.random.default_rng([seed, 1])
        searched.append(search(lambda attack, noise=noise: 0.5 + 0.05 * noise.normal(), TICKS, seed)[1])
        anew.append(0.5 + 0.05 * noise.normal())
    assert np.mean(searched) < 0.5 - 1.5 * 0.05
    assert abs(np.mean(anew) - 0.5) < 4 * 0.05 / 200**0.5


@given(st.floats(0, 0.7))
def test_a_crossing_lies_in_its_bracket(threshold):
    asked = []

    def below(share):
        asked.append(share)
        return share > threshold

    found = crossing(below)
    if threshold >= 0.5:
        assert found is None
    else:
        low, high = found
        assert low <= threshold < high and high - low <= 0.04
    assert len(asked) <= 7 and 0.0 in asked


def test_a_crossing_is_the_first_of_the_grid_and_misses_what_lies_between():
    assert crossing(lambda share: True) == (0.0, 0.0)
    low, high = crossing(lambda share: 0.2 < share < 0.3)
    assert low <= 0.2 < high
    assert crossing(lambda share: 0.13 < share < 0.2) is None


def test_smallest_says_where_it_is_below_how_sure_that_is_and_whether_it_lasts():
    draws = np.array([-0.05, -0.01, 0.01, 0.05])
    found = smallest(lambda share: 0.2 - share + draws)
    assert abs(found.share - 0.2) <= 0.02 and found.share_low < 0.2 < found.share_high and not found.again
    assert (round(found.at_none, 9), round(found.at_most, 9)) == (0.2, -0.3)
    assert attacks.share_in_words(found).startswith("from 0.2 on [")
    never = smallest(lambda share: 0.55 - share + draws)
    assert never.share is None and never.share_high is None and never.share_low > 0.4
    assert attacks.share_in_words(never).startswith("not below up to 0.5; perhaps from 0.4")
    at_once = smallest(lambda share: draws - 0.5)
    assert (at_once.share, at_once.share_low, at_once.share_high) == (0, 0, 0)
    back = smallest(lambda share: draws * 0 + (0.1 if share > 0.3 or share < 0.2 else -0.1))
    assert back.again and 0.2 - 0.02 <= back.share <= 0.25
    equal = smallest(lambda share: np.zeros(4))
    assert equal.share is equal.share_low is equal.share_high is None, "a tie is not below"
    single = smallest(lambda share: np.array([0.2 - share]))
    assert single.share_low <= 0.2 <= single.share_high and single.share_high - single.share_low <= 0.04


def test_the_interval_of_the_smallest_share_holds_the_true_one():
    hits = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 0.1, 6)
        found = smallest(lambda share, noise=noise: 0.2 - share + noise)
        hits += (
            found.share_low is not None
            and found.share_low <= 0.2
            and (found.share_high is None or found.share_high >= 0.2)
        )
    assert hits >= 0.92 * 200


def test_the_row_of_attack_is_the_worst_of_kinds_and_search(played):
    for name, kinds in played.attacks.items():
        assert set(kinds) == {"hog", "leaders_crash", "search"}
        values = [served(runs) for runs in kinds.values()]
        assert served(played.table[name]["attack"]) == min(values)
        assert played.found[name].plays == BUDGET and played.found[name].seeds == SEEDS
    found = {(row.mechanism, row.condition): row for row in rows(played.table)}
    for name in played.table:
        assert found[name, "attack"].served_mean < found[name, "calm"].served_mean
        same = [found[name, condition]._replace(condition="") for condition in ("attack", "described")]
        assert same[0] == same[1], "the file asks for the same share, and nothing else goes wrong in it"


def test_what_was_found_is_played_anew_on_the_draws_of_the_table(played, stage, description):
    for name, kinds in played.attacks.items():
        assert np.allclose(kinds["search"].offered, kinds["hog"].offered)
        under = scene(stage, name, description)
        trouble = Trouble(saboteurs=0.1)
        attack = played.found[name].attack
        again, words = runs_of(Study(0), name, "x", under(trouble, attack), TICKS, SEEDS, trouble, SEARCH)
        assert served(again) == played.found[name].searched
        fresh, other = runs_of(Study(0), name, "y", under(trouble, attack), TICKS, SEEDS, trouble, DRAWS)
        assert np.array_equal(fresh.started, kinds["search"].started)
        assert not np.array_equal(words, other), "draws that the search has not seen"


def test_shares_are_told_for_each_kind_against_both_floors(played):
    assert [(row["mechanism"], row["kind"]) for row in played.shares] == [
        ("claim", kind) for kind in ("hog", "leaders_crash") for _ in range(2)
    ]
    attacked, calm = (played.shares[index::2] for index in range(2))
    for one, other in zip(attacked, calm, strict=True):
        assert one["against"] == "alone under the same attack" and other["against"] == "alone in calm"
        assert one["at_none"] == other["at_none"] > 0, "nobody attacks"
        assert other["at_most"] < one["at_most"], "half the fleet costs alone something too"
        assert one["plays"] >= 5 and one["seeds"] == SEEDS and one["said"]


def test_a_proof_of_progress_takes_tasks_back_from_hogs(stage, description):
    """Six hogs of twenty, paired draws: leases that ask for progress against those that ask for signs of life."""
    trouble = Trouble(saboteurs=0.3, kind="hog")
    patient = stage._replace(site=stage.site._replace(patience=10_000))
    asks, lax = (
        served(runs_of(Study(0), "claim", "x", scene(one, "claim", description)(trouble), TICKS, SEEDS, trouble)[0])
        for one in (stage, patient)
    )
    whole = scene(stage, "claim", description)(Trouble())
    calm = served(runs_of(Study(0), "claim", "x", whole, TICKS, SEEDS, Trouble())[0])
    assert lax + 0.02 < asks < calm


def test_what_cannot_be_tried_is_refused(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text(TEXT)
    with pytest.raises(Refusal, match="needs the condition attack"):
        compare(Study(0), fleet=file, conditions="calm", attacks="search")
    with pytest.raises(Refusal, match="names no other"):
        compare(Study(0), fleet=file, mechanisms="alone", attacks="shares")
