"""Frames carried within a process, in the bytes they would have on a wire."""

from typing import Any

from quorate.live.wire import Reader


class Memory:
    """A switchboard: everybody joins, then posts."""

    def __init__(self):
        self.boxes: dict[int, Any] = {}

    def join(self, me: int, box: Any) -> "MemoryLine":
        """`box` takes (source, kind, tick, round, body)."""
        self.boxes[me] = box
        return MemoryLine(me, self.boxes)


class MemoryLine:
    def __init__(self, me: int, boxes: dict[int, Any]):
        self.me, self.boxes = me, boxes

    def post(self, to: int, data: bytes) -> None:
        box = self.boxes[to]
        for found in Reader().feed(data):
            box.take(self.me, *found)
