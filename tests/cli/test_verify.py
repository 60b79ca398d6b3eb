"""`quorate verify` as a user sees it: the numbers, the words, the exit codes, the refusals."""

import re

import pytest

from tests.running import call, refusal, strict

SMALL = ["--n", "4", "--k", "3", "--t", "1", "--margin", "1", "--min-rounds", "2", "--max-rounds", "5"]


def without_time(text: str) -> str:
    return re.sub(r"attack, .*?\.\n", "attack, SECONDS.\n", text)


def test_the_object(capsys):
    said = call(capsys, "verify", "hidden_stop_vote", *SMALL, "--json")
    found = strict(said.out)
    assert said.code == 0 and said.err == ""
    shown = {name: found[name] for name in ("protocol", "n", "k", "t", "margin", "min_rounds", "max_rounds", "law")}
    assert shown == {"protocol": "hidden_stop_vote", "n": 4, "k": 3, "t": 1, "margin": 1, "min_rounds": 2,
                     "max_rounds": 5, "law": "uniform"}  # fmt: skip
    assert found["exact"] is True and found["holds"] is True
    assert found["worst_case"] == [0, 0, 0, 0.25, 0] and found["worst_case_exact"] == ["0", "0", "0", "1/4", "0"]
    assert found["bound"] == 0.25 and found["bound_exact"] == "1/4"
    assert found["liveness"] == [0, 0, 0, 0, 1] and found["expected_rounds"] == 3.5
    assert [plan is None for plan in found["attack"]] == [True, True, True, False, True]
    assert found["attack"][3] == [{"round": 1, "pass": 2, "split": None}, {"round": 2, "pass": 0, "split": 2}]
    assert found["seconds"] > 0 and found["version"]


def test_words_of_a_vote_that_holds(capsys, golden):
    said = call(capsys, "verify", "hidden_stop_vote", "--n", "7", "--k", "4", "--t", "2")
    assert said.code == 0 and said.err == ""
    golden("verify-holds.txt", without_time(said.out))
    assert max(map(len, said.out.splitlines())) <= 92


def test_words_of_a_vote_that_is_broken(capsys, golden):
    said = call(capsys, "verify", "hidden_stop_vote", "--n", "7", "--k", "4", "--t", "3", "--margin", "2")
    assert said.code == 1 and said.err == ""
    golden("verify-broken.txt", without_time(said.out))


def test_a_margin_of_each_node(capsys):
    words = ["--n", "5", "--k", "3", "--t", "2", "--max-rounds", "6"]
    said = call(capsys, "verify", "hidden_stop_vote", *words, "--margin", "2,2,2,1,2", "--json")
    found = strict(said.out)
    assert said.code == 1 and found["margin"] == [2, 2, 2, 1, 2] and max(found["worst_case"]) == 0.4
    assert found["bound"] == 0.4 and found["at_most"] == 0.2


def test_another_bound_may_be_asked_about(capsys):
    assert call(capsys, "verify", "hidden_stop_vote", *SMALL, "--at-most", "1/4", "--quiet").code == 0
    said = call(capsys, "verify", "hidden_stop_vote", *SMALL, "--at-most", "0.2", "--quiet")
    assert said.code == 1 and "broken in 1/4 of runs" in said.out and len(said.out.splitlines()) == 1


def test_safe_because_nothing_ever_happens(capsys):
    said = call(capsys, "verify", "hidden_stop_vote", "--n", "4", "--k", "3", "--t", "1", "--margin", "2")
    assert said.code == 1 and "safe because nothing ever happens" in said.out
    quiet = call(capsys, "verify", "hidden_stop_vote", "--n", "4", "--k", "3", "--margin", "2", "--quiet")
    assert "safe only because nothing ever happens" in quiet.out


