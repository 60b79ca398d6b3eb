"""Seeded bugs are found by `verify` as it is, with the protocols' own properties; correct protocols raise no alarm."""

import pytest

from quorate.protocols import PROTOCOLS, hidden_stop_vote
from quorate.verify import conform
from tests.museum import bugs, mutants, patching
from tests.museum.bugs import EXHIBITS, VOTE
from tests.museum.patching import Patch

INSTANCES = {bugs.in_words(exhibit.at): exhibit.at for exhibit in EXHIBITS}


@pytest.fixture(autouse=True, scope="module")
def quick():
    with patching.quick():
        yield


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.what)
def test_a_bug_is_found(exhibit):
    found = bugs.shown(exhibit)
    assert exhibit.by in found.reasons, found


@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES)
def test_no_alarm_without_a_bug(instance):
    assert bugs.seen(instance).reasons == ()


def test_the_bugs_are_small_and_many():
    assert len({exhibit.what for exhibit in EXHIBITS}) == len(EXHIBITS) >= 15
    assert all(1 <= patching.lines(exhibit.patches) <= 3 for exhibit in EXHIBITS)
    engine = [exhibit for exhibit in EXHIBITS if not exhibit.where.startswith("protocols/")]
    assert len(engine) >= 4
    assert {exhibit.by for exhibit in EXHIBITS} == {
        *("always", "early", "eventually", "sometimes"),
        *("sums", "inboxes", "coin"),
    }


def test_a_patch_must_fit_once():
    for old in ("no such line", "willing"):
        with pytest.raises(AssertionError, match="times"):
            patching.patched_source(VOTE, [Patch(VOTE, old, "")])


def test_a_patch_is_there_and_goes_again_even_after_an_error():
    before, vote, converse = patching.snapshot(), hidden_stop_vote.HiddenStopVote, conform.comms.converse
    talk = "quorate/comms/conversation.py"
    patches = [
        Patch(talk, "LIES = 2**31", "LIES = 2**30"),
        Patch(VOTE, "return ~ballot.over\n", "return ballot.over\n"),
    ]
    with pytest.raises(KeyError), patching.patched(patches, "hidden_stop_vote"):
        assert hidden_stop_vote.HiddenStopVote is not vote
        assert type(PROTOCOLS["hidden_stop_vote"].example) is hidden_stop_vote.HiddenStopVote
        assert conform.comms.converse is not converse and conform.comms.converse.__globals__["LIES"] == 2**30
        raise KeyError
    assert patching.snapshot() == before
    assert hidden_stop_vote.HiddenStopVote is vote and conform.comms.converse is converse


def test_methods_of_a_class_that_others_inherit_from_are_patched_in_place():
    exhibit = next(exhibit for exhibit in EXHIBITS if exhibit.where == "core/fault.py")
    kind = conform.Scripted.__mro__[2]
    before = kind.on_tally, kind.on_deliver
    with patching.patched(exhibit.patches, exhibit.at[0]):
        assert conform.Scripted.__mro__[2] is kind and kind.on_deliver is not before[1]
    assert (kind.on_tally, kind.on_deliver) == before


def test_the_choice_of_mutants_is_fixed_and_of_four_protocols():
    titles = [mutant.title for mutant in mutants.chosen()]
    assert titles == [mutant.title for mutant in mutants.chosen()]
    assert len(set(titles)) == len(titles) == 50
    assert {title.split()[0] for title in titles} == set(mutants.INSTANCES)
    assert set(mutants.SURVIVORS) <= set(titles)


def test_alike_tells_a_change_that_is_seen_from_one_that_is_not():
    """Both survive the properties of `single_round_vote` at an instance without liars, or are killed there."""
    by_name = {mutant.name: mutant for mutant in mutants.mutants("single_round_vote")}
    same = mutants.judged(by_name["propose: jnp.array(False) -> jnp.array(True)"])
    assert same.by is None and same.alike
    other = mutants.judged(by_name["hear: total >= self.threshold -> total > self.threshold"])
    assert other.by is not None and not other.alike


@pytest.mark.slow
def test_who_survives():
    results = [mutants.judged(mutant) for mutant in mutants.chosen()]
    survivors = {result.mutant.title: result.alike for result in results if result.by is None}
    assert survivors == {title: alike for title, (alike, _) in mutants.SURVIVORS.items()}
    assert sum(result.crashed for result in results) == mutants.CRASHES
