"""Claims of imperfect devices: on made-up rows in which all of them hold, each verdict turns when its rows change."""

import copy

import numpy as np
import pytest

from quorate.experiments.study import Study
from quorate.recipes.imperfect_devices.claims import CLAIMS, ON_RECORD, means, measured_learnability

CONFIGURATIONS = 6
NOISE = 1 + 0.02 * np.random.default_rng(0).standard_normal(CONFIGURATIONS)
OTHER_NOISE = 1 + 0.02 * np.random.default_rng(1).standard_normal(CONFIGURATIONS)
JUDGES = {entry.name: entry.judge for entry in CLAIMS}
SIZES = (50, 100, 1000)
EXPECTED, WONDERFUL, SEARCH = "expected_difference", "wonderful_life", "local_search"


def lines(level, of=NOISE, **where):
    """One setting's lines in the table `configurations`; columns whose names begin with `epsilon` are levels too."""
    levels = {"epsilon_mean": level, "epsilon_median": level} | {
        name: where.pop(name) for name in list(where) if name.startswith("epsilon")
    }
    return [
        {"configuration": index} | where | {name: value * noise for name, value in levels.items()}
        for index, noise in enumerate(of)
    ]


def tables():
    """Every claim of the source holds, with room to spare."""
    rows = []
    for n in SIZES:
        base = n**-0.5
        better = {50: 2, 100: 5, 1000: 60}[n]
        main = {
            "random": 30 * base,
            "team": 20 * base,
            WONDERFUL: base * {50: 0.85, 100: 1.0, 1000: 1.25}[n],
            EXPECTED: base / better,
            "annealing": 1.5 * base,
            SEARCH: base,
        }
        for method, level in main.items():
            more = {"epsilon_start": 30 * base, "epsilon_peak": 45 * base} if method == EXPECTED else {}
            noise = OTHER_NOISE if method == SEARCH else NOISE
            rows += lines(level, noise, part="main", method=method, num_agents=n, **more)
        usual = {50: 3, 100: 3, 1000: 60}[n]
        for count, times in ((1, 0.9), (usual, 1), (n, 20)):
            rows += lines(times * base / better, part="switch_on", method=EXPECTED, num_agents=n, switch_on=count)
        for fraction, times in ((0.02, 1.1), (0.05, 1.0), (0.1, 1.0), (0.25, 1.2), (0.5, 1.3)):
            rows += lines(times * base, part="sensitivity", method=SEARCH, num_agents=n, fraction=fraction)
        for preset in "abc":
            for method in (EXPECTED, WONDERFUL, "team"):
                rows += lines(main[method], part="presets", method=method, num_agents=n, preset=preset)
        if n == 1000:
            continue
        for share in (0.1, 0.2, 0.3, 0.4, 0.5):
            for manner in ("off", "frozen", "random"):
                for method, end, after, jump in (
                    (EXPECTED, 0.5, 1.1, 20),
                    (WONDERFUL, 1.5, 1.2, 20),
                    ("team", 20, 8.0, 10),
                ):
                    level = 2 * base
                    failed = {"fail_fraction": share, "fail_manner": manner, "epsilon_before": level}
                    failed |= {"part": "failures", "method": method, "num_agents": n}
                    rows += lines(end * base, **failed, epsilon_after_50=after * level, epsilon_jump=jump * level)
    learned = {("team", "any"): 0.2, ("team", "chosen"): 0.2}
    learned |= {(EXPECTED, "any"): 2.6, (EXPECTED, "chosen"): 2.6, (WONDERFUL, "any"): 1.3, (WONDERFUL, "chosen"): 1.3}
    learnability = [
        {"num_agents": 100, "utility": utility, "given": given, "learnability": value}
        for (utility, given), value in learned.items()
    ]
    return {"configurations": rows, "learnability": learnability}


WHOLE = tables()


def changed(where, times, what="epsilon_mean"):
    """The tables with one column multiplied where all of `where` hold; something must be there to change."""
    changing, found = copy.deepcopy(WHOLE), 0
    for table in changing.values():
        for row in table:
            if what in row and all(row.get(name) == value for name, value in where.items()):
                row[what] *= times
                found += 1
    assert found
    return changing


def main(method, n):
    return {"part": "main", "method": method, "num_agents": n}


