"""The exact tables: what the solver says, instance by instance."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from quorate.core import Roster
from quorate.experiments.outcome import Rows
from quorate.protocols import PROTOCOLS
from quorate.protocols.hidden_stop_vote import last_round
from quorate.recipes.ibgp.influence import worst as worst_with
from quorate.verify.exact import Game, expected_rounds, informed, solve

SAFETY, LIVENESS, POSSIBLE = range(3)  # places in the properties of the votes


def game(name: str, liars: int | None = None, **settings: Any) -> Game:
    """The solved game of a registered vote; `liars` if they are fewer than the t it was made for."""
    entry = PROTOCOLS[name]
    roster = Roster(settings["n"], settings["t"] if liars is None else liars)
    return solve(entry.make(**settings), roster, entry.values, entry.properties)


def chance(name: str, value: Fraction) -> dict[str, Any]:
    """A chance twice: as a number and as it is, exactly."""
    return {name: float(value), f"{name}_exact": str(value)}


def worst(solved: Game) -> list[Fraction]:
    """By number of willing nodes: the chance that some but too few act under the best attack."""
    return solved.worst(SAFETY)


def acting(solved: Game) -> list[Fraction]:
    """By number of willing nodes: the least chance, over all attacks, that enough act."""
    return [1 - missed for missed in solved.worst(LIVENESS)]


def requirements(talkers: int) -> Rows:
    """Figure 1: how many of N talkers may lie, by threshold. `perfect` generals ask for N > 3 t. `solved` is the
    largest t for which the vote with margin t does both: liars split it with no more than the chance that Theorem 3
    allows, and it can act while they are silent."""
    rows = []
    for k in range(1, talkers + 1):
        most = 0
        for t in range(1, talkers):
            found = game("hidden_stop_vote", n=talkers - t, t=t, k=k, max_rounds=3) if k <= talkers - t else None
            if found is None or max(worst(found)) > Fraction(1, 2) or max(found.worst(POSSIBLE)) == 0:
                break
            most = t
        share = {"share": k / talkers, "generals": 1 / 3, "imperfect": (1 - k / talkers) / 2}
        rows.append(
            {"talkers": talkers, "k": k, **share, "liars": (talkers - k) // 2, "solved": most}
            | {"perfect": (talkers - 1) // 3}
        )
    return rows


def single_round(largest: int) -> Rows:
    """Single-round votes of up to `largest` nodes, n >= k + t and k >= 2: how many thresholds keep both properties.

    With A willing nodes each hears A to A + t yes. All act if A reaches the threshold, none can if A + t does not, and
    else liars choose who acts.
    """
    rows = []
    for n in range(2, largest + 1):
        for k in range(2, n):
            for t in range(1, n - k + 1):
                thresholds = range(1, n + t + 2)
                safe = {theta for theta in thresholds if not broken_at(n, k, t, theta)}
                live = {theta for theta in thresholds if theta <= k + t}
                both = len(safe & live)
                rows.append({"n": n, "k": k, "t": t, "thresholds": n + t + 1, "safe": len(safe), "both": both})
    return rows


def broken_at(n: int, k: int, t: int, threshold: int) -> list[int]:
    """The numbers of willing nodes at which liars split a single-round vote.

    >>> broken_at(4, 3, 1, 3), broken_at(4, 3, 1, 4)
    ([2], [3])
    """
    return [
        willing
        for willing in range(1, n + 1)
        if (willing < k if willing >= threshold else willing + t >= threshold and k >= 2)
    ]


def didactic(n: int, k: int, t: int) -> Rows:
    """One instance of the single-round vote under every threshold, as the solver has it: Figure 3."""
    rows = []
    for threshold in range(1, n + t + 2):
        found = game("single_round_vote", n=n, t=t, k=k, threshold=threshold)
        for willing, (bad, act) in enumerate(zip(worst(found), acting(found), strict=True)):
            where = {"n": n, "k": k, "t": t, "threshold": threshold, "willing": willing}
            rows.append(where | chance("worst", bad) | chance("acts", act))
    return rows


def votes(talkers: Iterable[int], max_rounds: int) -> Rows:
    """Theorem 3: the vote with margin t for every n, k, t with n + t in `talkers`, under three laws of the last round;
    one row for each number of willing nodes."""
    laws = ("uniform", "geometric:1/3")
    cases = [(2, law) for law in laws] + [(1, "uniform")]
    rows = []
    for total in talkers:
        for t in range(1, (total + 1) // 2):
            n = total - t
            for k in range(1, n + 1):
                for least, law in cases:
                    found = game("hidden_stop_vote", n=n, t=t, k=k, min_rounds=least, max_rounds=max_rounds, law=law)
                    bound = max(last_round(law, least, max_rounds))
                    for willing, (bad, act) in enumerate(zip(worst(found), acting(found), strict=True)):
                        rows.append(
                            {"n": n, "k": k, "t": t, "least_rounds": least, "max_rounds": max_rounds, "law": law}
                            | {"willing": willing, **chance("bound", bound), **chance("worst", bad)}
                            | chance("acts", act)
                        )
    return rows


def known_ends(max_rounds: int) -> Rows:
    """What the hidden end is worth, n = 4, k = 3, t = 1: the worst case with 3 willing nodes when liars know nothing,
    each round's bit before they speak, or the end from the start (solved in at most 6 rounds); and when everybody
    knows it."""
    hidden = game("hidden_stop_vote", n=4, k=3, t=1, max_rounds=max_rounds)
    start = [int(p[-1]) for p in hidden.proposed].index(3)
    known = {"nothing": worst(hidden)[3]}
    known |= {"the bit of the round": informed(hidden, SAFETY, "bit")[start]}
    most = min(max_rounds, 6)
    small = game("hidden_stop_vote", n=4, k=3, t=1, max_rounds=most)
    known |= {f"the end, from the start, of at most {most} rounds": informed(small, SAFETY, "end")[start]}
    for rounds in (2, 3, 5):
        fixed = game("fixed_round_vote", n=4, k=3, t=1, rounds=rounds)
        known[f"everybody knows that it ends in round {rounds}"] = worst(fixed)[3]
    return [{"known": what, **chance("worst", value)} for what, value in known.items()]


def margins(n: int, k: int, t: int, max_rounds: int) -> Rows:
    """Margins from 0 to t + 1: the worst case against t liars, and against liars of whom only `margin` ever say yes
    to one receiver (Theorem 7)."""
    rows = []
    for margin in range(t + 2):
        full = game("hidden_stop_vote", n=n, t=t, k=k, margin=margin, max_rounds=max_rounds)
        few = min(margin, t)
        weak = game("hidden_stop_vote", few, n=n, t=t, k=k, margin=margin, max_rounds=max_rounds)
        columns = (worst(full), acting(full), worst(weak), acting(weak))
        for willing, (bad, act, mild, mild_act) in enumerate(zip(*columns, strict=True)):
            rows.append(
                {"n": n, "k": k, "t": t, "margin": margin, "yes_at_most": few, "willing": willing}
                | chance("worst", bad)
                | chance("acts", act)
                | chance("worst_restricted", mild)
                | chance("acts_restricted", mild_act)
            )
    return rows


def gap(cases: Iterable[tuple[int, int, int]], max_rounds: int) -> Rows:
    """Theorem 6, one target: `reach` liars get through the dispersion of the first round. Afterwards all t have their
    power (`worst_once`, the source's defence) or still only `reach` (`worst_always`, dispersion in every round)."""
    law = last_round("uniform", 2, max_rounds)
    rows = []
    for k, t, margin in cases:
        for reach in range(1, t + 1):
            later = [reach] + [t] * (max_rounds - 1)
            for willing in range(k + t + 1):
                once = worst_with(willing, k, margin, law, later)
                always = worst_with(willing, k, margin, law, [reach] * max_rounds)
                rows.append(
                    {"k": k, "t": t, "margin": margin, "reach": reach, "willing": willing}
                    | chance("worst_once", once)
                    | chance("worst_always", always)
                )
    return rows


def rounds_against_safety(max_rounds: int) -> Rows:
    """n = 4, k = 3, t = 1: worst case and mean number of rounds, for the last round uniform on 2..r, and geometric with
    the same worst case (cut off at four times `max_rounds`); beside them 1/(r + 1) for randomised coordinated attack
    in r rounds. That is another model: generals whose messages get lost disagree with at least that chance if they
    always attack when all want to and no message is lost (N. Lynch, Distributed Algorithms (1996), Section 5.2). Its
    adversary drops messages and coins are private; here messages lie and a common coin is always heard. So it does not
    bind our numbers."""
    rows = []
    for most in range(3, max_rounds + 1):
        for law, end in (("uniform", most), (f"geometric:1/{most - 1}", 4 * max_rounds)):
            found = game("hidden_stop_vote", n=4, k=3, t=1, max_rounds=end, law=law)
            mean = sum((r * share for r, share in enumerate(last_round(law, 2, end), start=1)), Fraction(0))
            bound = chance("coordinated_attack", Fraction(1, most + 1)) if law == "uniform" else {}
            rows.append(
                {"law": law.split(":")[0], "max_rounds": end, "mean_rounds": float(mean)}
                | {"until_settled": float(expected_rounds(found)), **chance("worst", max(worst(found)))}
                | bound
            )
    return rows
