"""The machine under a process: its cores, its memory, what is installed. No JAX."""

import functools
import os
import platform
from pathlib import Path

# Where Linux tells a container its limits.
CONTAINER = Path("/sys/fs/cgroup")


def machine_bytes() -> int:
    """Memory that the machine can give without swapping; 0 where that is not known."""
    return _numbers_of("/proc/meminfo").get("MemAvailable:", 0) * 1024


def container_bytes() -> int:
    """Memory that the container may still take, its file cache given back; 0 where there is no limit."""
    try:
        limit, used = ((CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return 0
    cached = _numbers_of(CONTAINER / "memory.stat").get("inactive_file", 0)
    return max(1, int(limit) - int(used) + cached) if limit.isdigit() else 0


def _numbers_of(path: str | Path) -> dict[str, int]:
    """The first number of each line of a file by the line's first word."""
    try:
        rows = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def cpu_name() -> str:
    """What the processor calls itself; what Python knows of it where the machine does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def num_cores() -> int:
    """The cores that this process may use: of the machine, of its affinity mask, of its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (CONTAINER / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def own_version() -> str:
    """The version of the jaxgd that is installed; "unknown" of files that were put on the path instead."""
    import importlib.metadata  # not for `--help`: it takes a tenth of its time

    try:
        return importlib.metadata.version("jaxgd")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """The versions on which numbers depend."""
    return dict(_versions())


@functools.cache  # each is looked for in files
def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "optax", "numpy")
    import importlib.metadata

    own = {"jaxgd": own_version(), "python": platform.python_version()}
    return own | {name: importlib.metadata.version(name) for name in packages}
