"""Leaders that skim: orders emptied on their way, against the same by hand, and a centre that does it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import static
from quorate.faults import Saboteurs
from quorate.protocols.central import Central
from quorate.protocols.hierarchy import Answer
from tests.faults.test_sabotage import BAD, BOARD, KEY, ORDER, M, N, P, answers, band, drawn, posts, same
from tests.protocols import desks


class Careless(Saboteurs):
    """Skims with one of four mistakes."""

    bug: int = static(0)

    def _skimmed(self, key, state, said, host):
        if self.bug == 1:
            state = state._replace(now=state.now | True)
        if self.bug == 2 and isinstance(said, Answer):
            return said._replace(order=super()._skimmed(key, state, said.order, host))
        out = super()._skimmed(key, state, said, host)
        if self.bug == 3 and isinstance(said, Answer):
            own = (said.leader == jnp.arange(N)[:, None]) & state.now[:, None]
            return out._replace(order=out.order._replace(place=jnp.where(own, -1, out.order.place)))
        if self.bug == 4 and isinstance(said, Answer):
            return out._replace(led=out.led & (out.order.place >= 0))
        return out


HOSTS = [1, 0, -1, 5, 2]
AT = jnp.asarray(np.random.default_rng(8).integers(0, M, (N, P)), jnp.int32)


def mistaken(chance, bug=0):
    """How many answers, of cells and of a centre, are not as skimmed by hand, or not as often."""
    fault = Careless(share=0.5, order=ORDER, first=True, skim=chance, hosts=HOSTS, bug=bug)
    state = fault.update(None, fault.reset(jax.random.key(0), N), jnp.int32(99))
    times, heard, wrong = 2000, jnp.ones((N, P), bool), 0
    for said in (answers(), answers().order):
        out, came = drawn(times, lambda key, said=said: fault.on_notice(key, state, AT, said, heard, BOARD)[1:])
        told, given, leads = out, jax.tree.map(np.asarray, said), np.asarray(HOSTS)[AT]
        wrong += not came.all()
        if isinstance(said, Answer):
            wrong += not ((out.leader == given.leader).all() and (out.led == given.led).all())
            told, given, leads = out.order, given.order, given.leader
        wrong += not ((told.number == given.number).all() and (told.until == given.until).all())
        for i in range(N):
            for slip in range(P):
                place, leader = int(given.place[i, slip]), leads[i, slip]
                empty = told.place[:, i, slip] == -1
                wrong += not (told.place[~empty, i, slip] == place).all()
                due = chance if leader >= 0 and BAD[leader] and leader != i else 0
                wrong += abs(empty.mean() - due) > 5 * (due * (1 - due) / times) ** 0.5
    return wrong


@pytest.mark.parametrize("chance", [0.4, 1.0])
def test_skimmed_orders_are_those_found_by_hand(chance):
    """Those to others, where one of the band leads: by the answer's own word, or else by who keeps the place."""
    assert mistaken(chance) == 0


@pytest.mark.parametrize("bug", [1, 2, 3, 4])
def test_the_hand_finds_careless_skimming(bug):
    assert mistaken(1.0, bug) > 0


def test_what_holds_no_orders_cannot_be_skimmed():
    """Desks' words, holds without a term, marks, and a centre of which nobody has said who keeps it."""
    fault, state = band(skim=1.0, hosts=HOSTS)
    heard, place = jnp.ones((N, P), bool), answers().order.place
    for said in (posts().body, {"place": place}, (place, place), ()):
        same(said, fault.on_notice(KEY, state, AT, said, heard, BOARD)[1])
    same(answers(), fault.on_notice(KEY, state, AT, answers(), heard, BOARD._replace(by_mail=False))[1])
    unsaid, state = band(skim=1.0)
    same(answers().order, unsaid.on_notice(KEY, state, AT, answers().order, heard, BOARD)[1])
    nested = fault.on_notice(KEY, state, AT, (answers(), answers().order), heard, BOARD)[1]
    assert (np.asarray(nested[0].order.place) == -1).any()
    same(nested[0].order.place == -1, nested[1].place == -1)


def test_a_skimming_centre_keeps_everybody_waiting_and_nobody_turns_to_the_standby():
    """Six agents, six tasks: agent 0 keeps the centre, and it alone goes. Nobody asks twice, so no mail is missed."""
    view, protocol = desks.geography(0, N, N), Central(agents=N, tasks=N, capacity=N, options=N)
    hosts = jax.vmap(protocol.host)(jnp.arange(2))

    def ticks(strength):
        fault = Saboteurs(share=0.1, order=-np.arange(N), first=True, skim=strength, hosts=hosts)

        def tick(carry, t):
            lasting, state = carry
            now = jax.random.fold_in(KEY, t)
            state = fault.update(now, state, t)
            seen = view._replace(t=jnp.full(N, t))
            talked = comms.converse(now, KEY, protocol, lasting, seen, None, fault, state, None, N, t)
            book = jax.tree.map(lambda leaf: leaf[0], talked.lasting.places.ledger)
            standby = talked.lasting.nodes.standby
            return (talked.lasting, talked.fault), (talked.decision, book, talked.traffic.sent, standby)

        start = comms.boot(KEY, protocol, N), fault.reset(KEY, N)
        return jax.tree.map(np.asarray, jax.lax.scan(tick, start, jnp.arange(12))[1])

    decided, book, sent, standby = ticks(1.0)
    calm = ticks(0.0)
    assert (calm[0] >= 0).sum() > 12 * 4
    np.testing.assert_array_equal(decided[:, 0], calm[0][:, 0])
    assert (decided[:, 0] >= 0).all() and (decided[:, 1:] == -1).all()
    same(book, calm[1])
    same(sent, calm[2])
    assert not standby.any()
