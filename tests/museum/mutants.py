"""Mechanical mutants: small changes of a node's functions, made by rule, and whether a promise of the protocol sees
them."""

import ast
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from quorate.core import TallyProtocol
from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.verify import check
from quorate.verify.check import Verified
from quorate.verify.exact import Unsettled
from tests.museum import patching
from tests.museum.alike import alike
from tests.museum.bugs import COIN, HIDDEN, KING, MIXED, SINGLE, Instance

NUMBER = 50  # mutants, of all that the rules make
FUNCTIONS = ("boot", "propose", "send", "speaks", "hear", "receive", "decide")
INSTANCES: dict[str, tuple[Instance, ...]] = {
    "hidden_stop_vote": (HIDDEN, MIXED),
    "common_coin": (COIN,),
    "single_round_vote": (SINGLE,),
    "phase_king": (KING, ("phase_king", {"n": 5, "t": 1})),
}
COMPARED = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
JOINED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Mult: ast.Add}
CRASHES = 4  # of the mutants that are found; the others break a promise
FAILURES = (Refusal, Unsettled, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError)
EXCHANGED = {"threshold": "margin", "margin": "threshold", "members": "liars", "liars": "members"}


# Who survives and why. True: equivalent, which `alike` checks. False: a finding, it differs and no promise is broken.
SURVIVORS: dict[str, tuple[bool, str]] = {
    "hidden_stop_vote propose: jnp.int16(0) -> jnp.int16(1)": (
        False,
        "all ends a round earlier, the first round can be the last; no round is likelier to be the last than before",
    ),
    "hidden_stop_vote hear: self.rounds - 1 -> self.rounds + 1": (
        False,
        "the last round is not forced; its coin ends it but for one word of 2^32, which exact chances round away",
    ),
    "hidden_stop_vote hear: self.rounds - 1 -> self.rounds - 0 (2)": (
        True,
        "the number of the round is one too large only when all is over, and then nobody looks at it",
    ),
    "single_round_vote propose: jnp.array(False) -> jnp.array(True)": (
        True,
        "whether it acts is written in the only round, before it is read",
    ),
    "phase_king propose: jnp.array(False) -> jnp.array(True)": (
        True,
        "most and strong are written in the first round, before they are read",
    ),
    "phase_king receive: jnp.where(voting, most, ballot.most) -> jnp.where(voting, most, ballot.strong)": (
        True,
        "after the king's round nobody reads most before the next vote writes it",
    ),
    "phase_king receive: ballot.round + 1 -> ballot.round - 1": (
        False,
        "the phases go backwards through the kings; every king still has one, and no promise is about their order",
    ),
}


class Mutant(NamedTuple):
    """`name` tells function, old and new text; `new` stands for `old` in `tree`, the syntax of the protocol's file."""

    protocol: str
    name: str
    tree: ast.Module
    old: ast.AST
    new: ast.AST

    @property
    def title(self) -> str:
        return f"{self.protocol} {self.name}"


class Judged(NamedTuple):
    """`by` is what finds it, None for a survivor; `crashed`, that it does not run or is refused, rather than breaks a
    promise; `alike`, that a survivor does the same as the original at every instance."""

    mutant: Mutant
    by: str | None
    crashed: bool
    alike: bool
    seconds: float


def mutants(protocol: str) -> list[Mutant]:
    """All mutants of a protocol, in the order of its source."""
    file = patching.file_of(protocol)
    tree = ast.parse((patching.ROOT / file).read_text(encoding="utf-8"))
    kind = type(PROTOCOLS[protocol].example)
    exchanged = _exchanged(kind)
    (node,) = (part for part in tree.body if isinstance(part, ast.ClassDef) and part.name == kind.__name__)
    above = {child: parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}
    found: dict[str, Mutant] = {}
    for function in node.body:
        if not isinstance(function, ast.FunctionDef) or function.name not in FUNCTIONS:
            continue
        parts = [part for line in function.body for part in ast.walk(line) if hasattr(part, "lineno")]
        parts.sort(key=lambda part: (part.lineno, part.col_offset, part.end_lineno, part.end_col_offset))
        for part in parts:
            for other in _changes(part, exchanged):
                around = above[part] if isinstance(part, ast.Constant | ast.Attribute) else part
                before = ast.unparse(around)
                with _put(around, part, other) as there:
                    change = f"{function.name}: {before} -> {ast.unparse(there)}"
                name = next(name for name in (change, *(f"{change} ({i})" for i in range(2, 99))) if name not in found)
                found[name] = Mutant(protocol, name, tree, part, other)
    return list(found.values())


