"""The fleet's tick once more, with dictionaries and loops, written from the rules."""

import numpy as np


class Twin:
    """One fleet on the plane or a graph. The space only says how far it is and where a step leads."""

    def __init__(self, world, walker):
        self.speed, self.skills = np.asarray(world.speed), np.asarray(world.skills)
        self.capacity, self.sight = np.asarray(world.capacity), np.asarray(world.sight)
        self.drain, self.charge, self.reserve = (np.asarray(x) for x in (world.drain, world.charge, world.reserve))
        self.late, self.cost = float(world.late), float(world.travel_cost)
        self.walker, self.powered, self.n = walker, world.powered, world.num_agents
        self.agents = [
            {"heading": -1, "task": -1, "waited": 0, "serving": None, "energy": 1.0, "depot": None, "served": 0.0}
            for _ in range(self.n)
        ]
        self.started = {}  # (place, number) -> tick at which it is done
        self.t, self.waste, self.expired, self.offered = 0, 0, 0, 0

    def announced(self, tasks, j):
        after = tasks.after[j]
        done = after < 0 or self.started.get((after, tasks.number[after]), np.inf) <= self.t
        return bool(tasks.real[j] and tasks.release[j] <= self.t <= tasks.deadline[j] and done)

    def free(self, agent, i):
        tired = self.powered and (agent["depot"] is not None or agent["energy"] < self.reserve[i])
        return agent["serving"] is None and not tired

    def sees_taken(self, tasks, i, j, far):
        return (j, tasks.number[j]) in self.started and far <= self.sight[i]

    def option(self, tasks, i, j):
        """(open, worth) of place j for agent i."""
        far = self.walker.distance(i, self.walker.place(j))
        eta = far / self.speed[i]
        skilled = tasks.need[j] & ~self.skills[i] == 0
        in_time = eta <= tasks.deadline[j] - self.t + 1.001
        charged = not self.powered or far * self.drain[i] <= self.agents[i]["energy"]
        unseen = not self.sees_taken(tasks, i, j, far)
        if self.announced(tasks, j) and skilled and in_time and charged and unseen:
            return True, tasks.value[j] - self.cost * eta
        return False, 0.0

    def valid(self, tasks, i):
        agent = self.agents[i]
        j = agent["heading"]
        if j < 0 or agent["task"] != tasks.number[j] or not self.announced(tasks, j):
            return False
        return not self.sees_taken(tasks, i, j, self.walker.distance(i, self.walker.place(j)))

    def demand(self, tasks, places):
        return sum(self.announced(tasks, j) and self.started.get((j, tasks.number[j]), np.inf) > self.t for j in places)

    def tick(self, tasks, actions):
        """The score of the tick."""
        t, queue, arrivals = self.t, {}, []
        busy = {place for (place, _), done in self.started.items() if done > t}
        for j in range(len(tasks.number)):
            self.offered += int(tasks.real[j] and tasks.release[j] == t)
        for i, agent in enumerate(self.agents):
            if agent["serving"] is not None:
                agent["heading"] = -1
                continue
            if self.powered and agent["depot"] is None and agent["energy"] < self.reserve[i]:
                agent["depot"] = self.walker.nearest_depot(i)
            stride = self.speed[i]
            if self.powered and self.drain[i] > 0:
                stride = min(stride, agent["energy"] / self.drain[i])
            if agent["depot"] is not None:
                agent["heading"], agent["task"], agent["waited"] = -1, -1, 0
                moved, there = self.walker.walk(i, self.walker.depot(agent["depot"]), stride)
                agent["energy"] = max(agent["energy"] - self.drain[i] * moved, 0)
                if there:
                    agent["energy"] = min(agent["energy"] + self.charge[i], 1)
                    if agent["energy"] >= 1:
                        agent["depot"] = None
                continue
            j = int(actions[i])
            if j != agent["heading"]:
                agent["waited"] = 0
            agent["heading"], agent["task"] = j, int(tasks.number[j]) if j >= 0 else -1
            if j < 0:
                agent["waited"] = 0
                continue
            moved, there = self.walker.walk(i, self.walker.place(j), stride)
            agent["energy"] -= self.drain[i] * moved if self.powered else 0
            if not there:
                agent["waited"] = 0
                continue
            arrivals.append((i, j))
            if agent["waited"] == 0 and (j, tasks.number[j]) in self.started and self.announced(tasks, j):
                self.waste += 1
            skilled = tasks.need[j] & ~self.skills[i] == 0
            if skilled and self.capacity[i] > 0:
                queue.setdefault(j, []).append(i)
        score, serves = 0.0, set()
        for j, crowd in queue.items():
            ready = self.announced(tasks, j) and (j, tasks.number[j]) not in self.started and j not in busy
            if not ready or sum(self.capacity[i] for i in crowd) < tasks.team[j]:
                continue
            crowd.sort(key=lambda i: (-self.agents[i]["waited"], i))
            chosen, units = [], 0
            for i in crowd:
                if units < tasks.team[j]:
                    chosen.append(i)
                    units += self.capacity[i]
            finish = t + tasks.duration[j]
            score += tasks.value[j] + self.late * max(finish - tasks.due[j], 0)
            self.started[(j, tasks.number[j])] = finish
            self.waste += len(crowd) - len(chosen)
            for i in chosen:
                self.agents[i]["serving"] = (j, int(finish))
                self.agents[i]["served"] += tasks.value[j] * self.capacity[i] / units
                serves.add(i)
        for i, _ in arrivals:
            agent = self.agents[i]
            agent["waited"] = 0 if i in serves else agent["waited"] + 1
        for i in serves:
            self.agents[i]["heading"] = -1
        for j in range(len(tasks.number)):
            over = tasks.real[j] and tasks.release[j] <= t == tasks.deadline[j]
            self.expired += int(over and (j, tasks.number[j]) not in self.started)
        self.t += 1
        for agent in self.agents:
            if agent["serving"] is not None and agent["serving"][1] <= self.t:
                agent["serving"] = None
        return score


