"""Processes leave nothing behind, however they end; and the long runs."""

import asyncio
import io
import json
import os
import queue
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from quorate.errors import Refusal
from quorate.live import child, live, processes
from quorate.live.cluster import shares
from quorate.live.node import Setup
from quorate.live.plan import FaultPlan

SCRIPT = """
import sys
from quorate.live import live, processes
born = processes.Child.born.__func__
async def told(kind, *given):
    child = await born(kind, *given)
    print(child.process.pid, flush=True)
    return child
processes.Child.born = classmethod(told)
live("majority", nodes=2, decisions=1_000_000, processes=1)
"""


def alive(pid):
    """Whether a process runs; one that has ended and waits to be counted does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return not status.parent.is_dir() or status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_children_end_with_their_parent(ending):
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(ending)
    parent.wait(timeout=60)
    assert parent.returncode != 0
    until = time.monotonic() + 60
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(pid)
    parent.stdout.close()


@pytest.mark.parametrize("rest", [b"", b'{"half'])
def test_a_child_whose_input_ends_ends_itself(monkeypatch, rest):
    heard, ended = queue.SimpleQueue(), []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"a": 1}\n' + rest)))
    monkeypatch.setattr(os, "_exit", ended.append)
    with suppress(json.JSONDecodeError):
        child._listen(heard)
    assert heard.get_nowait() == {"a": 1} and heard.empty() and ended == [1]


def test_a_run_that_is_stopped_ends_its_children_first(monkeypatch):
    born, children = processes.Child.born.__func__, []

    async def noted(kind, *given):
        children.append(await born(kind, *given))
        return children[-1]

    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(processes.Child, "born", classmethod(noted))
    monkeypatch.setattr(processes, "Beacon", stop)
    with pytest.raises(KeyboardInterrupt):
        live("majority", nodes=2, decisions=1, processes=2)
    assert len(children) == 2 and not any(alive(one.process.pid) for one in children)


# A child in what it says, and nothing besides: its ports, then the line that is its own.
SPEAKER = """
import json, socket, sys, time
told = json.loads(sys.stdin.readline())
doors = {me: socket.create_server(("127.0.0.1", 0)) for me in told["ids"]}
print(json.dumps({"ports": {me: door.getsockname()[1] for me, door in doors.items()}}), flush=True)
sys.stdin.readline()
last = json.loads(sys.argv[1])[str(told["ids"][0])]
time.sleep(last.pop("after", 0))
print(json.dumps(last) if last else "", end="\\n" if last else "", flush=True)
sys.stdin.readline() if last else sys.exit()
"""
LOST = {"error": "participant 1 is gone", "lost": True}


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ([{"error": "no such thing"}], RuntimeError, r"participants \[0, 1\] has failed: no such thing"),
        ([{"refusal": "it cannot be"}], Refusal, "^it cannot be$"),
        ([{}], RuntimeError, r"participants \[0, 1\] has failed: it was ended"),
        ([LOST, {"error": "no such thing", "after": 0.1}], RuntimeError, r"participants \[1\] has failed: no such"),
    ],
)
def test_why_a_child_fails_while_they_connect_is_told(monkeypatch, said, kind, words):
    start = asyncio.create_subprocess_exec
    lines = json.dumps({first: last for first, last in enumerate(said)})

    async def instead(*command, **given):
        return await start(sys.executable, "-S", "-c", SPEAKER, lines, **given)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", instead)
    with pytest.raises(kind, match=words):
        live("majority", nodes=2, decisions=1, processes=len(said))


@pytest.mark.slow
def test_a_child_that_cannot_connect_says_so(monkeypatch):
    tell = processes.Child.tell

    def nobodys(one, told):
        tell(one, {"ports": {}} if "ports" in told else told)

    monkeypatch.setattr(processes.Child, "tell", nobodys)
    with pytest.raises(RuntimeError, match="KeyError: 0"):
        live("majority", nodes=2, decisions=1, processes=1)


def test_a_process_that_is_killed_ends_the_run_with_an_error(monkeypatch):
    born = processes.Child.born.__func__

    async def doomed(kind, *given):
        one = await born(kind, *given)
        os.kill(one.process.pid, signal.SIGKILL)
        return one

    monkeypatch.setattr(processes.Child, "born", classmethod(doomed))
    with pytest.raises(RuntimeError, match=r"the process of participants \[0, 1\] has failed: it was ended"):
        live("majority", nodes=2, decisions=1, processes=1)


def test_everybody_lives_in_one_process_and_they_are_shared_out_evenly():
    setup = Setup(7, 2, 1, 1, FaultPlan(0))
    for many in (1, 2, 4, 9, 50, None):
        dealt = shares(setup, many)
        assert sorted(sum(dealt, [])) == list(range(9))
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
        assert len(dealt) == min(many or os.cpu_count(), 9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rounds"),
    [("hidden_stop_vote", 10), ("common_coin", 10), ("phase_king", 4), ("majority", 1), ("push_sum", 24)],
)
def test_ten_thousand_agent_rounds_over_tcp_replay_without_a_divergence(name, rounds):
    asked = {"nodes": 8, "byzantine": 1, "drop": 0.05, "delay": 0.02, "duplicate": 0.05}
    result = live(name, decisions=-(-10_000 // (8 * rounds)), **asked)
    print(f"{name}: {result.agent_rounds} agent-rounds, {result.agent_rounds / result.talking:.0f} a second")
    assert result.agent_rounds >= 10_000
    assert result.divergences == 0
