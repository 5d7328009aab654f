"""How long a saddle and a plateau hold a run: noise frees what exact gradients do not; batch size sets it."""

import jax.numpy as jnp
import numpy as np

import jaxgd
from jaxgd import landscape

SIZES = ["full", 64, 16, 4, 1]
SEEDS = 400


def outside_the_ridge(point):
    return jnp.abs(point[1]) > 1


def inside_the_valley(point):
    return jnp.abs(point[0]) < 1


def show(times):
    """Print the median of updates, and the share of runs that never left."""
    print(f"{'':10}" + "".join(f"{'batch ' + str(size):>12}" for size in SIZES))
    for name in times.optimizer.values:
        runs = times.updates.sel(optimizer=name).values
        medians = ["never" if np.isinf(middle) else f"{middle:g}" for middle in np.median(runs, axis=1)]
        print(f"{name:10}" + "".join(f"{text:>12}" for text in medians))
    print()


def main():
    print(f"median of updates over {SEEDS} sequences of noise; one example's gradient has noise 1\n")

    print("leaving a saddle, from the ridge: (x**2 - y**2) / 2 from (1, 0) until |y| > 1, at most 1,000")
    optimizers = {"sgd": jaxgd.sgd(0.1), "momentum": jaxgd.momentum(0.1), "adam": jaxgd.adam(0.1)}
    saddle = landscape.surface("saddle")
    show(
        landscape.escape_times(
            saddle, optimizers, [1, 0], outside_the_ridge, 1000, batch_sizes=SIZES, noise=1.0, seeds=SEEDS
        )
    )
    expected = [landscape.mean_escape_time(0.1, 1.0, size) for size in SIZES[1:]]
    print("mean for sgd, computed: " + ", ".join(f"{time:.1f}" for time in expected))
    print(f"so a batch 4 times as large costs ln 2 / ln 1.1 = {np.log(2) / np.log(1.1):.2f} updates more\n")

    print("leaving a plateau: two sigmoids, from (5, 0) until |x| < 1, at most 2,000")
    optimizers = {"sgd": jaxgd.sgd(1.0), "momentum": jaxgd.momentum(1.0), "adam": jaxgd.adam(0.1)}
    plateau = landscape.surface("plateau")
    show(
        landscape.escape_times(
            plateau, optimizers, [5, 0], inside_the_valley, 2000, batch_sizes=SIZES, noise=1.0, seeds=SEEDS
        )
    )


if __name__ == "__main__":
    main()
