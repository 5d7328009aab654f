"""One traced call of `make_trainer`: which leaves its numbers become, and how."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.core import Tracer

from jaxgd.sweeps.axes import Point, values_of
from jaxgd.sweeps.making.arithmetic import Arithmetic
from jaxgd.training.trainers import Trainer


class Traced(NamedTuple):
    """What `make_trainer` does with numbers of a point.

    structure: of its trainer. leaves: of the trainer, tracers where JAX computed them. arithmetic: what it
    computes of the numbers. results: for leaves that are tracers, by position, which of its results they are.
    read: the names that it read.
    """

    structure: Any
    leaves: list[Any]
    arithmetic: Arithmetic
    results: dict[int, int]
    read: set[str]

    def depends(self, position: int) -> bool:
        """Whether a leaf depends on the numbers that were traced."""
        return position in self.results and self.arithmetic.depends(self.results[position])


def trace(
    make_trainer: Callable[[Point], Trainer], point: Point, names: Sequence[str], is_folded: bool = True
) -> Traced | None:
    """The call with the numbers under these names traced, as float64 and int64; None where it raises.

    is_folded: whether what JAX computes without them is no tracer.
    """
    values, seen = values_of(point), []
    folded = jax.ensure_compile_time_eval if is_folded else contextlib.nullcontext

    def call(numbers):
        at = Point(values | numbers)
        with folded():
            trainer = make_trainer(at)
        leaves, structure = jax.tree.flatten(trainer)
        seen.append((at, trainer, structure, leaves))
        return [leaf for leaf in leaves if isinstance(leaf, Tracer)]

    try:
        with jax.enable_x64(True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jaxpr = jax.make_jaxpr(call)({name: values[name] for name in names})
    except Exception:  # whatever it is: without tracers it may not happen
        return None
    at, trainer, structure, leaves = seen[-1]
    if not isinstance(trainer, Trainer):
        return None
    positions = [position for position, leaf in enumerate(leaves) if isinstance(leaf, Tracer)]
    results = {position: place for place, position in enumerate(positions)}
    return Traced(structure, leaves, Arithmetic(jaxpr), results, at.read)
