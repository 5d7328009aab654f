"""Made-up results of a comparison, small enough to work out by hand."""

import numpy as np
import pytest
import xarray as xr

NUM_TRAIN = 100
GRID = ("optimizer", "batch_size", "rate", "seed")
FRESH = ("optimizer", "batch_size", "seed")


def coordinates(**values):
    return {name: list(value) for name, value in values.items()}


@pytest.fixture
def make_grid():
    """grid(valid_accuracy [optimizer, batch_size, rate, seed]): one epoch; NaN stands for a diverged run."""

    def make(optimizers, batch_sizes, rates, accuracy, loss=None):
        accuracy = np.asarray(accuracy, float)
        loss = 1 - accuracy if loss is None else np.asarray(loss, float)
        coords = coordinates(
            optimizer=optimizers,
            batch_size=batch_sizes,
            rate=range(accuracy.shape[2]),
            seed=range(accuracy.shape[3]),
            epoch=[1],
        )
        rates = np.broadcast_to(np.asarray(rates, float), (len(optimizers), accuracy.shape[2]))
        return xr.Dataset(
            {
                "valid_accuracy": ((*GRID, "epoch"), accuracy[..., None]),
                "valid_loss": ((*GRID, "epoch"), loss[..., None]),
                "status": (GRID, np.where(np.isnan(accuracy), "diverged", "completed")),
            },
            {**coords, "learning_rate": (("optimizer", "rate"), rates)},
        )

    return make


@pytest.fixture
def make_fresh():
    """fresh(test_accuracy [optimizer, batch_size, seed], rates [optimizer, batch_size]): one epoch."""

    def make(optimizers, batch_sizes, rates, accuracy, loss=None):
        accuracy = np.asarray(accuracy, float)
        loss = 1 - accuracy if loss is None else np.asarray(loss, float)
        updates = -(-NUM_TRAIN // np.asarray(batch_sizes))[None, :, None, None]
        coords = coordinates(
            optimizer=optimizers, batch_size=batch_sizes, seed=range(3, 3 + accuracy.shape[2]), epoch=[1]
        )
        curve = (*FRESH, "epoch")
        shape = (*accuracy.shape, 1)
        return xr.Dataset(
            {
                "test_accuracy": (FRESH, accuracy),
                "test_loss": (FRESH, loss),
                "valid_accuracy": (curve, accuracy[..., None]),
                "valid_loss": (curve, loss[..., None]),
                "updates": (curve, np.broadcast_to(updates, shape)),
                "examples": (curve, np.full(shape, NUM_TRAIN)),
                "status": (FRESH, np.where(np.isnan(accuracy), "diverged", "completed")),
                "learning_rate": (FRESH[:2], np.asarray(rates, float)),
            },
            coords,
        )

    return make


@pytest.fixture
def make_clock():
    """clock(seconds_per_update [optimizer, batch_size])."""

    def make(optimizers, batch_sizes, seconds):
        seconds = np.asarray(seconds, float)
        return xr.Dataset(
            {
                "seconds_per_update": (FRESH[:2], seconds),
                "examples_per_second": (FRESH[:2], np.asarray(batch_sizes) / seconds),
                "bytes": (FRESH[:2], np.full(seconds.shape, 1000)),
            },
            coordinates(optimizer=optimizers, batch_size=batch_sizes),
        )

    return make


@pytest.fixture
def make_curves():
    """curves(scores [batch_size, seed, epoch]): the fresh runs of one optimizer, "sgd"."""

    def make(batch_sizes, scores, score="accuracy", num_train=NUM_TRAIN):
        scores = np.asarray(scores, float)[None]
        epochs = np.arange(1, scores.shape[-1] + 1)
        updates = (-(-num_train // np.asarray(batch_sizes)))[None, :, None, None] * epochs
        curve = (*FRESH, "epoch")
        return xr.Dataset(
            {f"valid_{score}": (curve, scores), "updates": (curve, np.broadcast_to(updates, scores.shape))},
            coordinates(optimizer=["sgd"], batch_size=batch_sizes, seed=range(scores.shape[2]), epoch=epochs),
        )

    return make
