"""`python -m tests.oracles` prints what independent tools say of the hidden-stop vote; it fails if they disagree."""

import sys
from collections.abc import Sequence
from fractions import Fraction

from tests.oracles import naive, smt, storm
from tests.oracles.test_storm import LAWS, SEARCHED, VECTORS, ours

Instance = tuple[int, int, int, int | tuple[int, ...], str, list[Fraction]]  # n, k, t, margin, law's name, law


def instances() -> list[Instance]:
    """The values on record, a few margins that differ by node, and every margin of some small votes under each law."""
    known = [(*sizes, f"uniform 2..{last}", naive.uniform(2, last)) for *sizes, last in VECTORS]
    six = naive.uniform(2, 6)
    mixed = [(4, 2, 2, (2, 1, 2, 0), "uniform 2..6", six), (5, 3, 2, (2, 2, 2, 1, 2), "uniform 2..6", six)]
    small = [
        (4, k, t, margin, name, law)
        for name, law in LAWS.items()
        for k in (2, 3)
        for t in (1, 2)
        for margin in range(t + 2)
    ]
    return [*known, *mixed, *small]


def text(values: Sequence[Fraction] | None) -> str:
    """Fractions for A0 = 0..n; a value that repeats is counted."""
    if values is None:
        return "-"
    runs: list[list] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return " ".join(str(value) if count == 1 else f"{value}x{count}" for value, count in runs)


def agreement() -> bool:
    """The first table: the largest chance of 0 < C < k, for A0 = 0..n, by each tool, and whether they are equal. The
    least chance of C >= k is compared too, and not printed."""
    print(
        "Hidden-stop vote, best attackers: largest chance that some but fewer than k act, for A0 = 0..n willing nodes"
        f"\n(1/4x2: twice 1/4; naive search up to n = {SEARCHED}; equal: liveness included)\n"
    )
    heads = ("n", "k", "t", "margin", "law", "states", "storm", "naive search", "quorate", "equal")
    line = "{:>2} {:>2} {:>2}  {:10} {:20} {:>6}  {:20} {:20} {:20} {}"
    print(line.format(*heads))
    good = True
    for n, k, t, margin, name, law in instances():
        found = storm.solve(n, k, t, margin, law)
        answers = [(found.miscoordination, found.together), ours(n, k, t, margin, law)]
        searched = naive.search(n, k, t, margin, law) if n <= SEARCHED else None
        equal = all(answer == answers[0] for answer in [*answers, searched] if answer is not None)
        good &= equal
        shown = str(margin) if isinstance(margin, int) else " ".join(map(str, margin))
        columns = (text(answers[0][0]), text(searched and searched[0]), text(answers[1][0]))
        print(line.format(n, k, t, shown, name, found.states, *columns, "yes" if equal else "NO"))
    return good


def lemmas() -> bool:
    """The second table: each lemma and control, with the play that refutes a control."""
    print("\nAt most one round is dangerous, for every n (A: willing nodes, A': those of the next round)\n")
    good = True
    for lemma in (*smt.proofs(), *smt.controls()):
        verdict = smt.decide(lemma)
        right = verdict.proved == lemma.holds
        play = ""
        if not verdict.proved and not lemma.holds:
            k, t, rounds = smt.counterexample(lemma, verdict.model)
            right &= lemma.shows(k, t, rounds)
            steps = ", ".join(f"{now.acting} of {now.willing} act" for now in rounds)
            play = f"\n{'':45}k = {k}, t = {t}: {steps}"
        word = "proved" if verdict.proved else "refuted"
        role = "lemma" if lemma.holds else "wrong vote or claim"
        print(f"{word:8} {role:20} {lemma.name:24} {lemma.says}{'' if right else '  UNEXPECTED'}{play}")
        good &= right
    return good


if __name__ == "__main__":
    good = [agreement(), lemmas()]
    print("\nall agree" if all(good) else "\nerror  they do not agree")
    sys.exit(not all(good))
