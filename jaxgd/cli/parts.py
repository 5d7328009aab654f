"""Which part of a sweep a process trains, and on whose workers: `--part K/N`, `--executor dask://HOST:PORT`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jaxgd.cli.inputs import InputError

_PART = re.compile(r"([0-9]+)/([0-9]+)")
# What SLURM tells the tasks of an array job.
_TASK, _STEP = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_STEP"
_FIRST, _LAST, _COUNT = "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT"
# Seconds that a scheduler has to answer.
_ANSWER = 10


def part_of(text: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """The part that `--part` names, as (number, of).

    Raises:
        InputError: there is none such, or the environment is not that of an array job without gaps.
    """
    if text == "slurm":
        return _part_of_slurm(environment)
    match = _PART.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--part is {text!r}: K/N with K from 1 to N is needed, such as 2/4, or slurm")
    return int(match[1]), int(match[2])


def _part_of_slurm(environment: Mapping[str, str]) -> tuple[int, int]:
    """Of `--array=3-10`, the task 5 is the third of 8 parts."""
    names = (_TASK, _FIRST, _LAST)
    values = {name: environment.get(name, "") for name in names}
    if not all(value.isdigit() for value in values.values()):
        missing = next(name for name, value in values.items() if not value.isdigit())
        raise InputError(f"--part slurm needs the environment of an array job: {missing} is not set")
    task, first, last = (int(values[name]) for name in names)
    num, step, count = last - first + 1, environment.get(_STEP, "1"), environment.get(_COUNT, "")
    if step != "1" or (count and count != str(num)):
        raise InputError(
            f"--part slurm needs an array without gaps, got tasks {first} to {last} in steps of {step}"
            f"{f', {count} of them' if count else ''}: use --array=1-N, or name the part as --part K/N"
        )
    return task - first + 1, num


@contextmanager
def executor_at(address: str | None) -> Iterator[Any]:
    """The executor at an address, None without one.

    Raises:
        InputError: no such kind of engine, none installed, or no scheduler that answers.
    """
    if address is None:
        yield None
        return
    kind, _, place = address.partition("://")
    if kind != "dask" or not re.fullmatch(r".+:[0-9]+", place):
        raise InputError(f"--executor is {address!r}: dask://HOST:PORT is needed")
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--executor dask://... needs Dask, which is not installed: pip install 'jaxgd[dask]'"
        ) from None
    try:
        client = Client(f"tcp://{place}", timeout=_ANSWER)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"no Dask scheduler answers at {place} within {_ANSWER} s: {why}") from error
    with client:
        yield client.get_executor()
