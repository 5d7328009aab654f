"""What a constant prediction and scikit-learn's linear models score."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxgd
from jaxgd.studies.comparison import baselines
from jaxgd.studies.comparison.baselines import STRENGTHS, constant_predictor, linear_predictor

INPUTS = np.zeros((5, 2), np.float32)


def test_the_most_common_class():
    train, test = (INPUTS, np.array([2, 1, 2, 0, 1])), (INPUTS[:4], np.array([1, 2, 2, 1]))
    problem = jaxgd.classification(jaxgd.linear(2, 3), train, train, test)
    constant = constant_predictor(problem, "accuracy")
    assert constant is not None
    assert constant.score == 0.5
    # Of two that are equally common the first.
    assert constant.rows.tolist() == [1, 0, 0, 1]
    same = constant_predictor(jaxgd.regularized(problem, l2=0.1), "accuracy")
    assert same is not None
    assert same.rows.tolist() == constant.rows.tolist()


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_mean_of_the_targets(outputs):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(2, 5, outputs)).astype(np.float32)
    splits = [(INPUTS, part[:, 0] if outputs == 1 else part) for part in targets]
    problem = jaxgd.regression(jaxgd.linear(2, outputs), splits[0], None, splits[1])
    bias = targets[0].mean(axis=0)
    expected = jaxgd.evaluate(problem, {"w": np.zeros((2, outputs)), "b": bias}, "test")["loss"]
    for made in (problem, jaxgd.regularized(problem, l2=0.1)):
        constant = constant_predictor(made, "loss")
        assert constant is not None
        assert constant.score == pytest.approx(float(expected), rel=1e-6)
        assert constant.rows.shape == (5,)
        assert constant.rows.mean() == constant.score


def test_a_loss_of_ones_own_has_none():
    problem = jaxgd.Problem(lambda key: np.zeros(2, np.float32), lambda p, b: b[0] @ p, (INPUTS, INPUTS))
    own = problem.replace(metrics={"accuracy": lambda p, b: b[0] @ p})
    for predictor in (constant_predictor, linear_predictor):
        assert predictor(problem, "loss") is None
        assert predictor(own, "accuracy") is None


def splits(targets_of):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(240, 4)).astype(np.float32)
    targets = targets_of(inputs, rng)
    return [(inputs[part], targets[part]) for part in (slice(80), slice(80, 160), slice(160, None))]


def scaled(model):
    """The model on inputs that the training rows standardise."""
    return make_pipeline(StandardScaler(), model)


def labels(inputs, rng):
    return (inputs[:, :3] + rng.normal(size=(len(inputs), 3))).argmax(axis=1).astype(np.int32)


def numbers(inputs, rng):
    return (inputs @ [1, -2, 0, 0] + 3 * rng.normal(size=len(inputs))).astype(np.float32)


def test_logistic_regression_is_scikit_learns():
    train, valid, test = splits(labels)
    problem = jaxgd.classification(jaxgd.linear(4, 3), train, valid, test)
    best = (-1.0, np.zeros(0))
    for strength in STRENGTHS:  # the strongest of those that are equally good on validation rows
        model = scaled(LogisticRegression(C=1 / strength, max_iter=1000)).fit(*train)
        if model.score(*valid) < best[0]:
            break
        if model.score(*valid) > best[0]:
            best = (model.score(*valid), model.predict(test[0]) == test[1])
    found = linear_predictor(problem, "accuracy")
    assert found is not None
    assert found.text == "scikit-learn's logistic regression"
    assert found.rows.tolist() == best[1].tolist()
    assert found.score == pytest.approx(best[1].mean())
    constant = constant_predictor(problem, "accuracy")
    assert constant is not None
    assert found.score > constant.score + 0.1


@pytest.mark.parametrize("outputs", [1, 2])
def test_ridge_regression_is_scikit_learns(outputs):
    made = splits(numbers)
    made = [(x, y if outputs == 1 else np.stack([y, x[:, 3] - y], axis=1)) for x, y in made]
    train, valid, test = made
    problem = jaxgd.regression(jaxgd.linear(4, outputs), train, valid, test)
    models = [
        scaled(Ridge(alpha=strength)).fit(train[0].astype(float), train[1].astype(float))
        for strength in STRENGTHS
    ]

    def rows(model, split):
        errors = np.square(model.predict(split[0].astype(float)) - split[1])
        return errors / 2 if outputs == 1 else errors.sum(axis=1) / 2

    best = min(models, key=lambda model: rows(model, valid).mean())
    assert best[-1].alpha not in (STRENGTHS[0], STRENGTHS[-1])  # or the choice would not be tested
    found = linear_predictor(problem, "loss")
    assert found is not None
    assert found.text == "scikit-learn's ridge regression"
    assert found.rows == pytest.approx(rows(best, test), rel=1e-9)


def test_its_loss_is_the_problems():
    """The ridge's weights in the linear model give the same loss."""
    made = splits(numbers)
    scaler = StandardScaler().fit(made[0][0])
    train, valid, test = [(scaler.transform(x).astype(np.float32), y) for x, y in made]
    problem = jaxgd.regression(jaxgd.linear(4, 1), train, valid, test)
    found = linear_predictor(problem, "loss")
    assert found is not None
    same = []
    for strength in STRENGTHS:
        model = Ridge(alpha=strength).fit(*train)
        params = {"w": model.coef_.reshape(4, 1), "b": np.reshape(model.intercept_, 1)}
        same.append(float(jaxgd.evaluate(problem, jax_tree(params), "test")["loss"]))
    assert min(abs(each / found.score - 1) for each in same) < 1e-5


def jax_tree(params):
    return {name: np.asarray(value, np.float32) for name, value in params.items()}


def test_no_fit_warns():
    train, valid, test = splits(labels)
    problem = jaxgd.classification(jaxgd.linear(4, 3), (1e4 * train[0], train[1]), valid, test)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert linear_predictor(problem, "accuracy") is not None


def test_without_scikit_learn_there_is_no_linear_model(monkeypatch):
    problem = jaxgd.regression(jaxgd.linear(4, 1), *splits(numbers))
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    assert linear_predictor(problem, "loss") is None
    assert constant_predictor(problem, "loss") is not None


def test_large_data_are_fitted_in_part(monkeypatch):
    train, valid, test = splits(numbers)
    problem = jaxgd.regression(jaxgd.linear(4, 1), train, valid, test)
    whole = linear_predictor(problem, "loss")
    monkeypatch.setattr(baselines, "_MOST_NUMBERS", 160)  # 40 of 80 rows
    part, again = linear_predictor(problem, "loss"), linear_predictor(problem, "loss")
    assert whole is not None
    assert part is not None
    assert again is not None
    assert part.score != whole.score
    assert part.score == again.score
    assert part.score < 3 * whole.score


def test_inputs_that_are_no_array_have_no_linear_model():
    train, valid, test = splits(numbers)
    problem = jaxgd.regression(jaxgd.linear(4, 1), train, valid, test)
    several = problem.replace(train=({"x": train[0]}, train[1]))
    assert linear_predictor(several, "loss") is None
