"""What `verify`, `attack` and `live` have in common: a protocol's name comes first, then its own options."""

from collections.abc import Mapping
from typing import Any

from quorate.cli.exits import FINE
from quorate.cli.options import Flag, Value, options
from quorate.errors import Refusal


def asked(
    command: str, rest: list[str], own: Mapping[str, Flag | Value], leave: tuple[str, ...] = ()
) -> tuple[str, dict[str, Any], dict[str, Any]] | int:
    """(the protocol's name, the command's options, the protocol's), or an exit code after help was printed. `leave`
    names options of the protocol that the command gives in its own way."""
    from quorate.protocols import PROTOCOLS, protocol

    if not rest or rest[0] in ("--help", "-h"):
        print(f"quorate {command} PROTOCOL [options]\n\nProtocols")
        for name, entry in PROTOCOLS.items():
            print(f"  {name:<20} {entry.about}")
        print(f"\nquorate {command} PROTOCOL --help lists the options of one")
        return FINE
    if rest[0].startswith("-"):
        known = ", ".join(PROTOCOLS)
        raise Refusal(f"quorate {command} takes a protocol before its options, found {rest[0]}; there are {known}")
    entry = protocol(rest[0])
    common, given = options(f"{command} {rest[0]}", entry.make, rest[1:], own, leave)
    return rest[0], common, given


def number(flag: str, text: Any, least: float = 0.0) -> float:
    """A number that is at least `least`."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise Refusal(f"{flag} is {text}; it must be a number such as 60") from None
    if not least < value < float("inf"):
        raise Refusal(f"{flag} is {text}; it must be above {least:g}")
    return value
