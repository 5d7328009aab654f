"""Any Optax factory as a pytree of its arguments."""

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgd.arguments import bound, unknown
from jaxgd.machine.meshes import split_alike
from jaxgd.optim.hyperparameters import Hyperparameters, Parametric, text
from jaxgd.optim.moments import widened
from jaxgd.optim.roles import Finite, Fraction, Rate, Strength, role_of
from jaxgd.optim.transform import Kind, Transform, foreign_update
from jaxgd.optim.trees.masks import for_optax
from jaxgd.optim.trees.parameters import check_trainable
from jaxgd.pytrees import Static, as_static


@jax.tree_util.register_pytree_with_keys_class
class Foreign(Transform):
    """A transform of another library, rebuilt from its factory's arguments at every trace."""

    @classmethod
    def of(cls, factory: Callable, arguments: dict[str, Any]) -> "Foreign":
        """The transform that `factory` builds from these arguments, as they are stored."""
        return cls._rebuild(_KIND, {"factory": Static(factory), "arguments": arguments})

    @property
    def made_by(self) -> str:
        """The name of its factory."""
        return repr(self._values["factory"])

    @property
    def _arguments(self) -> dict[str, Any]:
        return self._values["arguments"]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._arguments:
            raise AttributeError(unknown("argument", name, self._arguments))
        stored = self._arguments[name]
        return stored.value if isinstance(stored, Static) else stored

    @property
    def _names(self):
        return self._arguments

    def _part(self, name: str) -> Any:
        return getattr(self, name)

    def _with_part(self, name: str, value: Any) -> "Foreign":
        arguments = {known: getattr(self, known) for known in self._arguments}
        return from_optax(self._values["factory"].value, **arguments | {name: value})

    def __repr__(self):
        return f"{self.made_by}({', '.join(f'{key}={text(getattr(self, key))}' for key in self._arguments)})"


def from_optax(factory: Callable[..., optax.GradientTransformation], /, *args: Any, **kwargs: Any) -> Foreign:
    """`factory(*args, **kwargs)` as a transform whose leaves are its arguments.

    Numbers, arrays, schedules of jaxgd and transforms of jaxgd are leaves; an int is structure where the
    factory's default is an int or bool (a number of steps, say) or its annotation names int and not float,
    and so are seeds, booleans, None, strings, dtypes, masks and other callables. Updates and state keep the
    dtypes that came in; float16 is computed in float32, because constants such as Adam's epsilon are 0 in it.

    A factory of Optax with a learning rate is an optimizer, and its rate and decays are checked as those of
    `jaxgd` are. Those of Optax's other transforms, and of `scale_by_learning_rate`, need only be finite, and
    the numbers of another library's factory may be anything.

    Args:
        factory: a function that returns an Optax transform, such as `optax.lion`.
        *args: its arguments.
        **kwargs: its keyword arguments.

    Raises:
        TypeError: an argument that the factory does not have, or a required one that is missing.
        ValueError: a number of Optax's that is not finite, or out of the range of an optimizer's.

    Example:
        >>> import jaxgd, optax
        >>> jaxgd.from_optax(optax.lion, learning_rate=1e-3)
        lion(learning_rate=0.001)
    """
    if not callable(factory):
        raise TypeError(
            f"from_optax needs a function that builds a transform, such as optax.lion, got {factory!r}"
        )
    signature = inspect.signature(factory)
    child = partial(_child, said=_said_by(factory, signature))
    given = bound(f"{getattr(factory, '__name__', factory)}:", signature, args, kwargs)
    arguments: dict[str, Any] = {}
    for name, value in given.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= {key: child(key, item, parameter) for key, item in value.items()}
        elif parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(
                f"{factory.__name__} takes any number of arguments: combine transforms with jaxgd.chain"
            )
        else:
            arguments[name] = child(name, value, parameter)
    return Foreign.of(factory, arguments)


def _child(name: str, value: Any, parameter: inspect.Parameter, said: Mapping[str, Any]) -> Any:
    if isinstance(value, Parametric | Tracer):
        return value
    if callable(value):
        return as_static(value)
    is_number = isinstance(value, int | float | np.ndarray | np.generic | jax.Array) and not isinstance(
        value, bool
    )
    is_count = isinstance(value, int) and (_is_whole(parameter) or name in ("key", "seed"))
    if not is_number or is_count:
        return Static(value)
    return role_of(said.get(name)).store(name, value)


