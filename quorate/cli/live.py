"""`quorate live PROTOCOL`: its nodes as real processes, their log replayed by the array code."""

import json
from typing import Any

from quorate.cli.exits import DIFFERENT, FINE
from quorate.cli.options import Value
from quorate.cli.protocols import asked, number

OWN = {
    "nodes": Value("honest nodes (8)", "N", 8),
    "byzantine": Value("liars, besides the nodes (0)", "N", 0),
    "drop": Value("share of messages that are lost (0)", "SHARE", 0.0),
    "delay": Value("share of messages that come too late for their round (0)", "SHARE", 0.0),
    "duplicate": Value("share of messages that come twice (0)", "SHARE", 0.0),
    "equivocate": Value("share of a liar's words that it makes up for one receiver alone (1)", "SHARE", 1.0),
    "decisions": Value("how many times they decide (20)", "N", 20),
    "transport": Value("tcp: endpoints on loopback; memory: tasks of one process (tcp)", "tcp|memory", "tcp"),
    "processes": Value("among which tcp endpoints are shared out; as many as processors unless told", "N"),
    "port": Value("the first of the ports; free ones unless told", "N"),
    "deadline": Value("seconds after which a round ends whatever is missing (2)", "SECONDS", 2.0),
    "log": Value("a file for the log of all inputs", "FILE"),
}


def main(rest: list[str], terminal: Any) -> int:
    found = asked("live", rest, OWN, leave=("n", "t"))
    if isinstance(found, int):
        return found
    name, common, given = found
    from quorate.arguments import Count
    from quorate.live import live

    result = live(
        name,
        nodes=common["nodes"],
        byzantine=common["byzantine"],
        drop=common["drop"],
        delay=common["delay"],
        duplicate=common["duplicate"],
        equivocate=common["equivocate"],
        decisions=common["decisions"],
        transport=common["transport"],
        processes=common["processes"],
        port=common["port"],
        deadline=number("--deadline", common["deadline"]),
        seed=Count("seeds", least=0)("--seed", common["seed"]),
        options=given,
        log=common["log"],
    )
    code = FINE if result.fine else DIFFERENT
    if common["json"]:
        print(json.dumps(result.as_json()))
        return code
    terminal.header(
        name, f"{result.nodes} nodes, {result.byzantine} liars, drop {result.drop:g}, {common['transport']}"
    )
    ticks = sorted({entry["tick"] for entry in result.decisions})
    rows = []
    for tick in ticks:
        values = [entry["value"] for entry in result.decisions if entry["tick"] == tick]
        counted = {str(value): sum(other == value for other in values) for value in sorted(set(values), key=str)}
        rows.append((tick, ", ".join(f"{count} decide {value}" for value, count in counted.items())))
    terminal.table(("tick", "what the nodes decided"), rows)
    replay = "the array code, fed with the log's inputs, decides alike everywhere"
    if result.divergences:
        replay = f"the array code decides otherwise {result.divergences} times: the nodes did not do what they logged"
    said = f"{result.agent_rounds} agent-rounds, {result.messages} messages: {replay}"
    terminal.verdict(f"{said}. {_safe(result.promise, result.log.setup.plan)}.")
    return code


def _safe(promise: Any, plan: Any) -> str:
    """How the promise was kept."""
    if promise is None:
        return "Whether the decisions are safe was not checked: it promises nothing of this kind"
    from quorate.report.numbers import number as shown

    told = f'"{promise.words}"'
    if not promise.broken:
        return f"{told} holds in all {promise.ticks} ticks it speaks of"
    share = f"a chance of {shown(promise.allowed)}" if promise.allowed else "none"
    verdict = "so this may be chance" if promise.kept else "so the promise is broken"
    lost = "; it is made for networks that lose and delay nothing" if plan.drop or plan.delay else ""
    return f"{told} fails in {promise.broken} of {promise.ticks} ticks; it allows {share}, {verdict}{lost}"
