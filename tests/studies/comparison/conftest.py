"""Made-up results of a comparison, small enough to work out by hand."""

import numpy as np
import pytest
import xarray as xr

from jaxgd.studies.comparison.answer import Subject
from jaxgd.studies.comparison.conclusions import found_in
from jaxgd.studies.comparison.judging import Looks, judge
from jaxgd.training.states import NOT_RUN

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
    """fresh(test_scores [optimizer, batch_size, seed, example], valid [.., seed], ...): one epoch.

    valid: the validation scores, the test scores if None. score: what both are. losses: train_loss, different
    for each seed if None. NaN in a run's test scores: it diverged. not_run: places (optimizer, batch size,
    seed) that were not run, as numbers.
    """

    def make(optimizers, batch_sizes, rates, test, valid=None, score="accuracy", losses=None, not_run=()):
        test = np.asarray(test, float)
        mean = test.mean(-1)
        valid = mean if valid is None else np.broadcast_to(np.asarray(valid, float), mean.shape)
        losses = 0.1 * np.arange(1.0, 1 + mean.shape[-1]) if losses is None else losses
        updates = np.broadcast_to(-(-NUM_TRAIN // np.asarray(batch_sizes))[None, :, None], mean.shape)
        status = np.where(np.isnan(mean), "diverged", "completed").astype(object)
        for place in not_run:
            status[place] = NOT_RUN
        curve = (*FRESH, "epoch")
        columns = {
            "test_scores": ((*FRESH, "example"), test),
            f"test_{score}": (FRESH, mean),
            "train_loss": (curve, np.broadcast_to(losses, mean.shape)[..., None]),
            "valid_loss": (curve, (valid if score == "loss" else 1 - valid)[..., None]),
            f"valid_{score}": (curve, valid[..., None]),
            "updates": (curve, updates[..., None]),
            "examples": (curve, np.full((*mean.shape, 1), NUM_TRAIN)),
            "status": (FRESH, status.astype(str)),
            "learning_rate": (FRESH[:2], np.broadcast_to(np.asarray(rates, float), mean.shape[:2])),
        }
        seeds = range(3, 3 + mean.shape[-1])
        coords = coordinates(optimizer=optimizers, batch_size=batch_sizes, seed=seeds, epoch=[1])
        return xr.Dataset(columns, coords)

    return make


@pytest.fixture
def make_clock():
    """clock(seconds of an update [optimizer, batch_size] or [.., turn], bytes alike)."""

    def make(optimizers, batch_sizes, seconds, memory=1000):
        seconds = np.asarray(seconds, float)
        turns = seconds if seconds.ndim == 3 else np.repeat(seconds[..., None], 3, axis=-1)
        median = np.median(turns, axis=-1)
        return xr.Dataset(
            {
                "seconds_per_update": (FRESH[:2], median),
                "examples_per_second": (FRESH[:2], np.asarray(batch_sizes) / median),
                "bytes": (FRESH[:2], np.broadcast_to(memory, median.shape)),
                "seconds_by_turn": ((*FRESH[:2], "turn"), turns),
            },
            coordinates(optimizer=optimizers, batch_size=batch_sizes),
        )

    return make


@pytest.fixture
def find(make_grid, make_fresh, make_clock):
    """find(test_scores [cell, seed, example], ...): what is found in optimizers "a", "b", .. at batch 10.

    seconds: of a run of each. The rest as of `make_fresh`, `make_clock` and `judge`.
    """

    def find(test, valid=None, *, seconds=None, memory=1000, score="accuracy", constant=None, **rest):
        test = np.asarray(test, float)[:, None]
        names, sizes = [chr(97 + k) for k in range(len(test))], [10]
        margin, looks = (
            rest.pop("margin", None),
            rest.pop("looks", Looks((test.shape[2],), test.shape[2], True)),
        )
        valid = None if valid is None else np.asarray(valid, float)[:, None, None]
        if "losses" in rest:
            rest["losses"] = np.asarray(rest["losses"], float)[:, None]
        fresh = make_fresh(names, sizes, 0.1, test, valid, score, **rest)
        seconds = np.ones(len(test)) if seconds is None else np.asarray(seconds, float)
        clock = make_clock(names, sizes, seconds[:, None] / 10, np.asarray(memory).reshape(-1, 1))
        grid = make_grid(names, sizes, [0.1], np.full((len(test), 1, 1, 2), 0.9))
        judged = judge(fresh, clock, score, constant, looks, margin)
        subject = Subject("digits", score, 20, NUM_TRAIN, test.shape[-1], looks.most)
        return found_in(subject, grid, fresh, clock, judged, constant)

    return find


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
