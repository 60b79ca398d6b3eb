"""Many rounds are a loop, few are written out: the same conversation bit for bit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.comms import conversation
from quorate.core import CountingAttack, NoFault, TallyProtocol, static, swept
from quorate.faults import AllYes, Chain, Delay, Loss
from quorate.protocols import PROTOCOLS

N = 6


class Noisy(TallyProtocol):
    """Votes flip at random; what was heard, and every coin, is added to the decision."""

    rounds: int = static(3)

    def boot(self, key, me):
        return jax.random.bits(key)

    def propose(self, key, state, proposal):
        return proposal > 0, jnp.float32(0), state

    def send(self, ballot):
        return ballot[0]

    def hear(self, key, ballot, total, coin):
        flip = jax.random.bernoulli(key, 0.3)
        return (total > 2) ^ flip, ballot[1] * 1.25 + total, ballot[2] ^ coin

    def decide(self, ballot):
        return ballot, ballot[2]


class Counter(CountingAttack):
    """Counts its rounds."""

    marked: jax.Array = swept(bool)

    def reset(self, key, num_agents):
        return jnp.int32(0)

    def liars(self, state):
        return self.marked

    def lies(self, key, state, tally):
        return state + tally.round + 1, jax.random.randint(key, self.marked.shape, 0, 4)


def said(rounds, fault, links, key=None):
    @eqx.filter_jit
    def talk(key, fault):
        protocol, lasting = Noisy(rounds=rounds), comms.boot(key, Noisy(rounds=rounds), N)
        proposal, state = jnp.arange(N) % 2, fault.reset(key, N)
        return comms.converse(key, jax.random.key(1), protocol, lasting, proposal, links, fault, state, None, N)

    return talk(jax.random.key(0) if key is None else key, fault)


LIARS = Counter(marked=jnp.arange(N) < 2, extras=1)


FAULTS = {"none": NoFault(), "liars": LIARS, "chain": Chain(faults=(LIARS, Loss(share=0.3), Delay(rounds=2)))}
ROUTES = {"sum": None, "lists": comms.ring(N), "edges": comms.ring(N, sparse=True)}
USUAL = {("none", "sum"), ("chain", "lists"), *(("liars", route) for route in ROUTES)}  # the others: make proof
CASES = [
    pytest.param(fault, links, marks=() if (what, route) in USUAL else pytest.mark.slow, id=f"{route}-{what}")
    for route, links in ROUTES.items()
    for what, fault in FAULTS.items()
]


@pytest.mark.parametrize(("fault", "links"), CASES)
def test_a_loop_and_rounds_written_out_are_the_same(monkeypatch, fault, links):
    written = said(3, fault, links)
    monkeypatch.setattr(conversation, "UNROLLED", 0)
    looped = said(3, fault, links)
    assert jax.tree.structure(written) == jax.tree.structure(looped)
    jax.tree.map(np.testing.assert_array_equal, written, looped)
    assert written.traffic.rounds == 3
    if isinstance(links, comms.Neighbours):
        assert written.heard.shape == (3, N, 3 + fault.extras)
    else:
        assert written.heard == ()
    if fault is LIARS:
        assert written.fault == 1 + 2 + 3


def test_many_rounds_make_no_longer_program():
    def program(rounds):
        protocol = Noisy(rounds=rounds)

        def talk(key):
            state = comms.boot(key, protocol, N)
            return comms.converse(key, key, protocol, state, jnp.arange(N), None, NoFault(), (), None, N)

        return len(str(jax.make_jaxpr(talk)(jax.random.key(0))).splitlines())

    assert abs(program(40) - program(5)) <= 2 < program(4) - program(3)


def test_without_rounds_nobody_speaks():
    talked = said(0, LIARS, comms.ring(N))
    assert talked.heard == () and [float(x) for x in talked.traffic[:4]] == [0, 0, 0, 0] and talked.fault == 0


def test_a_million_nodes_and_a_hundred_thousand_talkers_from_outside_can_be_billed():
    """Their 10^11 messages fit no 32-bit integer."""
    n, fault, vote = 1_000_000, AllYes(extras=100_000), PROTOCOLS["hidden_stop_vote"].example

    def talk(key):
        proposal, lasting = jnp.ones(n, jnp.int32), comms.boot(key, vote, n)
        return comms.converse(key, key, vote, lasting, proposal, None, fault, fault.reset(key, n), None, n)

    assert jax.eval_shape(talk, jax.random.key(0)).traffic.sent.shape == ()
