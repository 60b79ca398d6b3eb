"""What goes wrong. `FAULTS` holds a ready-made example of each."""

from quorate.core import Fault, NoFault
from quorate.faults.chain import Chain
from quorate.faults.channel import Bandwidth, Delay, Loss
from quorate.faults.counting import AllYes, DropAtRound, RandomYes, Rushing, SilentLiars, SplitVote
from quorate.faults.failing import Failing
from quorate.faults.scripted import Scripted

FAULTS: dict[str, Fault] = {
    "none": NoFault(),
    "failing": Failing(fraction=0.2, at=2),
    "failing_frozen": Failing(fraction=0.2, at=2, manner="frozen"),
    "failing_random": Failing(fraction=0.2, at=2, manner="random"),
    "loss": Loss(share=0.2),
    "delay": Delay(rounds=1),
    "bandwidth": Bandwidth(most=3),
    "chain": Chain(faults=(Failing(fraction=0.2, at=2), Loss(share=0.1))),
    "silent_liars": SilentLiars(extras=2),
    "all_yes": AllYes(members=1, extras=1),
    "random_yes": RandomYes(chance=0.5, members=1, extras=2),
    "split_vote": SplitVote(extras=2),
    "drop_at_round": DropAtRound(at=1, passing=1, extras=1),
    "rushing": Rushing(threshold=3, members=1, extras=1),
    "scripted": Scripted(plan=[[2], [1]], extras=2),
}