def failing(method, n, share, manner="off"):
    where = {"part": "failures", "method": method, "num_agents": n}
    return where | {"fail_fraction": share, "fail_manner": manner}


def part(name, method, n, **more):
    return {"part": name, "method": method, "num_agents": n} | more


def learned(utility, given):
    return {"utility": utility, "given": given}


AFTER = "epsilon_after_50"
TURNS = [
    ("beats_search", (main(EXPECTED, 50), 3), "does not hold"),
    ("beats_search", (main(EXPECTED, 50), 2), "in part"),
    ("beats_search", (main(EXPECTED, 100), 8), "does not hold"),
    ("beats_search", (main(SEARCH, 1000), 0.01), "does not hold"),
    ("twenty_times", (main(EXPECTED, 1000), 10), "in part"),  # when tuned it still is
    ("twenty_times", (main(SEARCH, 1000), 0.1), "does not hold"),
    ("six_hundred_times", (main("team", 1000), 0.1), "in part"),
    ("six_hundred_times", (main(EXPECTED, 1000), 5), "in part"),
    ("always_best", (main("annealing", 1000), 1e-9), "holds"),  # the source does not compare it
    ("always_best", (main(WONDERFUL, 50), 0.1), "does not hold"),
    ("always_best", (main("random", 1000), 1e-4), "does not hold"),
    ("wonderful_life_beats_search", (main(WONDERFUL, 50), 2), "does not hold"),
    ("wonderful_life_beats_search", (part("presets", WONDERFUL, 50, preset="a"), 3), "in part"),
    ("wonderful_life_beats_search", (main(SEARCH, 50), 0.85), "in part"),
    ("wonderful_life_falls_behind", (main(WONDERFUL, 1000), 0.5), "does not hold"),
    ("wonderful_life_falls_behind", (main(WONDERFUL, 1000), 0.1, "epsilon_median"), "in part"),
    ("slopes", (main(EXPECTED, 1000), 100), "does not hold"),
    ("slopes", (main("team", 1000), 0.3), "in part"),
    ("slopes", (main(SEARCH, 50), 3), "in part"),
    ("slopes", (main("random", 1000), 0.01), "does not hold"),
    ("degrades_at_first", (main(EXPECTED, 1000), 0.5, "epsilon_peak"), "does not hold"),
    ("degrades_at_first", (main(EXPECTED, 1000), 1e4), "does not hold"),  # and never settles
    ("degrades_at_first", (main(EXPECTED, 1000), 1.5, "epsilon_start"), "in part"),
    ("recovers", (failing(EXPECTED, 50, 0.1), 3, AFTER), "does not hold"),
    ("recovers", (failing(WONDERFUL, 50, 0.1), 3, AFTER), "in part"),
    ("recovers", (failing("team", 50, 0.1), 0.1, AFTER), "in part"),
    ("recovers", (failing(EXPECTED, 50, 0.1), 0.08, "epsilon_jump"), "does not hold"),
    ("only_one_beats_search_after_failure", (failing(EXPECTED, 100, 0.2), 4), "does not hold"),
    ("only_one_beats_search_after_failure", (failing(WONDERFUL, 100, 0.2), 0.1), "in part"),
    ("only_one_beats_search_after_failure", (failing("team", 100, 0.2), 0.01), "in part"),
    ("only_one_beats_search_after_failure", (main(SEARCH, 100), 0.1), "does not hold"),
    ("half_failed", (failing(EXPECTED, 50, 0.5), 4), "does not hold"),
    ("half_failed", (failing(EXPECTED, 100, 0.5), 4), "does not hold"),
    ("half_failed", (failing(EXPECTED, 100, 0.5), 2), "in part"),
    ("half_failed", (failing(EXPECTED, 50, 0.5, "frozen"), 100), "holds"),  # the note only
    ("search_insensitive", (part("sensitivity", SEARCH, 1000, fraction=0.02), 3), "does not hold"),
    ("search_insensitive", (part("sensitivity", SEARCH, 1000, fraction=0.5), 0.2), "does not hold"),
    ("search_insensitive", (part("sensitivity", SEARCH, 50, fraction=0.5), 9), "holds"),
    ("no_time_for_annealing", (main("annealing", 1000), 0.5), "holds"),  # it has time at one size only
    ("no_time_for_annealing", ({"part": "main", "method": "annealing"}, 0.5), "does not hold"),
    ("half_learnability", (learned(EXPECTED, "chosen"), 1.1, "learnability"), "does not hold"),
    ("half_learnability", (learned(WONDERFUL, "any"), 1.5, "learnability"), "in part"),
    ("sudden_start_harms", (part("switch_on", EXPECTED, 1000, switch_on=1000), 0.01), "does not hold"),
    ("sudden_start_harms", (part("switch_on", EXPECTED, 50, switch_on=50), 0.05), "in part"),
    ("sudden_start_harms", (part("switch_on", EXPECTED, 50, switch_on=3), 30), "does not hold"),
]


