"""How numbers are written, on the page and in the terminal alike."""

import math
import numbers
from decimal import ROUND_HALF_UP, Context, Decimal

DIGITS = 3
THIN = "\u202f"  # narrow no-break space, between groups of three digits
MINUS = "\u2212"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Half up, as JavaScript's toExponential does it: the page shows the same digits when it formats a value itself.
_ROUND = Context(prec=DIGITS, rounding=ROUND_HALF_UP)


def raised(exponent: int) -> str:
    """An integer as superscript.

    >>> raised(-12)
    '⁻¹²'
    """
    return str(exponent).translate(_RAISED)


def rounded(x: float) -> float:
    """The value that `number` shows, as a float: `x` to three significant digits, halves away from zero.

    >>> rounded(0.000017349), rounded(1.125), rounded(0.0)
    (1.73e-05, 1.13, 0.0)
    """
    return float(_ROUND.create_decimal(Decimal(float(x)))) if math.isfinite(x) else float(x)


def integer(x: int, *, plain: bool = False) -> str:
    """A whole number; from five digits on, groups of three with a narrow space between.

    >>> integer(1204), integer(100000, plain=True), integer(100000) == f"100{THIN}000"
    ('1204', '100000', True)
    """
    digits = str(abs(x))
    if len(digits) > 4 and not plain:
        digits = f"{abs(x):,}".replace(",", THIN)
    return (("-" if plain else MINUS) if x < 0 else "") + digits


def number(x: float, *, plain: bool = False) -> str:
    """A number as a reader sees it: three significant digits, an integer in full, a `fractions.Fraction` as `1/9`.

    From 0.01 to 9999 the point is written in place, otherwise as a power of ten. With `plain` only ASCII is used:
    `1.73e-5`, `100000`. Infinity is `∞` (`inf`); what is not a number says so.

    >>> number(0.0000173), number(0.0341), number(12.0), number(513.4), number(1e6)
    ('1.73×10⁻⁵', '0.0341', '12.0', '513', '1.00×10⁶')
    >>> number(0.0000173, plain=True), number(-2, plain=True)
    ('1.73e-5', '-2')
    """
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, numbers.Rational):
        top = integer(x.numerator, plain=plain)
        return top if x.denominator == 1 else f"{top}/{integer(x.denominator, plain=plain)}"
    if math.isnan(x):
        return "not a number"
    sign = ("-" if plain else MINUS) if x < 0 else ""
    if math.isinf(x):
        return sign + ("inf" if plain else "∞")
    if x == 0:
        return "0"
    size = _ROUND.create_decimal(Decimal(abs(x)))
    exponent = size.adjusted()
    if -2 <= exponent <= 3:
        return sign + f"{size:.{max(0, DIGITS - 1 - exponent)}f}"
    mantissa = f"{size.scaleb(-exponent):.{DIGITS - 1}f}"
    return sign + (f"{mantissa}e{exponent}" if plain else f"{mantissa}×10{raised(exponent)}")


def interval(middle: float, low: float, high: float, *, plain: bool = False) -> str:
    """A number and the interval around it; where one of the three is no whole number, none is written as one.

    >>> interval(12.04, 10, 14.2)
    '12.0 [10.0, 14.2]'
    """
    values = [x.item() if hasattr(x, "item") else x for x in (middle, low, high)]
    if not all(isinstance(x, numbers.Rational) for x in values):
        values = [float(x) for x in values]
    middle, low, high = (number(x, plain=plain) for x in values)
    return f"{middle} [{low}, {high}]"


def duration(seconds: float) -> str:
    """A time that has passed, in seconds.

    >>> duration(0.04), duration(9.2), duration(112), duration(7500)
    ('0.04 s', '9 s', '1 min 52 s', '2 h 5 min')
    """
    if seconds < 0.995:
        return f"{seconds:.2g} s" if seconds >= 0.01 else "under 0.01 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """A time still to come, in seconds, no finer than it can be known.

    >>> about(3.2), about(38), about(200), about(9000)
    ('about 4 s', 'about 40 s', 'about 4 min', 'about 3 h')
    """
    if seconds <= 10:
        return f"about {max(1, math.ceil(seconds))} s"
    if seconds <= 55:
        return f"about {math.ceil(seconds / 5) * 5} s"
    if seconds <= 3300:
        return f"about {math.ceil(seconds / 60)} min"
    return f"about {math.ceil(seconds / 3600)} h"
