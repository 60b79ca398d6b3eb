"""The report of a run: one HTML file that opens offline. Verdict, claims, figures, tables, how it was made, files."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple
from urllib.parse import quote

from quorate.experiments.claims import Judged
from quorate.report.figure import Figure, strip
from quorate.report.numbers import number
from quorate.report.palette import chart_rules, text_file, variables
from quorate.report.replay import Player, replay_style
from quorate.report.words import BRACKETS, VERDICTS, cell, counts, escape

BUDGET = 400_000  # bytes of a page, files carried inside included, the data of replays not
MOST_ROWS = 200  # of a table; the rest is in the files
LOGO = (
    '<svg viewBox="0 0 18 18" aria-hidden="true"><g fill="var(--accent)"><circle cx="9" cy="2.6" r="2.2"/>'
    '<circle cx="15" cy="7" r="2.2"/><circle cx="12.8" cy="14.2" r="2.2"/><circle cx="5.2" cy="14.2" r="2.2"/></g>'
    '<circle cx="3" cy="7" r="1.6" fill="none" stroke="var(--harm)" stroke-width="1.4"/></svg>'
)
# Nothing may be fetched, whatever ends up in the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_PLURAL = {"holds": ("holds", "hold"), "does not hold": ("does not hold", "do not hold")}


class Table(NamedTuple):
    """Rows under named columns; numbers are written by `number`, None as a dash."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Section(NamedTuple):
    """A part of the page with a heading of its own. `text` is escaped; `body` is HTML made by this package."""

    id: str
    title: str
    text: str
    body: str = ""


def _muted(text: str) -> str:
    """Escaped text with its intervals in the second ink."""
    return BRACKETS.sub(lambda match: f"<i>{match[0]}</i>", escape(text))


def _pill(verdict: str) -> str:
    sign, word, *_, kind, _ = VERDICTS[verdict]
    return f'<span class="pill {kind}"><b aria-hidden="true">{sign}</b>{word}</span>'


def _tally(claims: Sequence[Judged]) -> str:
    items = []
    for word, count in counts(claims).items():
        sign, *_, kind, _ = VERDICTS[word]
        said = _PLURAL.get(word, (word, word))[count > 1]
        items.append(f'<li class="pill {kind}"><b aria-hidden="true">{sign}</b>{count} {said}</li>')
    return f'<ul class="tally" aria-label="Claims">{"".join(items)}</ul>' if items else ""


def _verdict(verdict: str, interval: str | None) -> str:
    """The headline; its interval, in lighter weight, where it stands in the sentence, else before the full stop. No
    line begins with a percent sign."""
    verdict = verdict.replace(" %", "\u00a0%")
    if not interval:
        return escape(verdict)
    light = f'<span class="ci">{escape(interval)}</span>'
    if interval in verdict:
        before, _, after = verdict.partition(interval)
        return escape(before) + light + escape(after)
    stop = "." if verdict.endswith(".") else ""
    return f"{escape(verdict.removesuffix('.'))} {light}{stop}"


def _claims(claims: Sequence[Judged]) -> str:
    rows = []
    for claim, measured, as_recorded in claims:
        notes = [measured.note] if measured.note else []
        if not as_recorded and measured.verdict != "not judged":
            word, value = claim.recorded
            notes.append(f"recorded in the recipe: {word}" + ("" if value is None else f", {number(value)}"))
        small = "".join(f"<small>{escape(note)}</small>" for note in notes)
        drawn = strip(*measured.ratio) if measured.ratio is not None else ""
        rows.append(
            f'<tr class="{VERDICTS[measured.verdict][4]}"><td class="ref">{escape(claim.where)}</td>'
            f'<td class="says">{escape(claim.words)}</td><td class="num">{_muted(measured.text)}{small}</td>'
            f'<td class="st">{drawn}</td><td class="vd">{_pill(measured.verdict)}</td></tr>'
        )
    names = ("Where", "Source says", "We measured", "Against the claim", "Holds?")
    heads = "".join(f'<th scope="col">{head}</th>' for head in names)
    return f'<table class="claims"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _figure(figure: Figure) -> str:
    return (
        f'<figure id="{escape(figure.id)}" class="{"wide" if figure.wide else "half"}">'
        f"<figcaption><b>{escape(figure.title)}</b><span>{escape(figure.caption)}</span></figcaption>"
        f'<div class="scroll">{figure.svg}</div></figure>'
    )


def _table(table: Table) -> str:
    count = len(table.columns)
    for place, row in enumerate(table.rows):
        if len(row) != count:
            raise ValueError(f'row {place} of table "{table.title}" has {len(row)} cells for {count} columns')
    shown = table.rows[:MOST_ROWS]
    right = [
        any(isinstance(row[j], Number) for row in shown) and not any(isinstance(row[j], str | bool) for row in shown)
        for j in range(count)
    ]
    kinds = [' class="r"' if flush else "" for flush in right]

    def line(tag: str, texts: Sequence[str]) -> str:
        cells = zip(texts, kinds, strict=True)
        return "<tr>" + "".join(f"<{tag}{kind}>{escape(text)}</{tag[:2]}>" for text, kind in cells) + "</tr>"

    heads = line('th scope="col"', table.columns)
    body = "".join(line("td", [cell(value) for value in row]) for row in shown)
    more = len(table.rows) - len(shown)
    rest = f"<p>{number(more)} more rows are in the files of the run.</p>" if more else ""
    return (
        f"<h3>{escape(table.title)}</h3><p>{escape(table.caption)}</p>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}"><table class="rows">'
        f"<thead>{heads}</thead><tbody>{body}</tbody></table></div>{rest}"
    )


