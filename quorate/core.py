"""The six contracts (World, Protocol, Utility, Learner, Fault, Monitor), their null objects, and the Scenario that
joins them.

Every part is an `equinox.Module`: a frozen dataclass that is a pytree, with keyword-only fields. What shapes the
program is static; what one might sweep is an array. N agents, A actions, K neighbours, M places, T ticks, B runs.
Agents are the leading axis of states and the last axis of `parts`. A part that is not wanted is a null object
(`Silent`, `NoFault`, `Unwatched`), which the compiler removes. `step.py` has the loop.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, UInt32

from quorate.errors import Refusal

State = Ballot = Payload = Mind = Memory = PyTree
Key = PRNGKeyArray


def swept(dtype: Any = jnp.float32, default: Any = ...) -> Any:
    """A field that may be swept: an array of a fixed dtype. A bare or weakly typed scalar would compile anew for each
    value."""
    given = {} if default is ... else {"default": default}
    return eqx.field(converter=lambda value: jnp.asarray(value, dtype), kw_only=True, **given)


def static(default: Any = ...) -> Any:
    """A field that shapes the program: another value is another compilation."""
    given = {} if default is ... else {"default": default}
    return eqx.field(static=True, kw_only=True, **given)


# --------------------------------------------------------------------------------------------------------------- world


class Neighbours(NamedTuple):
    """Who hears whom: `index[i, k]` is the k-th agent that i hears, in topology order; rows are padded where `real`
    is False."""

    index: Int[Array, "N K"]
    real: Bool[Array, "N K"]


class World(eqx.Module):
    """Where joint actions have consequences. Pure functions of (key, state, actions); leaves of state lead with N or
    stand for the whole."""

    num_agents: eqx.AbstractVar[int]
    num_actions: eqx.AbstractVar[int]

    @abc.abstractmethod
    def reset(self, key: Key) -> State: ...

    @abc.abstractmethod
    def step(self, key: Key, state: State, actions: PyTree) -> State: ...

    @abc.abstractmethod
    def score(self, state: State, actions: PyTree, after: State) -> Float[Array, ""]:
        """G(z), the system's objective for this tick."""

    def observe(self, key: Key, state: State) -> PyTree:
        """What each agent sees, leaves [N, ...]; by default nothing, as in a bandit."""
        return ()

    def done(self, state: State) -> Bool[Array, ""]:
        """Termination only; time limits belong to the scenario."""
        return jnp.array(False)

    def legal(self, state: State) -> Bool[Array, "N A"] | None:
        return None

    def idle(self, state: State) -> PyTree:
        """What an agent does that does nothing."""
        return jnp.zeros(self.num_agents, jnp.int32)

    def present(self, state: State) -> Bool[Array, " N"]:
        return jnp.ones(self.num_agents, bool)

    def view(self, state: State) -> Float[Array, " V"]:
        """The whole, for central critics."""
        return jnp.zeros(0, jnp.float32)

    def links(self, state: State) -> Neighbours | None:
        """Who hears whom, where that moves with the world."""
        return None


class At(eqx.Module):
    """A part that is summed at places: agent i adds `amount[i]` at `place[i]` of `places`. O(N) whatever the number
    of places."""

    place: Int[Array, " N"]
    amount: Float[Array, " N"]
    places: int = eqx.field(static=True)


class Places(eqx.Module):
    """Sums at places, and in `touched` and `change` (both [C, N], or None) at most two places that differ when one
    agent acts otherwise."""

    amount: Float[Array, " M"]
    touched: Int[Array, "C N"] | None = None
    change: Float[Array, "C N"] | None = None

    def sum(self, term: Callable[[Array, Array], Array]) -> Float[Array, "..."]:
        """sum over places of term(place, amount), [] or [N]; `term` is elementwise. Cost O(M + C N).

        The change is added to the common sum, so an effect below 2^-24 of that sum is lost: keep terms of the order
        of one agent's share.
        """
        everywhere = jnp.sum(term(jnp.arange(self.amount.shape[0]), self.amount))
        if self.touched is None:
            return everywhere
        here = self.amount[self.touched]
        return everywhere + jnp.sum(term(self.touched, here + self.change) - term(self.touched, here), axis=0)


