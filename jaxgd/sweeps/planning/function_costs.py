"""What a person's training function will cost: rough seconds and bytes, from what was traced of it."""

import math
from typing import Any, NamedTuple

import jax

from jaxgd.operations import is_jaxpr
from jaxgd.sweeps.functions.routines import TracedRoutine
from jaxgd.sweeps.planning.constants import CORE, Core
from jaxgd.sweeps.planning.costs import Products, num_bytes, products

# Operations of a gradient and update of a small model: `Core.batch` is what so many take by themselves.
_OPERATIONS = 64
# So many operations take as long again to compile as a program of few.
_COMPILED = 500


class FunctionWork(NamedTuple):
    """What one run of a function works on.

    operations: of its program, those in a loop as often as it runs. written: bytes that they give. size:
    operations as they stand. carried: bytes that its largest loop carries. returned: bytes that it returns.
    products: its matrix products and convolutions. has_branches: whether it has branches, or loops that
    nobody knows the end of: lanes that move at once would wait for the longest of them.
    """

    operations: float
    written: float
    size: int
    carried: int
    returned: int
    products: Products
    has_branches: bool


def function_work(traced: TracedRoutine) -> FunctionWork:
    """The work of a run."""
    found, returned = _walk(traced.jaxpr.jaxpr), num_bytes(traced.shapes)
    return found._replace(returned=returned, products=products(traced.jaxpr.jaxpr))


def _walk(jaxpr: Any) -> FunctionWork:
    total = FunctionWork(0.0, 0.0, 0, 0, 0, Products(), False)
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        inner = [x for x in jax.tree.leaves(list(params.values()), is_leaf=is_jaxpr) if is_jaxpr(x)]
        repeats = params.get("length", 1) if name == "scan" else 1
        carried = _carried(equation) if name == "scan" else 0
        parts = [_walk(getattr(one, "jaxpr", one)) for one in inner]
        if not inner:
            parts = [total._replace(operations=1.0, written=_bytes_of(equation.outvars), size=1, carried=0)]
        total = total._replace(
            operations=total.operations + repeats * sum(part.operations for part in parts),
            written=total.written + repeats * sum(part.written for part in parts),
            size=total.size + sum(part.size for part in parts),
            carried=max([total.carried, carried, *(part.carried for part in parts)]),
            has_branches=total.has_branches
            or name in ("while", "cond")
            or any(part.has_branches for part in parts),
        )
    return total


def _carried(scan: Any) -> int:
    """The bytes that a scan carries: what it gives stacked has a dimension more than its step gives."""
    step = scan.params["jaxpr"]
    given = zip(scan.outvars, getattr(step, "jaxpr", step).outvars, strict=True)
    return _bytes_of([whole for whole, one in given if len(whole.aval.shape) == len(one.aval.shape)])


def _bytes_of(variables: Any) -> int:
    shapes = [variable.aval for variable in variables if hasattr(variable.aval, "shape")]
    return sum(math.prod(x.shape) * getattr(x.dtype, "itemsize", 4) for x in shapes)


def function_compile_seconds(work: FunctionWork, core: Core = CORE) -> float:
    """Seconds to compile the program of a function."""
    return core.compile * (1 + work.size / _COMPILED) + core.compile_conv * work.products.convs


def function_seconds(work: FunctionWork, width: int = 1, core: Core = CORE) -> float:
    """Seconds of one run on one core of a CPU, alone or as one of `width` that move at once.

    Such as a scan of 1,000 steps of 128 operations that multiply 4 x 32 by 32 x 8: 1,000 * 2 * 4.5 us beside
    the arithmetic, which takes 1,000 * 2,048 * 12 ps = 25 us: 9 ms.
    """
    fixed = core.batch
    if width > 1:  # as for trainers: two lanes save half of what many do
        fixed -= min(1.0, (1 - 1 / width) / (1 - 1 / core.width)) * core.batch_saved
    rate = core.cached if 4 * work.carried < core.cache else core.uncached
    of_products = work.products
    arithmetic = of_products.flops * core.flop + of_products.outputs * core.output
    arithmetic += of_products.conv_flops * core.conv_flop
    return work.operations / _OPERATIONS * fixed + arithmetic + work.written / rate
