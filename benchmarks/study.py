"""How often what a study says of batch sizes is right, over 1,000 trials each, where the truth is known.

    python benchmarks/study.py [--noise-scale] [--null] [--decision] [--trials 1000]

Prints Markdown tables; all three without an option.

--noise-scale: how often the interval of a gradient noise scale covers the scale. A trial draws the gradients
of so many steps: micro-batches around a gradient of length 1, in 10 dimensions, the trace of one example's
covariance being the noise scale. Of the scales that are given, 93 to 97 % are to be covered.

--null: how often `equal_budgets` names a winner of methods that are equal. To be 5 % of the trials at most.

--decision: how good the batch size is that `equal_budgets` recommends at equal epochs, by its true loss and
its true seconds. A decision is good if no batch size within the margin of the best loss is faster by more
than a tenth, and it is within the margin itself. The oracle knows the variances and the seconds. From 10
seeds on, the share of good decisions is to be within 10 points of the oracle's.
"""

import argparse
from typing import Any, NamedTuple

import numpy as np

from jaxgd.studies import Trials, equal_budgets, gradient_noise_scale
from jaxgd.studies.verdicts.recommending import EQUALLY_FAST

# Steps, examples in a micro-batch, micro-batches in a batch, noise scale. In the last noise nearly hides the
# gradient.
CASES = [(100, 4, 4, 16), (200, 1, 8, 50), (100, 8, 4, 100), (60, 2, 2, 4), (40, 4, 4, 16), (400, 1, 2, 30)]
DIM = 10

NUM_EXAMPLES, EPOCHS, EVALUATIONS = 4096, 10, 40
TUNING = 5  # seeds
SEEDS = (3, 5, 10, 20)  # that report
MARGIN = 0.02
DEVIATION = 0.012  # of the logarithm of a loss between seeds, the median
DRAWS = 2000  # of the true means, by the oracle
DECIDERS = ("recommended", "oracle", "shown, else the best mean")


class World(NamedTuple):
    """Runs with known truth.

    true: float64[m, n, r], the expected loss after the last epoch. deviation: like true, of the logarithm of
    a loss between seeds. shared: 0 to 1, the part of its variance that methods have in common at a seed.
    batch_sizes: [n]. seconds: float64[n], of one update. jitter: the deviation of its logarithm between runs.
    """

    true: np.ndarray
    deviation: np.ndarray
    shared: float
    batch_sizes: np.ndarray
    seconds: np.ndarray
    jitter: float = 0.1

    def trials(self, rng, seeds: int) -> Trials:
        """Trials of all cells on so many seeds, whose losses fall to what their last epochs have."""
        shape = (*self.true.shape, seeds)
        own, common = rng.normal(size=shape), rng.normal(size=(1, *shape[1:]))
        noise = np.sqrt(1 - self.shared) * own + np.sqrt(self.shared) * common
        deviation = self.deviation[..., None]
        last = self.true[..., None] * np.exp(deviation * noise - deviation**2 / 2)
        part = np.arange(1, EVALUATIONS + 1) / EVALUATIONS
        epochs = np.broadcast_to(EPOCHS * part, (*shape, EVALUATIONS))
        updates = epochs * (NUM_EXAMPLES / self.batch_sizes)[:, None, None, None]
        speed = self.seconds[:, None, None] * np.exp(self.jitter * rng.normal(size=shape))
        methods = len(self.true)
        rates = np.broadcast_to(10.0 ** np.arange(shape[2]), shape[:3])
        none = np.zeros(shape, bool)
        return Trials(
            methods=tuple(f"method {place}" for place in range(methods)),
            batch_sizes=self.batch_sizes.astype(float),
            learning_rates=rates,
            seeds=tuple(range(seeds)),
            updates=updates,
            values=last[..., None] * (1 + 2 * (np.exp(-5 * part) - np.exp(-5))),
            examples=epochs * NUM_EXAMPLES,
            epochs=epochs,
            seconds=updates * speed[..., None],
            was_run=~none,
            diverged=none,
            ended=none,
            metric="valid_loss",
            mode="min",
            notes=(),
        )


def world(rng, methods: int = 1, sizes: int = 6, shared: float = 0.0, apart: float = 0.0) -> World:
    """A world drawn at random: larger batches are faster and have the same loss or a higher one.

    apart: by what share the loss of the last method is higher than that of the others.
    """
    worse = np.cumsum(np.r_[0, rng.exponential(0.02, sizes - 1) * (rng.random(sizes - 1) < 0.5)])
    by_rate = np.array([0.15, 0.0, 0.1]) * rng.uniform(0.2, 1.5, (sizes, 3))
    true = 0.3 * np.broadcast_to((1 + worse[:, None]) * (1 + by_rate), (methods, sizes, 3)).copy()
    true[-1] *= 1 + apart
    deviation = np.broadcast_to(np.exp(rng.normal(np.log(DEVIATION), 0.7, (sizes, 3))), true.shape)
    batch_sizes = 16 * 2 ** np.arange(sizes)
    seconds = 1e-4 * (1 + batch_sizes / rng.uniform(32, 512))
    return World(true, deviation, shared, batch_sizes, seconds)


# Methods that are equal: how much of the noise they share at a seed, by what share one is truly worse.
NULLS = {
    "a method and itself, on independent seeds": (0.0, 0.0),
    "a method and itself, at a weight decay of 0.0001": (0.98, 0.001),
}


