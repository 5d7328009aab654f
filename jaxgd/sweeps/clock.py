"""What an update costs at each batch size, measured alone: the clock for comparisons at equal seconds."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgd.sweeps.grid import Point, checked_axes, make_runs, points
from jaxgd.sweeps.programs import with_settings_of_caller
from jaxgd.training.batching import epoch_orders
from jaxgd.training.fitting import initial_params, segment, start_run
from jaxgd.training.loop import RUNNING, Trainer

if TYPE_CHECKING:
    import xarray


def throughput(
    make_trainer: Callable[[Point], Trainer],
    batch_sizes: Sequence[Any],
    *,
    repeats: int = 5,
    seconds: float = 0.05,
) -> "xarray.Dataset":
    """Seconds and bytes of an update at each batch size, each run alone on the first device.

    The programs are warm and take turns, so that a machine that slows down slows all of them; each figure is
    the median of the repeats. Validation is left out. Variables over `batch_size`: `seconds_per_update`,
    `examples_per_second`, and `bytes`, which the compiled run needs: arguments, results and temporaries, the
    training data included.

    Args:
        make_trainer: called with `hp.batch_size`, returns a trainer.
        batch_sizes: ints and "full"; the coordinate of "full" is the number of training examples.
        repeats: timed calls of each.
        seconds: about how long each timed call takes.
    """
    import xarray

    sizes = checked_axes({"batch_size": batch_sizes})["batch_size"]
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, got {repeats}")
    grid = points({"batch_size": sizes})
    trainers = [_without_evaluation(run.trainer) for run in make_runs(make_trainer, grid)]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(with_settings_of_caller(_SoloRun), trainers))
    for run in runs:
        run.calibrate(seconds)
    times = np.array([[run.seconds_per_update() for run in runs] for _ in range(repeats)])
    per_update = np.median(times, axis=0)
    batches = np.array([int(trainer.examples_per_batch) for trainer in trainers])
    variables = {
        "seconds_per_update": ("batch_size", per_update),
        "examples_per_second": ("batch_size", batches / per_update),
        "bytes": ("batch_size", np.array([run.bytes for run in runs])),
    }
    return xarray.Dataset(variables, {"batch_size": batches})


def _without_evaluation(trainer: Trainer) -> Trainer:
    return trainer.replace(problem=trainer.problem.replace(valid=None, test=None, metrics={}))


class _SoloRun:
    """A compiled run that can be timed for any number of epochs."""

    def __init__(self, trainer: Trainer):
        key, num = jax.random.key(0), trainer.problem.num_examples
        self.trainer, self.num = trainer, num
        self.orders = epoch_orders(key, 0, 1, num, trainer.order_sampling)
        self.params = initial_params(trainer.problem.init, key)
        self.key, self.epochs = key, 1
        compiled = segment.lower(trainer, *self._start(), self.orders, 0, (0, 0), (0, num)).compile()
        memory = compiled.memory_analysis()
        self.bytes = 0 if memory is None else _total_bytes(memory)
        self.run = compiled

    def _start(self) -> Any:
        return start_run(self.trainer, self.key, self.params, 1)

    def seconds_per_update(self) -> float:
        """Seconds an update took in a run of `epochs` epochs."""
        size = int(self.trainer.examples_per_batch)
        per_epoch = self.num // size if self.trainer.remainder.value == "drop" else -(-self.num // size)
        return self._timed()[0] / (self.epochs * per_epoch)

    def calibrate(self, seconds: float) -> None:
        """Choose as many epochs as take about `seconds`, and no more than a run that diverges trains in."""
        self._timed()  # the first call is slower than the rest
        self.epochs = max(1, round(seconds / max(self._timed()[0], 1e-6)))
        self.epochs = self._timed()[1]

    def _timed(self) -> tuple[float, int]:
        """The seconds that a run took, and the epochs in which it was not frozen."""
        state, history = jax.block_until_ready(self._start())
        begun = time.perf_counter()
        state, _ = self.run(self.trainer, state, history, self.orders, 0, (0, 0), (self.epochs - 1, self.num))
        jax.block_until_ready(state.params)
        taken = time.perf_counter() - begun
        trained = -(-int(state.examples) // int(self.trainer.epoch_end))
        return taken, self.epochs if state.status == RUNNING else trained


def _total_bytes(memory: Any) -> int:
    inputs_and_outputs = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return int(inputs_and_outputs - memory.alias_size_in_bytes + memory.temp_size_in_bytes)
