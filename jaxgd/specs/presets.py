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

# A study asks how things change with the batch size, so it tries more of them, at more rates and fewer
# optimizers: powers of 2, and as wide a grid of rates as a comparison's.
STUDY = Sizes(("momentum", "adam"), (), epochs=20, seeds=5, fresh_seeds=5)
_MOST_SIZES, _LARGEST_SIZE, _NUM_RATES = 9, 4096, 9


def study_batch_sizes(num_train: int) -> tuple[int, ...]:
    """The nine largest powers of 2 up to the number of training examples, and to 4,096."""
    largest = min(num_train, _LARGEST_SIZE).bit_length() - 1
    return tuple(2**k for k in range(max(largest - _MOST_SIZES + 1, 0), largest + 1))


def study_rates(optimizers: tuple[str, ...]) -> dict[str, Rates]:
    """Nine rates of each optimizer, in equal ratios between the ends of its preset, in three digits."""
    grids = {}
    for name in optimizers:
        low, high = LEARNING_RATES[name][0], LEARNING_RATES[name][-1]
        steps = [low * (high / low) ** (k / (_NUM_RATES - 1)) for k in range(_NUM_RATES)]
        grids[name] = tuple(float(f"{rate:.3g}") for rate in steps)
    return grids
