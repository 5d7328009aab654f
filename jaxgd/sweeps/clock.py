"""What an update costs at each batch size, measured alone: the clock for comparisons at equal seconds."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgd.sweeps.grid import Point, Run, checked_axes, group_runs, make_runs, points
from jaxgd.sweeps.preparation import Sources, prepare
from jaxgd.sweeps.programs import Extent, num_bytes, with_settings_of_caller
from jaxgd.training.fitting import check_epochs
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray


def throughput(
    make_trainer: Callable[[Point], Trainer],
    batch_sizes: Sequence[Any],
    *,
    epochs: int = 20,
    repeats: int = 5,
    seconds: float = 0.05,
) -> "xarray.Dataset":
    """Seconds and bytes of an update at each batch size, each run alone on the first device.

    The programs are warm and take turns, so that a machine that slows down slows all of them; each figure is
    the median of the repeats. Validation is left out. Variables over `batch_size`: `seconds_per_update`,
    `examples_per_second`, and `bytes`, which the run needs: data, epoch orders, parameters before and after,
    and the program's temporaries.

    Args:
        make_trainer: called with `hp.batch_size`, returns a trainer.
        batch_sizes: ints and "full"; the coordinate of "full" is the number of training examples.
        epochs: the longest run that is timed; a sweep of as many epochs shares its programs with this clock.
        repeats: timed calls of each.
        seconds: about how long each timed call takes.
    """
    import xarray

    sizes = checked_axes({"batch_size": batch_sizes})["batch_size"]
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, got {repeats}")
    grid = points({"batch_size": sizes})
    made = make_runs(make_trainer, grid)
    check_epochs(epochs, made[0].trainer.problem.num_examples)
    with ThreadPoolExecutor(2) as pool:
        solo = with_settings_of_caller(lambda run: _SoloRun(run, epochs))
        runs = list(pool.map(solo, made))
    for run in runs:
        run.calibrate(seconds)
    times = np.array([[run.seconds_per_update() for run in runs] for _ in range(repeats)])
    per_update = np.median(times, axis=0)
    batches = np.array([int(run.trainer.examples_per_batch) for run in made])
    variables = {
        "seconds_per_update": ("batch_size", per_update),
        "examples_per_second": ("batch_size", batches / per_update),
        "bytes": ("batch_size", np.array([run.bytes for run in runs])),
    }
    return xarray.Dataset(variables, {"batch_size": batches})


class _SoloRun:
    """A run of its own on the first device, timed without evaluation for up to `epochs` epochs."""

    def __init__(self, run: Run, longest: int):
        devices = jax.devices()
        self.trainer, self.longest, self.epochs = run.trainer, longest, 1
        ready = prepare(group_runs([run])[0], devices, Sources(longest))
        inputs = ready.inputs.gather([0] * (ready.recipe.lanes * ready.recipe.devices))
        counts = np.array([1] + [0] * (ready.recipe.devices - 1), np.int32)
        placed = zip((ready.inputs.shared, inputs, counts), ready.program.input_shardings[0], strict=False)
        self.arguments = [jax.device_put(x, sharding) for x, sharding in placed]
        self.program = ready.program
        one = jax.tree.map(lambda x: x[0], inputs)
        self.bytes = num_bytes(ready.inputs.shared) + num_bytes(one) + num_bytes(one.params)
        self.bytes += self.program.memory_analysis().temp_size_in_bytes

    def seconds_per_update(self) -> float:
        """Seconds an update took in a run of `epochs` epochs."""
        taken, history = self._timed()
        return taken / max(1, int(history["updates"][0].max()))

    def calibrate(self, seconds: float) -> None:
        """Choose as many epochs as take about `seconds`, and no more than a run that diverges trains in."""
        self._timed()  # the first call is slower than the rest
        self.epochs = max(1, min(self.longest, round(seconds / max(self._timed()[0], 1e-6))))
        examples = int(self._timed()[1]["examples"][0].max())
        self.epochs = min(self.epochs, max(1, -(-examples // int(self.trainer.epoch_end))))

    def _timed(self) -> tuple[float, dict]:
        """The seconds that a run took, and its history."""
        begun = time.perf_counter()
        extent = Extent(np.int32(self.epochs), np.bool_(False))
        results = jax.block_until_ready(self.program(*self.arguments, extent))
        return time.perf_counter() - begun, results.history
