"""What `quorate verify --json` prints."""

import json

from quorate.verify.check import as_json, verify


def printed(name, **options):
    return json.loads(json.dumps(as_json(verify(name, **options), None, 1.0), allow_nan=False))


def test_a_start_of_which_the_promise_does_not_speak_has_no_worst_case():
    said = printed("neighbourhood_vote", n=3, t=2, margin=1)
    assert said["worst_case"] == [1, None, None, None] and said["worst_case_exact"] == ["1", None, None, None]
    assert len(said["liveness"]) == 4 and all(0 <= share <= 1 for share in said["liveness"])


def test_a_promise_about_all_starts_has_a_number_for_each():
    said = printed("hidden_stop_vote", n=4, k=3, t=1, max_rounds=5)
    assert said["worst_case"] == [0, 0, 0, 0.25, 0] and said["worst_case_exact"] == ["0", "0", "0", "1/4", "0"]
    assert said["liveness"] == [0, 0, 0, 0, 1]
