"""The induction proof holds for every n, its abstraction is the vote itself, and real plays refute wrong votes."""

from itertools import product

import pytest

from tests.oracles import naive, smt

pytestmark = pytest.mark.oracle


def test_every_lemma_is_proved():
    assert [lemma.name for lemma in smt.proofs() if not smt.decide(lemma).proved] == []


def test_every_lemma_speaks_of_something():
    """No lemma is proved because its premise is empty: the conclusion's opposite is refuted under the same premise."""
    import z3

    for lemma in smt.proofs():
        premise, conclusion = lemma.claim.children()
        assert not smt.decide(smt.Lemma(lemma.name, "", z3.Implies(premise, z3.Not(conclusion)))).proved, lemma.name


def test_every_control_is_refuted_by_a_play_that_plain_arithmetic_confirms():
    for lemma in smt.controls():
        verdict = smt.decide(lemma)
        assert not verdict.proved, lemma.name
        k, t, rounds = smt.counterexample(lemma, verdict.model)
        assert len(rounds) == len(lemma.rounds)
        assert lemma.shows(k, t, rounds), (lemma.name, k, t, rounds)


def test_the_controls_need_their_mistake():
    """With the right thresholds the same three rounds have no second danger; this is checked by trying all of them."""
    for k, t in [(2, 1), (2, 2), (3, 1)]:
        told = list(product(range(t + 1), repeat=3))
        for count in range(4):
            for lies in product(told, repeat=3):
                rounds = naive.replay(k + t, k, True, [i < count for i in range(3)], lies)
                assert sum(0 < now.acting < k for now in rounds) <= 1


@pytest.mark.parametrize(("stay", "act"), [(3, 2), (2, 3), (2, 2), (4, 2), (1, 3)])
def test_groups_allow_exactly_what_lies_node_by_node_allow(stay, act):
    """Up to 3 willing nodes and 2 attackers: the pairs (how many act, how many stay), by z3 and by trying all lies."""
    import z3

    for willing, t in product(range(4), range(3)):
        plays = (
            naive.replay(stay, act, True, [True] * willing, [lies]) for lies in product(range(t + 1), repeat=willing)
        )
        tried = {(now.acting, now.staying) for (now,) in plays}
        nodes = smt.kind("now")
        solver = z3.Solver()
        solver.add(nodes.total == willing, smt.legal(nodes, willing, t, smt.Rule(stay, act)))
        found = set()
        for acting, staying in product(range(willing + 1), repeat=2):
            if solver.check(nodes.acting == acting, nodes.staying == staying) == z3.sat:
                found.add((acting, staying))
        assert found == tried, (willing, t)


def test_an_unknown_answer_is_no_proof(monkeypatch):
    import z3

    monkeypatch.setattr(z3.Solver, "check", lambda self, *assumptions: z3.unknown)
    with pytest.raises(RuntimeError, match="gave up"):
        smt.decide(smt.proofs()[0])
