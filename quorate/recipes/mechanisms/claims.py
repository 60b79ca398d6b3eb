"""What the two sources say about coordination mechanisms, beside what the draws say.

Sources: Multi-Agent Alignment at Scale (`at scale`), Applying Multi-Agent Planning in Distributed Environments
(`planning`).
Differences are taken draw by draw, since all mechanisms meet the same tasks; intervals are t intervals, 95 %.
"""

from collections.abc import Callable

import numpy as np

from quorate.experiments.claims import Claim, Measured, Word, side
from quorate.protocols.mechanisms import BEAT
from quorate.recipes import pick
from quorate.recipes.compare.build import REGION
from quorate.recipes.mechanisms.reading import Ends, Tables, column, ends, of, shares, told, turned_round, worst_of
from quorate.recipes.mechanisms.rolling import LARGE
from quorate.report.numbers import integer, number

TIE = 0.01  # our line: a hundredth of what is offered is a difference that matters
STOPPED = 0.5  # our line: half of what is offered behind the auction, which goes on, is a stop
EFFICIENT = 0.95  # our line, of the optimum
FIFTH = 0.2  # our line for misalignment that is rarer than not
FEW = 4  # rounds, the usual in a tick

QUIET = ("selective", "silence")  # strategies that withhold what is no news

ON_RECORD: dict[str, tuple[Word, float | None]] = {
    "hybrid_is_the_middle": ("in part", 0.004074),
    "talk_must_be_strategic": ("in part", None),
    "stigmergy_is_robust_to_latency": ("holds", None),
    "centre_is_a_single_point_of_failure": ("in part", 0.9524),
    "centre_is_a_bottleneck": ("holds", 0.08623),
    "hierarchies_lose_information": ("holds", 0.04448),
    "markets_are_efficient": ("in part", 0.9862),
    "misalignment_costs_more": ("in part", 0.1742),
    "identical_agents_fail_identically": ("in part", None),
    "observation_trumps_prediction": ("in part", 0.4367),
    "redundancy_pays": ("holds", 0.2284),
    "it_hardly_matters_in_light_load": ("does not hold", 0.03842),
}


def hybrid_is_the_middle(tables: Tables) -> Measured:
    gains: dict[tuple[str, float], Ends] = {}
    for place, auction in (("uniform", of(tables, "auction")), ("hot spot", _hot(tables, "auction"))):
        for gain in (0.1, 1.0):
            mine = of(tables, "hybrid", "hybrid", gain, where=place)
            gains[place, gain] = ends(mine - auction)
    bounded = [gains[place, 0.1].word() for place in ("uniform", "hot spot")]
    whole = [gains[place, 1.0].word() for place in ("uniform", "hot spot")]
    word = worst_of([*bounded, *whole]) if "holds" in bounded else worst_of(bounded)
    alone = ends(_hot(tables, "auction") - _hot(tables, "alone"))
    size = pick(tables["draws"], part="hybrid", where="hot spot")[0]["agents"]
    little = of(tables, "auction", "hybrid", None, where="small hot spot")
    little = ends(of(tables, "hybrid", "hybrid", 0.1, where="small hot spot") - little)
    text = f"moving a tenth of the agents wanted serves {gains['uniform', 0.1].points} points more than the auction "
    text += f"alone with uniform demand, {gains['hot spot', 0.1].points} with a moving hot spot"
    note = f"moving all of them: {gains['uniform', 1.0].points} and {gains['hot spot', 1.0].points}; beside it the "
    note += f"auction serves {alone.points} more than agents alone that see everything, hot spot. That is a fleet of "
    note += f"{integer(size)}; with a hot spot of the same proportions in one of {integer(size // LARGE)}, "
    note += (
        f"{number(size / LARGE / REGION)} regions, a tenth brings {little.points}. Only agents that are left over move"
    )
    return told(word, gains["hot spot", 0.1], text, note)


def _hot(tables: Tables, mechanism: str) -> np.ndarray:
    return of(tables, mechanism, "hybrid", None, where="hot spot")


