"""Proofs for every number of nodes that the hidden-stop vote has at most one dangerous round, by the SMT solver z3.

The protocol (IBGP, Section 4.1), in integers without bounds. k >= 1 nodes must act together; t >= 0 attackers. At the
start A0 honest nodes propose 1. In a round the A willing nodes send 1 to all, and for each honest node the attackers
choose a number of lies in 0..t; it hears A + lies. If the round is the last, a willing node acts that heard at least k:
C nodes. If it is not, a willing node stays willing that heard at least k + margin: A' nodes. Whether it is the last is
drawn after the attackers have sent. A round is *dangerous* when, were it the last, 0 < C < k.

Theorem (IBGP, Theorem 3: the switch from Case 1, A >= k, to Case 2, A < k, happens once, and only deciding exactly
there can split). For all k >= 1, t >= 0, margin >= t, A0 >= 0, every law of the last round and every attack, at most
one round of a play is dangerous. So the chance of mis-coordination is at most max_r P(last round = r). If A0 >= k +
margin, all A0 nodes act whenever the vote ends; if A0 < k, nobody acts from round 2 on.

Proof by induction over rounds. A play carries two ghosts: D, the number of dangerous rounds so far, and S, the sum of
P(last round = r) over them, each at most `most`. The invariant is
    0 <= A,  0 <= D <= 1,  A > 0 implies D = 0,  D = 0 implies S = 0,  D = 1 implies S <= most.
It holds at the start, each round keeps it, and it implies D <= 1 and S <= most. The lemmas below are these steps and
what they rest on; each is proved by finding its negation unsatisfiable. What stays outside the solver: an attack that
draws no lots plays the same rounds whatever the coin says, so its S is the chance of a split; one that draws lots is a
mixture of such attacks.

Nodes of a kind that meet the same end are one group, and one number of lies speaks for a group: whatever was said to
its members had the same effect. So a round is four groups (acts or not, stays or not), and no node needs a name.

Found on the way: with margin = t and two rounds or more, a decision threshold below k, or at k + margin, also allows
one dangerous round only. At k + 1 (t >= 2) and at k + margin + 1 two in a row are possible.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.oracles.naive import Heard, replay

if TYPE_CHECKING:
    import z3

ENDS = [(acts, stays) for acts in (False, True) for stays in (False, True)]


@dataclass(frozen=True)
class Rule:
    """A vote: willing nodes stay at `stay` ones heard and act at `act`. `sticky`: who stopped never starts again."""

    stay: Any
    act: Any
    sticky: bool = True


@dataclass(frozen=True)
class Kind:
    """Honest nodes of one kind in one round: for each end (acts, stays) how many meet it and the lies each is told."""

    size: dict[tuple[bool, bool], Any]
    lies: dict[tuple[bool, bool], Any]

    @property
    def total(self):
        return sum(self.size.values())

    @property
    def acting(self):
        return sum(size for (acts, _), size in self.size.items() if acts)

    @property
    def staying(self):
        return sum(size for (_, stays), size in self.size.items() if stays)


@dataclass(frozen=True)
class Lemma:
    """`claim` holds for all integers. As a control it must fail instead, by a play of `rule` that `shows` why.

    `rounds` are the unknowns of that play: in each round the kinds willing proposers and, where the vote is not sticky,
    proposers who stopped and nodes that never proposed 1. `shows` looks at k, t and what plain arithmetic makes of it.
    """

    name: str
    says: str
    claim: Any
    rule: Rule | None = None
    rounds: Sequence[Sequence[Kind]] = ()
    shows: Callable[[int, int, list[Heard]], bool] | None = None

    @property
    def holds(self) -> bool:
        return self.rule is None


@dataclass(frozen=True)
class Verdict:
    """`proved`: no integers break the claim; otherwise `model` are integers that do."""

    proved: bool
    model: "z3.ModelRef | None"


def kind(label: str) -> Kind:
    """A kind whose sizes and lies are unknown."""
    import z3

    names = {end: f"{label}{'A' if end[0] else '-'}{'S' if end[1] else '-'}" for end in ENDS}
    return Kind(
        size={end: z3.Int(f"size_{name}") for end, name in names.items()},
        lies={end: z3.Int(f"lies_{name}") for end, name in names.items()},
    )


def moves(*groups: tuple[Any, tuple[bool, bool], Any]) -> Kind:
    """A kind with these groups: (how many, their end, their lies)."""
    size, lies = dict.fromkeys(ENDS, 0), dict.fromkeys(ENDS, 0)
    for count, end, told in groups:
        size[end], lies[end] = count, told
    return Kind(size, lies)


def legal(nodes: Kind, willing, t, rule: Rule) -> "z3.BoolRef":
    """Each member of each group is told 0..t lies, and hearing `willing` + lies leads to the end of its group."""
    import z3

    parts = []
    for end in ENDS:
        heard = willing + nodes.lies[end]
        meets = z3.And(
            nodes.lies[end] >= 0,
            nodes.lies[end] <= t,
            (heard >= rule.act) == z3.BoolVal(end[0]),
            (heard >= rule.stay) == z3.BoolVal(end[1]),
        )
        parts += [nodes.size[end] >= 0, z3.Implies(nodes.size[end] > 0, meets)]
    return z3.And(parts)


def dangerous(acting, k) -> "z3.BoolRef":
    import z3

    return z3.And(acting > 0, acting < k)


def decide(lemma: Lemma) -> Verdict:
    """Ask z3 for integers that break `lemma.claim`. An answer of `unknown` is an error, never a proof."""
    import z3

    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(z3.Not(lemma.claim))
    answer = solver.check()
    if answer == z3.unknown:
        raise RuntimeError(f"z3 gave up on {lemma.name}: {solver.reason_unknown()}")
    return Verdict(answer == z3.unsat, solver.model() if answer == z3.sat else None)


def counterexample(lemma: Lemma, model: "z3.ModelRef") -> tuple[int, int, list[Heard]]:
    """(k, t, rounds): the play in `model`, node by node, run again by plain arithmetic on what each node heard."""
    import z3

    def number(term) -> int:
        return term if isinstance(term, int) else model.eval(term, model_completion=True).as_long()

    k, t, first, others = (number(z3.Int(name)) for name in ("k", "t", "A0", "others"))
    others = 0 if lemma.rule.sticky else others
    proposes = [True] * first + [False] * others
    willing, lies = set(range(first)), []
    for row in lemma.rounds:
        members = [[i for i in range(first) if i in willing], [i for i in range(first) if i not in willing]]
        members.append(list(range(first, first + others)))
        told, staying = [0] * len(proposes), set()
        for nodes, names in zip(row, members, strict=False):
            ends = [(end, number(nodes.lies[end])) for end in ENDS for _ in range(number(nodes.size[end]))]
            for name, (end, count) in zip(names, ends, strict=True):
                told[name] = count
                staying |= {name} if end[1] else set()
        lies.append(told)
        willing = staying
    assert all(0 <= count <= t for told in lies for count in told)
    return k, t, replay(number(lemma.rule.stay), number(lemma.rule.act), lemma.rule.sticky, proposes, lies)


@cache
def proofs() -> tuple[Lemma, ...]:
    """The steps of the theorem, its tightness and the relaxed margins: all must be proved."""
    import z3
    from z3 import And, If, Implies, Int, Or

    k, t, margin, act, willing, danger = (Int(name) for name in ("k", "t", "margin", "act", "A", "D"))
    risk, chance, most = (z3.Real(name) for name in ("S", "P", "most"))
    rule = Rule(stay=k + margin, act=k)
    nodes, later, free = kind("now"), kind("later"), kind("free")
    given = And(k >= 1, t >= 0, margin >= 0, willing >= 0)
    now = And(given, nodes.total == willing, legal(nodes, willing, t, rule))
    then = And(later.total == nodes.staying, legal(later, nodes.staying, t, rule))
    freely = And(given, free.total == willing, legal(free, willing, t, Rule(k + margin, act)))
    acting, staying = nodes.acting, nodes.staying
    splits = dangerous(acting, k)
    enough = margin >= t

    def invariant(willing, danger, risk):
        once = And(Implies(danger == 0, risk == 0), Implies(danger == 1, risk <= most))
        return And(willing >= 0, danger >= 0, danger <= 1, Implies(willing > 0, danger == 0), once)

    before = And(chance >= 0, chance <= most, invariant(willing, danger, risk))
    after = invariant(staying, If(splits, danger + 1, danger), If(splits, risk + chance, risk))
    start = invariant(willing, z3.IntVal(0), z3.RealVal(0))

    def steer(where, attack: Kind, reached) -> "z3.BoolRef":
        """Wherever `where` holds, `attack` is a legal round and has `reached`."""
        return Implies(And(given, where), And(attack.total == willing, legal(attack, willing, t, rule), reached))

    both, acts = (True, True), (True, False)
    wait = moves((willing, both, t))
    drop = moves((k - 1, both, t), (willing - (k - 1), acts, 0))
    strike = moves((willing, acts, t))
    between = And(k >= 2, margin == t, willing >= k, willing < k + t)
    below = And(k >= 2, t >= 1, margin == t, willing == k - 1)
    relaxed = And(k >= 2, margin < t, willing >= 1)
    low, high = And(relaxed, willing >= k - (t - margin), willing < k), And(relaxed, willing >= k, willing < k + margin)
    else_ = And(margin <= t, Or(willing < k - (t - margin), willing >= k + margin))
    dead = If(willing < k, staying == 0, And(staying == willing, acting == willing))

    def lemma(name: str, says: str, given, conclusion) -> Lemma:
        return Lemma(name, says, Implies(given, conclusion))

    return (
        lemma("shrinks", "A' <= A", now, staying <= willing),
        lemma("all act", "A >= k: every willing node acts", And(now, willing >= k), acting == willing),
        lemma("case 2 ends", "A < k <= k + t <= k + margin: A' = 0", And(now, enough, willing < k), staying == 0),
        lemma("empty", "A = 0: nobody acts and A' = 0", And(now, willing == 0), And(acting == 0, staying == 0)),
        lemma("danger", "a dangerous round has 0 < A < k", And(now, splits), And(willing > 0, willing < k)),
        lemma("danger is last", "margin >= t: A' = 0 after a dangerous round", And(now, enough, splits), staying == 0),
        lemma("base", "the invariant holds before round 1", And(given, most >= 0), start),
        lemma("step", "margin >= t: a round keeps the invariant", And(now, enough, before), after),
        lemma(
            "conclusion", "at most one dangerous round; risk at most max_r P(r)", before, And(danger <= 1, risk <= most)
        ),
        lemma(
            "false start",
            "margin >= t, A0 < k: nobody acts in round 2",
            And(now, then, enough, willing < k),
            later.acting == 0,
        ),
        lemma("no quorum", "A + t < k: nobody acts, even in round 1", And(now, willing + t < k), acting == 0),
        lemma(
            "liveness",
            "A >= k + margin: A' = A and all act",
            And(now, willing >= k + margin),
            And(staying == willing, acting == willing),
        ),
        Lemma(
            "tight: wait",
            "k <= A < k + t, margin t: attackers can keep A' = A",
            steer(between, wait, wait.staying == willing),
        ),
        Lemma("tight: drop", "there, if k >= 2, they can make A' = k - 1", steer(between, drop, drop.staying == k - 1)),
        Lemma(
            "tight: strike",
            "and make the round with A = k - 1 dangerous",
            steer(below, strike, dangerous(strike.acting, k)),
        ),
        Lemma(
            "relaxed: for ever",
            "margin < t, k - (t - margin) <= A < k: a dangerous round with A' = A",
            steer(low, wait, And(dangerous(wait.acting, k), wait.staying == willing)),
        ),
        Lemma(
            "relaxed: drop",
            "margin < t, k <= A < k + margin: one round leads to k - 1",
            steer(high, drop, drop.staying == k - 1),
        ),
        lemma(
            "relaxed: elsewhere", "other A, margin <= t: A' = 0, or A >= k and all stay and act", And(now, else_), dead
        ),
        lemma(
            "act earlier",
            "danger is last for every decision threshold up to k",
            And(freely, enough, act <= k, dangerous(free.acting, k)),
            free.staying == 0,
        ),
        lemma(
            "act at k + margin",
            "after a dangerous round nobody acts or stays in the next",
            And(
                freely,
                enough,
                act == k + margin,
                dangerous(free.acting, k),
                later.total == free.staying,
                legal(later, free.staying, t, Rule(k + margin, act)),
            ),
            And(later.acting == 0, later.staying == 0),
        ),
    )


@cache
def controls() -> tuple[Lemma, ...]:
    """Claims about wrong votes: all must be refuted, each by a play."""
    from z3 import And, Implies, Int, Not

    k, t, first, others = (Int(name) for name in ("k", "t", "A0", "others"))
    given = And(k >= 1, t >= 1, first >= 0, others >= 0)

    def play(rule: Rule, count: int, label: str):
        """(legal, kinds by round, numbers of proposers that act by round) of `count` rounds from `first` proposers."""
        willing, joined, parts, kinds, acting = first, 0, [], [], []
        for r in range(1, count + 1):
            proposers, heard = kind(f"{label}{r}proposers"), willing + joined
            row, sizes = [proposers], [willing]
            if not rule.sticky:
                row += [kind(f"{label}{r}stopped"), kind(f"{label}{r}others")]
                sizes += [first - willing, others]
            for nodes, size in zip(row, sizes, strict=True):
                parts += [nodes.total == size, legal(nodes, heard, t, rule)]
            willing = sum(nodes.staying for nodes in row[:2])
            joined = sum(nodes.staying for nodes in row[2:])
            kinds.append(row)
            acting.append(proposers.acting)
        return And(parts), kinds, acting

    def twice(name: str, says: str, rule: Rule, start=True) -> Lemma:
        is_play, kinds, acting = play(rule, 3, name)
        claim = Implies(And(given, start, is_play), Not(And(dangerous(acting[1], k), dangerous(acting[2], k))))
        return Lemma(name, says, claim, rule, kinds, lambda k, t, now: all(0 < r.acting < k for r in now[1:]))

    def single(name: str, says: str, rule: Rule, start, then, shows) -> Lemma:
        """`then` looks at who acts and who stays after one round."""
        is_play, kinds, acting = play(rule, 1, name)
        claim = Implies(And(given, start, is_play), then(acting[0], kinds[0][0].staying))
        return Lemma(name, says, claim, rule, kinds, shows)

    low, both = Rule(k + t - 1, k), "rounds 2 and 3 are not both dangerous"
    return (
        single(
            "margin t - 1: step",
            "A' = 0 after a dangerous round",
            low,
            True,
            lambda acting, staying: Implies(dangerous(acting, k), staying == 0),
            lambda k, t, now: 0 < now[0].acting < k and now[0].staying > 0,
        ),
        twice("margin t - 1: play", both, low),
        twice("margin t - 1: A0 >= k", both, low, first >= k),
        twice("act at k + 1", both, Rule(k + t, k + 1)),
        twice("act at k + margin + 1", both, Rule(k + t, k + t + 1)),
        twice("not sticky", both, Rule(k + t, k, sticky=False)),
        single(
            "act at k - 1",
            "A0 + t < k: nobody acts",
            Rule(k + t, k - 1),
            first + t < k,
            lambda acting, staying: acting == 0,
            lambda k, t, now: now[0].willing + t < k and now[0].acting > 0,
        ),
        single(
            "act at k + 1: live",
            "A0 = k >= 2 and margin 0: all act",
            Rule(k, k + 1),
            And(k >= 2, first == k),
            lambda acting, staying: acting == first,
            lambda k, t, now: now[0].willing == k and now[0].acting < k,
        ),
        single(
            "one round is enough",
            "A0 < k: nobody acts in round 1",
            Rule(k + t, k),
            first < k,
            lambda acting, staying: acting == 0,
            lambda k, t, now: now[0].willing < k and 0 < now[0].acting < k,
        ),
    )
