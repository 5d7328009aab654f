"""Dropout, DropConnect and penalties: moments, masks, gradients, what evaluation sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd

X = np.array([1.0, -2.0, 0.5, 3.0])
W = np.array([[1.0, 0.5, -1.0], [-0.5, 2.0, 0.0], [0.3, 1.0, 1.5], [1.0, -1.0, 0.2]])
RATE = 0.3
SAMPLES = 40_000


def keys_of(seed, count):
    return jax.random.split(jax.random.key(seed), count)


def assert_moments(outputs, covariance):
    """Mean `X @ W` and this covariance, within four standard errors of each entry."""
    outputs = np.asarray(outputs)
    errors = outputs - X @ W
    assert np.all(np.abs(errors.mean(axis=0)) < 4 * errors.std(axis=0) / np.sqrt(len(errors)))
    products = errors[:, :, None] * errors[:, None, :]
    limits = 4 * products.std(axis=0) / np.sqrt(len(errors))
    assert np.all(np.abs(products.mean(axis=0) - covariance) < limits)


def linear_with_drop_connect(per="example"):
    return jaxgd.drop_connect(jaxgd.linear(4, 3), RATE, per)


PARAMS = {"w": W, "b": np.zeros(3)}


def test_moments_of_dropout():
    dropped = jaxgd.dropout(np.tile(X, (SAMPLES, 1)), RATE, keys_of(0, SAMPLES))
    assert_moments(dropped @ W, RATE / (1 - RATE) * (W.T * X**2) @ W)


def test_moments_of_drop_connect():
    outputs = linear_with_drop_connect().apply(PARAMS, np.tile(X, (SAMPLES, 1)), keys=keys_of(1, SAMPLES))
    assert_moments(outputs, np.diag(RATE / (1 - RATE) * X**2 @ W**2))


@pytest.mark.parametrize(("per", "correlation"), [("example", 0.0), ("batch", 1.0)])
def test_correlation_of_two_examples_in_a_batch(per, correlation):
    model, keys = linear_with_drop_connect(per), keys_of(2, 20_000).reshape(10_000, 2)
    outputs = jax.vmap(lambda k: model.apply(PARAMS, np.tile(X, (2, 1)), keys=k))(keys)
    found = np.corrcoef(outputs[:, 0, 1], outputs[:, 1, 1])[0, 1]
    assert abs(found - correlation) < 4 / np.sqrt(len(keys))


def test_dropped_elements_are_zero_and_the_others_scaled():
    x = jnp.arange(1.0, 1001.0)
    dropped = np.asarray(jaxgd.dropout(x, 0.25, jax.random.key(0)))
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], np.asarray(x)[kept] / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / x.size)


def test_masks_look_independent():
    """Neighbours within a row, and the same places of two rows, agree as often as chance has it."""
    kept = np.asarray(jaxgd.dropout(np.ones((400, 500)), 0.5, keys_of(3, 400))) != 0
    limit = 4 * 0.5 / np.sqrt(kept.size // 2)
    for lag in (1, 2, 16, 256):
        assert abs((kept[:, lag:] == kept[:, :-lag]).mean() - 0.5) < limit
        assert abs((kept[lag:] == kept[:-lag]).mean() - 0.5) < limit * 2
    # The variances of row and column sums are those of independent halves.
    for axis in (0, 1):
        sums = kept.sum(axis=axis)
        expected = kept.shape[axis] / 4
        assert abs(sums.var() / expected - 1) < 4 * np.sqrt(2 / len(sums))


def test_one_key_per_example_or_one_for_all():
    keys = keys_of(4, 3)
    rows = jaxgd.dropout(np.ones((3, 2, 5)), 0.5, keys)
    for row, key in zip(rows, keys, strict=True):
        np.testing.assert_array_equal(row, jaxgd.dropout(np.ones((2, 5)), 0.5, key))
    assert np.any(rows[0] != rows[1])
    raw = jax.random.key_data(keys[0])
    np.testing.assert_array_equal(rows[0], jaxgd.dropout(np.ones((2, 5)), 0.5, raw))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_rate_zero_is_the_identity(dtype):
    x = jax.random.normal(jax.random.key(0), (5, 7)).astype(dtype)
    dropped = jax.jit(jaxgd.dropout)(x, 0.0, jax.random.key(1))
    assert dropped.dtype == dtype
    np.testing.assert_array_equal(dropped, x)


def test_traced_rates_are_lanes():
    x, key = jnp.ones(1000), jax.random.key(0)
    rates = jnp.array([0.0, 0.2, 0.9])
    lanes = jax.vmap(lambda rate: jaxgd.dropout(x, rate, key))(rates)
    for lane, rate in zip(lanes, rates, strict=True):
        np.testing.assert_array_equal(lane, jaxgd.dropout(x, float(rate), key))


@pytest.mark.parametrize("option", ["dropout", "drop_connect"])
def test_mlp_drops_in_training_only(option):
    plain, model = jaxgd.mlp([4, 64, 3]), jaxgd.mlp([4, 64, 3], **{option: 0.5})
    params, inputs = plain.init(jax.random.key(0)), np.tile(X, (6, 1))
    np.testing.assert_array_equal(model.apply(params, inputs), plain.apply(params, inputs))
    outputs = model.apply(params, inputs, keys=keys_of(0, 6))
    assert len(np.unique(outputs[:, 0])) == 6
    again = model.apply(params, inputs[:2], keys=keys_of(0, 6)[:2])
    np.testing.assert_allclose(again, outputs[:2], rtol=1e-5)
    none = jaxgd.mlp([4, 64, 3], **{option: 0.0})
    np.testing.assert_allclose(
        none.apply(params, inputs, keys=keys_of(0, 6)), plain.apply(params, inputs), rtol=1e-5
    )


def test_layers_drop_different_units():
    params = [{"w": np.eye(512)}] * 3
    model = jaxgd.mlp([512] * 4, dropout=0.5)
    outputs = np.asarray(model.apply(params, np.ones((1, 512)), keys=keys_of(0, 1)))
    # Kept twice, in independent layers, by a quarter of the units; were the masks the same, by half.
    assert abs((outputs == 4).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 512)


def test_drop_connect_of_a_model_with_dropout_uses_other_keys():
    seen = []
    inner = jaxgd.Model(lambda key: W, lambda params, inputs, keys=None: seen.append(keys) or inputs @ params)
    keys = keys_of(0, 2)
    jaxgd.drop_connect(inner, 0.5, "batch").apply(W, np.tile(X, (2, 1)), keys=keys)
    assert not np.any(jax.random.key_data(seen[0]) == jax.random.key_data(keys))


def test_mask_chooses_what_is_dropped():
    model = jaxgd.drop_connect(jaxgd.linear(4, 3), 0.5, mask={"w": False, "b": True})
    params = {"w": W, "b": np.ones(3)}
    extra = model.apply(params, np.tile(X, (50, 1)), keys=keys_of(0, 50)) - np.tile(X @ W, (50, 1))
    assert set(np.round(np.unique(extra), 4)) == {0.0, 2.0}


def small_problem(**options):
    inputs = np.random.default_rng(0).normal(size=(40, 4))
    targets = inputs @ W[:, :1] + 1
    return jaxgd.regression(jaxgd.mlp([4, 8, 1], **options), (inputs, targets), (inputs, targets))


@pytest.mark.parametrize("option", ["dropout", "drop_connect"])
def test_rate_is_a_leaf_of_the_trainer(option):
    rates = {0.25, 0.5}
    trainers = [jaxgd.trainer(small_problem(**{option: rate}), jaxgd.sgd(0.01), 8) for rate in rates]
    assert len({jax.tree.structure(trainer) for trainer in trainers}) == 1
    leaves = [{float(leaf) for leaf in jax.tree.leaves(t) if np.ndim(leaf) == 0} for t in trainers]
    assert leaves[0] ^ leaves[1] == rates


def test_penalties_by_hand(x64):
    params = {"w": np.array([[2.0], [-3.0]]), "b": np.array([5.0])}
    data = (np.array([[1.0, 1.0], [0.0, 2.0]]), np.array([4.0, 0.0]))
    plain = jaxgd.regression(jaxgd.linear(2), data, data)
    problem = jaxgd.regularized(plain, l1=0.1, l2=0.2)
    penalty = 0.1 * 5 + 0.1 * 13
    np.testing.assert_allclose(problem.loss(params, data) - plain.loss(params, data), [penalty] * 2)
    grads = [jax.grad(lambda p, loss=x.loss: loss(p, data).mean())(params) for x in (problem, plain)]
    np.testing.assert_allclose(grads[0]["w"] - grads[1]["w"], [[0.1 + 0.4], [-0.1 - 0.6]])
    np.testing.assert_array_equal(grads[0]["b"], grads[1]["b"])


def test_validation_has_no_penalty_and_no_dropout():
    penalised = jaxgd.regularized(small_problem(dropout=0.5), l2=4.0)
    fit = jaxgd.fit(jaxgd.trainer(penalised, jaxgd.sgd(0.0), 8), jax.random.key(0), 1)
    expected = jaxgd.evaluate(small_problem(), fit.state.params)["loss"]
    np.testing.assert_allclose(fit.history["valid_loss"], [expected], rtol=1e-5)
    penalty = 2 * sum(np.sum(np.square(layer["w"])) for layer in fit.state.params)
    assert fit.history["train_loss"][0] > penalty


def test_l2_under_sgd_is_weight_decay_and_under_adam_is_not(x64):
    problem = small_problem()
    penalised = jaxgd.regularized(problem, l2=0.1)
    params = problem.init(jax.random.key(0))

    def updated(problem, optimizer):
        gradient = jax.grad(lambda p: problem.loss(p, problem.train).mean())(params)
        return optimizer.update(gradient, optimizer.init(params), params)[0][0]["w"]

    def weights_only(params):
        return jax.tree.map(lambda p: p.ndim > 1, params)

    decayed = jaxgd.chain(jaxgd.optim.add_decayed_weights(0.1, mask=weights_only), jaxgd.sgd(0.01))
    np.testing.assert_allclose(updated(penalised, jaxgd.sgd(0.01)), updated(problem, decayed), rtol=1e-9)
    decoupled = jaxgd.adamw(0.01, weight_decay=0.1, mask=weights_only)
    change = updated(penalised, jaxgd.adam(0.01)) - updated(problem, decoupled)
    assert np.abs(change).max() > 1e-4


def test_strengths_are_lanes():
    problem = jaxgd.regression(jaxgd.linear(4), (X[None], X[:1]))
    params = {"w": W[:, :1], "b": np.zeros(1)}

    def loss(strength):
        return jaxgd.regularized(problem, l1=strength).loss(params, problem.train)[0]

    lanes = jax.vmap(loss)(jnp.array([0.0, 0.1]))
    np.testing.assert_allclose(lanes, [loss(0.0), loss(0.1)], rtol=1e-5)


def test_penalty_keeps_weights_of_examples():
    def loss(params, batch):
        return (batch[0] @ params["w"])[:, 0] ** 2, batch[1]

    data = (np.ones((4, 2)), np.array([0.0, 1.0, 2.0, 3.0]))
    problem = jaxgd.regularized(jaxgd.Problem(lambda key: {"w": jnp.ones((2, 1))}, loss, data), l2=2.0)
    losses, weights = problem.loss({"w": jnp.ones((2, 1))}, data)
    np.testing.assert_allclose(losses, [4 + 2] * 4)
    np.testing.assert_array_equal(weights, data[1])


VECTOR = jaxgd.Model(lambda key: jnp.ones(4), lambda params, inputs: inputs @ params)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: jaxgd.dropout(X, 1.0, jax.random.key(0)), "rate must be .* at least 0 and below 1, got 1.0"),
        (lambda: jaxgd.dropout(X, -0.1, jax.random.key(0)), "rate must be .* got -0.1"),
        (lambda: jaxgd.dropout(X, 0.1, keys_of(0, 3)), r"one for each row of shape \(4,\), got shape \(3,\)"),
        (lambda: jaxgd.mlp([3, 2], dropout=1), "dropout must be .* below 1, got 1"),
        (lambda: jaxgd.mlp([3, 2], drop_connect=float("nan")), "drop_connect must be finite"),
        (lambda: jaxgd.drop_connect(jaxgd.linear(3), 2), "rate must be .* got 2"),
        (lambda: jaxgd.drop_connect(jaxgd.linear(3), 0.1, "row"), 'per must be "example" or "batch", got'),
        (lambda: jaxgd.regularized(small_problem(), l1=-1), "l1 must be finite and 0 or more, got -1"),
        (
            lambda: jaxgd.drop_connect(VECTOR, 0.1).apply(jnp.ones(4), np.ones((2, 4)), keys=keys_of(0, 2)),
            "no parameter has two axes",
        ),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_drop_connect_needs_a_model():
    with pytest.raises(TypeError, match="model must be a jaxgd"):
        jaxgd.drop_connect(lambda x: x, 0.1)


def test_masks_that_are_callable_trees():
    eqx = pytest.importorskip("equinox")
    model = jaxgd.from_equinox(lambda key: eqx.nn.Linear(4, 3, key=key))
    params = model.init(jax.random.key(0))
    mask = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
    assert callable(mask)
    problem = jaxgd.classification(model, (np.tile(X, (6, 1)), np.arange(6) % 3))

    @jax.jit
    def outcomes(batch, keys):
        return [
            (
                jaxgd.regularized(problem, l2=0.1, mask=chosen).loss(params, batch, keys=keys),
                jaxgd.drop_connect(model, 0.5, "batch", mask=chosen).apply(params, batch[0], keys),
            )
            for chosen in (mask, None)
        ]

    by_mask, by_default = outcomes(problem.train, keys_of(1, 6))
    jax.tree.map(np.testing.assert_array_equal, by_mask, by_default)
