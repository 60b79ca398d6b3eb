"""Which mechanism serves more than which, on the same draws: in snapshots, and in fleets that go on working.

The long ones are marked slow; they play the recipe's own cases. Orderings are told by paired differences: a `>` here is
a whole 95 % interval above the line.
"""

import pytest

from quorate.experiments.study import Study
from quorate.recipes.compare.build import Trouble
from quorate.recipes.mechanisms import rolling, snapshot
from quorate.recipes.mechanisms.claims import QUIET
from quorate.recipes.mechanisms.reading import column, ends, of, shares
from quorate.recipes.mechanisms.rolling import Case

NETS = (4, 20)  # rounds of contract net, of which each number takes a program


def above(one, other, line=0.0):
    """One serves more than the other, draw by draw, by more than `line`."""
    return ends(one - other).low > line


def tied(one, other, within=0.01):
    gap = ends(one - other)
    return gap.low > -within and gap.high < within


# ---------------------------------------------------------------------------------------------------------- snapshots


@pytest.fixture(scope="module")
def looks():
    return {"snapshots": snapshot.rows(150, 8, seed=1, nets=NETS)}


def test_alone_then_claims_then_auctions(looks):
    alone, claim = shares(looks, "alone"), shares(looks, "claim", rounds=50)
    auctions = [shares(looks, "settled auction", eps=eps) for eps in snapshot.EPS]
    assert above(claim, alone, 0.4) and above(auctions[1], claim, 0.02)
    assert above(auctions[1], auctions[0]) and above(auctions[2], auctions[1])
    assert (auctions[2] > 0.99).all()


def test_every_settled_auction_is_certified(looks):
    papers = [row for row in looks["snapshots"] if row["method"] == "settled auction"]
    assert len(papers) == 24 and all(row["certified"] for row in papers)
    for row in papers:
        assert row["bound"] >= 1 - 1e-6 and row["share"] <= 1 + 1e-6


def test_few_rounds_are_for_claims_and_many_for_auctions(looks):
    """Rounds decide, not fame; an auction that ends with claims is near the better of the two throughout."""
    claim, auction, mixed = (
        {count: shares(looks, name, rounds=count) for count in (4, 6, 10, 20, 50)}
        for name in ("claim", "auction", "auction and claims")
    )
    assert all(above(claim[count], auction[count], 0.03) for count in (4, 6))
    assert all(above(auction[count], claim[count]) for count in (20, 50))
    for count in claim:
        better = max(claim[count], auction[count], key=lambda some: some.mean())
        assert ends(mixed[count] - better).middle > -0.05


def test_an_iteration_of_contract_net_takes_two_rounds(looks):
    """Three bids beat one for each iteration; for each round of the board claims are ahead, until both have ended."""
    net = {count: shares(looks, "contract_net", rounds=count) for count in NETS}
    claim = {count: shares(looks, "claim", rounds=count) for count in (2, 4, 20)}
    assert above(net[4], claim[2], 0.05)
    assert above(claim[4], net[4], 0.03)
    assert abs(ends(net[20] - claim[20]).middle) < 0.03


def test_borders_cost_less_the_larger_the_cells(looks):
    nine, middle, whole = (shares(looks, "cells", cell=size) for size in snapshot.CELLS)
    assert above(middle, nine, 0.01) and above(whole, middle)
    assert whole == pytest.approx(1.0)  # 150 agents are one cell


def test_misaligned_agents_cost_the_planner_what_claims_cost(looks):
    """The further goals are apart the fewer it takes."""
    goals, values = (
        {own: shares(looks, "optimal planner", kind=kind, own=own) for own in snapshot.SHARES}
        for kind in (snapshot.GOALS, snapshot.VALUES)
    )
    claim = shares(looks, "claims", kind=snapshot.GOALS, own=0.0)
    assert above(goals[0.0], claim, 0.02) and above(claim, goals[0.3], 0.02)
    assert above(values[0.3], goals[0.3])


