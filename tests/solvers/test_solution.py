"""What every device solver promises, one test for the whole registry at a time."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import Refusal
from quorate.solvers import DEVICE_SOLVERS
from quorate.solvers.solution import Solver, epsilon, root_mean_square

STEPS, RUNS = 6, 3
KEY = jax.random.key(5)
DRAW = np.random.default_rng(0)
SCALARS, VECTORS = DRAW.normal(size=9), DRAW.normal(size=(3, 9))
PROBLEMS = {"scalars": SCALARS, "vectors": VECTORS}
NAMED = [
    pytest.param(solver, errors, id=f"{name}-{kind}")
    for name, solver in DEVICE_SOLVERS.items()
    for kind, errors in PROBLEMS.items()
    if not solver.refuses(errors, STEPS)
]
CHOOSING = [case for case in NAMED if case.values[0].kind != "bound"]
every_case = pytest.mark.parametrize("solver, errors", NAMED)
every_choice = pytest.mark.parametrize("solver, errors", CHOOSING)


def subsets(devices: int) -> np.ndarray:
    """All subsets but the empty one."""
    return np.array(list(itertools.product([False, True], repeat=devices)))[1:]


def optimum(errors: np.ndarray) -> float:
    return epsilon(errors, subsets(errors.shape[-1])).min()


numbers = st.floats(-100, 100).map(lambda value: round(value, 6))


@given(st.lists(numbers, min_size=1, max_size=6))
def test_epsilon_is_the_exact_fraction_rounded(errors):
    for chosen in subsets(len(errors)):
        picked = [Fraction(error) for error, member in zip(errors, chosen, strict=True) if member]
        exact = abs(sum(picked)) / len(picked)
        assert epsilon(np.array(errors), chosen) == pytest.approx(float(exact), rel=2**-52, abs=0)


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=2, max_size=5))
def test_epsilon_of_vectors_is_the_root_mean_square_of_the_mean(errors):
    errors = np.array(errors)
    rows = subsets(4)
    means = np.array([errors[:, row].mean(axis=1) for row in rows])
    np.testing.assert_allclose(epsilon(errors, rows), np.sqrt((means**2).mean(axis=1)), rtol=1e-9, atol=1e-13)


def test_nobody_chosen_scores_as_the_worst_single_device():
    nobody = np.zeros(9, bool)
    assert epsilon(SCALARS, nobody) == np.abs(SCALARS).max()
    assert epsilon(VECTORS, nobody) == pytest.approx(epsilon(VECTORS, np.eye(9, dtype=bool)).max(), rel=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_squares_neither_overflow_nor_vanish(scale):
    assert root_mean_square(VECTORS * scale, axis=None) / scale == pytest.approx(np.sqrt(np.mean(VECTORS**2)))


@every_case
def test_what_is_reported_is_what_was_chosen(solver: Solver, errors):
    found = solver.solve(KEY, errors, STEPS, RUNS)
    runs = RUNS if solver.random else 1
    assert found.error.shape == (runs,) and found.error.dtype == np.float64
    assert isinstance(found.evaluations, int) and found.evaluations >= (solver.kind != "bound")
    assert found.seconds > 0
    if solver.kind == "bound":
        assert found.chosen is None
        return
    assert found.chosen.shape == (runs, 9) and found.chosen.dtype == bool
    np.testing.assert_array_equal(found.error, epsilon(errors, found.chosen))
    if found.curve is not None:
        assert found.curve.shape == (runs, STEPS)
        assert (np.diff(found.curve, axis=1) <= 0).all()
        np.testing.assert_allclose(found.curve[:, -1], found.error, rtol=1e-5, atol=1e-6)


@every_choice
def test_nobody_beats_the_optimum_and_the_exact_reach_it(solver: Solver, errors):
    draw = np.random.default_rng(1)
    for trial in range(5):
        errors = draw.normal(size=errors.shape)
        found = solver.solve(jax.random.key(trial), errors, STEPS, RUNS)
        best = optimum(errors)
        assert (found.error >= best * (1 - 1e-12)).all()
        if solver.kind == "exact":
            assert found.error[0] == best


@every_case
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_do_not_matter(solver: Solver, errors, unit):
    """The same devices are chosen whether errors are given in volts or in microvolts."""
    plain, scaled = (solver.solve(KEY, values, STEPS, RUNS) for values in (errors, errors * unit))
    np.testing.assert_allclose(scaled.error, plain.error * unit, rtol=1e-10)
    if plain.chosen is not None:
        np.testing.assert_array_equal(scaled.chosen, plain.chosen)
    if plain.curve is not None:
        np.testing.assert_allclose(scaled.curve, plain.curve * unit, rtol=1e-10)


@every_choice
def test_equal_errors_leave_nothing_to_choose(solver: Solver, errors):
    found = solver.solve(KEY, np.full_like(errors, -0.3), STEPS, RUNS)
    np.testing.assert_allclose(found.error, 0.3, rtol=1e-14)


@every_case
def test_perfect_devices_have_no_error(solver: Solver, errors):
    np.testing.assert_array_equal(solver.solve(KEY, np.zeros_like(errors), STEPS, RUNS).error, 0)


@pytest.mark.parametrize(  # compiled solvers with one number a device only: a compilation for each size
    "solver, errors", [case for case in CHOOSING if case.values[1].ndim == 1 or not case.values[0].random]
)
@pytest.mark.parametrize("devices", [1, 2])
def test_one_and_two_devices(solver: Solver, errors, devices):
    few = errors[..., :devices]
    found = solver.solve(KEY, few, STEPS, RUNS)
    assert (found.error >= optimum(few) * (1 - 1e-12)).all()
    if devices == 1:  # with or without it, the error is that of the only device
        np.testing.assert_allclose(found.error, np.sqrt(np.mean(few**2)), rtol=1e-14)
    if not solver.random:
        assert found.chosen.any()


@pytest.mark.parametrize("name", ["local_search", "steepest_flip"])
def test_a_run_does_not_depend_on_how_many_there_are(name):
    few, many = (DEVICE_SOLVERS[name].solve(KEY, SCALARS, STEPS, runs).chosen for runs in (2, 3))
    np.testing.assert_array_equal(few, many[:2])
    other = DEVICE_SOLVERS[name].solve(jax.random.key(6), np.ones(9), STEPS, 3).chosen
    assert (other != DEVICE_SOLVERS[name].solve(KEY, np.ones(9), STEPS, 3).chosen).any()


@every_case
def test_one_calibration_point_is_one_number_a_device(solver: Solver, errors):
    row = errors.reshape(-1)[:9]
    if solver.refuses(row, STEPS):
        with pytest.raises(Refusal):
            solver.solve(KEY, row[None, :], STEPS, RUNS)
    else:
        as_row, as_vector = solver.solve(KEY, row[None, :], STEPS, RUNS), solver.solve(KEY, row, STEPS, RUNS)
        np.testing.assert_array_equal(as_row.chosen, as_vector.chosen)


@pytest.mark.parametrize(
    "errors, steps, runs, words",
    [
        (np.zeros(0), 1, 1, "errors has shape (0,)"),
        (np.zeros((2, 2, 2)), 1, 1, "errors has shape (2, 2, 2)"),
        (np.array([1.0, np.nan, np.inf]), 1, 1, "errors holds 2 numbers that are not finite"),
        (SCALARS, 0, 1, "steps is 0; it must be at least 1"),
        (SCALARS, 1, -1, "runs is -1; it must be at least 1"),
    ],
)
@pytest.mark.parametrize("name", DEVICE_SOLVERS)
def test_bad_input_is_refused_in_words(name, errors, steps, runs, words):
    with pytest.raises(Refusal) as refusal:
        DEVICE_SOLVERS[name].solve(KEY, errors, steps, runs)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "name, errors, reason",
    [
        ("largest_differencing", np.ones((120, 4)), "needs one number per device; these have 120"),
        ("meet_in_the_middle", np.ones((120, 4)), "needs one number per device; these have 120"),
        ("meet_in_the_middle", np.ones(200), "N = 200 is above 40"),
        ("relaxation", np.ones(4), "needs vectors: with one number per device the floor is 0 as soon as signs differ"),
        ("annealing_sweeps", np.ones(10**6), "200000000 flips a run are above 10000000"),
        ("greedy_selection", np.ones(10**5), "1.0e+10 multiplications are above 1e+09"),
        ("milp", np.ones(10**5), "1.0e+10 multiplications are above 1e+09"),
    ],
)
def test_solvers_say_where_they_do_not_apply(name, errors, reason):
    solver = DEVICE_SOLVERS[name]
    assert solver.refuses(errors, 200) == reason
    with pytest.raises(Refusal, match="does not apply: "):
        solver.solve(KEY, errors, 200, 1)


def test_step_methods_apply_to_any_number_of_devices_and_points():
    for name in ("random_search", "local_search", "annealing", "steepest_flip"):
        assert DEVICE_SOLVERS[name].refuses(np.ones((120, 2000)), 200) is None


def test_a_solver_without_a_search_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Solver(about="nothing")
