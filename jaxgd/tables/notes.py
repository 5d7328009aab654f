"""What a reader should look at before believing a result on a table."""

import numpy as np

from jaxgd.tables.columns import MAX_WORDS, Column, numbers_of
from jaxgd.tables.reading import Cells, RawTable, Texts
from jaxgd.tables.roles import Roles, drop_option, quoted
from jaxgd.tables.targets import Target

# Classes are said to be uneven from this share of the most common one on.
_LARGE_SHARE = 0.75
_FEW_TEST_ROWS = 20
# So many equal blocks of rows look like something that was measured several times.
_LEAST_BLOCKS = 10


def find_notes(raw: RawTable, columns: list[Column], target: Target, roles: Roles, parts) -> tuple[str, ...]:
    """Each a sentence. parts: the places in `target.rows` of training, validation and test rows."""
    notes = [*_about_classes(target, parts[0]), *_about_columns(raw, columns, roles)]
    if len(parts[2]) < _FEW_TEST_ROWS:
        notes.append(f"The test part has few rows, {len(parts[2])}: its scores tell little.")
    return tuple(notes)


def _about_classes(target: Target, train: np.ndarray) -> list[str]:
    if not target.classes:
        return []
    counts = np.bincount(target.labels, minlength=len(target.classes))
    common, share = target.classes[np.argmax(counts)], counts.max() / counts.sum()
    notes = []
    if share >= _LARGE_SHARE:
        notes.append(
            f"The classes are uneven: {share:.0%} of the rows are {common!r}, so accuracy alone says little."
        )
    if absent := set(range(len(counts))) - set(target.labels[train].tolist()):
        names = ", ".join(repr(target.classes[place]) for place in sorted(absent))
        notes.append(f"No training row has the class {names}: nothing can learn it.")
    return notes


def _about_columns(raw: RawTable, columns: list[Column], roles: Roles) -> list[str]:
    features = [column for column in columns if column.is_feature]
    cells = {column.name: raw.columns[raw.names.index(column.name)] for column in features}
    numbers = {column.name: numbers_of(cells[column.name]) for column in columns if column.kind == "number"}
    notes = []
    if counting := [name for name, values in numbers.items() if _counts_rows(values)]:
        notes.append(
            f"{_named(counting)} by 1 with every row: if it only numbers the rows, leave it out "
            f"({drop_option(counting)})."
        )
    blocks = [column.name for column in features if _is_in_blocks(column, cells[column.name])]
    if blocks and roles.group is None and roles.split is None:
        notes.append(
            f"Rows come in equal blocks of one {blocks[0]!r} and are split apart: "
            f"--group {quoted(blocks[0])}, in Python group={blocks[0]!r}, keeps them together."
        )
    many = [column for column in columns if column.kind == "words" and len(column.words) > MAX_WORDS]
    return notes + [
        f"{column.name!r} has {len(column.words):,} words, of which the {MAX_WORDS} commonest are features: "
        f"--group {quoted(column.name)}, in Python group={column.name!r}, keeps rows of one together, --drop "
        "or drop= leaves it out."
        for column in many
        if column.name not in blocks[:1]
    ]


def _named(names: list[str]) -> str:
    words = ", ".join(map(repr, names))
    return f"{words} {'grows' if len(names) == 1 else 'grow'}"


def _counts_rows(values: np.ndarray) -> bool:
    """Whether a column is 1 more in every row than in the one before."""
    return len(values) > 2 and values[1] - values[0] == 1 and bool((np.diff(values) == 1).all())


def _is_in_blocks(column: Column, cells: Cells) -> bool:
    """Whether rows come in many blocks of one size, two rows or more, each with a value of its own."""
    codes = cells.codes if isinstance(cells, Texts) else np.nan_to_num(numbers_of(cells))
    if 2 * np.count_nonzero(codes[:-1] == codes[1:]) < len(codes) - 1:
        return False
    starts = np.flatnonzero(np.diff(codes, prepend=np.inf))
    sizes = np.diff(starts, append=len(codes))
    if len(starts) < _LEAST_BLOCKS or sizes[0] < 2 or (sizes != sizes[0]).any():
        return False
    if column.kind == "words":
        return len(np.unique(codes[starts])) == len(starts)
    return bool((np.diff(codes[starts]) == 1).all())
