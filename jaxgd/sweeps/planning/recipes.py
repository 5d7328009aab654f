"""How a program runs its lanes: one after the other or all at once, how many, on how many devices."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

# Lanes that a CPU core takes at a time: so many that calls cost nothing, as long as they take few bytes.
_MAX_LANES_IN_TURN, _BYTES_IN_TURN = 64, 2**23
_MAX_LANES_AT_ONCE = 4096
# In turn, so many move at once: as long as parameters, moments and gradients stay in the cache.
_MAX_WIDTH, _BYTES_OF_WIDTH = 16, 2**19
# Compiled memory at widths 1 and 2 tells that of more to about 0.8 to 1.08 of the truth.
_MARGIN = 1.15
# Where Linux tells a container its limits.
_CONTAINER = Path("/sys/fs/cgroup")


class Recipe(NamedTuple):
    """What the bits of a lane depend on, besides versions and the kind of device.

    kind: "map" (a device runs its lanes one after the other, each with the bits of a run alone) or "vmap"
    (all at once). lanes: that a device holds. devices: how many. microbatch: examples per gradient where
    several batch sizes share the program as a number, else None. generalized: whether several optimizers
    share it. branches: whether several batch sizes share it, each with a loop of its own. width: lanes in
    turn that a device moves at once, of one batch size; from 2 on, none has the bits of the run alone.
    """

    kind: str
    lanes: int
    devices: int
    microbatch: int | None = None
    generalized: bool = False
    branches: bool = False
    width: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether a device moves one lane at a time."""
        return self.kind == "map" and self.width == 1

    @property
    def slots(self) -> int:
        """Lanes that all devices hold together."""
        return self.lanes * self.devices

    def __str__(self):
        how = " one after the other" if self.kind == "map" else " at once"
        how = f", {self.width} at a time," if self.width > 1 else how
        lanes = f"{self.lanes} lanes{how}" if self.lanes > 1 else "1 lane"
        parts = [f"{lanes} on each of {self.devices} devices"]
        if self.microbatch is not None:
            parts.append(f"batch sizes merged in micro-batches of {self.microbatch}")
        if self.branches:
            parts.append("a loop for each batch size")
        if self.generalized:
            parts.append("optimizers merged")
        return ", ".join(parts)


def default_kind(devices: Sequence[Any]) -> str:
    """In turn on a CPU, where a lane's state then stays in the cache; at once elsewhere."""
    return "map" if devices[0].platform == "cpu" else "vmap"


def fitting_lanes(kind: str, num_lanes: int, devices: Sequence[Any], lane_bytes: float, fixed: float) -> int:
    """How many lanes a device takes, if each needs so many bytes beside `fixed` ones."""
    # In turn, an empty place costs nothing: with as many places always, few runs use the program of many.
    at_once = min(-(-num_lanes // len(devices)), _MAX_LANES_AT_ONCE)
    in_turn = max(1, min(_MAX_LANES_IN_TURN, int(_BYTES_IN_TURN / max(lane_bytes, 1))))
    wanted = at_once if kind == "vmap" else in_turn
    free = free_bytes(devices)
    fits = int((free / _MARGIN - fixed) / max(lane_bytes, 1e-9)) if free else wanted
    return max(1, min(wanted, fits))


def fitting_width(params_bytes: float) -> int:
    """How many lanes in turn are best moved at once where steps are short: a power of two."""
    fits = int(_BYTES_OF_WIDTH / max(3 * params_bytes, 1))
    return 2 ** (max(1, min(_MAX_WIDTH, fits)).bit_length() - 1)


def free_bytes(devices: Sequence[Any]) -> int:
    """Memory that is free for each device, in bytes; 0 where that is not known."""
    statistics = devices[0].memory_stats() if devices[0].platform != "cpu" else None
    if statistics and "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    if devices[0].platform != "cpu":
        return 0
    limits = [value for value in (_machine_bytes(), _container_bytes()) if value]
    return min(limits, default=0) // len(devices)


def _machine_bytes() -> int:
    """Memory that the machine can give without swapping; 0 where that is not known."""
    return _numbers_of("/proc/meminfo").get("MemAvailable:", 0) * 1024


def _container_bytes() -> int:
    """Memory that the container may still take, its file cache given back; 0 where there is no limit."""
    try:
        limit, used = ((_CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return 0
    cached = _numbers_of(_CONTAINER / "memory.stat").get("inactive_file", 0)
    return max(1, int(limit) - int(used) + cached) if limit.isdigit() else 0


def _numbers_of(path: str | Path) -> dict[str, int]:
    """The first number of each line of a file by the line's first word."""
    try:
        rows = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def num_bytes(tree: Any) -> int:
    """The bytes of the arrays in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
