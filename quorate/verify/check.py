"""The question behind `quorate verify`: does a registered protocol keep its promises against t liars, and if not, how
is it broken?"""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quorate import __version__
from quorate import arguments as arguing
from quorate.core import Fault, NoFault, Property, Protocol, Registered, Roster, TallyProtocol
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.errors import Refusal
from quorate.faults.counting import AllYes, DropAtRound, RandomYes, SilentLiars, SplitVote
from quorate.protocols import protocol as registered
from quorate.verify.conform import Carried, carried
from quorate.verify.exact import Game, solve
from quorate.verify.sample import Sampled, sample

MOST, SECONDS = 2e7, 60.0  # plays and seconds, unless told


class Finding(NamedTuple):
    """One property and what became of it. `chances`, by how many nodes were willing: of a breach under the best attack,
    or, for "sometimes", of getting there while liars are silent. `counts` marks the starts it speaks of."""

    about: Property
    words: str
    chances: tuple[Fraction, ...]
    counts: tuple[bool, ...]
    allowed: Fraction

    @property
    def worst(self) -> Fraction:
        """The largest chance among the starts that count."""
        return max(
            (chance for chance, counts in zip(self.chances, self.counts, strict=True) if counts), default=Fraction(0)
        )

    @property
    def holds(self) -> bool:
        return self.worst > 0 if self.about.kind == SOMETIMES else self.worst <= self.allowed

    @property
    def broken_at(self) -> list[int]:
        """The numbers of willing nodes at which it breaks."""
        if self.about.kind == SOMETIMES:
            return []
        return [a for a, chance in enumerate(self.chances) if self.counts[a] and chance > self.allowed]


class Verified(NamedTuple):
    """What `verify` found. `game` holds every position with its value; `engine` says whether random plays in the
    simulator came out as the proof's plain loop has them (None where that was not asked)."""

    name: str
    settings: dict[str, Any]
    words: str
    protocol: Protocol
    entry: Registered
    roster: Roster
    method: str
    findings: tuple[Finding, ...]
    game: Game
    engine: Carried | None
    bound: Fraction
    seconds: float
    warnings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings) and (self.engine is None or not self.engine.difference)

    @property
    def options(self) -> dict[str, Any]:
        """What `make` takes to make the protocol again."""
        names = [argument.name for argument in arguing.of(self.entry.make)]
        return {name: tuple(v) if isinstance(v := self.settings[name], list) else v for name in names}

    def of(self, kind: str) -> Finding | None:
        """The first property of that kind."""
        return next((finding for finding in self.findings if finding.about.kind == kind), None)


def instance(
    name: str | Registered, flags: bool, given: dict[str, Any]
) -> tuple[Registered, Protocol, Roster, dict[str, Any]]:
    """A protocol made from its options: (entry, protocol, who takes part, every setting).

    >>> instance("hidden_stop_vote", False, {"n": 7, "t": 2})[2]
    Roster(honest=7, liars=2)
    """
    entry = name if isinstance(name, Registered) else registered(name)
    asked = arguing.converted(arguing.of(entry.make), given, flags)
    protocol = entry.make(**asked)
    settings = entry.settings(protocol, asked)
    return entry, protocol, Roster(asked["n"], asked["t"]), settings


