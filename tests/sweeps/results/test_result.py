"""The dataset of a sweep, and the parameters of one run."""

import numpy as np
import pytest

import jaxgd

INPUTS = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
PROBLEM = jaxgd.classification(jaxgd.linear(2, 2), (INPUTS, INPUTS[:, 0] > 0), (INPUTS, INPUTS[:, 0] > 0))
OPTIMIZERS = {"sgd": jaxgd.sgd, "adam": jaxgd.adam}


@pytest.fixture(scope="module")
def result():
    return jaxgd.sweep(
        lambda hp: jaxgd.trainer(PROBLEM, OPTIMIZERS[hp.optimizer](hp.learning_rate), hp.batch_size),
        {
            "optimizer": ["sgd", "adam"],
            "batch_size": ["full", 5],
            "learning_rate": np.array([0.1, 0.2]),
            "seed": [7],
        },
        epochs=2,
        progress=False,
        clock=True,
    )


def test_dimensions_and_coordinates(result):
    dataset = result.dataset
    assert list(dataset.sizes.items()) == [
        ("optimizer", 2),
        ("batch_size", 2),
        ("learning_rate", 2),
        ("seed", 1),
        ("epoch", 2),
    ]
    assert {name: coord.values.tolist() for name, coord in dataset.coords.items() if coord.ndim == 1} == {
        "optimizer": ["sgd", "adam"],
        "batch_size": [12, 5],
        "learning_rate": [0.1, 0.2],
        "seed": [7],
        "epoch": [1, 2],
    }
    assert dataset.batch_size.dtype.kind == dataset.seed.dtype.kind == "i"


def test_variables(result):
    axes = ("optimizer", "batch_size", "learning_rate", "seed")
    kinds = {name: (column.dims, column.dtype.kind) for name, column in result.dataset.items()}
    floats = ("train_loss", "grad_norm", "valid_loss", "valid_accuracy")
    assert kinds == {
        **dict.fromkeys(floats, ((*axes, "epoch"), "f")),
        "status": (axes, "U"),
        "stopped_at": (axes, "i"),
    }
    clocks = {name: result.dataset.coords[name] for name in ("updates", "examples", "seconds")}
    assert {clock.dims for clock in clocks.values()} == {(*axes, "epoch")}
    np.testing.assert_allclose(clocks["seconds"][..., 1], 2 * clocks["seconds"][..., 0])
    assert (clocks["seconds"] > 0).all()
    np.testing.assert_array_equal(
        result.dataset.updates.sel(optimizer="sgd", learning_rate=0.1, seed=7), [[1, 2], [3, 6]]
    )


def test_params_by_coordinates(result):
    full = result.params(optimizer="adam", batch_size="full", learning_rate=0.2)
    again = result.params(optimizer="adam", batch_size=12, learning_rate=np.float64(0.2), seed=7)
    np.testing.assert_array_equal(full["w"], again["w"])
    assert not np.array_equal(
        full["w"], result.params(optimizer="adam", batch_size=5, learning_rate=0.2)["w"]
    )
    loss = jaxgd.evaluate(PROBLEM, full)["loss"]
    expected = result.dataset.valid_loss.sel(
        optimizer="adam", batch_size=12, learning_rate=0.2, seed=7, epoch=2
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ({"optimiser": "adam"}, "unknown axis 'optimiser'; did you mean 'optimizer'"),
        ({"optimizer": "adam"}, r"params needs a value for axis 'batch_size', one of \[12, 5\]"),
        ({"optimizer": "rmsprop"}, r"axis 'optimizer' has no value 'rmsprop'; it has \['sgd', 'adam'\]"),
        ({"optimizer": "sgd", "batch_size": 6}, r"axis 'batch_size' has no value 6; it has \[12, 5\]"),
    ],
)
def test_bad_coordinates(result, coords, message):
    with pytest.raises(ValueError, match=message):
        result.params(**coords)


def test_it_shows_itself(result):
    assert repr(result) == (
        "SweepResult(optimizer 2 x batch_size 2 x learning_rate 2 x seed 1; 2 epochs; 8 completed)"
    )
    assert "8 runs of 2 epochs in" in result._repr_html_()


def test_metrics_that_only_some_runs_have():
    other = PROBLEM.replace(metrics={})
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(PROBLEM if hp.metric else other, jaxgd.sgd(0.1), "full"),
        {"metric": [False, True]},
        epochs=1,
        progress=False,
    )
    assert np.isnan(result.dataset.valid_accuracy.values).ravel().tolist() == [True, False]
