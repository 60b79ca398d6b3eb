"""An attack under dispersion: honest mail stays, lies are swapped after they are told."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Fault, NoFault, Protocol, Scenario, static
from quorate.errors import Refusal
from quorate.faults import AllYes, Chain, Delay, Loss
from quorate.faults.dispersed import Dispersed
from quorate.learners import Uniform
from quorate.numerics.dispersion import dispersed, permutations
from quorate.step import run, start
from quorate.testing.tiny import Chorus, Lamps, Show

N, LIARS, ROUNDS = 6, 2, 2


class Echo(Protocol):
    """Its decision is the mail of every round."""

    rounds: int = static(ROUNDS)

    def propose(self, key, state, proposal):
        return proposal, jnp.int32(0), jnp.full((ROUNDS, N + LIARS), -1, jnp.int32)

    def send(self, ballot):
        return ballot[0]

    def receive(self, key, ballot, inbox):
        return ballot[0], ballot[1] + 1, ballot[2].at[ballot[1]].set(jnp.where(inbox.heard, inbox.payload, -1))

    def decide(self, ballot):
        return ballot[2], ()


class Written(Fault):
    """Liars, the first `members` agents and two from outside, who say `told` [N, N + 2]; agent 1 is lied to in
    silence by the first from outside."""

    told: jax.Array
    members: int = static(0)

    def liars(self, state):
        return jnp.arange(N) < self.members

    def on_deliver(self, key, state, mail):
        forged = (mail.sender >= N) | (mail.sender < self.members)
        heard = mail.heard & ~((mail.sender == N) & (jnp.arange(N)[:, None] == 1))
        return state, jnp.where(forged, self.told, mail.payload), heard


TOLD = jnp.asarray(np.random.default_rng(0).integers(1, 4, (N, N + LIARS)), jnp.int32)


@eqx.filter_jit
def conversed(fault):
    proposal, links = jnp.arange(10, 10 + N, dtype=jnp.int32), comms.complete(N, LIARS)
    key, coin_key = jax.random.key(0), jax.random.key(9)
    state = fault.reset(key, N)
    return comms.converse(key, coin_key, Echo(), (), proposal, links, fault, state, None, N).decision


def mail(fault):
    """What each node hears in each round: [N, rounds, N + LIARS], -1 for nothing."""
    return np.asarray(conversed(fault))


def swapped(told, round_, draws):
    """What the wrapper should have made of these lies [N, A]."""
    lie_key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), comms.LIES), round_)
    return np.asarray(dispersed(jax.random.fold_in(lie_key, 1), told.T, draws)).T


@pytest.mark.parametrize("members", [0, 2])
def test_lies_are_swapped_every_round_and_honest_mail_is_not(members):
    attack = Written(told=TOLD, members=members, extras=LIARS)
    plain, heard = mail(attack), mail(Dispersed(attack=attack, draws=3))
    assert (plain[1, :, N] == -1).all()  # nothing came
    honest = slice(members, N)
    np.testing.assert_array_equal(heard[:, :, honest], plain[:, :, honest])
    assert (np.diagonal(heard[:, 0, :N]) == np.arange(10, 10 + N)).all()  # nobody is lied to by itself
    lied = TOLD.at[1, N].set(0)
    for r in range(ROUNDS):
        expected = swapped(lied, r, 3)
        for column in [*range(members), N, N + 1]:
            rows = [i for i in range(N) if i != column]
            np.testing.assert_array_equal(heard[rows, r, column], expected[rows, column])
    assert (heard[:, 0] != heard[:, 1]).any()  # fresh permutations


def test_first_round_and_none():
    attack = Written(told=TOLD, extras=LIARS)
    plain = mail(attack)
    every, first, none = (
        mail(Dispersed(attack=attack, draws=3, dispersal=d)) for d in ("every round", "first round", "none")
    )
    np.testing.assert_array_equal(none, plain)
    np.testing.assert_array_equal(first[:, 0], every[:, 0])
    np.testing.assert_array_equal(first[:, 1], plain[:, 1])
    assert (every[:, 1] != plain[:, 1]).any()


class Keyed(Fault):
    """Members 0 and 1 tell each receiver its own number plus one; the talkers from outside tell all the two words of
    the attack's key."""

    def liars(self, state):
        return jnp.arange(N) < 2

    def on_deliver(self, key, state, mail):
        words = jax.lax.bitcast_convert_type(jax.random.key_data(key), jnp.int32)
        me = jnp.arange(1, N + 1)[:, None]
        said = jnp.where(mail.sender < 2, me, mail.payload)
        return state, jnp.where(mail.sender >= N, words[jnp.maximum(mail.sender - N, 0)], said), mail.heard


