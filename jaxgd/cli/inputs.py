"""What the user gave: words as numbers, and checks whose `InputError` is one line that says what is wrong."""

import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from jaxgd.studies.user_files import UserFileError, describe_error


class InputError(Exception):
    """Something the user gave cannot be used; its text is one line that says what and why."""


@contextmanager
def bad_input():
    """Turn complaints about what the user gave into an `InputError`."""
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError, UserFileError) as error:
        raise InputError(str(error)) from error


@contextmanager
def errors_in(file: str | None):
    """Turn an error that came from a line of the user's file into an `InputError` that names the line."""
    try:
        yield
    except Exception as error:
        place = file and describe_error(error, file)
        if not place:
            raise
        raise InputError(place) from error


def as_words(text: str) -> list[str] | str:
    """The words between commas; "all" as it is."""
    return text if text == "all" else [word.strip() for word in text.split(",") if word.strip()]


def as_number(text: str) -> int | float | str:
    """The number, or the text itself where it is none: the argument's own check then says what is allowed."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def as_numbers(text: str) -> list[int | float | str]:
    """The numbers between commas, each as `as_number` gives it."""
    return [as_number(word) for word in text.split(",") if word.strip()]


def check_writable(out: Path) -> None:
    """Raise `InputError` unless a file can be written there: a long training's report must not be lost."""
    if out.is_dir():
        raise InputError(f"out is {str(out)!r}, a folder; the name of a file is needed")
    if not out.parent.is_dir():
        raise InputError(f"out is {str(out)!r}, but there is no folder {str(out.parent)!r}")
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent):
            pass
        if out.exists():
            out.open("ab").close()
    except OSError as error:
        raise InputError(f"out is {str(out)!r}, which cannot be written: {error.strerror}") from None


def check_folder(out: Path) -> None:
    """Raise `InputError` unless the path is a folder to write in, or one can be made there."""
    existing = out
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"out is {str(out)!r}, but {str(existing)!r} is a file; a folder is needed")
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(f"out is {str(out)!r}, which cannot be written: {error.strerror}") from None


def check_extras(*packages: str) -> None:
    """Raise `InputError` unless the packages are installed."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f'the package {package} is missing: pip install "jaxgd[report]"')
