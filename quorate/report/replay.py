"""The replay of a run: frames packed into the page as text, unpacked and drawn there on a canvas (replay.js)."""

import base64
import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from quorate.report.frames import ROLES, SMALL, TASKS, Replay, checked_replay, replay_colours
from quorate.report.numbers import integer
from quorate.report.palette import text_file
from quorate.report.words import clean, embedded, escape

__all__ = ["BUDGET", "ROLES", "SMALL", "TASKS", "Pair", "Player", "Replay", "player", "replay", "square"]

BUDGET = 8_000_000  # bytes of all replays of a page, as text
FINE = 5000  # up to so many agents lie on 4096 cells a side, more on 256
MOST_FRAMES = 300
LEAST_FRAMES = 12  # agents are left out only when no more frames were
MOST_STAGES, MOST_SCENES = 4, 4
COVER = 1 / 8  # of the picture that the squares of one task state may cover
SQUARES = (5, 3)  # px, sides of the squares of tasks, where agents are dots
SHADE = 12  # px, side of a shaded cell
HELD, ACTIVE, DONE = (TASKS.index(word) for word in ("held", "active", "done"))
WIDTH, KEY, GAP, HIGHEST = 1080, 244, 28, 680  # px, as in page.css, replay.css and replay.js


class Pair(NamedTuple):
    """Two to four replays side by side under one control, for example two mechanisms under the same crash. They have
    the same number of frames, `every`, `start` and `words`; agents keep their numbers from one to the next."""

    name: str
    note: str
    replays: Sequence[Replay]


class _Layers(NamedTuple):
    """How the tasks of a scene are drawn where agents are dots: by state the side of its squares (0: shades), the
    states that are off at first, and of the shaded ones the grid, by state the tasks in the fullest cell, by replay
    counts [F, S, C], and the most tasks in a frame."""

    squares: list[int]
    off: list[int]
    shaded: list[int]
    grid: tuple[int, int]
    fullest: list[int]
    counts: list[np.ndarray | None]
    most: int


class Player(NamedTuple):
    """What `player` makes: `markup` stands in the page, `data` (scripts that hold text) near its end."""

    markup: str
    data: str


