"""The verdict on synthetic tables: the golden sentences of every case, and what may never change it."""

import csv
import io
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare.rows import CONDITIONS, Row
from quorate.recipes.compare.verdict import verdict

HALF = 0.004  # half an interval of a difference
MESSAGES = {
    "alone": 0.0,
    "auction": 0.5,
    "contract_net": 1.5,
    "claim": 0.9,
    "stigmergy": 0.47,
    "central": 0.87,
    "central_naive": 0.87,
    "hierarchy": 0.96,
    "alone_far": 0.0,
}


def table(served, half=HALF, seeds=20, messages=MESSAGES):
    """served[condition][mechanism] -> rows as they are read back from JSON."""
    found = []
    for condition, values in served.items():
        best = max(value for name, value in values.items() if name != "alone_far")
        winner = min(name for name, value in values.items() if value == best)
        for name, value in values.items():
            width = None if seeds == 1 else 0.0 if name == winner else half
            found.append(
                Row(
                    mechanism=name,
                    condition=condition,
                    served_mean=value,
                    served_se=None if seeds == 1 else 0.001,
                    upper_bound=1.0,
                    messages_per_agent_tick=messages[name],
                    bytes_per_agent_tick=16 * messages[name],
                    jain=0.9,
                    recovery_ticks=None,
                    late=0.0,
                    waste=0.0,
                    seeds=seeds,
                    gap=1 - value,
                    reads_per_agent_tick=0.0,
                    tied_with_best=value == best,
                    difference_from_best=value - best,
                    difference_low=None if width is None else value - best - width,
                    difference_high=None if width is None else value - best + width,
                )._asdict()
            )
    return json.loads(json.dumps(found))


