"""The engine carries votes as the proof assumes, and a slip of either is seen."""

import jax.numpy as jnp
import pytest

from quorate import comms
from quorate.core import Roster
from quorate.protocols import PROTOCOLS
from quorate.verify import conform


def protocol(name, **options):
    entry = PROTOCOLS[name]
    return entry.make(**options), Roster(options["n"], options["t"]), entry.values


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("hidden_stop_vote", {"n": 5, "k": 3, "t": 2, "max_rounds": 4}, marks=pytest.mark.slow),
        ("hidden_stop_vote", {"n": 4, "k": 2, "t": 1, "margin": (0, 1, 2, 1), "max_rounds": 4}),
        ("majority", {"n": 5, "t": 0}),
        ("common_coin", {"n": 4, "t": 1, "rounds": 3}),
    ],
)
def test_both_ways_of_mail_come_out_as_by_hand(name, options):
    found = conform.carried(*protocol(name, **options))
    assert found == conform.Carried(256, ("by sums", "by inboxes"), None)


def test_a_great_crowd_is_played_by_sums_only():
    found = conform.carried(*protocol("single_round_vote", n=800, k=400, t=10))
    assert found.ways == ("by sums",) and found.difference is None


def test_protocols_that_send_more_than_a_vote_are_left_alone():
    class Chatty(type(PROTOCOLS["majority"].example)):
        def send(self, ballot):
            return super().send(ballot).astype(jnp.int32)

    example = PROTOCOLS["majority"].example
    chatty = Chatty(**{name: getattr(example, name) for name in example.__dataclass_fields__})
    assert conform.carried(chatty, Roster(4, 1), (0, 1)) is None


def twice(module, name):
    """A way of mail in which everybody's own vote counts twice."""
    true = getattr(module, name)

    def wrong(key, round_, sent, *rest, **more):
        state, total, bill = true(key, round_, sent, *rest, **more)
        return state, total + sent.astype(jnp.int32), bill

    return wrong


def test_an_own_vote_that_counts_twice_is_seen(monkeypatch):
    from quorate.comms import conversation

    monkeypatch.setattr(conversation, "tally", twice(conversation, "tally"))
    conform._engine.clear_cache()
    found = conform.carried(*protocol("hidden_stop_vote", n=5, k=3, t=1, max_rounds=3))
    conform._engine.clear_cache()
    assert "by sums" in found.difference and "by hand" in found.difference


def test_a_coin_that_liars_can_tell_beforehand_is_seen(monkeypatch):
    true = comms.converse

    def leaky(key, coin_key, *rest):
        return true(coin_key, coin_key, *rest)  # one root for all noise: what liars draw tells them the coin

    monkeypatch.setattr(conform.comms, "converse", leaky)
    for program in (conform._engine, conform._leaks):
        program.clear_cache()
    found = conform.carried(*protocol("hidden_stop_vote", n=5, k=3, t=1, max_rounds=3))
    for program in (conform._engine, conform._leaks):
        program.clear_cache()
    assert found.difference == "what liars see in the first round tells them its coin"
