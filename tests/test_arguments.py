"""Arguments: what is understood, and what is refused in one line that names the thing as typed."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.arguments import Choice, Count, Counts, File, Share, converted, of, whole, written
from quorate.errors import Refusal

COUNTS = Counts("agents; more about them")


@pytest.mark.parametrize(
    ("text", "value"), [("50", 50), ("1e2", 100), ("100_000", 100_000), (" 7 ", 7), (7, 7), (7.0, 7), (np.int32(7), 7)]
)
def test_whole_numbers(text, value):
    found = whole("--n", text)
    assert found == value and type(found) is int


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "1.5", "nan", "inf", "1e999", "0x10", True, None, [], 1.5, "--5", "½"]
)
def test_what_is_no_whole_number(text):
    with pytest.raises(Refusal, match=r"^--n is .+; it must be a whole number such as 50 or 1e6$"):
        whole("--n", text)


@given(st.integers(1, 2**31 - 1))
def test_a_count_is_itself(number):
    assert Count("things")("--n", str(number)) == number == Count("things")("--n", number)


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ("0", "--n is 0; it counts things and must be at least 1"),
        ("-5", "--n is -5; it counts things and must be at least 1"),
        (2**31, "--n is 2147483648; it can be at most 2147483647"),
    ],
)
def test_a_count_has_bounds(given_, told):
    with pytest.raises(Refusal) as refused:
        Count("things; and more about them")("--n", given_)
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("given_", "value"),
    [
        ("50", (50,)),
        ("50,100, 1e3", (50, 100, 1000)),
        ("20..22", (20, 21, 22)),
        ("3..3,9", (3, 9)),
        (50, (50,)),
        ([20, "1e2"], (20, 100)),
        (range(3, 6), (3, 4, 5)),
        (np.array([3, 4]), (3, 4)),
        ((n for n in (5, 6)), (5, 6)),
    ],
)
def test_counts(given_, value):
    assert COUNTS("--n", given_) == value


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ("", '--n is ""; it must be a whole number'),
        ("50,", '--n is ""; it must be a whole number'),
        ("50,50", "--n is 50,50; each number may stand there once"),
        ("5..1", "--n is 5..1; the range 5..1 is empty"),
        ("0..3", "--n is 0; it counts agents and must be at least 1"),
        ("1..", '--n is ""; it must be a whole number'),
        ("1..1e300", "--n is 1..1e300; a range may hold at most 10000 numbers"),
        ([], "--n is empty; it takes whole numbers such as 50,100"),
        (1.5, "--n is 1.5; it must be a whole number"),
        ([[1]], r"--n is [1]; it must be a whole number"),
    ],
)
def test_counts_refused(given_, told):
    with pytest.raises(Refusal) as refused:
        COUNTS("--n", given_)
    assert str(refused.value).startswith(told) and "\n" not in str(refused.value)


@pytest.mark.parametrize(("given_", "value"), [("0", 0.0), ("1", 1.0), (".25", 0.25), (0.5, 0.5)])
def test_shares(given_, value):
    assert Share("share")("--f", given_) == value


@pytest.mark.parametrize("given_", ["1.5", "-0.1", "nan", "half", "", None, "50%", 2])
def test_shares_refused(given_):
    with pytest.raises(Refusal, match=r"^--f is .+; it (must be a number from 0 to 1|is a share and must lie between)"):
        Share("share")("--f", given_)


def test_a_choice_names_the_nearest():
    law = Choice("law", ("normal", "uniform"))
    assert law("--law", "uniform") == "uniform"
    with pytest.raises(Refusal) as refused:
        law("--law", "norml")
    assert str(refused.value) == "--law is norml; it can be normal, uniform; did you mean normal?"
    for bad in ("", "Normal ", 3, None, ["normal"]):
        with pytest.raises(Refusal, match="it can be normal, uniform"):
            law("--law", bad)


def test_a_file_is_a_path():
    assert File("errors")("--devices", "a/b.csv") == Path("a/b.csv") == File("errors")("--devices", Path("a/b.csv"))
    for bad in ("", 3, ["a.csv"]):
        with pytest.raises(Refusal, match=r"^--devices is .+; it must name a file$"):
            File("errors")("--devices", bad)


def test_what_cannot_be_seen_is_quoted():
    with pytest.raises(Refusal) as refused:
        Choice("law", ("normal",))("--law", "\x1b[2J\n")
    assert str(refused.value).isprintable()


def recipe(study, *, size: Annotated[int, Count("things")] = 3, fail_at: Annotated[int | None, Count("x")] = None):
    pass


def test_arguments_are_read_off_the_signature():
    assert [(a.name, a.flag, a.default) for a in of(recipe)] == [("size", "--size", 3), ("fail_at", "--fail-at", None)]


def test_defaults_are_filled_in_and_none_stands_for_them():
    assert converted(of(recipe), {"size": None}) == {"size": 3, "fail_at": None}
    assert converted(of(recipe), {"fail_at": "1e1"}) == {"size": 3, "fail_at": 10}


def test_a_name_that_does_not_exist():
    with pytest.raises(Refusal, match=r"^no option is called fial_at; did you mean fail_at\?$"):
        converted(of(recipe), {"fial_at": 3})
    with pytest.raises(Refusal, match=r"^no option is called --fial-at; did you mean --fail-at\?$"):
        converted(of(recipe), {"fial-at": 3}, flags=True)
    with pytest.raises(Refusal, match=r"^no option is called zzz; there are size, fail_at$"):
        converted(of(recipe), {"zzz": 3})


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5, unique=True))
def test_what_is_written_is_read_again(numbers):
    assert COUNTS("--n", written(tuple(numbers))) == tuple(numbers)
    assert written(Path("a.csv")) == "a.csv" and written(0.5) == 0.5 and written(None) is None
