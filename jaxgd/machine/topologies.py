"""TPUs that are not here: described by name, so that programs can be compiled for them on any machine."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxgd.arguments import one_of


class Tpu(NamedTuple):
    """A kind of TPU.

    device_kind: what JAX calls its devices. gib: memory of a device that programs may take, in GiB. example:
    a topology. most: chips along an axis. axes: of a topology, at most. options: of the description, where
    JAX's default is not what a process on such a TPU has.
    """

    device_kind: str
    gib: float
    example: str
    most: int
    axes: int = 2
    options: Mapping[str, Any] = MappingProxyType({})


# The memory is what the compiler of libtpu 0.0.42 allows a program: some less than is sold, 16 GB of a v5e. A
# device of v2, v3 and tpu7x is one of a chip's two cores; elsewhere it is a chip. A topology that is larger
# than there are, libtpu does not refuse: it ends the process.
TPUS = {
    "v2": Tpu("TPU v2", 7.48, "v2:2x2", 16),
    "v3": Tpu("TPU v3", 15.48, "v3:2x2", 32),
    "v4": Tpu("TPU v4", 30.75, "v4:2x2x1", 64, 3, MappingProxyType({"chip_config_name": "megacore"})),
    "v5e": Tpu("TPU v5 lite", 15.75, "v5e:4x4", 16),
    "v5p": Tpu("TPU v5", 95.74, "v5p:2x2x1", 64, 3),
    "v6e": Tpu("TPU v6 lite", 31.25, "v6e:4x4", 16),
    "tpu7x": Tpu("TPU7x", 94.75, "tpu7x:2x2x1", 64, 3),
}
# Chips of the largest slices that there are are fewer.
_MOST_CHIPS = 2**14
# A slice of so many chips is one host.
_CHIPS_OF_HOST = 4
# Else libtpu looks for a server that only machines with a TPU have, and complains that there is none.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def described_devices(text: str) -> Sequence[Any]:
    """The devices of a topology such as "v5e:4x4": programs can be compiled for them, and nothing be run.

    Raises:
        ValueError: there is no such topology.
        ImportError: libtpu, which describes them, is not installed.
    """
    kind, shape = checked_topology(text)
    if find_spec("libtpu") is None and "TPU_LIBRARY_PATH" not in os.environ:
        raise ImportError(
            f"{text} is a TPU, and the package libtpu, which compiles for it, is missing: "
            'pip install "jaxgd[tpu-plan]"'
        )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from jax.experimental import topologies

    options = dict(TPUS[kind].options)
    if math.prod(shape) <= _CHIPS_OF_HOST:
        options["chips_per_host_bounds"] = [*shape, 1][:3]
    try:
        return topologies.get_topology_desc(text, platform="tpu", **options).devices
    except RuntimeError as error:  # JAX's own errors are of this kind
        reason = str(error).splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
        raise ValueError(f"devices is {text!r}: {reason}") from error


def checked_topology(text: str) -> tuple[str, list[int]]:
    """The kind of TPU that a text names, and how many chips it has along each axis.

    Raises:
        ValueError: it is no such text.
    """
    kind, _, shape = text.partition(":")
    examples = ", ".join(tpu.example for tpu in TPUS.values())
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", shape, re.ASCII):
        raise ValueError(f"devices is {text!r}; a kind of TPU and its chips are needed, such as {examples}")
    tpu = TPUS[one_of("kind of TPU", kind, TPUS)]
    chips = [int(number) for number in shape.split("x")]
    if len(chips) > tpu.axes or max(chips) > tpu.most or math.prod(chips) > _MOST_CHIPS:
        raise ValueError(
            f"devices is {text!r}; a {kind} has {tpu.axes} axes of {tpu.most} chips at most, {_MOST_CHIPS:,} "
            "chips in all"
        )
    return kind, chips


def bytes_of_kind(device_kind: str) -> int:
    """Memory of such a device that programs may take, in bytes; 0 where that is not known."""
    return next((int(tpu.gib * 2**30) for tpu in TPUS.values() if tpu.device_kind == device_kind), 0)
