"""Figures of surfaces, paths, basins, escapes and hikers: what is drawn, and that it is JSON."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.surfaces.base import surface
from jaxgd.landscape.surfaces.basins import attraction
from jaxgd.landscape.surfaces.critical_points import CriticalPoints
from jaxgd.landscape.surfaces.escape import escape_times
from jaxgd.landscape.surfaces.exploration import at_best_rate, explore
from jaxgd.landscape.surfaces.three_hikers import RATES, hikers
from jaxgd.reports.figures.hikers import hiker_panels
from jaxgd.reports.figures.paths import escape_curves, loss_curves
from jaxgd.reports.figures.surfaces import basin_map, path_map

WELLS = surface("double_well")


@pytest.fixture(scope="module")
def paths():
    return explore(WELLS, ["sgd", "adam"], [[1.5, 1.0], [-0.2, 0.5]], 40, learning_rates=[0.01, 0.1, 0.3])


@pytest.fixture(scope="module")
def walkers():
    return hikers(epochs=2)


def named(figure):
    return [trace.name for trace in figure.data if trace.name]


def check_json(figure):
    json.loads(figure.to_json())


def test_path_map_draws_each_optimizer_with_its_rate(paths):
    best = at_best_rate(paths)
    critical = CriticalPoints(
        WELLS.critical_points, np.zeros(3), np.ones((3, 2)), np.zeros(3), ["minimum", "saddle", "minimum"]
    )
    figure = path_map(WELLS, best, 1, critical)
    rates = best.learning_rate.values.ravel()
    assert named(figure) == [
        "minimum",
        "saddle",
        f"sgd, rate {rates[0]:g}",
        f"adam, rate {rates[1]:g}",
        "start",
    ]
    assert figure.layout.title.text == "double_well: each optimizer at its own best of 3 learning rates"
    sgd = next(trace for trace in figure.data if trace.meta == "sgd")
    assert sgd.x[0] == pytest.approx(-0.2, rel=1e-3)
    assert sgd.x[-1] == pytest.approx(-1, abs=0.02)
    assert figure.layout.xaxis.range == (-2, 2)
    check_json(figure)


def test_a_path_is_drawn_until_it_has_settled(paths):
    long = explore(WELLS, {"sgd": [jaxgd.sgd(0.3)]}, [1.5, 1.0], 400).isel(rate=0)
    figure = path_map(WELLS, long)
    assert len(figure.data[1].x) < 60
    assert figure.layout.title.text.endswith("rates as given")


def test_loss_curves_are_medians_above_the_lowest(paths):
    figure = loss_curves(at_best_rate(paths), lowest=0.0)
    assert [trace.meta for trace in figure.data] == ["sgd", "adam"]
    assert figure.data[0].y[0] == pytest.approx(np.median([WELLS([1.5, 1.0]), WELLS([-0.2, 0.5])]), rel=1e-3)
    assert figure.layout.yaxis.type == "log"
    check_json(figure)


def test_paths_of_several_rates_or_sizes_are_refused(paths):
    with pytest.raises(ValueError, match="take at_best_rate"):
        path_map(WELLS, paths)
    noisy = explore(WELLS, {"sgd": [jaxgd.sgd(0.1)]}, [1.0, 1.0], 4, batch_sizes=["full", 1], noise=1.0)
    with pytest.raises(ValueError, match="several batch sizes"):
        path_map(WELLS, noisy.isel(rate=0))
    with pytest.raises(ValueError, match="two coordinates"):
        path_map(surface("sphere", dim=3), at_best_rate(paths))


def test_basin_map_has_a_colour_for_each_minimum():
    basins = attraction(WELLS, {"sgd": jaxgd.sgd(0.1)}, 100, cells=9)
    figure = basin_map(WELLS, basins, "sgd", np.inf)
    heat = figure.data[0]
    assert np.array(heat.z, float).shape == (9, 9)
    assert len({colour for _, colour in heat.colorscale}) == 2
    assert figure.layout.title.text == "sgd, full batch"
    check_json(figure)


def test_escape_curves_show_who_never_left():
    times = escape_times(
        surface("saddle"),
        {"sgd": jaxgd.sgd(0.1)},
        [1.0, 0.0],
        lambda p: jnp.abs(p[1]) > 1,
        200,
        batch_sizes=["full", 4, 1],
        noise=1.0,
        seeds=16,
    )
    figure = escape_curves(times, {1: 23.25, 4: 30.47})
    assert figure.layout.xaxis.ticktext == ("1", "4", "full")
    left, never = (trace for trace in figure.data if trace.name == "sgd")
    assert left.y[2] is None
    assert never.y == (None, None, 200)
    assert "most not within 200 updates, 0 % left" in never.customdata[2]
    assert named(figure)[-1] == "mean, computed"
    check_json(figure)


def test_hikers_share_the_clock_and_the_examples(walkers):
    num = len(walkers.targets)
    assert [walk.seen[-1] for walk in walkers.walks] == [2 * num] * 3
    assert [len(walk.weights) - 1 for walk in walkers.walks] == [2, 2 * -(-num // 32), 2 * num]
    orders = [np.concatenate(walk.batches) for walk in walkers.walks]
    np.testing.assert_array_equal(orders[0], orders[2])
    np.testing.assert_array_equal(orders[1], orders[2])
    assert walkers.rates_tried == len(RATES) == 17
    # None of the best rates is at the edge of the grid, and all end far below the start.
    assert all(RATES[0] < walk.learning_rate < RATES[-1] for walk in walkers.walks)
    ends = [walkers.loss(walk.weights[-1]) for walk in walkers.walks]
    assert max(ends) < 0.7 * walkers.loss(walkers.start)


def test_a_step_goes_down_the_slope_of_its_batch(walkers):
    for walk in walkers.walks:
        rows, before, after = walk.batches[3 % len(walk.batches)], *walk.weights[3 % len(walk.batches) :][:2]
        assert walkers.loss(after, rows) <= walkers.loss(before, rows)


def test_hiker_panels_and_their_slider(walkers):
    figure = hiker_panels(walkers, seen=64, frames=6)
    texts = [note.text for note in figure.layout.annotations]
    assert [text.split("<br>")[0] for text in texts] == [
        "<b>BGD</b> sees the map: all examples",
        "<b>mini-batch 32</b> sees a flashlight: one mini-batch",
        "<b>SGD</b> sees its feet: one example",
    ]
    labels = [step.label for step in figure.layout.sliders[0].steps]
    assert "64" in labels
    assert len(labels) == len(figure.frames)
    assert not hiker_panels(walkers).frames
    check_json(figure)


def test_hikers_bad_input():
    with pytest.raises(ValueError, match="batch_size is 265; below 265"):
        hikers(batch_size=265)
    with pytest.raises(ValueError, match="epochs must be a whole number, 1 or more, got 0"):
        hikers(epochs=0)
