"""The colours of a report by role, and the style of its charts.

The least CIELAB distance between any two of the six series roles is 20. Text colours have a contrast of at least 4.5
with the ground. `harm` is for attackers, lies and failed claims, nothing else. The cells of a heat map are `zero` or
one of three steps of one blue; their numbers are `ink`, on the last step `onstep3`.
"""

import re
from importlib.resources import files

SERIES_ROLES = ("s1", "s2", "s3", "s4", "s5", "harm")
CHARTS = ("chart.css", "spacetime.css", "heat.css")
TEXT_ROLES = ("ink", "ink2", "accent", "ok", "mid", *SERIES_ROLES)

LIGHT = {
    "bg": "#ffffff",
    "panel": "#f6f7f9",
    "ink": "#15191e",
    "ink2": "#545c67",
    "rule": "#dfe3e8",
    "grid": "#eceff2",
    "accent": "#0a56e3",
    "s1": "#0a56e3",
    "s2": "#9f1599",
    "s3": "#523907",
    "s4": "#014939",
    "s5": "#6b727e",
    "harm": "#d23f0c",
    "ok": "#0b6b4f",
    "mid": "#8a5a00",
    "zero": "#eceff3",
    "step1": "#c3d7fb",
    "step2": "#7fa9f3",
    "step3": "#0a3fa8",
    "onstep3": "#ffffff",
}
DARK = {
    "bg": "#0f1216",
    "panel": "#171b21",
    "ink": "#e8ebef",
    "ink2": "#a2abb6",
    "rule": "#2b323b",
    "grid": "#20262d",
    "accent": "#6ea0ff",
    "s1": "#5b92ff",
    "s2": "#f29cf3",
    "s3": "#f5dd86",
    "s4": "#74ecc8",
    "s5": "#8d949d",
    "harm": "#ff6a45",
    "ok": "#4fd3a6",
    "mid": "#f0bf5a",
    "zero": "#1c2128",
    "step1": "#1d3867",
    "step2": "#3561ad",
    "step3": "#9dc0ff",
    "onstep3": "#0b1220",
}
SANS = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def text_file(name: str) -> str:
    """A style or script file that belongs to this package."""
    return (files("quorate.report") / name).read_text(encoding="utf-8")


def chart_rules() -> str:
    """The style of every kind of figure, with the colours as variables."""
    return "".join(map(text_file, CHARTS))


def variables() -> str:
    """Both palettes as CSS. The system chooses until the reader does (`data-theme` on the root); print is light."""
    light = "".join(f"--{role}:{colour};" for role, colour in LIGHT.items())
    dark = "".join(f"--{role}:{colour};" for role, colour in DARK.items()) + "color-scheme:dark;"
    return (
        f":root{{{light}--sans:{SANS};color-scheme:light}}\n"
        f'@media screen and (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{dark}}}}}\n'
        f'@media screen{{:root[data-theme="dark"]{{{dark}}}}}\n'
    )


def chart_style() -> str:
    """The rules of all figures with the light colours written in, for an SVG that stands alone.

    >>> "var(" in chart_style(), LIGHT["harm"] in chart_style()
    (False, True)
    """
    return re.sub(r"var\(--(\w+)\)", lambda match: SANS if match[1] == "sans" else LIGHT[match[1]], chart_rules())
