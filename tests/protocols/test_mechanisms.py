"""Names of mechanisms, with and without a strategy: every pair either plays or says why not."""

import jax
import pytest

from quorate.errors import Refusal
from quorate.protocols.mechanisms import APART, MECHANISMS, NAMES, STRATEGIES, mechanism, sparing
from quorate.protocols.strategies.clustered import EVERYBODY
from tests import outlooks

PAIRS = [(name, strategy) for name in MECHANISMS for strategy in STRATEGIES]
ONE = jax.tree.map(lambda leaf: leaf[0], outlooks.random(0, 5, 7, 4))


def made(name):
    site = outlooks.site(agents=5, places=7)
    return sparing(name, mechanism(name).make(site), ONE, site)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_a_pair_plays_or_says_why_not(pair):
    """What is refused by name is refused by the strategy itself too, unless it could, but is another mechanism."""
    name = "+".join(pair)
    assert (name in NAMES) == (pair not in APART)
    if name in NAMES:
        assert type(made(name)) is not type(made(pair[0]))
        return
    with pytest.raises(Refusal, match=f"there is no {pair[0]}.{pair[1]}: {pair[0]} "):
        mechanism(name)
    site = outlooks.site(agents=5, places=7)
    with pytest.raises(Refusal):
        sparing(name, MECHANISMS[pair[0]].make(site), ONE, site)


def test_what_regions_of_a_hybrid_want_is_for_everybody():
    protocol = made("hybrid+clustered")
    assert (protocol.region_of[:7] >= 0).all() and (protocol.region_of[7:] == EVERYBODY).all()


def test_a_name_that_nobody_knows_has_a_nearest_one():
    with pytest.raises(Refusal, match="did you mean claim.clustered"):
        mechanism("claim+clusterd")
    with pytest.raises(Refusal, match="no mechanism"):
        mechanism("alone+shouting")
