"""Trials out of sweeps, tables and files: by hand, the same from each of them, and what is refused."""

import numpy as np
import pytest
import xarray

import jaxgd
from jaxgd.studies import Trials, trials_of

ROWS = {
    "batch_size": [8, 8, 32, 32, 32],
    "learning_rate": [0.1, 0.1, 0.1, 0.1, 0.3],
    "seed": [3, 3, 3, 3, 3],
    "updates": [10, 20, 5, 10, 5],
    "loss": [0.5, 0.2, 0.6, 0.4, np.inf],
}


def table(**changes):
    return {**ROWS, **changes}


def sweep_of(values, updates, status=None, **axes):
    """A sweep's dataset with these values and updates [*axes, epochs]."""
    dims, epochs = (*axes, "epoch"), updates.shape[-1]
    words = np.full(updates.shape[:-1], "completed") if status is None else status
    coords = {name: along if isinstance(along, tuple) else (name, along) for name, along in axes.items()}
    return xarray.Dataset(
        {"valid_loss": (dims, values), "train_loss": (dims, values + 1), "status": (tuple(axes), words)},
        {**coords, "updates": (dims, updates), "epoch": np.arange(1, epochs + 1)},
    )


def same(one: Trials, other: Trials):
    """All but the notes, numbers as text has them."""
    for name in set(Trials._fields) - {"notes"}:
        first, second = getattr(one, name), getattr(other, name)
        if isinstance(first, np.ndarray):
            np.testing.assert_allclose(first, second, rtol=1e-6)
        else:
            assert first == second, name


def test_a_table_by_hand():
    trials = trials_of(table())
    assert (trials.methods, trials.seeds, trials.metric, trials.mode) == (("",), (3,), "loss", "min")
    np.testing.assert_array_equal(trials.batch_sizes, [8, 32])
    np.testing.assert_array_equal(trials.learning_rates, [[[0.1, np.nan], [0.1, 0.3]]])
    np.testing.assert_array_equal(
        trials.values[0, :, :, 0], [[[0.5, 0.2], [np.nan] * 2], [[0.6, 0.4], [np.nan] * 2]]
    )
    np.testing.assert_array_equal(
        trials.updates[0, :, :, 0], [[[10, 20], [np.nan] * 2], [[5, 10], [5, np.nan]]]
    )
    np.testing.assert_array_equal(trials.examples[0, 1, 0, 0], [160, 320])
    np.testing.assert_array_equal(trials.was_run[0, :, :, 0], [[True, False], [True, True]])
    np.testing.assert_array_equal(trials.diverged[0, :, :, 0], [[False, False], [False, True]])
    assert trials.epochs is None
    assert trials.seconds is None
    assert trials.notes[0].startswith("Examples are not given")
    assert trials.notes[1] == "1 of 3 trials diverged: loss is not finite at their end."


def test_trials_are_trials():
    trials = trials_of(table())
    assert trials_of(trials) is trials_of(trials, "loss") is trials
    with pytest.raises(ValueError, match="data is Trials of 'loss' already"):
        trials_of(trials, "accuracy")


def test_a_sweep_its_dataset_and_its_file_are_the_same(tmp_path):
    problem = jaxgd.classification(jaxgd.linear(30, 2), *jaxgd.datasets.load("breast_cancer"))

    def make_trainer(hp):
        optimizer = {"sgd": jaxgd.sgd, "momentum": jaxgd.momentum}[hp.optimizer](hp.learning_rate)
        return jaxgd.trainer(problem, optimizer, hp.batch_size)

    axes = {"optimizer": ["sgd", "momentum"], "batch_size": [128, "full"]}
    axes |= {"learning_rate": [0.1, 1e30], "seed": [0, 1]}
    result = jaxgd.sweep(make_trainer, axes, epochs=3, progress=False)
    trials = trials_of(result)
    assert (trials.methods, trials.metric) == (("sgd", "momentum"), "valid_loss")
    np.testing.assert_array_equal(trials.batch_sizes, [128, 341])
    np.testing.assert_array_equal(trials.diverged, np.broadcast_to([[False], [True]], (2, 2, 2, 2)))
    np.testing.assert_array_equal(trials.values[:, :, 0], result.dataset.valid_loss[:, :, 0])
    assert trials.epochs is not None
    np.testing.assert_array_equal(trials.epochs[0, 0, 0, 0], [1, 2, 3])
    same(trials, trials_of(result.dataset))
    result.to_csv(tmp_path / "runs.csv")
    same(trials, trials_of(tmp_path / "runs.csv"))
    same(trials, trials_of(result.to_pandas()))


