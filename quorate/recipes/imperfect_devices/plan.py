"""What the source's whole study plays: figures 1 to 8, the presets, the sensitivity, the switch-on, and sizes the
source did not reach."""

from dataclasses import replace

from quorate.recipes.imperfect_devices.cells import METHODS, Cell
from quorate.solvers import DEVICE_SOLVERS

SIZES = (50, 100, 1000)
PAID = ("expected_difference", "wonderful_life", "team")


def main_part(sizes: tuple[int, ...], base: Cell) -> dict[str, list[Cell]]:
    """Every method and every solver at each size."""

    methods = (*METHODS, *DEVICE_SOLVERS)
    return {f"N = {n}": [replace(base, num_agents=n, method=method) for method in methods] for n in sizes}


def whole_study(base: Cell) -> dict[str, list[Cell]]:
    """The further parts of the source's study, by stage. Their sizes are the source's; figures 5 to 8 fail at tick
    100."""

    def cells(part: str, **changes) -> Cell:
        return replace(base, part=part, **changes)

    failures = [
        cells("failures", num_agents=n, method=method, fail_fraction=share, fail_manner=manner)
        for n, share, method, manner in [
            *[(50, 0.1, method, "off") for method in PAID],
            *[(100, 0.2, method, "off") for method in PAID],
            *[(n, s, "expected_difference", "off") for n in (50, 100) for s in (0.1, 0.2, 0.3, 0.4, 0.5)],
            *[(n, s, "expected_difference", m) for n in (50, 100) for s in (0.2, 0.5) for m in ("frozen", "random")],
        ]
    ]
    fewer = min(base.runs, 10)
    sensitivity = [
        cells("sensitivity", num_agents=n, method=method, memory=memory, strength=strength, runs=fewer)
        for n in SIZES
        for method, strengths in (("expected_difference", (0.3, 1.0, 1.4)), ("wonderful_life", (0.3, 1.0)))
        for memory in (0.8, 0.9, 0.95, 0.99)
        for strength in strengths
    ] + [
        cells("sensitivity", num_agents=n, method="local_search", fraction=fraction, runs=fewer)
        for n in SIZES
        for fraction in (0.02, 0.05, 0.1, 0.25, 0.5)
    ]
    presets = [
        cells("presets", num_agents=n, method=method, preset=preset)
        for preset in "abc"
        for n in SIZES
        for method in PAID
    ]
    switch_on = [
        cells("switch_on", num_agents=n, method="expected_difference", switch_on=count)
        for n, counts in ((50, (1, 3, 50)), (100, (1, 3, 100)), (1000, (20, 60, 1000)))
        for count in counts
    ]
    scaling = [
        cells("scaling", num_agents=n, method=method, preset=preset, configurations=min(base.configurations, c), runs=r)
        for n, c, r in ((10_000, 10, 2), (100_000, 4, 1), (1_000_000, 3, 1))
        for method, preset in (
            ("random", "b"),
            ("local_search", "b"),
            ("team", "b"),
            ("wonderful_life", "b"),
            ("expected_difference", "b"),
            ("expected_difference", "c"),
        )
    ]
    return {
        "failures": _once(failures),
        "presets": presets,
        "switch-on": switch_on,
        "sensitivity": sensitivity,
        "larger": scaling,
    }


def _once(cells: list[Cell]) -> list[Cell]:
    return list(dict.fromkeys(cells))
