"""Mail that is late by whole ticks: against a diary of who said what when."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import BoardProtocol, NoFault, Posts, Silent, static
from quorate.errors import Refusal
from quorate.faults import Loss
from quorate.protocols.delayed import Delayed
from tests.proof import later

N, M, ROUNDS, TICKS = 5, 3, 2, 7


class Diary(BoardProtocol):
    """Each node says a number of its own every round, to the place (me + tick) % 3, and notes what it reads at places
    0 and 1 and what it is answered; a place shows the sum of the round and how many came, and answers number + 1000."""

    rounds: int = static(ROUNDS)
    places: int = static(M)
    capacity: int = static(N)

    def boot(self, key, me):
        return me

    def propose(self, key, state, proposal):
        zero = jnp.zeros((self.rounds, 2), jnp.int32)
        return state, proposal, jnp.int32(0), (zero, zero, zero, jnp.full(self.rounds, -1, jnp.int32))

    def post(self, ballot):
        me, t, r, _ = ballot
        number = (t * self.rounds + r) * N + me
        return Posts(((me + t) % M)[None], jnp.array([True]), amount=number[None], body=number[None])

    def watch(self, ballot):
        return jnp.array([0, 1])

    def hear(self, key, ballot, news):
        me, t, r, (total, count, heard, answer) = ballot
        total, count = total.at[r].set(news.notice[0]), count.at[r].set(news.notice[1])
        answer = answer.at[r].set(jnp.where(news.kept[0], news.reply[0] if self.capacity else 0, -1))
        return me, t, r + 1, (total, count, heard.at[r].set(news.heard.astype(jnp.int32)), answer)

    def decide(self, ballot):
        return ballot[3], ballot[0]

    def open(self, key, place):
        return jnp.int32(-7), jnp.int32(0), jnp.zeros(max(self.capacity, 1), jnp.int32)

    def serve(self, key, place_state, heap):
        answers = heap.first.body + 1000 if self.capacity else place_state[2]
        return heap.total, heap.count, answers

    def notice(self, place_state):
        return place_state[:2]

    def reply(self, place_state):
        return place_state[2] if self.capacity else ()


class Marks(Diary):
    by_mail = False


NOBODY = NoFault()


@eqx.filter_jit
def kept(protocol, fault=NOBODY, here=None, ticks=TICKS):
    key = jax.random.key(0)

    def one_tick(lasting, t):
        args = (
            protocol,
            lasting,
            jnp.full(N, t, jnp.int32),
            None,
            fault,
            (),
            None,
            N,
            t,
            None if here is None else here[t],
        )
        talked = comms.converse(jax.random.fold_in(key, t), key, *args)
        return talked.lasting, (talked.decision, talked.traffic)

    return jax.lax.scan(one_tick, comms.boot(jax.random.key(1), protocol, N), jnp.arange(ticks))[1]


def late(protocol, ticks):
    return Delayed(protocol=protocol, ticks=ticks, proposal=jnp.int32(0))


def diary(ticks):
    """The obvious way: every slip and every notice lies in a list under the round in which it is due."""
    length, rounds = ticks * ROUNDS, TICKS * ROUNDS
    due, shown, answers = {}, {}, {}
    total, count, answer = np.zeros((rounds, 2), int), np.zeros((rounds, 2), int), np.full((rounds, N), -1)
    for now in range(rounds):
        tick = now // ROUNDS
        for me in range(N):
            due.setdefault(now + length, []).append((me, (me + tick) % M, now * N + me))
        arrived = due.get(now, [])
        shown[now + length] = [[n for _, j, n in arrived if j == place] for place in range(M)]
        answers[now + length] = {me: (j, n + 1000) for me, j, n in arrived}
        for place in (0, 1):
            said = shown.get(now)
            total[now, place] = -7 if said is None else sum(said[place])
            count[now, place] = 0 if said is None else len(said[place])
        for me, (place, said) in answers.get(now, {}).items():
            answer[now, me] = said if place == (me + tick) % M else -1
    return total.reshape(TICKS, ROUNDS, 2), count.reshape(TICKS, ROUNDS, 2), answer.reshape(TICKS, ROUNDS, N)


@pytest.mark.parametrize("ticks", [0, 1, 9, *later(2, 3)])
def test_what_is_posted_then_is_read_now(ticks):
    (total, count, heard, answer), traffic = jax.tree.map(np.asarray, kept(late(Diary(), ticks)))
    expected = diary(ticks)
    for me in range(N):
        np.testing.assert_array_equal(total[:, me], expected[0])
        np.testing.assert_array_equal(count[:, me], expected[1])
        np.testing.assert_array_equal(answer[:, me], expected[2][:, :, me])
    assert heard.all()
    slips = np.where(np.arange(TICKS) >= ticks, N * ROUNDS, 0)
    assert (traffic.heard - traffic.reads).tolist() == (2 * slips).tolist()  # each slip that arrives is answered


def test_without_ticks_nothing_changes_and_marks_are_never_late():
    plain = kept(Diary())
    for other in (kept(late(Diary(), 0)), kept(Marks()), kept(late(Marks(), 3))):
        jax.tree.map(np.testing.assert_array_equal, plain, other)
    assert not late(Marks(), 3).by_mail and late(Diary(), 3).by_mail


def test_places_that_only_reduce():
    bare = Diary(capacity=0)
    (total, count, _, answer), _ = kept(late(bare, 1))
    np.testing.assert_array_equal(total[:, 0], diary(1)[0])
    np.testing.assert_array_equal(count[:, 0], diary(1)[1])
    assert (answer == -1).all()


def test_an_answer_of_another_place_is_not_taken_for_this_one():
    """Places go round with period 3: one way of a tick each, so the answer to the slip of two ticks ago is for another
    place; after three ticks both ways (6) it is for the same."""
    assert (kept(late(Diary(), 1))[0][3] == -1).all()
    assert (kept(late(Diary(), 3), ticks=8)[0][3][6:] >= 1000).all()


def test_loss_of_everything_and_those_who_are_away():
    (total, count, heard, _), traffic = kept(late(Diary(), 1), Loss(share=1.0))
    assert not total.any() and not count.any() and not heard.any() and not traffic.heard.any()
    here = np.ones((TICKS, N), bool)
    here[3:, 2] = False  # what node 2 said in tick 2 is never handed over
    (_, count, _, _), _ = kept(late(Diary(), 1), here=jnp.asarray(here))
    (_, whole, _, _), _ = kept(late(Diary(), 1))
    lost = np.asarray(whole - count)[:, 0].sum(axis=(1, 2))
    # Of the slips that it would have handed over in ticks 3, 4 and 5 and that are read in 4, 5 and 6, those for places
    # 0 and 1 are missed: its places in ticks 2, 3 and 4 were 1, 2 and 0.
    assert lost.tolist() == [0, 0, 0, 0, 2, 0, 2]


def test_the_rings_are_as_long_as_mail_is_under_way():
    nodes, places = jax.eval_shape(lambda: comms.boot(jax.random.key(0), late(Diary(), 2), N))
    assert nodes.posts.live.shape == nodes.answers.about.place.shape == (N, 4, 1) and places.notices[0].shape == (M, 4)
    nodes, places = jax.eval_shape(lambda: comms.boot(jax.random.key(0), late(Diary(capacity=0), 1), N))
    assert nodes.answers == () and nodes.posts.body.shape == (N, 2, 1) and places.shown[0].shape == (M,)


def test_what_is_refused():
    with pytest.raises(Refusal, match="Silent has no board, whose mail Delayed would hold back"):
        late(Silent(), 1)
    for ticks in (-1, 1.5):
        with pytest.raises(Refusal, match=f"ticks is {ticks}; it says how late mail is, a whole number from 0 on"):
            late(Diary(), ticks)
