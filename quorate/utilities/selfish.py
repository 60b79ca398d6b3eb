"""Selfish: each agent is paid by what it meets with itself."""

from quorate.core import Utility


class Selfish(Utility):
    """What the agent gets or suffers on its own account: g_i = own_i(z), as the world defines it.

    Easy to learn and aligned with nobody: factoredness is a matter of luck. Cost O(N). A control that Tumer,
    Designing Agent Utilities, describes in words (Section 1) and does not run.
    """

    needs_sums = True

    def __call__(self, world, state, actions, after, score, chances):
        return world.own(state, actions)
