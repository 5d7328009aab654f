"""Whole numbers of any spelling as Python's own."""

import operator
from typing import Any


def as_integer(value: Any) -> int | None:
    """A whole number of Python's, NumPy's or JAX's as Python's int; None for anything else, True and False.

    A count is converted where it comes in: NumPy's integers overflow, and JSON does not hold them.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
