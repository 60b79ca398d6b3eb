"""What a fresh clone relies on: no trace of the machine it was written on, complete locks, one version."""

import fnmatch
import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import quorate
from tests.conftest import compare_golden

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]

# The patterns are written so that they do not match themselves.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:root|home|work|opt|tmp|mnt|Users)/\w")
REGISTRY = re.compile(
    r"pypi[.]org|python[h]osted|anaconda[.]org|npm[j]s|crates[.]io|--(?:extra-)?index[-]url|--find[-]links"
)


def breaches(text: str) -> list[str]:
    """Machine paths and registry hosts in `text`."""
    return MACHINE_PATH.findall(text) + REGISTRY.findall(text)


def text_files() -> dict[str, str]:
    """The text of every file that .gitignore does not name, by its path from the root."""
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split())]
    files = {}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
        for path in (Path(folder) / name for name in names if not any(fnmatch.fnmatch(name, rule) for rule in ignored)):
            data = path.read_bytes()
            if b"\0" not in data:
                files[str(path.relative_to(ROOT))] = data.decode("utf-8")
    return files


def test_no_file_knows_the_machine_or_a_registry():
    files = text_files()
    assert {"pyproject.toml", "requirements.txt", "quorate/core/world.py", ".ci/run"} <= files.keys()
    wrong = {name: found for name, text in files.items() if (found := breaches(text))}
    assert not wrong


@pytest.mark.parametrize("trace", ["see /ho|me/ann/x", "'/wo|rk/x'", "https://py|pi.org", "--index|-url x"])
def test_a_trace_is_seen(trace):
    assert breaches(trace.replace("|", ""))


def test_relative_paths_are_no_trace():
    assert not breaches("examples/work/x, $HOME/tmp/x, ../opt/x, https://example.org/home/x")


@pytest.mark.parametrize(("lock", "wanted"), [("requirements-run.txt", RUN), ("requirements.txt", RUN + EXTRAS)])
def test_the_lock_is_complete_and_hashed(lock, wanted):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^([^\s#].*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), "an entry without hashes"
    assert "://" not in text
    locked = {canonicalize_name(found.name): found for found in (Requirement(head) for head, _ in entries)}
    for need in wanted:
        pin = str(locked[canonicalize_name(need.name)].specifier)
        assert need.specifier.contains(pin.removeprefix("==")), f"{need} is locked as {pin}; make lock"


def test_running_and_testing_use_the_same_packages():
    full, run = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-run.txt"))
    pins = [set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE)) for text in (full, run)]
    assert pins[1] and pins[1] < pins[0]


def test_one_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited and quorate.__version__ == PROJECT["version"] == cited[1]


def test_a_golden_transcript_bites(tmp_path):
    path = tmp_path / "golden" / "vote.txt"
    with pytest.raises(AssertionError, match="not been recorded"):
        compare_golden(path, "aye\n", regenerate=False)
    compare_golden(path, "aye\n", regenerate=True)
    compare_golden(path, "aye\n", regenerate=False)
    with pytest.raises(AssertionError, match="differs"):
        compare_golden(path, "nay\n", regenerate=False)
