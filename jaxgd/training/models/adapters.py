"""Models of other libraries as a `Model`: Flax Linen, Flax NNX, Equinox. Each is imported when asked for."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxgd.pytrees import Static, as_function
from jaxgd.training.models.model import Asking, Model, asking

# What a Flax module's `__call__` may name the switch between training and evaluation; its value in training.
_SWITCHES = {"train": True, "training": True, "is_training": True, "deterministic": False}


def from_linen(module: Any, inputs: Any, rngs: tuple[str, ...] = ("dropout",)) -> Model:
    """The Model of a Flax Linen module; its params are the collection "params".

    Example:
        >>> model = jaxgd.from_linen(Net(), train[0][:1])

    If the module's `__call__` has a parameter named `train`, `training`, `is_training` or `deterministic`, it
    is told whether it is in training, where each example gets random keys of its own.

    A module with other collections, such as the batch statistics of BatchNorm, gives a Model with them as
    `model_state`, whose examples are coupled: in training the whole batch goes through it at once, with one
    random key for all of it.

    Args:
        module: a Linen module, called with a batch of inputs.
        inputs: a batch of any size; only shapes and dtypes matter.
        rngs: names of the random streams that the module uses in training.

    Raises:
        TypeError: a class of modules in place of a module.
    """
    if isinstance(module, type):
        raise TypeError(f"module must be a module, such as {module.__name__}(), got the class")
    leaves, structure = jax.tree.flatten(inputs)
    shapes = tuple(jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    parameters = inspect.signature(module.__call__).parameters
    switch = {name: value for name, value in _SWITCHES.items() if name in parameters}
    evaluating = {name: not value for name, value in switch.items()}
    variables = functools.partial(_variables, module, evaluating, rngs, shapes, structure)
    init = functools.partial(_init_linen, module, evaluating, rngs, shapes, structure)
    evaluation = functools.partial(_call_linen, module, evaluating, rngs)
    training = functools.partial(_call_linen, module, switch, rngs)
    if set(jax.eval_shape(variables, jax.eval_shape(jax.random.key, 0))) - {"params"}:
        state = _first(lambda key: _without_params(variables(key)))
        return Model(
            init, _with_state(module, training, evaluation, bool(switch)), coupled=True, model_state=state
        )
    return Model(init, _stateless(module, training, evaluation, bool(switch)))


def from_nnx(build: Callable) -> Model:
    """The Model of the Flax NNX module that `build(rngs)` gives; its params are the `nnx.Param` leaves.

    Example:
        >>> model = jaxgd.from_nnx(lambda rngs: Net(64, rngs=rngs))

    Training calls it in its `train()` mode, with random streams of its own for each example, evaluation in
    its `eval()` mode. If its `__call__` has a parameter named `train`, `training`, `is_training` or
    `deterministic`, it is told so as well.

    A module with variables other than parameters and random streams, such as the running averages of
    BatchNorm, gives a Model with them as `model_state`, whose examples are coupled: in training the whole
    batch goes through it at once, with random streams for all of it. Every run starts with the state of a
    module built with seed 0.

    Args:
        build: `build(rngs) -> module`, the module called with a batch of inputs; a class of modules that is
            made of `rngs` alone is one too.

    Raises:
        TypeError: a module instead of what builds one, which the seed would not change; one whose `__call__`
            needs more than its inputs.
        ValueError: a Dropout without random streams, which would drop nothing.
    """
    from flax import nnx

    if isinstance(build, nnx.Module):
        raise TypeError(_no_seed("rngs", build))
    module = nnx.eval_shape(lambda: _built(build, "rngs", nnx.Rngs(0)))
    _, _, streams, others = nnx.split(module, nnx.Param, nnx.RngState, ...)
    leaves, structure = jax.tree.flatten(nnx.to_pure_dict(streams))
    _check_streams(module)
    switch = _switch_of_nnx(module)
    evaluating = {name: not value for name, value in switch.items()}
    module.train()
    training = functools.partial(_call_nnx, nnx.graphdef(module), switch, tuple(leaves), structure)
    module.eval()
    evaluation = functools.partial(_call_nnx, nnx.graphdef(module), evaluating, tuple(leaves), structure)
    init = functools.partial(_init_nnx, build)
    if nnx.to_flat_state(others):
        state = _first(lambda key: nnx.to_pure_dict(_state_of_nnx(_built(build, "rngs", nnx.Rngs(key)))))
        return Model(
            init, _with_state(module, training, evaluation, bool(leaves)), coupled=True, model_state=state
        )
    return Model(init, _stateless(module, training, evaluation, bool(leaves)))


def from_equinox(build: Callable) -> Model:
    """The Model of the Equinox module that `build(key)` gives; its params are the module's float arrays.

    Example:
        >>> model = jaxgd.from_equinox(lambda key: eqx.nn.MLP(64, 10, 32, 1, key=key))

    The module is called with one example, as is the custom there, and with `key=` in training if it has that
    parameter; evaluation calls it in `eqx.nn.inference_mode`. The other arrays stay as they are. A module
    with an `eqx.nn.State` is refused: its loss is yours to write, with a parameter `model_state`.

    Args:
        build: `build(key) -> module`; a class of modules that is made of `key` alone is one too.

    Raises:
        TypeError: a module instead of what builds one, which the seed would not change.
        ValueError: `build` gives a pair `(module, state)`, as `eqx.nn.make_with_state` does; a Dropout in a
            module whose `__call__` takes no `key`, which would drop nothing.
    """
    import equinox as eqx

    if isinstance(build, eqx.Module):
        raise TypeError(_no_seed("key", build))
    module = _built(build, "key", jax.random.key(0))
    if isinstance(module, tuple):
        raise ValueError(_has_state(module[0], {"eqx.nn.State"}))
    training, evaluation = map(_equinox_call, (module, eqx.nn.inference_mode(module)))
    takes_key = "key" in inspect.signature(type(module).__call__).parameters
    if not takes_key:
        _check_drops_nothing(module)
    init = functools.partial(_init_equinox, build)
    return Model(init, _stateless(module, training, evaluation, takes_key), coupled=False)


def _built(build: Callable, name: str, source: Any) -> Any:
    """The module built of a key or of random streams, by keyword where there is a parameter of that name."""
    made = build
    while isinstance(made, functools.partial):
        made = made.func
    # A class of Flax's says of its parameters only that there may be any.
    known = inspect.signature(made.__init__ if isinstance(made, type) else made).parameters
    if name in known and known[name].kind is not inspect.Parameter.POSITIONAL_ONLY:
        return build(**{name: source})
    return build(source)


def _stateless(module: Any, training: Callable, evaluation: Callable, has_keys: bool) -> Asking:
    """An `apply`: `training(params, inputs, key)` of each example where it has keys, else `evaluation`."""
    name = type(module).__name__
    if not has_keys:
        return asking(evaluation, [], name)
    apply = jax.tree_util.Partial(_apply_with_keys, as_function(training), as_function(evaluation))
    return asking(apply, ["keys"], name)


def _with_state(module: Any, training: Callable, evaluation: Callable, has_keys: bool) -> Asking:
    """An `apply` with a state: `training(params, inputs, key, state)` of the whole batch, or `evaluation`."""
    apply = jax.tree_util.Partial(_apply_with_state, as_function(training), as_function(evaluation))
    names = ["model_state", "training", *(["keys"] if has_keys else [])]
    return asking(apply, names, type(module).__name__)


def _first(state_of: Callable) -> Any:
    """The state that every run starts with; what else is built for it is not computed."""
    return jax.jit(lambda: state_of(jax.random.key(0)))()


def _apply_with_state(training_call, evaluation, params, inputs, model_state, training, keys=None):
    key = None if keys is None else keys[0]
    return (training_call if training else evaluation)(params, inputs, key, model_state)


def _apply_with_keys(training, evaluation, params, inputs, keys=None):
    if keys is None:
        return evaluation(params, inputs)

    def one(example, key):
        return jax.tree.map(lambda x: x[0], training(params, jax.tree.map(lambda x: x[None], example), key))

    return jax.vmap(one)(inputs, keys)


def _init_linen(module, options, rngs, leaves, structure, key):
    return _variables(module, options, rngs, leaves, structure, key)["params"]


def _variables(module, options, rngs, leaves, structure, key):
    inputs = structure.unflatten(jnp.zeros(leaf.shape, leaf.dtype) for leaf in leaves)
    streams = {name: jax.random.fold_in(key, i) for i, name in enumerate(("params", *rngs))}
    return module.init(streams, inputs, **options)


def _without_params(variables):
    return {name: collection for name, collection in variables.items() if name != "params"}


def _call_linen(module, options, rngs, params, inputs, key=None, state=None):
    streams = {name: jax.random.fold_in(key, i) for i, name in enumerate(rngs)} if key is not None else None
    if state is None:
        return module.apply({"params": params}, inputs, rngs=streams, **options)
    variables = {"params": params, **state}
    return module.apply(variables, inputs, rngs=streams, mutable=list(state), **options)


def _check_streams(module):
    """Raise ValueError if a Dropout has no random streams: it could be called in evaluation alone."""
    from flax import nnx

    for path, part in nnx.iter_modules(module):
        if isinstance(part, nnx.Dropout) and part.rngs is None and part.rate:
            where = ".".join(map(str, path)) or "module"
            raise ValueError(
                f"{where} is a Dropout without rngs: build it with nnx.Dropout({part.rate}, rngs=rngs)"
            )


def _switch_of_nnx(module):
    """What its `__call__` is to be told in training; TypeError if it needs more than that and its inputs."""
    parameters = list(inspect.signature(module.__call__).parameters.values())[1:]
    for one in parameters:
        is_needed = one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if is_needed and one.name not in _SWITCHES:
            raise TypeError(
                f"{type(module).__name__}.__call__ must need a batch of inputs alone, got an argument "
                f"{one.name!r} without a default: drop it, or give it one; train() and eval() switch a "
                "module, and an argument train or deterministic is handed on"
            )
    return {one.name: _SWITCHES[one.name] for one in parameters if one.name in _SWITCHES}


def _init_nnx(build, key):
    from flax import nnx

    return nnx.to_pure_dict(nnx.state(_built(build, "rngs", nnx.Rngs(key)), nnx.Param))


def _state_of_nnx(module):
    """The variables of a module that are neither parameters nor random streams."""
    from flax import nnx

    return nnx.state(module, nnx.Not(nnx.Any(nnx.Param, nnx.RngState)))


def _call_nnx(graphdef, options, leaves, structure, params, inputs, key=None, state=None):
    from flax import nnx

    # Evaluation draws nothing, but the module's random streams have to be there.
    key = jax.random.key(0) if key is None else key
    streams = [
        jax.random.fold_in(key, i)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        else jnp.zeros(x.shape, x.dtype)
        for i, x in enumerate(leaves)
    ]
    if state is None:
        return nnx.merge(graphdef, params, structure.unflatten(streams))(inputs, **options)
    # A copy, since the module changes its variables.
    module = nnx.merge(graphdef, params, structure.unflatten(streams), state, copy=True)
    outputs = module(inputs, **options)
    return outputs, nnx.to_pure_dict(_state_of_nnx(module))


def _init_equinox(build, key):
    import equinox as eqx

    return eqx.filter(_built(build, "key", key), eqx.is_inexact_array)


def _check_drops_nothing(module):
    """Raise ValueError if a Dropout would drop: a module that takes no key is called in inference mode."""
    import equinox as eqx

    is_dropout = lambda node: isinstance(node, eqx.nn.Dropout)  # noqa: E731
    for path, part in jax.tree_util.tree_leaves_with_path(module, is_leaf=is_dropout):
        if is_dropout(part) and not part.inference and (isinstance(part.p, Tracer) or part.p != 0):
            name = type(module).__name__
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)} is a Dropout, but {name}.__call__ takes no key, so that "
                "nothing would be dropped: write __call__(self, x, *, key=None) and hand the key on, "
                "dropout(x, key=key)"
            )


def _equinox_call(module):
    import equinox as eqx

    rest = eqx.filter(module, eqx.is_inexact_array, inverse=True)
    arrays, static = eqx.partition(rest, eqx.is_array)
    # The arrays are leaves: as structure, those of two equal models would differ.
    return jax.tree_util.Partial(_call_equinox, Static(static), arrays)


def _call_equinox(static, arrays, params, inputs, key=None):
    import equinox as eqx

    module = eqx.combine(params, arrays, static.value)
    options = {} if key is None else {"key": key}
    return jax.vmap(lambda example: module(example, **options))(inputs)


def _no_seed(argument: str, module: Any) -> str:
    name = type(module).__name__
    return (
        f"build must be a function, such as lambda {argument}: {name}(..., {argument}={argument}); "
        f"got a {name}, whose initial parameters no seed would change"
    )


def _has_state(module: Any, kinds: set[str]) -> str:
    return (
        f"{type(module).__name__} has state that training changes ({', '.join(sorted(kinds))}): write a loss "
        "with a parameter model_state for it and give Problem that state, Problem(..., model_state=...)"
    )
