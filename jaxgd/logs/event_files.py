"""Rows as TensorBoard's event files, written by tensorboardX: without TensorFlow or torch."""

import importlib.util
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgd.logs.destination import Destination, Row


def tensorboard(folder: str | os.PathLike) -> "EventFiles":
    """A log for `train(log=...)` and `sweep(log=...)` that TensorBoard reads: `tensorboard --logdir FOLDER`.

    Each number of a row is a scalar under its name: of `train` by epoch, of `sweep` by how many of its runs
    have ended. At the end of a sweep they are also a table, the text `runs`. Every call of `train` or `sweep`
    writes a file of its own, one however many runs there are.

    Args:
        folder: is made if missing. TensorBoard shows what one folder holds as one run, and of equal steps in
            it the latest: give each call its own.

    Raises:
        ImportError: tensorboardX is missing; the extra `tensorboard` has it.
        ValueError: no name of a folder.

    Example:
        >>> jaxgd.train(trainer, key, epochs=10, log=jaxgd.tensorboard("runs/first"))
    """
    if not os.fspath(folder) or "\0" in os.fspath(folder):
        raise ValueError(f"folder is {os.fspath(folder)!r}; the name of a folder is needed")
    if importlib.util.find_spec("tensorboardX") is None:
        raise ImportError('the package tensorboardX is missing: pip install "jaxgd[tensorboard]"')
    return EventFiles(Path(folder))


class EventFiles(Destination):
    """A folder of event files, one for each time that it is opened."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __str__(self):
        return f"tensorboard({str(self.folder)!r})"

    def open(self) -> None:
        """Begin a file."""
        from tensorboardX.event_file_writer import EventsWriter

        self._lines: list[str] = []  # of the table
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Its own names have whole seconds: these are unique, and in order.
            suffix = f".{time.time_ns()}.{os.getpid()}"
            self._file = EventsWriter(str(self.folder.resolve() / "events"), suffix)
        except OSError as error:
            raise type(error)(f"log is {self}, which cannot be written: {error.strerror}") from None

    def write(self, rows: Sequence[Row]) -> None:
        """Write the numbers of the rows, and have them on disk."""
        from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

        for row in rows:
            numbers = {name: float(x) for name, x in row.items() if isinstance(x, int | float)}
            values = [Summary.Value(tag=name, simple_value=x) for name, x in numbers.items()]
            self._put(Summary(value=values), self._step(row))
        self._file.flush()

    def _step(self, row: Row) -> int:
        """A run's epoch; of a sweep how many runs have ended, since TensorBoard needs steps that grow."""
        if "run" not in row:
            return row["epoch"]
        self._lines += [] if self._lines else [_cells(row), _cells(["---"] * len(row))]
        self._lines.append(_cells(row.values()))
        return len(self._lines) - 2

    def close(self) -> None:
        """Write the table of a sweep's runs, and end the file."""
        from tensorboardX.summary import text

        try:
            if self._lines:
                self._put(text("runs", "\n".join(self._lines)), 0)
        finally:
            self._file.close()

    def _put(self, summary: Any, step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

        self._file.write_event(Event(wall_time=time.time(), step=step, summary=summary))


def _cells(values: Any) -> str:
    """A line of a table in Markdown."""
    texts = (f"{x:.6g}" if isinstance(x, float) else str(x) for x in values)
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"