def test_how_a_run_ended():
    updates = np.array([[[4, 8, 8], [4, 4, 4]], [[1, 2, 3], [0, 0, 0]]])
    values = np.array([[[3, 2, np.nan], [3, np.nan, np.nan]], [[5, 4, 3.5], [np.nan] * 3]])
    status = np.array([["stopped early", "diverged"], ["completed", "not run"]])
    trials = trials_of(sweep_of(values, updates, status, batch_size=[8, 32], seed=[0, 1]))
    np.testing.assert_array_equal(trials.updates[0, 0, 0], [[4, 8, np.nan], [4, np.nan, np.nan]])
    np.testing.assert_array_equal(trials.values[0, 0, 0], [[3, 2, np.nan], [3, np.nan, np.nan]])
    np.testing.assert_array_equal(trials.ended[0, :, 0], [[True, False], [False, False]])
    np.testing.assert_array_equal(trials.diverged[0, :, 0], [[False, True], [False, False]])
    np.testing.assert_array_equal(trials.was_run[0, :, 0], [[True, True], [True, False]])
    assert "1 trials failed or were not run; they are left out." in trials.notes


def test_labels_of_several_axes_and_of_points():
    shape = (2, 2, 2, 1)
    values, updates = np.arange(8.0).reshape(shape), np.ones(shape, int)
    axes = {"optimizer": ["adam", "sgd"], "width": [32, 64], "batch_size": [8, 16]}
    assert trials_of(sweep_of(values, updates, **axes)).methods == (
        *("adam, width 32", "adam, width 64", "sgd, width 32", "sgd, width 64"),
    )
    one = trials_of(sweep_of(values, updates, **axes), width=64, optimizer=["sgd"])
    assert one.methods == ("sgd",)
    np.testing.assert_array_equal(one.values.ravel(), [6, 7])

    points = sweep_of(np.arange(3.0)[:, None], np.ones((3, 1), int), point=[0, 1, 2])
    points = points.assign_coords(
        learning_rate=("point", [0.1, 0.2, 0.1]),
        batch_size=("point", [8, 8, 16]),
        optimizer=("point", ["adam", "adam", "sgd"]),
    )
    trials = trials_of(points)
    assert trials.methods == ("adam", "sgd")
    np.testing.assert_array_equal(trials.learning_rates[0], [[0.1, 0.2], [np.nan, np.nan]])
    np.testing.assert_array_equal(
        trials.values[:, :, :, 0, 0], [[[0, 1], [np.nan] * 2], [[np.nan] * 2, [2, np.nan]]]
    )


def test_columns_of_a_table_that_tell_methods_apart():
    rows = table(width=[1, 1, 1, 1, 2], optimizer=["b", "b", "a", "a", "a"])
    assert trials_of(rows, "loss").methods == ("b", "a")
    assert trials_of(rows, "loss", method=("width", "optimizer")).methods == (
        "width 1, b",
        "width 1, a",
        "width 2, a",
    )
    twice = table(width=[1, 1, 1, 2, 2], learning_rate=[0.1] * 5, updates=[10, 20, 5, 5, 10])
    with pytest.raises(
        ValueError, match=r"batch size 32, .* update 5 .*; if they differ by 'width', name it in"
    ):
        trials_of(twice, "loss")
    assert len(trials_of(twice, "loss", method="width").methods) == 2


def test_numbers_that_are_close_are_methods_of_their_own():
    width = [0.1234567, 0.1234567, 0.1234568, 0.1234568, 2]
    assert trials_of(table(width=width), "loss", method="width").methods == (
        *("width 0.1234567", "width 0.1234568", "width 2"),
    )


def test_what_a_sweep_lacks_is_said():
    trials = trials_of(sweep_of(np.ones((1, 2)), np.array([[1, 2]]), batch_size=[8]))
    np.testing.assert_array_equal(trials.learning_rates, [[[1.0]]])
    assert trials.seeds == (0,)
    assert [note.partition(":")[0] for note in trials.notes] == [
        "No learning rates are given",
        "No seeds are given",
        "Examples are not given",
        "There is one batch size, 8",
        "valid_loss is 1 at every evaluation",
    ]


