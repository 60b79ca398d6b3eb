"""The exhibits: bugs of at most three lines, each with the smallest instance at which `verify` finds it."""

import time
from typing import Any, NamedTuple

from quorate.errors import Refusal
from quorate.verify.check import Verified, verify
from tests.museum.patching import Patch, patched

PROTOCOLS, COMMS, CORE = "quorate/protocols/", "quorate/comms/", "quorate/core/"
HIDDEN = ("hidden_stop_vote", {"n": 4, "k": 3, "t": 1, "max_rounds": 4})
MIXED = ("hidden_stop_vote", {"n": 4, "k": 3, "t": 1, "margin": (1, 1, 1, 0), "max_rounds": 3})
SINGLE = ("single_round_vote", {"n": 4, "k": 3, "t": 0})
MAJORITY = ("majority", {"n": 4, "t": 0})
COIN = ("common_coin", {"n": 3, "t": 1, "rounds": 3})
KING = ("phase_king", {"n": 4, "t": 1})
BELIEF = ("neighbourhood_vote", {"n": 4, "t": 1})
CROWDED = ("neighbourhood_vote", {"n": 4, "t": 2})
TARGETS = ("target_votes", {"n": 4, "k": 2, "t": 1, "max_rounds": 4})
Instance = tuple[str, dict[str, Any]]


class Exhibit(NamedTuple):
    """`by` is what finds it: a kind of property ("early": an always whose liars see each coin beforehand), or the way
    of mail on which the engine differs from the plain loop, or "coin": liars are shown it."""

    what: str
    at: Instance
    by: str
    patches: tuple[Patch, ...]

    @property
    def where(self) -> str:
        return ", ".join(dict.fromkeys(patch.file.removeprefix("quorate/") for patch in self.patches))


class Seen(NamedTuple):
    reasons: tuple[str, ...]  # all that finds it, as `Exhibit.by`
    words: tuple[str, ...]  # the same, as `quorate verify` says it
    seconds: float


def in_words(instance: Instance) -> str:
    return " ".join([instance[0], *(f"{name}={value}" for name, value in instance[1].items())]).replace(", ", ",")


def seen(instance: Instance) -> Seen:
    """What `verify` says of an instance, with the protocol's own properties, method and budget."""
    began = time.perf_counter()
    try:
        found = verify(instance[0], **instance[1])
    except Refusal as problem:
        return Seen(("refusal",), (str(problem),), time.perf_counter() - began)
    reasons, words = _reasons(found)
    assert found.holds == (not reasons)
    return Seen(reasons, words, time.perf_counter() - began)


def shown(exhibit: Exhibit) -> Seen:
    """What `verify` says while the bug is in."""
    with patched(exhibit.patches, exhibit.at[0]):
        return seen(exhibit.at)


def _reasons(found: Verified) -> tuple[tuple[str, ...], tuple[str, ...]]:
    broken = [finding for finding in found.findings if not finding.holds]
    reasons = [("early" if finding.about.early else finding.about.kind, finding.words) for finding in broken]
    if found.engine is not None and found.engine.difference is not None:
        said = found.engine.difference
        ways = [way.removeprefix("by ") for way in found.engine.ways if said.startswith(way)]
        reasons.append((ways[0] if ways else "coin", said))
    return tuple(reason for reason, _ in reasons), tuple(said for _, said in reasons)


def _bug(what: str, at: Instance, by: str, *changes: str) -> Exhibit:
    """Changes are file, old text, new text, and so on."""
    return Exhibit(what, at, by, tuple(Patch(*changes[i : i + 3]) for i in range(0, len(changes), 3)))


VOTE = PROTOCOLS + "hidden_stop_vote.py"
SUMS, INBOXES, TALK = COMMS + "sums.py", COMMS + "inboxes.py", COMMS + "conversation.py"