def verify(
    name: str | Registered,
    *,
    method: str | None = None,
    at_most: Fraction | None = None,
    most: float = MOST,
    seconds: float = SECONDS,
    flags: bool = False,
    **options: Any,
) -> Verified:
    """Whether a registered protocol keeps its promises against the strongest attacker.

    name      of `quorate.PROTOCOLS`, or an entry of your own
    method    "exact": over counts, for protocols that hear sums; "exhaustive": every play message by message; the
              protocol's own unless told
    at_most   another bound on the chance of a breach of the first "always" property than the one it promises
    most      plays to look at; seconds: time to take. Where they would not do, `Unsettled` is raised beforehand
    options   the protocol's own, as `quorate verify PROTOCOL --help` lists them

    >>> found = verify("hidden_stop_vote", n=4, k=3, t=1, margin=1, max_rounds=5)
    >>> found.holds, [str(chance) for chance in found.findings[0].chances]
    (True, ['0', '0', '0', '1/4', '0'])
    """
    began = time.monotonic()
    entry, protocol, roster, settings = instance(name, flags, options)
    if at_most is not None and not any(about.kind == ALWAYS for about in entry.properties):
        raise Refusal('--at-most bounds the first "always" property, and this protocol promises none')
    method = entry.method if method is None else method
    game = _solver(method)(protocol, roster, entry.values, entry.properties, most=most, seconds=seconds)
    engine = carried(protocol, roster, entry.values) if isinstance(protocol, TallyProtocol) else None
    findings = tuple(_finding(game, entry, index, at_most) for index in range(len(entry.properties)))
    bound = _bound(entry, protocol, roster, findings)
    spent = time.monotonic() - began
    warnings = entry.warnings(protocol, roster)
    told = entry.told(settings)
    return Verified(
        name, settings, told, protocol, entry, roster, method, findings, game, engine, bound, spent, warnings
    )


def _solver(method: str) -> Callable[..., Game]:
    if method == "exact":
        return solve
    if method == "exhaustive":
        from quorate.verify.explore import explore

        return explore
    raise Refusal(f"--method is {method}; it can be exact, exhaustive")


def _finding(game: Game, entry: Registered, index: int, at_most: Fraction | None) -> Finding:
    about = entry.properties[index]
    speaks = np.asarray(about.when(game.protocol, game.roster, game.proposed), bool)
    counts = np.zeros(game.roster.honest + 1, bool)
    chances = [Fraction(0)] * (game.roster.honest + 1)
    for proposed, chance, here in zip(game.proposed, game.answers[index].chances, speaks, strict=True):
        willing = int(proposed[-1])
        if here and not counts[willing]:
            chances[willing], counts[willing] = chance, True
        elif here or not counts[willing]:
            chances[willing] = max(chances[willing], chance)
    first = next((i for i, p in enumerate(entry.properties) if p.kind == ALWAYS), None)
    asked = at_most is not None and index == first
    allowed = at_most if asked else about.at_most(game.protocol, game.roster)
    words = about.words(game.protocol, game.roster)
    return Finding(about, words, tuple(chances), tuple(bool(c) for c in counts), allowed)


def _bound(entry: Registered, protocol: Protocol, roster: Roster, findings: tuple[Finding, ...]) -> Fraction:
    """A proved bound on a breach of the first "always" property: its theorem's where one applies and is right, else
    what was found here."""
    theorem = entry.bound(protocol, roster)
    safety = next((finding for finding in findings if finding.about.kind == ALWAYS), None)
    if safety is None:
        return theorem
    return max(safety.chances) if theorem >= 1 else max(theorem, *safety.chances)


def _told(finding: Finding | None, kind: type) -> list[Any] | None:
    """The chances of a finding, None at starts that it does not speak of."""
    if finding is None:
        return None
    return [kind(chance) if here else None for chance, here in zip(finding.chances, finding.counts, strict=True)]


def as_json(found: Verified, attack: Any, expected_rounds: float) -> dict[str, Any]:
    """The object that `quorate verify --json` prints."""
    safety, liveness = found.of(ALWAYS), found.of(EVENTUALLY)
    return {
        "protocol": found.name,
        **found.settings,
        "exact": True,
        "method": found.method,
        "worst_case": _told(safety, float),
        "worst_case_exact": _told(safety, str),
        "bound": float(found.bound),
        "bound_exact": str(found.bound),
        "at_most": None if safety is None else float(safety.allowed),
        "liveness": None if liveness is None else [float(1 - chance) for chance in liveness.chances],
        "expected_rounds": expected_rounds,
        "attack": attack,
        "properties": [
            {
                "kind": f.about.kind,
                "words": f.words,
                "holds": f.holds,
                "worst": float(f.worst),
                "at_most": float(f.allowed),
            }
            for f in found.findings
        ],
        "holds": found.holds,
        "engine": None if found.engine is None else found.engine._asdict(),
        "positions": found.game.positions,
        "plays": found.game.plays,
        "seconds": round(found.seconds, 4),
        "version": __version__,
    }


