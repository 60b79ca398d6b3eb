"""Space-time diagrams draw the messages that were sent, no others, and strike out what was too few."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from quorate.report.figure import standalone
from quorate.report.heat import Cell, heat
from quorate.report.page import page
from quorate.report.spacetime import LANES, MOST_LANES, Count, Decision, Lane, Play, Round, Says, pair, spacetime

HOSTILE = '</g><script>alert("1")</script> & <b>\x00\x1b[2J]]>'
SPACE = "{http://www.w3.org/2000/svg}"


def lanes(honest, liars):
    named = [Lane(f"node {i + 1}", "honest") for i in range(honest)]
    return named + [Lane(f"attacker {a + 1}", "liar") for a in range(liars)]


def votes(honest, willing, *lies):
    """Everybody to every honest node; `lies` holds, for each attacker, who gets its yes."""
    said = [Says(i, j, i in willing) for i in range(honest) for j in range(honest)]
    return said + [Says(honest + a, j, j in to) for a, to in enumerate(lies) for j in range(honest)]


def counted(honest, willing, needed, *lies):
    heard = {i: len(willing) + sum(i in to for to in lies) for i in willing}
    return [Count(i, heard[i], needed, heard[i] >= needed) for i in willing]


def play(honest, needed, rounds, acting, verdict="1 acts where 3 are needed: harm", bad=True, **changes):
    """A play whose rounds are (willing nodes, lies of the first attacker, ...)."""
    told = [
        Round(r == len(rounds) - 1, votes(honest, *one), counted(honest, one[0], need, *one[1:]))
        for r, (one, need) in enumerate(zip(rounds, needed, strict=True))
    ]
    whole = Play(
        lanes(honest, len(rounds[0]) - 1), told, [Decision(i, i in acting) for i in range(honest)], verdict, bad
    )
    return whole._replace(**changes)


# four nodes, one attacker, three must act, margin 1: the end comes in round 3, or one round later
ALL, SOME, FEW, NONE = ([0, 1, 2], [0, 1, 2, 3]), ([0, 1, 2], [0, 1]), ([0, 1], [0]), ([], [0])
BROKEN = play(4, [4, 4, 3], [ALL, SOME, FEW], [0])
SAFE = play(4, [4, 4, 4, 3], [ALL, SOME, FEW, NONE], [], "nobody acts: safe", False)
# seven nodes, four must act, a margin of 2 against three attackers
MANY = play(7, [6, 4], [(range(3), *[range(7)] * 3)] * 2, range(3), "3 act where 4 are needed: harm")


def drawn(of, id="sample"):
    return spacetime(id, "Who told whom", of, "How.").svg


def classes(svg, tag="path", first="msg"):
    """The classes of the elements inside the figure proper, the key left out."""
    root = ElementTree.fromstring(svg)
    keyed = {id(e) for g in root.findall("g") if g.get("class") is None for e in g.iter()}
    kinds = [e.get("class") or "" for e in root.iter(tag) if id(e) not in keyed]
    return [kind for kind in kinds if kind.split()[:1] == [first]]


def sent(of):
    """(honest yes, lies that are yes, lies that are no), votes for oneself left out."""
    liar = [lane.kind == "liar" for lane in of.lanes]
    said = [item for one in of.rounds for item in one.says if item[0] != item[1]]
    return (
        sum(yes for sender, _, yes in said if not liar[sender]),
        sum(yes for sender, _, yes in said if liar[sender]),
        sum(not yes for sender, _, yes in said if liar[sender]),
    )


@pytest.mark.parametrize("of", [BROKEN, SAFE])
def test_the_messages_drawn_are_those_sent(of):
    kinds = classes(drawn(of))
    assert tuple(kinds.count(f"msg {kind}") for kind in ("s1", "harm yes", "harm no")) == sent(of)
    assert len(kinds) == sum(sent(of))


def test_the_numbers_of_the_example():
    assert sent(BROKEN) == (24, 7, 5) and sent(SAFE) == (24, 8, 8)


@pytest.mark.parametrize("of", [BROKEN, SAFE, MANY])
def test_counts_stand_at_the_arrivals_and_too_few_are_struck_out(of):
    svg = drawn(of)
    counts = [item for one in of.rounds for item in one.counts]
    few = [item for item in counts if not item.enough]
    texts = [e for e in ElementTree.fromstring(svg).iter("text") if (e.get("class") or "").startswith("count")]
    assert sorted(int(e.text) for e in texts) == sorted(item.votes for item in counts)
    assert sorted(int(e.text) for e in texts if e.get("class") == "count low") == sorted(item.votes for item in few)
    assert len(classes(svg, first="struck")) == len(few)


def test_struck_counts_of_the_example():
    assert len(classes(drawn(BROKEN), first="struck")) == 2
    assert len(classes(drawn(SAFE), first="struck")) == 3
    assert len(classes(drawn(MANY), first="struck")) == 0


def ends(svg, kind):
    """(y at the start, y at the end) of the messages of a kind."""
    return [
        tuple(float(v) for v in re.fullmatch(r"M\S+ (\S+)L\S+ (\S+)", e.get("d")).groups())
        for e in ElementTree.fromstring(svg).iter("path")
        if e.get("class") == f"msg {kind}" and e.get("d") != "M0 0H28"
    ]


def test_messages_leave_their_sender_and_reach_their_receiver():
    svg = drawn(BROKEN)
    height = {
        e.text: float(e.get("y")) - 4.5
        for e in ElementTree.fromstring(svg).iter("text")
        if (e.get("class") or "").startswith("tick")
    }
    names = [lane.name for lane in BROKEN.lanes]
    for kind, is_liar, is_yes in (("s1", False, True), ("harm yes", True, True), ("harm no", True, False)):
        expected = sorted(
            (height[names[item.sender]], height[names[item.receiver]])
            for one in BROKEN.rounds
            for item in one.says
            if item.sender != item.receiver
            and (BROKEN.lanes[item.sender].kind == "liar") == is_liar
            and item.yes == is_yes
        )
        assert sorted(ends(svg, kind)) == expected
    assert max(height.values()) == height["attacker 1"]


def test_attackers_are_at_the_bottom_whatever_the_order():
    order = [4, 0, 1, 2, 3]  # the attacker is named first
    place = {old: new for new, old in enumerate(order)}
    turned = Play(
        [BROKEN.lanes[old] for old in order],
        [
            Round(
                one.last,
                [(place[s], place[r], yes) for s, r, yes in one.says],
                [(place[lane], *rest) for lane, *rest in one.counts],
            )
            for one in BROKEN.rounds
        ],
        [(place[lane], acts) for lane, acts in BROKEN.decisions],
        BROKEN.verdict,
        BROKEN.bad,
    )
    assert drawn(turned) == drawn(BROKEN)


def test_decisions_are_squares_and_the_end_has_sign_word_and_colour():
    svg = drawn(BROKEN)
    squares = classes(svg, "rect", "decision")
    assert squares == ["decision acts"] + ["decision waits"] * 3
    outs = [(e.get("class"), e.text) for e in ElementTree.fromstring(svg).iter("text") if "out" in e.get("class", "")]
    assert outs == [("out harm", "✕ 1 acts where 3 are needed: harm")]
    assert 'class="out ok"' in drawn(SAFE) and "✓ nobody acts: safe" in drawn(SAFE)
    heads = [e.text for e in ElementTree.fromstring(svg).iter("text") if e.get("class") == "head"]
    assert heads == ["round 1", "round 2", "round 3 · last", "decides"]


def test_a_long_end_takes_more_lines():
    told = "1 acts where 3 are needed, and the three others wait for ever: that is harm, and nobody can tell them"
    svg = drawn(BROKEN._replace(verdict=told))
    outs = [e for e in ElementTree.fromstring(svg).iter("text") if "out" in e.get("class", "")]
    assert " ".join(e.text for e in outs) == "✕ " + told
    assert len(outs) == 2 and max(8.2 * len(e.text) for e in outs) <= 520


def test_willing_nodes_are_full_and_others_empty():
    assert classes(drawn(BROKEN), "circle", "node").count("node yes") == 3 + 3 + 2
    assert classes(drawn(BROKEN), "circle", "node").count("node no") == 1 + 1 + 2


def test_above_nine_lanes_one_attackers_messages_and_all_counts():
    assert len(MANY.lanes) == MOST_LANES + 1
    svg = drawn(MANY)
    assert classes(svg) == ["msg harm yes"] * 14  # one attacker, two rounds, seven nodes
    assert len({start for start, _ in ends(svg, "harm yes")}) == 1
    assert len(classes(svg, "text", "count")) == 6
    assert "only the messages of attacker 1 are drawn; the other 2 say the same" in svg
    fewer = play(7, [6, 4], [(range(3), *[range(7)] * 2)] * 2, range(3))
    kinds = classes(drawn(fewer))
    assert (kinds.count("msg s1"), kinds.count("msg harm yes")) == sent(fewer)[:2] == (36, 28)


def test_above_nine_lanes_the_attacker_that_splits_most_is_shown():
    lies = (range(7), [0, 1, 2], [0])
    svg = drawn(play(7, [6, 4], [(range(3), *lies)] * 2, [0]))
    kinds = classes(svg)
    assert (kinds.count("msg harm yes"), kinds.count("msg harm no"), kinds.count("msg s1")) == (6, 8, 0)
    assert "only the messages of attacker 2 are drawn; the other 2 say other things" in svg
    honest = play(10, [6], [(range(10),)], range(10), "all act", False)
    assert "messages are not drawn" in drawn(honest) and classes(drawn(honest)) == []
    assert len(classes(drawn(honest), "text", "count")) == 10


def test_every_step_of_every_node_is_told():
    root = ElementTree.fromstring(drawn(BROKEN))
    told = [e.get("data-long") for e in root.iter("g") if e.get("class") == "stop"]
    assert root.get("data-grid") == "4" and len(told) == 5 * 4
    assert told[0] == "node 1, round 1: says yes to all 4; counts 4 of 4 needed, enough"
    assert told[4 * 2 + 1] == "node 3, round 2: says yes to all 4; counts 3 of 4 needed, too few"
    assert told[3] == "node 1 acts" and told[7] == "node 2 waits"
    assert told[4 * 4 + 1] == "attacker 1, round 2: says yes to node 1, node 2, no to node 3, node 4"
    big = ElementTree.fromstring(drawn(play(9, [3], [(range(3), range(8))], [])))
    assert any("node 6 and 2 more, no to node 9" in (e.get("data-long") or "") for e in big.iter("g"))


def test_what_is_needed_may_differ_between_nodes():
    uneven = BROKEN.rounds[0]._replace(counts=[(0, 4, 4, True), (1, 4, 6, False), (2, 4, 5, False)])
    svg = drawn(BROKEN._replace(rounds=[uneven, *BROKEN.rounds[1:]]))
    notes = [e.text for e in ElementTree.fromstring(svg).iter("text") if e.get("class") == "note"]
    assert notes[:3] == ["needs 4 to 6", "needs 4", "needs 3"]


def test_a_pair_is_drawn_to_one_scale():
    first, second = pair("two", ("Broken", BROKEN, "a"), ("Safe", SAFE, "b"))
    assert (first.id, second.id, first.title, second.caption) == ("two-broken", "two-safe", "Broken", "b")
    assert not first.wide and not second.wide
    places = [re.findall(r'class="head" x="([^"]*)"', figure.svg) for figure in (first, second)]
    assert places[0][:3] == places[1][:3] and places[0][-1] == places[1][-1]
    fewer = play(7, [6, 4], [(range(3), *[range(7)] * 2), ([], *[range(7)] * 2)], [], "nobody acts: safe", False)
    first, second = pair("many", ("Broken", MANY, "a"), ("Safe", fewer, "b"))
    assert len(fewer.lanes) == MOST_LANES
    assert classes(first.svg) == classes(second.svg) == ["msg harm yes"] * 14
    assert "attacker 1 are drawn; the other says the same" in second.svg
    named = [lane._replace(name=lane.name.replace("attacker", "the attacker")) for lane in SAFE.lanes]
    uneven = pair("uneven", ("Broken", BROKEN, "a"), ("Safe", SAFE._replace(lanes=named), "b"))
    places = [re.findall(r'class="head" x="([^"]*)"', figure.svg) for figure in uneven]
    assert places[0][:3] == places[1][:3]
    longer = SAFE._replace(rounds=[SAFE.rounds[0]] * 5 + list(SAFE.rounds[1:]))
    first, second = pair("long", ("Broken", BROKEN, "a"), ("Safe", longer, "b"))
    assert first.wide and second.wide


def test_it_parses_inside_the_page_and_alone_whatever_the_texts():
    named = [lane._replace(name=lane.name + HOSTILE) for lane in BROKEN.lanes]
    figure = spacetime("sample", HOSTILE, BROKEN._replace(lanes=named, verdict=HOSTILE), HOSTILE)
    for svg, tag in ((figure.svg, "script"), (standalone(figure.svg), SPACE + "script")):
        assert not list(ElementTree.fromstring(svg).iter(tag))
        assert "\x00" not in svg and "\x1b" not in svg
    # a long name is cut where it stands and whole where it is read out
    root = ElementTree.fromstring(figure.svg)
    assert any(e.text == "node 1</g><script…" for e in root.iter("text"))
    assert any('node 1</g><script>alert("1")</script> & <b>' in (e.get("data-long") or "") for e in root.iter("g"))


def test_colours_come_from_roles_only():
    for of in (BROKEN, SAFE, MANY):
        svg = drawn(of)
        assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|style=|fill=|stroke=", svg)
        assert set(classes(svg)) <= {"msg s1", "msg harm yes", "msg harm no"}
        # only attackers, their words and a bad end are in the colour of harm
        harm = {e.get("class") for e in ElementTree.fromstring(svg).iter() if "harm" in (e.get("class") or "").split()}
        assert harm <= {"msg harm yes", "msg harm no", "mark harm", "tick harm", "out harm"}
        assert ("out harm" in harm) == of.bad


def test_alone_it_keeps_messages_and_counts():
    alone = standalone(drawn(BROKEN))
    root = ElementTree.fromstring(alone)
    drawn_alone = [e for e in root.iter(SPACE + "path") if (e.get("class") or "").startswith("msg")]
    assert len(drawn_alone) == sum(sent(BROKEN)) + 3  # and three in the key
    assert "var(" not in alone and "data-" not in alone and "tabindex" not in alone
    assert root.get("width") == "520"


@pytest.mark.parametrize("count", [1, 4, 5, 14])
def test_everything_stands_inside(count):
    figure = spacetime("long", "Long", play(4, [4] * count, [SOME] * count, [0]), "How.")
    assert figure.wide == (count > 4)
    root = ElementTree.fromstring(figure.svg)
    width, height = map(float, root.get("viewBox").split()[2:])
    texts = [e for e in root.iter("text") if e.get("text-anchor") != "end"]
    assert max(float(e.get("x")) + 6.6 * len(e.text) for e in texts if e.get("class") != "note") <= width
    assert max(float(e.get("y")) for e in texts) <= height
    heads = [(float(e.get("x")), e.text) for e in root.iter("text") if e.get("class") == "head"]
    assert all(x + 6.4 * len(text) <= after for (x, text), (after, _) in zip(heads, heads[1:], strict=False))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": []}, "has 0 lanes and 3 rounds"),
        ({"rounds": []}, "has 5 lanes and 0 rounds"),
        ({"lanes": lanes(LANES, 1)}, f"has {LANES + 1} lanes; at most {LANES}"),
        ({"lanes": [*lanes(4, 0), ("x", "traitor")]}, "lane \"x\" is of kind 'traitor'; kinds are honest, liar"),
        ({"decisions": [(5, True)]}, "decisions: there is no lane 5; it has 5"),
        ({"rounds": [Round(True, [(0, -1, True)], [])]}, "round 1: there is no lane -1"),
        ({"rounds": [Round(True, [], [(7, 1, 1, True)])]}, "round 1: there is no lane 7"),
        ({"rounds": [BROKEN.rounds[2], BROKEN.rounds[0]]}, "the last round is not the final one"),
        ({"rounds": [BROKEN.rounds[0]] * 30}, "has 30 rounds; 1[0-9] fit on a page"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        drawn(BROKEN._replace(**changes))


def test_a_page_holds_heat_maps_and_plays_beside_each_other():
    map_of = heat("map", "Worst", [1], [2], lambda t, k: Cell(0.0, "0", "never", False), "k", "t", "Exact.")
    figures = [map_of, *pair("two", ("Broken", BROKEN, "a"), ("Safe", SAFE, "b"))]
    texts = {name: "" for name in ("title", "eyebrow", "verdict", "lede", "command")}
    parts = {name: [] for name in ("claims", "sections", "tables")}
    whole = page(**texts, **parts, interval=None, figures=figures, provenance={}, files={})
    assert re.findall(r'<figure id="([^"]*)" class="half">', whole) == ["map", "two-broken", "two-safe"]
    assert all(figure.svg in whole for figure in figures)
    assert whole.count("data-grid=") == 3 and "[data-grid]" in whole.rpartition("<script>")[2]


def test_ids_are_plain():
    with pytest.raises(ValueError, match="a figure id is"):
        drawn(BROKEN, 'x" onload="')
