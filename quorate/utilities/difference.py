"""Difference utilities: what an agent's action did for the score, beside what would have happened otherwise."""

import jax.numpy as jnp

from quorate.core import Utility, replaced


class WonderfulLife(Utility):
    """The score less the score of a world without the agent.

        g_i = G(z) - G(z_-i)

    An action that does nothing is paid 0 whether or not it was wise. Cost O(N) for all agents together. Reference:
    Tumer, Designing Agent Utilities, Eq. 4; D. H. Wolpert and K. Tumer, Advances in Complex Systems 4 (2001).
    """

    needs_sums = True

    def __call__(self, world, state, actions, after, score, chances):
        parts = world.parts(state, actions)
        return score - world.value(state, replaced(world.total(parts), parts))


class ExpectedDifference(Utility):
    """The score less its mean over what the agent might have done, every action equally likely.

        g_i = G(z) - 1/A sum_a G(z_-i, z_i = a)

    For an agent that a fault holds outside its actions (an idle -1) the mean runs over actions 1 to A - 1; no learner
    here learns from an action that is none. Cost O(A N) for all agents together.

    Reference: Tumer, Designing Agent Utilities, Eq. 3 (called both estimated and expected difference; the aristocrat
    utility of Wolpert and Tumer 2001), with p(n_i = 0) = p(n_i = 1) = 1/2 as in its Eqs. 7 and 8.
    """

    needs_sums = True

    def __call__(self, world, state, actions, after, score, chances):
        parts = world.parts(state, actions)
        total = world.total(parts)
        loss, other = 0.0, actions  # against what was played itself the loss is 0, so A - 1 actions are tried
        for _ in range(world.num_actions - 1):
            other = jnp.where(other > 0, other, world.num_actions) - 1
            loss += score - world.value(state, replaced(total, parts, world.parts(state, other)))
        return loss / world.num_actions


class ExpectedDifferenceOwnPolicy(Utility):
    """The score less its mean over what the agent might have done, weighted by its own present policy.

        g_i = G(z) - sum_a chances[i, a] G(z_-i, z_i = a)

    The signal fades as the policy becomes certain. Cost O(A N). Reference: Tumer, Designing Agent Utilities, Eq. 3,
    read with the agent's own p.
    """

    needs_sums = True
    needs_chances = True

    def __call__(self, world, state, actions, after, score, chances):
        others = _if_all_did(world, state, actions)
        return score - sum(chances[:, action] * value for action, value in enumerate(others))


def _if_all_did(world, state, actions):
    """For each action a, the score [N] as it would be had agent i alone done a."""
    parts = world.parts(state, actions)
    total = world.total(parts)
    for action in range(world.num_actions):
        other = world.parts(state, jnp.full_like(actions, action))
        yield world.value(state, replaced(total, parts, other))
