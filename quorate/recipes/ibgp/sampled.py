"""Votes played by the engine, beside their exact chances, and the dispersion that is only played."""

import itertools
from fractions import Fraction

import numpy as np

from quorate.experiments.outcome import Rows
from quorate.experiments.study import Study
from quorate.measure.intervals import clopper_pearson
from quorate.protocols.hidden_stop_vote import last_round
from quorate.recipes.ibgp import babble, dispersion, scene

ATTACKED = ((4, 3, 1, 3), (7, 4, 2, 5))  # n, k, t and how many are willing
REFERENCE = {"n": 4, "k": 2, "t": 2}  # ours; the sizes of the paper's tables are lost
SHARES = tuple(j / 10 for j in range(11))
# Table 6 of the paper, margin 0, between, t, by the random attacker's chance of a yes.
TABLE_6 = {
    0: (0.460, 0.462, 0.461, 0.459, 0.459, 0.456, 0.448, 0.445, 0.441, 0.434, 0.433),
    1: (0.312, 0.308, 0.310, 0.314, 0.316, 0.331, 0.361, 0.404, 0.444, 0.454, 0.437),
    2: (0.162, 0.159, 0.163, 0.162, 0.166, 0.183, 0.220, 0.266, 0.304, 0.352, 0.461),
}
TABLE_7_ENDS = (0.052, 0.052)  # margin 0 without a yes, margin t with nothing but yes
COSTS = (0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0)  # of a vote in which too few act
LISTS = (1, 15, 45, 101)


def strikes(study: Study, max_rounds: int, votes: int) -> Rows:
    """The best attack, striking in each round: how many of `votes` votes end with some but too few acting."""
    law = last_round("uniform", 2, max_rounds)
    rows = []
    for n, k, t, willing in ATTACKED:
        at = range(1, max_rounds)
        scenarios = [scene.attacked(n, k, t, willing, strike, max_rounds) for strike in at]
        scores = scene.scores(study, f"attacked {n} {k} {t} {max_rounds}", scenarios, votes)
        for strike, found in zip(at, scores, strict=True):
            split = int(np.sum(found < 0))
            shown, wide = clopper_pearson(split, votes), clopper_pearson(split, votes, 0.99)
            rows.append(
                {"n": n, "k": k, "t": t, "willing": willing, "strikes_in": strike, "votes": votes, "split": split}
                | {"share": shown.middle, "low": shown.low, "high": shown.high}
                | {"low_99": wide.low, "high_99": wide.high}
                | {"exact": float(law[strike]), "exact_fraction": str(law[strike])}
            )
    return rows


def babbled(study: Study, max_rounds: int, votes: int) -> Rows:
    """Table 6 in our setting: the mean score by margin and the random attacker's chance of a yes, exactly and played;
    `low` and `high` are the normal 95 % interval of the mean."""
    n, k, t = REFERENCE.values()
    law = _law(max_rounds)
    cells = list(itertools.product(range(t + 1), SHARES))
    scenarios = [scene.scenario(n, t, k, margin, share, max_rounds) for margin, share in cells]
    rows = []
    for (margin, share), found in zip(
        cells, scene.scores(study, f"babbled {max_rounds}", scenarios, votes), strict=True
    ):
        mean, error = float(found.mean(dtype=np.float64)), float(found.std(dtype=np.float64)) / votes**0.5
        rows.append(
            {"n": n, "k": k, "t": t, "margin": margin, "share": share}
            | {"exact": babble.reward([margin] * n, k, t, share, law)}
            | {"played": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error, "error": error, "votes": votes}
            | {"source": TABLE_6[margin][SHARES.index(share)]}
        )
    return rows


def varying(max_rounds: int) -> Rows:
    """Table 7 in our settings: the exact score, averaged over the shares 0, 0.1, .., 1, of the best margins that are
    equal and the best that are not, over every choice of margins."""
    ends = {"hidden": _law(max_rounds), "round 5": [0.0] * 4 + [1.0]}
    rows = []
    for (n, k, t), (end, law) in itertools.product(((4, 2, 2), (4, 3, 2)), ends.items()):
        for among, willing in (("uniform", None), ("binomial 0.3", babble.binomial(n, 0.3))):
            every = list(itertools.combinations_with_replacement(range(t + 1), n))
            # The score is linear in the cost of a misfire: two values tell all.
            means = [
                [np.mean([babble.reward(one, k, t, share, law, cost, willing) for share in SHARES]) for one in every]
                for cost in (0.0, 1.0)
            ]
            for cost in COSTS:
                scores = {one: float(a + cost * (b - a)) for one, a, b in zip(every, *means, strict=True)}
                row = {"n": n, "k": k, "t": t, "end": end, "willing": among, "cost": cost}
                for kind, alike in (("equal", True), ("mixed", False)):
                    best = max((one for one in every if (len(set(one)) == 1) == alike), key=scores.get)
                    row |= {kind: " ".join(map(str, best)), f"{kind}_score": scores[best]}
                rows.append(row)
    return rows


def dispersed(seed: int, max_rounds: int, runs: int) -> Rows:
    """Theorem 6, many targets: how many of 2 t end split, and in how many runs that is more than 3 t / margin."""
    rows = []
    for (k, t, margin), attack, always in itertools.product(
        ((3, 4, 2), (4, 4, 2), (3, 4, 4)), (dispersion.SPLIT, dispersion.HOLD), (False, True)
    ):
        bad = dispersion.votes_split(seed, k, t, margin, attack, always, max_rounds, runs)
        limit = Fraction(3 * t, margin)
        over = clopper_pearson(int(np.sum(bad > limit)), runs)
        rows.append(
            {"k": k, "t": t, "margin": margin, "targets": 2 * t, "attack": attack}
            | {"dispersed": "every round" if always else "first round", "runs": runs, "limit": float(limit)}
            | {"mean_split": float(bad.mean()), "over": over.middle, "over_low": over.low, "over_high": over.high}
        )
    return rows


def replayed(seed: int, max_rounds: int) -> Rows:
    """One case of Theorem 6 on the protocol itself, played by the engine; `beside` is the same by
    `dispersion.votes_split`."""
    k, t, margin, runs = 3, 4, 2, 100
    rows = []
    for dispersal, always in (("first round", False), ("every round", True)):
        bad = dispersion.replayed(seed, k, t, margin, always, max_rounds, runs)
        beside = dispersion.votes_split(seed, k, t, margin, dispersion.SPLIT, always, max_rounds, runs)
        rows.append(
            {"k": k, "t": t, "margin": margin, "targets": 2 * t, "dispersed": dispersal, "runs": runs}
            | {"mean_split": float(bad.mean()), "beside": float(beside.mean())}
        )
    return rows


def reached(seed: int) -> Rows:
    """How many targets one liar's word reaches through dispersion, when it names 2, 3 or 4 of them (n = 20)."""
    return [
        {"lists": lists, "named": named, "reached": dispersion.influenced(seed, lists, named)}
        for lists in LISTS
        for named in (2, 3, 4)
    ]


def _law(max_rounds: int) -> list[float]:
    return [float(share) for share in last_round("uniform", 2, max_rounds)]
