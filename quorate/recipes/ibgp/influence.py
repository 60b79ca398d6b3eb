"""The game where attackers reach a different number of nodes' ears in each round, solved exactly.

`quorate.verify` has one number of liars for all rounds. Here a liar whose words a defence disperses in the first round
has its power back later, which is where the proof of Theorem 6 has its gap. This recursion is written out by hand and
shares nothing with the solver; where the power never changes, tests hold the two against each other.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache


def worst(willing: int, k: int, margin: int, law: Sequence[Fraction], power: Sequence[int]) -> Fraction:
    """The largest chance that some but fewer than k of `willing` nodes act in the hidden-stop vote.

        V_r(A) = max over (a, b) of  h_r [0 < a + b < k] + (1 - h_r) V_{r+1}(a)

    A nodes are willing before round r, h_r = P(T = r | T >= r), a of them hear k + margin yes and b more hear only k.
    A receiver hears between A and A + power_r yes, as attackers like.

    law     P(T = r), r = 1..
    power   how many liars can reach the nodes in round r = 1.. with a false yes

    >>> law = [Fraction(0)] + [Fraction(1, 4)] * 4
    >>> print(worst(3, 3, 1, law, [1] * 5))
    1/4
    """
    left, stop = Fraction(1), []
    for share in law:
        stop.append(share / left if left else Fraction(1))
        left -= share

    @cache
    def value(r: int, now: int) -> Fraction:
        if r == len(law):
            return Fraction(0)
        return max(
            stop[r] * (0 < a + b < k) + (1 - stop[r]) * value(r + 1, a) for a, b in passing(now, k, margin, power[r])
        )

    return value(0, willing)


def passing(now: int, k: int, margin: int, power: int) -> list[tuple[int, int]]:
    """Every (a, b) that liars can bring about among `now` willing nodes: a hear enough to go on, b more hear enough
    only if it is the last round.

    >>> passing(3, 3, 1, 1)
    [(0, 3), (1, 2), (2, 1), (3, 0)]
    """
    if now >= k + margin:
        return [(now, 0)]
    going = range(now + 1) if now + power >= k + margin else (0,)
    if now >= k:
        return [(a, now - a) for a in going]
    return [(a, b) for a in going for b in (range(now - a + 1) if now + power >= k else (0,))]
