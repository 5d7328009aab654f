"""Gradient transformations that are pytrees of their hyperparameters and drop into Optax."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import optax

from jaxgd.aliases import OptState, Params, Updates
from jaxgd.html_text import card
from jaxgd.optim.hyperparameters import Hyperparameters, Parametric, shown_values, text
from jaxgd.optim.roles import Declaring, role_of
from jaxgd.optim.trees.equality import notice_static_argument

apply_updates = optax.apply_updates


@dataclass(frozen=True)
class Kind(Declaring):
    """What is static about a transform: its name, two functions of its hyperparameters, and what those are.

    Attributes:
        init_fn: `(hyperparameters, params) -> state`.
        update_fn: `(hyperparameters, updates, state, params, **extra) -> (updates, state)`.
        optional: the hyperparameters that may be None; None means that all may be.
        arguments: what each hyperparameter is, `{"b1": Decay}`. One that is not there is plain: a number or
            an array as it was given, a function, or a choice of True or False.
    """

    name: str
    init_fn: Callable
    update_fn: Callable
    optional: frozenset[str] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    check = None

    def __post_init__(self):
        roles = {name: role_of(said) for name, said in self.arguments.items()}
        object.__setattr__(self, "arguments", roles)  # which can be pickled, as types of JAX cannot

    def __str__(self):
        return self.name


@jax.tree_util.register_pytree_with_keys_class
class Transform(Parametric, optax.GradientTransformationExtraArgs):
    """A gradient transformation `(init, update)` that is a pytree of its hyperparameters.

    It is an `optax.GradientTransformationExtraArgs`, so it works wherever Optax's transforms do, and its
    leaves are its numbers, so it can be an argument of a jitted function (a new learning rate compiles
    nothing), be stacked and vmapped, and be differentiated by. Two are equal, and hash alike, if their kind,
    structure and numbers are equal.

    Example:
        >>> import jaxgd
        >>> jaxgd.adam(1e-2)
        adam(learning_rate=0.01, b1=0.9, b2=0.999, eps=1e-08)
        >>> jaxgd.adam(1e-2).replace(learning_rate=0.1).learning_rate
        np.float64(0.1)
    """

    def __hash__(self):
        notice_static_argument(str(self._kind), self._identity)
        return super().__hash__()

    @classmethod
    def _rebuild(cls, kind, values):
        values = Hyperparameters(values, kind.arguments)
        init = functools.partial(kind.init_fn, values)
        update = functools.partial(kind.update_fn, values)
        self = tuple.__new__(cls, (init, update))
        self._kind, self._values = kind, values
        return self

    def _repr_html_(self) -> str:
        return card(str(self._kind), ((str(name), text(value)) for name, value in shown_values(self._values)))

    def as_optax(self) -> optax.GradientTransformationExtraArgs:
        """A plain Optax transform with the same numbers, for code that takes array leaves for parameters."""
        return optax.GradientTransformationExtraArgs(self.init, self.update)

    def __getitem__(self, path: Any) -> Any:
        """The part at a path; as a tuple by number, `init` and `update`."""
        return super().__getitem__(path) if isinstance(path, str) else tuple.__getitem__(self, path)

    # A NamedTuple copies itself through these two; the copy has other functions, so it is a plain transform.
    @classmethod
    def _make(cls, iterable):
        return optax.GradientTransformationExtraArgs(*iterable)

    def _replace(self, **changes):
        return self.as_optax()._replace(**changes)


def foreign_update(
    name: str, transform: Any, updates: Updates, state: OptState, params: Params | None, extra: dict
) -> tuple[Updates, OptState]:
    """`(updates, state)` of a transform of another library.

    Raises:
        TypeError: it needs more than gradients and parameters, such as the loss or the objective function.
    """
    try:
        # Other libraries are not written for the strict settings of JAX, which jaxgd's own transforms keep.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return tolerant(transform).update(updates, state, params, **extra)
    except (TypeError, ValueError, AttributeError) as error:
        if "has no attribute 'fast'" in str(error):
            raise TypeError(
                f"{name} needs optax.LookaheadParams, pairs of fast and slow parameters: jaxgd.trainer makes "
                "them for an optax.lookahead(...) that is no part of another transform"
            ) from error
        missing = _missing_arguments(str(error))
        if not missing:
            raise
        given = ", ".join(f"{argument}=..." for argument in missing)
        raise TypeError(
            f"{name} needs {', '.join(missing)}: call update(grads, state, params, {given}); "
            "jaxgd.trainer gives value and grad only"
        ) from error


def tolerant(transform: Any) -> optax.GradientTransformationExtraArgs:
    """`transform` as one that may be given any extra argument, and is handed those that it has.

    Optax takes it for granted that `GradientTransformationExtraArgs` has `**extra_args`; `optax.contrib.sam`
    has not. An object with the two methods, such as `optax.MultiSteps`, is a transform too.
    """
    if isinstance(transform, optax.GradientTransformation) and not isinstance(
        transform, optax.GradientTransformationExtraArgs
    ):
        return optax.with_extra_args_support(transform)
    parameters = inspect.signature(transform.update).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        is_one = isinstance(transform, optax.GradientTransformationExtraArgs)
        return (
            transform if is_one else optax.GradientTransformationExtraArgs(transform.init, transform.update)
        )
    known = {parameter.name for parameter in parameters}

    def update(updates, state, params=None, **extra):
        return transform.update(
            updates, state, params, **{name: value for name, value in extra.items() if name in known}
        )

    return optax.GradientTransformationExtraArgs(transform.init, update)


def _missing_arguments(message: str) -> list[str]:
    """The arguments that Optax's error says are missing."""
    found = re.search(r"missing \d+ required keyword-only arguments?: (.*)", message)
    if found:
        return re.findall(r"'(\w+)'", found[1])
    found = re.match(r"(\w+) must be provided", message)
    return [found[1]] if found else []
