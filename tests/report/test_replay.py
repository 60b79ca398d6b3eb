"""A replay holds every frame that it is given, within its budget, and says what it left out."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from quorate.report.frames import COLOURS, ROLES, SMALL, TASKS, replay_colours
from quorate.report.numbers import integer
from quorate.report.page import BUDGET as PAGE
from quorate.report.palette import DARK, LIGHT, text_file
from quorate.report.replay import (
    BUDGET,
    COVER,
    FINE,
    GAP,
    HIGHEST,
    KEY,
    LEAST_FRAMES,
    MOST_FRAMES,
    WIDTH,
    Pair,
    Replay,
    player,
    replay,
    square,
)
from tests.report.test_page import HOSTILE, Reader, made

WORDS = [("free", "idle"), ("on its way", "a"), ("serving", "b"), ("crashed", "crashed"), ("saboteur", "harm")]


def walk(agents, frames, seed=0, places=0, step=0.01, talks=False, **changes):
    """A fleet that walks at random and changes its status now and then."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, step, (frames, 2, agents))
    moves[0] = rng.random((2, agents))
    status = rng.integers(0, len(WORDS), (1, agents)).repeat(frames, 0)
    change = rng.random((frames, agents)) < 0.02
    status[change] = rng.integers(0, len(WORDS), change.sum())
    options = {"positions": np.clip(np.cumsum(moves, 0), 0, 1), "status": status}
    if places:
        options["places"] = rng.random((2, places))
        options["tasks"] = rng.integers(0, len(TASKS), (frames, places))
        options["heading"] = rng.integers(-1, places, (frames, agents))
    if talks:
        options["messages"] = [rng.integers(0, agents + places, (int(k), 2)) for k in rng.integers(0, 9, frames)]
    options["captions"] = [f"{k} of {frames} served" for k in range(frames)]
    return Replay(**({"name": f"walk {seed}", "note": "At random.", "words": WORDS} | options | changes))


def read(made):
    """(heads, streams by id) of a player."""
    found = re.findall(r'<script type="([^"]*)" id="([^"]*)">(.*?)</script>', made.data)
    streams = {id: zlib.decompress(base64.b64decode(text), -15) for kind, id, text in found if kind == "text/plain"}
    return next(json.loads(text) for kind, id, text in found if id == "replay-heads"), streams


def unpacked(head, stream):
    """The frames of one stage, read byte by byte as the docstring of `player` has it."""
    at = 0

    def take(count, size):
        nonlocal at
        planes = np.frombuffer(stream, np.uint8, count * size, at).reshape(size, count).astype(np.int64)
        at += count * size
        return (planes * 256 ** np.arange(size)[:, None]).sum(0)

    n, places = head["shown"], head["places"]
    found = {"who": take(n, 4) if head["numbered"] else np.arange(n)}
    if places:
        found["places"] = np.stack([take(places, 2), take(places, 2)])
    x, y, status, heading, tasks, shades = [], [], [], [], [], []
    for f in range(head["frames"]):
        if not head["lattice"]:
            for axis in (x, y):
                change = take(n, head["bytes"])
                axis.append((change + axis[-1] if f else np.cumsum(change)) % 256 ** head["bytes"])
        for kept, count, size, there in (
            (status, n, 1, True),
            (heading, n, 2, head["links"]),
            (tasks, places, 1, bool(head["tasks"])),
            (shades, len(head["shaded"]) * int(np.prod(head["grid"])), 4, bool(head["shaded"])),
        ):
            if there:
                kept.append(take(count, size) ^ (kept[-1] if f else 0))
    counts = head["messages"]
    pairs = np.stack([take(sum(counts), 2), take(sum(counts), 2)], 1) if counts else np.zeros((0, 2))
    assert at == len(stream)
    found |= {"status": np.array(status), "tasks": np.array(tasks), "heading": np.array(heading) - 1}
    found["messages"] = np.split(pairs, np.cumsum(counts)[:-1]) if counts else []
    found["shades"] = np.array(shades).reshape(len(shades), len(head["shaded"]), *reversed(head["grid"]))
    if x:
        found["cells"] = np.stack([x, y], 1)
    return found


def close(cells, head, given):
    """Whether cells lie where the positions are, up to one scale, a shift and half a cell."""
    low, high = given.min((0, 2)), given.max((0, 2))
    spans = (high - low) * 1.06
    corner = (low + high) / 2 - spans / 2
    there = (cells + 0.5) / head["cells"] * spans[None, :, None] + corner[None, :, None]
    return np.abs(there - given).max() <= spans.max() / head["cells"] * 0.51


