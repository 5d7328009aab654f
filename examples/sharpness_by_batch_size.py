"""Do large batches find sharper minima? Measured on mnist5k, with the spread over seeds, whatever comes out.

Keskar et al. (2017) say they do; Jastrzebski et al. (2018) say that what counts is the ratio of learning rate
to batch size. So SGD trains every batch size three times: for the same epochs at one rate, for the same
epochs at a rate in proportion to the batch size, and for the same updates at one rate. Sharpness is the
largest eigenvalue of the Hessian of the training loss, in evaluation mode, over all training examples.

    python examples/sharpness_by_batch_size.py [epochs] [seeds] [training examples] [first seed]
"""

import sys

import jax
import numpy as np
from scipy.stats import t as student

import jaxgd

BATCH_SIZES = [16, 64, 256]
SMALL, LARGE = BATCH_SIZES[0], BATCH_SIZES[-1]
RATE = 0.05  # of the smallest batch


def protocols(epochs):
    """For each way to train: whether the rate grows with the batch, and how many epochs a batch size gets."""
    return {
        "same epochs, one rate": (False, lambda size: epochs),
        "same epochs, rate ∝ batch size": (True, lambda size: epochs),
        "same updates, one rate": (False, lambda size: epochs * size // SMALL),
    }


def main(epochs=8, seeds=12, num_examples=3000, first_seed=0):
    (inputs, labels), valid, test = jaxgd.datasets.load("mnist5k")
    train = (inputs[:num_examples], labels[:num_examples])
    problem = jaxgd.classification(jaxgd.mlp([784, 32, 10]), train, valid, test)
    axes = {"seed": range(first_seed, first_seed + seeds)}
    print(f"{seeds} seeds, {num_examples} examples: mean ± standard deviation over seeds, after training")
    for name, (grows, epochs_of) in protocols(epochs).items():
        print(
            f"\n{name}\n  batch   rate  epochs      sharpness           trace      train loss      accuracy"
        )
        ends = {}
        for size in BATCH_SIZES:
            rate = RATE * size / SMALL if grows else RATE
            trainer = jaxgd.trainer(problem, jaxgd.sgd(rate), size)
            runs = jaxgd.sweep(lambda hp: trainer, axes, epochs_of(size), progress=False)  # noqa: B023
            ends[size] = jaxgd.curvature.curvature_of(runs, problem, jax.random.key(0), probes=8, steps=20)
            accuracy = runs.dataset.valid_accuracy.isel(epoch=-1)
            columns = [ends[size].sharpness, ends[size].trace, ends[size].loss, accuracy]
            shown = "".join(f"{x.mean():8.3g} ± {x.std(ddof=1):<5.1g}" for x in map(np.asarray, columns))
            print(f"  {size:5} {rate:6.3g} {epochs_of(size):7} {shown}")
        for name in ("sharpness", "trace"):
            # Seed by seed: the runs of a seed start from the same parameters.
            ratios = np.log(ends[LARGE][name] / ends[SMALL][name]).values
            error = student.ppf(0.975, seeds - 1) * ratios.std(ddof=1) / np.sqrt(seeds)
            ratio, low, high = np.exp([ratios.mean(), ratios.mean() - error, ratios.mean() + error])
            print(f"  {name}: batch {LARGE} ends at {ratio:.2f} times that of batch {SMALL}", end=" ")
            print(f"({low:.2f} to {high:.2f}, 95 % t interval)")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)  # the runs of a sweep are spread over them
    main(*map(int, sys.argv[1:]))
