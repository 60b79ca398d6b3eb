"""The front door: processes decide as tasks do, the numbers are right, and what cannot be is refused."""

import asyncio
import json
from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate.core import BoardProtocol
from quorate.core.property import EVENTUALLY
from quorate.errors import Refusal
from quorate.live import again, front, live
from quorate.live.front import Promise
from quorate.live.program import Program
from quorate.live.wire import HEARD
from quorate.protocols import PROTOCOLS
from quorate.testing.tiny import Show
from tests.live.small import same

KEYS = ["protocol", "nodes", "byzantine", "drop", "agent_rounds", "messages", "divergences", "decisions"]
KEYS += ["agreement_violations", "seconds"]
CALM = {"deadline": 60.0}  # no deadline passes on a busy machine either


ASKED = {"nodes": 6, "byzantine": 1, "drop": 0.05, "delay": 0.03, "duplicate": 0.05, "decisions": 10, "seed": 3}
ASKED |= {"options": {"margin": (1, 1, 2, 1, 1, 2)}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def memory(folder):
    """One run that several tests look at; its log is run.npz in the folder."""
    return live("hidden_stop_vote", transport="memory", log=folder / "run.npz", **ASKED, **CALM)


def test_processes_decide_as_tasks_in_memory_do(memory):
    processes = live("hidden_stop_vote", transport="tcp", processes=2, **ASKED, **CALM)
    assert same(memory.log, processes.log)
    for result in (memory, processes):
        assert result.divergences == 0
        assert result.decisions == memory.decisions and result.messages == memory.messages


def test_what_is_said_is_json(memory):
    said = memory.as_json()
    assert list(said) == KEYS and json.loads(json.dumps(said)) == said
    assert said["agent_rounds"] == 6 * 10 * 10
    assert [(one["tick"], one["node"]) for one in said["decisions"]] == [(t, n) for t in range(10) for n in range(6)]
    assert {one["value"] for one in said["decisions"]} == {0, 1}


def test_messages_are_counted_as_they_are_heard(memory):
    heard = memory.log.status == HEARD
    assert heard.shape == (10, 10, 6, 7)
    spoken = heard[:, :, np.arange(6), np.arange(6)].any(axis=2)  # later rounds are over, whatever the liar says
    others = [spoken[tick, index] and node != slot for tick, index, node, slot in np.argwhere(heard)]
    assert memory.messages == sum(others) < 10 * 10 * 6 * 6


@pytest.mark.parametrize(("name", "k"), [("single_round_vote", 4), ("majority", None)])
def test_violations_are_those_of_the_protocols_own_property(name, k):
    asked = {"nodes": 8, "byzantine": 2, "drop": 0.2, "decisions": 40, "transport": "memory"}
    result = live(name, options={"k": k}, **asked, **CALM)
    acts, proposed = result.log.decision[0], result.log.proposals
    many = acts.sum(axis=1)
    few = (many > 0) & (many < k) | np.any((acts > 0) & (proposed == 0), axis=1) if k else (many > 0) & (many < 8)
    assert result.agreement_violations == few.sum() > 0
    assert result.promise.allowed == 0 and not result.promise.kept
    assert result.fine  # mail was lost, and the promise is about networks that lose none


def test_a_promise_is_broken_beyond_what_it_allows_and_chance():
    for broken in range(41):
        chance = stats.binom.sf(broken - 1, 40, 1 / 9)  # of so many or more, where just what is allowed happens
        assert Promise("", 40, broken, Fraction(1, 9)).kept == (chance >= 0.005)
    assert Promise("", 0, 0, Fraction(0)).kept and not Promise("", 1000, 1, Fraction(0)).kept


def promising(memory, **changes):
    """What becomes of the run's promise when its property is another."""
    entry = PROTOCOLS["hidden_stop_vote"]
    protocol = front.made("hidden_stop_vote", 6, 1, memory.log.header["options"])
    return front.promised(memory.log, entry._replace(properties=(entry.properties[0]._replace(**changes),)), protocol)


def test_without_an_always_property_nothing_is_said_to_be_kept(memory):
    assert promising(memory, kind=EVENTUALLY) is None
    result = replace(memory, promise=None)
    assert result.fine and json.loads(json.dumps(result.as_json()))["agreement_violations"] is None


def test_a_promise_speaks_of_some_starts_only(memory):
    promise = promising(memory, when=lambda protocol, roster, proposed: proposed.min(axis=-1) == 0)
    alike = np.all(memory.log.proposals == memory.log.proposals[:, :1], axis=1)
    assert 0 < promise.ticks == alike.sum() < promising(memory).ticks == 10


@pytest.mark.parametrize("mark", [-1, 3])
def test_a_mark_that_does_not_exist_is_refused(memory, mark):
    with pytest.raises(Refusal, match=f'"never some but too few act" marks a decision {mark}; its marks are 0 to 2'):
        promising(memory, mark=lambda protocol, proposal, decision: jnp.int32(mark))


def test_a_saved_log_is_judged_alike(memory, folder, tmp_path):
    judged = again(folder / "run.npz").as_json()
    assert judged | {"seconds": 0} == memory.as_json() | {"seconds": 0}
    assert memory.log.setup.as_json() == memory.log.header["setup"]
    with np.load(folder / "run.npz") as file:
        parts = dict(file)
    for lost in ("proposals", "status", "said", "coin", "counts"):
        np.savez(tmp_path / "part.npz", **{name: part for name, part in parts.items() if name != lost})
        with pytest.raises(Refusal, match="is not the log of a live run"):
            again(tmp_path / "part.npz")


def test_a_log_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(front, "here", None)
    there = tmp_path / "nowhere" / "run.npz"
    with pytest.raises(Refusal) as refusal:
        live("majority", nodes=3, transport="memory", log=there)
    assert str(refusal.value) == f"--log is {there}; it cannot be written (No such file or directory)"
    kept = tmp_path / "kept.npz"
    kept.write_bytes(b"of another run")
    for path in (kept, tmp_path / "new.npz"):
        with pytest.raises(TypeError):  # the run itself, which is not there
            live("majority", nodes=3, transport="memory", log=path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"] and kept.read_bytes() == b"of another run"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"nodes": 0}, "--nodes is 0; it counts honest nodes and must be at least 1"),
        ({"byzantine": -1}, "--byzantine is -1; it counts liars and must be at least 0"),
        ({"drop": 1.5}, "--drop is 1.5; it is a share and must lie between 0 and 1"),
        ({"delay": float("nan")}, "--delay is nan; it is a share and must lie between 0 and 1"),
        ({"decisions": 0}, "--decisions is 0; it counts decisions and must be at least 1"),
        ({"transport": "udp"}, "--transport is udp; it can be tcp, memory"),
        ({"deadline": 0}, "--deadline is 0; it must be above 0"),
        ({"port": 65530}, "--port is 65530; it can be at most 65526"),
        ({"seed": -1}, "seed is -1; it must be between 0 and 2^32 - 1"),
        ({"options": {"kk": 3}}, "no option is called --kk; did you mean --k?"),
        ({"options": {"n": 3}}, "no option is called --n; did you mean"),
        ({"options": {"k": 9}}, "--k is 9; it can be at most --n, which is 8"),
    ],
)
def test_what_cannot_be_is_refused(asked, words):
    with pytest.raises(Refusal) as refusal:
        live("hidden_stop_vote", **{"nodes": 8, "byzantine": 1} | asked)
    assert str(refusal.value).startswith(words)


def test_a_loop_that_runs_already_is_no_hindrance():
    async def notebook():
        return live("majority", nodes=3, decisions=2, transport="memory", **CALM)

    assert asyncio.run(notebook()).divergences == 0


def test_a_protocol_that_does_not_exist_is_refused():
    with pytest.raises(Refusal, match='no protocol is called "hidden_stop"; did you mean hidden_stop_vote'):
        live("hidden_stop", nodes=3)


class Board(BoardProtocol):
    """Posts nothing anywhere."""

    rounds = 1
    places = 1
    capacity = 0
    propose = post = watch = hear = open = serve = notice = decide = lambda self, *given: ()


def test_boards_are_refused(monkeypatch):
    board = PROTOCOLS["majority"]._replace(make=lambda *, n, t: Board())
    monkeypatch.setitem(PROTOCOLS, "board", board)
    with pytest.raises(Refusal, match="Board posts to places; live nodes send mail from node to node only"):
        live("board", nodes=3, transport="memory")
    assert Program(Show(), 3).layout.size == 1
