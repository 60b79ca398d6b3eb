"""Slots of talkers from outside, too many or too few; and rounds that do not take place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops
from tests.comms.test_converse import Liars, Majority, mask, talk


def test_slots_of_more_talkers_than_there_are_stay_empty():
    """Lists for two talkers from outside without any: nothing is heard from them, and nothing billed."""
    proposal, ghosts = jnp.array([1, 1, 0, 1]), comms.complete(4, 2)
    with_ghosts, without = (talk(Majority(), proposal, None, None, links) for links in (ghosts, comms.complete(4)))
    jax.tree.map(np.testing.assert_array_equal, with_ghosts.decision, without.decision)
    assert [float(x) for x in with_ghosts.traffic[:4]] == [float(x) for x in without.traffic[:4]] == [24, 24, 24, 2]
    one = Liars(marked=mask(4), extras=1)
    jax.tree.map(
        np.testing.assert_array_equal,
        talk(Majority(), proposal, one, None, ghosts)[::4],
        talk(Majority(), proposal, one)[::4],
    )


def test_talkers_from_outside_are_heard_on_lists_with_much_padding():
    """Three agents in a line with lists of five slots, as traced arrays and as given ones."""
    line = comms.from_edges(3, [(0, 1), (1, 2)])
    wide = comms.Neighbours(*(jnp.pad(leaf, ((0, 0), (0, 5 - leaf.shape[1]))) for leaf in line))
    fault, no = Liars(marked=mask(3), extras=1), jnp.zeros(3, jnp.int32)
    for links in (line, wide):
        assert talk(Majority(rounds=1), no, fault, None, links).decision[1].tolist() == [[1]] * 3


@pytest.mark.parametrize("route", ["sum", "lists", "edges"])
def test_rounds_after_the_end_are_not_billed(route):
    """T is uniform on 2..10, mean 6, deviation sqrt(80 / 12). N = 4 and a talker from outside: 16 messages a round."""
    vote, plays = HiddenStopVote(threshold=2, margin=1, stops=stops(last_round("uniform", 2, 10))), 600
    links = {"sum": None, "lists": comms.complete(4, 1), "edges": comms.to_edges(comms.complete(4))}[route]

    def bill(key):
        args = vote, (), jnp.ones(4, jnp.int32), links, Liars(marked=mask(4), extras=1), (), None, 4
        return comms.converse(key, key, *args).traffic

    bills = jax.jit(jax.vmap(bill))(jax.random.split(jax.random.key(0), plays))
    rounds = np.asarray(bills.rounds)
    assert abs(rounds.mean() - 6) < 4 * (80 / 12 / plays) ** 0.5
    assert set(rounds.tolist()) == set(range(2, 11))
    for part in (bills.sent, bills.heard, bills.bytes):
        np.testing.assert_array_equal(part, 16 * rounds)
