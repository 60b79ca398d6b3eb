"""IBGP: can a crowd act together, enough of it or nobody, although some of its messages lie?

Solved exactly wherever the paper's statements allow it, and played by the engine beside it.

Reference: IBGP: Imperfect Byzantine Generals Problem for Zero-Shot Robustness in Communicative Multi-Agent Systems
(arXiv 2410.16237).
"""

from typing import Annotated, Any

from quorate.arguments import Count
from quorate.experiments.outcome import Outcome
from quorate.experiments.study import Study
from quorate.recipes.ibgp import plays, sampled, selection, tables
from quorate.recipes.ibgp.claims import CLAIMS
from quorate.recipes.ibgp.scene import scenario
from quorate.recipes.ibgp.telling import told
from quorate.report.numbers import number

# Claims are judged at these arguments only.
RECORDED: dict[str, Any] = {}
TALKERS = (5, 8)  # n + t of the grid of instances
GAP = ((3, 2, 1), (3, 4, 2), (4, 4, 2), (3, 6, 3))  # k, t and margin
MARGINS = {"n": 7, "k": 4, "t": 3}
DIDACTIC = {"n": 4, "k": 3, "t": 1}  # fits every sentence of Figures 3 and 4, whose numbers are lost


def main(
    study: Study,
    *,
    max_rounds: Annotated[int, Count("rounds after which a vote is over", least=4, most=16)] = 10,
    votes: Annotated[int, Count("votes played by the engine in each setting", least=100)] = 20_000,
) -> Outcome:
    """Holds the paper's statements about the hidden-stop vote against exact solutions and played votes.

    The last round is uniform on 2..max_rounds. The exact tables take a minute at most; --votes sets how finely the
    played ones are known.
    """
    exact = {
        "rows": lambda: tables.votes(TALKERS, max_rounds),
        "requirements": lambda: tables.requirements(12),
        "single_round": lambda: tables.single_round(16),
        "didactic": lambda: tables.didactic(**DIDACTIC),
        "one_round": lambda: plays.one_round(**DIDACTIC),
        "plays": lambda: plays.all_plays(**DIDACTIC, max_rounds=max_rounds),
        "known_ends": lambda: tables.known_ends(max_rounds),
        "margins": lambda: tables.margins(**MARGINS, max_rounds=max_rounds),
        "gap": lambda: tables.gap(GAP, max_rounds),
        "rounds": lambda: tables.rounds_against_safety(max_rounds),
        "varying": lambda: sampled.varying(max_rounds),
    }
    played = {
        "strikes": lambda: sampled.strikes(study, max_rounds, votes),
        "babble": lambda: sampled.babbled(study, max_rounds, votes),
        "dispersion": lambda: sampled.dispersed(study.seed, max_rounds, max(100, votes // 50)),
        "replayed": lambda: sampled.replayed(study.seed, max_rounds),
        "reached": lambda: sampled.reached(study.seed),
        "selection": lambda: selection.compared(study.seed, max(100, votes // 20)),
    }
    stages = {"solved exactly": exact, "played and drawn": played}
    study.reporter.stages(list(stages))
    found = {}
    for stage, parts in stages.items():
        study.reporter.start(stage, len(parts), "tables")
        for done, (name, compute) in enumerate(parts.items()):
            found[name] = compute()
            study.reporter.advance(stage, done + 1)
        study.reporter.finish(stage)
    return told(found, max_rounds)


def setting(*, max_rounds: int, votes: int) -> str:
    """The arguments in a few words."""
    return f"last round uniform on 2..{max_rounds}, {number(votes)} votes played in each setting"


__all__ = ["CLAIMS", "RECORDED", "main", "scenario", "setting"]
