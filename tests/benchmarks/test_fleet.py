"""The benchmarks of fleets run, and what they compare does the same thing."""

import numpy as np
import pytest

from tests.benchmarks.loading import benchmark

AGENTS = 60


@pytest.fixture(scope="module")
def bench():
    return benchmark("fleet")


def test_a_snapshot_has_each_agents_nearest_tasks_once_and_a_worth_where_it_has_the_skill(bench):
    shot = bench.snapshot(AGENTS)
    assert shot.place.shape == (AGENTS, bench.OPTIONS)
    assert all(len(set(row)) == bench.OPTIONS for row in shot.place.tolist())
    assert np.array_equal(shot.worth > 0, shot.open)
    assert 0.2 < shot.open.mean() < bench.HELD + 0.2


def test_the_value_of_a_decision_is_the_sum_of_worths_and_no_number_where_two_share(bench):
    shot = bench.Snapshot(np.array([[0, 1], [1, 0]]), np.array([[1.5, 0.5], [2.0, 1.0]]), np.ones((2, 2), bool))
    assert shot.value([1, 0]) == 1.5 and shot.value([-1, 1]) == 2.0
    assert np.isnan(shot.value([1, 1]))


@pytest.mark.parametrize("seed", range(3))
def test_claims_and_the_same_in_plain_numpy_decide_alike(bench, seed):
    shot = bench.snapshot(AGENTS, seed)
    ours, theirs = (
        bench.Talk(bench.Claim(places=AGENTS, rounds=bench.ROUNDS), shot.outlook()),
        bench.ClaimsByNumpy(shot),
    )
    assert ours(1) == theirs(1)
    assert ours.decision.tolist() == theirs.decision.tolist()
    assert np.count_nonzero(ours.decision >= 0) > AGENTS / 2


def test_on_the_bare_board_everybody_reads_the_best_bid_of_each_place(bench):
    """After as many rounds as there are options each place knows its best bidder, so in the last round an agent reads
    at each open option a price at least its own worth."""
    shot = bench.snapshot(AGENTS)
    board = bench.Talk(bench.Bare(places=AGENTS, rounds=bench.OPTIONS), shot.outlook())
    board(1)
    bids = np.full((bench.OPTIONS + 1, AGENTS), -np.inf)
    read = np.zeros(AGENTS, int)
    for r in range(bench.OPTIONS):
        bids[r + 1] = bids[r]
        np.maximum.at(bids[r + 1], shot.place[shot.open[:, r], r], shot.worth[shot.open[:, r], r])
        read += (bids[r + 1][shot.place] >= shot.worth).sum(axis=1)
    assert board.decision.tolist() == read.tolist()


@pytest.mark.slow
def test_a_rolling_fleet_goes_on_where_it_stopped_and_claims_serve_more_than_alone(bench):
    table = bench.rolling(AGENTS, 20)
    assert set(table) == {"alone", "claim", "auction"}
    for play in table.values():
        assert play(1) > 0 and play(2) > 0
        assert int(play.progress.t) == 40 and 0 < play.served < 1
    assert table["claim"].served > table["alone"].served


def test_it_runs_at_a_small_size_and_says_of_each_target_whether_it_is_met(bench, capsys):
    bench.main(["--agents", str(AGENTS), "--rounds", "1", "--ticks", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert "claims and numpy's claims decide the same" in lines
    targets = lines[lines.index("targets") + 1 :]
    assert len(targets) == 4 and all(line.endswith((" met", " missed")) for line in targets)
