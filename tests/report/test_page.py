"""A page is one offline file: nothing requested, nothing from data let loose, within its budget."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from quorate.report.figure import Figure, Series, lines
from quorate.report.page import BUDGET, MOST_ROWS, Section, Table, page

HOSTILE = '<script>alert("1")</script><img src=http://example.org onerror=x>\'" & \x00\x1b'
VOID = {"meta", "link", "rect", "circle", "path"}


class Reader(HTMLParser):
    """Elements, their attributes, and whether all are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def figure(id="learn", name="search", points=4, wide=False):
    series = [Series(name, "s3", range(1, points + 1), [1.0 / k for k in range(1, points + 1)])]
    return Figure(id, "The error falls", "Means.", lines(id, series, xlabel="tick", ylabel="error"), wide)


def made(claims=(), **changes):
    options = {
        "title": "run · quorate report",
        "eyebrow": "imperfect_devices · seed 0",
        "verdict": "EDU ends 12.0 times closer [10.2, 14.2] than search.",
        "interval": "[10.2, 14.2]",
        "lede": "Error after 200 ticks is 1.73×10⁻⁵.",
        "claims": claims,
        "sections": [Section("why", "Why", "One.\n\nTwo.", "<p>drawn</p>")],
        "figures": [figure(wide=True), figure("fail")],
        "tables": [Table("Rows", "By method.", ["method", "N", "error"], [["a", 1000, 1.73e-5], ["b", 100000, None]])],
        "provenance": {"seed": "0"},
        "command": "quorate run imperfect_devices --seed 0",
        "files": {"rows.csv": ("text/csv", 'a,"b"\n1,<2>\n')},
        "warnings": ["Stopped early."],
    }
    return page(**options | changes)


def test_order_and_closed_elements(claims):
    reader = Reader(made(claims))
    assert not set(reader.open) - {"html"}
    assert [a["id"] for a in reader.of("section")] == ["claims", "why", "figures", "tables", "made"]
    ids = [attrs["id"] for _, attrs in reader.found if "id" in attrs]
    assert len(ids) == len(set(ids)) and {"verdict", "learn", "learn-t", "learn-d", "fail-d", "cmd"} <= set(ids)
    links = [a["href"] for a in reader.of("a") if a["href"].startswith("#")]
    assert {link[1:] for link in links} <= set(ids) and links[0] == "#verdict"


@pytest.mark.parametrize("hostile", ["", HOSTILE])
def test_nothing_is_requested(claims, hostile):
    claims[0] = claims[0]._replace(measured=claims[0].measured._replace(text="x" + hostile, note=hostile))
    claims[1] = claims[1]._replace(claim=claims[1].claim._replace(words=hostile, where=hostile))
    text = made(
        claims,
        title="t" + hostile,
        eyebrow=hostile,
        verdict="v" + hostile,
        interval="[1]" + hostile,
        lede=hostile,
        sections=[Section("why", hostile, hostile)],
        figures=[figure(name="s" + hostile)._replace(title=hostile, caption=hostile)],
        tables=[Table(hostile, hostile, ["c" + hostile], [[hostile]])],
        provenance={hostile: hostile},
        command=hostile,
        files={"f" + hostile: ("text/plain", hostile)},
        warnings=[hostile],
    )
    reader = Reader(text)
    for _, attrs in reader.found:
        assert "src" not in attrs and "xlink:href" not in attrs and not any(name.startswith("on") for name in attrs)
        assert attrs.get("href", "#").startswith(("#", "data:"))
    assert not reader.of("img")
    assert [a.get("type") for a in reader.of("script")] == ["application/json", None]
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in styles and "@import" not in styles
    script = text.rpartition("<script>")[2]
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon|innerHTML|https?:", script)
    assert "default-src 'none'" in reader.of("meta")[2]["content"]
    assert "\x00" not in text and "\x1b" not in text


