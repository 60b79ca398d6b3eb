"""Where joint actions have consequences. `WORLDS` holds a small ready-made example of each."""

import jax.numpy as jnp
import numpy as np

from quorate.core import World
from quorate.worlds import fleet
from quorate.worlds.bar import Bar
from quorate.worlds.braess import Braess
from quorate.worlds.gaussian_squeeze import GaussianSqueeze
from quorate.worlds.imperfect_devices import ImperfectDevices, draw
from quorate.worlds.sensors import Sensors
from quorate.worlds.servers import Servers

WORLDS: dict[str, World] = {
    "imperfect_devices": ImperfectDevices(errors=draw(0, 12)),
    "imperfect_devices_vector": ImperfectDevices(errors=jnp.asarray(np.stack([draw(s, 12) for s in range(5)]))),
    "bar": Bar(num_agents=12, nights=3, capacity=2.0),
    "gaussian_squeeze": GaussianSqueeze(num_agents=12, mu=40.0, sigma=20.0),
    "braess": Braess(num_agents=12),
    "braess_link": Braess(num_agents=12, link=True),
    "servers": Servers(num_agents=12, base=[1.0, 0.5, 2.0], speed=[1.0, 2.0, 4.0]),
    "sensors": Sensors(signal=np.arange(6.0), seen=np.eye(6, 12), noise=0.1, low=-0.5, width=1.0, bins=6),
    "fleet": fleet.rolling(
        num_agents=4, density=1.5, options=4, period=6, slack=(2, 5), team=(1, 2), speed=(0.8, 1.2), depots=1, drain=0.1
    ),
}
