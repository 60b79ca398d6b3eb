"""The benchmark of fleets against peers runs, and what it compares solves the same task."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmarks.loading import benchmark

AGENTS = 60


class Crowd(list):
    """Agents in the order in which they were made, as Mesa's sets of agents."""

    def do(self, name):
        for one in self:
            getattr(one, name)()


class Agent:
    def __init__(self, model):
        model.agents_by_type.setdefault(type(self), Crowd()).append(self)


class Model:
    def __init__(self, seed):
        self.agents_by_type = {}


MESA = SimpleNamespace(Agent=Agent, Model=Model)  # as much of it as the model needs


@pytest.fixture(scope="module")
def bench():
    return benchmark("fleet_peers")


@pytest.mark.parametrize("seed", range(3))
def test_the_contract_net_of_agents_and_lists_decides_as_ours_does(bench, seed):
    shot = bench.snapshot(AGENTS, seed)
    ours = bench.Talk(bench.ContractNet(places=AGENTS, rounds=bench.ROUNDS), shot.outlook())
    theirs = bench.ContractNetInMesa(MESA, shot)
    theirs.prepare(1)
    assert ours(1) == theirs(1)
    assert ours.decision.tolist() == theirs.decision.tolist()
    assert shot.value(ours.decision) > 0.9 * bench.Dense(shot)(1)


@pytest.mark.parametrize("seed", range(3))
def test_exact_assignments_agree_and_ours_is_certified_and_no_better(bench, seed):
    shot = bench.snapshot(AGENTS, seed)
    best, ours = bench.Dense(shot)(1), bench.Certified(shot)
    assert bench.Sparse(shot)(1) == pytest.approx(best, rel=1e-6)
    value = ours(1)
    assert bench.CERTIFIED * best <= value <= best * (1 + 1e-6)
    assert ours.share >= bench.CERTIFIED and value / ours.share >= best * (1 - 1e-6)
    assert np.isfinite(value)


@pytest.mark.parametrize("mesa", [None, MESA])
def test_it_runs_at_a_small_size_with_and_without_mesa(bench, capsys, monkeypatch, mesa):
    monkeypatch.setattr(bench, "installed", lambda name: mesa)
    bench.main(["--certified", str(AGENTS), "--mesa", str(AGENTS), "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert any("not installed" in line for line in lines) == (mesa is None)
    assert any(line.startswith("Mesa over ours") for line in lines) == (mesa is not None)
    targets = lines[lines.index("targets") + 1 :]
    assert len(targets) == 1 and targets[0].endswith(" met")


def test_a_package_that_is_not_there_is_none(bench):
    assert bench.installed("no_such_package_anywhere") is None and bench.installed("json") is not None
