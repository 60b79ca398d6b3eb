"""`live`: a registered protocol between real nodes, and what its log says when the array code replays it."""

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from quorate import arguments
from quorate.arguments import Choice, Count, Share
from quorate.core import Protocol, Registered, Roster
from quorate.core.property import ALWAYS
from quorate.errors import Refusal
from quorate.live.cluster import here
from quorate.live.log import Log, gathered, load, plain, save, writable
from quorate.live.node import Setup
from quorate.live.plan import FaultPlan, proposals, roots
from quorate.live.processes import apart
from quorate.live.program import Program
from quorate.live.replay import Differences, replay
from quorate.measure.intervals import clopper_pearson
from quorate.protocols import protocol as registered
from quorate.random import key

TRANSPORTS = ("tcp", "memory")
LEVEL = 0.99


class Promise(NamedTuple):
    """The first `always` property of a protocol, and how a run keeps it.

    words    what it says
    ticks    those it speaks of
    broken   those of them in which what honest nodes decided breaks it
    allowed  the chance of a breach that it allows
    """

    words: str
    ticks: int
    broken: int
    allowed: Fraction

    @property
    def kept(self) -> bool:
        """Whether such a run may be chance: the 99 % Clopper-Pearson interval of a breach reaches down to `allowed`.

        >>> Promise("all alike", 40, 3, Fraction(0)).kept, Promise("all alike", 40, 3, Fraction(1, 20)).kept
        (False, True)
        """
        return self.broken == 0 or clopper_pearson(self.broken, self.ticks, LEVEL).low <= self.allowed


@dataclass(frozen=True)
class LiveResult:
    """What a live run gave.

    agent_rounds          rounds of honest nodes: nodes x rounds x decisions
    messages              messages that were heard, nobody's to itself among them
    divergences           ticks of nodes in which the array code, fed with the log's inputs, comes to something else
    decisions             one {tick, node, value} for each tick of a node
    promise               what the protocol promises and how that was kept; None without an `always` property
    agreement_violations  ticks in which what honest nodes decided breaks that promise; None without one
    fine                  whether nothing diverges and no promise is broken more often than it allows
    seconds, talking      all of it; the rounds alone
    """

    protocol: str
    nodes: int
    byzantine: int
    drop: float
    agent_rounds: int
    messages: int
    divergences: int
    decisions: list[dict[str, Any]]
    promise: Promise | None
    seconds: float
    talking: float
    log: Log = field(repr=False)
    differences: Differences = field(repr=False)

    @property
    def agreement_violations(self) -> int | None:
        return None if self.promise is None else self.promise.broken

    @property
    def fine(self) -> bool:
        """The nodes did what they logged, and no promise is broken that was made for such a network: promises are
        about liars, not about mail that is lost or late."""
        plan = self.log.setup.plan
        promised = self.promise is not None and not plan.drop and not plan.delay
        return self.divergences == 0 and (not promised or self.promise.kept)

    def as_json(self) -> dict[str, Any]:
        """One object for `--json`."""
        names = ("protocol", "nodes", "byzantine", "drop", "agent_rounds", "messages", "divergences", "decisions")
        return {name: getattr(self, name) for name in (*names, "agreement_violations", "seconds")}