class PlaneWalker:
    def __init__(self, world):
        self.where = np.asarray(world.home).T.astype(np.float64)
        self.spots, self.depots = np.asarray(world.space.place).T, np.asarray(world.space.depot).T

    def place(self, j):
        return self.spots[j]

    def depot(self, d):
        return self.depots[d]

    def distance(self, i, spot):
        return float(np.hypot(*(spot - self.where[i])))

    def nearest_depot(self, i):
        return int(np.argmin([self.distance(i, spot) for spot in self.depots]))

    def walk(self, i, spot, stride):
        far = self.distance(i, spot)
        if far <= stride * 1.001:
            self.where[i] = spot
            return min(far, stride), True
        self.where[i] = self.where[i] + (spot - self.where[i]) * stride / far
        return stride, False

    def position(self):
        return self.where.T


class GraphWalker:
    """Walks edge by edge along ways found by trying all neighbours, with Dijkstra's distances by relaxation."""

    def __init__(self, world, edges, lengths, coordinates):
        self.edge, self.known = {}, {}
        for (a, b), length in zip(edges, lengths, strict=True):
            self.edge[a, b] = self.edge[b, a] = length
        self.nodes = coordinates.shape[1]
        self.coordinates = coordinates
        self.at = [[int(v), 0.0, int(v)] for v in np.asarray(world.home.node)]  # node ahead, left to it, node behind
        self.spots, self.depots = np.asarray(world.space.place), np.asarray(world.space.depot)

    def place(self, j):
        return int(self.spots[j])

    def depot(self, d):
        return int(self.depots[d])

    def lengths(self, goal):
        if goal not in self.known:
            self.known[goal] = self.relaxed(goal)
        return self.known[goal]

    def relaxed(self, goal):
        far = {v: 0.0 if v == goal else np.inf for v in range(self.nodes)}
        for _ in range(self.nodes):
            for (a, b), length in self.edge.items():
                far[a] = min(far[a], length + far[b])
        return far

    def distance(self, i, goal):
        node, left, _ = self.at[i]
        return left + self.lengths(goal)[node]

    def nearest_depot(self, i):
        return int(np.argmin([self.distance(i, int(d)) for d in self.depots]))

    def walk(self, i, goal, stride):
        whole = self.distance(i, goal)
        if whole <= stride * 1.001:
            self.at[i] = [goal, 0.0, goal]
            return min(whole, stride), True
        far, budget = self.lengths(goal), stride
        while budget > 0:
            node, left, _ = self.at[i]
            if left > budget:
                self.at[i][1] -= budget
                break
            budget -= left
            ahead = min((b for a, b in self.edge if a == node), key=lambda b: self.edge[node, b] + far[b])
            self.at[i] = [ahead, self.edge[node, ahead], node]
        return stride, False

    def position(self):
        points = []
        for node, left, behind in self.at:
            back = left / self.edge[behind, node] if node != behind else 0.0
            points.append(self.coordinates[:, node] + back * (self.coordinates[:, behind] - self.coordinates[:, node]))
        return np.array(points).T
