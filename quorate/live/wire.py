"""What travels: frames with a length, and payloads as bytes, leaves in order."""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from quorate.core import Protocol
from quorate.errors import Refusal

# Kinds of frames; the first four are also what a node notes of a slot, WAITING being a slot that nothing came for.
WAITING, HEARD, SILENT, DROPPED, DELAYED, VOTED, COIN, HELLO = range(8)
HEAD = struct.Struct("<IBII")  # bytes that follow the length, kind, tick, round
WORD = struct.Struct("<I")
LENGTH = WORD.size
LONGEST = 1 << 24


def frame(kind: int, tick: int, round_: int, body: bytes = b"") -> bytes:
    return HEAD.pack(HEAD.size - LENGTH + len(body), kind, tick, round_) + body


class Reader:
    """Cuts a stream of bytes into frames, (kind, tick, round, body)."""

    def __init__(self):
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Frames that are complete. A length that cannot be is a ValueError: nothing after it can be trusted."""
        data = self.rest + data if self.rest else data
        start, end = 0, len(data)
        while end - start >= HEAD.size:
            length, kind, tick, round_ = HEAD.unpack_from(data, start)
            if not HEAD.size - LENGTH <= length <= LONGEST:
                raise ValueError(f"a frame of {length} bytes")
            stop = start + LENGTH + length
            if stop > end:
                break
            yield kind, tick, round_, data[start + HEAD.size : stop]
            start = stop
        self.rest = data[start:]


class Leaf(NamedTuple):
    start: int
    stop: int
    shape: tuple[int, ...]
    dtype: np.dtype


class Layout:
    """How a payload lies in bytes: every leaf has its fixed dtype and shape, and they follow each other in order."""

    def __init__(self, protocol: Protocol, payload: PyTree):
        """`payload` is what `jax.eval_shape` says of `send`."""
        leaves, self.structure = jax.tree.flatten(payload)
        self.leaves, self.size = [], 0
        for leaf in leaves:
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended):
                raise Refusal(f"{type(protocol).__name__} sends {leaf.dtype}, which has no bytes of its own")
            dtype = np.dtype(leaf.dtype)
            stop = self.size + dtype.itemsize * int(np.prod(leaf.shape, dtype=int))
            self.leaves.append(Leaf(self.size, stop, tuple(leaf.shape), dtype))
            self.size = stop

    def pack(self, payload: PyTree) -> bytes:
        return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(payload))

    def pack_many(self, leaves: list[Any], *axes: int) -> np.ndarray:
        """Leaves [*axes, ...] as bytes [*axes, size]."""
        raw = np.zeros((*axes, self.size), np.uint8)
        for (start, stop, *_), leaf in zip(self.leaves, leaves, strict=True):
            raw[..., start:stop] = np.frombuffer(np.asarray(leaf).tobytes(), np.uint8).reshape(*axes, stop - start)
        return raw

    def unpack(self, raw: np.ndarray) -> PyTree:
        """Bytes [..., size] as leaves [..., *shape]. A truth value is any byte but zero."""
        found = []
        for start, stop, shape, dtype in self.leaves:
            piece = np.ascontiguousarray(raw[..., start:stop])
            value = piece != 0 if dtype.kind == "b" else np.frombuffer(piece.tobytes(), dtype)
            found.append(value.reshape(*raw.shape[:-1], *shape))
        return jax.tree.unflatten(self.structure, found)
