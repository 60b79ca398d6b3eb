"""The verdict: which mechanism holds, at what price, and until what breaks it. A pure function of the rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.recipes.compare.rows import CONDITIONS, YARDSTICKS
from quorate.recipes.compare.standing import Standing, read
from quorate.recipes.compare.wording import (
    ahead,
    amount,
    broken,
    capital,
    fraction,
    listed,
    places,
    price_in_words,
    serves,
    spoken,
    under,
)

FLOOR = "alone"


class Price(NamedTuple):
    """What the recommended mechanism costs, per agent and tick."""

    messages: float
    bytes: float
    reads: float


class Break(NamedTuple):
    """Where a mechanism falls below another: `than` is the other, `condition` the first in which it is shown.

    `loss` is the share of messages lost at which it falls below, between the levels run, 0 where it is so without loss;
    None for conditions other than loss.
    """

    mechanism: str
    than: str
    condition: str
    loss: float | None


class Verdict(NamedTuple):
    """`words`: the whole text; `sentences`: the same, one each, the first says it all.

    case: "best", "tie", "cheaper tie", "no difference", "hardly matters", "not told apart", "alone", "all below alone",
    "all fail", "none holds" or "one mechanism". recommended, price: None where nothing can be recommended. condition:
    the one in which mechanisms are ranked. ties: who serves as much as the best of those that hold up, by name.
    break_even: where mechanisms fall below alone or below the recommended one. fails: mechanism -> conditions in which
    it does not hold up. worst: the condition with the largest regret of the recommended one, where none holds up.
    """

    words: str
    sentences: tuple[str, ...]
    case: str
    recommended: str | None
    price: Price | None
    condition: str
    ties: tuple[str, ...]
    break_even: tuple[Break, ...]
    fails: dict[str, tuple[str, ...]]
    worst: str | None
    margin: float
    little: float
    floor: float

    def as_dict(self) -> dict[str, Any]:
        """The same in dicts, lists and plain values, as JSON wants it."""
        price = None if self.price is None else self.price._asdict()
        parts = {"price": price, "break_even": [point._asdict() for point in self.break_even]}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in (self._asdict() | parts).items()}


def verdict(
    rows: Sequence[Mapping[str, Any]],
    margin: float = 0.01,
    little: float = 0.03,
    floor: float = 0.05,
    yardsticks: Sequence[str] = YARDSTICKS,
) -> Verdict:
    """The answer that the rows give; their order does not matter.

    A mechanism is *worse* than another when its mean is lower by more than `margin`, the smallest difference that
    matters, and the interval of the difference excludes 0; else they *tie*. Intervals are those of the rows, against
    the best of the condition; for a pair a, b that does not include the best it is [a_low - b_high, a_high - b_low],
    which holds whenever those two do. With one seed there is no interval and `margin` alone decides.

    It *fails* under a condition when it is worse than `alone` there, or when it serves less than `floor` while another
    serves more. Recommended is, ranked under `described` (else `calm`, else the first condition there is): the
    cheapest, in messages, of those that tie with the best among the mechanisms that fail nowhere, alone included where
    it ties with them. When every mechanism but alone fails somewhere, it is the one with the least regret, the largest
    shortfall against the best over all conditions it ran under. When all serve within `little` of each other, the first
    sentence says that the mechanism hardly matters. `yardsticks` are never best nor recommended.

    rows: dicts with the columns of `Row`, as read back from JSON or CSV. Cost: O(rows^2).
    Errors: Refusal for no rows, missing columns, two rows of one mechanism and condition, numbers that are not finite.

    >>> row = dict(condition="described", bytes_per_agent_tick=8.0, served_se=0.001, reads_per_agent_tick=0.0)
    >>> auction = row | dict(mechanism="auction", served_mean=0.98, messages_per_agent_tick=0.5, seeds=20,
    ...                      difference_from_best=0.0, difference_low=0.0, difference_high=0.0)
    >>> claim = auction | dict(mechanism="claim", served_mean=0.9, difference_from_best=-0.08,
    ...                        difference_low=-0.085, difference_high=-0.075)
    >>> found = verdict([claim, auction])
    >>> found.recommended, found.sentences[0]
    ('auction', 'Auction serves the most: 0.980 [0.978, 0.982] of the value offered.')
    """
    table = read(rows, margin, little, floor, yardsticks)
    conditions = table.conditions(CONDITIONS)
    where = next((name for name in ("described", "calm") if name in conditions), conditions[0])
    ranked = table.ranked(where)
    fails = {name: found for name in table.mechanisms() if (found := _failures(table, name, conditions))}
    seen = _Seen(table, conditions, where, ranked, fails)
    case, recommended, ties, worst, first = _decided(seen)
    points = _break_even(seen, recommended)
    rest = _rest(seen, case, recommended, points)
    row = table.get(recommended, where) if recommended else None
    return Verdict(
        words=" ".join((first, *rest)),
        sentences=(first, *rest),
        case=case,
        recommended=recommended,
        price=Price(row.messages, row.bytes, row.reads) if row else None,
        condition=where,
        ties=tuple(sorted(ties)),
        break_even=points,
        fails=fails,
        worst=worst,
        margin=margin,
        little=little,
        floor=floor,
    )


class _Seen(NamedTuple):
    table: Standing
    conditions: list[str]
    where: str
    ranked: list[str]  # under `where`, best first, no yardsticks
    fails: dict[str, tuple[str, ...]]


def _failures(table: Standing, name: str, conditions: list[str]) -> tuple[str, ...]:
    if name == FLOOR:
        return ()
    found = []
    for condition in conditions:
        row = table.get(name, condition)
        if row and (table.worse(name, FLOOR, condition) or row.served < table.floor <= table.best(condition).served):
            found.append(condition)
    return tuple(found)


def _decided(seen: _Seen) -> tuple[str, str | None, list[str], str | None, str]:
    """case, recommended, ties, worst condition, first sentence."""
    table, where, ranked, fails = seen.table, seen.where, seen.ranked, seen.fails
    best = table.get(ranked[0], where)
    served = serves(best)
    if len(ranked) == 1:
        name = ranked[0]
        return "one mechanism", None, [name], None, f"{capital(name)} serves {served}, and nothing stands beside it."
    if best.served < table.floor:
        text = f"Nothing holds {under(where)}: the best, {spoken(best.name)}, serves {served}."
        return "all fail", None, [], None, text
    others = [name for name in ranked if name != FLOOR]
    if FLOOR in ranked and all(table.worse(name, FLOOR, where) for name in others):
        text = f"Coordination does not pay: alone serves {served}, more than any mechanism {under(where)}."
        return "all below alone", FLOOR, [FLOOR], None, text
    holding = [name for name in others if name not in fails]
    if not holding:
        return _least_regret(seen)
    ties = [name for name in holding if not table.worse(name, holding[0], where)]
    if FLOOR in ranked and not table.worse(FLOOR, holding[0], where):
        ties.append(FLOOR)
    recommended = min(ties, key=lambda name: table.cost(name, where))
    chosen = table.get(recommended, where)
    spread, bound = table.spread(where), table.detectable(where)
    if not any(table.worse(name, ranked[0], where) for name in ranked):
        shown = table.detected(where)
        if bound is None:
            text = f"One draw tells no two mechanisms apart: all serve within {amount(-spread.middle)} of each other."
            return "not told apart", recommended, ties, None, text
        what = "No difference that matters is shown" if shown else "No difference detected"
        if bound > table.little:
            text = f"{what} (±{amount(bound)}): {chosen.seeds} draws cannot tell the mechanisms apart."
            return "not told apart", recommended, ties, None, text
        if not shown:
            text = f"{what} (±{amount(bound)}): the mechanism hardly matters {under(where, here=True)}."
            return "no difference", recommended, ties, None, text
    if -spread.middle <= table.little:
        text = f"The mechanism hardly matters {under(where, here=True)}: best and last differ by {ahead(spread)}."
        return "hardly matters", recommended, ties, None, text
    if recommended == FLOOR and not table.worse(FLOOR, ranked[0], where):
        here = under(where, here=True)
        text = f"Coordination does not pay {here}: alone serves {serves(chosen)}, as much as the best."
        return "alone", FLOOR, ties, None, text
    return _named(seen, recommended, ties)


def _named(seen: _Seen, recommended: str, ties: list[str]) -> tuple[str, str, list[str], None, str]:
    """One mechanism ahead, or several that tie."""
    table, where = seen.table, seen.where
    chosen = table.get(recommended, where)
    if len(ties) == 1:
        if recommended == seen.ranked[0]:
            return "best", recommended, ties, None, f"{capital(recommended)} serves the most: {serves(chosen)}."
        text = f"{capital(recommended)} serves the most of those that hold up: {serves(chosen)}."
        return "best", recommended, ties, None, text
    dearer = min((name for name in ties if name != recommended), key=lambda name: table.cost(name, where))
    share = fraction(chosen.messages, table.get(dearer, where).messages)
    rest = listed([spoken(name) for name in sorted(ties) if name != recommended])
    if share is None:
        return "tie", recommended, ties, None, f"{capital(recommended)} ties with {rest}: it serves {serves(chosen)}."
    of = f" of {spoken(dearer)}" if len(ties) > 2 else ""
    text = f"{capital(recommended)} ties with {rest} for {share}{of}: it serves {serves(chosen)}."
    return "cheaper tie", recommended, ties, None, text


def _least_regret(seen: _Seen) -> tuple[str, str, list[str], str, str]:
    """Every mechanism but alone fails somewhere: the one that loses least against the best, wherever it loses most."""
    table = seen.table
    worst = {name: table.regret(name, seen.conditions) for name in seen.ranked}
    recommended = min(worst, key=lambda name: (worst[name][0], table.cost(name, seen.where)))
    loses, condition = worst[recommended]
    if loses <= 0:
        text = f"No mechanism holds up everywhere, and {spoken(recommended)} is nowhere behind the best."
        return "none holds", recommended, [recommended], condition, text
    most = ahead(table.against(recommended, table.best(condition).name, condition))
    text = f"No mechanism holds up everywhere: {spoken(recommended)} loses least, at most {most}, {under(condition)}."
    return "none holds", recommended, [recommended], condition, text


def _break_even(seen: _Seen, recommended: str | None) -> tuple[Break, ...]:
    """For each mechanism the loss from which it is worse than alone and than the recommended one, and the other
    conditions in which it is worse than alone."""
    table, points = seen.table, []
    for name in table.mechanisms():
        for than in dict.fromkeys((FLOOR, recommended)):
            if than is None or name == than:
                continue
            level = table.falls(name, than)
            if level is not None:
                points.append(Break(name, than, *level))
        others = [c for c in seen.conditions if c != "calm" and not c.startswith("loss_")]
        points += [Break(name, FLOOR, c, None) for c in others if name != FLOOR and table.worse(name, FLOOR, c)]
    return tuple(points)


def _rest(seen: _Seen, case: str, recommended: str | None, points: tuple[Break, ...]) -> list[str]:
    """At most three further sentences: the price, what limits the answer, and who breaks where."""
    table, where = seen.table, seen.where
    sentences = []
    if recommended is not None:
        sentences.append(price_in_words(table.get(recommended, where), case in _NAMELESS))
    sentences += _limits(seen, case, recommended, points)[:1]
    first = recommended if case == "none holds" else None
    # Where nothing beats alone, or the best has just been said to break, that is not said twice.
    left = {
        name: found
        for name, found in seen.fails.items()
        if case != "all below alone" and not any(text.startswith(f"{capital(name)} serves") for text in sentences)
    }
    failing = broken(left, points, first)
    return sentences + ([failing] if failing else [])


_NAMELESS = ("no difference", "hardly matters", "not told apart")  # their first sentence recommends nobody


def _limits(seen: _Seen, case: str, recommended: str | None, points: tuple[Break, ...]) -> list[str]:
    """What a reader must know before believing the first sentence, the gravest first."""
    table, where, ranked = seen.table, seen.where, seen.ranked
    found = []
    if any(table.get(name, where).seeds == 1 for name in ranked) and case != "not told apart":
        found.append("One draw gives no interval, so small differences may be chance.")
    if FLOOR not in ranked and case != "one mechanism":
        found.append("Alone was not run, so there is no floor to hold up against.")
    if recommended is None:
        return found
    absent = [c for c in seen.conditions if table.get(recommended, c) is None]
    if absent:
        found.append(f"{capital(recommended)} was not run {listed([under(c) for c in absent], 'nor')}.")
    if recommended != ranked[0] and case != "none holds" and table.worse(recommended, ranked[0], where):
        better = table.get(ranked[0], where)
        broken_at = places(better.name, seen.fails[better.name], points)  # else it would be recommended
        found.append(f"{capital(better.name)} serves {amount(better.served)} but fails {broken_at}.")
    if case in (*_NAMELESS, "alone", "all below alone"):
        # Here the choice was made by price; elsewhere coordination may still be worth it.
        behind = [(table.regret(recommended, [c]), c) for c in seen.conditions if c != where]
        behind = [(loses, c) for (loses, _), c in behind if table.worse(recommended, table.best(c).name, c)]
        if behind:
            _, condition = max(behind, key=lambda pair: (pair[0], -seen.conditions.index(pair[1])))
            best, own = table.best(condition), table.get(recommended, condition)
            text = f"It matters {under(condition)}: {spoken(best.name)} serves {amount(best.served)}"
            found.append(f"{text}, {spoken(recommended)} {amount(own.served)}.")
    return found
