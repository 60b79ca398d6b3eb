"""The vote in a world: some nodes see a chance, liars talk, the crowd votes, and too few who act are hurt."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Key, Learner, Scenario, World, static, swept
from quorate.experiments.study import Study, stacked
from quorate.faults.counting import DropAtRound, RandomYes
from quorate.protocols.hidden_stop_vote import HiddenStopVote, last_round, stops


class Chance(NamedTuple):
    """Who sees the chance to act."""

    seen: Bool[Array, " N"]


class CallToAct(World):
    """A chance that `enough` nodes can take together, new in every tick.

        G = 1 if C >= enough,   0 if C = 0,   -1 otherwise,      C = sum_i seen_i a_i

    The number of nodes that see it is uniform on 0..N unless `willing` says it; which ones they are is drawn. The
    rewards are ours, the paper's are lost. Cost O(N log N) for drawing who sees it. Reference: IBGP, Table 1 and
    Definition 2.

    >>> world = CallToAct(num_agents=3, enough=2)
    >>> seen = Chance(jnp.array([True, True, False]))
    >>> [float(world.score(seen, jnp.array(actions), seen)) for actions in ([1, 1, 0], [1, 0, 0], [0, 0, 0])]
    [1.0, -1.0, 0.0]
    """

    num_agents: int = static()
    enough: Int[Array, ""] = swept(jnp.int32)
    willing: Int[Array, ""] = swept(jnp.int32, -1)
    num_actions: int = static(2)

    def reset(self, key: Key) -> Chance:
        count, order = jax.random.split(key)
        drawn = jax.random.randint(count, (), 0, self.num_agents + 1)
        among = jax.random.permutation(order, self.num_agents)
        return Chance(among < jnp.where(self.willing < 0, drawn, self.willing))

    def step(self, key: Key, state: Chance, actions: Int[Array, " N"]) -> Chance:
        return self.reset(key)

    def observe(self, key: Key, state: Chance) -> Bool[Array, " N"]:
        return state.seen

    def score(self, state: Chance, actions: Int[Array, " N"], after: Chance) -> Float[Array, ""]:
        acting = jnp.sum((actions > 0) & state.seen, dtype=jnp.int32)
        return jnp.where(acting >= self.enough, 1, -jnp.sign(acting)).astype(jnp.float32)


class Candid(Learner):
    """Proposes to act exactly when it sees the chance; nothing is learned."""

    horizon: int = static(1)

    def init(self, key: Key, scenario: Scenario) -> tuple:
        return ()

    def act(self, key, mind, memory, obs, legal):
        return obs.astype(jnp.int32), memory, ()


def vote(enough: int, margin: int, max_rounds: int) -> HiddenStopVote:
    """The vote whose last round is uniform on 2..max_rounds."""
    return HiddenStopVote(threshold=enough, margin=margin, stops=stops(last_round("uniform", 2, max_rounds)))


def scenario(
    num_agents: int = 4, liars: int = 2, enough: int = 2, margin: int = 2, share: float = 0.5, max_rounds: int = 10
) -> Scenario:
    """A crowd that votes on each chance it sees, among liars who babble.

    >>> scenario().commit.rounds
    10
    """
    world = CallToAct(num_agents=num_agents, enough=enough)
    return Scenario(
        world=world,
        learner=Candid(),
        commit=vote(enough, margin, max_rounds),
        fault=RandomYes(chance=share, extras=liars),
    )


def attacked(n: int, k: int, t: int, willing: int, at: int, max_rounds: int) -> Scenario:
    """`willing` of n nodes see the chance, and the best attack lets k - 1 of them pass round `at`."""
    world = CallToAct(num_agents=n, enough=k, willing=willing)
    fault = DropAtRound(at=at, passing=k - 1, extras=t)
    return Scenario(world=world, learner=Candid(), commit=vote(k, t, max_rounds), fault=fault)


def scores(study: Study, name: str, scenarios: list[Scenario], votes: int) -> np.ndarray:
    """The scores of `votes` votes in each scenario, [scenarios, votes]: 1 enough act, 0 nobody, -1 some but too few."""
    batch = min(votes, 100)
    ticks = -(-votes // batch)
    found = study.sweep(f"{name} votes={votes}", stacked(scenarios), ticks, batch, ("score",), name)["score"]
    return np.asarray(found).reshape(len(scenarios), -1)[:, :votes]
