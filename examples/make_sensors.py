"""Writes the errors of simulated thermometers: sensors-selection.csv to choose on, sensors-test.csv to judge it.

Synthetic: every number here is assumed, none is measured. Each thermometer has an offset and a gain error of its own,
fixed for good, and adds fresh noise to every reading. Offsets and gain errors are skewed and not centred at zero, so
the mean of all thermometers is biased, but they are independent of each other, so some sets of them cancel.

    python make_sensors.py --out data
"""

import argparse
import csv
from pathlib import Path

import numpy as np

COLDEST, WARMEST = 0.0, 40.0  # degrees
NOISE = 0.3  # standard deviation of one reading, degrees


def errors(devices: int, temperatures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Reading minus truth of every thermometer at every temperature, in degrees: [devices, temperatures].

    The offset is 0.4 on average with deviation 1 and a long upper tail; the gain error, which is 0 in the middle of
    the range and full at its ends, is 0.3 on average with deviation 0.6 and the same tail.
    """
    offset = 0.4 + (random.gamma(2.0, size=devices) - 2.0) / np.sqrt(2.0)
    gain = 0.3 + 0.6 * (random.gamma(2.0, size=devices) - 2.0) / np.sqrt(2.0)
    middle = (COLDEST + WARMEST) / 2
    place = (temperatures - middle) / (WARMEST - middle)
    noise = NOISE * random.normal(size=(devices, len(temperatures)))
    return offset[:, None] + gain[:, None] * place[None, :] + noise


def write(path: Path, names: list[str], columns: list[str], cells: np.ndarray) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", *columns])
        rows.writerows([name, *(f"{cell:.6g}" for cell in row)] for name, row in zip(names, cells, strict=True))
    print(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write errors of simulated thermometers (all numbers assumed).")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where the two files go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--selection-points", type=int, default=8, help="reference temperatures to choose on")
    parser.add_argument("--test-points", type=int, default=20, help="other temperatures, to judge the choice")
    options = parser.parse_args(arguments)
    for flag, value, least in (
        ("--seed", options.seed, 0),
        ("--devices", options.devices, 2),
        ("--selection-points", options.selection_points, 2),
        ("--test-points", options.test_points, 1),
    ):
        if value < least:
            parser.error(f"{flag} is {value}; it must be at least {least}")

    random = np.random.default_rng(options.seed)
    points = options.selection_points + options.test_points
    temperatures = np.linspace(COLDEST, WARMEST, points)
    cells = errors(options.devices, temperatures, random)
    reference = np.zeros(points, bool)  # spread over the range; at these the choice is made, at the others it is judged
    reference[np.linspace(0, points - 1, options.selection_points).round().astype(int)] = True
    names = [f"thermometer {k + 1}" for k in range(options.devices)]
    columns = np.array([f"point {k + 1} at {value:.2f} degrees" for k, value in enumerate(temperatures)])
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "sensors-selection.csv", names, list(columns[reference]), cells[:, reference])
    write(options.out / "sensors-test.csv", names, list(columns[~reference]), cells[:, ~reference])


if __name__ == "__main__":
    main()
