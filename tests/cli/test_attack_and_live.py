"""`quorate attack` and `quorate live` as a user sees them."""

import socket
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from quorate.cli.live import _safe
from quorate.live.front import Promise
from quorate.live.log import load
from tests.running import call, refusal, strict

SMALL = ["--n", "3", "--k", "2", "--t", "1", "--max-rounds", "3"]


@pytest.mark.parametrize("method", ["mutation", "cem"])
def test_a_search_is_laid_beside_the_optimum(capsys, method):
    said = call(capsys, "attack", "hidden_stop_vote", *SMALL, "--method", method, "--episodes", "4000", "--json")
    found = strict(said.out)
    assert said.code == 0 and found["exact"] == [0, 0, 0.5, 0]
    assert found["found"][2] == 0.5 and found["ratio"] == [None, None, 1, None] and found["episodes"] >= 1


def test_words_of_an_attack(capsys):
    said = call(capsys, "attack", "hidden_stop_vote", *SMALL, "--method", "mutation", "--episodes", "4000")
    assert said.code == 0 and "willing nodes" in said.out and "of the strongest attack" in said.out


def test_refusals_of_attack(capsys):
    assert "did you mean mutation?" in refusal(capsys, "attack", "hidden_stop_vote", *SMALL, "--method", "mutatoin")
    assert "--t is 0" in refusal(capsys, "attack", "hidden_stop_vote", "--n", "3", "--t", "0")
    assert "--episodes is 0" in refusal(capsys, "attack", "hidden_stop_vote", *SMALL, "--episodes", "0")


def test_live_in_memory(capsys):
    words = ["--nodes", "5", "--byzantine", "1", "--drop", "0.05", "--decisions", "3", "--transport", "memory"]
    said = call(capsys, "live", "hidden_stop_vote", *words, "--json")
    found = strict(said.out)
    acting = np.zeros(3, int)
    for one in found["decisions"]:
        acting[one["tick"]] += one["value"]
    few = (acting > 0) & (acting < 3)  # --k is half of the nodes, rounded up
    assert said.code == 0 and found["divergences"] == 0 and found["agreement_violations"] == few.sum()
    assert found["agent_rounds"] == 5 * 10 * 3 and found["messages"] > 0
    assert len(found["decisions"]) == 15 and set(found["decisions"][0]) == {"tick", "node", "value"}
    said = call(capsys, "live", "hidden_stop_vote", *words)
    assert said.code == 0 and "decides alike everywhere" in said.out


def test_live_counts_the_ticks_that_break_a_promise_and_says_what_it_allows(capsys):
    words = ["--nodes", "3", "--drop", "0.5", "--decisions", "8", "--transport", "memory"]
    said = call(capsys, "live", "majority", *words, "--json")
    found = strict(said.out)
    split = [len({one["value"] for one in found["decisions"] if one["tick"] == tick}) > 1 for tick in range(8)]
    assert said.code == 0 and found["divergences"] == 0  # promises are about networks that lose nothing
    assert found["agreement_violations"] == sum(split) > 0
    calm = ["--nodes", "3", "--byzantine", "1", "--decisions", "8", "--transport", "memory", "--json"]
    lied_to = call(capsys, "live", "majority", *calm)
    assert lied_to.code == (1 if strict(lied_to.out)["agreement_violations"] else 0) == 1
    assert found["divergences"] == 0 and found["agreement_violations"] == sum(split) > 0
    told = " ".join(call(capsys, "live", "majority", *words).out.split())
    assert f'"honest nodes decide alike" fails in {sum(split)} of 8 ticks; it allows none, so the promise is' in told


def test_live_claims_nothing_that_was_not_checked():
    plan = SimpleNamespace(drop=0.0, delay=0.0)
    assert "was not checked: it promises nothing of this kind" in _safe(None, plan)
    assert _safe(Promise("alike", 5, 0, Fraction(0)), plan) == '"alike" holds in all 5 ticks it speaks of'
    allowed = '"alike" fails in 2 of 5 ticks; it allows a chance of 1/9, so this may be chance'
    assert _safe(Promise("alike", 5, 2, Fraction(1, 9)), plan) == allowed


def test_live_liars_may_say_the_same_to_all(capsys, tmp_path):
    words = ["--nodes", "3", "--byzantine", "1", "--decisions", "8", "--transport", "memory", "--log", tmp_path / "l"]
    assert call(capsys, "live", "majority", *words, "--equivocate", "0").code == 0
    lies = load(tmp_path / "l").said[:, :, :, 3]
    assert np.all(lies == lies[:, :, :1]) and len(np.unique(lies)) > 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--equivocate 2", "--equivocate is 2; it is a share and must lie between 0 and 1"),
        ("--log nowhere/l", "--log is nowhere/l; it cannot be written (No such file or directory)"),
        ("--nodes 0", "--nodes is 0; it counts honest nodes and must be at least 1"),
        ("--drop 1.5", "--drop is 1.5; it is a share and must lie between 0 and 1"),
        ("--transport udp", "--transport is udp; it can be tcp, memory"),
        ("--deadline 0", "--deadline is 0; it must be above 0"),
        ("--n 4", "no option is called --n"),
    ],
)
def test_refusals_of_live(capsys, words, told):
    assert told in refusal(capsys, "live", "hidden_stop_vote", *words.split())


def test_a_port_in_use_is_refused(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["--nodes", "2", "--decisions", "1", "--processes", "0", "--port", str(port)]
        assert str(port) in refusal(capsys, "live", "majority", *words)
