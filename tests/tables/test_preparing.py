"""The preparation, against scikit-learn's own parts and in odd columns."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jaxgd.tables import preparing
from jaxgd.tables.columns import Column
from jaxgd.tables.preparing import NumberPreparer, feature_names, fit_preparation, prepare


@pytest.fixture
def frame():
    values = np.random.default_rng(0).normal(size=(200, 5)) * [1, 1e3, 1e-3, 1, 0] + [0, 1e6, 0, 5, 3]
    values[::7, 1] = np.nan
    values[::3, 4] = np.nan
    return pd.DataFrame(values, columns=list("abcde"))


def test_numbers_are_those_of_an_imputer_and_a_scaler(frame):
    found = NumberPreparer().fit(frame[:120]).transform(frame)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(frame[:120])
    values = found[:, [0, 1, 3, 4, 5]]
    np.testing.assert_allclose(values, pipeline.transform(frame), atol=2e-5)
    np.testing.assert_array_equal(found[:, [2, 6]], frame[["b", "e"]].isna())
    assert NumberPreparer().fit(frame).get_feature_names_out().tolist() == [
        *("a", "b", "b missing", "c", "d", "e", "e missing")
    ]


def test_columns_that_are_constant_or_empty_in_the_fitted_rows():
    train = pd.DataFrame({"same": [5.0, 5, 5], "gone": [np.nan] * 3})
    other = pd.DataFrame({"same": [1e30, np.nan], "gone": [3.0, np.nan]})
    found = NumberPreparer().fit(train).transform(other)
    assert found.tolist() == [[0, 0, 0], [0, 0, 1]]


def test_outliers_stay_finite():
    train = pd.DataFrame({"a": [0, 1e-30, 2e-30]})
    found = NumberPreparer().fit(train).transform(pd.DataFrame({"a": [1e30, -1e38]}))
    assert np.isfinite(found).all()


def test_a_preparer_can_be_cloned(frame):
    fitted = NumberPreparer().fit(frame)
    assert not hasattr(clone(fitted), "medians_")
    again: Any = clone(fitted)
    np.testing.assert_array_equal(again.fit_transform(frame), fitted.transform(frame))


def test_rows_are_prepared_in_blocks(frame, monkeypatch):
    columns = [*(Column(name, "number") for name in "abcde"), Column("w", "words", words=("x", "y"))]
    frame = frame.assign(w=np.array(["x", "y"] * 100, object))
    preparation = fit_preparation(columns, frame[:120])
    whole = prepare(preparation, frame)
    monkeypatch.setattr(preparing, "_ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(prepare(preparation, frame), whole)
    assert feature_names(preparation)[-2:] == ("w=x", "w=y")
    assert (whole.dtype, whole.shape) == (np.float32, (200, 9))
