"""Dispersed: an attack whose mail goes through the dispersion defence before it is heard."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from quorate.comms import Channel
from quorate.comms.channel import talkers
from quorate.core import Fault, Key, Mail, State, static
from quorate.errors import Refusal, unknown
from quorate.numerics.dispersion import dispersed

DISPERSALS = ("every round", "first round", "none")


class Dispersed(Fault):
    """Each receiver takes as a liar's message what more than half of L = `draws` random receivers were told.

        m'_{a -> i} = Maj_l ( m_{a -> pi_l(i)} ),    nothing (0) where no value has more than half

    The attack forges first, as it would undefended; then the permutations are drawn, with a key that it never sees.
    Mail of honest nodes is the same for all receivers and stays as it is. Messages are whole numbers or truth values
    and 0 is nothing.

    attack      any fault that lies on inboxes; its other hooks, those for boards too, work as ever
    draws       L, see `draws_needed`
    dispersal   "every round", "first round" or "none". With the first round only, liars who named a few targets there
                have their full power in all later rounds, and Theorem 6 does not hold; so every round is the default

    A deployment needs a round of forwarding for each round of mail: i asks pi_l(i) what it was told, N L messages of N
    entries a round, which are not in the bill; permutations come from a coin revealed after the mail is closed. Here
    forwarders are members of the population only, and forward truly, but that a lying member forwards of its own mail
    what it likes. Liars who forward falsely would be further wrong votes in the majority: a deployment is a harder
    world.

    Errors: `Refusal` on neighbour lists that are not complete and on tallies, which have no receivers to swap; for mail
    of more than one number or truth value; and for a `Channel` inside, whose losses the forwarding would undo: it
    stands behind, as in Chain(faults=(Dispersed(...), Delay(...))).

    Reference: IBGP, Appendix A.3.1, which disperses the first round only.

    >>> from quorate.core import NoFault
    >>> Dispersed(attack=NoFault(extras=2), draws=45).extras
    2
    """

    attack: Fault
    draws: int = static()
    dispersal: str = static()

    def __init__(self, *, attack: Fault, draws: int, dispersal: str = "every round"):
        if dispersal not in DISPERSALS:
            raise unknown("dispersal", dispersal, DISPERSALS)
        if not isinstance(draws, int) or draws < 1:
            raise Refusal(f"draws is {draws}; it counts permutations and must be a whole number from 1 on")
        for one in getattr(attack, "faults", (attack,)):
            if isinstance(one, Channel):
                name = type(one).__name__
                raise Refusal(
                    f"{name} stands inside the dispersion, which would undo it",
                    f"put it behind: Chain(faults=(Dispersed(...), {name}(...)))",
                )
        self.attack, self.draws, self.dispersal, self.extras = attack, draws, dispersal, attack.extras

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        n, slots = mail.sender.shape
        if slots != n + self.extras:
            raise Refusal("dispersion swaps receivers, so everybody must hear everybody; leave the topology out")
        leaves = jax.tree.leaves(mail.sent)
        if len(leaves) != 1 or leaves[0].ndim != 1 or leaves[0].dtype.kind not in "biu":
            said = ", ".join(f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]" for leaf in leaves)
            raise Refusal(
                "dispersion takes a majority of whole numbers or truth values, one from each node; here a round's mail "
                f"is {said or 'empty'}"
            )
        _, lying = talkers(self, state, n)
        forged = mail.heard & lying[mail.sender] & (mail.sender != jnp.arange(n)[:, None])
        state, payload, heard = self.attack.on_deliver(jax.random.fold_in(key, 0), state, mail)
        if self.dispersal == "none":
            return state, payload, heard
        late = jax.random.fold_in(key, 1)  # drawn after the lies are told
        now = forged if self.dispersal == "every round" else forged & (mail.round == 0)

        def swap(said: Array) -> Array:
            told = jnp.where(heard, said, 0).T.astype(jnp.int32)
            return jnp.where(now, dispersed(late, told, self.draws).T.astype(said.dtype), said)

        return state, jax.tree.map(swap, payload), heard | now

    def on_tally(self, key: Key, state: State, tally: PyTree) -> tuple[State, PyTree]:
        raise Refusal("dispersion works on inboxes; this protocol hears sums only, so give it a complete topology")

    def reset(self, key, num_agents):
        return self.attack.reset(key, num_agents)

    def update(self, key, state, t):
        return self.attack.update(key, state, t)

    def on_observe(self, key, state, obs):
        return self.attack.on_observe(key, state, obs)

    def on_act(self, key, state, actions, idle):
        return self.attack.on_act(key, state, actions, idle)

    def on_credit(self, key, state, credit):
        return self.attack.on_credit(key, state, credit)

    def down(self, state):
        return self.attack.down(state)

    def on_post(self, key, state, posts, board):
        return self.attack.on_post(key, state, posts, board)

    def on_notice(self, key, state, place, notice, heard, board):
        return self.attack.on_notice(key, state, place, notice, heard, board)

    def liars(self, state):
        return self.attack.liars(state)

    def report(self, state):
        return self.attack.report(state)

    def learn(self, key, segment):
        attack = self.attack.learn(key, segment)
        return Dispersed(attack=attack, draws=self.draws, dispersal=self.dispersal)
