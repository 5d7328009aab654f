"""Epochs of batches, against NumPy, against Optax, and against exact enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd.training.batching import epoch_order
from jaxgd.training.carrying import empty_rows
from jaxgd.training.fitting import initial_params
from jaxgd.training.loop import initial_state, run_epoch

KEY = jax.random.key(7)
BATCH_SIZES = np.array([1, 3, 8, 20, 33, 64, 97])


def make_data(num, dtype=np.float64, classes=3):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num, 4)).astype(dtype)
    return inputs, generator.integers(0, classes, num)


def make_regression(num=97, dtype=np.float64):
    inputs, targets = make_data(num, dtype)
    return jaxgd.regression(
        jaxgd.linear(4, bias=False), (inputs, targets.astype(dtype)), (inputs[:9], targets[:9])
    )


def reference(problem, batch_size, epochs, sampling="shuffle", remainder="keep"):
    """Momentum 0.9 at rate 0.05 on least squares in NumPy: parameters and history."""
    inputs, targets = (np.asarray(x, float) for x in problem.train)
    num = len(inputs)
    weights, velocity, counts, history = np.zeros(4), np.zeros(4), np.zeros(2, int), []
    for epoch in range(epochs):
        order = np.asarray(epoch_order(KEY, epoch, num, sampling))
        losses, norms = [], []
        for start in range(0, num // batch_size * batch_size if remainder == "drop" else num, batch_size):
            x, y = inputs[order[start : start + batch_size]], targets[order[start : start + batch_size]]
            errors = x @ weights - y
            gradient = x.T @ errors / len(x)
            velocity = 0.9 * velocity + gradient
            weights = weights - 0.05 * velocity
            losses.extend(errors**2 / 2)
            norms.append(np.linalg.norm(gradient))
        counts += [len(norms), len(losses)]
        x, y = (np.asarray(a, float) for a in problem.valid)
        valid = np.mean((x @ weights - y) ** 2) / 2
        history.append((np.mean(losses), np.mean(norms), valid, 2 * valid, *counts))
    names = ("train_loss", "grad_norm", "valid_loss", "valid_squared_error", "updates", "examples")
    return weights, dict(zip(names, np.array(history).T, strict=True))


def assert_is_reference(fit, weights, history, rtol=1e-9):
    np.testing.assert_allclose(np.ravel(fit.state.params["w"]), weights, rtol=rtol)
    assert set(fit.history) == set(history)
    for name, column in history.items():
        np.testing.assert_allclose(fit.history[name], column, rtol=rtol, err_msg=name)


OPTIONS = [
    {"microbatch": 8},
    {"microbatch": 5},
    {"microbatch": 8, "remainder": "drop"},
    {"microbatch": 5, "remainder": "drop", "sampling": "replacement"},
    {"microbatch": 200, "sampling": "replacement"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_traced_batch_size_is_each_batch_size(x64, options):
    problem = make_regression()

    def run(batch_size):
        return jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.05), batch_size, **options), KEY, 2)

    fits = jax.jit(jax.vmap(run))(jnp.array(BATCH_SIZES))
    keywords = {name: value for name, value in options.items() if name != "microbatch"}
    for lane, batch_size in enumerate(BATCH_SIZES):
        fit = jax.tree.map(lambda x, lane=lane: x[lane], fits)
        assert_is_reference(fit, *reference(problem, batch_size, 2, **keywords))


@pytest.mark.parametrize(
    ("batch_size", "options"),
    [
        (8, {}),
        (97, {"sampling": "replacement"}),
        (20, {"remainder": "drop"}),
        (20, {"remainder": "drop", "microbatch": 8}),
        (33, {"microbatch": 8}),
        (33, {"microbatch": 11, "sampling": "replacement"}),
        (3, {"microbatch": 8}),
    ],
    ids=str,
)
def test_a_static_batch_size(x64, batch_size, options):
    problem = make_regression()
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.05), batch_size, **options), KEY, 2)
    keywords = {name: value for name, value in options.items() if name != "microbatch"}
    assert_is_reference(fit, *reference(problem, batch_size, 2, **keywords))


@pytest.mark.parametrize("options", [{}, {"microbatch": 8}, {"sampling": "replacement"}], ids=str)
def test_a_full_batch_is_every_example_once(x64, options):
    problem = make_regression()
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.05), "full", **options), KEY, 3)
    assert_is_reference(fit, *reference(problem, 97, 3))


def run_classifier(problem, batch_size, microbatch=None):
    return jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.05), batch_size, microbatch), KEY, 1)


def assert_lanes_are_static_runs(problem, sizes, **tolerances):
    fits = jax.jit(jax.vmap(lambda b: run_classifier(problem, b, microbatch=8)))(jnp.array(sizes))
    for lane, size in enumerate(sizes):
        fit = jax.tree.map(lambda x, lane=lane: x[lane], (fits.state.params, fits.history))
        solo = run_classifier(problem, int(size))
        assert fit[1]["updates"][0] == solo.history["updates"][0] == -(-problem.num_examples // size)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, **tolerances),
            fit,
            (solo.state.params, solo.history),
        )


def test_lanes_of_batch_sizes_are_static_runs_in_float64(x64):
    problem = jaxgd.classification(jaxgd.linear(4, 3), make_data(97))
    assert_lanes_are_static_runs(problem, [3, 64], rtol=1e-9)


@pytest.mark.slow
def test_lanes_of_batch_sizes_are_static_runs_in_float32():
    problem = jaxgd.classification(jaxgd.linear(4, 3), make_data(20, np.float32))
    assert_lanes_are_static_runs(problem, [1, 8, 20], rtol=1e-5, atol=1e-6)  # at most 20 updates


# Oracle 10.
ROWS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]])
TARGETS = np.array([1.0, 2.0, 2.0, 0.0])


def expected_loss(batch_size, orders, weights=None):
    """The loss over the four rows after one epoch, averaged over the orders given (repeated rows fill up)."""
    num = orders.shape[1]
    rows = np.resize(np.arange(4), num)
    problem = jaxgd.regression(jaxgd.linear(2, bias=False), (ROWS[rows], TARGETS[rows]))
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.1), batch_size)

    def run(order):
        state = initial_state(tr, KEY, initial_params(problem.init, KEY))
        state, _ = run_epoch(tr, state, empty_rows(tr, 1), order)
        return jnp.mean((ROWS @ state.params["w"][:, 0] - TARGETS) ** 2) / 2

    return np.average(jax.jit(jax.vmap(run))(orders), weights=weights)


@pytest.mark.parametrize(("batch_size", "loss"), [(1, 0.629241), (2, 0.843482), (4, 0.974844)])
def test_expected_loss_over_all_shuffles(x64, batch_size, loss):
    orders = np.array(list(itertools.permutations(range(4))))
    np.testing.assert_allclose(expected_loss(batch_size, orders), loss, rtol=1e-5)


@pytest.mark.parametrize(
    ("pairs", "loss"),
    [(itertools.combinations_with_replacement, 0.573619), (itertools.combinations, 0.570161)],
    ids=["with replacement", "without replacement"],
)
def test_expected_loss_of_five_batches_of_two(x64, pairs, loss):
    pairs = np.array(list(pairs(range(4), 2)))
    multiplicity = 1.0 + (pairs[:, 0] != pairs[:, 1])
    choices = np.array(list(itertools.product(range(len(pairs)), repeat=5)))
    weights = multiplicity[choices].prod(axis=1)
    orders = pairs[choices].reshape(len(choices), 10)
    np.testing.assert_allclose(expected_loss(2, orders, weights), loss, rtol=1e-5)


def test_batch_gradient_descent_by_the_oracle(x64):
    problem = jaxgd.regression(jaxgd.linear(2, bias=False), (ROWS, TARGETS), (ROWS, TARGETS))
    history = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), "full"), KEY, 5).history
    np.testing.assert_allclose(history["valid_loss"][-1], 0.563421, rtol=1e-5)


def half_squared(params, batch):
    return (params - batch) ** 2 / 2


def test_sgd_with_rate_one_over_t_is_the_running_mean(x64):
    values = np.random.default_rng(0).normal(size=12)
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), half_squared, values)
    fit = jaxgd.fit(
        jaxgd.trainer(problem, jaxgd.sgd(lambda count: 1 / (jnp.asarray(count, float) + 1)), 1), KEY, 2
    )
    used = np.concatenate([values[epoch_order(KEY, epoch, 12, "shuffle")] for epoch in range(2)])
    means = np.cumsum(used) / np.arange(1, 25)
    np.testing.assert_allclose(fit.state.params, values.mean(), rtol=1e-9)
    losses = (np.append(0, means[:-1]) - used) ** 2 / 2
    np.testing.assert_allclose(fit.history["train_loss"], losses.reshape(2, 12).mean(axis=1), rtol=1e-9)


OPTAX = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, 0.9),
    "nesterov": optax.sgd(0.1, 0.9, nesterov=True),
    "adagrad": optax.adagrad(0.1),
    "rmsprop": optax.rmsprop(0.1),
    "adadelta": optax.adadelta(0.1),
    "adam": optax.adam(0.1),
    "adamw": optax.adamw(0.1),
    "nadam": optax.nadam(0.1),
}


def full_batch_losses(problem, optimizer, updates):
    """Plain Optax: the loss before each update and after the last."""
    params = initial_params(problem.init, KEY)

    @jax.jit
    def step(carry, _):
        params, state = carry
        loss, grads = jax.value_and_grad(lambda p: jnp.mean(problem.loss(p, problem.train)))(params)
        changes, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, changes), state), loss

    return jax.lax.scan(step, (params, optimizer.init(params)), length=updates + 1)[1]


@pytest.mark.parametrize("name", OPTAX)
def test_a_full_batch_run_is_plain_optax(x64, name):
    problem = jaxgd.classification(jaxgd.linear(4, 3), make_data(30), make_data(30))
    history = jaxgd.fit(jaxgd.trainer(problem, getattr(jaxgd, name)(0.1), "full"), KEY, 6).history
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        losses = full_batch_losses(problem, OPTAX[name], 6)
    np.testing.assert_allclose(history["train_loss"], losses[:-1], rtol=1e-9)
    np.testing.assert_allclose(history["valid_loss"], losses[1:], rtol=1e-9)


def test_a_full_batch_run_is_plain_optax_in_float32():
    data = make_data(64, np.float32)
    problem = jaxgd.classification(jaxgd.mlp([4, 8, 3]), data, data)
    history = jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.1), "full"), KEY, 20).history
    np.testing.assert_allclose(
        history["valid_loss"][-1], full_batch_losses(problem, OPTAX["momentum"], 20)[-1], rtol=1e-4
    )


def test_a_foreign_transform_may_ask_for_the_loss(x64):
    problem = make_regression(20)
    tr = jaxgd.trainer(problem, optax.chain(optax.polyak_sgd(1.0)), "full")
    assert jnp.all(jnp.diff(jaxgd.fit(tr, KEY, 4).history["train_loss"]) < 0)


BAD = [
    ((0,), ValueError, "batch_size must be a whole number from 1 to 20 .* got 0"),
    ((-3,), ValueError, "batch_size must be .* got -3"),
    ((21,), ValueError, 'batch_size must be .* or "full", got 21'),
    (("ful",), ValueError, "batch_size must be .* got 'ful'"),
    ((2.0,), TypeError, "batch_size must be .* got 2.0"),
    ((True,), TypeError, "batch_size must be .* got True"),
    ((np.array(4),), ValueError, "a batch_size that is an array needs a static microbatch"),
    ((np.array([4, 30]), 2), ValueError, "batch_size must be .* got 30"),
    ((np.array(4.0), 2), TypeError, "batch_size must be an array of integers, got dtype float64"),
    ((4, 0), ValueError, "microbatch must be a whole number, 1 or more, or None, got 0"),
    ((4, 2.5), TypeError, "microbatch must be .* got 2.5"),
    ((4, None, "shufle"), ValueError, "unknown sampling 'shufle'; did you mean 'shuffle'"),
    ((4, None, "shuffle", "dorp"), ValueError, "unknown remainder 'dorp'; did you mean 'drop'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        jaxgd.trainer(make_regression(20, np.float32), jaxgd.sgd(0.1), *arguments)
    assert "\n" not in str(caught.value)


def test_other_bad_arguments():
    problem = make_regression(20, np.float32)
    with pytest.raises(TypeError, match=r"problem must be a jaxgd\.Problem, got tuple"):
        jaxgd.trainer(problem.train, jaxgd.sgd(0.1), 4)
    with pytest.raises(TypeError, match="optimizer must be a gradient transformation, got 'sgd'"):
        jaxgd.trainer(problem, "sgd", 4)


def test_replace_is_checked():
    tr = jaxgd.trainer(make_regression(20, np.float32), jaxgd.sgd(0.1), 4, microbatch=2, remainder="drop")
    other = tr.replace(batch_size=5)
    assert jax.tree.structure(other) == jax.tree.structure(
        jaxgd.trainer(tr.problem, tr.optimizer, 5, microbatch=2, remainder="drop")
    )
    with pytest.raises(ValueError, match=r"batch_size must be .* got 21"):
        tr.replace(batch_size=21)
    with pytest.raises(TypeError, match="unexpected keyword argument 'batchsize'"):
        tr.replace(batchsize=5)


def test_repr():
    tr = jaxgd.trainer(make_regression(20, np.float32), jaxgd.sgd(0.1), "full")
    assert repr(tr).endswith("sgd(learning_rate=0.1), batch_size=full)")
