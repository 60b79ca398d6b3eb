"""Writes the errors of small regressors: diabetes-selection.csv to choose on, diabetes-test.csv to judge it.

The data are scikit-learn's bundled diabetes set (442 patients, 10 measurements, progression after a year from 25 to
346); nothing is downloaded. Half of the patients train the regressors, a quarter is for choosing among them, a
quarter is kept for the test. Each regressor is a shallow tree, a linear model or nearest neighbours, on a few
measurements and a bootstrap sample of the training part.

    python make_diabetes.py --out data
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

try:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor
except ModuleNotFoundError:
    print("error  make_diabetes.py needs scikit-learn; install it with: pip install scikit-learn", file=sys.stderr)
    sys.exit(2)


def split(patients: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The patients of the training, selection and test parts: at random a half, a quarter, a quarter, none shared."""
    order = random.permutation(patients)
    train, select = patients // 2, patients // 4
    return np.sort(order[:train]), np.sort(order[train : train + select]), np.sort(order[train + select :])


def regressor(random: np.random.Generator):
    """A small regressor of a random kind and its name: (name, model)."""
    kind = random.integers(3)
    if kind == 0:
        depth = int(random.integers(1, 6))
        return f"tree depth {depth}", DecisionTreeRegressor(max_depth=depth, random_state=int(random.integers(2**31)))
    if kind == 1:
        strength = float(10 ** random.uniform(-3, 1))
        return f"linear {strength:.2g}", Ridge(alpha=strength)
    neighbours = int(random.integers(3, 31))
    return f"neighbours {neighbours}", KNeighborsRegressor(neighbours)


def train_all(devices: int, patients: np.ndarray, answers: np.ndarray, train: np.ndarray, random: np.random.Generator):
    """Names and the predictions [devices, patients] of regressors trained on the patients `train` only."""
    names, predictions = [], np.empty((devices, len(answers)))
    for device in range(devices):
        kind, model = regressor(random)
        measurements = random.choice(patients.shape[1], size=random.integers(1, 7), replace=False)
        sample = random.choice(train, size=random.integers(len(train) // 3, len(train) + 1))
        model.fit(patients[np.ix_(sample, measurements)], answers[sample])
        predictions[device] = model.predict(patients[:, measurements])
        names.append(f"{device + 1} {kind}")
    return names, predictions


def write(path: Path, names: list[str], columns: list[str], cells: np.ndarray) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", *columns])
        rows.writerows([name, *(f"{cell:.6g}" for cell in row)] for name, row in zip(names, cells, strict=True))
    print(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write errors of small regressors on the bundled diabetes data.")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where the two files go")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the regressors")
    parser.add_argument("--devices", type=int, default=1000, help="how many regressors")
    options = parser.parse_args(arguments)
    if options.devices < 2:
        parser.error(f"--devices is {options.devices}; it must be at least 2")
    if options.seed < 0:
        parser.error(f"--seed is {options.seed}; it must be at least 0")

    random = np.random.default_rng(options.seed)
    patients, answers = load_diabetes(return_X_y=True)
    train, select, test = split(len(answers), random)
    names, predictions = train_all(options.devices, patients, answers, train, random)
    errors = predictions - answers[None, :]
    options.out.mkdir(parents=True, exist_ok=True)
    for part, chosen in (("selection", select), ("test", test)):
        path = options.out / f"diabetes-{part}.csv"
        write(path, names, [f"patient {k + 1}" for k in chosen], errors[:, chosen])


if __name__ == "__main__":
    main()
