"""The worlds once more, as obvious float64 loops: G(actions), or G without one agent; and each agent's own account."""

import math

import numpy as np

from quorate.worlds.bar import Bar
from quorate.worlds.braess import Braess
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from quorate.worlds.imperfect_devices import ImperfectDevices
from quorate.worlds.servers import Servers


def kept(actions, without):
    return [int(action) for agent, action in enumerate(actions) if agent != without]


def devices(world, actions, without=None):
    errors = np.atleast_2d(np.asarray(world.errors, np.float64))
    chosen = [agent for agent in range(world.num_agents) if agent != without and actions[agent] == 1]
    if not chosen:
        return -max(math.sqrt(np.mean(errors[:, agent] ** 2)) for agent in range(world.num_agents))
    return -math.sqrt(np.mean([(sum(row[agent] for agent in chosen) / len(chosen)) ** 2 for row in errors]))


def devices_own(world, actions, agent):
    errors = np.atleast_2d(np.asarray(world.errors, np.float64))
    return -math.sqrt(np.mean(errors[:, agent] ** 2)) if actions[agent] == 1 else 0.0


def bar(world, actions, without=None):
    crowds = [kept(actions, without).count(night) for night in range(world.nights)]
    return sum(crowd * math.exp(-crowd / float(world.capacity)) for crowd in crowds)


def bar_own(world, actions, agent):
    night = int(actions[agent])
    return math.exp(-kept(actions, None).count(night) / float(world.capacity)) if night >= 0 else 0.0


def squeeze(world, actions, without=None):
    total = sum(kept(actions, without))
    return total * math.exp(-(((total - float(world.mu)) / float(world.sigma)) ** 2))


def squeeze_own(world, actions, agent):
    return actions[agent] / 9


def latencies(world, routes):
    """Of each route, with these drivers on the roads and shares of the whole population."""
    x = 40 * sum(route in (0, 2) for route in routes) / world.num_agents
    y = 40 * sum(route in (1, 2) for route in routes) / world.num_agents
    return {0: x + 45, 1: 45 + y, 2: x + y, -1: 0}


def braess(world, actions, without=None):
    routes = kept(actions, without)
    return -sum(latencies(world, routes)[route] for route in routes) / world.num_agents


def braess_own(world, actions, agent):
    return -latencies(world, kept(actions, None))[int(actions[agent])]


def servers(world, actions, without=None):
    queues = [kept(actions, without).count(server) for server in range(world.num_actions)]
    return -sum(
        jobs * (float(base) + jobs / float(speed))
        for jobs, base, speed in zip(queues, world.base, world.speed, strict=True)
    )


def servers_own(world, actions, agent):
    server = int(actions[agent])
    jobs = kept(actions, None).count(server)
    return -(float(world.base[server]) + jobs / float(world.speed[server])) if server >= 0 else 0.0


_draw = np.random.default_rng(5)
SCALARS, VECTORS = _draw.standard_normal(7), _draw.standard_normal((3, 7))

# name: (world, its score, its own account); small enough to try every change of every agent
TWINS = {
    "devices": (ImperfectDevices(errors=SCALARS), devices, devices_own),
    "devices_vector": (ImperfectDevices(errors=VECTORS), devices, devices_own),
    "bar": (Bar(num_agents=7, nights=3, capacity=1.5), bar, bar_own),
    "squeeze": (GaussianSqueeze(num_agents=7, mu=28.0, sigma=14.0), squeeze, squeeze_own),
    "braess": (Braess(num_agents=7), braess, braess_own),
    "braess_link": (Braess(num_agents=7, link=True), braess, braess_own),
    "servers": (Servers(num_agents=7, base=[1.0, 0.0, 2.5], speed=[1.0, 0.5, 4.0]), servers, servers_own),
}


def drawn(world, seed, idlers=False):
    """A uniform joint action; with `idlers` every third agent does what does nothing."""
    actions = np.random.default_rng(seed).integers(0, world.num_actions, world.num_agents).astype(np.int32)
    if idlers:
        actions[::3] = np.asarray(world.idle(()))[::3]
    return actions
