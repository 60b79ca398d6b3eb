#!/bin/sh
# Two files of real or realistic devices, chosen from by coordination and by every baseline.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
data=runs/demo-data
python examples/make_diabetes.py --out "$data" >/dev/null
python examples/make_sensors.py --out "$data" >/dev/null
for name in diabetes sensors; do
    echo
    echo "== $name: 1000 devices, chosen on $data/$name-selection.csv, judged on $data/$name-test.csv"
    quorate run imperfect_devices --devices "$data/$name-selection.csv" --test "$data/$name-test.csv" --runs 6
done
