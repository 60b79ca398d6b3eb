"""Sums along edges lead where the padded lists of the same graph lead, whoever lies, and complete graphs where tallies
lead."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import CountingAttack, Fault, NoFault, Protocol, TallyProtocol, static, swept
from quorate.errors import Refusal
from quorate.faults import Chain, Delay, Loss
from quorate.testing.tiny import Show

N = 8


class Spread(TallyProtocol):
    """Each says yes once it has heard more than `half` yes; a vote of 2 says nothing. The decision is all it heard."""

    rounds: int = static(2)
    half: jax.Array = swept(default=2.0)

    def propose(self, key, state, proposal):
        return proposal, jnp.zeros(self.rounds, jnp.int32), jnp.int32(0)

    def send(self, ballot):
        return ballot[0] == 1

    def speaks(self, ballot):
        return ballot[0] < 2

    def hear(self, key, ballot, total, coin):
        return (total > self.half).astype(jnp.int32), ballot[1].at[ballot[2]].set(total), ballot[2] + 1

    def decide(self, ballot):
        return ballot[:2], ()


class Liars(CountingAttack):
    """Tells each receiver a random number of lies, too many and too few among them, by what it sees of the round."""

    marked: jax.Array = swept(bool)

    def liars(self, state):
        return self.marked

    def lies(self, key, state, tally):
        most = tally.power + tally.total + 2
        return state, jax.random.randint(key, self.marked.shape, -1, most)


@eqx.filter_jit
def talk(protocol, proposal, links, fault=None, trusted=None, key=None):
    fault, n = fault or NoFault(), proposal.shape[0]
    key = jax.random.key(3) if key is None else key
    state = fault.reset(key, n)
    said = comms.converse(key, jax.random.key(7), protocol, (), proposal, links, fault, state, trusted, n)
    return said.decision, said.traffic


@eqx.filter_jit
def plays(routes, fault, trusting, extras, keys):
    """Proposals, liars and trust at random, each play by every route; 2 says nothing."""

    def play(key):
        proposal = jax.random.randint(key, (N,), 0, 3)
        marked = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.3, (N,))
        trusted = jax.random.bernoulli(jax.random.fold_in(key, 2), 0.8, (N + extras,)) if trusting else None
        return [talk(Spread(), proposal, links, fault(marked), trusted, key) for links in routes]

    return jax.vmap(play)(keys)


def liars(extras):
    return lambda marked: Liars(marked=marked, extras=extras)


GRAPHS = {
    "ring": comms.ring(N),
    "ring without loops": comms.ring(N, loops=False),
    "star": comms.from_edges(N, [(0, i) for i in range(1, N)]),
    "arrows": comms.from_edges(
        N, [(i, j) for i in range(N) for j in range(N) if (3 * i + 5 * j) % 4 == 1], directed=True
    ),
    "some hear themselves": comms.from_edges(N, [(0, 1), (1, 1), (2, 5), (6, 6)], loops=False),
    "nobody hears anybody": comms.from_edges(N, [], loops=False),
}


# Every graph compiles anew; what another one covers: make proof.
COVERED = {(None, name) for name in GRAPHS if name not in ("arrows", "nobody hears anybody")}
COVERED |= {(2, "ring"), (2, "star")}
CASES = [
    pytest.param(extras, graph, marks=pytest.mark.slow if (extras, graph) in COVERED else ())
    for extras in (None, 2)
    for graph in GRAPHS
]


@pytest.mark.parametrize(("extras", "graph"), CASES)
def test_edges_and_lists_lead_to_the_same(graph, extras):
    """24 plays, decisions, all that was heard, and the bill; without a fault, with liars, and with talkers outside."""
    links = GRAPHS[graph]
    fault = (lambda marked: NoFault()) if extras is None else liars(extras)
    routes = (links, comms.to_edges(links))
    by_list, by_edge = plays(routes, fault, extras is not None, extras or 0, jax.random.split(jax.random.key(1), 24))
    jax.tree.map(np.testing.assert_array_equal, by_list, by_edge)


@pytest.mark.parametrize("extras", [None, pytest.param(0, marks=pytest.mark.slow), 2])
def test_on_the_complete_graph_all_three_routes_lead_to_the_same(extras):
    fault = (lambda marked: NoFault()) if extras is None else liars(extras)
    everybody = comms.complete(N, extras or 0)
    routes = (None, everybody, comms.to_edges(everybody))
    seen = plays(routes, fault, extras is not None, extras or 0, jax.random.split(jax.random.key(2), 24))
    for other in seen[1:]:
        jax.tree.map(np.testing.assert_array_equal, seen[0], other)
    assert len(np.unique(np.asarray(seen[0][0][1]))) > 3  # something happened


def test_a_sum_on_a_graph_by_hand():
    """A path 0 - 1 - 2 - 3: each hears itself and its neighbours; member 1 lies, and talker 4 is heard by everybody."""

    class All(Liars):
        def lies(self, key, state, tally):
            return state, jnp.full(4, 99)

    path = comms.from_edges(4, [(0, 1), (1, 2), (2, 3)], sparse=True)
    yes = jnp.array([1, 0, 1, 0])
    heard = talk(Spread(rounds=1), yes, path)[0][1][:, 0].tolist()
    assert heard == [1, 2, 1, 1]
    fault = All(marked=jnp.arange(4) == 1, extras=1)
    (_, heard), bill = talk(Spread(rounds=1), yes, path, fault)
    assert heard[:, 0].tolist() == [1 + 1 + 1, 2 + 0 + 1, 1 + 1 + 1, 1 + 0 + 1]
    assert [float(x) for x in bill] == [6 + 4, 6 + 4, 6 + 4, 1, 0]
    untrusted = jnp.array([True, False, True, True, False])
    (_, heard), bill = talk(Spread(rounds=1), yes, path, fault, untrusted)
    assert heard[:, 0].tolist() == [1, 2, 1, 1] and [float(x) for x in bill] == [10, 4, 4, 1, 0]


class Points(TallyProtocol):
    """Adds up vectors and a number."""

    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal, {"place": jnp.zeros(2), "count": jnp.int32(0)}

    def send(self, ballot):
        return {"place": jnp.stack([ballot[0], -ballot[0]]), "count": jnp.int32(1)}

    def hear(self, key, ballot, total, coin):
        return ballot[0], total

    def decide(self, ballot):
        return ballot[1], ()


def test_sums_of_vectors():
    ring, values = comms.ring(4), jnp.array([1.0, 2.0, 4.0, 8.0])
    for links in (ring, comms.to_edges(ring)):
        said = talk(Points(), values, links)[0]
        assert said["place"].tolist() == [[11, -11], [7, -7], [14, -14], [13, -13]]
        assert said["count"].tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda marked: Delay(rounds=1), marks=pytest.mark.slow),  # also in the next one
        lambda marked: Chain(faults=(Liars(marked=marked, extras=1), Delay(rounds=2))),
        lambda marked: Chain(faults=(Liars(marked=marked), Loss(share=0.0))),
    ],
    ids=["delay", "liars and delay", "liars and loss"],
)
def test_delay_and_chains_on_edges(fault):
    """Equal to the padded lists bit for bit where nothing is drawn by link."""
    links = GRAPHS["star"]
    extras = fault(jnp.zeros(N, bool)).extras
    routes = (links, comms.to_edges(links))
    seen = plays(routes, fault, True, extras, jax.random.split(jax.random.key(4), 12))
    jax.tree.map(np.testing.assert_array_equal, *seen)


class Inboxes(Protocol):
    rounds: int = static(1)

    def propose(self, key, state, proposal):
        return proposal

    def send(self, ballot):
        return ballot

    def receive(self, key, ballot, inbox):
        return ballot

    def decide(self, ballot):
        return ballot, ()


class Shouting(Fault):
    def on_tally(self, key, state, tally):
        return state, tally.total + 1


def test_what_is_refused():
    ring = comms.ring(4, sparse=True)
    with pytest.raises(Refusal, match="Inboxes reads its mail one by one, and an edge list carries sums"):
        talk(Inboxes(), jnp.zeros(4), ring)
    for fault in (Shouting(), Chain(faults=(Shouting(), Loss(share=0.1)))):
        with pytest.raises(Refusal, match="Shouting changes mail in a way that an edge list cannot carry"):
            talk(Show(), jnp.zeros(4), ring, fault)
    for links in (ring, comms.ring(4)):
        with pytest.raises(Refusal, match="the topology links 4 agents; there are 5"):
            talk(Show(), jnp.zeros(5), links)
