"""Where joint actions have consequences. `WORLDS` holds a small ready-made example of each."""

import jax.numpy as jnp
import numpy as np

from quorate.core import World
from quorate.worlds.imperfect_devices import ImperfectDevices, draw

WORLDS: dict[str, World] = {
    "imperfect_devices": ImperfectDevices(errors=draw(0, 12)),
    "imperfect_devices_vector": ImperfectDevices(errors=jnp.asarray(np.stack([draw(s, 12) for s in range(5)]))),
}
