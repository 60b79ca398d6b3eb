"""Bad input, said in one line: what is wrong, where, what is allowed, and the nearest valid name."""

import difflib
from collections.abc import Iterable


class Refusal(Exception):
    """Input that cannot be used. The command line prints it as `error  <message>` and exits with 2.

    `message` names the thing as it was typed and says what is expected; each of `more` is one further line with a
    remedy.

    >>> str(Refusal("--num-agents is 0; it counts agents and must be at least 1"))
    '--num-agents is 0; it counts agents and must be at least 1'
    """

    def __init__(self, message: str, *more: str):
        super().__init__("\n".join((message, *more)))


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that looks most like `name`, or None when none is close.

    >>> nearest("imperfct_devices", ["imperfect_devices", "ibgp"])
    'imperfect_devices'
    """
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(kind: str, name: str, allowed: Iterable[str]) -> Refusal:
    """The refusal for a name that is not in a registry.

    >>> str(unknown("recipe", "ibg", ["ibgp"]))
    'no recipe is called "ibg"; did you mean ibgp?'
    """
    allowed = list(allowed)
    close = nearest(name, allowed)
    remedy = f"did you mean {close}?" if close else "there are " + ", ".join(allowed)
    article = f'no {kind} is called "{name}"; {remedy}'
    return Refusal(article)
