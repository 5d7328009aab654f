"""`calibrate`: the constants of this machine that plans are made with, measured."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgd.machine.compiling import own_programs
from jaxgd.sweeps.planning.constants import CORE, MEASURED, Core, core_of, is_plausible, keep
from jaxgd.sweeps.planning.costs import compile_seconds, example_seconds
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.sweeps.probes import Probe, Probed, drivers_of, timed
from jaxgd.training.progress import Progress

# Steps of almost no arithmetic, alone and together; steps that are arithmetic; steps that move parameters.
_SMALL = Probe((16, 16, 4), (1, 8))
_AT_ONCE = Probe((16, 16, 4), (1, 8), width=CORE.width)
_PRODUCTS = Probe((64, 256, 10), (16, 128))
_LARGE = Probe((784, 512, 10), (4,), examples=64)
PROBES = (_SMALL, _AT_ONCE, _PRODUCTS, _LARGE)

# What is fixed depends on what moving the little of parameters takes, and that on what is fixed.
_ROUNDS = 4
# Lanes that move at once cannot save all of it.
_MOST_SAVED = 0.9

_UNITS = {
    "compile": "seconds to compile a program, at least",
    "step": "seconds of an update by one example, beside its arithmetic",
    "batch": "seconds of an update by several examples",
    "step_saved": "of them, where lanes move at once",
    "batch_saved": "of them, where lanes move at once",
    "flop": "seconds of a flop in a matrix product",
    "output": "seconds of a number that a product gives",
    "conv_flop": "seconds of a flop in a convolution",
    "cached": "bytes of parameters a second, in the cache",
    "uncached": "bytes of parameters a second, beyond it",
}


class Calibration(NamedTuple):
    """What was measured.

    constants: by name, as plans record them. defaults: those of plans without a calibration. file: where the
    constants are kept for this machine.
    """

    constants: Mapping[str, float]
    defaults: Mapping[str, float]
    file: Path

    def __str__(self):
        lines = [f"{'':<12}{'measured':>10}{'default':>10}"]
        for name in MEASURED:
            lines.append(
                f"{name:<12}{self.constants[name]:>10.3g}{self.defaults[name]:>10.3g}  {_UNITS[name]}"
            )
        return "\n".join([*lines, f"kept in {self.file}"])


def calibrate(*, progress: bool | Callable[[int, int, str], None] = True) -> Calibration:
    """The constants of this machine, measured in some seconds, and kept for plans that are made from now on.

    A few small programs are compiled, and timed on all devices at once, as in a sweep: best on a machine that
    does nothing else. The constants stand beside the compiled programs of the user, for this processor,
    number of cores, kind of device and version of JAX. A plan that is given to `sweep`, and a sweep that goes
    on in a folder, are followed as they are.

    Args:
        progress: show a bar once it has taken two seconds; or a function of `(programs timed, programs in
            all, text)`.

    Raises:
        PermissionError: somebody else could write to the folder of the constants.
        OSError: they cannot be written, or there is no home for them.
    """
    devices = jax.devices()
    with own_programs(), Progress(progress, len(PROBES), len(PROBES), "programs") as shown:
        drivers, compiling = drivers_of(PROBES)
        found = {}
        for probe, driver in zip(PROBES, drivers, strict=True):
            found[probe] = timed(probe, driver)
            shown.advance(1, 1)
    core = measured_core(found, compiling)
    path = keep(core, devices)
    return Calibration(core_of(devices)._asdict(), CORE._asdict(), path)


def measured_core(found: Mapping[Probe, Probed], compiling: float) -> Core:
    """The constants that explain what the probes took; the default of one that could not be.

    compiling: seconds of a core to compile all of them. What an update takes is so much beside its
    arithmetic, so much for each example, and what moving the parameters takes, as in `run_seconds`.
    """
    small, products, large = (found[probe] for probe in (_SMALL, _PRODUCTS, _LARGE))
    core = _with(CORE, **_arithmetic(products))
    for _ in range(_ROUNDS):
        core = _with(core, **_beside_arithmetic(small, found[_AT_ONCE], core))
        core = _with(core, cached=_rate(products, 16, core), uncached=_rate(large, 4, core))
    core = core._replace(cached=max(core.cached, core.uncached))
    return _with(core, compile=_compile(found, compiling))


def _beside_arithmetic(small: Probed, at_once: Probed, core: Core) -> dict[str, float]:
    """Seconds of an update beside its arithmetic, and what of them lanes that move at once save."""
    found = {}
    for name, size in (("step", 1), ("batch", 8)):
        moving = (core.passes + 2 * small.work.moments) * small.work.bytes / core.cached
        found[name] = _beside_examples(small, size, core) - moving
        saved = small.seconds[size] - at_once.seconds[size]
        found[f"{name}_saved"] = min(saved, _MOST_SAVED * found[name])
    return found


def _rate(seen: Probed, size: int, core: Core) -> float:
    """Bytes of parameters a second, from what is left of an update."""
    moving = _beside_examples(seen, size, core) - core.batch
    return (core.passes + 2 * seen.work.moments) * seen.work.bytes / moving if moving > 0 else np.inf


def _arithmetic(products: Probed) -> dict[str, float]:
    """The constants of arithmetic, all as many times the defaults as an example more takes."""
    times = _slope(products.seconds, *_PRODUCTS.batch_sizes) / example_seconds(products.work)
    return {name: times * getattr(CORE, name) for name in ("flop", "output", "conv_flop")}


def _slope(seconds: Mapping[int, float], few: int, many: int) -> float:
    """What an example more of a batch takes."""
    return (seconds[many] - seconds[few]) / (many - few)


def _beside_examples(seen: Probed, size: int, core: Core) -> float:
    """What an update takes beside the arithmetic of its examples."""
    return seen.seconds[size] - size * example_seconds(seen.work, core)


def _compile(found: Mapping[Probe, Probed], compiling: float) -> float:
    """Seconds for a program without arrays, from those of a core for all of them; see `compile_seconds`."""
    recipe, free = Recipe("map", 1, 1), CORE._replace(compile=0.0)
    loops = [len(probe.batch_sizes) for probe in found]
    leaves = sum(
        compile_seconds(seen.work, recipe, n, free) for n, seen in zip(loops, found.values(), strict=True)
    )
    whole = CORE._replace(compile=1.0, compile_leaf=0.0)
    times = sum(
        compile_seconds(seen.work, recipe, n, whole) for n, seen in zip(loops, found.values(), strict=True)
    )
    return (compiling / CORE.compiling - leaves) / times


def _with(core: Core, **constants: float) -> Core:
    """The core with those of the constants that a machine could have."""
    return core._replace(**{name: value for name, value in constants.items() if is_plausible(name, value)})
