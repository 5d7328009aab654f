"""Small programs that are timed: what an update of each batch size takes where all devices are at work."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.machine.background import Background, completed
from jaxgd.machine.compiling import setting, with_settings_of_caller
from jaxgd.machine.host import num_cores
from jaxgd.machine.interrupts import Interrupts
from jaxgd.optim.optimizers import sgd
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.engine.programs import Compiled, lower
from jaxgd.sweeps.groups import only_group
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.slots import Occupancy
from jaxgd.sweeps.planning.costs import Work, work_of
from jaxgd.sweeps.planning.planner import merged
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.sweeps.runs import Run
from jaxgd.training.models.model import Model
from jaxgd.training.problems.losses import classification
from jaxgd.training.segments import extent
from jaxgd.training.trainers import trainer

EXAMPLES = 1024
_REPEATS = 25
# A clock that is read to so many seconds can time a call.
_FINE = 1e-5


class Probe(NamedTuple):
    """A perceptron of these layers, by SGD, in one program with a loop for each batch size.

    width: lanes that move at once on each device. examples: that a timed call takes.
    """

    layers: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    width: int = 1
    examples: int = EXAMPLES


class Probed(NamedTuple):
    """What updates of a probe take. work: of its problem. seconds: for a lane, by batch size."""

    work: Work
    seconds: Mapping[int, float]


def drivers_of(probes: Sequence[Probe]) -> tuple[list[Driver], float]:
    """The drivers of probes, compiled together, and the seconds of a core that this took.

    Programs that JAX keeps on disk are not read: they would say nothing.
    """
    engine, pool = Engine(jax.devices(), epochs=1), Background(num_cores())
    begin = with_settings_of_caller(lambda probe: _driver(engine, probe))
    cpu = time.process_time()
    try:
        with _nothing_kept():
            futures = [pool.submit(begin, probe) for probe in probes]
            for future in completed(futures, Interrupts()):
                future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures], time.process_time() - cpu


@contextlib.contextmanager
def _nothing_kept() -> Iterator[None]:
    before = setting("jax_enable_compilation_cache")
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)


def _driver(engine: Engine, probe: Probe) -> Driver:
    """The driver of a probe, with a lane of each batch size."""
    is_one = len(probe.batch_sizes) == 1
    recipe = Recipe("map", probe.width, len(engine.devices), branches=not is_one, width=probe.width)
    problem = _problem(probe.layers)
    made = [trainer(problem, sgd(1e-3), size) for size in probe.batch_sizes]
    runs = [Run(place, each, 0) for place, each in enumerate(made)]
    for run in runs:
        engine.sources.make(run)
    inputs = Inputs(only_group(merged(runs, recipe)), engine.sources)
    return Driver(inputs, recipe, Compiled(lower(inputs, recipe, engine.devices).compile()))


def _problem(layers: tuple[int, ...]) -> Any:
    """A perceptron and its data, which cost nothing to draw."""
    shapes = list(itertools.pairwise(layers))

    def init(key):
        return [{"w": jnp.full(shape, 1 / shape[0]), "b": jnp.zeros(shape[1])} for shape in shapes]

    def apply(params, inputs):
        for layer in params[:-1]:
            inputs = jax.nn.relu(inputs @ layer["w"] + layer["b"][None])
        return inputs @ params[-1]["w"] + params[-1]["b"][None]

    inputs = np.linspace(0, 1, EXAMPLES * layers[0], dtype=np.float32).reshape(EXAMPLES, layers[0])
    return classification(Model(init, apply), (inputs, np.arange(EXAMPLES) % layers[-1]))


def timed(probe: Probe, driver: Driver) -> Probed:
    """What the updates of a probe take."""
    runs = driver.group.runs
    work = work_of(runs[0].trainer, driver.inputs.sources.shapes(runs[0])[1])
    calls = [_Call(driver, place) for place in range(len(runs))]
    found = {
        size: call.seconds_per_update(probe.examples, size) / probe.width
        for size, call in zip(probe.batch_sizes, calls, strict=True)
    }
    return Probed(work, found)


class _Call:
    """Calls of a program with one run in every slot."""

    def __init__(self, driver: Driver, run: int):
        self.executable, self.slots = driver.executable, driver.empty_slots()
        given = driver.inputs.shared, driver.inputs.gather([run] * driver.recipe.slots)
        placed = zip(given, driver.shardings, strict=False)
        self.arguments = [jax.device_put(tree, sharding) for tree, sharding in placed]
        everywhere, recipe = np.ones(driver.recipe.slots, bool), driver.recipe
        self.occupancy = Occupancy.of(everywhere, everywhere, recipe.devices, recipe.width)
        self.num_cores = _cores_at_work(driver)

    def seconds_per_update(self, examples: int, size: int) -> float:
        """Seconds of an update, those of a call itself left out.

        Such as 1.1 ms for 1,024 examples and 0.1 ms for 8 of them, at batch size 8: 1 ms for 127 updates. Of
        many calls the quickest counts, which nothing else on the machine has held up.
        """
        long, short = (min(self._seconds(end) for _ in range(_REPEATS)) for end in (examples, size))
        return max(long - short, 0.0) / (examples // size - 1)

    def _seconds(self, examples: int) -> float:
        """Seconds of a call; on a CPU those that a core was at work for it, if it was held up for longer."""
        end = extent(0, examples, EXAMPLES, evaluate=False)
        begun, cpu = time.perf_counter(), time.process_time()
        self.slots = self.executable(*self.arguments, self.slots, self.occupancy, end)
        jax.block_until_ready(self.slots)
        taken, at_work = time.perf_counter() - begun, time.process_time() - cpu
        return min(taken, at_work / self.num_cores) if self.num_cores else taken


def _cores_at_work(driver: Driver) -> int:
    """How many cores a call is spread over; 0 where the process's own seconds say nothing of that."""
    is_fine = time.get_clock_info("process_time").resolution <= _FINE
    return driver.recipe.devices if is_fine and jax.default_backend() == "cpu" else 0
