"""The airlines' own row."""

import numpy as np
import pytest

from quorate.recipes.compare.description import read_text
from quorate.recipes.compare.flights import flights, historic
from quorate.recipes.compare.human import human
from quorate.recipes.compare.instance import resolve
from quorate.recipes.compare.rows import Runs

TEXT = 'space = {{ kind = "plane" }}\n[tasks]\nsource = "flights:{}"\n'


@pytest.mark.parametrize("day", ["2013-10-02", "2013-07-10"])
def test_the_row_is_what_was_flown_that_day(day):
    description = read_text(TEXT.format(day))
    instance = resolve(description, 0)
    offered = np.zeros((2, instance.ticks))
    offered[:, 0] = instance.tasks.value.sum()
    none = np.zeros(2)
    like = Runs(np.arange(2), 0 * offered, offered, none, none, none, none, none, none)
    flown, told = human(description, instance, like), historic(day)
    np.testing.assert_allclose(flown.started.sum(1) / offered.sum(1), told.served)
    assert flown.started.shape == offered.shape and flown.messages.tolist() == [0, 0]
    delay = flights(day).delay
    served = delay[delay <= 60]
    np.testing.assert_allclose(flown.late, np.maximum(served, 0).mean() / 5)
    assert 0 < flown.jain[0] < 1


def test_only_flights_were_flown_by_people():
    description = read_text("[[agents]]\ncount = 2\n")
    assert human(description, resolve(description, 0), None) is None
