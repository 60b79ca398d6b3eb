"""Cases of a parametrised test that are left to `make proof`."""

from typing import Any

import pytest


def later(*cases: Any) -> list:
    """The cases, marked slow: each compiles a program of its own for what another case of its test shows as well.

    >>> [len(case.marks) for case in later("one", ("two", 2))]
    [1, 1]
    """
    return [pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.slow) for one in cases]
