"""What the user gave: words as numbers, and checks whose `InputError` is one line that says what is wrong."""

import os
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from jaxgd.arguments import is_there, path_of
from jaxgd.specs.user_files import UserFileError, describe_error

# How the title of every page starts.
_PAGE = b"<title>jaxgd "


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


def add_spec(parser: ArgumentParser) -> None:
    """Add the arguments that name a spec, and what of it is to be otherwise."""
    parser.add_argument("spec", metavar="SPEC", help="the TOML file")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the file that is given otherwise, such as epochs=5, fixed.width=128 or "
        "'axes.seed=[0,1,2]'",
    )


def read_runs(spec: str, overrides: Sequence[str] = ()):
    """The runs of a spec, which is read and checked; what became of the columns of a table is printed.

    Raises:
        InputError: the file, its data or one of its settings cannot be used.
    """
    from jaxgd.specs.runs import SpecRuns
    from jaxgd.specs.spec import read_spec

    with bad_input():
        runs = SpecRuns(read_spec(spec, overrides))
        with errors_in(runs.file):
            runs.check()
    if runs.table is not None:
        print(runs.table)
    return runs


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


def as_path(text: str, what: str) -> Path:
    """The path of the output, which is called `what`; InputError where nothing can have that name."""
    with bad_input():
        return path_of("out", text, what)


def is_folder(argument: str, text: str) -> bool:
    """Whether the path is that of a folder; InputError where nothing can have that name."""
    with bad_input():
        return is_there(argument, text, "folder") and Path(text).is_dir()


def check_writable(out: Path) -> None:
    """Raise `InputError` unless a page can be written there: a long training's report must not be lost.

    What is there and is no page of jaxgd is not replaced; a link is, and what it leads to stays.
    """
    with _can_be_written(out):
        _check_length(out.parent, out.name)
        if out.is_dir():
            raise InputError(f"out is {str(out)!r}, a folder; the name of a file is needed")
        if not out.parent.is_dir():
            raise InputError(f"out is {str(out)!r}, but there is no folder {str(out.parent)!r}")
        with tempfile.NamedTemporaryFile(dir=out.parent):
            pass
        if out.exists() and not out.is_file():
            raise InputError(f"out is {str(out)!r}, which is no file")
        if out.exists() and not out.is_symlink():
            out.open("ab").close()
            with out.open("rb") as file:
                start = file.read(4096)
            if start and _PAGE not in start:
                raise InputError(f"out is {str(out)!r}, which is no page of jaxgd and is not replaced")


def check_folder(out: Path) -> None:
    """Raise `InputError` unless the path is a folder to save a sweep in, or one can be made there."""
    with _can_be_written(out):
        existing = out
        while not existing.exists() and existing != existing.parent:
            _check_length(existing.parent, existing.name)
            existing = existing.parent
        if not existing.is_dir():
            raise InputError(f"out is {str(out)!r}, but {str(existing)!r} is a file; a folder is needed")
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    if os.path.lexists(out / "manifest.json"):
        from jaxgd.sweeps.store.manifest import check_free

        with bad_input():
            check_free(out)


@contextmanager
def _can_be_written(out: Path):
    """Turn what the system says of a path into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"out is {str(out)!r}, which cannot be written: {error.strerror}") from None


def _check_length(folder: Path, name: str) -> None:
    """Raise OSError for a name that is too long for the file system, which only some calls notice."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(folder / name)


def check_extras(*packages: str) -> None:
    """Raise `InputError` unless the packages are installed."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f'the package {package} is missing: pip install "jaxgd[report]"')
