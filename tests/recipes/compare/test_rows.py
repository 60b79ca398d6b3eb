"""From runs to rows: pairing, columns, ties, and what is refused."""

import json

import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.recipes.compare.rows import Row, Runs, rows
from quorate.recipes.compare.verdict import verdict

TICKS = 60


def runs(share, seeds=6, noise=0.0, shift=0, **more):
    """Runs that serve `share` of what is offered, both noisy by seed; the noise of `shift` is its own."""
    offered = np.random.default_rng(7).uniform(1, 2, (seeds, TICKS))
    own = noise * np.random.default_rng(100 + shift).normal(size=seeds)
    plain = np.full(seeds, 1.0)
    fields = dict(messages=plain, bytes=8 * plain, reads=0 * plain, jain=0.5 * plain, late=0 * plain, waste=0 * plain)
    return Runs(np.arange(seeds), offered * (share + own)[:, None], offered, **(fields | more))


def test_the_columns_are_the_means_over_seeds():
    found = rows({"alone": {"calm": runs(0.5, noise=0.01, upper_bound=np.full(6, 0.8))}, "claim": {"calm": runs(0.7)}})
    alone, claim = found
    served = 0.5 + 0.01 * np.random.default_rng(100).normal(size=6)
    assert alone.served_mean == pytest.approx(served.mean())
    assert alone.served_se == pytest.approx(served.std(ddof=1) / np.sqrt(6))
    assert alone.gap == pytest.approx(1 - served.mean() / 0.8) and claim.gap is None
    assert (alone.messages_per_agent_tick, alone.bytes_per_agent_tick, alone.jain) == (1.0, 8.0, 0.5)
    assert (claim.difference_from_best, claim.difference_low, claim.tied_with_best) == (0.0, 0.0, True)
    assert alone.difference_from_best == pytest.approx(served.mean() - 0.7) and not alone.tied_with_best
    assert alone.difference_low < alone.difference_from_best < alone.difference_high < 0
    assert (alone.recovery_ticks, alone.seeds) == (None, 6)
    json.dumps([row._asdict() for row in found], allow_nan=False)
    assert verdict([row._asdict() for row in found]).recommended == "claim"


def test_within_the_noise_rows_tie():
    table = {name: {"calm": runs(0.7, noise=0.05, shift=k)} for k, name in enumerate(("alone", "auction", "claim"))}
    assert all(row.tied_with_best for row in rows(table))


def test_more_conditions_make_wider_intervals():
    few = {name: {"calm": runs(0.7, noise=0.05, shift=k)} for k, name in enumerate(("alone", "claim"))}
    many = {name: {c: value["calm"] for c in ("calm", "crash", "attack")} for name, value in few.items()}
    width = [max(row.difference_high - row.difference_low for row in rows(table)) for table in (few, many)]
    assert width[0] < width[1]
    assert [row.condition for row in rows(many)] == ["calm"] * 2 + ["crash"] * 2 + ["attack"] * 2


def test_recovery_is_null_where_nothing_fails_and_a_number_where_something_does():
    hurt = runs(0.8)
    hurt.started[:, 30:34] = 0
    found = rows({"claim": {"crash": hurt._replace(at=30), "calm": hurt}}, before=30)
    assert [row.recovery_ticks for row in found] == [4, None]
    # Too near the end to be judged.
    assert rows({"claim": {"crash": hurt._replace(at=55)}})[0].recovery_ticks is None


def test_recovery_is_not_judged_where_nobody_is_left_or_nothing_was_asked_before():
    hurt = runs(0.8)._replace(at=30)
    assert rows({"claim": {"crash": hurt}})[0].recovery_ticks == 0
    assert (
        rows({"claim": {"crash": hurt._replace(capacity=np.where(np.arange(TICKS) < 30, 1.0, 0.0))}})[0].recovery_ticks
        is None
    )
    late = np.where(np.arange(TICKS) < 30, 0.0, hurt.offered)
    found = rows({"claim": {"crash": hurt._replace(offered=late, started=0.8 * late)}})
    assert found[0].recovery_ticks is None


def test_rounding_above_everything_is_cut_and_more_is_refused():
    assert rows({"claim": {"calm": runs(1.00005)}})[0].served_mean == 1.0
    with pytest.raises(Refusal, match="claim serves 1.001 under calm, above its upper bound of 1"):
        rows({"claim": {"calm": runs(1.001)}})


def test_a_yardstick_is_not_the_best():
    far, near = rows({"alone_far": {"calm": runs(0.9)}, "claim": {"calm": runs(0.7)}})
    assert far.difference_from_best == pytest.approx(0.2) and not far.tied_with_best
    assert near.difference_from_best == 0 and near.tied_with_best


def test_one_seed_has_neither_error_nor_bounds():
    found = rows({"alone": {"calm": runs(0.5, seeds=1)}, "claim": {"calm": runs(0.7, seeds=1)}})
    assert [(r.served_se, r.difference_low, r.difference_high) for r in found] == [(None, None, None)] * 2
    assert [row.tied_with_best for row in found] == [False, True]


def test_row_has_the_columns_that_are_promised():
    promised = (
        "mechanism condition served_mean served_se upper_bound messages_per_agent_tick bytes_per_agent_tick jain "
        "recovery_ticks"
    )
    assert Row._fields[:9] == tuple(promised.split())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "table holds no runs"),
        ({"a": {"calm": runs(0.5)}, "b": {"calm": runs(0.5, seeds=5)}}, "seeds of b under calm are not those of a"),
        (
            {"a": {"calm": runs(0.5)}, "b": {"calm": runs(0.5)._replace(offered=np.ones((6, TICKS)))}},
            "offered of b under calm differs from that of a; all must face the same arrivals",
        ),
        ({"a": {"calm": runs(0.5, jain=np.full(6, np.nan))}}, "jain of a under calm must hold 6 finite numbers"),
        ({"a": {"calm": runs(0.5, messages=np.ones(5))}}, "messages of a under calm must hold 6 finite numbers"),
        ({"a": {"calm": runs(0.9, upper_bound=np.full(6, 0.8))}}, "a serves 0.9 under calm, above its upper bound"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(table, message):
    with pytest.raises(Refusal, match=message):
        rows(table)
