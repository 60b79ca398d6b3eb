"""Certificates: they prove what was solved without the solver, and refuse whatever was changed."""

import json
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from quorate.core import Roster
from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.verify import certificate, exact, explore
from quorate.verify.exact import solve

VOTE = PROTOCOLS["hidden_stop_vote"]
OWN = {"n": 5, "k": 3, "t": 2, "margin": (2, 2, 2, 1, 2), "max_rounds": 5}
SMALL = {"n": 4, "k": 3, "t": 1, "margin": 1, "min_rounds": 2, "max_rounds": 5}


def written(path, name, options, solver=solve, plays=64):
    entry = PROTOCOLS[name]
    game = solver(entry.make(**options), Roster(options["n"], options["t"]), entry.values, entry.properties)
    certificate.write(game, path, name, options, plays)
    return game


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("certificate") / "vote.json"
    written(path, "hidden_stop_vote", SMALL)
    return path


def sealed(path, content):
    """Another content with a digest that fits it."""
    content["digest"] = certificate._digest(content)
    path.write_bytes(certificate._bytes(content))
    return path


def no(*args, **kwargs):
    raise AssertionError("the solver was asked")


@pytest.mark.parametrize(
    ("name", "options", "solver"),
    [
        ("hidden_stop_vote", SMALL, solve),
        pytest.param("hidden_stop_vote", OWN, solve, marks=pytest.mark.slow),
        ("hidden_stop_vote", SMALL, explore.explore),
        ("hidden_stop_vote", SMALL, partial(explore.explore, exchange=False)),
        ("phase_king", {"n": 3, "t": 1}, explore.explore),
    ],
    ids=["exact", "own margins", "exhaustive", "node by node", "by sender"],
)
def test_what_was_solved_is_proved_without_the_solver(tmp_path, monkeypatch, name, options, solver):
    game = written(tmp_path / "x.json", name, options, solver)
    for module, function in ((exact, "solve"), (exact, "_expanded"), (exact, "_answer"), (explore, "_explored")):
        monkeypatch.setattr(module, function, no)
    checked = certificate.check(tmp_path / "x.json")
    assert checked.exact and (checked.name, checked.roster) == (name, game.roster)
    for index in range(len(game.properties)):
        assert checked.worst(index) == game.worst(index)
    assert checked.positions == game.positions
    assert not list(tmp_path.glob("*.writing"))


def test_it_says_what_holds(tmp_path, small):
    checked = certificate.check(small)
    assert [checked.holds(index) for index in range(3)] == [True] * 3
    quarter = Fraction(1, 4)
    assert [checked.bounds(index) for index in range(3)] == [(quarter, quarter), (0, 0), (1, 1)]
    assert max(checked.worst(1)) == 1  # at starts of which liveness does not speak
    written(tmp_path / "x.json", "hidden_stop_vote", SMALL | {"margin": 0})
    assert [certificate.check(tmp_path / "x.json").holds(index) for index in range(3)] == [False, True, True]


def test_with_fewer_plays_the_bounds_do_not_meet(tmp_path):
    written(tmp_path / "x.json", "hidden_stop_vote", SMALL | {"margin": 0}, plays=1)
    checked = certificate.check(tmp_path / "x.json")
    assert not checked.exact
    bounds = {(one.lower, one.upper) for one in checked.starts[0]}
    assert bounds == {(Fraction(0), Fraction(0)), (Fraction(1, 4), Fraction(1))}