def test_the_interval_is_lighter_where_it_stands():
    assert 'closer <span class="ci">[10.2, 14.2]</span> than search.</h1>' in made()
    assert 'as far <span class="ci">[1, 2]</span>.</h1>' in made(verdict="EDU ends as far.", interval="[1, 2]")
    assert "<h1>It needs 63\u00a0% of it.</h1>" in made(verdict="It needs 63 % of it.", interval=None)
    assert '<span class="ci">' not in made(interval=None)


def test_claims_are_shown_with_sign_word_and_strip(claims):
    claims[1] = claims[1]._replace(as_recorded=False, claim=claims[1].claim._replace(recorded=("holds", 20.0)))
    text = made(claims)
    rows = re.findall(r'<tr class="([ypnu])">(.*?)</tr>', text)
    assert [kind for kind, _ in rows] == ["y", "p", "y", "n", "u"]
    assert ["<svg" in row for _, row in rows] == [False, True, True, True, False]
    assert "12.0 <i>[10.2, 14.2]</i> times" in rows[1][1]
    assert "recorded in the recipe: holds, 20.0" in rows[1][1]
    assert sum("recorded in" in row for _, row in rows) == 1
    assert "◐</b>in part" in rows[1][1] and "✕</b>does not hold" in rows[3][1]
    assert "not judged at these arguments" in rows[4][1]
    tally = re.search(r'<ul class="tally".*?</ul>', text)[0]
    assert re.findall(r"</b>([^<]*)<", tally) == [
        "2 hold",
        "1 in part",
        "1 does not hold",
        "1 not judged",
    ]


def test_without_claims_figures_and_tables_their_sections_are_gone():
    reader = Reader(made(sections=[], figures=[], tables=[]))
    assert [a["id"] for a in reader.of("section")] == ["made"]
    assert "tally" not in [a.get("class") for a in reader.of("ul")]


def test_tables_write_numbers_as_everywhere():
    text = made()
    assert '<td>a</td><td class="r">1000</td><td class="r">1.73×10⁻⁵</td>' in text
    assert '<td class="r">100\u202f000</td><td class="r">–</td>' in text
    long = made(tables=[Table("Rows", "", ["n"], [[k] for k in range(MOST_ROWS + 12)])])
    assert "<p>12 more rows are in the files of the run.</p>" in long
    assert f">{MOST_ROWS - 1}</td>" in long and f">{MOST_ROWS}</td>" not in long
    with pytest.raises(ValueError, match='row 0 of table "Rows" has 1 cells for 2 columns'):
        made(tables=[Table("Rows", "", ["a", "b"], [[1]])])


def test_files_come_back_as_they_were():
    link = next(a for a in Reader(made()).of("a") if a.get("download") == "rows.csv")
    kind, _, data = link["href"].partition(",")
    assert kind == "data:text/csv;charset=utf-8" and unquote(data) == 'a,"b"\n1,<2>\n'


def test_the_page_stays_within_its_budget(claims):
    small = {"small.csv": ("text/csv", "1,2\n" * 100)}
    text = made(claims, files={"large.csv": ("text/csv", "1,2\n" * 200_000)} | small)
    assert len(text.encode()) <= BUDGET
    reader = Reader(text)
    assert [a["download"] for a in reader.of("a") if "download" in a] == ["small.csv"]
    assert "800 KB, beside this page" in reader.words
    full = made(claims, files={f"{k}.csv": ("text/csv", "é" * 20_000) for k in range(10)})
    assert BUDGET - 130_000 < len(full.encode()) <= BUDGET
    with pytest.raises(ValueError, match="the budget is 400000"):
        made(figures=[figure(f"f{k}", points=200) for k in range(100)])


def test_a_page_without_figures_is_small():
    assert len(made(figures=[]).encode()) < 40_000


def test_two_elements_may_not_share_an_id():
    with pytest.raises(ValueError, match="more than one element with the id learn"):
        made(figures=[figure(), figure()])
    with pytest.raises(ValueError, match="the id made"):
        made(sections=[Section("made", "Made", "")])
