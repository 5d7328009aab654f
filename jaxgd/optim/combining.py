"""Transforms made of transforms that are still pytrees of every number in them."""

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import optax

from jaxgd.aliases import OptState
from jaxgd.optim.foreign import Foreign, set_to_zero
from jaxgd.optim.transform import Transform, foreign_update, tolerant
from jaxgd.optim.trees.masks import for_optax, is_function, tree_of
from jaxgd.pytrees import Static


class Combination(NamedTuple):
    """What is static about combined transforms: a name, and Optax's function that combines the parts."""

    name: str
    combine: Callable
    arguments, check = MappingProxyType({}), None

    def init_fn(self, values, params):
        """The state of the combined transform."""
        return self.combine(_tolerant(values)).init(params)

    def update_fn(self, values, updates, state, params=None, **extra):
        """The combined transform's `(updates, state)`."""
        combined = self.combine(_tolerant(values))
        return foreign_update(self.name, combined, updates, state, params, extra)

    def __str__(self):
        return self.name


def _unwrapped(values: Mapping) -> dict:
    return {name: part.value if isinstance(part, Static) else part for name, part in values.items()}


def _tolerant(values: Mapping) -> dict:
    """The parts, and the transforms of other libraries among them indifferent to extra arguments."""
    foreign = {name for name, part in values.items() if isinstance(part, Static) and is_transform(part.value)}
    return {name: tolerant(part) if name in foreign else part for name, part in _unwrapped(values).items()}


@jax.tree_util.register_pytree_with_keys_class
class Combined(Transform):
    """Transforms combined. An attribute is a part, or that of the only part that has it."""

    @classmethod
    def of(cls, combination: Combination, parts: Mapping) -> "Combined":
        """The parts by name, transforms and `Static` choices, combined."""
        return cls._rebuild(combination, parts)

    @property
    def combination(self) -> Combination:
        """How the parts are combined."""
        return self._kind

    @property
    def transforms(self) -> tuple:
        """The parts, in the order in which they were given."""
        return tuple(part for part in _unwrapped(self._values).values() if is_transform(part))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._part(name)

    @property
    def _names(self):
        return [str(place) for place in self._values]

    def _part(self, name: str) -> Any:
        place, path = self._find(name)
        if path:
            return self[path]
        part = self._values[place]
        return part.value if isinstance(part, Static) else part

    def _with_part(self, name: str, value: Any) -> "Combined":
        place, path = self._find(name)
        if path:
            return self.replace(**{path: value})
        part = self._values[place]
        is_choice = isinstance(part, Static) and not is_transform(part.value)
        new = Static(value) if is_choice else _part(f"{name} of {self._kind}", value)
        return self._rebuild(self._kind, self._values | {place: new})

    def _find(self, name: str) -> tuple[Any, str]:
        """The place of the part of that name, or the path of the only hyperparameter of that name within."""
        places = [place for place in self._values if str(place) == name]
        if len(places) == 1:
            return places[0], ""
        paths = self._paths(name)
        if len(paths) == 1:
            return None, paths[0]
        if not paths:
            raise AttributeError(f"no part of {self!r} has a hyperparameter {name!r}")
        raise AttributeError(
            f"{len(paths)} parts of {self!r} have a hyperparameter {name!r}: say which, as in {paths[0]!r}"
        )

    def _paths(self, name: str) -> list[str]:
        """The paths, within the parts, of all that has that name."""
        paths = []
        for place, part in self._values.items():
            if isinstance(part, Combined) and name not in part._names:
                paths += [f"{place}.{path}" for path in part._paths(name)]
            elif isinstance(part, Transform) and hasattr(part, name):
                paths.append(f"{place}.{name}")
        return paths

    def _leaf_name(self, name: Any) -> str:
        return str(name)

    def __repr__(self):
        named = self._kind in (_NAMED_CHAIN, _PARTITION)
        texts = (f"{name}={_text(part)}" if named else _text(part) for name, part in self._values.items())
        return f"{self._kind}({', '.join(texts)})"


def is_transform(part: Any) -> bool:
    """Whether it has the two functions of a gradient transformation."""
    return hasattr(part, "update") and hasattr(part, "init")


def check_direction(optimizer: Any) -> None:
    """Raise ValueError if it is known to go uphill: it scales gradients, and nothing turns them round.

    Parts that are not known by their names may do so.
    """
    names = _names_of(optimizer)
    scaling = [name for name in names if name.startswith("scale_by_") and name not in _WITH_A_RATE]
    if scaling and all(name in scaling or name in _KEEPING for name in names):
        raise ValueError(
            f"optimizer has {scaling[0]} and no learning rate, so its updates go uphill: "
            f"jaxgd.chain({', '.join(f'{name}(...)' for name in names)}, "
            "jaxgd.optim.scale_by_learning_rate(0.01)) goes down"
        )


# Transforms that have a rate, or a factor of any sign; and others that leave the sign as it is.
_WITH_A_RATE = ("scale_by_learning_rate", "scale_by_schedule", "scale_by_moments")
_KEEPING = ("add_decayed_weights", "clip", "clip_by_global_norm", "ema", "identity", "trace")


def _names_of(optimizer: Any) -> list[str]:
    """The names of a transform's parts, in turn."""
    if isinstance(optimizer, Combined) and optimizer.combination in (_CHAIN, _NAMED_CHAIN):
        parts = _unwrapped(optimizer._values).values()
        return [name for part in parts for name in _names_of(part)]
    if isinstance(optimizer, Transform):
        return [optimizer.made_by if isinstance(optimizer, Foreign) else str(optimizer._kind)]
    return _names_of_update(optimizer.update)


