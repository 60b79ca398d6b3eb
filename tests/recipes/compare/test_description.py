"""Fleet files: defaults, every value read back, every mistake told with its place."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare import description as words
from quorate.recipes.compare.description import Description, read, read_text
from quorate.recipes.compare.kinds import Number, Range, Wrong

ROOT = Path(__file__).parents[3]

FULL = """
name = "warehouse-3"
ticks = 600
space = { kind = "plane", size = [60, 40] }
[[agents]]
count = 180
skills = ["lift"]
speed = [0.3, 0.6]
sight = 4.0
capacity = 1
energy = { drain = 0.01, charge = 0.05, reserve = 0.2 }
variant = "vendor_a"
[tasks]
source = "arrivals"
rate = 40.0
hotspot = { share = 0.5, radius = 8, period = 120 }
value = [0.5, 1.5]
slack = [10, 29]
duration = [1, 3]
team = 1
[[depots]]
at = [30, 20]
[links]
range = 6.0
loss = 0.05
delay = 1
bytes_per_tick = 256
centre_messages = 2000
[faults]
crash = { share = 0.3, at = 300, back = 400, leaders_first = true }
churn = { leave = 0.001, join = 0.001 }
partition = { at = 200, lasts = 50 }
[attack]
share = 0.1
kinds = ["lie", "hog", "forge", "silent", "flood"]
strongest = "search"
[objective]
late = -0.2
travel_cost = 0.1
[central]
retry = 3
standby = true
[compare]
mechanisms = ["alone", "central", "hierarchy", "claim", "contract_net", "auction", "cbba", "stigmergy", "hybrid"]
seeds = 20
"""

MISTAKES = """nme = "x"
ticks = "long"
space = { kind = "grid", size = [60, 40] }

[[agents]]
count = 3.5
speed = [3, 1]
sight = [1, -2]
skills = { lift = 2.0 }
energy = { drian = 0.01, reserve = 1.5 }
at = [1, 2, 3]

[[agents]]
skills = ["lift", "lift"]
capacity = true

[tasks]
source = "arivals"
rate = [1, 2]
needs = { lift = 0.7, cool = 0.6 }
value = nan

[links]
loss = 1.5
delay = -1

[faults.crash]
att = 3

[attack]
kinds = ["lie", "hogg"]
strongest = "serch"

[central]
standby = 1

[compare]
mechanisms = ["auktion"]
seeds = 1

[[depots]]
at = [70, 10]

