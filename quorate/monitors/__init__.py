"""Oversight. `MONITORS` holds a ready-made example of each."""

from quorate.core import Monitor, Unwatched

MONITORS: dict[str, Monitor] = {"unwatched": Unwatched()}
