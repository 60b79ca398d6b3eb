"""What every test shares: the device, the strictness, how hypothesis draws, and the golden transcripts.

Environment variables
    JAX_PLATFORMS  where JAX runs; `cpu` unless set. The tests marked `accelerator` want it set, to `cuda` for instance.
    CI             when set, hypothesis draws the same examples on every run.
    REGENERATE     when set, as in `REGENERATE=1 make test ARGS=tests/protocols`, golden transcripts are written instead
                   of compared. Read the difference and commit it only when you understand it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # for the processes that a test starts
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
jax.config.update("jax_numpy_rank_promotion", "raise")  # in tests only: an accidental [N] against [D, N] is an error

hypothesis.settings.register_profile("local", deadline=None)  # the first example pays for compiling
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def compare_golden(path: Path, text: str, regenerate: bool) -> None:
    """Assert that `path` holds `text`, or write it there when `regenerate`."""
    if regenerate:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} has not been recorded; REGENERATE=1 writes it"
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; REGENERATE=1 writes it anew"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """`golden("vote.txt", text)` compares `text` with tests/golden/vote.txt."""
    folder = Path(__file__).parent / "golden"
    return lambda name, text: compare_golden(folder / name, text, bool(os.environ.get("REGENERATE")))


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """For tests that compute for longer than they compile: `make test` asks XLA for little optimisation."""
    usual = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", usual)


MAPS = Path("/proc/self/maps")  # where the system tells; each compiled program holds several of 65530 maps
MANY_MAPS = 20_000


def make_room() -> None:
    """Forgets compiled programs when there are very many: XLA aborts when it cannot map one more."""
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def room_for_programs() -> Iterator[None]:
    yield
    make_room()


@pytest.fixture(autouse=True)
def room_for_long_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Looking takes some milliseconds, so it is done after each test only where tests are long."""
    yield
    if request.node.get_closest_marker("slow"):
        make_room()
