"""The hidden-stop vote and its best attackers as a Markov decision process, solved exactly by the model checker Storm.

Written from the description of the protocol (IBGP, Section 4.1) as a program in the PRISM language, and from nothing in
`quorate`. In round r every willing node sends 1 to all; t attackers choose for every willing node, one after another,
how many of their messages to it say 1; only then is it drawn whether round r was the last. If it was, a willing node
that heard at least k acts; otherwise it stays willing if it heard at least k + margin. Attackers know everything but
the coin. Two questions are asked for every number A0 of willing nodes at the start: the largest chance of
mis-coordination, 0 < C < k with C the number of nodes that act, and the least chance that C >= k. Arithmetic is
rational, so the answers are fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory

LABELS = """
label "split" = decided & acting > 0 & acting < k;
label "together" = decided & acting >= k;
"""

# What the attackers know of the last round: nothing, whether this round is the last, or the last round itself.
COINS = ("hidden", "current", "known")


@dataclass(frozen=True)
class Values:
    """What Storm says: `miscoordination` (largest) and `together` (least) for A0 = 0..n, and the size of its model."""

    miscoordination: list[Fraction]
    together: list[Fraction]
    states: int


def stops(law: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
    """(round is the last, it is not), given that the round is reached, for each round; `law` holds P(last round = r).

    >>> stops([Fraction(0), Fraction(1, 4), Fraction(3, 4)])[1]
    (Fraction(1, 4), Fraction(3, 4))
    """
    if sum(law) != 1 or min(law) < 0 or law[-1] == 0:
        raise ValueError(f"no law of the last round: {law}")
    left = [sum(law[r:], Fraction(0)) for r in range(len(law))]
    return [(chance / rest, 1 - chance / rest) for chance, rest in zip(law, left, strict=True)]


def branches(weighted: Sequence[tuple[Fraction, str]]) -> str:
    """The right-hand side of a PRISM command; updates of chance 0 are left out."""
    return " + ".join(f"{chance} : {update}" for chance, update in weighted if chance > 0)


def served(t: int, random: Fraction | None, update: str) -> list[str]:
    """Right-hand sides for the messages to one node; LIES in `update` stands for their number.

    One command for each number of lies, which the attackers choose, or, with `random`, one command that draws it: each
    of the t messages says 1 with that chance.
    """
    lies = [update.replace("LIES", str(number)) for number in range(t + 1)]
    if random is None:
        return lies
    return [branches([(comb(t, i) * random**i * (1 - random) ** (t - i), lies[i]) for i in range(t + 1)])]


def program(
    n: int,
    k: int,
    t: int,
    margin: int,
    law: Sequence[Fraction],
    coin: str = "hidden",
    random: Fraction | None = None,
    decide: int = 0,
) -> str:
    """The vote with one margin, over counts: how many nodes are willing, served, act if it ends, stay if it does not.

    n honest nodes, t attackers besides, law[r - 1] = P(last round = r), `coin` one of COINS; `random` replaces the
    attackers by ones whose every message says 1 with that chance. A wrong vote acts at k + `decide`.
    """
    if coin not in COINS:
        raise ValueError(f"no coin is called {coin}")
    rounds = range(1, len(law) + 1)
    nobody = "(served'=0) & (relaying'=0)"
    onward = f"(round'=round+1) & (willing'=relaying) & {nobody} & (acting'=0)"
    end = "(decided'=true) & (round'=0) & (willing'=0) & (served'=0) & (relaying'=0) & (stop'=0)"
    lines = [f"[] round=0 & !ready -> (ready'=true) & (willing'={count});" for count in range(n + 1)]

    # stop, what the attackers see of the coin: the last round, 0 before it is drawn, len(law) + 1 for "not this one"
    open_ = "round>0 & served<willing"
    if coin == "known":
        drawn = branches([(chance, f"(round'=1) & (stop'={r})") for r, chance in zip(rounds, law, strict=True)])
        lines.append(f"[] round=0 & ready & !decided -> {drawn};")
        lines.append(f"[] round>0 & served=willing & round=stop -> {end};")
        lines.append(f"[] round>0 & served=willing & round<stop -> {onward};")
    else:
        lines.append("[] round=0 & ready & !decided -> (round'=1);")
        for r, (last, not_last) in zip(rounds, stops(law), strict=True):
            if coin == "hidden":
                lines.append(f"[] round={r} & served=willing -> {branches([(last, end), (not_last, onward)])};")
            else:
                seen = branches([(last, f"(stop'={r})"), (not_last, f"(stop'={len(law) + 1})")])
                lines.append(f"[] round={r} & stop=0 -> {seen};")
                lines.append(f"[] round={r} & stop={r} & served=willing -> {end};")
                lines.append(f"[] round={r} & stop>{r} & served=willing -> {onward} & (stop'=0);")
        open_ += " & stop>0" if coin == "current" else ""
    message = (
        f"(served'=served+1) & (acting'=acting+(willing+LIES>=k+{decide}?1:0))"
        " & (relaying'=relaying+(willing+LIES>=k+margin?1:0))"
    )
    lines += [f"[] {open_} -> {right};" for right in served(t, random, message)]

    counts = "".join(f"  {name} : [0..{n}] init 0;\n" for name in ("willing", "served", "acting", "relaying"))
    starts = "".join(
        f'label "start{count}" = round=0 & ready & !decided & willing={count};\n' for count in range(n + 1)
    )
    return (
        f"mdp\nconst int k = {k};\nconst int margin = {margin};\n\nmodule vote\n"
        f"  round : [0..{len(law)}] init 0;\n  stop : [0..{len(law) + 1}] init 0;\n{counts}"
        f"  ready : bool init false;\n  decided : bool init false;\n\n"
        + "".join(f"  {line}\n" for line in [*lines, "[] decided -> true;"])
        + f"endmodule\n{LABELS}{starts}"
    )


def program_by_node(k: int, t: int, margins: Sequence[int], law: Sequence[Fraction]) -> str:
    """The vote with a margin of its own for each node, so each node by name: `w` is willing, `x` will stay willing.

    The attackers also choose which A0 nodes propose 1, so the values are the worst over all sets of that size.
    """
    n = len(margins)
    nodes = range(n)
    total = "+".join(f"(w{i}?1:0)" for i in nodes)
    forget = " & ".join(["(at'=0)", *(f"(x{i}'=false)" for i in nodes)])
    end = " & ".join(["(decided'=true) & (round'=0)", forget, *(f"(w{i}'=false)" for i in nodes)])
    onward = " & ".join(["(round'=round+1) & (acting'=0)", forget, *(f"(w{i}'=x{i})" for i in nodes)])
    lines = []
    for i in nodes:
        lines += [f"[] round=0 & !decided & at={i} -> (w{i}'={word}) & (at'={i + 1});" for word in ("true", "false")]
        lines.append(f"[] round>0 & at={i} & !w{i} -> (at'={i + 1});")
        heard = "total+LIES"
        message = f"(at'={i + 1}) & (acting'=acting+({heard}>=k?1:0)) & (x{i}'=({heard}>=k+{margins[i]}))"
        lines += [f"[] round>0 & at={i} & w{i} -> {right};" for right in served(t, None, message)]
    lines.append(f"[] round=0 & !decided & at={n} -> (round'=1) & (at'=0);")
    for r, (last, not_last) in enumerate(stops(law), start=1):
        lines.append(f"[] round={r} & at={n} -> {branches([(last, end), (not_last, onward)])};")
    bits = "".join(f"  w{i} : bool init false;\n  x{i} : bool init false;\n" for i in nodes)
    starts = "".join(f'label "start{count}" = round=0 & !decided & at={n} & total={count};\n' for count in range(n + 1))
    return (
        f"mdp\nconst int k = {k};\nformula total = {total};\n\nmodule vote\n  round : [0..{len(law)}] init 0;\n"
        f"  at : [0..{n}] init 0;\n  acting : [0..{n}] init 0;\n{bits}  decided : bool init false;\n\n"
        + "".join(f"  {line}\n" for line in [*lines, "[] decided -> true;"])
        + f"endmodule\n{LABELS}{starts}"
    )


def check(text: str, n: int) -> Values:
    """Both properties of the program `text`, in exact arithmetic, at the states labelled start0..start`n`."""
    import stormpy

    with TemporaryDirectory() as folder:
        path = Path(folder) / "vote.prism"
        path.write_text(text, encoding="utf-8")
        parsed = stormpy.parse_prism_program(path)
    model = stormpy.build_model[stormpy.Rational](parsed)
    starts = [list(model.labeling.get_states(f"start{count}")) for count in range(n + 1)]

    def value(query: str, better) -> list[Fraction]:
        result = stormpy.model_checking(model, stormpy.parse_property(query, parsed))
        return [better(Fraction(str(result.get_value(state))) for state in states) for states in starts]

    return Values(
        miscoordination=value('Pmax=? [F "split"]', max),
        together=value('Pmin=? [F "together"]', min),
        states=model.nr_states,
    )


def solve(n: int, k: int, t: int, margin: int | Sequence[int], law: Sequence[Fraction], coin: str = "hidden") -> Values:
    """Storm's values for one margin, or for one margin per node (`coin` is hidden then)."""
    if isinstance(margin, int):
        return check(program(n, k, t, margin, law, coin), n)
    if coin != "hidden" or len(margin) != n:
        raise ValueError(f"{len(margin)} margins for {n} nodes, coin {coin}")
    return check(program_by_node(k, t, margin, law), n)


def reward(n: int, k: int, t: int, margin: int, law: Sequence[Fraction], random: Fraction) -> Fraction:
    """Mean of +1 for C >= k and -1 for 0 < C < k: A0 uniform on 0..n, each message of t says 1 with chance `random`."""
    values = check(program(n, k, t, margin, law, random=random), n)
    return (sum(values.together, Fraction(0)) - sum(values.miscoordination, Fraction(0))) / (n + 1)
