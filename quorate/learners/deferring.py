"""Deferring: an agent that passes on what it sees; what to do is left to the mechanism that it shares with others."""

from quorate.core import Learner, static


class Deferring(Learner):
    """intent = observation. For worlds with outlooks, where `Scenario.commit` turns what each sees into an action.
    Nothing is learned. It plays no world by itself, so the registry of learners does not hold it.

    >>> Deferring().act(None, (), (), "a view", None)[0]
    'a view'
    """

    horizon: int = static(1)

    def init(self, key, scenario):
        return ()

    def act(self, key, mind, memory, obs, legal):
        return obs, memory, ()
