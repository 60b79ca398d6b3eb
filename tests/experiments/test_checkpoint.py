"""Checkpoints: what was saved comes back bit for bit, and whatever else lies there is refused."""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate import random
from quorate.errors import Refusal
from quorate.experiments import checkpoint

BELONGS = {"run": "abc", "seed": 3, "cell": "one"}
TREE = {
    "key": random.key(5),
    "hashed": random.key(6, "hashed"),
    "mind": (jnp.linspace(0, 1, 7), jnp.array([True, False])),
    "t": jnp.int32(4),
}
RESULTS = {"score": np.array([[1.5, -np.inf], [np.nan, 2e-45]], np.float32), "done": np.asarray(3)}


def raw(leaf):
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.asarray(raw(a)).tobytes() == np.asarray(raw(b)).tobytes() for a, b in pairs)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "cell.npz"
    checkpoint.save(path, TREE, BELONGS, RESULTS)
    return path


def test_everything_comes_back(saved):
    like = jax.tree.map(lambda leaf: leaf if leaf.dtype != jnp.float32 else leaf + 1, TREE)
    tree, results = checkpoint.load(saved, like, BELONGS)
    assert jax.tree.structure(tree) == jax.tree.structure(TREE) and same(tree, TREE)
    assert results.keys() == RESULTS.keys() and same(results, RESULTS)
    assert jax.random.uniform(tree["key"]) == jax.random.uniform(TREE["key"])
    assert not list(saved.parent.glob("*.writing"))


@pytest.mark.parametrize("key", BELONGS)
def test_of_another_run(saved, key):
    with pytest.raises(Refusal, match="belongs to another run") as refused:
        checkpoint.load(saved, TREE, BELONGS | {key: "other"})
    assert "--again" in str(refused.value) and str(saved) in str(refused.value)


def test_of_another_version(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "__version__", "99")
    with pytest.raises(Refusal, match="written by version .*, this is 99"):
        checkpoint.load(saved, TREE, BELONGS)


@pytest.mark.parametrize("like", [(), {**TREE, "t": jnp.float32(4)}, {**TREE, "t": jnp.zeros(2, jnp.int32)}])
def test_of_another_shape(saved, like):
    with pytest.raises(Refusal, match="holds other arrays"):
        checkpoint.load(saved, like, BELONGS)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", b"\x93NUMPY\x01\x00", bytes(1000)])
def test_no_checkpoint(tmp_path, content):
    path = tmp_path / "cell.npz"
    path.write_bytes(content)
    with pytest.raises(Refusal, match="no checkpoint of ours, or a damaged one"):
        checkpoint.load(path, TREE, BELONGS)


def test_an_array_or_a_pickle_is_no_checkpoint(tmp_path):
    for name, array in (("plain", np.arange(3)), ("pickle", np.array([{"a": 1}], object))):
        with open(tmp_path / name, "wb") as file:
            np.save(file, array)
        with pytest.raises(Refusal, match="damaged"):
            checkpoint.load(tmp_path / name, (), BELONGS)


@pytest.mark.parametrize("header", [None, [], 3, "{", {}, {"version": "0"}])
def test_foreign_headers(tmp_path, header):
    arrays = {"result_a": np.zeros(2)}
    if header is not None:
        text = header if isinstance(header, str) else json.dumps(header)
        arrays["header"] = np.frombuffer(text.encode(), np.uint8)
    np.savez(tmp_path / "cell.npz", **arrays)
    with pytest.raises(Refusal):
        checkpoint.load(tmp_path / "cell.npz", (), BELONGS)


def test_a_leaf_is_missing(saved, tmp_path):
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "cell.npz", "w") as new:
        for name in old.namelist():
            if name != "leaf_0.npy":
                new.writestr(name, old.read(name))
    with pytest.raises(Refusal, match="damaged"):
        checkpoint.load(tmp_path / "cell.npz", TREE, BELONGS)


@given(st.data())
def test_a_cut_or_changed_file_is_refused_or_the_same(saved, tmp_path_factory, data):
    whole = saved.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    cut = data.draw(st.booleans())
    path = tmp_path_factory.getbasetemp() / "changed.npz"
    path.write_bytes(whole[:place] if cut else whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
    try:
        tree, results = checkpoint.load(path, TREE, BELONGS)
    except Refusal:
        return
    assert not cut and same(tree, TREE) and same(results, RESULTS)  # a byte that says nothing, such as a date


def test_a_write_that_is_interrupted_leaves_what_was_there(saved, tmp_path, monkeypatch):
    path = tmp_path / "cell.npz"
    checkpoint.save(path, TREE, BELONGS, RESULTS)

    def half(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, TREE, BELONGS, {"score": np.zeros(1)})
    assert same(checkpoint.load(path, TREE, BELONGS)[1], RESULTS)