def talk_must_be_strategic(tables: Tables) -> Measured:
    """Two sentences: saying less costs nothing, and saying more does harm."""
    usual, mail = of(tables, "auction"), column(tables, "messages", "auction").mean()
    named = {how: f"auction+{how}" for how in (*QUIET, "clustered")}
    costs = {how: ends(of(tables, name, "saying", None) - usual) for how, name in named.items()}
    bills = {how: column(tables, "messages", name, "saying", None).mean() / mail for how, name in named.items()}
    reads = column(tables, "reads", named["clustered"], "saying", None).mean()
    reads /= column(tables, "reads", "auction").mean()
    best = min(QUIET, key=lambda how: bills[how])
    more, less = (ends(of(tables, "auction", "rounds", count) - usual) for count in (8, 2))
    talk = {count: column(tables, "messages", "auction", "rounds", count).mean() / mail for count in (8, 2)}
    net = column(tables, "messages", "contract_net").mean() / mail
    nets = ends(of(tables, "contract_net") - usual)
    spares: Word = side(costs[best].low, costs[best].high, -TIE)
    harms: Word = side(-more.high, -more.low, 0.0)
    word = worst_of([spares, harms])
    text = f"silence with a sign of life every {integer(BEAT)} ticks: {costs['silence'].points} points for "
    text += f"{number(bills['silence'])} of the messages; twice the rounds: {more.points} for {number(talk[8])} of them"
    note = (
        f"half the rounds {less.points} for {number(talk[2])}; contract net {nets.points} for {number(net)}; selective "
    )
    note += f"broadcast {costs['selective'].points} for {number(bills['selective'])}. What is withheld are signs that "
    note += (
        "say the same again, and no decision changes; that more talk breeds instability is not seen: it would need a "
    )
    note += f"channel that can be full. Clusters of {integer(REGION)} that talk among themselves and send one delegate "
    note += f"a round across a border: {costs['clustered'].points} points for {number(bills['clustered'])} of the "
    note += f"messages and {number(reads)} of the notices read. "
    idle, asked = of(tables, "central", "light", None), column(tables, "messages", "central", "light", None).mean()
    centre = ends(of(tables, "central+silence", "saying", None) - idle)
    share = column(tables, "messages", "central+silence", "saying", None).mean() / asked
    note += "With half of the tasks a centre that is asked again only when something has changed, or after "
    note += f"{integer(BEAT)} ticks: {centre.points} points for {number(share)} of the messages"
    return told(word, costs[best], text, note)


def stigmergy_is_robust_to_latency(tables: Tables) -> Measured:
    late = max(row["setting"] for row in pick(tables["draws"], part="delay", mechanism="stigmergy"))
    calm = of(tables, "stigmergy")
    slow = ends(of(tables, "stigmergy", "delay", late) - calm)
    lossy = ends(of(tables, "stigmergy", setting=0.5) - calm)
    others = {
        name: ends(of(tables, name, "delay", late) - of(tables, name)) for name in ("claim", "auction", "central")
    }
    lost = {name: ends(of(tables, name, setting=0.5) - of(tables, name)) for name in others}
    flat = [side(gap.low, gap.high, -TIE) for gap in (slow, lossy)]
    fall = [side(-gap.high, -gap.low, TIE) for gap in others.values()]
    word = worst_of([*flat, *fall])
    floor = ends(calm - of(tables, "alone"))
    crowd = ends(of(tables, "stigmergy", "crowded", None) - of(tables, "alone", "crowded", None))
    ranks = ends(of(tables, "stigmergy", "delay", late) - of(tables, "auction", "delay", late))
    still = ends(of(tables, "alone") - of(tables, "auction", "delay", late))
    text = f"mail {integer(int(late))} ticks late costs stigmergy {(turned_round(slow)).points} points, "
    text += "; ".join(f"{name} {turned_round(gap).points}" for name, gap in others.items())
    note = f"half of the mail lost: {turned_round(lossy).points}; " + "; ".join(
        f"{name} {turned_round(gap).points}" for name, gap in lost.items()
    )
    note += (
        f". With late mail it serves {ranks.points} points more than the auction, agents alone {still.points} more: "
    )
    note += "mechanisms that settle within a tick are not made for answers that come ticks later. Marks lie in the "
    note += (
        "environment and are no mail, so this is the definition at work. Agents alone are as robust; stigmergy serves "
    )
    note += f"{floor.points} more than they do near saturation, {crowd.points} more under overload"
    return told(word, slow, text, note)