@pytest.mark.parametrize("name", JUDGES)
def test_where_all_hold_each_holds(name):
    measured = JUDGES[name](WHOLE)
    assert measured.verdict == "holds"
    assert measured.low <= measured.value <= measured.high
    assert measured.ratio is None or 0 <= measured.ratio[1] <= measured.ratio[0] <= measured.ratio[2]
    assert measured.text and "nan" not in (measured.text + measured.note).lower()


@pytest.mark.parametrize(("name", "change", "verdict"), TURNS)
def test_a_change_turns_the_verdict(name, change, verdict):
    assert JUDGES[name](changed(*change)).verdict == verdict


def test_every_claim_is_turned():
    assert {name for name, _, verdict in TURNS if verdict != "holds"} == set(JUDGES)


@pytest.mark.parametrize("name", JUDGES)
def test_the_order_of_rows_does_not_matter(name):
    shuffled = {table: list(reversed(rows)) for table, rows in WHOLE.items()}
    assert JUDGES[name](shuffled) == JUDGES[name](WHOLE)


@pytest.mark.parametrize("name", JUDGES)
def test_the_unit_of_errors_does_not_matter(name):
    scaled = copy.deepcopy(WHOLE)
    for row in scaled["configurations"]:
        row |= {column: value * 2.0**-20 for column, value in row.items() if column.startswith("epsilon")}
    one, other = JUDGES[name](scaled), JUDGES[name](WHOLE)
    assert one.verdict == other.verdict and one.value == pytest.approx(other.value, rel=1e-9)


def test_the_strip_shows_the_measured_over_the_claimed():
    measured = JUDGES["twenty_times"](WHOLE)
    assert measured.value == pytest.approx(60, rel=0.05)
    assert measured.ratio[0] == pytest.approx(measured.value / 20)
    measured = JUDGES["search_insensitive"](WHOLE)
    assert measured.value == pytest.approx(1.3) and measured.ratio[0] == pytest.approx(2 / 1.3)


def test_a_better_ending_never_loses_a_claim():
    """The source's champion, ten times better everywhere, keeps every claim that speaks for it."""
    better = changed({"method": EXPECTED}, 0.1)
    for name in ("beats_search", "twenty_times", "six_hundred_times", "always_best", "half_failed"):
        assert JUDGES[name](better).verdict == "holds"


def test_without_its_rows_learnability_is_not_judged():
    assert JUDGES["half_learnability"]({"configurations": WHOLE["configurations"]}) is None


def test_each_claim_is_on_record_with_a_value():
    assert list(JUDGES) and set(JUDGES) == set(ON_RECORD) and len(CLAIMS) == len(JUDGES)
    for entry in CLAIMS:
        verdict, value = entry.recorded
        assert entry.recorded == ON_RECORD[entry.name] and entry.where and entry.words
        assert verdict in ("holds", "in part", "does not hold") and isinstance(value, float)


def test_means_are_in_order_of_configuration_or_empty():
    assert means(WHOLE, **main(EXPECTED, 50)).shape == (CONFIGURATIONS,)
    backwards = {"configurations": WHOLE["configurations"][::-1]}
    assert np.array_equal(means(backwards, **main(EXPECTED, 50)), means(WHOLE, **main(EXPECTED, 50)))
    assert means(WHOLE, part="main", method="nobody").size == 0


def test_learnability_rows():
    rows = measured_learnability(Study(0), n=20)
    by = {(row["utility"], row["given"]): row["learnability"] for row in rows}
    assert len(rows) == len(by) == 6 and {row["num_agents"] for row in rows} == {20}
    assert by[EXPECTED, "chosen"] / by[WONDERFUL, "chosen"] == pytest.approx(2, abs=0.01)
    assert by["team", "any"] < by[EXPECTED, "any"]
