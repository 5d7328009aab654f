"""What a comparison tries when nothing is asked for: sizes, optimizers and their grids of learning rates.

Only plain Python here: the command line reads these tables before jax is loaded.
"""

from typing import NamedTuple

Rates = tuple[float, ...]


class Sizes(NamedTuple):
    """How much a comparison does: every optimizer, batch size, rate and seed is one training run."""

    optimizers: tuple[str, ...]
    batch_sizes: tuple[int | str, ...]
    epochs: int
    seeds: int
    fresh_seeds: int
    max_seeds: int = 40
    max_seconds: float = 60.0


# Six rates per optimizer, a factor of 3 to 8 apart, as wide as the best rates of batch size 1 and of the full
# batch are apart: three decades for plain gradients, two for scaled ones. On digits, 20 epochs, the best rate
# of each (optimizer, batch size) lies inside its grid.
LEARNING_RATES: dict[str, Rates] = {
    "sgd": (0.003, 0.01, 0.04, 0.2, 1.0, 4.0),
    "momentum": (0.0004, 0.0015, 0.007, 0.04, 0.3, 1.5),
    "nesterov": (0.0004, 0.0015, 0.007, 0.04, 0.3, 1.5),
    "adagrad": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "rmsprop": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "adadelta": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "adamw": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "nadam": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
}

# adamw runs only when asked for: at its default weight decay of 1e-4 it repeats adam.
ALL_OPTIMIZERS = tuple(name for name in LEARNING_RATES if name != "adamw")

# The test surfaces of `jaxgd.landscape`.
SURFACES = (
    "sphere",
    "quadratic",
    "rosenbrock",
    "beale",
    "himmelblau",
    "booth",
    "six_hump_camel",
    "rastrigin",
    "ackley",
    "styblinski_tang",
    "monkey_saddle",
    "saddle",
    "plateau",
    "double_well",
)

# Each (optimizer, batch size) compiles a program, so three of eight: plain, with momentum, with both moments.
DEFAULT = Sizes(
    ("sgd", "momentum", "adam"),
    ("full", 128, 32, 1),
    epochs=20,
    seeds=3,
    fresh_seeds=5,
)
QUICK = Sizes(
    ("momentum", "adam"),
    ("full", 32),
    epochs=10,
    seeds=2,
    fresh_seeds=5,
    max_seeds=5,
)
