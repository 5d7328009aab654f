"""The target of a table: which rows have one, the task, the labels and the names of their classes."""

from typing import NamedTuple, NoReturn

import numpy as np

from jaxgd.tables.cells import as_number, present
from jaxgd.tables.class_names import are_few, number_classes, text_classes, whole_number
from jaxgd.tables.places import Places
from jaxgd.tables.reading import OtherCells, RawTable, Texts
from jaxgd.tables.roles import Roles, check_task


class Target(NamedTuple):
    """The labels of a table.

    rows: those that have a target, from 0. labels: of these rows, int32 classes or float64 numbers. classes:
    their names, empty for a regression.
    """

    name: str
    task: str
    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def read_target(name: str, cells: Texts, task: str | None, places: Places) -> Target:
    """The target of a column of exact texts. Cells that say nothing, such as NA, have none.

    Without a task, text and up to 20 distinct whole numbers (at most one for two rows) make a classification,
    and any other target a regression. Distinct texts are distinct classes.

    Raises:
        ValueError: every cell is empty, or some are not of the task, with the row and the line of the first.
    """
    check_task(task)
    known = set(present(cells.words))
    rows = np.flatnonzero(np.array([word in known for word in cells.words])[cells.codes])
    if not len(rows):
        raise ValueError(f"{places.data}: the target {name!r} is empty in every row")
    words = sorted(cells.words[code] for code in np.unique(cells.codes[rows]))
    column = _Answers(name, cells, words, rows, places)
    task = task or column.choose_task()
    if task == "regression":
        return Target(name, task, rows, column.numbers(), ())
    return Target(name, task, rows, *column.classes())


def target_of(raw: RawTable, roles: Roles) -> Target:
    """The target of a table, whose column's name and task the roles say."""
    name, places = str(roles.target), raw.places
    cells = raw.columns[raw.names.index(name)]
    if isinstance(cells, OtherCells):
        raise ValueError(
            f"{places.data}: the target {name!r} holds {cells.what}; texts or numbers are needed"
        )
    if len(raw.names) == 1:
        raise ValueError(
            f"{places.data}: the target {name!r} is the only column; at least one feature is needed"
        )
    assert isinstance(cells, Texts)  # columns with a role are read so
    return read_target(name, cells, roles.task, places)


def check_varied(where: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raise ValueError if the labels are one value."""
    if (labels == labels[0]).all():
        only = classes[labels[0]] if classes else f"{labels[0]:g}"
        raise ValueError(f"{where} the target is {only} in every row; at least two values are needed")


def check_learnable(data: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raise ValueError if there is nothing to learn: one value in every row, or classes of a single row."""
    check_varied(f"{data}:", labels, classes)
    if not classes:
        return
    if len(classes) == len(labels):
        raise ValueError(
            f"{data}: each of the {len(labels)} rows has a class of its own, such as {classes[0]!r}; "
            "rows of one class are needed to learn it"
        )
    if single := np.flatnonzero(np.bincount(labels) == 1).tolist():
        more = f", as have {len(single) - 1} others" if len(single) > 1 else ""
        raise ValueError(
            f"{data}: the class {classes[single[0]]!r} has a single row{more}; every class needs two or "
            "more: leave such rows out, or join classes (numbers may also be a regression: task regression)"
        )


class _Answers(NamedTuple):
    """The rows of a target that say something, and their distinct words, sorted."""

    name: str
    cells: Texts
    words: list[str]
    rows: np.ndarray
    places: Places

    def choose_task(self) -> str:
        """The task that the words suggest."""
        numeric = [word for word in self.words if as_number(word) is not None]
        if not numeric:
            return "classification"
        if len(numeric) < len(self.words):
            self._refuse_mixture(set(numeric))
        if not are_few(len(self.words), len(self.rows)):
            return "regression"
        is_whole = all(
            np.isfinite(self._number(word)) and whole_number(word) is not None for word in self.words
        )
        return "classification" if is_whole else "regression"

    def numbers(self) -> np.ndarray:
        """The rows' numbers, float64[rows]."""
        known = set(self.words)
        values = [self._number(word) if word in known else np.nan for word in self.cells.words]
        return np.array(values)[self.cells.codes[self.rows]]

    def classes(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """The rows' classes, int32[rows], and their names."""
        labels, names = self._classes_of_words()
        place_of = dict(zip(self.words, labels.tolist(), strict=True))
        places = np.array([place_of.get(word, -1) for word in self.cells.words], np.int32)
        return places[self.cells.codes[self.rows]], names

    def _classes_of_words(self) -> tuple[np.ndarray, tuple[str, ...]]:
        if any(as_number(word) is None for word in self.words):
            return text_classes(self.words)
        for word in self.words:
            if not np.isfinite(self._number(word)) or whole_number(word) is None:
                self._refuse(word, "is not a class; whole numbers or text are needed")
        try:
            return number_classes(self.words)
        except ValueError as error:
            place = f"{self.places.data}: column {self.name!r}"
            raise ValueError(f"{place}: {error}, or task regression") from None

    def _number(self, word: str) -> float:
        number = as_number(word)
        if number is None:
            self._refuse(word, "is not a number; the target is numbers in all rows, or text in all")
        if not np.isfinite(number):
            self._refuse(word, "is not a finite number")
        return number

    def _refuse_mixture(self, numeric: set[str]) -> None:
        """Raise ValueError that names the odd row: the first number among texts, or text among numbers."""
        is_number = np.array([word in numeric for word in self.cells.words])[self.cells.codes[self.rows]]
        is_odd = is_number if 2 * is_number.sum() < len(is_number) else ~is_number
        word = self.cells.words[self.cells.codes[self.rows[np.argmax(is_odd)]]]
        remedy = "task classification takes each text for a class"
        if word in numeric:
            self._refuse(word, f"is a number, but most rows of the target are text; {remedy}")
        self._refuse(word, f"is not a number; the target is numbers in all rows, or text in all; {remedy}")

    def _refuse(self, word: str, why: str) -> NoReturn:
        row = int(np.argmax(self.cells.codes == self.cells.words.index(word)))
        raise ValueError(f"{self.places.of(row)}, column {self.name!r}: {word!r} {why}")