class AggregativeWorld(World):
    """A world whose score depends on the crowd only through sums: G(z) = value(state, total(parts(state, actions))).

    Every difference utility then costs O(N) for all agents together: taking agent i away is `total - parts[i]`.
    """

    @abc.abstractmethod
    def parts(self, state: State, actions: Int[Array, " N"]) -> PyTree:
        """Each agent's share of each sum: a leaf is [N], or [D, N] with the component first ([N, D] is 2.2 times
        slower), or `At`."""

    def total(self, parts: PyTree) -> PyTree:
        """The sums: [], [D] or `Places`. Override where a float sum is not exact enough or must not depend on the
        order."""

        def add(part: Any) -> Any:
            if isinstance(part, At):
                return Places(jnp.zeros(part.places, part.amount.dtype).at[part.place].add(part.amount))
            return jnp.sum(part, axis=-1)

        return jax.tree.map(add, parts, is_leaf=lambda leaf: isinstance(leaf, At))

    @abc.abstractmethod
    def value(self, state: State, total: PyTree) -> Float[Array, "..."]:
        """The score of sums. Leaves of `total` come bare or with a last axis of N alternatives: write it for both."""

    @abc.abstractmethod
    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """What each agent gets or suffers on its own account, whatever that does to the score: the pay of the
        selfish."""

    def score(self, state: State, actions: PyTree, after: State) -> Float[Array, ""]:
        return self.value(state, self.total(self.parts(state, actions)))


def replaced(total: PyTree, parts: PyTree, others: PyTree = None) -> PyTree:
    """The sums as they would be for each i had agent i given `others[i]` (None: nothing) and not `parts[i]`; leaves
    gain an axis of N."""

    def replace(whole: Any, old: Any, new: Any = None) -> Any:
        if not isinstance(old, At):
            return whole[..., None] + (-old if new is None else new - old)
        if new is None:
            return Places(whole.amount, old.place[None], -old.amount[None])
        same = old.place == new.place  # both changes meet at one place: they are one change there
        touched = jnp.stack([old.place, new.place])
        change = jnp.stack([jnp.where(same, new.amount - old.amount, -old.amount), jnp.where(same, 0, new.amount)])
        return Places(whole.amount, touched, change)

    leaves = (total, parts) if others is None else (total, parts, others)
    return jax.tree.map(replace, *leaves, is_leaf=lambda leaf: isinstance(leaf, At | Places))


# ------------------------------------------------------------------------------------------------------------ protocol


class Inbox(NamedTuple):
    """One round's mail as one node finds it, in topology order, its own message included and always true.

    Rows that were not heard are zero. `coin` is one word a round, the same for all, from a root of its own, revealed
    after the round's mail is closed.
    """

    payload: PyTree
    sender: Int[Array, " K"]
    heard: Bool[Array, " K"]
    coin: UInt32[Array, ""]


class Protocol(eqx.Module):
    """Proposals in, decisions out: written for one node as pure functions, vmapped for the crowd, run as it is in a
    live node.

    `rounds` is the number of message rounds a tick. Values that differ by node (a margin each) are indexed by `me` in
    `boot` and live in State.
    """

    rounds: eqx.AbstractVar[int]

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        """What lasts from tick to tick."""
        return ()

    @abc.abstractmethod
    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        """Opens a tick. The ballot may have any structure; every later call keeps it, dtypes included."""

    @abc.abstractmethod
    def send(self, ballot: Ballot) -> Payload: ...

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        """Saying nothing is not the same as being lost."""
        return jnp.array(True)

    @abc.abstractmethod
    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot: ...

    @abc.abstractmethod
    def decide(self, ballot: Ballot) -> tuple[PyTree, State]: ...

    def settled(self, ballot: Ballot) -> Bool[Array, ""]:
        """Measured, never used to stop a loop."""
        return jnp.array(False)


class TallyProtocol(Protocol):
    """A protocol that hears only the sum of its mail, so a round of everybody to everybody costs O(N)."""

    @abc.abstractmethod
    def hear(self, key: Key, ballot: Ballot, total: Payload, coin: UInt32[Array, ""]) -> Ballot: ...

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        """Final: sums the inbox (truth values as int32) and calls `hear`."""
        return self.hear(key, ballot, jax.tree.map(add_up, inbox.payload), inbox.coin)


def add_up(payload: Array) -> Array:
    """The sum over senders; truth values are counted."""
    return jnp.sum(payload, axis=0, dtype=jnp.int32 if payload.dtype == bool else payload.dtype)


class Posts(NamedTuple):
    place: Int[Array, " P"]
    body: PyTree
    live: Bool[Array, " P"]