# ------------------------------------------------------------------------------------------------------------- fleets


@pytest.mark.slow
def test_with_mail_an_auction_is_ahead_of_agents_alone():
    """Two programs: calm, with half of the mail lost, blind."""
    half = Trouble(loss=0.5)
    planned = [Case("loss", name, 0.0) for name in ("alone", "auction")]
    planned += [Case("loss", "auction", 0.5, half)]
    planned += [Case("eyes", name, 0.0, sight=0.0) for name in ("alone", "auction")]
    tables = {"draws": rolling.play(Study(0), 100, 70, 4, planned, "fleets")}
    alone, auction, lossy = of(tables, "alone"), of(tables, "auction"), of(tables, "auction", setting=0.5)
    assert above(auction, alone, 0.03) and above(auction, lossy) and (lossy > alone).all()
    blind, dark = of(tables, "alone", "eyes"), of(tables, "auction", "eyes")
    assert above(alone, blind, 0.3) and above(dark, alone, 0.03)  # desks tell what eyes do not see


@pytest.fixture(scope="module")
def fleets():
    planned = rolling.cases(300, 110, 600, (1, 10))
    return {"draws": rolling.play(Study(0), 300, 110, 5, planned, "fleets")}


@pytest.mark.slow
def test_the_calm_row(fleets):
    """{auction, contract net, centre, claims} tie, above hierarchy and stigmergy, above alone."""
    best = [of(fleets, name) for name in ("auction", "contract_net", "central", "claim")]
    middle = [of(fleets, name) for name in ("hierarchy", "stigmergy")]
    assert all(tied(one, other, 0.015) for one in best for other in best)
    assert all(above(one, other, 0.02) for one in best for other in middle)
    assert all(above(one, of(fleets, "alone"), 0.03) for one in middle)


@pytest.mark.slow
def test_rows_with_mail_lost(fleets):
    """The honest centre ties the auction; at 0.3 the naive one is behind all others but the agents alone; at 0.5
    contract net, whose awards take three messages, is behind the agents alone."""
    at = {
        loss: {row["mechanism"]: of(fleets, row["mechanism"], setting=loss) for row in fleets["draws"]}
        for loss in (0.3, 0.5)
    }
    three, five = at[0.3], at[0.5]
    assert tied(three["central"], three["auction"], 0.015)
    assert above(three["auction"], three["contract_net"]) and above(three["contract_net"], three["central_naive"])
    assert above(three["stigmergy"], three["central_naive"]) and above(three["central_naive"], three["alone"])
    assert tied(five["auction"], five["central"], 0.015) and above(five["stigmergy"], five["alone"])
    assert all(above(five["alone"], five[name]) for name in ("central_naive", "contract_net"))
    assert above(five["hierarchy"], five["alone"], 0.03)  # where no answer comes its members act alone
    for name in ("alone", "stigmergy"):
        assert (of(fleets, name) == five[name]).all()


@pytest.mark.slow
def test_hosts_that_fail(fleets):
    market = of(fleets, "auction", "hosts", 1)
    assert (of(fleets, "central_naive", "hosts", 1) < 0.1).all()
    both = of(fleets, "central", "hosts", 2)  # then its agents act alone
    assert (both > 0.75).all() and above(of(fleets, "central", "hosts", 1), both, 0.05)
    assert (of(fleets, "central", "hosts", 1) > 0.9).all() and tied(market, of(fleets, "central", "hosts", 1), 0.015)
    crashed = {name: of(fleets, name, "crash", 0.3) for name in ("auction", "central", "hierarchy", "alone")}
    assert tied(crashed["auction"], crashed["central"], 0.03)
    assert above(crashed["auction"], crashed["hierarchy"]) and above(crashed["hierarchy"], crashed["alone"], 0.03)


