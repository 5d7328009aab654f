"""Models: a pair of functions, `init(key) -> params` and `apply(params, inputs) -> outputs`."""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from jaxgd.aliases import Batch, ModelState, Params
from jaxgd.arguments import one_of, shown
from jaxgd.pytrees import PyTree, Static, as_function

ACTIVATIONS: dict[str, Callable] = {
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu": jax.nn.relu,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def _orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
    """An orthogonal matrix, or one with orthonormal rows or columns (Saxe et al. 2014).

    Under `vmap` one after the other: several batched factorisations at once block each other on a CPU (jaxlib
    0.10: each waits for the threads that the others hold).
    """
    return sequential_vmap(lambda key: jax.nn.initializers.orthogonal()(key, shape, dtype))(key)


@dataclasses.dataclass(frozen=True, repr=False)
class _Scaled:
    """An initialiser of JAX's by its name, so that it can be pickled: what JAX makes of it is a closure."""

    name: str

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
        return getattr(jax.nn.initializers, self.name)()(key, shape, dtype)

    def __repr__(self):
        return self.name


_SCALED = ("glorot", "he", "lecun", "xavier")
INITIALIZERS: dict[str, Callable] = {
    **{name: _Scaled(name) for family in _SCALED for name in (f"{family}_normal", f"{family}_uniform")},
    "orthogonal": _orthogonal,
    "zeros": jax.nn.initializers.zeros,
}


# What makes a Model of a module of another library.
_ADAPTERS = {
    "flax.linen": "jaxgd.from_linen(module, inputs)",
    "flax.nnx": "jaxgd.from_nnx(lambda rngs: Net(..., rngs=rngs))",
    "equinox": "jaxgd.from_equinox(lambda key: Net(..., key=key))",
}

# What a loss, a metric or a model may ask for, by the name of a parameter.
_OFFERED = ("keys", "model_state", "training")


# Whether it is a loss in training that is traced.
_TRAINING = ContextVar("training", default=False)


@contextlib.contextmanager
def in_training(is_training: bool) -> Iterator[None]:
    """A context in which a loss is traced, for training or for evaluation."""
    before = _TRAINING.set(is_training)
    try:
        yield
    finally:
        _TRAINING.reset(before)


class Asking(PyTree):
    """A loss, a metric or a model, called with what it asks for of what is offered to it.

    function: as a pytree. names: a `Static` tuple, those of "keys", "model_state" and "training" that it has
    parameters for. shown: a `Static` text, what stands for it in a `repr`; None for the function's own.
    """

    function: Any
    names: Any
    shown: Any = Static(None)

    def __call__(self, *arguments, **options):
        """What the function gives; of the options offered, those that it does not ask for are left out.

        Raises:
            TypeError: it asks for keys, and a loss that is traced for training gave it none, not even None.
        """
        if _TRAINING.get() and "keys" not in options and self.asks("keys"):
            raise TypeError(
                "loss calls a model that draws random numbers, such as those of dropout, without keys: give "
                "loss a parameter keys and hand it on, apply(params, inputs, keys=keys); keys=None switches "
                "them off"
            )
        kept = {name: x for name, x in options.items() if self.asks(name) or name not in _OFFERED}
        return self.function(*arguments, **kept)

    def asks(self, name: str) -> bool:
        """Whether it asks for what has this name."""
        return name in self.names.value

    def __repr__(self):
        return self.shown.value or repr(self.function)


def asking(function: Any, names: Iterable[str] | None = None, shown: str | None = None) -> Asking:
    """The function with what it asks for: these names, or None to read them from its parameters, once.

    shown: what stands for it in a `repr`, where its own is long; None for its own.
    """
    if names is None and isinstance(function, Asking):
        return function
    if names is None:
        try:
            names = inspect.signature(getattr(function, "value", function)).parameters
        except ValueError:  # one of C's without a signature
            names = ()
    asked = tuple(name for name in _OFFERED if name in names)
    return Asking(as_function(function), Static(asked), Static(shown))


class Model(PyTree):
    """A model as two functions.

    Attributes:
        init: `init(key) -> params`.
        apply: `apply(params, inputs) -> outputs` on a batch, examples on axis 0. If it has a parameter named
            `keys` it gets one PRNG key per example in training and None in evaluation.
        coupled: whether an output depends on the other examples in the batch, as with batch normalisation;
            None, not said. A problem made of the model has it, and its state.
        model_state: a tree of arrays that training changes but no gradient does, such as the running averages
            of batch normalisation, or None. With one, `apply` has parameters named `model_state` and
            `training`, a bool, and returns `(outputs, new_model_state)`.
    """

    init: Any
    apply: Any
    coupled: Any = Static(None)
    model_state: ModelState = None

    def __post_init__(self):
        object.__setattr__(self, "init", as_function(self.init))
        object.__setattr__(self, "apply", asking(self.apply))
        if not isinstance(self.coupled, Static):
            object.__setattr__(self, "coupled", Static(None if self.coupled is None else bool(self.coupled)))

    def __repr__(self):
        shown = self.apply.shown.value if isinstance(self.apply, Asking) else None
        return f"Model({shown})" if shown else f"Model(init={self.init!r}, apply={self.apply!r})"


def named(argument: str, given: str | Callable, known: dict[str, Callable]) -> Callable:
    """The function given, or the one that `known` has under the name given."""
    if callable(given):
        return given
    return known[one_of(argument, given, known)]


def as_model(model: Any) -> Model:
    """`model`, or any object or pair with the two functions, as a Model."""
    if isinstance(model, Model):
        return model
    if found := _adapter_of(model):
        raise TypeError(f"model is a module of {found[0]}: give {found[1]}, the Model of it")
    if hasattr(model, "init") and hasattr(model, "apply"):
        coupled, state = (getattr(model, name, None) for name in ("coupled", "model_state"))
        return Model(model.init, model.apply, coupled, state)
    if isinstance(model, tuple) and len(model) == 2:
        return Model(*model)
    raise TypeError(f"model must have the functions init(key) and apply(params, inputs), got {shown(model)}")


def _adapter_of(model: Any) -> tuple[str, str] | None:
    """The library whose module, or class of modules, it is, and the call that makes a Model of it."""
    for base in (model if isinstance(model, type) else type(model)).__mro__:
        for library, call in _ADAPTERS.items():
            # A module of Equinox that has the two functions is a model.
            if f"{base.__module__}.".startswith(f"{library}.") and not (
                library == "equinox" and hasattr(model, "init") and hasattr(model, "apply")
            ):
                return library, call
    return None


def check_no_averages(params: Any) -> None:
    """Raise ValueError if there are a Flax module's running averages among parameters."""
    if isinstance(params, Mapping) and "batch_stats" in params:
        raise ValueError(
            "params has batch_stats, running averages that no gradient may train: "
            "jaxgd.from_linen(module, inputs) gives a Model that keeps them as model_state"
        )


def evaluated(model: Model, params: Params, inputs: Batch) -> Any:
    """What a model gives for a batch in evaluation, by the state that it starts with."""
    if model.model_state is None:
        return model.apply(params, inputs, keys=None)
    return model.apply(params, inputs, keys=None, model_state=model.model_state, training=False)[0]


def check_stateless(name: str, model: Any) -> None:
    """Raise unless it is a Model without a state."""
    if not isinstance(model, Model):
        raise TypeError(f"model must be a jaxgd.Model, got {model!r}")
    if model.model_state is not None:
        raise ValueError(f"{name} takes no model that has a model_state, got {model!r}")
