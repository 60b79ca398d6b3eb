"""Every registered part keeps its contract, and each check sees the breaches it is there for."""

import dataclasses
import itertools
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import testing
from quorate.core import (
    Fault,
    Learner,
    Monitor,
    Scenario,
    Silent,
    Utility,
    static,
    swept,
)
from quorate.errors import Refusal
from quorate.faults import FAULTS
from quorate.learners import LEARNERS, Uniform
from quorate.monitors import MONITORS
from quorate.protocols import PROTOCOLS
from quorate.protocols.mechanisms import MECHANISMS, STRATEGIES, sparing
from quorate.testing.tiny import Chorus, IdleFault, IdleMonitor, Lamps, Show
from quorate.utilities import UTILITIES
from quorate.worlds import WORLDS
from quorate.worlds.imperfect_devices import ImperfectDevices
from tests import outlooks
from tests.pinboard import Pinboard, wishes


def at_size(world):
    """How to build a world like this one for another number of agents; None where only its author knows."""
    if isinstance(world, ImperfectDevices):
        return lambda n: ImperfectDevices(errors=world.errors[..., :n])
    if any(field.name == "num_agents" and field.init for field in dataclasses.fields(world)):
        return lambda n: dataclasses.replace(world, num_agents=n)
    return None


# Settings of a part that stands in the registry under another name too: make proof.
VARIANTS = {"failing_frozen", "failing_random", "claim_evicting", "central_naive", "team_marks", "saboteurs_lie"}
VARIANTS |= {f"saboteurs_{kind}" for kind in ("own_goal", "forge", "silent", "vandal", "hog", "skim")}


def marks(name):
    return [pytest.mark.slow] if name in VARIANTS else []


def rows(registry):
    parts = [pytest.param(part, id=name, marks=marks(name)) for name, part in registry.items()]
    return pytest.mark.parametrize("part", parts)


@rows(WORLDS)
def test_world(part):
    testing.check_world(part, at_size(part))


@rows(LEARNERS)
def test_learner(part):
    first = next(iter(WORLDS.values()))
    testing.check_learner(part, first, at_size(first))


@pytest.mark.parametrize("world", WORLDS)
@rows(LEARNERS)
def test_learner_in_every_world(part, world):
    testing.scenario.check_trace(part, Scenario(WORLDS[world], part))


# What these two pay is the world's own score and account, which the contract of each world asks for.
PLAIN = {"team", "selfish"}


def paid():
    """Each utility in each world; the plain ones in the first, and in the others in make proof."""
    first = next(iter(WORLDS))
    for (name, part), world in itertools.product(UTILITIES.items(), WORLDS):
        late = [pytest.mark.slow] if name in PLAIN and world != first else marks(name)
        yield pytest.param(part, world, id=f"{name}-{world}", marks=late)


@pytest.mark.parametrize(("part", "world"), list(paid()))
def test_utility(part, world):
    testing.check_utility(part, WORLDS[world])


@rows(UTILITIES)
def test_utility_in_a_world_without_sums(part):
    testing.check_utility(part, Lamps(num_agents=3))


@rows(FAULTS | {"idle": IdleFault(), "chorus": Chorus(members=1, extras=1)})
def test_fault(part):
    testing.check_fault(part)


@rows(MONITORS | {"idle": IdleMonitor()})
def test_monitor(part):
    testing.check_monitor(part)


@rows({name: entry.example for name, entry in PROTOCOLS.items()} | {"silent": Silent(), "show": Show()})
def test_protocol(part):
    testing.check_protocol(part, jnp.array([1, 0, 1, 1, 0], jnp.int32))


# ---------------------------------------------------------------------------------------------------- the checks bite


class Swelling(Lamps):
    """Its state changes dtype."""

    def step(self, key, state, actions):
        return state + actions


class Weak(Lamps):
    """A weakly typed field."""

    gain: jax.Array = eqx.field(kw_only=True, default_factory=lambda: jnp.asarray(2.0))


class Bare(Lamps):
    """A bare number among what may be swept."""

    gain: float = eqx.field(kw_only=True, default=2.0)


class Frozen(Lamps):
    """An array among what is static."""

    gain: jax.Array = eqx.field(kw_only=True, static=True, default_factory=lambda: np.ones(2))


class Peeking(Lamps):
    """Its program depends on the value of an array."""

    gain: jax.Array = swept(default=1.0)

    def step(self, key, state, actions):
        return state if self.gain > 2 else ~state


class Counting(Lamps):
    """Its score is a weakly typed number of Python."""

    def score(self, state, actions, after):
        return 1.0


