"""The benchmark of agreement runs, and what it compares does the same thing."""

import numpy as np
import pytest

from tests.benchmarks.loading import benchmark

NODES = 40


@pytest.fixture(scope="module")
def bench():
    return benchmark("agreement")


@pytest.mark.parametrize("name", ["none", "all yes", "drop"])
def test_votes_without_dice_come_out_alike(bench, name):
    assert bench.ours(NODES, bench.attacks(NODES)[name])(1) == bench.by_numpy(NODES, name.split()[0])(1)


def test_episodes_break_as_often_message_by_message(bench):
    plays = 4000
    shares = [make(plays)(3) for make in (bench.counted, bench.message_by_message)]
    for share in shares:
        assert abs(share - 1 / 9) < 4 * np.sqrt(8 / 81 / plays)


def test_gossip_keeps_what_there_is(bench):
    assert bench.gossip(NODES)(1) == pytest.approx(1.7 * NODES, rel=1e-5)
    assert bench.gossip_numpy(NODES)(1) == pytest.approx(1.7 * NODES, rel=1e-12)


def test_it_runs_at_a_small_size_and_says_of_each_target_whether_it_is_met(bench, capsys):
    bench.main(["--nodes", str(NODES), "--rounds", "1", "--episodes", "200", "--table", "3"])
    lines = capsys.readouterr().out.splitlines()
    targets = lines[lines.index("targets") + 1 :]
    assert len(targets) == 7 and all(line.endswith((" met", " missed")) for line in targets)
