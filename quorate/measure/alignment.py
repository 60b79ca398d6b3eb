"""Whether a utility pulls where the score pulls, and how clearly an agent sees its own hand in it."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Key, State, Utility, World
from quorate.errors import Refusal

MOST_JOINT_ACTIONS = 2**20
RESOLUTION = 2.0**-20  # of the largest of the four numbers compared: 16 roundings of float32
_AT_ONCE = 2**19  # agents evaluated together, counted over all joint actions of a batch


def factoredness(
    world: World,
    utility: Utility,
    key: Key,
    samples: int | None = None,
    agents: Int[Array, " K"] | None = None,
) -> Float[Array, " K"]:
    """The share of changes of its own action that move an agent's pay and the score the same way.

        F_i = mean of u[(g_i(z) - g_i(z')) (G(z) - G(z'))] over pairs z, z' with z'_-i = z_-i and z'_i != z_i

    samples   pairs drawn for each agent, both actions uniform; None: all pairs of all joint actions, in one state
    agents    whom to look at, by index; None: everybody

    Three things that the formula leaves open. The literal sum holds the pairs z' = z, each a 0, and would give 1/2 to
    every perfect utility of two actions: they are left out. A pair where both differences are 0 agrees, for neither
    pulls anywhere. A pair where only one is 0 disagrees.
    Numbers are float32, so a difference below `RESOLUTION` times the largest of |G(z)|, |G(z')|, |g_i(z)|, |g_i(z')|
    counts as 0, and two differences that are both below twice that agree. A utility in a unit far below that of the
    score hence looks idle: scale it first.

    Every pair starts from one state and meets the same noise of the world. Where a utility asks for chances, all
    actions are equally likely.

    Shapes: result f32[K], for one agent each. Cost: K `samples` evaluations of the utility, O(K N samples); exhaustive
    A^N evaluations and O(N A^(N+1)) comparisons.
    Errors: Refusal for one action only, for more than 2^20 joint actions without `samples`, for fewer than 1 sample,
    for agents that do not exist, and for a world that forbids actions.
    Reference: Tumer, Designing Agent Utilities, Eq. 1.

    >>> from quorate.core import Team
    >>> from quorate.worlds.bar import Bar
    >>> factoredness(Bar(num_agents=3, nights=2, capacity=1.0), Team(), jax.random.key(0)).tolist()
    [1.0, 1.0, 1.0]
    """
    agents = _checked(world, key, agents)
    if samples is not None:
        if samples < 1:
            raise Refusal(f"samples is {samples}; it must be at least 1, or None for all pairs")
        return _sampled(world, utility, key, samples, agents)
    joint = world.num_actions**world.num_agents
    if joint > MOST_JOINT_ACTIONS:
        raise Refusal(f"there are {joint:g} joint actions; give samples= above {MOST_JOINT_ACTIONS}")
    score, pay = (np.asarray(table) for table in _table(world, utility, key, joint))
    return jnp.asarray([_over_all_pairs(world, score, pay[:, i], i) for i in agents.tolist()], jnp.float32)


class Learnability(NamedTuple):
    """How far an agent's pay moves with its own action and with those of the others, in S states for K agents.

    value     mean of `own` over mean of `others`: Eq. 2 as a ratio of means; inf where the others do not matter
    own       [S, K] mean of |g_i(z) - g_i(z_-i + z'_i)| over all other actions z'_i
    others    [S, K] mean of |g_i(z) - g_i(z'_-i + z_i)| over uniform z'_-i
    actions   i32[S, K] z_i, to look at those who did one thing: Eq. 2 is defined at each z
    """

    value: Float[Array, ""]
    own: Float[Array, "S K"]
    others: Float[Array, "S K"]
    actions: Int[Array, "S K"]


def learnability(
    world: World,
    utility: Utility,
    key: Key,
    states: int = 10,
    samples: int = 200,
    agents: Int[Array, " K"] | None = None,
) -> Learnability:
    """How much of what moves an agent's pay is its own doing.

        lambda_i(z) = E_z'_i |g_i(z) - g_i(z_-i + z'_i)|  /  E_z'_-i |g_i(z) - g_i(z'_-i + z_i)|

    states    joint actions z, uniform
    samples   joint actions of the others z'_-i for each z, uniform; the numerator runs over all actions
    agents    whom to look at, by index; None: everybody

    A single lambda may be infinite (a wonderful life where the agent did nothing), so the average is the ratio of
    means. Two utilities that differ by what does not depend on the agent have one numerator; the difference is in how
    much of the others' noise is left. A utility that never moves has value 0. As in `factoredness` a difference below
    the resolution of float32 counts as 0.

    Shapes: see `Learnability`. Cost: states K (samples + A - 1) evaluations of the utility, each O(N).
    Errors: Refusal for one action only, for fewer than 1 state or sample, for agents that do not exist, and for a
    world that forbids actions.
    Reference: Tumer, Designing Agent Utilities, Eq. 2, which leaves the averages open.

    >>> from quorate.utilities.selfish import Selfish
    >>> from quorate.worlds.gaussian_squeeze import GaussianSqueeze
    >>> world = GaussianSqueeze(num_agents=4, mu=10.0, sigma=5.0)
    >>> float(learnability(world, Selfish(), jax.random.key(0)).value)  # nobody else moves it
    inf
    """
    agents = _checked(world, key, agents)
    for name, value in (("states", states), ("samples", samples)):
        if value < 1:
            raise Refusal(f"{name} is {value}; it must be at least 1")
    own, others, actions = _moves(world, utility, key, states, samples, agents)
    above, below = jnp.mean(own), jnp.mean(others)
    value = jnp.where(above == 0, 0, above / jnp.where(below == 0, 1, below))
    return Learnability(jnp.where((above > 0) & (below == 0), jnp.inf, value), own, others, actions)


def _checked(world: World, key: Key, agents) -> Int[Array, " K"]:
    if world.num_actions < 2:
        raise Refusal(f"{type(world).__name__} leaves {world.num_actions} action; a change needs at least 2")
    if world.legal(world.reset(key)) is not None:
        raise Refusal(f"{type(world).__name__} forbids actions; these measures change to any action")
    agents = np.arange(world.num_agents) if agents is None else np.asarray(agents)
    if agents.ndim != 1 or agents.size == 0 or agents.min() < 0 or agents.max() >= world.num_agents:
        raise Refusal(f"agents is {agents.tolist()}; it lists indices in 0..{world.num_agents - 1}")
    return jnp.asarray(agents, jnp.int32)


def _evaluated(world: World, utility: Utility, key: Key, state: State, actions: Int[Array, " N"]) -> tuple:
    """(G, g) of one joint action."""
    after = world.step(key, state, actions)
    score = world.score(state, actions, after)
    chances = jnp.full((world.num_agents, world.num_actions), 1 / world.num_actions) if utility.needs_chances else None
    return score, utility(world, state, actions, after, score, chances)


def _uniform(world: World, key: Key) -> Int[Array, " N"]:
    return jax.random.randint(key, (world.num_agents,), 0, world.num_actions)


def _step(score: tuple, pay: tuple, xp) -> Float[Array, "..."]:
    """The smallest difference that is no rounding."""
    sizes = [xp.abs(number) for number in (*score, *pay)]
    return RESOLUTION * xp.maximum(xp.maximum(sizes[0], sizes[1]), xp.maximum(sizes[2], sizes[3]))


def _agree(score: tuple, pay: tuple, xp) -> Bool[Array, "..."]:
    step = _step(score, pay, xp)
    whole, own = score[0] - score[1], pay[0] - pay[1]
    same = xp.sign(whole) * (xp.abs(whole) > step) == xp.sign(own) * (xp.abs(own) > step)
    return same | (xp.maximum(xp.abs(whole), xp.abs(own)) <= 2 * step)


@eqx.filter_jit
def _sampled(world, utility, key, samples, agents):
    def one(key: Key) -> Bool[Array, " K"]:
        keys = jax.random.split(key, 4)
        state, actions = world.reset(keys[0]), _uniform(world, keys[1])
        shift = jax.random.randint(keys[2], (world.num_agents,), 1, world.num_actions)
        other = (actions + shift) % world.num_actions
        score, pay = _evaluated(world, utility, keys[3], state, actions)

        def compare(i: Int[Array, ""]) -> Bool[Array, ""]:
            changed = actions.at[i].set(other[i])
            score_there, pay_there = _evaluated(world, utility, keys[3], state, changed)
            return _agree((score, score_there), (pay[i], pay_there[i]), jnp)

        return jax.lax.map(compare, agents, batch_size=_batch(world, agents.shape[0]))

    agreed = jax.lax.map(one, jax.random.split(key, samples))
    return jnp.mean(agreed.astype(jnp.float32), axis=0)


@eqx.filter_jit
def _table(world, utility, key, joint):
    """(G [joint], g [joint, N]) of every joint action, the last agent's action changing fastest."""
    reset, step = jax.random.split(key)
    state, place = world.reset(reset), world.num_actions ** jnp.arange(world.num_agents - 1, -1, -1)

    def one(code: Int[Array, ""]) -> tuple:
        return _evaluated(world, utility, step, state, code // place % world.num_actions)

    return jax.lax.map(one, jnp.arange(joint), batch_size=_batch(world, joint))


def _over_all_pairs(world: World, score: np.ndarray, pay: np.ndarray, agent: int) -> float:
    shape = world.num_actions**agent, world.num_actions, -1
    score, pay = score.reshape(shape), pay.reshape(shape)
    agreed = [
        _agree((score, np.roll(score, by, axis=1)), (pay, np.roll(pay, by, axis=1)), np).mean()
        for by in range(1, world.num_actions)
    ]
    return float(np.mean(agreed))


@eqx.filter_jit
def _moves(world, utility, key, states, samples, agents):
    alternatives = world.num_actions - 1

    def one(key: Key) -> tuple:
        keys = jax.random.split(key, 4)
        state, actions = world.reset(keys[0]), _uniform(world, keys[1])
        score, pay = _evaluated(world, utility, keys[2], state, actions)

        def moved(turn: tuple) -> Float[Array, " K"]:
            """|g_i(z) - g_i| for each agent: the first turns change its own action, the others everybody else's."""
            number, noise = turn
            mine = jnp.where(number < alternatives, (actions + 1 + number) % world.num_actions, actions)
            joint = jnp.where(number < alternatives, actions, _uniform(world, noise))

            def of(i: Int[Array, ""]) -> Float[Array, ""]:
                whole, there = _evaluated(world, utility, keys[2], state, joint.at[i].set(mine[i]))
                change = jnp.abs(pay[i] - there[i])
                return jnp.where(change > _step((score, whole), (pay[i], there[i]), jnp), change, 0)

            return jax.lax.map(of, agents, batch_size=_batch(world, agents.shape[0]))

        turns = alternatives + samples
        change = jax.lax.map(moved, (jnp.arange(turns), jax.random.split(keys[3], turns)))
        return jnp.mean(change[:alternatives], axis=0), jnp.mean(change[alternatives:], axis=0), actions[agents]

    return jax.lax.map(one, jax.random.split(key, states))


def _batch(world: World, most: int) -> int:
    return max(1, min(most, _AT_ONCE // world.num_agents))
