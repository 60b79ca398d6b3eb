"""Attackers that must find out: never above the exact worst case, close to it, and blind to the coin."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import __version__, comms, step
from quorate.core import CountingAttack, Scenario, static
from quorate.errors import Refusal
from quorate.faults import DropAtRound
from quorate.protocols.hidden_stop_vote import EXAMPLE
from quorate.verify.attack import attack
from quorate.verify.chances import MOST, case, courses, starts
from quorate.verify.check import instance
from quorate.verify.exact import informed, solve
from quorate.verify.train import Earnest, Votes, scenario

SMALL = [
    dict(n=4, k=3, t=1, max_rounds=5),
    dict(n=6, k=3, t=2, margin=1),
    dict(n=7, k=4, t=2, max_rounds=5, law="1/10,1/10,6/10,2/10"),
    dict(n=10, k=4, t=2, margin=(0,) + (2,) * 9),
    dict(n=16, k=12, t=3),
]
OWN_MARGINS = dict(n=5, k=3, t=2, margin=(2, 2, 2, 1, 2), max_rounds=5)


def of(options):
    entry, protocol, roster, _ = instance("hidden_stop_vote", False, options)
    return entry, protocol, roster


LARGEST = [pytest.param(options, marks=pytest.mark.slow) for options in SMALL[3:]]  # seconds each: make proof


@pytest.mark.parametrize("method", ["cem", "mutation"])
@pytest.mark.parametrize("options", [*SMALL[:3], OWN_MARGINS, *LARGEST], ids=str)
def test_searches_find_the_worst_case_of_small_votes(method, options):
    found = attack("hidden_stop_vote", method=method, **options)
    assert found.found == found.exact
    assert found.episodes >= 64 * len(found.starts) and found.plans.shape[0] == len(found.starts)


@pytest.mark.parametrize(
    ("method", "seeds"), [("cem", 3), ("mutation", 3), pytest.param("learned", 1, marks=pytest.mark.slow)]
)
def test_little_practice_finds_less_and_never_more(method, seeds):
    options = dict(n=6, k=4, t=2, max_rounds=4)
    for seed in range(seeds):
        found = attack("hidden_stop_vote", method=method, seed=seed, episodes=1, **options)
        assert all(f <= e for f, e in zip(found.found, found.exact, strict=True))
        assert found.episodes == {"learned": 512}.get(method, 64 * 7)


def test_the_same_seed_finds_the_same():
    found = [attack("hidden_stop_vote", method="cem", seed=s, episodes=1, n=7, k=6, t=1).plans for s in (1, 1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_what_is_printed():
    found = attack("hidden_stop_vote", n=4, k=3, t=1, max_rounds=5, method="mutation", seed=3, episodes=10_000)
    said = found.as_json()
    assert set(said) == {
        *("protocol", "n", "k", "t", "margin", "min_rounds", "max_rounds", "law", "version"),
        *("found", "exact", "ratio", "episodes", "seconds", "method"),
    }
    assert said["exact"] == said["found"] == [0, 0, 0, 0.25, 0] and said["ratio"] == [None, None, None, 1, None]
    assert said["episodes"] == 10_000 // 320 * 320 and said["version"] == __version__
    assert all(f <= e + 1e-12 for f, e in zip(said["found"], said["exact"], strict=True))


def test_a_game_too_large_to_solve_has_no_ratio():
    found = attack("hidden_stop_vote", n=6, k=4, t=2, max_rounds=4, method="mutation", most=10.0)
    assert found.exact is None and set(found.ratio) == {None} and found.as_json()["exact"] is None
    assert max(found.found) == pytest.approx(1 / 3)


@pytest.mark.parametrize("method", ["mutation", pytest.param("learned", marks=pytest.mark.slow)])
def test_starts_of_which_the_promise_does_not_speak_are_left_out(method):
    """It is about what nobody has seen: of starts where somebody has it says nothing, though all are sure to believe
    then."""
    found = attack("neighbourhood_vote", n=4, t=2, margin=1, method=method, episodes=1)
    assert found.starts.tolist() == [[0] * 4]
    assert found.exact == (1, None, None, None, None) and found.found[1:] == (None,) * 4
    assert found.ratio == (found.found[0], None, None, None, None)
    said = found.as_json()
    assert said["exact"] == [1, None, None, None, None] and said["found"][1:] == said["ratio"][1:] == [None] * 4


def test_a_promise_about_no_start_cannot_be_attacked():
    entry, protocol, roster, _ = instance("single_round_vote", False, dict(n=4, k=4, t=1))
    about = next(about for about in entry.properties if about.kind == "eventually")
    about = about._replace(when=lambda protocol, roster, proposed: proposed[..., 1] > 4)
    machine = solve(protocol, roster, entry.values, (about,)).machine
    with pytest.raises(Refusal, match="speaks of no start; there is nothing to attack"):
        case(protocol, roster, about, entry.values, machine)


def test_what_is_refused():
    for options, said in (
        (dict(method="luck"), 'no method of attack is called "luck"; there are learned, cem, mutation'),
        (dict(episodes=0), "--episodes is 0; it counts votes that are attacked and must be at least 1"),
        (dict(method="learned", t=0), "--t is 0; there is nobody who could learn to attack"),
    ):
        with pytest.raises(Refusal) as error:
            attack("hidden_stop_vote", **{"n": 4, **options})
        assert str(error.value).startswith(said)


# ------------------------------------------------------------------------------------------------ plays, all of them


def test_courses_of_the_coin():
    """Nine last rounds, equally likely; and every one of them ends the vote where it says."""
    entry, vote, roster = of(dict(n=4, k=2, t=1))
    machine = solve(vote, roster, entry.values, entry.properties[:1]).machine
    words, shares = courses(machine)
    assert words.shape == (9, 10) and set(shares) == {shares[0]} and sum(shares) == 1
    ends = [np.flatnonzero(row < np.asarray(vote.stops))[0] + 1 for row in words[:, : len(vote.stops)]]
    assert sorted(ends) == list(range(2, 11))
    assert MOST > 9


def test_starts_differ_by_kind():
    _, vote, _ = of(dict(n=4, k=2, t=1))
    assert starts(vote, 4, (0, 1)).tolist() == [[0] * 4, [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1] * 4]
    _, mixed, _ = of(dict(n=4, k=2, t=2, margin=(0, 2, 2, 0)))
    found = starts(mixed, 4, (0, 1))
    kinds = {(int(row[[0, 3]].sum()), int(row[[1, 2]].sum())) for row in found}
    assert len(found) == 9 == len(kinds) and (np.diff(found.sum(1)) >= 0).all()
    _, each, _ = of(dict(n=13, k=2, t=2, margin=tuple(range(13))))
    with pytest.raises(Refusal, match="there are 8192 starts that differ; at most 4096"):
        starts(each, 13, (0, 1))


def test_the_training_world_scores_as_the_property_does():
    entry, vote, roster = of(dict(n=5, k=3, t=1, max_rounds=4))
    machine = solve(vote, roster, entry.values, entry.properties[:1]).machine
    here = case(vote, roster, entry.properties[0], entry.values, machine)
    world = scenario(here, DropAtRound(at=1, extras=1)).world
    assert isinstance(world, Votes)
    for start in here.starts:
        for acts in np.ndindex(2, 2, 2, 2, 2):
            acts = np.array(acts)
            wrong = 0 < (start & acts).sum() < 3 or (acts & ~start & 1).any()
            assert float(world.score(jnp.asarray(start), jnp.asarray(acts), None)) == -float(wrong)


# ------------------------------------------------------------------------------------------------------ the hidden coin


@pytest.mark.parametrize("options", SMALL[:3], ids=str)
def test_the_end_told_beforehand_is_worth_everything_the_bit_nothing(options):
    """IBGP, Theorem 3 rests on nobody knowing the last round; to know whether this round is it helps nobody."""
    entry, vote, roster = of(options)
    game = solve(vote, roster, entry.values, entry.properties[:1])
    worst = game.answers[0].chances
    assert informed(game, 0, "bit") == worst
    assert informed(game, 0, "end") == tuple(1 if chance else 0 for chance in worst)


class Knowing(CountingAttack):
    """Drops all but two in the round before the last, which it works out from a key: the coin's own, wrongly handed to
    it, or else the one that attackers get."""

    coin: jax.Array
    mine: bool = static(False)

    def lies(self, key, state, tally):
        coin = key if self.mine else self.coin
        words = jax.vmap(lambda r: jax.random.bits(jax.random.fold_in(coin, r), dtype=jnp.uint32))(jnp.arange(5))
        last = jnp.argmax((words < EXAMPLE.stops) | (jnp.arange(5) == 4))
        drop = DropAtRound(at=last, passing=2, extras=1)
        return state, drop.lies(key, (), tally)[1]


def test_who_holds_the_coin_breaks_every_vote_and_who_holds_the_attackers_key_does_not():
    plays, start = 2000, jnp.array([1, 1, 1, 0], jnp.int32)

    @eqx.filter_jit
    def rate(mine):
        def one(key):
            coin = jax.random.fold_in(key, 1)
            fault = Knowing(coin=coin, mine=mine, extras=1)
            acts = comms.converse(key, coin, EXAMPLE, comms.boot(key, EXAMPLE, 4), start, None, fault, (), None, 4)
            count = jnp.sum(acts.decision)
            return (count > 0) & (count < 3)

        return jnp.mean(jax.vmap(one)(jax.random.split(jax.random.key(0), plays)))

    assert float(rate(False)) == 1
    assert float(rate(True)) < 0.25 + 4 * (0.25 * 0.75 / plays) ** 0.5


class Spy(CountingAttack):
    """Notes all that attackers get to see in each round: the tally, and the words of their key."""

    def reset(self, key, num_agents):
        rounds, words = EXAMPLE.rounds, jax.random.key_data(key).shape[0]
        return jnp.zeros((rounds, 2 * num_agents + 3), jnp.int32), jnp.zeros((rounds, words), jnp.uint32)

    def lies(self, key, state, tally):
        seen = jnp.concatenate([tally.sent, jnp.stack([tally.total, tally.power, tally.round]), tally.forged])
        state = state[0].at[tally.round].set(seen), state[1].at[tally.round].set(jax.random.key_data(key))
        return state, jnp.where(tally.forged, 0, tally.power)


def test_nothing_an_attacker_sees_tells_the_coin():
    """256 coins, all else equal: whatever is seen up to the last round is the same, wherever the last round is."""
    start, key, rounds = jnp.ones(4, jnp.int32), jax.random.key(2), EXAMPLE.rounds

    @jax.jit
    def play(coin):
        fault = Spy(extras=1)
        lasting, state = comms.boot(key, EXAMPLE, 4), fault.reset(key, 4)
        talked = comms.converse(key, coin, EXAMPLE, lasting, start, None, fault, state, None, 4)
        words = jax.vmap(lambda r: jax.random.bits(jax.random.fold_in(coin, r), dtype=jnp.uint32))(jnp.arange(rounds))
        last = jnp.argmax((words < EXAMPLE.stops) | (jnp.arange(rounds) == rounds - 1))
        return last, talked.fault

    last, (seen, words) = jax.tree.map(np.asarray, jax.vmap(play)(jax.random.split(jax.random.key(4), 256)))
    assert set(last.tolist()) == {1, 2, 3, 4}
    assert (words == words[0]).all()
    longest = seen[last.argmax()]
    for end, one in zip(last, seen, strict=True):
        np.testing.assert_array_equal(one[: end + 1], longest[: end + 1])
    assert (seen[:, 2, :4].sum(1) == np.where(last >= 2, 4, 0)).all()  # afterwards all see that it is over


def test_no_key_of_a_tick_leads_to_its_coin():
    """Every key that a fault is handed in a tick, and two levels of what can be folded into it, against the keys of the
    round's coins."""
    handed = []

    class Collecting(Spy):
        def reset(self, key, num_agents):
            handed.append(key)
            return ()

        def update(self, key, state, t):
            handed.append(key)
            return state

        def on_observe(self, key, state, obs):
            handed.append(key)
            return state, obs

        def on_act(self, key, state, actions, idle):
            handed.append(key)
            return state, actions

        def on_credit(self, key, state, credit):
            handed.append(key)
            return state, credit

        def lies(self, key, state, tally):
            handed.append(key)
            return state, jnp.zeros(4, jnp.int32)

    entry, vote, roster = of(dict(n=4, k=3, t=1, max_rounds=3))
    machine = solve(vote, roster, entry.values, entry.properties[:1]).machine
    here = scenario(case(vote, roster, entry.properties[0], entry.values, machine), Collecting(extras=1))
    assert isinstance(here, Scenario) and isinstance(here.learner, Earnest)
    key, t = jax.random.key(6), jnp.int32(2)

    @jax.jit
    def all_handed(key):
        step.tick(key, t, here, (), step.begin(key, here, ()))
        return jnp.stack(handed)

    public = all_handed(key)
    assert len(public) == 5 + vote.rounds
    coin = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, step.COIN), t), step.COMMIT)
    coins = jax.vmap(lambda r: jax.random.fold_in(coin, r))(jnp.arange(vote.rounds))
    ancestors = jnp.stack([coin, jax.random.fold_in(jax.random.fold_in(key, step.COIN), t)])
    secret = jnp.concatenate([coins, ancestors])
    numbers = jnp.array([*range(16), step.RESET, step.COIN, step.INIT, step.LEARN], jnp.uint32)

    @jax.jit
    def below(keys):
        return jax.vmap(lambda k: jax.vmap(lambda i: jax.random.fold_in(k, i))(numbers))(keys).reshape(-1)

    def words(keys):
        return {tuple(word) for word in np.asarray(jax.random.key_data(keys)).tolist()}

    whole = key[None]
    assert not (words(public) | words(below(public)) | words(below(below(public)))) & words(secret)
    assert words(below(below(below(whole)))) >= words(secret[-2:-1])  # from the run's own key the search gets there
