"""The constants that a plan is made with, of one core of the machine; and where measured ones are kept."""

import functools
import hashlib
import math
import os
import platform
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgd.machine.compilation_cache import own_folder, private_folder, why_not_private
from jaxgd.machine.host import cpu_name, num_cores, versions
from jaxgd.strict_json import json_text, read_json


class Core(NamedTuple):
    """What one core of a CPU takes, and how much it is given at a time.

    The numbers are of small models, from the measurements in docs/benchmarks.md. They only have to tell apart
    alternatives that differ by much: a program more to compile, or twice as many updates.

    compile: seconds for a program, at least; compile_leaf: more for each array of parameters and moments;
    compile_conv: for each convolution; compile_micro, compile_general: times that where batch sizes are
    numbers or optimizers are merged; compile_loop: times that more for each further loop. compiling: how many
    cores are at work while XLA compiles a program.

    step, batch, micro: seconds of a gradient and update beside its arithmetic, of one example, of several, of
    a micro-batch with its bookkeeping. step_saved, batch_saved: what of them lanes that move at once save.
    flop, conv_flop: seconds of one in a matrix product, in a convolution; conv_shared: times that where lanes
    have their batches in common. output: of a number that one gives, which other functions take further.
    gather: of a byte of a batch that is put together.
    cached, uncached: bytes per second of parameters and states that fit into the `cache`, bytes, and of
    others. passes, general_passes, sum_passes: over the parameters, in an update by an optimizer of its own
    (two more for each moment), by a merged one, and to sum micro-batches up.

    lanes, lanes_bytes: lanes that a core takes in turn, so many that calls cost nothing, while they take few
    bytes. lanes_at_once: the most that move at once, where all that fit may. width, width_bytes: lanes in
    turn that move at once, as long as parameters, moments and gradients stay in the cache. margin: what
    memory measured at one lane and two may be off by at more. gain, saved: what merging has to save, as a
    ratio and in seconds, since without it a lane has the bits of the run alone. width_saved: what part of the
    time moving at once has to save. channels: as many as lanes of one convolution each may have together.
    measured: lanes at once that may need more than this part of the free memory are measured first.
    """

    compile: float = 1.1
    compile_leaf: float = 0.05
    compile_conv: float = 0.5
    compile_micro: float = 1.2
    compile_general: float = 1.85
    compile_loop: float = 0.45
    compiling: float = 1.5
    step: float = 2e-6
    batch: float = 4.5e-6
    micro: float = 1.5e-5
    step_saved: float = 1e-6
    batch_saved: float = 2.7e-6
    flop: float = 1.2e-11
    conv_flop: float = 5e-10
    conv_shared: float = 0.6
    output: float = 2.5e-9
    gather: float = 3e-10
    cached: float = 6e10
    uncached: float = 1.2e10
    cache: int = 2**20
    passes: int = 4
    general_passes: int = 18
    sum_passes: int = 3
    lanes: int = 64
    lanes_bytes: int = 2**23
    lanes_at_once: int = 2**16
    width: int = 16
    width_bytes: int = 2**19
    margin: float = 1.15
    gain: float = 1.2
    saved: float = 2.0
    width_saved: float = 0.05
    channels: int = 40
    measured: float = 0.1


CORE = Core()
# What differs between machines, and can be measured.
MEASURED = (
    *("compile", "step", "batch", "step_saved", "batch_saved"),
    *("flop", "output", "conv_flop", "cached", "uncached"),
)
# A machine is no more than so many times quicker or slower than the one the defaults were measured on.
_FAR = 1000.0
_MOST_BYTES = 2**16


def core_of(devices: Sequence[Any]) -> Core:
    """What was measured on this machine, for devices of this kind and these versions of JAX; else defaults.

    A file that is damaged, or that others could have written, is ignored with a warning.
    """
    about = _machine_of(devices)
    return _read(_file(about), about)


def keep(core: Core, devices: Sequence[Any]) -> Path:
    """The file in which the measured constants are kept for later processes; nobody else can write to it.

    Raises:
        PermissionError: somebody else could write to the folder.
        OSError: it cannot be written, or there is no home for it.
    """
    about = _machine_of(devices)
    path = _file(about)
    private_folder(path.parent, shared=False)
    measured = {name: getattr(core, name) for name in MEASURED}
    content = {"machine": read_json(about.encode()), "constants": measured}
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as beside:
        beside.write(json_text(content) + "\n")
    os.replace(beside.name, path)
    _read.cache_clear()
    return path


def _machine_of(devices: Sequence[Any]) -> str:
    """The machine as it is now, with devices of this kind."""
    made = versions()
    return _machine(devices[0].device_kind, num_cores(), made["jax"], made["jaxlib"])


@functools.cache  # asked for by every plan
def _machine(device: str, cores: int, jax: str, jaxlib: str) -> str:
    """What constants depend on, as JSON: processor, cores, kind of device, versions of what compiles."""
    processor = f"{platform.machine()}, {cpu_name()}"
    return json_text({"processor": processor, "cores": cores, "device": device, "jax": jax, "jaxlib": jaxlib})


def _file(machine: str) -> Path:
    """Beside the folder of compiled programs, named after the machine."""
    name = hashlib.sha256(machine.encode()).hexdigest()[:16]
    return own_folder("constants") / f"{name}.json"


@functools.cache
def _read(path: Path, machine: str) -> Core:
    """The constants of a file: once in a process, so that a warning is told once."""
    try:
        if not path.exists():
            return CORE
        if problem := why_not_private(path.parent):
            raise PermissionError(problem)
        content = read_json(path.read_bytes(), most_bytes=_MOST_BYTES)
        return CORE._replace(**_checked(content, machine))
    except (OSError, ValueError, TypeError) as error:
        warnings.warn(f"{path} is ignored, plans are made with defaults: {error}", stacklevel=2)
        return CORE


def _checked(content: Any, machine: str) -> dict[str, float]:
    """The constants that a file holds.

    Raises:
        ValueError, TypeError: they are those of another machine, or not all of those that are measured, or
            too far from the defaults to be true.
    """
    if not isinstance(content, Mapping) or set(content) != {"machine", "constants"}:
        raise ValueError("it has not the entries machine and constants")
    if json_text(content["machine"]) != machine:
        raise ValueError("it is of another machine")
    found = content["constants"]
    if not isinstance(found, Mapping) or set(found) != set(MEASURED):
        raise ValueError(f"constants must be {', '.join(MEASURED)}")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {value!r:.80}")
        if not is_plausible(name, value):
            raise ValueError(f"{name} is {value:g}, {getattr(CORE, name):g} by default: that cannot be")
    return dict(found)


def is_plausible(name: str, value: float) -> bool:
    """Whether a machine could have this constant."""
    return bool(math.isfinite(value) and 1 / _FAR < value / getattr(CORE, name) < _FAR)