EXHIBITS = (
    _bug("own vote counts twice", HIDDEN, "always", VOTE,
         "(total >= self.threshold", "(total + ballot.willing >= self.threshold"),
    _bug("more than k + margin votes are asked for", HIDDEN, "eventually", VOTE,
         "(total >= self.threshold", "(total > self.threshold"),
    _bug("relays ask for k votes only: the margin is forgotten", HIDDEN, "always", VOTE,
         "jnp.where(last, 0, margin)", "0"),
    _bug("the decision asks for k + margin votes too", HIDDEN, "early", VOTE,
         "jnp.where(last, 0, margin)", "margin"),
    _bug("who dropped out, or never was willing, comes back", HIDDEN, "always", VOTE,
         "ballot.willing & (ballot.over | (total >=", "((ballot.willing & ballot.over) | (total >="),
    _bug("the silence after the end counts as a vote", HIDDEN, "eventually", VOTE,
         "(ballot.over | (total >=", "((total >="),
    _bug("nobody ever says yes: safe because nothing ever happens", HIDDEN, "sometimes", VOTE,
         "return ballot.willing & ~ballot.over\n", "return jnp.array(False)\n"),
    _bug("a round takes the stop of the round before", HIDDEN, "always", VOTE,
         "self.stops[ballot.round]", "self.stops[ballot.round - 1]"),
    _bug("the last round is known: the coin is not looked at", HIDDEN, "always", VOTE,
         "(coin < self.stops[ballot.round]) | ", ""),
    _bug("a node takes the margin of the next one", MIXED, "always", VOTE,
         "return self.margin[me] if", "return self.margin[me + 1] if"),
    _bug("the decision ignores what was heard", SINGLE, "always", PROTOCOLS + "single_round_vote.py",
         "ballot.willing & (total >= self.threshold)", "ballot.willing"),
    _bug("wrong quorum: N - t - 1 make a vote clear", COIN, "always", PROTOCOLS + "common_coin.py",
         "total >= self.members - self.liars", "total >= self.members - self.liars - 1"),
    _bug("the coin is always heads", COIN, "always", PROTOCOLS + "common_coin.py",
         "coin >= jnp.uint32(2**31)", "jnp.uint32(2**31) >= jnp.uint32(2**31)"),
    _bug("t votes, which liars have by themselves, are enough to toss", COIN, "eventually",
         PROTOCOLS + "common_coin.py", "(total > self.liars)", "(total >= self.liars)"),
    _bug("more than all is taken for more than half", MAJORITY, "eventually", PROTOCOLS + "majority.py",
         "return 2 * total > self.members", "return total > self.members"),
    _bug("the king is believed even against a clear vote", KING, "eventually", PROTOCOLS + "phase_king.py",
         "jnp.where(ballot.strong, ballot.most, word)", "word"),
    _bug("one phase too few: only liars are kings", KING, "always", PROTOCOLS + "phase_king.py",
         "kings=np.append(np.arange(n, n + t), 0)", "kings=np.arange(n, n + t)"),
    _bug("anybody's word is taken for the king's", KING, "always", PROTOCOLS + "phase_king.py",
         "jnp.any(inbox.payload & (inbox.sender == self._king(ballot)))", "jnp.any(inbox.payload)"),
    _bug("as many votes as there are liars convince", BELIEF, "always", PROTOCOLS + "neighbourhood_vote.py",
         "total > self.margin", "total >= self.margin"),
    _bug("a vote for one target counts for the other", TARGETS, "always", PROTOCOLS + "targets.py",
         "inbox.payload == ballot.named + 1", "inbox.payload > 0"),
    _bug("own vote counts twice in the sum", SINGLE, "sums", SUMS,
         "    if not certain:\n        missing = speaks & (lying | ~member)",
         "    if certain:\n        missing = speaks"),
    _bug("power is counted one short: one liar is not heard", BELIEF, "sums", SUMS,
         "+ jnp.sum(outside, dtype=jnp.int32)\n    return", "+ jnp.sum(outside[1:], dtype=jnp.int32)\n    return"),
    _bug("own message is not in the inbox", BELIEF, "inboxes", INBOXES,
         "jnp.where(own, heard, heard_now & listened)", "heard_now & listened & ~own"),
    _bug("the mail of one node comes as zeros", BELIEF, "inboxes", INBOXES,
         "heard & member & (own | ~lying[source])", "heard & member & (source > 0)"),
    _bug("one false yes too many", BELIEF, "inboxes", CORE + "fault.py",
         "rank < lies[:, None]", "rank <= lies[:, None]"),
    _bug("lies are cut off at one, whatever the power", CROWDED, "sums", CORE + "fault.py",
         "jnp.clip(lies, 0, tally.power - tally.forged)", "jnp.clip(lies, 0, 1)"),
    _bug("an inbox says whether anybody said yes, not how many", BELIEF, "sums", CORE + "protocol.py",
         "jnp.sum(payload, axis=0, dtype=jnp.int32 if payload.dtype == bool else payload.dtype)",
         "jnp.any(payload, axis=0).astype(jnp.int32)"),
    _bug("the coin is tossed once for all rounds", COIN, "sums", TALK,
         "jax.random.fold_in(coin_key, index)", "jax.random.fold_in(coin_key, 0)"),
    _bug("coin early: liars draw from its key", COIN, "coin", TALK,
         "jax.random.fold_in(jax.random.fold_in(key, LIES), index)", "jax.random.fold_in(coin_key, index)"),
    _bug("replay: the votes of the first round come again in every round", COIN, "sums", TALK,
         "zero, heard_by_round = jnp.float32(0), ()", "zero, heard_by_round, first = jnp.float32(0), (), ballot",
         TALK, "jax.vmap(protocol.send)(ballot), jax.vmap", "jax.vmap(protocol.send)(first), jax.vmap"),
    _bug("mail of the silent counts, in a vote of yes or nothing", HIDDEN, "sums", SUMS,
         "counts, forged = speaks & member & ~lying,", "counts, forged = member & ~lying,",
         VOTE, "return ballot.willing & ~ballot.over\n", "return jnp.array(True)\n",
         VOTE, "return ~ballot.over\n", "return ballot.willing & ~ballot.over\n"),
)  # fmt: skip
