"""The learning-rate range test."""

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.training.data import datasets

KEY = jax.random.key(0)
RATES = np.logspace(-5, 2, 8)


def trainer_of(train, valid, optimizer, batch_size=32):
    problem = jaxgd.classification(jaxgd.mlp([64, 16, 10]), train, valid)
    return jaxgd.trainer(problem, optimizer, batch_size)


def noise(seed=0):
    rng = np.random.default_rng(seed)
    inputs, labels = rng.normal(size=(600, 64)).astype(np.float32), rng.integers(0, 10, 600)
    return (inputs[:400], labels[:400]), (inputs[400:], labels[400:])


@pytest.mark.slow
def test_it_finds_a_rate_that_trains():
    train, valid, _ = datasets.load("digits")
    tr = trainer_of(train, valid, jaxgd.adam(123.0))
    found = jaxgd.find_learning_rate(tr, KEY, RATES, updates=60)
    assert found.rate in RATES
    assert found.best in RATES
    assert found.rate <= found.best
    fit = jaxgd.fit(tr.replace(optimizer=tr.optimizer.replace(learning_rate=found.rate)), KEY, 5)
    assert fit.history["valid_accuracy"][-1] > 0.85
    assert found.losses[0] == pytest.approx(found.start, rel=0.2)
    assert "the loss falls from" in found.reason
    assert tr.optimizer.learning_rate == 123.0


@pytest.mark.slow
@pytest.mark.parametrize("validated", [True, False])
def test_noise_has_no_usable_rate(validated):
    train, valid = noise()
    tr = trainer_of(train, valid if validated else None, jaxgd.adam(0.1))
    found = jaxgd.find_learning_rate(tr, KEY, RATES, updates=60)
    assert found.rate is None
    assert found.best is None
    assert "no usable rate" in repr(found)


def test_examples_without_targets():
    rows = np.random.default_rng(0).normal(loc=3, size=(60, 2)).astype(np.float32)
    problem = jaxgd.Problem(
        lambda key: np.zeros(2, np.float32), lambda p, x: ((x - p[None]) ** 2).sum(1), rows
    )
    found = jaxgd.find_learning_rate(jaxgd.trainer(problem, jaxgd.sgd(1.0), "full"), KEY, RATES, updates=30)
    assert found.rate is not None
    assert np.isnan(found.controls).all()


@pytest.mark.parametrize(
    ("rates", "error", "message"),
    [
        ([0.0, 1.0], ValueError, "rates must be a list of positive finite numbers"),
        ([], ValueError, "rates must be"),
        ([np.inf], ValueError, "rates must be"),
    ],
)
def test_bad_rates(rates, error, message):
    with pytest.raises(error, match=message):
        jaxgd.find_learning_rate(trainer_of(*noise(), jaxgd.sgd(0.1)), KEY, rates)


def test_updates_without_end():
    trainer = trainer_of(*noise(), jaxgd.sgd(0.1))
    with pytest.raises(ValueError, match=r"updates must be at most \d+ for \d+ examples .*, got 10{12}$"):
        jaxgd.find_learning_rate(trainer, KEY, updates=10**12)
    with pytest.raises(TypeError, match="updates must be a whole number, 1 or more, got inf"):
        jaxgd.find_learning_rate(trainer, KEY, updates=float("inf"))
    with pytest.raises(ValueError, match="updates must be a whole number, 1 or more, got 0"):
        jaxgd.find_learning_rate(trainer, KEY, updates=0)


def test_an_optimizer_without_a_rate():
    chained = jaxgd.chain(jaxgd.optim.clip(1.0), jaxgd.optim.scale(-0.1))
    with pytest.raises(TypeError, match="the optimizer must have a learning_rate to find, got chain"):
        jaxgd.find_learning_rate(trainer_of(*noise(), chained), KEY)
