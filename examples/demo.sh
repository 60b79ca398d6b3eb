#!/bin/sh
# What `make demo` runs: which coordination mechanism holds for a day of New York's flights, with few draws and five
# mechanisms; then what else there is to ask. FULL=1 also chooses among devices and verifies a vote.
set -eu
cd "$(dirname "$0")/.."
echo "== New York, 2 October 2013: which coordination mechanism holds for its aircraft?"
quorate compare examples/flights.toml --mechanisms alone,central,claim,contract_net,auction \
    --conditions calm,described,loss_0.3 --seeds 3
echo
echo "Open the report in a browser. The whole table, nine mechanisms under nine conditions, 20 draws each (growth 4):"
echo "  quorate compare examples/flights.toml"
if test "${FULL:-}" = ""; then
    echo
    echo "Next, each well under a minute (or all of them: FULL=1 make demo)"
    echo "  quorate verify hidden_stop_vote --n 7 --k 4 --t 2                 can two liars break a vote of seven?"
    echo "  quorate live hidden_stop_vote --nodes 8 --byzantine 1 --k 3       the same vote between processes"
    echo "  sh examples/devices.sh                                            a thousand devices choose among themselves"
    exit 0
fi
echo
echo "== can liars break a vote of seven? Two of them, then three"
quorate verify hidden_stop_vote --n 7 --k 4 --t 2
echo
quorate verify hidden_stop_vote --n 7 --k 4 --t 3 --margin 2 --report || test $? -eq 1
echo
echo "== the same vote between processes, a liar among them, one message in twenty lost"
quorate live hidden_stop_vote --nodes 8 --byzantine 1 --k 3 --drop 0.05 --decisions 5
sh examples/devices.sh