@pytest.mark.parametrize("agents", [1, 7, SMALL, SMALL + 1, FINE + 1])
def test_what_was_packed_comes_back(agents):
    given = walk(agents, 9, places=13, talks=True)
    heads, streams = read(player([given]))
    head = heads[0]["stages"][0]
    found = unpacked(head, streams["replay-0-0"])
    who = found["who"]
    assert sorted(who) == list(range(agents))
    assert head["bytes"] == (1 if agents > FINE else 2)
    np.testing.assert_array_equal(found["status"], given.status[:, who])
    np.testing.assert_array_equal(found["tasks"], given.tasks)
    if agents > 1:
        # the bounds hold agents and places
        both = np.concatenate([given.positions[:, :, who], given.places[None].repeat(9, 0)], 2)
        cells = np.concatenate([found["cells"], found["places"][None].repeat(9, 0)], 2)
        assert close(cells, head, both)
    if agents <= SMALL:
        np.testing.assert_array_equal(found["heading"], given.heading)
        assert len(found["messages"]) == 9
        for sent, rows in zip(found["messages"], given.messages, strict=True):
            np.testing.assert_array_equal(sent, rows)
    else:
        assert not head["links"] and not head["messages"]
        assert "Claims and messages are drawn for up to 400 agents." in heads[0]["note"]
    assert head["counts"] == [[int((row == k).sum()) for k in range(len(WORDS))] for row in given.status]
    assert head["tasks"] == [[int((row == k).sum()) for k in range(len(TASKS))] for row in given.tasks]
    assert head["captions"] == list(given.captions)


def test_agents_are_sorted_where_that_is_shorter():
    rng = np.random.default_rng(0)
    paths = rng.normal(0, 0.02, (80, 2, 8)).cumsum(0)
    histories = rng.integers(0, len(WORDS), (80, 8))
    group = rng.integers(0, 8, 2000)
    given = walk(2000, 80, status=histories[:, group], positions=paths[:, :, group] + rng.random((1, 2, 2000)))
    heads, streams = read(player([given]))
    head = heads[0]["stages"][0]
    found = unpacked(head, streams["replay-0-0"])
    assert head["numbered"] and sorted(found["who"]) == list(range(2000)) != list(found["who"])
    np.testing.assert_array_equal(found["status"], given.status[:, found["who"]])
    assert close(found["cells"], head, given.positions[:, :, found["who"]])


def test_a_lattice_keeps_its_order_and_takes_little():
    rng = np.random.default_rng(0)
    status = np.zeros((28, 100_000), np.uint8)
    for f in range(1, 28):
        status[f] = np.maximum(status[f - 1], rng.random(100_000) < 0.002)
    made = player([Replay("spread", "", [("waiting", "idle"), ("told", "a")], status, columns=400)])
    heads, streams = read(made)
    head = heads[0]["stages"][0]
    assert head["aspect"] == 1.6 and not head["numbered"]
    np.testing.assert_array_equal(unpacked(head, streams["replay-0-0"])["status"], status)
    assert len(made.data) < 150_000


def test_a_hundred_thousand_moving_agents_take_about_a_megabyte():
    made = player([walk(100_000, 6, step=0.004)])
    assert 500_000 < len(made.data) < 1_300_000
    assert "sample" not in made.markup and "frame in" not in made.markup


