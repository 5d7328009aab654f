from itertools import chain

import numpy as np
import pytest

import jaxgd
from jaxgd.specs.splits import complete_splits, num_rows


def problem(count, **splits):
    inputs = np.arange(count, dtype=np.float32)[:, None]
    return jaxgd.regression(jaxgd.linear(1, 1), (inputs, inputs[:, 0]), **splits)


def inputs_of(split):
    return np.asarray(split[0])[:, 0].tolist()


def test_both_missing():
    made, said = complete_splits(problem(10))
    parts = [inputs_of(part) for part in (made.train, made.valid, made.test)]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(chain(*parts)) == list(range(10))
    assert said == (
        "The problem has no validation and no test split: 2 of its 10 training examples each "
        "were drawn for them (seed 0)."
    )


def test_inputs_keep_their_labels():
    made, _ = complete_splits(problem(10))
    for inputs, labels in (made.train, made.valid, made.test):
        assert np.array_equal(np.asarray(inputs)[:, 0], labels)


def test_one_missing():
    valid = (np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
    made, said = complete_splits(problem(10, valid=valid))
    assert [num_rows(part) for part in (made.train, made.valid, made.test)] == [8, 3, 2]
    assert said == (
        "The problem has no test split: 2 of its 10 training examples were drawn for it (seed 0)."
    )


def test_always_the_same():
    assert inputs_of(complete_splits(problem(10))[0].test) == inputs_of(complete_splits(problem(10))[0].test)


def test_none_missing():
    split = (np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
    whole = problem(10, valid=split, test=split)
    assert complete_splits(whole) == (whole, None)


def test_too_few():
    with pytest.raises(ValueError, match=r"4 training examples; a valid split needs at least 5"):
        complete_splits(problem(4))
