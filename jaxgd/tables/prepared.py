"""A table of a user's own as training, validation and test examples: `jaxgd.table`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgd.tables.cells import are_booleans, as_number, present
from jaxgd.tables.columns import Column, describe_columns, numbers_of, words_of
from jaxgd.tables.notes import find_notes
from jaxgd.tables.reading import PACKAGES, Cells, OtherCells, RawTable, Texts, read_table
from jaxgd.tables.report import TableReport
from jaxgd.tables.roles import Roles, check_roles, drop_option, find_roles, is_same_name
from jaxgd.tables.scaling import FLOAT32_MAX, centre_and_scale, standardised
from jaxgd.tables.splitting import PARTS, split_rows
from jaxgd.tables.targets import Target, check_learnable, check_varied, target_of

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer

Examples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class PreparedTable:
    """A table in three parts, ready for `jaxgd.classification` or `jaxgd.regression`.

    train, valid, test: `(inputs, labels)`, float32[rows, features] and int32[rows] classes, or float32[rows]
    with mean 0 and variance 1 over the training rows. task: "classification" or "regression". classes: the
    name of each class, empty for a regression. features: the names of the inputs. report: what became of
    each column; print it. preparation: the fitted `ColumnTransformer`. target_mean, target_scale: a
    regression's standardised target times the scale plus the mean is in the units of the table; 0 and 1
    otherwise.
    """

    train: Examples = field(repr=False)
    valid: Examples = field(repr=False)
    test: Examples = field(repr=False)
    task: str
    target: str
    classes: tuple[str, ...]
    features: tuple[str, ...] = field(repr=False)
    report: TableReport = field(repr=False)
    preparation: "ColumnTransformer" = field(repr=False)
    target_mean: float
    target_scale: float

    def transform(self, frame: "pd.DataFrame | str | Path") -> np.ndarray:
        """The inputs of other rows, float32[rows, features], prepared as the training rows were.

        Args:
            frame: a DataFrame or a path with the columns of the table; others, such as the target, may be
                there.

        Raises:
            ValueError: a column is missing, or holds something else than it did.
        """
        from jaxgd.tables.preparing import prepare

        columns = [column for column in self.report.columns if column.is_feature]
        texts = [column.name for column in columns if column.kind == "words"]
        raw = read_table(frame, lambda name: any(is_same_name(name, text) for text in texts))
        place_of = {name: _place_of(name, raw) for name in (column.name for column in columns)}
        if missing := [name for name, place in place_of.items() if place is None]:
            names = ", ".join(map(repr, missing))
            raise ValueError(f"{raw.places.data}: no column {names}, which the table had")
        cells = {column.name: raw.columns[place_of[column.name] or 0] for column in columns}
        for column in columns:
            _check_same_kind(column, cells[column.name], raw.places.data)
        return prepare(self.preparation, _typed_frame(columns, cells, np.arange(raw.num_rows)))


def table(
    data: "pd.DataFrame | str | Path",
    target: str | None = None,
    *,
    task: str | None = None,
    drop: str | Iterable[str] = (),
    group: str | None = None,
    split: str | None = None,
) -> PreparedTable:
    """A table as training, validation and test examples, with a report of what became of each column.

    Numbers are standardised, with the median and a flag where a cell is missing; true and false, yes and no
    are 1 and 0; text becomes one feature for each of its up to 30 most common words. All of it is fitted on
    the training rows alone. Columns that say nothing (constant, or an unnamed one that numbers the rows) are
    left out, and so are rows without a target. Of the others, 60 % train, 20 % validate and 20 % test.

    Args:
        data: the path of a `.csv`, `.tsv`, `.txt` or `.csv.gz`, cells apart by `,`, `;`, `|`, tabs or blanks;
            or a `pandas.DataFrame`.
        target: the column to predict.
        task: "classification" or "regression"; None chooses: text and up to 20 whole numbers are classes.
        drop: columns to leave out.
        group: a column; rows with one value in it come into one split.
        split: a column with the words train, valid and test, which says where each row goes.

    Raises:
        ValueError: the table cannot be read, with the line; columns that cannot be used (dates, ids, free
            text), all in one message with what to do; a target that cannot be learnt; too few rows.
        ImportError: pandas or scikit-learn is missing.
    """
    roles = check_roles(target, task, drop, group, split)
    preparing = _preparing()
    raw = read_table(data, roles.keep_text)
    roles = find_roles(roles, raw.names, raw.places.data)
    found = target_of(raw, roles)
    parts = split_rows(found.rows, _cells(raw, roles.group), _cells(raw, roles.split), raw.places)
    check_learnable(raw.places.data, found.labels, found.classes)
    columns = _columns(raw, roles, found)
    report = _report(raw, roles, found, columns, parts)
    labels, mean, scale = _labels(found, parts, raw.places.data)
    # The training rows come first, so that what is fitted on them needs no copy.
    order, ends = np.concatenate(parts), np.cumsum([len(part) for part in parts])
    features = [column for column in columns if column.is_feature]
    cells = {column.name: raw.columns[raw.names.index(column.name)] for column in features}
    frame = _typed_frame(features, cells, found.rows[order])
    preparation = preparing.fit_preparation(features, frame.iloc[: ends[0]])
    inputs = preparing.prepare(preparation, frame)
    return PreparedTable(
        *zip(np.split(inputs, ends[:2]), np.split(labels[order], ends[:2]), strict=True),
        task=found.task,
        target=found.name,
        classes=found.classes,
        features=preparing.feature_names(preparation),
        report=report._replace(num_features=inputs.shape[1]),
        preparation=preparation,
        target_mean=mean,
        target_scale=scale,
    )


def _preparing():
    """The module that needs scikit-learn, which takes a second to import."""
    try:
        from jaxgd.tables import preparing
    except ImportError as error:
        raise ImportError(PACKAGES, name=error.name) from None
    return preparing


def _cells(raw: RawTable, name: str | None) -> Cells | None:
    return None if name is None else raw.columns[raw.names.index(name)]


def _columns(raw: RawTable, roles: Roles, target: Target) -> list[Column]:
    """Every column without a role of its own; those that are dropped are left out.

    Raises:
        ValueError: columns that cannot be used, all of them at once; or there is no other.
    """
    roled = tuple(roles.named().values())
    found = describe_columns(raw, (*roled, *roles.drop), target.rows)
    if unusable := [column for column in found if column.kind == "unusable"]:
        listed = "; ".join(f"{column.name!r} ({column.reason})" for column in unusable)
        count = "a column" if len(unusable) == 1 else f"{len(unusable)} columns"
        names = [column.name for column in unusable]
        raise ValueError(
            f"{raw.places.data}: {count} cannot be used: {listed}; leave out with {drop_option(names)}, "
            f"in Python drop={names}"
        )
    if not any(column.is_feature for column in found):
        reasons = ", ".join(f"{column.name!r} {column.reason}" for column in found) or "all are dropped"
        raise ValueError(f"{raw.places.data}: no column is left to learn from: {reasons}")
    by_name = {column.name: column for column in found}
    dropped = {name: Column(name, "left out", "dropped") for name in roles.drop}
    return [*by_name.values(), *dropped.values()]


def _report(raw: RawTable, roles: Roles, target: Target, columns: list[Column], parts) -> TableReport:
    counts = np.bincount(target.labels, minlength=len(target.classes)).tolist() if target.classes else []
    return TableReport(
        data=raw.places.data,
        roles=roles,
        task=target.task,
        num_rows=raw.num_rows,
        splits={part: len(rows) for part, rows in zip(PARTS, parts, strict=True)},
        classes=dict(zip(target.classes, counts, strict=True)),
        columns=tuple(columns),
        num_features=0,
        notes=find_notes(raw, columns, target, roles, parts),
    )


def _labels(target: Target, parts: list[np.ndarray], data: str) -> tuple[np.ndarray, float, float]:
    """The labels of all rows as examples have them, and the mean and the scale of a regression's target."""
    known = target.labels[parts[0]]
    check_varied(f"{data}: of the training rows,", known, target.classes)
    if target.task == "classification":
        return target.labels, 0.0, 1.0
    if (large := np.abs(target.labels) > FLOAT32_MAX).any():
        raise ValueError(f"{data}: the target {target.labels[large][0]:g} is out of the range of float32")
    centre, scale = centre_and_scale(known)
    return standardised(target.labels, centre, scale), float(centre), 1 / float(scale)


