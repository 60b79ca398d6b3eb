"""The replay agrees with true nodes, whatever goes wrong between them, and with no others."""

import asyncio

import jax
import numpy as np
import pytest

from quorate.core import Protocol
from quorate.errors import Refusal
from quorate.live.log import arrays, load, save
from quorate.live.node import Node
from quorate.live.plan import roots
from quorate.live.replay import replay
from quorate.live.wire import DROPPED, HEARD, WAITING
from quorate.random import key
from tests.live.small import DICE, MUTE, PARTS, VOTE, played, same

FAULTS = {"drop": 0.1, "delay": 0.05, "duplicate": 0.1}


def odd(kind, which=1):
    """Makes honest nodes, one of them of another kind."""
    return lambda me, *rest: (kind if me == which else Node)(me, *rest)


class Hasty(Node):
    """Stops listening at once, and notes what came until the coin was out."""

    async def close(self, at):
        return self.box.page(at)


class Forgetful(Node):
    """Uses what it hears from 2, and notes it as dropped."""

    def notes(self, ends):
        for page in self.pages:
            page.status[2] = DROPPED
        return super().notes(ends)


class Stubborn(Node):
    """Has another root than the others for its draws."""

    def __init__(self, *rest):
        super().__init__(*rest)
        self.root = np.asarray(jax.random.key_data(jax.random.fold_in(key(0), 99)))


class Liar(Node):
    """Writes down another decision than its own."""

    def notes(self, ends):
        found = super().notes(ends)
        found.decision[0][3] += 1
        return found


class Slow(Node):
    """What it sends leaves much too late."""

    async def run(self, line):
        class Later:
            def post(self, to, data):
                asyncio.get_running_loop().call_later(0.2, line.post, to, data)

        return await super().run(Later())


@pytest.mark.parametrize("shares", [{}, FAULTS, {"drop": 1.0}, {"delay": 1.0, "equivocate": 0.0}])
@pytest.mark.parametrize("name", PARTS)
def test_the_array_code_comes_to_what_the_nodes_came_to(name, shares):
    log = played(PARTS[name], **shares)
    assert replay(log, PARTS[name]).divergences == 0
    assert len(np.unique(log.coin)) == log.coin[..., 0].size  # a word for each round, the same for all
    assert np.all(log.coin == log.coin[..., :1])


def test_one_node_among_liars_only():
    log = played(DICE, nodes=1, byzantine=2, **FAULTS)
    assert replay(log, DICE).divergences == 0


def test_a_protocol_without_rounds_only_proposes_and_decides():
    log = played(MUTE)
    assert log.status.shape == (10, 0, 5, 6) and log.messages == 0
    assert replay(log, MUTE).divergences == 0


def test_a_deadline_that_is_broken_is_found():
    for kind in (Hasty, Forgetful):
        for protocol in PARTS.values():
            found = replay(played(protocol, node=odd(kind), **FAULTS), protocol)
            assert found.divergences > 0, kind
            assert found.decision[:, 1].any() or found.said[:, 1].any()


def test_hasty_nodes_note_more_than_they_use():
    true, hasty = (played(VOTE, node=odd(kind)) for kind in (Node, Hasty))
    assert np.array_equal(true.status[0, 0], hasty.status[0, 0])  # the log alone shows nothing


def test_a_wrong_key_in_one_node_is_found():
    found = replay(played(DICE, node=odd(Stubborn)), DICE)
    assert found.decision[:, 1].all() and found.said[:, 1].any() and not found.coin.any()
    assert found.decision[:, 0].sum() > 0  # those who heard it draw on what it said


def test_a_wrong_root_of_the_coin_is_found():
    other = jax.random.fold_in(key(5), 1)
    found = replay(played(DICE, coin=other), DICE)
    assert found.coin.all() and found.decision.all()
    log = played(DICE)
    found = replay(log._replace(coin=log.coin + np.uint32(1)), DICE)
    assert found.coin.all() and not found.decision.any() and found.divergences == 10 * 5


def test_a_decision_that_was_changed_is_found_where_it_is():
    found = replay(played(DICE, node=odd(Liar)), DICE)
    assert found.divergences == 1 and np.argwhere(found.decision).tolist() == [[3, 1]]


def test_each_input_counts_and_no_decision_is_an_input():
    log = played(DICE)
    blank = log._replace(decision=[np.zeros_like(leaf) for leaf in log.decision])
    found = replay(blank, DICE)
    assert found.decision.all() and not found.lasting.any() and not found.said.any()
    assert replay(log._replace(proposals=1 - log.proposals), DICE).divergences > 0
    status, said = log.status.copy(), log.said.copy()
    tick, round_, node, _ = np.argwhere(log.status[..., :5] == HEARD)[-2]
    status[tick, round_, node, 5], said[0, 0, 0, 5, 0] = WAITING, said[0, 0, 0, 5, 0] ^ 1
    assert replay(log._replace(status=status), DICE).divergences > 0
    assert replay(log._replace(said=said), DICE).divergences > 0
    assert replay(log, DICE, roots(key(12))).divergences == 10 * 5


def test_what_a_node_was_heard_to_say_counts():
    log = played(DICE)
    tick, round_, node, sender = np.argwhere(log.status[..., :5] == HEARD)[-1]
    said = log.said.copy()
    said[tick, round_, node, sender, 0] ^= 1
    found = replay(log._replace(said=said), DICE)
    assert np.argwhere(found.said).tolist() == [[tick, sender]] and found.divergences == 1


def test_a_node_that_is_really_late_is_not_waited_for_and_the_replay_agrees():
    log = played(DICE, node=odd(Slow), deadline=0.02)
    others = [0, 2, 3, 4]
    assert np.any(log.status[:, :, others, 1] == WAITING)
    assert log.counts[0][others].sum() > 0
    assert replay(log, DICE).divergences == 0


def test_a_log_comes_back_as_it_was(tmp_path):
    log = played(DICE, **FAULTS)
    save(log, tmp_path / "run.npz")
    back = load(tmp_path / "run.npz")
    assert same(log, back) and back.header == log.header and back.setup == log.setup
    assert list(arrays(back)) == list(arrays(log)) and np.array_equal(back.counts, log.counts)
    assert replay(back, DICE).divergences == 0


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\3\4rest"])
def test_what_is_no_log_is_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refusal, match="does not exist" if content is None else "is not the log of a live run"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"header": {}},
        {"header": {"protocol": "majority", "options": {}, "seed": 1, "setup": {"nodes": 3}}},
        {"status": np.zeros((10, 5, 5, 5), np.uint8)},
        {"decision": [np.zeros(3)]},
    ],
)
def test_a_log_that_lacks_something_is_refused(tmp_path, change):
    save(played(MUTE)._replace(**change), tmp_path / "run.npz")
    with pytest.raises(Refusal, match="is not the log of a live run"):
        load(tmp_path / "run.npz")


def test_a_log_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "run.npz", header=np.array([Protocol], dtype=object))
    with pytest.raises(Refusal, match="is not the log"):
        load(tmp_path / "run.npz")
