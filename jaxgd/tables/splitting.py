"""Which rows train, validate and test: at random, group by group, or as a column says."""

import numpy as np

from jaxgd.tables.cells import MISSING
from jaxgd.tables.places import Places
from jaxgd.tables.reading import Cells, OtherCells, Texts

PARTS = ("train", "valid", "test")
LEAST_ROWS = 5
_SHARES = np.array([0.6, 0.2, 0.2])


def random_parts(count: int, seed: int = 0) -> list[np.ndarray]:
    """The rows of three parts: floor(0.6 count), floor(0.2 count) and the rest, in the order of the draw."""
    order = np.random.default_rng(seed).permutation(count)
    # Whole-number arithmetic: int(0.6 * n) depends on how 0.6 * n rounds.
    return np.split(order, [3 * count // 5, 3 * count // 5 + count // 5])


def split_rows(
    rows: np.ndarray, group: Cells | None, split: Cells | None, places: Places
) -> list[np.ndarray]:
    """The three parts of these rows of a table, as places in `rows`.

    group, split: columns of all rows, or None.

    Raises:
        ValueError: too few rows or groups, an empty cell or another word in the column.
    """
    if split is not None:
        return _parts_of_words(_texts("split", split, rows, places), rows, places)
    if len(rows) < LEAST_ROWS:
        raise ValueError(
            f"{places.data}: {len(rows)} rows with a target are too few to split in three; "
            f"{LEAST_ROWS} or more are needed"
        )
    if group is None:
        return random_parts(len(rows))
    return _parts_of_groups(_texts("group", group, rows, places), places)


def _texts(role: str, cells: Cells, rows: np.ndarray, places: Places) -> Texts:
    """The column in these rows, none of which is empty."""
    if isinstance(cells, OtherCells):
        raise ValueError(f"{places.data}: the {role} column holds {cells.what}; texts or numbers are needed")
    assert isinstance(cells, Texts)  # columns with a role are read so
    codes = cells.codes[rows]
    is_empty = np.array([word in MISSING for word in cells.words])[codes]
    if is_empty.any():
        row = int(rows[np.argmax(is_empty)])
        raise ValueError(
            f"{places.of(row)}: the {role} column is empty; it needs a value in every row, and "
            f"{is_empty.sum():,} have none"
        )
    return Texts(codes, cells.words)


def _parts_of_words(texts: Texts, rows: np.ndarray, places: Places) -> list[np.ndarray]:
    words = np.array([word.lower() for word in texts.words])
    if other := sorted(set(words[texts.codes]) - set(PARTS)):
        row = int(rows[np.argmax(words[texts.codes] == other[0])])
        found = next(word for word in texts.words if word.lower() == other[0])
        raise ValueError(f"{places.of(row)}: the split column has {found!r}; allowed: {', '.join(PARTS)}")
    parts = [np.flatnonzero(words[texts.codes] == part) for part in PARTS]
    counts = ", ".join(f"{part} {len(found)}" for part, found in zip(PARTS, parts, strict=True))
    if not all(map(len, parts)):
        raise ValueError(
            f"{places.data}: the split column gives these numbers of rows: {counts}; each part needs one"
        )
    return parts


def _parts_of_groups(texts: Texts, places: Places, seed: int = 0) -> list[np.ndarray]:
    """Groups in a drawn order, large ones first, each to the part that lacks most rows of its share."""
    _, codes = np.unique(texts.codes, return_inverse=True)
    sizes = np.bincount(codes)
    if len(sizes) < len(PARTS):
        raise ValueError(
            f"{places.data}: the group column has {len(sizes)} distinct values; at least {len(PARTS)} are "
            "needed, one for each split"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking, part_of = _SHARES * len(codes), np.zeros(len(sizes), int)
    empty = set(range(len(PARTS)))
    for place, group in enumerate(order):
        # Each part gets a group, however few they are.
        allowed = sorted(empty) if len(order) - place <= len(empty) else range(len(PARTS))
        part = max(allowed, key=lambda part: lacking[part])
        part_of[group], lacking[part] = part, lacking[part] - sizes[group]
        empty.discard(part)
    return [np.flatnonzero(part_of[codes] == part) for part in range(len(PARTS))]
