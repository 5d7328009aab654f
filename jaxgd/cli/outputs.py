"""What a command writes at its end: whole or not at all, and one line where it cannot be written."""

from contextlib import contextmanager
from pathlib import Path


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
