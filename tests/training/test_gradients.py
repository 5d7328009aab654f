"""The batch gradient: an exact mean, weighted or not, padded or not; and means over a split."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.gradients import batch_gradient, mean_of_sums

ROWS = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, 2.0]], np.float32)


def dot(params, batch):
    return batch @ params


def make_problem(loss, data=ROWS, **options):
    return jaxgd.Problem(lambda key: jnp.zeros(2), loss, data, **options)


def mean_gradient(problem, params, batch, mask=None):
    return batch_gradient(problem, params, jnp.asarray(batch), None, None, mask, mean=True)[0]


def test_gradient_is_the_mean():
    result = mean_gradient(make_problem(dot), jnp.ones(2), ROWS[:3])
    np.testing.assert_allclose(result.grads, ROWS[:3].mean(axis=0), rtol=1e-6)
    assert (result.loss, result.weight) == (5, 3)


# Oracle 9: the rows are the gradients of the examples.
@pytest.mark.parametrize(
    ("batches", "variance"),
    [
        (itertools.product(range(4), repeat=2), 0.5),
        (itertools.permutations(range(4), 2), 1 / 3),
        (itertools.permutations(range(4), 4), 0),
    ],
    ids=["with replacement", "without replacement", "all"],
)
def test_covariance_of_a_batch_gradient(batches, variance):
    batches = ROWS[np.array(list(batches))]
    problem = make_problem(dot)
    means = jax.vmap(lambda batch: mean_gradient(problem, jnp.zeros(2), batch).grads)(batches)
    np.testing.assert_allclose(np.var(means, axis=0).sum(), variance, rtol=1e-5, atol=1e-12)


def logarithm(params, batch):
    return -jnp.log(batch @ params)


def test_padding_under_a_logarithm_gives_no_nan():
    tr = jaxgd.trainer(
        jaxgd.Problem(lambda key: jnp.ones(2), logarithm, ROWS[:3]), jaxgd.sgd(0.1), 3, microbatch=2
    )
    fit = jaxgd.fit(tr, jax.random.key(0), 1)
    expected = 1 + 0.1 * (ROWS[:3] / ROWS[:3].sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(fit.state.params, expected, rtol=1e-6)
    assert fit.history["updates"][0] == 1


def weighted(params, batch):
    # Weights that depend on the parameters: their derivative must not be taken.
    return batch @ params, batch[:, 0] * params[0]


@pytest.mark.parametrize("microbatch", [None, 3])
def test_weighted_losses(microbatch):
    problem = jaxgd.Problem(lambda key: jnp.array([2.0, 3.0]), weighted, ROWS)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(1.0), 4, microbatch), jax.random.key(0), 1)
    weights, losses = 2 * ROWS[:, 0], ROWS @ [2.0, 3.0]
    np.testing.assert_allclose(fit.state.params, [2, 3] - (weights @ ROWS) / weights.sum(), rtol=1e-6)
    np.testing.assert_allclose(fit.history["train_loss"], weights @ losses / weights.sum(), rtol=1e-6)
    means = jaxgd.evaluate(problem, jnp.array([2.0, 3.0]), "train")
    np.testing.assert_allclose(means["loss"], weights @ losses / weights.sum(), rtol=1e-6)


def only_marked(params, batch):
    inputs, marks = batch
    return inputs @ params, marks


@pytest.mark.parametrize("microbatch", [None, 3])
def test_a_batch_of_no_weight_makes_no_update(microbatch):
    marks = np.array([0, 0, 0, 1], np.float32)
    problem = make_problem(only_marked, (ROWS, marks))
    # Momentum would move the parameters at every further update.
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(1.0), 1, microbatch), jax.random.key(0), 1)
    np.testing.assert_allclose(fit.state.params, -ROWS[3])
    assert fit.history["updates"] == 1
    assert fit.history["examples"] == 4
    assert fit.state.status == 0
    np.testing.assert_allclose(fit.history["grad_norm"], np.linalg.norm(ROWS[3]), rtol=1e-6)


@pytest.mark.parametrize("microbatch", [None, 2])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_loss_of_no_weight_is_left_out_whatever_it_is(microbatch, bad):
    def with_padding(params, batch):
        """The loss of padding, marked 0, has no number; its derivative is finite."""
        values, marks = batch
        return params * values + jnp.where(marks > 0, 0, bad), marks

    data = (np.array([1, 7, 3, 7, 5], np.float32), np.array([1, 0, 2, 0, 1], np.float32))
    problem = jaxgd.Problem(lambda key: jnp.ones(()), with_padding, data, valid=data)
    mean = (1 * 1 + 2 * 3 + 1 * 5) / 4
    np.testing.assert_allclose(jaxgd.evaluate(problem, jnp.ones(()))["loss"], mean)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 5, microbatch), jax.random.key(0), 1)
    np.testing.assert_allclose(fit.history["train_loss"], mean)
    np.testing.assert_allclose(fit.history["grad_norm"], mean, rtol=1e-6)
    np.testing.assert_allclose(fit.history["valid_loss"], (1 - 0.1 * mean) * mean, rtol=1e-6)
    assert fit.state.status == 0


TARGET = 3 - 1j


def distance(params, batch):
    return jnp.abs(params - TARGET) ** 2 * batch


def complex_problem():
    return jaxgd.Problem(lambda key: jnp.zeros((), jnp.complex64), distance, np.ones(6, np.float32))


@pytest.mark.parametrize("microbatch", [None, 2])
def test_complex_parameters_descend(microbatch):
    trainer = jaxgd.trainer(complex_problem(), jaxgd.sgd(0.1), 3, microbatch)
    fit = jaxgd.fit(trainer, jax.random.key(0), 5)
    np.testing.assert_allclose(fit.state.params, TARGET * (1 - 0.8**10), rtol=1e-5)


@pytest.mark.slow
def test_complex_parameters_descend_by_every_kind_of_optimizer():
    problem = complex_problem()
    optimizers = [
        jaxgd.sgd(0.1), jaxgd.momentum(0.02), jaxgd.adam(0.1), jaxgd.rmsprop(0.01), jaxgd.adagrad(1.0),
        jaxgd.adadelta(30.0), jaxgd.nadam(0.1),
    ]  # fmt: skip

    @jax.jit
    def ends(optimizers):
        trainers = [jaxgd.trainer(problem, optimizer, 3) for optimizer in optimizers]
        return [jaxgd.fit(trainer, jax.random.key(0), 300).state.params for trainer in trainers]

    np.testing.assert_allclose(ends(optimizers), TARGET, rtol=1e-4)


def test_a_rate_for_complex_parameters_is_found():
    problem = jaxgd.Problem(lambda key: jnp.zeros((), jnp.complex64), distance, np.ones(20, np.float32))
    found = jaxgd.find_learning_rate(
        jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), jax.random.key(0), [1e-3, 0.1, 10.0], updates=20
    )
    np.testing.assert_allclose(found.losses[:2], [10 * 0.998**40, 10 * 0.8**40], rtol=1e-3)


def test_sums_over_microbatches_are_the_mean():
    problem, params = make_problem(weighted), jnp.array([2.0, 3.0])
    mask = jnp.array([True, False])
    one, *_ = batch_gradient(problem, params, ROWS[:3], None, None, None, mean=False)
    two, is_weighted, _ = batch_gradient(problem, params, ROWS[[3, 0]], None, None, mask, mean=False)
    assert is_weighted
    total = mean_of_sums(jax.tree.map(jnp.add, one, two), params)
    np.testing.assert_allclose(total.grads, mean_gradient(problem, params, ROWS).grads, rtol=1e-6)


def first_column(params, batch):
    return batch[:, 0]


def test_evaluation_in_chunks_is_that_of_all_at_once():
    data = np.random.default_rng(0).normal(size=(9001, 2)).astype(np.float32)
    problem = make_problem(
        lambda params, batch: (batch @ params, batch[:, 1] ** 2), data, metrics={"x": first_column}
    )
    means = jaxgd.evaluate(problem, jnp.array([1.0, 2.0]), "train")
    weights = data[:, 1].astype(float) ** 2
    np.testing.assert_allclose(means["loss"], weights @ (data @ [1.0, 2.0]) / weights.sum(), rtol=1e-4)
    np.testing.assert_allclose(means["x"], data[:, 0].mean(dtype=float), rtol=1e-4)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda p, b: jnp.mean(b @ p),
            r"loss must return one number per example, shape \(4,\), got \(\); a mean",
        ),
        (lambda p, b: b, r"loss must return .* shape \(4,\), got \(4, 2\)"),
        (lambda p, b: (b @ p, 1.0), r"the weights of loss must return .* got \(\)"),
        (lambda p, b: (b @ p, b @ p, b), r"loss must return losses, or \(losses, weights\), got 3 values"),
    ],
)
def test_losses_of_a_wrong_shape(loss, message):
    with pytest.raises(ValueError, match=message):
        jaxgd.evaluate(make_problem(loss), jnp.ones(2), "train")


def test_metrics_of_a_wrong_shape():
    problem = make_problem(dot, metrics={"x": lambda params, batch: jnp.mean(batch)})
    with pytest.raises(ValueError, match=r"metric 'x' must return one number per example, shape \(4,\)"):
        jaxgd.evaluate(problem, jnp.ones(2), "train")
