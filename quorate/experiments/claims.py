"""What a source says beside what came out: the sentence, the number with its interval, and the verdict."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Word = Literal["holds", "in part", "does not hold", "not judged"]


class Measured(NamedTuple):
    """One claim as this run's rows answer it.

    `ratio` is (middle, low, high) of the measured quantity over the claimed one, arranged so that 1 is the line and
    more than 1 is the claim's side; None where the claim is no single number. `value` is the number that is compared
    with the recorded one, `low` and `high` its 99 % interval (equal to `value` for exact results).
    """

    verdict: Word
    text: str
    note: str = ""
    ratio: tuple[float, float, float] | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Claim(NamedTuple):
    """A sentence of a source and the function from rows to what we measured.

    name      short identifier, unique in its recipe
    where     section, figure or theorem of the source
    words     what the source says, in a few words of ours or a short quotation
    judge     rows (tables of the run, name -> list of dict) -> Measured; None from it means that the rows to judge
              are not there
    recorded  (verdict, value) as they came out when the recipe was last revised; a run at the recorded arguments
              that disagrees exits with 1
    """

    name: str
    where: str
    words: str
    judge: Callable[[dict[str, list[dict[str, Any]]]], Measured | None]
    recorded: tuple[Word, float | None]


class Judged(NamedTuple):
    """A claim beside its measurement, ready to be printed."""

    claim: Claim
    measured: Measured
    as_recorded: bool


def judged(claims: list[Claim], tables: dict[str, list[dict[str, Any]]]) -> list[Judged]:
    """Each claim judged by the tables of a run; `not judged` where the rows for it are not there."""
    found = [(claim, claim.judge(tables)) for claim in claims]
    return [
        Judged(claim, Measured("not judged", "the rows are not there"), True)
        if measured is None
        else judged_as(claim, measured)
        for claim, measured in found
    ]


def judged_as(claim: Claim, measured: Measured) -> Judged:
    """Beside the record: a sampled claim agrees if the recorded value lies in the 99 % interval of a difference of two
    samples, an exact one if the verdict is the same."""
    verdict, value = claim.recorded
    if value is None or measured.low is None:
        return Judged(claim, measured, verdict == measured.verdict)
    # Both numbers are samples: their difference has the variance of both, so the interval is wider by the root of 2.
    middle = measured.value
    low, high = (middle + 2**0.5 * (end - middle) for end in (measured.low, measured.high))
    return Judged(claim, measured, bool(low <= value <= high))


def side(low: float, high: float, line: float = 1.0) -> Word:
    """`holds` when the whole interval lies above `line`, `does not hold` when it lies below, else `in part`.

    >>> side(1.2, 3.0), side(0.8, 1.3), side(0.1, 0.9)
    ('holds', 'in part', 'does not hold')
    """
    if low > line:
        return "holds"
    return "does not hold" if high < line else "in part"
