"""The whole studies, at the recorded arguments: minutes, so `make proof` runs them."""

import pytest

import quorate


@pytest.mark.slow
@pytest.mark.parametrize("name", list(quorate.RECIPES))
def test_every_claim_comes_out_as_recorded(name, tmp_path):
    result = quorate.run(name, out=tmp_path)
    assert len(result.claims) == quorate.RECIPES[name].claims
    assert [judged.claim.name for judged in result.claims if not judged.as_recorded] == []
    assert {judged.claim.name: judged.claim.recorded[0] for judged in result.claims} == {
        judged.claim.name: judged.measured.verdict for judged in result.claims
    }


@pytest.mark.slow
def test_a_million_devices_beat_random_choice():
    """The size at which a float32 sum would be all noise."""
    rows = quorate.run("imperfect_devices", num_agents="1e6", configurations=1, runs=1, preset="c").rows
    error = {row.get("utility") or row["solver"]: row.get("epsilon_mean") for row in rows}
    assert error["expected_difference"] < 1e-2 * error["random"]