# What arguments of these names are to Optax's optimizers.
_OPTAXS = {
    "learning_rate": Rate,
    "weight_decay": Strength,
    **dict.fromkeys(("b1", "b2", "decay", "rho", "momentum"), Fraction),
    **dict.fromkeys(("alpha", "warmup_steps"), Finite),
}


def _said_by(factory: Any, signature: inspect.Signature) -> Mapping[str, Any]:
    """What the arguments are by their names, which mean so much in Optax only."""
    if not str(getattr(factory, "func", factory).__module__).startswith("optax."):
        return {}
    is_optimizer = "learning_rate" in signature.parameters and factory is not optax.scale_by_learning_rate
    return _OPTAXS if is_optimizer else dict.fromkeys(_OPTAXS, Finite)


def _is_whole(parameter: inspect.Parameter) -> bool:
    """Whether its default or its annotation says that a number must be an int."""
    kinds = typing.get_args(parameter.annotation) or (parameter.annotation,)
    return isinstance(parameter.default, int) or (int in kinds and float not in kinds)


def _built(values: Hyperparameters) -> optax.GradientTransformation:
    arguments = {k: v.value if isinstance(v, Static) else v for k, v in values["arguments"].items()}
    arguments |= {k: for_optax(v) for k, v in arguments.items() if k.endswith(("mask", "labels"))}
    return values["factory"](**arguments)


def _init(values, params):
    if "learning_rate" in values["arguments"]:  # an optimizer: `set_to_zero`, say, may be given integers
        check_trainable(params)
    return _built(values).init(params)


def _update(values, updates, state, params=None, **extra):
    name = repr(values["factory"])

    def update(updates, state, params):
        return foreign_update(name, _built(values), *widened((updates, state, params, extra)))

    new_updates, new_state = split_alike(update, updates, state, params)
    return _cast_like(new_updates, updates), _cast_like(new_state, state)


def _cast_like(new: Any, old: Any) -> Any:
    def cast(new_leaf, old_leaf):
        return jnp.asarray(new_leaf, getattr(old_leaf, "dtype", None))

    return jax.tree.map(cast, new, old)


_KIND = Kind("from_optax", _init, _update)


def _block(factory: Callable) -> Callable[..., Foreign]:
    @wraps(factory)
    def build(*args, **kwargs):
        return from_optax(factory, *args, **kwargs)

    return build


adaptive_grad_clip = _block(optax.adaptive_grad_clip)
add_decayed_weights = _block(optax.add_decayed_weights)
add_noise = _block(optax.add_noise)
centralize = _block(optax.centralize)
clip = _block(optax.clip)
clip_by_block_rms = _block(optax.clip_by_block_rms)
ema = _block(optax.ema)
identity = _block(optax.identity)
keep_params_nonnegative = _block(optax.keep_params_nonnegative)
normalize_by_update_norm = _block(optax.normalize_by_update_norm)
scale = _block(optax.scale)
scale_by_adam = _block(optax.scale_by_adam)
scale_by_learning_rate = _block(optax.scale_by_learning_rate)
scale_by_rms = _block(optax.scale_by_rms)
scale_by_schedule = _block(optax.scale_by_schedule)
scale_by_sign = _block(optax.scale_by_sign)
scale_by_trust_ratio = _block(optax.scale_by_trust_ratio)
set_to_zero = _block(optax.set_to_zero)
trace = _block(optax.trace)
zero_nans = _block(optax.zero_nans)

adabelief = _block(optax.adabelief)
adafactor = _block(optax.adafactor)
adan = _block(optax.adan)
fromage = _block(optax.fromage)
lamb = _block(optax.lamb)
lars = _block(optax.lars)
lbfgs = _block(optax.lbfgs)
lion = _block(optax.lion)
noisy_sgd = _block(optax.noisy_sgd)
novograd = _block(optax.novograd)
optimistic_adam_v2 = _block(optax.optimistic_adam_v2)
optimistic_gradient_descent = _block(optax.optimistic_gradient_descent)
polyak_sgd = _block(optax.polyak_sgd)
radam = _block(optax.radam)
rprop = _block(optax.rprop)
sign_sgd = _block(optax.sign_sgd)
signum = _block(optax.signum)
sm3 = _block(optax.sm3)
yogi = _block(optax.yogi)
