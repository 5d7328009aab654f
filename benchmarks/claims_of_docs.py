"""How surely the documentation's claims hold: measured on more seeds than the tests of docs/claims.py take.

For each statement of a page: its mean over the seeds of all sets, between its bounds, and the probability
that the test on two sets misses it although it is true (a noncentral t at that mean and deviation). Then what
takes longer: how often gradient descent on the network of docs/curvature.md diverges, and where the sharpness
of the other runs ends.

Seen on four sets (two cores, 6 minutes): the likeliest misses are "the best of each are within 0.01"
(dropout, 1.1e-2), momentum's training loss (6.5e-3) and patience 1 against 5 (1.7e-3); all others are below
3e-4. Of 40 runs of gradient descent 10 diverged at rate 0.2, and the sharpness of the others ended at 10.0 to
10.6; at rate 0.1 none did, and it ended at 13.4 to 20.9.

    python benchmarks/claims_of_docs.py [sets of seeds] [pages ...]
"""

import sys
from pathlib import Path

import jax
import numpy as np
from scipy.stats import nct, t as student

import jaxgd

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
import claims

FIRST_SEEDS = range(3000, 100_000, 1000)


def chance_missed(claim: claims.Claim, num_seeds: int) -> float:
    """The probability that `num_seeds` seeds do not support the claim, if its values are as seen here."""
    values = np.asarray(claim.values)
    ends = np.array([values.mean() - claim.low, claim.high - values.mean()])
    effects = ends[np.isfinite(ends)] / max(values.std(ddof=1), 1e-12) * np.sqrt(num_seeds)
    needed = student.ppf(1 - claims.ERROR, num_seeds - 1)
    return float(min(1.0, nct.cdf(needed, num_seeds - 1, np.minimum(effects, 30)).sum()))


def line_of(found: claims.Claim | claims.Fact, num_sets: int) -> str:
    """What was found of one statement on so many sets of seeds."""
    line = f"  {found.statement}: {'supported' if found.is_supported else 'NOT SUPPORTED'}"
    if isinstance(found, claims.Fact):
        return line
    low, high = found.interval
    missed = chance_missed(found, 2 * np.size(found.values) // num_sets)
    line += f"; mean {np.mean(found.values):.3g} ({low:.3g} to {high:.3g}), {np.size(found.values)} seeds"
    return f"{line}; two sets miss it with probability {missed:.1e}"


def of_page(page: str, num_sets: int) -> None:
    """Print the statements of a page."""
    print(f"\n{page}", flush=True)
    for found in claims.measured(page, FIRST_SEEDS[:num_sets]):
        print(line_of(found, num_sets), flush=True)


def network_of_the_curvature_page() -> jaxgd.Problem:
    """The network and the 500 digits of docs/curvature.md."""
    (inputs, labels), _, _ = jaxgd.datasets.load("digits")
    targets = np.eye(10, dtype=np.float32)[labels]
    return jaxgd.regression(jaxgd.mlp([64, 32, 32, 32, 10], "tanh"), (inputs[:500] / 8, targets[:500]))


def edge_of_stability(rate: float, num_seeds: int = 40) -> None:
    """Print how many runs of gradient descent diverge, and where the others' sharpness begins and ends."""
    problem, seeds = network_of_the_curvature_page(), range(FIRST_SEEDS[0], FIRST_SEEDS[0] + num_seeds)
    trainer = jaxgd.trainer(problem, jaxgd.sgd(rate), "full")
    runs = jaxgd.sweep(lambda hp: trainer, {"seed": seeds}, epochs=600, progress=False)
    went_on = np.isfinite(runs.dataset.train_loss.isel(epoch=-1).values)
    keys = [jax.random.key(seed) for seed in seeds]
    before = jaxgd.curvature.sharpness_along(trainer, keys, epochs=1, steps=20).sharpness[went_on, 0]
    after = jaxgd.curvature.curvature_of(runs, problem, jax.random.key(0), steps=20).sharpness.values[went_on]
    print(f"  rate {rate}, 2/rate = {2 / rate:g}: {(~went_on).sum()} of {num_seeds} runs diverged")
    print(
        f"    the others' sharpness: from {before.min():.1f} .. {before.max():.1f} before training", end=" "
    )
    print(f"to {after.min():.1f} .. {after.max():.1f}", flush=True)


def main(num_sets="4", *pages):
    for page in pages or claims.STATEMENTS:
        of_page(page, int(num_sets))
    if not pages:
        print("\nthe edge of stability")
        for rate in (0.05, 0.1, 0.2):
            edge_of_stability(rate)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main(*sys.argv[1:])
