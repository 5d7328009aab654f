"""What one cell may hold: nothing, a number, a truth value, a date or a word."""

import re

# Spellings of "not known", in any column.
MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "NaT", "null", "NULL", "?"})
# These are words among words, and mean "not known" where the other cells are numbers or truth values.
_MISSING_BESIDE_NUMBERS = frozenset({"None", "none", "-", "--", "."})
BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_PAIRS = (frozenset({"true", "false"}), frozenset({"yes", "no"}))

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY = "|".join(
    [
        r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?",
        r"\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})",
        rf"\d{{1,2}}[-. ]+{_MONTH}[-., ]+\d{{2,4}}",
        rf"{_MONTH}[-. ]+(?:\d{{1,2}},?[ ]+)?\d{{4}}",
    ]
)
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
_DATE = re.compile(rf"(?:{_DAY})(?:[ T]+{_CLOCK})?|{_CLOCK}", re.IGNORECASE)


def as_number(cell: str) -> float | None:
    """The number that a cell holds, which may be infinite; None if it holds none."""
    if "_" in cell:  # Python reads 1_000 as a number; a table that holds it means something else
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def is_date(cell: str) -> bool:
    """Whether the cell looks like a date or a time of day."""
    return _DATE.fullmatch(cell) is not None


def are_booleans(words) -> bool:
    """Whether the words are those of one pair: true and false, or yes and no."""
    lower = {word.lower() for word in words}
    return any(lower <= pair for pair in _PAIRS)


def present(words) -> list[str]:
    """The words that say something, in their order."""
    known = [word for word in words if word not in MISSING]
    certain = [word for word in known if word not in _MISSING_BESIDE_NUMBERS]
    is_plain = all(as_number(word) is not None for word in certain) or are_booleans(certain)
    return certain if certain and is_plain else known
