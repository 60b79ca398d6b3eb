"""The fleet world: agents travel to places where tasks wait, and whoever is there first serves."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core import AggregativeWorld, At, Key, Outlook, Places, static, swept
from quorate.errors import Refusal
from quorate.numerics.once import once as made
from quorate.worlds.fleet.candidates import Candidates
from quorate.worlds.fleet.service import Crew, crews
from quorate.worlds.fleet.space import FORGIVEN, Space
from quorate.worlds.fleet.state import ABSENT, ACTIVE, BLOCKED, DONE, EXPIRED, OPEN, FleetState, Tallies
from quorate.worlds.fleet.tasks import Source, Tasks
from quorate.worlds.limits import above_zero, not_negative

FAR_AWAY = 2**15 - 1  # ticks to a deadline that a packed word can say
LARGEST_TEAM = 2**13


class Now(NamedTuple):
    """The tasks of this tick and what has become of them, leaves [M]."""

    tasks: Tasks
    announced: Bool[Array, " M"]  # released, real, before its deadline, predecessor done
    taken: Bool[Array, " M"]  # announced and started
    done: Bool[Array, " M"]
    ready: Bool[Array, " M"]  # may start now: announced, not taken, the place not busy with the task before


class Attempt(NamedTuple):
    """What the agents do in a tick, before it is known whose service starts."""

    place: Int[Array, " N"]  # where each heads for, -1: nowhere
    where: PyTree  # positions after the move
    moved: Float[Array, " N"]
    there: Bool[Array, " N"]  # at its place after the move
    able: Bool[Array, " N"]  # and may serve: ready task, skills, some capacity
    depot: Int[Array, " N"] | tuple
    charging: Bool[Array, " N"] | tuple


class Fleet(AggregativeWorld):
    """N agents, M places with tasks that come and go. The score is the value of the tasks that start in a tick, less
    what lateness costs.

        G = sum over places j of (v_j + late (t + u_j - due_j)+) [open_j and units_j >= team_j]

    with v value, u duration, units_j the capacity of the free, skilled agents that are at j after this tick's move.
    An action is the place to head for, or -1 to stay.

    space        `Plane` or `Graph`, with the places and depots
    source       `Arrivals` or `Trace`
    home         positions at the start
    speed        f32[N], distance a tick
    skills       i32[N], bit mask; a task that needs bits asks for all of them
    capacity     i32[N], units that an agent brings to a team
    sight        f32[N], radius within which it sees that a task is taken; inf is allowed
    drain        f32[N], energy (of 1) for a unit of distance; charge: gained a tick at a depot; reserve: below it the
                 world sends the agent to the nearest depot, where it stays until full
    powered      static; False leaves energy out, at no cost
    health       f32[N] in [0, 1), fixed for life
    travel_cost  what a tick of travel costs in `Outlook.worth` and in `own`; it is no part of G
    late         what a tick of lateness adds to the score, not above 0
    candidates   the K places to choose from, by cell

    One tick (t counts from 0). Tasks turn over; free agents (not serving, not on the way to a depot, energy not below
    the reserve) act; who acts moves min(distance, speed). A task that is open starts in the tick in which units enough
    for its team are at its place. Of those there, who came first serves (among equals the smallest id), as many as the
    team takes; then they are busy until t + duration and free again at the place. The others' trips are wasted. A
    place serves one task at a time: the next, though announced, waits until the one before is done. Nobody serves
    what has not started by the end of tick `deadline`.

    Everybody knows each announced task; that it is taken is seen only within `sight`. `demand` counts tasks announced
    and not done (whether an agent is on it is not known far away) by region.

    Shapes: actions i32[N]. Cost O(M + N K) a tick; the gathers over [N, K] and the hashes over M are the most of it.
    Errors: Refusal for lists that do not fit, a speed, capacity or travel cost out of range, `late` above 0 and energy
    without depots.
    Reference: ours; the parts are those of dynamic task allocation (B. Gerkey and M. Mataric, IJRR 23:939, 2004).
    """

    space: Space = eqx.field(kw_only=True)
    source: Source = eqx.field(kw_only=True)
    home: PyTree = eqx.field(kw_only=True)
    candidates: Candidates = eqx.field(kw_only=True)
    speed: Float[Array, " N"] = swept()
    skills: Int[Array, " N"] = swept(jnp.int32)
    capacity: Int[Array, " N"] = swept(jnp.int32)
    sight: Float[Array, " N"] = swept()
    drain: Float[Array, " N"] = swept()
    charge: Float[Array, " N"] = swept()
    reserve: Float[Array, " N"] = swept()
    health: Float[Array, " N"] = swept()
    travel_cost: Float[Array, ""] = swept(default=0.05)
    late: Float[Array, ""] = swept(default=0.0)
    powered: bool = static(False)

    def __check_init__(self):
        for name in ("skills", "capacity", "sight", "drain", "charge", "reserve", "health"):
            if getattr(self, name).shape != self.speed.shape:
                raise Refusal(
                    f"{name} has shape {getattr(self, name).shape} and speed {self.speed.shape}; one an agent"
                )
        if self.source.largest > LARGEST_TEAM:
            raise Refusal(f"a task asks for a team of {self.source.largest}; a team has at most {LARGEST_TEAM} units")
        if self.source.places != self.space.places:
            raise Refusal(f"the source has {self.source.places} places and the space {self.space.places}")
        above_zero(speed=self.speed)
        not_negative(capacity=self.capacity, drain=self.drain, charge=self.charge, reserve=self.reserve)
        not_negative(travel_cost=self.travel_cost)
        if not isinstance(self.late, jax.core.Tracer) and np.any(np.asarray(self.late) > 0):
            raise Refusal(f"late is {self.late}; it is what a tick of lateness adds to the score, at most 0")
        if self.powered and not self.space.depots:
            raise Refusal("energy drains and there is no depot")

    @property
    def num_agents(self) -> int:
        return self.speed.shape[-1]

    @property
    def num_actions(self) -> int:
        return self.source.places

    @property
    def options(self) -> int:
        """K."""
        return self.candidates.options

    @property
    def regions(self) -> int:
        return self.space.regions

    def idle(self, state: FleetState) -> Int[Array, " N"]:
        return jnp.full(self.num_agents, -1, jnp.int32)

    def reset(self, key: Key) -> FleetState:
        """All at home with full energy; the key decides which tasks will come."""
        n, m = self.num_agents, self.num_actions
        zero, none, nothing = jnp.zeros(n, jnp.int32), jnp.full(n, -1, jnp.int32), jnp.int32(0)
        sums = jnp.float32(0)
        tallies = Tallies(nothing, nothing, nothing, sums, sums, sums, nothing, jnp.zeros(n, jnp.float32), zero)
        return FleetState(
            t=nothing,
            seed=jax.random.bits(key, (2,), jnp.uint32),
            where=self.home,
            heading=none,
            task=none,
            waited=zero,
            serving=none,
            until=zero,
            energy=jnp.ones(n, jnp.float32) if self.powered else (),
            depot=none if self.powered else (),
            last=jnp.full(m, -1, jnp.int32),
            finish=jnp.zeros(m, jnp.int32),
            tallies=tallies,
        )

    # ------------------------------------------------------------------------------------------------- what there is

    def tasks(self, state: FleetState) -> Tasks:
        """The task of each place at this tick, announced or not."""
        return self.source.tasks(state.seed, state.t)

    def position(self, state: FleetState) -> Float[Array, "2 N"]:
        """Coordinates of the agents."""
        return self.space.position(state.where)

    def status(self, state: FleetState) -> Int[Array, " M"]:
        """What has become of each place's present task, i8, an index of `STATUS`: absent (not released, or none),
        blocked (released, its predecessor is not done), open, active, done, expired (never started)."""
        now = self._now(state)
        released = now.tasks.real & (now.tasks.release <= state.t)
        over = state.t > now.tasks.deadline
        code = jnp.where(over, EXPIRED, jnp.where(now.announced, OPEN, BLOCKED))
        code = jnp.where(state.last == now.tasks.number, jnp.where(now.done, DONE, ACTIVE), code)
        return jnp.where(released, code, ABSENT).astype(jnp.int8)

    def _now(self, state: FleetState) -> Now:
        tasks = self.tasks(state)
        released = tasks.real & (tasks.release <= state.t)
        taken = state.last == tasks.number
        idle = state.finish <= state.t
        announced = released & (state.t <= tasks.deadline)
        if self.source.chained:
            before = jnp.maximum(tasks.after, 0)
            announced &= (tasks.after < 0) | (taken & idle)[before]
        return Now(tasks, announced, taken & announced, taken & idle, announced & ~taken & idle)

    def _free(self, state: FleetState) -> Bool[Array, " N"]:
        free = state.until <= state.t
        return free & (state.depot < 0) & (state.energy >= self.reserve) if self.powered else free

    # ------------------------------------------------------------------------------------------------ what they see

    def observe(self, key: Key, state: FleetState) -> Outlook:
        now, space, t = made(self._now(state)), self.space, state.t
        left = jnp.where(now.announced, jnp.clip(now.tasks.deadline - t + 1, 0, FAR_AWAY), 0)
        packed = left | (now.taken.astype(jnp.int32) << 15) | (now.tasks.team << 16)  # one gather for the three
        free = self._free(state)

        once = jax.lax.optimization_barrier  # or the compiler repeats a gather for each of its uses
        place = once(self.candidates.rows(space.cell(state.where), t))
        listed = jnp.maximum(place, 0)
        distance = once(space.distance(state.where, space.spot(listed)))
        eta = distance / self.speed[:, None]
        about = once(packed[listed])
        unseen = (about & 2**15 == 0) | (distance > self.sight[:, None])
        time = about & FAR_AWAY
        open_ = (place >= 0) & unseen & (time > 0) & (eta <= time.astype(jnp.float32) + (FORGIVEN - 1))
        if self.source.needy:
            open_ &= now.tasks.need[listed] & ~self.skills[:, None] == 0
        if self.powered:
            open_ &= distance * self.drain[:, None] <= state.energy[:, None]
        worth = now.tasks.value[listed] - self.travel_cost * eta

        head = jnp.maximum(state.heading, 0)
        ahead = packed[head]
        way = space.distance(state.where, space.spot(head))
        serving = jnp.where(state.until > t, state.serving, -1)
        goes = state.heading >= 0
        there = goes & (now.tasks.number[head] == state.task) & (ahead & FAR_AWAY > 0)
        region = space.region(state.where)
        waiting = (now.announced & ~now.done).astype(jnp.float32)
        demand = jax.ops.segment_sum(waiting, space.region_of_place(), space.regions)
        return Outlook(
            place=place,
            worth=jnp.where(open_, worth, 0),
            open=open_,
            number=now.tasks.number[listed],
            eta=eta,
            team=about >> 16,
            free=free,
            heading=state.heading,
            task=jnp.where(goes | (serving >= 0), state.task, -1),
            left=jnp.where(goes, way / self.speed, 0),
            valid=there & ((ahead & 2**15 == 0) | (way > self.sight)),
            waited=state.waited,
            serving=serving,
            served=jnp.where((state.until == t) & (state.serving >= 0), state.serving, -1),
            region=region,
            demand=demand[region],
            capacity=self.capacity,
            health=self.health,
            t=jnp.broadcast_to(t, (self.num_agents,)),
        )

    # -------------------------------------------------------------------------------------------- what actions do

    def _attempt(self, state: FleetState, now: Now, actions: Int[Array, " N"]) -> Attempt:
        free = self._free(state)
        place = jnp.where(free, actions, -1)
        goal = jnp.maximum(place, 0)
        spot, go, stride, depot = self.space.spot(goal), place >= 0, self.speed, ()
        if self.powered:
            low = (state.until <= state.t) & (state.depot < 0) & (state.energy < self.reserve)
            depot = jnp.where(low, self.space.nearest_depot(state.where), state.depot)
            spot = self.space.choose(depot >= 0, self.space.depot_spot(jnp.maximum(depot, 0)), spot)
            go |= depot >= 0
            range_ = state.energy / jnp.where(self.drain > 0, self.drain, 1)
            stride = jnp.where(self.drain > 0, jnp.minimum(stride, range_), stride)
        where, moved, arrived = self.space.move(state.where, spot, stride, go)
        there = arrived & (place >= 0)
        able = there & now.ready[goal] & (self.capacity > 0)
        if self.source.needy:
            able &= now.tasks.need[goal] & ~self.skills == 0
        return Attempt(place, where, moved, there, able, depot, arrived & (depot >= 0) if self.powered else ())

    def _crew(self, state: FleetState, now: Now, attempt: Attempt) -> Crew:
        waited = jnp.where(attempt.place == state.heading, state.waited, 0)
        return crews(attempt.place, attempt.able, waited, self.capacity, now.tasks.team, self.source.largest)

    def _prize(self, state: FleetState, now: Now) -> Float[Array, " M"]:
        """What the score gains when each place's task starts now."""
        lateness = jnp.maximum(state.t + now.tasks.duration - now.tasks.due, 0)
        return now.tasks.value + self.late * lateness.astype(jnp.float32)

    def step(self, key: Key, state: FleetState, actions: Int[Array, " N"]) -> FleetState:
        now = self._now(state)
        t, tasks = state.t, now.tasks
        attempt = self._attempt(state, now, actions)
        crew = self._crew(state, now, attempt)
        place, goal = attempt.place, jnp.maximum(attempt.place, 0)
        waited = jnp.where(place == state.heading, state.waited, 0)
        finish = jnp.where(crew.starts, t + tasks.duration, state.finish)
        released = tasks.real & (tasks.release == t)
        expired = (
            tasks.real & (tasks.release <= t) & (tasks.deadline == t) & (state.last != tasks.number) & ~crew.starts
        )
        late = jnp.where(crew.starts, jnp.maximum(finish - tasks.due, 0), 0)
        missed = (attempt.there & (waited == 0) & now.taken[goal]) | (attempt.able & crew.starts[goal] & ~crew.member)
        old = state.tallies
        tallies = Tallies(
            offered=old.offered + jnp.sum(released, dtype=jnp.int32),
            started=old.started + jnp.sum(crew.starts, dtype=jnp.int32),
            expired=old.expired + jnp.sum(expired, dtype=jnp.int32),
            value_offered=old.value_offered + jnp.sum(jnp.where(released, tasks.value, 0)),
            value_served=old.value_served + jnp.sum(jnp.where(crew.starts, tasks.value, 0)),
            late=old.late + jnp.sum(late).astype(jnp.float32),
            waste=old.waste + jnp.sum(missed, dtype=jnp.int32),
            served=old.served + crew.share * tasks.value[goal],
            starts=old.starts + crew.member.astype(jnp.int32),
        )
        energy, depot = state.energy, attempt.depot
        if self.powered:
            energy = jnp.maximum(energy - self.drain * attempt.moved, 0)
            energy = jnp.where(attempt.charging, jnp.minimum(energy + self.charge, 1), energy)
            depot = jnp.where(attempt.charging & (energy >= 1), -1, depot)
        goes = (place >= 0) & ~crew.member
        return FleetState(
            t=t + 1,
            seed=state.seed,
            where=attempt.where,
            heading=jnp.where(goes, place, -1),
            task=jnp.where(place >= 0, tasks.number[goal], state.task),
            waited=jnp.where(attempt.there & ~crew.member, waited + 1, 0),
            serving=jnp.where(crew.member, place, state.serving),
            until=jnp.where(crew.member, finish[goal], state.until),
            energy=energy,
            depot=depot,
            last=jnp.where(crew.starts, tasks.number, state.last),
            finish=finish,
            tallies=tallies,
        )

    # ------------------------------------------------------------------------------------------------ what it is worth

    def parts(self, state: FleetState, actions: Int[Array, " N"]) -> At:
        """The units each agent brings to its place in this tick."""
        attempt = self._attempt(state, self._now(state), actions)
        units = jnp.where(attempt.able, self.capacity, 0).astype(jnp.float32)
        return At(jnp.maximum(attempt.place, 0), units, self.num_actions)

    def value(self, state: FleetState, total: Places) -> Float[Array, "..."]:
        now = self._now(state)
        prize, team = self._prize(state, now), now.tasks.team.astype(jnp.float32)
        return total.sum(lambda place, units: jnp.where(units >= team[place], prize[place], 0))

    def own(self, state: FleetState, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """Its share, by units, of what it helps to start, less the cost of this tick's way."""
        now = self._now(state)
        attempt = self._attempt(state, now, actions)
        share = self._crew(state, now, attempt).share * self._prize(state, now)[jnp.maximum(attempt.place, 0)]
        return share - self.travel_cost * attempt.moved / self.speed
