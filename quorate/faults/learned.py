"""Learned: attackers who learn what to tell whom from how badly the crowd ends, inside the same run."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import CountingAttack, Key, Step, static, swept
from quorate.errors import Refusal
from quorate.faults.counting import votes

FADING, NOISE = (0.9, 0.999), 1e-8  # Adam's decay of mean and square, and what keeps it from dividing by zero
PATIENCE = 0.9  # how fast the baseline forgets
BOLD = 1.5  # at first a receiver hears nobody or everybody with a preference of this much


class Weights(NamedTuple):
    """A net of one hidden layer with a direct way past it: F features, H hidden, O outputs."""

    inner: Float[Array, "H F"]
    outer: Float[Array, "O H"]
    direct: Float[Array, "O F"]
    bias: Float[Array, " O"]


class Record(NamedTuple):
    """What attackers saw and did in the rounds of one tick."""

    sent: Bool[Array, "R M"]
    lies: Int[Array, "R M"]
    all: Bool[Array, " R"]


class Baseline(NamedTuple):
    """What the attackers gain on average from a round on, by how many say yes in it."""

    value: Float[Array, "R M_and_1"]
    weight: Float[Array, "R M_and_1"]


class Learned(CountingAttack):
    """Policy-gradient attackers: t talkers from outside whose action is a bit for each of them and each receiver, in
    every round.

        p(bits | seen) = q [all are 1]  +  (1 - q) prod_i p_i(number of 1 that receiver i gets)

    q and p_i are what a small net makes of what is seen: the round, the honest mail, and what was told in the round
    before. Attackers are exchangeable to a receiver that counts, so the number is the action; the first that many say
    yes. The gain of a tick is minus its score; all rounds of the tick share it, less a baseline by round and number
    of yes, which is learned too (REINFORCE, with Adam as the step). No table of the game goes in, and no coin.

    rounds       of the protocol; receivers: the most agents it can attack
    weights      the net; `mean`, `square` and `steps` belong to Adam
    rate         size of a step; 0 is frozen
    greedy       plays the likeliest action instead of drawing one

    Made by `untrained`; trains inside `quorate.step.run`, one step every `horizon` ticks over all B runs; `frozen` for
    evaluation. Cost: O(F H + H M t) a round and run, F = rounds + 2 receivers features.

    Errors: `Refusal` for more agents than `receivers`, and for mail of more than a yes or no.
    Reference: Williams, Simple statistical gradient-following algorithms, Machine Learning 8 (1992); Kingma and Ba,
    Adam, ICLR 2015. IBGP, Section 5 trains its attackers by Q-learning instead, and leaves open what they see.
    """

    rounds: int = static()
    receivers: int = static()
    weights: Weights
    mean: Weights
    square: Weights
    steps: Int[Array, ""] = swept(jnp.int32, 0)
    baseline: Baseline
    rate: Float[Array, ""] = swept(default=0.01)
    greedy: Bool[Array, ""] = swept(bool, False)

    def reset(self, key, num_agents):
        if num_agents > self.receivers:
            raise Refusal(f"the attackers were made for {self.receivers} receivers; the world has {num_agents} agents")
        empty = jnp.zeros((self.rounds, self.receivers), bool)
        return Record(empty, empty.astype(jnp.int32), jnp.zeros(self.rounds, bool))

    def update(self, key, state, t):
        return jax.tree.map(jnp.zeros_like, state)

    def lies(self, key, state, tally):
        num_agents = tally.forged.shape[0]
        index = jnp.minimum(tally.round, self.rounds - 1)
        sent = jnp.zeros(self.receivers, bool).at[:num_agents].set(votes(tally.sent))
        before = jnp.where(index > 0, state.lies[jnp.maximum(index - 1, 0)], 0)
        whole, each = self.preferences(self.features(index, sent, before))
        drawn = jax.random.uniform(jax.random.fold_in(key, 0)) < jax.nn.sigmoid(whole)
        everybody = jnp.where(self.greedy, whole > 0, drawn)
        noise = jax.random.gumbel(jax.random.fold_in(key, 1), each.shape)
        number = jnp.argmax(each + jnp.where(self.greedy, 0, noise), axis=-1).astype(jnp.int32)
        told = jnp.where(everybody, self.extras, number)
        record = Record(
            state.sent.at[index].set(sent), state.lies.at[index].set(told), state.all.at[index].set(everybody)
        )
        return record, told[:num_agents]

    def features(self, index: Array, sent: Array, before: Array) -> Float[Array, "... F"]:
        """What a round looks like: which it is, the honest mail, and what was told in the one before."""
        return jnp.concatenate([jax.nn.one_hot(index, self.rounds), sent * 1.0, before / max(self.extras, 1)], axis=-1)

    def preferences(self, seen: Float[Array, "... F"]) -> tuple[Array, Array]:
        """For telling all yes, [...]; and for each receiver and number of yes, [..., M, t + 1]."""
        net = self.weights
        out = jnp.tanh(seen @ net.inner.T) @ net.outer.T + seen @ net.direct.T
        out = out + jnp.broadcast_to(net.bias, out.shape)
        return out[..., 0], out[..., 1:].reshape(*out.shape[:-1], self.receivers, self.extras + 1)

    def report(self, state):
        return state

    def learn(self, key: Key, segment: Step) -> "Learned":
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), segment.trace)  # [T B, R, ...]
        gain = jnp.where(segment.live, -segment.score, 0).reshape(-1, 1)
        count = jnp.sum(flat.sent, axis=-1)  # [T B, R]
        rows = jnp.broadcast_to(jnp.arange(self.rounds)[None, :], count.shape)
        surprise = gain - self.baseline.value[rows, count]
        before = jnp.concatenate([jnp.zeros_like(flat.lies[:, :1]), flat.lies[:, :-1]], axis=1)
        seen = self.features(rows, flat.sent, before)

        def loss(weights: Weights) -> Array:
            whole, each = dataclasses.replace(self, weights=weights).preferences(seen)
            told = jnp.take_along_axis(jax.nn.log_softmax(each), flat.lies[..., None], axis=-1)[..., 0]
            chosen = jnp.where(flat.all, jax.nn.log_sigmoid(whole), jax.nn.log_sigmoid(-whole) + jnp.sum(told, axis=-1))
            return -jnp.mean(jnp.sum(surprise * chosen, axis=-1))

        slope, steps = jax.grad(loss)(self.weights), self.steps + 1
        mean = jax.tree.map(lambda m, g: FADING[0] * m + (1 - FADING[0]) * g, self.mean, slope)
        square = jax.tree.map(lambda s, g: FADING[1] * s + (1 - FADING[1]) * g**2, self.square, slope)
        scale = jnp.sqrt(1 - FADING[1] ** steps) / (1 - FADING[0] ** steps)
        weights = jax.tree.map(
            lambda w, m, s: w - self.rate * scale * m / (jnp.sqrt(s) + NOISE), self.weights, mean, square
        )
        weight = PATIENCE * self.baseline.weight.at[rows, count].add(1 / PATIENCE)
        value = self.baseline.value + jnp.zeros_like(weight).at[rows, count].add(surprise) / jnp.maximum(weight, 1)
        trained = weights, mean, square, steps, Baseline(value, weight)
        return eqx.tree_at(lambda f: (f.weights, f.mean, f.square, f.steps, f.baseline), self, trained)

    def frozen(self) -> "Learned":
        """As it is, without chance and without learning any more."""
        return dataclasses.replace(self, rate=0.0, greedy=True)


def untrained(key: Key, *, rounds: int, receivers: int, extras: int, hidden: int = 32, rate: float = 0.01) -> Learned:
    """Attackers before the first lesson: all receivers hear nobody or everybody at random, and seldom some.

    >>> import jax
    >>> untrained(jax.random.key(0), rounds=3, receivers=5, extras=2).weights.direct.shape
    (16, 13)
    """
    for name, value in (("rounds", rounds), ("receivers", receivers), ("extras", extras), ("hidden", hidden)):
        if value < 1:
            raise Refusal(f"{name} is {value}; learned attackers need at least 1")
    features, outputs = rounds + 2 * receivers, receivers * (extras + 1) + 1
    inner = jax.random.normal(key, (hidden, features)) / features**0.5
    extremes = np.zeros((receivers, extras + 1), np.float32)
    extremes[:, [0, extras]] = BOLD
    rest = np.zeros((outputs, hidden)), np.zeros((outputs, features)), np.concatenate([[0], extremes.reshape(-1)])
    weights = Weights(inner, *(jnp.asarray(part, jnp.float32) for part in rest))
    zero = jax.tree.map(jnp.zeros_like, weights)
    table = jnp.asarray(np.zeros((rounds, receivers + 1), np.float32))
    return Learned(
        rounds=rounds, receivers=receivers, extras=extras, weights=weights, mean=zero, square=zero,
        baseline=Baseline(table, table), rate=rate,
    )  # fmt: skip
