"""What the exit codes mean."""

FINE = 0  # done, and everything is as it should be
DIFFERENT = 1  # done; a property is broken, or a claim came out otherwise than recorded
BAD_INPUT = 2  # nothing was run, nothing was written
UNSETTLED = 3  # the budget would not do
OURS = 70  # an error of quorate's own
INTERRUPTED = 130
