"""What a worker does: it compiles the program of a unit, or trains its runs and puts them into the folder."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgd.machine.compilation_cache import enable_compilation_cache
from jaxgd.machine.compiling import setting, under
from jaxgd.machine.devices import device_name
from jaxgd.machine.host import versions
from jaxgd.machine.interrupts import Interrupts
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.planning.planner import with_groups
from jaxgd.sweeps.results.units import runs_archive
from jaxgd.sweeps.store.archives import read_archive
from jaxgd.sweeps.store.arrays import decoded
from jaxgd.sweeps.store.manifest import has_unit, opened, put_unit
from jaxgd.sweeps.workers.recipes import StoredArray, UnitRecipe, names_of_data, runs_of

# On which versions of the worker and of whoever asks have to agree: numbers depend on them.
_TO_AGREE = ("jaxgd", "jax", "jaxlib")
# Arrays that lie in folders of sweeps, by their content, up to so many bytes.
_ARRAYS = Kept(2**30, lambda array: array.nbytes)


class WorkerMismatchError(RuntimeError):
    """A worker is not like the process that has planned the sweep; its text names both."""


class Trained(NamedTuple):
    """What a unit took: its program to compile, its runs. where: the process and its host."""

    where: str
    compile_seconds: float
    run_seconds: float


def prepare_unit(recipe: UnitRecipe) -> Trained:
    """Compile the program of a unit, so that all workers find it among the compiled ones."""
    return _at_work(recipe, _compile)


def train_unit(recipe: UnitRecipe) -> Trained:
    """Train the runs of a unit and put them into the folder of the sweep.

    Raises:
        WorkerMismatchError: other versions, or another kind of device, than the sweep was planned for.
        FileNotFoundError: this worker does not see the folder.
    """
    return _at_work(recipe, _train)


def _at_work(recipe: UnitRecipe, work: Callable[[UnitRecipe, Engine], tuple[float, float]]) -> Trained:
    _check(recipe)
    _keep_programs(recipe)
    if not Path(recipe.folder).is_dir():
        raise FileNotFoundError(
            f"{recipe.folder} is not there for {_here()}: give folder= a folder that all workers see"
        )
    with under(recipe.settings):
        engine = Engine(jax.devices()[: recipe.program.recipe.devices], recipe.epochs)
        return Trained(_here(), *work(recipe, engine))


def _check(recipe: UnitRecipe) -> None:
    now = versions()
    for name in _TO_AGREE:
        if now[name] != recipe.versions[name]:
            raise WorkerMismatchError(
                f"{_here()} has {name} {now[name]}, the sweep was planned with {name} "
                f"{recipe.versions[name]}: numbers would differ; install the same version everywhere"
            )
    if (device := device_name(jax.devices()[:1])) != recipe.device:
        raise WorkerMismatchError(
            f"{_here()} has {device}, the sweep was planned for {recipe.device}: plan it where there is one"
        )


def _keep_programs(recipe: UnitRecipe) -> None:
    """Have programs kept on disk, unless this process does so already."""
    if setting("jax_compilation_cache_dir") is None:
        enable_compilation_cache(recipe.cache)


def _here() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _compile(recipe: UnitRecipe, engine: Engine) -> tuple[float, float]:
    begun = time.perf_counter()
    ((group, program),) = _planned(recipe)
    engine.driver(group, program.recipe)
    return time.perf_counter() - begun, 0.0


def _train(recipe: UnitRecipe, engine: Engine) -> tuple[float, float]:
    folder = Path(recipe.folder)
    if has_unit(folder, recipe.key):  # whoever was asked before has put it down, and could not say so
        return 0.0, 0.0
    ended = list(engine.run(_planned(recipe), Interrupts()))
    took = [each.took for each in ended if each.took is not None]
    blocks = [each.block for each in ended if each.block is not None]
    put_unit(folder, recipe.key, runs_archive(blocks, recipe.program.runs))
    seconds = [(each.compile_seconds or 0.0, each.run_seconds or 0.0) for each in took]
    return sum(compiling for compiling, _ in seconds), sum(running for _, running in seconds)


def _planned(recipe: UnitRecipe) -> Any:
    runs = runs_of(recipe.runs, lambda stored: _loaded(Path(recipe.folder), stored))
    return with_groups([recipe.program], runs)


def _loaded(folder: Path, stored: StoredArray) -> Any:
    """The array, which has the same id as long as it is kept: programs are known by the arrays they share."""
    key = stored.entry["sha256"], stored.of_jax, setting("jax_enable_x64")
    return _ARRAYS.get(key, lambda: _read(folder, stored))


def _read(folder: Path, stored: StoredArray) -> Any:
    with opened(folder, stored.entry) as file:
        arrays, _ = read_archive(file, names_of_data)
    (array,) = arrays.values()
    found = decoded(array, stored.dtype)
    return jnp.asarray(found) if stored.of_jax else found
