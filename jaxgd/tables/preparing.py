"""Columns become what a network takes: a scikit-learn `ColumnTransformer`, fitted on training rows alone."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from jaxgd.tables.columns import MAX_WORDS, Column
from jaxgd.tables.scaling import centre_and_scale, standardised

_ROWS_AT_ONCE = 20_000
# scikit-learn's own name for the words that it puts together.
_RARE = "infrequent_sklearn"


class NumberPreparer(TransformerMixin, BaseEstimator):
    """Numbers with mean 0 and variance 1, and behind a column with gaps whether its cell is missing, 0 or 1.

    A gap is filled by the median. Mean, variance and median are those of the fitted rows, and so is which
    columns have gaps. A column that is constant in them is 0. scikit-learn's imputer and scaler do the same
    with six copies of the table; this holds one column at a time.
    """

    def fit(self, X: pd.DataFrame, y=None) -> "NumberPreparer":
        """The preparer that knows these rows, [rows, columns], NaN where a cell is missing."""
        self.feature_names_in_ = np.asarray(X.columns, object)
        self.n_features_in_ = X.shape[1]
        fitted = [_fit_numbers(values) for values in _columns(X)]
        self.medians_, self.centres_, self.scales_, self.has_gaps_ = map(np.array, zip(*fitted, strict=True))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """float32[rows, columns and flags]."""
        prepared = np.empty((len(X), len(self.get_feature_names_out())), np.float32, order="F")
        place = 0
        for column, values in enumerate(_columns(X)):
            gaps = np.isnan(values)
            filled = np.where(gaps, self.medians_[column], values) if gaps.any() else values
            prepared[:, place] = standardised(filled, self.centres_[column], self.scales_[column])
            if self.has_gaps_[column]:
                prepared[:, place + 1] = gaps
            place += 1 + self.has_gaps_[column]
        return prepared

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """The names of the columns and of their flags."""
        names = []
        for name, has_gaps in zip(self.feature_names_in_, self.has_gaps_, strict=True):
            names += [name, f"{name} missing"] if has_gaps else [name]
        return np.array(names, object)


def _columns(frame: pd.DataFrame) -> Iterable[np.ndarray]:
    return (frame.iloc[:, place].to_numpy(np.float64) for place in range(frame.shape[1]))


def _fit_numbers(values: np.ndarray) -> tuple[float, float, float, bool]:
    """Median, mean and scale of a column whose gaps are filled, and whether it has some."""
    gaps = np.isnan(values)
    median = 0.0 if gaps.all() else float(np.median(values[~gaps] if gaps.any() else values))
    centre, scale = centre_and_scale(np.where(gaps, median, values))
    return median, float(centre), float(scale), bool(gaps.any())


def fit_preparation(columns: list[Column], train: pd.DataFrame) -> ColumnTransformer:
    """The preparation of these columns, fitted on the training rows.

    Words that a single training row or less than 0.1 % of them hold are rare: they are one feature together,
    with those behind the 30 most common.
    """
    numeric = [column.name for column in columns if column.kind in ("number", "boolean")]
    texts = [column for column in columns if column.kind == "words"]
    few = [column.name for column in texts if len(column.words) <= MAX_WORDS]
    many = [column.name for column in texts if len(column.words) > MAX_WORDS]
    parts = [
        ("numbers", NumberPreparer(), numeric),
        ("words", _one_hot(len(train), None), few),
        ("many words", _one_hot(len(train), MAX_WORDS + 1), many),
    ]
    preparation = ColumnTransformer([part for part in parts if part[2]])
    return preparation.set_output(transform="default").fit(train)


def _one_hot(num_train: int, most: int | None) -> OneHotEncoder:
    """A feature for each word, at most so many with that of the rare ones."""
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=max(2, num_train // 1000),
        max_categories=most,
        sparse_output=False,
        dtype=np.float32,  # pyright: ignore[reportArgumentType]
        feature_name_combiner=_name_of_word,  # pyright: ignore[reportArgumentType]
    )


def _name_of_word(column: str, word: str) -> str:
    if not word:
        return f"{column} missing"
    return f"{column}: rare words" if word == _RARE else f"{column}={word}"


def feature_names(preparation: ColumnTransformer) -> tuple[str, ...]:
    """What the prepared features are called."""
    return tuple(name.partition("__")[2] for name in preparation.get_feature_names_out())


def prepare(preparation: ColumnTransformer, frame: pd.DataFrame) -> np.ndarray:
    """The features of all rows: float32[rows, features]."""
    starts = range(0, len(frame), _ROWS_AT_ONCE)
    prepared = np.empty((len(frame), len(feature_names(preparation))), np.float32)
    for start in starts:
        rows = slice(start, start + _ROWS_AT_ONCE)
        prepared[rows] = np.asarray(preparation.transform(frame.iloc[rows]))
    return prepared
