"""Fault and Monitor: what goes wrong, and who watches."""

import abc
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core.fields import Key, State
from quorate.core.protocol import Posts
from quorate.errors import Refusal

if TYPE_CHECKING:
    from quorate.core.scenario import Step


class Tally(NamedTuple):
    """A round's sum as an attacker sees it: what was sent, the honest total, how many liars are still listened to,
    and which members are among them (none of them can lie to itself)."""

    round: Int[Array, ""]
    sent: PyTree  # [N, ...]
    total: PyTree
    power: Int[Array, ""]
    forged: Bool[Array, " N"]


class Mail(NamedTuple):
    """A round's mail on neighbour lists as an attacker sees it, before it is heard: what was truly sent, and each
    receiver's slots."""

    round: Int[Array, ""]
    sent: PyTree  # [N, ...]
    sender: Int[Array, "N K"]
    payload: PyTree  # [N, K, ...]; zero in the slots of liars and of talkers from outside
    heard: Bool[Array, "N K"]
    tally: Tally  # the same round as a sum over everybody


class Board(NamedTuple):
    """A round on a board as a fault sees it: the tick, the round of the tick, how many places there are, and whether
    its mail travels on links or lies in the environment (both static)."""

    t: Int[Array, ""]
    round: Int[Array, ""]
    places: int
    by_mail: bool


class Fault(eqx.Module):
    """What goes wrong, by accident or by will. Every hook defaults to nothing; states and weights are the fault's own.

    `extras` talkers from outside the population fill mailbox slots of their own. Attackers see a round's whole mail
    before they forge, never the key of a coin that is still hidden.
    """

    extras: int = eqx.field(default=0, static=True, kw_only=True)

    def reset(self, key: Key, num_agents: int) -> State:
        return ()

    def update(self, key: Key, state: State, t: Int[Array, ""]) -> State:
        return state

    def on_observe(self, key: Key, state: State, obs: PyTree) -> tuple[State, PyTree]:
        return state, obs

    def on_act(self, key: Key, state: State, actions: PyTree, idle: PyTree) -> tuple[State, PyTree]:
        return state, actions

    def on_credit(self, key: Key, state: State, credit: Float[Array, " N"]) -> tuple[State, Float[Array, " N"]]:
        return state, credit

    def liars(self, state: State) -> Bool[Array, " N"] | None:
        """Members whose mail is forged; their own true message still reaches themselves."""
        return None

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        return state, mail.payload, mail.heard

    def on_tally(self, key: Key, state: State, tally: Tally) -> tuple[State, PyTree]:
        """The total as each hears it: as it was (one for all) or [N, ...]."""
        return state, tally.total

    def down(self, state: State) -> Bool[Array, " N"] | None:
        """Members who neither speak nor hear nor act; the places they keep are frozen. One who comes back has
        forgotten what was agreed."""
        return None

    def on_post(self, key: Key, state: State, posts: Posts, board: Board) -> tuple[State, Posts]:
        """What is posted, leaves [N, P, ...], on its way to the places."""
        return state, posts

    def on_notice(
        self, key: Key, state: State, place: Int[Array, "N W"], notice: PyTree, heard: Bool[Array, "N W"], board: Board
    ) -> tuple[State, PyTree, Bool[Array, "N W"]]:
        """What places say on its way to the nodes, leaves [N, W, ...]: asked once for notices, and once for replies
        where there are any (W is then P)."""
        return state, notice, heard

    def report(self, state: State) -> PyTree:
        """What it did, for `Step.trace`."""
        return ()

    def learn(self, key: Key, segment: "Step") -> "Fault":
        return self


class NoFault(Fault):
    """Nothing goes wrong."""


def votes(sent: PyTree, what: str = "the attackers forge one yes or no from each node", *more: str) -> Array:
    """Mail of one yes or no from each, bool[N]; other mail is refused, in the words `what` and `more`.

    >>> votes(jnp.array([True, False])).tolist()
    [True, False]
    """
    leaves = jax.tree.leaves(sent)
    if len(leaves) != 1 or leaves[0].dtype != bool or leaves[0].ndim != 1:
        said = ", ".join(f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]" for leaf in leaves)
        raise Refusal(f"{what}; here a round's mail is {said or 'empty'}", *more)
    return leaves[0]


class CountingAttack(Fault):
    """An attack on yes-no mail, written once as how many false yes each receiver hears; both mail routes are derived
    from `lies`. Other mail is refused."""

    @abc.abstractmethod
    def lies(self, key: Key, state: State, tally: Tally) -> tuple[State, Int[Array, " N"]]: ...

    def on_tally(self, key: Key, state: State, tally: Tally) -> tuple[State, PyTree]:
        """Final: adds the lies, at most as many as there are liars who are listened to."""
        votes(tally.sent)
        state, lies = self.lies(key, state, tally)
        return state, tally.total + jnp.clip(lies, 0, tally.power - tally.forged)

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        """Final: the first `lies[i]` forged slots that receiver i hears say yes, the others no."""
        votes(mail.sent)
        num_agents = mail.sender.shape[0]
        liars = self.liars(state)
        liars = jnp.zeros(num_agents, bool) if liars is None else liars
        outside = mail.sender >= num_agents
        forged = mail.heard & (outside | liars[jnp.minimum(mail.sender, num_agents - 1)])
        forged &= mail.sender != jnp.arange(num_agents)[:, None]  # nobody is lied to by itself
        state, lies = self.lies(key, state, mail.tally)
        rank = jnp.cumsum(forged, axis=1) - 1
        return state, jnp.where(forged, rank < lies[:, None], mail.payload), mail.heard


class Monitor(eqx.Module):
    """Oversight: looks on, may hold actions back, and says whose mail is listened to."""

    def reset(self, key: Key, num_agents: int) -> State:
        return ()

    def gate(self, key: Key, state: State, obs: PyTree, actions: PyTree, idle: PyTree) -> PyTree:
        return actions

    def trusted(self, state: State) -> Bool[Array, " N_and_extras"] | None:
        return None

    def watch(self, key: Key, state: State, step: "Step") -> tuple[State, PyTree]:
        """(state, verdict)."""
        return state, ()

    def learn(self, key: Key, segment: "Step") -> "Monitor":
        return self


class Unwatched(Monitor):
    """Nobody looks on."""
