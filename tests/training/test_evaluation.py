"""The scores of each example of a split, whose means are what `evaluate` gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.evaluation import example_scores
from jaxgd.training.gradients import CHUNK

RNG = np.random.default_rng(0)


def rows(count):
    return RNG.normal(size=(count, 2)).astype(np.float32)


def dot(params, batch):
    return batch @ params


def squared(params, batch):
    return jnp.square(batch @ params)


def weighted(params, batch):
    return batch @ params, jnp.square(batch[:, 0])


def padded(params, batch):
    """The losses of the first half have no weight, and no number."""
    marks = jnp.where(batch[:, 0] > 0, batch[:, 1] ** 2, 0)
    return jnp.where(batch[:, 0] > 0, batch @ params, jnp.inf), marks


def weightless(params, batch):
    return batch @ params, jnp.zeros(len(batch))


def centred(params, batch):
    return (batch - batch.mean(axis=0, keepdims=True)) @ params


def shifted(params, batch, model_state):
    return (batch + model_state[None]) @ params, model_state


PARAMS = jnp.array([0.5, -2.0])


def problem(loss, count=30, **options):
    test = rows(count)
    made = jaxgd.Problem(lambda key: jnp.zeros(2), loss, rows(8), valid=test[:5], test=test, **options)
    return made, test


@pytest.mark.parametrize("loss", [dot, weighted, padded, weightless])
@pytest.mark.parametrize("count", [30, CHUNK, 2 * CHUNK + 7], ids=["one chunk", "one whole chunk", "chunks"])
def test_means_are_those_of_evaluate(loss, count):
    made, _ = problem(loss, count, metrics={"squared": squared})
    found = example_scores(made, PARAMS, "test")
    means = jaxgd.evaluate(made, PARAMS, "test")
    assert set(found) == set(means) == {"loss", "squared"}
    for name, values in found.items():
        assert values.shape == (count,)
        np.testing.assert_allclose(np.asarray(values).astype(float).mean(), means[name], rtol=1e-4, atol=1e-5)


def test_each_score_is_its_examples_own():
    made, test = problem(dot, 2 * CHUNK + 7, metrics={"squared": squared})
    found = example_scores(made, PARAMS, "test")
    np.testing.assert_allclose(found["loss"], test @ np.asarray(PARAMS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["squared"], (test @ np.asarray(PARAMS)) ** 2, rtol=1e-5, atol=1e-6)


def test_a_weighted_loss_counts_by_its_weight():
    made, test = problem(weighted)
    weights = test[:, 0] ** 2
    expected = weights * (test @ np.asarray(PARAMS)) / weights.mean()
    np.testing.assert_allclose(example_scores(made, PARAMS, "test")["loss"], expected, rtol=1e-4, atol=1e-5)


def test_coupled_examples_are_one_batch():
    made, test = problem(centred, CHUNK + 5, coupled=True)
    expected = (test - test.mean(axis=0)) @ np.asarray(PARAMS)
    np.testing.assert_allclose(example_scores(made, PARAMS, "test")["loss"], expected, atol=1e-4)


@pytest.mark.parametrize("measure", [jaxgd.evaluate, example_scores])
def test_a_model_state_is_asked_for(measure):
    made, _ = problem(shifted, model_state=jnp.ones(2))
    with pytest.raises(
        ValueError, match=r"^model_state is missing: .* give model_state=fit\.state\.model_state, of a sweep"
    ):
        measure(made, PARAMS, "test")
    assert measure(made, PARAMS, "test", made.model_state)


def test_the_model_state_is_the_problems_own_or_a_runs():
    made, test = problem(shifted, model_state=jnp.ones(2))
    for state, shift in ((made.model_state, 1), (jnp.full(2, 3.0), 3)):
        found = example_scores(made, PARAMS, "test", state)["loss"]
        np.testing.assert_allclose(found, (test + shift) @ np.asarray(PARAMS), rtol=1e-4, atol=1e-5)
        mean = jaxgd.evaluate(made, PARAMS, "test", state)["loss"]
        np.testing.assert_allclose(np.mean(found), mean, rtol=1e-4)


def test_dropout_is_off():
    inputs = rows(20)
    model = jaxgd.mlp([2, 8, 1], dropout=0.5)
    made = jaxgd.regression(model, (inputs, inputs[:, 0]), None, (inputs, inputs[:, 1]))
    params = made.init(jax.random.key(0))
    found = example_scores(made, params, "test")
    np.testing.assert_allclose(
        np.mean(found["loss"]), jaxgd.evaluate(made, params, "test")["loss"], rtol=1e-5
    )
    np.testing.assert_array_equal(found["loss"], example_scores(made, params, "test")["loss"])


def test_splits():
    made, _ = problem(dot)
    assert example_scores(made, PARAMS)["loss"].shape == (5,)
    with pytest.raises(ValueError, match="unknown split 'tests'; did you mean 'test'"):
        example_scores(made, PARAMS, "tests")
    with pytest.raises(ValueError, match="the problem has no test data"):
        example_scores(made.replace(test=None), PARAMS, "test")


def test_a_metric_that_is_a_mean_is_refused():
    made, _ = problem(dot, metrics={"mean": lambda params, batch: jnp.mean(batch @ params)})
    with pytest.raises(ValueError, match="metric 'mean' must return one number per example"):
        example_scores(made, PARAMS, "test")
