"""Golden terminal text: on a terminal, with NO_COLOR, in ASCII, and piped."""

import io
import os
import re
import subprocess
import sys

import pytest

from quorate.report.terminal import Terminal, fitted, knows_unicode

SGR = re.compile(r"\x1b\[([\d;]*)m")
VERDICT = "At N = 1000, EDU ends 12.0 times closer to perfect than search [10.2, 14.2]."
COLOURS = {"30", "31", "32", "33", "34", "35", "36", "37"}


class Stream(io.TextIOWrapper):
    """A stream that may claim to be a terminal."""

    def __init__(self, encoding, terminal):
        super().__init__(io.BytesIO(), encoding=encoding, newline="")
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "LC_ALL", "PYTHONIOENCODING", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def show(claims, *, terminal, encoding="utf-8", **options):
    """(stdout, stderr) of a whole run."""
    out, err, now = Stream(encoding, terminal), Stream(encoding, terminal), [0.0]
    shown = Terminal(stdout=out, stderr=err, clock=lambda: now[0], **options)
    shown.header("imperfect_devices", "seed 0, 20 configurations × 50 runs")
    with shown.stages(["N = 50", "N = 100"]) as stages:
        for name, seconds in (("N = 50", 3), ("N = 100", 6)):
            stages.start(name, 20, "configurations")
            now[0] += seconds
            stages.advance(name, 20)
            stages.finish(name)
    shown.claims(claims)
    shown.table(["method", "N", "error", "settled"], [["search", 100000, 2.09e-4, True], ["team", 50, None, False]])
    shown.verdict(VERDICT, claims)
    shown.paths({"report": "runs/imperfect_devices-3f9c1e7-0/report.html", "again": "quorate run imperfect_devices"})
    shown.error('no recipe is called "x"\nthere are imperfect_devices, ibgp')
    return out.text(), err.text()


def test_on_a_terminal(claims, golden):
    out, _ = show(claims, terminal=True)
    assert {"32", "33", "31"} <= {code for found in SGR.findall(out) for code in found.split(";")}
    text = SGR.sub("", out)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in text.splitlines())
    golden("terminal.txt", text)


@pytest.mark.parametrize("how", ["NO_COLOR", "--no-color"])
def test_without_colour_the_layout_is_the_same(claims, golden, monkeypatch, how):
    if how == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    out, err = show(claims, terminal=True, color=False if how == "--no-color" else None)
    for text in (out, err):
        assert not COLOURS & {code for found in SGR.findall(text) for code in found.split(";")}
    golden("terminal.txt", SGR.sub("", out))


def test_piped(claims, golden, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    out, err = show(claims, terminal=False)
    assert "\x1b" not in out + err and "\r" not in out + err
    golden("piped.txt", out)
    golden("piped-errors.txt", err)
    table = out.split("\n\n")[1].splitlines()
    assert len(table) == 2 + len(claims)  # no wrapping


@pytest.mark.parametrize("terminal", [False, True])
def test_ascii(claims, golden, terminal):
    out, err = show(claims, terminal=terminal, encoding="ascii")
    assert (out + err).isascii()
    golden("ascii-terminal.txt" if terminal else "ascii-piped.txt", SGR.sub("", out))


def test_c_locale_of_a_real_process():
    code = """
from quorate.experiments.claims import Claim, Judged, Measured
from quorate.report.terminal import Terminal
claim = Claim("a", "Fig. 1", "ten \\u00d7 better", None, ("holds", None))
shown = Terminal()
shown.claims([Judged(claim, Measured("in part", "1.73\\u00d710\\u207b\\u2075"), True)])
with shown.stages(["N = 50"]) as stages:
    stages.start("N = 50", 20, "configurations")
    stages.finish("N = 50")
"""
    environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode("ascii").splitlines() == [
        "source says    we measured   holds?",
        "-" * 35,
        "ten x better   1.73e-5       part",
    ]
    assert re.fullmatch(r"N = 50   20 configurations   \S+ ?\S* s\n", done.stderr.decode("ascii"))


def test_quiet_leaves_the_verdict_and_errors(claims):
    out, err = show(claims, terminal=True, quiet=True, color=False)
    assert SGR.sub("", out) == f"2 hold, 1 in part, 1 does not, 1 not judged. {VERDICT}\n"
    assert SGR.sub("", err).startswith('error  no recipe is called "x"\n       there are')


def test_bars_go_to_stderr_and_are_gone_afterwards(claims):
    _, err = show(claims, terminal=True)
    assert "━" * 24 + "  20/20   6 s" in err and "20 configurations" not in err  # no log lines between the bars
    assert err.rindex("━") < err.rindex("\x1b[2K") < err.index("error")  # erased before what follows
    assert err.rindex("\x1b[?25h") > err.rindex("\x1b[?25l")  # the cursor is shown again


def test_colour_can_be_forced_without_cursor_codes(claims):
    out, err = show(claims, terminal=False, color=True)
    assert {"32", "31"} <= {code for found in SGR.findall(out) for code in found.split(";")}
    assert "\x1b" not in SGR.sub("", out + err)


def test_data_cannot_move_the_cursor_or_be_taken_for_markup(claims):
    claims[0] = claims[0]._replace(measured=claims[0].measured._replace(text="\x1b[2J[bold]x[/bold] :smile: \ud800"))
    out, _ = show(claims, terminal=False)
    assert "\ufffd[2J[bold]x[/bold] :smile: \ufffd" in out and "\x1b" not in out


def test_narrow_terminals_wrap_cells(claims, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    out, _ = show(claims, terminal=True)
    table = SGR.sub("", out).split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 50


def test_fitted_takes_from_the_widest():
    assert fitted([10, 20, 5], 40) == [10, 20, 5]
    assert fitted([30, 30, 9], 49) == [20, 20, 9]
    assert fitted([9, 9], 4) == [6, 6]


def test_what_knows_unicode():
    assert knows_unicode(Stream("utf-8", True), {})
    assert not knows_unicode(Stream("utf-8", True), {"LC_ALL": "C"})
    assert knows_unicode(Stream("utf-8", True), {"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"})
    assert not knows_unicode(Stream("latin-1", True), {})
    assert knows_unicode(Stream("utf-8", True), {"LC_ALL": "de_DE.UTF-8"})