def centre_is_a_single_point_of_failure(tables: Tables) -> Measured:
    bare, spare = (ends(of(tables, name, "hosts", 1)) for name in ("central_naive", "central"))
    market = of(tables, "auction", "hosts", 1)
    gap = ends(market - of(tables, "central_naive", "hosts", 1))
    kept = ends(market - of(tables, "central", "hosts", 1))
    both = ends(of(tables, "central", "hosts", 2))
    cells = ends(market - of(tables, "hierarchy", "hosts", 1))
    word = worst_of([gap.word(STOPPED), kept.word(STOPPED)])
    text = f"after the one agent that is the centre fails, {bare.points} per cent of the value offered is served "
    text += f"without a standby by agents that wait for orders, {spare.points} with one by agents that need not"
    note = f"behind the auction, which loses an agent too, by {gap.points} and {kept.points} points. Where centre and "
    note += f"standby fail together {both.points} is served, as who gets no answer acts alone: a spare helps against "
    note += "what strikes one. So it needs a centre without a spare and agents that wait for its orders; "
    note += f"a hierarchy one of whose leaders fails is {cells.points} behind"
    return told(word, gap, text, note)


def centre_is_a_bottleneck(tables: Tables) -> Measured:
    sizes = sorted({row["setting"] for row in pick(tables["draws"], part="budget", mechanism="central")})
    agents = {size: pick(tables["draws"], part="budget", setting=size)[0]["agents"] for size in sizes}
    served = {size: ends(of(tables, "central", "budget", size)) for size in sizes}
    large = sizes[-1]
    gap = ends(of(tables, "auction", "budget", large) - of(tables, "central", "budget", large))
    floor = ends(of(tables, "central", "budget", large) - of(tables, "alone", "budget", large))
    waiting = ends(of(tables, "central", "waiting", large))
    small = ends(of(tables, "auction") - of(tables, "central", "budget", sizes[0]))
    text = "with one budget of messages the centre serves " + ", ".join(
        f"{served[size].points} per cent with {integer(agents[size])} agents" for size in sizes
    )
    each = column(tables, "messages", "central", "budget", large).mean()
    free = ends(of(tables, "central", setting=0.3) - of(tables, "auction", setting=0.3))
    note = f"behind the auction by {small.points} points in the smallest fleet and {gap.points} in the largest, "
    note += (
        f"where agents write and hear {number(each)} messages a tick, most of them in vain. Who gets no answer acts "
    )
    note += f"alone, so it is {floor.points} ahead of agents alone there; if they waited for orders, {waiting.points} "
    note += f"per cent would be served. Without a budget and with three tenths of the mail lost it is {free.points} "
    note += "ahead of the auction: it is the budget that ends a centre"
    return told(gap.word(TIE), gap, text, note)


def hierarchies_lose_information(tables: Tables) -> Measured:
    sizes = sorted({row["cell"] for row in tables["snapshots"] if row["method"] == "cells"})
    lost = {size: ends(1 - shares(tables, "cells", cell=size)) for size in sizes}
    rolling = {25: ends(of(tables, "central") - of(tables, "hierarchy"))}
    for size in {row["setting"] for row in pick(tables["draws"], part="cells")}:
        rolling[int(size)] = ends(of(tables, "central") - of(tables, "hierarchy", "cells", size))
    market = ends(of(tables, "auction") - of(tables, "hierarchy"))
    text = "what crosses no border is lost: " + ", ".join(
        f"{lost[size].points} per cent of the optimum in cells of {size}" for size in sizes
    )
    note = "snapshots, each cell solved exactly, so nothing else is lost. Fleets: behind the centre by "
    note += ", ".join(f"{rolling[size].points} points in cells of {size}" for size in sorted(rolling))
    note += f"; behind the auction by {market.points}. Large cells lose little: then the leader is the centre"
    word = worst_of([gap.word() for gap in (*lost.values(), *rolling.values())])
    return told(word, lost[25], text, note)


def markets_are_efficient(tables: Tables) -> Measured:
    settled = pick(tables["snapshots"], method="settled auction", eps=0.1)
    share, bound = ends([row["share"] for row in settled]), ends([row["bound"] for row in settled])
    papers = [row for row in tables["snapshots"] if row["method"] == "settled auction"]
    certified = sum(row["certified"] for row in papers)
    rounds = ends([row["rounds"] for row in settled])
    few = ends(shares(tables, "auction", rounds=FEW) - shares(tables, "claim", rounds=FEW))
    mixed = ends(shares(tables, "auction and claims", rounds=FEW) - shares(tables, "claim", rounds=FEW))
    claim = ends(shares(tables, "claim", rounds=50))
    alone = ends(shares(tables, "alone"))
    after = next((count for count in (6, 10, 20, 50) if _ahead(tables, count)), None)
    text = f"the auction ends at {share.points} per cent of the exact optimum, after {number(rounds.middle)} rounds"
    note = f"eps 0.1; the price bound is {number(bound.middle)} of the optimum, and the certificate holds in "
    note += (
        f"{integer(certified)} of {integer(len(papers))} auctions. Claims end at {claim.points}, agents alone that do "
    )
    note += f"not look again at {alone.points}. With {FEW} rounds the auction is {few.points} points ahead of claims, "
    note += f"{mixed.points} if its last two rounds are claims; "
    note += f"it is ahead from {after} rounds on" if after else "it is not ahead with up to 50 rounds"
    word = worst_of([share.word(EFFICIENT), few.word(-TIE)])
    if certified < len(papers):
        word = "does not hold"
    return told(word, share, text, note)