def player(scenes: Sequence[Replay | Pair], budget: int = BUDGET) -> Player:
    """The player of a page with one to four scenes to choose from; each is a replay or a pair.

    budget   bytes that heads and streams may take together, split evenly among the scenes

    A scene that takes more keeps fewer frames first (at least 12), then a fixed sample of its agents; its note says so.
    Counts of agents and tasks are always those of the whole run. Claims and messages are drawn for up to 400 agents;
    more agents are dots, under them tasks are squares, and a state with too many for that (`square`) is off until
    asked for and then a shade by cell, of which only counts are stored.

    A stream is deflated (raw) and written in base64. It holds, each number as bytes in planes of their own, low first:

        who       uint32[n]              the numbers of the agents, where sorted or a sample (`numbered`)
        places    uint16[M], uint16[M]   x, y in cells; without those whose task is shaded whenever it is there
        frames    x, y of the agents in cells, as a difference modulo 256 (or 65536), in frame 0 to the agent before,
                  later to the same agent in the frame before; status; heading + 1 as uint16; task states;
                  then tasks by cell, uint32[C] for each state of `shaded`; the last four XOR the frame before
        messages  uint16[K], uint16[K]   who sends, who receives; place j is number N + j

    Raises ValueError for replays that do not fit together or cannot be made to fit into the budget.

    >>> walk = Replay("walk", "Two agents.", [("free", "idle")], [[0, 0], [0, 0]], [[[0, 1], [0, 1]]] * 2)
    >>> 'id="replay-0-0"' in player([walk]).data
    True
    """
    if not 1 <= len(scenes) <= MOST_SCENES:
        raise ValueError(f"a page shows 1 to {MOST_SCENES} replays or pairs; found {len(scenes)}")
    heads, streams = [], []
    for k, scene in enumerate(scenes):
        group = scene.replays if isinstance(scene, Pair) else [scene]
        stages, data, told = _fitted([checked_replay(item) for item in _matching(scene, group)], budget // len(scenes))
        for j, (stage, stream) in enumerate(zip(stages, data, strict=True)):
            stage["id"] = f"replay-{k}-{j}"
            streams.append(f'<script type="text/plain" id="{stage["id"]}">{stream}</script>')
        notes = [scene.note, *(item.note for item in group if isinstance(scene, Pair)), *told]
        heads.append({"name": clean(scene.name), "note": " ".join(filter(None, map(clean, notes))), "stages": stages})
    choice = ""
    if len(scenes) > 1:
        names = "".join(f'<option value="{k}">{escape(scene.name)}</option>' for k, scene in enumerate(scenes))
        choice = f'<label><span class="vh">Which replay</span><select id="replay-scene">{names}</select></label>'
    speeds = "".join(
        f'<option value="{value}"{" selected" if value == 1 else ""}>{word}</option>'
        for value, word in ((0.5, "½×"), (1, "1×"), (2, "2×"), (4, "4×"))
    )
    markup = (
        f'<p id="replay-note">{escape(heads[0]["note"])}</p><div class="rp" id="replay-player" tabindex="0" '
        'role="group" aria-label="Replay. Space plays, arrow keys step, Escape lets go.">'
        '<div class="view"><div class="stages" id="replay-stages"><noscript>A replay needs scripts.</noscript></div>'
        '<div class="ctl"><button id="replay-play" type="button">▶ Play</button>'
        '<span class="steps"><button id="replay-back" type="button" aria-label="One frame back">‹</button>'
        '<button id="replay-on" type="button" aria-label="One frame on">›</button></span>'
        '<input id="replay-seek" type="range" min="0" max="1" value="0" aria-label="Frame"/>'
        '<output id="replay-tick"></output>'
        f'<label><span class="vh">Speed</span><select id="replay-speed">{speeds}</select></label>{choice}</div></div>'
        '<div class="who" id="replay-who"></div></div>'
    )
    head = f'<script type="application/json" id="replay-heads">{embedded(heads)}</script>'
    return Player(markup, f"{head}{''.join(streams)}")


def square(count: int, canvas: float) -> int:
    """The side in px of the squares that mark `count` tasks of a state on a picture of `canvas` px^2, under agents that
    are dots: the larger of 5 and 3 with count side^2 <= canvas / 8. 0: too many, they are shades of cells.

    >>> square(1000, 526 * 526), square(3000, 526 * 526), square(4000, 526 * 526), square(4000, 680 * 680)
    (5, 3, 0, 3)
    """
    return next((side for side in SQUARES if count * side**2 <= COVER * canvas), 0)


def replay(scene: Replay | Pair) -> str:
    """One replay as HTML with its data, style and script; the colours of a page (`palette.variables`) must be there.

    >>> walk = Replay("walk", "Two agents.", [("free", "idle")], [[0, 0], [0, 0]], [[[0, 1], [0, 1]]] * 2)
    >>> html = replay(walk)
    >>> html.count("<script"), "http" in html
    (3, False)
    """
    markup, data = player([scene])
    return f"<style>{replay_style()}</style>{markup}{data}<script>{text_file('replay.js')}</script>"


def replay_style() -> str:
    """The style of the player, with the colours of the roles for both themes."""
    return replay_colours() + text_file("replay.css")


def _matching(scene: Replay | Pair, group: Sequence[Replay]) -> Sequence[Replay]:
    """The replays of a scene, once they can share one control."""
    if not isinstance(scene, Pair):
        return group
    if not 2 <= len(group) <= MOST_STAGES:
        raise ValueError(f'pair "{scene.name}" has {len(group)} replays; 2 to {MOST_STAGES} stand side by side')
    for item in group[1:]:
        for part in ("every", "start"):
            if getattr(item, part) != getattr(group[0], part):
                raise ValueError(f'pair "{scene.name}": "{item.name}" has another {part} than "{group[0].name}"')
        if list(item.words) != list(group[0].words):
            raise ValueError(f'pair "{scene.name}": "{item.name}" has other words for its status than the first')
        if len(item.status) != len(group[0].status):
            raise ValueError(
                f'pair "{scene.name}": "{item.name}" has {len(item.status)} frames, "{group[0].name}" has '
                f"{len(group[0].status)}"
            )
    return group


def _fitted(group: list[Replay], budget: int) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """(heads, streams, sentences that say what was left out) of the replays of one scene."""
    frames, layers = len(group[0].status), _layers(group)
    stride, share = math.ceil(frames / MOST_FRAMES), 1.0
    while True:
        packed = [_packed(item, stride, share, layers, part) for item, part in zip(group, layers.counts, strict=True)]
        size = sum(len(embedded(head).encode()) + len(stream) for head, stream in packed)
        if size <= budget:
            break
        longest = math.ceil(frames / LEAST_FRAMES)
        if stride < longest:
            stride = min(longest, max(stride + 1, math.floor(stride * size / budget)))
        elif any(head["shown"] > 1 and not head["lattice"] and head["agents"] > SMALL for head, _ in packed):
            share *= 0.97 * budget / size
        else:
            raise ValueError(
                f'replay "{group[0].name}" takes {size} bytes with {packed[0][0]["frames"]} frames, the budget is '
                f"{budget}; give fewer places or messages"
            )
    told = []
    if stride > 1:
        told.append(f"To save room one frame in {stride} is kept, one every {integer(stride * group[0].every)} ticks.")
    elif group[0].every > 1:
        told.append(f"There is a frame every {integer(group[0].every)} ticks.")
    for item, (head, _) in zip(group, packed, strict=True):
        if head["shown"] < head["agents"]:
            told.append(f"{integer(head['shown'])} of {integer(head['agents'])} agents are drawn, a fixed sample.")
        elif head["shaded"]:
            told.append(f"All {integer(head['agents'])} agents are drawn, a dot each.")
        if head["agents"] > SMALL and (item.heading is not None or item.messages is not None):
            told.append(f"Claims and messages are drawn for up to {SMALL} agents.")
    if layers.shaded:
        words = [TASKS[k] for k in layers.shaded]
        named = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        named = "Tasks" if len(words) == len(TASKS) - 1 else f"{named.capitalize()} tasks"
        told.append(
            f"{named}, up to {integer(layers.most)} at a time, would hide the agents as squares: they are off at "
            "first; pressed in the key, they shade the ground."
        )
    return [head for head, _ in packed], [stream for _, stream in packed], list(dict.fromkeys(told))


def _layers(group: Sequence[Replay]) -> _Layers:
    """The layers of tasks, the same for all of a scene: from the most of each state in any frame and the picture."""
    none, crowds = [None] * len(group), [item for item in group if _crowd(item)]
    if not crowds:
        return _Layers([], [], [], (0, 0), [], none, 0)
    wide, high = min((_picture(item.aspect, len(group)) for item in crowds), key=math.prod)
    totals = [np.stack([np.bincount(row, minlength=len(TASKS)) for row in item.tasks]) for item in crowds]
    most = np.concatenate(totals).max(0)
    squares = [0] + [square(int(count), wide * high) for count in most[1:]]
    shaded = [k for k in range(1, len(TASKS)) if not squares[k]]
    # agents show by their own colour what is held and active
    off = sorted({HELD, ACTIVE, DONE, *shaded})
    if not shaded:
        return _Layers(squares, off, [], (0, 0), [], none, 0)
    grid = math.ceil(wide / SHADE), math.ceil(high / SHADE)
    counts = [_shades(item, shaded, grid) if _crowd(item) else None for item in group]
    fullest = [max(int(part[:, k].max()) for part in counts if part is not None) for k in range(len(shaded))]
    return _Layers(squares, off, shaded, grid, fullest, counts, int(np.concatenate(totals)[:, shaded].sum(1).max()))


def _picture(aspect: float, stages: int) -> tuple[float, float]:
    """Width and height in px of each of so many replays side by side, on a wide screen."""
    wide = min(HIGHEST * aspect, WIDTH - KEY - GAP if stages == 1 else (WIDTH - GAP) / 2)
    return wide, wide / aspect


def _crowd(item: Replay) -> bool:
    """Whether tasks are drawn under agents that are dots."""
    return item.tasks is not None and item.status.shape[1] > SMALL


def _shades(item: Replay, shaded: Sequence[int], grid: tuple[int, int]) -> np.ndarray:
    """How many tasks of each shaded state lie in each cell, row by row from below, [F, S, C]."""
    columns, rows = (_cells(item.places[axis], item.bounds[axis], grid[axis]) for axis in (0, 1))
    size = grid[0] * grid[1]
    where = rows * grid[0] + columns
    every = [np.bincount(row.astype(np.int64) * size + where, minlength=len(TASKS) * size) for row in item.tasks]
    return np.stack(every).reshape(len(every), len(TASKS), size)[:, shaded]


def _planes(values: np.ndarray, size: int) -> list[np.ndarray]:
    """Whole numbers as `size` arrays of bytes, low first."""
    return [(values.astype(np.uint32) >> 8 * k).astype(np.uint8) for k in range(size)]


def _over_time(values: np.ndarray) -> np.ndarray:
    """Each frame XOR the one before."""
    changed = values.copy()
    changed[1:] ^= values[:-1]
    return changed


def _cells(values: np.ndarray, limits: tuple[float, float], cells: int) -> np.ndarray:
    low, high = limits
    return np.clip((values.astype(np.float64) - low) / (high - low) * cells, 0, cells - 1).astype(np.int64)


def _order(x: np.ndarray, y: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Agents by the history of their status, then along a curve that keeps neighbours together (Morton's)."""
    code = np.zeros(x.shape[1], np.int64)
    for bit in range(12):
        code |= ((x[0] >> bit & 1) << 2 * bit) | ((y[0] >> bit & 1) << 2 * bit + 1)
    some = status[:: math.ceil(len(status) / 16)]
    return np.lexsort((code, *some[::-1]))


def _packed(
    item: Replay, stride: int, share: float, layers: _Layers, shades: np.ndarray | None
) -> tuple[dict[str, Any], str]:
    """(head, stream) with every `stride`-th frame and a `share` of the agents; of a lattice or of few all are kept."""
    status = item.status[::stride]
    frames, agents = status.shape
    lattice, small = item.positions is None, agents <= SMALL
    who = np.arange(agents)
    if share < 1 and not lattice and not small:
        count = max(1, int(share * agents))
        who = np.sort(np.random.default_rng(0).permutation(agents)[:count])  # the same agents in each of a pair
    shown = status[:, who]
    size = 2 if who.size <= FINE else 1
    cells = 4096 if size == 2 else 256
    head: dict[str, Any] = {
        "name": clean(item.name),
        "agents": agents,
        "shown": int(who.size),
        "frames": frames,
        "every": item.every * stride,
        "start": item.start,
        "poster": min(frames - 1, round(item.poster / stride)),
        "status": [[clean(word), role] for word, role in item.words],
        "counts": [np.bincount(row, minlength=len(item.words)).tolist() for row in status],
        "captions": [clean(text) for text in item.captions[::stride]],
        "marks": [[tick, clean(text)] for tick, text in item.marks],
        "bytes": size,
        "cells": cells,
        "aspect": round(item.aspect, 4),
        "lattice": item.columns,
        "places": 0,
        "tasks": [],
        "squares": layers.squares,
        "off": layers.off,
        "shaded": [] if shades is None else layers.shaded,
        "grid": layers.grid,
        "fullest": layers.fullest,
        "links": small and item.heading is not None,
        "messages": [],
        "numbered": False,
    }
    before: list[np.ndarray] = []
    planes = [_over_time(shown)]
    if head["links"]:
        planes += _planes(_over_time((item.heading[::stride] + 1).astype(np.uint16)), 2)
    if item.tasks is not None:
        tasks, places = item.tasks[::stride], item.places
        head["tasks"] = [np.bincount(row, minlength=len(TASKS)).tolist() for row in tasks]
        if shades is not None:
            tasks = np.where(np.isin(tasks, layers.shaded), 0, tasks).astype(np.uint8)
            squared = tasks.any(0)
            tasks, places = tasks[:, squared], places[:, squared]
        head["places"] = places.shape[1]
        for axis in (0, 1):
            before += _planes(_cells(places[axis], item.bounds[axis], cells), 2)
        planes.append(_over_time(tasks))
    if shades is not None:
        planes += _planes(_over_time(shades[::stride].reshape(frames, -1).astype(np.uint32)), 4)
    after: list[np.ndarray] = []
    if small and item.messages is not None:
        pairs = item.messages[::stride]
        head["messages"] = [len(rows) for rows in pairs]
        both = np.concatenate(pairs)
        after = [*_planes(both[:, 0], 2), *_planes(both[:, 1], 2)]

    def stream(kept: np.ndarray | None, order: np.ndarray | None) -> str:
        numbers = [] if kept is None else _planes(kept, 4)
        moved = []
        for axis in () if lattice else (x, y):
            along = axis if order is None else axis[:, order]
            first = np.diff(along[:1], axis=1, prepend=0)
            change = np.concatenate([first, np.diff(along, axis=0)])
            moved += _planes(change % 256**size, size)
        rest = planes if order is None else [planes[0][:, order], *planes[1:]]
        body = np.concatenate([*moved, *rest], axis=1)
        whole = b"".join(part.tobytes() for part in (*numbers, *before, body, *after))
        squeezed = zlib.compressobj(7, zlib.DEFLATED, -15)  # 9 is three times slower for 2 per cent
        return base64.b64encode(squeezed.compress(whole) + squeezed.flush()).decode()

    if lattice:
        return head, stream(None, None)
    x, y = (_cells(item.positions[::stride, axis][:, who], item.bounds[axis], cells) for axis in (0, 1))
    sampled = who.size < agents
    plain = stream(who if sampled else None, None)
    head["numbered"] = sampled
    if small:
        return head, plain
    order = _order(x, y, shown)
    by_history = stream(who[order], order)
    if len(by_history) >= len(plain):
        return head, plain
    return head | {"numbered": True}, by_history
