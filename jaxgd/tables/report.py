"""What became of a table: rows, task, classes and every column, for the terminal and for a page."""

import textwrap
from typing import NamedTuple

from jaxgd.tables.columns import MAX_WORDS, Column
from jaxgd.tables.roles import Roles

_WIDTH = 100
# So many classes and columns of a kind are named in the text; a page has all.
_MOST_CLASSES = 10
_MOST_COLUMNS = 20
_GAPS = "; a missing cell is the median, and a flag says so"


class TableReport(NamedTuple):
    """What became of a table. `str(report)` is a short block of text, `facts()` the same as names and texts.

    data: the file. roles: target, group and split as the table spells them. num_rows: rows of the file.
    splits: rows of "train", "valid" and "test". classes: each class's name with its rows, empty for a
    regression. columns: all but those with a role. num_features: how many numbers the network is given for
    a row. notes: what a reader should look at.
    """

    data: str
    roles: Roles
    task: str
    num_rows: int
    splits: dict[str, int]
    classes: dict[str, int]
    columns: tuple[Column, ...]
    num_features: int
    notes: tuple[str, ...]

    @property
    def way(self) -> str:
        """How the rows were split."""
        if self.roles.split:
            return f"as column {self.roles.split!r} says"
        whole = f"whole groups of {self.roles.group!r}, " if self.roles.group else ""
        return f"{whole}60 %, 20 % and 20 %, drawn with seed 0"

    @property
    def num_without_target(self) -> int:
        """Rows that are left out because nobody knows their target."""
        return self.num_rows - sum(self.splits.values())

    def facts(self, most: int | None = None) -> dict[str, str]:
        """Names of facts and their texts, as they are shown; `most` columns of a kind are named, or all."""
        facts = {
            "Rows": self._rows(),
            "Task": self._task(),
            "Numbers": self._list("number", most, _GAPS),
            "True or false": self._list("boolean", most, _GAPS),
            "Words": self._list("words", most, "; one feature for each word"),
            "Left out": self._list("left out", most),
        }
        return {name: text for name, text in facts.items() if text}

    def __str__(self) -> str:
        return "\n".join([self.block(), *(f"! {note}" for note in self.notes)])

    def block(self) -> str:
        """The facts as lines of text."""
        facts = self.facts(_MOST_COLUMNS)
        width = max(map(len, facts)) + 2
        used = sum(column.is_feature for column in self.columns)
        plurals = ["s" * (count != 1) for count in (self.num_features, used)]
        lines = [f"{self.data}: {self.num_features:,} feature{plurals[0]} from {used:,} column{plurals[1]}"]
        for name, text in facts.items():
            lines += textwrap.wrap(
                f"{name:<{width}}{text}", _WIDTH, initial_indent="  ", subsequent_indent=" " * (width + 2)
            )
        return "\n".join(lines)

    def _rows(self) -> str:
        parts = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        missing = self.num_without_target
        without = f"; {missing:,} without a target left out" if missing else ""
        return f"{sum(self.splits.values()):,}: {parts} ({self.way}){without}"

    def _task(self) -> str:
        if self.task == "regression":
            return f"regression of {self.roles.target!r}"
        counts = sorted(self.classes.items(), key=lambda pair: -pair[1])
        more = f" and {len(counts) - _MOST_CLASSES:,} more" if len(counts) > _MOST_CLASSES else ""
        shown = ", ".join(f"{name} ({count:,})" for name, count in counts[:_MOST_CLASSES])
        return f"classification of {self.roles.target!r}, {len(counts):,} classes: {shown}{more}"

    def _list(self, kind: str, most: int | None, remark: str = "") -> str:
        columns = [column for column in self.columns if column.kind == kind]
        more = f" and {len(columns) - most:,} more" if most and len(columns) > most else ""
        if remark == _GAPS and not any(column.missing for column in columns):
            remark = ""
        return ", ".join(map(_describe, columns[:most])) + more + remark if columns else ""


def _describe(column: Column) -> str:
    remarks = [column.reason] if column.reason else []
    if column.kind == "words":
        count = len(column.words)
        most = f", the {MAX_WORDS} most common alone" if count > MAX_WORDS else ""
        remarks.append(f"{count:,} words{most}")
    if column.missing:
        remarks.append(f"{column.missing:,} missing")
    return f"{column.name} ({', '.join(remarks)})" if remarks else column.name
