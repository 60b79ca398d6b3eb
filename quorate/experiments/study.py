"""A study in progress: cells that are computed once and kept, and the sweep that plays one scenario over
configurations and runs."""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate import random
from quorate.core import Key, Progress, Scenario
from quorate.errors import Refusal
from quorate.experiments import checkpoint
from quorate.experiments.store import Folder
from quorate.step import Record, run, start

fold_in = jax.random.fold_in

CHUNK = 1e8  # agent-steps in one call: one to a few seconds, the grain of progress, interrupts and checkpoints
CACHE = 16_000  # agents in flight: about what half a megabyte of cache holds


class Reporter(Protocol):
    """Who is told how far a stage is; a note comes before the stages are named."""

    def stages(self, names: list[str]) -> None: ...
    def start(self, name: str, total: int, unit: str) -> None: ...
    def advance(self, name: str, done: float) -> None: ...
    def finish(self, name: str) -> None: ...
    def note(self, text: str) -> None: ...


class Nobody:
    """The null reporter."""

    def stages(self, names: list[str]) -> None: ...
    def start(self, name: str, total: int, unit: str) -> None: ...
    def advance(self, name: str, done: float) -> None: ...
    def finish(self, name: str) -> None: ...
    def note(self, text: str) -> None: ...


class Study:
    """One run of a recipe: its seed, where finished cells are kept (None: in memory only), and who is told.

    A cell is a name and a function from nothing to arrays. Its noise comes from the seed and a label, so cells may be
    computed in any order, and a run that was killed gives the same rows, to the last digit, as one that was not.
    """

    def __init__(self, seed: int = 0, folder: Folder | None = None, reporter: Reporter | None = None):
        self.seed = seed
        self.folder = folder
        self.reporter = reporter or Nobody()
        self.recovered = 0

    def key(self, label: str = "") -> Key:
        """Equal labels give equal keys: scenarios compared in pairs share theirs."""
        return jax.random.fold_in(random.key(self.seed), zlib.crc32(label.encode()))

    def cell(self, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of cell `name`: from the unfinished folder if they are there, else computed and kept."""
        if self.folder is None:
            return compute()
        path, belongs = self.folder.state(name), self._belongs(name)
        if path.exists():
            self.recovered += 1
            return checkpoint.load(path, (), belongs)[1]
        arrays = {key: np.asarray(value) for key, value in compute().items()}
        checkpoint.save(path, (), belongs, arrays)
        return arrays

    def sweep(
        self,
        name: str,
        scenarios: Scenario,
        ticks: int,
        runs: int,
        record: Record = ("score",),
        label: str = "",
        advance: Callable[[int], None] = lambda configurations: None,
    ) -> dict[str, np.ndarray]:
        """Plays `scenarios` (array leaves stacked over C configurations) `runs` times each, every run with a mind of
        its own.

        Returns the records of `record`, leaves [C, runs, ticks, ...]. Configurations are taken in blocks, long ones
        also in chunks of ticks; a finished block is kept, an unfinished one leaves a checkpoint after each chunk. Run
        r of configuration c has the same key whatever C and `runs` are.
        """
        horizon, one = scenarios.learner.horizon, _nth(scenarios, 0)
        if ticks % horizon:
            raise Refusal(f"{ticks} ticks are no multiple of the learner's horizon, {horizon}")
        arrays = jax.tree.leaves(eqx.filter(scenarios, eqx.is_array))
        count, num_agents = arrays[0].shape[0], one.world.num_agents
        size = runs * max(num_agents, sum(leaf.size for leaf in arrays) // count)
        block = int(max(1, min(count, CHUNK // (size * ticks))))
        chunk = int(max(1, min(ticks, CHUNK // (size * block)) // horizon))
        batch = _batch(runs, int(max(1, CACHE // num_agents)))
        key, blocks = self.key(label), []
        for at in range(0, count, block):
            index = jnp.arange(at, min(at + block, count))
            keys = jax.vmap(lambda c: jax.vmap(lambda r: fold_in(fold_in(key, c), r))(jnp.arange(runs)))(index)
            some = _nth(scenarios, index)

            def play(some=some, keys=keys, at=at) -> dict[str, np.ndarray]:
                return self._play(f"{name} {at}", some, keys, ticks // horizon, chunk, batch, record)

            blocks.append(self.cell(f"{name} {at}", play))
            advance(min(at + block, count))
        return {field: np.concatenate([part[field] for part in blocks]) for field in blocks[0]}

    def _play(self, name, scenarios, keys, updates, chunk, batch, record) -> dict[str, np.ndarray]:
        """One block, in chunks if it is long."""
        if updates <= chunk:
            return jax.tree.map(np.asarray, _whole(scenarios, keys, updates, batch, record))
        progress, done, kept = _open(scenarios, keys, batch), 0, {}
        path = None if self.folder is None else self.folder.state(name + " unfinished")
        if path is not None and path.exists():
            progress, kept = checkpoint.load(path, progress, self._belongs(name))
            done = int(kept.pop("done"))
        while done < updates:
            now = min(chunk, updates - done)
            progress, new = _further(progress, scenarios, now, batch, record)
            kept = {name: np.concatenate([kept[name], new[name]], 2) if kept else np.asarray(new[name]) for name in new}
            done += now
            if path is not None and done < updates:
                checkpoint.save(path, progress, self._belongs(name), kept | {"done": np.asarray(done)})
        return kept

    def _belongs(self, name: str) -> dict[str, Any]:
        return {"run": self.folder.fingerprint, "seed": self.seed, "cell": name}


def _batch(runs: int, most: int) -> int:
    """Runs in flight: a divisor of `runs` that nearly fills the cache if there is one, since what is left over by a
    batch is compiled a second time.

    >>> _batch(1000, 16), _batch(50, 320), _batch(47, 16)
    (10, 50, 16)
    """
    most = min(runs, most)
    divisor = max(size for size in range(1, most + 1) if runs % size == 0)
    return divisor if 2 * divisor >= most else most


def _nth(scenarios: Scenario, index: Any) -> Scenario:
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, scenarios)


def stacked(scenarios: list[Scenario]) -> Scenario:
    """Scenarios of one shape, array leaves stacked: what `sweep` plays."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *scenarios)


def _over(scenarios: Scenario, each: Any, batch: int, play: Callable) -> Any:
    """play(scenario, item) for every configuration and each of its items: configurations in turn, items in batches
    that fit the cache."""
    arrays, rest = eqx.partition(scenarios, eqx.is_array)

    def configuration(pair: tuple) -> Any:
        scenario = eqx.combine(pair[0], rest)
        return jax.lax.map(lambda item: play(scenario, item), pair[1], batch_size=batch)

    return jax.lax.map(configuration, (arrays, each))


def _records(scenario: Scenario, progress: Progress, updates: int, record: Record) -> tuple[Progress, Any]:
    progress, records = run(progress, scenario, updates, record)
    return progress, jax.tree.map(lambda leaf: leaf[:, 0], records)  # one run each: the batch is the outer map's


@eqx.filter_jit
def _whole(scenarios: Scenario, keys: Key, updates: int, batch: int, record: Record) -> Any:
    return _over(scenarios, keys, batch, lambda one, key: _records(one, start(key, one), updates, record)[1])


@eqx.filter_jit
def _open(scenarios: Scenario, keys: Key, batch: int) -> Progress:
    return _over(scenarios, keys, batch, lambda one, key: start(key, one))


@eqx.filter_jit
def _further(progress: Progress, scenarios: Scenario, updates: int, batch: int, record: Record) -> tuple[Progress, Any]:
    return _over(scenarios, progress, batch, lambda one, at: _records(one, at, updates, record))
