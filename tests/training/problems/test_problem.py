"""Problems: losses and metrics by hand, and the bad input that each refuses."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxgd

INPUTS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]], np.float32)
LABELS = np.array([0, 1, 2, 1])
MODEL = jaxgd.linear(2, 3)


def changed(array, row, value):
    array = np.array(array, float)
    array[row] = value
    return array


def test_classification_by_hand():
    problem = jaxgd.classification(MODEL, (INPUTS, LABELS))
    params = {"w": jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), "b": jnp.zeros(3)}
    logits = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [2.0, 0.0, -2.0]])
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), LABELS]
    np.testing.assert_allclose(problem.loss(params, problem.train), losses, rtol=1e-6)
    means = jaxgd.evaluate(problem, params, "train")
    np.testing.assert_allclose(means["loss"], losses.mean(), rtol=1e-6)
    assert means["accuracy"] == 0.5
    assert problem.num_examples == 4


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_regression_by_hand(shape):
    targets = np.array([1.0, 2.0, 2.0, 0.0], np.float32).reshape(shape)
    problem = jaxgd.regression(jaxgd.linear(2, 1), (INPUTS, targets), test=(INPUTS, targets))
    params = {"w": jnp.array([[1.0], [1.0]]), "b": jnp.zeros(1)}
    np.testing.assert_allclose(problem.loss(params, problem.train), [0, 0.5, 0, 0.5])
    assert jaxgd.evaluate(problem, params, "test") == {"loss": 0.25, "squared_error": 0.5}


def test_regression_sums_over_outputs():
    problem = jaxgd.regression(jaxgd.linear(2, 3), (INPUTS, np.ones((4, 3), np.float32)))
    np.testing.assert_allclose(problem.loss(MODEL.init(jax.random.key(0)), problem.train), 1.5 * np.ones(4))


def test_inputs_may_be_a_tree():
    model = (lambda key: jnp.ones(()), lambda params, inputs: params * inputs["a"] + inputs["b"])
    inputs = {"a": np.ones(4, np.float32), "b": np.arange(4, dtype=np.float32)}
    problem = jaxgd.regression(model, (inputs, np.zeros(4, np.float32)))
    assert jaxgd.evaluate(problem, 0.0, "train")["loss"] == np.mean(np.arange(4) ** 2) / 2


def test_a_model_with_keys_gets_none_in_evaluation():
    def apply(params, inputs, keys):
        return inputs @ params + (0 if keys is None else jax.vmap(jax.random.normal)(keys)[:, None])

    problem = jaxgd.classification((lambda key: jnp.zeros((2, 3)), apply), (INPUTS, LABELS))
    params = jnp.zeros((2, 3))
    np.testing.assert_allclose(jaxgd.evaluate(problem, params, "train")["loss"], np.log(3), rtol=1e-6)
    keys = jax.random.split(jax.random.key(0), 4)
    assert not np.allclose(problem.loss(params, problem.train, keys=keys), np.log(3), rtol=1e-9, atol=0)


def test_it_is_a_pytree_that_can_be_copied():
    problem = jaxgd.classification(MODEL, (INPUTS, LABELS))
    for again in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert jax.tree.structure(again) == jax.tree.structure(problem)
        jax.tree.map(np.testing.assert_array_equal, again, problem)
    assert "train=4 examples" in repr(problem)
    assert repr(jax.tree.map(lambda leaf: None, problem))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((INPUTS, np.array([0, -1, 1, 2])), "train labels must be whole .* 0 to 2, got -1 in row 1"),
        ((INPUTS, np.array([0, 1, 0.5, 2])), "train labels must be whole .* got 0.5 in row 2"),
        ((INPUTS, np.array([0, 1, 1, 3])), "train labels must be whole .* got 3 in row 3"),
        ((INPUTS, changed(LABELS, 1, np.nan)), "train labels must be whole .* got nan in row 1"),
        ((INPUTS, np.eye(4)[:, :3]), r"train labels must have shape \[n\].* got shape \(4, 3\)"),
        ((INPUTS, np.array(list("abca"))), r"train\[1\] must be an array of numbers, got dtype <U1"),
        ((INPUTS, LABELS[:3]), r"differ in length: train\[0\] has 4, train\[1\] has 3"),
        ((INPUTS[:0], LABELS[:0]), "train is empty"),
        ((changed(INPUTS, 2, np.nan), LABELS), r"train\[0\] has a NaN or an infinity .* first in row 2"),
        ((changed(INPUTS, 1, -np.inf), LABELS), r"train\[0\] has a NaN or an infinity .* first in row 1"),
        ((changed(INPUTS, 3, 1e300), LABELS), r"train\[0\] has a NaN or an infinity .* first in row 3"),
        ((INPUTS[:, :1], LABELS), r"model cannot be applied to train inputs of shape \(1, 1\)"),
        ((INPUTS.tolist(), LABELS), r"train\[0\]\[0\]\[0\] must be an array"),
        (INPUTS, r"train must be a pair \(inputs, labels\), got ndarray"),
    ],
)
def test_bad_data_of_a_classification(train, message):
    with pytest.raises(ValueError, match=message):
        jaxgd.classification(MODEL, train)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_every_split_is_checked(split):
    good = (INPUTS, LABELS)
    with pytest.raises(ValueError, match=f"{split} labels must be whole numbers from 0 to 2, got 3 in row 0"):
        jaxgd.classification(MODEL, good, **{split: (INPUTS, np.array([3, 0, 0, 0]))})
    with pytest.raises(ValueError, match=rf"cannot be applied to {split} inputs of shape \(1, 1\)"):
        jaxgd.classification(MODEL, good, **{split: (INPUTS[:, :1], LABELS)})
    with pytest.raises(ValueError, match=rf"{split}\[0\] has a NaN or an infinity .* row 2"):
        jaxgd.classification(MODEL, good, **{split: (changed(INPUTS, 2, np.nan), LABELS)})
    splits = {"train": (INPUTS, INPUTS[:, 0]), split: (INPUTS, INPUTS)}
    with pytest.raises(ValueError, match=f"{split} targets have 2 numbers per example, the model gives 1"):
        jaxgd.regression(jaxgd.linear(2), **splits)
    with pytest.raises(ValueError, match=r"^train targets have 1 number per example, the model gives 2$"):
        jaxgd.regression(jaxgd.linear(2, 2), splits["train"])


def test_a_prepared_table_is_given_by_its_parts():
    frame = pd.DataFrame({"x": np.linspace(0, 1, 40), "y": ["no", "yes"] * 20})
    with pytest.raises(
        ValueError, match=r"got PreparedTable; .* give table\.train, table\.valid, table\.test$"
    ):
        jaxgd.classification(jaxgd.linear(1, 2), jaxgd.table(frame, target="y"))


def mean_loss(params, batch):
    return jnp.mean(batch)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: jaxgd.Problem(None, mean_loss, INPUTS), TypeError, "init must be a function, got None"),
        (lambda: jaxgd.Problem(abs, "mse", INPUTS), TypeError, "loss must be a function, got 'mse'"),
        (lambda: jaxgd.Problem(abs, mean_loss, None).num_examples, ValueError, "has no training data"),
        (lambda: jaxgd.Problem(abs, mean_loss, 3.0), ValueError, "train must be an array .* got 3.0"),
        (
            lambda: jaxgd.Problem(abs, mean_loss, INPUTS, metrics={"accuracy": 1}),
            TypeError,
            "metric 'accuracy' must be a function, got 1",
        ),
        (
            lambda: jaxgd.Problem(abs, mean_loss, INPUTS, metrics={"loss": mean_loss}),
            ValueError,
            "metrics must not be named 'loss'",
        ),
        (
            lambda: jaxgd.Problem(abs, mean_loss, np.array([1, 2**40])),
            ValueError,
            r"train has a number too large \(as int32\), first in row 1",
        ),
        (lambda: jaxgd.classification("mlp", (INPUTS, LABELS)), TypeError, "model must have the functions"),
        (
            lambda: jaxgd.classification((abs, lambda params, inputs: (inputs, inputs)), (INPUTS, LABELS)),
            ValueError,
            "cannot be applied|must give one array",
        ),
    ],
)
def test_bad_problems(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_splits_by_name():
    problem = jaxgd.classification(MODEL, (INPUTS, LABELS))
    with pytest.raises(ValueError, match="unknown split 'tset'; did you mean 'test'"):
        jaxgd.evaluate(problem, None, "tset")
    with pytest.raises(ValueError, match="the problem has no valid data"):
        jaxgd.evaluate(problem, None, "valid")
