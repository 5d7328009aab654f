"""How a program runs its lanes: one after the other or all at once, how many, on how many devices."""

import math
from collections.abc import Sequence
from typing import Any

import jax

from jaxgd.machine.devices import free_bytes

# Lanes that a CPU core takes at a time: so many that calls cost nothing, as long as they take few bytes.
_MAX_LANES_IN_TURN, _BYTES_IN_TURN = 64, 2**23
_MAX_LANES_AT_ONCE = 4096
# In turn, so many move at once: as long as parameters, moments and gradients stay in the cache.
_MAX_WIDTH, _BYTES_OF_WIDTH = 16, 2**19
# Compiled memory at widths 1 and 2 tells that of more to about 0.8 to 1.08 of the truth.
_MARGIN = 1.15


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


def num_bytes(tree: Any) -> int:
    """The bytes of the arrays in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
