"""Attacks on a fleet: each kind as it is, mixtures that a search makes worse, and the smallest share of attackers that
takes a mechanism below `alone`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from quorate.faults import Chain, Saboteurs
from quorate.faults.sabotage import KINDS
from quorate.measure.paired import mean_interval
from quorate.recipes.compare.build import Trouble
from quorate.recipes.compare.conditions import cut_of
from quorate.recipes.compare.description import STRIKES

LEVELS = ("listed", "search", "shares")  # how far attacks are tried; each holds those before it
LEADING = ("silent", "skim")  # kinds that those who lead take up first: a leader who holds back what it should say
BUDGET, FEW = 24, 6  # mixtures that a search plays, and the draws of each, which are also those of shares
MOST, SEGMENTS, WIDTH = 0.5, 4, 0.04  # shares tried: up to MOST, at equal steps, then halved down to WIDTH
CHANCES = ("forge", "silent", "skim")  # strengths that are chances, at most 1
SEARCHED = "search"  # the name of the mixture found, among the kinds


class Attack(NamedTuple):
    """What attackers do: the strength of each of `faults.sabotage.KINDS`, from tick `at` on. `first`: those who lead
    attack before others, else attackers are drawn."""

    strengths: tuple[float, ...] = (0.0,) * len(KINDS)
    at: int = 0
    first: bool = False


class Found(NamedTuple):
    """The worst mixture of a search. `searched`: the share served in the search's own draws, the least of `plays` noisy
    numbers and so too low; what it costs is told from draws that the search has not seen. `seeds` draws a play."""

    attack: Attack
    searched: float
    plays: int
    seeds: int


def attack_of(kind: str | None) -> Attack:
    """One kind as strong as the fault has it; nothing for None and for strikes, which need no saboteurs.

    >>> attack_of("silent")
    Attack(strengths=(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), at=0, first=True)
    """
    return Attack(tuple(one.strength if one.name == kind else 0.0 for one in KINDS), first=kind in LEADING)


def struck(trouble: Trouble, kind: str | None, ticks: int) -> Trouble:
    """A trouble whose share of attackers does `kind`.

    leaders_crash    instead that share of the agents fails in the middle of the run, those who lead first
    split_election   the same, and in that tick halves are cut apart, so that each elects for itself

    A crash that is there already, of a share or of a variant, grows by the share, at its own tick.

    >>> struck(Trouble(saboteurs=0.1), "leaders_crash", ticks=60)[1:5]
    (0.1, 30, 2147483647, True)
    """
    if kind not in STRIKES:
        return trouble._replace(kind=kind)
    at = trouble.crash_at if trouble.crash else ticks // 2
    crash = min(1.0, trouble.crash + trouble.saboteurs)
    found = trouble._replace(saboteurs=0.0, kind=None, crash=crash, crash_at=at, leaders=True)
    return found if kind == "leaders_crash" else found._replace(cut_at=at, cut=max(trouble.cut, cut_of(ticks)))


def armed(fault: Chain, attack: Attack) -> Chain:
    """The fault of `build.fault` with saboteurs that do this. All numbers are arrays, so one program serves every
    attack."""
    band, *others = fault.faults
    strengths = {kind.name: strength for kind, strength in zip(KINDS, attack.strengths, strict=True)}
    who = {"order": band.order, "first": attack.first, "hosts": band.hosts}
    return Chain(faults=(Saboteurs(share=band.share, at=attack.at, **who, **strengths), *others))


def said(attack: Attack) -> str:
    """A mixture in words.

    >>> said(Attack((0.5, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0), at=30, first=True))
    'lie 0.5, hog 4; from tick 30; leaders first'
    """
    parts = [f"{kind.name} {strength:.3g}" for kind, strength in zip(KINDS, attack.strengths, strict=True) if strength]
    begin = [f"from tick {attack.at}"] if attack.at else []
    return "; ".join([", ".join(parts) or "nothing", *begin, *(["leaders first"] if attack.first else [])])


def search(
    value: Callable[[Attack], float], ticks: int, seed: int, budget: int = BUDGET
) -> tuple[Attack, float, list[float]]:
    """The attack for which `value` is least among `budget` tried, that value, and the values in turn.

    The first is all kinds at their usual strength. Up to half the budget are mixtures drawn from `seed`: each kind with
    chance 1/2, its strength 2^u times the usual one, u uniform in [-2, 2); from tick 0, or in half of them from any
    tick of the first half; leaders first in half of them. Then one thing of the best is changed at a time
    (`neighbours`, in random order), and what is worse for the fleet is kept; where no change is left, others are drawn.

    The least of many noisy values is below the value of that attack: play it anew to know what it costs. Cost: `budget`
    calls; no attack is tried twice.

    >>> worst, least, tried = search(lambda attack: 1 - 0.1 * attack.strengths[2], ticks=60, seed=0)
    >>> worst.strengths[2] > 4, least == min(tried), len(tried)
    (True, True, 24)
    """
    random = np.random.default_rng(seed)
    tried: dict[Attack, float] = {}
    first = Attack(tuple(kind.strength for kind in KINDS))
    tried[first] = value(first)
    while len(tried) < math.ceil(budget / 2):
        one = drawn(random, ticks)
        tried[one] = value(one)
    best = min(tried, key=lambda one: tried[one])
    while len(tried) < budget:
        fresh = [one for one in neighbours(best, ticks) if one not in tried]
        one = fresh[random.integers(len(fresh))] if fresh else drawn(random, ticks)
        tried[one] = value(one)
        best = min((best, one), key=lambda one: tried[one])
    return best, tried[best], list(tried.values())


def drawn(random: np.random.Generator, ticks: int) -> Attack:
    """A mixture by chance; at least one kind is on."""
    on = random.random(len(KINDS)) < 0.5
    on[random.integers(len(KINDS))] = True
    usual = np.array([kind.strength for kind in KINDS])
    strengths = np.where(on, usual * 2 ** random.uniform(-2, 2, len(KINDS)), 0)
    late = int(random.integers(max(ticks // 2, 1))) if random.random() < 0.5 else 0
    capped = tuple(_capped(kind.name, float(strength)) for kind, strength in zip(KINDS, strengths, strict=True))
    return Attack(capped, late, bool(random.random() < 0.5))


def neighbours(attack: Attack, ticks: int) -> list[Attack]:
    """Every attack that differs in one thing: a strength doubled, halved, off, or on as usual; the beginning twice as
    late, half as late, or a quarter of the run late; leaders first or not."""
    found = []
    for index, (kind, strength) in enumerate(zip(KINDS, attack.strengths, strict=True)):
        for new in (2 * strength, strength / 2, 0.0) if strength else (kind.strength,):
            strengths = list(attack.strengths)
            strengths[index] = _capped(kind.name, new)
            found.append(attack._replace(strengths=tuple(strengths)))
    for at in (2 * attack.at, attack.at // 2) if attack.at else (ticks // 4,):
        found.append(attack._replace(at=at))
    found.append(attack._replace(first=not attack.first))
    distinct = dict.fromkeys(found)
    return [one for one in distinct if one != attack and any(one.strengths) and one.at < ticks]


def _capped(name: str, strength: float) -> float:
    return min(strength, 1.0) if name in CHANCES else strength


def crossing(
    below: Callable[[float], bool], most: float = MOST, segments: int = SEGMENTS, width: float = WIDTH
) -> tuple[float, float] | None:
    """(low, high): the first of the shares 0, most/segments, ..., most that is below, and the last before it that is
    not, brought together to `width` by halving. (0, 0) where 0 is below, None where none of these shares is.

    What is asked need not be monotone: a stretch below that lies between two tried shares is missed.

    >>> crossing(lambda share: share > 0.2)
    (0.1875, 0.21875)
    """
    if below(0.0):
        return 0.0, 0.0
    shares = grid(most, segments)
    after = next((index for index in range(1, len(shares)) if below(shares[index])), None)
    if after is None:
        return None
    low, high = shares[after - 1], shares[after]
    while high - low > width:
        middle = (low + high) / 2
        low, high = (low, middle) if below(middle) else (middle, high)
    return low, high


def grid(most: float = MOST, segments: int = SEGMENTS) -> list[float]:
    return [most * index / segments for index in range(segments + 1)]


class Smallest(NamedTuple):
    """The smallest share of attackers that takes a mechanism below another.

    share        in the middle of a bracket of at most 0.04 (+-0.02), None: not below at any share tried
    share_low    from there on it may be below (95 % at each share), None: not up to 0.5
    share_high   from there on it is below, None: not up to 0.5
    at_none, at_most   the difference without attackers, and with half the fleet
    again        at a larger share of the grid it is not below any more, so "smallest" is not "from there on"
    plays        shares tried
    """

    share: float | None
    share_low: float | None
    share_high: float | None
    at_none: float
    at_most: float
    again: bool
    plays: int


def smallest(difference: Callable[[float], np.ndarray]) -> Smallest:
    """Where `difference(share)` [S], served by a mechanism minus served by the other on the same draws, falls below 0.

    All shares of the grid are played, both ends among them; the mean, the lower and the upper end of its 95 % interval
    are each followed to where they cross 0. With one draw there are no ends, and the bracket
    stands for them.

    >>> found = smallest(lambda share: np.array([0.2 - share, 0.22 - share, 0.18 - share]))
    >>> found.share, found.share_low, found.share_high, found.again
    (0.203125, 0.125, 0.25, False)
    """
    kept: dict[float, Any] = {}

    def interval(share: float) -> Any:
        if share not in kept:
            kept[share] = mean_interval(difference(share))
        return kept[share]

    means = [float(interval(share).middle) for share in grid()]
    middle = crossing(lambda share: interval(share).middle < 0)
    early, late = middle, middle
    if interval(0.0).low is not None:
        early = crossing(lambda share: interval(share).low < 0)
        late = crossing(lambda share: interval(share).high < 0)
    fallen = [index for index, mean in enumerate(means) if mean < 0]
    return Smallest(
        share=None if middle is None else sum(middle) / 2,
        share_low=None if early is None else early[0],
        share_high=None if late is None else late[1],
        at_none=means[0],
        at_most=means[-1],
        again=bool(fallen) and any(mean >= 0 for mean in means[fallen[0] :]),
        plays=len(kept),
    )


def share_in_words(found: Smallest) -> str:
    """
    >>> share_in_words(Smallest(0.2, 0.125, None, 0.1, -0.1, False, 7))
    'from 0.2 on [0.125, above 0.5]'
    """
    if found.share is None:
        return f"not below up to {MOST:g}" + (
            "" if found.share_low is None else f"; perhaps from {found.share_low:.3g} on"
        )
    if found.share_high == 0:
        return "below without any attacker"
    high = f"above {MOST:g}" if found.share_high is None else f"{found.share_high:.3g}"
    return f"from {found.share:.2g} on [{found.share_low:.3g}, {high}]" + ("; not at every larger share" * found.again)
