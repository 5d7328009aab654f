"""What lanes begin with: made once, and waited for only by those who ask for it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import jaxgd
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.lanes import sources as home
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.runs import Run


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(home, "_DRAWN", Kept(0))  # nothing of other tests is there
    data = np.zeros((4, 2), np.float32), np.zeros(4, np.int32)
    problem = jaxgd.classification(jaxgd.mlp([2, 3, 2]), data)
    return Run(0, jaxgd.trainer(problem, jaxgd.sgd(0.1), 2), 0)


def test_shapes_and_orders_are_there_while_parameters_are_drawn(run, monkeypatch):
    is_drawing, may_go_on, sources = threading.Event(), threading.Event(), Sources(3)

    def draw(init, key):
        is_drawing.set()
        assert may_go_on.wait(60)
        return {"w": np.zeros(2)}

    monkeypatch.setattr(home, "drawn_params", draw)
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(sources.params, run)
        assert is_drawing.wait(60)
        try:
            assert sources.orders(run).shape == (3, 4)
            assert sources.shapes(run)[1][0]["w"].shape == (2, 3)
            assert not drawn.done()
        finally:
            may_go_on.set()
        assert drawn.result()["w"].shape == (2,)


def test_two_threads_make_a_thing_once(run, monkeypatch):
    both, times, sources = threading.Barrier(2), [], Sources(3)

    def draw(init, key):
        times.append(1)
        return {"w": np.zeros(2)}

    def ask(_):
        both.wait(60)
        return sources.params(run)

    monkeypatch.setattr(home, "drawn_params", draw)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, range(2))
    assert first is second
    assert len(times) == 1
