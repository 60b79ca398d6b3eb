"""Contract net: places announce, agents bid on their best few, places award, agents accept one award and refuse the
rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import BoardProtocol, Outlook, Posts, static, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.numerics.once import once
from quorate.protocols import desk
from quorate.protocols.desk import CLAIM, Desk, Hold, Slip, Word
from quorate.protocols.site import Mechanism, Site

BID, REFUSE = 3, 4  # what a slip says besides; an acceptance is a CLAIM by the one to whom the task is awarded
STANDS = 2  # answers that may be missing before an award lapses, where mail is not late


class Contract(NamedTuple):
    """A place's own record.

    desk      who has accepted the task, as with claims
    awarded   to whom it is awarded that has not answered, -1: nobody; for the bid `price`
    missed    answers that were due and did not come
    """

    desk: Desk
    awarded: Int[Array, ""]
    price: Float[Array, ""]
    missed: Int[Array, ""]


class Bidding(NamedTuple):
    """What an agent remembers during a tick: its view, its claim, which options are taken as far as it has heard, the
    options it bids on, best first (-1: none), which of these were awarded to it, whether it is time to answer, and
    `quiet` once its desk has confirmed its sign; `over` the claim whose task is begun and over, until its desk
    knows."""

    outlook: Outlook
    hold: Hold
    taken: Bool[Array, " K"]
    bids: Int[Array, " P"]
    won: Bool[Array, " P"]
    answers: Bool[Array, ""]
    quiet: Bool[Array, ""]
    over: Hold


class ContractNet(BoardProtocol):
    """One iteration takes two rounds of a board.

    Bid: an agent with nothing to do bids its worth on the `bids` best options that it does not know to be held; a place
    that is free awards its task to the best bidder of the round. Answer: the agent accepts the best of its awards and
    *refuses the rest*, and the place gives it the task, or announces it again. All options are read after the answers,
    and after the bids only those that were bid on.

    An award is no claim: it lapses when 2 + delay * rounds answers are missing. An agent believes in a claim only when
    it has read that its acceptance arrived, with the tick until which that holds; from then on the place's desk treats
    it as any claim (lease, heartbeat, proof of progress). So in no tick do two agents believe in the same task,
    whatever mail is lost; mail lost costs time, and places held by one who does not know.

    With `bids` = 1 the assignment is that of `Claim` with half the rounds; more save iterations and cost messages.

    rounds    message rounds a tick, even
    bids      P, at most the number of options
    lease     ticks a claim lives without a sign of its owner
    patience  ticks an owner may take without coming nearer
    delay     ticks that mail takes each way (see `Delayed`)

    Cost O(N (P + K) + M) a round. Errors: Refusal for an odd number of rounds, or less than one bid.
    Reference: R. Smith, The contract net protocol, IEEE Trans. Computers C-29:1104 (1980); FIPA SC00029H (2002). There
    the manager waits for all bids; here a round is the wait, and a place decides by the highest number alone.

    >>> from quorate.protocols.contract_net import ContractNet
    >>> ContractNet(places=6, rounds=8).bids
    3
    """

    places: int = static()
    rounds: int = static(4)
    capacity: int = static(0)
    bids: int = static(3)
    delay: int = static(0)
    lease: Int[Array, ""] = swept(jnp.int32, 5)
    patience: Int[Array, ""] = swept(jnp.int32, 8)

    def __check_init__(self):
        at_least(1, bids=self.bids)
        at_least(0, delay=self.delay)
        at_least(2, rounds=self.rounds)
        if self.rounds % 2:
            raise Refusal(f"rounds is {self.rounds}; a contract net bids and answers in turn and needs an even number")

    def boot(self, key, me):
        return desk.nothing(me)

    def propose(self, key, state, proposal: Outlook) -> Bidding:
        options = proposal.place.shape[0]
        if self.bids > options:
            raise Refusal(f"bids is {self.bids}; an agent has {options} options")
        taken, won = jnp.zeros(options, bool), jnp.zeros(self.bids, bool)
        none, no = jnp.full(self.bids, -1, jnp.int32), jnp.array(False)
        over = desk.ended(state, proposal)
        return self.choose(Bidding(proposal, desk.kept(state, proposal), taken, none, won, no, no, over))

    def choose(self, ballot: Bidding) -> Bidding:
        """Bids on the best options not known to be taken, if the agent is free and holds nothing."""
        outlook = ballot.outlook
        wants = outlook.free & (outlook.serving < 0) & (ballot.hold.place < 0)
        fit = wants & outlook.open & ~ballot.taken & (outlook.worth > 0)
        worth, best = jax.lax.top_k(jnp.where(fit, outlook.worth, -jnp.inf), self.bids)
        return ballot._replace(bids=jnp.where(jnp.isfinite(worth), best.astype(jnp.int32), -1))

    def post(self, ballot: Bidding) -> Posts:
        """Bids or answers; who has a task gives a sign in the first slip that it needs for neither."""
        outlook, option = ballot.outlook, jnp.maximum(ballot.bids, 0)
        live = jnp.where(ballot.answers, ballot.won, ballot.bids >= 0)
        accepted = (jnp.cumsum(ballot.won) == 1) & ballot.won & (ballot.hold.place < 0)
        answer = jnp.where(accepted, CLAIM, REFUSE)
        slip = Slip(outlook.number[option], outlook.eta[option], jnp.where(ballot.answers, answer, BID))
        place, sign, bid, something = desk.standing(outlook, ballot.hold, ballot.quiet, ballot.over)
        first = (jnp.cumsum(~live) == 1) & ~live & something
        body = Slip(*(jnp.where(first, own, leaf).astype(own.dtype) for own, leaf in zip(sign, slip, strict=True)))
        return Posts(
            jnp.where(first, place, outlook.place[option]),
            live | first,
            bid=jnp.where(first, bid, outlook.worth[option]),
            body=body,
        )

    def watch(self, ballot: Bidding):
        places = desk.places(ballot.outlook, ballot.hold, ballot.quiet, ballot.over)
        options = ballot.outlook.place.shape[0]
        bid_on = jnp.any(ballot.bids[:, None] == jnp.arange(options + 1)[None, :], axis=0)
        return once(jnp.where(ballot.answers | bid_on | (jnp.arange(options + 1) == options), places, -1))

    def hear(self, key, ballot: Bidding, news) -> Bidding:
        outlook, option = ballot.outlook, jnp.maximum(ballot.bids, 0)
        hold = desk.renewed(ballot.hold, news)
        told, came = desk.of_options(news)
        mine = came & outlook.open & (told.owner == hold.me) & (told.number == outlook.number)
        firm = mine & (told.until >= outlook.t)
        given = jnp.argmax(firm).astype(jnp.int32)
        gain = firm[given] & (hold.place < 0)
        new = Hold(hold.me, outlook.place[given], outlook.number[given], told.until[given])
        hold = jax.tree.map(lambda one, other: jnp.where(gain, one, other), new, hold)
        awarded = (told.number == outlook.number) & (told.owner >= 0) & (told.owner != hold.me)
        taken = jnp.where(came, desk.owned(told, outlook, hold.me) | awarded, ballot.taken)
        won = (mine & ~firm)[option] & (ballot.bids >= 0) & ~ballot.answers
        quiet = ballot.quiet | desk.confirmed(outlook, ballot.hold, news)
        over = desk.untold(ballot.over, ballot.hold, outlook, news)
        heard = ballot._replace(hold=hold, taken=taken, won=won, answers=~ballot.answers, quiet=quiet, over=over)
        bids = jnp.where(ballot.answers, self.choose(heard).bids, ballot.bids)
        return heard._replace(bids=bids)

    def decide(self, ballot: Bidding):
        return ballot.hold.place, ballot.hold

    def settled(self, ballot: Bidding):
        return ~jnp.any(ballot.won) & jnp.all(ballot.bids < 0)

    def open(self, key, place) -> Contract:
        return Contract(desk.vacant(), jnp.int32(-1), jnp.float32(0), jnp.int32(0))

    def serve(self, key, place_state: Contract, heap) -> Contract:
        said, who, old = heap.said, heap.who, place_state
        answers = heap.round % 2 == 1
        before = jnp.where(said.number > old.desk.number, -1, old.awarded)
        from_awarded = (who >= 0) & (who == before) & (said.number == old.desk.number)
        # Only who was awarded the task can accept it; whatever else is said gives nobody anything.
        kind = jnp.where((said.kind == CLAIM) & ~from_awarded, BID, said.kind)
        now = desk.attend(old.desk, heap._replace(said=said._replace(kind=kind)), self.lease, self.patience, False)
        held = (now.owner >= 0) | now.done
        missed = old.missed + (answers & (before >= 0))
        over = held | (from_awarded & (said.kind == REFUSE)) | (missed >= STANDS + self.delay * self.rounds)
        standing = jnp.where(over, -1, before)
        fits = (who >= 0) & (said.number == now.number) & (said.kind == BID) & (who != now.barred)
        award = fits & ~held & (standing < 0) & ~answers
        return Contract(
            now,
            jnp.where(award, who, standing),
            jnp.where(award, heap.best, old.price),
            jnp.where(award | (standing < 0), 0, missed),
        )

    def notice(self, place_state: Contract) -> Word:
        """A desk's word; an award that is not answered yet has an owner and no tick until which it holds."""
        told, awarded = desk.word(place_state.desk), place_state.awarded
        return told._replace(
            owner=jnp.where(awarded >= 0, awarded, told.owner),
            until=jnp.where(awarded >= 0, -1, told.until),
            price=jnp.where(awarded >= 0, place_state.price, told.price),
        )


def make(site: Site) -> ContractNet:
    """A contract at every place of the site; fewer than three options are all bid on. Of an odd number of rounds the
    last is not used; of one, two are."""
    bids, rounds = min(3, site.options), max(2, site.rounds // 2 * 2)
    return ContractNet(
        places=site.places, rounds=rounds, bids=bids, lease=site.lease, patience=site.patience, delay=site.delay
    )


CONTRACT_NET = Mechanism(make, "bid on the best three; take the best award and refuse the others")
