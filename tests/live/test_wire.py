"""Frames survive any cutting of the stream, and payloads any dtype and shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import Silent
from quorate.errors import Refusal
from quorate.live.wire import HEAD, LONGEST, Layout, Reader, frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 99), st.binary(max_size=40)))


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(frames, cuts):
    stream = b"".join(frame(*one) for one in frames)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    reader, found = Reader(), []
    for start, stop in zip(ends, ends[1:], strict=False):
        found += reader.feed(stream[start:stop])
    assert found == frames and reader.rest == b""


@pytest.mark.parametrize("length", [0, HEAD.size - 5, LONGEST + 1])
def test_a_length_that_cannot_be_ends_the_stream(length):
    with pytest.raises(ValueError, match=f"a frame of {length} bytes"):
        list(Reader().feed(HEAD.pack(length, 1, 0, 0)))


def test_payloads_are_their_leaves_in_order():
    payload = {"a": jnp.array([True, False, True]), "b": jnp.float32(1.5), "c": jnp.arange(4, dtype=jnp.int16) - 2}
    payload |= {"d": jnp.zeros((2, 0), jnp.int32), "e": jnp.array([[1, 2**31]], jnp.uint32)}
    layout = Layout(Silent(), jax.eval_shape(lambda: payload))
    packed = layout.pack(payload)
    assert len(packed) == layout.size == 3 + 4 + 8 + 0 + 8
    assert packed[:3] == b"\1\0\1" and packed[3:7] == np.float32(1.5).tobytes()
    raw = np.frombuffer(packed * 6, np.uint8).reshape(2, 3, -1)
    back = layout.unpack(raw)
    for leaf, want in zip(jax.tree.leaves(back), jax.tree.leaves(payload), strict=True):
        assert leaf.dtype == want.dtype
        assert np.array_equal(leaf, np.broadcast_to(want, (2, 3, *want.shape)))
    assert np.array_equal(layout.pack_many(jax.tree.leaves(back), 2, 3), raw)


def test_a_byte_that_is_no_truth_value_is_true():
    layout = Layout(Silent(), jax.eval_shape(lambda: jnp.array(True)))
    assert layout.unpack(np.array([[0], [1], [2], [255]], np.uint8)).tolist() == [False, True, True, True]


def test_keys_are_not_sent():
    with pytest.raises(Refusal, match=r"Silent sends key<fry>"):
        Layout(Silent(), jax.eval_shape(lambda: jax.random.key(0)))