def _size(text: str) -> str:
    size = len(text.encode("utf-8", "replace"))
    return f"{size} bytes" if size < 1000 else f"{number(size / 1000)} KB" if size < 1e6 else f"{number(size / 1e6)} MB"


def _files(files: Mapping[str, tuple[str, str]], room: int) -> str:
    """The files, smallest first while there is room as links that carry them, the others by name."""
    links = {name: f"data:{mime};charset=utf-8,{quote(text, errors='replace')}" for name, (mime, text) in files.items()}
    items = {
        name: f"<li><span>{escape(name)}</span><span>{_size(text)}, beside this page</span></li>"
        for name, (_, text) in files.items()
    }
    room -= sum(len(item.encode()) for item in items.values())
    for name in sorted(files, key=lambda name: len(links[name])):
        anchor = f'<a download="{escape(name)}" href="{escape(links[name])}">{escape(name)}</a>'
        link = f"<li>{anchor}<span>{_size(files[name][1])}</span></li>"
        room -= len(link.encode())
        if room < 0:
            break
        items[name] = link
    return "".join(items[name] for name in files)


def page(
    *,
    title: str,
    eyebrow: str,
    verdict: str,
    interval: str | None,
    lede: str,
    claims: Sequence[Judged],
    sections: Sequence[Section],
    figures: Sequence[Figure],
    tables: Sequence[Table],
    provenance: Mapping[str, str],
    command: str,
    files: Mapping[str, tuple[str, str]],
    warnings: Sequence[str] = (),
    replay: Player | None = None,
) -> str:
    """A whole report as the text of one HTML file that asks for nothing from outside.

    title, eyebrow   name of the page; a small line above the verdict (recipe, seed, how many runs)
    verdict          one sentence, written by the caller; `interval` is the part of it in lighter weight, or None
    claims           with none, the section is left out
    sections         further parts, between claims and figures
    provenance       what made the page, term -> text; `command` gives the same rows again
    files            name -> (MIME type, text), carried as links while the page stays within 400 KB, else named only
    warnings         sentences shown directly under the verdict
    replay           what `report.replay.player` made; its data have a budget of their own

    Raises ValueError where two elements have the same id, a table's rows do not fit its columns, or the page is over
    400 KB without its files and the data of its replays.
    """
    parts: list[tuple[str, str, str, str]] = []  # (id, name in the header, title, HTML)
    if claims:
        how = (
            "A claim holds when the whole interval lies on its side (shaded), and in part when the interval straddles "
            "the line or needs a condition the source does not state."
        )
        parts.append(("claims", "Claims", "What the sources say, and what came out", f"<p>{how}</p>{_claims(claims)}"))
    for section in sections:
        paragraphs = "".join(f"<p>{escape(text)}</p>" for text in re.split(r"\n\s*\n", section.text.strip()) if text)
        parts.append((section.id, section.title, section.title, paragraphs + section.body))
    if figures:
        how = "Point at a figure, or focus it and use the arrow keys, for values."
        drawn = "".join(map(_figure, figures))
        parts.append(("figures", "Figures", "Figures", f'<p>{how}</p><div class="two">{drawn}</div>'))
    if replay is not None:
        parts.append(("replay", "Replay", "Replay", replay.markup))
    if tables:
        parts.append(("tables", "Tables", "Tables", "".join(map(_table, tables))))
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in provenance.items())
    made = (
        "<p>The command gives the same rows again, bit for bit on the same backend.</p>"
        f'<pre><code id="cmd">{escape(command)}</code><button id="copy" type="button">Copy</button></pre>'
        f'<div class="two"><dl class="made">{terms}</dl><div><ul class="files">\0</ul></div></div>'
    )
    parts.append(("made", "How it was made", "How it was made", made))

    nav = "".join(f'<a href="#{escape(id)}">{escape(name)}</a>' for id, name, _, _ in parts)
    body = "".join(
        f'<section id="{escape(id)}"><h2>{escape(head)}</h2>{text}</section>\n' for id, _, head, text in parts
    )
    warned = "".join(f'<p class="warn"><b>Note.</b> {escape(warning)}</p>' for warning in warnings)
    whole = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{variables()}{chart_rules()}{text_file("page.css")}{replay_style() if replay is not None else ""}</style>
</head>
<body>
<a class="skip" href="#verdict">Skip to the verdict</a>
<header class="bar"><div><span class="brand">{LOGO}quorate</span>
<nav aria-label="Sections">{nav}</nav><button id="theme" type="button">Theme: auto</button></div></header>
<main>
<div id="verdict"><p class="eyebrow">{escape(eyebrow)}</p>
<h1>{_verdict(verdict, interval)}</h1>
{f'<p class="lede">{escape(lede)}</p>' if lede else ""}{warned}{_tally(claims)}</div>
{body}</main>
<footer>This file is whole: it asks for nothing from outside and opens without a network.</footer>
<div id="tip" hidden></div><div id="live" class="vh" aria-live="polite"></div>
{replay.data if replay is not None else ""}<script>{text_file("page.js")}</script>
{f"<script>{text_file('replay.js')}</script>" if replay is not None else ""}
</body>
</html>
"""
    twice = [id for id, count in Counter(re.findall(r'<[^<>]*? id="([^"]*)"', whole)).items() if count > 1]
    if twice:
        raise ValueError(f"the page has more than one element with the id {', '.join(twice)}")
    room = BUDGET - len(whole.encode("utf-8")) + (0 if replay is None else len(replay.data.encode("utf-8")))
    if room < 0:
        raise ValueError(f"the page has {BUDGET - room} bytes, the budget is {BUDGET}; show fewer or shorter figures")
    head, _, tail = whole.partition("\0")
    return head + _files(files, room) + tail
