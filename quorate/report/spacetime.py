"""Space-time diagrams: who said what to whom, what each node counted, and how it ended."""

import textwrap
from collections.abc import Sequence
from typing import Literal, NamedTuple

from quorate.report.drawing import LETTER, box, grid, key, path, plain_id, px, words
from quorate.report.figure import MARKS, Figure
from quorate.report.words import clean, escape

HALF, WIDE = 520, 1080  # pixels
MOST_LANES = 9  # with every message drawn; above, those of one attacker only
LANES = 48  # at all
LEAST_STEP = {HALF: 70.0, WIDE: 60.0}  # pixels of a round
TOP = 62.0  # the first lane
LETTERS = 18  # of a name beside its lane; it is read out whole
NAMED = 6  # nodes named in one sentence, the others counted


class Lane(NamedTuple):
    """A node: its name, and whether it follows the protocol."""

    name: str
    kind: Literal["honest", "liar"]


class Says(NamedTuple):
    """A vote on its way; lanes by their place in `Play.lanes`."""

    sender: int
    receiver: int
    yes: bool


class Count(NamedTuple):
    """What a node has counted at the end of a round, its own vote included, and whether that was enough."""

    lane: int
    votes: int
    needed: int
    enough: bool


class Round(NamedTuple):
    """One round; `last` is known to the reader, not to the attackers."""

    last: bool
    says: Sequence[Says | tuple[int, int, bool]]
    counts: Sequence[Count | tuple[int, int, int, bool]]


class Decision(NamedTuple):
    """What a node does in the end."""

    lane: int
    acts: bool


class Play(NamedTuple):
    """A run as it is told: nodes, rounds, decisions, and one sentence on how it ended."""

    lanes: Sequence[Lane | tuple[str, str]]
    rounds: Sequence[Round]
    decisions: Sequence[Decision | tuple[int, bool]]
    verdict: str
    bad: bool


def spacetime(id: str, title: str, play: Play, caption: str) -> Figure:
    """A run as a drawing: time runs right, one lane per node, attackers at the bottom.

    An honest yes is a thin blue line and an honest no is not drawn; an attacker's yes is solid, its no dashed, both in
    the colour of harm. A vote of a node for itself is counted, not drawn. At each arrival stands the count, struck out
    when it was too few. With more than 9 lanes the messages of one attacker are drawn and all counts: the attacker that
    splits its answers most evenly, for its messages show the attack best.

    The figure takes half the width of a page up to 4 rounds. Raises ValueError for lanes that do not exist, for an end
    that is not in the final round, and for more than 48 lanes or than a page has room for (about 14 rounds).

    >>> lanes = [Lane("node 1", "honest"), Lane("attacker", "liar")]
    >>> rounds = [Round(True, [Says(1, 0, True)], [Count(0, 2, 2, True)])]
    >>> figure = spacetime("alone", "One", Play(lanes, rounds, [Decision(0, True)], "it acts alone", True), "How.")
    >>> "attacker, round 1: says yes to node 1" in figure.svg, "✕ it acts alone" in figure.svg
    (True, True)
    """
    play = _checked(id, play)
    return _drawn(id, title, play, caption, _scale([play]))


def pair(id: str, broken: tuple[str, Play, str], safe: tuple[str, Play, str]) -> tuple[Figure, Figure]:
    """A broken run and its nearest safe run, (title, play, caption) each, drawn to one scale: the difference explains.

    With more than 9 lanes in one of them, both leave messages out. They stand side by side up to 4 rounds and one below
    the other otherwise; ids are `ID-broken` and `ID-safe`.
    """
    plays = [_checked(id, play) for _, play, _ in (broken, safe)]
    told = zip(("broken", "safe"), (broken, safe), plays, strict=True)
    first, second = (_drawn(f"{id}-{end}", item[0], play, item[2], _scale(plays)) for end, item, play in told)
    return first, second


class _Scale(NamedTuple):
    """The most rounds, lanes and letters of a name in figures that are compared."""

    rounds: int
    lanes: int
    letters: int


