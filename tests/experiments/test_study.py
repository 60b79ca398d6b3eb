"""A study: cells kept and taken up, sweeps the same however they are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Scenario, Team
from quorate.errors import Refusal
from quorate.experiments import checkpoint, study
from quorate.experiments.store import Folder
from quorate.experiments.study import Nobody, Study, stacked
from quorate.faults.failing import Failing
from quorate.learners.boltzmann import Boltzmann
from quorate.utilities import UTILITIES
from quorate.worlds.imperfect_devices import ImperfectDevices, draw

AGENTS, TICKS = 6, 12


def scenario(configuration=0, horizon=1, fault=None):
    world = ImperfectDevices(errors=draw((3, configuration), AGENTS))
    learner = Boltzmann(temperature=0.05, first=2, switch_on=2, horizon=horizon)
    more = {} if fault is None else {"fault": fault}
    return Scenario(world=world, learner=learner, utility=UTILITIES["expected_difference"], **more)


def several(count, **changes):
    return stacked([scenario(configuration, **changes) for configuration in range(count)])


def equal(one, other):
    return one.keys() == other.keys() and all(one[k].tobytes() == other[k].tobytes() for k in one)


@pytest.fixture
def kept(tmp_path):
    folder = Folder(tmp_path, "toy", {}, 0)
    folder.open(again=False)
    yield folder
    folder.release()


@pytest.fixture(scope="module")
def whole():
    return Study(0).sweep("main", several(3), TICKS, 4, ("score", "actions"))


def test_shapes_of_records(whole):
    assert whole["score"].shape == (3, 4, TICKS) and whole["actions"].shape == (3, 4, TICKS, AGENTS)


def test_a_record_may_be_a_function():
    found = Study(0).sweep("main", several(3), TICKS, 4, chosen)
    assert found["chosen"].shape == (3, 4, TICKS) and (found["chosen"] <= AGENTS).all()


def chosen(step):
    return {"chosen": jnp.sum(step.actions, axis=-1)}


def test_runs_and_configurations_differ(whole):
    runs = {whole["actions"][c, r].tobytes() for c in range(3) for r in range(4)}
    assert len(runs) == 12


@pytest.mark.parametrize(("count", "runs"), [(2, 3), (1, 1)])
def test_a_run_knows_not_how_many_there_are(whole, count, runs):
    fewer = Study(0).sweep("main", several(count), TICKS, runs, ("score", "actions"))
    assert equal(fewer, {name: values[:count, :runs] for name, values in whole.items()})


def test_the_name_does_not_matter_the_label_and_the_seed_do(whole):
    def played(seed=0, name="main", label=""):
        return Study(seed).sweep(name, several(3), TICKS, 4, ("score", "actions"), label)

    assert equal(played(name="other"), whole)
    assert not equal(played(label="other"), whole) and not equal(played(seed=1), whole)


def test_pairs_share_their_noise():
    paid = several(3)
    others = stacked(
        [Scenario(world=one.world, learner=one.learner, utility=Team()) for one in map(scenario, range(3))]
    )
    first, second = (Study(0).sweep("x", each, TICKS, 2, ("actions",))["actions"] for each in (paid, others))
    assert np.array_equal(first[:, :, :2], second[:, :, :2]) and not np.array_equal(first, second)


def test_a_horizon_that_does_not_fit_is_refused():
    with pytest.raises(Refusal, match="12 ticks are no multiple of the learner's horizon, 5"):
        Study(0).sweep("main", several(1, horizon=5), TICKS, 1)


def test_a_horizon_that_fits():
    assert Study(0).sweep("main", several(2, horizon=4), TICKS, 2)["score"].shape == (2, 2, TICKS)


class Stop(Exception):
    pass


@pytest.fixture
def counted(monkeypatch):
    """What was saved, in order, as names of fields and the ticks done; `stop` raises after so many."""
    saved, save = [], checkpoint.save

    def watching(path, tree, belongs, results=None):
        save(path, tree, belongs, results)
        saved.append(int(results["done"]) if "done" in results else belongs["cell"])
        if watching.stop == len(saved):
            raise Stop

    watching.stop = None
    watching.saved = saved
    monkeypatch.setattr(checkpoint, "save", watching)
    return watching


def cut(monkeypatch, ticks, configurations=1):
    """CHUNK so that a block of `configurations` takes `ticks` at a time."""
    size = 4 * max(AGENTS, sum(leaf.size for leaf in jax.tree.leaves(several(1))))
    monkeypatch.setattr(study, "CHUNK", size * configurations * ticks)


def test_batches_change_nothing(whole, monkeypatch):
    monkeypatch.setattr(study, "CACHE", AGENTS * 3)  # three runs at once, then the one that is left
    assert equal(Study(0).sweep("main", several(3), TICKS, 4, ("score", "actions")), whole)


def test_blocks_change_nothing(whole, monkeypatch, kept, counted):
    cut(monkeypatch, TICKS, configurations=2)
    told = []
    found = Study(0, kept).sweep("main", several(3), TICKS, 4, ("score", "actions"), advance=told.append)
    assert equal(found, whole) and told == [2, 3] and counted.saved == ["main 0", "main 2"]


@pytest.mark.parametrize("stop", [1, 2])
def test_a_long_cell_goes_on_from_its_checkpoint(whole, monkeypatch, kept, counted, stop):
    cut(monkeypatch, 5)
    counted.stop = stop
    with pytest.raises(Stop):
        Study(0, kept).sweep("main", several(3), TICKS, 4, ("score", "actions"))
    assert counted.saved == [5, 10][:stop]
    counted.stop = None
    assert equal(Study(0, kept).sweep("main", several(3), TICKS, 4, ("score", "actions")), whole)
    assert counted.saved[stop] == (10 if stop == 1 else "main 0")  # what was done is not done again


def test_in_memory_a_long_cell_needs_no_checkpoint(whole, monkeypatch, counted):
    cut(monkeypatch, 5)
    assert equal(Study(0).sweep("main", several(3), TICKS, 4, ("score", "actions")), whole)
    assert counted.saved == []


def test_faults_and_monitors_are_taken_up_too(monkeypatch, kept, counted):
    scenarios = several(2, fault=Failing(fraction=0.5, at=4, manner="frozen"))
    whole = Study(0).sweep("faulty", scenarios, TICKS, 4, ("actions",))
    cut(monkeypatch, 3)
    monkeypatch.setattr(study, "CHUNK", study.CHUNK * 1.2)  # the fault has arrays of its own
    counted.stop = 2
    with pytest.raises(Stop):
        Study(0, kept).sweep("faulty", scenarios, TICKS, 4, ("actions",))
    counted.stop = None
    assert equal(Study(0, kept).sweep("faulty", scenarios, TICKS, 4, ("actions",)), whole)


def test_a_checkpoint_names_its_shape_alike_in_every_process():
    progress = study._open(several(1), jax.vmap(jax.random.key)(jnp.arange(4)).reshape(1, 4), 4)
    assert "0x" not in checkpoint._shape(progress)  # no address of an object


def test_a_cell_is_computed_once(kept):
    calls = []

    def compute():
        calls.append(1)
        return {"x": jnp.arange(3), "y": [1.5]}

    for times in (0, 1, 2):
        one = Study(4, kept)
        found = one.cell("a", compute)
        assert np.array_equal(found["x"], [0, 1, 2]) and found["y"].tolist() == [1.5] and len(calls) == 1
        assert one.recovered == (times > 0)


def test_a_cell_that_breaks_leaves_nothing(kept):
    def broken():
        raise Stop

    with pytest.raises(Stop):
        Study(4, kept).cell("a", broken)
    assert not kept.state("a").exists()
    assert Study(4, kept).cell("a", lambda: {"x": 1})["x"] == 1


def test_a_cell_of_another_seed_is_refused(kept):
    Study(4, kept).cell("a", lambda: {"x": 1})
    with pytest.raises(Refusal, match="belongs to another run"):
        Study(5, kept).cell("a", lambda: {"x": 1})


def test_keys():
    def words(one):
        return tuple(np.asarray(jax.random.key_data(one)).tolist())

    keys = {words(Study(seed).key(label)) for seed in (0, 1) for label in ("", "a", "b")}
    assert len(keys) == 6 and words(Study(1).key("a")) in keys


def test_the_null_reporter_is_silent(capsys):
    nobody = Nobody()
    assert [nobody.stages(["a"]), nobody.start("a", 1, "x"), nobody.advance("a", 1), nobody.finish("a")] == [None] * 4
    assert capsys.readouterr() == ("", "")
