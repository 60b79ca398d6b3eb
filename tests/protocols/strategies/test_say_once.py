"""Said once: bit for bit what the protocol itself decides, for a part of its mail; and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Inbox, NoFault
from quorate.errors import Refusal
from quorate.protocols.alone import Alone
from quorate.protocols.cbba import Cbba
from quorate.protocols.claim import Claim
from quorate.protocols.strategies.say_once import Once, SayOnce
from tests import outlooks
from tests.protocols.test_cbba import AGENTS, OPTIONS, PLACES, RING, Dropped, ticks, twin

INNER = Cbba(options=OPTIONS)
VIEWS = [outlooks.random(seed, AGENTS, PLACES, OPTIONS) for seed in range(60)]


def lives(protocol, fault=None):
    """Decisions and words of 20 lives of 3 ticks each: what is believed from one tick to the next counts too."""
    found = []
    for life in range(20):
        views = jax.tree.map(lambda *leaves: jnp.stack(leaves), *VIEWS[3 * life : 3 * life + 3])
        views = views._replace(t=views.t + jnp.arange(3)[:, None])
        lasting = comms.boot(jax.random.key(0), protocol, AGENTS)
        found.append(ticks(protocol, lasting, views, RING, fault or NoFault()))
    return np.asarray([one[0] for one in found]), float(sum(jnp.sum(one[1].sent) for one in found))


def test_without_loss_it_is_the_protocol_itself_for_part_of_the_mail():
    (decided, sent), (loud, all_sent) = lives(SayOnce(protocol=INNER)), lives(INNER)
    assert np.array_equal(decided, loud)
    assert 0.25 * all_sent <= sent < 0.8 * all_sent


class Shy(SayOnce):
    """Keeps silent in the first round too."""

    def propose(self, key, state, proposal):
        return super().propose(key, state, proposal)._replace(spoke=jnp.array(True))


class Coarse(SayOnce):
    """Looks at who bids, not at how much and for what."""

    def speaks(self, ballot: Once):
        return ~(ballot.spoke & jnp.all(self.send(ballot).winner[:1] == ballot.said.winner[:1]))


@pytest.mark.parametrize("bug", [Shy, Coarse])
def test_lives_find_bugs(bug):
    assert not np.array_equal(lives(bug(protocol=INNER))[0], lives(INNER)[0])


def test_a_word_heard_twice_counts_once():
    """What `SayOnce` asks of a protocol."""
    for view in VIEWS[:20]:
        keys = comms.node_keys(jax.random.key(0), AGENTS)
        lasting = comms.boot(jax.random.key(0), INNER, AGENTS)
        said = jax.vmap(INNER.send)(jax.vmap(INNER.propose)(keys, lasting, view))

        def hear(ballot, said=said, keys=keys):
            mail = jax.tree.map(lambda leaf: leaf[RING.index], said)
            return jax.vmap(INNER.receive)(
                keys, ballot, Inbox(mail, RING.index, RING.real, jnp.zeros(AGENTS, jnp.uint32))
            )

        once = hear(jax.vmap(INNER.propose)(keys, lasting, view))
        again = hear(once)
        told = [np.asarray(one.bids.winner) for one in (once, again)]
        kept = np.asarray(once.mine) == np.asarray(again.mine)  # who lost in the first hearing asks anew
        assert np.array_equal(told[0][kept], told[1][kept]) and kept.any()


def test_a_lost_word_is_not_said_again():
    """In the first of two rounds nobody hears anybody; in the second nobody has anything new to say."""
    heard = np.zeros((2, *RING.index.shape), bool)
    heard[1] = True
    short = Cbba(options=OPTIONS, rounds=2)
    decided, _ = lives(SayOnce(protocol=short), Dropped(heard))
    mute, _ = lives(SayOnce(protocol=short), Dropped(heard & False))
    assert np.array_equal(decided, mute)
    assert not np.array_equal(lives(short, Dropped(heard))[0], mute)
    first = [twin(view, RING, heard & False) for view in VIEWS[::3]]
    assert decided[:, 0].tolist() == first


def test_refusals():
    with pytest.raises(Refusal, match="Claim has a board"):
        SayOnce(protocol=Claim(places=3))
    with pytest.raises(Refusal, match="Alone says nothing"):
        SayOnce(protocol=Alone())