def _exchanged(kind: type) -> dict[str, str]:
    """What a field is exchanged for: `self.threshold` for `self.margin`, one truth value of a ballot for the next."""
    fields = {f"self.{one}": other for one, other in EXCHANGED.items() if {one, other} <= set(kind.__annotations__)}
    ballot = getattr(sys.modules[kind.__module__], "Ballot", None)
    told = [
        name for name, type_ in getattr(ballot, "__annotations__", {}).items() if "bool" in getattr(type_, "dtypes", ())
    ]
    return fields | {f"ballot.{one}": other for one, other in zip(told, told[1:] + told[:1], strict=True)}


class _Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else super().visit(node)


@contextmanager
def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> Iterator[ast.AST]:
    """The tree with `new` in place of `old`, for as long as it lasts."""
    changed = _Put(old, new).visit(tree)
    try:
        yield changed
    finally:
        _Put(new, old).visit(changed)


def _code(mutant: Mutant) -> Any:
    with _put(mutant.tree, mutant.old, mutant.new) as tree:
        return compile(ast.fix_missing_locations(tree), patching.file_of(mutant.protocol), "exec")


def _changes(part: ast.AST, exchanged: dict[str, str]) -> Iterator[ast.expr]:
    """What may stand in an expression's place."""
    if isinstance(part, ast.Compare) and type(part.ops[0]) in COMPARED:
        yield ast.Compare(part.left, [COMPARED[type(part.ops[0])]()], part.comparators)
    if isinstance(part, ast.BinOp) and type(part.op) in JOINED:
        yield ast.BinOp(part.left, JOINED[type(part.op)](), part.right)
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Invert):
        yield part.operand
    if isinstance(part, ast.Constant) and type(part.value) is int:
        yield ast.Constant(part.value + 1)
        yield ast.Constant(part.value - 1)
    if isinstance(part, ast.Constant) and type(part.value) is bool:
        yield ast.Constant(not part.value)
    if isinstance(part, ast.Call) and ast.unparse(part.func) == "jnp.where":
        condition, one, other = part.args
        yield ast.Call(part.func, [condition, other, one], [])
    if isinstance(part, ast.IfExp):
        yield ast.IfExp(part.test, part.orelse, part.body)
    if isinstance(part, ast.Attribute) and ast.unparse(part) in exchanged:
        yield ast.Attribute(part.value, exchanged[ast.unparse(part)], part.ctx)


def chosen() -> list[Mutant]:
    """`NUMBER` mutants, as many of each protocol as of the next while they last, evenly from each list."""
    lists = [mutants(protocol) for protocol in INSTANCES]
    shares = [0] * len(lists)
    for turn in itertools.islice(itertools.cycle(range(len(lists))), NUMBER * len(lists)):
        if sum(shares) < NUMBER and shares[turn] < len(lists[turn]):
            shares[turn] += 1
    return [
        every[i * len(every) // share] for every, share in zip(lists, shares, strict=True) for i in range(share)
    ]  # fmt: skip


def judged(mutant: Mutant) -> Judged:
    """Whether `verify` finds the mutant at one of its protocol's instances."""
    began = time.perf_counter()
    name = type(PROTOCOLS[mutant.protocol].example).__module__
    instances, same = INSTANCES[mutant.protocol], True
    originals = [_original(mutant.protocol, place) for place in range(len(instances))]
    with patching.swapped({name: _code(mutant)}):
        for instance, original in zip(instances, originals, strict=True):
            try:
                by, found = _asked(instance)
            except FAILURES as problem:
                by = f"{type(problem).__name__}: {str(problem).splitlines()[0]}"
                return Judged(mutant, by, True, False, time.perf_counter() - began)
            if by is not None:
                return Judged(mutant, by, False, False, time.perf_counter() - began)
            same = same and alike(original, found)
    return Judged(mutant, None, False, same, time.perf_counter() - began)


@cache
def _original(protocol: str, place: int) -> Verified:
    name, options = INSTANCES[protocol][place]
    with _no_engine():
        return check.verify(name, **options)


def _asked(instance: Instance) -> tuple[str | None, Verified]:
    """What `verify` finds first, and all that it says. Its two halves one after the other: the engine is compared only
    if the properties hold, since whoever breaks one is found already."""
    with _no_engine():
        found = check.verify(instance[0], **instance[1])
    broken = [finding.words for finding in found.findings if not finding.holds]
    if not broken and isinstance(found.protocol, TallyProtocol):
        engine = check.carried(found.protocol, found.roster, found.entry.values)
        broken = [engine.difference] if engine is not None and engine.difference else []
    return (broken[0] if broken else None), found


@contextmanager
def _no_engine() -> Iterator[None]:
    whole = check.carried
    check.carried = lambda *asked: None
    try:
        yield
    finally:
        check.carried = whole
