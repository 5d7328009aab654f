"""The range test beside sweeps of some epochs: its best rate is within 10 % of the best loss."""

import jax
import numpy as np
import pytest

import jaxgd

RATES, SEED = np.logspace(-4, 1, 13), 100
CASES = {
    "digits, momentum, 32": ("digits", "mlp", jaxgd.momentum, 32),
    "digits, adam, 128": ("digits", "mlp", jaxgd.adam, 128),
    "diabetes, adam, 16": ("diabetes", "mlp", jaxgd.adam, 16),
    "diabetes, linear, sgd, 1": ("diabetes", "linear", jaxgd.sgd, 1),
    "breast_cancer, sgd, 8": ("breast_cancer", "mlp", jaxgd.sgd, 8),
    "breast_cancer, linear, adam, full": ("breast_cancer", "linear", jaxgd.adam, "full"),
}


def problem_of(name, model):
    train, valid, _ = jaxgd.datasets.load(name)
    num_inputs, num_outputs = train[0].shape[1], {"digits": 10, "diabetes": 1, "breast_cancer": 2}[name]
    made = (
        jaxgd.linear(num_inputs, num_outputs)
        if model == "linear"
        else jaxgd.mlp([num_inputs, 64, num_outputs])
    )
    return (jaxgd.regression if name == "diabetes" else jaxgd.classification)(made, train, valid)


def loss_at(problem, optimizer, batch_size, rates, seeds):
    """Mean validation losses at these rates, of a run about as long as the test's."""
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, optimizer(hp.learning_rate), batch_size),
        {"learning_rate": rates, "seed": seeds},
        100 if batch_size == "full" else 5,
        progress=False,
    )
    return result.dataset.valid_loss.isel(epoch=-1).mean("seed", skipna=False).values


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_its_best_rate_is_near_that_of_a_sweep(case):
    name, model, optimizer, batch_size = CASES[case]
    problem = problem_of(name, model)
    trainer = jaxgd.trainer(problem, optimizer(0.1), batch_size)
    found = jaxgd.find_learning_rate(trainer, jax.random.key(SEED), RATES)
    losses = loss_at(problem, optimizer, batch_size, RATES.tolist(), [SEED + 1, SEED + 2, SEED + 3])
    named = losses[np.flatnonzero(found.best == RATES)[0]]
    assert named <= 1.1 * np.nanmin(losses)
