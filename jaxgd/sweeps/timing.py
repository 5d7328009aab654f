"""`throughput`: what an update costs at each batch size."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.machine.background import Background
from jaxgd.machine.compiling import own_programs
from jaxgd.sweeps.axes import Point, checked_axes, points
from jaxgd.sweeps.engine.clock import LaneAlone
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.planning.planner import Options, Planner
from jaxgd.sweeps.runs import Run, devices_of, make_runs
from jaxgd.training.fitting import check_epochs
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray

_ALONE = Options(merge=False, kind="map", generalize=False, width=1)


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
    and the program's temporaries. The attribute `seconds_by_turn`, [batch size][turn], holds the seconds of
    an update in each of the repeats: how far they lie apart is how far the timings can be trusted.

    Args:
        make_trainer: called with `hp.batch_size`, returns a trainer.
        batch_sizes: ints and "full"; the coordinate of "full" is the number of training examples.
        epochs: the longest run that is timed; a sweep of as many epochs shares its programs with this clock.
        repeats: timed calls of each.
        seconds: about how long each timed call takes.
    """
    import xarray

    sizes, repeats = checked_axes({"batch_size": batch_sizes})["batch_size"], whole_number("repeats", repeats)
    made = make_runs(make_trainer, points({"batch_size": sizes}))
    timed = time_alone(made, check_epochs(epochs, made[0].trainer.problem.num_examples), repeats, seconds)
    per_update = np.median(timed.seconds, axis=1)
    batches = np.array([int(run.trainer.examples_per_batch) for run in made])
    variables = {
        "seconds_per_update": ("batch_size", per_update),
        "examples_per_second": ("batch_size", batches / per_update),
        "bytes": ("batch_size", timed.bytes),
    }
    return xarray.Dataset(variables, {"batch_size": batches}, {"seconds_by_turn": timed.seconds.tolist()})


class Timed(NamedTuple):
    """What updates cost. seconds: of one, float64[runs, repeats]. bytes: that a run needs, int64[runs]."""

    seconds: np.ndarray
    bytes: np.ndarray


def time_alone(runs: Sequence[Run], epochs: int, repeats: int, seconds: float) -> Timed:
    """What an update of each run costs, alone on the first device; the runs take turns."""
    engine = Engine(devices_of(runs), epochs)
    planner = Planner(engine.devices, engine.sources, engine.bytes_of, _ALONE)
    pool = Background(2)
    try:
        with own_programs():
            planned = [planner.choose([run])[0] for run in runs]
            drivers = pool.map(lambda one: engine.driver(one[0], one[1].recipe), planned)
            alone = [LaneAlone(driver) for driver in drivers]
            for lane in alone:
                lane.calibrate(seconds, settle=True)
            turns = [[lane.seconds_per_update() for lane in alone] for _ in range(repeats)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Timed(np.array(turns).T, np.array([lane.bytes for lane in alone]))
