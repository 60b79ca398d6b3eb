import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import testing
from quorate.errors import Refusal
from quorate.worlds import fleet
from tests.worlds.fleet.instances import (
    AGENTS,
    COORDINATES,
    EDGES,
    LENGTHS,
    PLACES,
    lives,
    on_graph,
    on_plane,
    play,
    position,
    random_actions,
    traits,
)
from tests.worlds.fleet.twin import GraphWalker, PlaneWalker, Twin

TICKS = 24


def follow(world, twin, actions):
    """Plays both and compares every number of every tick. Returns how many services there were."""
    of_region = np.asarray(world.space.region_of_place())
    for state, seen, tasks, score, after in play(world, actions):
        worth, left = np.zeros(seen.place.shape), np.zeros(world.num_agents)
        for i in range(world.num_agents):
            agent = twin.agents[i]
            for k, j in enumerate(seen.place[i]):
                opens, worth[i, k] = twin.option(tasks, i, j) if j >= 0 else (False, 0.0)
                assert seen.open[i, k] == opens
                assert j < 0 or seen.number[i, k] == tasks.number[j] and seen.team[i, k] == tasks.team[j]
            assert seen.free[i] == twin.free(agent, i)
            assert seen.valid[i] == twin.valid(tasks, i)
            assert seen.serving[i] == (-1 if agent["serving"] is None else agent["serving"][0])
            left[i] = twin.walker.distance(i, twin.walker.place(agent["heading"])) if agent["heading"] >= 0 else 0
            assert seen.demand[i] == twin.demand(tasks, np.flatnonzero(of_region == seen.region[i]))
        np.testing.assert_allclose(seen.worth, worth, atol=1e-5)
        np.testing.assert_allclose(seen.left, left / twin.speed, atol=1e-5)
        np.testing.assert_allclose(score, twin.tick(tasks, actions[state.t]), atol=1e-5)
        np.testing.assert_allclose(position(world, after), twin.walker.position(), atol=1e-5)
        assert after.heading.tolist() == [agent["heading"] for agent in twin.agents]
        assert after.waited.tolist() == [agent["waited"] for agent in twin.agents]
        counts = after.tallies
        assert (counts.offered, counts.started) == (twin.offered, len(twin.started))
        assert (counts.expired, counts.waste) == (twin.expired, twin.waste)
        np.testing.assert_allclose(counts.served, [agent["served"] for agent in twin.agents], atol=1e-5)
        if twin.powered:
            np.testing.assert_allclose(after.energy, [agent["energy"] for agent in twin.agents], atol=1e-5)
    return len(twin.started)


@pytest.mark.parametrize("powered", [False, True])
def test_a_fleet_on_a_plane_does_what_its_twin_does(powered):
    """Teams, predecessors, skills, capacities, sight, lateness: 60 random fleets."""
    services = 0
    for seed in range(30):
        world = on_plane(seed, powered=powered)
        services += follow(world, Twin(world, PlaneWalker(world)), random_actions(seed, TICKS))
    assert services > 30


def test_a_fleet_on_a_graph_does_what_its_twin_does():
    services = 0
    for seed in range(40):
        world = on_graph(seed, powered=seed % 2 == 1)
        twin = Twin(world, GraphWalker(world, EDGES, LENGTHS, COORDINATES))
        services += follow(world, twin, random_actions(seed, TICKS))
    assert services > 40


@pytest.mark.parametrize("make", [on_plane, on_graph])
def test_credit_is_what_playing_it_out_gives(make):
    """A wonderful life is what the score loses when the agent stays idle; what all get on their own account is the
    score less the cost of their ways."""
    useful = 0
    for seed in range(20):
        world, actions = make(seed), random_actions(seed, 12)
        for state, _, _, score, after in play(world, actions):
            pay, own, without = lives(world, jax.tree.map(jnp.asarray, state), jnp.asarray(actions[state.t]))
            np.testing.assert_allclose(pay, score - without, atol=1e-5)
            useful += int(np.sum(np.abs(pay) > 0.1))
            if make is on_plane:
                ways = np.linalg.norm(after.where - state.where, axis=0) / np.asarray(world.speed)
                np.testing.assert_allclose(np.sum(own), score - 0.05 * ways.sum(), atol=1e-4)
    assert useful > 10


