"""The solved game's attacker, played message by message, breaks the vote as often as the game says."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Tally, TallyProtocol, static
from quorate.core.property import SOMETIMES
from quorate.errors import Refusal
from quorate.verify.chances import case, chances
from quorate.verify.check import instance
from quorate.verify.exact import solve
from quorate.verify.optimal import OptimalAttack, optimal

PLAYS = 3000


def solved(name="hidden_stop_vote", **options):
    entry, protocol, roster, _ = instance(name, False, options)
    return solve(protocol, roster, entry.values, entry.properties)


@eqx.filter_jit
def misfires(vote, attack, starts):
    """The share of misfires from each start, by sums and by inboxes, PLAYS plays each."""
    n = starts.shape[1]

    def one(key, start):
        coin, lasting, split = jax.random.fold_in(key, 1), comms.boot(key, vote, n), []
        for links in (None, comms.complete(n, attack.extras)):
            acts = comms.converse(
                key, coin, vote, lasting, start, links, attack, attack.reset(key, n), None, n
            ).decision
            count = jnp.sum(acts * start)
            split.append((count > 0) & (count < vote.threshold))
        return jnp.stack(split)

    keys = jax.random.split(jax.random.key(8), PLAYS)
    return jnp.mean(jax.vmap(lambda s: jax.vmap(one, (0, None))(keys, s))(starts), axis=1)


@pytest.mark.parametrize(
    ("options", "worst"),
    [
        (dict(n=4, k=3, t=1, max_rounds=5), {3: Fraction(1, 4)}),
        pytest.param(dict(n=10, k=5, t=2), {5: Fraction(1, 9), 6: Fraction(1, 9)}, marks=pytest.mark.slow),
        pytest.param(dict(n=3, k=2, t=1), {2: Fraction(1, 9)}, marks=pytest.mark.slow),
        (dict(n=6, k=3, t=2, margin=1), {2: Fraction(1), 3: Fraction(1)}),
    ],
    ids=str,  # another size compiles anew: make proof
)
def test_sampled_and_exact_chances_agree(options, worst):
    """`worst` stands in IBGP's reconstruction, Theorem 3 and the relaxed margins. Play by play both ways of mail are
    equal; sampled within 4 standard errors; over all courses of the coin exactly equal."""
    game = solved(**options)
    attack, n = optimal(game), game.roster.honest
    assert attack.extras == game.roster.liars
    starts = (np.arange(n)[None, :] < np.arange(n + 1)[:, None]).astype(np.int32)
    exact = [worst.get(a, Fraction(0)) for a in range(n + 1)]
    whole = case(game.protocol, game.roster, game.properties[0], (0, 1), game.machine)
    assert chances(whole, attack, starts) == exact == game.worst(0)
    rates = np.asarray(misfires(game.protocol, attack, starts))
    np.testing.assert_array_equal(rates[:, 0], rates[:, 1])
    for rate, chance in zip(rates[:, 0], map(float, exact), strict=True):
        assert abs(rate - chance) <= 4 * (chance * (1 - chance) / PLAYS) ** 0.5


def test_liveness_is_attacked_too():
    game = solved(n=5, k=3, t=2, max_rounds=4)
    attack = optimal(game, 1)
    whole = case(game.protocol, game.roster, game.properties[1], (0, 1), game.machine)
    assert whole.starts.tolist() == [[1] * 5]  # the promise speaks of no other
    every = np.tri(6, 5, -1, dtype=np.int32)
    assert chances(whole, attack, every) == game.worst(1) == [1] * 5 + [0]


def test_nodes_that_look_alike_are_refused():
    with pytest.raises(Refusal, match="by looks alone: in round 1 nodes that differ say the same") as error:
        optimal(solved(n=5, k=3, t=2, margin=(2, 2, 2, 1, 2)))
    assert "Scripted(plan=...)" in str(error.value)


def test_other_promises_and_other_crowds_are_refused():
    game = solved(n=4, k=3, t=1, max_rounds=5)
    index = next(i for i, p in enumerate(game.properties) if p.kind == SOMETIMES)
    with pytest.raises(Refusal, match="no attack belongs to it"):
        optimal(game, index)
    whole = case(game.protocol, game.roster, game.properties[0], (0, 1), game.machine)
    with pytest.raises(Refusal, match="solved for 4 nodes; 3 agents hear"):
        chances(whole, optimal(game), np.ones((1, 3), np.int32))


class TwoVotes(TallyProtocol):
    """Two votes at once."""

    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal > 0

    def send(self, ballot):
        return ballot, ~ballot

    def hear(self, key, ballot, total, coin):
        return total[0] > total[1]

    def decide(self, ballot):
        return ballot.astype(jnp.int32), ()


def test_two_votes_at_once_are_refused():
    known = solved(n=3, k=2, t=1, max_rounds=3)
    game = solve(TwoVotes(), known.roster, (0, 1), ())
    with pytest.raises(Refusal, match="TwoVotes sends more than one yes or no"):
        optimal(game._replace(properties=known.properties))


def test_the_table_says_who_hears_what():
    """Of three who say yes the first hears no false yes, the others one; the one who says no hears none."""
    told = jnp.zeros((1, 5, 2, 2), jnp.int32).at[0, 3].set(jnp.array([[1, 1], [1, 3]]))
    tally = Tally(jnp.int32(0), jnp.array([True, False, True, True]), jnp.int32(3), jnp.int32(1), jnp.zeros(4, bool))
    assert OptimalAttack(told=told, extras=1).lies(None, (), tally)[1].tolist() == [0, 0, 1, 1]