def test_seeds_that_change_nothing():
    values = np.array([[[2.0, 1.0]] * 2, [[3.0, 2.0]] * 2])
    updates = np.broadcast_to([1, 2], values.shape)
    axes = {"batch_size": [8, 16], "seed": [0, 1]}
    note = "The seeds change nothing: all of them have the same values, and count as one run."
    assert note in trials_of(sweep_of(values, updates, **axes)).notes
    values[1, 1, 0] = 3.5
    assert note not in trials_of(sweep_of(values, updates, **axes)).notes


def test_a_metric_of_the_end_and_rows_of_something_else():
    dataset = sweep_of(np.ones((2, 3)), np.array([[1, 2, 3], [1, 2, 2]]), batch_size=[8, 16])
    dataset["test_loss"] = ("batch_size", [0.3, 0.4])
    trials = trials_of(dataset, "test_loss")
    np.testing.assert_array_equal(trials.values[0, :, 0, 0], [[0.3], [0.4]])
    np.testing.assert_array_equal(trials.updates[0, :, 0, 0], [[3], [2]])
    gaps = trials_of(table(loss=[np.nan, 0.2, 0.6, 0.4, 0.1]))
    np.testing.assert_array_equal(gaps.updates[0, 0, 0, 0], [20, np.nan])
    assert not gaps.diverged.any()


def test_evaluations_out_of_order_are_sorted():
    order = [1, 0, 3, 2, 4]
    trials = trials_of({name: np.array(values)[order] for name, values in ROWS.items()})
    same(trials, trials_of(table()))
    assert "2 trials had their evaluations out of order; they were sorted by updates." in trials.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_size": [8, 8, 0, 32, 32]},
            r"batch_size must be finite and above 0, got 0 \(row 2 \(from 0\)\)",
        ),
        ({"batch_size": [8, 8, "full", 32, 32]}, "batch_size must be finite and above 0, got 'full'"),
        ({"learning_rate": [0.1, -0.1, 1, 1, 1]}, "learning_rate must be finite and above 0, got -0.1"),
        ({"updates": [10, -1, 5, 10, 5]}, "updates must be finite and 0 or more, got -1"),
        ({"seed": [3, 3, np.nan, 3, 3]}, r"seed must be given in each row \(row 2"),
        ({"loss": ["0.5", "bad", "1", "2", "3"]}, "loss must be a number, got 'bad'"),
        (
            {"updates": [10, 10, 5, 10, 5]},
            "there once each: two evaluations are of batch size 8, learning rate 0.1",
        ),
        ({"seed": [3]}, "columns of one length, got batch_size .5,., learning_rate .5,., seed .1,"),
    ],
)
def test_bad_rows(changes, message):
    with pytest.raises(ValueError, match=message):
        trials_of(table(**changes))


def test_bad_names():
    rows = table()
    rows["learning_rates"] = rows.pop("learning_rate")
    with pytest.raises(ValueError, match="must have a column 'learning_rate'; did you mean 'learning_rates'"):
        trials_of(rows, "loss")
    with pytest.raises(ValueError, match="unknown metric 'los'; did you mean 'loss'"):
        trials_of(table(), "los")
    with pytest.raises(ValueError, match="mode is needed for the metric 'gain'"):
        trials_of(table(gain=ROWS["loss"]), "gain")
    assert trials_of(table(gain=ROWS["loss"]), "gain", "max").mode == "max"
    with pytest.raises(ValueError, match=r"metric must be given \(--goal .*\), one of loss, gain"):
        trials_of(table(gain=ROWS["loss"]))
    with pytest.raises(ValueError, match="unknown column 'widht'"):
        trials_of(table(), widht=3)
    with pytest.raises(ValueError, match="batch_size has no value 9; it has 8, 32"):
        trials_of(table(), batch_size=9)
    with pytest.raises(ValueError, match="must have an axis 'batch_size'"):
        trials_of(sweep_of(np.ones((1, 2)), np.array([[1, 2]]), learning_rate=[0.1]))
    with pytest.raises(TypeError, match="data is a int"):
        trials_of(3)


def test_a_row_of_a_file_is_named_by_its_line(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text("batch_size,learning_rate,seed,updates,loss\n8,0.1,0,1,0.5\n8,0,0,2,0.4\n")
    with pytest.raises(
        ValueError, match=r"learning_rate must be finite and above 0, got 0 \(row 2 \(line 3\)\)"
    ):
        trials_of(path)
