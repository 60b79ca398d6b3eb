"""What a replay shows: frames of a run as arrays, checked before they are packed, and the colours of its roles."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SMALL = 400  # up to so many agents are drawn as marks, with claims and messages; more are pixels
TASKS = ("absent", "open", "held", "active", "done", "expired")
ROLES = ("idle", "a", "b", "fooled", "crashed", "harm", "away")  # harm: attackers, 3 pixels; away: not drawn
_LIGHT = {"canvas": "#ffffff", "idle": "#c6ccd4", "a": "#0a56e3", "b": "#0f9d8a", "fooled": "#f0a07f"}
_DARK = {"canvas": "#0b0e12", "idle": "#4a535f", "a": "#5b92ff", "b": "#3fd0b8", "fooled": "#9a5138"}
COLOURS = {"light": _LIGHT | {"crashed": "#3a4048"}, "dark": _DARK | {"crashed": "#efe9c4"}}
WIDEST, NARROWEST = 2.4, 0.7  # a picture's width for a height of 1; beyond, the room around is larger
MARGIN = 0.03  # of the span, around the picture


class Replay(NamedTuple):
    """F frames of N agents, and if there are, of M places with tasks.

    name, note   a name of two or three words; a sentence or two on what is to be seen
    words        status code -> (word, role); roles are idle, a, b, fooled, crashed, harm and away (not drawn)
    status       uint8[F, N], codes of `words`
    positions    float32[F, 2, N]; None: agents do not move and stand row by row on a lattice with `columns` columns
    places       float32[2, M], where the tasks are
    tasks        uint8[F, M], codes of `TASKS`: absent, open, held, active, done, expired
    heading      int32[F, N], the place that an agent heads for, or -1; drawn as a line for up to 400 agents
    messages     by frame int[K, 2], who sends and who receives; number N + j is place j; for up to 400 agents
    captions     by frame a few words, such as what has been served so far
    every, start ticks from frame to frame, and the tick of the first
    poster       the frame that is shown first and printed; None: at 60 % of the run
    bounds       ((least x, largest x), (least y, largest y)); None: what holds all positions and places
    marks        (tick, words) on the time line, such as when agents crash
    """

    name: str
    note: str
    words: Sequence[tuple[str, str]]
    status: Any
    positions: Any = None
    columns: int = 0
    places: Any = None
    tasks: Any = None
    heading: Any = None
    messages: Sequence[Any] | None = None
    captions: Sequence[str] = ()
    every: int = 1
    start: int = 0
    poster: int | None = None
    bounds: Any = None
    marks: Sequence[tuple[int, str]] = ()

    @property
    def aspect(self) -> float:
        """Width of the picture for a height of 1, once checked."""
        if self.positions is None:
            return self.columns / math.ceil(len(self.status[0]) / self.columns)
        wide, high = (upper - lower for lower, upper in self.bounds)
        return wide / high


def checked_replay(replay: Replay) -> Replay:
    """The replay as arrays with bounds and poster filled in, or ValueError that names what does not fit.

    >>> walk = checked_replay(Replay("walk", "", [("free", "idle")], [[0, 0]], [[[0, 4], [1, 3]]]))
    >>> walk.aspect, walk.poster
    (2.0, 0)
    """
    what = f'replay "{replay.name}"'
    status = _codes(replay.status, f"{what}: status", len(replay.words))
    frames, agents = status.shape
    roles = [role for _, role in replay.words]
    if not set(roles) <= set(ROLES):
        raise ValueError(f"{what} has the roles {', '.join(roles)}; roles are {', '.join(ROLES)}")
    if replay.every < 1:
        raise ValueError(f"{what} has a frame every {replay.every} ticks; at least 1")
    if len(replay.captions) not in (0, frames):
        raise ValueError(f"{what} has {len(replay.captions)} captions for {frames} frames")
    poster = round(0.6 * (frames - 1)) if replay.poster is None else replay.poster
    if not 0 <= poster < frames:
        raise ValueError(f"{what} has the poster frame {poster}; frames are 0 to {frames - 1}")
    last = replay.start + replay.every * (frames - 1)
    for tick, word in replay.marks:
        if not replay.start <= tick <= last:
            raise ValueError(f'{what} has "{word}" at tick {tick}; ticks are {replay.start} to {last}')
    found: dict[str, Any] = {"status": status, "poster": poster}
    if (replay.positions is None) == (replay.columns == 0):
        raise ValueError(f"{what} needs either positions or the columns of a lattice")
    if replay.positions is None and any(part is not None for part in (replay.places, replay.heading, replay.messages)):
        raise ValueError(f"{what} is a lattice; places, claims and messages need positions")
    places = 0
    if replay.positions is not None:
        found["positions"] = _points(replay.positions, (frames, 2, agents), f"{what}: positions")
        if replay.places is not None:
            places = np.shape(replay.places)[-1]
            found["places"] = _points(replay.places, (2, places), f"{what}: places")
        found["bounds"] = _bounds(replay.bounds, [found["positions"], found.get("places")], what)
    if agents + places >= 65_536 and agents <= SMALL:
        raise ValueError(f"{what} has {places} places; with up to {SMALL} agents at most {65_535 - agents}")
    if (replay.tasks is None) != (places == 0):
        raise ValueError(f"{what} has {places} places and {'no' if replay.tasks is None else 'some'} task states")
    if replay.tasks is not None:
        found["tasks"] = _codes(replay.tasks, f"{what}: tasks", len(TASKS), (frames, places))
    if replay.heading is not None:
        heading = np.asarray(replay.heading)
        if heading.shape != (frames, agents) or ((heading < -1) | (heading >= places)).any():
            raise ValueError(f"{what}: heading is a place from 0 to {places - 1} or -1, for {frames} x {agents} agents")
        found["heading"] = heading.astype(np.int32)
    if replay.messages is not None:
        pairs = [np.asarray(rows, np.int64).reshape(-1, 2) for rows in replay.messages]
        if len(pairs) != frames:
            raise ValueError(f"{what} has messages of {len(pairs)} frames, there are {frames}")
        every = np.concatenate(pairs)
        if ((every < 0) | (every >= agents + places)).any():
            raise ValueError(f"{what}: messages go between numbers 0 to {agents + places - 1}")
        found["messages"] = pairs
    return replay._replace(**found)


def _codes(values: Any, what: str, count: int, shape: tuple[int, int] | None = None) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 2 or not array.size or (shape is not None and array.shape != shape):
        raise ValueError(f"{what} has the shape {array.shape}; {shape or '(frames, agents)'} is needed")
    if (array < 0).any() or (array >= count).any():
        raise ValueError(f"{what} goes from {array.min()} to {array.max()}; codes are 0 to {count - 1}")
    return array.astype(np.uint8)


def _points(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if array.shape != shape:
        raise ValueError(f"{what} have the shape {array.shape}; {shape} is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} hold what is not finite")
    return array


def _bounds(given: Any, points: Sequence[np.ndarray | None], what: str) -> tuple[tuple[float, float], ...]:
    """Limits of both axes with a margin, to one scale, wide enough for a picture that is neither strip nor tower."""
    limits = []
    for axis in (0, 1):
        parts = [part[..., axis, :] for part in points if part is not None and part.size]
        low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
        if given is not None:
            (least, most), (low, high) = (low, high), (float(end) for end in given[axis])
            if not low <= least <= most <= high:
                raise ValueError(f"{what}: bounds {low:g} to {high:g} do not hold {least:g} to {most:g}")
        limits.append((low, high))
    spans = [high - low for low, high in limits]
    spans = [1.0, 1.0] if max(spans) == 0 else spans
    wide = max(spans[0], NARROWEST * spans[1]) * (1 + 2 * MARGIN)
    high = max(spans[1], spans[0] / WIDEST) * (1 + 2 * MARGIN)
    middles = [(low + high) / 2 for low, high in limits]
    return tuple((middle - span / 2, middle + span / 2) for middle, span in zip(middles, (wide, high), strict=True))


def replay_colours() -> str:
    """The colours of the roles as CSS variables, by theme as in `palette.variables`; print is light."""
    light, dark = ("".join(f"--{role}:{colour};" for role, colour in COLOURS[theme].items()) for theme in COLOURS)
    return (
        f":root{{{light}}}\n"
        f'@media screen and (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{dark}}}}}\n'
        f'@media screen{{:root[data-theme="dark"]{{{dark}}}}}\n'
    )
