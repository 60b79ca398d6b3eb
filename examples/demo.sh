#!/bin/sh
# What `make demo` runs: a vote against liars, solved exactly and run between processes; then two files of real or
# realistic devices, chosen from by coordination and by every baseline.
set -eu
cd "$(dirname "$0")/.."
data=runs/demo-data
python examples/make_diabetes.py --out "$data" >/dev/null
python examples/make_sensors.py --out "$data" >/dev/null
echo "== can liars break a vote of seven? Two of them, then three"
quorate verify hidden_stop_vote --n 7 --k 4 --t 2
echo
quorate verify hidden_stop_vote --n 7 --k 4 --t 3 --margin 2 --report || test $? -eq 1
echo
echo "== the same vote between processes, a liar among them, one message in twenty lost"
quorate live hidden_stop_vote --nodes 8 --byzantine 1 --k 3 --drop 0.05 --decisions 5
for name in diabetes sensors; do
    echo
    echo "== $name: 1000 devices, chosen on $data/$name-selection.csv, judged on $data/$name-test.csv"
    quorate run imperfect_devices --devices "$data/$name-selection.csv" --test "$data/$name-test.csv" --runs 6
done
echo
echo "Open the reports in a browser. Whole studies with their claims judged: quorate run imperfect_devices, quorate run ibgp"