def test_the_contract_holds_on_a_graph():
    testing.check_world(on_graph(3, powered=True))


def one_place(count, *, team=1, capacity=1, speed=1.0, home=0.0, **task):
    """Agents on a line, and one place at 2."""
    space = fleet.plane((4, 1), [[2.0], [0.0]], num_agents=count, options=1)
    home = jnp.stack([jnp.broadcast_to(jnp.asarray(home, jnp.float32), (count,)), jnp.zeros(count)])
    source = fleet.trace([0], [20], team=[team], **task)
    return fleet.assemble(
        space=space, source=source, home=home, speed=np.full(count, speed), capacity=capacity, options=1
    )


def test_the_first_to_come_serves_and_the_others_came_for_nothing():
    ticks = play(one_place(3, home=[0.0, 1.5, 1.6], duration=[2]), np.zeros((4, 3), np.int32))
    first, then = ticks[0][-1], ticks[1][-1]
    assert first.tallies.starts.tolist() == [0, 1, 0], "both arrive in this tick; the smallest id serves"
    assert int(first.tallies.waste) == 1 and float(ticks[0][3]) == 1
    assert int(then.tallies.waste) == 2 and then.tallies.starts.tolist() == [0, 1, 0]
    assert ticks[1][1].serving.tolist() == [-1, 0, -1]
    assert ticks[2][1].free.all() and int(ticks[3][-1].tallies.started) == 1


def test_a_team_takes_whom_it_needs_and_who_came_first():
    """Agent 2 waits from tick 0, agents 0 and 1 come together: two are enough."""
    ticks = play(one_place(3, team=2, home=[0.0, 0.0, 1.5]), np.zeros((2, 3), np.int32))
    assert ticks[1][0].waited.tolist() == [0, 0, 1] and int(ticks[0][-1].tallies.started) == 0
    assert ticks[1][-1].tallies.starts.tolist() == [1, 0, 1] and int(ticks[1][-1].tallies.waste) == 1
    np.testing.assert_allclose(ticks[1][-1].tallies.served, [0.5, 0, 0.5])


def test_lateness_counts_from_the_finish():
    world = one_place(1, duration=[3], due=[4], value=[2.0])
    late = fleet.assemble(space=world.space, source=world.source, home=world.home, speed=[1.0], options=1, late=-0.25)
    after = play(late, np.zeros((2, 1), np.int32))[-1]
    assert float(after[3]) == 2.0  # starts at tick 1, done at 4: in time
    slow = play(late, np.array([[-1], [-1], [0], [0]], np.int32))[-1]
    assert float(slow[3]) == 2.0 - 0.25 * 2 and float(slow[-1].tallies.late) == 2


def test_who_is_out_of_sight_believes_a_task_open():
    world = one_place(2, home=[2.0, 0.0], duration=[9])
    near, far = (
        fleet.assemble(
            space=world.space, source=world.source, home=world.home, speed=[1.0, 0.5], options=1, sight=sight
        )
        for sight in (5.0, 1.0)
    )
    for seer, believes in ((near, False), (far, True)):
        seen = play(seer, np.zeros((2, 2), np.int32))[1][1]
        assert seen.open[1, 0] == believes and seen.valid[1] == believes
        assert seen.demand[1] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speed": np.zeros(AGENTS)}, "speed is 0; it must be above 0"),
        ({"late": 0.1}, "at most 0"),
        ({"drain": 0.1}, "there is no depot"),
        ({"options": 0}, "options is 0"),
        ({"capacity": -1}, "capacity is -1"),
    ],
)
def test_what_makes_no_fleet_is_refused(change, said):
    world = on_plane(0)
    given = {"space": world.space, "source": world.source, "home": world.home} | traits(0)
    with pytest.raises(Refusal, match=said):
        fleet.assemble(**(given | change))


def test_places_of_source_and_space_must_agree():
    world = on_plane(0)
    with pytest.raises(Refusal, match=f"1 places and the space {PLACES}"):
        fleet.assemble(space=world.space, source=fleet.trace([0], [1]), home=world.home, speed=np.ones(AGENTS))