@pytest.mark.slow
def test_load(fleets):
    """With half the tasks all who talk serve nearly everything; under overload the auction's lead over agents alone
    grows no further, and stigmergy is ahead of them still."""
    light = {name: of(fleets, name, "light", None) for name in ("alone", "claim", "auction", "central")}
    assert all(tied(light["auction"], light[name]) for name in ("claim", "central"))
    usual = of(fleets, "auction") - of(fleets, "alone")
    assert above(usual, light["auction"] - light["alone"], 0.03)
    crowd = {name: of(fleets, name, "crowded", None) for name in ("alone", "auction", "stigmergy")}
    assert above(crowd["auction"], crowd["stigmergy"], 0.02) and above(crowd["stigmergy"], crowd["alone"])
    gain = of(fleets, "stigmergy") - of(fleets, "alone")
    assert gain.mean() > (crowd["stigmergy"] - crowd["alone"]).mean() + 0.01


@pytest.mark.slow
def test_a_budget_ends_the_centre(fleets):
    """Then its agents act alone; if they waited, half would be served."""
    small, large = of(fleets, "central", "budget", 1), of(fleets, "central", "budget", 10)
    assert tied(large, of(fleets, "alone", "budget", 10), 0.04)
    assert above(large, of(fleets, "central", "waiting", 10), 0.2)
    assert tied(small, of(fleets, "central"), 0.02)
    assert above(of(fleets, "auction", "budget", 10), large, 0.05)


@pytest.mark.slow
def test_central_intention_helps_a_large_fleet_a_little(fleets):
    """Beside the auction, with a hot spot that goes round: 900 agents gain, most where all who are wanted move (nothing
    overshoots here); 300 with a hot spot of the same proportions, in 12 regions, do not."""
    auction = of(fleets, "auction", "hybrid", None, where="hot spot")
    moved = {gain: of(fleets, "hybrid", "hybrid", gain, where="hot spot") for gain in rolling.GAINS}
    assert above(moved[1.0], auction) and (moved[0.1] - auction).mean() > 0
    assert tied(moved[0.1], moved[1.0], 0.015)
    assert above(auction, of(fleets, "alone", "hybrid", None, where="hot spot"), 0.03)
    small = of(fleets, "auction", "hybrid", None, where="small hot spot")
    assert not above(of(fleets, "hybrid", "hybrid", 0.1, where="small hot spot"), small)
    assert ends(of(fleets, "hybrid", "hybrid", 0.1, where="uniform") - of(fleets, "auction")).low > -0.005


@pytest.mark.slow
def test_late_mail_takes_all_who_talk_below_those_who_do_not(fleets):
    """Desks most; whoever a centre does not answer in time acts alone."""
    for name, drop, below in (("auction", 0.2, 0.1), ("claim", 0.2, 0.1), ("central", 0.08, 0.02)):
        two, five = (of(fleets, name, "delay", late) for late in rolling.DELAYS)
        assert above(of(fleets, name), two, drop) and above(two, five, drop) and above(of(fleets, "alone"), two, below)
    assert (of(fleets, "stigmergy", "delay", 5) == of(fleets, "stigmergy")).all()


@pytest.mark.slow
def test_saying_only_what_is_news_changes_no_decision(fleets):
    usual = column(fleets, "messages", "auction")
    for how in QUIET:
        assert (of(fleets, f"auction+{how}", "saying", None) == of(fleets, "auction")).all()
        assert (column(fleets, "messages", f"auction+{how}", "saying", None) < 0.85 * usual).all()


@pytest.mark.slow
def test_delegates_make_up_for_borders(fleets):
    """Clusters tie the auction and read a tenth less; leaders of the same cells who solve each by itself do not."""
    usual, name = of(fleets, "auction"), "auction+clustered"
    assert tied(of(fleets, name, "saying", None), usual, 0.015)
    assert above(of(fleets, name, "saying", None), of(fleets, "hierarchy"))
    reads = column(fleets, "reads", name, "saying", None) / column(fleets, "reads", "auction")
    assert (reads < 0.93).all()
