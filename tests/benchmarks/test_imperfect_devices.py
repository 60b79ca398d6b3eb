"""The benchmark of imperfect devices runs, and what it compares does the same thing."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tests.benchmarks.loading import benchmark

NUM_AGENTS, TICKS, SEEDS = 24, 100, 250


@pytest.fixture(scope="module")
def bench():
    return benchmark("imperfect_devices")


@pytest.fixture(scope="module")
def last_errors(bench):
    steppers = {name: make for name, make in bench.NAMES.items() if name != "memory"}
    players = {name: make(NUM_AGENTS, TICKS) for name, make in steppers.items()}
    return {name: np.array([play(seed) for seed in range(SEEDS)]) for name, play in players.items()}


def test_every_implementation_ends_with_the_same_distribution_of_errors(last_errors):
    for one, other in combinations(last_errors, 2):
        assert ks_2samp(last_errors[one], last_errors[other]).pvalue > 1e-3, (one, other)


def test_every_implementation_learns_what_chance_does_not_reach(bench, last_errors):
    """Half of the devices, drawn at random, leave an error of about 0.8 / sqrt(N); three times less is learned."""
    errors = bench.draw(0, NUM_AGENTS)
    chosen = np.random.default_rng(1).random((10_000, NUM_AGENTS)) < 0.5
    chance = np.median(np.abs(chosen @ errors) / np.maximum(chosen.sum(axis=1), 1))
    for name, ends in last_errors.items():
        assert np.median(ends) < chance / 3, name


def test_a_seed_gives_the_same_error_again_and_another_seed_another(bench):
    for name, make in bench.NAMES.items():
        play = make(NUM_AGENTS, TICKS)
        assert play(1) == play(1), name
        assert len({play(seed) for seed in range(1, 9)}) > 1, name


def test_it_runs_at_a_small_size_and_says_of_each_target_whether_it_is_met(bench, capsys):
    bench.main(["--sizes", "20", "30", "--ticks", "4", "--rounds", "1", "--runs", "3", "--large", "40"])
    lines = capsys.readouterr().out.splitlines()
    for name in bench.NAMES:
        row = next(line for line in lines if line.startswith(name + " "))
        assert len(row.removeprefix(name).split()) == 2 and all(float(x) > 0 for x in row.removeprefix(name).split())
    targets = lines[lines.index("targets, 30 agents") + 1 :]
    assert len(targets) == 5
    assert all(line.endswith((" met", " missed")) for line in targets)


def test_a_verdict_reads_its_limit_from_the_right_side(bench):
    assert bench.verdict("a", 1.4, "x", 1.4).endswith(" met")
    assert bench.verdict("a", 1.5, "x", 1.4).endswith(" missed")
    assert bench.verdict("a", 9, "x", 8, at_least=True).endswith(" met")
    assert bench.verdict("a", 7, "x", 8, at_least=True).endswith(" missed")
