"""The best point of a sweep, on datasets whose best point is known."""

import math

import numpy as np
import pytest
import xarray

import jaxgd
from jaxgd.sweeps.results.ranking import best_point


def dataset(loss, status=None, updates=None, **coords):
    """A dataset over (learning_rate, seed) and epochs, from losses [rates, seeds, epochs]."""
    loss = np.asarray(loss, float)
    axes = ("learning_rate", "seed")
    status = np.full(loss.shape[:2], "completed") if status is None else np.asarray(status)
    updates = np.broadcast_to(np.arange(1, loss.shape[2] + 1), loss.shape) if updates is None else updates
    return xarray.Dataset(
        {
            "valid_loss": ((*axes, "epoch"), loss),
            "valid_accuracy": ((*axes, "epoch"), 1 - loss),
            "valid_margin": ((*axes, "epoch"), loss),
            "updates": ((*axes, "epoch"), updates),
            "status": (axes, status),
            "seconds": (axes, np.arange(status.size, dtype=float).reshape(status.shape)),
        },
        {
            "learning_rate": [0.1, 0.2, 0.3][: loss.shape[0]],
            "seed": list(range(loss.shape[1])),
            "epoch": range(1, loss.shape[2] + 1),
            **coords,
        },
    )


LOSSES = [[[0.9, 0.5], [0.8, 0.7]], [[0.1, 0.5], [0.1, 0.3]], [[0.9, 0.1], [0.9, 0.8]]]


def test_the_mean_over_seeds_decides():
    best = best_point(dataset(LOSSES))
    assert best.coords == {"learning_rate": 0.2}
    assert best.value == pytest.approx(0.4)
    assert best.spread == pytest.approx(np.std([0.5, 0.3], ddof=1))
    assert best.epoch == 2


def test_without_an_average_the_best_run_wins():
    best = best_point(dataset(LOSSES), over=())
    assert best.coords == {"learning_rate": 0.3, "seed": 0}
    assert (best.value, best.epoch) == (0.1, 2)
    assert math.isnan(best.spread)


def test_over_other_axes():
    assert best_point(dataset(LOSSES), over="learning_rate").coords == {"seed": 0}
    assert best_point(dataset(LOSSES), over=["seed", "learning_rate"]).coords == {}


def test_the_best_epoch():
    best = best_point(dataset(LOSSES), at="best")
    assert (best.coords, best.epoch) == ({"learning_rate": 0.2}, 1)
    assert best.value == pytest.approx(0.1)


def test_more_can_be_better():
    assert best_point(dataset(LOSSES), "valid_accuracy").coords == {"learning_rate": 0.2}
    assert best_point(dataset(LOSSES), "valid_loss", mode="max").coords == {"learning_rate": 0.1}
    with pytest.raises(ValueError, match="mode is needed for the metric 'valid_margin': \"min\""):
        best_point(dataset(LOSSES), "valid_margin")
    assert best_point(dataset(LOSSES), "valid_margin", mode="min").coords == {"learning_rate": 0.2}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_point_with_a_run_that_diverged_is_worst(mode):
    status = [["completed"] * 2, ["completed", "diverged"], ["completed"] * 2]
    best = best_point(dataset(LOSSES, status), mode=mode)
    assert best.coords == {"learning_rate": 0.3 if mode == "min" else 0.1}
    losses = np.array(LOSSES)
    losses[1] = [[np.inf, np.inf], [np.inf, np.nan]]
    assert best_point(dataset(losses), mode=mode).coords == best.coords


def test_nothing_is_finite():
    status = np.full((3, 2), "diverged")
    with pytest.raises(
        ValueError, match="at no point is valid_loss finite in all runs: 6 of 6 runs diverged"
    ):
        best_point(dataset(LOSSES, status))


def test_a_run_that_stopped_keeps_its_last_value():
    nan = np.nan
    losses = [[[0.5, 0.4, nan, nan], [0.6, 0.4, 0.3, nan]], [[0.9, 0.9, 0.9, 0.35], [0.9, 0.9, 0.9, 0.35]]]
    status = [["stopped early", "budget spent"], ["completed", "completed"]]
    updates = [[[1, 2, 2, 2], [1, 2, 3, 3]], [[1, 2, 3, 4], [1, 2, 3, 4]]]
    data = dataset(losses, status, updates)
    best = best_point(data)
    assert (best.coords, best.epoch) == ({"learning_rate": 0.1}, 3)
    assert best.value == pytest.approx(0.35)
    assert best_point(data, over=()).epoch == 3
    assert best_point(data, at="best").epoch == 3


def test_a_run_that_restored_its_best_has_that_value():
    nan = np.nan
    losses = [[[0.5, 0.2, 0.9, nan], [0.6, 0.5, 0.4, 0.6]], [[0.9, 0.9, 0.9, 0.35], [0.9, 0.9, 0.9, 0.35]]]
    status = [["stopped early", "completed"], ["completed", "completed"]]
    updates = [[[1, 2, 3, 3], [1, 2, 3, 4]], [[1, 2, 3, 4], [1, 2, 3, 4]]]
    data = dataset(losses, status, updates)
    assert best_point(data).coords == {"learning_rate": 0.2}
    data["kept_epoch"] = (("learning_rate", "seed"), [[2, 3], [-1, -1]])
    best = best_point(data)
    assert (best.coords, best.epoch) == ({"learning_rate": 0.1}, 3)
    assert best.value == pytest.approx(0.3)
    assert best.spread == pytest.approx(np.std([0.2, 0.4], ddof=1))


def test_a_metric_that_is_lost_on_the_way_is_not_kept():
    losses = [[[0.1, np.nan]], [[0.9, 0.8]]]
    assert best_point(dataset(losses)).coords == {"learning_rate": 0.2}
    assert best_point(dataset(losses), at="best").coords == {"learning_rate": 0.1}


def test_a_variable_without_epochs():
    best = best_point(dataset(LOSSES), "seconds", over=())
    assert (best.coords, best.value) == ({"learning_rate": 0.1, "seed": 0}, 0)


def test_coordinates_along_the_axis_are_told():
    data = dataset(LOSSES, width=("learning_rate", [8, 16, 32]))
    assert best_point(data).coords == {"learning_rate": 0.2, "width": 16}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "valid_los"}, "unknown metric 'valid_los'; did you mean 'valid_loss'"),
        ({"metric": "status"}, "unknown metric 'status'"),
        ({"over": "seeds"}, "unknown axis 'seeds'; did you mean 'seed'"),
        ({"over": ["seed", "epoch"]}, "unknown axis 'epoch'"),
        ({"mode": "least"}, "unknown mode 'least'"),
        ({"at": "end"}, "unknown at 'end'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        best_point(dataset(LOSSES), **arguments)


def test_the_best_of_a_sweep_and_its_parameters():
    inputs = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.mlp([2, 4, 1]), (inputs, inputs[:, 0]), (inputs, inputs[:, 0]))
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), hp.batch_size),
        {"learning_rate": [1e-6, 0.05, 1e30], "batch_size": ["full", 5], "seed": [0, 1]},
        epochs=3,
        progress=False,
    )
    best = result.best()
    assert best.metric == "valid_loss"
    assert best.coords == {"learning_rate": 0.05, "batch_size": 5}
    losses = [
        float(jaxgd.evaluate(problem, result.params(**best.coords, seed=seed))["loss"]) for seed in (0, 1)
    ]
    assert best.value == pytest.approx(np.mean(losses), rel=1e-6)
    assert best.spread == pytest.approx(np.std(losses, ddof=1), rel=1e-5)