class Endless(Lamps):
    def score(self, state, actions, after):
        return jnp.float32(jnp.inf)


class Stuck(Lamps):
    def legal(self, state):
        return jnp.zeros((self.num_agents, 2), bool)


class Flipped(Lamps):
    """Observations without an axis of agents."""

    def observe(self, key, state):
        return jnp.sum(state)


class WrongSums(ImperfectDevices):
    """What the sums say is not what playing it out says."""

    def own(self, state, actions):
        return jnp.zeros(())


class Skewed(ImperfectDevices):
    def parts(self, state, actions):
        parts = super().parts(state, actions)
        return parts._replace(error=parts.error * jnp.cumsum(actions))


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (Swelling(num_agents=3), "Swelling: the value of the state after a step was bool[3] and becomes int32[3]"),
        (Weak(num_agents=3), "Weak: field .gain is weakly typed float32; declare it as swept()"),
        (Bare(num_agents=3), "Bare: field .gain holds a bare float, so that every value compiles anew"),
        (Peeking(num_agents=3), "Peeking: step does not work; TracerBoolConversionError"),
        (Counting(num_agents=3), "Counting: score is no array; it must be floating[]"),
        (Endless(num_agents=3), "Endless: score is inf"),
        (Stuck(num_agents=3), "Stuck: legal leaves some agent without any action"),
        (Flipped(num_agents=3), "Flipped: the value of observe is int32[]; its first axis must be the 3 agents"),
        (WrongSums(errors=jnp.ones(3)), "WrongSums: own is float32[]; it must be floating[3]"),
        (Skewed(errors=jnp.ones(3)), "Skewed: what each agent changes, by sums and by playing it out, differs"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_world_is_caught(world, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_world(world)


def test_an_array_among_what_is_static_is_caught():
    with pytest.warns(UserWarning, match="array is being set as static"):
        frozen = Frozen(num_agents=3)
    with pytest.raises(AssertionError, match="Frozen: field .gain is static and holds an array"):
        testing.check_world(frozen)


calls = itertools.count(1)


class Remembering(Uniform):
    """What it does depends on how often Python has called it."""

    def act(self, key, mind, memory, obs, legal):
        intent, memory, aux = super().act(key, mind, memory, obs, legal)
        return (intent + next(calls)) % 2, memory, aux


class Lawless(Uniform):
    def act(self, key, mind, memory, obs, legal):
        intent, memory, aux = super().act(key, mind, memory, obs, legal)
        return jnp.full_like(intent, 7), memory, aux


class Growing(Learner):
    """Its mind changes from one update to the next, and it does not take the world's actions."""

    horizon: int = static(1)

    def init(self, key, scenario):
        return jnp.zeros(scenario.world.num_agents, jnp.int32)

    def act(self, key, mind, memory, obs, legal):
        return mind, memory, ()

    def learn(self, key, mind, segment, scenario):
        return mind + 0.5


class Boasting(Growing):
    gives_chances = True

    def learn(self, key, mind, segment, scenario):
        return mind


class Late(Uniform):
    horizon: int = static(0)


@pytest.mark.parametrize(
    ("learner", "said"),
    [
        (Remembering(), "Remembering: act, asked twice with the same key, differs"),
        (Lawless(), "Lawless: act takes an action that is not legal"),
        (Growing(), "Growing: run does not work; TypeError"),
        (Boasting(), "Boasting: it promises chances and aux has none"),
        (Late(), "Late: horizon is 0"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_learner_is_caught(learner, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_learner(learner, Lamps(num_agents=3))


class Flat(Utility):
    def __call__(self, world, state, actions, after, score, chances):
        return score


class Nothing(Utility):
    def __call__(self, world, state, actions, after, score, chances):
        return jnp.log(actions.astype(jnp.float32))


@pytest.mark.parametrize(
    ("utility", "said"),
    [
        (Flat(), "Flat: the credit is float32[]; it must be floating[3]"),
        (Nothing(), "Nothing: some credit is not finite"),
    ],
)
def test_a_broken_utility_is_caught(utility, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_utility(utility, Lamps(num_agents=3))


class BareFault(Fault):
    rate: float = eqx.field(kw_only=True, default=0.5)


class Doubling(Fault):
    def on_act(self, key, state, actions, idle):
        return state, actions * 2.0


class Forgetting(Fault):
    def reset(self, key, num_agents):
        return jnp.zeros(num_agents)

    def update(self, key, state, t):
        return ()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (BareFault(), "BareFault: field .rate holds a bare float, so that every value compiles anew"),
        (Doubling(), "Doubling: the value of what on_act returns was int32[1] and becomes float32[1]"),
        (Forgetting(), "Forgetting: the state after update changes its structure"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_fault_is_caught(fault, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_fault(fault)


class Unequal(Chorus):
    """Lies in inboxes that the tally does not know of."""

    def on_deliver(self, key, state, mail):
        return state, jnp.ones_like(mail.payload), mail.heard


def test_unequal_routes_are_caught():
    with pytest.raises(AssertionError, match="Unequal: a run by sums and by complete inboxes differs"):
        testing.check_fault(Unequal(members=2))


class Numbering(Monitor):
    def gate(self, key, state, obs, actions, idle):
        return actions > 0


class Doubting(Monitor):
    def trusted(self, state):
        return jnp.bool_(False)


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        (
            Numbering(),
            "Numbering: the value of what gate returns, beside the actions, was int32[1] and becomes bool[1]",
        ),
        (Doubting(), "Doubting: trusted is bool[]; it must be bool[1 and extras]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_monitor_is_caught(monitor, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_monitor(monitor)


class Rising(Show):
    def hear(self, key, ballot, total, coin):
        return ballot[0], total * 0.5


class Dropping(Show):
    def decide(self, ballot):
        return ballot[1], ballot[1]


class Sorting(Show):
    """Hears more than the sum when it gets an inbox."""

    def receive(self, key, ballot, inbox):
        return ballot[0], inbox.payload[0].astype(jnp.int32) * 9


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (Rising(), "Rising: [1] of the ballot after receive was int32[1] and becomes float32[1]"),
        (Dropping(), "Dropping: the state that decide returns, beside the one of boot, changes its structure"),
        (Sorting(), "Sorting: a conversation by sums and by complete inboxes differs"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_protocol_is_caught(protocol, said):
    with pytest.raises(AssertionError, match=re.escape(said)):
        testing.check_protocol(protocol, jnp.array([1, 0, 1, 1, 0], jnp.int32))


def test_a_board_keeps_its_promises():
    testing.check_protocol(Pinboard(hosts=2), wishes(np.random.default_rng(0), 4, 3))


class Swollen(Pinboard):
    """Its places grow by a dtype when they serve."""

    def serve(self, key, place_state, heap):
        return place_state._replace(served=place_state.served + 1.0)


class Forgetful(Pinboard):
    """Its nodes drop what they heard."""

    def hear(self, key, ballot, news):
        return ballot[0]


class Wide(Pinboard):
    """Reads places by numbers that are none."""

    def watch(self, ballot):
        return super().watch(ballot).astype(jnp.float32)


class Indebted(Pinboard):
    """Owes slip by slip."""

    def owes(self, ballot):
        return self.post(ballot).live


@pytest.mark.parametrize(
    ("board", "breach"),
    [
        (Swollen, "places after serve"),
        (Forgetful, "ballot after hear"),
        (Wide, "places watched"),
        (Indebted, "word is owed"),
    ],
)
def test_a_board_that_breaks_a_promise_is_told_so(board, breach):
    with pytest.raises((Refusal, AssertionError), match=breach):
        testing.check_protocol(board(), wishes(np.random.default_rng(0), 4, 3))


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in MECHANISMS])
def test_mechanism(name):
    site, outlook = outlooks.site(agents=5, places=7), outlooks.random(seed=0, agents=5, places=7, options=4)
    testing.check_protocol(MECHANISMS[name].make(site), outlook)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategy(strategy):
    site, outlook = outlooks.site(agents=5, places=7), outlooks.random(seed=0, agents=5, places=7, options=4)
    one = jax.tree.map(lambda leaf: leaf[0], outlook)
    testing.check_protocol(sparing(f"claim+{strategy}", MECHANISMS["claim"].make(site), one, site), outlook)


class Sticky(Show):
    """Keeps what it heard last from tick to tick."""

    def boot(self, key, me):
        return me

    def propose(self, key, state, proposal):
        return proposal > 0, state

    def decide(self, ballot):
        return (ballot[1] * 2 > 3).astype(jnp.int32), ballot[1]


def test_a_whole_scenario():
    attacked = Scenario(Lamps(num_agents=5), Uniform(), commit=Sticky(), fault=Chorus(members=1, extras=1), limit=3)
    testing.check_scenario(attacked)


def test_a_broken_scenario_is_caught():
    with pytest.raises(AssertionError, match="Bare: field .gain holds a bare float"):
        testing.check_scenario(Scenario(Bare(num_agents=2), Uniform()))
