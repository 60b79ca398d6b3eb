"""Halves cut apart: every slip, notice and message against the obvious rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Board, Posts
from quorate.errors import Refusal
from quorate.faults import Partition
from quorate.testing.tiny import Show

N, M = 5, 4
AGENTS, PLACES = np.array([0, 1, 1, 0, 1], bool), np.array([1, 0, 0, 1], bool)
RANDOM = np.random.default_rng(0)
PLACE, LIVE = RANDOM.integers(-1, M, (N, 3)), RANDOM.random((N, 3)) < 0.8
BOARD = Board(jnp.int32(0), jnp.int32(0), M, True)


def cut(t=3, **changes):
    fault = Partition(**{"at": 2, "lasts": 3, "agents": AGENTS, "places": PLACES, **changes})
    return fault, fault.update(None, fault.reset(None, N), jnp.int32(t))


def test_when_it_is_there():
    assert [bool(cut(t)[1]) for t in range(7)] == [False, False, True, True, True, False, False]
    assert not cut(2**31 - 2, at=2**31 - 1)[1] and not cut(2, lasts=0)[1] and cut(2**31 - 1, lasts=2**31 - 1)[1]


@pytest.mark.parametrize("t", [1, 3])
def test_boards(t):
    fault, state = cut(t)
    same = np.array([[AGENTS[i] == PLACES[max(PLACE[i, k], 0)] for k in range(3)] for i in range(N)])
    expected = LIVE & (same | (t == 1))
    posts = Posts(jnp.asarray(PLACE), jnp.asarray(LIVE), bid=jnp.ones((N, 3)))
    _, out = fault.on_post(None, state, posts, BOARD)
    _, notice, heard = fault.on_notice(None, state, posts.place, posts.bid, posts.live, BOARD)
    for mask in (out.live, heard):
        assert (np.asarray(mask) == expected)[PLACE >= 0].all()
    assert (out.place == posts.place).all() and (notice == 1).all() and (out.bid == 1).all()
    marks = BOARD._replace(by_mail=False)
    assert (fault.on_post(None, state, posts, marks)[1].live == LIVE).all()
    assert (fault.on_notice(None, state, posts.place, (), posts.live, marks)[2] == LIVE).all()


def test_all_on_one_side():
    fault, state = cut(agents=[True], places=[False])
    posts = Posts(jnp.asarray(PLACE), jnp.asarray(LIVE))
    assert not fault.on_post(None, state, posts, BOARD)[1].live.any()
    fault, state = cut(agents=[True], places=[True])
    assert (fault.on_post(None, state, posts, BOARD)[1].live == LIVE).all()


def test_inboxes():
    """Nobody hears the other side; two talkers from outside are heard by both."""
    fault = Partition(at=0, lasts=1, agents=AGENTS, places=[True], extras=2)
    links = comms.complete(N, 2)
    for t, expected in ((0, AGENTS[:, None] == AGENTS[None, :]), (1, np.ones((N, N), bool))):
        state = fault.update(None, fault.reset(None, N), jnp.int32(t))
        args = Show(), (), jnp.ones(N, jnp.int32), links, fault, state, None, N
        talked = comms.converse(jax.random.key(0), jax.random.key(1), *args)
        for heard in np.asarray(talked.heard):
            assert (heard[:, :N] == expected).all() and heard[:, N:].all()


def test_however_they_are_numbered():
    agents, places = RANDOM.permutation(N), RANDOM.permutation(M)
    fault, state = cut()
    other, same = cut(agents=AGENTS[agents], places=PLACES[places])
    posts = Posts(jnp.asarray(np.maximum(PLACE, 0)), jnp.asarray(LIVE))
    live = fault.on_post(None, state, posts, BOARD)[1].live
    renamed = Posts(jnp.argsort(places)[posts.place][agents], posts.live[agents])
    assert (other.on_post(None, same, renamed, BOARD)[1].live == live[agents]).all()


def test_what_is_refused():
    fault, state = cut()
    posts = Posts(jnp.asarray(PLACE), jnp.asarray(LIVE))
    with pytest.raises(Refusal, match="places has sides for 4 places; the board has 5"):
        fault.on_post(None, state, posts, BOARD._replace(places=5))
    with pytest.raises(Refusal, match="agents has sides for 5 agents; the world has 6"):
        fault.reset(None, 6)
    with pytest.raises(Refusal, match=r"agents is one value; it has a side for each, or \[side\] for all"):
        cut(agents=True)
    with pytest.raises(Refusal, match="lasts is -1; it must be at least 0"):
        cut(lasts=-1)
    with pytest.raises(Refusal, match="Partition cannot take a sum apart by the sides its mail came from"):
        comms.converse(
            jax.random.key(0), jax.random.key(1), Show(), (), jnp.ones(N, jnp.int32), None, fault, state, None, N
        )