[[depots]]
"""


def refused(text, path="fleet.toml"):
    with pytest.raises(Refusal) as found:
        read_text(text, path)
    return str(found.value).split("\n")


def test_a_full_file_reads_back():
    fleet = read_text(FULL)
    group = fleet.agents[0]
    assert (fleet.name, fleet.ticks, fleet.space.size) == ("warehouse-3", 600, (60.0, 40.0))
    assert (group.count, group.skills, group.speed, group.sight) == (
        180,
        (("lift", 1.0),),
        Range(0.3, 0.6),
        Range(4.0, 4.0),
    )
    assert (group.energy.drain.low, group.energy.reserve.high, group.variant) == (0.01, 0.2, "vendor_a")
    assert (fleet.tasks.rate, fleet.tasks.hotspot.radius, fleet.tasks.slack) == (40.0, 8.0, Range(10, 29))
    assert fleet.depots[0].at == (30.0, 20.0)
    assert (fleet.links.loss, fleet.links.delay, fleet.links.centre_messages) == (0.05, 1, 2000)
    crash = fleet.faults.crash
    assert (crash.share, crash.at, crash.back, crash.leaders_first) == (0.3, 300, 400, True)
    assert (fleet.faults.churn.leave, fleet.faults.partition.lasts) == (0.001, 50)
    assert (fleet.attack.share, fleet.attack.kinds[-1], fleet.attack.strongest) == (0.1, "flood", "search")
    assert (fleet.objective.late, fleet.objective.travel_cost) == (-0.2, 0.1)
    assert (fleet.central.retry, fleet.central.standby, fleet.compare.seeds) == (3, True, 20)
    assert len(fleet.compare.mechanisms) == 9


def test_an_empty_file_is_all_defaults():
    fleet = read_text("", "night.toml")
    assert fleet.name == "night" and fleet.ticks is None and fleet.space.size == (10.0, 10.0)
    plain = dataclasses.replace(fleet, document=None, name="", space=words.Space())
    assert plain == Description()
    assert fleet.faults == words.Faults() and fleet.tasks.needs is None and math.isinf(fleet.links.range)


def test_every_mistake_is_told_at_once_with_its_place(golden):
    lines = refused(MISTAKES)
    assert len(lines) == 26
    golden("fleet-mistakes.txt", "\n".join(lines) + "\n")
    places = [tuple(int(part) for part in line.split(":")[1:3]) for line in lines]
    assert places == sorted(places)


def test_five_mistakes_are_five_lines():
    text = FULL.replace("speed =", "sped =").replace("loss = 0.05", 'loss = "some"').replace("retry = 3", "retry = 0")
    text = text.replace('"hog"', '"hg"').replace("team = 1", "team = [3, 2]")
    assert refused(text) == [
        'fleet.toml:8:1: no key in [[agents]] is called "sped"; did you mean speed?',
        "fleet.toml:20:8: team is [3, 2]; the low end of a range stands first",
        'fleet.toml:25:8: loss is "some"; it must be a number from 0 to 1',
        'fleet.toml:35:17: kinds holds "hg"; did you mean hog?',
        "fleet.toml:41:9: retry is 0; it must be a whole number from 1 to 100",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tasks.source = "csv"', ":1:16: the source csv names what it reads, such as csv:orders.csv"),
        ('[tasks]\nsource = "arrivals:x"', ":2:10: the source arrivals takes nothing after a colon"),
        ('[tasks]\nsource = "flights:2012-01-01"', ":2:10: 2012-01-01 is no day of 2013; write flights:2013-10-02"),
        ('[tasks]\nsource = "flights:2013-02-30"', ":2:10: 2013-02-30 is no day of 2013; write flights:2013-10-02"),
        ('[tasks]\nsource = "csv:a"\nrate = 2', ":3:1: rate goes with the source arrivals or demands, not with csv"),
        ("[tasks]\ntolerance = 2", ":2:1: tolerance goes with the source flights, not with arrivals"),
        (
            '[tasks]\nsource = "demands:germany50"',
            ':2:10: the source demands needs space = { kind = "graph" }',
        ),
        (
            '[[agents]]\nvariant = "lifter"\n[faults.crash]\nvariant = "lifters"',
            ':4:11: no agents are of the variant "lifters"; did you mean lifter?',
        ),
        (
            '[[agents]]\ncount = 0\nvariant = "b"\n[faults.crash]\nvariant = "b"',
            ':5:11: no agents are of the variant "b"; write variant in [[agents]]',
        ),
        (
            '[faults.crash]\nvariant = "lifter"',
            ':2:11: no agents are of the variant "lifter"; write variant in [[agents]]',
        ),
        (
            '[[agents]]\nvariant = "a"\n[faults.crash]\nvariant = "a"\nshare = 0.5',
            ":5:1: share does not go with variant, of which all fail",
        ),
        ('space = { topology = "x" }', ':1:11: topology goes with kind = "graph"; this space is a plane'),
        ("space = { size = [0, 1] }", ":1:18: a plane needs a width and a height above 0"),
        ("[[agents]]\nat = [11, 0]", ":2:6: at is [11, 0]; it lies outside the plane of 10 x 10"),
        ('[[agents]]\nnode = "Berlin"', ":2:1: node goes with a graph; in a plane write at = [x, y]"),
        ("agents = 3", ":1:1: agents are tables, each begun by [[agents]]"),
        ("[agents]\ncount = 3", ":1:1: agents are tables, each begun by [[agents]]"),
        ("tasks = 3", ":1:9: [tasks] is 3; it must be a table"),
        ("[[tasks]]", ":1:1: [tasks] is [[tasks]]; it must be a table"),
        ("[[agents]]\nenergy = 0.1", ":2:10: agents.energy is 0.1; it must be a table"),
        ("[[agents]]\nspeed = [1, 2, 3]", ":2:9: speed is [1, 2, 3]; a range has two ends, [low, high]"),
        ("[[agents]]\nspeed = inf", ":2:9: speed is inf; it must be a finite number, and less than 1e+18"),
        ("[[agents]]\nskills = 3", ':2:10: skills is 3; it must be a list of skills such as ["lift"]'),
        ("[[agents]]\nskills = [3]", ":2:11: skills holds 3; it must be a word without spaces"),
        ("name = 3", ":1:8: name is 3; it must be a name, in quotes"),
        ("ticks = 0", ":1:9: ticks is 0; it must be a whole number from 1 to 10,000,000"),
        (
            '[tasks]\nsource = "flights:2013-07-10"\n[[agents]]\ncount = 3\n[[agents]]',
            ":4:1: count comes with the flights, it cannot be given",
        ),
    ],
)
def test_each_mistake(text, said):
    lines = refused(text, "f.toml")
    assert lines[0].startswith("f.toml" + said)
    assert len(lines) == (2 if text.endswith("[[agents]]") else 1)


def test_mistakes_that_need_the_network():
    pytest.importorskip("topohub")
    graph = 'space = { kind = "graph"%s }\n'
    for text, said in (
        (graph % ', topology = "germany5O"', ":1:38: topohub has no topology germany5O; did you mean germany50?"),
        (graph % ", size = [1, 1]", ':1:27: size goes with kind = "plane"; this space is a graph'),
        (graph % "" + '[[depots]]\nnode = "Berln"', ':3:8: germany50 has no node "Berln"; did you mean Berlin?'),
        (graph % "" + "[[agents]]\nat = [1, 2]", ":3:1: at goes with a plane; in a graph write node"),
        (
            graph % ', topology = "france"' + '[tasks]\nsource = "demands:germany50"',
            ":3:10: the demands of germany50 belong to its graph, not to france",
        ),
    ):
        assert refused(text) == ["fleet.toml" + said]
    fleet = read_text('space = { kind = "graph" }\n[tasks]\nsource = "demands:france"')
    assert fleet.space.topology == "france"


def test_a_csv_is_read_from_the_folder_of_the_fleet(tmp_path):
    (tmp_path / "night.toml").write_text('[tasks]\nsource = "csv:rows.csv"\n[[agents]]\nat = [7, 1]\n')
    (tmp_path / "rows.csv").write_text("release,deadline,x,y\n0,5,3,4.5\n")
    fleet = read(tmp_path / "night.toml")
    assert len(fleet.orders) == 1 and fleet.space.size == (7.0, 4.5)
    (tmp_path / "rows.csv").write_text("release,deadline,x,y\n0,5,3,west\n")
    with pytest.raises(Refusal, match=r'rows.csv:2:7: y is "west"; it must be a number'):
        read(tmp_path / "night.toml")


NUMBERS = st.floats(-5, 5).map(lambda x: round(x, 2)) | st.integers(-5, 5)


@given(st.lists(NUMBERS, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_a_number_is_taken_or_refused_as_it_says(given_, whole, ranged):
    kind = Number(-2, 3, whole=whole, ranged=ranged)
    value = given_ if len(given_) > 1 else given_[0]
    fits = all(-2 <= x <= 3 and (not whole or x == int(x)) for x in given_)
    fits &= len(given_) == 1 or ranged and len(given_) == 2 and given_[0] <= given_[1]
    if not fits:
        with pytest.raises(Wrong):
            kind(value)
    else:
        expected = (given_[0], given_[-1])
        found = kind(value)
        assert tuple(found) == expected if ranged else found == value


def test_kinds_of_attack_are_those_of_the_fault():
    from quorate.faults import sabotage

    assert (*(kind.name for kind in sabotage.KINDS), *words.STRIKES) == words.KINDS


def keys(cls):
    for item in dataclasses.fields(cls):
        kind = item.metadata.get("kind")
        kind = kind[0] if isinstance(kind, list) else kind
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from keys(kind)
        elif kind is not None:
            yield item.name


def test_the_page_names_every_key_kind_and_mechanism():
    page = (ROOT / "docs" / "fleet_file.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", page))))
    plain = {part for name in words.MECHANISMS for part in name.split("+")}
    assert {*keys(Description), *plain, *words.KINDS, *words.SOURCES, *words.SPACES} <= named
