"""Proposals in, decisions out. `PROTOCOLS` holds a ready-made example of each."""

from quorate.core import Protocol, Silent

PROTOCOLS: dict[str, Protocol] = {"silent": Silent()}
