"""Coordination of many agents that may fail, lie or leave: simulated at scale, checked exactly, run for real.

    import quorate
    result = quorate.run("imperfect_devices", num_agents=[50, 100], configurations=5, runs=10, seed=3)
    print(result.verdict)

Everything is imported on first use, so that `import quorate` is free.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "run": "quorate.front",
    "compare": "quorate.front",
    "Result": "quorate.front",
    "RECIPES": "quorate.recipes",
    "Scenario": "quorate.core",
    "Refusal": "quorate.errors",
    "WORLDS": "quorate.worlds",
    "UTILITIES": "quorate.utilities",
    "LEARNERS": "quorate.learners",
    "FAULTS": "quorate.faults",
    "MONITORS": "quorate.monitors",
    "PROTOCOLS": "quorate.protocols",
    "MECHANISMS": "quorate.protocols.mechanisms",
    "DEVICE_SOLVERS": "quorate.solvers",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'quorate' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