def test_a_last_round_that_may_be_the_first_is_warned_of(capsys):
    said = call(capsys, "verify", "hidden_stop_vote", *SMALL[:-4], "--min-rounds", "1", "--max-rounds", "4", "--quiet")
    assert said.err.startswith("warning  round 1 is the last with chance 0.25") and "--min-rounds 2" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "--n is missing; it counts honest nodes"),
        ("--n 4 --t -1", "--t is -1; it counts liars"),
        ("--n 0", "--n is 0; it counts honest nodes and must be at least 1"),
        ("--n 4 --k 5", "--k is 5; it can be at most --n, which is 4"),
        ("--n 4 --margin -1", "--margin is -1"),
        ("--n 4 --margin 1,2", "--margin has 2 numbers; it takes one, or one for each of the 4 nodes"),
        ("--n 4 --margin x", "--margin is x; it must be a whole number"),
        ("--n 4 --min-rounds 0", "--min-rounds is 0"),
        ("--n 4 --min-rounds 6 --max-rounds 5", "--min-rounds is 6; it can be at most --max-rounds, which is 5"),
        ("--n 4 --law unifrm", "--law is unifrm; it can be uniform, geometric:0.3"),
        ("--n 4 --law geometric:2", "the chance of a stop must lie between 0 and 1"),
        ("--n 4 --max-rounds 3 --law 1/2,1/3", "add up to 1, these to 5/6"),
        ("--n 4 --max-rounds 3 --law 1", "--law has 1 chances; it must have one for each of the 2 rounds 2..3"),
        ("--n 4 --at-most 2", "--at-most is 2; a chance lies between 0 and 1"),
        ("--n 4 --time x", "--time is x; it must be a number"),
        ("--n 4 --method exat", "--method is exat"),
        ("--n 4 --tt 2", "no option is called --tt; did you mean --t?"),
    ],
)
def test_refusals(capsys, words, told):
    assert told in refusal(capsys, "verify", "hidden_stop_vote", *words.split())


def test_protocols_are_named_nearest(capsys):
    assert "did you mean hidden_stop_vote?" in refusal(capsys, "verify", "hidden_stop_vot")
    assert "takes a protocol before its options" in refusal(capsys, "verify", "--n", "4")


def test_what_would_take_too_long_is_said_beforehand(capsys):
    said = call(capsys, "verify", "hidden_stop_vote", "--n", "40", "--k", "20", "--t", "9", "--max-states", "1000")
    assert said.code == 3 and said.out == ""
    first, second = said.err.splitlines()
    assert re.match(r"error  --n 40 would take \d\.\de[+]\d\d states, about .* \(--max-states is 1000\)$", first)
    assert second.strip().startswith("--sample 100000 gives a bound instead")


def test_other_protocols(capsys):
    found = strict(call(capsys, "verify", "majority", "--n", "4", "--t", "1", "--json").out)
    assert found["holds"] is False and found["worst_case_exact"] == ["0", "0", "1", "0", "0"]
    said = call(capsys, "verify", "common_coin", "--n", "4", "--t", "1", "--rounds", "3", "--json")
    assert said.code == 0 and max(strict(said.out)["worst_case"]) == 0.125


def test_protocols_that_know_their_senders_are_explored(capsys):
    said = call(capsys, "verify", "phase_king", "--n", "4", "--t", "1", "--json")
    found = strict(said.out)
    assert found["method"] == "exhaustive" and found["exact"] is True


def test_the_page(capsys, tmp_path):
    words = ["--n", "4", "--k", "3", "--t", "2", "--margin", "1", "--max-rounds", "4", "--report", "--out", tmp_path]
    said = call(capsys, "verify", "hidden_stop_vote", *words)
    (page,) = tmp_path.glob("verify-hidden_stop_vote-*/report.html")
    assert said.code == 1 and str(page) in said.out
    text = page.read_text(encoding="utf-8")
    assert 'id="chances"' in text and 'id="play-broken"' in text and 'id="play-safe"' in text


def test_a_certificate_is_written_and_checked(capsys, tmp_path):
    file = tmp_path / "vote.json"
    assert call(capsys, "verify", "hidden_stop_vote", *SMALL, "--certificate", file, "--quiet").code == 0
    said = call(capsys, "verify", "--check", file)
    assert said.code == 0 and "1/4" in said.out and "without the solver" in said.out
    assert strict(call(capsys, "verify", "--check", file, "--json").out)["holds"] is True
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert "vote.json" in refusal(capsys, "verify", "--check", file)
    assert "no such file" in refusal(capsys, "verify", "--check", tmp_path / "nope.json")
    assert "--check takes one file" in refusal(capsys, "verify", "--check")


def test_sampling_gives_a_bound_from_below(capsys):
    words = ["--n", "4", "--k", "3", "--t", "1", "--max-rounds", "5", "--sample", "2000"]
    said = call(capsys, "verify", "hidden_stop_vote", *words)
    assert said.code == 0 and "from below" in said.out
    found = strict(call(capsys, "verify", "hidden_stop_vote", *words, "--json").out)
    shares = [row["share"] for row in found["rows"] if row["property"] == "never some but too few act"]
    assert found["exact"] is False and 0.15 < max(shares) < 0.35


def test_help(capsys):
    assert "hidden_stop_vote" in call(capsys, "verify", "--help").out
    said = call(capsys, "verify", "hidden_stop_vote", "--help")
    assert said.code == 0 and "--margin" in said.out and "--certificate" in said.out
