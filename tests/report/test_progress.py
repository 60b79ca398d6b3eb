"""Stages show what is done, under way and waiting, at 80 columns."""

import pytest

from quorate.report.progress import Progress


def run(plain):
    """A run seen in its middle: two stages done, one under way, one to come; with the lines of its log."""
    now, log = [0.0], []
    progress = Progress(
        ["compile", "N = 50", "N = 1000", "failures"], clock=lambda: now[0], plain=plain, finished=log.append
    )
    for name, total, unit, note, seconds in [
        ("compile", 2, "programs", "2 programs", 9.2),
        ("N = 50", 20, "configurations", None, 3.1),
    ]:
        progress.start(name, total, unit)
        now[0] += seconds
        progress.finish(name, note)
    progress.start("N = 1000", 20, "configurations")
    now[0] += 47
    progress.advance("N = 1000", 11)
    return progress, log


@pytest.mark.parametrize("plain", [False, True])
def test_the_picture(plain, golden):
    progress, _ = run(plain)
    lines = progress.lines()
    assert max(map(len, lines)) <= 80
    golden(f"progress-{'ascii' if plain else 'utf8'}.txt", "\n".join(lines) + "\n")


def test_the_log():
    _, log = run(False)
    assert log == ["compile    2 programs   9 s", "N = 50     20 configurations   3 s"]


def test_bars_grow_and_are_full_only_at_the_end():
    progress = Progress(["a"], clock=lambda: 0.0)
    progress.start("a", 1000)
    filled = []
    for done in (*range(0, 1000, 50), 999):
        progress.advance("a", done)
        filled.append(progress.lines()[0].count("━"))
    assert filled == sorted(filled) and filled[0] == 0 and 0 < filled[-1] < 24
    progress.finish("a")
    assert progress.lines()[0].count("━") == 24


def test_nothing_to_do_and_nothing_done_need_no_estimate():
    now = [0.0]
    progress = Progress([], clock=lambda: now[0])
    assert progress.lines() == []
    progress.start("late", 0)
    now[0] = 5.0
    assert progress.lines()[0].endswith("0/0")
    progress.finish("late")
    assert progress.lines()[0].endswith("5 s")


def test_unknown_and_waiting_stages_are_refused():
    progress = Progress(["a"], clock=lambda: 0.0)
    with pytest.raises(ValueError, match='no stage is called "b"; there are a'):
        progress.advance("b", 1)
    with pytest.raises(ValueError, match='stage "a" has not been started'):
        progress.finish("a")
