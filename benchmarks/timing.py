"""What the benchmarks share: one core, CPU time, contenders in turn."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np


def cpu(play: Callable[[], Any]) -> float:
    began = time.process_time()
    play()
    return time.process_time() - began


def in_turn(contenders: Mapping[str, Callable[[int], Any]], rounds: int) -> dict[str, float]:
    """The median CPU seconds of each contender; all take turns in every round, after one that is not counted."""
    for play in contenders.values():
        play(0)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for seed in range(1, rounds + 1):
        for name, play in contenders.items():
            seconds[name].append(cpu(lambda play=play, seed=seed: play(seed)))
    return {name: statistics.median(values) for name, values in seconds.items()}


def verdict(name: str, value: float, unit: str, limit: float, at_least: bool = False) -> str:
    met = value >= limit if at_least else value <= limit
    sign = ">=" if at_least else "<="
    return f"  {name:<46}{value:8.2f} {unit:<2} {sign} {limit:<5g} {'met' if met else 'missed'}"


def machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"Python {sys.version.split()[0]}, jax {jax.__version__}, numpy {np.__version__}"
    return f"{cores} core{'s' * (cores != 1)}, {versions}, CPU time"


def pinned() -> None:
    """Goes on with one core only, where the system allows it. XLA counts cores as it is imported, and shares small
    kernels among threads if it finds two; so the program begins anew."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.execv(sys.executable, sys.orig_argv)