class Heap(NamedTuple):
    """What lies at one place after a round, by the reducers that the protocol names."""

    count: Int[Array, ""]
    total: PyTree
    best: PyTree
    who: Int[Array, ""]
    first: PyTree


class BoardProtocol(Protocol):
    """Nodes post to places (a task, a cell, a hub) and watch them; the place's code runs once a place. O(N P + M) a
    round."""

    places: eqx.AbstractVar[int]
    reduce: eqx.AbstractVar[tuple[str, ...]]  # of "sum", "max", "collect"

    @abc.abstractmethod
    def post(self, ballot: Ballot) -> Posts: ...

    @abc.abstractmethod
    def watch(self, ballot: Ballot) -> Int[Array, " W"]: ...

    @abc.abstractmethod
    def hear(
        self, key: Key, ballot: Ballot, notice: PyTree, heard: Bool[Array, " W"], coin: UInt32[Array, ""]
    ) -> Ballot: ...

    @abc.abstractmethod
    def open(self, key: Key, place: Int[Array, ""]) -> State: ...

    @abc.abstractmethod
    def serve(self, key: Key, place_state: State, heap: Heap) -> State: ...

    @abc.abstractmethod
    def notice(self, place_state: State) -> PyTree: ...

    def host(self, place: Int[Array, ""]) -> Int[Array, ""]:
        """The agent that keeps the place; it freezes when that agent dies. -1: nobody, it cannot die."""
        return jnp.int32(-1)

    def send(self, ballot: Ballot) -> Payload:
        return self.post(ballot)

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        """Final: a notice is the payload of a watched place."""
        return self.hear(key, ballot, inbox.payload, inbox.heard, inbox.coin)


class Silent(Protocol):
    """No word is said: the decision is the proposal."""

    rounds: int = eqx.field(default=0, static=True)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return proposal

    def send(self, ballot: Ballot) -> Payload:
        return ()

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        return ballot

    def decide(self, ballot: Ballot) -> tuple[PyTree, State]:
        return ballot, ()


# ------------------------------------------------------------------------------------------------------------- learner


class Utility(eqx.Module):
    """What each agent is paid. `score` is G of what was played; `chances[i, a]` is what agent i might have done,
    where the learner reports it."""

    needs_chances: ClassVar[bool] = False
    needs_sums: ClassVar[bool] = False  # works for an AggregativeWorld only

    @abc.abstractmethod
    def __call__(
        self,
        world: World,
        state: State,
        actions: PyTree,
        after: State,
        score: Float[Array, ""],
        chances: Float[Array, "N A"] | None,
    ) -> Float[Array, " N"]: ...


class Team(Utility):
    """Everybody is paid the score: g_i = G(z) (the team game; Tumer, Designing Agent Utilities, Section 2.1)."""

    def __call__(self, world, state, actions, after, score, chances):
        return jnp.broadcast_to(score, (world.num_agents,))


class Learner(eqx.Module):
    """How agents choose and improve. `mind` is learned and shared by the B runs of a batch; `memory` is lived and
    ends with the episode."""

    horizon: eqx.AbstractVar[int]  # ticks between calls of learn
    gives_chances: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, key: Key, scenario: "Scenario") -> Mind: ...

    def recall(self, key: Key, scenario: "Scenario") -> Memory:
        return ()

    def speaker(self, mind: Mind) -> Protocol | None:
        """Learned words: a protocol whose weights come from the mind. None: the scenario's `talk`."""
        return None

    @abc.abstractmethod
    def act(
        self, key: Key, mind: Mind, memory: Memory, obs: PyTree, legal: Bool[Array, "N A"] | None
    ) -> tuple[PyTree, Memory, PyTree]:
        """(intent, memory, aux). `aux.chances` [N, A], where there is one, goes to the utility."""

    def learn(self, key: Key, mind: Mind, segment: "Step", scenario: "Scenario") -> Mind:
        """Leaves of `segment` are [T, B, ...]; the last tick is there to be looked at (to bootstrap from). By default
        nothing is learned."""
        return mind


# ------------------------------------------------------------------------------------------------------------- monitor


class Mail(NamedTuple):
    """A round's mail on neighbour lists as an attacker sees it, before it is heard: what was truly sent, and each
    receiver's slots."""

    round: Int[Array, ""]
    sent: PyTree  # [N, ...]
    sender: Int[Array, "N K"]
    payload: PyTree  # [N, K, ...]; zero in the slots of liars and of talkers from outside
    heard: Bool[Array, "N K"]
    tally: "Tally"  # the same round as a sum over everybody


