"""What a command writes at its end: whole or not at all, and one line where it cannot be written."""

import itertools
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class OutputError(Exception):
    """What was made cannot be written; its text is one line that says where and why."""


@contextmanager
def writing(out: Path):
    """Turn what writing there raises into an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error


def write_page(out: Path, page: str) -> None:
    """Write a page; one that is there stays as it was unless the new one is there as a whole."""
    from jaxgd.sweeps.store.files import write_whole

    with writing(out):
        write_whole(out, page)


def print_and_write(text: Any, out: Path, page: Callable[[], str]) -> None:
    """Print what rich renders, and write the page; neither is lost with the other.

    page: makes it.
    """
    from rich.console import Console

    # A pipe or a file gets whole lines: only a terminal has a width.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as captured:  # rich would end the process by itself where a pipe is closed
        console.print(text)
    try:
        print(captured.get())
    finally:
        write_page(out, page())
    print(f"Report: {out.resolve()}")


def save_beside(out: Path, name: str, result: Any) -> Path:
    """Save a sweep in a new folder beside the page, named after both; returns the folder."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    folders = (out.with_name(f"{out.stem}-{each}") for each in names)
    folder = next(folder for folder in folders if not os.path.lexists(folder))
    with writing(folder):
        result.save(folder)
    return folder