def test_the_attack_never_sees_the_key_of_the_permutations():
    """With one draw what is heard is the permutation; no branch of the attack's key gives it."""
    heard = mail(Dispersed(attack=Keyed(extras=LIARS), draws=1))
    for r in range(ROUNDS):
        words = np.unique(heard[:, r, N:], axis=0)
        assert len(words) == 1  # all hear the attack's key
        key = jax.random.wrap_key_data(jnp.asarray(words[0].astype(np.int32).view(np.uint32)))
        used = heard[2:, r, 0] - 1
        lie_key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), comms.LIES), r)
        assert (used == permutations(jax.random.fold_in(lie_key, 1), 1, N)[0, 2:]).all()
        for guess in (key, *(jax.random.fold_in(key, part) for part in range(10))):
            assert (used != permutations(guess, 1, N)[0, 2:]).any()


def test_it_lives_in_a_scenario():
    """Yes-no lies too; who tells all the same loses nothing."""

    class Shout(Chorus):
        def lies(self, key, state, tally):
            return state, jnp.full_like(state, self.members + self.extras, jnp.int32)

    def scores(fault):
        world = Lamps(num_agents=5)
        scenario = Scenario(world, Uniform(), commit=Show(), fault=fault, topology=comms.complete(5, 2))
        return run(start(jax.random.key(0), scenario), scenario, 5)[1]["score"]

    shout = Shout(members=1, extras=2)
    np.testing.assert_array_equal(scores(Dispersed(attack=shout, draws=5)), scores(shout))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(draws=0), "draws is 0; it counts permutations"),
        (dict(draws=2.5), "draws is 2.5; it counts permutations"),
        (dict(draws=3, dispersal="every rounds"), 'no dispersal is called "every rounds"; did you mean every round'),
        (dict(draws=3, attack=Delay(rounds=1)), "Delay stands inside the dispersion"),
        (dict(draws=3, attack=Chain(faults=(AllYes(extras=1), Loss(share=0.5)))), "Loss stands inside the dispersion"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(Refusal, match=said):
        Dispersed(**{"attack": NoFault(), **given})


def test_channels_stand_behind():
    """Lost lies stay lost, and late ones come as they were swapped."""
    attack = Dispersed(attack=Written(told=TOLD, extras=LIARS), draws=3)
    others = ~np.eye(N, N + LIARS, dtype=bool)
    assert (mail(Chain(faults=(attack, Loss(share=1.0)))).swapaxes(0, 1)[:, others] == -1).all()
    late = mail(Chain(faults=(attack, Delay(rounds=1)))).swapaxes(0, 1)
    assert (late[0][others] == -1).all() and (late[1][others] >= 0).all()
    lied = TOLD.at[1, N].set(0)
    lie_key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), comms.LIES), 0)
    expected = dispersed(jax.random.fold_in(jax.random.fold_in(lie_key, 0), 1), lied.T, 3).T
    np.testing.assert_array_equal(late[1][:, N:], np.asarray(expected)[:, N:])


class Wider(Echo):
    """Says more than a whole number."""

    said: str = static("fraction")

    def send(self, ballot):
        return {"fraction": ballot[0] * 0.5, "two": (ballot[0], ballot[0]), "pair": jnp.stack([ballot[0]] * 2)}[
            self.said
        ]


@pytest.mark.parametrize(
    ("said", "what"),
    [("fraction", r"float32\[6\]"), ("two", r"int32\[6\], int32\[6\]"), ("pair", r"int32\[6,2\]")],
)
def test_mail_without_a_majority_is_refused(said, what):
    fault, links = Dispersed(attack=NoFault(extras=LIARS), draws=3), comms.complete(N, LIARS)
    args = Wider(said=said), (), jnp.arange(N), links, fault, (), None, N
    with pytest.raises(Refusal, match="dispersion takes a majority .* here a round's mail is " + what):
        comms.converse(jax.random.key(0), jax.random.key(9), *args)


def test_boards_hear_the_attack():
    class Smearing(Fault):
        def down(self, state):
            return state > 0

        def on_post(self, key, state, posts, board):
            return state + 1, posts * board

        def on_notice(self, key, state, place, notice, heard, board):
            return state + place, notice * board, ~heard

    fault = Dispersed(attack=Smearing(), draws=3)
    assert fault.on_post(None, 0, 5, 2) == (1, 10) and fault.down(1) and not fault.down(0)
    assert fault.on_notice(None, 0, 10, 5, np.array(True), 3) == (10, 15, False)


def test_sums_and_incomplete_lists_are_refused():
    fault = Dispersed(attack=NoFault(extras=1), draws=3)
    proposal = jnp.ones(N, jnp.int32)
    keys = jax.random.split(jax.random.key(0))
    with pytest.raises(Refusal, match="hears sums only"):
        comms.converse(*keys, Show(), (), proposal, None, fault, (), None, N)
    few = comms.Neighbours(jnp.zeros((N, 2), jnp.int32), jnp.ones((N, 2), bool))
    with pytest.raises(Refusal, match="everybody must hear everybody"):
        comms.converse(*keys, Show(), (), proposal, few, fault, (), None, N)
