"""The question behind `quorate attack`: how often does an attacker break a promise who has to find out how?"""

import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from quorate import __version__
from quorate.core import Property, Protocol, Roster
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal, unknown
from quorate.faults import Scripted
from quorate.faults.learned import Learned
from quorate.verify.automaton import Automaton, automaton
from quorate.verify.chances import case, chances
from quorate.verify.check import MOST, SECONDS, instance
from quorate.verify.exact import Unsettled, solve
from quorate.verify.search import CROWD, SEARCHES
from quorate.verify.train import train

METHODS = ("learned", *SEARCHES)


class Attacked(NamedTuple):
    """What an attacker found. Lists go by how many nodes propose the last value, from 0 to n; of several such starts
    the worst counts, and where the promise speaks of none there is None.

    found       the chance of a breach under the attack that was found, exactly
    exact       under the strongest attack; None where the game is too large to be solved
    episodes    votes that were attacked on the way: by a plan against all courses of the coin, or in one run
    fault       the trained attacker, where one was trained; plans: the plan for each start, where plans were searched
    """

    name: str
    settings: dict[str, Any]
    method: str
    found: tuple[Fraction | None, ...]
    exact: tuple[Fraction | None, ...] | None
    episodes: int
    seconds: float
    fault: Learned | None
    starts: np.ndarray
    plans: np.ndarray | None

    @property
    def ratio(self) -> tuple[Fraction | None, ...]:
        """found / exact; None where nothing can be broken, or where it is not known."""
        if self.exact is None:
            return (None,) * len(self.found)
        return tuple(f / e if f is not None and e else None for f, e in zip(self.found, self.exact, strict=True))

    def as_json(self) -> dict[str, Any]:
        """The object that `quorate attack --json` prints."""
        return {
            "protocol": self.name,
            **self.settings,
            "method": self.method,
            "found": _floats(self.found),
            "exact": None if self.exact is None else _floats(self.exact),
            "ratio": _floats(self.ratio),
            "episodes": self.episodes,
            "seconds": round(self.seconds, 4),
            "version": __version__,
        }


def _floats(chances: Sequence[Fraction | None]) -> list[float | None]:
    return [None if chance is None else float(chance) for chance in chances]


def attack(
    name: str,
    *,
    method: str = "learned",
    seed: int = 0,
    episodes: int | None = None,
    most: float = MOST,
    seconds: float = SECONDS,
    flags: bool = False,
    **options: Any,
) -> Attacked:
    """Attacks the first promise of a registered protocol by an attacker that is told nothing about the game.

    name        of `quorate.PROTOCOLS`
    method      "learned": trained by policy gradient inside `run`, one net against all starts at once, then frozen;
                "cem", "mutation": a search for a plan for each start (`quorate.verify.search`)
    episodes    votes to attack; the method's own number unless told, and never less than one step takes
    most, seconds    the budget for the exact answer that it is compared with
    options     the protocol's own, as for `quorate verify`

    Whatever is found is then played against every course of the coin, so `found` is exact and never above `exact`.

    >>> found = attack("hidden_stop_vote", n=3, k=2, t=1, max_rounds=3, method="mutation", episodes=2000)
    >>> [str(chance) for chance in found.found]
    ['0', '0', '1/2', '0']
    """
    if method not in METHODS:
        raise unknown("method of attack", method, METHODS)
    if episodes is not None and episodes < 1:
        raise Refusal(f"--episodes is {episodes}; it counts votes that are attacked and must be at least 1")
    began = time.monotonic()
    entry, protocol, roster, settings = instance(name, flags, options)
    about = entry.properties[0]
    if about.kind == SOMETIMES:
        raise Refusal(f"{name} promises nothing that an attacker could break")
    exact, machine = _exact(protocol, roster, entry.values, about, most, seconds)
    here = case(protocol, roster, about, entry.values, machine)
    fault, plans = None, None
    if method == "learned":
        if not roster.liars:
            raise Refusal("--t is 0; there is nobody who could learn to attack")
        fault, spent = train(here, seed, episodes)
        worth = chances(here, fault, here.starts)
    else:
        search, generations = SEARCHES[method]
        if episodes is not None:
            generations = max(1, episodes // (CROWD * len(here.starts)))
        found = search(here, generations, seed)
        plans, spent = found.plans, found.episodes
        worth = chances(here, Scripted(plan=found.plans, extras=roster.liars), here.starts, each=True)
    best = _worst(roster, (here.starts == entry.values[-1]).sum(axis=1), worth)
    spent_seconds = time.monotonic() - began
    return Attacked(name, settings, method, best, exact, spent, spent_seconds, fault, here.starts, plans)


def _exact(
    protocol: Protocol, roster: Roster, values: tuple[int, ...], about: Property, most: float, seconds: float
) -> tuple[tuple[Fraction | None, ...] | None, Automaton]:
    """What the strongest attacker reaches, where the budget does for it; and the automaton."""
    try:
        game = solve(protocol, roster, values, (about,), most=most, seconds=seconds)
    except Unsettled:
        return None, automaton(protocol, roster.honest, roster.liars, values, (about,))
    counts = np.asarray(about.when(protocol, roster, game.proposed), bool)
    worth = [chance for chance, here in zip(game.answers[0].chances, counts, strict=True) if here]
    return _worst(roster, game.proposed[counts, -1], worth), game.machine


def _worst(roster: Roster, willing: np.ndarray, worth: Sequence[Fraction]) -> tuple[Fraction | None, ...]:
    """By how many nodes propose the last value: the worst of such starts, None where there are none."""
    most: list[Fraction | None] = [None] * (roster.honest + 1)
    for number, chance in zip(willing.tolist(), worth, strict=True):
        known = most[number]
        most[number] = chance if known is None else max(known, chance)
    return tuple(most)
