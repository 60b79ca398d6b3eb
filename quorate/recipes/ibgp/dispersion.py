"""Dispersion: what liars say is dealt out at random among the receivers, so that they cannot say each what it should
hear. Many targets at once, in numpy; the same attack on the protocol itself, by the engine."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quorate import comms
from quorate.core import Fault, Mail, static
from quorate.faults.dispersed import Dispersed
from quorate.numerics.dispersion import dispersed
from quorate.protocols.hidden_stop_vote import last_round, stops
from quorate.protocols.targets import TargetVotes

HOLD, SPLIT = "hold, then split", "split at once"
_dealt = jax.jit(jax.vmap(dispersed, (0, 0, None)), static_argnums=2)


def influenced(seed: int, lists: int, split: int, n: int = 20, runs: int = 200) -> float:
    """The mean number of targets for which one liar's word reaches somebody, when it names `split` targets to equally
    many of n receivers and each receiver takes what more than half of `lists` random permutations give it.

    >>> influenced(0, 101, 1)
    1.0
    """
    said = np.arange(n, dtype=np.int32) * split // n + 1
    keys = jax.random.split(jax.random.key(seed), runs)
    heard = np.asarray(_dealt(keys, np.broadcast_to(said, (runs, 1, n)), lists))
    return float(np.sum([np.any(heard == target, axis=(1, 2)) for target in set(said)], axis=0).mean())


def votes_split(
    seed: int, k: int, t: int, margin: int, attack: str, always: bool, max_rounds: int, runs: int, lists: int = 45
) -> np.ndarray:
    """How many of 2 t targets end with some but fewer than k nodes acting, in each of `runs` runs.

    Every target has k + margin - 1 willing nodes, so one false yes is enough to go on; n = 2 t (k + margin - 1). The
    last round is uniform on 2..max_rounds. Liar l cares for targets 2 l and 2 l + 1.

    always   the words of every round are dispersed; else of the first only, and later liars say what they like
    attack   `SPLIT`: in the first round each liar names one of its targets to half of the nodes and the other to the
             rest. `HOLD`: it names one target to all until a round drawn from the same law, and splits then
    """
    drawn = np.random.default_rng([seed, k, t, margin, attack == HOLD, always])
    last, strike = drawn.integers(2, max_rounds + 1, (2, runs))
    strike = np.ones_like(strike) if attack == SPLIT else strike
    own, one, halves = _named(k, t, margin)
    willing = np.ones((runs, 2 * t, k + margin - 1), bool)
    for r in range(1, max_rounds + 1):
        holds = r < strike
        if r == 1 or always:
            keys = jax.random.split(jax.random.key(int(drawn.integers(2**31))), runs)
            heard = np.asarray(_dealt(keys, np.where(holds[:, None, None], one, halves), lists))
            lies = np.sum(heard == own, axis=1).reshape(willing.shape)
        else:
            lies = _as_they_like(willing, k, t, holds)
        needed = np.where(r == last, k, k + margin)[:, None, None]
        stays = willing & (willing.sum(2)[..., None] + lies >= needed)
        willing = np.where((r <= last)[:, None, None], stays, willing)
    acting = willing.sum(2)
    return np.sum((acting > 0) & (acting < k), axis=1)


def _named(k: int, t: int, margin: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The target of each node [n], counted from 1; what each liar tells it while it holds [t, 1] and when it splits
    [t, n]."""
    n = 2 * t * (k + margin - 1)
    node, one = np.arange(n, dtype=np.int32), 2 * np.arange(t, dtype=np.int32)[:, None] + 1
    return node * 2 * t // n + 1, one, one + (node >= n // 2)


def _as_they_like(willing: np.ndarray, k: int, t: int, holds: np.ndarray) -> np.ndarray:
    """False yes from liars with full power: all say yes to all while they hold, else to at most k - 1 willing nodes."""
    most = np.where(holds, willing.shape[2], k - 1)[:, None, None]
    return t * (willing & (np.cumsum(willing, axis=2) <= most))


# ------------------------------------------------------------------------------------------ on the protocol's own mail


class SplitTargets(Fault):
    """`SPLIT` on inboxes of `TargetVotes`: talkers from outside, liar l naming one of its targets to half of the nodes
    and the other to the rest in the first round; later all name to the first `passing` nodes of each target their own,
    or go on as they began where they are dispersed `always`.

    own     the target that each node proposes, counted from 1, [N]
    halves  what each liar tells each node in the first round, [extras, N]
    """

    own: jax.Array
    halves: jax.Array
    passing: int = static()
    always: bool = static()

    def on_deliver(self, key, state, mail: Mail):
        n = self.own.shape[0]
        named = mail.payload[0, :n]  # honest nodes tell all the same
        still = named == self.own
        earlier = (self.own[:, None] == self.own[None, :]) & still[None, :] & jnp.tri(n, dtype=bool)
        chosen = still & (jnp.sum(earlier, axis=1) <= self.passing)
        later = jnp.where(chosen, self.own, 0)[:, None]
        lies = jnp.where(self.always | (mail.round == 0), self.halves.T, later).astype(mail.payload.dtype)
        lying = mail.sender >= n
        told = jnp.take_along_axis(lies, jnp.maximum(mail.sender - n, 0), axis=1)
        payload = jnp.where(lying, told, mail.payload)
        return state, payload, mail.heard & ~(lying & (payload == 0))


def replayed(
    seed: int, k: int, t: int, margin: int, always: bool, max_rounds: int, runs: int, lists: int = 45
) -> np.ndarray:
    """`votes_split` under `SPLIT`, but played by the engine: `TargetVotes` among `SplitTargets` behind `Dispersed`."""
    own, _, halves = _named(k, t, margin)
    n = len(own)
    votes = TargetVotes(thresholds=[k] * 2 * t, margin=margin, stops=stops(last_round("uniform", 2, max_rounds)))
    attack = SplitTargets(own=jnp.asarray(own), halves=jnp.asarray(halves), passing=k - 1, always=always, extras=t)
    fault = Dispersed(attack=attack, draws=lists, dispersal="every round" if always else "first round")
    links = comms.complete(n, t)

    @eqx.filter_jit
    def play(key):
        boot, coin, lies, talk = jax.random.split(key, 4)
        state, lasting = fault.reset(lies, n), comms.boot(boot, votes, n)
        return comms.converse(talk, coin, votes, lasting, jnp.asarray(own) - 1, links, fault, state, None, n).decision

    going = np.asarray(jax.lax.map(play, jax.random.split(jax.random.key(seed), runs)))
    acting = np.sum(going[:, :, None] == np.arange(2 * t), axis=1)
    return np.sum((acting > 0) & (acting < k), axis=1)
