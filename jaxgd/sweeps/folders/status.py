"""What a folder has of a sweep: runs done and left, bytes, and whether its files are whole."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgd.sweeps.results.records import Record, Unit, is_record, record_of, saved_runs
from jaxgd.sweeps.results.result import load
from jaxgd.sweeps.store.files import damage_of
from jaxgd.sweeps.store.folder import folder_of, whole
from jaxgd.sweeps.store.manifest import MANIFEST, opened, read_manifest
from jaxgd.training.states import NOT_RUN, STATUS_WORDS


class FolderStatus(NamedTuple):
    """How far the sweep of a folder is.

    num_runs: in all. words: how many ended with each word, such as "completed". bytes: of its files.
    seconds_left: None where no program has been timed yet. damaged: a line for each file that is missing or
    not what was saved; None where that was not looked at.
    """

    num_runs: int
    words: Mapping[str, int]
    bytes: int
    seconds_left: float | None
    damaged: list[str] | None

    @property
    def num_ended(self) -> int:
        """How many runs have ended."""
        return sum(self.words.values())

    def __str__(self):
        left = self.num_runs - self.num_ended
        words = ", ".join(f"{count} {word}" for word, count in self.words.items())
        lines = [f"{self.num_ended} of {self.num_runs} runs have ended{': ' if words else ''}{words}"]
        if left:
            seconds = "" if self.seconds_left is None else f", about {self.seconds_left:.0f} s"
            lines.append(f"{left} left{seconds}")
        lines.append(f"{self.bytes:,} bytes")
        if self.damaged is not None:
            lines += self.damaged or ["every file is what was saved"]
        return "\n".join(lines)


def folder_status(folder: str | os.PathLike, check: bool = False) -> FolderStatus:
    """How far the sweep of a folder is, whether a process works on it or not.

    Args:
        folder: where a sweep is kept, or a result was saved.
        check: read every file, and compare it with its sum.

    Raises:
        FileNotFoundError: there is no sweep.
        ValueError: its manifest is damaged.
    """
    path = folder_of(folder)

    def look(manifest: Mapping[str, Any] | None) -> FolderStatus:
        if manifest is not None and is_record(manifest):
            found = _of_sweep(path, manifest, check)
        else:
            found = _of_result(path, manifest, check)
        if found.damaged and (now := read_manifest(path)) != manifest:  # a writer has deleted it meanwhile
            return look(now)
        return found

    return whole(path, look)


def _of_sweep(folder: Path, manifest: Mapping[str, Any], check: bool) -> FolderStatus:
    record = record_of(folder, manifest)
    words: Counter[str] = Counter()
    lines = dict.fromkeys(_damaged(folder, manifest) if check else ())
    for unit in record.units:
        try:
            saved = saved_runs(folder, manifest, unit, None)
        except (ValueError, FileNotFoundError) as error:
            lines[damage_of(error)] = None
        else:
            words.update(STATUS_WORDS[code] for code in (saved.block.status.tolist() if saved else ()))
    damaged = list(lines) if check or lines else None
    size, num_runs = _size(folder, manifest), record.plan.num_runs
    return FolderStatus(num_runs, words, size, _seconds_left(record), damaged)


def _of_result(folder: Path, manifest: Mapping[str, Any] | None, check: bool) -> FolderStatus:
    status = load(folder).dataset.status.values.ravel().tolist()
    words = Counter(word for word in status if word != NOT_RUN)
    damaged = _damaged(folder, manifest or {"files": {}}) if check else None
    return FolderStatus(len(status), words, _size(folder, manifest), None, damaged)


def _damaged(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """A line for each file that the manifest names and that is not what was saved."""
    lines = []
    for entry in manifest["files"].values():
        try:
            with opened(folder, entry):
                pass
        except (ValueError, FileNotFoundError) as error:
            lines.append(damage_of(error))
    return lines


def _size(folder: Path, manifest: Mapping[str, Any] | None) -> int:
    if manifest is None:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return (folder / MANIFEST).stat().st_size + sum(entry["size"] for entry in manifest["files"].values())


def _seconds_left(record: Record) -> float | None:
    """Of the units that are not done, by how the predictions of those that are came true."""
    done = [unit.program for unit in record.units if unit.is_done and unit.program.run_seconds is not None]
    predicted = sum(program.predicted_run_seconds for program in done)
    if not predicted:
        return None
    pace = sum(program.run_seconds or 0.0 for program in done) / predicted
    return pace * sum(map(_predicted_left, record.units))


def _predicted_left(unit: Unit) -> float:
    return unit.program.predicted_run_seconds * (1 - len(unit.runs) / len(unit.program.runs))
