"""What a person may give, and the one line that says what is wrong with it. No JAX."""

import difflib
import inspect
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Of larger ones JAX keeps the last 32 bits: seed and seed + 2**32 would be one key.
NUM_SEEDS = 2**32


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


def unknown(what: str, given: str, known) -> str:
    """One line for a name that is not known: the nearest known name and the whole list."""
    return f"unknown {what} {given!r}{_nearest(str(given), list(map(str, known)))}"  # labels may be numbers


def _nearest(given: str, known: list[str]) -> str:
    """The known name that is like the one given, or that it is the initials of, and all that are known."""
    initials = [name for name in known if given == "".join(word[:1] for word in name.split("_"))]
    near = difflib.get_close_matches(given, known, n=1) or initials
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (known: {', '.join(known)})"


def bound(
    called: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments as the signature binds them.

    Raises:
        TypeError: they do not fit it; the line begins with `called`, and an unknown name comes before a
            missing one, which it may be meant for.
    """
    names = [name for name, one in signature.parameters.items() if one.kind is not one.VAR_KEYWORD]
    stray = next((name for name in kwargs if name not in names), None)
    if stray is not None and len(names) == len(signature.parameters):
        raise TypeError(f"{called} got an unexpected keyword argument {stray!r}{_nearest(stray, names)}")
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{called} {error}") from None


def shown(value: Any, most: int = 100) -> str:
    """What a person gave, in one line of at most so many characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """`value`, if it is known.

    Raises:
        ValueError: it is not; the message lists what is.
    """
    if value not in known:
        raise ValueError(unknown(name, value, known))
    return value


def whole_number(
    name: str, value: Any, least: int = 1, most: int | None = None, unit: str = "", also: str = ""
) -> int:
    """`value`, of Python's, NumPy's or JAX's integers, as Python's int.

    unit: what is counted, such as " of examples". also: what else may be given, such as ", or None".

    Raises:
        TypeError: it is none of them.
        ValueError: it is less than `least` or more than `most`.
    """
    count = as_integer(value)
    if count is not None and count >= least and (most is None or count <= most):
        return count
    allowed = f"{least} or more" if most is None else f"from {least} to {most}"
    kind = TypeError if count is None else ValueError
    raise kind(f"{name} must be a whole number{unit}, {allowed}{also}, got {shown(value)}")


def whole_number_or_none(name: str, value: Any, unit: str = "") -> int | None:
    """`value` as `whole_number` gives it, 1 or more, or None."""
    return None if value is None else whole_number(name, value, unit=unit, also=", or None")


def seed_number(name: str, value: Any) -> int:
    """`value` as `whole_number` gives it, from 0 to 2**32 - 1: each such seed has a key of its own."""
    return whole_number(name, value, 0, NUM_SEEDS - 1)


def whole_numbers(**values: Any) -> list[int]:
    """Each of the values as `whole_number` gives it, 1 or more, named by its keyword."""
    return [whole_number(name, value) for name, value in values.items()]


def path_of(argument: str, given: str | os.PathLike, what: str = "file") -> Path:
    """The path that a person gave, to a `what` that is read or written there.

    Raises:
        ValueError: nothing can have that name; an empty one is an unset variable of the shell.
    """
    text = os.fspath(given)
    if not text.strip() or "\0" in text:
        raise ValueError(f"{argument} is {text!r}; the name of a {what} is needed")
    return Path(text)


def is_there(argument: str, given: str | os.PathLike, what: str = "file") -> bool:
    """Whether there is anything at the path that a person gave.

    Raises:
        ValueError: it cannot be known: the system refuses the name, or may not look.
    """
    path = path_of(argument, given, what)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{argument} is {str(path)!r}, which cannot be read: {reason}") from None
    return True