def _ahead(tables: Tables, rounds: int) -> bool:
    claim = shares(tables, "claim", rounds=rounds)
    return ends(shares(tables, "auction", rounds=rounds) - claim).low > 0


def even(tables: Tables, kind: str) -> Ends:
    """The share of misaligned agents at which an optimal planner is worth what claims with none are: for each snapshot,
    between the shares that were tried, in a straight line; the largest share where it is still ahead there."""
    tried = sorted({row["own"] for row in tables["snapshots"] if row.get("kind") == kind})
    planner = np.stack([shares(tables, "optimal planner", kind=kind, own=own) for own in tried])
    aim = shares(tables, "claims", kind=kind, own=0.0)
    found = []
    for values, line in zip(planner.T, aim, strict=True):
        below = np.flatnonzero(values < line)
        if not below.size:
            found.append(tried[-1])
            continue
        at = below[0]
        step = (values[at - 1] - line) / (values[at - 1] - values[at])
        found.append(tried[at - 1] + step * (tried[at] - tried[at - 1]))
    return ends(found)


def misalignment_costs_more(tables: Tables) -> Measured:
    shares_of = {kind: even(tables, kind) for kind in ("own goals", "own values")}
    goals = shares_of["own goals"]
    calm = of(tables, "auction")
    tenth, fifth = (ends(calm - of(tables, "auction", "own goals", own)) for own in (0.1, FIFTH))
    mail = ends(calm - of(tables, "auction", setting=0.3))
    swap = ends(calm - of(tables, "claim"))
    ahead = ends(calm - of(tables, "auction", "own goals", FIFTH) - (calm - of(tables, "claim")))
    talk = ends(calm - of(tables, "auction", "own goals", FIFTH) - (calm - of(tables, "auction", setting=0.3)))
    text = (
        f"{goals.points} per cent of agents with goals of their own cost the optimal planner as much as replacing it "
    )
    text += "by claims"
    note = f"snapshots; with values of their own, while they mind the way, it takes {shares_of['own values'].points}. "
    note += f"Fleets: a tenth of such agents costs the auction {tenth.points} points, a fifth {fifth.points}, claims "
    note += f"instead {swap.points}, three tenths of the mail lost {mail.points}. It depends on how far goals are apart"
    words = [side(-goals.high, -goals.low, -FIFTH), ahead.word(), talk.word()]
    return told(worst_of(words), goals, text, note)


def identical_agents_fail_identically(tables: Tables) -> Measured:
    rows = {row["makes"]: row for row in tables["makes"]}
    one = rows[1]["exact"]
    better = [make for make, row in rows.items() if make > 1 and row["exact"] < one]
    worse = [make for make, row in rows.items() if row["exact"] > one]
    inside = sum(row["measured_low"] <= row["exact"] <= row["measured_high"] for row in rows.values())
    text = "a quorum of more than two thirds is lost with chance " + ", ".join(
        f"{number(rows[make]['exact'])} with {make}" for make in sorted(rows)
    )
    text += " makes of agents, exactly"
    named = " and ".join(map(str, worse))
    note = (
        f"a make is struck with chance 0.02, and all its agents with it. {named} makes are worse than one"
        if worse
        else ""
    )
    note += (
        f". If two thirds are enough, three makes lose it with {number(rows[3]['exact_at_least'])}. In votes that were "
    )
    note += (
        f"held, {integer(inside)} of {integer(len(rows))} intervals hold the exact chance. The mean loss of agents is "
    )
    note += "0.02 whatever the number: diversity buys the tail alone"
    word: Word = "holds" if not worse else ("in part" if better else "does not hold")
    return Measured(word, text, note)


