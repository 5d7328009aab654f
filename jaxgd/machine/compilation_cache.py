"""Compiled programs kept on disk, in a folder that nobody else can write to."""

import os
import stat
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

# JAX keeps only what took a second to compile. Reading takes a quarter of it for small programs too.
_LEAST_SECONDS = 0.0


def enable_compilation_cache(folder: str | os.PathLike | None = None) -> Path:
    """The folder in which JAX keeps compiled programs from now on, for this process and later ones.

    A sweep of the same shapes, functions and versions then reads all of them and compiles nothing. The
    command line does this by itself.

    Args:
        folder: made with mode 0700 if missing. None for the user's own: `jaxgd/xla` in `XDG_CACHE_HOME` or
            `~/.cache`.

    Raises:
        PermissionError: somebody else could write to the folder. Compiled programs are run as they are, so
            whoever can write there can run code as the user.
        OSError: the folder cannot be made, or there is no home for it.

    Example:
        >>> jaxgd.enable_compilation_cache()
    """
    path = private_folder(own_folder("xla") if folder is None else Path(folder), shared=folder is not None)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    compilation_cache.reset_cache()  # else JAX stays with the folder that it used first
    return path


def own_folder(name: str) -> Path:
    """The user's own folder of this name, which need not be there: `jaxgd/name` in the cache's home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base, "jaxgd", name)
    try:
        return Path.home() / ".cache" / "jaxgd" / name
    except RuntimeError:
        raise FileNotFoundError("there is no home folder, and XDG_CACHE_HOME names no other") from None


def private_folder(folder: Path, shared: bool) -> Path:
    """The folder, made if missing; with `shared`, the one above it may be anybody's.

    Raises:
        PermissionError: somebody else could write to it.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for place in (folder,) if shared else (folder, folder.parent):
        if problem := why_not_private(place):
            raise PermissionError(problem)
    return folder.absolute()


def why_not_private(place: Path) -> str:
    """Why others could write to a folder, or an empty text."""
    if not hasattr(os, "getuid"):
        return ""
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return f"{place} is not a folder of yours"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write to {place}"
    return ""
