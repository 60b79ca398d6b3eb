"""Patches in process: a module's changed source is executed beside the old one, and what it defines takes the place of
what the package refers to, for as long as a `with` lasts."""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import jax

import quorate.comms
import quorate.core
import quorate.faults
import quorate.protocols
import quorate.verify
from quorate.core import Registered
from quorate.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]
PACKAGES = (quorate.core, quorate.comms, quorate.faults, quorate.protocols, quorate.verify)

for package in PACKAGES:  # a module first imported under a patch would keep what is patched
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)


class Patch(NamedTuple):
    """`old` is written `new` instead, in one file."""

    file: str
    old: str
    new: str


def lines(patches: Iterable[Patch]) -> int:
    """How many lines the patches touch: of each the longer of its two sides."""
    return sum(max(len(patch.old.splitlines()), len(patch.new.splitlines())) for patch in patches)


def patched_source(file: str, patches: Iterable[Patch]) -> str:
    """The file's text with its patches. Each must fit exactly once, so that none misses when the file changes."""
    text = (ROOT / file).read_text(encoding="utf-8")
    for patch in patches:
        times = text.count(patch.old)
        assert times == 1, f"{file} holds {patch.old!r} {times} times"
        text = text.replace(patch.old, patch.new)
    return text


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def executed(name: str, code: Any) -> ModuleType:
    """A second module of that name, known to nobody."""
    module = ModuleType(name)
    module.__file__ = sys.modules[name].__file__
    module.__package__ = sys.modules[name].__package__
    exec(code, module.__dict__)
    return module


@contextmanager
def patched(patches: Iterable[Patch], protocol: str) -> Iterator[None]:
    """The package with `patches`. The module of `protocol` is made anew even where it is not patched: compiled programs
    are remembered by class, and must not be found again."""
    patches, home = tuple(patches), file_of(protocol)
    files = dict.fromkeys([*(patch.file for patch in patches), home])
    texts = {file: patched_source(file, [patch for patch in patches if patch.file == file]) for file in files}
    with swapped({module_name(file): compile(text, file, "exec") for file, text in texts.items()}):
        yield


@contextmanager
def swapped(codes: dict[str, Any]) -> Iterator[None]:
    """The package with the modules of these names made anew from compiled source.

    Functions, and all that the modules of `quorate.protocols` define, are put wherever the old ones are referred to. A
    class of any other module keeps its place, since others inherit from it, and gets the new methods.
    """
    before = snapshot()
    undo: list[tuple[Any, str, Any]] = []
    try:
        for name, code in codes.items():
            _swap(sys.modules[name], executed(name, code), undo)
        yield
    finally:
        for holder, key, value in reversed(undo):
            _put(holder, key, value)
        assert snapshot() == before, "the package is not what it was before the patch"


def file_of(protocol: str) -> str:
    """The file of a registered protocol."""
    return type(PROTOCOLS[protocol].example).__module__.replace(".", "/") + ".py"


def _swap(old: ModuleType, new: ModuleType, undo: list[tuple[Any, str, Any]]) -> None:
    whole = old.__name__.startswith("quorate.protocols.")
    instead: dict[int, Any] = {}
    for key, value in vars(old).items():
        other = vars(new).get(key)
        if other is value or not isinstance(value, FunctionType | type | Registered):
            continue
        if whole or not isinstance(value, type):
            instead[id(value)] = other
        else:
            for method, fresh in vars(other).items():
                if callable(fresh) and method in vars(value) and not method.startswith("__"):
                    undo.append((value, method, vars(value)[method]))
                    _put(value, method, fresh)
    for holder in holders():
        for key, value in list(holder.items()):
            if id(value) in instead:
                undo.append((holder, key, value))
                _put(holder, key, instead[id(value)])


def _put(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    else:
        type.__setattr__(holder, key, value)


def modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "quorate"}


def holders() -> list[dict[str, Any]]:
    """All that refers to the package's parts by name: the modules and the registry."""
    return [*(vars(module) for module in modules().values()), PROTOCOLS]


def snapshot() -> dict[tuple[str, ...], int]:
    """Which object stands behind each name of the package, and behind each method of its classes."""
    seen: dict[tuple[str, ...], int] = {}
    for module, content in [*((name, vars(module)) for name, module in modules().items()), ("PROTOCOLS", PROTOCOLS)]:
        for key, value in content.items():
            seen[module, key] = id(value)
            if isinstance(value, type) and value.__module__.split(".")[0] == "quorate":
                seen |= {(module, key, method): id(part) for method, part in vars(value).items() if callable(part)}
    return seen


@contextmanager
def quick() -> Iterator[None]:
    """Compiles sooner, to slower programs, and forgets them in the end: here every program runs once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
        jax.clear_caches()