def observation_trumps_prediction(tables: Tables) -> Measured:
    calm, blind = of(tables, "alone"), of(tables, "alone", "eyes", 0.0)
    market, dark = of(tables, "auction"), of(tables, "auction", "eyes", 0.0)
    eyes, plan = ends(calm - blind), ends(market - calm)
    versus = ends(calm - dark)
    once = ends(shares(tables, "claim", rounds=50) - shares(tables, "alone"))
    text = (
        f"agents alone serve {eyes.points} points more if they see that a task is gone and choose anew; a plan on top "
    )
    text += f"adds {plan.points}"
    note = f"alone with eyes against an auction without: {versus.points}. In snapshots, where nobody looks again, "
    note += f"claims add {once.points} points of the optimum to agents alone: one-shot tests flatter coordination. "
    short = ends(calm - of(tables, "alone", "eyes", 0.3))
    note += f"Eyes that reach 0.3 of the about 1.2 units of an agent's options cost {short.points}"
    return told(
        worst_of([ends(eyes_ - plan_).word() for eyes_, plan_ in ((calm - blind, market - calm), (calm, dark))]),
        ends((calm - blind) - (market - calm)),
        text,
        note,
    )


def redundancy_pays(tables: Tables) -> Measured:
    lossy = ends(of(tables, "central", setting=0.5) - of(tables, "central_naive", setting=0.5))
    dead = ends(of(tables, "central", "hosts", 1) - of(tables, "central_naive", "hosts", 1))
    calm = ends(of(tables, "central") - of(tables, "central_naive"))
    bill = column(tables, "messages", "central", setting=0.5) / column(tables, "messages", "central_naive", setting=0.5)
    both = ends(of(tables, "central", "hosts", 2))
    text = f"three tries, a standby and agents that act alone where no answer comes bring the centre {lossy.points} "
    text += f"points with half of the mail lost, {dead.points} after its host fails"
    note = (
        f"calm {calm.points}; the bill is {number(bill.mean())} of that of one try, at loss 0.5. Where one cause takes "
    )
    note += f"both hosts agents act alone and serve {both.points} per cent: copies that fail together are one"
    return told(worst_of([lossy.word(), dead.word()]), lossy, text, note)


def it_hardly_matters_in_light_load(tables: Tables) -> Measured:
    names = sorted({row["mechanism"] for row in pick(tables["draws"], part="light")})
    means = {name: of(tables, name, "light", None) for name in names}
    order = sorted(names, key=lambda name: means[name].mean())
    gap = ends(means[order[-1]] - means[order[0]])
    usual = ends(of(tables, order[-1]) - of(tables, order[0]))
    talkers = [name for name in order if name not in ("alone", "stigmergy")]
    talk = ends(means[talkers[-1]] - means[talkers[0]])
    text = (
        f"with half the tasks {order[-1]} serves {gap.points} points more than {order[0]}, the best more than the worst"
    )
    note = (
        f"of {', '.join(names)}; {usual.points} with all tasks. Among those who talk the best is {talk.points} ahead: "
    )
    note += "which of them hardly matters, whether agents talk does. Our line is 3 points"
    return told(side(-gap.high, -gap.low, -0.03), gap, text, note)


_ENTRIES: tuple[tuple[Callable[[Tables], Measured], str, str], ...] = (
    (hybrid_is_the_middle, "planning, Takeaways", "Hybrid planning is the practical middle ground"),
    (
        talk_must_be_strategic,
        "planning, Takeaways",
        "Communication must be strategic; over-communication breeds instability",
    ),
    (stigmergy_is_robust_to_latency, "at scale, Coordination 4", "Stigmergic coordination is robust to latency"),
    (
        centre_is_a_single_point_of_failure,
        "at scale, Coordination 1; planning",
        "A centre is a single point of failure",
    ),
    (centre_is_a_bottleneck, "at scale, Coordination 1; planning", "A centre is a bottleneck at scale"),
    (hierarchies_lose_information, "at scale, Coordination 2", "Information is lost in hierarchies"),
    (markets_are_efficient, "at scale, Coordination 5; planning", "Markets allocate efficiently"),
    (misalignment_costs_more, "planning, Lessons", "Reward alignment trumps architecture, and communication failures"),
    (
        identical_agents_fail_identically,
        "planning, Lessons; at scale, A",
        "Identical agents fail identically; diversity prevents collapse",
    ),
    (observation_trumps_prediction, "planning, Lessons", "Observation trumps prediction"),
    (redundancy_pays, "planning, Lessons; at scale, 7", "Embrace redundancy, not symmetry"),
    (it_hardly_matters_in_light_load, "ours", "With little to do the mechanism hardly matters"),
)
CLAIMS = [Claim(judge.__name__, where, words, judge, ON_RECORD[judge.__name__]) for judge, where, words in _ENTRIES]
