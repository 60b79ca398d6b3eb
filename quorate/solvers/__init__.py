"""What a central planner or a mathematician would do: baselines, optima, bounds. They never see a learner."""

from collections.abc import Callable

from quorate.solvers import bar, braess, gaussian_squeeze, servers
from quorate.solvers.annealing import Annealing
from quorate.solvers.collectives import Optimum
from quorate.solvers.greedy_selection import GreedySelection
from quorate.solvers.largest_differencing import LargestDifferencing
from quorate.solvers.local_search import LocalSearch, RandomSearch
from quorate.solvers.meet_in_the_middle import MeetInTheMiddle
from quorate.solvers.milp import Milp
from quorate.solvers.relaxation import Relaxation
from quorate.solvers.solution import Solver
from quorate.solvers.steepest_flip import SteepestFlip

DEVICE_SOLVERS: dict[str, Solver] = {
    "random_search": RandomSearch(),
    "local_search": LocalSearch(),
    "annealing": Annealing(),
    "annealing_sweeps": Annealing(sweeps=True, about="simulated annealing, N flips a step"),
    "steepest_flip": SteepestFlip(),
    "greedy_selection": GreedySelection(),
    "largest_differencing": LargestDifferencing(),
    "milp": Milp(),
    "meet_in_the_middle": MeetInTheMiddle(),
    "relaxation": Relaxation(),
}

# The best joint action of a world of the same name, exactly.
OPTIMA: dict[str, Callable[..., Optimum]] = {
    "bar": bar.optimum,
    "gaussian_squeeze": gaussian_squeeze.optimum,
    "braess": braess.optimum,
    "servers": servers.optimum,
}
