"""`quorate attack PROTOCOL`: let an attacker search or learn, and lay what it finds beside the optimum."""

import json
from typing import Any

from quorate.cli.exits import FINE, UNSETTLED
from quorate.cli.options import Value
from quorate.cli.protocols import asked, number

OWN = {
    "method": Value("learned: by policy gradient; cem, mutation: a search for a plan (learned)", "METHOD", "learned"),
    "episodes": Value("votes to attack; the method's own number unless told", "N"),
    "time": Value("seconds for the exact answer beside it (60)", "SECONDS", 60.0),
}


def main(rest: list[str], terminal: Any) -> int:
    found = asked("attack", rest, OWN)
    if isinstance(found, int):
        return found
    name, common, given = found
    from quorate.arguments import Count
    from quorate.protocols import protocol
    from quorate.report.numbers import number as shown
    from quorate.verify.attack import attack

    episodes = common["episodes"]
    result = attack(
        name,
        method=common["method"],
        seed=Count("seeds", least=0)("--seed", common["seed"]),
        episodes=None if episodes is None else Count("votes that are attacked")("--episodes", episodes),
        seconds=number("--time", common["time"]),
        flags=True,
        **given,
    )
    if common["json"]:
        print(json.dumps(result.as_json()))
        return FINE if result.exact is not None else UNSETTLED
    terminal.header(name, f"{protocol(name).told(result.settings)}, {common['method']} attack")
    exact = result.exact or (None,) * len(result.found)

    def cell(chance: Any) -> str:
        return "-" if chance is None else shown(chance)

    rows = [
        (str(willing), cell(found), cell(best), cell(None if ratio is None else float(ratio)))
        for willing, (found, best, ratio) in enumerate(zip(result.found, exact, result.ratio, strict=True))
    ]
    terminal.table(("willing nodes", "found", "optimum", "share of it"), rows, right=(1, 2, 3))
    reached = [ratio for ratio in result.ratio if ratio is not None]
    if reached:
        worst = f"reaches at least {shown(float(min(reached)))} of the strongest attack wherever one succeeds"
    else:
        worst = "finds nothing, and there is nothing to find" if result.exact else "has no optimum to be compared with"
    terminal.verdict(f"After {result.episodes} votes the {common['method']} attacker {worst}.")
    return FINE if result.exact is not None else UNSETTLED