def _scale(plays: Sequence[Play]) -> _Scale:
    names = [_short(name) for play in plays for name, _ in play.lanes]
    return _Scale(max(len(p.rounds) for p in plays), max(len(p.lanes) for p in plays), max(map(len, names)))


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def _checked(id: str, play: Play) -> Play:
    """The play with its parts as named tuples, honest lanes first, once every lane is known to exist."""
    lanes = [Lane(clean(name), kind) for name, kind in play.lanes]
    where = f'play "{plain_id(id)}"'
    if not lanes or not play.rounds:
        raise ValueError(f"{where} has {len(lanes)} lanes and {len(play.rounds)} rounds; it needs one of each")
    if len(lanes) > LANES:
        raise ValueError(f"{where} has {len(lanes)} lanes; at most {LANES} fit on a page")
    for lane in lanes:
        if lane.kind not in ("honest", "liar"):
            raise ValueError(f'{where}: lane "{lane.name}" is of kind {lane.kind!r}; kinds are honest, liar')
    if any(one.last for one in play.rounds[:-1]):
        raise ValueError(f"{where}: the last round is not the final one")

    order = sorted(range(len(lanes)), key=lambda lane: lanes[lane].kind == "liar")
    place = {lane: k for k, lane in enumerate(order)}

    def moved(item, part: str):
        for field in ("lane", "sender", "receiver"):
            if hasattr(item, field) and getattr(item, field) not in place:
                raise ValueError(f"{where}, {part}: there is no lane {getattr(item, field)!r}; it has {len(lanes)}")
        return item._replace(**{f: place[getattr(item, f)] for f in ("lane", "sender", "receiver") if hasattr(item, f)})

    rounds = [
        Round(
            bool(one.last),
            [moved(Says(*item), f"round {r}") for item in one.says],
            [moved(Count(*item), f"round {r}") for item in one.counts],
        )
        for r, one in enumerate(play.rounds, start=1)
    ]
    decisions = [moved(Decision(*item), "decisions") for item in play.decisions]
    return Play([lanes[lane] for lane in order], rounds, decisions, clean(play.verdict), bool(play.bad))


def _shown(play: Play, most: int) -> set[int]:
    """The lanes whose messages are drawn where the fullest figure has `most` lanes."""
    if most <= MOST_LANES:
        return set(range(len(play.lanes)))
    answers = {lane: [0, 0] for lane, (_, kind) in enumerate(play.lanes) if kind == "liar"}
    for one in play.rounds:
        for sender, _, yes in one.says:
            if sender in answers:
                answers[sender][bool(yes)] += 1
    return {max(answers, key=lambda lane: (min(answers[lane]), sum(answers[lane])))} if answers else set()


def _drawn(id: str, title: str, play: Play, caption: str, scale: _Scale) -> Figure:
    lanes, shown, longest = play.lanes, _shown(play, scale.lanes), scale.rounds
    left, end = 22 + LETTER * scale.letters, 126.0  # where the rounds start; room for the decisions
    width = HALF if (HALF - left - end) / longest >= LEAST_STEP[HALF] else WIDE
    step = min((width - left - end) / longest, 200.0)
    if step < LEAST_STEP[width]:
        raise ValueError(
            f'play "{id}" has {longest} rounds; {int((width - left - end) / LEAST_STEP[width])} fit on a page'
        )
    gap = 40.0 if scale.lanes <= 5 else 32.0 if scale.lanes <= MOST_LANES else 26.0
    flight, finish = step - 34, left + step * longest + 46  # pixels a message travels; where decisions stand

    def at(lane: int) -> float:
        return TOP + gap * lane

    parts = []
    for lane, (name, kind) in enumerate(lanes):
        liar = " harm" if kind == "liar" else ""
        parts.append(path("lane", f"M{px(left, at(lane))}H{px(finish - 14)}"))
        parts.append(words(f"tick{liar}", left - 14, at(lane) + 4.5, _short(name), "end"))
    for r, one in enumerate(play.rounds):
        x = left + step * r
        parts.append(words("head", x - 4, 20, f"round {r + 1}" + (" · last" if one.last else "")))
        needed = sorted({count.needed for count in one.counts})
        if needed:
            span = str(needed[0]) if len(needed) == 1 else f"{needed[0]} to {needed[-1]}"
            parts.append(words("note", x - 4, 35, f"needs {span}"))
        # Lies lie above, a no above a yes.
        for sender, receiver, yes in sorted(
            one.says, key=lambda item: (lanes[item.sender].kind == "liar", not item.yes)
        ):
            liar = lanes[sender].kind == "liar"
            if sender in shown and sender != receiver and (liar or yes):
                kind = "harm yes" if liar and yes else "harm no" if liar else "s1"
                parts.append(path(f"msg {kind}", f"M{px(x, at(sender))}L{px(x + flight, at(receiver))}"))
    parts.append(words("head", finish - 6, 20, "decides"))
    parts += _stops(play, left, step, gap, flight, finish)

    low = at(len(lanes) - 1) + 38
    sign, kind = ("✕", "out harm") if play.bad else ("✓", "out ok")
    ended = textwrap.wrap(f"{sign} {play.verdict}", int((width - 16) / (1.15 * LETTER)))
    parts += [words(kind, 8, low + 20 * k, line) for k, line in enumerate(ended)]
    low += 20 * (len(ended) - 1)
    signs, low = key(_key(play, shown), 8, width - 8, low + 14)
    label = f"{title}. {len(play.rounds)} rounds. {play.verdict}"
    svg = grid("spacetime", width, low + 2, label, len(play.rounds) + 1, "".join(parts) + signs)
    return Figure(id, title, caption, svg, wide=width == WIDE)


