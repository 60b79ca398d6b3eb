"""Checkpoints: arrays in an npz file with a JSON header, never pickle, refused where they do not belong."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quorate import __version__
from quorate.errors import Refusal
from quorate.random import raw, restored


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _shape(tree: PyTree) -> str:
    leaves, structure = jax.tree.flatten(tree)
    return f"{structure} " + " ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves)


def save(path: Path, tree: PyTree, belongs: dict[str, Any], results: dict[str, np.ndarray] | None = None) -> None:
    """Writes the array leaves of `tree` (a `Progress`, or nothing), named `results`, and what both belong to.

    A write that is interrupted leaves the file that was there before.
    """
    arrays, generators = {"result_" + name: np.asarray(value) for name, value in (results or {}).items()}, {}
    for index, leaf in enumerate(jax.tree.leaves(tree)):
        if _is_key(leaf):
            generators[str(index)], leaf = raw(leaf)
        arrays[f"leaf_{index}"] = np.asarray(leaf)
    header = {"version": __version__, "belongs": belongs, "shape": _shape(tree), "generators": generators}
    arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    part = path.with_suffix(".writing")
    with open(part, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load(path: Path, like: PyTree, belongs: dict[str, Any]) -> tuple[PyTree, dict[str, np.ndarray]]:
    """(tree, results) as they were saved. `like` has the tree's structure. A damaged file and one of another version
    or other arguments are refused."""
    remedy = "remove it, or run with --again to start afresh"
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:  # a bare array is no archive
            header = json.loads(stored["header"].tobytes())
            arrays = {name: stored[name] for name in stored.files}
        if not isinstance(header, dict):
            raise ValueError
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise Refusal(f"{path}: no checkpoint of ours, or a damaged one", remedy) from None
    if header.get("version") != __version__:
        raise Refusal(f"{path}: written by version {header.get('version')}, this is {__version__}", remedy)
    if header.get("belongs") != json.loads(json.dumps(belongs)):
        raise Refusal(f"{path}: belongs to another run (other arguments or data)", remedy)
    if header.get("shape") != _shape(like):
        raise Refusal(f"{path}: holds other arrays than this run needs", remedy)
    old, structure = jax.tree.flatten(like)
    missing = [index for index in range(len(old)) if f"leaf_{index}" not in arrays]
    if missing or not isinstance(header.get("generators"), dict):
        raise Refusal(f"{path}: damaged, arrays are missing", remedy)
    leaves = []
    for index in range(len(old)):
        leaf, generator = arrays[f"leaf_{index}"], header["generators"].get(str(index))
        leaves.append(restored(generator, leaf) if generator else jnp.asarray(leaf))
    results = {name[len("result_") :]: value for name, value in arrays.items() if name.startswith("result_")}
    return jax.tree.unflatten(structure, leaves), results
