"""The settings that a file may give a sweep: each one's name, and what its values may be."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from jaxgd import optim
from jaxgd.arguments import NUM_SEEDS, unknown
from jaxgd.training.models.model import ACTIVATIONS, INITIALIZERS

# In a file, this text switches a feature off where Python has None.
OFF = "none"
# The settings of each kind of model that the file can build.
MODELS = {
    "mlp": ("width", "depth", "activation", "init", "dropout", "drop_connect"),
    "linear": ("init",),
}
_MODEL = ("model", *MODELS["mlp"])
# What every run needs.
NEEDED_SETTINGS = ("optimizer", "batch_size", "learning_rate")
# Of the optimizers of `jaxgd.optim`, these need more than a file gives.
_NEED_MORE = frozenset({"noisy_sgd", "scale_by_learning_rate"})
_NOT_NUMBERS = ("dtype", "mask")


class Allowed(NamedTuple):
    """The values of a setting: a text that says which, a test, and the same for editors as JSON Schema.

    words: where only a few words are allowed, those.
    """

    text: str
    test: Callable[[Any], bool]
    schema: Mapping[str, Any]
    words: tuple[str, ...] = ()


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether the value is a whole number of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any) -> bool:
    """Whether the value is a number, infinities and NaN left to what uses it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(least: int, most: int | None = None) -> Allowed:
    """Whole numbers from `least` on, up to `most` where there is one."""
    schema = {"type": "integer", "minimum": least}
    if most is None:
        return Allowed(f"a whole number of at least {least}", lambda value: is_whole(value, least), schema)
    text = f"a whole number from {least} to {most}"
    return Allowed(text, lambda value: is_whole(value, least) and value <= most, schema | {"maximum": most})


def or_word(allowed: Allowed, word: str) -> Allowed:
    """What is allowed, or one word."""
    schema = {"anyOf": [allowed.schema, {"const": word}]}
    return Allowed(f'{allowed.text} or "{word}"', lambda value: value == word or allowed.test(value), schema)


def words(*known: str) -> Allowed:
    """One of a few words."""
    return Allowed(f"one of {', '.join(known)}", lambda value: value in known, {"enum": [*known]}, known)


COUNT, COUNT_OR_ZERO, SEED = whole(1), whole(0), whole(0, NUM_SEEDS - 1)
# A mistyped depth would take hours to trace, and the memory of the machine.
DEPTH = whole(0, 100)
NUMBER = Allowed("a number", is_number, {"type": "number"})
NUMBER_OR_OFF = or_word(NUMBER, OFF)
SWITCH = Allowed("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
TEXT = Allowed("a text", lambda value: isinstance(value, str), {"type": "string"})


@cache
def optimizers() -> dict[str, dict[str, Allowed]]:
    """The optimizers that a file can name, each with its hyperparameters besides the learning rate."""
    found = {}
    for name in optim.__all__:
        parameters = dict(inspect.signature(getattr(optim, name)).parameters)
        rate = parameters.pop("learning_rate", None)
        if rate is not None and rate.default is not None and name not in _NEED_MORE:
            named = {name: _allowed(parameter.default) for name, parameter in parameters.items()}
            found[name] = {k: v for k, v in named.items() if v is not None and not k.endswith(_NOT_NUMBERS)}
    return found


def _allowed(default: Any) -> Allowed | None:
    """What a hyperparameter may be, by its default."""
    if isinstance(default, bool):
        return SWITCH
    if default is None:
        return NUMBER_OR_OFF
    return NUMBER if is_number(default) else None


@cache
def known_settings() -> dict[str, Allowed]:
    """Every setting of a run by name, besides those of rules."""
    hyperparameters: dict[str, Allowed] = {}
    for own in optimizers().values():
        # What one optimizer can do without and another cannot is left to the optimizer.
        hyperparameters |= {k: v for k, v in own.items() if hyperparameters.get(k) is not NUMBER_OR_OFF}
    return {
        "optimizer": words(*optimizers()),
        "batch_size": or_word(COUNT, "full"),
        "seed": SEED,
        "sampling": words("shuffle", "replacement"),
        "remainder": words("keep", "drop"),
        "model": words(*MODELS),
        "width": COUNT,
        "depth": DEPTH,
        "activation": words(*ACTIVATIONS),
        "init": words(*INITIALIZERS),
        **dict.fromkeys(("dropout", "drop_connect"), NUMBER_OR_OFF),
        "learning_rate": NUMBER,
        **hyperparameters,
    }


def check_settings(values: dict[str, list[Any]], swept: Iterable[str], own_model: str | None) -> None:
    """Raise ValueError unless the settings, by name with all their values, go together.

    Args:
        values: every value that a setting has in the sweep.
        swept: the settings of which there are several.
        own_model: the data, if they are a problem that has a model of its own.
    """
    for name in NEEDED_SETTINGS:
        if name not in values:
            raise ValueError(f"{name} is missing; give it in fixed, axes, points or draw.ranges")
    if own_model:
        for name in _MODEL:
            if name in values:
                raise ValueError(f"{name} cannot be set: {own_model!r} has a model of its own")
    used = values["optimizer"]
    for name in values:
        if any(name in own for own in optimizers().values()):
            takers = [optimizer for optimizer in used if name in optimizers()[optimizer]]
            if not takers or (name in swept and len(takers) < len(used)):
                without = next(optimizer for optimizer in used if optimizer not in takers)
                raise ValueError(unknown(f"hyperparameter of {without}", name, optimizers()[without]))
    for model in values.get("model", ["mlp"]):
        for name in MODELS["mlp"]:
            if name in values and name not in MODELS[model]:
                raise ValueError(f"{name} cannot be set: a {model} model has none")
