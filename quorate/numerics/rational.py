"""Fractions behind finite words: a chance that was rounded to a 32-bit threshold, read back."""

from fractions import Fraction

WORDS = 2**32


def simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator in [low, high] (Stern-Brocot descent).

    >>> simplest(Fraction(31, 100), Fraction(34, 100))
    Fraction(1, 3)
    """
    if low > high:
        raise ValueError("low is above high")
    whole = -(-low.numerator // low.denominator)  # the least integer that is not below
    if whole <= high:
        return Fraction(whole)
    base = whole - 1
    return base + 1 / simplest(1 / (high - base), 1 / (low - base))


def threshold(chance: Fraction) -> int:
    """The word below which a uniform 32-bit word falls with this chance, to the nearest; a certain event needs no
    word and is 2^32 - 1 here.

    >>> threshold(Fraction(1, 4)) == 2**30
    True
    """
    return min(WORDS - 1, max(0, round(chance * WORDS)))


def chance(word: int) -> Fraction:
    """The simplest fraction that `threshold` rounds to this word. It differs from word / 2^32 by at most 2^-33.

    >>> chance(threshold(Fraction(1, 9)))
    Fraction(1, 9)
    """
    if word in (0, WORDS - 1, WORDS):
        return Fraction(min(word, 1))
    half = Fraction(1, 2 * WORDS)
    return simplest(Fraction(word, WORDS) - half, Fraction(word, WORDS) + half)
