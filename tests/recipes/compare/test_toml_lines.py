"""Every key is found where it stands, however the file is laid out."""

import re
import string
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.recipes.compare.toml_lines import line_and_column, parsed, text_of

WORDS = st.text(string.ascii_lowercase + "_-", min_size=1, max_size=5)
TEXTS = st.text(st.sampled_from("ab'\"\\#=[]{},.é \n\t"), max_size=8)
BLANKS = st.sampled_from(["", " ", "\t", "  "])


def quoted(text, plain):
    """A string in one of the ways that TOML has."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    if plain == 0:
        return '"' + escaped.replace("\n", "\\n") + '"'
    if plain == 1:
        return '"""\n' + escaped + '"""'
    if "'" in text or plain == 2 and "\n" in text:
        return quoted(text, 0)
    return f"'{text}'" if plain == 2 else f"'''\n{text}'''"


@st.composite
def values(draw, depth=2, inline=False):
    """The text of a value; inside inline tables everything stands on one line."""
    kinds = ["number", "text", "date"] + (["array", "table"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "number":
        return draw(st.sampled_from(["1", "-2.5", "1e3", "inf", "true", "0x1F", "1_000"]))
    if kind == "date":
        return draw(st.sampled_from(["1979-05-27", "1979-05-27 07:32:00", "07:32:00"]))
    if kind == "text":
        text = draw(TEXTS)
        return (
            quoted(text.replace("\n", " "), draw(st.sampled_from([0, 2])))
            if inline
            else quoted(text, draw(st.integers(0, 3)))
        )
    gap = draw(BLANKS)
    if kind == "array":
        items = draw(st.lists(values(depth=depth - 1, inline=inline), max_size=3))
        between = gap if inline else draw(st.sampled_from(["", " ", "\n  ", " # , ] = [\n"]))
        tail = "," if items and draw(st.booleans()) else ""
        return "[" + between + ("," + between).join(items) + tail + between + "]"
    pairs = draw(st.dictionaries(WORDS, values(depth=depth - 1, inline=True), max_size=3))
    return "{" + gap + ", ".join(f"{name}{gap}={gap}{value}" for name, value in pairs.items()) + gap + "}"


@st.composite
def documents(draw):
    lines = []

    def pairs():
        for name, value in draw(st.dictionaries(WORDS, values(), max_size=3)).items():
            key = draw(st.sampled_from([name, f'"{name}"', f"{name}.part", f"'{name}' . x"]))
            lines.append(f"{draw(BLANKS)}{key}{draw(BLANKS)}={draw(BLANKS)}{value}{draw(BLANKS)}# done [x]")

    pairs()
    for name in draw(st.lists(WORDS.map(lambda word: "t" + word.upper()), unique=True, max_size=3)):
        many = draw(st.booleans())
        for _ in range(draw(st.integers(1, 2)) if many else 1):
            lines.append(f"[[{name}]]" if many else f"[ {name} ]")
            pairs()
            if draw(st.booleans()):
                lines.append(f"[{name}.below]")
                pairs()
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n# end"]))


def paths(value, path=()):
    """Every path of plain data."""
    if path:
        yield path
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*path, name))


def at(data, path):
    for step in path:
        data = data[step]
    return data


def nested(value):
    """A value, and what a dotted key leads to."""
    yield value
    while isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
        yield value


@given(documents())
def test_every_path_is_found_and_its_text_is_its_value(text):
    document = parsed(text, "a.toml")
    assert set(document.spans) == set(paths(document.data))
    for path, span in document.spans.items():
        written = text[span.start : span.end]
        if re.match(r"\[\[? ?t[A-Z_-]", written):  # the header of a table; no value looks like it
            assert any(str(name) in written for name in path)
            continue
        value = tomllib.loads("v = " + written)["v"]
        assert repr(value) in map(repr, nested(at(document.data, path)))
        if isinstance(path[-1], str):
            assert re.search(rf"(^|[.'\" {{\t]){re.escape(path[-1])}['\" \t]*[=.]", text[span.key : span.start])


def test_places_by_hand():
    text = 'a = 1\nspace = { kind = "plane",\tsize = [60, 40] } # x = 3\n\n[[agents]]\n  speed = [0.3,\n 0.6]\n'
    text += "[[agents]]\n"
    document = parsed(text, "a.toml")
    assert document.at(("space", "kind")) == "a.toml:2:11"
    assert document.at(("space", "size", 1), value=True) == "a.toml:2:39"
    assert document.at(("agents", 0, "speed"), value=True) == "a.toml:5:11"
    assert document.at(("agents", 0, "speed", 1)) == "a.toml:6:2"
    assert document.at(("agents", 1)) == "a.toml:7:1"
    assert document.at(("agents", 1, "speed")) == "a.toml:7:1"  # not written: where its table begins
    assert document.at(("links", "loss")) == "a.toml:1:1"
    assert document.typed(("agents", 0, "speed")) == "[0.3, 0.6]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", "a.toml:2:5: not TOML: invalid value"),
        ("a = 1\na = 2\n", "a.toml:2:6: not TOML: cannot overwrite a value"),
        ("[tasks\nrate = 3", "a.toml:1:7: not TOML: expected"),
        ('a = "x', "a.toml:1:7: not TOML: unterminated string"),
        ("a = [1, 2\n", "a.toml:2:1: not TOML: unclosed array"),
    ],
)
def test_what_is_no_toml_is_pointed_at(text, said):
    with pytest.raises(Refusal) as refused:
        parsed(text, "a.toml")
    assert str(refused.value).startswith(said)


@given(st.text("ab\n", max_size=30), st.data())
def test_line_and_column(text, data):
    offset = data.draw(st.integers(0, len(text)))
    line, column = line_and_column(text, offset)
    assert sum(len(row) + 1 for row in text.split("\n")[: line - 1]) + column - 1 == offset


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "fleet.toml").write_text("a = 1")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    for name, said in (
        ("flet.toml", f"no such file\n{tmp_path} holds fleet.toml"),
        ("away/fleet.toml", "there is no folder"),
        ("", "a folder, not a file"),
        ("latin.toml", "latin.toml:1:6: not UTF-8 text, found byte 0xe9\nsave the file as TOML in UTF-8"),
    ):
        with pytest.raises(Refusal) as refused:
            text_of(tmp_path / name if name else tmp_path, "TOML")
        assert said in str(refused.value)
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    document = parsed(text_of(tmp_path / "marked.toml", "TOML"), "marked.toml")
    assert document.data == {"a": 1, "b": 2} and document.at(("b",)) == "marked.toml:2:1"
