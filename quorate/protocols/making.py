"""How protocols are made: what was given is checked alike for the command line and for Python."""

import functools
from collections.abc import Callable

from quorate.arguments import converted, of
from quorate.core import Protocol


def checking(make: Callable[..., Protocol]) -> Callable[..., Protocol]:
    """`make` with every keyword converted and checked as its annotation says.

    >>> from quorate.protocols.majority import make
    >>> make(n=4, t=-1)
    Traceback (most recent call last):
    quorate.errors.Refusal: --t is -1; it counts liars, who are talkers besides the n and must be at least 0
    """

    @functools.wraps(make)
    def checked(**given):
        return make(**converted(of(make), given))

    return checked
