"""Claim and commit: ask for the best task not known to be held; a desk takes the best asker, others ask elsewhere."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from quorate.core import BoardProtocol, Outlook, Posts, static, swept
from quorate.protocols import desk
from quorate.protocols.desk import CLAIM, Desk, Hold, Slip
from quorate.protocols.site import Mechanism, Site


class Asking(NamedTuple):
    """What an agent remembers during a tick: its view, its claim, which options are taken as far as it has heard, and
    what it asks for in this round (option index, -1: nothing); `quiet` once its desk has confirmed its sign; `over` the
    claim whose task is begun and over, until its desk knows."""

    outlook: Outlook
    hold: Hold
    taken: Bool[Array, " K"]
    asked: Int[Array, ""]
    quiet: Bool[Array, ""]
    over: Hold


class Claim(BoardProtocol):
    """Each round a free agent asks for its best option that it does not know to be taken: k* = argmax of worth_k over
    these, while worth_k > 0. It reads the desks of all its options. The desk gives the task to the best asker of the
    round; *what is held is final*, or with `evict` a better asker of the same tick displaces the owner, who asks
    elsewhere (deferred acceptance). Who held a task that is already over tells its desk in the first round in which it
    asks for nothing.

    Final claims are exclusive whatever mail is lost: an owner stops believing before its desk gives the task to anyone
    else. They end within a few rounds and near the greedy assignment, with no bound. Evicting claims end at the greedy
    assignment by worth itself, at least half the optimum, after more rounds, and may have two believing owners while
    mail is lost.

    rounds    message rounds a tick
    lease     ticks a claim lives without a sign of its owner
    patience  ticks an owner may take without coming nearer
    evict     whether a better asker displaces an owner of the same tick

    Cost per round O(N K + M); about 2 slips an agent until it has a task, then one a tick on its way. Reference: the
    greedy assignment bound of 1/2 is Avis, A survey of heuristics for the weighted matching problem (1983); Choi,
    Brunet, How (2009), Section III-A, have the evicting form as CBAA, by neighbours instead of places.

    >>> from quorate.protocols.claim import Claim
    >>> Claim(places=6, rounds=3).evict
    False
    """

    places: int = static()
    rounds: int = static(4)
    capacity: int = static(0)
    evict: bool = static(False)
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def boot(self, key, me):
        return desk.nothing(me)

    def propose(self, key, state, proposal: Outlook) -> Asking:
        taken = jnp.zeros(proposal.place.shape, bool)
        over, no = desk.ended(state, proposal), jnp.array(False)
        return ask(Asking(proposal, desk.kept(state, proposal), taken, jnp.int32(-1), no, over))

    def post(self, ballot: Asking) -> Posts:
        place, slip, bid, something = desk.standing(ballot.outlook, ballot.hold, ballot.quiet, ballot.over)
        option = jnp.maximum(ballot.asked, 0)
        asks = ballot.asked >= 0
        claim = Slip(ballot.outlook.number[option], ballot.outlook.eta[option], jnp.int32(CLAIM))
        slip = Slip(*(jnp.where(asks, mine, other) for mine, other in zip(claim, slip, strict=True)))
        bid = jnp.where(asks, ballot.outlook.worth[option], bid)
        one = jnp.where(asks, ballot.outlook.place[option], place)
        return Posts(one[None], (asks | something)[None], bid=bid[None], body=Slip(*(leaf[None] for leaf in slip)))

    def watch(self, ballot: Asking):
        return desk.places(ballot.outlook, ballot.hold, ballot.quiet, ballot.over)

    def hear(self, key, ballot: Asking, news) -> Asking:
        outlook, hold = ballot.outlook, desk.renewed(ballot.hold, news)
        told, came = desk.of_options(news)
        option = jnp.maximum(ballot.asked, 0)
        asked = jax.tree.map(lambda leaf: leaf[option], told)
        given = desk.heard(hold, outlook.place[option], outlook.number[option], asked, came[option])
        hold = jax.tree.map(lambda new, old: jnp.where(ballot.asked >= 0, new, old), given, hold)
        owned = desk.owned(told, outlook, hold.me)
        if self.evict:
            owned &= told.done | (told.barred == hold.me) | (told.price >= outlook.worth)
        quiet = ballot.quiet | desk.confirmed(outlook, ballot.hold, news)
        over = desk.untold(ballot.over, ballot.hold, outlook, news)
        return ask(ballot._replace(hold=hold, taken=jnp.where(came, owned, ballot.taken), quiet=quiet, over=over))

    def decide(self, ballot: Asking):
        return ballot.hold.place, ballot.hold

    def settled(self, ballot: Asking):
        return ballot.asked < 0

    def open(self, key, place) -> Desk:
        return desk.vacant()

    def serve(self, key, place_state: Desk, heap) -> Desk:
        return desk.attend(place_state, heap, self.lease, self.patience, self.evict)

    def notice(self, place_state: Desk):
        return desk.word(place_state)


def ask(ballot: Asking) -> Asking:
    """Chooses what to ask for: the best option not known to be taken, if the agent is free and holds nothing."""
    outlook = ballot.outlook
    worth = jnp.where(outlook.open & ~ballot.taken & (outlook.worth > 0), outlook.worth, -jnp.inf)
    best = jnp.argmax(worth).astype(jnp.int32)
    wants = outlook.free & (outlook.serving < 0) & (ballot.hold.place < 0) & jnp.isfinite(worth[best])
    return ballot._replace(asked=jnp.where(wants, best, -1))


def make(site: Site, evict: bool = False) -> Claim:
    """Claims at every place of the site."""
    return Claim(places=site.places, rounds=site.rounds, lease=site.lease, patience=site.patience, evict=evict)


CLAIM_FINAL = Mechanism(make, "ask for the best free task; what is held is final")
CLAIM_EVICTING = Mechanism(
    lambda site: make(site, evict=True), "ask for the best task; a better asker of the same tick displaces"
)
