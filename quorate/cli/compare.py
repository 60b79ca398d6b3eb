"""`quorate compare FLEET.toml`: which coordination mechanism holds for a fleet."""

from typing import Any

from quorate.cli.exits import FINE
from quorate.cli.options import options
from quorate.cli.run import AGAIN, OUT, ran
from quorate.errors import Refusal

HELP = """quorate compare FLEET.toml [options]

Mechanisms under calm, loss, crash, partition, attack and growth, for the fleet
that the file describes (docs/fleet_file.md; examples/ has five).

  --mechanisms A,B   those of the file unless told
  --conditions A,B   calm, described, loss_0.1, loss_0.3, loss_0.5, crash,
                     partition, attack, growth; all unless told
  --attacks HOW      listed: each kind of the file; search: also the worst
                     mixture that a search finds; shares: also the smallest
                     share of attackers that takes a mechanism below alone;
                     as the file says unless told
  --seeds N          draws of each cell; as the file says unless told
  --seed N           of all noise (0)
  --out FOLDER       where run folders are kept (runs)
  --again            compute anew what is finished
  --json, --quiet, --no-color, --debug
"""


def main(rest: list[str], terminal: Any) -> int:
    if not rest or any(word in ("--help", "-h") for word in rest):
        print(HELP, end="")
        return FINE
    if rest[0].startswith("-"):
        raise Refusal(f"quorate compare takes a fleet file before its options, found {rest[0]}")
    from quorate.recipes import recipe

    module = recipe("compare")
    own = {"out": OUT, "again": AGAIN}
    common, given = options("compare FLEET.toml", module.main, rest[1:], own=own, leave=("fleet",))
    return ran("compare", module, common, given | {"fleet": rest[0]}, terminal)
