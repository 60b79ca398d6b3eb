"""The vote of a neighbourhood, exactly and play by play; its spread, beside a twin that keeps everything in dicts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms, testing
from quorate.core import Fault, NoFault, Roster
from quorate.errors import Refusal
from quorate.protocols.neighbourhood_vote import (
    LIVENESS,
    NOTHING,
    SAFETY,
    NeighbourhoodVote,
    Spread,
    neighbourhoods,
)
from quorate.verify.check import verify
from tests.protocols.plays import TAILS, count


def test_every_play_of_three_and_a_liar():
    plays, breaches = count((SAFETY, LIVENESS), NeighbourhoodVote(margin=1), Roster(3, 1), [[TAILS, TAILS]])
    assert (plays, breaches) == (8 * 2**6, [0, 0])


def test_a_margin_below_the_liars_is_broken_in_every_play_in_which_they_say_yes():
    plays, breaches = count((SAFETY,), NeighbourhoodVote(margin=0), Roster(2, 1), [[TAILS, TAILS]], [np.array([0, 0])])
    assert plays == 2**4
    assert breaches == [12]  # all but the plays in which the last round is silent


@pytest.mark.parametrize(("n", "t"), [(1, 1), (4, 1), (7, 2), (9, 3)])
def test_exactly_safe_with_a_margin_of_t(n, t):
    assert verify("neighbourhood_vote", n=n, t=t).findings[0].holds
    assert not verify("neighbourhood_vote", n=n, t=t, margin=t - 1).findings[0].holds


def test_as_many_nodes_as_the_margin_never_believe():
    """Safe because nothing ever happens: that promise is broken, and only that."""
    assert [finding.holds for finding in verify("neighbourhood_vote", n=2, t=2).findings] == [True, True, False]
    assert all(finding.holds for finding in verify("neighbourhood_vote", n=3, t=2).findings)


def members(links):
    index, real = np.asarray(links.index), np.asarray(links.real)
    return [set(index[i][real[i]].tolist()) for i in range(len(index))]


@pytest.mark.parametrize("links", [comms.ring(7), comms.ring(9, reach=2), comms.grid(3, 4), comms.tree(10)])
def test_neighbourhoods_are_the_sets_they_stand_for(links):
    near, (wide, circles) = members(links), neighbourhoods(links)
    heard = members(wide)
    for i, neighbours in enumerate(near):
        assert heard[i] == set().union(*(near[p] for p in neighbours))
        found = {frozenset(np.asarray(wide.index)[i][row].tolist()) for row in np.asarray(circles)[i] if row.any()}
        assert found == {frozenset(near[p]) for p in neighbours}
    own, single = neighbourhoods(links, relayed=False)
    assert members(own) == near and single.shape[1] == 1


@pytest.mark.parametrize("relayed", [True, False])
@pytest.mark.parametrize(
    ("links", "said"),
    [
        (comms.ring(6, loops=False), "node 0 does not hear itself"),
        (comms.from_edges(3, [(0, 1), (1, 2)], directed=True), "node 1 hears node 0 and is not heard by it"),
    ],
)
def test_who_is_no_neighbour_of_a_neighbour_is_refused(links, said, relayed):
    with pytest.raises(Refusal, match=said):
        neighbourhoods(links, relayed)


def test_two_rounds_are_all_there_are():
    assert NeighbourhoodVote(margin=1).rounds == 2
    with pytest.raises(TypeError):
        NeighbourhoodVote(margin=1, rounds=3)


class Script(Fault):
    """Member `liar` says what is written: words [rounds, N], to each receiver something."""

    liar: jax.Array = eqx.field(kw_only=True, converter=jnp.asarray)
    words: jax.Array = eqx.field(kw_only=True, converter=jnp.asarray)

    def liars(self, state):
        return jnp.arange(self.words.shape[1]) == self.liar

    def on_deliver(self, key, state, mail):
        own = jnp.arange(mail.sender.shape[0])[:, None]
        forged = (mail.sender == self.liar) & (own != self.liar)
        word = self.words[mail.round][:, None]
        return state, jnp.where(forged, word, mail.payload), mail.heard & ~(forged & (word == NOTHING))


def twin(near, beliefs, sees, liar, words, margin, waves):
    """The recursion of Section 5.2 in plain words; the liar follows nothing."""
    n = len(near)
    honest = [i for i in range(n) if i != liar]
    stands, fresh = dict(enumerate(sees)), {i: bool(sees[i]) and sees[i] != beliefs[i] for i in range(n)}
    beliefs = [sees[i] or beliefs[i] for i in range(n)]
    hears = [set().union(*(near[p] for p in near[i])) for i in range(n)]
    for wave in range(waves):
        willing = fresh

        def said(r, willing, wave=wave):
            """What i hears from j in round r of the wave."""
            mail = [{j: stands[j] for j in hears[i] if j != liar and willing[j]} for i in range(n)]
            for i in honest:
                if liar in hears[i] and words[3 * wave + r][i]:
                    mail[i][liar] = words[3 * wave + r][i]
            return mail

        def most(mail, i, value):
            return max(sum(mail[i].get(j) == value for j in near[p]) for p in near[i])

        calls = said(0, willing)
        willing = {i: bool(stands[i]) and stands[i] in calls[i].values() for i in range(n)}
        votes = said(1, willing)
        willing = {i: willing[i] and most(votes, i, stands[i]) > margin for i in range(n)}
        final = said(2, willing)
        fresh = dict.fromkeys(range(n), False)
        for i in honest:
            passed = {value: most(final, i, value) for value in set(final[i].values())}
            passed = {value: votes for value, votes in passed.items() if votes > margin}
            if not stands[i] and passed:
                best = min(value for value in passed if passed[value] == max(passed.values()))
                stands[i], beliefs[i], fresh[i] = best, best, True
    return [beliefs[i] for i in honest]


@eqx.filter_jit
def conversed(spread, links, sees, beliefs, fault, n):
    lasting = comms.boot(jax.random.key(0), spread, n)._replace(belief=beliefs)
    return comms.converse(
        jax.random.key(1), jax.random.key(2), spread, lasting, sees, links, fault, (), None, n
    ).decision


@pytest.mark.parametrize("margin", [0, 1])
def test_a_step_is_that_of_the_twin(margin):
    draw, waves, changed = np.random.default_rng(margin), 3, 0
    links = comms.from_edges(7, [(i, j) for i in range(7) for j in (i + 1, i + 2) if j < 7])
    near, (wide, circles) = members(links), neighbourhoods(links)
    spread = Spread(vote=NeighbourhoodVote(margin=margin), circles=circles, waves=waves)
    for _ in range(60):
        liar, beliefs = int(draw.integers(7)), draw.integers(0, 3, 7)
        sees = draw.integers(1, 4, 7) * (draw.random(7) < 0.4)
        words = draw.integers(0, 5, (spread.rounds, 7))
        fault = Script(liar=jnp.int32(liar), words=words.astype(np.int32))
        arguments = (jnp.asarray(sees, jnp.int32), jnp.asarray(beliefs, jnp.int32), fault, 7)
        found = np.delete(np.asarray(conversed(spread, wide, *arguments)), liar).tolist()
        expected = twin(near, beliefs.tolist(), sees.tolist(), liar, words.tolist(), margin, waves)
        assert found == expected
        changed += found != np.delete(np.where(sees, sees, beliefs), liar).tolist()
    assert changed > 30  # votes passed


def test_spread_keeps_the_promises_of_a_protocol():
    testing.check_protocol(Spread(vote=NeighbourhoodVote(margin=1), waves=2), jnp.array([1, 0, 1, 1, 0], jnp.int32))


def test_two_of_sixteen_hundred_tell_all():
    links = comms.grid(40, 40)
    wide, circles = neighbourhoods(links)
    spread = Spread(vote=NeighbourhoodVote(margin=1), circles=circles, waves=40)
    sees = jnp.zeros(1600, jnp.int32).at[jnp.array([819, 820])].set(5)
    fault = NoFault()
    decision = conversed(spread, wide, sees, jnp.ones(1600, jnp.int32), fault, 1600)
    assert (decision == 5).all()


def test_one_observer_tells_nobody():
    links = comms.ring(9, reach=2)
    wide, circles = neighbourhoods(links)
    spread = Spread(vote=NeighbourhoodVote(margin=1), circles=circles, waves=4)
    sees = jnp.zeros(9, jnp.int32).at[4].set(5)
    decision = conversed(spread, wide, sees, jnp.ones(9, jnp.int32), NoFault(), 9)
    assert decision.tolist() == [1, 1, 1, 1, 5, 1, 1, 1, 1]
