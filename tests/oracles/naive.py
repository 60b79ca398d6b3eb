"""The hidden-stop vote as a tree of messages: every honest node by name, every number of lies, no symmetry used.

The second opinion on the model checker, written from the description of the protocol (IBGP, Section 4.1) and from
nothing in `quorate`. It is slow on purpose: (t + 1)^n choices in each state, so n is at most 4 or 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations, product

Law = Sequence[Fraction]  # law[r - 1] is the chance that round r is the last


def uniform(first: int, last: int) -> list[Fraction]:
    """The last round is equally likely to be any of first..last.

    >>> uniform(2, 4)
    [Fraction(0, 1), Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)]
    """
    return [Fraction(int(r >= first), last - first + 1) for r in range(1, last + 1)]


def geometric(first: int, last: int, going_on: Fraction) -> list[Fraction]:
    """Each round from `first` is `going_on` times as likely to be the last as the one before it; none after `last`.

    >>> geometric(2, 3, Fraction(1, 2))
    [Fraction(0, 1), Fraction(2, 3), Fraction(1, 3)]
    """
    weights = [going_on ** (r - first) if r >= first else Fraction(0) for r in range(1, last + 1)]
    return [weight / sum(weights) for weight in weights]


def stop_chances(law: Law) -> list[Fraction]:
    """The chance that a round is the last one, given that it is reached; checks that `law` is a law.

    >>> stop_chances(uniform(2, 4))
    [Fraction(0, 1), Fraction(1, 3), Fraction(1, 2), Fraction(1, 1)]
    """
    assert sum(law) == 1 and min(law) >= 0 and law[-1] > 0, f"{law} is no law of the last round"
    return [chance / sum(law[r:]) for r, chance in enumerate(law)]


@dataclass(frozen=True)
class Heard:
    """A round: how many nodes were willing, how many proposers would act were it the last, how many stay willing."""

    willing: int
    acting: int
    staying: int


def replay(stay: int, act: int, sticky: bool, proposes: Sequence[bool], lies: Sequence[Sequence[int]]) -> list[Heard]:
    """The rounds of one play, node by node: `lies[r][i]` is the number of lies that node i is told in round r.

    >>> replay(3, 2, True, [True, True, False], [[1, 0, 0]])
    [Heard(willing=2, acting=2, staying=1)]
    """
    willing, rounds = list(proposes), []
    for told in lies:
        heard = [sum(willing) + count for count in told]
        acting = sum(p and w and h >= act for p, w, h in zip(proposes, willing, heard, strict=True))
        staying = [h >= stay and (w or not sticky) for w, h in zip(willing, heard, strict=True)]
        rounds.append(Heard(sum(willing), acting, sum(staying)))
        willing = staying
    return rounds


def search(
    n: int, k: int, t: int, margins: int | Sequence[int], law: Law, decide: int = 0
) -> tuple[list[Fraction], list[Fraction]]:
    """(largest chance of 0 < C < k, least chance of C >= k), each for A0 = 0..n nodes that propose 1.

    In each round every willing node sends 1 to all, t attackers add 0..t lies for each receiver as they like, and only
    then is it drawn whether the round was the last. If it was, a willing node that heard at least k acts; if not, a
    willing node that heard at least k + its margin stays willing. C counts the nodes that act. Over all sets of A0
    nodes the value is the attackers' best. A wrong vote acts at k + `decide`.
    """
    margin = [margins] * n if isinstance(margins, int) else list(margins)
    stops = stop_chances(law)

    @cache
    def best(r: int, willing: frozenset[int]) -> tuple[Fraction, Fraction]:
        worst, least = Fraction(0), Fraction(1)
        for lies in product(range(t + 1), repeat=n):
            heard = {node: len(willing) + lies[node] for node in willing}
            count = sum(heard[node] >= k + decide for node in willing)
            split, together = stops[r] * (0 < count < k), stops[r] * (count >= k)
            if stops[r] < 1:
                staying = frozenset(node for node in willing if heard[node] >= k + margin[node])
                later = best(r + 1, staying)
                split, together = split + (1 - stops[r]) * later[0], together + (1 - stops[r]) * later[1]
            worst, least = max(worst, split), min(least, together)
        return worst, least

    starts = [[best(0, frozenset(nodes)) for nodes in combinations(range(n), size)] for size in range(n + 1)]
    return [max(value[0] for value in row) for row in starts], [min(value[1] for value in row) for row in starts]
