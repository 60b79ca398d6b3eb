"""What goes wrong. `FAULTS` holds a ready-made example of each."""

from quorate.core import Fault, NoFault
from quorate.faults.chain import Chain
from quorate.faults.channel import Bandwidth, Delay, Loss
from quorate.faults.churn import Churn
from quorate.faults.counting import AllYes, DropAtRound, RandomYes, Rushing, SilentLiars, SplitVote
from quorate.faults.crash import Crash
from quorate.faults.failing import Failing
from quorate.faults.partition import Partition
from quorate.faults.sabotage import KINDS, Saboteurs, saboteurs
from quorate.faults.scripted import Scripted

FAULTS: dict[str, Fault] = {
    "none": NoFault(),
    "failing": Failing(fraction=0.2, at=2),
    "failing_frozen": Failing(fraction=0.2, at=2, manner="frozen"),
    "failing_random": Failing(fraction=0.2, at=2, manner="random"),
    "loss": Loss(share=0.2),
    "delay": Delay(rounds=1),
    "bandwidth": Bandwidth(most=3),
    "crash": Crash(share=0.3, at=2, back=4),
    "churn": Churn(leave=0.02, join=0.1),
    "partition": Partition(at=2, lasts=50, agents=[False], places=[True]),
    **{f"saboteurs_{kind.name}": saboteurs(kind.name, share=0.1) for kind in KINDS},
    "chain": Chain(faults=(Failing(fraction=0.2, at=2), Loss(share=0.1))),
    "silent_liars": SilentLiars(extras=2),
    "all_yes": AllYes(members=1, extras=1),
    "random_yes": RandomYes(chance=0.5, members=1, extras=2),
    "split_vote": SplitVote(extras=2),
    "drop_at_round": DropAtRound(at=1, passing=1, extras=1),
    "rushing": Rushing(threshold=3, members=1, extras=1),
    "scripted": Scripted(plan=[[2], [1]], extras=2),
}

__all__ = [
    "FAULTS",
    "KINDS",
    "AllYes",
    "Bandwidth",
    "Chain",
    "Churn",
    "Crash",
    "Delay",
    "DropAtRound",
    "Failing",
    "Loss",
    "Partition",
    "RandomYes",
    "Rushing",
    "Saboteurs",
    "Scripted",
    "SilentLiars",
    "SplitVote",
    "saboteurs",
]
