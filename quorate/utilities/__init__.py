"""What agents are paid. `UTILITIES` holds a ready-made example of each."""

from quorate.core import Team, Utility
from quorate.utilities.difference import ExpectedDifference, ExpectedDifferenceOwnPolicy, WonderfulLife
from quorate.utilities.selfish import Selfish

UTILITIES: dict[str, Utility] = {
    "team": Team(),
    "selfish": Selfish(),
    "wonderful_life": WonderfulLife(),
    "expected_difference": ExpectedDifference(),
    "expected_difference_own_policy": ExpectedDifferenceOwnPolicy(),
}