def test_over_the_budget_frames_go_first_and_it_says_so():
    given = walk(500, 61, every=10, start=5, poster=60)
    full = len(player([given]).data)
    made = player([given], budget=full // 2)
    heads, streams = read(made)
    head = heads[0]["stages"][0]
    stride = head["every"] // 10
    assert len(made.data) <= full // 2
    assert stride > 1 and head["frames"] == len(range(0, 61, stride)) >= LEAST_FRAMES and head["shown"] == 500
    told = f"To save room one frame in {stride} is kept, one every {10 * stride} ticks."
    assert told in heads[0]["note"] and told in made.markup
    assert "sample" not in made.markup
    found = unpacked(head, streams["replay-0-0"])
    np.testing.assert_array_equal(found["status"], given.status[::stride][:, found["who"]])
    assert head["captions"] == list(given.captions[::stride]) and head["start"] == 5
    assert head["poster"] * stride == pytest.approx(60, abs=stride)


def test_frames_further_apart_than_a_tick_are_told():
    assert "There is a frame every 2 ticks." in player([walk(5, 4, every=2)]).markup
    assert "every" not in read(player([walk(5, 4)]))[0][0]["note"]


def test_then_a_fixed_sample_of_agents_and_it_says_so():
    one, two = walk(1500, LEAST_FRAMES), walk(1500, LEAST_FRAMES, seed=1)
    budget = len(player([Pair("both", "", [one, two])]).data) // 3
    made = player([Pair("both", "", [one, two])], budget=budget)
    heads, streams = read(made)
    left, right = (unpacked(head, streams[head["id"]]) for head in heads[0]["stages"])
    shown = heads[0]["stages"][0]["shown"]
    assert len(made.data) <= budget and 250 < shown < 750
    assert f"{shown} of 1500 agents are drawn, a fixed sample." in heads[0]["note"]
    assert sorted(left["who"]) == sorted(right["who"]) and len(set(left["who"])) == shown
    np.testing.assert_array_equal(left["status"], one.status[:, left["who"]])
    # the counts are those of all
    assert heads[0]["stages"][0]["counts"][0] == np.bincount(one.status[0], minlength=len(WORDS)).tolist()


@pytest.mark.parametrize(
    "count, canvas, side",
    [
        (0, 1.0, 5),
        (1, 200, 5),
        (1, 199, 3),
        (1, 72, 3),
        (1, 71, 0),
        (1383, 526**2, 5),
        (1384, 526**2, 3),
        (3842, 526**2, 3),
        (3843, 526**2, 0),
        (200_655, 526**2, 0),
        (200_655, 4000**2, 3),
    ],
)
def test_squares_cover_an_eighth_at_most(count, canvas, side):
    assert square(count, canvas) == side
    assert count * side**2 <= COVER * canvas
    assert side == 5 or count * {0: 3, 3: 5}[side] ** 2 > COVER * canvas


def crowded(agents, frames, share, seed=0, places=9000, **changes):
    """A walk whose tasks have the state k with chance share[k]."""
    states = np.random.default_rng(seed).choice(len(TASKS), (frames, places), p=share)
    return walk(agents, frames, seed, places=places, **({"tasks": states} | changes))


def test_tasks_too_many_for_squares_are_shades_that_are_off():
    pair = [crowded(1000, 5, [0, 1, 0, 0, 0, 0]), crowded(1000, 5, [0.3, 0.7, 0, 0, 0, 0], 1)]
    made = player([Pair("both", "", pair)])
    heads, streams = read(made)
    for head, given in zip(heads[0]["stages"], pair, strict=True):
        found = unpacked(head, streams[head["id"]])
        assert head["squares"] == [0, 0, 5, 5, 5, 5] and head["shaded"] == [1] and head["off"] == [1, 2, 3, 4]
        assert head["places"] == 0 and head["shown"] == 1000
        assert found["shades"].sum((1, 2, 3)).tolist() == [row[1] for row in head["tasks"]]
        # one scale for both
        assert head["fullest"] == [max(unpacked(one, streams[one["id"]])["shades"].max() for one in heads[0]["stages"])]
        # rows from below, in the picture that holds all positions and places
        columns, rows = head["grid"]
        low, high = given.positions.min((0, 2)), given.positions.max((0, 2))
        low, high = np.minimum(low, given.places.min(1)), np.maximum(high, given.places.max(1))
        corner, spans = (low + high) / 2 - (high - low) * 0.53, (high - low) * 1.06
        at = ((given.places - corner[:, None]) / spans[:, None] * [[columns], [rows]]).astype(int)
        expected = np.zeros((rows, columns), int)
        np.add.at(expected, (at[1], at[0]), given.tasks[2] == 1)
        assert np.abs(found["shades"][2, 0] - expected).sum() <= 8  # float32 at the edges of cells
    assert heads[0]["note"].endswith(
        "All 1000 agents are drawn, a dot each. Claims and messages are drawn for up to 400 agents. Open tasks, up to "
        "9000 at a time, would hide the agents as squares: they are off at first; pressed in the key, they shade the "
        "ground."
    )


def test_states_that_are_few_stay_squares_beside_shades():
    given = crowded(1000, 4, [0.2, 0.02, 0, 0, 0.7, 0.08], places=12_000)
    heads, streams = read(player([given]))
    head = heads[0]["stages"][0]
    found = unpacked(head, streams["replay-0-0"])
    assert head["shaded"] == [TASKS.index("done")] and head["off"] == [2, 3, 4]
    ever = np.isin(given.tasks, [1, 5]).any(0)
    assert head["places"] == ever.sum() < given.places.shape[1]
    np.testing.assert_array_equal(found["tasks"], np.where(given.tasks == 4, 0, given.tasks)[:, ever])
    assert [row[4] for row in head["tasks"]] == found["shades"].sum((1, 2, 3)).tolist()
    assert head["squares"][1] == 5 and "Done tasks, up to " in heads[0]["note"]


def test_all_states_too_many_are_called_tasks():
    note = read(player([crowded(1000, 2, [0] + [0.2] * 5, places=60_000)]))[0][0]["note"]
    assert " Tasks, up to 60\u202f000 at a time, would hide" in note


def test_few_agents_keep_every_task_as_a_mark():
    head = read(player([crowded(SMALL, 3, [0, 1, 0, 0, 0, 0])]))[0][0]["stages"][0]
    assert head["places"] == 9000 and head["squares"] == head["off"] == head["shaded"] == []
    # and more than a few, whose tasks are few, have the open and the lost ones on
    head = read(player([walk(SMALL + 1, 3, places=40)]))[0][0]["stages"][0]
    assert head["places"] == 40 and head["squares"] == [0, 5, 5, 5, 5, 5]
    assert head["off"] == [2, 3, 4] and head["shaded"] == []


def test_shades_take_less_than_the_places_alone():
    many = crowded(6000, 20, [0, 0.5, 0, 0, 0.5, 0], places=60_000, step=0.001)
    without = len(player([many._replace(places=None, tasks=None, heading=None)]).data)
    size = len(player([many]).data)
    assert size - without < 4 * many.places.shape[1]
    head = read(player([many], budget=size))[0][0]["stages"][0]
    assert head["shown"] == 6000 and head["frames"] == 20


def test_the_picture_is_as_wide_as_the_style_makes_it():
    style, page = text_file("replay.css"), text_file("page.css")
    main = int(re.search(r"max-width: (\d+)px;\s+margin: 0 auto;\s+padding: [^;]*?24px", page)[1]) - 2 * 24
    assert main == WIDTH
    assert f"100% - {KEY + GAP}px)) {KEY}px;\n  gap: {GAP}px;" in style and f"gap: 20px {GAP}px;" in style
    assert f"{HIGHEST} * head.aspect" in text_file("replay.js")


def test_what_cannot_be_made_to_fit_is_refused():
    with pytest.raises(ValueError, match=r'replay "walk 0" takes \d+ bytes with 12 frames, the budget is 3000'):
        player([walk(300, 12)], budget=3000)


def test_long_runs_are_thinned_to_what_a_page_plays():
    made = player([walk(3, 1000)])
    head = read(made)[0][0]["stages"][0]
    assert head["frames"] == 250 <= MOST_FRAMES and head["every"] == 4
    assert "one frame in 4 is kept" in made.markup


def test_scenes_share_the_budget_and_stand_in_a_list():
    made = player([walk(500, 30), Pair("both", "Same crash.", [walk(500, 30, 1), walk(500, 30, 2)])], budget=60_000)
    heads, streams = read(made)
    assert len(made.data) <= 60_000 and set(streams) == {"replay-0-0", "replay-1-0", "replay-1-1"}
    assert re.findall(r"<option[^>]*>(.*?)</option>", made.markup.partition('id="replay-scene"')[2]) == [
        "walk 0",
        "both",
    ]
    assert heads[1]["note"].startswith("Same crash. At random. At random.")


def test_pairs_must_match():
    with pytest.raises(ValueError, match='"walk 1" has 9 frames, "walk 0" has 8'):
        player([Pair("both", "", [walk(5, 8), walk(5, 9, 1)])])
    with pytest.raises(ValueError, match='"walk 1" has another every than "walk 0"'):
        player([Pair("both", "", [walk(5, 8), walk(5, 8, 1, every=2)])])
    with pytest.raises(ValueError, match="other words"):
        player([Pair("both", "", [walk(5, 8), walk(5, 8, 1, words=[("x", "idle")] * 5)])])
    with pytest.raises(ValueError, match="has 1 replays; 2 to 4"):
        player([Pair("both", "", [walk(5, 8)])])
    with pytest.raises(ValueError, match="1 to 4 replays"):
        player([])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"status": np.full((4, 5), 9)}, "codes are 0 to 4"),
        ({"status": np.zeros(5, int)}, r"has the shape \(5,\)"),
        ({"words": [("a", "red")] * 5}, "has the roles red"),
        ({"positions": np.zeros((4, 2, 6))}, r"\(4, 2, 5\) is needed"),
        ({"positions": np.full((4, 2, 5), np.nan)}, "not finite"),
        ({"positions": None}, "either positions or the columns"),
        ({"tasks": None}, "3 places and no task states"),
        ({"tasks": np.full((4, 3), 6)}, "codes are 0 to 5"),
        ({"heading": np.full((4, 5), 3)}, "a place from 0 to 2 or -1"),
        ({"messages": [[(0, 8)]] + [[]] * 3}, "numbers 0 to 7"),
        ({"messages": [[]]}, "messages of 1 frames"),
        ({"captions": ["one"]}, "1 captions for 4 frames"),
        ({"poster": 4}, "frames are 0 to 3"),
        ({"every": 0}, "every 0 ticks"),
        ({"marks": [(9, "crash")]}, 'has "crash" at tick 9; ticks are 0 to 3'),
        ({"bounds": ((0, 0.1), (0, 1))}, "do not hold"),
        ({"positions": None, "columns": 5}, "is a lattice"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    given = walk(5, 4, places=3, **changes)
    with pytest.raises(ValueError, match=message):
        player([given])


def test_the_picture_is_neither_strip_nor_tower():
    flat = walk(5, 3)._replace(
        positions=np.stack([np.linspace(0, 9, 15), np.zeros(15)]).reshape(2, 3, 5).swapaxes(0, 1)
    )
    assert read(player([flat]))[0][0]["stages"][0]["aspect"] == pytest.approx(2.4, abs=1e-3)
    high = flat._replace(positions=flat.positions[:, ::-1])
    assert read(player([high]))[0][0]["stages"][0]["aspect"] == pytest.approx(0.7, abs=1e-3)
    still = walk(1, 3)._replace(positions=np.zeros((3, 2, 1)))
    assert read(player([still]))[0][0]["stages"][0]["aspect"] == 1


def test_on_a_page_it_stands_after_the_figures_and_nothing_is_requested():
    hostile = walk(
        4,
        3,
        name=HOSTILE,
        note=HOSTILE,
        words=[(HOSTILE, role) for _, role in WORDS],
        captions=[HOSTILE] * 3,
        marks=[(1, HOSTILE)],
    )
    data = player([hostile, Pair(HOSTILE, HOSTILE, [hostile, hostile])])
    text = made(replay=data)
    reader = Reader(text)
    assert not set(reader.open) - {"html"}
    assert [a["id"] for a in reader.of("section")] == ["why", "figures", "replay", "tables", "made"]
    for _, attrs in reader.found:
        assert "src" not in attrs and not any(name.startswith("on") for name in attrs)
        assert attrs.get("href", "#").startswith(("#", "data:"))
    assert not reader.of("img")
    script = text_file("replay.js")
    assert script in text and "</" not in script
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon|innerHTML|https?:|\beval\b", script)
    style = text_file("replay.css")
    assert style in text and "url(" not in style and "@import" not in style
    heads = next(text for text in re.findall(r'id="replay-heads">(.*?)</script>', text))
    assert json.loads(heads)[0]["name"] == HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")


def test_the_data_have_a_budget_of_their_own():
    data = player([walk(5000, 25, step=0.05)])
    assert len(data.data) > PAGE
    assert len(made(replay=data)) > PAGE
    small = player([walk(5, 4)])
    assert len(made(replay=small).encode()) - len(small.data.encode()) <= PAGE
    assert BUDGET == 8_000_000


def test_every_control_is_there_and_has_a_name():
    reader = Reader(replay(walk(5, 4)))
    ids = {attrs["id"] for _, attrs in reader.found if "id" in attrs}
    assert {"replay-play", "replay-back", "replay-on", "replay-seek", "replay-speed", "replay-who"} <= ids
    asked = set(re.findall(r'\$\("([a-z]+)"\)', text_file("replay.js"))) - {"scene"}
    assert {f"replay-{name}" for name in asked} <= ids
    assert all("aria-label" in attrs for attrs in reader.of("input"))
    assert reader.of("div")[0]["tabindex"] == "0" and "Space plays" in reader.of("div")[0]["aria-label"]
    assert "prefers-reduced-motion" in text_file("replay.js")


def test_colours_are_defined_once_for_both_themes():
    assert COLOURS["light"].keys() == COLOURS["dark"].keys() and not COLOURS["light"].keys() & LIGHT.keys()
    known = LIGHT.keys() | COLOURS["light"].keys() | {"most"}
    assert set(re.findall(r"var\(--(\w+)", text_file("replay.css"))) <= known
    assert {role for role in ROLES if role != "away"} <= known
    for theme, palette in (("light", LIGHT), ("dark", DARK)):
        assert all(f"--{role}:{colour};" in replay_colours() for role, colour in COLOURS[theme].items())
        seen = [COLOURS[theme] | palette][0]
        assert len({seen[role] for role in ROLES if role != "away"}) == len(ROLES) - 1


def test_numbers_in_the_note_are_written_as_everywhere():
    made = player([walk(20_000, 12)], budget=200_000)
    shown = read(made)[0][0]["stages"][0]["shown"]
    assert f"{integer(shown)} of 20\u202f000 agents are drawn" in made.markup
