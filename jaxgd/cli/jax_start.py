"""JAX set up before its first computation: a host device per core, and a cache of compiled programs."""

import os
import stat
import sys
from pathlib import Path


def start_jax(cache: bool) -> None:
    """Set up jax before its first computation: one host device per core, and a cache of compiled programs.

    Runs are spread over host devices, and most of a short comparison is compiling. What the user has set in
    the environment stays.
    """
    import jax

    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    if not chosen and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", num_cores())
    if cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ and (folder := cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def num_cores() -> int:
    """The cores that this process may use: of the machine, of its affinity mask, of its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def cache_folder() -> Path | None:
    """The user's private folder for compiled programs, made if missing; None if it is not private (said).

    Compiled programs are run as they are: whoever can write to this folder can run code as the user.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "jaxgd" / "xla"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if problem := _not_private(folder):
            raise PermissionError(problem)
    except OSError as error:
        print(f"jaxgd: compiled programs are not kept: {folder}: {error.strerror or error}", file=sys.stderr)
        return None
    return folder


def _not_private(folder: Path) -> str:
    """Why others could write to the folder, or an empty text."""
    if not hasattr(os, "getuid"):
        return ""
    for place in (folder, folder.parent):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return f"{place} is not a folder of yours"
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others can write to {place}"
    return ""
