"""Writes orders.csv: one day of a delivery fleet in a small town, 300 orders, a row each. orders.toml is its fleet.

Synthetic: every number here is assumed, none is measured. Ticks are minutes from 8:00; the town is 6 x 4 km with two
depots, distances are in km. Half of the orders fall around noon or after work, most of them near the market. Some need
a skill (cool: groceries and medicine; lift: furniture, which takes two people), and one in ten is a return that can be
picked up only when the order it follows has been delivered.

    python make_orders.py --out data
"""

import argparse
import csv
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 6.0, 4.0  # km
MARKET = (2.2, 1.6)
DAY = 600  # minutes, 8:00 to 18:00
RUSHES = ((240.0, 35.0), (510.0, 30.0))  # middle and deviation of the two busy times
HEADINGS = ("id", "release", "deadline", "x", "y", "value", "needs", "team", "duration", "after")


def rows(count: int, random: np.random.Generator) -> list[list]:
    """The orders by release."""
    calm = random.uniform(0, DAY - 40, count)
    rush = np.array(RUSHES)[random.integers(0, 2, count)]
    busy = random.normal(rush[:, 0], rush[:, 1])
    release = np.sort(np.clip(np.where(random.random(count) < 0.5, busy, calm), 0, DAY - 40)).astype(int)
    near = random.random(count) < 0.6
    x = np.where(near, random.normal(MARKET[0], 0.7, count), random.uniform(0, WIDTH, count)).clip(0, WIDTH)
    y = np.where(near, random.normal(MARKET[1], 0.5, count), random.uniform(0, HEIGHT, count)).clip(0, HEIGHT)
    kind = random.choice(("", "cool", "lift"), count, p=(0.6, 0.25, 0.15))
    found: list[list] = []
    for index in range(count):
        slack = int(random.integers(15, 46))
        value = random.uniform(0.5, 1.5) * (2 if kind[index] == "lift" else 1)
        duration = int(random.integers(8, 16)) if kind[index] == "lift" else int(random.integers(2, 7))
        after = ""
        early = [row for row in found if row[1] > release[index] - 60 and not row[-1] and not row[6]]
        if early and not kind[index] and random.random() < 0.17:  # about one order in ten
            first = early[int(random.integers(len(early)))]
            after = first[0]
            slack = max(slack, first[2] - int(release[index]) + 30)
            x[index], y[index] = first[3], first[4]
        row = [f"order {index + 1}", int(release[index]), int(release[index]) + slack]
        row += [round(float(x[index]), 2), round(float(y[index]), 2), round(float(value), 2)]
        found.append([*row, str(kind[index]), 2 if kind[index] == "lift" else 1, duration, after])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the orders of a delivery fleet (all numbers assumed).")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where the file goes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--orders", type=int, default=300)
    options = parser.parse_args(arguments)
    for flag, value, least in (("--seed", options.seed, 0), ("--orders", options.orders, 1)):
        if value < least:
            parser.error(f"{flag} is {value}; it must be at least {least}")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "orders.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file, lineterminator="\n")
        sheet.writerow(HEADINGS)
        sheet.writerows(rows(options.orders, np.random.default_rng(options.seed)))
    print(path)


if __name__ == "__main__":
    main()