def _stops(play: Play, left: float, step: float, gap: float, flight: float, finish: float) -> list[str]:
    """The marks of the nodes, their counts and decisions: what can be pointed at, lane by lane."""
    parts = []
    decisions = {item.lane: item.acts for item in play.decisions}
    for lane, (name, kind) in enumerate(play.lanes):
        y = TOP + gap * lane
        for r, one in enumerate(play.rounds):
            x = left + step * r
            said = [item for item in one.says if item.sender == lane]
            if kind == "liar":
                inner = path("mark harm", MARKS["harm"], f' transform="translate({px(x, y)}) scale(1.2)"')
            else:
                willing = "yes" if any(item.yes for item in said) else "no"
                inner = f'<circle class="node {willing}" cx="{px(x)}" cy="{px(y)}" r="5.5"/>'
            counted = [item for item in one.counts if item.lane == lane]
            inner += "".join(_count(item, x + flight + 5, y) for item in counted)
            told = f"{name}, round {r + 1}: {_told(play, said)}" + "".join(
                f"; counts {item.votes} of {item.needed} needed, {'enough' if item.enough else 'too few'}"
                for item in counted
            )
            parts.append(_stop(told, x - 11, y - gap / 2 + 2, step - 4, gap - 4, inner))
        inner, told = "", f"{name} is an attacker" if kind == "liar" else f"{name}: no decision"
        if lane in decisions:
            word = "acts" if decisions[lane] else "waits"
            inner = box(f"decision {word}", finish - 6, y - 6, 12, 12, ' rx="2"')
            inner += words("", finish + 14, y + 4.5, word)
            told = f"{name} {word}"
        parts.append(_stop(told, finish - 14, y - gap / 2 + 2, 86, gap - 4, inner))
    return parts


def _count(item: Count, x: float, y: float) -> str:
    """A count; the stroke through one that is too few is slanted, so that the digits stay readable."""
    if item.enough:
        return words("count", x, y + 4.5, item.votes)
    end = x + 7.4 * len(str(item.votes)) + 3
    return words("count low", x, y + 4.5, item.votes) + path("struck", f"M{px(x - 3, y + 4)}L{px(end, y - 4)}")


def _stop(told: str, x: float, y: float, width: float, height: float, inner: str) -> str:
    hit = box("hit", x, y, width, height, ' rx="3"')
    return f'<g class="stop" data-long="{escape(told)}">{hit}{inner}</g>'


def _told(play: Play, said: Sequence[Says]) -> str:
    """One node's messages of a round in words."""
    parts = []
    for word in ("yes", "no"):
        to = [play.lanes[item.receiver].name for item in said if item.yes == (word == "yes")]
        if to and len(to) == len(said) and len(said) > 1:
            return f"says {word} to all {len(to)}"
        if to:
            more = f" and {len(to) - NAMED} more" if len(to) > NAMED else ""
            parts.append(f"{word} to {', '.join(to[:NAMED])}{more}")
    return "says " + ", ".join(parts) if parts else "says nothing"


def _key(play: Play, shown: set[int]) -> list[tuple[str, float, str]]:
    """What the lines and numbers mean; the rule for many lanes, when it was used."""
    sent = [item for one in play.rounds for item in one.says if item.sender in shown and item.sender != item.receiver]
    lies = [item.yes for item in sent if play.lanes[item.sender].kind == "liar"]
    items = []
    for kind, text, used in (
        (
            "s1",
            "honest yes (no: not drawn)",
            any(item.yes for item in sent if play.lanes[item.sender].kind == "honest"),
        ),
        ("harm yes", "attacker yes", any(lies)),
        ("harm no", "attacker no", not all(lies)),
    ):
        if used:
            items.append((path(f"msg {kind}", "M0 0H28"), 28, text))
    liars = [lane for lane, (_, kind) in enumerate(play.lanes) if kind == "liar"]
    if not shown:
        items.append(("", 0, "messages are not drawn: too many nodes"))
    elif len(shown) < len(play.lanes):
        only = f"only the messages of {_short(play.lanes[min(shown)].name)} are drawn"
        if len(liars) > 1:
            alike = len({frozenset(_speech(play, lane)) for lane in liars}) == 1
            others = "the other says" if len(liars) == 2 else f"the other {len(liars) - 1} say"
            only += f"; {others} {'the same' if alike else 'other things'}"
        items.append(("", 0, only))
    if any(one.counts for one in play.rounds):
        items.append(("", 0, "numbers: yes votes a node counts, its own too; struck out when too few"))
    return items


def _speech(play: Play, lane: int) -> list[tuple[int, int, bool]]:
    """Everything a node says, to those who follow the protocol."""
    return [
        (r, receiver, bool(yes))
        for r, one in enumerate(play.rounds)
        for sender, receiver, yes in one.says
        if sender == lane and play.lanes[receiver].kind == "honest"
    ]
