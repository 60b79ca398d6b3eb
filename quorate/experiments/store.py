"""The run folder: what was asked, what came out, how it was made; complete, or marked as unfinished."""

import csv
import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from quorate import __version__
from quorate.arguments import written
from quorate.errors import Refusal


def fingerprint(recipe: str, arguments: dict[str, Any]) -> str:
    """SHA-256 over the recipe, its arguments, the contents of data files and the version. The seed stands beside it
    in the folder's name."""
    digest = hashlib.sha256()
    asked = {name: written(value) for name, value in arguments.items()}
    digest.update(json.dumps([recipe, __version__, asked], sort_keys=True).encode())
    for value in arguments.values():
        if isinstance(value, Path):
            with suppress(OSError):  # whoever reads the file says what is wrong with it
                digest.update(hashlib.sha256(value.read_bytes()).digest())
    return digest.hexdigest()


class Folder:
    """`<out>/<recipe>-<7 of the fingerprint>-<seed>`, with `.partial` behind its name until everything is in it.

    Results of finished cells lie in `state/` of the unfinished folder, so the same command goes on where it was
    stopped. A lock, which the system takes away from a killed process, keeps two runs out of one folder.
    """

    def __init__(self, out: Path, recipe: str, arguments: dict[str, Any], seed: int):
        self.fingerprint = fingerprint(recipe, arguments)
        self.path = Path(out) / f"{recipe}-{self.fingerprint[:7]}-{seed}"
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.asked = {"recipe": recipe, "seed": seed, **{name: written(value) for name, value in arguments.items()}}
        self._lock: Any = None

    @property
    def _old(self) -> Path:
        return self.path.with_name(self.path.name + ".old")

    @property
    def finished(self) -> bool:
        if self._old.exists() and not self.path.exists():  # killed between two renames
            os.replace(self._old, self.path)
        return (self.path / "provenance.json").is_file()

    def open(self, again: bool) -> bool:
        """Makes the unfinished folder ready, empty if `again`. True: there was one to go on with."""
        state = self.partial / "state"
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.partial / "lock", os.O_CREAT | os.O_RDWR)  # held until the run ends
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if again and state.exists():
                shutil.rmtree(state)
            going_on = state.is_dir()
            state.mkdir(exist_ok=True)
            self.write("arguments.json", json.dumps(self.asked, indent=1))
        except BlockingIOError:
            self.release()
            raise Refusal(f"{self.partial}: another process is working on the same run") from None
        except OSError as problem:
            self.release()
            why = f"{self.path.parent}: cannot be written ({problem.strerror}); choose another folder with --out"
            raise Refusal(why) from None
        return going_on

    def release(self) -> None:
        """Lets another run in; what is finished stays."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def state(self, cell: str) -> Path:
        """Where the result of a cell is kept while the run is unfinished."""
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in cell[:100])
        return self.partial / "state" / f"{safe}-{hashlib.sha256(cell.encode()).hexdigest()[:12]}.npz"

    def write(self, name: str, text: str) -> None:
        target = self.partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def finish(self) -> None:
        """Puts the complete folder in its place; an older one gives way only now."""
        if self.path.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            os.replace(self.path, self._old)
        os.replace(self.partial, self.path)
        shutil.rmtree(self.path / "state")
        shutil.rmtree(self._old, ignore_errors=True)
        (self.path / "lock").unlink()  # only now: whoever came earlier found it held
        self.release()


def plain(value: Any) -> Any:
    """A value that JSON can hold: numpy scalars as numbers, what is not finite as null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as CSV text. The columns are those of all rows, in order of first appearance; what a row lacks stays
    empty."""
    import io

    rows = [{name: plain(value) for name, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def provenance(seed: int, command: str, seconds: float) -> dict[str, str]:
    """What made a result: command, versions, machine kind."""
    import equinox
    import jax
    import scipy

    return {
        "command": command,
        "seed": str(seed),
        "quorate": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "equinox": equinox.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "device": jax.devices()[0].device_kind,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": f"{seconds:.1f}",
    }
