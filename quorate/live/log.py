"""What a run leaves: everything that nodes took in, and, beside it, what they decided."""

import json
from pathlib import Path
from typing import Any, NamedTuple, get_origin

import jax
import numpy as np
from jaxtyping import PyTree

from quorate.errors import Refusal
from quorate.live.node import Notes, Setup
from quorate.live.wire import HEARD

FORMAT = 1


class Log(NamedTuple):
    """T ticks, R rounds, N nodes, K slots (nodes, then liars), `size` bytes of a message.

    Inputs
        header     protocol and options by name, seed, and the setup, as JSON has them
        proposals  i32[T, N]
        status     u8[T, R, N, K], what became of each slot: 0 nothing came, 1 heard, 2 silent, 3 dropped, 4 delayed
        said       u8[T, R, N, K, size], what was heard, as bytes
    Results
        coin       u32[T, R, N], the word each node was shown
        decision   leaves [T, N, ...]
        lasting    leaves [T, N, ...], what nodes keep from tick to tick
        counts     i64[3, N], messages that came late, that came again, that could not be read
    """

    header: dict[str, Any]
    proposals: np.ndarray
    status: np.ndarray
    said: np.ndarray
    coin: np.ndarray
    decision: list[np.ndarray]
    lasting: list[np.ndarray]
    counts: np.ndarray

    @property
    def setup(self) -> Setup:
        return Setup.from_json(self.header["setup"])

    @property
    def messages(self) -> int:
        """Messages that were heard while some node still spoke, nobody's to itself among them; the simulator's bill."""
        heard, nodes = self.status == HEARD, np.arange(self.setup.nodes)
        own = heard[:, :, nodes, nodes].sum(axis=-1)  # by tick and round; none: that round is over
        return int((heard.sum(axis=(2, 3)) - own)[own > 0].sum())


def gathered(header: dict[str, Any], proposals: np.ndarray, notes: list[Notes]) -> Log:
    """The notes of all nodes, in their order, as one log."""

    def side_by_side(leaves: list[list[np.ndarray]]) -> list[np.ndarray]:
        return [np.stack(leaf, axis=1) for leaf in zip(*leaves, strict=True)]

    return Log(
        header,
        proposals,
        np.stack([one.status for one in notes], axis=2),
        np.stack([one.said for one in notes], axis=2),
        np.stack([one.coin for one in notes], axis=2),
        side_by_side([one.decision for one in notes]),
        side_by_side([one.lasting for one in notes]),
        np.array([[one.late, one.repeated, one.malformed] for one in notes]).T,
    )


def arrays(parts: NamedTuple) -> dict[str, np.ndarray]:
    """The arrays of a log or of notes by name; those of lists are numbered."""
    found = {}
    for name, part in parts._asdict().items():
        if isinstance(part, list):
            found |= {f"{name}.{index}": leaf for index, leaf in enumerate(part)}
        elif not isinstance(part, dict):
            found[name] = np.asarray(part)
    return found


def from_arrays(kind: type, found: dict[str, np.ndarray], **others: Any) -> Any:
    """The way back. An array that is missing is a KeyError; a list may be empty."""
    given = dict(others)
    for name, held in kind.__annotations__.items():
        if get_origin(held) is list:
            leaves = sorted((int(key.split(".")[1]), key) for key in found if key.startswith(name + "."))
            given[name] = [found[key] for _, key in leaves]
        elif name not in given:
            given[name] = found[name] if found[name].ndim else found[name].item()
    return kind(**given)


def writable(path: str | Path) -> None:
    """Refuses a file that cannot be written, before there is anything to write. It is left as it was."""
    there = Path(path).exists()
    try:
        open(path, "ab").close()
    except OSError as problem:
        raise Refusal(f"--log is {path}; it cannot be written ({problem.strerror})") from None
    if not there:
        Path(path).unlink()


def save(log: Log, path: str | Path) -> None:
    """One compressed file of numpy's, without objects; the header is JSON."""
    header = json.dumps({"format": FORMAT} | log.header)
    with open(path, "wb") as file:
        np.savez_compressed(file, header=np.frombuffer(header.encode(), np.uint8), **arrays(log))


def load(path: str | Path) -> Log:
    """The log that `save` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        header = json.loads(found.pop("header").tobytes())
        if header.pop("format") != FORMAT:
            raise ValueError
        log = from_arrays(Log, found, header=header)
        if not {"protocol", "options", "seed"} <= header.keys() or not _fits(log, log.setup):
            raise ValueError
        return log
    except FileNotFoundError:
        raise Refusal(f"{path} does not exist; it should be the log of a live run") from None
    except Exception as error:
        raise Refusal(f"{path} is not the log of a live run ({type(error).__name__})") from None


def _fits(log: Log, setup: Setup) -> bool:
    """Whether arrays are as large as the setup says."""
    ticks, nodes = setup.decisions, setup.nodes
    mail = (ticks, setup.rounds, nodes, setup.slots)
    kept = (*log.decision, *log.lasting, log.proposals)
    return (
        all(leaf.shape[:2] == (ticks, nodes) for leaf in kept)
        and (log.status.shape, log.said.shape[:-1], log.coin.shape) == (mail, mail, mail[:3])
        and log.counts.shape == (3, nodes)
    )


def plain(tree: PyTree) -> Any:
    """A decision as JSON has it: the one leaf there is, or all of them. JSON knows no infinity and no NaN: null."""

    def known(value: Any) -> Any:
        if isinstance(value, list):
            return [known(part) for part in value]
        return value if np.isfinite(value) else None

    leaves = [known(np.asarray(leaf).tolist()) for leaf in jax.tree.leaves(tree)]
    return leaves[0] if len(leaves) == 1 else leaves
