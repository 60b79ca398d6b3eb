"""How agents choose and improve. `LEARNERS` holds a ready-made example of each."""

from quorate.core import Learner
from quorate.learners.boltzmann import Boltzmann
from quorate.learners.uniform import Uniform

LEARNERS: dict[str, Learner] = {"boltzmann": Boltzmann(temperature=0.01), "uniform": Uniform()}
