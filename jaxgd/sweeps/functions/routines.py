"""A routine: a person's function with what a point gives it, as a pytree of its numbers."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxgd.arguments import unknown
from jaxgd.machine.compiling import settings_of_caller
from jaxgd.machine.kept import Kept
from jaxgd.operations import operations_of
from jaxgd.pytrees import PyTree, Static, shape_of
from jaxgd.sweeps.axes import label
from jaxgd.sweeps.functions.returns import Returns, check_returned, returns_of
from jaxgd.tracing import explained

# Of these JAX makes numbers that take the dtype of what they meet.
_WEAK = (int, float, complex)
# Functions as they were traced, by structure and kinds of numbers.
_TRACES = Kept()
# Of a training function written as scans there are some hundreds.
_MANY_OPERATIONS = 4000


class TracedRoutine(NamedTuple):
    """A function as it was traced. jaxpr: of the key and the numbers. shapes: of what it returns."""

    jaxpr: ClosedJaxpr
    shapes: Any
    returns: Returns

    def call(self, key: jax.Array, numbers: list[Any]) -> Any:
        """What the function returns."""
        leaves = jaxpr_as_fun(self.jaxpr)(key, *numbers)
        return jax.tree.unflatten(jax.tree.structure(self.shapes), leaves)


class Routine(PyTree):
    """A function and the values of a point, of which numbers are leaves and the rest is structure.

    function: what is called with a key and these. numbers: by name. settings: the other values, a dict.
    """

    function: Static
    numbers: dict[str, Any]
    settings: Static

    @property
    def traced(self) -> TracedRoutine:
        """The function traced, once for all routines that differ in the values of their numbers alone.

        Raises:
            TypeError, ValueError: it returns something else than a dict of arrays, or uses a tracer of an
            earlier call.
            Exception: what the function raises.
        """
        return _TRACES.get((shape_of(self), *settings_of_caller().items()), self._trace)

    def _trace(self) -> TracedRoutine:
        key = jax.eval_shape(lambda: jax.random.key(0))
        name, numbers = name_of(self.function.value), {n: _abstract(x) for n, x in self.numbers.items()}

        def call(key, numbers):
            with explained(name):
                returned = self.function(key, **numbers, **self.settings.value)
            check_returned(name, returned)
            return returned

        jaxpr, shapes = jax.make_jaxpr(call, return_shape=True)(key, numbers)
        _tell_of_length(name, jaxpr)
        if any(isinstance(constant, Tracer) for constant in jaxpr.consts):
            raise ValueError(
                f"{name} uses a value of an earlier trace, which it has kept outside: what it needs later it "
                "must return, or take as an argument"
            )
        return TracedRoutine(jaxpr, shapes, returns_of(name, shapes))

    def __repr__(self):
        settings = (f"{name}={label(value)!r}" for name, value in self.settings.value.items())
        return f"{name_of(self.function.value)}({', '.join(settings)})"


def _tell_of_length(name: str, jaxpr: ClosedJaxpr) -> None:
    """Warn of a function that is so long that compiling it takes minutes."""
    count = sum(1 for _ in operations_of(jaxpr))
    if count > _MANY_OPERATIONS:
        warnings.warn(
            f"{name} has {count:,} operations, which take long to compile: a Python loop is unrolled, with "
            "the operations of each of its turns; write it as jax.lax.scan or jax.lax.fori_loop",
            stacklevel=2,
        )


def name_of(function: Any) -> str:
    """What a function is called; of an object that is called its class, of a partial the function."""
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__name__", type(inner).__name__)


def _abstract(number: Any) -> jax.ShapeDtypeStruct:
    """A number as `jax.jit` takes it in: of Python's it does not decide a dtype."""
    return jax.ShapeDtypeStruct((), jnp.result_type(number), weak_type=type(number) in _WEAK)


def names_given(train: Callable, axes: Mapping[str, Any]) -> list[str]:
    """The names of the axes that a function is called with: all, and `seed` where it takes one by that name.

    Raises:
        TypeError: it is no function, or does not take the key first.
        ValueError: an axis that it does not take, or an argument that no axis gives.
    """
    if not callable(train):
        raise TypeError(f"train must be a function train(key, **values), got {train!r}")
    try:
        parameters = list(inspect.signature(train).parameters.values())
    except (ValueError, TypeError):  # some that are written in C have none
        return [name for name in axes if name != "seed"]
    name = name_of(train)
    first = parameters[0] if parameters else None
    if first is None or first.kind not in _BY_PLACE or first.name in axes:
        listed = ", ".join(map(str, parameters))
        raise TypeError(f"train must take the key first, such as {name}(key, ...), got {name}({listed})")
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        parameters = [first, *parameters]
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    known = [each.name for each in parameters[1:] if each.kind in _BY_NAME]
    for axis in axes:
        if axis not in known and axis != "seed" and not takes_any:
            raise ValueError(f"{unknown('axis', axis, known)}: {name} takes no such argument")
    for each in parameters[1:]:
        is_needed = each.default is inspect.Parameter.empty and each.kind not in _MANY
        if is_needed and each.name not in axes:
            raise ValueError(f"{name} needs {each.name!r}, which is no axis: give it one, or a default")
    return [axis for axis in axes if axis != "seed" or axis in known]


_BY_PLACE = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