def live(
    protocol_name: str,
    *,
    nodes: int = 8,
    byzantine: int = 0,
    drop: float = 0.0,
    duplicate: float = 0.0,
    delay: float = 0.0,
    equivocate: float = 1.0,
    decisions: int = 20,
    transport: str = "tcp",
    seed: int = 0,
    options: dict[str, Any] | None = None,
    deadline: float = 2.0,
    port: int | None = None,
    processes: int | None = None,
    log: str | Path | None = None,
) -> LiveResult:
    """Lets `nodes` honest nodes and `byzantine` liars decide `decisions` times, and replays their log.

    `options` are the protocol's own, as its maker takes them. `transport` is "memory" (tasks of this process) or "tcp"
    (endpoints on loopback, in as many `processes` as there are processors; 0: in this one). `drop`, `delay`,
    `duplicate` and `equivocate` are the shares of a `FaultPlan`. A round ends after `deadline` seconds at the latest.
    Endpoints take free ports, or those from `port` on. `log` names a file for the log.

    The same seed gives the same decisions over both transports, as long as no deadline passes.
    """
    began = time.perf_counter()
    entry = registered(protocol_name)
    nodes = Count("honest nodes", most=2**16)("--nodes", nodes)
    byzantine = Count("liars", least=0, most=2**16)("--byzantine", byzantine)
    shares = {"drop": drop, "delay": delay, "duplicate": duplicate, "equivocate": equivocate}
    shares = {name: Share(f"share of {name}")(f"--{name}", share) for name, share in shares.items()}
    decisions = Count("decisions")("--decisions", decisions)
    transport = Choice("transport", TRANSPORTS)("--transport", transport)
    if processes is not None:
        processes = Count("processes", least=0)("--processes", processes)
    if port is not None:
        port = Count("port", most=2**16 - 1 - nodes - byzantine)("--port", port)
    if not 0 < deadline < float("inf"):
        raise Refusal(f"--deadline is {deadline}; it must be above 0")
    if log is not None:
        writable(log)
    options = {name: value for name, value in (options or {}).items() if value is not None}
    protocol, start = made(protocol_name, nodes, byzantine, options), key(seed)
    with _processor():
        seeds = roots(start)
        plan = FaultPlan(seeds.plan, least=min(entry.values), most=max(entry.values), **shares)
        setup = Setup(nodes, byzantine, decisions, protocol.rounds, plan, deadline)
        header = {"protocol": protocol_name, "options": options, "seed": int(seed), "setup": setup.as_json()}
        proposed = proposals(seeds.plan, entry.values, decisions, nodes)
        if transport == "memory" or processes == 0:
            talk = here(setup, Program(protocol, setup.slots), seeds, proposed, transport, port)
        else:
            talk = apart(header, setup, seeds, proposed, processes, port)
        notes, talking = _run(talk)
        kept = gathered(header, proposed, notes)
        if log is not None:
            save(kept, log)
        return judged(kept, entry, protocol, began, talking)


def _processor() -> AbstractContextManager:
    """Nodes compute on the processor, and so does their replay."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


def _run(talk: Coroutine[Any, Any, Any]) -> Any:
    """Runs to the end; in a thread where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(talk)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk).result()


def again(path: str | Path) -> LiveResult:
    """Judges a saved log anew."""
    began, kept = time.perf_counter(), load(path)
    name, setup = kept.header["protocol"], kept.setup
    with _processor():
        protocol = made(name, setup.nodes, setup.byzantine, kept.header["options"])
        return judged(kept, registered(name), protocol, began, 0.0)


def judged(log: Log, entry: Registered, protocol: Protocol, began: float, talking: float) -> LiveResult:
    """What a log comes to."""
    setup, differences = log.setup, replay(log, protocol)
    values = [
        {"tick": tick, "node": node, "value": plain([leaf[tick, node] for leaf in log.decision])}
        for tick in range(setup.decisions)
        for node in range(setup.nodes)
    ]
    return LiveResult(
        protocol=log.header["protocol"],
        nodes=setup.nodes,
        byzantine=setup.byzantine,
        drop=setup.plan.drop,
        agent_rounds=int(np.prod(log.coin.shape)),
        messages=log.messages,
        divergences=differences.divergences,
        decisions=values,
        promise=promised(log, entry, protocol),
        seconds=time.perf_counter() - began,
        talking=talking,
        log=log,
        differences=differences,
    )


def promised(log: Log, entry: Registered, protocol: Protocol) -> Promise | None:
    """How the log's decisions keep the first `always` property, if there is one."""
    promise = next((one for one in entry.properties if one.kind == ALWAYS), None)
    if promise is None:
        return None
    setup = log.setup
    roster = Roster(setup.nodes, setup.byzantine)
    proposed = np.stack([(log.proposals == value).sum(axis=1) for value in entry.values], axis=-1)
    decision = jax.tree.unflatten(jax.tree.structure(Program(protocol, setup.slots).decision), log.decision)
    marks = np.asarray(jax.vmap(jax.vmap(lambda was, now: promise.mark(protocol, was, now)))(log.proposals, decision))
    words = promise.words(protocol, roster)
    outside = marks[(marks < 0) | (marks >= promise.marks)]
    if outside.size:
        raise Refusal(f'"{words}" marks a decision {outside[0]}; its marks are 0 to {promise.marks - 1}')
    counts = (marks[..., None] == np.arange(promise.marks)).sum(axis=1)
    meant = promise.when(protocol, roster, proposed)
    broken = meant & ~promise.holds(protocol, roster, counts)
    return Promise(words, int(meant.sum()), int(broken.sum()), promise.at_most(protocol, roster))


def made(name: str, nodes: int, byzantine: int, options: dict[str, Any]) -> Protocol:
    """The registered protocol of that name for these nodes and liars; `Program` refuses boards."""
    entry = registered(name)
    taken = [argument for argument in arguments.of(entry.make) if argument.name not in ("n", "t")]
    return entry.make(n=nodes, t=byzantine, **arguments.converted(taken, options, flags=True))