def null_rows(trials: int):
    """For each pair of equal methods and number of seeds: how often one of the two is said to be better."""
    for name, (shared, apart) in NULLS.items():
        for sizes in (1, 4):
            for seeds in SEEDS[1:]:
                rng = np.random.default_rng(0)
                wins = np.zeros(3)
                for _ in range(trials):
                    drawn = world(rng, 2, sizes, shared, apart).trials(rng, TUNING + seeds)
                    winners = equal_budgets(drawn, tuning=TUNING).winners
                    better = [one.method for one in winners if one.verdict == "better"]
                    wins += bool(better), "method 0" in better, "method 1" in better
                yield name, sizes, seeds, wins / trials


class Decision(NamedTuple):
    """Which batch size was taken, against the truth.

    score: by how much its true loss is above the best one, over the margin. seconds: its true seconds over
    those of the fastest batch size within the margin. is_good: within the margin, and about as fast.
    probability: of that, as it was said; NaN where nothing was.
    """

    score: float
    seconds: float
    is_good: bool
    probability: float


def decisions(rng, seeds: int) -> list[Decision]:
    """What is decided in one world: the three of DECIDERS."""
    drawn = world(rng)
    found = equal_budgets(drawn.trials(rng, TUNING + seeds), tuning=TUNING)
    rates = np.log10(found.learning_rates[0, 0]).round().astype(int)
    cells = np.arange(len(rates))
    true, deviation = (part[0, cells, rates] for part in (drawn.true, drawn.deviation))
    seconds = drawn.seconds / drawn.batch_sizes
    recommended, shown = found.recommended[0], found.shown[0]
    assert recommended is not None
    means = rng.normal(found.mean[0, 0], true * deviation / np.sqrt(seeds), (DRAWS, len(cells)))
    is_close = means <= means.min(-1, keepdims=True) + found.margin[0]
    fastest = np.where(is_close, seconds, np.inf).min(-1, keepdims=True)
    by_oracle = (is_close & (seconds <= EQUALLY_FAST * fastest)).mean(0)
    best = int(found.mean[0, 0].argmin())
    return [
        _decision(recommended[1], true, seconds, found.probability[0][recommended]),
        _decision(int(by_oracle.argmax()), true, seconds, by_oracle.max()),
        _decision(best if shown is None else shown[1], true, seconds),
    ]


def _decision(cell: int, true: np.ndarray, seconds: np.ndarray, probability: float = np.nan) -> Decision:
    above = (true / true.min() - 1) / MARGIN
    ratio = float(seconds[cell] / seconds[above <= 1].min())
    return Decision(float(above[cell]), ratio, bool(above[cell] <= 1 and ratio <= EQUALLY_FAST), probability)


def decision_rows(trials: int):
    """For each number of seeds and each decider: shares and means over the trials."""
    for seeds in SEEDS:
        rng = np.random.default_rng(0)
        made: Any = np.array([decisions(rng, seeds) for _ in range(trials)])
        for name, found in zip(DECIDERS, np.moveaxis(made, 1, 0), strict=True):
            score, seconds, is_good, said = found.T
            within = (score <= 1).mean()
            yield (
                seeds,
                name,
                is_good.mean(),
                said.mean(),
                within,
                score.mean(),
                np.median(seconds),
                seconds.mean(),
            )


def trial(rng, steps, small, ratio, scale):
    gradients = rng.normal(size=(steps, ratio, DIM)) * np.sqrt(scale / DIM / small) + np.eye(DIM)[0]
    small_norms = np.sum(gradients**2, axis=2).mean(axis=1)
    large_norms = np.sum(gradients.mean(axis=1) ** 2, axis=1)
    return gradient_noise_scale(small_norms, large_norms, small, small * ratio)


def print_noise_scales(trials: int):
    print("| steps | micro-batch | batch | scale | covered | too high | too low | no upper end | no ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        rng = np.random.default_rng(0)
        found = [trial(rng, *case) for _ in range(trials)]
        steps, small, ratio, scale = case
        given = [one for one in found if not np.isnan(one.value)]
        shares = [
            np.mean([one.low <= scale <= one.high for one in given]),
            np.mean([one.low > scale for one in given]),
            np.mean([one.high < scale for one in given]),
            np.mean([np.isinf(one.high) for one in given]),
            1 - len(given) / trials,
        ]
        row = " | ".join(f"{100 * share:.1f} %" for share in shares)
        print(f"| {steps} | {small} | {small * ratio} | {scale} | {row} |")


def print_nulls(trials: int):
    print(
        "| two methods that are equal | batch sizes | reporting seeds | a winner | the first | the second |"
    )
    print("|---|---|---|---|---|---|")
    for name, sizes, seeds, shares in null_rows(trials):
        row = " | ".join(f"{100 * share:.1f} %" for share in shares)
        print(f"| {name} | {sizes} | {seeds} | {row} |")


def print_decisions(trials: int):
    print(
        "| reporting seeds | who decides | good | as was said | within the margin | margins above the best "
        "loss | seconds over the best's, median | mean |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for seeds, name, good, said, within, score, middle, mean in decision_rows(trials):
        shares = " | ".join("" if np.isnan(one) else f"{100 * one:.1f} %" for one in (good, said, within))
        print(f"| {seeds} | {name} | {shares} | {score:.2f} | {middle:.2f} | {mean:.2f} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = {"noise_scale": print_noise_scales, "null": print_nulls, "decision": print_decisions}
    for name in tables:
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true")
    parser.add_argument("--trials", type=int, default=1000)
    asked = vars(parser.parse_args())
    wanted = [name for name in tables if asked[name]] or list(tables)
    for place, name in enumerate(wanted):
        if place:
            print()
        tables[name](asked["trials"])


if __name__ == "__main__":
    main()
