"""The words of the verdict: names, numbers and conditions as a reader sees them."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.report.numbers import MINUS, interval, number
from quorate.report.words import clean

_UNDER = {
    "calm": "in calm",
    "described": "on the fleet as described",
    "crash": "under the crash",
    "partition": "under partition",
    "attack": "under attack",
    "growth": "at ten times the size",
}
_FRACTIONS = {2: "half", 3: "a third of", 4: "a quarter of", 5: "a fifth of", 10: "a tenth of"}
_MOST = 3  # mechanisms whose failures are spelled out


def spoken(name: str) -> str:
    """A mechanism's name in a sentence.

    >>> spoken("contract_net")
    'contract net'
    """
    return clean(name).replace("_", " ")


def capital(name: str) -> str:
    """The same at the head of a sentence."""
    words = spoken(name)
    return words[:1].upper() + words[1:]


def amount(x: float) -> str:
    """A share or difference with three decimals at most; below 0.0005 it is written out.

    >>> amount(0.004), amount(0.00412), amount(0.0), amount(0.00002)
    ('0.004', '0.004', '0', '2.00×10⁻⁵')
    """
    return number(x) if abs(x) < 0.0005 else f"{x:.3f}".replace("-", MINUS)


def ahead(difference: Any) -> str:
    """How much the second of a difference is ahead of the first, with its interval where there is one."""
    if difference.low is None:
        return amount(-difference.middle)
    return f"{amount(-difference.middle)} [{amount(-difference.high)}, {amount(-difference.low)}]"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def under(condition: str, here: bool = False) -> str:
    """A condition in a sentence; with `here` the fleet as described is simply here.

    >>> under("loss_0.3"), under("attack"), under("described", here=True)
    ('at 30 % loss', 'under attack', 'here')
    """
    if here and condition == "described":
        return "here"
    if condition.startswith("loss_"):
        return f"at {_percent(float(condition.removeprefix('loss_')))} loss"
    return _UNDER.get(condition) or f"under {spoken(condition)}"


def serves(row: Any) -> str:
    """Served with its t interval, `0.981 [0.977, 0.985] of the value offered`; without one for one seed."""
    if row.error is None or row.seeds < 2:
        return f"{number(row.served)} of the value offered"
    from scipy.special import stdtrit

    half = float(stdtrit(row.seeds - 1, 0.975)) * row.error
    # A share cannot leave 0 .. 1, and what lies beyond says nothing.
    low, high = max(0.0, row.served - half), min(1.0, row.served + half)
    return f"{interval(row.served, low, high)} of the value offered"


def fraction(messages: float, other: float) -> str | None:
    """The bill against another one, in words; None where it is not smaller by a tenth.

    >>> fraction(0.5, 1.5), fraction(0.62, 1.0), fraction(0.0, 1.0), fraction(0.95, 1.0)
    ('a third of the messages', '62 % of the messages', 'no messages', None)
    """
    if other <= 0 or messages > 0.9 * other:
        return None
    if messages == 0:
        return "no messages"
    share = messages / other
    for part, words in _FRACTIONS.items():
        if abs(share * part - 1) < 0.08:
            return f"{words} the messages"
    return f"{_percent(share)} of the messages"


def price_in_words(row: Any, named: bool) -> str:
    """What a mechanism costs, one sentence; with `named` it also recommends it, where no sentence before did."""
    bill = f"it costs {number(row.messages)} messages and {number(row.bytes)} bytes per agent and tick"
    if row.messages == row.bytes == 0:
        bill = "it sends nothing"
    return f"Choose {spoken(row.name)}: {bill}." if named else f"{bill[:1].upper()}{bill[1:]}."


def places(name: str, conditions: Sequence[str], points: Sequence[Any]) -> str:
    """Where a mechanism falls below alone: `beyond 25 % loss and under the crash`."""
    calm = [c for c in conditions if c == "calm" or c.startswith("loss_")]
    found = [under(c) for c in conditions if c not in calm]
    if calm:
        levels = (p.loss for p in points if p.mechanism == name and p.than == "alone" and p.loss is not None)
        loss = next(levels, 0.0)
        run = 0.0 if calm[0] == "calm" else float(calm[0].removeprefix("loss_"))
        # Where no lower level was run, all that is known is that it fails at this one.
        found.insert(0, f"beyond {_percent(loss)} loss" if 0 < loss < run else under(calm[0]))
    return listed(found)


def broken(fails: Mapping[str, Sequence[str]], points: Sequence[Any], first: str | None) -> str | None:
    """Who falls below alone, and where: `Central naive fails beyond 25 % loss and under the crash.`; None for nobody.

    Those that fail under most conditions come first, `first` before all; those that fail alike are named together.
    """
    order = sorted(fails, key=lambda name: (name != first, -len(fails[name]), name))
    alike: dict[str, list[str]] = {}
    for name in order[:_MOST]:
        alike.setdefault(places(name, fails[name], points), []).append(spoken(name))
    parts = [f"{listed(names)} {'fails' if len(names) == 1 else 'fail'} {where}" for where, names in alike.items()]
    rest = len(order) - _MOST
    if rest > 0:
        parts.append(f"{rest} more fail{'s' if rest == 1 else ''} somewhere")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else None


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.01 else f"{number(share * 100)} %"
