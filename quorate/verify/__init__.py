"""How often can liars break a protocol? Exactly where possible, with an interval where not.

check.py        `verify`, `tried`: the questions behind the command line
automaton.py    a protocol that hears sums, written out in tables from its own functions
exact.py        `solve`: the game against the strongest attacker, over counts
explore.py      `explore`: every play, message by message, for protocols that know their senders
strategy.py     what the best attack does; counted.py names its nodes
play.py         one play, its replay through the engine, and the shortest of its kind
certificate.py  a result on file, and its check without the solver; model.py is what the check walks
conform.py      whether the engine carries votes as the proof assumes
sample.py       given attacks played at random; splitting.py: rare events; episodes.py: millions a second
attack.py       attackers who search (search.py) or learn (train.py); chances.py: what each is worth, exactly
optimal.py      the strongest attacker as a fault of the simulator
"""

from quorate.verify.check import Finding, Tried, Verified, tried, verify
from quorate.verify.exact import Game, Unsettled, solve

__all__ = ["Finding", "Game", "Tried", "Unsettled", "Verified", "solve", "tried", "verify"]
