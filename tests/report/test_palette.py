"""Colours can be read and told apart, in both themes."""

import itertools
import re

import numpy as np
import pytest

from quorate.report.palette import DARK, LIGHT, SERIES_ROLES, TEXT_ROLES, chart_rules, chart_style, text_file, variables

THEMES = {"light": LIGHT, "dark": DARK}


def linear(colour: str) -> np.ndarray:
    """Linear sRGB of #rrggbb (IEC 61966-2-1)."""
    parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""
    dark, light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str) -> np.ndarray:
    """CIELAB under D65."""
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = matrix @ linear(colour) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_measures_on_known_colours():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.02)
    assert lab("#ff0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_the_ground(theme):
    palette = THEMES[theme]
    assert min(contrast(palette[role], palette["bg"]) for role in TEXT_ROLES) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_series_can_be_told_apart(theme):
    labs = [lab(THEMES[theme][role]) for role in SERIES_ROLES]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(labs, 2)) >= 20


def test_every_colour_that_is_used_is_defined():
    assert LIGHT.keys() == DARK.keys()
    used = set(re.findall(r"var\(--(\w+)\)", text_file("page.css") + chart_rules()))
    assert used <= LIGHT.keys() | {"sans"}
    assert all(f"--{role}:{colour};" in variables() for palette in (LIGHT, DARK) for role, colour in palette.items())
    assert "var(" not in chart_style()