def test_any_changed_byte_is_refused(tmp_path, small):
    raw = small.read_bytes()
    dice = np.random.default_rng(0)
    places = [*range(0, len(raw), max(1, len(raw) // 400)), *range(40), *range(len(raw) - 40, len(raw))]
    for place in places:
        other = bytearray(raw)
        other[place] ^= int(dice.integers(1, 256))
        (tmp_path / "x.json").write_bytes(bytes(other))
        with pytest.raises(Refusal):
            certificate.check(tmp_path / "x.json")
    for other in (raw[:-1], raw + b" ", raw + b"\n", b" " + raw, raw.replace(b",", b", ", 1)):
        (tmp_path / "x.json").write_bytes(other)
        with pytest.raises(Refusal, match="changed since it was written"):
            certificate.check(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file or directory"),
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"not at all", "no JSON"),
        (b"[1, 2]", "not a certificate"),
        (b'{"a": 1}', "not a certificate"),
        (b'{"certificate": 2}', "format 2; this version reads format 1"),
        (b'{"certificate": 1}', "changed since it was written"),
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(Refusal, match=words):
        certificate.check(tmp_path / "x.json")


def test_another_source_of_the_protocol_is_refused(monkeypatch, small):
    source = certificate._source
    for module in ("quorate.protocols.hidden_stop_vote", "quorate.core.protocol"):
        monkeypatch.setattr(
            certificate, "_source", lambda name, module=module: source(name) + (b"\n" if name == module else b"")
        )
        with pytest.raises(Refusal, match=f"{module} has another source now"):
            certificate.check(small)


def lower_a_value(content):
    row = content["values"][0][1]
    place = next(i for i, value in enumerate(row) if value)
    row[place] -= 1


def lower_a_value_of_liveness(content):
    row = content["values"][1][1]
    row[row.index(1)] = 0


def lower_the_start(content):
    row, chances = content["values"][0][0], content["chances"][0]
    row[max(range(len(row)), key=row.__getitem__)] = 0
    chances[:] = ["0"] * len(chances)


def another_end(content):
    row = content["values"][0][-1]
    row[row.index(1)] = 0


def a_position_less(content):
    content["layers"][2].pop()
    for values in content["values"]:
        values[2].pop()


def a_start_less(content):
    content["starts"].pop()
    for chances, plays in zip(content["chances"], content["plays"], strict=True):
        chances.pop()
        if plays:
            plays.pop()


def another_chance(content):
    content["chances"][0][3] = "1/5"


def shares_that_do_not_fit(content):
    content["units"][0][0] = "7"


def a_play_of_nothing(content):
    for script in content["plays"][0][3]:
        script["lies"] = [[content["alphabet"].index([False])] * len(told) for told in script["lies"]]


def a_play_twice(content):
    content["plays"][0][3] *= 2


def a_play_cut_short(content):
    for part in ("lies", "words"):
        content["plays"][0][3][0][part].pop()


def plays_that_know_the_coin(content):
    """One that breaks the vote in round 2 and, where the coin goes on instead, another that waited for round 3."""
    yes, no_ = content["alphabet"].index([True]), content["alphabet"].index([False])
    content["plays"][0][3] += [
        {"lies": [[yes] * 4, [yes, yes, no_, no_], [yes] * 4], "words": [2**32 - 1, 2**32 - 1, 0]}
    ]


def other_options(content):
    content["options"]["margin"] = 0


def other_format(content):
    content["certificate"] = 3


def no_units(content):
    del content["units"]


def values_of_negative_units(content):
    """A chance of nothing at every start, divided by less than nothing, so that every backup comes out as before."""
    for index in (0, 3):
        content["units"][index][0] = "-" + content["units"][index][0]
        content["values"][index][0] = [0] * len(content["values"][index][0])
        content["chances"][index] = ["0"] * len(content["chances"][index])
        content["plays"][index] = [[] for _ in content["plays"][index]]


def a_unit_of_nothing(content):
    content["units"][0][0] = "0"


def a_unit_that_is_no_text(content):
    content["units"][0][-1] = True


def a_value_above_its_unit(content):
    content["values"][0][1][0] = int(content["units"][0][1]) + 1


def a_value_that_is_yes(content):
    row = content["values"][0][-1]
    row[row.index(1)] = True


def a_chance_over_nothing(content):
    content["chances"][0][3] = "1/0"


def a_word_below_the_coin(content):
    content["plays"][0][3][0]["words"][-1] = -1


def a_word_above_the_coin(content):
    content["plays"][0][3][0]["words"][-1] = 2**32


def another_fleet(content):
    content["roster"] = [4, 0]


def an_option_that_is_none(content):
    content["options"]["extra"] = 1


def an_option_less(content):
    del content["options"]["n"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lower_a_value, "worth more than is written down"),
        (lower_the_start, "worth more than is written down"),
        (another_end, "judged wrongly"),
        (a_position_less, "not stored"),
        (a_start_less, "a start is missing"),
        (another_chance, "not the value of its start"),
        (shares_that_do_not_fit, "do not fit the values"),
        (a_play_of_nothing, "breaks nothing"),
        (a_play_twice, "counted twice"),
        (a_play_cut_short, "breaks nothing|before all is decided"),
        (plays_that_know_the_coin, "look at a coin before it is tossed"),
        (other_options, "tables come out otherwise"),
        (other_format, "format 3"),
        (no_units, "malformed"),
        (values_of_negative_units, "a unit is -[0-9]+; it must be a whole number, at least 1"),
        (a_unit_of_nothing, "a unit is 0"),
        (a_unit_that_is_no_text, "a unit is True"),
        (a_value_above_its_unit, "no whole number from 0 to its unit"),
        (a_value_that_is_yes, "no whole number from 0 to its unit"),
        (a_chance_over_nothing, "malformed"),
        (a_word_below_the_coin, "a word of the coin is -1"),
        (a_word_above_the_coin, "a word of the coin is 4294967296"),
        (another_fleet, r"a roster of \[4, 0\], and its options make one of \[4, 1\]"),
        (an_option_that_is_none, "no option is called extra"),
        (an_option_less, "--n is missing"),
    ],
)
def test_a_forger_with_a_fitting_digest_is_refused(tmp_path, small, change, words):
    content = json.loads(small.read_bytes())
    change(content)
    with pytest.raises(Refusal, match=words):
        certificate.check(sealed(tmp_path / "x.json", content))


def test_a_proof_whose_liars_say_too_few_numbers_is_refused(tmp_path):
    written(tmp_path / "x.json", "target_votes", {"n": 2, "k": 2, "t": 1, "max_rounds": 2}, explore.explore)
    assert certificate.check(tmp_path / "x.json").exact
    content = json.loads((tmp_path / "x.json").read_bytes())
    for end in ([-(2**31)], [2**31 - 1]):
        less = content | {"alphabet": [message for message in content["alphabet"] if message != end]}
        with pytest.raises(Refusal, match=rf"its liars cannot say \({end[0]},\), which is to be tried"):
            certificate.check(sealed(tmp_path / "y.json", less))


def test_a_proof_about_another_fleet_is_refused(tmp_path):
    """One that is right in itself, solved without liars, under options that have one."""
    game = solve(VOTE.make(**SMALL), Roster(4, 0), VOTE.values, VOTE.properties)
    certificate.write(game, tmp_path / "x.json", "hidden_stop_vote", SMALL)
    with pytest.raises(Refusal, match="its options make one of"):
        certificate.check(tmp_path / "x.json")


def test_plays_that_reach_more_than_the_upper_bound_are_refused(small):
    proof = object.__new__(certificate._Proof)
    proof.stored, proof.values, proof.units = [{"start": 0}], [[1]], [4]
    assert proof.at("start", Fraction(1, 4)) == (Fraction(1, 4), Fraction(1, 4))
    with pytest.raises(Refusal, match="its plays reach 1/3 from a start that is worth 1/4"):
        proof.at("start", Fraction(1, 3))


def test_options_that_were_left_out_are_there_with_their_defaults(small):
    """`SMALL` has no law; who shows the options needs every one."""
    checked = certificate.check(small)
    assert checked.options == SMALL | {"law": "uniform"}
    assert "last round uniform on 2..5" in checked.entry.told(checked.entry.settings(checked.protocol, checked.options))


def test_a_forger_of_an_exhaustive_proof_is_refused(tmp_path):
    written(tmp_path / "x.json", "phase_king", {"n": 3, "t": 1}, explore.explore)
    raw = (tmp_path / "x.json").read_bytes()
    for change, words in (
        (lambda content: content["alphabet"].remove([True]), "cannot say|can have then"),
        (lambda content: content["ballots"][1].reverse(), "worth more|not stored|can have then"),
        (lower_a_value_of_liveness, "worth more"),
    ):
        content = json.loads(raw)
        change(content)
        with pytest.raises(Refusal, match=words):
            certificate.check(sealed(tmp_path / "x.json", content))