ONE = {"described": {"alone": 0.91, "auction": 0.98, "claim": 0.95}}
GOLDEN = {
    "best": (
        table(ONE),
        "auction",
        "Auction serves the most: 0.980 [0.978, 0.982] of the value offered. "
        "It costs 0.500 messages and 8.00 bytes per agent and tick.",
    ),
    "cheaper tie": (
        table({"described": {"alone": 0.91, "auction": 0.979, "contract_net": 0.981, "hierarchy": 0.94}}),
        "auction",
        "Auction ties with contract net for a third of the messages: it serves 0.979 [0.977, 0.981] of the value "
        "offered. It costs 0.500 messages and 8.00 bytes per agent and tick.",
    ),
    "tie": (
        table({"described": {"alone": 0.91, "central": 0.98, "claim": 0.982}}),
        "central",
        "Central ties with claim: it serves 0.980 [0.978, 0.982] of the value offered. "
        "It costs 0.870 messages and 13.9 bytes per agent and tick.",
    ),
    "no difference": (
        table({"described": {"alone": 0.978, "auction": 0.98, "claim": 0.98}}),
        "alone",
        "No difference detected (±0.006): the mechanism hardly matters here. Choose alone: it sends nothing.",
    ),
    "hardly matters": (
        table({"described": {"alone": 0.976, "auction": 1.0, "claim": 0.99}}),
        "auction",
        "The mechanism hardly matters here: best and last differ by 0.024 [0.020, 0.028]. "
        "Choose auction: it costs 0.500 messages and 8.00 bytes per agent and tick.",
    ),
    "not told apart": (
        table({"described": {"alone": 0.93, "auction": 0.98}}, half=0.06, seeds=3),
        "alone",
        "No difference detected (±0.110): 3 draws cannot tell the mechanisms apart. Choose alone: it sends nothing.",
    ),
    "alone": (
        table({"described": {"alone": 0.978, "auction": 0.98, "claim": 0.93}}),
        "alone",
        "Coordination does not pay here: alone serves 0.978 [0.976, 0.980] of the value offered, as much as the best. "
        "It sends nothing. Claim fails on the fleet as described.",
    ),
    "all below alone": (
        table({"described": {"alone": 0.76, "stigmergy": 0.74, "claim": 0.7}}),
        "alone",
        "Coordination does not pay: alone serves 0.760 [0.758, 0.762] of the value offered, more than any mechanism on "
        "the fleet as described. It sends nothing.",
    ),
    "all fail": (
        table({"described": {"alone": 0.01, "auction": 0.03}}),
        None,
        "Nothing holds on the fleet as described: the best, auction, serves 0.0300 [0.0279, 0.0321] of the value "
        "offered.",
    ),
    "none holds": (
        table(
            {
                "described": {"alone": 0.9, "auction": 0.98, "central": 0.98},
                "crash": {"alone": 0.8, "auction": 0.85, "central": 0.1},
                "attack": {"alone": 0.8, "auction": 0.75, "central": 0.78},
            }
        ),
        "auction",
        "No mechanism holds up everywhere: auction loses least, at most 0.050 [0.046, 0.054], under attack. "
        "It costs 0.500 messages and 8.00 bytes per agent and tick. "
        "Auction fails under attack; central fails under the crash and under attack.",
    ),
    "one mechanism": (
        table({"described": {"auction": 0.98}}),
        None,
        "Auction serves 0.980 [0.978, 0.982] of the value offered, and nothing stands beside it.",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_the_sentences_of_each_case(case):
    rows, recommended, words = GOLDEN[case]
    found = verdict(rows)
    assert (found.case, found.recommended, found.words) == (case, recommended, words)
    assert (found.price is None) == (recommended is None)


def test_the_reference_orderings_of_the_rolling_world():
    """The measured table of the rolling fleet: the naive centre breaks with loss and crash, the honest one does not."""
    loss = {
        "calm": (0.912, 0.933, 0.979, 0.981, 0.981, 0.981),
        "described": (0.912, 0.933, 0.979, 0.981, 0.981, 0.981),
        "loss_0.1": (0.912, 0.933, 0.979, 0.982, 0.975, 0.980),
        "loss_0.3": (0.912, 0.933, 0.970, 0.980, 0.933, 0.978),
        "loss_0.5": (0.912, 0.933, 0.965, 0.976, 0.798, 0.950),
        "crash": (0.802, 0.806, 0.881, 0.880, 0.0, 0.893),
    }
    names = ("alone", "stigmergy", "contract_net", "auction", "central_naive", "central")
    found = verdict(table({c: dict(zip(names, values, strict=True)) for c, values in loss.items()}))
    assert found.recommended == "auction" and found.ties == ("auction", "central", "contract_net")
    assert found.fails == {"central_naive": ("loss_0.5", "crash")}
    # Between loss 0.3 (ahead of alone by 0.021) and 0.5 (behind by 0.114), a margin of 0.01 below alone.
    crossing = 0.3 + 0.2 * (0.933 - 0.912 + 0.01) / (0.933 - 0.912 + 0.114)
    points = {(p.mechanism, p.than, p.condition): p.loss for p in found.break_even}
    assert points["central_naive", "alone", "loss_0.5"] == pytest.approx(crossing)
    assert points["central_naive", "alone", "crash"] is None
    behind = 0.3 + 0.2 * (0.01 - 0.002) / (0.026 - 0.002)
    assert points["central", "auction", "loss_0.5"] == pytest.approx(behind)
    assert found.sentences == (
        "Auction ties with central and contract net for 57 % of the messages of central: it serves 0.981 [0.979, "
        "0.983] of the value offered.",
        "It costs 0.500 messages and 8.00 bytes per agent and tick.",
        "Central naive fails beyond 35 % loss and under the crash.",
    )


def test_a_better_one_that_breaks_is_named_and_passed_over():
    found = verdict(
        table(
            {
                "described": {"alone": 0.8, "auction": 0.98, "claim": 0.93},
                "attack": {"alone": 0.8, "auction": 0.6, "claim": 0.85},
            }
        )
    )
    assert (found.recommended, found.ties) == ("claim", ("claim",))
    first = "Claim serves the most of those that hold up: 0.930 [0.928, 0.932] of the value offered."
    assert found.sentences[0] == first
    assert found.sentences[2:] == ("Auction serves 0.980 but fails under attack.",)


def test_alone_is_not_called_as_good_as_a_best_that_breaks():
    served = {
        "described": {"alone": 0.8, "auction": 0.98, "claim": 0.8},
        "attack": {"alone": 0.8, "auction": 0.6, "claim": 0.8},
    }
    found = verdict(table(served))
    assert found.words == (
        "Alone ties with claim for no messages: it serves 0.800 [0.798, 0.802] of the value offered. It sends nothing. "
        "Auction serves 0.980 but fails under attack."
    )


def test_where_it_matters_elsewhere_that_is_said():
    served = {"described": {"alone": 0.98, "auction": 0.98}, "crash": {"alone": 0.7, "auction": 0.88}}
    found = verdict(table(served))
    assert found.case == "no difference" and found.recommended == "alone"
    assert "It matters under the crash: auction serves 0.880, alone 0.700." in found.sentences


def test_a_small_difference_that_is_shown_is_not_called_undetected():
    found = verdict(table({"described": {"alone": 0.976, "auction": 0.98}}, half=0.002))
    assert found.case == "hardly matters" and found.recommended == "alone"
    assert found.sentences[0].endswith("best and last differ by 0.004 [0.002, 0.006].")


def test_one_seed_has_no_intervals_and_says_so():
    found = verdict(table(ONE, seeds=1))
    assert found.recommended == "auction" and "[" not in found.words
    assert "One draw gives no interval, so small differences may be chance." in found.sentences
    close = verdict(table({"described": {"alone": 0.975, "auction": 0.98}}, seeds=1))
    assert close.sentences[0] == "One draw tells no two mechanisms apart: all serve within 0.005 of each other."


def test_alone_absent_is_said_and_the_floor_still_counts():
    served = {"described": {"central": 0.98, "claim": 0.95}, "crash": {"central": 0.0, "claim": 0.8}}
    found = verdict(table(served))
    assert found.recommended == "claim" and found.fails == {"central": ("crash",)}
    assert "Alone was not run, so there is no floor to hold up against." in found.sentences


def test_a_condition_the_recommended_did_not_run_is_said():
    served = {"described": {"alone": 0.9, "claim": 0.95}, "growth": {"alone": 0.9, "central": 0.95}}
    assert "Claim was not run at ten times the size." in verdict(table(served)).sentences


def test_yardsticks_are_never_recommended():
    served = {"described": {"alone": 0.8, "alone_far": 0.99, "claim": 0.95}}
    found = verdict(table(served))
    assert found.recommended == "claim" and "alone_far" not in found.fails


def test_a_wide_margin_makes_a_tie_and_a_narrow_one_a_difference():
    served = {"described": {"alone": 0.8, "auction": 0.96, "contract_net": 0.98}}
    assert verdict(table(served)).recommended == "contract_net"
    assert verdict(table(served), margin=0.03).recommended == "auction"
    # An interval that includes 0 is a tie however large the difference.
    assert verdict(table(served, half=0.025)).recommended == "auction"


def test_without_a_lower_level_it_fails_at_that_loss_and_not_beyond_it():
    served = {"described": {"alone": 0.8, "claim": 0.9}, "loss_0.5": {"alone": 0.8, "claim": 0.7}}
    assert verdict(table(served)).sentences[-1].endswith("fails at 50 % loss.")


def test_below_alone_from_the_first_level_there_is():
    served = {"calm": {"alone": 0.9, "claim": 0.8}, "loss_0.1": {"alone": 0.9, "claim": 0.7}}
    found = verdict(table(served))
    assert [(p.condition, p.loss) for p in found.break_even] == [("calm", 0.0)]
    assert found.condition == "calm"


def test_rows_read_back_from_csv_give_the_same_verdict():
    rows = GOLDEN["none holds"][0]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    text.seek(0)
    assert verdict(list(csv.DictReader(text))) == verdict(rows)


def test_as_dict_is_json():
    found = json.loads(json.dumps(verdict(GOLDEN["none holds"][0]).as_dict()))
    assert found["price"] == {"messages": 0.5, "bytes": 8.0, "reads": 0.0} and found["worst"] == "attack"
    assert {"mechanism": "central", "than": "alone", "condition": "crash", "loss": None} in found["break_even"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"served_mean": float("nan")}, "served_mean of auction under described is nan; it must be a finite number"),
        ({"served_mean": 1.2}, "served_mean of auction under described is 1.2; it is a share, between 0 and 1"),
        ({"served_mean": None}, "a row of auction has no served_mean; every row needs one"),
        ({"messages_per_agent_tick": -1}, "messages_per_agent_tick of auction under described is -1; it cannot be"),
        ({"mechanism": "alone"}, "rows hold alone under described twice"),
        ({"difference_low": None}, "auction under described has only one of difference_low and difference_high"),
        ({"difference_low": 0.1, "difference_high": 0.2}, "outside its interval"),
        ({"difference_from_best": -0.1, "difference_low": -0.2}, "give different values for the best"),
        ({"condition": "loss_much"}, 'condition "loss_much" must end in a share between 0 and 1'),
        ({"seeds": 0}, "seeds of auction under described is 0"),
        ({"jain": None, "seeds": "many"}, "seeds of auction under described is many; it must be a finite number"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(change, message):
    rows = [row | change if row["mechanism"] == "auction" else row for row in table(ONE)]
    with pytest.raises(Refusal) as refused:
        verdict(rows)
    assert message in str(refused.value)


def test_no_rows_and_only_yardsticks_are_refused():
    yardstick = [row | {"mechanism": "alone_far"} for row in table({"calm": {"claim": 0.9}})]
    for rows in ([], yardstick):
        with pytest.raises(Refusal, match="no mechanism to recommend"):
            verdict(rows)
    with pytest.raises(Refusal, match="margin is 1.5"):
        verdict(table(ONE), margin=1.5)


shares = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
mechanisms = st.sampled_from([name for name in MESSAGES if name != "alone_far"])
tables = st.dictionaries(
    st.sampled_from([*CONDITIONS, "blizzard"]), st.dictionaries(mechanisms, shares, min_size=1), min_size=1
)


@given(tables, st.sampled_from([0.0, 0.004, 0.1]), st.sampled_from([1, 2, 20]), st.randoms(use_true_random=False))
def test_any_table_has_one_verdict_whatever_the_order_of_its_rows(served, half, seeds, shuffled: random.Random):
    rows = table(served, half, seeds)
    found = verdict(rows)
    again = list(rows)
    shuffled.shuffle(again)
    assert verdict(again) == found
    assert 1 <= len(found.sentences) <= 4 and all(text.endswith(".") for text in found.sentences)
    assert found.words == " ".join(found.sentences) and "  " not in found.words and "nan" not in found.words
    assert "significant" not in found.words
    assert found.recommended is None or found.recommended in served[found.condition]
    assert found.recommended is None or found.recommended in found.ties
    json.dumps(found.as_dict(), allow_nan=False)


@given(tables, st.sampled_from([0.004, 0.02]), st.data())
def test_what_is_recommended_stays_so_when_it_serves_more(served, half, data):
    """Served more under the condition of the ranking, a recommended mechanism is never passed over for another."""
    before = verdict(table(served, half))
    if before.recommended is None or before.case == "none holds":
        return
    values = served[before.condition]
    more = data.draw(st.integers(0, round(1000 * (1 - values[before.recommended])))) / 1000
    raised = served | {before.condition: values | {before.recommended: values[before.recommended] + more}}
    after = verdict(table(raised, half))
    if before.recommended == "alone":  # more for alone can only break others
        assert after.recommended == "alone" or after.case == "none holds"
    else:
        assert after.recommended == before.recommended


@given(shares, shares)
def test_a_worse_and_dearer_one_is_never_recommended(low, lower):
    served = {"described": {"alone": 0.85, "auction": 0.95, "claim": 0.8 * low, "contract_net": 0.8 * lower}}
    assert verdict(table(served)).recommended == "auction"
