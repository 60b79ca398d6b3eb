"""Outlooks and sites without a world, for tests of mechanisms."""

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import Outlook
from quorate.protocols.site import Regions, Site


def outlook(place, worth, open_=None, **changes) -> Outlook:
    """Free agents that see these places, [N, K]; everything else is as at the first tick, unless changed. Known numbers
    are put together in numpy, which compiles nothing."""
    known = not any(isinstance(given, jax.core.Tracer) for given in (place, worth, open_))
    of = np if known else jnp
    place, worth = of.asarray(place, of.int32), of.asarray(worth, of.float32)
    agents, options = place.shape
    open_ = of.asarray(place >= 0 if open_ is None else open_)

    def each(value, dtype=np.int32):
        return of.full(agents, value, dtype)

    view = Outlook(
        place=place,
        worth=of.where(open_, worth, 0).astype(np.float32),
        open=open_,
        number=of.zeros((agents, options), np.int32),
        eta=of.ones((agents, options), np.float32),
        team=of.ones((agents, options), np.int32),
        free=each(True, bool),
        heading=each(-1),
        task=each(-1),
        left=each(0, np.float32),
        valid=each(False, bool),
        waited=each(0),
        serving=each(-1),
        served=each(-1),
        region=each(0),
        demand=each(0, np.float32),
        capacity=each(1),
        health=of.arange(agents, dtype=np.float32) / np.float32(agents),
        t=each(0),
    )
    return (jax.tree.map(jnp.asarray, view) if known else view)._replace(**changes)


def random(seed: int, agents: int, places: int, options: int) -> Outlook:
    """Different places for each, distinct worths, some options closed, one padded."""
    rng = np.random.default_rng(seed)
    place = np.stack([rng.permutation(places)[:options] for _ in range(agents)])
    worth = rng.permutation(agents * options).reshape(agents, options) / (agents * options) + 0.01
    open_ = rng.random((agents, options)) < 0.8
    place[0, -1], open_[0, -1] = -1, False
    return outlook(place, worth, open_)


def site(agents: int, places: int, regions: int = 2, **changes) -> Site:
    """Places dealt out to regions in turn."""
    of = np.arange(places) % regions
    others = np.stack(
        [np.resize(np.roll(np.arange(regions), -r)[1:] if regions > 1 else [0], 8) for r in range(regions)]
    )
    cut = Regions(
        of=of.astype(np.int32),
        anchor=np.arange(regions, dtype=np.int32) % places,
        near=others.astype(np.int32),
        spread=np.ones(others.shape, np.float32),
        local=(np.arange(places) // regions).astype(np.int32),
        most=-(-places // regions),
    )
    return Site(agents, places, changes.pop("options", min(places, 4)), cut)._replace(**changes)
