"""The conditions of the table: what goes wrong in each."""

from quorate.errors import Refusal
from quorate.recipes.compare.build import Trouble
from quorate.recipes.compare.description import Description

LOSSES = (0.1, 0.3, 0.5)
CRASHED, CUT, ATTACKERS, LARGER = 0.3, 50, 0.1, 10
TRACED = "attack"  # the condition that tries every kind of attack and keeps the worst


def troubles(description: Description, ticks: int) -> dict[str, Trouble]:
    """condition -> what goes wrong in it.

    calm       nothing: no loss, no faults, no attack; delay, bytes and the centre's budget stay as in the file
    described  as the file has it; an attack is the kind that costs the mechanism most in `attack`
    loss_*     that share of all messages is lost
    crash      30 % of the agents fail in the middle of the run, leaders first if the file says so
    partition  from the middle on halves cannot talk to each other for 50 ticks (a quarter of a short run)
    attack     a tenth of the agents attack, each kind of the file in turn, or also in the worst way that is found;
               the row is the worst for the mechanism
    growth     calm, ten times the agents, tasks and space, with the centre's budget unchanged

    Errors: Refusal for a crash or a cut that comes after the end, and for agents that are back before they fail.
    """
    faults, attack = description.faults, description.attack
    middle, calm = ticks // 2, Trouble()
    crash, churn, cut = faults.crash, faults.churn, faults.partition
    described = calm._replace(loss=description.links.loss)
    if crash is not None and (crash.share or crash.variant is not None):
        at = _within("crash", middle if crash.at is None else crash.at, ticks)
        if crash.back is not None and crash.back <= at:
            raise Refusal(f"faults.crash.back is {crash.back}, not after the crash at {at}")
        share = crash.share if crash.variant is None else description.share_of(crash.variant)
        described = described._replace(crash=share, crash_at=at, leaders=crash.leaders_first, variant=crash.variant)
        described = described if crash.back is None else described._replace(crash_back=crash.back)
    if churn is not None:
        described = described._replace(leave=churn.leave, join=churn.join)
    if cut is not None:
        at = _within("partition", middle if cut.at is None else cut.at, ticks)
        described = described._replace(cut_at=at, cut=cut.lasts)
    if attack.share:
        described = described._replace(saboteurs=attack.share)
    leaders = crash is not None and crash.leaders_first
    return {
        "calm": calm,
        "described": described,
        **{f"loss_{share:g}": calm._replace(loss=share) for share in LOSSES},
        "crash": calm._replace(crash=CRASHED, crash_at=middle, leaders=leaders),
        "partition": calm._replace(cut_at=middle, cut=cut_of(ticks)),
        TRACED: calm._replace(saboteurs=ATTACKERS),
        "growth": calm,
    }


def _within(name: str, at: int, ticks: int) -> int:
    if at >= ticks:
        raise Refusal(f"faults.{name}.at is {at}, after the end, tick {ticks - 1}")
    return at


def cut_of(ticks: int) -> int:
    """How long halves are cut apart: 50 ticks, a quarter of a short run."""
    return min(CUT, max(ticks // 4, 1))


def in_words(name: str, trouble: Trouble) -> str:
    """What a condition is, in a few words for captions.

    >>> in_words("loss_0.3", Trouble(loss=0.3))
    '30 % of messages lost'
    """
    words = []
    if trouble.loss:
        words.append(f"{100 * trouble.loss:g} % of messages lost")
    if trouble.crash:
        back = "" if trouble.crash_back > 1e6 else f" to {trouble.crash_back}"
        who = ", leaders first" if trouble.leaders else ""
        who = who if trouble.variant is None else f", all of variant {trouble.variant}"
        words.append(f"{100 * trouble.crash:.3g} % of agents down from tick {trouble.crash_at}{back}{who}")
    if trouble.leave or trouble.join:
        words.append(f"{100 * trouble.leave:g} % leave and {100 * trouble.join:g} % of the absent return each tick")
    if trouble.cut:
        words.append(f"halves cut apart for {trouble.cut} ticks from tick {trouble.cut_at}")
    if trouble.saboteurs:
        words.append(f"{100 * trouble.saboteurs:g} % of agents attack")
    if name == "growth":
        words.append(f"{LARGER} times the agents, tasks and space")
    return "; ".join(words) or "nothing goes wrong"