def _names_of_update(update: Any) -> list[str]:
    """The same of a transform of Optax's, by its function: what made it is in the function's name."""
    if isinstance(update, functools.partial):  # of a transform of jaxgd's, which says what it is by itself
        return [""]
    name = getattr(update, "__qualname__", "").partition(".")[0]
    if name not in ("chain", "with_extra_args_support"):
        return [name]
    held = inspect.getclosurevars(update).nonlocals
    within = [held["tx"].update] if "tx" in held else held.get("update_fns", ())
    return [part for one in within for part in _names_of_update(one)] or [name]


def _text(part: Any) -> str:
    if not isinstance(part, Static) or not is_transform(part.value):
        return repr(part)
    return getattr(part.value.update, "__qualname__", "optax transform").split(".")[0]


def _part(place: str, transform: Any) -> Any:
    if not is_transform(transform):
        raise TypeError(f"{place} must be a gradient transformation, got {transform!r}")
    return transform if isinstance(transform, Transform) else Static(transform)


def chain(*transforms: optax.GradientTransformation) -> Combined:
    """The transform that applies each of `transforms` in turn, as `optax.chain` does, and is still a pytree.

    Its state is the tuple of their states. Foreign Optax transforms may be among them; they are structure.
    """
    if not transforms:
        raise ValueError("chain needs at least one transform, got none")
    parts = {str(i): _part(f"argument {i} of chain", part) for i, part in enumerate(transforms)}
    return Combined.of(_CHAIN, parts)


def named_chain(*transforms: tuple[str, optax.GradientTransformation]) -> Combined:
    """`chain` of `(name, transform)` pairs, whose state is a dict of their states by name."""
    names = [name for name, _ in transforms]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"named_chain needs one or more different names, got {names}")
    parts = {name: _part(f"{name} in named_chain", part) for name, part in transforms}
    return Combined.of(_NAMED_CHAIN, parts)


def masked(inner: optax.GradientTransformation, mask: Any) -> Combined:
    """The transform that applies `inner` where `mask` is true and passes the other gradients on.

    It freezes nothing: what passes on is the gradient itself, and as an update that goes uphill. To leave
    parameters as they are, use `selective_transform`.

    Args:
        inner: the transform.
        mask: tree of booleans (a prefix of the parameters' tree), or a function of the parameters that
            gives one.
    """
    return Combined.of(_MASKED, {"inner": _part("inner of masked", inner), "mask": Static(mask)})


def partition(transforms: Mapping[Hashable, optax.GradientTransformation], param_labels: Any) -> Combined:
    """The transform that gives each parameter to the transform of its label.

    Args:
        transforms: `{label: transform}`.
        param_labels: tree of labels (a prefix of the parameters' tree), or a function of the parameters that
            gives one.
    """
    parts = {label: _part(f"{label} in partition", part) for label, part in transforms.items()}
    return Combined.of(_PARTITION, parts | {"param_labels": Static(param_labels)})


def freeze(mask: Any) -> Combined:
    """The transform that sets updates to 0 where `mask` is true and passes the others on.

    Put it last in a `chain`. An optimizer before it keeps a state for the frozen parameters too, and they
    count in a norm that clips; `selective_transform` does without both.

    Args:
        mask: True, False, a tree of booleans (a prefix of the parameters' tree), or a function of the
            parameters that gives one: what to freeze.
    """
    return masked(set_to_zero(), _booleans(mask))


def selective_transform(optimizer: optax.GradientTransformation, *, freeze_mask: Any) -> Combined:
    """The transform that applies `optimizer` where `freeze_mask` is false and leaves the rest as it is.

    It is a `partition` of "train" and "freeze", and keeps no state for what is frozen.

    Args:
        optimizer: the transform of the parameters that are trained.
        freeze_mask: True, False, a tree of booleans (a prefix of the parameters' tree), or a function of the
            parameters that gives one: what to freeze.

    Example:
        >>> import jax.numpy as jnp, jaxgd
        >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
        >>> optimizer = jaxgd.optim.selective_transform(
        ...     jaxgd.sgd(0.1), freeze_mask={"body": True, "head": False}
        ... )
        >>> optimizer.update(params, optimizer.init(params), params)[0]
        {'body': Array([0., 0.], dtype=float32), 'head': Array([-0.1, -0.1], dtype=float32)}
    """
    labels = functools.partial(_train_or_freeze, _booleans(freeze_mask))
    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)


def _booleans(mask: Any) -> Any:
    return mask if is_function(mask) else jax.tree.map(bool, mask)


def _train_or_freeze(freeze_mask: Any, params: Any) -> Any:
    return jax.tree.map(lambda frozen: "freeze" if frozen else "train", tree_of(freeze_mask, params))


def current_learning_rate(optimizer: Transform, state: OptState) -> Any:
    """The rate of the next update: the optimizer's number, or its schedule at the count in `state`."""
    rate = optimizer.learning_rate
    if not callable(rate):
        return rate
    states = jax.tree.leaves(state, is_leaf=_is_of_schedule)
    counts = [part.count for part in states if _is_of_schedule(part)]
    if not counts:
        raise ValueError("state holds no count of the schedule's updates: it is not this optimizer's state")
    return rate(counts[0])


def _is_of_schedule(part):
    return isinstance(part, optax.ScaleByScheduleState)


def _chained(parts):
    return optax.chain(*parts.values())


def _named(parts):
    return optax.named_chain(*parts.items())


def _masked(parts):
    return optax.masked(parts["inner"], for_optax(parts["mask"]))


def _partitioned(parts):
    labels = parts.pop("param_labels")
    return optax.partition(parts, for_optax(labels))


_CHAIN = Combination("chain", _chained)
_NAMED_CHAIN = Combination("named_chain", _named)
_MASKED = Combination("masked", _masked)
_PARTITION = Combination("partition", _partitioned)
