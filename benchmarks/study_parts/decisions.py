"""Trials whose truth is known: winners among equal methods, and decisions beside those of an oracle."""

from typing import Any, NamedTuple

import numpy as np

from jaxgd.studies import Trials, equal_budgets
from jaxgd.studies.verdicts.recommending import EQUALLY_FAST

NUM_EXAMPLES, EPOCHS, EVALUATIONS = 4096, 10, 40
SEEDS = (3, 5, 10, 20)  # that report, and as many that tune
MARGIN = 0.02
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


def world(
    rng, methods: int = 1, sizes: int = 6, shared: float = 0.0, apart: float = 0.0, deviation: float = 0.012
) -> World:
    """A world drawn at random: larger batches are faster and have the same loss or a higher one.

    apart: by what share the loss of the last method is higher than that of the others. deviation: of the
    logarithm of a loss between seeds, the median of cells.
    """
    worse = np.cumsum(np.r_[0, rng.exponential(0.02, sizes - 1) * (rng.random(sizes - 1) < 0.5)])
    by_rate = np.array([0.15, 0.0, 0.1]) * rng.uniform(0.2, 1.5, (sizes, 3))
    true = 0.3 * np.broadcast_to((1 + worse[:, None]) * (1 + by_rate), (methods, sizes, 3)).copy()
    true[-1] *= 1 + apart
    deviations = np.broadcast_to(deviation * np.exp(0.7 * rng.normal(size=(sizes, 3))), true.shape)
    batch_sizes = 16 * 2 ** np.arange(sizes)
    seconds = 1e-4 * (1 + batch_sizes / rng.uniform(32, 512))
    return World(true, deviations, shared, batch_sizes, seconds)


# Methods that are equal: how much of the noise they share at a seed, by what share one is truly worse, and
# how much seeds differ.
NULLS = {
    "a method and itself, on independent seeds": (0.0, 0.0, 0.012),
    "a method and itself, on independent seeds that differ by 5 %": (0.0, 0.0, 0.05),
    "a method and itself, at a weight decay of 0.0001": (0.98, 0.001, 0.012),
    "a method and itself, at a weight decay of 0.0001, where seeds differ by 5 %": (0.98, 0.001, 0.05),
}


def null_rows(trials: int):
    """For each pair of equal methods and number of seeds: how often one of the two is said to be better."""
    for name, noise in NULLS.items():
        for sizes in (1, 4):
            for seeds in SEEDS[1:]:
                rng = np.random.default_rng(0)
                wins = np.zeros(3)
                for _ in range(trials):
                    drawn = world(rng, 2, sizes, *noise).trials(rng, 2 * seeds)
                    winners = equal_budgets(drawn).winners
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
    found = equal_budgets(drawn.trials(rng, 2 * seeds))
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
