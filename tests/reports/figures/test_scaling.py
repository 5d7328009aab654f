"""Figures of what batch size does: their points are the study's numbers."""

import math

import numpy as np
import pytest

from jaxgd.reports.figures.scaling import best_rates, noise_curve, steps_curves
from jaxgd.studies import study_of
from jaxgd.studies.batch_size.found import NoiseAt
from jaxgd.studies.noise_scales import gradient_noise_scale
from tests.studies.scaling.tables import table_of

SIZES = (4, 8, 16, 32, 64)


@pytest.fixture(scope="module")
def methods():
    best = np.log(20 * (1 + 32 / np.array(SIZES)))[:, None, None] + np.array([0.3, 0.0, 0.3])[:, None]
    logs = best + 0.03 * np.random.default_rng(0).normal(size=(5, 3, 10))
    return study_of(table_of(logs, SIZES, (0.1, 0.2, 0.4)), {"loss": 1.0}).methods


@pytest.mark.parametrize("what", ["updates", "examples"])
def test_points_and_ends_are_those_measured(methods, what):
    steps = methods[0].steps
    curve = next(trace for trace in steps_curves(methods, what).data if trace.name == what)
    factor = np.array(SIZES) if what == "examples" else 1
    np.testing.assert_allclose(curve.y, steps.steps * factor, rtol=1e-3)
    np.testing.assert_allclose(np.add(curve.y, curve.error_y.array), steps.high * factor, rtol=2e-3)
    np.testing.assert_allclose(np.subtract(curve.y, curve.error_y.arrayminus), steps.low * factor, rtol=2e-3)


def test_the_fit_and_the_marked_batch_size_are_drawn(methods):
    figure = steps_curves(methods, marked=16.0)
    fit = next(trace for trace in figure.data if "Smin" in (trace.name or ""))
    found = methods[0].critical.fit
    assert fit.y[0] == pytest.approx(found.fewest_updates + found.fewest_examples / fit.x[0], rel=1e-3)
    assert figure.layout.shapes[0].x0 == 16


def test_ends_have_open_symbols(methods):
    words = ["at most", "reached", "at least", "reached", "not reached"]
    steps = methods[0].steps._replace(
        found=words, steps=np.where(np.arange(5) == 4, np.nan, methods[0].steps.steps)
    )
    figure = steps_curves([methods[0]._replace(steps=steps)])
    curve = next(trace for trace in figure.data if trace.name == "updates")
    assert list(curve.marker.symbol) == ["triangle-down-open", "circle", "triangle-up-open", "circle"]


def test_rates_at_the_end_of_their_grid_are_open(methods):
    steps = methods[0].steps._replace(edges=["lowest", None, None, None, "highest"])
    points = best_rates([methods[0]._replace(steps=steps)]).data[0]
    assert [symbol.endswith("-open") for symbol in points.marker.symbol] == [True, False, False, False, True]
    np.testing.assert_allclose(points.y, steps.learning_rates)


def test_noise_scales_that_are_not_known_leave_a_gap():
    known = gradient_noise_scale([3.0, 3.1, 2.9], [2.0, 2.1, 1.9], 1, 4)
    unknown = gradient_noise_scale([1.0], [2.0], 1, 4)
    assert math.isnan(unknown.value)
    figure = noise_curve(NoiseAt("sgd", 8.0, 0.1, np.array([1.0, 2.0]), [unknown, known], known), 5.0)
    assert list(figure.data[0].x) == [2.0]
    assert list(figure.data[1].y) == [5.0, 5.0]