def _typed_frame(columns: list[Column], cells: dict[str, Cells], order: np.ndarray) -> "pd.DataFrame":
    """The features of these rows, in this order. The cells are moved in their place, and lost."""
    import pandas as pd

    typed = {}
    for column in columns:
        found = cells[column.name]
        if column.kind == "words":
            assert isinstance(found, Texts)
            typed[column.name] = words_of(found)[order]
        else:
            values = numbers_of(found)
            values[: len(order)] = values[order]
            typed[column.name] = values[: len(order)]
    return pd.DataFrame(typed, copy=False)


def _place_of(name: str, raw: RawTable) -> int | None:
    return next((place for place, other in enumerate(raw.names) if is_same_name(other, name)), None)


def _check_same_kind(column: Column, cells: Cells, data: str) -> None:
    """Raise ValueError if a feature that was numbers holds something else."""
    if isinstance(cells, OtherCells):
        raise ValueError(f"{data}: column {column.name!r} holds {cells.what}; it held {column.kind}")
    if column.kind == "words":
        return
    if isinstance(cells, Texts):
        odd = [word for word in present(cells.words) if as_number(word) is None and not are_booleans([word])]
        if odd:
            raise ValueError(f"{data}: column {column.name!r} holds {odd[0]!r}; it held {column.kind}s")
    if (np.abs(numbers_of(cells)) > FLOAT32_MAX).any():
        raise ValueError(f"{data}: column {column.name!r} has a number out of the range of float32")
