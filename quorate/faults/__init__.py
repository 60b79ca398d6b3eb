"""What goes wrong. `FAULTS` holds a ready-made example of each."""

from quorate.core import Fault, NoFault
from quorate.faults.failing import Failing

FAULTS: dict[str, Fault] = {
    "none": NoFault(),
    "failing": Failing(fraction=0.2, at=2),
    "failing_frozen": Failing(fraction=0.2, at=2, manner="frozen"),
    "failing_random": Failing(fraction=0.2, at=2, manner="random"),
}