class Tally(NamedTuple):
    """A round's sum as an attacker sees it: what was sent, the honest total, how many liars are still listened to,
    and which members are among them (none of them can lie to itself)."""

    round: Int[Array, ""]
    sent: PyTree  # [N, ...]
    total: PyTree
    power: Int[Array, ""]
    forged: Bool[Array, " N"]


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

    def on_post(self, key: Key, state: State, posts: Posts) -> tuple[State, Posts]:
        return state, posts

    def on_notice(
        self, key: Key, state: State, notice: PyTree, heard: Bool[Array, "N W"]
    ) -> tuple[State, PyTree, Bool[Array, "N W"]]:
        return state, notice, heard

    def report(self, state: State) -> PyTree:
        """What it did, for `Step.trace`."""
        return ()

    def learn(self, key: Key, segment: "Step") -> "Fault":
        return self


class NoFault(Fault):
    """Nothing goes wrong."""


class CountingAttack(Fault):
    """An attack on yes-no mail, written once as how many false yes each receiver hears; both mail routes are derived
    from `lies`."""

    @abc.abstractmethod
    def lies(self, key: Key, state: State, tally: Tally) -> tuple[State, Int[Array, " N"]]: ...

    def on_tally(self, key: Key, state: State, tally: Tally) -> tuple[State, PyTree]:
        """Final: adds the lies, at most as many as there are liars who are listened to."""
        state, lies = self.lies(key, state, tally)
        return state, tally.total + jnp.clip(lies, 0, tally.power - tally.forged)

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        """Final: the first `lies[i]` forged slots that receiver i hears say yes, the others no."""
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


# ------------------------------------------------------------------------------------------------------------ together


class Traffic(NamedTuple):
    """A tick's bill, counted by the engine: messages sent and heard, and bytes heard. Everybody to everybody counts N
    (N - 1) messages."""

    sent: Float[Array, ""]
    heard: Float[Array, ""]
    bytes: Float[Array, ""]


class Step(NamedTuple):
    """Everything that happened in one tick. What is not recorded costs nothing."""

    t: Int[Array, ""]
    live: Bool[Array, ""]  # False: the episode was over before; this tick is only looked at
    obs: PyTree  # after faults and talk
    raw: PyTree  # after faults, before talk
    legal: PyTree
    view: PyTree
    memory: PyTree
    intent: PyTree
    decided: PyTree
    actions: PyTree
    aux: PyTree
    score: Float[Array, ""]
    credit: Float[Array, " N"]
    done: Bool[Array, ""]
    cut: Bool[Array, ""]
    before: State
    after: State
    mail: PyTree
    traffic: Traffic
    trace: PyTree
    verdict: PyTree


class Scenario(eqx.Module):
    """A world and what lives in it: everything `run` needs besides a key. `limit` is the number of ticks in an
    episode, None for no limit."""

    world: World
    learner: Learner
    utility: Utility = Team()
    talk: Protocol = Silent()
    commit: Protocol = Silent()
    topology: Neighbours | None = None
    fault: Fault = NoFault()
    monitor: Monitor = Unwatched()
    limit: Int[Array, ""] | None = eqx.field(
        default=None, converter=lambda value: None if value is None else jnp.asarray(value, jnp.int32)
    )

    def __check_init__(self):
        pay, learner, world = type(self.utility).__name__, type(self.learner).__name__, type(self.world).__name__
        if self.utility.needs_chances and not self.learner.gives_chances:
            raise Refusal(f"{pay} needs to know what each agent might have done; {learner} does not report chances")
        if self.utility.needs_sums and not isinstance(self.world, AggregativeWorld):
            raise Refusal(f"{pay} needs a world whose score depends on sums; {world} is no AggregativeWorld")


class Carry(NamedTuple):
    """What lives in an episode and ends with it."""

    age: Int[Array, ""]
    world: State
    memory: Memory
    talk: State
    commit: State
    fault: State
    monitor: State


class Progress(NamedTuple):
    """All there is to save: with the scenario it determines everything that follows. Leaves of `carry` lead with B."""

    key: Key
    t: Int[Array, ""]
    mind: Mind
    fault: Fault
    monitor: Monitor
    carry: Carry