class Tried(NamedTuple):
    """What `tried` found. A property is refuted where the interval of some attack lies above the chance it allows."""

    name: str
    settings: dict[str, Any]
    words: str
    entry: Registered
    properties: tuple[Property, ...]
    titles: tuple[str, ...]
    allowed: tuple[Fraction, ...]
    sampled: Sampled
    runs: int
    seconds: float

    def refuted(self, index: int) -> bool:
        rows = self.sampled.of(index)
        if self.properties[index].kind == SOMETIMES:
            return not any(row.breaches for row in rows)
        return any(row.low > self.allowed[index] for row in rows)

    @property
    def any_refuted(self) -> bool:
        """Where nothing was refuted nothing is proved either."""
        return any(map(self.refuted, range(len(self.properties))))

    def as_json(self) -> dict[str, Any]:
        """The object that `quorate verify --sample RUNS --json` prints."""
        rows = [
            {"property": self.titles[row.property], "attack": row.attack, "willing": row.willing, "share": row.share,
             "low": row.low, "high": row.high, "runs": row.runs}
            for row in self.sampled.rows
        ]  # fmt: skip
        told = {"protocol": self.name, **self.settings, "exact": False, "level": self.sampled.level, "rows": rows}
        return told | {
            "refuted": self.any_refuted,
            "holds": False if self.any_refuted else None,
            "seconds": round(self.seconds, 4),
            "version": __version__,
        }


def tried(name: str | Registered, *, runs: int, seed: int = 0, flags: bool = False, **options: Any) -> Tried:
    """Plays `runs` runs of a few fixed attacks from every number of willing nodes, for protocols or sizes that cannot
    be solved: what they reach bounds the worst case from below. Properties whose liars see coins early are left out.

    >>> found = tried("single_round_vote", n=3, k=2, t=1, runs=200)
    >>> found.any_refuted, max(row.share for row in found.sampled.of(0))
    (True, 1.0)
    """
    began = time.monotonic()
    entry, protocol, roster, settings = instance(name, flags, options)
    properties = tuple(about for about in entry.properties if not about.early)
    found = sample(protocol, roster, entry.values, properties, _battery(protocol, roster), runs=runs, seed=seed)
    name = type(protocol).__name__ if isinstance(name, Registered) else name
    titles = tuple(about.words(protocol, roster) for about in properties)
    allowed = tuple(about.at_most(protocol, roster) for about in properties)
    told = entry.told(settings)
    return Tried(name, settings, told, entry, properties, titles, allowed, found, runs, time.monotonic() - began)


def _battery(protocol: Protocol, roster: Roster) -> dict[str, Fault]:
    """Attacks on yes-no mail by t talkers; where mail is something else, nobody lies."""
    key, t = jax.random.key(0), roster.liars
    sent = jax.eval_shape(lambda: protocol.send(protocol.propose(key, protocol.boot(key, jnp.int32(0)), jnp.int32(0))))
    attacks: dict[str, Fault] = {"nobody lies": NoFault()}
    if not t or not isinstance(sent, jax.ShapeDtypeStruct) or sent.dtype != bool:
        return attacks
    attacks |= {"silent": SilentLiars(extras=t), "all yes": AllYes(extras=t), "split": SplitVote(extras=t)}
    attacks |= {"random": RandomYes(chance=0.5, extras=t)}
    for at in sorted({1, 2, max(1, protocol.rounds // 2)} & set(range(1, protocol.rounds + 1))):
        for passing in sorted({1, roster.honest // 4, roster.honest // 2} - {0}):
            attacks[f"drop all but {passing} in round {at}"] = DropAtRound(at=at, passing=passing, extras=t)
    return attacks
